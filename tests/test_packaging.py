"""What the extras install together."""

from importlib.metadata import requires

import pytest
from packaging.requirements import Requirement

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
    extras = {str(one.marker).split('"')[1] for one in REQUIRED if one.marker}
    assert {extra for extra in extras if "sPyNNaker" in of_extra(extra)} == {"spinnaker", "test", "complete"}
