"""Modes and options of the command line: what each is for, and what belongs together.

A mode is a row of MODES here and a function in ``modes.MODES``, an option is a row of OPTIONS; the parser, the help of
each mode, shell completion and what is refused follow from the rows.
"""

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spikingconvnet import backends
from spikingconvnet.board.targets import TARGETS
from spikingconvnet.cli.completion import SHELLS
from spikingconvnet.cli.parameters import NEW, WHOLE
from spikingconvnet.exchange.verdicts import METHODS
from spikingconvnet.experiment.replicas import REPLICA_SAMPLES
from spikingconvnet.gates.fields import MOST_SEED
from spikingconvnet.training import LAYERWISE

FOR_NEW = ("check", "map")              # modes that also look at an experiment that has not begun
READ_ONLY = ("info", "export", "predict", "bundle", *FOR_NEW)      # modes that write nothing into a run directory
TRAINS = ("training", "demo", "sweep")
COMPUTE = ("training", "testing", "demo", "sweep")
SIMULATE = ("training", "testing", "demo", "plot", "sweep", "predict")
RUNS = (*NEW, "training", "testing", "info", "plot", "report", "export", "predict", "bundle", "collect",
        *FOR_NEW)  # of an experiment
_JOBS = ("bundle", "bundle FILE")
_NETWORKS = ("bundle FILE", "collect FILE")
NIR = ("import", "export", *_NETWORKS)
NO_MODE = ("",)         # of options that show something instead


@dataclass(frozen=True)
class Mode:
    """A mode of the command line.

    Attributes
    ----------
    name, help : str
        The help is a line.
    examples : tuple of str
        What may stand behind ``--mode NAME``.
    paths : str
        What it takes, with brackets around what may be left out.
    of_files : int or None
        Number of paths with which it looks at these files instead of an experiment.
    """

    name: str
    help: str
    examples: tuple[str, ...] = ("",)
    paths: str = ""
    of_files: int | None = None

    @property
    def n_paths(self) -> tuple[int, ...]:
        """How many paths it may be given: those without brackets, or all."""
        least, most = (len(text.split()) for text in (re.sub(r"\[.*?\]", "", self.paths), self.paths))
        return (least, most) if least < most else (most,)


MODES = {mode.name: mode for mode in (
    Mode("demo", "everything: load, train, test, draw; what is there is not made again",
         ("--run-dir runs/demo", "--rule ridge --run-dir runs/ridge")),
    Mode("loaddata", "read, check, split, filter and encode the images", ("", "--source data/mnist --seed 1")),
    Mode("training", "train a layer, or its readout, or a network as a whole",
         ("--layer 1", "--layer svm", "--rule kmeans --layer 1")),
    Mode("testing", "accuracy, confusion matrix, recall of each class", ("", "--split validation", "--record run.npz")),
    Mode("predict", "labels of new images, by what a run directory holds",
         ("--images new/ --run-dir runs/demo", "--images a.png b.npy --output labels.csv")),
    Mode("sweep", "the demo for many settings and seeds, shared steps once: a table",
         ("--set MODEL.1.filters=16,48 --seeds 3", "--set ENCODER.n_steps=10,15 --jobs 2 --run-dir runs/sweep")),
    Mode("init", "write a parameters file with comments, and fetch MNIST if it is not here", ("", "mine --toml"),
         "[DIR]"),
    Mode("plot", "all figures again, as PNG and SVG, for a paper as PDF", ("", "--pdf --no-titles")),
    Mode("report", "a page of the run to look at, report.html; or of two runs, side by side",
         ("--run-dir runs/demo", "runs/a runs/b"), "[A B]", 2),
    Mode("info", "the model, what has been done, what it has reached", ("--run-dir runs/demo",)),
    Mode("check", "what a board will do to the networks, and whether they fit; also of a recording",
         ("--target spin5", "run.npz"), "[FILE]", 1),
    Mode("map", "what sPyNNaker would use for them, on a virtual board", ("--backend spinnaker --copies 4",)),
    Mode("compare", "two runs of an experiment, or two recordings: where they differ first, and why",
         ("runs/a runs/b", "a.npz b.npz"), "A B"),
    Mode("import", "a NIR file of another framework: what becomes of it, and whether it fits a board",
         ("model.nir", "model.nir --spikes in.csv --record out.npz"), "FILE"),
    Mode("export", "the trained layers as a NIR file, or a recording's spikes as CSV, NPZ or NIX",
         ("model.nir", "run.npz run.csv"), "FILE [FILE]", 2),
    Mode("convert", "a trained network of torch as a parameters file and its weights",
         ("net.py:Net mine.py --weights net.pt", "net.pt2 mine.py --source events/ --scale 1"), "NETWORK FILE.py"),
    Mode("bundle", "a job for where there is a board and sPyNNaker alone: a test, a training, a network",
         ("job.py --count 500 --parts 4", "job.py --layer 1 --time-scale 3", "job.py model.nir --spikes in.csv"),
         "FILE.py [NETWORK]", 2),
    Mode("submit", "give such a job to a queue, wait for its end, fetch what it has left",
         ("job.py --queue ebrains --collab my-collab",), "FILE.py"),
    Mode("collect", "what such a job has brought: checked, and compared with the local engine",
         ("spikingconvnet-results.zip --run-dir runs/demo", "job/ model.nir --spikes in.csv"), "RESULTS [NETWORK]", 2),
    Mode("conformance", "does a board compute our integers? small networks, here or as a job",
         ("", "--target spin5", "job.py", "spikingconvnet-results.zip"), "[FILE]"),
    Mode("doctor", "packages, backends and boards: what is missing, and the fix",
         ("", "--target spin5:10.0.0.1", "--collab my-collab")),
    Mode("board", "serve an emulated SpiNN-5 until it is interrupted"))}


@dataclass(frozen=True)
class Option:
    """An option of the command line.

    Attributes
    ----------
    flag, help : str
    modes : tuple of str
        That read it, as ``use`` names them; empty for all, see also NO_MODE.
    bounds : (int, int) or None
        Least and greatest number.
    needs_board : bool
        Whether it says something of ``--backend spinnaker``, outside the modes ``but_in``.
    but_in : tuple of str
    words : Mapping
        For ``argparse.ArgumentParser.add_argument``.
    """

    flag: str
    modes: tuple[str, ...]
    help: str
    bounds: tuple[int, int] | None
    needs_board: bool
    but_in: tuple[str, ...]
    words: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Of the attribute that has its value."""
        return self.flag.removeprefix("--").replace("-", "_")

    def is_given(self, options: argparse.Namespace) -> bool:
        """Whether the command line has it."""
        return getattr(options, self.name) not in (None, False)


def _option(flag: str, modes: tuple[str, ...], help: str, *, bounds: tuple[int, int] | None = None,
            needs_board: bool = False, but_in: tuple[str, ...] = (), **words: Any) -> Option:
    return Option(flag, modes, help, bounds, needs_board, but_in, words)


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number, got {text!r}") from None


def _number_or_auto(text: str) -> int | str:
    try:
        return text if text == "auto" else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number or auto, got {text!r}") from None


_CHECKS = ("check", "check FILE")
# A board's timer counts 32 bits at 200 MHz, and its cores have 64 KiB for packets of 4 bytes.
OPTIONS = (
    _option("--set", (*RUNS, "convert"), "another value for one of the parameters, as N_TRAIN=1000, ENCODER.n_steps=20"
            " or MODEL.1.training.windows=2000 (layers count as for --layer); again for another one; kept in the run"
            " directory. With sweep NAME=VALUE,VALUE,...: all of them; with convert fields of ENCODER, of events",
            action="append", metavar="NAME=VALUE"),
    _option("--seeds", ("sweep",), "runs of each setting, of seeds from --seed on (default: 1)", type=_number,
            bounds=(1, 1000), metavar="N"),
    _option("--toml", ("init",), "parameters in TOML instead of Python", action="store_true"),
    _option("--images", ("predict",), "files and folders of images or events to classify with what the run directory"
            " holds, .png, .npy, .csv, .bin and others", nargs="+", metavar="PATH"),
    _option("--output", ("predict",), "a .csv or .json file for labels and scores", metavar="FILE"),
    _option("--layer", ("training", "bundle"), "1, 2, ... or svm"),
    _option("--count", ("bundle",), "images of the split to show (default: all)", type=_number,
            bounds=(1, 10_000_000), metavar="N"),
    _option("--first", ("bundle",), "the first of them, from 0 on", type=_number, bounds=(0, 10_000_000), metavar="N"),
    _option("--parts", ("bundle",), "as so many jobs, FILE-1.py and so on", type=_number, bounds=(1, 1000),
            metavar="N"),
    _option("--finished", ("bundle",), "results of this job, which was ended: it goes on behind them",
            metavar="RESULTS"),
    _option("--queue", ("submit", "doctor"), "whose (default: ebrains)", choices=("ebrains",)),
    _option("--collab", ("submit", "doctor"), "to whose quota it goes", metavar="NAME"),
    _option("--hours", ("submit",), "that it may take (default: 24)", type=_number, bounds=(1, 168), metavar="N"),
    _option("--rule", (*TRAINS, "loaddata", "init"), "how kernels are found; local-errors learns them from"
            " labels; random, kmeans, pca and ridge are floors (default: that of the parameters). A rule that trains"
            " all layers at once brings its own parameters", choices=(*LAYERWISE, *WHOLE)),
    _option("--dataset", ("training", *NEW, "init"), "with such a rule: what its own parameters are for, where it has"
            " some for several data sets", choices=("iris", "mnist")),
    _option("--cv", ("training",), "with such a rule: N times K-fold cross-validation on the whole data set, as 10x5;"
            " nothing has to be loaded, nothing is kept", metavar="NxK"),
    _option("--source", (*NEW, "training", "convert"), "a data set, see docs/data.md; with training it needs --cv; with"
            " convert the one whose images or events are compared (default: data/mnist)", metavar="DIR_OR_URL"),
    _option("--split", ("testing", "sweep", "bundle"), "images to classify (default: test)",
            choices=("validation", "test")),
    _option("--record", ("training", "testing", "import", "collect FILE"), "keep what happens: with testing spikes,"
            " some membranes and weights of the first images, with training those of all of it; with import the"
            " network, and what it does with --spikes; with collect what a network did on the board",
            metavar="FILE.npz"),
    _option("--spikes", ("import", *_NETWORKS), "run the network with the spikes of a .csv or .npz file",
            metavar="FILE"),
    _option("--graph-dt", NIR, "a step in the unit of time of the NIR file (default: 0.001, for seconds; snnTorch:"
            " 0.0001)", type=float, metavar="T"),
    _option("--method", NIR, "how the file's equations become steps (default: euler)", choices=METHODS),
    _option("--pdf", ("plot",), "figures as PDF, too", action="store_true"),
    _option("--no-titles", ("plot",), "figures without the titles above them", action="store_true"),
    _option("--weights", ("convert",), "the network's state_dict, .pt, .pth or .safetensors", metavar="FILE"),
    _option("--input-shape", ("convert",), "of an image (default: as exported, or 1x28x28, or"
            " that of the events)", metavar="CxHxW"),
    *(_option(f"--{name}", ("convert",), f"{name} of the Normalize before the network", metavar="X[,X,...]")
      for name in ("mean", "std")),
    _option("--scale", ("convert",), "of events: how many of a pixel were 1 in what the network was trained on; 1 for"
            " counts, 255 for counts / 255", metavar="N"),
    _option("--clip", ("convert",), "of events: the most of a pixel that the network was trained on, 1 for binary"
            " frames (default: all)", type=_number, bounds=(1, 1_000_000), metavar="N"),
    _option("--parameters", RUNS, "the experiment (default: the one that the run directory was loaded with; for"
            " loaddata and demo parameters.py here)", metavar="FILE"),
    _option("--run-dir", RUNS, "where results are kept (default: runs/default)", metavar="DIR"),
    _option("--seed", RUNS, f"seed of every random choice, 0 to {MOST_SEED} (default: SEED of the parameters)",
            type=_number, bounds=(0, MOST_SEED), metavar="N"),
    _option("--arch", RUNS, "with a rule that trains all layers at once: another MODEL, as 784-1200-10 or"
            " 28x28-12c5-2s-10", metavar="A-B-C"),
    _option("--jobs", RUNS, "threads (default: all cores); the results do not depend on it", type=_number,
            bounds=(1, 1024), metavar="N"),
    _option("--backend", (*SIMULATE, *FOR_NEW, "import"), "what simulates (default: local)", choices=backends.names()),
    _option("--target", (*SIMULATE, *_CHECKS, "map", "doctor", "import", "conformance"), f"the machine: {TARGETS}"
            " (default: emulated); with check also spin3, spin5, spin5x3 or full (default: spin5)", needs_board=True,
            but_in=(*_CHECKS, "doctor", "import", "conformance"), metavar="T"),
    _option("--copies", (*COMPUTE, "map", "predict", "bundle"), "copies of the network that share the machine, each"
            f" with {REPLICA_SAMPLES:,} images of its own; auto: as many as fit (default: auto; 1 on an emulated board,"
            " which is slower with more cores at work)", needs_board=True, but_in=("bundle",), type=_number_or_auto,
            bounds=(1, 1000), metavar="N|auto"),
    _option("--time-scale", (*SIMULATE, "import", *_JOBS), "how many times slower than real time the board runs"
            " (default: 1; --mode check says what is needed)", needs_board=True, but_in=_JOBS, type=_number,
            bounds=(1, 21_474), metavar="N"),
    _option("--packet-buffer", (*SIMULATE, *_CHECKS, "import", *_JOBS), "packets that each core holds until it works"
            " them off (default: sPyNNaker's 256)", needs_board=True, but_in=(*_CHECKS, *_JOBS), type=_number,
            bounds=(1, 16_384), metavar="N"),
    _option("--timed", (*SIMULATE, "import"), "on the emulated board work takes time: what is late on a board is late",
            needs_board=True, action="store_true"),
    _option("--force", (*COMPUTE, "import", "predict"), "store results of an invalid run all the same",
            needs_board=True, action="store_true"),
    _option("--strict", (*COMPUTE, "import", "predict"), "exit code 7 if a run is suspect", needs_board=True,
            action="store_true"),
    _option("--cluster", COMPUTE, "a dask.distributed scheduler that replicas run on, with training those of svm and of"
            " layers above 1; local starts one here", metavar="ADDRESS"),
    _option("--quiet", (), "say nothing but warnings, errors and the result", action="store_true"),
    _option("--verbose", (), "say more, each line with its time", action="store_true"),
    _option("--json", (), "print one JSON object on stdout", action="store_true"),
    _option("--help", (), "show what belongs to the mode; without one, the modes", action="store_true"),
    _option("--version", NO_MODE, "show the version", action="store_true"),
    _option("--completion", NO_MODE, "show what a shell completes by, as with: eval \"$(spikingconvnet --completion"
            " bash)\"", choices=SHELLS))
