"""What the extras install together."""

import ast
from pathlib import Path

import pytest
from packaging.requirements import Requirement

SETUP = ast.parse((Path(__file__).parents[1] / "setup.py").read_text())
(EXTRAS,) = [ast.literal_eval(node.value) for node in ast.walk(SETUP)
             if isinstance(node, ast.keyword) and node.arg == "extras_require"]
WITH_SPYNNAKER = [name for name, lines in EXTRAS.items() if any("sPyNNaker" in line for line in lines)]


def test_the_extras_with_spynnaker_are_known():
    assert {"spinnaker", "test"} <= set(WITH_SPYNNAKER)


@pytest.mark.parametrize("extra", WITH_SPYNNAKER)
@pytest.mark.parametrize("numpy, good", [("2.3.5", True), ("2.4.0", False), ("2.4.6", False)])
def test_spynnaker_is_installed_with_a_numpy_with_which_it_reads_rewiring(extra, numpy, good):
    """Tried with its wheels: 2.3.5 reads them with a warning, 2.4.0 and 2.4.6 raise TypeError."""
    wanted = [Requirement(line).specifier for line in EXTRAS[extra] if Requirement(line).name == "numpy"]
    assert all(numpy in specifier for specifier in wanted) is good
