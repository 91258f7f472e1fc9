"""SpikingConvClassifier: scikit-learn's contract, what it takes as images, and the integers of the command line."""

import pickle
import subprocess
import sys
import warnings
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from unittest import SkipTest

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

import spikingconvnet as scn
from spikingconvnet.cli.main import main
from spikingconvnet.errors import SettingsError
from spikingconvnet.experiment import figures, settings
from spikingconvnet.experiment.estimator import _quiet
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.runner import Runner

ROOT = Path(__file__).parents[2]
X, Y = load_digits(return_X_y=True)
CELL = scn.IFCurrExp(tau_m=10.0, cm=10.0, v_rest=0.0, v_reset=0.0, v=0.0, tau_syn_E=2.0, tau_syn_I=2.0, tau_refrac=0.0)
LEARNING = scn.STDP(windows=400, chunks=10, min_spikes=2, homeostasis=(0.2, 0.2))


def layers(filters=8, C=1.0):
    """Few filters and windows."""
    return (scn.Conv2D(filters, 3, neuron=CELL, firing=0.2, gain=4.0, training=LEARNING), scn.Classifier(grid=3, C=C))


@pytest.fixture
def small():
    """A function that makes a quick classifier."""
    return lambda **more: scn.SpikingConvClassifier(**{"model": layers(), "jobs": 1, **more})


# Numbers that are no picture, one population a number; and a network whose images all start at rest.
BY_LAYERS = scn.SpikingConvClassifier(
    shape="row", jobs=1, model=(scn.Dense(24, neuron=CELL, firing=0.2, gain=4.0, training=LEARNING),
                                scn.Classifier(grid=1, C=3.0)))
AS_ONE = scn.SpikingConvClassifier(shape="row", jobs=1, rule="ridge", image_filter=scn.GaussianReceptiveFields())
CARRIED_OVER = ("images lie end to end on a timeline on which nothing is reset, as on a board, so that the ones before"
                " an image can change its counts")
EXPECTED = {"check_methods_sample_order_invariance": CARRIED_OVER, "check_methods_subset_invariance": CARRIED_OVER}


@parametrize_with_checks([BY_LAYERS], expected_failed_checks=lambda estimator: EXPECTED)
def test_it_keeps_scikit_learn_s_contract(estimator, check):
    with suppress(SkipTest):            # parts of a check that need pandas, or another kind of arrays
        check(estimator)


@pytest.mark.parametrize("name", EXPECTED)
def test_what_fails_by_layers_holds_where_every_image_starts_at_rest(name):
    found = [check for _, check in estimator_checks_generator(AS_ONE, legacy=True) if check.func.__name__ == name]
    assert len(found) == 1
    found[0](AS_ONE)


def test_the_default_answers_digits_well():
    made = scn.SpikingConvClassifier().fit(X[:1000], Y[:1000])
    assert made.score(X[1000:1500], Y[1000:1500]) > 0.93
    assert made.transform(X[:3]).shape == (3, 48 * 36) and len(pickle.dumps(made)) < 300_000


def test_two_fits_are_identical_and_another_seed_is_not(small):
    a, b, other = (small(seed=seed, jobs=jobs).fit(X[:200], Y[:200]) for seed, jobs in ((0, 1), (0, 2), (1, 1)))
    shown = [one.decision_function(X[200:260]) for one in (a, b, other)]
    assert np.array_equal(shown[0], shown[1]) and not np.array_equal(shown[0], shown[2])
    assert np.array_equal(a.fit(X[:200], Y[:200]).decision_function(X[200:260]), shown[0])


def test_it_is_kept_and_cloned_as_any_estimator(small, tmp_path):
    made = small(seed=3).fit(X[:150], Y[:150])
    joblib.dump(made, tmp_path / "made")
    for again in (pickle.loads(pickle.dumps(made)), joblib.load(tmp_path / "made")):
        assert np.array_equal(again.decision_function(X[150:190]), made.decision_function(X[150:190]))
    fresh = clone(made)
    assert fresh.get_params()["seed"] == 3 and fresh.set_params(seed=4).seed == 4
    with pytest.raises(NotFittedError):
        fresh.predict(X)


def test_a_pipeline_a_grid_and_cross_validation(small):
    pipe = make_pipeline(MinMaxScaler(clip=True), small())
    grid = {"spikingconvclassifier__model": [layers(4), layers(8)], "spikingconvclassifier__slot": [24, 28]}
    search = GridSearchCV(pipe, grid, cv=2).fit(X[:240], Y[:240])
    assert len(search.cv_results_["params"]) == 4 and np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_score_ > 0.5 and search.predict(X[:5]).shape == (5,)
    assert cross_val_score(pipe, X[:240], Y[:240], cv=2).min() > 0.5


def test_scores_are_enough_for_what_asks_for_probabilities(small):
    two = Y < 2
    assert cross_val_score(small(), X[two][:80], Y[two][:80], cv=2, scoring="roc_auc").min() > 0.9
    calibrated = CalibratedClassifierCV(small(), cv=2).fit(X[:200].reshape(-1, 8, 8), Y[:200])
    shares = calibrated.predict_proba(X[200:260].reshape(-1, 8, 8))
    assert shares.shape == (60, 10) and np.allclose(shares.sum(axis=1), 1) and shares.min() >= 0
    assert roc_auc_score(Y[200:260], shares, multi_class="ovr") > 0.9
    assert not hasattr(small(), "predict_proba")


def test_a_sequential_without_a_shape_is_as_its_layers(small):
    one, other = (small(model=model).fit(X[:60], Y[:60]) for model in (layers(), scn.Sequential(*layers())))
    assert np.array_equal(one.decision_function(X[60:70]), other.decision_function(X[60:70]))
    with pytest.raises(SettingsError, match="a model for the input"):
        small(model=scn.Sequential((2, 9, 9), *layers())).fit(X[:60], Y[:60])


@pytest.mark.parametrize("names", [np.array([f"digit {n}" for n in range(10)]),
                                   np.array([3, 5, 100, -7, 8, 9, 1000, 12, 13, 14])])
def test_labels_are_of_any_kind(small, names):
    made = small().fit(X[:200], names[Y[:200]])
    assert np.array_equal(made.classes_, np.unique(names)) and set(made.predict(X[200:250])) <= set(names)
    assert np.mean(made.predict(X[200:250]) == names[Y[200:250]]) > 0.5
    assert np.array_equal(made.classes_[made.decision_function(X[:50]).argmax(axis=1)], made.predict(X[:50]))


def test_of_two_classes_there_is_one_score(small):
    chosen = Y < 2
    made = small().fit(X[chosen][:100], Y[chosen][:100])
    scores = made.decision_function(X[chosen][100:150])
    assert scores.shape == (50,) and np.array_equal(made.predict(X[chosen][100:150]), (scores > 0).astype(int))


def bytes_of(rows):
    return np.rint(rows * (255 / 16)).astype(np.uint8)


def test_the_same_images_in_every_form_are_the_same(small):
    wide = np.zeros((200, 8, 12))
    wide[:, :, 2:10] = X[:200].reshape(-1, 8, 8)
    forms = [(small(), wide), (small(shape=(8, 12)), wide.reshape(200, -1)), (small(), bytes_of(wide)),
             (small(), wide / 16), (small(value_range=(0, 16)), wide), (small(), wide[..., None]),
             (small(channels_first=True), wide[:, None]),
             (small(shape=(1, 8, 12), channels_first=True), wide.reshape(200, -1))]
    found = [made.fit(images[:150], Y[:150]).decision_function(images[150:]) for made, images in forms]
    assert len(np.unique(found[0])) > 100 and all(np.array_equal(found[0], one) for one in found[1:])
    assert [made.n_features_in_ for made, _ in forms] == [96] * 8
    assert np.array_equal(forms[0][0].decision_function(wide.reshape(200, -1)[150:]), found[0])


def test_colours_are_told_apart(small):
    images = np.zeros((120, 8, 8, 3), np.uint8)
    colours = np.random.default_rng(0).integers(0, 3, 120)
    images[np.arange(120), 2:6, 2:6, 1] = 100
    for image, colour in zip(images, colours):
        image[2:6, 3:5, colour] = 220
    made = small().fit(images[:80], colours[:80])
    assert made.score(images[80:], colours[80:]) > 0.95 and made.n_features_in_ == 192
    first = small(channels_first=True).fit(np.moveaxis(images, 3, 1)[:80], colours[:80])
    assert np.array_equal(first.predict(np.moveaxis(images, 3, 1)[80:]), made.predict(images[80:]))
    grey = small(image_filter=scn.DifferenceOfGaussians(0.5, 1.0, 0.6)).fit(images[:80], colours[:80])
    assert grey.network_.settings.model.input_shape == (2, 8, 8) and grey.predict(images[80:]).shape == (40,)


SQUARES = X[:60].reshape(-1, 8, 8)


@pytest.mark.parametrize("more, images, text", [
    ({}, X[:60, :63], r"shape.*the 63 pixels of an image in X are no square.*'row' is for numbers"),
    ({"shape": (8, 9)}, X[:60], r"shape: must be a tuple, that of the 64 numbers"),
    ({"shape": "flat"}, X[:60], r"shape: must be a tuple, that of the 64 numbers"),
    ({}, SQUARES[:, None], r"channels_first=True"),
    ({}, SQUARES.astype(np.uint8), r"X.values: must be bytes up to 255; .* value_range=\(0, 16\), got 'at most 16'"),
    ({"value_range": (0, 10)}, X[:60], r"X.values: must be from 0 to 10, as value_range says, got '0 to 16'"),
    ({"value_range": (10, 0)}, X[:60], r"value_range: must be \(black, white\)"),
    ({"rule": "stdp"}, X[:60], r"rule: must be one of bpstdp, .*ridge"),
    ({"model": "8x8-10"}, X[:60], r"model: 8x8-10 is for a rule"),
    ({"encoder": scn.EventBins(size=(8, 8))}, X[:60], r"encoder: must be one of images"),
    ({"model": (scn.Dense(10), scn.SpikeCount())}, X[:60], r"rule: must be one that trains all layers at once"),
    ({"model": scn.Sequential((2, 9, 9), *layers())}, X[:60], r"model: must be a model for the input \(2, 8, 8\)")])
def test_what_cannot_be_learned_from_is_a_sentence(small, more, images, text):
    with pytest.raises(ValueError, match=text):
        small(**more).fit(images, Y[:60])


@pytest.mark.parametrize("images, text", [
    (X[:3, :63], "X has 63 features, but SpikingConvClassifier is expecting 64 features"),
    (X[:3].reshape(3, 4, 16), r"X.shape: must be \(n, 8, 8\), .*got \('n', 4, 16\)"),
    (X[:3] - 1, r"X.values: must be from 0 to 16, as value_range says, got '-1 to 15'")])
def test_new_images_of_another_form_or_range_are_a_sentence(small, images, text):
    made = small(value_range=(0, 16)).fit(X[:100], Y[:100])
    with pytest.raises(ValueError, match=text):
        made.predict(images)


def test_values_far_beyond_those_that_were_learned_from_are_told_of(small):
    made = small().fit(X[:100], Y[:100])
    with pytest.warns(UserWarning, match="values from 0 to 255, where the images that were learned from have 0 to 16"):
        made.predict(bytes_of(X[:3]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(made.predict(X[:3] * 1.9), made.predict(np.minimum(X[:3] * 1.9, 16)))


@pytest.mark.parametrize("y, text", [([0] * 60, "not 1 class"), (np.linspace(0, 1, 60), "Unknown label type"),
                                     (Y[:59], "inconsistent numbers of samples")])
def test_labels_that_are_no_classes_are_a_sentence(small, y, text):
    with pytest.raises(ValueError, match=text):
        small().fit(X[:60], y)


@pytest.mark.parametrize("more", [{"rule": "ridge"}, {"rule": scn.Ridge(), "model": "8x8-200-10"},
                                  {"rule": "feedback", "model": "8x8-200-10"}])
def test_rules_for_whole_networks(more):
    made = scn.SpikingConvClassifier(jobs=1, **more).fit(X[:500], Y[:500])
    assert made.score(X[500:600], Y[500:600]) > 0.7 and made.transform(X[:2]).shape == (2, 10)
    one_by_one = np.concatenate([made.predict(X[i:i + 1]) for i in (500, 501)])
    assert np.array_equal(one_by_one, made.predict(X[500:502]))


def test_an_image_that_nothing_fires_for_is_answered(small):
    made = small().fit(X[:100], Y[:100])
    assert made.predict(np.zeros((2, 64))).shape == (2,) and not made.transform(np.zeros((2, 64))).any()


def test_a_run_directory_is_gone_on_with(small, tmp_path, monkeypatch):
    made = small(run_dir=tmp_path / "run").fit(X[:100], Y[:100])
    monkeypatch.setattr(Experiment, "train_layer", None)
    again = small(run_dir=tmp_path / "run").fit(X[:100], Y[:100])
    assert np.array_equal(made.decision_function(X[:20]), again.decision_function(X[:20]))
    with pytest.raises(TypeError):
        small(run_dir=tmp_path / "run").fit(X[1:101], Y[1:101])


def test_without_one_nothing_is_left(small, tmp_path, monkeypatch):
    home, scratch = tmp_path / "home", tmp_path / "scratch"
    home.mkdir()
    scratch.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    small().fit(X[:60], Y[:60]).predict(X[:2])
    assert not list(home.iterdir()) and not list(scratch.iterdir())


def test_it_has_the_integers_of_the_command_line(parameters, small_mnist, tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "plot", lambda *_: [])
    path = parameters(N_TRAIN=200, N_VALIDATION=0, N_TEST=80)
    run = tmp_path / "run"
    common = ["--parameters", str(path), "--run-dir", str(run)]
    for step in (["loaddata"], ["training", "--layer", "1"], ["training", "--layer", "svm"], ["testing"]):
        assert main(["--mode", *step, *common]) == 0
    loaded = settings.load(path)
    told = Experiment(loaded, run)
    train, test = (scn.load_images(small_mnist, part) for part in ("train", "test"))
    made = scn.SpikingConvClassifier(loaded.model, loaded.image_filter, loaded.encoder, loaded.slot)
    made.fit(train.images, train.labels)
    for name, array in told.trained(1).arrays().items():
        assert np.array_equal(array, made.network_.layers[0].arrays()[name])
    assert np.array_equal(told.stored.classifier().read()["coefficients"], made.network_.readout.coefficients)
    assert np.array_equal(told.features("test")[0], made.transform(test.images))
    assert made.score(test.images, test.labels) == told.results()["test"]["accuracy"]


def test_the_example_runs():
    done = subprocess.run([sys.executable, ROOT / "examples/digits.py"], capture_output=True, text=True, check=True)
    assert float(done.stdout.removeprefix("test accuracy ").removesuffix(" %\n")) > 95
    assert len([line for line in (ROOT / "examples/digits.py").read_text().splitlines()[1:] if line]) <= 10


def test_it_answers_by_the_spikes_of_its_own_units_if_it_is_asked_to(small):
    conv, readout = layers()
    made = small(model=(conv, replace(readout, on_board=True)), slot=38, answers="board").fit(X[:200], Y[:200])
    found, shown = made.network_.answer(made._pixels(X[200:230]), Runner("local", 1, _quiet)), X[200:230]
    assert np.array_equal(made.predict(shown), found.classes[found.units]) and found.units.min() >= 0
    assert made.score(shown, Y[200:230]) == np.mean(found.classes[found.units] == Y[200:230]) > 0.5
    host = clone(made).set_params(answers="host").fit(X[:200], Y[:200])
    assert np.array_equal(host.predict(shown), found.labels)
    assert np.array_equal(made.decision_function(shown), host.decision_function(shown))
    assert np.array_equal(host.set_params(answers="board").predict(shown), made.predict(shown))


def test_it_says_where_no_board_can_answer(small):
    for more, wanted in (({"answers": "chip"}, "must be host or board"),
                         ({"answers": "board"}, "unless the model ends with Classifier.on_board=True.")):
        with pytest.raises(SettingsError, match=f"SpikingConvClassifier.answers: {wanted}|{wanted}"):
            small(**more).fit(X[:50], Y[:50])
    whole = clone(AS_ONE).set_params(answers="board").fit(X[:60], Y[:60])
    assert np.array_equal(whole.predict(X[60:80]), whole.set_params(answers="host").predict(X[60:80]))
