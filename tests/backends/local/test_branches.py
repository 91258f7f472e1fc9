"""Several convolutions onto one population, padded or not, in the fast stage: the integers of the general one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikingconvnet.backends.local import simulator
from spikingconvnet.backends.local.conv_stage import ConvStage
from spikingconvnet.backends.local.general_stage import GeneralStage
from spikingconvnet.network.connectivity import ConvConnections
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrDelta, IFCurrExp, SpikeSourceArray
from spikingconvnet.network.spikes import Spikes

CELLS = (IFCurrDelta(tau_m=50.0, cm=1.0, v_rest=0.0, v_reset=0.0, v_thresh=1.0, v=0.0, tau_refrac=0.0),
         IFCurrExp(tau_m=20.0, cm=2.0, v_rest=0.0, v_reset=0.0, v_thresh=1.0, v=0.0, tau_syn_E=2.0, tau_syn_I=3.0,
                   tau_refrac=2.0))


def network_of(shapes, connections, cell, n_steps, samples, reset, rng):
    """Sources of some shapes, one a convolution, onto one population."""
    populations, projections = [], []
    for i, (shape, one) in enumerate(zip(shapes, connections)):
        raster = rng.random((samples * n_steps, int(np.prod(shape)))) < 0.1
        step, neuron = np.nonzero(raster)
        spikes = Spikes.from_events(step // n_steps, neuron, step % n_steps, shape, samples, n_steps)
        populations.append(Population(f"source{i}", shape, SpikeSourceArray(spikes)))
        projections.append(Projection(f"p{i}", f"source{i}", "out", one))
    populations.append(Population("out", connections[0].post_shape, cell, {}, True))
    return Network(tuple(populations), tuple(projections), reset_every=n_steps if reset else 0)


@st.composite
def cases(draw):
    """Convolutions of one output, each with strides of its own: padded, of one weight, or pooled."""
    rng = np.random.default_rng(draw(st.integers(0, 2 ** 32)))
    maps, (rows, columns) = draw(st.integers(1, 5)), draw(st.tuples(*[st.integers(1, 6)] * 2))
    shapes, connections = [], []
    for _ in range(draw(st.integers(1, 3))):
        kind, channels = draw(st.sampled_from(["padded", "point", "pooled"])), draw(st.integers(1, 3))
        delay, padding, pool = draw(st.integers(1, 4)), (0, 0), (1, 1)
        strides = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
        kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
        if kind == "padded":
            padding = tuple(draw(st.integers(0, size - 1)) for size in kernel)
        elif kind == "point":
            kernel = (1, 1)
        else:
            pool = (2, 1)
        seen = [(n - 1) * s + k + draw(st.integers(0, s - 1)) - 2 * p
                for n, s, k, p in zip((rows, columns), strides, kernel, padding)]
        if min(seen) < 1:
            padding, seen = (0, 0), [side + 2 * p for side, p in zip(seen, padding)]
        shapes.append((channels, *(side * p for side, p in zip(seen, pool))))
        weights = rng.normal(0.0, 1.0, (maps, channels, *kernel)) * (rng.random((maps, channels, *kernel)) < 0.8)
        connections.append(ConvConnections(weights, shapes[-1], strides, pool, delay, padding))
    return network_of(shapes, connections, draw(st.sampled_from(CELLS)), 12, 3, draw(st.booleans()), rng)


@settings(max_examples=80, deadline=None)
@given(cases(), st.lists(st.integers(1, 12), min_size=1, max_size=4))
def test_convolutions_in_one_stage_give_the_integers_of_lists(network, parts):
    parts = [*parts, 36 - sum(parts)] if sum(parts) < 36 else [36]
    found = []
    for record in ((), ("out",)):
        with simulator.open(network, record, jobs=1) as simulation:
            for n_steps in parts:
                simulation.run(n_steps)
            found.append(simulation.recording())
    assert found[0].spikes["out"] == found[1].spikes["out"]
    assert found[0].saturated == found[1].saturated


def stage_of(network):
    with simulator.open(network, jobs=1) as simulation:
        return type(simulation._stages[0])


@pytest.mark.parametrize("second", [
    ConvConnections(np.ones((2, 3, 1, 1)), (3, 12, 12), (2, 2)),
    ConvConnections(np.ones((2, 3, 3, 3)), (3, 13, 13), (2, 2)),
    ConvConnections(np.ones((2, 3, 1, 1)), (3, 6, 6), delay=5)])
def test_convolutions_share_the_fast_stage(second):
    main = ConvConnections(np.ones((2, 1, 3, 3)), (1, 6, 6), padding=(1, 1))
    shapes = [main.pre_shape, second.pre_shape]
    network = network_of(shapes, [main, second], CELLS[0], 5, 1, False, np.random.default_rng(0))
    assert stage_of(network) is ConvStage


def test_more_channels_than_can_be_told_apart_are_left_to_the_general_stage():
    many = ConvConnections(np.ones((1, 20_000, 1, 1)), (20_000, 1, 1))
    network = network_of([many.pre_shape] * 2, [many, many], CELLS[0], 1, 1, False, np.random.default_rng(0))
    assert stage_of(network) is GeneralStage
