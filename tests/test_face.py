"""What ``import spikingconvnet`` offers: names, when they are loaded, and the old ones for a version more."""

import ast
import logging
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import spikingconvnet as scn
from spikingconvnet.experiment import doors, settings

ROOT = Path(__file__).parent.parent
OLD = """
from spikingconvnet.encoding import LatencyEncoder
from spikingconvnet.layers import STDP, Classifier, Conv2D
from spikingconvnet.model import Sequential
from spikingconvnet.neurons import IFCurrExp
from spikingconvnet.plasticity import AdditiveWeightDependence, SpikePairRule, STDPMechanism
from spikingconvnet.preprocessing import DifferenceOfGaussians
DATASET = "data/mnist"
FILTER = DifferenceOfGaussians()
ENCODER = LatencyEncoder(15)
SLOT = 30
MODEL = Sequential((2, 28, 28), Conv2D(4, 5, neuron=IFCurrExp(), training=STDP(mechanism=STDPMechanism(
    SpikePairRule(), AdditiveWeightDependence()))), Classifier())
"""


@pytest.mark.parametrize("name", scn.__all__)
def test_every_name_is_there_and_documented(name):
    value = getattr(scn, name)
    assert value.__doc__ and getattr(scn, name) is value
    assert value.__module__.startswith("spikingconvnet.") and name in dir(scn)


def test_the_page_lists_the_names_and_no_others():
    tables = "\n".join(line.split("|")[1] for line in (ROOT / "docs/api.md").read_text().splitlines()
                       if line.startswith("|"))
    assert set(re.findall(r"`(\w+)`", tables)) == set(scn.__all__)


def test_a_type_checker_is_told_of_the_same_names_from_the_same_modules():
    tree = ast.parse((ROOT / "spikingconvnet/__init__.pyi").read_text())
    imports = [(node.module, alias.name, alias.asname) for node in tree.body if isinstance(node, ast.ImportFrom)
               for alias in node.names]
    modules = {name: f"{module}.{own}" for module, own, name in imports if name and name.startswith("_")}
    told = [(name, module, own) for module, own, name in imports if name and name not in modules]
    told += [(name, module, name) for module, own, _ in imports if own == "*"
             for name in import_module(module).__all__]
    told += [(node.targets[0].id, modules[node.value.value.id], node.value.attr) for node in tree.body
             if isinstance(node, ast.Assign)]
    assert sorted(told) == sorted((name, f"spikingconvnet.{home}", own) for name, (home, own) in scn._FOUND_AT.items())


def test_an_unknown_name_is_told_which_there_are():
    with pytest.raises(AttributeError, match="no attribute 'Conv3D'; there are Sequential, Conv2D"):
        _ = scn.Conv3D
    with pytest.raises(ImportError):
        from spikingconvnet import Conv3D  # noqa: F401


def loaded_by(statement):
    """Modules of the package, and numpy, that a statement loads."""
    code = (f"import sys; {statement};"
            " print(*(name for name in sys.modules if name.split('.')[0] in ('spikingconvnet', 'numpy')))")
    done = subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True)
    return set(done.stdout.split())


def test_names_are_loaded_when_they_are_first_used():
    assert loaded_by("import spikingconvnet") == {"spikingconvnet"}
    found = loaded_by("from spikingconvnet import Spikes")
    assert "spikingconvnet.network.spikes" in found and "spikingconvnet.model" not in found


def test_a_network_is_run_and_opened_by_the_face():
    spikes = scn.Spikes.from_events([0], [0], [1], (1, 1, 1), n_samples=1, n_steps=20)
    network = scn.Network(
        (scn.Population("in", (1, 1, 1), scn.SpikeSourceArray(spikes)),
         scn.Population("out", (2, 1, 1), scn.IFCurrExp())),
        (scn.Projection("all", "in", "out", scn.DenseConnections(np.array([[20.0, 0.0]]))),))
    whole = scn.run(network, record=["out"])
    with scn.open(network, record=["out"]) as simulation:
        simulation.run(simulation.source_steps)
        assert np.array_equal(simulation.recording().membranes["out"]["v"], whole.membranes["out"]["v"])
    assert whole.membrane("out").shape == (20, 2)
    v = whole.membrane("out")
    assert v[:, 0].max() > v[:, 1].max()
    with pytest.raises(scn.SpikingConvNetError, match="must be one of local, spinnaker, nest, brian2, got 'nowhere'"):
        scn.run(network, backend="nowhere")


def sources():
    folders = [ROOT / "examples", ROOT / "spikingconvnet/experiment/recipes"]
    return [ROOT / "parameters.py", *(path for folder in folders for path in sorted(folder.glob("*.py")))]


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.stem)
def test_parameters_recipes_and_examples_use_the_face_alone(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("spikingconvnet"):
            assert node.module == "spikingconvnet" and {alias.name for alias in node.names} <= set(scn.__all__)
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith("spikingconvnet.") for alias in node.names)


def test_a_parameters_file_of_before_is_read_with_a_warning(tmp_path, caplog):
    path = tmp_path / "parameters.py"
    path.write_text(OLD)
    new = tmp_path / "new.py"
    new.write_text(re.sub(r"from spikingconvnet\.\w+ import", "from spikingconvnet import", OLD))
    before = set(sys.modules)
    for _ in range(2):                          # as often as it is read
        with caplog.at_level(logging.WARNING):
            found = settings.load(path)
        assert "imports from spikingconvnet.encoding, spikingconvnet.layers," in caplog.text
        assert str(path) in caplog.text and "from spikingconvnet import" in caplog.text
        caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert found.model.layers == settings.load(new).model.layers and caplog.text == ""
    assert not {name for name in set(sys.modules) - before if name.partition(".")[2] in doors.MOVED}


@pytest.mark.parametrize("name", sorted(doors.MOVED))
def test_every_door_leads_somewhere_and_is_shut_otherwise(name):
    code = f"import spikingconvnet.{name}"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT).returncode == 1
    with doors.old_names("here"):
        module = __import__(f"spikingconvnet.{name}", fromlist=["anything"])
        assert not doors.MOVED[name] or any(not word.startswith("_") for word in vars(module))


def test_a_wrong_name_behind_a_door_is_an_error_of_the_file(tmp_path):
    path = tmp_path / "parameters.py"
    path.write_text("from spikingconvnet.layers import Conv3D\n")
    with pytest.raises(scn.SpikingConvNetError, match="line 1: ImportError: .*Conv3D"):
        settings.load(path)
