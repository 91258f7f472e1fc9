"""Files with weights of torch: read as numbers, fitted to the network that is named, refused with what is wrong."""

import importlib.util
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (pip install -e '.[torch]')")

from spikingconvnet.errors import BackendError, SettingsError  # noqa: E402
from spikingconvnet.training.chain.gradients import files, relu  # noqa: E402

nn = torch.nn
NETS = """
from torch import nn
from beside import CLASSES

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(),
                         nn.Linear(32, CLASSES))

def small():
    return Net()

def wide(units):
    return nn.Linear(1, units)

made, number = Net(), 3
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A directory with Python in which networks are, and that is where commands run."""
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "beside.py").write_text("CLASSES = 5\n")
    (tmp_path / "broken.py").write_text("1 / 0\n")
    (tmp_path / "ends.py").write_text("raise SystemExit(3)\n")
    monkeypatch.chdir(tmp_path)
    for name in ("nets", "beside", "broken", "ends"):
        monkeypatch.delitem(__import__("sys").modules, name, raising=False)
    return tmp_path


@pytest.fixture
def network(home):
    torch.manual_seed(0)
    return files.network_of(f"{home / 'nets.py'}:Net")


def same(one, other):
    return all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


@pytest.mark.parametrize("architecture", ["nets.py:Net", "nets.py:small", "nets.py:made", "nets:Net", "nets:small"])
@pytest.mark.parametrize("wrapped", [
    lambda weights: weights, lambda weights: {"state_dict": weights, "epoch": 3, "loss": 0.1},
    lambda weights: {"model": {f"module.{name}": value for name, value in weights.items()}},
    lambda weights: {"state_dict": {f"_orig_mod.module.{name}": value for name, value in weights.items()}},
    lambda weights: {name: value for name, value in weights.items() if "num_batches" not in name}])
def test_weights_come_back_into_the_network(home, network, architecture, wrapped):
    torch.save(wrapped(network.state_dict()), home / "net.pt")
    found = files.loaded(home / "net.pt", architecture)
    assert same(found, network) and found is not network
    assert relu.weights_of(found, (1, 4, 4))[1].layers[0].filters == 2


def test_a_network_can_be_given_itself(home, network):
    torch.save(network.state_dict(), home / "net.pth")
    assert same(files.loaded(str(home / "net.pth"), files.network_of("nets:Net")), network)


def test_safetensors(home, network):
    library = pytest.importorskip("safetensors.torch", reason="safetensors is not installed; an extra of its own")
    library.save_file(network.state_dict(), home / "net.safetensors")
    assert same(files.loaded(home / "net.safetensors", "nets:Net"), network)
    (home / "net.safetensors").write_bytes((home / "net.safetensors").read_bytes()[:40])
    with pytest.raises(SettingsError, match=r"net.safetensors: cannot be read, it is damaged"):
        files.loaded(home / "net.safetensors", "nets:Net")


def test_safetensors_without_the_library(home, monkeypatch):
    (home / "net.safetensors").write_bytes(b"")
    find = importlib.util.find_spec
    monkeypatch.setattr("spikingconvnet.gates.libraries.find_spec",
                        lambda name: None if name == "safetensors" else find(name))
    with pytest.raises(BackendError, match=r"pip install 'spikingconvnet\[safetensors\]'"):
        files.loaded(home / "net.safetensors", "nets:Net")


def cut(path):
    path.write_bytes(path.read_bytes()[:300])


class Runs:
    """What a pickle would run."""

    def __reduce__(self):
        return (Path.touch, (Path("ran"),))


@pytest.mark.parametrize("write, text", [
    (lambda path, _: torch.save(nn.Linear(2, 3), path), r"holds more than numbers, as a whole pickled net.*state_dict"),
    (lambda path, _: torch.save({"state_dict": Runs()}, path), "holds more than numbers"),
    (lambda path, _: torch.save([1, 2], path), "must hold a state_dict"),
    (lambda path, _: torch.save({"state_dict": {}}, path), "must hold a state_dict"),
    (lambda path, _: torch.save({"epoch": 3}, path), "must hold a state_dict"),
    (lambda path, _: path.write_bytes(b""), "cannot be read, it is damaged or of another kind"),
    (lambda path, _: path.write_text("no weights at all"), "cannot be read, it is damaged or of another kind"),
    (lambda path, network: (torch.save(network.state_dict(), path), cut(path)), "cannot be read, it is damaged"),
    (lambda path, _: path.mkdir(), "there is no such file"), (lambda path, _: None, "there is no such file")])
def test_files_that_hold_no_weights(home, network, write, text):
    write(home / "net.pt", network)
    with pytest.raises(SettingsError, match=f"net.pt: {text}"):
        files.loaded(home / "net.pt", "nets:Net")
    assert not (home / "ran").exists()


@pytest.mark.parametrize("architecture, text", [
    (None, r"FILE.py:NAME mine.py --weights /.*net.pt; or save it.*export.save\(.*convert net.pt2 mine.py"),
    ("nets", "must be MODULE:NAME or FILE.py:NAME"),
    (":Net", "must be MODULE:NAME"), ("nets:Other", "nets: has no Other"), ("nets.py:Other", "nets.py: has no Other"),
    ("nowhere:Net", "nowhere: cannot be imported: ModuleNotFoundError"), ("nowhere.py:Net", "there is no such file"),
    ("broken.py:Net", "broken.py: cannot be imported: ZeroDivisionError"), ("ends:Net", "imported: SystemExit"),
    ("nets:wide", "nets:wide: cannot be made without arguments.*units"), ("nets:number", "cannot be made"),
    ("builtins:dict", "must be or make a torch.nn.Module, got dict")])
def test_architectures_that_are_none(home, network, architecture, text):
    torch.save(network.state_dict(), home / "net.pt")
    with pytest.raises(SettingsError, match=text):
        files.loaded(home / "net.pt", architecture)


@pytest.mark.parametrize("change, text", [
    (lambda weights: weights.pop("4.bias"), "lacks 4.bias"), (lambda weights: weights.update({"5.x": torch.ones(1)}),
                                                              "has besides 5.x"),
    (lambda weights: weights.update({"4.weight": torch.ones(5, 30)}), r"4.weight is of shape \(5, 30\), not \(5, 32\)"),
    (lambda weights: weights.update({f"{i}.y": torch.ones(1) for i in range(10, 18)}), "besides 10.y,.* and 3 more")])
def test_weights_of_another_network(home, network, change, text):
    weights = dict(network.state_dict())
    change(weights)
    torch.save(weights, home / "net.pt")
    with pytest.raises(SettingsError, match=f"net.pt: is not of this network: .*{text}"):
        files.loaded(home / "net.pt", "nets:Net")


def test_another_kind_of_file(home):
    with pytest.raises(SettingsError, match="net.onnx: must end with .pt, .pth, .pt2, .safetensors"):
        files.loaded(home / "net.onnx", "nets:Net")
