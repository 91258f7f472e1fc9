"""The compiled extension: that it is built where there is a compiler, and that the package does without it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_networks import convolutional_network

from spikingconvnet import backends
from spikingconvnet.backends.local import native, numba_kernels, simulator


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc: the extension is not built")
def test_the_extension_is_built_where_there_is_a_compiler():
    assert native.library() is not None and native.or_else() is native


def test_without_the_extension_the_numba_kernels_give_the_same_recording():
    network = convolutional_network(np.random.default_rng(0), [5])
    expected = backends.run(network, 24)
    with patch.object(native, "library", lambda: None):
        assert native.or_else() is numba_kernels
        found = backends.run(network, 24)
    assert found.spikes == expected.spikes and any(s.n_events for s in found.spikes.values())


def test_with_the_extension_nothing_waits_for_numba():
    """One network with all kernels: a convolution, plasticity, Poisson sources."""
    program = """
import sys
import numpy as np
from spikingconvnet import backends
from spikingconvnet import DenseConnections
from spikingconvnet.network import ConvConnections, SpikeSourcePoisson
from spikingconvnet import Network, Population, Projection
from spikingconvnet import IFCurrExp
from spikingconvnet import STDPMechanism

noise = SpikeSourcePoisson(900.0, core_seeds=((1, 2, 3, 4),))
populations = [Population("in", (1, 3, 3), noise), Population("map", (2, 2, 2), IFCurrExp(v_thresh=-64.0)),
               Population("out", (1, 1, 4), IFCurrExp(v_thresh=-64.0))]
simulation = backends.run(Network(populations, [
    Projection("c", "in", "map", ConvConnections(np.full((2, 1, 2, 2), 3.0), (1, 3, 3))),
    Projection("p", "map", "out", DenseConnections(np.ones((8, 4))), plasticity=STDPMechanism())]), 50)
print(all(spikes.n_events > 4 for spikes in simulation.spikes.values()), "numba" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True,
                          env={**os.environ, "PYTHONPATH": str(Path(simulator.__file__).parents[3])})
    assert done.stdout.split() == ["True", "False"]


@given(st.integers(0, 2 ** 32 - 1), st.sampled_from([(2, 5, 3), (1, 300, 300)]))
def test_spikes_are_sorted_alike(seed, shape):
    rng = np.random.default_rng(seed)
    neurons, steps = int(np.prod(shape)), 6
    fired = np.unique(rng.integers(0, steps * neurons, rng.integers(0, 200)))
    offsets = np.searchsorted(fired // neurons, np.arange(steps + 1))
    ids = (fired % neurons).astype(np.uint16 if neurons <= 1 << 16 else np.uint32)
    row = np.where(rng.random(neurons) < 0.1, -1, rng.integers(0, 4, neurons)).astype(np.int16)
    column, channel = (rng.integers(0, 300, neurons).astype(np.int16) for _ in range(2))
    made = [module.sort_by_row(offsets, ids, row, column, channel, 4) for module in (native, numba_kernels)]
    assert all(np.array_equal(a, b) for a, b in zip(*made))


def test_an_extension_of_other_sources_is_not_used(monkeypatch, caplog):
    monkeypatch.setattr(native.zlib, "crc32", lambda content: 1)
    native.library.cache_clear()
    try:
        assert native.library() is None
        assert "older than their sources" in caplog.text and "pip install -e ." in caplog.text
    finally:
        native.library.cache_clear()
