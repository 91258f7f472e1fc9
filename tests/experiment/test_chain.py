"""Models that run as one network, from a rule that trains all layers at once to the answers of every backend."""

import json
from pathlib import Path

import numpy as np
import pytest
from random_networks import by_reference, events

from spikingconvnet.cli import main as cli
from spikingconvnet.cli import parameters
from spikingconvnet.errors import SettingsError, StoreError
from spikingconvnet.experiment import experiment as module
from spikingconvnet.experiment import figures, replicas, settings
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.networks import subjects

pytestmark = pytest.mark.usefixtures("sketched")

PARAMETERS = """
from spikingconvnet import RegularEncoder
from spikingconvnet import {layers}
from spikingconvnet import Sequential
from spikingconvnet import IFCurrDelta, Intensity, Ridge

DATASET = {dataset!r}
N_TRAIN = 150
N_VALIDATION = 20
N_TEST = 30
FILTER = Intensity()
ENCODER = RegularEncoder(n_steps=12, max_rate=1.0)
SLOT = 13
RESET = {reset}
RULE = {rule}
CELL = IFCurrDelta(tau_m=2048.0, cm=1.0, v_rest=0.0, v_reset=0.0, v_thresh=1.0, tau_refrac=0.0, v=0.0)
MODEL = Sequential({model})
"""
CHAIN = """(1, 28, 28), Conv2D(2, 9, neuron=CELL), AvgPool2D(4), Dense(20, neuron=CELL), Dense(10, neuron=CELL),
                   SpikeCount(last=12)"""


@pytest.fixture
def write(small_mnist, tmp_path):
    """A function that writes a parameters file: its path."""
    def make(model=CHAIN, rule="Ridge(threshold=0.5)", reset=True, layers="AvgPool2D, Classifier, Conv2D, Dense,"
             " Membrane, SpikeCount"):
        path = tmp_path / "chain.py"
        path.write_text(PARAMETERS.format(dataset=str(small_mnist), model=model, rule=rule, reset=reset, layers=layers))
        return path

    return make


@pytest.fixture
def run(write, tmp_path):
    """A function that makes an Experiment, loads the images and trains it."""
    def make(directory="run", trained=True, seed=None, backend="local", **changes):
        made = Experiment(settings.load(write(**changes)).with_seed(seed), tmp_path / directory, backend, jobs=1)
        if trained:
            made.load_data()
            made.train_chain("ridge")
        return made

    return make


def chain_of(made, split="test", n=None):
    spikes = made.data(split)["spikes"]
    return made.network(len(made.model.stages), spikes.samples(0, n or spikes.n_samples))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(run):
    files = [[run(name, seed=seed).store.file(f"layers/{n}").read_bytes() for n in (1, 2, 3)]
             for name, seed in (("a", 3), ("b", 3), ("c", 4))]
    assert files[0] == files[1] and all(a != c for a, c in zip(files[0], files[2]))


def test_every_loop_behind_a_rule_is_counted(run):
    made, told = run(trained=False), []
    made.progress = lambda items, description: told.append((description, len(items))) or items
    made.load_data()
    made.train_chain("ridge")
    wanted = {"images: reading", "images: encoding, train", "images: filtering, train", "ridge: training",
              *(f"layer {number}: largest inputs" for number in (1, 2, 3)), "parity: spikes"}
    assert wanted <= {name for name, _ in told}
    assert {length for name, length in told if "inputs" in name} == {10} and ("parity: spikes", 20) in told


def test_answers_are_those_of_the_reference_counted_by_hand(run):
    made = run()
    answers, n = made.answers("test"), 4
    reference = by_reference(chain_of(made, n=n), [n * 13])
    counts, fired = np.zeros((n, 12, 10), int), np.zeros((n, 4), int)
    for step, unit in reference.spikes["layer3"]:
        if step % 13 < 12:
            counts[step // 13, step % 13:, unit] += 1
    for k, label in enumerate(("layer1", "layer2", "layer3"), start=1):
        np.add.at(fired[:, k], [step // 13 for step, _ in reference.spikes[label]], 1)
    fired[:, 0] = [made.data("test")["spikes"].samples(s, s + 1).n_events for s in range(n)]
    v = reference.membranes["layer3"]["v"].reshape(n, 13, 10)
    units = [[max(range(10), key=lambda u: (counts[s, t, u], v[s, t + 1, u], -u)) for t in range(12)] for s in range(n)]
    assert answers["units"][:n].tolist() == units and answers["output"][:n].tolist() == counts[:, -1].tolist()
    assert answers["spikes"][:n].tolist() == fired.tolist() and fired[:, 1:].sum() > 100


def test_the_score_is_that_of_the_last_step_and_better_than_chance(run):
    made = run()
    answers, score, course = made.answers("test"), made.test(), made.over_time("test")
    assert score.accuracy == np.mean(answers["units"][:, -1] == answers["labels"]) == course["accuracy"][-1] > 0.3
    assert course["steps"] == list(range(1, 13)) and list(course["spikes"]) == ["input", "layer1", "layer2", "layer3"]
    assert course["spikes"]["layer2"] == answers["spikes"][:, 2].mean() > 0
    assert made.features("test")[0].shape == (30, 10) and np.array_equal(made.features("test")[1], answers["labels"])


def test_units_stand_for_the_classes_in_ascending_order(run):
    made = run()
    digits = made.classes()
    object.__setattr__(made.settings, "classes", tuple(reversed(made.settings.classes)))
    assert np.array_equal(made.classes(), digits)


def test_answers_depend_neither_on_batches_nor_on_replicas_nor_on_copies(run, monkeypatch):
    found = []
    for name, batch, samples, copies in (("a", 250, 5000, 1), ("b", 7, 5000, 1), ("c", 4, 10, 3)):
        monkeypatch.setattr(replicas, "BATCH", batch)
        monkeypatch.setattr(replicas, "REPLICA_SAMPLES", samples)
        made = run(name)
        made.runner.copies = copies
        found.append(made.answers("test"))
    for other in found[1:]:
        assert all(np.array_equal(found[0][name], other[name]) for name in found[0])


def test_without_a_reset_an_image_depends_on_the_one_before(run):
    apart, together = run("apart").answers("test"), run("together", reset=False).answers("test")
    assert np.array_equal(apart["units"][0], together["units"][0])
    assert not np.array_equal(apart["spikes"], together["spikes"])


def test_cached_answers_are_not_computed_again_and_a_new_training_makes_new_ones(run, monkeypatch):
    made = run()
    made.answers("test")
    with monkeypatch.context() as patch:
        patch.setattr(made.runner.backend, "open", None)
        made.answers("test")
    other = run(trained=False, rule="Ridge(threshold=0.25)")
    assert other.has_data() and not other.is_trained(1)
    with pytest.raises(StoreError, match="other settings.*--mode training --run-dir"):
        other.test()


def test_membranes_of_units_that_never_fire_are_read_out(run):
    made = run(model=CHAIN.replace("SpikeCount(last=12)", "Membrane(4, 12)"))
    answers, v = made.answers("test"), by_reference(chain_of(made, n=2), [26]).membranes["layer3"]["v"]
    means = v.reshape(2, 13, 10)[:, 4:12].mean(axis=1) / 32768
    assert np.allclose(answers["output"][:2], means) and answers["units"].shape == (30, 8)
    assert answers["units"][:2, -1].tolist() == means.argmax(axis=1).tolist() and not answers["spikes"][:, 3].any()


def test_the_emulated_board_gives_the_same_answers(run, monkeypatch):
    """Two copies of the network with an image more than once each, reset in between."""
    monkeypatch.setattr(replicas, "REPLICA_SAMPLES", 2)
    made = run()
    shown = made.data("test")["spikes"].samples(0, 4)
    local = made.answers("test")
    networks = [made.network(3, shown.samples(s, s + 2)) for s in (0, 2)]
    answers, recording = replicas.classify(networks, made.model.readout, "spinnaker",
                                           directory=made.store.path / "spinnaker")
    for name in ("units", "output", "spikes"):
        assert np.array_equal(np.concatenate([one[name] for one in answers]), local[name][:4])
    assert local["spikes"][:4, 1:].all() and set(recording.membranes) == {"layer3#0", "layer3#1"}


def test_a_chain_is_checked_with_what_its_layers_fire(run):
    from spikingconvnet.board import check, resources

    made = run()
    subject, = subjects(made)
    checked = check.check(subject, resources.machine("spin5"))
    assert subject.basis == "learned kernels, stored spikes" and subject.network.reset_every == 13
    assert {(m.label, m.receptor) for m in checked.margins if m.measured} == {
        (f"layer{n}", receptor) for n in (1, 2, 3) for receptor in ("excitatory", "inhibitory")}
    assert all(m.measured > 1 for m in checked.margins) and checked.verdict != "does not fit"
    assert checked.connectors["layer2"] == "lists of connections onto one population of 20 units"
    assert "IFCurrDelta" in checked.connectors["layer1"]
    fired, = [load.spikes for load in checked.resources.loads if load.label == "layer2 0"]
    raster = subject.fired["layer1"]
    assert fired == np.diff(raster.offsets).max() > 0
    before, = subjects(run("untrained", trained=False))
    assert before.basis == "random kernels, no spikes yet"


def test_example_and_figures_know_a_chain(run):
    made = run()
    spikes, v = made.example(2, 3, membranes=True)
    reference = by_reference(chain_of(made, "train", 3), [39])
    assert events(spikes) == reference.spikes["layer2"] and v.shape == (39, 20)
    assert figures.figure_names(made) == ["inputs", "training", "kernels-1", "raster-1", "membranes-1", "activity-1",
                                         "kernels-2", "fields-2", "raster-2", "membranes-2", "raster-3", "membranes-3",
                                         "confusion", "confusion-validation"]
    assert len(figures.plot(made, ["kernels-1", "activity-1", "fields-2", "membranes-3"])) == 8


@pytest.mark.parametrize("changes, text", [
    ({"rule": "Ridge"}, "RULE: must be the settings of a rule .* RULE = ...()"),
    ({"model": "(1, 28, 28), Dense(10, neuron=CELL), Classifier()"}, "MODEL: must be a model that ends with Spike"),
    ({"model": "(1, 28, 28), Dense(10, neuron=CELL), Classifier()", "rule": "None"}, "RESET: must be False"),
    ({"model": "(1, 28, 28), Dense(9, neuron=CELL), SpikeCount()", "rule": "Ridge()\nCLASSES = range(10)"},
     "one output unit for each of the 10 CLASSES"),
    ({"model": "(1, 28, 28), Dense(10, neuron=CELL), SpikeCount(last=14)"}, "within the 13 steps"),
    ({"reset": 1}, "RESET: must be True or False")])
def test_parameters_that_do_not_fit_are_refused(write, changes, text):
    with pytest.raises(SettingsError, match=text):
        settings.load(write(**changes))


def test_a_rule_trains_the_kind_of_model_that_it_is_for(run):
    made = run(trained=False, rule="None")
    with pytest.raises(SettingsError, match="--rule stdp: trains one layer after another, .* ends with SpikeCount"):
        made.train_layer(1)
    with pytest.raises(SettingsError, match="--rule ridge: needs its settings as RULE .* hold none"):
        made.train_chain("ridge")


# The command line


@pytest.fixture
def command(write, tmp_path, capsys):
    """A function that runs one command line: (exit code, stdout, stderr)."""
    def call(*words, file=None):
        file = [] if file is None else ["--parameters", str(file)]
        code = cli.main([*map(str, words), *file, "--run-dir", str(tmp_path / "cli"), "--jobs", "1"])
        return (code, *capsys.readouterr())

    return call


def test_the_commands_train_and_test_a_chain(command, write, tmp_path):
    path = write()
    assert command("--mode", "loaddata", file=path)[0] == 0
    code, _, err = command("--mode", "training", "--rule", "ridge")
    assert code == 0 and "ridge: train error 0." in err
    assert ", train accuracy 0." in err and ", validation accuracy 0." in err
    assert "layer1: inputs of a step up to " in err and "threshold 0.5 mV" in err
    code, out, err = command("--mode", "testing", "--json")
    result = json.loads(out)
    assert code == 0 and result["over_time"]["accuracy"][-1] == result["accuracy"]
    assert "accuracy after 10, 12 steps: " in err and "spikes an image: " in err and " layer2" in err
    code, out, _ = command("--mode", "info")
    assert "layer 3: done, ridge" in out and "svm" not in out and "test accuracy" in out
    assert command("--mode", "check")[0] == 0
    assert command("--mode", "testing", "--split", "validation")[0] == 0


def test_a_chain_has_no_layer_to_train_alone(command, write):
    path = write()
    command("--mode", "loaddata", file=path)
    code, _, err = command("--mode", "training", "--layer", "1")
    assert code == 2 and "error: --layer: ridge trains all layers at once; leave --layer out" in err


def test_a_recipe_and_an_architecture_are_remembered(command, small_mnist, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = (Path(module.__file__).parent / "recipes/ridge.py").read_text()
    short = recipe.replace("60_000", "100").replace("10_000", "20")
    monkeypatch.setattr(parameters, "RECIPES", tmp_path / "recipes")
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes/ridge.py").write_text(short)
    code, out, err = command("--mode", "demo", "--rule", "ridge", "--arch", "784-30-10o", "--source", small_mnist)
    assert code == 0 and "Dense  30 units" in err and out.startswith("test accuracy ")
    assert (tmp_path / "cli/parameters.py").read_text() == short
    code, out, _ = command("--mode", "info", "--json")
    assert json.loads(out)["shapes"][1] == [30, 1, 1] and all(json.loads(out)["done"].values())
    assert command("--mode", "testing")[0] == 0
    code, _, err = command("--mode", "training", "--arch", "784-31-10")
    assert code == 5 and "other settings" in err and "--arch 784-31-10" in err
    code, _, err = command("--mode", "testing", "--arch", "784-30c-10")
    assert code == 2 and "'30c'" in err


def test_an_architecture_needs_a_rule_for_chains(command, parameters):
    code, _, err = command("--mode", "loaddata", "--arch", "784-10", file=parameters())
    assert code == 2 and "--arch 784-10: needs a rule that trains all layers at once" in err
