"""The command line: ``main.py --mode MODE``; ``modes.MODES`` and board.

Results go to stdout (one JSON object with ``--json``), messages and progress bars to stderr, see ``messages``. What a
mode does is in ``modes``.
"""

import json
import logging
import shlex
import sys
import time
import traceback
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import spikingconvnet
from spikingconvnet.cli import completion, init, sweep
from spikingconvnet.cli.arguments import check, parse, parser, shows, use
from spikingconvnet.cli.help import help_text
from spikingconvnet.cli.messages import error, heard, program, progress, say, set_level, step
from spikingconvnet.cli.modes import MODES, report
from spikingconvnet.cli.parameters import begins, kept_options, opened, parameters_file, sets_in_force
from spikingconvnet.cli.table import FOR_NEW, READ_ONLY, RUNS
from spikingconvnet.errors import SimulationFailed, SpikingConvNetError
from spikingconvnet.experiment.described import described
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.gates import surroundings
from spikingconvnet.gates.address import SPALLOC_LOGIN, apart
from spikingconvnet.gates.schema import printable
from spikingconvnet.store.directory import RunDirectory, near, word

OF_THEIR_OWN = {"sweep": sweep.sweep, "init": init.init}     # modes that open no experiment, or many
TIMED = ("loaddata", "training", "testing", "demo")      # modes that results come from
REPORTED = ("testing", "demo")      # modes behind which the page of the run is made anew
VERDICT_CODES = {"invalid": 6, "suspect": 7}    # the latter with --strict


def main(args: Sequence[str] | None = None) -> int:
    """Run one command: its exit code.

    Parameters
    ----------
    args : list of str or None
        Command line without the program's name; None takes ``sys.argv``.
    """
    with heard():
        return _heard(sys.argv[1:] if args is None else args)


def _heard(args: Sequence[str]) -> int:
    options, words = None, []
    try:
        with surroundings.told():
            words = apart(args)
            options = parse(words)
            return _show(options) if shows(options) else _command(options)
    except SpikingConvNetError as failure:
        place = traceback.extract_tb(failure.__traceback__)[-1]         # no texts, in which secrets could be
        logging.getLogger(__name__).debug("%s of %s:%d", type(failure).__name__, place.filename, place.lineno or 0)
        error(f"error: {_one_line(failure)}{_way_on(failure, options, words)}")
        return failure.exit_code
    except KeyboardInterrupt as stop:
        error(surroundings.INTERRUPTED)
        return getattr(stop, "exit_code", 130)


def _show(options: Namespace) -> int:
    """Show help, a script for a shell, or the version: the exit code."""
    text = spikingconvnet.__version__
    if options.help:
        text = help_text(options.mode, program())
    elif options.completion:
        text = completion.script(parser(), options.completion)
    surroundings.say_on_stdout(text)
    return 0


def _command(options: Namespace) -> int:
    set_level(options.quiet, options.verbose)
    begin, begin_cpu = time.perf_counter(), time.process_time()
    check(options)
    if options.mode == "board":
        return _board()
    with step(options.mode):
        result = _run(options)
    code: int = result.pop("exit_code", 0)
    result.update(seconds=round(time.perf_counter() - begin, 2), cpu_seconds=round(time.process_time() - begin_cpu, 2))
    _print(result, options)
    return code


def _one_line(failure: Exception) -> str:
    """An error's printable text; what knows only of ``main.py`` is told how it was called, once."""
    called = f" {program()} --mode"         # which may end with main.py itself
    return printable(called.join(part.replace(" main.py --mode", called) for part in str(failure).split(called)))


def _board() -> int:
    """Serve an emulated board until interrupted: the exit code."""
    from spikingconvnet.emulator import cli as board

    return board.main([])


def _way_on(error: Exception, options: Namespace | None, args: Sequence[str]) -> str:
    """The commands that come next after a failure of what simulates; without what is secret, which `args` lack."""
    if not isinstance(error, SimulationFailed) or options is None:
        return ""
    doctor = f"{program()} --mode doctor --target {shlex.quote(options.target or '')}"
    again = f"go on with: {program()} {shlex.join(args)}"
    if options.backend == "spinnaker" and options.target != "emulated":
        again = f"look whether it answers with: {doctor}; then {again}"
    if any(getattr(arg, "has_secret", False) for arg in args):
        again += f" (with the login in its address again, or in {SPALLOC_LOGIN}_USER and {SPALLOC_LOGIN}_PASSWORD)"
    return f"; {again}"


def _print(result: Mapping[str, Any], options: Namespace) -> None:
    if options.json:
        surroundings.say_on_stdout(json.dumps(result))
    elif "text" in result:
        surroundings.say_on_stdout(result["text"])
    elif options.mode in ("testing", "demo"):
        surroundings.say_on_stdout(f"{result['split']} accuracy {100 * result['accuracy']:.2f} %")


def _run(options: Namespace) -> dict[str, Any]:
    """Do what was asked for, under the lock of a run directory if there is one: the result."""
    if options.mode in OF_THEIR_OWN:
        return {"mode": options.mode, **OF_THEIR_OWN[options.mode](options)}
    if use(options) not in RUNS:
        return {"mode": options.mode, **MODES[options.mode](None, options)}
    store = RunDirectory(options.run_dir, f"{program()} --mode {options.mode}")
    _check_run_directory(store, options)
    path = parameters_file(options, store)
    if options.mode in READ_ONLY or options.cv:
        return _of_experiment(opened(path, options, store, progress), options)
    with store.locked():
        store.check_own(path)
        sets, begin = sets_in_force(path, options, store), time.perf_counter()
        experiment = opened(path, options, store, progress)
        result = _of_experiment(experiment, options)
        store.keep_parameters(path, sets)
        _describe(experiment, sets, options, time.perf_counter() - begin)
        if options.mode in REPORTED:
            result["report"] = str(report(experiment))
    return result


def _describe(experiment: Experiment, sets: Mapping[str, str], options: Namespace, seconds: float) -> None:
    """Keep in ``results.json`` what the run is made of, and how long each of its commands took."""
    if options.mode in TIMED:
        before = experiment.store.results().get("run", {}).get("seconds")
        taken = {**(before if isinstance(before, dict) else {}),
                 " ".join(filter(None, (options.mode, options.layer))): round(seconds, 2)}
        experiment.store.write_results("run", {**described(experiment.settings, sets), "seconds": taken})


def _of_experiment(experiment: Experiment, options: Namespace) -> dict[str, Any]:
    """What the mode of an experiment gives."""
    if experiment.model.given_shape is None and not begins(options):
        experiment.data("train")        # which says that there are none yet
    result = {"mode": options.mode, "backend": options.backend, "seed": experiment.settings.seed,
              "run_dir": str(experiment.store.path), **MODES[options.mode](experiment, options)}
    if options.mode in ("training", "testing", "demo", "predict"):
        result |= _verdict(experiment, options)
    return result


def _verdict(experiment: Experiment, options: Namespace) -> dict[str, Any]:
    """The verdict on what was run on a board, with its exit code; nothing if there was none."""
    found = experiment.verdict()
    if not found:
        return {}
    say(f"on the board: {found['verdict']}")
    code = VERDICT_CODES.get(found["verdict"], 0)
    return {**found, "exit_code": 0 if code == 7 and not options.strict else code}


def _check_run_directory(store: RunDirectory, options: Namespace) -> None:
    """Refuse a --run-dir that is a file, or holds no run though it was named to look at one."""
    begin = f"{program()} --mode loaddata --run-dir {word(store.path)}"
    more = kept_options(Path(options.parameters or "parameters.py"), options)
    meant = options.named and not begins(options) and (options.mode == "info" or not options.parameters)
    if store.path.is_file() or meant:
        store.require_run(f"{begin} {more}".strip())
    elif options.named and options.mode in FOR_NEW and not store.file("data/train").is_file():
        say(f"{store.path}: holds no run yet{near(store.path)}, so the parameters alone are looked at")
