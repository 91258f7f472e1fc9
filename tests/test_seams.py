"""Where a kind of neuron, or a rule of plasticity, is said: six files of the package each, and nowhere else."""

import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "spikingconvnet"
LOCAL = "backends/local/"
SEAMS = {
    "Ca2Adaptive|ca2|adaptation|Adaptation|ADAPT": {
        "network/neurons.py", "board/programs.py", "board/reference_neurons.py", LOCAL + "own_states.h",
        LOCAL + "general_kernels.py", "__init__.py"},
    "[Tt]riplet|TRIPLET": {
        "network/plasticity.py", "board/rules.py", "board/reference_rules.py", LOCAL + "general_native.c",
        LOCAL + "general_kernels.py", "__init__.py"}}
FACTS = {"board/binaries.py"}       # what sPyNNaker installs, whether there is a record of it or not


def without_remarks(path):
    """A file's code, without comments and docstrings."""
    text = path.read_text()
    if path.suffix in (".c", ".h"):
        return re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return re.sub(r'"""(?s:.*?)"""|#[^\n"]*', "", text)


def files_with(pattern):
    return {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*")
            if path.suffix in (".py", ".pyi", ".c", ".h") and re.search(pattern, without_remarks(path))}


@pytest.mark.parametrize("pattern", SEAMS)
def test_six_files_say_it(pattern):
    assert len(SEAMS[pattern]) == 6
    assert files_with(pattern) - FACTS == SEAMS[pattern]
