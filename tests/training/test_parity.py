"""Reports on what was converted: seeded faults are found and told by their cause, what is right passes."""

import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (pip install -e '.[torch]')")

from rectifying import units  # noqa: E402

from spikingconvnet import backends  # noqa: E402
from spikingconvnet.cli import main as cli  # noqa: E402
from spikingconvnet.data import datasets  # noqa: E402
from spikingconvnet.data.encoding import LatencyEncoder, RateEncoder, RegularEncoder  # noqa: E402
from spikingconvnet.data.events import EventBins  # noqa: E402
from spikingconvnet.data.filters import BitPlanes  # noqa: E402
from spikingconvnet.errors import DataError, SettingsError  # noqa: E402
from spikingconvnet.model import build, shorthand  # noqa: E402
from spikingconvnet.model.layers import Dense  # noqa: E402
from spikingconvnet.model.readouts import Membrane, SpikeCount  # noqa: E402
from spikingconvnet.model.sequential import Sequential  # noqa: E402
from spikingconvnet.model.trained import TrainedLayer  # noqa: E402
from spikingconvnet.network.neurons import OUT_OF_REACH  # noqa: E402
from spikingconvnet.network.spikes import Spikes  # noqa: E402
from spikingconvnet.training.chain import convert, parity, softlif, worth  # noqa: E402
from spikingconvnet.training.chain.convert import Convert  # noqa: E402
from spikingconvnet.training.chain.gradients import relu  # noqa: E402
from spikingconvnet.training.chain.parity import ParityError, Reference  # noqa: E402

NETWORKS = "sequential: lenet", "module: blocks", "linear: two hidden", "pools: sum, BatchNorm behind"


@pytest.fixture(scope="module")
def bench(benchmark_named):
    return benchmark_named("parity")


@pytest.fixture(scope="module")
def digits(small_mnist):
    return datasets.load(str(small_mnist), "train")


@pytest.fixture(scope="module")
def case(bench, digits):
    """A function that makes the benchmark's Case of an untrained network."""
    def make(name, normalised):
        torch.manual_seed(0)
        return bench.conversion(bench.NETWORKS[name]().eval(), digits.images[:40], normalised)

    return make


# Units


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("normalised", [False, True])
def test_units_agree_and_every_fault_is_found_and_told(bench, case, name, normalised):
    right = case(name, normalised)
    report = right.judge()
    assert report.agree == 1.0 and report.images == 40 and len(report.rows) == len(right.units)
    assert max(row.difference for row in report.rows) < 1e-5
    told = {fault: bench.found(right, *how) for fault, how in bench.UNITS.items()}
    assert len([one for one in told.values() if one]) >= 6
    assert {fault: one for fault, one in told.items() if one and not (one[0] and one[1])} == {}


def test_an_error_names_the_place_and_the_values(case):
    right = case("linear: two hidden", False)
    right.units[1].kernels[7] *= 3.0
    with pytest.raises(ParityError, match=r"layer 2, units: .* \(image \d+, unit 7x0x0: .* for .*cause: ") as error:
        right.judge()
    assert [row.layer for row in error.value.report.rows] == [1, 2] and error.value.report.rows[0].difference < 1e-6


def test_a_cause_that_cannot_be_told_is_not_told(case):
    right, rng = case("linear: two hidden", False), np.random.default_rng(0)
    right.units[0].kernels[:] = rng.normal(0, 0.05, right.units[0].kernels.shape)
    with pytest.raises(ParityError, match="layer 1, units: .*likely cause: not told"):
        right.judge()


def test_images_beyond_0_to_1_and_other_shapes_are_refused(case):
    right = case("linear: two hidden", False)
    with pytest.raises(SettingsError, match=r"Reference.images: must be \(n, C, H, W\) of 0 to 1"):
        replace(right, images=right.images * 255).judge()
    with pytest.raises(SettingsError, match=r"layer 1: the network answers \(80, 1, 1\), MODEL \(70, 1, 1\)"):
        relu.reference(right.network, right.inputs, right.images).judge(
            shorthand.parse("784-70-40-10", (1, 28, 28), Convert().neuron, SpikeCount()), right.units)


# Files with a reference, and training


@pytest.fixture(scope="module")
def trained(bench, digits, tmp_path_factory):
    """The Case of a network that was trained behind Normalize."""
    path = tmp_path_factory.mktemp("trained") / "network.pt"
    network = bench.trained(bench.NETWORKS["sequential: one layer"], True, digits, 12, 0, path)
    return bench.conversion(network, digits.images[:60], True)


@pytest.fixture
def stored(trained, tmp_path):
    """The same and its file: Case, Path."""
    path = tmp_path / "weights.npz"
    convert.save(path, trained.units, relu.reference(trained.network, trained.inputs, trained.images))
    return trained, path


@pytest.fixture
def experiment(bench, stored, small_mnist, tmp_path, monkeypatch):
    """A function that makes the recipe's Experiment of the stored network."""
    monkeypatch.setattr(bench, "TRAINED_ON", 120)
    return lambda **changes: bench.experiment(stored[0], stored[1], 60, tmp_path / "run", small_mnist, **changes)


def test_a_normalised_network_keeps_its_accuracy_and_training_says_so(bench, stored, experiment, small_mnist):
    made, tests = experiment(), datasets.load(str(small_mnist), "test").select(np.arange(60))
    units, rates = made.train_chain("convert")["parity"]
    with torch.no_grad():
        answers = stored[0].network(torch.from_numpy(bench.inputs(tests.images, True))).argmax(1).numpy()
    right = np.mean(answers == tests.labels)
    assert right > 0.7 and made.test().accuracy > right - 0.05
    assert units["images"] == 60 and units["agree"] == 1.0 and {row["kind"] for row in units["rows"]} == {"units"}
    assert [row["layer"] for row in rates["rows"]] == [0, 1, 2] and rates["agree"] > 0.9
    assert all(0.6 < row["ratio"] < 1.0 for row in rates["rows"])
    assert made.layer(1)["how"]["health"]["parity"] == json.loads(json.dumps([units, rates]))


def test_faults_between_the_file_and_the_spikes_are_errors_and_nothing_is_stored(bench, stored, small_mnist, tmp_path,
                                                                               monkeypatch):
    monkeypatch.setattr(bench, "TRAINED_ON", 120)
    told = bench.of_training(stored[0], stored[1], tmp_path, small_mnist)
    assert len(told) == 3 and {name: one for name, one in told.items() if not (one[0] and one[1])} == {}
    assert not (tmp_path / "faults" / "layers").exists()


def test_kernels_of_a_file_that_forgot_the_normalisation_are_refused(bench, stored, experiment):
    made, path = stored
    found, _ = relu.weights_of(made.network, (1, 28, 28))
    convert.save(path, found, relu.reference(made.network, made.inputs, made.images))
    with pytest.raises(ParityError, match=r"layer 1, units: .*mean=0.1307, std=0.3081, which relu.weights_of was not"):
        experiment().train_chain("convert")


def test_bits_of_pixels_are_judged_as_the_grey_values_that_they_are(stored):
    model = Sequential((8, 28, 28), *stored[0].model.layers)
    report = convert.judge(Convert(weights=str(stored[1])), model, BitPlanes())
    assert report.agree == 1.0 and max(row.difference for row in report.rows) < 1e-4


def test_a_file_without_a_reference_is_not_judged(stored):
    convert.save(stored[1], stored[0].units)
    assert convert.judge(Convert(weights=str(stored[1])), stored[0].model, None) is None
    assert convert.judge(Convert(), stored[0].model, None) is None


def test_references_that_cannot_be_kept_or_read_are_refused(stored):
    made, path = stored
    for images in (np.full((2, 2, 4, 4), 0.2), np.full((2, 1, 4, 4), 0.123)):
        with pytest.raises(SettingsError, match=r"Reference.images: must be grey images \(n, 1, H, W\)"):
            convert.save(path, [], Reference(images, []))
    with np.load(path) as arrays:
        np.savez(path, **{name: array for name, array in arrays.items() if name != "answers2"})
    with pytest.raises(DataError, match=r"answers2: must be of shape \(60, 10, 1, 1\), as MODEL says, got nothing"):
        convert.judge(Convert(weights=str(path)), made.model, lambda images: images[:, None] / 255)


# Rates


def rates(rule, images, encoder, layers, model, made_by=None):
    """The report on spikes that `made_by`, otherwise `encoder` itself, has made."""
    spikes = (made_by or encoder)(images, np.random.default_rng(0)).with_gap(encoder.n_steps + 1)
    found = backends.run(build.inference_network(model.stages, layers, spikes, True), jobs=1).spikes
    return parity.judge_rates(model, layers, rule, images, [spikes, *(found[stage.label] for stage in model.stages)],
                              encoder)


@pytest.fixture(scope="module")
def small():
    """A chain of random weights: rule, images, layers, model."""
    rng, rule = np.random.default_rng(0), Convert(bias=True)
    images = rng.random((30, 1, 8, 8))
    model = shorthand.parse("8x8-4c3-2s-12-5", (1, 8, 8), rule.neuron, SpikeCount())
    kernels = [rng.normal(0.05, np.prod(shape[1:]) ** -0.5, shape)
               for shape in (stage.layer.kernel_shape(stage.in_shape) for stage in model.stages)]
    layers, _ = worth.converted(model, units(kernels, [rng.normal(0, 0.05, len(k)) for k in kernels]), images, rule)
    return rule, images, layers, model


@pytest.mark.parametrize("encoder", [RegularEncoder, RateEncoder])
@pytest.mark.parametrize("n_steps", [20, 60])
def test_rates_of_what_is_right_pass(small, encoder, n_steps):
    rule, images, layers, model = small
    report = rates(rule, images, encoder(n_steps=n_steps, max_rate=1.0), layers, model)
    assert [row.layer for row in report.rows] == [0, 1, 2, 3] and report.agree > 0.6


@pytest.mark.parametrize("made_by, text", [
    (RegularEncoder(n_steps=40, max_rate=0.8), "input: fires 0.77.* times as often as its values at the ENCODER's max"),
    (LatencyEncoder(n_steps=40), "input: fires 0.0.* times .*likely cause: the encoder's shown.values. are not what"),
    (RegularEncoder(n_steps=40, max_rate=1.0, threshold=1.0), "input: is silent: not one spike in 30 images")])
def test_spikes_that_are_not_what_the_encoder_says_are_refused(small, made_by, text):
    rule, images, layers, model = small
    with pytest.raises(ParityError, match=text):
        rates(rule, images, RegularEncoder(n_steps=40, max_rate=1.0), layers, model, made_by)


def test_a_layer_that_never_fires_is_an_error(small):
    rule, images, layers, model = small
    encoder = RegularEncoder(n_steps=40, max_rate=1.0)
    high = [layers[0], replace(layers[1], v_thresh=1e4 * layers[1].v_thresh), layers[2]]
    with pytest.raises(ParityError, match="layer 2: is silent: not one spike in 30 images, .*its thresholds are too h"):
        rates(rule, images, encoder, high, model)
    dead = [layers[0], replace(layers[1], kernels=-abs(layers[1].kernels), i_offset=0 * layers[1].v_thresh), layers[2]]
    with pytest.raises(ParityError, match="layer 2: is silent: .*no unit is above 0"):
        rates(rule, images, encoder, dead, model)


def test_neurons_that_do_not_integrate_as_their_units_are_an_error(small):
    """Half of the image's weights, as if they had been cut to the board's largest one."""
    rule, images, layers, model = small
    slow = replace(model.layers[0], neuron=replace(rule.neuron, tau_refrac=12.0))
    other = type(model)(model.input_shape, slow, *model.layers[1:])
    with pytest.raises(ParityError, match="layer 1, rates: .*of its units' spikes|layer 1, rates: .*correlation"):
        rates(rule, images, RegularEncoder(n_steps=40, max_rate=1.0), layers, other)


def test_membranes_at_the_end_have_no_rates(small):
    rule, images, layers, model = small
    last = type(model)(model.input_shape, *model.layers[:-1], Membrane())
    silent = [*layers[:-1], replace(layers[-1], v_thresh=np.full(5, OUT_OF_REACH))]
    report = rates(rule, images, RegularEncoder(n_steps=40, max_rate=1.0), silent, last)
    assert [row.layer for row in report.rows] == [0, 1, 2] and report.agree is None and "same answer" not in str(report)


def test_soft_units_answer_with_the_rate_of_their_neurons():
    rule, weights = softlif.SoftLIF(), np.linspace(0.5, 6.0, 12)
    model = shorthand.parse("1x1x1-12-2", (1, 1, 1), rule.neuron, Membrane(), rule.output_neuron)
    kernels = [weights.reshape(12, 1, 1, 1), np.ones((2, 12, 1, 1))]
    layers = softlif.converted(model, kernels, [np.zeros(12), np.zeros(2)], np.ones((1, 1, 1, 1)), rule,
                              np.random.default_rng(0))
    report = rates(rule, np.ones((40, 1, 1, 1)), RegularEncoder(n_steps=200, max_rate=1.0), layers, model)
    assert report.rows[1].ratio == pytest.approx(1.0, abs=0.08) and report.rows[1].difference < 0.03


def test_the_command_prints_the_report(stored, bench, small_mnist, tmp_path, capsys):
    parameters = tmp_path / "parameters.py"
    text = bench.RECIPE.read_text()
    model = ("MODEL = Sequential((1, 28, 28), Conv2D(8, 7, neuron=CELL), AvgPool2D(2), Dense(10, neuron=CELL),"
             " SpikeCount(last=40))\n")
    text = text[:text.index("RULE = ")] + f"RULE = Convert(weights={str(stored[1])!r})\nCELL = RULE.neuron\n" + model
    text = text.replace("60_000", "120").replace("10_000", "60").replace("data/mnist", str(small_mnist))
    parameters.write_text(text)
    options = ["--parameters", str(parameters), "--run-dir", str(tmp_path / "cli")]
    assert cli.main(["--mode", "loaddata", *options]) == 0 and cli.main(["--mode", "training", *options, "--json"]) == 0
    out, err = capsys.readouterr()
    assert "parity on 60 images: same answer to 100.0 %; layer " in err and "parity on 120 images: same answer" in err
    assert [len(one["rows"]) for one in json.loads(out.splitlines()[-1])["health"]["parity"]] == [2, 3]


@pytest.mark.parametrize("encoder", [RegularEncoder(n_steps=10, max_rate=1.0),
                                     EventBins(size=(1, 4), n_steps=10, polarity=False, scale=10)])
def test_more_spikes_than_units_have_are_right_of_events_alone(encoder):
    """What comes before it is inhibited has fired already, so layers behind events fire more than their units."""
    rule = Convert()
    model = Sequential((1, 1, 4), Dense(2, neuron=rule.neuron), SpikeCount())
    layer = TrainedLayer(np.array([[1.0, 1, 0, 0], [0, 0, 1, 0]]).reshape(2, 1, 1, 4), np.ones(2))
    shown = Spikes.from_events(np.zeros(16), np.repeat(np.arange(4), 4), np.tile(np.arange(4), 4), (1, 1, 4), 1, 12)
    fired = Spikes.from_events(np.zeros(18), [0] * 10 + [1] * 8, [*range(1, 11), *range(1, 9)], (2, 1, 1), 1, 12)

    def judged():
        return parity.judge_rates(model, [layer], rule, np.full((1, 1, 1, 4), 0.4), [shown, fired], encoder)

    if isinstance(encoder, EventBins):
        assert 1.3 < judged().rows[1].ratio < 1.6
    else:
        with pytest.raises(ParityError, match="all together 1.[345].* or events that come in another order"):
            judged()
