"""Networks of surrogate gradients on a board: the spikes of their equations, the steps of their training, refusals."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikingconvnet import backends
from spikingconvnet.backends import get_backend
from spikingconvnet.cli.parameters import RECIPES
from spikingconvnet.data.encoding import RateEncoder, RegularEncoder
from spikingconvnet.errors import BackendError, DataError, SettingsError, StoreError
from spikingconvnet.experiment import replicas, settings
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.gates import libraries
from spikingconvnet.model import build, shorthand
from spikingconvnet.model.layers import AvgPool2D, Dense
from spikingconvnet.model.readouts import Membrane, SpikeCount
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.network.neurons import IFCurrExp
from spikingconvnet.training.chain import balance, surrogate
from spikingconvnet.training.chain.convert import Convert
from spikingconvnet.training.chain.surrogate import Surrogate

CELL = Surrogate().neuron
MNIST = Path(__file__).parents[2] / "data" / "mnist"
# surrogate.save of gradients.spiking.train on the first 55,000 training digits: RegularEncoder(n_steps=10), 3 epochs in
# batches of 256, no shift, learning rate 5e-3, generator seeded with [0, 1]; rounded to float16.
STORED = Path(__file__).parent / "weights" / "surrogate-28x28-2s-24-10.npz"
STEPS = 10


def fired_on_board(model, layers, spikes):
    """Spikes of every layer in the integers of a board: list of (samples, steps, *shape)."""
    shown = spikes.with_gap(spikes.n_steps + len(layers) + 1)
    lower, _ = balance.balanced(model, layers, shown, get_backend("local").open, True)
    recording = backends.run(build.inference_network(model.stages, lower, shown, True), jobs=1)
    return [recording.spikes[stage.label].raster().reshape(shown.n_samples, shown.n_steps, *stage.out_shape)
            for stage in model.stages]


@pytest.mark.parametrize("cell", [
    CELL, replace(CELL, tau_m=5.0, cm=0.2, v_reset=-0.4), replace(CELL, v_rest=-65.0, v_reset=-70.0, v_thresh=-50.0,
                                                                   v=-65.0)])
@pytest.mark.parametrize("encoder", [RegularEncoder, RateEncoder])
def test_a_board_fires_the_spikes_of_the_equations_one_step_later_a_layer(cell, encoder):
    """Weights that a board can hold without rounding, so that only its membranes round."""
    rng = np.random.default_rng(0)
    model = shorthand.parse("2x11x9-3c2-2s-4c2-6-5", (2, 11, 9), cell, SpikeCount())
    shapes = [stage.layer.kernel_shape(stage.in_shape) for stage in model.stages]
    grid = 64 * (cell.v_thresh - cell.v_rest) / balance.gain(cell)       # 64ths of a nA
    kernels = [np.rint(grid * rng.normal(0.1, 1.5 * np.prod(shape[1:]) ** -0.5, shape)) / grid for shape in shapes]
    spikes = encoder(n_steps=12, max_rate=0.8)(rng.random((5, 2, 11, 9)), rng)
    expected, _ = surrogate.simulated(model, kernels, spikes)
    found = fired_on_board(model, surrogate.converted(model, kernels), spikes)
    for stage, one, other in zip(model.stages, expected, found):
        late = stage.number
        assert not other[:, :late].any() and not other[:, late + 12:].any() and 0.01 < one.mean() < 0.9
        assert np.mean(one != other[:, late:late + 12]) < 0.001


def test_the_membrane_leaks_adds_up_and_is_reset():
    """By hand: drive 0.3 in every step, decay exp(-1/20)."""
    model = Sequential((1, 1, 1), Dense(1, neuron=replace(CELL, v_reset=-0.5)), SpikeCount())
    spikes = RegularEncoder(n_steps=20, max_rate=1.0)(np.ones((1, 1, 1, 1)))
    v, fires = 0.0, []
    for step in range(20):
        v = np.exp(-1 / 20) * v + 0.3
        if v >= 1:
            v, fires = -0.5, [*fires, step]
    kernels = [np.full((1, 1, 1, 1), 0.3)]
    found = surrogate.simulated(model, kernels, spikes)[0][0].ravel()
    on_board = fired_on_board(model, surrogate.converted(model, kernels), spikes)[0].ravel()
    assert np.flatnonzero(found).tolist() == fires == (np.flatnonzero(on_board) - 1).tolist() and len(fires) == 3


# A stored network


@pytest.fixture
def run(tmp_path):
    """A function that makes an Experiment from the recipe with the stored network: loaded and trained."""
    def make(n_test=300, n_steps=STEPS, directory="run", weights=str(STORED)):
        recipe = settings.load(RECIPES / "surrogate.py")
        model = Sequential((1, 28, 28), AvgPool2D(2), Dense(24, neuron=CELL), Dense(10, neuron=CELL), SpikeCount())
        made = Experiment(replace(recipe, dataset=str(MNIST), model=model, rule=replace(recipe.rule, weights=weights),
                                  encoder=RegularEncoder(n_steps=n_steps, max_rate=1.0), slot=n_steps + 3,
                                  n_train=200, n_test=n_test), tmp_path / directory, jobs=1)
        made.load_data()
        return made

    return make


def test_a_board_answers_as_the_trained_network(run):
    made = run(1000)
    made.train_chain("surrogate")
    course, labels = made.over_time("test"), made.data("test")["labels"]
    spikes = made.data("test")["spikes"]
    kernels = surrogate.load(STORED, made.model, STEPS)
    fired, v = surrogate.simulated(made.model, kernels, spikes)
    counts, answers = fired[-1].sum(axis=1)[..., 0, 0], made.answers("test")
    expected = np.argmax(counts + 1e-3 * v[..., 0, 0], axis=1)
    assert np.abs(counts - answers["output"]).max() <= 2 and np.mean(counts != answers["output"]) < 0.02
    assert np.mean(expected != answers["units"][:, -1]) < 0.01
    right = expected == labels
    assert right.mean() > 0.9 and course["accuracy"][-1] > right.mean() - 0.005
    assert course["accuracy"][STEPS + 1] == course["accuracy"][-1] > course["accuracy"][STEPS // 2]
    assert course["accuracy"][1] < 0.3       # no output spike yet


def test_the_emulated_board_gives_the_same_answers(run):
    made = run(2)
    made.train_chain("surrogate")
    local = made.answers("test")
    network = made.network(2, made.data("test")["spikes"])
    (found,), _ = replicas.classify([network], made.model.readout, "spinnaker",
                                    directory=made.store.path / "spinnaker")
    assert all(np.array_equal(found[name], local[name]) for name in found) and local["spikes"][:, 1:].all()


# Trained with 10 steps and evaluated with 100: the fault of a program that was published


def test_a_network_is_not_evaluated_with_other_steps_than_it_was_trained_with(run):
    made = run(20)
    made.train_chain("surrogate")
    assert made.over_time("test")["steps"][-1] == STEPS + 3
    other = run(20, n_steps=100)
    assert not other.is_trained(1)
    with pytest.raises(StoreError, match="was made with other settings .* --mode training"):
        other.over_time("test")
    with pytest.raises(SettingsError, match="was trained with 10 steps an image, and ENCODER makes 100"):
        other.train_chain("surrogate")


def test_other_steps_are_another_network(run, tmp_path):
    """What the fault does: ten times the spikes, and answers that the training has not seen."""
    model = run(1).model
    forged = tmp_path / "forged.npz"
    surrogate.save(forged, surrogate.load(STORED, model, STEPS), 100)
    short, long = run(100), run(100, 100, "long", str(forged))
    for made in (short, long):
        made.train_chain("surrogate")
    one, other = short.over_time("test"), long.over_time("test")
    assert other["spikes"]["input"] > 9 * one["spikes"]["input"]
    assert other["spikes"]["layer2"] > 9 * one["spikes"]["layer2"] > 0
    changed = np.mean(short.answers("test")["units"][:, -1] != long.answers("test")["units"][:, -1])
    assert 0.005 < changed < 0.1


# What is refused


@pytest.mark.parametrize("cell", [
    replace(CELL, tau_refrac=1.0), replace(CELL, i_offset=0.1), replace(CELL, v=0.5), replace(CELL, v_reset=1.0),
    replace(CELL, v_thresh=-1.0), IFCurrExp()])
def test_neurons_that_are_not_trained_are_refused(cell):
    model = Sequential((1, 2, 2), Dense(2, neuron=cell), SpikeCount())
    with pytest.raises(SettingsError, match="layer 1: --rule surrogate needs an IFCurrDelta that starts at rest"):
        Surrogate().train(model, None, None, None, encoder=RegularEncoder())


@pytest.mark.parametrize("readout", [Membrane(), SpikeCount(last=11), SpikeCount(first=3)])
def test_windows_that_miss_spikes_of_the_training_are_refused(readout):
    model = Sequential((1, 2, 2), Dense(2, neuron=CELL), Dense(2, neuron=CELL), readout)
    with pytest.raises(SettingsError, match=r"all 10 steps of ENCODER, .* 2 layers in steps 2 to 11; end it with"
                                            r" SpikeCount\(last=12\)"):
        surrogate.check(model, 10)
    for fits in (SpikeCount(), SpikeCount(first=2, last=12), SpikeCount(last=20)):
        surrogate.check(Sequential((1, 2, 2), Dense(2, neuron=CELL), Dense(2, neuron=CELL), fits), 10)


def test_weights_that_do_not_fit_the_model_are_refused(tmp_path):
    model = Sequential((1, 2, 2), Dense(2, neuron=CELL), SpikeCount())
    path = tmp_path / "w.npz"
    surrogate.save(path, [np.ones((2, 1, 2, 2))], 7)
    assert surrogate.load(path, model, 7)[0].tolist() == np.ones((2, 1, 2, 2)).tolist()
    with pytest.raises(DataError, match=r"kernels1: must be of shape \(3, 1, 2, 2\), as MODEL says, got \(2, "):
        surrogate.load(path, Sequential((1, 2, 2), Dense(3, neuron=CELL), SpikeCount()), 7)
    np.savez(tmp_path / "other.npz", kernels1=np.ones(3))
    with pytest.raises(DataError, match="other.npz: n_steps: must be of shape"):
        surrogate.load(tmp_path / "other.npz", model, 7)
    with pytest.raises(SettingsError, match="w.npz: was trained with 7 steps an image, and ENCODER makes 9"):
        surrogate.load(path, model, 9)
    (tmp_path / "text.npz").write_text("text")
    for name in ("none.npz", "text.npz"):
        with pytest.raises(DataError, match=f"{name}: cannot be read"):
            surrogate.load(tmp_path / name, model, 7)


@pytest.mark.parametrize("change", [
    {"slope": 0.0}, {"spread": 0.0}, {"evidence": 0.0}, {"boost": 0.0}, {"dropout": 1.0}, {"descent": 3},
    {"start": "relu"}, {"start": Convert(bias=True)}])
def test_settings_out_of_range_are_refused(change):
    with pytest.raises(SettingsError, match=f"Surrogate.{next(iter(change))}"):
        Surrogate(**change)


def test_without_torch_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(libraries, "find_spec", lambda name: None)
    model = Sequential((1, 2, 2), Dense(2, neuron=CELL), SpikeCount())
    with pytest.raises(BackendError, match=r"--rule surrogate: No module named 'torch'; .* 'spikingconvnet\[torch\]'"):
        Surrogate().train(model, np.zeros((1, 1, 2, 2)), np.zeros(1, int), np.random.default_rng(0),
                          encoder=RegularEncoder())
    assert "torch" in sys.modules or "spikingconvnet.training.chain.gradients.spiking" not in sys.modules
