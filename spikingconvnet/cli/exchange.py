"""``--mode import`` and ``export``: networks and spikes in files that other programs read and write."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikingconvnet import backends
from spikingconvnet.errors import HealthError, NetworkError
from spikingconvnet.exchange.verdicts import REFUSED
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.gates.files import write_whole
from spikingconvnet.health.rules import INVALID, SUSPECT
from spikingconvnet.network.spikes import Spikes

if TYPE_CHECKING:           # loaded by the modes that use them
    from spikingconvnet.board.check import Subject
    from spikingconvnet.compare.recorded import Recorded
    from spikingconvnet.exchange.importing import Imported
    from spikingconvnet.network.netlist import Network

ON_BOARD = ("target", "time_scale", "packet_buffer", "timed")        # options that a board is opened with


def import_(_: None, options: Namespace) -> dict[str, Any]:
    """The verdict on each node of a NIR file, and what a board would do to its network.

    With ``--spikes`` the network is run on the ``--backend``; with ``--record`` it is kept, with what it did. An
    invalid run on a board is a HealthError without ``--force``.
    """
    from spikingconvnet.compare import recorded

    path, made = options.paths[0], imported(options)
    result = {"file": path, **made.report.as_dict(), "text": str(made.report)}
    if made.report.grade == REFUSED:
        return {**result, "exit_code": NetworkError.exit_code}
    found = _silent(made, path) if options.spikes is None else _run(made, options)
    if options.record is not None:
        recorded.save(options.record, found)
    told = checked([_subject(Path(path).name, found)], options)
    fired = {} if options.spikes is None else {label: spikes.n_events for label, spikes in found.spikes.items()}
    board = found.how.get("board", {})
    codes = {INVALID: HealthError.exit_code, SUSPECT: 7 * options.strict}
    return {**result, "outputs": {name: vars(reads) for name, reads in made.outputs.items()}, "lags": made.lags,
            "scales": made.scales, "fired": fired, "board": board, **told,
            "exit_code": codes.get(board.get("verdict")) or told["exit_code"],
            "text": "\n\n".join([str(made.report), *[_fired(fired)] * bool(fired), told["text"]])}


def imported(options: Namespace) -> "Imported":
    """The network in the NIR file that is named last, with the verdict on each node."""
    from spikingconvnet.exchange.importing import from_nir

    return from_nir(options.paths[-1], graph_dt=options.graph_dt, method=options.method or "euler")


def _silent(made: "Imported", path: str) -> "Recorded":
    """A network as the recording of one step in which nothing happened."""
    from spikingconvnet.compare.recorded import Recorded

    return Recorded(made.network, 1, {p.label: Spikes.empty(p.shape, 1, 1) for p in made.network.populations},
                    how={"made_on": "import", "shown": path})


def _run(made: "Imported", options: Namespace) -> "Recorded":
    """What a network does with the spikes of a file."""
    from spikingconvnet.compare.recorder import run
    from spikingconvnet.health.watch import Watch

    on = {name: getattr(options, name) for name in ON_BOARD if getattr(options, name)}
    watch = Watch(Path(options.paths[0]).name, options.force)
    found = run(lambda network, record: watch.open(backends.open(
        network, record, options.backend, **on if options.backend == "spinnaker" else {})),
                shown(made, options.spikes), {})
    board = watch.settle()
    return replace(found, how={"made_on": options.target if board else options.backend, "shown": options.spikes,
                               **({"board": board} if board else {})})


def shown(made: "Imported", file: str) -> "Network":
    """A network with the spikes of a file, until the last of a single sample have come through.

    A network that cannot be used is a NetworkError.
    """
    from spikingconvnet.exchange.spike_files import load_spikes

    made.report.require_all()
    given, longest = load_spikes(file, made.network), max(made.lags.values())
    found = {p.label: given[p.label] for p in made.network.populations if p.is_source and p.label in given}
    return made.shown({label: spikes.with_gap(spikes.n_steps + longest * (spikes.n_samples == 1))
                       for label, spikes in found.items()})


def _fired(counts: Mapping[str, int]) -> str:
    return "spikes: " + ", ".join(f"{label} {count:,}" for label, count in counts.items())


def kept(path: str) -> "Subject":
    """The network in a file that ``--record`` has made, to check."""
    from spikingconvnet.compare import recorded

    return _subject(Path(path).name, recorded.load(path))


def _subject(name: str, found: "Recorded") -> "Subject":
    """A network to check, with what it has done if it has done anything."""
    from spikingconvnet.board.check import Subject

    given = [p.given_spikes.n_steps for p in found.network.populations if p.has_given_spikes]
    fired = {p.label: found.spikes[p.label] for p in found.network.populations if not p.is_source}
    is_silent = not any(spikes.n_events for spikes in found.spikes.values())
    return Subject(name, found.network, given[0] if given else found.n_steps, basis=str(found.how.get("shown", "")),
                   fired={} if is_silent else fired)


def checked(subjects: "Sequence[Subject]", options: Namespace) -> dict[str, Any]:
    """What a board would do to networks."""
    from spikingconvnet.board import check, resources

    on = resources.machine(options.target or "spin5")
    found = [check.check(subject, on, options.packet_buffer) for subject in subjects]
    fits = check.verdict(found) != check.FITS[2]
    return {**check.as_dict(found, on), "text": check.as_text(found, on), "exit_code": 0 if fits else 2}


def export(experiment: Experiment | None, options: Namespace) -> dict[str, Any]:
    """The graph of all trained layers as a NIR file; what reads the last layer on the host is not in it.

    Without an experiment the spikes of a file that ``--record`` has made, as CSV, NumPy's arrays or a NIX file of neo.
    A ``--graph-dt`` that is no step is a SettingsError.
    """
    from spikingconvnet.exchange.exporting import as_file, exported
    from spikingconvnet.experiment.networks import trained

    if experiment is None:
        return _export_spikes(*options.paths)
    path = Path(options.paths[0])
    graph, report = exported(trained(experiment), options.graph_dt, options.method or "euler")
    report.require_all()
    whole = as_file(graph)
    write_whole(path, lambda stream: stream.write(whole))
    return {"file": str(path), **report.as_dict(), "text": f"{report}\n{path}: {len(graph.nodes)} nodes"}


def _export_spikes(path: str, to: str) -> dict[str, Any]:
    from spikingconvnet.compare import recorded
    from spikingconvnet.exchange import neo_blocks, spike_files

    found = recorded.load(path)
    if Path(to).suffix == ".nix":
        neo_blocks.save_nix(to, neo_blocks.to_neo(found, found.network, found.neurons))
    else:
        spike_files.save_spikes(to, found.spikes, found.network.timestep)
    counts = {label: spikes.n_events for label, spikes in found.spikes.items()}
    return {"file": to, "spikes": counts, "text": f"{to}: {_fired(counts)}"}
