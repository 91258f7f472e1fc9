"""What models are made of, what they refuse and how they are told: kept, see ``helpers/outputs.py``."""

from types import SimpleNamespace

import numpy as np
import pytest
from outputs import Outputs, refused
from random_networks import random_spikes

from spikingconvnet.model import branches, build, head, layers, learning, readouts, shorthand, trained
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.network.neurons import IFCurrDelta, IFCurrExpCa2Adaptive
from spikingconvnet.training.layerwise.stdp import STDP

CASES = Outputs("model")
CELL = IFCurrDelta(tau_m=2048.0, cm=1.0, v_rest=0.0, v_reset=0.0, v_thresh=1.0, tau_refrac=0.0, v=0.0)
CONV, DENSE, POOL, AFTER = layers.Conv2D, layers.Dense, layers.AvgPool2D, branches.Shortcut


def rng():
    return np.random.default_rng(126)


def field_of(kind, given, name, value):
    return getattr(kind(**{**given, name: value}), name)


@CASES
def layers_at_their_limits():
    values = (-1, 0, 1, 2, 65_536, 65_537, 0.0, 0.5, 1.0, 1e-9, True, (1, 2), (0, 1), (1, 65_537), (1, 2, 3), [2, 1],
              None)
    asked = ((CONV, {"filters": 2, "kernel_size": 3}, ("filters", "kernel_size", "strides", "per_map", "firing", "gain",
                                                      "centred", "lateral", "padding", "groups", "after", "shortcuts",
                                                      "neuron", "training")),
             (DENSE, {"units": 2}, ("units", "firing", "gain", "centred", "lateral", "after", "shortcuts")),
             (POOL, {"pool_size": 2}, ("pool_size", "after")),
             (AFTER, {"layer": 0}, ("layer", "kernel_size", "strides", "padding", "pool", "groups")),
             (readouts.Classifier, {}, ("grid", "C", "on_board", "learn")),
             (readouts.SpikeCount, {"first": 1}, ("first", "last", "ties")), (readouts.Membrane, {}, ("first", "last")))
    return [[[kind.__name__, name, [refused(field_of, kind, given, name, value) for value in values]] for name in names]
            for kind, given, names in asked] + [refused(CONV, 2, 3, per_map=True, groups=2), refused(CONV, 3, 3,
                groups=2),
                                                refused(CONV, 4, 3, groups=2), refused(readouts.SpikeCount,
                                                ties="lowest")]


@CASES
def layers_in_words():
    asked = (CONV(2, 3), CONV(4, (3, 2), (1, 2), padding=(0, 1), groups=2, lateral=1.5, after=0), CONV(
        2, 1, per_map=True, padding=(1, 0), after=2), DENSE(3), DENSE(3, after=1, shortcuts=[AFTER(0), AFTER(2, (2,
        3))]),
             POOL(2), POOL((2, 3), after=0), readouts.Classifier(), readouts.Classifier(4, on_board=True),
             readouts.Classifier((2, 3), 2.0), readouts.SpikeCount(), readouts.SpikeCount(2, 5, "lowest"),
             readouts.Membrane(1), readouts.Membrane(0, 7))
    stdp = (CONV(2, 3, firing=0.2), CONV(2, 3, gain=1.0, centred=False), DENSE(3, training=STDP()), DENSE(3))
    return [[str(one), repr(one)] for one in asked], [layers.for_stdp_alone(one) for one in stdp], [
        [one.needs_membranes for one in asked[10:]], [one.area for one in asked[5:7]]]


@CASES
def shapes_of_layers():
    inputs = ((2, 5, 7), (1, 1, 1), (4, 2, 2), (2, 3, 1))
    kinds = (CONV(2, 3), CONV(4, (2, 1), (2, 3), groups=2), CONV(3, 2, per_map=True), CONV(2, 5, padding=(1, 2)), DENSE(
        3), POOL(2), POOL((3, 1)), readouts.Classifier(), readouts.Classifier((2, 3)), readouts.Classifier(1),
             readouts.SpikeCount())
    windows = (readouts.SpikeCount(2), readouts.SpikeCount(2, 5), readouts.Membrane(0, 7), readouts.Membrane(4))
    return [[[refused(one.output_shape, shape) for shape in inputs] for one in kinds],
            [[one.kernel_shape(shape) for shape in inputs] for one in kinds[:4]],
            [kinds[4].as_convolution(shape).kernel_size for shape in inputs],
            [[refused(one.window, n) for n in (2, 4, 5, 6, 7, 8)] for one in windows],
            [refused(kinds[8].cells, shape) for shape in ((1, 2, 3), (1, 1, 3), (1, 2, 2))]]


@CASES
def branches_of_layers():
    made = [branches.Branch(0, (4, 6, 8), (2, 2), (4, 3, 4), 4, (2, 3), (1, 1), (0, 1), groups) for groups in (1, 2, 4)]
    made += [branches.Branch(1, (3, 3, 4), (1, 1), (3, 3, 4), 2, (2, 3), (1, 2), (0, 0), 3, True),
             AFTER(2, (2, 3), (1, 2), (1, 0), (2, 1), 2).branch((4, 6, 5), 6), AFTER(0).branch((2, 3, 4), 3)]
    odd = (branches.Branch(0, (3, 3, 3), (1, 1), (3, 3, 3), 4, (3, 3), groups=2), branches.Branch(
        0, (4, 3, 3), (1, 1), (4, 3, 3), 3, (3, 3), groups=2), branches.Branch(0, (4, 3, 3), (1, 1), (4, 3, 3), 4, (4,
        3)),
           branches.Branch(0, (4, 3, 3), (1, 1), (4, 3, 3), 4, (3, 4)), branches.Branch(
               0, (4, 3, 3), (1, 1), (4, 3, 3), 4, (4, 4), (1, 1), (1, 0)))
    draw = rng()
    return [[[one, one.kernel_shape, one.seen_shape, one.out_shape, one.area, one.channels_seen, one.full(
        draw.integers(1, 9, one.kernel_shape))] for one in made], [refused(one.check, "OWNER") for one in (*made,
        *odd)],
            [str(AFTER(0)), str(AFTER(3, (1, 2)))]]


def graph(*end):
    return Sequential((2, 6, 8), CONV(4, 3, neuron=CELL, padding=1), POOL(2), CONV(6, (2, 3), neuron=CELL, groups=2),
                      CONV(6, 1, (1, 1), neuron=CELL, shortcuts=(AFTER(1, (2, 3), pool=2),)), DENSE(
                          3, neuron=CELL, after=2, shortcuts=(AFTER(3, (2, 2)),)), *(end or (readouts.SpikeCount(),)))


@CASES
def graphs_and_chains():
    plain = Sequential((2, 9, 9), CONV(3, 2, per_map=True, lateral=2.0), POOL(2), CONV(2, 2), DENSE(5),
                       readouts.Classifier(1, on_board=True))
    open_ = Sequential(CONV(3, 2), POOL(2), CONV(2, 2), readouts.Classifier())
    stages = [[one, one.main, one.branches, one.delays, one.label, one.kind, one.unit, one.source, one.dense]
              for made in (plain, graph()) for one in made.stages]
    return [stages, [made.summary() for made in (plain, graph(), open_)], [made.shapes for made in (plain, graph())],
            repr(plain), repr(open_), open_.given_shape, plain.given_shape, refused(lambda: open_.shapes),
            open_.taking((1, 7, 7)).shapes, refused(open_.taking, (1, 1, 1)), refused(open_.taking, (1, 1)),
            [refused(lambda made=made, name=name: str(getattr(made, name))) for made in (
                plain, graph(), Sequential(), Sequential((1, 2, 2), DENSE(2)))
             for name in ("classifier", "readout", "unit_readout", "runs_as_one", "input_shape")]]


@CASES
def models_that_do_not_fit():
    end, count, svm = readouts.Membrane(), readouts.SpikeCount(), readouts.Classifier()
    adapting = IFCurrExpCa2Adaptive()
    asked = ((5,), (svm,), (POOL(2), svm), (POOL(2), POOL(2)), (CONV(2, 2), POOL(2), svm), (CONV(2, 2), svm, DENSE(2)),
             (
        CONV(2, 2), end), (count,), (DENSE(2), count), (DENSE(2, lateral=1.0), count), (CONV(2, 2, lateral=1.0),
        DENSE(2),
                                                                                     end), (
        DENSE(2, firing=0.5, gain=2.0), count), (CONV(2, 2, training=STDP()), DENSE(2), end), (
        DENSE(2, neuron=adapting), count), (CONV(2, 2, neuron=adapting), DENSE(2), end), (DENSE(2, neuron=adapting),
        svm),
             (CONV(2, 9), svm), (CONV(2, 2), CONV(2, 2, after=2), svm), (CONV(2, 2), CONV(2, 2, after=1), svm), (
        CONV(2, 2), CONV(2, 2, after=0), svm), (CONV(2, 2), CONV(2, 2, after=0), DENSE(2), count), (
        CONV(2, 2), POOL(2), CONV(2, 2, after=0), svm), (CONV(2, 2), POOL(2, after=0), DENSE(2), count), (
        DENSE(2, shortcuts=(AFTER(0, (6, 6)),)), svm), (DENSE(2, shortcuts=(AFTER(0, (6, 6)),)), count), (
        DENSE(2, shortcuts=(AFTER(1),)), count), (DENSE(2, shortcuts=(AFTER(0),)), count), (
        DENSE(2, shortcuts=(AFTER(0, pool=7),)), count), (DENSE(2, shortcuts=(AFTER(0, 7),)), count), (
        CONV(2, 2, groups=2), svm), (CONV(2, 2, groups=2), DENSE(2), end),)
    return [refused(lambda one=one: Sequential((2, 6, 6), *one).shapes) for one in asked]


@CASES
def architectures():
    texts = ("36-2", "6x6-2", "6x6-2o", " 6x6-2c3-2s-4-3o ", "1x6x6-2", "35-2", "6x5-2", "2x6x6-2", "6x6", "6x6-2c3",
             "6x6-2c", "6x6-3o-2", "6x6-0", "6x6-2c7-2", "6x6-2s-2s-2", "x-2", "", "6x6-1234567890-2", "6x6-2s")
    other = IFCurrDelta(tau_m=9.0)
    made = shorthand.parse("6x6-2c3-3", (1, 6, 6), CELL, readouts.SpikeCount(), other)
    return [[refused(lambda text=text, shape=shape: repr(shorthand.parse(text, shape, CELL, readouts.SpikeCount())))
             for text in texts] for shape in ((1, 6, 6), (2, 3, 6))], [one.neuron.tau_m for one in made.layers[:2]], [
        refused(shorthand.input_shape, text, channels) for text in ("36-2", "72-2", "35", "6x5-2", "3x6x5", "0-1",
        "6x0", "a")
        for channels in (1, 2)]


@CASES
def what_training_gives():
    made, draw = graph(), rng()
    spikes = random_spikes((2, 6, 8), 2, 5, 4.0, draw)
    found = [trained.TrainedLayer(draw.normal(0, 1, one.main.kernel_shape), draw.random(one.out_shape[0]),
             shortcuts=tuple(
        draw.normal(0, 1, way.kernel_shape) for way in one.shortcuts)) for one in made.stages]
    first = made.stages[0]
    kernels, size = found[0].kernels, int(np.prod(first.out_shape))
    rich = trained.TrainedLayer(kernels, np.ones(4), np.ones(first.out_shape), np.arange(size) / 1.0, 2.5, ())
    flat = trained.TrainedLayer(kernels, np.ones(4), np.arange(4.0))
    wrong = (trained.TrainedLayer(kernels[:1], np.ones(4)), trained.TrainedLayer(kernels, np.ones(3)),
             trained.TrainedLayer(
        kernels * np.nan, np.ones(4)), trained.TrainedLayer(kernels, np.ones(4), np.ones(3)), trained.TrainedLayer(
            kernels, np.ones(4), np.ones((4, 1, 1))), trained.TrainedLayer(kernels, np.ones(4), shortcuts=(kernels,)))
    whole = build.inference_network(made.stages, found, spikes, True)
    part = build.inference_network(made.stages[2:], found[2:], {1: random_spikes((4, 6, 8), 2, 5, 4.0, draw),
                                                               2: random_spikes((6, 2, 2), 2, 5, 4.0, draw)})
    alone = trained.Trained(kernels, kernels, rich, {})
    return [[[one.arrays(), trained.TrainedLayer.from_arrays(one.arrays()), len(one.all_kernels)]
             for one in (*found[2:], rich, flat)], [refused(one.require_fits, first, "RULE") for one in (rich, flat,
                 *wrong)],
            [refused(one.require_fits, stage, "RULE") for one, stage in zip(found, made.stages)],
            [build.values_of(first, one) for one in (found[0], rich, flat)], sorted(alone.arrays()), alone.course,
            [[one.populations[-1], one.reset_every, [[p.label, p.pre, p.post, p.connections] for p in one.projections],
              [[p.label, p.shape, p.per_channel, p.max_expected_summed_weight] for p in one.populations]]
             for one in (whole, part)], build.competition((3, 2, 2), 1.5), [build.label_of(n) for n in (0, 1, 2)],
            refused(build.inference_network, made.stages, found[:2], spikes),
            refused(build.inference_network, made.stages[2:], found[2:], spikes),
            refused(build.inference_network, made.stages[:1], found[:1], random_spikes((2, 6, 7), 2, 5, 4.0, draw)),
            [p.label for p in build.inference_network([SimpleNamespace(**{
                **vars(first), **{name: getattr(first, name) for name in ("branches", "label", "delays")},
                "layer": SimpleNamespace(neuron=CELL, lateral=2.0)})], found[:1], spikes).projections]]


@CASES
def classifiers_as_populations():
    made = Sequential((2, 3, 3), CONV(3, 2), readouts.Classifier())
    layer = trained.TrainedLayer(np.ones((3, 2, 2, 2)), np.ones(3))
    network = build.inference_network(made.stages, [layer], random_spikes((2, 3, 3), 3, 8, 4.0, rng()))
    given = {"kernels": np.ones((2, 3, 2, 2)), "clock": np.arange(6.0).reshape(2, 3), "first": np.array(6),
             "v_thresh": np.array(2.5), "largest_input": np.array(9.0), "other": np.array(1)}
    one = head.answering(network, "layer1", head.Head.from_arrays(given))
    shown = []
    learning.tell(SimpleNamespace(set_postfix=shown.append), loss=0.5)
    learning.tell([], loss=0.5)
    return [one.populations[-2:], [[p.label, p.pre, p.post, p.connections] for p in one.projections[1:]], shown]


@pytest.mark.parametrize("name", list(CASES))
def test_a_call_gives_what_it_gave(name):
    CASES.check(name)


if __name__ == "__main__":
    CASES.write()
