"""What a stored result was made from: every setting that it depends on changes its digest, and no other one does."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikingconvnet import __version__
from spikingconvnet.data.deformation import Deformation
from spikingconvnet.data.encoding import LatencyEncoder
from spikingconvnet.data.filters import Intensity
from spikingconvnet.experiment import replicas, settings
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.model import build
from spikingconvnet.model.layers import Conv2D, Dense
from spikingconvnet.model.readouts import Classifier, SpikeCount
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.model.trained import TrainedLayer
from spikingconvnet.store.arrays import digest
from spikingconvnet.training.chain.ridge import Ridge
from spikingconvnet.training.layerwise.course import weight_diagnostics
from spikingconvnet.training.layerwise.stdp import STDP


@pytest.fixture
def trained(parameters, tmp_path):
    """An experiment with its images loaded and a layer of random kernels."""
    made = Experiment(settings.load(parameters()), tmp_path / "run")
    made.load_data()
    made.train_layer(1, "random")
    return made


def other(made, backend="local", target=None, **changes):
    """The same experiment with other settings."""
    return Experiment(replace(made.settings, **changes), made.store.path, backend, target=target)


def written_out(stage):
    """A stage as digests have it, whose layer says how it learns."""
    return replace(stage, layer=replace(stage.layer, training=STDP()))


def with_data(made, changed):
    """The content of the input is that of the stored images, whatever was changed."""
    changed.stored.data = made.stored.data
    return changed


class Known:
    """A result that holds these arrays, whatever is stored."""

    def __init__(self, arrays):
        self.read = lambda: arrays


def data_made_from(made):
    return made.stored.data("train").made_from()


def layer_made_from(made):
    return made.stored.layer(1).made_from()


def replicas_made_from(made, data, firsts, grid=None):
    """Digests of the replicas that begin with these images."""
    images = firsts[-1] + 1
    found = (made.stored.spikes(1, "train", data, images) if grid is None
             else made.stored.counts(1, "train", data, images, grid))
    return [one.made_from() for one in found]


CHANGES = {"n_train": 119, "n_validation": 39, "n_test": 59, "image_filter": Intensity(), "slot": 31, "seed": 9,
           "encoder": LatencyEncoder(14), "classes": tuple(range(9)), "dataset": "http://127.0.0.1/a.npz"}


@pytest.mark.parametrize("name", CHANGES)
def test_data_depend_on_every_setting_that_makes_them(trained, name):
    changes = {name: CHANGES[name]}
    if name == "image_filter":
        changes["model"] = Sequential((1, 28, 28), *trained.model.layers)
    assert data_made_from(other(trained, **changes)) != data_made_from(trained)


def test_data_do_not_depend_on_what_is_made_of_them(trained):
    deeper = Sequential((2, 28, 28), Conv2D(3, 5), Classifier(C=3.0))
    assert data_made_from(other(trained, model=deeper, deformation=Deformation(copies=2))) == data_made_from(trained)


def test_the_digest_of_data_is_that_of_runs_made_before(trained):
    s = trained.settings
    parts = ("data", str(s.dataset), s.classes, s.n_train, s.n_validation, s.n_test, s.per_class, s.image_filter,
             s.encoder, s.slot, s.seed)
    assert data_made_from(trained) == digest(*parts)
    assert data_made_from(other(trained, white=200)) == digest(*parts, ("white", 200))
    assert data_made_from(other(trained, white=100)) != data_made_from(other(trained, white=200))


def test_a_path_is_taken_as_a_path_and_an_address_as_it_is_written(trained):
    a, b = (data_made_from(other(trained, dataset=text)) for text in ("data//mnist", "data/mnist"))
    assert a == b == data_made_from(other(trained, dataset=Path("data/mnist")))
    a, b = (data_made_from(other(trained, dataset=text)) for text in ("http://127.0.0.1/x//y", "http://127.0.0.1/x/y"))
    assert a != b


def test_a_layer_depends_on_itself_the_seed_and_its_input(trained):
    stage, content = trained.model.stages[0], str(trained.data("train")["content"])
    assert trained.stored.content(0) == content
    assert layer_made_from(trained) == digest("layer", stage, trained.settings.seed, content)
    reseeded = with_data(trained, other(trained, seed=9))
    assert layer_made_from(reseeded) == digest("layer", stage, 9, content)
    wider = with_data(trained, other(trained, model=Sequential((2, 28, 28), Conv2D(5, 5), Classifier())))
    assert layer_made_from(wider) != layer_made_from(trained)
    changed = other(trained)
    changed.stored.data = lambda split: Known({"content": np.array("another")})
    assert layer_made_from(changed) == digest("layer", stage, trained.settings.seed, "another")


def test_a_dense_layer_is_not_taken_for_the_convolution_that_it_is(trained):
    dense = with_data(trained, other(trained, model=Sequential((2, 28, 28), Dense(5), Classifier())))
    stage = written_out(dense.model.stages[0])
    assert layer_made_from(dense) == digest("layer", stage, trained.settings.seed, dense.stored.content(0), "dense")


def test_what_a_layer_computes_depends_on_everything_that_inference_takes(trained, monkeypatch):
    stored = trained.layer(1)
    kernels, v_thresh = stored["kernels"], stored["v_thresh"]
    plain = digest(kernels, v_thresh, layer_made_from(trained))
    assert trained.stored.content(1) == plain == trained.stored._content(1)
    found = {plain}
    for change in ({"kernels": kernels + 1}, {"v_thresh": v_thresh + 1}, {"i_offset": v_thresh}, {"v": v_thresh + 2},
                   {"max_expected_summed_weight": 3.0}):
        arrays = replace(TrainedLayer(kernels, v_thresh), **change).arrays()
        monkeypatch.setattr(trained.stored, "layer", lambda *_, arrays=arrays: Known(arrays))
        found.add(trained.stored._content(1))       # no file has changed
    assert len(found) == 6


def test_a_replicas_counts_depend_on_its_place_the_grid_and_the_kind_of_machine(trained, monkeypatch):
    data = trained.data("train")
    content = ("spikes", trained.stored.content(1), str(data["content"]))
    plain = replicas_made_from(trained, data, [0, 5000], (3, 3))
    assert plain == [digest(*content, first, 5000, (3, 3)) for first in (0, 5000)]
    assert replicas_made_from(trained, data, [0])[0] == digest(*content, 0, 5000, None)
    on_board = with_data(trained, other(trained, backend="spinnaker", target="spin3"))
    emulated = with_data(trained, other(trained, backend="spinnaker", target="emulated"))
    assert replicas_made_from(on_board, data, [0]) == [digest(*content, "hardware", 0, 5000, None)]
    assert replicas_made_from(emulated, data, [0]) == [digest(*content, "emulated", 0, 5000, None)]
    monkeypatch.setattr(replicas, "REPLICA_SAMPLES", 100)
    assert replicas_made_from(trained, data, [0]) == [digest(*content, 0, 100, None)]


def test_a_classifier_depends_on_itself_the_seed_the_deformation_and_the_last_layer(trained):
    s = trained.settings
    own = trained.stored.readout_digest()
    assert own == digest("svm", trained.model.classifier, s.seed, None, trained.stored.content(1))
    assert own == trained.stored.classifier().made_from()
    sharper = other(trained, model=Sequential((2, 28, 28), *trained.model.layers[:-1], Classifier(grid=3, C=0.2)))
    deformed = other(trained, deformation=Deformation(copies=2))
    everywhere = other(trained, deformation=Deformation(copies=2, near_margin=False))
    assert len({one.stored.readout_digest() for one in (trained, sharper, deformed, everywhere)}) == 4
    assert repr(Deformation(copies=2)) == "Deformation(copies=2, rotation=10.0, stretch=0.1, shear=0.15, shift=1.5)"


def test_a_chain_depends_on_its_rule_and_on_the_reset(trained, monkeypatch):
    model = Sequential((2, 28, 28), Dense(10), SpikeCount())
    found = set()
    for rule, reset in ((Ridge(), False), (Ridge(), True), (None, False)):
        changed = with_data(trained, other(trained))
        object.__setattr__(changed.settings, "rule", rule)
        object.__setattr__(changed.settings, "reset", reset)
        changed.stored.model = model
        stage = written_out(model.stages[0])
        more = [] if rule is None else [rule, reset]
        expected = digest("layer", stage, changed.settings.seed, changed.stored.content(0), "dense", *more)
        assert layer_made_from(changed) == expected
        changed.stored.layer = lambda *_: Known({"kernels": np.ones(3), "v_thresh": np.ones(3)})
        assert changed.stored.readout_digest() == digest("readout", model.readout, reset, changed.stored.content(1))
        found.add(expected)
    assert len(found) == 3


def test_a_result_says_how_it_was_made(trained):
    assert trained.stored.how() == {"made_on": "local", "seed": trained.settings.seed, "version": __version__}
    assert trained.stored.how({"verdict": "valid"}, rule="stdp")["board"] == {"verdict": "valid"}
    assert trained.stored.how(rule="stdp")["rule"] == "stdp" and "board" not in trained.stored.how({})


@pytest.mark.parametrize("mode, layer, options, end", [
    ("loaddata", None, "", "--mode loaddata --run-dir 'a run'"), ("training", 2, "", "--layer 2 --run-dir 'a run'"),
    ("training", "svm", "--seed 4", "--mode training --layer svm --run-dir 'a run' --seed 4")])
def test_a_command_can_be_typed_as_it_is_told(trained, mode, layer, options, end):
    made = Experiment(trained.settings, "a run", options=options, program="spikingconvnet")
    assert made.command(mode, layer).startswith("spikingconvnet --mode") and made.command(mode, layer).endswith(end)


def test_results_of_what_is_no_longer_stored_are_not_told(trained):
    trained.store.write_results("old", {"accuracy": 0.5, "made_from": "something else"})
    told = dict.fromkeys(weight_diagnostics(STDP().mechanism.weight_dependence, trained.layer(1)["learned"]), 0.0)
    trained.keep_result("layer 1", {"layer": 1, "rule": "random", "seconds": 1.0, "cpu_seconds": 1.0, "health": told})
    trained.keep_result("train", {"accuracy": 0.75})
    assert list(trained.results()) == ["layer 1", "train"]
    assert trained.results()["layer 1"]["made_from"] == trained.stored.content(1)
    assert trained.results()["train"] == {"accuracy": 0.75, "made_from": trained.stored.readout_digest()}
    reseeded = other(trained, seed=9)
    assert reseeded.results() == {}


def test_the_spikes_that_are_kept_are_those_with_the_busiest_step(trained, monkeypatch):
    spikes = trained.data("train")["spikes"]
    busiest = int(np.argmax(np.diff(spikes.offsets))) // spikes.n_steps
    monkeypatch.setattr(replicas, "REPLICA_SAMPLES", 50)
    first = busiest // 50 * 50
    assert trained.kept_spikes(0) == spikes.samples(first, min(first + 50, 120))
    assert trained.kept_spikes(1) is None
    fired = trained.all_spikes(1, "train")
    assert trained.kept_spikes(1) == fired.samples(0, 50)
    assert trained.example(1, 500)[0].n_samples == 120 and trained.example(1, 7)[0] == fired.samples(0, 7)
    spikes, v = trained.example(1, 2, membranes=True)
    assert v.shape == (2 * 30, build.inference_network([trained.model.stages[0]], [trained.trained(1)],
                                                       spikes_of(trained, 2)).population("layer1").size)


def spikes_of(made, n):
    return made.data("train")["spikes"].samples(0, n)
