"""What several test modules share: a small MNIST, parameters files for it, and what all of them may import."""

import gc
import gzip
import importlib
import os
import re
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from _pytest.doctest import DoctestModule
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent / "helpers"))
sys.path += [str(Path(__file__).parents[1] / "benchmarks"), *(      # tests that use parts of other ones
    str(Path(__file__).parent / folder) for folder in ("board", "compare", "emulator", "exchange", "backends/local"))]
# Whoever starts an interpreter, here or in a test, would compile the package and the tests anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
gc.disable()                        # until all is collected, of which nothing is garbage
collect_ignore = ["golden"]         # run directories, whose parameters files are data
# A busy machine may take its time over an example. Under CI examples are the same every time, elsewhere new ones.
settings.register_profile("patient", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("patient")


def pytest_addoption(parser):
    parser.addoption("--spinnaker", metavar="HOST", help="a real board, as --target names it, instead of the emulated"
                                                         " one")
    parser.addoption("--board-networks", type=int, default=24,
                     help="random networks on the emulated board (default: 24)")
    parser.addoption("--board-models", type=int, default=48,
                     help="random networks mapped by sPyNNaker on a virtual board (default: 48)")
    parser.addoption("--board-projections", type=int, default=250,
                     help="random projections whose weights sPyNNaker writes on a virtual board (default: 250)")


@pytest.hookimpl(wrapper=True)
def pytest_collect_file():
    """Tests have no doctests."""
    return [collector for collector in (yield) if not isinstance(collector, DoctestModule)]


def pytest_collection_finish():
    """What was collected stays: it is not worth looking through again and again."""
    gc.freeze()
    gc.enable()


# What waits for boards, compilers and processes: few tests that take long. Begun last, as xdist would, each keeps one
# worker busy while the others have nothing left to do. So would the last files here, of half a minute and more.
FIRST = ("backends/test_spinnaker.py", "test_attacks.py", "test_site.py", "backends/local/test_checked.py",
         "backends/test_failures.py", "emulator/test_models.py", "emulator/test_spynnaker.py",
         "emulator/test_checked_board.py", "emulator/test_faults.py", "emulator/test_spalloc.py",
         "emulator/test_pytest_plugin.py", "health/test_board_faults.py",
         "health/test_verdict_on_board.py",
         "compare/test_differences_on_board.py", "exchange/test_on_board.py", "experiment/test_rehearsal.py",
         "experiment/test_resume.py",
         "backends/test_nest.py", "backends/test_nest_ranks.py", "cli/test_process.py", "cli/test_cli.py",
         "backends/test_brian2.py", "compare/test_differences.py", "experiment/test_examples.py",
         "experiment/test_chain.py", "experiment/test_estimator.py", "experiment/test_experiment.py", "test_choices.py",
         "backends/local/test_reference_equals_kernels.py", "training/test_convert.py", "training/test_surrogate.py",
         "training/test_softlif.py")


def pytest_collection_modifyitems(items):
    """Put the files that take longest first; the rest stays in its order."""
    here = Path(__file__).parent
    rank = {here / name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


LISTED_SKIPS = frozenset()          # reasons for which a test may be skipped under CI
SLOWEST = 30                        # files whose time is told under CI
_skipped, _seconds = set(), Counter()


def pytest_runtest_logreport(report):
    """Remember why tests were skipped, and how long a file took."""
    _seconds[report.nodeid.partition("::")[0]] += getattr(report, "duration", 0.0)
    if report.skipped and not hasattr(report, "wasxfail"):
        _skipped.add(report.longrepr[2].removeprefix("Skipped: "))


pytest_collectreport = pytest_runtest_logreport     # whole files


def pytest_sessionfinish(session):
    """Under CI a skip that is not listed is a failure: what never runs is never seen to break."""
    if "CI" in os.environ and _skipped - LISTED_SKIPS and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter):
    """Say which files took longest, and which skips are not listed."""
    for file, seconds in _seconds.most_common(SLOWEST) if "CI" in os.environ else ():
        terminalreporter.write_line(f"{seconds:7.1f} s  {file}")
    for reason in sorted(_skipped - LISTED_SKIPS) if "CI" in os.environ else ():
        terminalreporter.write_line(f"not listed as a skip in tests/conftest.py: {reason}", red=True)


MNIST = Path(__file__).parent.parent / "data" / "mnist"

PARAMETERS = """
from spikingconvnet import LatencyEncoder
from spikingconvnet import STDP, AvgPool2D, Classifier, Conv2D
from spikingconvnet import Sequential
from spikingconvnet import IFCurrExp
from spikingconvnet import Deformation, DifferenceOfGaussians

DATASET = {dataset!r}
N_TRAIN = 120
N_VALIDATION = 40
N_TEST = 60
FILTER = DifferenceOfGaussians(contrast=0.35)
ENCODER = LatencyEncoder()
SLOT = 30
CELL = IFCurrExp(tau_m=10.0, cm=10.0, v_rest=0.0, v_reset=0.0, v=0.0, tau_syn_E=1.0, tau_syn_I=1.0, tau_refrac=0.0)
MODEL = Sequential(
    (2, 28, 28),
    Conv2D(4, (5, 4), neuron=CELL, lateral={lateral}, training=STDP(windows=60, chunks=3, min_spikes=5)),
    {second}
    Classifier(grid=3, C=0.1))"""

SECOND = """AvgPool2D(2),
    Conv2D(3, 3, neuron=CELL, training=STDP(windows=40, chunks=2, slot=70, pattern_steps=20, min_spikes=3)),"""


@pytest.fixture(scope="session")
def small_mnist(tmp_path_factory):
    """Directory with the first 200 training and 80 test images of MNIST."""
    directory = tmp_path_factory.mktemp("small")
    for part, n in (("train", 200), ("t10k", 80)):
        for kind, header, size in (("images-idx3", 16, 784), ("labels-idx1", 8, 1)):
            content = gzip.decompress((MNIST / f"{part}-{kind}-ubyte.gz").read_bytes())
            start = content[:4] + n.to_bytes(4, "big") + content[8:header]
            (directory / f"{part}-{kind}-ubyte").write_bytes(start + content[header:header + n * size])
    return directory


@pytest.fixture
def sketched(request):
    """Figures are made and saved, not rendered, which is most of a small experiment: for tests that look at none.

    Those that are marked ``drawn`` render them.
    """
    with pytest.MonkeyPatch.context() as patch:         # a test may undo its own
        if "drawn" not in request.keywords:
            importlib.import_module("sketches").instead_of_figures(patch.setattr)
        yield


@pytest.fixture(scope="session")
def benchmark_named():
    """A function that imports a benchmark by its name."""
    return importlib.import_module


@pytest.fixture(scope="session")
def parameters_in(small_mnist):
    """A function that writes a parameters file with one or two layers, the first of which may compete: its path.

    Keywords replace or add names.
    """
    def write(folder, layers=1, lateral=0.0, **replacements):
        text = PARAMETERS.format(dataset=str(small_mnist), lateral=lateral, second=SECOND if layers == 2 else "")
        for name, value in replacements.items():
            text, found = re.subn(rf"^{name} = .*$", f"{name} = {value!r}", text, flags=re.MULTILINE)
            text += "" if found else f"\n{name} = {value!r}"
        path = folder / "parameters.py"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def parameters(parameters_in, tmp_path):
    """The same for the directory of a test."""
    return partial(parameters_in, tmp_path)
