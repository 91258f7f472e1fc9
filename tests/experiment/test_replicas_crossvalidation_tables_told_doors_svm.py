"""What replicas, folds, tables, old names and machines give: kept, see ``helpers/outputs.py``."""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from outputs import Outputs, refused
from random_networks import random_spikes

from spikingconvnet.data.encoding import LatencyEncoder
from spikingconvnet.data.filters import DifferenceOfGaussians
from spikingconvnet.errors import SimulationFailed
from spikingconvnet.experiment import baselines, crossvalidation, doors, replicas, svm, tables, timelines, told
from spikingconvnet.model import build, head
from spikingconvnet.model.layers import AvgPool2D, Conv2D, Dense
from spikingconvnet.model.readouts import Classifier, Membrane, SpikeCount
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.model.trained import TrainedLayer
from spikingconvnet.network.neurons import IFCurrDelta

CASES = Outputs("replicas")
CELL = IFCurrDelta(tau_m=2048.0, cm=1.0, v_rest=0.0, v_reset=0.0, v_thresh=1.0, tau_refrac=0.0, v=0.0)


def rng():
    return np.random.default_rng(129)


def networks(count, end, reset=True):
    model, draw = Sequential((1, 4, 4), Conv2D(2, 2, neuron=CELL), Dense(3, neuron=CELL), end), rng()
    layers = [TrainedLayer(np.rint(draw.random(one.main.kernel_shape) * 8 - 1) / 8, np.ones(one.out_shape[0]))
              for one in model.stages]
    return [build.inference_network(model.stages, layers, random_spikes((1, 4, 4), 5, 8, 6.0, draw), reset)
            for _ in range(count)]


@CASES
def answers_of_replicas():
    given = {"kernels": np.ones((3, 3, 1, 1)) * np.array([1, 2, 3])[:, None, None, None] / 4, "clock": np.ones((3, 3)),
             "first": np.array(6), "v_thresh": np.array(1.0), "largest_input": np.array(9.0)}
    real, replicas.BATCH = replicas.BATCH, 2
    try:
        found = [[replicas.respond(networks(count, SpikeCount()), "layer1", "local", grid)[0] for grid in (None, (1,
                 3))]
                 + [replicas.classify(networks(count, end), end, "local")[0] for end in (SpikeCount(), SpikeCount(
                     1, 6, "lowest"), Membrane(2))] for count in (1, 2)]
        answering = [head.answering(one, "layer2", head.Head.from_arrays(given)) for one in networks(2, SpikeCount(),
                     False)]
        found.append(replicas.win(answering, "layer2", (1, 1), "local")[0])
    finally:
        replicas.BATCH = real
    real, replicas.REPLICA_SAMPLES = replicas.REPLICA_SAMPLES, 2
    try:
        found.append([replicas.timelines(random_spikes((1, 2, 2), n, 3, 2.0, rng())) for n in (1, 2, 5)])
    finally:
        replicas.REPLICA_SAMPLES = real
    return found


@CASES
def folds():
    labels, scheme = np.arange(17) % 3 * 2, crossvalidation.Scheme
    return [[refused(crossvalidation.stratified_folds, labels, n, rng()) for n in (2, 3, 5, 6)], [refused(
        scheme.parse, text) for text in ("10x5", "1x2", "0x5", "1x1", "1000x10000", "1001x2", "1x10001", "5", "1x2x3",
        "ax2",
                                         "1x1234567890", "-1x2", "\u0661x2")], str(scheme(3, 4))]


@CASES
def what_a_training_tells():
    health = {"loss": [2.0, 1.0], "one": [3.0], "scales": [3.0, 4.0], "spikes": [[1.0, 2.0], 5], "silent_windows": 0.5,
              "flag": True, "odd": math.nan, "mixed": [1.0, math.inf], "deep": {"a_b": {"c": 1, "calibration": [2]},
              "d": "text"},
              "parity": [{"rows": [1], "text": "said"}, {"rows": []}], "none": None, "list": [[1, 2], "x", [3]]}
    return told.told(health)


@CASES
def tables_of_toml():
    texts = ("1", "[1, 2.5]", "true", '"a"', '{type = "IFCurrExp", tau_m = 10.0}', '{type = "IFCurExp"}', "{a = 1}",
             '{type = "IFCurrExp", tau = 1.0}', '{type = "Conv2D", filters = 2}', '{type = "Conv2D"}',
             '{type = "Spikes"}',
             '{type = "Sequential", input_shape = [1, 4, 4], layers = [{type = "Conv2D", '
             'filters = 2, kernel_size = 2}]}',
             '{type = "Sequential", layers = 5}', '{type = "Sequential", other = 5}', '{type = "Sequential"}',
             "{type = 5}")
    model = Sequential((1, 9, 9), Conv2D(2, (2, 3), neuron=CELL), AvgPool2D(2), Dense(3), Classifier(None, 2.0))
    written = [tables.written({"A": 1, "MODEL": tables.plain(model, "M"), "E": tables.plain(LatencyEncoder(n_steps=5),
               "E"),
                               "F": tables.plain(DifferenceOfGaussians(0.5, 1.0, 0.5), "F"),
                               "S": 'a"\x7f\n', "L": [1, True, "x"]},
                              notes) for notes in (None, {"A": "what it is"})]
    return [[refused(lambda text=text: repr(tables.word(text))) for text in texts], written, refused(
        tables.word, '{type = "Dense", units = [1]}'), [refused(tables.plain, one, "W")[-70:] for one in (5j,
        np.arange(2))],
            refused(tables.written, {"a": "\udc80"}), [tables.is_default(*pair) for pair in ((0, 0.0), (0, 0), ((1,),
            (1,)))],
            refused(tables.require_known, ["a", "bc"], ["a", "bd"], "W"), refused(tables.require_known, ["zz"], ["a"],
            "W")]


def test_more_than_one_value_is_no_word():
    with pytest.raises(ValueError, match="more than one value"):
        tables.word("1\nb = 2")


@CASES
def names_of_before():
    texts = (b"from spikingconvnet import *; FILTER = Opponents(Intensity())",
             b"from spikingconvnet import Opponents, IFCurrExp",
             b"import spikingconvnet as s; s.Opponents; s.IFCurrExp",
             b"import spikingconvnet; spikingconvnet.Opponents",
             b"from spikingconvnet.data import Opponents; from spikingconvnet import *; Opponents", b"x.Opponents",
             b"from spikingconvnet.data import *; from spikingconvnet import *; Opponents",
             b"from spikingconvnet import *\nclass Opponents:\n    pass\nOpponents()")
    finder = doors._Doors()
    return [[doors.in_rooms(one) for one in texts], [bool(finder.find_spec(name)) for name in (
        "spikingconvnet.layers", "spikingconvnet.model", "other.layers", "spikingconvnet.recipes.ridge", "layers")], [
            spec.submodule_search_locations is not None for spec in map(finder.find_spec, (
                "spikingconvnet.layers", "spikingconvnet.recipes"))], sorted(doors.MOVED)]


@CASES
def samples_and_machines():
    counts = rng().integers(0, 3, (7, 5)) * (np.arange(5) != 2)
    found = []
    real, svm.BLOCK = svm.BLOCK, 3
    try:
        for kind in (np.uint8, np.uint16, np.float32, np.float64):
            samples = svm.Samples.of(counts.astype(kind))
            found.append([samples.value[:, :7], samples.value.shape, samples.value.dtype.name, samples.scale[:7],
                          samples.size])
        found.append([len(part) for part in svm.blocks(counts)])
    finally:
        svm.BLOCK = real
    labels = np.array([1, 5, 3, 5, 9, 0])
    one = svm.Descent(svm.Samples.of(counts.astype(np.uint8)), (np.arange(7) % 3 - 1).astype(np.int32), 2, 4.0, rng())
    one.weights[:, :6] = np.arange(12).reshape(2, 6) / 7.0 - 0.5
    one.alpha[:] = (np.arange(14).reshape(7, 2) % 3) / 5.0
    seen = [one.strength, one._scaled()[:, :7], one.coefficients(5), one._look(), one.active]
    return [found, [svm._places(labels, np.array(classes)) for classes in ([1, 3, 5], [5], [0, 9])], seen,
            svm.Descent(svm.Samples.of(counts), labels[:0].astype(np.int32), 1, 0.25, rng()).strength]


@CASES
def values_for_baselines():
    values = rng().random((6, 3)) * np.array([1, 5, 0])
    seen = []
    model = SimpleNamespace(fit=lambda *given: seen.extend(given), predict=lambda one: one[:, :2].sum(axis=1))
    return [baselines._standardised(model, values, np.arange(6), values[:2] + 1), seen, list(baselines.BASELINES)]


def test_a_failure_says_what_was_at_work():
    with pytest.raises(SimulationFailed, match="layer 1: lost; 2 of 5 replicas are kept") as caught, timelines.telling(
            "layer 1", 5, "replicas", lambda: 2):
        error = SimulationFailed("lost")
        error.provenance = Path("p")
        raise error
    assert caught.value.provenance == Path("p")


@pytest.mark.parametrize("name", list(CASES))
def test_a_call_gives_what_it_gave(name):
    CASES.check(name)


if __name__ == "__main__":
    CASES.write()
