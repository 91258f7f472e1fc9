"""Rules: what every one of them is given, how it is found, and its parts, one by one."""

import inspect
import pkgutil
from dataclasses import dataclass, is_dataclass, replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from rectifying import units
from sklearn import decomposition

from spikingconvnet import backends, training
from spikingconvnet.cli import main as cli
from spikingconvnet.cli.parameters import WHOLE
from spikingconvnet.data.encoding import LatencyEncoder, RegularEncoder
from spikingconvnet.data.filters import Intensity
from spikingconvnet.errors import SettingsError
from spikingconvnet.experiment import settings
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.networks import subjects
from spikingconvnet.model.layers import Conv2D, Dense
from spikingconvnet.model.learning import LayerRule, NetworkRule
from spikingconvnet.model.readouts import Classifier, SpikeCount
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.model.trained import Trained, TrainedLayer
from spikingconvnet.network.neurons import IFCurrDelta
from spikingconvnet.network.plasticity import AdditiveWeightDependence, SpikePairRule, STDPMechanism
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.training import LAYERWISE, layer_rule
from spikingconvnet.training.chain import convert
from spikingconvnet.training.chain.feedback import FeedbackAlignment
from spikingconvnet.training.chain.ridge import Ridge
from spikingconvnet.training.chain.rstdp import RSTDP
from spikingconvnet.training.layerwise.calibration import FiringShare
from spikingconvnet.training.layerwise.competing import CompetingUnits
from spikingconvnet.training.layerwise.floors import PCA, KMeans, Random
from spikingconvnet.training.layerwise.homeostasis import Homeostasis
from spikingconvnet.training.layerwise.stdp import STDP
from spikingconvnet.training.layerwise.windows import earliness, window_inputs

RECIPES = sorted((Path(inspect.getfile(settings)).parent / "recipes").glob("*.py"))


def test_every_rule_for_chains_has_a_recipe_with_its_settings():
    assert {path.stem for path in RECIPES} >= set(WHOLE)
    for name in WHOLE:
        loaded = recipe(name)
        assert loaded.rule.name == name and loaded.model.runs_as_one and hasattr(loaded.rule, "neuron")


def inherited(base):
    """All classes below one that can be made."""
    return [kind for below in base.__subclasses__() for kind in [below, *inherited(below)]
            if not inspect.isabstract(kind)]


def test_every_rule_of_the_package_is_a_frozen_record_with_a_name_of_its_own():
    for module in pkgutil.walk_packages(training.__path__, "spikingconvnet.training."):
        if "gradients" not in module.name:
            import_module(module.name)
    ours = [kind for base in (LayerRule, NetworkRule) for kind in inherited(base)
            if kind.__module__.startswith("spikingconvnet.")]
    names = {kind.name for kind in ours}
    assert len(names) == len(ours) and names >= {*LAYERWISE, *WHOLE}       # others are named in the parameters alone
    assert all(is_dataclass(kind) and kind.__dataclass_params__.frozen for kind in ours)


@pytest.mark.parametrize("kind, base", [(STDP, LayerRule), (Random, LayerRule), (CompetingUnits, LayerRule),
                                        (Ridge, NetworkRule), (convert.Convert, NetworkRule), (RSTDP, NetworkRule),
                                        (FeedbackAlignment, NetworkRule)])
def test_a_rule_takes_what_every_rule_is_given(kind, base):
    taken, given = (inspect.signature(one.train).parameters for one in (kind, base))
    takes_all = any(one.kind is one.VAR_KEYWORD for one in taken.values())
    plain = [name for name, one in given.items() if one.kind is not one.KEYWORD_ONLY]
    assert [*taken][:len(plain)] == plain and (takes_all or [*taken] == [*given])
    assert {name for name, one in taken.items() if one.kind is one.KEYWORD_ONLY} <= set(given)


def stage_of(rule=None):
    return Sequential((1, 6, 6), Conv2D(2, 3, training=rule), Classifier()).stages[0]


@pytest.mark.parametrize("filters", [1, 4, 5, 18])
def test_principal_components_are_those_of_scikit_learn_with_both_signs(filters):
    """All but the sign and the size of each: what varies most first, the first sign that of the largest part."""
    rng = np.random.default_rng(filters)
    model = Sequential((1, 6, 6), Conv2D(filters, 3, training=STDP()), Classifier())
    fires = rng.random((200, 9)) < np.linspace(0.2, 0.9, 9)
    sample, neuron = np.nonzero(fires)
    windows = Spikes.from_events(sample, neuron, rng.integers(0, 15, len(sample)), (1, 3, 3), 200, 60)
    bounds = AdditiveWeightDependence(w_min=0.25, w_max=0.75)
    found = PCA(STDP(mechanism=STDPMechanism(SpikePairRule(), bounds))).kernels(model.stages[0], windows, rng)
    assert found.shape == (filters, 1, 3, 3) and found.min() >= 0.25 and found.max() <= 0.75
    flat = (found.reshape(filters, 9) - 0.5) / 0.25
    expected = decomposition.PCA(min(9, (filters + 1) // 2)).fit(earliness(windows, 15)).components_
    for kernel, component in zip(flat[::2], expected):
        assert np.allclose(np.abs(kernel), np.abs(component) / np.abs(component).max(), atol=1e-6)
        assert np.isclose(kernel.max(), 1.0)
    assert np.allclose(flat[1::2], -flat[:2 * (filters // 2):2])


def test_more_kernels_than_there_are_principal_components_are_refused():
    model = Sequential((1, 6, 6), Conv2D(19, 3, training=STDP()), Classifier())
    windows = Spikes.from_events([0, 1], [0, 1], [1, 2], (1, 3, 3), 2, 60)
    with pytest.raises(SettingsError, match="^layer 1: 19 filters, but a kernel of 9 inputs has no more than 18 "
                                            "principal components, both signs counted; take fewer filters"):
        PCA(STDP()).kernels(model.stages[0], windows, np.random.default_rng(0))


def test_a_layer_learns_by_its_own_rule_or_is_compared_with_a_floor_that_is_like_it():
    own = STDP(windows=40, chunks=4)
    assert layer_rule(stage_of()) == STDP() and layer_rule(stage_of(own)) is own is layer_rule(stage_of(own), "stdp")
    assert layer_rule(stage_of(own), "random") == Random(own) and layer_rule(stage_of(own), "kmeans") == KMeans(own)
    assert layer_rule(stage_of(own), "pca") == PCA(own)
    with pytest.raises(SettingsError, match=r"^--rule ridge: layer 1 learns by stdp \(Conv2D.training of the parameters"
                                            r"\); leave --rule out, or take local-errors, random, kmeans or pca to"
                                            " compare with$"):
        layer_rule(stage_of(), "ridge")
    with pytest.raises(SettingsError, match=r"learns by given .*; leave --rule out$"):
        layer_rule(stage_of(Given()), "kmeans")


@pytest.mark.parametrize("wrong", [STDP, "stdp", Ridge(), object(), 3])
def test_what_is_no_rule_for_a_layer_is_refused(wrong):
    with pytest.raises(SettingsError, match=r"^Conv2D.training: must be a rule that trains a layer, as STDP\(...\)"):
        Conv2D(2, 3, training=wrong)


@dataclass(frozen=True)
class Still:
    """Thresholds that nobody moves."""

    height: float = 2.0

    def start(self, rule, windows, weights, open_network):
        return np.full(weights.shape[1], self.height)

    def after(self, rule, thresholds, fired):
        return thresholds[-1]


@dataclass(frozen=True)
class SamePlace:
    """Windows of one place."""

    def __call__(self, rule, stage, spikes, rng):
        field = window_inputs(stage)[0]
        sample = np.arange(rule.windows)
        return Spikes.from_events(np.repeat(sample, 2), np.tile([0, len(field) - 1], len(sample)),
                                  np.tile([1, 2], len(sample)), stage.layer.kernel_shape(stage.in_shape)[1:],
                                  len(sample), rule.pattern_steps)


@dataclass(frozen=True)
class Fixed(FiringShare):
    """Thresholds of one height, and kernels as they were learned."""

    def kernels(self, layer, learned):
        return learned

    def __call__(self, stage, learned, spikes, open_network):
        return TrainedLayer(learned, np.full(len(learned), 3.0))


def test_the_parts_of_stdp_can_be_replaced_one_by_one():
    rule = STDP(windows=20, chunks=2, homeostasis=Still(0.02), sampling=SamePlace(), calibration=Fixed())
    found = rule.train(stage_of(rule), Spikes.empty((1, 6, 6), 3, 40), np.random.default_rng(0), backends.open)
    assert (found.course.thresholds == 0.02).all() and found.course.wins[:, 1:].any()
    assert np.array_equal(found.inference.kernels, found.learned) and (found.inference.v_thresh == 3.0).all()
    moved = found.learned.reshape(2, 9) != found.initial.reshape(2, 9)
    assert moved[:, [0, 8]].any() and repr(rule).endswith("sampling=SamePlace(), calibration=Fixed(samples=200))")


def test_two_numbers_are_the_homeostasis_they_always_were():
    assert STDP(homeostasis=(0.2, 0.1)).moves == Homeostasis(0.2, 0.1)
    assert "sampling" not in repr(STDP()) and repr(STDP(homeostasis=Homeostasis())) != repr(STDP())


@pytest.mark.parametrize("part, wrong", [("sampling", SamePlace), ("sampling", lambda *_: None), ("sampling", Still()),
                                         ("calibration", SamePlace()), ("homeostasis", SamePlace()),
                                         ("homeostasis", Still)])
def test_a_part_that_is_no_record_with_what_is_called_is_refused(part, wrong):
    with pytest.raises(SettingsError, match=f"^STDP.{part}: must be .*a record as "):
        STDP(**{part: wrong})


def recipe(name):
    return settings.load(next(path for path in RECIPES if path.stem == name))


@pytest.mark.parametrize("name", ["ridge", "convert", "feedback", "softlif", "bpstdp"])
def test_an_encoder_without_a_rate_is_refused_where_units_see_rates(name):
    made = recipe(name)
    with pytest.raises(SettingsError, match=rf"^parameters.ENCODER: RULE {name} needs values as rates of .* Latency"):
        replace(made, encoder=LatencyEncoder(made.encoder.n_steps))


def test_rules_that_see_spikes_take_every_encoder_unless_they_begin_with_rates():
    for name in ("surrogate", "rstdp"):
        assert replace(recipe(name), encoder=LatencyEncoder(recipe(name).encoder.n_steps)).rule.name == name
    made = recipe("surrogate")
    rule = replace(made.rule, start=convert.Convert())
    with pytest.raises(SettingsError, match="^parameters.ENCODER: RULE surrogate needs values as rates"):
        replace(made, rule=rule, encoder=LatencyEncoder(made.encoder.n_steps))


@pytest.mark.parametrize("name", ["ridge", "convert", "softlif"])
def test_the_first_layer_is_scaled_for_the_rate_of_the_encoder(name, tmp_path):
    """At a quarter of the rate weights are four times as large; biases, thresholds and later layers are the same."""
    rng, rule = np.random.default_rng(0), recipe(name).rule
    model = Sequential((1, 3, 4), Dense(6, neuron=rule.neuron), Dense(3, neuron=rule.neuron), SpikeCount())
    shapes = [stage.layer.kernel_shape(stage.in_shape) for stage in model.stages]
    if name != "ridge":
        convert.save(tmp_path / "w.npz", units([rng.normal(size=shape) for shape in shapes],
                                               [rng.normal(size=shape[0]) for shape in shapes]))
        rule = replace(rule, weights=str(tmp_path / "w.npz"))
    images, labels = rng.random((40, 1, 3, 4)).astype(np.float32), rng.integers(0, 3, 40)
    (whole, after), (quarter, same) = (rule.train(
        model, images, labels, np.random.default_rng(1), encoder=RegularEncoder(max_rate=rate))[0]
        for rate in (1.0, 0.25))
    assert np.allclose(quarter.kernels, 4.0 * whole.kernels) and np.array_equal(same.kernels, after.kernels)
    for one, other in ((quarter, whole), (same, after)):
        assert np.array_equal(one.v_thresh, other.v_thresh) and np.array_equal(one.i_offset, other.i_offset)


def test_a_filter_that_calls_its_channels_digits_says_what_each_is_worth():
    class Halves:
        channels, worth = 2, (1.0,)

        def __call__(self, images):
            return np.stack([images, images], axis=1)

    made = recipe("convert")
    with pytest.raises(SettingsError, match="^parameters.FILTER.worth: must be a number for each of its 2 channels"):
        replace(made, image_filter=Halves(), model=Sequential((2, 28, 28), *made.model.layers))


@dataclass(frozen=True)
class Means(NetworkRule):
    """A rule of one's own: the mean image of each class, less that of all."""

    scale: float = 1.0
    neuron: IFCurrDelta = recipe("ridge").rule.neuron

    name = "means"

    def train(self, model, images, labels, rng, **_):
        means = np.stack([images[labels == unit].mean(axis=0) for unit in range(model.stages[-1].out_shape[0])])
        return [TrainedLayer(self.scale * (means - means.mean(axis=0)), np.ones(len(means)))], {"largest": 1.0}


@dataclass(frozen=True)
class Given(LayerRule):
    """A rule of one's own: every filter is one number."""

    weight: float = 0.5

    name = "given"

    def train(self, stage, spikes, rng, open_network, progress=iter, so_far=None, keep=None):
        kernels = np.full(stage.layer.kernel_shape(stage.in_shape), self.weight)
        kernels[:, :, 0] = 0.0
        layer = FiringShare(samples=20)(stage, kernels, spikes, open_network)
        return Trained(kernels, kernels, layer, {"mean_weight": self.weight})


def means_of(settings, **changes):
    """An experiment with a rule of one's own for a dense layer."""
    rule = Means(**changes)
    model = Sequential((1, 28, 28), Dense(10, neuron=rule.neuron), SpikeCount())
    return replace(settings, model=model, rule=rule, image_filter=Intensity(), encoder=RegularEncoder(n_steps=20),
                   reset=True)


def test_a_rule_of_ones_own_for_a_network_needs_no_change_of_the_package(parameters, tmp_path):
    made = Experiment(means_of(settings.load(parameters())), tmp_path / "run")
    made.load_data()
    assert made.train_chain()["largest"] == 1.0 and made.layer(1)["how"]["rule"] == "means"
    assert made.test().accuracy > 0.25
    other = Experiment(means_of(made.settings, scale=0.5), tmp_path / "run")
    assert made.is_trained(1, "means") and not other.is_trained(1)


def test_a_rule_of_ones_own_for_a_layer_needs_no_change_of_the_package(parameters, tmp_path):
    loaded = settings.load(parameters())
    made = Experiment(replace(loaded, model=Sequential((2, 28, 28), Conv2D(3, 5, training=Given()), Classifier())),
                      tmp_path / "run")
    made.load_data()
    assert made.train_layer(1).diagnostics["mean_weight"] == 0.5 and made.layer(1)["how"]["rule"] == "given"
    assert made.train_svm().accuracy > 0.2 and [subject.name for subject in subjects(made)] == ["layer 1, inference"]


@dataclass(frozen=True)
class Wrong(Means):
    """What gives back something else than layers."""

    spoilt: object = None

    def train(self, model, images, labels, rng, **_):
        return self.spoilt(super().train(model, images, labels, rng)[0]), {}


@pytest.mark.parametrize("spoilt, text", [
    (lambda layers: [], "rule means.layers: must be 1 TrainedLayer, one a layer, got"),
    (lambda layers: [layers[0].kernels], "rule means.layers: must be 1 TrainedLayer, one a layer, got"),
    (lambda layers: [TrainedLayer(layers[0].kernels[:, 0], np.ones(10))],
     r"rule means.kernels of layer1: must be finite, of shape \(10, 1, 28, 28\), got '\(10, 28, 28\)'"),
    (lambda layers: [TrainedLayer(layers[0].kernels * np.nan, np.ones(10))],
     "rule means.kernels of layer1: must be finite, .* got 'not finite, "),
    (lambda layers: [TrainedLayer(layers[0].kernels, np.ones(9))], "rule means.v_thresh of layer1: must be finite")])
def test_what_a_rule_gives_back_is_looked_at_before_it_is_kept(parameters, tmp_path, spoilt, text):
    made = Experiment(replace(means_of(settings.load(parameters())), rule=Wrong(spoilt=spoilt)), tmp_path / "run")
    made.load_data()
    with pytest.raises(SettingsError, match=f"^{text}"):
        made.train_chain()
    assert not made.is_trained(1)


@dataclass(frozen=True)
class Spoilt(Given):
    """What gives back something else than a trained layer."""

    spoil: object = None

    def train(self, *args, **kwargs):
        return self.spoil(super().train(*args, **kwargs))


@pytest.mark.parametrize("spoil, text", [
    (lambda trained: trained.inference, r"rule given.train\(...\): must be a Trained, got"),
    (lambda trained: replace(trained, learned=trained.learned[:2]), "rule given.learned: must be finite, of shape"),
    (lambda trained: replace(trained, initial=trained.initial * np.inf), "rule given.initial: must be finite, of"),
    (lambda trained: replace(trained, diagnostics={"n": np.int64(3)}),
     "rule given.diagnostics: must be a dict of numbers"),
    (lambda trained: replace(trained, diagnostics=[1.0]), "rule given.diagnostics: must be a dict of numbers by name")])
def test_what_a_rule_for_a_layer_gives_back_is_looked_at_too(parameters, tmp_path, spoil, text):
    model = Sequential((2, 28, 28), Conv2D(3, 5, training=Spoilt(spoil=spoil)), Classifier())
    made = Experiment(replace(settings.load(parameters()), model=model), tmp_path / "run")
    made.load_data()
    with pytest.raises(SettingsError, match=f"^{text}"):
        made.train_layer(1)
    assert not made.is_trained(1)


def test_single_precision_of_a_rule_is_kept_as_doubles():
    layer = TrainedLayer(np.ones((2, 1, 3, 3), np.float32), [1, 2])
    assert layer.kernels.dtype == layer.v_thresh.dtype == layer.i_offset.dtype == np.float64


OWN = """
from dataclasses import dataclass

import numpy as np
import spikingconvnet as scn
from spikingconvnet.training import CompetingUnits, FiringShare, LayerRule, Trained


@dataclass(frozen=True)
class Stripes(LayerRule):
    width: int = 2

    name = "stripes"

    def train(self, stage, spikes, rng, open_network, progress=iter, so_far=None, keep=None):
        kernels = np.zeros(stage.layer.kernel_shape(stage.in_shape))
        for filter in range(len(kernels)):
            kernels[filter, :, filter:filter + self.width] = 1.0
        layer = FiringShare(samples=20)(stage, kernels, spikes, open_network)
        return Trained(kernels, kernels, layer, {"width": self.width})


MODEL = scn.Sequential((2, 28, 28), scn.Conv2D(3, 5, training=RULE), scn.Classifier())
"""


@pytest.mark.parametrize("rule, told", [
    ("Stripes()", "layer 1, stripes: width 2\n"),
    ("CompetingUnits(windows=40, epochs=3, min_spikes=3)", "layer 1, competing: duplicate pairs 0, mean weight ")])
@pytest.mark.usefixtures("sketched")
def test_the_command_line_goes_through_with_any_rule_for_a_layer(parameters, tmp_path, capsys, rule, told):
    path, run = parameters(), ["--run-dir", str(tmp_path / "run")]
    path.write_text(path.read_text() + OWN.replace("RULE", rule))
    assert cli.main(["--mode", "demo", "--parameters", str(path), *run]) == 0
    assert told in capsys.readouterr().err
    for mode in ("info", "plot", "check", "testing"):
        assert cli.main(["--mode", mode, *run]) == 0
    shown = capsys.readouterr()
    assert f"layer 1: done, {told.split(': ')[0].split(', ')[1]}" in shown.out and "kernels-1" in shown.err
    record = str(tmp_path / "training.npz")
    assert cli.main(["--mode", "training", "--layer", "1", "--record", record, *run]) == 2
    assert "left out: no network learns" in capsys.readouterr().err
    assert cli.main(["--mode", "training", "--layer", "1", "--rule", "kmeans", *run]) == 2
    assert "leave --rule out" in capsys.readouterr().err


@pytest.mark.usefixtures("sketched")
def test_a_rule_of_ones_own_for_a_network_goes_through_the_command_line(parameters, tmp_path, capsys):
    path, run = parameters(), ["--run-dir", str(tmp_path / "run")]
    path.write_text(path.read_text() + """
from dataclasses import dataclass

import numpy as np
import spikingconvnet as scn
from spikingconvnet.training import NetworkRule, TrainedLayer


@dataclass(frozen=True)
class Means(NetworkRule):
    scale: float = 1.0

    name = "means"

    def train(self, model, images, labels, rng, **_):
        means = np.stack([images[labels == unit].mean(axis=0) for unit in range(10)])
        return [TrainedLayer(self.scale * (means - means.mean(axis=0)), np.ones(10))], {"scale": self.scale}


FILTER, ENCODER, RESET, RULE = scn.Intensity(), scn.RegularEncoder(n_steps=20), True, Means()
CELL = scn.IFCurrDelta(tau_m=2048.0, cm=1.0, v_rest=0.0, v_reset=0.0, v_thresh=1.0, tau_refrac=0.0, v=0.0)
MODEL = scn.Sequential((1, 28, 28), scn.Dense(10, neuron=CELL), scn.SpikeCount())
""")
    assert cli.main(["--mode", "demo", "--parameters", str(path), *run]) == 0
    assert "means: scale 1\n" in capsys.readouterr().err
    for words in (["info"], ["check"], ["testing"], ["training"], ["plot"]):
        assert cli.main(["--mode", *words, *run]) == 0
    assert cli.main(["--mode", "training", "--rule", "ridge", *run]) == 2
    assert "--rule ridge: needs its settings as RULE in the parameters, which hold Means(" in capsys.readouterr().err
