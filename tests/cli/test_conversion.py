"""``--mode convert``: from a network of torch to a parameters file that runs, and what is refused."""

import json
import re
import runpy
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (pip install -e '.[torch]')")

from spikingconvnet.cli.main import main  # noqa: E402
from spikingconvnet.cli.messages import program  # noqa: E402
from spikingconvnet.experiment import settings  # noqa: E402

NETWORK = """
from torch import nn

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x):
        return nn.functional.relu(self.norm(self.two(nn.functional.relu(self.one(x)))) + x)

def made():
    return nn.Sequential(nn.Conv2d(1, 4, 5, stride=2, padding=2), nn.ReLU(), Block(), nn.AvgPool2d(7), nn.Flatten(),
                         nn.Linear(16, 10))

def refused():
    return nn.Sequential(nn.Conv2d(1, 4, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(576, 10))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a network and its weights, in which commands run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NETWORK)
    torch.manual_seed(0)
    torch.save(runpy.run_path("net.py")["made"]().state_dict(), "net.pt")
    return tmp_path


def run(capsys, *args):
    code = main(["--mode", "convert", *map(str, args)])
    return code, capsys.readouterr()


def test_a_network_becomes_a_parameters_file_that_runs(folder, small_mnist, capsys):
    code, said = run(capsys, "net.py:made", "mine.py", "--weights", "net.pt", "--mean", "0.1307", "--std", "0.3081",
                     "--source", small_mnist, "--json")
    found = json.loads(said.out)
    assert code == 0 and found["layers"] == 4 and found["parity"]["agree"] == 1.0
    made = settings.load("mine.py")
    assert made.model.stages[2].shortcuts[0].source == 1 and made.rule.weights == str(folder / "mine.npz")
    text = (folder / "mine.py").read_text().replace("n_steps=250", "n_steps=80").replace("SLOT = 255", "SLOT = 85")
    (folder / "mine.py").write_text(text.replace("N_TRAIN = 2_000", "N_TRAIN = 60").replace("N_TEST = None",
                                                                                           "N_TEST = 20"))
    assert main(["--mode", "demo", "--parameters", "mine.py", "--run-dir", "run"]) == 0
    assert "test accuracy" in capsys.readouterr().out


def test_an_exported_network_needs_neither_its_python_nor_the_shape_of_its_images(folder, small_mnist, capsys):
    network = runpy.run_path("net.py")["made"]().eval()
    torch.export.save(torch.export.export(network, (torch.rand(1, 1, 28, 28),)), "net.pt2")
    Path("net.py").unlink()
    code, said = run(capsys, "net.pt2", "mine.py", "--source", small_mnist, "--json")
    found = json.loads(said.out)
    assert code == 0 and found["layers"] == 4 and found["parity"]["agree"] == 1.0
    assert settings.load("mine.py").model.input_shape == (1, 28, 28)
    torch.export.save(torch.export.export(torch.nn.Conv2d(1, 3, 4), (torch.rand(1, 1, 4, 4),)), "net.pt2")
    assert run(capsys, "net.pt2", "other.py")[0] == 0 and settings.load("other.py").model.input_shape == (1, 4, 4)


def test_without_images_to_compare_with_it_says_so(folder, capsys):
    code, said = run(capsys, "net.py:made", "mine.py")
    assert code == 0 and "not compared with the network's own answers: there is no data/mnist" in said.out
    assert f"next: {program()} --mode demo --parameters" in said.out


@pytest.mark.parametrize("args, text", [
    (("net.py:refused", "x.py"), "MaxPool2d.*cannot be converted; use AvgPool2d"),
    (("net.py:nothing", "x.py"), "net.py: has no nothing"),
    (("none.py:made", "x.py"), "none.py: there is no such file"),
    (("net.pt", "x.py"), r"convert FILE.py:NAME mine.py --weights net.pt; or save it .*convert net.pt2 mine.py"),
    (("net.pt", "x.py", "--weights", "net.pt"), "--weights net.pt: belong to a network.*net.pt is a file of weights"),
    (("net.py:made", "x.txt"), "x.txt: must end with .py"), (("net.py:made", "net.py"), "net.py: is there already"),
    (("net.py:made", "x.py", "--mean", "a"), "--mean: must be numbers as 0.1307"),
    (("net.py:made", "x.py", "--std", "nan"), "--std: must be numbers as 0.1307"),
    (("net.py:made", "x.py", "--std", "0"), "std above 0"),
    (("net.py:made", "x.py", "--input-shape", "28x28"), "must be .channels, rows, columns. of one image"),
    (("net.py:made", "x.py", "--input-shape", "3x28x28"), "sees maps of 1 channels|Conv2d"),
    (("net.py:made", "x.py", "--weights", "none.pt"), "none.pt: there is no such file"),
    (("net.py:made",), "--mode convert: takes two paths, got net.py:made"),
])
def test_what_cannot_be_converted_is_a_sentence_and_leaves_nothing(folder, args, text, capsys):
    before = sorted(path.name for path in folder.iterdir() if path.suffix != ".pyc" and path.name != "__pycache__")
    code, said = run(capsys, *args)
    assert code == 2 and said.err.startswith("error: ") and re.search(text, said.err), said.err
    assert before == sorted(path.name for path in folder.iterdir() if path.suffix != ".pyc"
                            and path.name != "__pycache__")
