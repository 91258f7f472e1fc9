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


ROOMS = ("data", "exchange", "experiment", "network", "training")
ELSEWHERE = {name: module for name, module in scn.PUBLIC.items() if name not in scn.__all__}


@pytest.mark.parametrize("name", scn.PUBLIC)
def test_every_name_is_there_and_documented(name):
    module = import_module(scn.PUBLIC[name])
    value = getattr(module, name)
    assert value.__doc__ and getattr(module, name) is value is scn.find(name)
    assert value.__module__.startswith("spikingconvnet.") and name in dir(module)
    assert value.__module__.split(".")[1] not in ROOMS or name in import_module(
        ".".join(value.__module__.split(".")[:2])).__all__        # the room has what the face has of it


def test_the_face_stays_small():
    assert len(scn.__all__) <= 45 and set(scn.PUBLIC.values()) == {
        "spikingconvnet", *(f"spikingconvnet.{room}" for room in ROOMS)}
    assert {"errors", *ROOMS} <= set(dir(scn)) and scn.errors.SpikingConvNetError is scn.SpikingConvNetError


def test_the_page_lists_the_names_and_no_others():
    listed, module = {}, ""
    for line in (ROOT / "docs/api.md").read_text().splitlines():
        heading = re.match(r"## (?:Every day: )?`scn(.*)`", line)
        module = f"spikingconvnet{heading[1]}" if heading else module
        if line.startswith("|"):
            listed |= dict.fromkeys(re.findall(r"`(\w+)`", line.split("|")[1]), module)
    assert listed == scn.PUBLIC


def told(tree):
    """Names that a type checker is told of: (name, module, name there)."""
    nodes = list(ast.walk(tree))
    imports = [(node.module, alias.name, alias.asname) for node in nodes if isinstance(node, ast.ImportFrom)
               for alias in node.names]
    modules = {name: f"{module}.{own}" for module, own, name in imports if name and name.startswith("_")}
    yield from ((name, module, own) for module, own, name in imports if name and name not in modules)
    yield from ((name, module, name) for module, own, _ in imports if own == "*"
                for name in import_module(module).__all__)
    yield from ((node.targets[0].id, modules[node.value.value.id], node.value.attr) for node in nodes
                if isinstance(node, ast.Assign) and isinstance(node.value, ast.Attribute)
                and getattr(node.value.value, "id", "") in modules)


def located(names):
    return sorted((name, f"spikingconvnet.{home}", own) for name in names for home, own in [scn._FOUND_AT[name]])


def test_a_type_checker_is_told_of_the_same_names_from_the_same_modules():
    found = sorted(told(ast.parse((ROOT / "spikingconvnet/__init__.pyi").read_text())))
    rooms = [(room, "spikingconvnet", room) for room in ("errors", *ROOMS)]
    assert found == sorted([*rooms, *located(scn.__all__)])


@pytest.mark.parametrize("room", ROOMS)
def test_a_type_checker_is_told_of_the_names_of_a_room(room):
    module = import_module(f"spikingconvnet.{room}")
    assert sorted(told(ast.parse(Path(module.__file__).read_text()))) == located(module.__all__)
    with pytest.raises(AttributeError, match=f"module 'spikingconvnet.{room}' has no attribute 'Conv3D'; there are "):
        _ = module.Conv3D


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_name_that_moved_to_a_room_is_found_with_a_warning(name):
    with pytest.warns(DeprecationWarning, match=rf"^spikingconvnet.{name} is {ELSEWHERE[name]}.{name}; version 0.3"):
        assert getattr(scn, name) is scn.find(name)
    assert name not in vars(scn) and name not in dir(scn)


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
    assert loaded_by("import spikingconvnet as scn; scn.exchange; scn.data; scn.network; scn.experiment") == {
        "spikingconvnet", *(f"spikingconvnet.{room}" for room in ("data", "exchange", "experiment", "network"))}


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
    """No name of a room, neither imported nor as ``scn.network.LateralInhibition``."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("spikingconvnet"):
            assert node.module == "spikingconvnet"
            assert {alias.name for alias in node.names} <= set(scn.__all__)
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith("spikingconvnet.") for alias in node.names)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "scn":
            assert node.attr in scn.__all__


def test_nobody_here_takes_from_the_face_what_a_room_has():
    """Tests would fail, see ``filterwarnings``; these are not all run."""
    files = [*sources(), *(ROOT / "benchmarks").rglob("*.py")]
    assert {str(path): found for path in files if (found := doors.in_rooms(path.read_bytes()))} == {}
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    spelled = re.compile(rf"\b(?:scn|spikingconvnet)\.(?:{'|'.join(ELSEWHERE)})\b")
    assert {str(path): found for path in pages if (found := spelled.findall(path.read_text()))} == {}


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
    with doors.old_names(ROOT / "parameters.py"):
        module = __import__(f"spikingconvnet.{name}", fromlist=["anything"])
        assert not doors.MOVED[name] or any(not word.startswith("_") for word in vars(module))


def test_a_wrong_name_behind_a_door_is_an_error_of_the_file(tmp_path):
    path = tmp_path / "parameters.py"
    path.write_text("from spikingconvnet.layers import Conv3D\n")
    with pytest.raises(scn.SpikingConvNetError, match="line 1: ImportError: .*Conv3D"):
        settings.load(path)


ROOMY = """
from spikingconvnet.data import BitPlanes
from spikingconvnet.training import CompetingUnits, ErrorDriven
from spikingconvnet import *
DATASET = "data/mnist"
FILTER = BitPlanes()
ENCODER = LatencyEncoder(15)
SLOT = 30
MODEL = Sequential((8, 28, 28), Conv2D(4, 5, training=CompetingUnits()), Classifier(learn=ErrorDriven()))
"""
BEFORE = {"star": re.sub(r"from spikingconvnet\.\w+ import .*\n", "", ROOMY),
          "names": re.sub(r"(from spikingconvnet)\.\w+ import", r"\1 import", ROOMY),
          "attributes": re.sub(r"from spikingconvnet\.\w+ import .*\n", "", ROOMY).replace(
              "from", "import spikingconvnet as scn\nfrom", 1).replace("= BitPlanes", "= scn.BitPlanes")}


@pytest.mark.parametrize("spelling", BEFORE)
def test_a_parameters_file_may_take_from_the_face_what_a_room_has(spelling, tmp_path, caplog):
    new, old = tmp_path / "new.py", tmp_path / "old.py"
    new.write_text(ROOMY)
    old.write_text(BEFORE[spelling])
    wanted = settings.load(new)
    assert caplog.text == ""
    assert repr(settings.load(old)) == repr(wanted)         # what digests are made of
    assert len(caplog.messages) == 1 and caplog.messages[0].endswith(
        "in its rooms alone; write: from spikingconvnet.data import BitPlanes; from spikingconvnet.training import"
        " CompetingUnits, ErrorDriven")
    with pytest.warns(DeprecationWarning, match="BitPlanes"):           # elsewhere it is as before
        _ = scn.BitPlanes


@pytest.mark.parametrize("source, found", [
    ("from spikingconvnet import *; from spikingconvnet.data import *; Opponents", []),
    ("from spikingconvnet import *; from spikingconvnet.data import Opponents; Opponents", []),
    ("from spikingconvnet import *; from spikingconvnet.network import *; Opponents", ["data"]),
    ("from spikingconvnet.experiment.recipes.ridge import *; Opponents", []),
    ("import spikingconvnet; spikingconvnet.Trained; spikingconvnet.STDP; spikingconvnet.data.Opponents", ["training"]),
    ("from spikingconvnet import *\nclass Homeostasis: pass\nHomeostasis()", []),
    ("class scn:\n  Trained = 1\nscn.Trained", [])])
def test_only_what_comes_from_the_face_is_told(source, found):
    assert [line.split()[1].rpartition(".")[2] for line in doors.in_rooms(source.encode())] == found


def test_the_face_is_small_again_behind_a_file_that_fails(tmp_path):
    path = tmp_path / "parameters.py"
    path.write_text("from spikingconvnet import *\nFILTER = BitPlanes(1, 2, 3)\n")
    with pytest.raises(scn.SpikingConvNetError, match="line 2: TypeError: BitPlanes"):
        settings.load(path)
    assert len(scn.__all__) == len(set(scn.PUBLIC) - set(ELSEWHERE))
