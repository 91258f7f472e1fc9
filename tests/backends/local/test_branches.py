"""Several convolutions onto one population, padded or not, in the fast stage: the integers of the general one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikingconvnet.backends.local import native, numba_kernels, simulator
from spikingconvnet.backends.local.conv_stage import ConvStage
from spikingconvnet.backends.local.general_stage import GeneralStage
from spikingconvnet.errors import NetworkError
from spikingconvnet.experiment import readout
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


def recorded(network, parts, record=("out",)):
    """Recording of the pieces of a run."""
    with simulator.open(network, record, jobs=1) as simulation:
        for n_steps in parts:
            simulation.run(n_steps)
        return simulation.recording()


def by_lists(network, parts):
    """The same with every convolution as a list of synapses, in the general stage."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulator, "_is_uniform_convolution", lambda *_: False)
        return recorded(network, parts)


def assert_alike(found, expected):
    """The same integers: spikes, membranes, currents, and slots that were cut."""
    assert found.spikes["out"] == expected.spikes["out"] and found.saturated == expected.saturated
    for name, trace in expected.membranes["out"].items():
        assert np.array_equal(found.membranes["out"][name], trace), name


@settings(max_examples=80, deadline=None)
@given(cases(), st.lists(st.integers(1, 12), min_size=1, max_size=4))
def test_convolutions_in_one_stage_give_the_integers_of_lists(network, parts):
    parts = [*parts, 36 - sum(parts)] if sum(parts) < 36 else [36]
    assert_alike(recorded(network, parts), by_lists(network, parts))


@settings(max_examples=40, deadline=None)
@given(cases(), st.data(), st.sampled_from([16, 32, 64, None]))
def test_spikes_are_counted_as_those_that_are_kept(network, data, widest):
    """In C with vectors of so many bytes, in numba without."""
    grid = tuple(data.draw(st.integers(1, side)) for side in network.population("out").shape[1:])
    kept = recorded(network, [36], ()).spikes["out"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "WIDEST", widest or native.WIDEST)
        with simulator.Simulation(network, (), 2, native if widest else numba_kernels, {"out": grid}) as simulation:
            simulation.run(12)
            simulation.run(24)
            found = simulation.recording()
            assert "out" not in found.spikes and not simulation.recording().counts["out"].size
    assert np.array_equal(found.counts["out"], readout.spike_counts(kept, grid))


def test_spikes_are_kept_where_others_need_them_and_counted_by_whole_samples():
    first = ConvConnections(np.full((2, 1, 2, 2), 3.0), (1, 4, 4))
    network = network_of([first.pre_shape], [first], CELLS[0], 12, 3, False, np.random.default_rng(0))
    behind = ConvConnections(np.ones((1, 2, 1, 1)), first.post_shape)
    more = Network((*network.populations, Population("behind", behind.post_shape, CELLS[0], per_channel=True)),
                   (*network.projections, Projection("on", "out", "behind", behind)))
    with simulator.open(more, counted={"out": (1, 1), "behind": (3, 3)}) as simulation:
        with pytest.raises(NetworkError, match="n_steps: must be whole samples"):
            simulation.run(11)
        simulation.run(36)
        found = simulation.recording()
    assert found.spikes.keys() == {"out"} and found.counts["behind"].shape == (3, 9)


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
