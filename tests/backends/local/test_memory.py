"""Memory of the local engine against the formulas of docs/architecture.md, section Memory, at several sizes.

Measured with tracemalloc, which sees every numpy array; what kernels allocate inside is not seen, so a measured number
may lie a little below. The same formulas stand in the document: change both.
"""

import tracemalloc
from collections import namedtuple

import numpy as np
import pytest

from spikingconvnet.backends.local import simulator
from spikingconvnet.board import lowering
from spikingconvnet.experiment import readout
from spikingconvnet.network.connectivity import ConnectionList, ConvConnections, DenseConnections, LateralInhibition
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrExp, SpikeSourceArray
from spikingconvnet.network.plasticity import AdditiveWeightDependence, SpikePairRule, STDPMechanism
from spikingconvnet.network.spikes import Spikes

OBJECTS = 1 << 17           # bytes of Python's own objects, which the formulas leave out
CELL = IFCurrExp(tau_m=10.0, cm=1.0, v_thresh=-60.0)
RULE = STDPMechanism(SpikePairRule(10.0, 10.0, 0.02, 0.02), AdditiveWeightDependence(0.0, 1.0))

Measured = namedtuple("Measured", "kept opening run recording")


# ---------------------------------------------------------------- the formulas


def conv_kept(network, delay):
    """Bytes of a convolution between runs, and at most more while it is opened."""
    (projection,) = network.projections
    connections, n = projection.connections, network.population(projection.post).size
    (maps, rows, width), (_, channels, kernel_rows, kernel_columns) = connections.post_shape, connections.kernels.shape
    lanes, blocks, padded_maps = conv_lanes(maps, width)
    pieces = -(-kernel_columns // connections.strides[1])
    weights = 4 * channels * kernel_rows * connections.strides[1] * (pieces * padded_maps + 32 * blocks)
    kept = (112 * n + (40 + 8 * delay) * rows * blocks * lanes + (32 + 16 * delay) * rows * blocks + weights
            + 6 * network.population(projection.pre).size)
    return kept, 32 * n


def conv_run(network, steps, inputs, outputs):
    """Most bytes of a run beyond those kept: input by row; one row's inputs and output; merge."""
    (projection,) = network.projections
    connections = projection.connections
    maps, rows, _ = connections.post_shape
    kernel_rows = connections.kernels.shape[2]
    window = inputs * min(1.0, kernel_rows / connections.pooled_shape[1]) * 1.1     # spikes are spread evenly here
    row = 24 * window + 8 * 48 * steps + 8 * outputs / rows
    return (8 * steps * connections.pooled_shape[1] + 6 * inputs + 24 * steps + 8 * outputs
            + max(row, 24 * steps * maps + (8 + id_bytes(network)) * outputs))


def conv_lanes(maps, width):
    """Lanes of a row of one block of at most 48 maps, blocks, and maps with those that fill the last block."""
    blocks = -(-maps // 48)
    block = -(-maps // blocks)
    return -(-width * block // 16) * 16, blocks, blocks * block


def general_kept(network):
    """Bytes of any other wiring between runs, and at most more while it is opened."""
    n = sum(p.size for p in network.populations if not p.is_source)
    padded = -(-n // 16) * 16 + 16
    ids = sum(p.size for p in network.populations)
    delay = max(p.connections.max_delay for p in network.projections)
    synapses, runs, rows, opening = {True: 0, False: 0}, 0, 0, 32 * n
    for p in network.projections:
        listed = p.connections.to_list()
        synapses[p.plasticity is not None] += len(listed.pre)
        made = 0 if isinstance(p.connections, (DenseConnections, ConnectionList)) else 32         # the list itself
        opening += len(listed.pre) * (200 if p.plasticity else 40 + made)
        part = 0 if isinstance(p.connections, DenseConnections) else min(len(listed.pre), lowering.AT_ONCE)
        opening += 0 if p.plasticity else 200 * part
        runs += 1 + np.count_nonzero(np.diff(listed.pre) | (np.diff(listed.post) != 1))
        rows += len(np.unique(listed.pre)) if p.plasticity else 0
    kept = (112 * n + 100 * padded + 8 * (delay + 1) * padded + 24 * ids + 4 * synapses[False] + 16 * synapses[True]
            + 24 * runs + 24 * rows + (268 * padded if rows else 0))
    return kept, opening


def general_run(network, steps, inputs, outputs, traces):
    """Most bytes of a run beyond those kept: buffers of at most 16 MiB, source spikes, `traces` recorded neurons."""
    n = sum(p.size for p in network.populations if not p.is_source)
    return (8 * n * min(steps, max(1, (1 << 21) // n)) + 40 * steps + 6 * inputs + 40 * outputs
            + 12 * steps * traces)


def recording(network, steps, outputs, traces=0):
    """Most bytes while a recording is taken: what was recorded, and its copy."""
    return 2 * id_bytes(network) * outputs + 32 * steps + 24 * steps * traces


def id_bytes(network):
    return 2 if network.population("output").size <= 1 << 16 else 4


# ---------------------------------------------------------------- the measurement


def measured(network, record=()):
    """Peaks in bytes, each beyond what was there before, and the Recording of one run over all samples."""
    with simulator.open(network, record, jobs=1) as warm:
        warm.run(1)
    tracemalloc.start()
    try:
        with simulator.open(network, record, jobs=1) as simulation:
            kept, opening = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            simulation.run(simulation.source_steps)
            run = tracemalloc.get_traced_memory()[1]
            tracemalloc.reset_peak()
            taken = simulation.recording()
            return Measured(kept, opening - kept, run - kept, tracemalloc.get_traced_memory()[1] - kept), taken
    finally:
        tracemalloc.stop()


def source(shape, samples, steps, per_sample):
    rng, n = np.random.default_rng(0), samples * per_sample
    events = (rng.integers(0, top, n) for top in (samples, np.prod(shape), 15))
    return Population("input", shape, SpikeSourceArray(Spikes.from_events(*events, shape, samples, steps)))


def convolution(shape, maps, kernel, stride, delay, samples, steps, per_sample):
    kernels = np.random.default_rng(1).uniform(-1.0, 1.5, (maps, shape[0], kernel, kernel))
    connections = ConvConnections(kernels, shape, (stride, stride), delay=delay)
    return Network((source(shape, samples, steps, per_sample),
                    Population("output", connections.post_shape, CELL, per_channel=True)),
                   (Projection("kernels", "input", "output", connections),))


def dense(inputs, neurons, samples, steps, per_sample, rule):
    weights = np.random.default_rng(1).uniform(0.2, 0.8, (inputs, neurons))
    return Network((source((1, 1, inputs), samples, steps, per_sample), Population("output", (neurons, 1, 1), CELL)),
                   (Projection("weights", "input", "output", DenseConnections(weights), plasticity=rule),
                    Projection("lateral", "output", "output", LateralInhibition(neurons, 5.0), "inhibitory")))


def assert_close_below(measured_bytes, formula, least):
    """Never above the formula, and not so far below it that the formula would say nothing."""
    assert least * formula <= measured_bytes <= formula + OBJECTS, (measured_bytes, formula)


# ---------------------------------------------------------------- tests


@pytest.mark.parametrize("shape, maps, kernel, stride, delay, samples, steps, per_sample", [
    ((1, 28, 28), 32, 5, 1, 1, 100, 50, 100), ((2, 28, 24), 48, 7, 1, 1, 60, 28, 200),
    ((3, 40, 33), 70, 5, 2, 3, 50, 30, 400), ((1, 60, 80), 128, 5, 1, 2, 16, 30, 600)])
def test_a_convolution_takes_what_the_formula_says(shape, maps, kernel, stride, delay, samples, steps, per_sample):
    network = convolution(shape, maps, kernel, stride, delay, samples, steps, per_sample)
    found, taken = measured(network)
    outputs = taken.spikes["output"].n_events
    assert outputs > 1000
    kept, opening = conv_kept(network, delay)
    assert_close_below(found.kept, kept, 0.98)
    assert_close_below(found.opening, opening, 0.5)
    assert_close_below(found.run, conv_run(network, samples * steps, samples * per_sample, outputs), 0.5)
    assert_close_below(found.recording, recording(network, samples * steps, outputs), 0.5)


@pytest.mark.parametrize("inputs, neurons, samples, steps, per_sample, rule, record", [
    (25, 16, 1000, 50, 8, RULE, ()), (49, 64, 200, 50, 16, RULE, ["output"]), (400, 300, 100, 30, 50, None, ()),
    (784, 400, 20, 50, 100, RULE, ())])
def test_any_wiring_takes_what_the_formula_says(inputs, neurons, samples, steps, per_sample, rule, record):
    network = dense(inputs, neurons, samples, steps, per_sample, rule)
    found, taken = measured(network, record)
    outputs, traces = taken.spikes["output"].n_events, neurons * len(record)
    kept, opening = general_kept(network)
    assert_close_below(found.kept, kept, 0.5)
    assert found.opening <= opening + OBJECTS
    assert_close_below(found.run, general_run(network, samples * steps, samples * per_sample, outputs, traces), 0.5)
    assert found.recording <= recording(network, samples * steps, outputs, traces) + OBJECTS


@pytest.mark.parametrize("signs", ["of one sign, in order", "mixed, without order"])
def test_a_list_takes_40_bytes_a_synapse_in_all(signs):
    """While it is opened, what is kept included; beside a part of it that is looked at at a time."""
    rng, n, side = np.random.default_rng(3), 3_000_000, 1733
    if signs == "mixed, without order":
        listed = ConnectionList(rng.integers(0, side, n), rng.integers(0, side, n), rng.normal(size=n),
                                rng.integers(1, 8, n), signed=True)
    else:
        listed = ConnectionList(*np.divmod(np.arange(n), side), rng.random(n), np.ones(n, int))
    network = Network((source((1, 1, side), 1, 50, 20), Population("output", (side, 1, 1), CELL)),
                      (Projection("list", "input", "output", listed),))
    found = measured(network)[0]
    assert found.kept + found.opening <= 40 * n + 200 * lowering.AT_ONCE + OBJECTS


@pytest.mark.parametrize("samples, grid, per_sample", [(250, (6, 6), 2000), (40, (2, 3), 20_000), (500, (1, 1), 10)])
def test_features_take_what_the_formula_says(samples, grid, per_sample):
    spikes = source((48, 22, 22), samples, 28, per_sample).cell.spikes
    counts, events = samples * 48 * grid[0] * grid[1], spikes.n_events
    tracemalloc.start()
    try:
        readout.spike_counts(spikes, grid)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert_close_below(peak, 18 * counts + 32 * events + 8 * 48 * 22 * 22, 0.4)


def test_memory_does_not_grow_with_the_number_of_images_that_are_shown_in_pieces():
    piece, peaks = 20, []
    for samples in (40, 160):
        network = convolution((2, 28, 28), 48, 7, 1, 1, samples, 28, 200)
        tracemalloc.start()
        try:
            with simulator.open(network, jobs=1) as simulation:
                for _ in range(samples // piece):
                    simulation.run(piece * 28)
                    simulation.recording()
                peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < 1.25 * peaks[0]           # some pieces have more spikes than others
