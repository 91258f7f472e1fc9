"""What the extras install together, and what is installed."""

import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
REQUIRED = [Requirement(line) for line in requires("spikingconvnet")]


def of_extra(extra):
    """Version specifiers of what an extra installs: dict of str to SpecifierSet."""
    return {one.name: one.specifier for one in REQUIRED if one.marker and one.marker.evaluate({"extra": extra})}


@pytest.mark.parametrize("extra", ["spinnaker", "test", "complete"])
def test_spynnaker_is_installed_with_a_numpy_with_which_it_reads_rewiring(extra):
    """Tried with its wheels: 2.3.5 reads them with a warning, 2.4.0 raises TypeError."""
    found = of_extra(extra)
    assert "sPyNNaker" in found and found["numpy"].contains("2.3.5") and not found["numpy"].contains("2.4.0")


def test_no_other_extra_brings_spynnaker():
    extras = {str(one.marker).split('"')[1] for one in REQUIRED if one.marker and "extra" in str(one.marker)}
    assert {extra for extra in extras if "sPyNNaker" in of_extra(extra)} == {"spinnaker", "test", "complete"}


def test_what_is_installed_has_its_types_with_it(tmp_path):
    """PEP 561: without the marker a type checker takes the package's annotations for nothing."""
    subprocess.run([sys.executable, "setup.py", "-q", "build_py", "--build-lib", tmp_path], cwd=ROOT, check=True)
    assert {"py.typed", "__init__.pyi"} <= {path.name for path in (tmp_path / "spikingconvnet").iterdir()}
