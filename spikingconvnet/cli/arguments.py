"""The words of a command line: read by the rows of ``table``, and what is refused of them."""

import argparse
import difflib
import re
import shlex
from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from spikingconvnet.board.targets import check_target
from spikingconvnet.cli.parameters import WHOLE
from spikingconvnet.cli.prediction import check_output
from spikingconvnet.cli.table import FOR_NEW, MODES, NO_MODE, OPTIONS, Option
from spikingconvnet.errors import SettingsError
from spikingconvnet.experiment.workers import check_cluster
from spikingconvnet.training.layerwise.stdp import STDP

ADDRESS = re.compile("[A-Za-z][A-Za-z0-9+.-]*://")
PATHS = "FILE", "DIR", "PATH", "RESULTS", "FILE.npz"        # what values of options are called that are paths
IN_WORDS = {0: "no paths", 1: "one path", 2: "two paths"}
SHORT = {"--help": "-h", "--quiet": "-q", "--verbose": "-v"}
RUN_DIRS = {"sweep": "runs/sweep"}      # by default; runs/default elsewhere
NOT_WITH_CV = ("layer", "record", "copies", "cluster", "force", "strict")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Wrong usage is an error as any other: one line, without a list of all options."""
        raise SettingsError(message.removeprefix("argument "))


def parser() -> argparse.ArgumentParser:
    """The parser of all options."""
    made = _Parser(prog="spikingconvnet", add_help=False)
    made.add_argument("--mode", choices=tuple(MODES), type=_one_of(MODES))
    made.add_argument("paths", nargs="*", metavar="PATH")
    for option in OPTIONS:
        add(made, option)
    return made


def add(to: Any, option: Option) -> None:
    """Give a parser, or a group of one, an option."""
    words = {"type": _one_of(option.words["choices"])} if "choices" in option.words else {}
    names = filter(None, (option.flag, SHORT.get(option.flag)))
    to.add_argument(*names, help=option.help, **words, **option.words)


def _one_of(choices: Iterable[str]) -> Callable[[str], str]:
    def checked(text: str) -> str:
        if text not in choices:
            raise argparse.ArgumentTypeError(f"there is no {text!r}{_near(text, choices)}; one of {', '.join(choices)}")
        return text

    return checked


def _near(text: str, known: Iterable[str], begin: str = "") -> str:
    """`` (did you mean ...?)`` with the known word that is most like another one, if any is."""
    return "".join(f" (did you mean {begin}{near}?)" for near in difflib.get_close_matches(text, list(known), 1))


def parse(words: Sequence[str]) -> Namespace:
    """The values of a command line's words.

    Raises
    ------
    SettingsError
        A word that is no option, or a value that is none for its option; with what is most like it.
    """
    options, unknown = parser().parse_known_intermixed_args(words)
    if unknown:
        flag = unknown[0].partition("=")[0]
        raise SettingsError(f"{flag}: no such option{_near(flag, ['--mode', *(one.flag for one in OPTIONS)])}; --help"
                            " behind a mode lists its own")
    if options.mode is None and not shows(options):
        near = "".join(_near(word, MODES, "--mode ") for word in options.paths[:1])
        raise SettingsError(f"--mode: is missing{near}; one of {', '.join(MODES)}; --help says what each does")
    return options


def shows(options: Namespace) -> bool:
    """Whether a command is to show something instead of doing it."""
    return options.help or any(one.is_given(options) for one in OPTIONS if one.modes == NO_MODE)


def use(options: Namespace) -> str:
    """The mode, and where it looks at files of no experiment instead of one, that it does so."""
    return str(options.mode) + " FILE" * (len(options.paths) == MODES[options.mode].of_files)


def check(options: Namespace) -> None:
    """Refuse values that argparse lets through, and options that the mode would not use; set those not given.

    Raises
    ------
    SettingsError
        The first such value or option, by name.
    """
    taken = MODES[options.mode].n_paths
    if len(options.paths) not in taken:
        raise SettingsError(f"--mode {options.mode}: takes {' or '.join(IN_WORDS[n] for n in taken)}, got"
                            f" {shlex.join(options.paths) or 'none'}")
    _check_paths(f"--mode {options.mode}", options.paths)
    for option in OPTIONS:
        _check_value(option, getattr(options, option.name))
    if options.cluster is not None:
        check_cluster(options.cluster)
    for option in OPTIONS:
        if option.is_given(options):
            _check_use(option, options)
    _check_together(options)
    if options.backend == "spinnaker":
        options.target = options.target or "emulated"
        check_target(options.target, *("spin5x3", "full") * (options.mode in FOR_NEW))
    if options.record is not None:
        _check_record(options)
    if options.output is not None:
        check_output(options.output)
    _settle(options)


def _check_value(option: Option, value: Any) -> None:
    if value == "":
        raise SettingsError(f"{option.flag}: must not be empty")
    if option.words.get("metavar") in PATHS and value is not None:
        _check_paths(option.flag, [value] if isinstance(value, str) else value)
    if option.bounds is not None and value not in (None, "auto"):
        least, most = option.bounds
        if not least <= value <= most:
            raise SettingsError(f"{option.flag}: must be at {f'least {least}' if value < least else f'most {most:,}'},"
                                f" got {value}")


def _check_paths(name: str, paths: Iterable[str]) -> None:
    """Refuse addresses where a file is read or made; without repeating them, for they may hold a secret."""
    for path in paths:
        if ADDRESS.match(path):
            raise SettingsError(f"{name}: must be a path on this machine, not an address ({path.partition(':')[0]}://...);"
                                " addresses are for --source, --target and --cluster")


def _check_use(option: Option, options: Namespace) -> None:
    """Refuse an option that neither the mode nor the backend would read."""
    if option.modes and use(options) not in option.modes:
        raise SettingsError(f"{option.flag}: belongs to --mode {' or '.join(option.modes)}, not to --mode"
                            f" {use(options)}")
    if option.needs_board and options.backend != "spinnaker" and use(options) not in option.but_in:
        raise SettingsError(f"{option.flag}: belongs to --backend spinnaker, not to --backend"
                            f" {options.backend or 'local'}")


def _check_together(options: Namespace) -> None:
    """Refuse options that another one makes useless, or that need another one."""
    for one, other in [("cv", name) for name in NOT_WITH_CV] + [("parameters", "dataset"), ("quiet", "verbose")]:
        if getattr(options, one) and getattr(options, other):
            raise SettingsError(f"--{other}: has nothing to do with --{one}")
    for name, option in (("SEED", "seed"), ("DATASET", "source")):
        if getattr(options, option) is not None and any(one.startswith(f"{name}=") for one in options.set or ()):
            raise SettingsError(f"--set {name}: is what --{option} gives; leave one of them out")
    learns = options.mode == "training" and options.layer in (None, "1")
    brings = f"--rule {' or '.join(WHOLE)}"
    for refused, text in (
            (options.mode == "training" and options.source is not None and not options.cv,
             "--source: with --mode training it needs --cv; all else is trained on what --mode loaddata has loaded"),
            (options.layer == "svm" and options.rule is not None,
             "--rule: has nothing to do with --layer svm, whose kernels are trained before it"),
            (options.mode == "sweep" and not (options.set or options.seeds),
             "--mode sweep: needs --set NAME=VALUE,VALUE,... or --seeds N, or there is nothing to compare"),
            (options.mode == "predict" and not options.images,
             "--images: is missing; name files or folders of images to classify"),
            (options.mode in ("loaddata", "init") and options.rule not in (None, *WHOLE),
             f"--rule: belongs to --mode training, demo or sweep; only {brings} has parameters to load data for"),
            (options.mode == "import" and options.backend is not None and options.spikes is None,
             "--backend: needs --spikes, which it is to run; without them nothing runs"),
            (learns and options.copies is not None,
             "--copies: has nothing to do here; learning takes one copy, and copies share the replay of earlier layers,"
             " the counts for svm, and testing"),
            (learns and options.cluster is not None,
             "--cluster: has nothing to do here; replicas go there with --mode testing or demo, and with --mode"
             " training of svm and of layers above 1, for which earlier layers are replayed"),
            (options.dataset is not None and options.rule not in WHOLE,
             f"--dataset: needs {brings}; for other data sets there is --source"),
            (options.mode == "map" and options.backend != "spinnaker",
             "--mode map: needs --backend spinnaker; it maps on a virtual board, whatever the --target"),
            (options.timed and options.target not in (None, "emulated"),
             "--timed: belongs to --target emulated; work on another machine takes the time it takes")):
        if refused:
            raise SettingsError(text)


def _check_record(options: Namespace) -> None:
    from spikingconvnet.compare import recorded

    if options.mode == "training" and (options.layer in (None, "svm") or options.rule not in (None, STDP.name)):
        raise SettingsError("--record: with --mode training it belongs to --rule stdp and --layer 1, 2, ...; nothing"
                            " else simulates a training")
    recorded.check_file(options.record)


def _settle(options: Namespace) -> None:
    """Set what was not given."""
    options.named, options.run_dir = options.run_dir is not None, options.run_dir or RUN_DIRS.get(
        options.mode, "runs/default")
    options.backend, options.split = options.backend or "local", options.split or "test"
    if options.copies is None:
        has_board = options.backend == "spinnaker" and options.target not in ("emulated", "virtual")
        options.copies = "auto" if has_board else 1
