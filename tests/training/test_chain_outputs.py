"""What the parts of rules for whole chains give: kept arrays, records and texts, see ``helpers/outputs.py``."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from outputs import Outputs, refused
from random_networks import random_spikes

from spikingconvnet.backends import get_backend
from spikingconvnet.data.encoding import LatencyEncoder, RegularEncoder
from spikingconvnet.data.events import EventBins
from spikingconvnet.data.filters import BitPlanes
from spikingconvnet.model.branches import Shortcut
from spikingconvnet.model.layers import AvgPool2D, Conv2D, Dense
from spikingconvnet.model.readouts import Membrane, SpikeCount
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.model.trained import TrainedLayer
from spikingconvnet.network.neurons import OUT_OF_REACH, IFCurrDelta, IFCurrExp
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.training.chain import (
    balance,
    bpstdp,
    calibration,
    causes,
    convert,
    feedback,
    parity,
    ridge,
    rstdp,
    softlif,
    surrogate,
    units,
    weights,
    worth,
)
from spikingconvnet.training.chain.convert import Convert
from spikingconvnet.training.chain.units import Units

CASES = Outputs("chain")
OPEN = get_backend("local").open
CELL = units.NEURON
EXP = IFCurrExp(tau_m=20.0, cm=4.0, v_rest=0.0, v_reset=0.0, v=0.0, v_thresh=3.0, tau_syn_E=5.0, tau_syn_I=7.0,
                tau_refrac=2.0)


def rng():
    return np.random.default_rng(120)


def chain(cell=CELL, readout=None):
    """A convolution, and a Dense layer behind a pool."""
    return Sequential((2, 6, 5), Conv2D(3, (3, 2), neuron=cell), AvgPool2D((2, 2)), Dense(4, neuron=cell),
                      readout or SpikeCount())


def graph(cell=CELL):
    """A layer with a padded convolution, one with groups and a shortcut behind a pool, and a Dense layer."""
    return Sequential((2, 4, 4), Conv2D(4, 3, neuron=cell, padding=1), Conv2D(
        2, 2, 2, neuron=cell, groups=2, shortcuts=(Shortcut(0, pool=2),)), Dense(3, neuron=cell), SpikeCount())


def units_of(model, ceiling=np.inf, placed=False):
    """Random rectifying units of all layers."""
    draw, found = rng(), []
    for stage in model.stages:
        kernels, *more = (draw.normal(0.1, 0.5, branch.kernel_shape) for branch in stage.branches)
        found.append(Units(kernels, draw.normal(0.1, 0.2, stage.out_shape if placed else stage.out_shape[:1]),
                           tuple(more), ceiling))
    return found


def images_of(model, n=5):
    return rng().random((n, *model.input_shape)).astype(np.float32)


def layers_of(model, size=0.4):
    """Random layers of spiking neurons."""
    draw, found = rng(), []
    for stage in model.stages:
        kernels, *more = (draw.normal(0.1, size, branch.kernel_shape) for branch in stage.branches)
        found.append(TrainedLayer(kernels, draw.uniform(0.5, 1.5, stage.out_shape[0]), shortcuts=tuple(more)))
    return found


# Units and their causes


@CASES
def responses_of_units():
    made = graph()
    given = units_of(made, 0.9, placed=True)
    return {"activations": units.activations(made, given, images_of(made)),
            "pooled": units.pooled(made.stages[1].shortcuts[0], images_of(made)),
            "uneven": units.pooled(chain().stages[1].main, rng().random((2, 3, 4, 4))),
            "all": [len(one.all_kernels) for one in given],
            "single": given[0].at_places(np.dtype(np.float32)).dtype.str,
            "chain": units.activations(chain(), units_of(chain()), images_of(chain()))}


def perturbed():
    """What may be otherwise in a network, by name: number of the layer, its units, what it sees, what it gives."""
    made, given = chain(), units_of(chain())
    values = [images_of(made, 40).astype(np.float64)]
    values += units.activations(made, given, values[0])

    def answers(number, kernels=None, fed=None, bias=None, finish=lambda found: found):
        stage, own = made.stages[number - 1], given[number - 1]
        one = Units(own.kernels if kernels is None else kernels, own.bias if bias is None else bias)
        found = finish(units.responses(stage.main, one.kernels, values[number - 1] if fed is None else fed)
                       + one.at_places())
        return number, found if number == 2 else np.maximum(found, 0.0)

    first, second = given[0].kernels, given[1].kernels
    largest = np.kron(values[1][:, :, :4, :4].reshape(-1, 3, 2, 2, 2, 2).max(axis=(3, 5)), np.ones((2, 2)))
    drive = units.responses(made.stages[1].main, second, values[1])
    return made, given, values, {
        "nothing": answers(1), "turned": answers(1, first[:, :, ::-1, ::-1]), "channels": answers(1, first[:, ::-1]),
        "swapped": answers(2, second.swapaxes(2, 3)),
        "flattened": answers(2, second.reshape(4, 2, 2, 3).transpose(0, 3, 1, 2)),
        "largest": answers(2, fed=largest), "scale": answers(1, fed=values[0] * 255.0),
        "normalised": answers(1, fed=(values[0] - 0.3) / 0.2),
        "by channel": answers(1, fed=(values[0] - np.array([0.3, 0.1])[:, None, None]) / 0.4),
        "biases": answers(1, bias=np.add(given[0].bias, (0.0, 0.25, 0.1))),
        "last biases": answers(2, bias=np.add(given[1].bias, (0.5, 0.1, 1.5, 0.2))),
        "area": (2, 4 * drive + given[1].at_places()), "factor": (2, 3.3 * drive + given[1].at_places()),
        "scales": (2, drive * np.array([2.0, 3, 4, 5])[:, None, None] + np.array([1.0, 2, 3, 4])[:, None, None]),
        "order": answers(1, first[::-1], bias=given[0].bias[::-1]),
        "unknown": (1, np.maximum(rng().normal(0, 1, values[1].shape), 0)),
        "just alike": answers(2, finish=lambda found: found + 0.99e-3 * abs(found).max()),
        "just not": answers(2, finish=lambda found: found * (1 + 1.2e-3 * (abs(found) == abs(found).max())))}


@CASES
def causes_of_differences():
    made, given, values, cases = perturbed()
    found = {}
    for name, (number, theirs) in list(cases.items())[:-2]:
        layer = causes.Answering(made.stages[number - 1], given[number - 1], {number - 1: values[number - 1]}, theirs,
                                 number == 2)
        found[name] = [layer.cause(), layer.scale, layer.on(7).cause(), len(layer.on(7).fed)]
    return found


@CASES
def causes_in_square_images():
    made = Sequential((1, 4, 4), Dense(6, neuron=CELL), SpikeCount())
    given, values = units_of(made), images_of(made, 30).astype(np.float64)
    alike = Sequential((1, 4, 4), Conv2D(2, (3, 2), neuron=CELL), Dense(2, neuron=CELL), SpikeCount())
    conv, seen = units_of(alike)[0], images_of(alike, 30).astype(np.float64)

    def cause(stage, one, fed, shown, last):
        theirs = units.responses(stage.main, one.kernels, shown) + one.at_places()
        return causes.Answering(stage, one, {0: fed}, theirs if last else one.rectified(theirs), last).cause()

    many = values[np.arange(60) % 30]
    many[31:] = rng().random((29, 1, 4, 4))
    return [cause(made.stages[0], given[0], values, values.swapaxes(2, 3), True),
            cause(alike.stages[0], conv, seen, seen.swapaxes(2, 3), False),
            cause(made.stages[0], given[0], many, 5.0 * many, True), causes._listed([1.23456]),
            causes._listed(np.array([1.0, 2.5])),
            causes._fit([np.arange(4.0), np.ones(4)], 3.0 * np.arange(4) + 2, np.array([1, 1, 0, 1], bool))]


# Parity


@CASES
def rows_and_reports():
    ours, theirs = rng().random((2, 3, 2, 2)), np.random.default_rng(121).random((2, 3, 2, 2))
    rows = (parity.Row.of(0, "rates", ours, theirs), parity.Row.of(2, "units", ours, theirs, 4.0),
            parity.Row.of(1, "units", 3 * ours, theirs, 4.0), parity.Row.of(1, "rates", ours, 0 * theirs))
    return [rows, list(map(str, rows)), parity.Report(7, rows, 0.987).as_dict(), str(parity.Report(7, rows[:1], None))]


@CASES
def references_that_are_refused():
    good = np.full((2, 1, 2, 2), 0.5, np.float32)
    bins = EventBins(size=(2, 2))
    return [refused(parity.Reference, *given) for given in (
        (good[0], []), (good[:0], []), (good * 2, []), (good * 2.002, []), (good - 0.6, []), (good, [good, good[:1]]),
        (good * 9, [], bins), (-good, [], bins))]


@CASES
def judging_units():
    made, given, values, cases = perturbed()
    answers = [values[1].copy(), values[2].copy()]
    answers[0][3, 1, 2, 2] += 2e-4          # so that the largest difference is somewhere
    answers[1][4, 1] -= 3e-4
    shown = np.float32(values[0])

    def judged(first=answers[0], last=answers[1], images=None):
        return parity.Reference(shown, [first, last]).judge(made, given, images)

    return [judged(), judged(images=shown * 1.0), refused(judged, cases["channels"][1]),
            refused(judged, 0 * answers[0]),
            refused(judged, answers[0], cases["just not"][1]), judged(answers[0], cases["just alike"][1]).rows[1],
            refused(judged, answers[0][:, :2]), refused(judged, answers[0], answers[1][:, :3]),
            refused(judged, images=shown[:, :1]), judged(answers[0], np.roll(answers[1], 0, 1)).agree]


@CASES
def judging_rates():
    made, encoder = chain(readout=SpikeCount(last=22)), RegularEncoder(n_steps=20, max_rate=0.8)
    pictures, rule = images_of(made, 6), Convert()
    layers = worth.converted(made, units_of(made), pictures, rule, 0.8)[0]
    spikes = [encoder(pictures).with_gap(22)]
    found = []
    for stage, layer in zip(made.stages, layers):
        network = balance.build.inference_network([stage], [layer], spikes[-1], reset=True)
        with OPEN(network) as simulation:
            simulation.run(simulation.source_steps)
            spikes.append(simulation.recording().spikes[stage.label])
    for model, changed in ((made, spikes), (chain(readout=Membrane()), spikes),
                           (made, [spikes[0], Spikes.empty(spikes[1].shape, 6, 22), spikes[2]]),
                           (made, [spikes[0], *(Spikes.empty(one.shape, 6, 22) for one in spikes[1:])]),
                           (made, [Spikes.empty(made.input_shape, 6, 22), *spikes[1:]])):
        found.append(refused(parity.judge_rates, model, layers, rule, pictures, changed, encoder))
    return [found, refused(parity.judge_rates, made, layers, rule, pictures, spikes, LatencyEncoder()),
            [parity._early(layer) for layer in (layers[0], replace(layers[0], v=np.full(math.prod(
                made.stages[0].out_shape), 0.3)))],
            [parity._rates(spikes[1], 1, 20), parity._rates(spikes[1], 2, 30)],
            parity._units(made.stages[0], replace(layers[0], i_offset=np.full(made.stages[0].out_shape, 0.01)), rule,
                          [pictures])]


@CASES
def faults_of_rates():
    ours, theirs = rng().random((3, 2, 2, 2)), rng().random((3, 2, 2, 2)) ** 1.5

    def fault(layer, factor, early=0.0, most=1.2, n_steps=10, other=theirs):
        row = parity.Row.of(layer, "rates", factor * ours, other)
        return parity._rate_fault(row, factor * ours, other, 0.5, n_steps, early, most)

    share = theirs.sum() / ours.sum()
    return [[fault(1, share * at) for at in (0.19, 0.21, 1.0, 1.19, 1.21)], fault(1, share * 1.3, 0.5),
            fault(1, share * 1.3, 0.05), fault(1, share * 1.9, most=2.0), fault(1, 0.0), fault(0, 0.0),
            [fault(0, share * at, n_steps=10_000) for at in (0.94, 0.96, 1.04, 1.06)], fault(0, share * 1.2),
            fault(0, share * 1.3), fault(2, 1.0, other=rng().permuted(theirs.ravel()).reshape(theirs.shape)),
            fault(1, 0.0, other=0 * theirs), parity._rate_fault(
                parity.Row.of(1, "rates", 0 * ours + 1, theirs), 0 * ours + 1, theirs, 0.5, 10, 0.0, 9.0)]


# From units to neurons


@CASES
def layers_of_neurons():
    found = {}
    for made, name in ((chain(), "chain"), (graph(), "graph"), (chain(readout=Membrane()), "membrane")):
        for rule in [Convert(norm=norm, quantile=0.9, peak_rate=0.5) for norm in convert.NORMS] + [
                Convert(balance="thresholds", threshold=2.0, start=0.25), Convert(spread=True, threshold=3.0)]:
            given = units_of(made, placed=rule.spread)
            layers, scales = worth.converted(made, given, images_of(made), rule, 0.5)
            found[f"{name} {rule}"] = [[layer.arrays() for layer in layers], scales]
    return found


@CASES
def layers_that_are_measured():
    seen, made = [], chain()

    def measured(number, layer, made_for):
        seen.append((number, layer.kernels, made_for))
        return made_for * np.array([0.5, 1.0, 2.0])

    layers, scales = worth.converted(made, units_of(made), images_of(made), Convert(calibration=3), 0.5, measured)
    return [seen, [layer.kernels for layer in layers], scales]


def test_activations_do_not_depend_on_how_many_images_go_at_a_time(monkeypatch):
    made = chain()
    pictures, labels = images_of(made, 7), np.arange(7) % 4
    asked = made, units_of(made), pictures
    whole = worth.scales_of(*asked, Convert()), convert.accuracy(*asked, labels)
    monkeypatch.setattr(worth, "BATCH", 3)
    monkeypatch.setattr(convert, "BATCH", 3)
    assert (worth.scales_of(*asked, Convert()), convert.accuracy(*asked, labels)) == whole
    answers = units.activations(*asked)[-1][..., 0, 0].argmax(axis=1)
    assert convert.accuracy(*asked, answers) == 1.0 and convert.accuracy(*asked, (answers + 1) % 4) == 0.0
    assert math.isnan(convert.accuracy(made, asked[1], pictures[:0], labels[:0]))


@CASES
def largest_inputs_and_gains():
    made, source = graph(), random_spikes((2, 4, 4), 7, 6, 9.0, rng())
    second = random_spikes(made.stages[0].out_shape, 7, 6, 9.0, rng())
    layers, stage = layers_of(made), made.stages[1]
    peaks = [balance.peak_input(made.stages[0], layers[0], {0: source}), balance.peak_input(stage, layers[1],
                                                                                             {0: source, 1: second})]
    fits = [balance.fitted(made.stages[0], replace(layers[0], kernels=layers[0].kernels * size), {0: source})
            for size in (1.0, 9.0, 90.0)]
    neurons = CELL, EXP, replace(EXP, tau_syn_E=9.0), replace(CELL, tau_m=10.0, cm=3.0)
    return [peaks, [[layer.arrays(), peak] for layer, peak in fits],
            [[balance.gain(one, step), balance.current(one, step)] for one in neurons for step in (1.0, 0.5)],
            [balance.cell(one) for one in (*neurons, replace(EXP, v_rest=-65.0, v_reset=-60.0, v_thresh=-50.0))],
            balance._arriving(source.samples(0, 2), 3), balance._seen(stage.shortcuts[0]), balance._seen(stage.main)]


@CASES
def steps_that_are_looked_at():
    stage, source = chain().stages[0], random_spikes((2, 6, 5), 4, 6, 9.0, rng())
    products, found = 2 * math.prod(stage.out_shape) * math.prod(stage.main.kernel_shape[1:]), []
    real = balance.PRODUCTS
    try:
        for steps in (0, 1, 5, 23, 24, 30):
            balance.PRODUCTS = products * (steps + 0.5)
            found.append(balance._busiest(stage, {0: source}).astype(int))
    finally:
        balance.PRODUCTS = real
    return [found, [balance.some({0: Spikes.empty((1, 1, 1), n, steps)})[0].n_samples
                    for n, steps in ((3, 10), (99, 10), (101, 10), (120, 100), (120, 101), (120, 9_999), (4, 20_000))]]


@CASES
def chains_that_are_balanced():
    made, source = chain(), random_spikes((2, 6, 5), 3, 10, 9.0, rng())
    layers, peaks = balance.balanced(made, layers_of(made, 8.0), source, OPEN, reset=True)
    broken = layers_of(made)
    broken[1].kernels[0] = np.nan
    other = chain(replace(CELL, v_rest=-1.0, v=2.0))
    scaled = balance.scaled(graph().stages[1], replace(layers_of(graph())[1], i_offset=np.array([1.0, 2.0])), 0.25)
    started = balance.scaled(chain(replace(CELL, v=0.5, i_offset=0.1)).stages[0], layers_of(made)[0], 0.5)
    return [[layer.arrays() for layer in layers], peaks, refused(balance.balanced, made, broken, source, OPEN),
            refused(balance.scaled, other.stages[0], broken[0], 0.5), scaled.arrays(), started.arrays(),
            [balance.fitting_factor(made.stages[0], layers_of(made)[0], balance.Peak(net, net, net)) for net in
             (0.0, 28.8, 28.82, 57.6, 57.64, 400.0)],
            balance.fitting_factor(other.stages[0], layers_of(made)[0], balance.Peak(0.0, 0.0, 0.0)),
            refused(balance.gain, replace(CELL, tau_m=32_768.5)),
            refused(balance.require_chain, graph(), Convert()), refused(balance.require_dense, made, Convert()),
            refused(balance.require_chain, Sequential((1, 3, 3), Conv2D(1, 1, neuron=CELL), Conv2D(
                1, 1, neuron=CELL, after=0, shortcuts=(Shortcut(1),)), Dense(2, neuron=CELL), SpikeCount()), Convert()),
            refused(balance.require_dense, Sequential((1, 4, 4), Dense(3, neuron=CELL), AvgPool2D((1, 1)),
                                                      Dense(2, neuron=CELL), SpikeCount()), Convert())]


@CASES
def layers_that_are_calibrated():
    made, encoder = chain(readout=SpikeCount(first=2)), RegularEncoder(n_steps=12, max_rate=0.8)
    pictures, given = images_of(made, 4), units_of(made)
    found = [convert._calibration(model, encoder(pictures), units.activations(made, given, pictures), OPEN)
             for model in (made, chain(readout=SpikeCount(first=7)), chain(readout=Membrane()))]
    layers = worth.converted(made, given, pictures, Convert(norm="channels"), 0.8)[0]
    worths = found[0].measured(1, layers[0], np.array([0.5, 1.0, 2.0]))
    return [worths, found[0].shares, [[one.first, one.last, one.spikes[0].n_steps] for one in found],
            calibration.fitted_worth(np.array([0.0, 1, 2, 0]).reshape(2, 2, 1, 1), np.array([1.0, 3, 4, 5]).reshape(
                2, 2, 1, 1)), calibration.fitted_worth(np.zeros((1, 2, 1, 1)), np.ones((1, 2, 1, 1))),
            refused(convert._calibration, made, encoder(pictures), [], None)]


# Convert, and files


def test_weights_in_files_are_kept_and_judged(tmp_path):
    made, path = graph(), tmp_path / "weights.npz"
    given = units_of(made)
    given[0].kernels[:] = np.round(given[0].kernels, 2)
    for ceiling, placed in ((np.inf, False), (6.0, True)):
        given = units_of(made, ceiling, placed)
        convert.save(path, [*given[:2], replace(given[2], ceiling=np.inf)])
        back = convert.load(path, made)
        assert [one.ceiling for one in back] == [ceiling, ceiling, np.inf]
        for one, other in zip(back, given, strict=True):
            assert np.array_equal(one.bias, other.bias)
            assert all(np.array_equal(a, b) for a, b in zip(one.all_kernels, other.all_kernels, strict=True))


@pytest.fixture
def judged(tmp_path):
    """A function that says what ``convert.judge`` gives, of images or events, for an encoder and a filter."""
    made = Sequential((1, 4, 4), Dense(3, neuron=CELL), SpikeCount())
    given, grey = units_of(made), rng().integers(0, 256, (6, 1, 4, 4))
    bins = EventBins(size=(4, 4), n_steps=5, polarity=False, scale=4.0, clip=9)

    def judge(kind, encoder=None, seen=lambda images: images[:, None] / 255.0, bins=bins):
        path = tmp_path / f"{kind}.npz"
        shown = np.float32(grey / 255.0 if kind == "images" else (grey % 7) / bins.scale)
        answers = units.activations(made, given, shown)
        convert.save(path, given, parity.Reference(shown, answers, bins if kind == "events" else None))
        said = refused(convert.judge, Convert(weights=str(path)), made, seen, encoder)
        return said.replace(str(path), "FILE") if isinstance(said, str) else said[0]

    judge.bins = bins
    return judge


def test_references_are_judged_by_what_the_encoder_takes(judged):
    bins = judged.bins
    assert judged("images") == judged("events", bins) == "not refused"
    assert judged("images", bins) == (
        "SettingsError: Convert.weights: must be of a network that was trained on events, which ENCODER takes; this one"
        " was trained on images, got 'FILE'")
    assert "trained on images, which ENCODER takes; this one was trained on events" in judged("events")
    assert "ENCODER.scale: must be 4, the events that were" in judged("events", replace(bins, scale=5.0))
    assert "ENCODER.clip: must be 9, as the network" in judged("events", replace(bins, clip=None))
    unclipped = replace(bins, clip=None)
    assert "ENCODER.clip: must be None, as the network" in judged("events", bins, bins=unclipped)
    assert judged("events", unclipped, bins=unclipped) == "not refused"
    assert judged("images", seen=lambda images: images[:, None] / 300.0).startswith("ParityError: layer 1, units")


@CASES
def refusals_of_conversion():
    plain, found = CELL, []
    for cell in (replace(plain, v_rest=1.0), replace(plain, v_reset=0.5), replace(plain, tau_refrac=1.0),
                 replace(plain, i_offset=0.1), EXP):
        found.append(refused(convert.check_neurons, chain(cell), Convert()))
    per_map = Sequential((2, 3, 3), Conv2D(2, 2, neuron=CELL, per_map=True), Dense(2, neuron=CELL), SpikeCount())
    found += [refused(convert.check_neurons, per_map, Convert(norm="channels")),
              refused(convert.check_neurons, per_map, Convert()),
              refused(Convert, norm="channels", balance="thresholds"),
              refused(Convert, calibration=1, balance="thresholds"), Convert(calibration=0).by_map,
              Convert(calibration=1).by_map, Convert(norm="channels").by_map]
    pictures = np.full((2, 1, 2, 2), 0.2, np.float32)
    return found + [refused(convert._plain_arrays, parity.Reference(np.float32(shown), [pictures])) for shown in (
        pictures, pictures + 0.3e-4, pictures + 0.5e-4, np.repeat(pictures, 2, 1))]


@CASES
def grey_values_of_bits():
    made, worths = Sequential((8, 2, 3), Dense(2, neuron=CELL), Dense(2, neuron=CELL), SpikeCount()), BitPlanes.worth
    bits = rng().integers(0, 2, (3, 8, 2, 3))
    whole = convert.grey(made, worths)
    layers = layers_of(whole)
    return [whole.shapes, convert.grey(made, None).shapes, convert._grey_values(bits, worths),
            [convert._for_channels(stage, layer, worths).kernels for stage, layer in zip(whole.stages, layers)],
            convert._for_channels(whole.stages[0], layers[0], None).kernels,
            Convert().rates(CELL, np.array([-1.0, 0.5, 3.0]), np.array([1.0, 2.0, 4.0]))]


def test_a_training_by_a_file_scales_its_layers(tmp_path):
    made, path, encoder = chain(), tmp_path / "weights.npz", RegularEncoder(n_steps=10, max_rate=0.5)
    given, pictures = units_of(made), images_of(made, 6)
    convert.save(path, given)
    answers = units.activations(made, given, pictures)[-1][..., 0, 0].argmax(axis=1)
    for rule in (Convert(weights=str(path)), Convert(weights=str(path), calibration=4)):
        layers, told = rule.train(made, pictures, answers, rng(), encoder=encoder, open_network=OPEN)
        assert told["ann_train_accuracy"] == 1.0 and len(told["scales"]) == 2
        assert ("calibration" in told) is (rule.calibration > 0)
        plain, scales = worth.converted(made, given, pictures, rule, 0.5)
        assert told["scales"] == scales
        assert np.array_equal(layers[0].kernels, plain[0].kernels)
        assert np.array_equal(layers[1].kernels, plain[1].kernels) is not (rule.calibration > 0)
    with pytest.raises(Exception, match="Convert.norm: must be another one where an input is above 1"):
        replace(rule, norm="model", calibration=0).train(made, 1.01 * pictures / pictures.max(), answers, rng(),
                                                         encoder=encoder)


def test_files_of_weights_that_do_not_fit_are_refused(tmp_path):
    path = tmp_path / "some.npz"
    weights.write(path, {"a": np.arange(3), "b": np.ones((2, 2)), "c": np.array(["x"]), "d": np.array([np.inf])})
    assert {name: one.tolist() for name, one in weights.read(path, {"a": (3,), "b": (2, 2)}, "Own", "w").items()} == {
        "a": [0.0, 1.0, 2.0], "b": [[1.0, 1.0], [1.0, 1.0]]}
    for name, shape, text in (("a", (4,), "must be of shape (4,), as MODEL says, got (3,)"),
                              ("e", (1,), "must be of shape (1,), as MODEL says, got nothing"),
                              ("c", (1,), "must be finite numbers"), ("d", (1,), "must be finite numbers")):
        assert refused(weights.read, path, {name: shape}, "Own", "w") == (
            f"DataError: Own.weights: {path}: {name}: {text}")
    assert refused(weights.read, tmp_path / "none.npz", {}, "Own", "w.save").endswith("; write it with w.save")


# Soft LIF, ridge, feedback, surrogate


@CASES
def soft_units():
    rule, made = softlif.SoftLIF(), chain(softlif.NEURON)
    kernels, biases = ([getattr(one, name) for one in units_of(made)] for name in ("kernels", "bias"))
    pictures, found = images_of(made, 5), []
    for readout, random in ((SpikeCount(), True), (Membrane(), False)):
        one = chain(replace(EXP, tau_syn_I=5.0), readout)
        found.append([layer.arrays() for layer in softlif.converted(one, kernels, biases, pictures, replace(
            rule, random_start=random), rng(), 0.5)])
    curve = softlif.RateCurve
    curves = curve.of(softlif.NEURON), curve.of(EXP, 0.1, 0.5), curve(20.0, 2.5, 0.03)
    refusals = [refused(softlif._check_neurons, chain(replace(softlif.NEURON, **{name: value}))) for name, value in (
        ("tau_syn_I", 4.0), ("v_rest", -1.0), ("v_reset", 0.5), ("i_offset", 0.1))]
    return [found, curves, [curve(np.linspace(0.0, 4.0, 9)) for curve in curves],
            rule.rates(softlif.NEURON, np.linspace(-1.0, 5.0, 7), np.full(7, 2.0)),
            softlif.logits(made, kernels, biases, pictures, rule), softlif.firing(rng().normal(0.0, 2.0, (30, 4))),
            softlif.firing(np.full((2, 2), 3.0)), refusals, refused(softlif._check_neurons, chain()),
            softlif.accuracy(made, kernels, biases, pictures, np.arange(5) % 4, rule)]


def test_soft_units_do_not_depend_on_how_many_images_go_at_a_time(monkeypatch):
    made, rule = chain(softlif.NEURON), softlif.SoftLIF()
    kernels, biases = ([getattr(one, name) for one in units_of(made)] for name in ("kernels", "bias"))
    pictures = images_of(made, 7)
    whole = softlif.logits(made, kernels, biases, pictures, rule)
    monkeypatch.setattr(softlif, "BATCH", 3)
    assert np.allclose(softlif.logits(made, kernels, biases, pictures, rule), whole, rtol=1e-5)
    assert softlif.accuracy(made, kernels, biases, pictures, whole.argmax(axis=1), rule) == 1.0


def test_soft_units_of_a_file_are_trained(tmp_path):
    made, path = chain(softlif.NEURON), tmp_path / "weights.npz"
    given, pictures = units_of(made), images_of(made, 6)
    convert.save(path, given)
    rule = softlif.SoftLIF(weights=str(path))
    kernels, biases = [one.kernels for one in given], [one.bias for one in given]
    answers = softlif.logits(made, kernels, biases, pictures, rule).argmax(axis=1)
    layers, told = rule.train(made, pictures, answers, rng(), encoder=RegularEncoder(max_rate=0.25))
    assert told == {"soft_train_accuracy": 1.0} and np.isclose(layers[0].kernels / given[0].kernels, 4.0 / 5.0).all()


@CASES
def ridge_regression():
    made, encoder, labels = chain(), RegularEncoder(max_rate=0.5), np.arange(12) % 4
    pictures = images_of(made, 12)
    layers, told = ridge.Ridge().train(made, pictures, labels, rng(), encoder=encoder, validation=(pictures[:5],
                                                                                                 labels[:5]))
    one = Sequential((2, 6, 5), Dense(4, neuron=CELL), SpikeCount())
    alone = ridge.Ridge(strength=1.0, quantile=0.9).train(one, pictures, labels, rng(), encoder=encoder)
    return [[layer.arrays() for layer in layers], told, alone[0][0].kernels, alone[1]]


@CASES
def feedback_alignment():
    made = Sequential((1, 4, 3), Dense(5, neuron=CELL), Dense(3, neuron=CELL), SpikeCount())
    pictures, labels = images_of(made, 10), np.arange(10) % 3
    rule = feedback.FeedbackAlignment(epochs=3, batch=4, learning_rate=0.3, momentum=0.5)
    matrices = [rng().normal(0, 0.5, shape) for shape in ((5, 12), (3, 5))]
    fixed, targets = [rng().normal(0, 0.5, (5, 3))], np.eye(3)[labels]
    values = pictures.reshape(10, 12).astype(np.float64)
    layers, told = rule.train(made, pictures, labels, rng(), encoder=RegularEncoder(max_rate=0.5),
                              validation=(pictures[:4], labels[:4]))
    return [feedback.changes(matrices, fixed, values, targets), feedback.loss(matrices, values, targets),
            feedback.forward(matrices, values)[1], feedback.softmax(values[:, :3] * 30),
            feedback.initial_kernels(made, rng()),
            [layer.arrays() for layer in layers], told,
            refused(rule.train, chain(), pictures, labels, rng(), encoder=None)]


@CASES
def neurons_of_surrogate_gradients():
    cell = IFCurrDelta(tau_m=20.0, cm=1.0, v_rest=-1.0, v_reset=-2.0, v_thresh=3.0, tau_refrac=0.0, v=-1.0)
    made, source = chain(cell), random_spikes((2, 6, 5), 3, 8, 20.0, rng())
    kernels = [one.kernels for one in units_of(made)]
    checks = [refused(surrogate.check, model, steps) for model, steps in (
        (made, 8), (chain(cell, SpikeCount(first=2)), 8), (chain(cell, SpikeCount(first=3)), 8), (chain(
            cell, SpikeCount(last=10)), 8), (chain(cell, SpikeCount(last=10)), 9), (chain(cell, Membrane()), 8),
        (chain(replace(cell, v=0.0)), 8), (chain(replace(cell, v_thresh=-1.0)), 8), (chain(replace(
            cell, v_thresh=-1.5, v_reset=-1.4, v_rest=-1.6, v=-1.6)), 8), (chain(replace(cell, tau_refrac=1.0)), 8),
        (chain(replace(cell, i_offset=0.5)), 8), (chain(EXP), 8))]
    begin = surrogate.started(chain(), images_of(made), np.arange(5) % 4, rng(), surrogate.Surrogate(), None)
    return [[layer.arrays() for layer in surrogate.converted(made, kernels)],
            surrogate.simulated(made, kernels, source), checks, begin,
            refused(surrogate.Surrogate, start=Convert(bias=True)), surrogate.Surrogate(start=Convert()).takes_rates,
            surrogate.Surrogate().takes_rates]


def test_surrogate_weights_in_files_are_kept(tmp_path):
    cell = surrogate.Surrogate().neuron
    made, path = chain(cell), tmp_path / "weights.npz"
    kernels = [one.kernels for one in units_of(made)]
    surrogate.save(path, kernels, 7)
    assert all(np.array_equal(a, b) for a, b in zip(surrogate.load(path, made, 7), kernels, strict=True))
    assert refused(surrogate.load, path, made, 8) == (
        f"SettingsError: Surrogate.weights: {path}: was trained with 7 steps an image, and ENCODER makes 8")
    rule = surrogate.Surrogate(weights=str(path))
    layers, told = rule.train(made, None, None, rng(), encoder=SimpleNamespace(n_steps=7))
    assert told == {} and np.array_equal(layers[1].kernels, surrogate.converted(made, kernels)[1].kernels)


# R-STDP


@CASES
def trials_of_rewards():
    rule, shown = rstdp.RSTDP(pulses=(4, 2, 1)), random_spikes((3, 1, 2), 5, 16, 6.0, rng())
    labels, draw = np.array([0, 1, 1, 0, 1]), rng().random((6, 2))
    other = replace(rule, inhibition=0.3, v_thresh=30.0, target=11.0, margin=3.0)
    spread = replace(other, flush_steps=4)

    def largest(one):
        made = rstdp.training_network(shown, labels, np.minimum(draw, one.w_max), one)
        return made.population(rstdp.OUTPUT).max_expected_summed_weight

    return [*(rstdp.trials(shown, labels, 2, one) for one in (rule, other, spread)), [largest(one) for one in (
        rule, other, replace(rule, w_max=9.0), spread, replace(other, initial=(0.1, 1.0), w_max=1.0))],
        [rstdp._teaching(3, one) for one in (rule, other)], repr(rule), repr(other),
        [[one.label, one.shape, one.cell, one.max_expected_summed_weight]
         for one in rstdp.training_network(shown, labels, draw, other).populations],
        [[one.label, one.pre, one.post, one.receptor, str(one.plasticity)]
         for one in rstdp.training_network(shown, labels, draw, other).projections],
        len(rstdp.training_network(shown, labels, draw, rule).projections)]


@CASES
def weights_by_rewards():
    rule = rstdp.RSTDP(epochs=2, pulses=(2, 1), amount=0.1, eligibility=0.2, w_max=1.0, target=4.0, margin=1.0)
    shown, labels = random_spikes((5, 1, 1), 6, 16, 9.0, rng()), np.arange(6) % 2
    found, told = rstdp.learn(shown, labels, rng().uniform(0.1, 0.3, (5, 2)), rng(), rule, OPEN)
    made = Sequential((5, 1, 1), Dense(2, neuron=rule.neuron), SpikeCount())
    layers = rule.train(made, np.zeros((6, 5, 1, 1)), labels, rng(), encoder=lambda images, draw: shown,
                        open_network=OPEN)
    return [found, told, [layer.arrays() for layer in layers[0]], layers[0][0].v_thresh[0] == OUT_OF_REACH,
            refused(rule.train, chain(), None, None, None, encoder=None, open_network=None),
            refused(rule.train, made, np.zeros((6, 5, 1, 1)), labels, rng(), encoder=lambda images, draw:
                    shown.with_gap(17), open_network=OPEN),
            *(refused(rstdp.learn, Spikes.empty((1, 1, 1), n, 16), None, None, None, replace(rule, epochs=200), None)
              for n in (90_000, 89_478))]


@CASES
def times_of_a_trial():
    """Each time of a trial at the first and the last step that it may be in, and one beyond."""
    def ends(name, low, high, **others):
        given = [refused(rstdp.RSTDP, **{**others, name: value}) for value in range(low, high + 1)]
        return [low + i for i, one in enumerate(given) if not isinstance(one, str)][::max(len(given), 1)], \
            [low + i for i, one in enumerate(given) if not isinstance(one, str)], sorted(
                {one for one in given if isinstance(one, str)})[:4]

    return [ends("punish", 14, 40), ends("kick", 14, 40), ends("reward", 30, 60), ends("flush", 36, 110),
            ends("punish", 14, 40, pulses=(1,)), ends("reward", 30, 60, pulses=(1,)), ends("pattern_steps", 10, 24),
            refused(rstdp.RSTDP, margin=10.0), refused(rstdp.RSTDP, target=18.0), refused(rstdp.RSTDP, target=17.9),
            refused(rstdp.RSTDP, initial=(0.3, 0.2)), refused(rstdp.RSTDP, initial=(0.3, 1.1)),
            refused(rstdp.RSTDP, initial=(0.3, 0.3), w_max=0.3)]


# BP-STDP around its kernels


@CASES
def start_weights_and_shifts():
    pictures, rule = rng().random((4, 1, 5, 4)).astype(np.float32), bpstdp.BPSTDP(hidden_threshold=0.9)
    made = Sequential((1, 3, 2), Dense(5, neuron=rule.neuron), Dense(3, neuron=rule.neuron), SpikeCount())
    begin = bpstdp.initial_weights([(5, 1, 3, 2), (3, 5, 1, 1)], rule, rng())
    return [begin, [layer.arrays() for layer in bpstdp.converted(made, begin, rule)],
            [bpstdp.shifted(pictures, by, rng()) for by in (0, 1, 3)],
            [[str(part) for part in bpstdp._overlap(5, step)] for step in (-5, -2, 0, 1, 5)], bpstdp._sizes(begin),
            [one.shape for one in bpstdp._padded([*begin, np.ones((2, 16), np.float32), np.ones((2, 17), np.float32)])],
            [refused(rule.train, made, 0.5 + 0 * pictures[:, :, :3, :2], None, rng(), encoder=encoder) for encoder in (
                RegularEncoder(n_steps=21), SimpleNamespace(n_steps=20, max_rate=2.5, shown=None, takes=1))],
            refused(replace(rule, shift=2).train, made, pictures[:, :, :3, :2], None, rng(),
                    encoder=RegularEncoder(20)),
            refused(bpstdp.BPSTDP, n_steps=21), bpstdp._keys(3, rng()).dtype.str]


def test_rules_say_whether_they_take_values_as_rates():
    rates = Convert, ridge.Ridge, feedback.FeedbackAlignment, softlif.SoftLIF
    assert all(rule().takes_rates for rule in rates) and not rstdp.RSTDP().takes_rates


@pytest.mark.parametrize("name", list(CASES))
def test_a_call_gives_what_it_gave(name):
    CASES.check(name)


if __name__ == "__main__":
    CASES.write()
