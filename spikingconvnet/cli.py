"""The command line: ``main.py --mode loaddata|training|testing|info|plot|demo|check|doctor|compare|map|board``.

Results go to stdout (one JSON object with ``--json``), messages and progress bars to stderr. What a mode does is in
``modes``; nothing else of the package prints.
"""

import argparse
import filecmp
import json
import logging
import shlex
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import spikingconvnet
from spikingconvnet import arch, backends, settings, surroundings
from spikingconvnet.address import SPALLOC_LOGIN, apart
from spikingconvnet.deployment import stored
from spikingconvnet.errors import BackendError, SettingsError, SimulationFailed, SpikingConvNetError
from spikingconvnet.experiment import REPLICA_SAMPLES, Experiment
from spikingconvnet.fields import MOST_SEED
from spikingconvnet.modes import MODES, program, say
from spikingconvnet.replicas import check_cluster
from spikingconvnet.store import RunDirectory, near, same_file
from spikingconvnet.training import RULES

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
VERDICT_CODES = {"invalid": 6, "suspect": 7}    # the latter with --strict
READ_ONLY = ("info", "check", "map")       # modes that write nothing
NEW = ("loaddata", "demo")                  # modes that may begin a run
FOR_NEW = ("check", "map")                  # modes that also look at an experiment that has not begun
RUNS = (*NEW, "training", "testing", "info", "plot", *FOR_NEW)          # modes of an experiment
SIMULATE = ("training", "testing", "demo", "plot")
USED_BY = {"layer": ("training",), "source": NEW, "split": ("testing",), "record": ("training", "testing"),
           "cv": ("training",), "dataset": (*NEW, "training"), "parameters": RUNS, "run_dir": RUNS, "seed": RUNS,
           "arch": RUNS, "backend": (*SIMULATE, *FOR_NEW), "target": (*SIMULATE, *FOR_NEW, "doctor"),
           "copies": ("training", "testing", "demo", "map"), "time_scale": SIMULATE,
           "packet_buffer": (*SIMULATE, "check"), "force": SIMULATE[:3], "strict": SIMULATE[:3], "jobs": RUNS}
# Bounds of numbers. A board's timer counts 32 bits at 200 MHz, and its cores have 64 KiB for packets of 4 bytes.
NUMBERS = {"seed": (0, MOST_SEED), "jobs": (1, 1024), "copies": (1, 1000), "time_scale": (1, 21_474),
           "packet_buffer": (1, 16_384)}
NOT_WITH_CV = ("layer", "record", "copies", "cluster", "force", "strict")
RECIPES = Path(spikingconvnet.__file__).parent / "recipes"


def main(args=None):
    """Run one command: its exit code.

    Parameters
    ----------
    args : list of str or None
        Command line without the program's name; None takes ``sys.argv``.
    """
    options, words = None, []
    try:
        with surroundings.told():
            words = apart(sys.argv[1:] if args is None else args)
            options = _parser().parse_intermixed_args(words)
            return _command(options)
    except SpikingConvNetError as error:
        say(f"error: {_one_line(error)}{_way_on(error, options, words)}")
        return error.exit_code
    except KeyboardInterrupt as stop:
        say(surroundings.INTERRUPTED)
        return getattr(stop, "exit_code", 130)


def _command(options):
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    begin, begin_cpu = time.perf_counter(), time.process_time()
    _check(options)
    if options.mode == "board":
        return _board()
    result = _run(options)
    code = result.pop("exit_code", 0)
    result.update(seconds=round(time.perf_counter() - begin, 2), cpu_seconds=round(time.process_time() - begin_cpu, 2))
    _print(result, options)
    return code


def _one_line(error):
    """An error's text with whatever would not be seen as it is, as in names of files, escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in str(error))


def _board():
    """Serve an emulated board until interrupted: the exit code."""
    if find_spec("unicorn") is None:
        raise BackendError("--mode board: no module named 'unicorn'; install it with:"
                           " pip install 'spikingconvnet[emulator]'")
    from spikingconvnet.emulator import cli as board

    return board.main([])


def _way_on(error, options, args):
    """The commands that come next after a failure of what simulates; without what is secret, which `args` lack."""
    if not isinstance(error, SimulationFailed):
        return ""
    doctor = f"{program()} --mode doctor --target {shlex.quote(options.target or '')}"
    again = f"go on with: {program()} {shlex.join(args)}"
    if options.backend == "spinnaker" and options.target != "emulated":
        again = f"look whether it answers with: {doctor}; then {again}"
    if any(getattr(arg, "has_secret", False) for arg in args):
        again += f" (with the login in its address again, or in {SPALLOC_LOGIN}_USER and {SPALLOC_LOGIN}_PASSWORD)"
    return f"; {again}"


def _print(result, options):
    if options.json:
        surroundings.say_on_stdout(json.dumps(result))
    elif "text" in result:
        surroundings.say_on_stdout(result["text"])
    elif options.mode in ("testing", "demo"):
        surroundings.say_on_stdout(f"{result['split']} accuracy {100 * result['accuracy']:.2f} %")


class _Parser(argparse.ArgumentParser):
    def print_help(self, file=None):
        """As argparse's, but not without an error if it cannot be written."""
        surroundings.say_on_stdout(self.format_help().rstrip())


def _parser():
    parser = _Parser(
        prog="spikingconvnet", epilog=EXIT_CODES, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Layer-wise STDP spiking convolutional networks on SpiNNaker.")
    add = parser.add_argument
    add("--mode", required=True, choices=(*MODES, "board"),
        help="what to do; demo does everything, board serves an emulated SpiNN-5 until it is interrupted")
    add("paths", nargs="*", metavar="A B", help="with --mode compare: two run directories of one experiment, or two"
                                                " files that --record made")
    add("--record", metavar="FILE.npz", help="with --mode testing: keep spikes, some membranes and weights of the first"
                                             " images; with --mode training: those of the whole training")
    add("--layer", help="with --mode training: 1, 2, ... or svm")
    add("--rule", choices=tuple(RULES),
        help="with --mode training or demo: how kernels are found; random, kmeans and ridge are floors (default: that"
             " of RULE in the parameters, or stdp). With loaddata or demo a rule that trains all layers at once brings"
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
    add("--target", help=f"with --backend spinnaker: {backends.TARGETS} (default: emulated); with --mode check also"
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
    add("--source", metavar="DIR_OR_URL", help="with --mode loaddata or demo: another IDX data set")
    add("--split", choices=("validation", "test"), help="with --mode testing: images to classify (default: test)")
    add("--jobs", type=int, help="threads (default: all cores); the results do not depend on it")
    add("--json", action="store_true", help="print one JSON object on stdout")
    add("--version", action="version", version=spikingconvnet.__version__)
    return parser


def _number_or_auto(text):
    try:
        return text if text == "auto" else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number or auto, got {text!r}") from None


def _run(options):
    if options.mode in ("doctor", "compare"):           # of no experiment
        return {"mode": options.mode, **MODES[options.mode](None, options)}
    store = RunDirectory(options.run_dir, f"{program()} --mode {options.mode}")
    _check_run_directory(store, options)
    path = _parameters_file(options)
    if options.mode in READ_ONLY or options.cv:
        return _of_experiment(store, path, options)
    with store.locked():
        store.check_own(path)
        result = _of_experiment(store, path, options)
        store.keep_parameters(path)
    return result


def _of_experiment(store, path, options):
    """What the mode of an experiment gives."""
    target = options.target if options.backend == "spinnaker" else None
    experiment = Experiment(_with_overrides(settings.load(path), path, options, store), options.run_dir,
                            options.backend, options.jobs, _progress, program(),
                            target, options.cluster, options.copies, options.time_scale or 1,
                            _kept_options(path, options), options.force, options.packet_buffer)
    result = {"mode": options.mode, "backend": options.backend, "seed": experiment.settings.seed,
              "run_dir": str(store.path), **MODES[options.mode](experiment, options)}
    if options.mode in ("training", "testing", "demo"):
        result |= _verdict(experiment, options)
    return result


def _verdict(experiment, options):
    """The verdict on what was run on a board, with its exit code; nothing if there was none."""
    found = experiment.verdict()
    if not found:
        return {}
    say(f"on the board: {found['verdict']}")
    code = VERDICT_CODES.get(found["verdict"], 0)
    return {**found, "exit_code": 0 if code == 7 and not options.strict else code}


def _check(options):
    """Refuse values that argparse lets through, and options that the mode would not use."""
    for name, (least, most) in NUMBERS.items():
        value = getattr(options, name)
        if value not in (None, "auto") and not least <= value <= most:
            raise SettingsError(f"--{name.replace('_', '-')}: must be at"
                                f" {f'least {least}' if value < least else f'most {most:,}'}, got {value}")
    if len(options.paths) != 2 * (options.mode == "compare"):
        raise SettingsError(f"--mode {options.mode}: takes {'two' if options.mode == 'compare' else 'no'} paths, got"
                            f" {shlex.join(options.paths) or 'none'}")
    if options.cluster is not None:
        check_cluster(options.cluster)
    for name in ("run_dir", "source", "target", "cluster", "arch", "record"):
        if getattr(options, name) == "":
            raise SettingsError(f"--{name.replace('_', '-')}: must not be empty")
    brings_parameters = options.rule is not None and RULES[options.rule].whole
    if options.cluster is not None and (options.mode not in SIMULATE[:3]
                                        or options.mode == "training" and options.layer in (None, "1")):
        raise SettingsError("--cluster: has nothing to do here; replicas go there with --mode testing or demo, and with"
                            " --mode training of svm and of layers above 1, for which earlier layers are replayed")
    for name, modes in {**USED_BY, "rule": ("training", "demo") + ("loaddata",) * brings_parameters}.items():
        if getattr(options, name) not in (None, False) and options.mode not in modes:
            raise SettingsError(f"--{name.replace('_', '-')}: belongs to --mode {' or '.join(modes)}, not to --mode"
                                f" {options.mode}")
    _check_together(options)
    options.named, options.run_dir = options.run_dir is not None, options.run_dir or "runs/default"
    options.backend = options.backend or "local"
    if options.dataset and not (options.rule and RULES[options.rule].whole):
        raise SettingsError("--dataset: needs --rule " + " or ".join(name for name, rule in RULES.items() if rule.whole)
                            + "; for other data sets there is --source")
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
    if options.target is not None and options.backend != "spinnaker" and options.mode not in ("check", "doctor"):
        raise SettingsError(f"--target: belongs to --backend spinnaker, not to --backend {options.backend}")
    if options.backend == "spinnaker":
        options.target = options.target or "emulated"
        backends.check_target(options.target, *("spin5x3", "full") * (options.mode in FOR_NEW))
    if options.copies is None:
        has_board = options.backend == "spinnaker" and options.target not in ("emulated", "virtual")
        options.copies = "auto" if has_board else 1
    if options.record is not None:
        _check_record(options)
    options.split = options.split or "test"


def _check_together(options):
    """Refuse options that another one makes useless."""
    pairs = [("cv", name) for name in NOT_WITH_CV] + [("parameters", "dataset")]
    for one, other in pairs:
        if getattr(options, one) and getattr(options, other):
            raise SettingsError(f"--{other}: has nothing to do with --{one}")
    if options.layer == "svm" and options.rule is not None:
        raise SettingsError("--rule: has nothing to do with --layer svm, whose kernels are trained before it")
    if options.mode == "training" and options.layer in (None, "1") and options.copies is not None:
        raise SettingsError("--copies: has nothing to do here; learning takes one copy, and copies share the replay of"
                            " earlier layers, the counts for svm, and testing")


def _check_run_directory(store, options):
    """Refuse a --run-dir that is a file, or holds no run though it was named to look at one."""
    begin = f"{program()} --mode loaddata --run-dir {shlex.quote(str(store.path))}"
    more = _kept_options(Path(options.parameters or "parameters.py"), options)
    begins = options.mode in NEW or options.cv or options.dataset
    meant = options.named and not begins and (options.mode == "info" or not options.parameters)
    if store.path.is_file() or meant:
        store.require_run(f"{begin} {more}".strip())
    elif options.named and options.mode in FOR_NEW and not store.file("data/train").is_file():
        say(f"{store.path}: holds no run yet{near(store.path)}, so the parameters alone are looked at")


def _check_record(options):
    from spikingconvnet.deployment import recorded

    if options.mode == "training" and (options.layer in (None, "svm") or options.rule not in (None, "stdp")):
        raise SettingsError("--record: with --mode training it belongs to --rule stdp and --layer 1, 2, ...; nothing"
                            " else simulates a training")
    recorded.check_file(options.record)


def _parameters_file(options):
    """The file to use: the one named; for a new run the one here; to go on, the one that the run was loaded with."""
    if options.parameters:
        return Path(options.parameters)
    new = options.mode in ("loaddata", "demo") or options.cv or options.dataset
    if new and options.rule and RULES[options.rule].whole:
        return _recipe(options.rule, options.dataset)
    here, kept = Path("parameters.py"), Path(options.run_dir) / "parameters.py"
    if options.mode in ("loaddata", "demo") and here.is_file() or not kept.is_file():
        return here
    if here.is_file() and not filecmp.cmp(here, kept, shallow=False):
        say(f"using {kept}, with which the run was loaded; {here} differs and is not used")
    return kept


def _recipe(rule, dataset):
    """The parameters file that a rule brings with it: its first one, or that for a data set."""
    first = RECIPES / f"{rule}.py"
    if dataset is None:
        return first
    found = {Path(settings.load(path).dataset).name: path for path in (first, *RECIPES.glob(f"{rule}-*.py"))}
    if dataset not in found:
        raise SettingsError(f"--dataset {dataset}: --rule {rule} has parameters for {', '.join(sorted(found))};"
                            " write others and name them with --parameters")
    return found[dataset]


def _kept_options(path, options):
    """Options that say which experiment is meant, so that a command in an error text means the same one."""
    words = [] if path == Path("parameters.py") else ["--parameters", str(path)]
    given = {"--seed": options.seed, "--arch": options.arch}
    return shlex.join(words + [word for name, value in given.items() if value is not None
                               for word in (name, str(value))])


def _with_overrides(loaded, path, options, store):
    """Settings with the command line's seed, source and architecture, or with those that the run was loaded with."""
    is_kept = same_file(path, store.path / "parameters.py")
    kept = store.how("data/train", stored.data("train")) if is_kept else {}
    seed, source = options.seed, options.source
    seed = kept.get("seed") if seed is None else seed
    source = kept.get("source") if source is None else source
    loaded = replace(loaded.with_seed(seed), dataset=source or loaded.dataset)
    chain = options.arch or kept.get("arch")
    return _with_arch(loaded, chain) if chain else loaded


def _with_arch(loaded, text):
    rule = loaded.rule
    if rule is None:
        raise SettingsError(f"--arch {text}: needs a rule that trains all layers at once, with its settings as RULE in"
                            " the parameters")
    model = arch.parse(text, loaded.model.input_shape, rule.neuron, loaded.model.readout,
                       getattr(rule, "output_neuron", None))
    return replace(loaded, model=model, arch=text)


def _progress(items, description):
    from tqdm import tqdm

    return tqdm(items, desc=description, disable=not sys.stderr.isatty(), leave=False)
