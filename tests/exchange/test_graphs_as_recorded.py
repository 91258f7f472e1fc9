"""What becomes of small graphs of NIR, and of small networks as graphs, as it was when larger ones did what they say.

``test_importing`` and ``test_exporting`` run graphs beside a plain interpreter. Here every number and sentence is in
``golden/graphs.json``. Where one is meant to change, and those tests pass:

    python tests/exchange/test_graphs_as_recorded.py
"""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

import recorded
from small_graphs import GRAPHS
from small_networks import NETWORKS, spread

from spikingconvnet.board.fixed_point import ACCUM_ONE, accum
from spikingconvnet.errors import NetworkError
from spikingconvnet.exchange import dynamics
from spikingconvnet.exchange.exporting import exported
from spikingconvnet.exchange.importing import from_nir
from spikingconvnet.exchange.timing import timing

GOLDEN = Path(__file__).parents[1] / "golden" / "graphs.json"
LOSSES = (1, 2, 3, 100, 3276, 16384, 32000, 32760, 32766, 32767, 32768)
SHARES = (1e-5, 0.01, 0.0951, 0.3, 0.5, 0.9, 0.999, 0.99999, 1.0)


def _imported(name):
    made = [
        from_nir(GRAPHS[name], dt, step, method)
        for dt, step, method in ((1.0, None, "euler"), (0.5, None, "exact"), (1.0, 2e-3, "euler"))
    ]
    return [
        [
            one.report.grade,
            [str(verdict) for verdict in one.report.verdicts],
            one.outputs,
            one.lags,
            one.scales,
            one._network and _parts(one._network),
            one.report.verdicts,
        ]
        for one in made
    ]


def _parts(network):
    return [
        network.timestep,
        [
            [
                p.label,
                p.shape,
                type(p.cell),
                p.per_channel,
                p.max_expected_summed_weight,
                p.values,
                None if p.is_source else p.cell,
            ]
            for p in network.populations
        ],
        network.projections,
    ]


def _exported(name):
    graph, report = exported(NETWORKS[name]())
    nodes = (
        {}
        if graph is None
        else {
            key: [
                type(node),
                {k: v for k, v in vars(node).items() if k not in ("input_type", "output_type", "metadata")},
            ]
            for key, node in graph.nodes.items()
        }
    )
    again = graph and from_nir(graph)
    return [
        [str(one) for one in report.verdicts],
        nodes,
        graph and [list(edge) for edge in graph.edges],
        again and [[str(one) for one in again.report.verdicts], again.lags, again._network and _parts(again._network)],
    ]


def _numbers(timestep):
    step = accum(timestep)
    return [
        [dynamics._tau_of(lost, timestep) for lost in LOSSES],
        [dynamics._tau_syn_of(one, step) for one in SHARES],
        dynamics.input_scale(timestep),
        dynamics.threshold(np.array([-1.5, 0.0, 1 / 3, 1.0, np.inf])),
        dynamics.on_grid(np.arange(-9, 9) / 7 / ACCUM_ONE),
        [_held(seed, synapse, timestep) for seed in range(3) for synapse in (False, True)],
    ]


def _held(seed, synapse, timestep):
    n = np.arange(5)
    share = np.where(seed == 2, 0.0, 0.05 + 0.9 * spread(5, 3, 11, seed) / 11)
    more = (0.1 + 0.08 * n, 0.2 + 0.1 * n) if synapse else ()
    own = dynamics.Dynamics(share, 0.5 + 0.3 * n, 0.1 * n, -0.2 * n, 1.0 + n % 2, 0.1 * n, *more)
    return dynamics.held(own, 2.0 + 3.0**n, 0.01 * n, timestep)


def _times(seed):
    names = "abcdefg"
    edges = [
        (names[i % 7], names[j], int(k))
        for i, j, k in zip(spread(9, 5, 7, seed), spread(9, 3, 7, 2 * seed), spread(9, seed, 4))
    ]
    found = timing(names, edges)
    told = timing(names, edges, {name: 3 * i for i, name in enumerate(names)})
    return [
        [one.lag, sorted(one.loops), sorted(map(list, one.late.items()), key=str), [one.delay(edge) for edge in edges]]
        for one in (found, told)
    ]


VIEWS = {
    "imported": (_imported, list(GRAPHS)),
    "exported": (_exported, list(NETWORKS)),
    "numbers": (_numbers, [0.1, 0.5, 1.0, 2.0]),
    "timing": (_times, list(range(1, 13))),
}


def seen(view, case):
    """A view of a case; an error is one, too."""
    try:
        return VIEWS[view][0](case)
    except NetworkError as error:
        return f"NetworkError: {error}"


KEPT = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}


@pytest.mark.parametrize(("view", "case"), [(view, case) for view, (_, cases) in VIEWS.items() for case in cases])
def test_a_graph_becomes_what_it_became(view, case):
    if view == "exported":
        pytest.importorskip("nir")
    recorded.compare(seen(view, case), KEPT[view][str(case)])


if __name__ == "__main__":
    recorded.write(
        GOLDEN, {view: {str(case): seen(view, case) for case in cases} for view, (_, cases) in VIEWS.items()}
    )
