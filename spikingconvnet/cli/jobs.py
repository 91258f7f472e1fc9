"""``--mode bundle``, ``submit``, ``collect``, ``conformance``: jobs for a board elsewhere, and what they bring."""

import atexit
import shutil
import tempfile
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

from spikingconvnet.cli import exchange
from spikingconvnet.cli.messages import program, progress, say, step
from spikingconvnet.compare import recorded
from spikingconvnet.errors import BackendError, SettingsError
from spikingconvnet.experiment import onboard
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.jobs import conformance, one_network, plan, queue, seen
from spikingconvnet.experiment.jobs.archive import RESULTS
from spikingconvnet.experiment.jobs.bundle import CONFIGURATION, bundle
from spikingconvnet.experiment.jobs.collect import Collected, collect, together
from spikingconvnet.experiment.jobs.sent import Task, with_readout
from spikingconvnet.gates.files import write_text
from spikingconvnet.gates.progress import shown_by
from spikingconvnet.network.netlist import Network
from spikingconvnet.store.directory import word

DIFFERS = 8


def bundle_(experiment: Experiment | None, options: Namespace) -> dict[str, Any]:
    """Write a job, or several: where, what each does, how long a board takes for it, and what comes next.

    Without an experiment the job runs a network with its spikes.

    Raises
    ------
    SettingsError
        A file that is there already or does not end with ``.py``, a layer that there is not, too many images.
    StoreError
        What the job needs is not trained yet; results to go on behind that are of another job.
    """
    path, task = Path(options.paths[0]), _task(options)
    if experiment is None:
        return _bundle_network(path, replace(task, network=True), options)
    task = with_readout(experiment, task)
    if options.parts is None:
        tasks = {path: task}
    else:
        if options.finished is not None:
            raise SettingsError("--finished: is of one job; give the part's own with --first and --count")
        tasks = {path.with_stem(f"{path.stem}-{i + 1}"): one
                 for i, one in enumerate(plan.parted(experiment, task, options.parts))}
    for file in tasks:
        _check_new(file)
    texts = {file: bundle(experiment, one, options.finished and Path(options.finished)) for file, one in tasks.items()}
    for file, text in texts.items():
        _write(file, text)
    release = CONFIGURATION["spynnaker_version"]
    lines = [f"{file}: {one}, {len(texts[file]) / 1e6:.1f} MB, for sPyNNaker {release}; about"
             f" {plan.seconds(experiment, one):,.0f} s on the board, loading aside" for file, one in tasks.items()]
    collected = f"{program()} --mode collect {RESULTS} --run-dir {word(experiment.store.path)}"
    return {"jobs": [str(file) for file in tasks], "bytes": [len(text) for text in texts.values()],
            "tasks": [one.as_dict() for one in tasks.values()],
            "text": "\n".join([*lines, _next(f"{'each' if len(tasks) > 1 else 'it'} writes {RESULTS}", collected)])}


def _bundle_network(path: Path, task: Task, options: Namespace) -> dict[str, Any]:
    text = one_network.bundled(_network(options), task)
    _write(path, text)
    collected = f"{program()} --mode collect {RESULTS} {word(options.paths[1])}" + "".join(
        f" {flag} {word(value)}" for flag, value in (
            ("--spikes", options.spikes), ("--graph-dt", options.graph_dt), ("--method", options.method)) if value)
    return {"jobs": [str(path)], "bytes": [len(text)], "tasks": [task.as_dict()],
            "text": f"{path}: {options.paths[1]}, {len(text) / 1e6:.1f} MB\n"
                    + _next(f"it writes {RESULTS}", collected)}


def _next(writes: str, command: str) -> str:
    return (f"run it where spynnaker.cfg names a board, or with --mode submit; {writes}; then: {command}")


def _network(options: Namespace) -> Network:
    """The network that is named: of a recording with the spikes that it was given, or of a NIR file with --spikes."""
    path = options.paths[1]
    if Path(path).suffix == ".npz":
        if options.spikes is not None:
            raise SettingsError(f"--spikes: {path} has its own")
        return recorded.load(path).network
    if options.spikes is None:
        raise SettingsError("--spikes: is missing; name the .csv or .npz file of the spikes that the network is shown")
    return exchange.shown(exchange.imported(options), options.spikes)


def submit_(_: None, options: Namespace) -> dict[str, Any]:
    """Submit a job, or its parts, and wait for the end: what each has left; exit code 3 if one has failed."""
    found = queue.submitted(queue.parts_of(Path(options.paths[0])), options.collab, options.hours or queue.HOURS)
    whole = all(RESULTS in one.files and one.state == "finished" for one in found)
    return {"jobs": [{**vars(one), "folder": str(one.folder)} for one in found],
            "text": "\n".join(map(_fetched, found)), "exit_code": 0 if whole else BackendError.exit_code}


def _fetched(one: queue.Fetched) -> str:
    text = f"{one.number}: {one.state}; {', '.join(one.files)} in {word(one.folder)}; "
    if RESULTS in one.files:
        return f"{text}then: {program()} --mode collect {word(one.folder)}, or --mode conformance for its networks"
    return (f"{text}no {RESULTS} among them, so {queue.LOG} says why; to submit it anew delete"
            f" {word(queue.record_of(one.folder))}")


def _task(options: Namespace) -> Task:
    if options.layer is not None and not options.layer.isdecimal():
        raise SettingsError(f"--layer: must be 1, 2, ..., got {options.layer!r}; the readout needs no board")
    if options.layer is not None and options.count is not None:
        raise SettingsError("--count: has nothing to do with --layer, which learns from the windows of its rule")
    if options.copies == "auto":
        raise SettingsError("--copies auto: which board a job meets is not known here; give a number, as --mode check"
                            " --target does for a board")
    return Task(None if options.layer is None else int(options.layer), options.split, options.first or 0, options.count,
                options.copies, options.time_scale or 1, options.packet_buffer)


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
    _check_new(path)
    write_text(path, text)


def _check_new(path: Path) -> None:
    if path.suffix != ".py" or path.exists():
        raise SettingsError(f"{path}: {'is there already' if path.exists() else 'must end with .py'}; give the job"
                            " another name")


def collect_(experiment: Experiment | None, options: Namespace) -> dict[str, Any]:
    """Take the results of a job: what they are, whether they are those of the local engine, and where they are kept.

    Without an experiment they are those of a network.

    Raises
    ------
    SettingsError
        Spikes for a network that has its own, or none for one that has not.
    StoreError
        Results that are missing, damaged, of another job, or of one that has failed.
    """
    if experiment is None:
        return _collect_network(options)
    with step("collect"):
        found = collect(experiment, options.paths[0])
    same = "identical to the local engine" if not found.differences else "NOT those of the local engine"
    lines = [f"{found.task}, on the board: {found.verdict}; {same}", *(f"  {one}" for one in found.differences)]
    lines += _why(found)
    if found.reports is not None:
        lines += [f"reports of sPyNNaker: {found.reports.verdict}", *(f"  {one}" for one in found.reports.findings)]
    if found.missing:
        lines.append(f"the last {found.missing:,} images are missing: {found.ended}")
    if found.accuracy is not None:
        lines.append(f"accuracy on the board {100 * found.accuracy:.2f} %")
    if found.on_board is not None:
        lines.append(f"accuracy {onboard.as_text(found.on_board)}")
    images, accuracy, own = together(experiment, found.task.split)
    if images > found.images > 0:
        known = "" if accuracy is None else f", accuracy on the board {100 * accuracy:.2f} %"
        known += "" if own is None else f", of the board's own answers {100 * own:.2f} %"
        lines.append(f"all that was collected: {images:,} {found.task.split} images{known}")
    say(f"kept: {found.file}")
    return {"task": found.task.as_dict(), "verdict": found.verdict, "identical": not found.differences,
            "differences": [vars(one) for one in found.differences], "why": found.why, "accuracy": found.accuracy,
            "on_board": found.on_board, "images": found.images, "missing": found.missing, "collected": images,
            "file": str(found.file), "text": "\n".join(lines), "exit_code": DIFFERS * bool(found.differences)}


def _why(found: Collected) -> list[str]:
    """The first spike that differs and its cause; what to do where nothing of that came back."""
    if found.why is not None:
        again = found.why.get(seen.AGAIN)
        return [found.why["text"]] + ([] if again is None else [
            "the images around it, shown again with membranes:", again["text"]] if not again["identical"] else [
            "the images around it, shown again: identical, so it is neither a weight nor a parameter nor the wiring"])
    if found.differences and found.images:
        return [f"the first step, neuron and cause: {program()} --mode testing --record run.npz, then --mode bundle"
                " again.py run.npz, and --mode collect of what that brings with run.npz"]
    return []


def _collect_network(options: Namespace) -> dict[str, Any]:
    """What a job of a network has brought: its first difference from the local engine, and its cause."""
    from spikingconvnet.compare import differences

    given = _network(options)
    with step("collect"):
        theirs, ours = one_network.collected(given, Path(options.paths[0]))
    found, board = differences.compare(ours, theirs), theirs.how["board"]
    if options.record is not None:
        recorded.save(options.record, theirs)
    return {**differences.as_dict(found, ours, theirs), "verdict": board.get("verdict", "unknown"),
            "text": f"{options.paths[1]}, on the board: {board.get('verdict', 'unknown')}\n"
                    + differences.as_text(found, ours, theirs), "exit_code": DIFFERS * (not found.identical)}
