"""``--mode bundle`` and ``--mode collect``: a job for a board that is elsewhere, and what it has brought."""

import atexit
import shutil
import tempfile
from argparse import Namespace
from pathlib import Path
from typing import Any

from spikingconvnet.cli.messages import program, progress, say, step
from spikingconvnet.errors import SettingsError
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.jobs import conformance
from spikingconvnet.experiment.jobs.archive import RELEASE, RESULTS
from spikingconvnet.experiment.jobs.bundle import bundle
from spikingconvnet.experiment.jobs.collect import collect
from spikingconvnet.experiment.jobs.sent import Task
from spikingconvnet.gates.files import write_text
from spikingconvnet.gates.progress import shown_by
from spikingconvnet.store.directory import word
from spikingconvnet.training import layer_rule
from spikingconvnet.training.layerwise.stdp import STDP

DIFFERS = 8
EXAMPLE = {"spynnaker_version": RELEASE.partition("!")[2]}


def bundle_(experiment: Experiment, options: Namespace) -> dict[str, Any]:
    """Write a job: where, what it does, how long a board takes for it, and what comes next.

    Raises
    ------
    SettingsError
        A file that is there already or does not end with ``.py``, a layer that there is not, too many images.
    StoreError
        What the job needs is not trained yet.
    """
    path, task = Path(options.paths[0]), _task(options)
    text = bundle(experiment, task)
    _write(path, text)
    collected = f"{program()} --mode collect {RESULTS} --run-dir {word(experiment.store.path)}"
    return {"job": str(path), "bytes": len(text), "task": task.as_dict(),
            "text": f"{path}: {task}, {len(text) / 1e6:.1f} MB, for sPyNNaker {EXAMPLE['spynnaker_version']}; about"
                    f" {_seconds(experiment, task):,.0f} s on the board, loading aside\nrun it where spynnaker.cfg"
                    f" names a board; it writes {RESULTS}; then: {collected}"}


def _task(options: Namespace) -> Task:
    if options.layer is not None and not options.layer.isdecimal():
        raise SettingsError(f"--layer: must be 1, 2, ..., got {options.layer!r}; the readout needs no board")
    if options.layer is not None and options.count is not None:
        raise SettingsError("--count: has nothing to do with --layer, which learns from the windows of its rule")
    if options.copies == "auto":
        raise SettingsError("--copies auto: which board a job meets is not known here; give a number, as --mode check"
                            " --target does for a board")
    return Task(None if options.layer is None else int(options.layer), options.split, options.count, options.copies,
                options.time_scale or 1, options.packet_buffer)


def _seconds(experiment: Experiment, task: Task) -> float:
    """Time on a board, without what sPyNNaker takes to load a network."""
    if task.layer is not None:
        rule: Any = layer_rule(experiment.model.stages[task.layer - 1])
        steps = rule.windows * rule.slot if isinstance(rule, STDP) else 0
    else:
        n = experiment.data(task.split)["spikes"].n_samples if task.count is None else task.count
        steps = -(-n // task.copies) * experiment.settings.slot
    return float(steps * task.time_scale / 1000)


def conformance_(_: None, options: Namespace) -> dict[str, Any]:
    """Try a board with small networks: here, or as a job that is written, or read from what that has brought.

    Raises
    ------
    SettingsError
        A file that is there already, or is neither .py nor .zip.
    BackendError
        No sPyNNaker, or no board.
    """
    path = Path(options.paths[0]) if options.paths else None
    if path is not None and path.suffix == ".py":
        text = conformance.pack()
        _write(path, text)
        return {"job": str(path), "bytes": len(text), "text": f"{path}: {Task(conformance=True)}; run it where"
                f" spynnaker.cfg names a board; it writes {RESULTS}; then: {program()} --mode conformance {RESULTS}"}
    if path is not None:
        claims = conformance.read(path)
    else:
        folder = tempfile.mkdtemp(prefix="spikingconvnet-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)      # behind what sPyNNaker writes at the very end
        with shown_by(progress):
            claims = list(conformance.claims(conformance.on_board(Path(folder), target=options.target or "emulated")))
    return {"claims": [{"name": one.name, "differs": one.differs} for one in claims],
            "text": conformance.as_text(claims), "exit_code": DIFFERS * (not all(one.holds for one in claims))}


def _write(path: Path, text: str) -> None:
    if path.suffix != ".py" or path.exists():
        raise SettingsError(f"{path}: {'is there already' if path.exists() else 'must end with .py'}; give the job"
                            " another name")
    write_text(path, text)


def collect_(experiment: Experiment, options: Namespace) -> dict[str, Any]:
    """Take the results of a job: what they are, whether they are those of the local engine, and where they are kept."""
    with step("collect"):
        found = collect(experiment, options.paths[0])
    same = "identical to the local engine" if not found.differences else "NOT those of the local engine"
    lines = [f"{found.task}, on the board: {found.verdict}; {same}", *(f"  {one}" for one in found.differences)]
    if found.accuracy is not None:
        lines.append(f"accuracy on the board {100 * found.accuracy:.2f} %")
    say(f"kept: {found.file}")
    return {"task": found.task.as_dict(), "verdict": found.verdict, "identical": not found.differences,
            "differences": [vars(one) for one in found.differences], "accuracy": found.accuracy,
            "file": str(found.file), "text": "\n".join(lines),
            "exit_code": DIFFERS * bool(found.differences)}
