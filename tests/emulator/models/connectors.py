"""Connectors, most of them generated on the machine: what is read back from it, and what arrives."""

import numpy as np

from models.catalogue import CLOSED_FORM, GROUPS, Check, chance, network, same_trace, trace
from models.float_models import exponential

STEPS = GROUPS["connectors"].duration


def connect(sim, connector, pre=30, post=20, weight=0.5, delay=3.0, **options):
    """Sources that all fire at 10 ms, connected to cells that cannot fire."""
    source = sim.Population(pre, sim.SpikeSourceArray([10.0]), structure=options.get("structure"))
    cells = sim.Population(post, sim.IF_curr_exp(v_thresh=1000.0), structure=options.get("structure"))
    cells.record("gsyn_exc")
    return sim.Projection(source, cells, connector, sim.StaticSynapse(weight=weight, delay=delay)), cells


def matrix(projection, pre=30, post=20):
    """How often each pair is connected."""
    made = np.zeros((pre, post), int)
    for row in projection.get("weight", "list"):
        made[int(row[0]), int(row[1])] += 1
    return made


def arrives(projection, cells, pre=30, post=20, weight=0.5, delay=3.0, limit=np.inf):
    """Whether the cells' input is what the connections that were read back give, each step up to a limit (nA)."""
    made = matrix(projection, pre, post)
    expected = np.zeros((STEPS, post))
    for cell, count in enumerate(made.sum(axis=0)):
        arriving = np.zeros(STEPS)
        arriving[10 + round(delay)] = min(count * weight, limit)
        expected[:, cell] = exponential(arriving, 5.0)
    return same_trace("input (nA) from that of the connections read back", expected, trace(cells, "gsyn_exc"), 0.002,
                      "2^-15 nA lost in each step")


@network("connectors", CLOSED_FORM)
def all_to_all(sim):
    """AllToAllConnector, and without self-connections"""
    projection, cells = connect(sim, sim.AllToAllConnector())
    recurrent = sim.Projection(cells, cells, sim.AllToAllConnector(allow_self_connections=False))
    yield
    yield Check("every pair once", True, bool((matrix(projection) == 1).all()))
    yield Check("all but the diagonal", True, bool((matrix(recurrent, 20) == 1 - np.eye(20, dtype=int)).all()))
    yield arrives(projection, cells)


@network("connectors", CLOSED_FORM)
def one_to_one(sim):
    """OneToOneConnector, OneToOneOffsetConnector (+3 with wrap), AllButMeConnector"""
    projection, cells = connect(sim, sim.OneToOneConnector())
    offset = sim.Projection(cells, cells, sim.extra_models.OneToOneOffsetConnector(3, True))
    others = sim.Projection(cells, cells, sim.extra_models.AllButMeConnector(n_neurons_per_group=5))
    yield
    yield Check("the diagonal", True, bool((matrix(projection) == np.eye(30, 20)).all()))
    yield Check("the diagonal, 3 on", True, bool((matrix(offset, 20) == np.roll(np.eye(20), 3, axis=1)).all()))
    blocks = np.kron(np.eye(4), np.ones((5, 5))) - np.eye(20)
    yield Check("blocks of 5 but the diagonal", True, bool((matrix(others, 20) == blocks).all()))
    yield arrives(projection, cells)


@network("connectors", CLOSED_FORM)
def fixed_probability(sim):
    """FixedProbabilityConnector, p = 0.2"""
    projection, cells = connect(sim, sim.FixedProbabilityConnector(0.2), pre=100, post=50)
    yield
    made = matrix(projection, 100, 50)
    yield chance("connections", int(made.sum()), 5000, 0.2)
    yield Check("most of a pair", 1, int(made.max()))
    yield arrives(projection, cells, 100, 50)


@network("connectors", CLOSED_FORM)
def fixed_numbers(sim):
    """FixedNumberPreConnector (7), FixedNumberPostConnector (4), FixedTotalNumberConnector (123)"""
    made = [connect(sim, connector) for connector in (
        sim.FixedNumberPreConnector(7), sim.FixedNumberPostConnector(4),
        sim.FixedTotalNumberConnector(123, with_replacement=True))]
    yield
    pre, post, total = (matrix(projection) for projection, _ in made)
    yield Check("numbers per cell", [7] * 20, pre.sum(axis=0).tolist())
    yield Check("numbers per source", [4] * 30, post.sum(axis=1).tolist())
    yield Check("total", 123, int(total.sum()))
    yield Check("most of a pair of the first two", 1, int(max(pre.max(), post.max())))
    for projection, cells in made:
        yield arrives(projection, cells)


@network("connectors", CLOSED_FORM)
def by_index_and_distance(sim):
    """FromListConnector, IndexBasedProbability, DistanceDependentProbability and SmallWorld (p = 0 or 1)"""
    rows = [(i, j, 0.5, 3.0) for i in range(30) for j in range(20) if (i * j) % 7 == 1]
    line = sim.Line(dx=1.0)
    made = [connect(sim, sim.FromListConnector(rows)),
            connect(sim, sim.IndexBasedProbabilityConnector("(i + j) % 3 == 0")),
            connect(sim, sim.DistanceDependentProbabilityConnector("d < 2.5"), structure=line),
            connect(sim, sim.SmallWorldConnector(degree=1.5, rewiring=0.0), structure=line)]
    yield
    i, j = np.indices((30, 20))
    expected = (i * j % 7 == 1, (i + j) % 3 == 0, abs(i - j) < 2.5, abs(i - j) < 1.5)
    for (projection, cells), pattern in zip(made, expected):
        yield Check("the pattern", True, bool((matrix(projection) == pattern).all()))
        yield arrives(projection, cells)


@network("connectors", CLOSED_FORM)
def array(sim):
    """ArrayConnector

    sPyNNaker 7.4.1 counts no connections to a cell (get_n_connections_to_post_vertex_maximum), so ring buffers
    hold 2 nA a step at most, and the rest is lost in saturation.
    """
    pattern = np.random.default_rng(1).random((30, 20)) < 0.3
    projection, cells = connect(sim, sim.ArrayConnector(pattern))
    yield
    yield Check("the pattern", True, bool((matrix(projection) == pattern).all()))
    yield arrives(projection, cells, limit=65535 / 2 ** 15)


@network("connectors", CLOSED_FORM)
def random_weights(sim):
    """Weights and delays drawn on the machine: uniform 1 to 3 nA, 1 to 10 ms

    The machine cuts a drawn delay off to whole steps: 1 to 9 ms.
    """
    source, cells = sim.Population(50, sim.SpikeSourceArray([10.0])), sim.Population(40, sim.IF_curr_exp())
    projection = sim.Projection(source, cells, sim.AllToAllConnector(), sim.StaticSynapse(
        weight=sim.RandomDistribution("uniform", (1.0, 3.0)), delay=sim.RandomDistribution("uniform", (1.0, 10.0))))
    yield
    weights, delays = np.array([row[2:] for row in projection.get(["weight", "delay"], "list")], float).T
    yield Check("weights between 1 and 3 nA", True, bool(weights.min() >= 0.99 and weights.max() <= 3.01))
    yield Check("mean weight (nA)", 2.0, float(weights.mean()), 5 * 2 / 12 ** 0.5 / 2000 ** 0.5, "5 standard errors")
    yield Check("s.d. of weights (nA)", 2 / 12 ** 0.5, float(weights.std()), 0.05, "8 standard errors")
    yield Check("delays between 1 and 10 ms", True, bool(delays.min() >= 1 and delays.max() <= 10))
    yield Check("mean delay (ms)", 5.0, float(delays.mean()), 5 * 9 / 12 ** 0.5 / 2000 ** 0.5, "5 standard errors")


@network("connectors", CLOSED_FORM)
def kernel(sim):
    """KernelConnector, 3 x 3 weights over 6 x 5 cells"""
    weights = np.arange(1, 10, dtype=float).reshape(3, 3) / 8
    source, cells = sim.Population(30, sim.SpikeSourceArray([10.0])), sim.Population(30, sim.IF_curr_exp())
    projection = sim.Projection(source, cells, sim.KernelConnector((5, 6), (5, 6), (3, 3), weight_kernel=weights))
    yield
    found = {(int(pre), int(post)): float(weight) for pre, post, weight in projection.get("weight", "list")}
    expected = {}
    for post in range(30):
        for row in range(3):
            for column in range(3):
                r, c = post // 6 + row - 1, post % 6 + column - 1
                if 0 <= r < 5 and 0 <= c < 6:
                    expected[r * 6 + c, post] = weights[row, column]
    yield Check("connections", len(expected), len(found))
    yield Check("pairs", True, expected.keys() == found.keys())
    yield Check("weights", True, expected == found)


@network("connectors", CLOSED_FORM)
def convolution(sim):
    """ConvolutionConnector, 3 x 3, positive and negative weights, one input spike"""
    weights = (np.arange(9, dtype=float).reshape(3, 3) - 4) / 4
    source = sim.Population(49, sim.SpikeSourceArray([[10.0] if i == 17 else [] for i in range(49)]),
                            structure=sim.Grid2D(1.0))
    cells = sim.Population(25, sim.IF_curr_exp(v_thresh=1000.0), structure=sim.Grid2D(1.0))
    for population, side in ((source, 7), (cells, 5)):
        population.set_max_atoms_per_core((side, side))
    sim.Projection(source, cells, sim.ConvolutionConnector(weights), sim.Convolution())
    cells.record(["gsyn_exc", "gsyn_inh"])
    yield
    decayed = exponential(np.array([1.0]), 5.0)[0]
    found = (trace(cells, "gsyn_exc")[11] - trace(cells, "gsyn_inh")[11]).reshape(5, 5) / decayed
    expected = np.zeros((5, 5))
    row, column = 17 // 7 - 1, 17 % 7 - 1
    expected[row - 1:row + 2, column - 1:column + 2] = weights
    yield same_trace("weights received (nA)", expected, found, 0.001, "2^-15 nA")


@network("connectors", CLOSED_FORM)
def pool_dense(sim):
    """PoolDenseConnector, 6 x 6 pooled by 2 x 2 to 4 cells"""
    weights = np.random.default_rng(3).integers(-16, 17, (9, 4)) / 8
    source = sim.Population(36, sim.SpikeSourceArray([[10.0] if i in (9, 34) else [] for i in range(36)]),
                            structure=sim.Grid2D(1.0))
    cells = sim.Population(4, sim.IF_curr_exp(v_thresh=1000.0))
    source.set_max_atoms_per_core((6, 6))
    sim.Projection(source, cells, sim.PoolDenseConnector(weights, (2, 2)), sim.PoolDense())
    cells.record(["gsyn_exc", "gsyn_inh"])
    yield
    decayed = exponential(np.array([1.0]), 5.0)[0]
    found = [(trace(cells, name)[11]) / decayed for name in ("gsyn_exc", "gsyn_inh")]
    first, second = weights.reshape(3, 3, 4)[1, 0] / 4, weights.reshape(3, 3, 4)[2, 2] / 4
    for sign, name, values in ((1, "excitatory", found[0]), (-1, "inhibitory", found[1])):
        expected = np.maximum(sign * first, 0) + np.maximum(sign * second, 0)
        yield same_trace(f"{name} weights received (nA)", expected, values, 0.001, "2^-15 nA")
