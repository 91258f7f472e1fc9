"""``--mode import`` and ``--mode export``: networks in the files of other frameworks, NIR."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from spikingconvnet.errors import NetworkError
from spikingconvnet.exchange.verdicts import REFUSED
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.gates.files import write_whole
from spikingconvnet.network.netlist import Network
from spikingconvnet.network.spikes import Spikes


def import_(_: None, options: Namespace) -> dict[str, Any]:
    """The verdict on each node of a NIR file, and what a board would do to its network; kept with ``--record``."""
    from spikingconvnet.board import check, resources
    from spikingconvnet.exchange.importing import from_nir

    path = options.paths[0]
    made = from_nir(path, graph_dt=options.graph_dt, method=options.method or "euler")
    result = {"file": path, **made.report.as_dict(), "text": str(made.report)}
    if made.report.grade == REFUSED:
        return {**result, "exit_code": NetworkError.exit_code}
    on = resources.machine(options.target or "spin5")
    checked = [check.check(check.Subject(Path(path).name, made.network, 1), on)]
    if options.record is not None:
        _keep(made.network, options.record, path)
    return {**result, "outputs": {name: vars(reads) for name, reads in made.outputs.items()}, "lags": made.lags,
            "scales": made.scales, **check.as_dict(checked, on),
            "text": f"{made.report}\n\n{check.as_text(checked, on)}",
            "exit_code": 2 if check.verdict(checked) == check.FITS[2] else 0}


def _keep(network: Network, record: str, path: str) -> None:
    """Write a network as the recording of one step in which nothing happened."""
    from spikingconvnet.compare import recorded

    recorded.save(record, recorded.Recorded(network, 1, {
        p.label: Spikes.empty(p.shape, 1, 1) for p in network.populations}, how={"made_on": "import", "shown": path}))


def export(experiment: Experiment, options: Namespace) -> dict[str, Any]:
    """The graph of all trained layers as a NIR file; what reads the last layer on the host is not in it.

    A ``--graph-dt`` that is no step is a SettingsError.
    """
    from spikingconvnet.exchange.exporting import as_file, exported
    from spikingconvnet.experiment.networks import trained

    path = Path(options.paths[0])
    graph, report = exported(trained(experiment), options.graph_dt, options.method or "euler")
    report.require_all()
    whole = as_file(graph)
    write_whole(path, lambda stream: stream.write(whole))
    return {"file": str(path), **report.as_dict(), "text": f"{report}\n{path}: {len(graph.nodes)} nodes"}
