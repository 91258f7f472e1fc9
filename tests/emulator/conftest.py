"""Machines to try programs on, with either kind of core."""

import pytest
from bench import Bench

from spikingconvnet.emulator import native_core
from spikingconvnet.emulator.core import Core

# Scripts for sPyNNaker, no doctests
collect_ignore = ["stdp_network.py", "broken_network.py", "faulty_network.py", "live_network.py", "run_models.py",
                  "models"]


@pytest.fixture(params=["python", "native"])
def make_core(request):
    """Both kinds of core; a CI machine has a compiler."""
    if request.param == "python":
        return Core
    assert native_core.library(), "the extension is not built: pip install -e ."
    return native_core.NativeCore


@pytest.fixture
def bench(make_core):
    """A booted machine with one kind of core."""
    return Bench(make_core)


@pytest.fixture
def plain_bench():
    """A booted machine whose cores do not matter."""
    return Bench()
