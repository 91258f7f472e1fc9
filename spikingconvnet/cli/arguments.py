"""Options of the command line, and what is refused of them."""

import argparse
import shlex
from argparse import Namespace
from collections.abc import Callable
from typing import Any

import spikingconvnet
from spikingconvnet import backends
from spikingconvnet.board.targets import TARGETS, check_target
from spikingconvnet.cli.modes import MODES
from spikingconvnet.cli.parameters import NEW, WHOLE
from spikingconvnet.cli.prediction import check_output
from spikingconvnet.errors import SettingsError
from spikingconvnet.exchange.verdicts import METHODS
from spikingconvnet.experiment.replicas import REPLICA_SAMPLES
from spikingconvnet.experiment.workers import check_cluster
from spikingconvnet.gates import surroundings
from spikingconvnet.gates.fields import MOST_SEED
from spikingconvnet.training import LAYERWISE
from spikingconvnet.training.layerwise.stdp import STDP

EXIT_CODES = """exit codes:
  0  done
  1  an error inside the program, with a traceback
  2  wrong usage, a parameter that cannot be used or is not, or a layer that never fires; --mode check: the model
     does not fit the target
  3  a simulator or board that is missing, cannot be reached or does not compute; --mode doctor: something is broken
  4  bad data
  5  a run directory or an earlier step is missing, or holds results of other settings, or another command writes
     there; --mode compare: two recordings that cannot be compared
  6  a run on a board is invalid, or what it stands on; results are not stored without --force
  7  with --strict: a run on a board is suspect, or what it stands on
  8  --mode compare: the two differ
  9  the system refuses something: rights, room, memory, open files, a path that cannot be, stdout that cannot be
     written
  130, 143, 129  interrupted by Ctrl-C, SIGTERM or the end of the terminal; everything that was finished is kept, the
     same command goes on"""
DATASETS = ("iris", "mnist")    # for which a rule may bring parameters
READ_ONLY = ("info", "check", "map", "export", "predict")      # modes that write nothing into a run directory
FOR_NEW = ("check", "map")                  # modes that also look at an experiment that has not begun
RUNS = (*NEW, "training", "testing", "info", "plot", "export", "predict", *FOR_NEW)        # modes of an experiment
PATHS = {"compare": (2,), "import": (1,), "export": (1, 2), "check": (0, 1), "init": (0, 1),
         "convert": (2,)}       # how many a mode takes
IN_WORDS = {0: "no paths", 1: "one path", 2: "two paths"}
STORE = ("training", "testing", "demo", "sweep")      # modes that store what a board may have computed
SIMULATE = ("training", "testing", "demo", "plot", "sweep", "predict")
USED_BY = {"layer": ("training",), "source": (*NEW, "convert"), "weights": ("convert",), "mean": ("convert",),
           "std": ("convert",), "input_shape": ("convert",),
           "split": ("testing", "sweep"), "set": RUNS, "seeds": ("sweep",), "toml": ("init",),
           "record": ("training", "testing", "import"),
           "graph_dt": ("import", "export"), "method": ("import", "export"), "spikes": ("import",),
           "cv": ("training",), "dataset": (*NEW, "training", "init"), "parameters": RUNS, "run_dir": RUNS,
           "seed": RUNS, "arch": RUNS, "backend": (*SIMULATE, *FOR_NEW, "import"),
           "target": (*SIMULATE, *FOR_NEW, "doctor", "import", "check FILE"),
           "copies": ("training", "testing", "demo", "sweep", "map", "predict"), "time_scale": (*SIMULATE, "import"),
           "packet_buffer": (*SIMULATE, "import", "check", "check FILE"), "force": (*STORE, "import", "predict"),
           "strict": (*STORE, "import", "predict"), "jobs": RUNS, "images": ("predict",), "output": ("predict",)}
# Bounds of numbers. A board's timer counts 32 bits at 200 MHz, and its cores have 64 KiB for packets of 4 bytes.
NUMBERS = {"seed": (0, MOST_SEED), "seeds": (1, 1000), "jobs": (1, 1024), "copies": (1, 1000),
           "time_scale": (1, 21_474), "packet_buffer": (1, 16_384)}
RUN_DIRS = {"sweep": "runs/sweep"}      # by default; runs/default elsewhere
NOT_WITH_CV = ("layer", "record", "copies", "cluster", "force", "strict")


class _Parser(argparse.ArgumentParser):
    def print_help(self, file: Any = None) -> None:
        """As argparse's, but not without an error if it cannot be written."""
        surroundings.say_on_stdout(self.format_help().rstrip())


def parser() -> argparse.ArgumentParser:
    """The parser of all options."""
    parser = _Parser(
        prog="spikingconvnet", epilog=EXIT_CODES, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Layer-wise STDP spiking convolutional networks on SpiNNaker.")
    add = parser.add_argument
    add("--mode", required=True, choices=(*MODES, "init", "sweep", "board"),
        help="what to do; demo does everything, init writes a parameters file, sweep does it for many settings, board"
             " serves an emulated SpiNN-5 until it is interrupted")
    add("paths", nargs="*", metavar="A B", help="with --mode compare: two run directories of one experiment, or two"
                                                " files that --record made; with import: a NIR file, with export one"
                                                " that is made, or a file that --record made and one of spikes; with"
                                                " check: a file that --record made; with init: a directory")
    add("--graph-dt", type=float, metavar="T", help="with --mode import or export: a step in the unit of time of the"
                                                    " NIR file (default: 0.001, for seconds; snnTorch: 0.0001)")
    add("--method", choices=METHODS, help="with --mode import or export: how the file's equations become steps"
                                          " (default: euler)")
    add("--record", metavar="FILE.npz", help="with --mode testing: keep spikes, some membranes and weights of the first"
                                             " images; with --mode training: those of the whole training; with --mode"
                                             " import: the network, and what it does with --spikes")
    add("--spikes", metavar="FILE", help="with --mode import: run the network with the spikes of a .csv or .npz file")
    add("--layer", help="with --mode training: 1, 2, ... or svm")
    add("--rule", choices=(*LAYERWISE, *WHOLE),
        help="with --mode training or demo: how kernels are found; random, kmeans and ridge are floors (default: that"
             " of the parameters). With loaddata or demo a rule that trains all layers at once brings"
             " its own parameters")
    add("--arch", metavar="A-B-C", help="with such a rule: another MODEL, as 784-1200-10 or 28x28-12c5-2s-10")
    add("--dataset", choices=DATASETS, help="with loaddata, training or demo and such a rule: what its own parameters"
                                            " are for, where it has some for several data sets")
    add("--cv", metavar="NxK", help="with --mode training and such a rule: N times K-fold cross-validation on the whole"
                                    " data set, as 10x5; nothing has to be loaded, nothing is kept")
    add("--parameters", metavar="FILE", help="the experiment (default: the one that the run directory was loaded with;"
                                             " for loaddata and demo parameters.py here)")
    add("--run-dir", metavar="DIR", help="where results are kept (default: runs/default)")
    add("--seed", type=int, help=f"seed of every random choice, 0 to {MOST_SEED} (default: SEED of the parameters)")
    add("--backend", choices=backends.names(), help="what simulates (default: local)")
    add("--target", help=f"with --backend spinnaker: {TARGETS} (default: emulated); with --mode check also"
                         " spin3, spin5, spin5x3 or full (default: spin5)")
    add("--copies", type=_number_or_auto, metavar="N|auto",
        help="with --backend spinnaker: copies of the network that share the machine, each with"
             f" {REPLICA_SAMPLES:,} images of its own; auto: as many as fit (default: auto; 1 on an emulated board,"
             " which is slower with more cores at work)")
    add("--time-scale", type=int, help="with --backend spinnaker: how many times slower than real time the board runs"
                                       " (default: 1; --mode check says what is needed)")
    add("--packet-buffer", type=int, metavar="N",
        help="with --backend spinnaker or --mode check: packets that each core holds until it works them off (default:"
             " sPyNNaker's 256)")
    add("--force", action="store_true", help="with --backend spinnaker: store results of an invalid run all the same")
    add("--strict", action="store_true", help="with --backend spinnaker: exit code 7 if a run is suspect")
    add("--cluster", metavar="ADDRESS", help="with --mode testing or demo, and training of svm or"
                                             " layers above 1: a dask.distributed scheduler that replicas run on; local"
                                             " starts one here")
    add("--source", metavar="DIR_OR_URL", help="with --mode loaddata or demo: another IDX data set; with convert: the"
                                               " one whose images are compared (default: data/mnist)")
    add("--weights", metavar="FILE", help="with --mode convert: the network's state_dict, .pt, .pth or .safetensors")
    add("--input-shape", metavar="CxHxW", help="with --mode convert: of an image (default: as exported, or 1x28x28)")
    for name in ("mean", "std"):
        add(f"--{name}", metavar="X[,X,...]", help=f"with --mode convert: {name} of the Normalize before the network")
    add("--split", choices=("validation", "test"), help="with --mode testing: images to classify (default: test)")
    add("--images", nargs="+", metavar="PATH", help="with --mode predict: files and folders of images to classify with"
                                                    " what the run directory holds, .png, .npy, .csv and others")
    add("--output", metavar="FILE", help="with --mode predict: a .csv or .json file for labels and scores")
    add("--jobs", type=int, help="threads (default: all cores); the results do not depend on it")
    _add_settings(add)
    add("--json", action="store_true", help="print one JSON object on stdout")
    add("--version", action="version", version=spikingconvnet.__version__)
    return parser


def _add_settings(add: Callable[..., object]) -> None:
    """Options that change single settings, see docs/settings.md."""
    add("--set", action="append", metavar="NAME=VALUE", help="another value for one of the parameters, as N_TRAIN=1000,"
        " ENCODER.n_steps=20 or MODEL.1.training.windows=2000 (layers count as for --layer); again for another one;"
        " kept in the run directory. With --mode sweep NAME=VALUE,VALUE,...: all of them")
    add("--seeds", type=int, metavar="N", help="with --mode sweep: N runs of each setting, of seeds from --seed on"
                                               " (default: 1)")
    add("--toml", action="store_true", help="with --mode init: parameters in TOML instead of Python")


def _number_or_auto(text: str) -> int | str:
    try:
        return text if text == "auto" else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number or auto, got {text!r}") from None


def use(options: Namespace) -> str:
    """The mode, and where it looks at files of no experiment instead, that it does so."""
    of_files = (options.mode, len(options.paths)) in (("check", 1), ("export", 2))
    return str(options.mode) + " FILE" * of_files


def check(options: Namespace) -> None:
    """Refuse values that argparse lets through, and options that the mode would not use; set those not given.

    Raises
    ------
    SettingsError
        The first such value or option, by name.
    """
    for name, (least, most) in NUMBERS.items():
        value = getattr(options, name)
        if value not in (None, "auto") and not least <= value <= most:
            raise SettingsError(f"--{name.replace('_', '-')}: must be at"
                                f" {f'least {least}' if value < least else f'most {most:,}'}, got {value}")
    taken = PATHS.get(options.mode, (0,))
    if len(options.paths) not in taken:
        raise SettingsError(f"--mode {options.mode}: takes {' or '.join(IN_WORDS[n] for n in taken)}, got"
                            f" {shlex.join(options.paths) or 'none'}")
    if options.cluster is not None:
        check_cluster(options.cluster)
    for name in ("run_dir", "source", "target", "cluster", "arch", "record", "spikes", "weights", "output"):
        if getattr(options, name) == "":
            raise SettingsError(f"--{name.replace('_', '-')}: must not be empty")
    brings_parameters = options.rule in WHOLE
    if options.cluster is not None and (options.mode not in STORE
                                        or (options.mode == "training" and options.layer in (None, "1"))):
        raise SettingsError("--cluster: has nothing to do here; replicas go there with --mode testing or demo, and with"
                            " --mode training of svm and of layers above 1, for which earlier layers are replayed")
    rules = ("training", "demo", "sweep") + ("loaddata", "init") * brings_parameters
    for name, modes in {**USED_BY, "rule": rules}.items():
        if getattr(options, name) not in (None, False) and use(options) not in modes:
            raise SettingsError(f"--{name.replace('_', '-')}: belongs to --mode {' or '.join(modes)}, not to --mode"
                                f" {use(options)}")
    _check_together(options)
    options.named, options.run_dir = options.run_dir is not None, options.run_dir or RUN_DIRS.get(
        options.mode, "runs/default")
    options.backend = options.backend or "local"
    if options.dataset and not brings_parameters:
        raise SettingsError(f"--dataset: needs --rule {' or '.join(WHOLE)}; for other data sets there is --source")
    for option, value in (("--copies", options.copies), ("--time-scale", options.time_scale),
                          ("--packet-buffer", options.packet_buffer)):
        checked = option == "--packet-buffer" and options.mode == "check"
        if value is not None and options.backend != "spinnaker" and not checked:
            raise SettingsError(f"{option}: belongs to --backend spinnaker, not to --backend {options.backend}")
    for name in ("force", "strict"):
        if getattr(options, name) and options.backend != "spinnaker":
            raise SettingsError(f"--{name}: belongs to --backend spinnaker, not to --backend {options.backend}")
    if options.mode == "map" and options.backend != "spinnaker":
        raise SettingsError("--mode map: needs --backend spinnaker; it maps on a virtual board, whatever the --target")
    if options.target is not None and options.backend != "spinnaker" and options.mode not in (
            "check", "doctor", "import"):
        raise SettingsError(f"--target: belongs to --backend spinnaker, not to --backend {options.backend}")
    if options.backend == "spinnaker":
        options.target = options.target or "emulated"
        check_target(options.target, *("spin5x3", "full") * (options.mode in FOR_NEW))
    if options.copies is None:
        has_board = options.backend == "spinnaker" and options.target not in ("emulated", "virtual")
        options.copies = "auto" if has_board else 1
    if options.record is not None:
        _check_record(options)
    if options.mode == "predict" and not options.images:
        raise SettingsError("--images: is missing; name files or folders of images to classify")
    if options.output is not None:
        check_output(options.output)
    options.split = options.split or "test"


def _check_together(options: Namespace) -> None:
    """Refuse options that another one makes useless."""
    pairs = [("cv", name) for name in NOT_WITH_CV] + [("parameters", "dataset")]
    for one, other in pairs:
        if getattr(options, one) and getattr(options, other):
            raise SettingsError(f"--{other}: has nothing to do with --{one}")
    for option, name in (("seed", "SEED"), ("source", "DATASET")):
        if getattr(options, option) is not None and any(one.startswith(f"{name}=") for one in options.set or ()):
            raise SettingsError(f"--set {name}: is what --{option} gives; leave one of them out")
    if options.mode == "sweep" and not (options.set or options.seeds):
        raise SettingsError("--mode sweep: needs --set NAME=VALUE,VALUE,... or --seeds N, or there is nothing to"
                            " compare")
    if options.layer == "svm" and options.rule is not None:
        raise SettingsError("--rule: has nothing to do with --layer svm, whose kernels are trained before it")
    if options.mode == "import" and options.backend is not None and options.spikes is None:
        raise SettingsError("--backend: needs --spikes, which it is to run; without them nothing runs")
    if options.mode == "training" and options.layer in (None, "1") and options.copies is not None:
        raise SettingsError("--copies: has nothing to do here; learning takes one copy, and copies share the replay of"
                            " earlier layers, the counts for svm, and testing")


def _check_record(options: Namespace) -> None:
    from spikingconvnet.compare import recorded

    if options.mode == "training" and (options.layer in (None, "svm") or options.rule not in (None, STDP.name)):
        raise SettingsError("--record: with --mode training it belongs to --rule stdp and --layer 1, 2, ...; nothing"
                            " else simulates a training")
    recorded.check_file(options.record)
