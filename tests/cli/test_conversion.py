"""``--mode convert``: from a network of torch to a parameters file that runs, and what is refused."""

import json
import re
import runpy
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (pip install -e '.[torch]')")

from spikingconvnet import Experiment, Intensity, RegularEncoder  # noqa: E402
from spikingconvnet.cli import conversion_shown  # noqa: E402
from spikingconvnet.cli.main import main  # noqa: E402
from spikingconvnet.cli.messages import program  # noqa: E402
from spikingconvnet.data import sources  # noqa: E402
from spikingconvnet.errors import SettingsError  # noqa: E402
from spikingconvnet.experiment import settings  # noqa: E402
from spikingconvnet.training.chain import convert  # noqa: E402
from spikingconvnet.training.chain.units import activations  # noqa: E402

pytestmark = pytest.mark.usefixtures("sketched")

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

def coloured():
    made = nn.Sequential(nn.Conv2d(3, 2, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(98, 2))
    for layer in (made[0], made[3]):
        layer.weight.data *= 0.1
    for colour in (0, 1):           # a map of red and one of green, an output for each
        made[0].weight.data[colour, colour] += 0.1
        made[3].weight.data[colour, 49 * colour:49 * (colour + 1)] += 0.1
    return made

def deep():
    return nn.Sequential(nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(784, 2))

def of_events(channels=2):
    made = nn.Sequential(nn.Conv2d(channels, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 2))
    for layer in (made[0], made[3]):
        layer.weight.data *= 0.1
        layer.bias.data *= 0.0
    for polarity in range(channels):        # a map of each, an output for each, and one that answers if there is little
        made[0].weight.data[polarity, polarity] += 0.2
        made[3].weight.data[polarity, 36 * polarity:36 * (polarity + 1)] += 0.2
    made[3].bias.data[1] = 8.0
    return made

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


def test_a_network_of_coloured_images_sees_their_colours(folder, capsys):
    rng = np.random.default_rng(0)
    labels = np.arange(80) % 2
    images = rng.integers(0, 120, (80, 16, 16, 3), np.uint8)
    images[np.arange(80), :, :, labels] += 100             # red or green
    np.savez("colours.npz", x_train=images[:60], y_train=labels[:60], x_test=images[60:], y_test=labels[60:])
    code, said = run(capsys, "net.py:coloured", "mine.py", "--input-shape", "3x16x16", "--source", "colours.npz",
                     "--json")
    assert code == 0 and json.loads(said.out)["parity"]["agree"] == 1.0
    text = (folder / "mine.py").read_text().replace("n_steps=250", "n_steps=60").replace("SLOT = 253", "SLOT = 63")
    (folder / "mine.py").write_text(text.replace("N_TRAIN = 2_000", "N_TRAIN = 60").replace("first=62", "first=15"))
    made = Experiment(settings.load("mine.py"), "run", jobs=1)
    made.load_data()
    made.train_chain()
    units, model = convert.load(made.settings.rule.weights, made.model), made.model
    wanted = activations(model, units, np.moveaxis(images[60:], 3, 1) / 255)[-1][..., 0, 0].argmax(axis=1)
    assert np.mean(made.answers("test")["units"][:, -1] == wanted) > 0.8 and len(set(wanted)) == 2
    code, said = run(capsys, "net.py:deep", "other.py", "--input-shape", "4x16x16")
    assert code == 2 and "images of 4 channels: parameters show grey ones, of 1, or coloured ones, of 3" in said.err


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


@pytest.fixture
def events(folder):
    """Samples of 8x8 pixels in 20 ms: many events that brighten, or as many that darken."""
    rng, arrays = np.random.default_rng(0), {}
    for end, n in (("", 40), ("_test", 20)):
        labels, count = np.arange(n) % 2, 120
        darker = np.repeat(labels, count) ^ (rng.random(n * count) < 0.2)
        arrays |= {f"labels{end}": labels, f"sample{end}": np.repeat(np.arange(n), count), f"p{end}": 1 - darker,
                   f"t{end}": np.tile(np.linspace(0, 19_900, count).astype(int), n),
                   **{f"{name}{end}": rng.integers(0, 8, n * count) for name in "xy"}}
    np.savez("events.npz", **arrays)
    return arrays


CONVERT = "net.py:of_events", "mine.py", "--source", "events.npz"


def test_a_network_of_event_counts_is_tested_with_the_events_themselves(folder, events, capsys):
    code, said = run(capsys, *CONVERT, "--scale", "1", "--json")
    found = json.loads(said.out)
    assert code == 0 and found["parity"]["agree"] == 1.0
    assert found["events"] == ["ENCODER = EventBins(size=(8, 8), n_steps=20, once=False, scale=1); the events reach 8x8"
                               " pixels", "the network itself recognises 100.0 % of 40 training samples with --scale 1",
                               "warning: 20 steps a sample are few: a layer that fires in every fourth at most counts"
                               " to 5; --set ENCODER.per_step=250 makes more of them"]
    made = Experiment(settings.load("mine.py"), "run", jobs=1)
    assert made.settings.n_train == 40 and made.settings.slot == 23
    made.load_data()
    told = made.train_chain()
    assert [report["rows"][0]["difference"] < 1e-6 for report in told["parity"]] == [True, True]
    test = sources.load("events.npz").test
    assert made.data("test")["spikes"] == made.settings.encoder(test).with_gap(23)
    assert made.data("test")["spikes"].counts().sum() == 20 * 120             # several of a pixel in a step, too
    assert made.test().accuracy >= 0.9
    # another way of counting than the network's own is refused, not answered
    for change, text in (("scale=2", "ENCODER.scale: must be 1, the events that were an input of 1"),
                         ("scale=1, clip=1", "ENCODER.clip: must be None")):
        Path("other.py").write_text(Path("mine.py").read_text().replace("scale=1", change))
        made = Experiment(settings.load("other.py"), "other", jobs=1)
        made.load_data()
        with pytest.raises(SettingsError, match=text):
            made.train_chain()
    images = settings.load("mine.py").rule
    with pytest.raises(SettingsError, match="must be of a network that was trained on images, which ENCODER takes"):
        convert.judge(images, made.model, Intensity(), RegularEncoder())


def test_what_the_network_was_trained_on_is_told_or_asked_for(folder, events, capsys):
    code, said = run(capsys, *CONVERT)
    assert code == 2 and "--scale: is missing" in said.err and "100.0 % with --scale 1, " in said.err
    assert "50.0 % with --scale 20 (spikes a step)" in said.err
    code, said = run(capsys, *CONVERT, "--scale", "1", "--clip", "1", "--set", "ENCODER.per_step=500", "--json")
    told = json.loads(said.out)["events"]
    assert code == 0 and "n_steps=40, per_step=500, once=False, scale=1, clip=1" in told[0]
    assert "of the events are left out by ENCODER.clip" in told[2]
    Path("mine.py").unlink(), Path("mine.npz").unlink()
    code, said = run(capsys, *CONVERT, "--set", "ENCODER.scale=20")
    assert code == 0 and "warning: with --scale 1 it recognises 100.0 %; is that what it was trained on?" in said.out


@pytest.mark.parametrize("args, text", [
    (("--input-shape", "2x28x28"), "network sees 28x28 pixels, and the events reach 8x8; say what lies between by"),
    (("--input-shape", "2x5x5"), "network sees 5x5 pixels, and the events reach 8x8"),
    (("--input-shape", "6x8x8"), "a network of 6 channels; events have 2"),
    (("--set", "ENCODER.pool=2", "--input-shape", "2x8x8"), "network sees 2x8x8, and ENCODER shows 2x4x4"),
    (("--set", "ENCODER.per_step=20000"), "longest sample lasts 19900 .*, 1 steps of 20000; say how much of that unit"),
    (("--set", "N_TRAIN=5"), "--set N_TRAIN: with --mode convert it takes fields of ENCODER"),
    (("--set", "ENCODER.nsteps=5"), "--set ENCODER: .*nsteps.*n_steps"),
    (("--scale", "a"), "EventBins.scale: must be a number"), (("--clip", "0"), "--clip: must be at least 1"),
    (("--source", "none.npz", "--scale", "1"), "--scale: with --mode convert it belongs to events, and none.npz holds"),
])
def test_events_that_a_network_cannot_be_shown_are_refused(folder, events, args, text, capsys):
    code, said = run(capsys, *CONVERT, *args)
    assert code == 2 and re.search(text, said.err), said.err
    assert not Path("mine.py").exists()


def test_a_coarser_network_is_shown_pools_of_the_sensor(folder, events, capsys):
    shown = conversion_shown.bins_of(sources.load("events.npz").train, (1, 4, 4),
                                     Namespace(set=None, scale="2", clip=None))
    assert repr(shown) == ("EventBins(size=(8, 8), n_steps=20, per_step=1000.0, crop=None, pool=2, polarity=False,"
                           " once=False, scale=2)")
