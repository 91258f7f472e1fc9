"""What the readout, figures, pages and plans of experiments are made of: kept, see ``helpers/outputs.py``."""

from types import SimpleNamespace

import numpy as np
import pytest
from outputs import Outputs, refused
from random_networks import random_spikes

from spikingconvnet.experiment import binding, fields, overrides, readout, sweep, tables
from spikingconvnet.experiment.defaults import _layerwise
from spikingconvnet.experiment.given import Form, Span
from spikingconvnet.experiment.jobs import conformance, expected, plan
from spikingconvnet.experiment.prediction import _decided
from spikingconvnet.experiment.report import answers, layers, packing, pictures, samples
from spikingconvnet.model.branches import Shortcut
from spikingconvnet.model.layers import AvgPool2D, Conv2D, Dense
from spikingconvnet.model.readouts import SpikeCount
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.model.trained import TrainedLayer
from spikingconvnet.network import geometry
from spikingconvnet.network.neurons import IFCurrDelta

CASES = Outputs("experiment")
CELL = IFCurrDelta(tau_m=2048.0, cm=1.0, v_rest=0.0, v_reset=0.0, v_thresh=1.0, tau_refrac=0.0, v=0.0)


def rng():
    return np.random.default_rng(123)


def network():
    return Sequential((2, 9, 8), Conv2D(4, (3, 2), (1, 2), neuron=CELL, padding=1), AvgPool2D((2, 1)),
                      Conv2D(2, 2, neuron=CELL, groups=2, shortcuts=(Shortcut(0, (2, 3), (3, 2), (0, 1)),)),
                      Dense(3, neuron=CELL), SpikeCount())


@CASES
def counts_and_answers():
    spikes, v = random_spikes((3, 4, 5), 6, 7, 9.0, rng()), rng().integers(-99, 99, (42, 4)).astype(np.int32)
    units = random_spikes((4, 1, 1), 6, 7, 3.0, rng())
    found = readout.Readout(np.array([2, 5, 9]), rng().normal(0, 1, (3, 6)), np.array([0.5, -0.5, 0.0]))
    counts, labels = rng().integers(0, 5, (8, 6)), np.array([2, 5, 9, 2, 5, 9, 2, 2])
    scores = readout.score(found.predict(counts), labels)
    return [[readout.spike_counts(spikes, grid) for grid in ((1, 1), (2, 3), (4, 5))],
            [readout.by_spike_count(units, window, given) for window in ((0, 7), (2, 5)) for given in (None, v)],
            readout.by_first_spike(units), [readout.by_membrane(v, 7, window) for window in ((0, 7), (2, 5), (6, 7))],
            found.decision(counts), found.near_margin(counts, labels), scores, scores.entry("test"),
            readout.score(labels[:0], labels[:0]).entry("validation"), refused(found.decision, counts[:, :5]),
            refused(readout.score, labels, labels[:3]), refused(readout.fit, counts, 0 * labels),
            readout.score(np.array([1, 2, 2]), np.array([1, 3, 3])).entry("test")]


@CASES
def machines_of_two_and_three_classes():
    counts = rng().integers(0, 9, (12, 5)).astype(np.uint16)
    return [np.round(np.sign(readout.fit(counts, np.arange(12) % n).decision(counts)), 1) for n in (2, 3)]


@CASES
def what_deeper_layers_see():
    made, draw = network(), rng()
    layers_of = [TrainedLayer(draw.normal(0, 1, stage.main.kernel_shape), np.ones(stage.out_shape[0]), shortcuts=tuple(
        draw.normal(0, 1, one.kernel_shape) for one in stage.shortcuts)) for stage in made.stages]
    asked, found = SimpleNamespace(model=made, trained=lambda number: layers_of[number - 1]), []
    for number in (1, 2, 3):
        found.append([fields.led_back(asked, number), fields.led_back(asked, number, 2),
                      [[list(map(list, span)) for span in fields._spans(made.stages[:number]).values()]]])
    real, said = fields.MOST_PRODUCTS, []
    try:
        for fields.MOST_PRODUCTS in (2_000, 20_000, 200_000, 2_000_000):
            said.append([fields.why_not(made.stages[:number], most) for number in (1, 2, 3) for most in (3, 5, 100)])
    finally:
        fields.MOST_PRODUCTS = real
    return [found, said]


@CASES
def windows_and_pools():
    return [geometry.receptive_fields((2, 5, 7), (2, 3), (2, 1)), geometry.pooled_neurons((2, 5, 7), (2, 3), (1, 2)),
            geometry.grid_cells((2, 5, 7), (2, 3)), geometry.through(rng().normal(0, 1, (2, 3, 2, 2)), rng().normal(
                0, 1, (3, 2, 3, 2)), (2, 1), (1, 2))]


@CASES
def blocks_of_a_page():
    spikes = random_spikes((2, 3, 3), 4, 6, 8.0, rng())
    return [[packing.packed([0, top]) for top in (0, 255, 256, 65_535, 65_536)], packing.packed(np.zeros((0, 2))),
            [packing.quantised(rng().normal(0, 1, (2, 3)), n) for n in (1, 2)], packing.quantised([3.0, 3.0]),
            packing.quantised([]), packing.unpacked(packing.quantised(np.arange(5.0) / 3)),
            packing.packed_spikes(spikes),
            pictures.first_steps(spikes, np.array([2, 0])), samples.active(spikes), samples._bytes(spikes),
            samples._maps([spikes]), samples._padded(np.arange(12.0).reshape(2, 3, 2), 2, 7, -1.0),
            samples.in_turn(np.array([1, 2, 3]), np.array([7])), samples.in_turn(np.array([], int), np.array([7, 8])),
            pictures._bytes(np.array([[-1.0, 0.5, 2.0]])), pictures._bytes(np.zeros((1, 2))), pictures._bytes(
                np.array([[0, 200]], np.uint8)), [samples._synapses(stage) for stage in network().stages],
            [layers._node(stage, (1.5, "x")) for stage in network().stages],
            [layers._edge(stage, i) for stage in network().stages for i in range(len(stage.branches))],
            [layers._block(np.arange(np.prod(shape)).reshape(shape) / 7.0, budget) for shape, budget in (
                ((5, 1, 2, 2), 99), ((5, 1, 2, 2), 16), ((5, 1, 2, 2), 15), ((3, 2, 1, 4), 99), ((2, 1, 2, 2), 8))]]


@CASES
def images_of_a_page():
    labels, given = rng().integers(0, 4, 60), rng().integers(0, 4, 60)
    confusion = rng().integers(0, 5, (4, 4)) * (np.arange(4) != 2)
    return [[pictures.chosen(labels, one, most) for one in (None, given, labels) for most in (1, 5, 30, 400)],
            pictures._rank(labels), answers._rows(list("abcd"), confusion), answers._confusions(confusion),
            answers._rows(list("ab"), np.zeros((2, 2), int))]


@CASES
def forms_and_spans():
    row = np.arange(24).reshape(2, 12)
    asked = (((12,), None, False), ((16,), None, False), ((3, 4), None, False), ((3, 4, 3), None, False),
             ((3, 5, 6), None, True), ((12,), (3, 4), False), ((12,), (2, 2, 3), False), ((12,), (3, 2, 2), True),
             ((12,), "row", False), ((12,), (3, 5), False), ((2, 2, 2), None, False), ((1, 2, 2), None, True))
    rows = np.array([[0.0, 2.0, 9.0]])
    return [[refused(Form.found, *one) for one in asked], Form((3, 4)).images(row), Form((2, 2, 3)).images(row),
            Form((3, 2, 2), True).images(row), Form((3, 4, 1)).images(row), Form((1, 3, 4), True).images(row),
            [refused(Span.found, given, value) for given, value in (
                (rows, None), (rows, (0, 9)), (rows, (9, 9)), (np.array([[3, 127]], np.uint8), None),
                (np.array([[3, 128]], np.uint8), None))], Span(0.0, 9.0, True).bytes(rows),
            refused(Span(0.0, 8.0, True).bytes, rows), Span(0.0, 8.0, False).bytes(rows), Span(0, 255, False).bytes(
                np.array([[3, 128]], np.uint8))]


@CASES
def sizes_that_are_drawn():
    sides = (28, 28), (19, 28), (20, 20), (8, 8), (48, 40), (49, 40), (97, 33), (144, 1)
    asked = (None, (2, 2)), ((1, 2, 3), (2, 3)), ((1, 2, 3), (3, 3))
    return [[binding._drawn(size, taken) for size in sides for taken in (1, 12, 28)],
            [binding._told(given, drawn) for given, drawn in asked]]


@CASES
def tables_and_values():
    asked = ["1,2", "(1,2),3", "'a,b',c", "[1,{2,3}],\"x,'y\",", "", "a"]
    trials, shares = sweep.trials({"SLOT": ["28", "38"]}, [0, 1, 2]), (0.5, 0.75, None, 0.25, None, None)
    rows = [sweep.Row(trial, share, 1.5 + i, error)
            for i, (trial, share, error) in enumerate(zip(trials, shares, ("", "", "e", "", "f", "g")))]
    lines = sweep.table(rows)
    return [[overrides.values(one) for one in asked], [overrides.value(one) for one in (
        "None", "1", "[1, 2.5]", "true", "x/y", "{type = \"Dense\", units = 3}")],
            [refused(overrides.parted, [one]) for one in ("a", "a=", "=1", "a..b=1", "a=1", "a=http://x")],
            [isinstance(refused(overrides.parted, ["a=" + "1" * n]), str) for n in (9_999, 10_000, 10_001)],
            refused(overrides.parted, ["a=1", "a=2"]), lines, sweep.as_text(lines), sweep.as_csv(lines),
            sweep.as_text([{**lines[0], "error": ""}]),
            tables.written(tables.plain(_layerwise(9, 9).model, "MODEL"), {"type": "of what"}),
            tables.finite({"a": [float("inf"), 1.5], "b": float("nan")}), tables.did_you_mean("sLoT", ["SLOT", "SEED"])]


@CASES
def settings_of_arrays():
    return [repr(_layerwise(*sides)) for sides in ((28, 28), (20, 19), (8, 8), (1, 4), (2, 9), (28, 28, 3))]


@CASES
def networks_of_conformance():
    found = {}
    for name, made in conformance.networks().items():
        spikes = [one.given_spikes for one in made.populations if one.label != "cells"]
        found[name] = [made.timestep, made.reset_every, [one.n_events for one in spikes],
                       [repr(one.cell)[:400] for one in made.populations if one.label == "cells"],
                       [[one.receptor, repr(one.plasticity)] for one in made.projections],
                       [one.connections.to_list().weight for one in made.projections],
                       [one.connections.to_list().delay for one in made.projections]]
    text = conformance.as_text([conformance.Claim("a", ()), conformance.Claim("b", ("spikes of x", "v of y"))])
    return [found, [[list(names), made.timestep, made.reset_every] for names, made in conformance.groups()], text]


@CASES
def jobs_in_words():
    planned = [plan.Planned("test", 1000, 1234.5, 2, 1, 26.3, 3), plan.Planned("layer 2", 0, 99.0, 1, 2, 4.2, 1)]
    parts = {"a": np.arange(6).reshape(3, 2), "b": np.arange(3.0)}
    return [plan.as_text(planned), plan.as_dict(planned), expected._sums(parts),
            expected._sums({**parts, "c": np.ones(2)}),
            expected._sums({"a": np.float64(3.0)}), sorted(expected.numbers({**parts, "s": np.array(["x"])})),
            _decided(np.array([[1.0, 3, 3], [2, 2, 1]]), np.array([2, 0]))]


@pytest.mark.parametrize("name", list(CASES))
def test_a_call_gives_what_it_gave(name):
    CASES.check(name)


if __name__ == "__main__":
    CASES.write()
