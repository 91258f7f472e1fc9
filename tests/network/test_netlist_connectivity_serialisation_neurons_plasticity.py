"""What networks are made of, what they refuse and how files hold them: kept, see ``helpers/outputs.py``."""

from dataclasses import MISSING, fields, replace

import numpy as np
import pytest
from outputs import Outputs, refused, told
from random_networks import random_spikes

from spikingconvnet.errors import NetworkError
from spikingconvnet.network import connectivity, netlist, neurons, plasticity, serialisation
from spikingconvnet.network.board_connectors import BoardConvolution, BoardPoolDense
from spikingconvnet.network.spikes import Spikes, neuron_dtype

CASES = Outputs("network")
CELL = neurons.IFCurrExp()
STDP = plasticity.STDPMechanism()


def rng():
    return np.random.default_rng(125)


def listed(one):
    found = one.to_list()
    return [found.pre, found.post, found.weight, found.delay, found.signed, one.max_delay, one.signed, one.rounding]


@CASES
def connections():
    weights, kernels = rng().integers(0, 3, (2, 3)) / 2, rng().integers(-2, 3, (2, 2, 2, 3)) / 4
    made = [connectivity.ConnectionList([0, 1, 1], [2, 0, 2], [0.5, 1.0, 0.0], [1, 2, 9]),
            connectivity.ConnectionList([], [], [], []),
            connectivity.ConnectionList([0], [0], [-1.0], [3], signed=True), connectivity.DenseConnections(weights, 4),
            connectivity.DenseConnections(np.full((2, 2), 0.3), rounding="machine"),
            connectivity.LateralInhibition(3, 0.7, 2), connectivity.LateralInhibition(1, 0.7),
            *(connectivity.ConvConnections(kernels, (2, 5, 7), *rest) for rest in (
                (), ((2, 1),), ((1, 2), (2, 2), 3), ((2, 2), (1, 2), 1, (1, 2)), ((1, 1), (2, 1), 5, (0, 1))))]
    shapes = [[one.pooled_shape, one.seen_shape, one.post_shape, one.seen_places] for one in made[7:]]
    return [[listed(one) for one in made], shapes, [[refused(one.check_sizes, *sizes) for sizes in (
        (2, 3), (3, 3), (2, 2), (1, 1), (70, 2), (0, 0), (70, 32), (70, 40), (71, 40))] for one in made]]


@CASES
def refused_connections():
    one, kernels = connectivity.ConnectionList, np.ones((1, 1, 2, 2))
    asked = ((one, [0], [0], [-0.5], [1]), (one, [0], [0], [np.inf], [1]), (one, [0], [0], [np.nan], [1], True),
             (one, [0], [0], [0.5], [0]), (one, [0], [0, 1], [0.5], [1]), (one, [0], [0], [0.5, 1], [1]),
             (one, [0], [0], [0.5], [1, 1]), (one, [[0]], [0], [0.5], [1]), (one, [0.5], [0], [0.5], [1]),
             (one, [0], [0], [0.5], [1], 1), (connectivity.DenseConnections, np.ones(3)),
             (connectivity.DenseConnections, np.ones((1, 2)), 0), (connectivity.DenseConnections, -np.ones((1, 2))),
             (connectivity.DenseConnections, np.arange(2.0)[None], 1, "machine"),
             (connectivity.DenseConnections, np.ones((1, 2)), 1, "other"), (connectivity.LateralInhibition, 0, 1.0),
             (connectivity.LateralInhibition, 2, -1.0), (connectivity.LateralInhibition, 2, 1e9),
             (connectivity.LateralInhibition, 2, 1.1e9), (connectivity.LateralInhibition, 2, 1.0, 0),
             (connectivity.ConvConnections, kernels, (2, 3, 3)), (connectivity.ConvConnections, kernels, (1, 1, 2)),
             (connectivity.ConvConnections, kernels, (1, 2, 2)), (connectivity.ConvConnections, kernels[0], (1, 2, 2)),
             (connectivity.ConvConnections, kernels, (1, 3, 3), (1, 1), (2, 1)),
             (connectivity.ConvConnections, kernels, (1, 2, 2), (0, 1)),
             (connectivity.ConvConnections, kernels, (1, 1, 2), (1, 1), (1, 1), 1, (1, 0)))
    return [refused(lambda call=call, rest=rest: listed(call(*rest))) for call, *rest in asked]


@CASES
def connectors_of_a_board():
    draw = rng()
    convolutions = [BoardConvolution(draw.integers(-2, 3, size).astype(float), (1, 5, 7), *rest) for size, rest in (
        ((3, 1), ()), ((1, 3), ((2, 1), (1, 0))), ((3, 3), ((2, 2), (1, 1), (2, 1), 4)), ((5, 3), ((1, 1), (2, 1))),
        ((3, 5), ((3, 2), (0, 0), (1, 2))), ((7, 7), ()))]
    dense = [BoardPoolDense(draw.integers(-2, 3, (*size, 3)).astype(float), (1, 4, 6), *rest) for size, rest in (
        ((6, 4), ()), ((3, 2), ((2, 2), 3)), ((6, 2), ((1, 2),)))]
    kernel = np.ones((3, 3))
    wrong = ((BoardConvolution, np.ones((2, 3)), (1, 5, 5)), (BoardConvolution, np.ones((3, 2)), (1, 5, 5)),
             (BoardConvolution, kernel, (2, 5, 5)), (BoardConvolution, kernel, (1, 5, 5), (0, 1)),
             (BoardConvolution, kernel, (1, 5, 5), (1, 1), (-1, 0)), (BoardConvolution, kernel, (1, 5, 5), 2),
             (BoardConvolution, kernel * np.inf, (1, 5, 5)), (BoardPoolDense, np.ones((2, 2, 1)), (1, 4, 5), (2, 2)),
             (BoardPoolDense, np.ones((2, 2, 1)), (1, 4, 6), (2, 2)), (BoardPoolDense, np.ones((2, 2)), (1, 4, 4)),
             (BoardPoolDense, np.ones((2, 2, 1)), (2, 2, 2)))
    return [[[listed(one), one.post_shape, one.weights, one.fan_in, refused(one.check_sizes, 35, 15), refused(
        one.check_sizes, 24, 3)] for one in (*convolutions, *dense)],
            [one.reached(axis) for one in convolutions for axis in (0, 1)], [refused(*one) for one in wrong]]


def spikes(shape=(2, 2, 1), samples=2, steps=3):
    return random_spikes(shape, samples, steps, 2.0, rng())


@CASES
def trains_of_spikes():
    one = random_spikes((2, 2, 3), 3, 4, 5.0, rng())
    windows = ((0, 4), (3, 5), (10, 4), (12, 2), (13, 2), (11, 1), (0, 0))
    return [one, one.steps(), one.events(), [one.samples(*span) for span in ((0, 3), (1, 2), (2, 2))],
            [refused(one.samples, *span) for span in ((-1, 2), (2, 1), (0, 4))],
            [refused(one.window, *span) for span in windows], one.with_gap(4), one.with_gap(6),
            refused(one.with_gap, 3),
            one.regrouped((1, 1, 3), np.arange(12) % 3), one.regrouped((1, 1, 3), np.arange(12) % 4 - 1),
            [refused(one.counts, *span) for span in ((), (1,), (1, 3), (2, 2), (0, 5), (3, 2), (-1, 2))], one.raster(),
            one.to_lists(), one.to_lists(0.5), [one.size, one.n_samples, one.n_events],
            Spikes.concatenate([one, one.samples(1, 2)]), refused(Spikes.concatenate, []),
            refused(Spikes.concatenate, [one, one.with_gap(5)]), Spikes.empty((1, 2, 3), 2, 4),
            [one == other for other in (one, one.samples(0, 3), one.samples(0, 2), one.with_gap(5), 5)],
            [neuron_dtype(shape).__name__ for shape in ((1, 1, 65_535), (1, 256, 256), (1, 1, 65_537))]]


@CASES
def refused_spikes():
    offsets, ids = np.array([0, 1, 2]), np.array([1, 0], np.uint16)
    asked = (((1, 1, 2), 2, offsets, ids), ((1, 2), 2, offsets, ids), ((1, 1, -1), 2, offsets, ids),
             ((1, 1, 2), 0, offsets, ids), ((1, 1, 2), 3, offsets, ids), ((1, 1, 2), 1, offsets, ids),
             ((1, 1, 2), 2, offsets + 1, ids), ((1, 1, 2), 2, np.array([0, 1, 1]), ids), ((1, 1, 1), 2, offsets, ids),
             ((1, 1, 2), 2, np.array([0, 3, 2]), ids), ((1, 1, 2), 2, np.array([0, 0, 2]), ids), ((1, 1, 2), 1,
                                                                                             offsets[:0], ids[:0]))
    events = ([0], [0], [0]), ([1], [2], [2]), ([2], [0], [0]), ([0], [3], [0]), ([0], [0], [3]), ([-1], [0], [0]), (
        [0], [-1], [0]), ([0], [0], [-1]), ([], [], []), ([1, 0, 1], [0, 0, 0], [1, 1, 1])
    return [[refused(Spikes, *one) for one in asked],
            [refused(lambda one=one: Spikes(*one).check_order()) for one in (asked[0], asked[10])],
            [refused(Spikes.from_events, *one, (1, 1, 3), 2, 3) for one in events]]


def field_of(kind, given, name, value):
    return getattr(kind(**{**given, name: value}), name)


@CASES
def cells_at_their_limits():
    kinds, found = (neurons.IFCurrExp, neurons.IFCurrDelta, neurons.IFCurrExpCa2Adaptive), []
    top, last = 65_536.0, 1 / 32_768
    for kind in kinds:
        for name in neurons.parameter_names(kind()):
            found.append([kind.__name__, name, [refused(field_of, kind, {}, name, value) for value in (
                -top, 1 - top, -1.0, 0.0, last, 2 * last, 1.0, top - 1, top, np.float32(0.5), np.inf, "1", True)]])
    together = ({"tau_m": 6e4, "cm": 0.9}, {"tau_m": 6e4, "cm": 1.0}, {"i_offset": 3280.0}, {"i_offset": 3000.0},
                {"v_rest": 4e4, "v": -3e4}, {"v_rest": 3e4, "v": -3e4}, {"v_rest": 4e4, "v": 0, "v_reset": -3e4})
    sources = ({"rate": -1}, {"rate": 2.0 ** 32}, {"rate": 5, "duration": np.inf}, {"start": np.inf}, {"duration": -1},
               {"neurons_per_core": 0}, {"core_seeds": [[1, 2, 3, 4]]}, {"core_seeds": [(0, 1, 0, 1)]},
               *({"core_seeds": (seed,)} for seed in ((1, 0, 3, 4), (1, 2, 3, 0), (1, 2, 3), (1 << 32, 2, 3, 4), (
                   -1, 2, 3, 4), (1, 2, 3, 698_769_068), (1, 2, 3, 698_769_069), (1, 2, 3, 4.0), (1, 2, 3, 4, 5), (
                       (1 << 32) - 1, 2, 3, 4))), {"core_seeds": 5}, {"core_seeds": (5,)})
    return [found, [refused(neurons.IFCurrDelta, **one) for one in together],
            [refused(neurons.SpikeSourcePoisson, **one) for one in sources], refused(neurons.SpikeSourceArray, 5),
            neurons.poisson_seeds(rng(), 3), [neurons.valid_seed(one) for one in (
                (1, 0, 3, 0), (1, 2, 3, 698_769_067), (1, 2, 3, 698_769_068), (1, 2, 3, 698_769_069))],
            [[one.synapses, one.pynn, one.state] for one in (*kinds, neurons.SpikeSourceArray,
                                                             neurons.SpikeSourcePoisson)],
            [neurons.keeps_state(kind()) for kind in kinds], neurons.parameter_names(neurons.SpikeSourcePoisson())]


def needed(name):
    """What a rule of plasticity does not have by itself."""
    return {one.name: 0.25 for one in fields(getattr(plasticity, name)) if one.default is MISSING}


@CASES
def rules_at_their_limits():
    found, names = [], ("SpikePairRule", "SpikeNearestPairRule", "PfisterSpikeTripletRule", "Vogels2011Rule",
                        "AdditiveWeightDependence", "MultiplicativeWeightDependence", "Neuromodulation",
                        "WeightDependenceAdditiveTriplet")
    for name in names:
        kind, given = getattr(plasticity, name), needed(name)
        for field in told(kind(**given))[name]:
            found.append([name, field, [refused(field_of, kind, given, field, value) for value in (
                -1.0, 0.0, 1 / 65_536, 1 / 32_768, 0.5, 1.0, 34.0, 140.0, 2_000.0, 32_767.0, 32_768.0, 65_535.0,
                65_536.0, 1e6, np.nan)]])
    timings = [getattr(plasticity, name)(**needed(name)) for name in names[:4]]
    weights = [getattr(plasticity, name)() for name in (*names[4:6], names[7])]
    dependence = plasticity.AdditiveWeightDependence
    return [found, [[refused(plasticity.STDPMechanism, one, other) for other in weights] for one in timings],
            refused(plasticity.STDPMechanism, weights[0]), refused(plasticity.STDPMechanism, backprop_delay=1),
            [refused(dependence, 1.0, high) for high in (0.0, 1.0, 1.0 + 1 / 32_768, 1.0 + 1 / 65_536)],
            [[kind.__name__ for kind in pair] for pair in (*plasticity.MODULATED, STDP.kind)],
            [one.pynn for one in timings + weights]]


def small(**changed):
    source = netlist.Population("in", (2, 2, 1), neurons.SpikeSourceArray(spikes()))
    noise = netlist.Population("noise", (2, 1, 1), neurons.SpikeSourcePoisson(5.0, core_seeds=((1, 2, 3, 4),)),
                               {"rate": np.array([1.0, 2.0])})
    cells = netlist.Population("out", (3, 1, 2), CELL, {"v_thresh": np.arange(6) - 50.0}, True, 2.5, 4)
    learned = netlist.Projection("a", "in", "out", connectivity.DenseConnections(np.ones((4, 6))), plasticity=STDP)
    fixed = netlist.Projection("b", "noise", "out", connectivity.ConnectionList([0, 1], [5, 0], [0.5, 0.25], [1, 7]),
                               "inhibitory")
    rewarded = netlist.Projection("c", "noise", "out", connectivity.ConnectionList([0], [1], [0.5], [1]), "reward",
                                  plasticity.Neuromodulation())
    return netlist.Network(**{"populations": (source, noise, cells), "projections": (learned, fixed, rewarded),
                              **changed})


@CASES
def populations():
    array, poisson = neurons.SpikeSourceArray(spikes()), neurons.SpikeSourcePoisson(1.0, core_seeds=((1, 2, 3, 4),))
    asked = (("a", (1, 1, 2), CELL), ("", (1, 1, 2), CELL), ("a\n", (1, 1, 2), CELL), ("a", (1, 0, 2), CELL),
             ("a", (1, 2), CELL), ("a", (1, 1, 2), array), ("a", (2, 2, 1), array), ("a", (1, 1, 2), poisson),
             ("a", (1, 1, 500), poisson), ("a", (1, 1, 501), poisson), ("a", (1, 1, 2), 5), ("a", (1, 1, 2), CELL, []),
             ("a", (1, 1, 2), CELL, {"v": np.zeros(2)}), ("a", (1, 1, 2), CELL, {"w": np.zeros(2)}),
             ("a", (1, 1, 2), CELL, {"v": np.zeros(3)}), ("a", (1, 1, 2), CELL, {"tau_m": np.array([1.0, 0.0])}),
             ("a", (1, 1, 2), CELL, {"tau_m": np.array([1.0, np.nan])}),
             ("a", (1, 1, 2), CELL, {"v": np.array([0.0, 65_535]), "v_rest": np.array([0.0, -9.0])}),
             ("a", (1, 1, 2), CELL, {}, 1), ("a", (1, 1, 2), CELL, {}, True, -1.0),
             *(("a", (1, 1, 2), cell, {}, False, None, n) for cell in (CELL, poisson) for n in (0, 1, 256, 257)),
             *(("a", (2, 2, 1), array, {}, False, 0, n) for n in (0, 1, 257, (1 << 31) - 1, 1 << 31)))
    made = small().populations
    return [[refused(lambda one=one: [netlist.Population(*one).size]) for one in asked],
            [[one.size, one.is_source, one.has_given_spikes, one.channel_of, refused(lambda one=one: one.given_spikes)]
             for one in made], [made[2].parameter("v_thresh"), made[2].parameter("tau_m"), made[1].parameter("rate"),
                                made[1].parameter("start")]]


@CASES
def projections():
    dense, conv = connectivity.DenseConnections(np.ones((4, 6))), connectivity.ConvConnections(
        np.ones((1, 1, 1, 1)), (1, 1, 1))
    dopamine = plasticity.Neuromodulation()
    asked = ((dense,), (dense, "other"), (dense, "reward"), (dense, "reward", dopamine),
             (dense, "excitatory", dopamine), (dense, "punishment", dopamine),
             (dense, "inhibitory", STDP), (conv, "excitatory", STDP), (conv,),
             (connectivity.DenseConnections(np.ones((1, 1)), 2), "reward", dopamine), (5,), (dense, "inhibitory", 5))
    return [[refused(netlist.Projection, "p", "x", "y", *one) for one in asked],
            [refused(netlist.Projection, *one, dense) for one in (("", "x", "y"), ("p", 5, "y"), ("p", "x", "y\n"))],
            [[one.learns, one.modulates, one.rule] for one in small().projections]]


@CASES
def networks():
    one = small()
    (source, noise, cells), (learned, fixed, rewarded) = one.populations, one.projections
    other = replace(STDP, backprop_delay=False)
    board = netlist.Projection("d", "in1", "o", BoardPoolDense(np.ones((2, 1, 3)), (1, 1, 2)))
    single, out = netlist.Population("in1", (1, 1, 2), CELL), netlist.Population("o", (1, 1, 3), CELL)
    beside = netlist.Projection("e", "in1", "o", connectivity.DenseConnections(np.ones((2, 3))))
    nearest = replace(STDP, timing_dependence=plasticity.SpikeNearestPairRule(**needed(
        "SpikeNearestPairRule")))
    longer = netlist.Population("in2", (2, 2, 1), neurons.SpikeSourceArray(spikes(samples=3)))
    asked = ({"timestep": 0}, {"timestep": 1e3}, {"timestep": 999.0}, {"reset_every": -1}, {"reset_every": 3},
             {"populations": 5}, {"projections": (5,)}, {"populations": (source, noise, cells, cells)},
             {"projections": (fixed, fixed)}, {"projections": (replace(fixed, pre="x"),)},
             {"projections": (replace(fixed, post="x"),)}, {"projections": (replace(fixed, post="in"),)},
             {"projections": (replace(fixed, pre="in"),)}, {"projections": (replace(learned, pre="noise"),)},
             {"projections": (learned, replace(learned, label="z", plasticity=other))},
             {"projections": (learned, replace(learned, label="z"))}, {"projections": (rewarded,)},
             {"projections": (learned, rewarded, replace(rewarded, label="z", plasticity=plasticity.Neuromodulation(
                 9.0)))}, {"projections": (replace(learned, plasticity=nearest), rewarded)},
             {"populations": (source, longer), "projections": ()}, {"projections": [fixed]},
             {"populations": (source, cells), "projections": (), "reset_every": 2},
             {"populations": (source, noise, cells), "projections": (), "reset_every": 2},
             {"populations": (replace(cells, cell=neurons.IFCurrExpCa2Adaptive()),), "projections": (),
              "reset_every": 2},
             *({"populations": (single, kept), "projections": given} for kept, given in (
                 (out, (board,)), (out, (board, beside)), (replace(out, cell=neurons.IFCurrDelta()), (board,)),
                 (replace(out, per_channel=True), (board,)),
                 (replace(out, shape=(3, 1, 1), per_channel=True), (board,)))))
    side = netlist.together([one, one])
    return [[refused(lambda more=more: len(small(**more).projections)) for more in asked],
            [one.source_steps, one.slot, [p.label for p in one.incoming("out")], one.modulation("out"),
             one.modulation("in"), refused(one.population, "x"), refused(one.projection, "x"),
             one.projection("b").receptor, one.population("noise").shape],
            [[p.label for p in side.populations], [[p.label, p.pre, p.post] for p in side.projections], side.timestep,
             side.reset_every, side.modulation("out#1")],
            [[empty.source_steps, empty.slot] for empty in [netlist.Network((cells,), (), 0.5)]]]


@CASES
def networks_in_files():
    arrays = []
    whole = serialisation.encode(small(), arrays)
    again = serialisation.decode(whole, arrays)
    text = {"record": "LateralInhibition", "fields": {"size": 3, "weight": 0.5}}

    def with_(**more):
        return {**text, "fields": {**text["fields"], **more}}

    def listed_(**more):
        return {"record": "ConnectionList", "fields": {
            "pre": {"array": 0}, "post": {"array": 0}, "delay": {"array": 0}, "weight": {"array": 1}, **more}}
    tables = [np.array([1, 2]), np.array([0.5, 1.0]), np.array([np.inf, 1.0]), np.array([np.nan, 1.0])]
    asked = (text, with_(delay=2), with_(delay=2.0), with_(weight="x"), with_(weight=1e300), with_(weight=1),
             with_(rounding=5), with_(other=1), with_(size=1 << 62), with_(size=(1 << 62) + 1), with_(size=True),
             with_(weight=None),
             {"record": "X", "fields": {}}, {"record": 5, "fields": {}}, {"record": "LateralInhibition"},
             {"record": "LateralInhibition", "fields": 5}, {"record": "LateralInhibition", "fields": {}}, {"dict": 5},
             {"dict": {"a": [1, [2]]}}, {"array": 6}, {"array": 3}, {"array": -1}, {"array": 0}, {"array": True}, 5,
             None, [1, "a"], listed_(), listed_(weight={"array": 0}), listed_(pre={"array": 1}),
             listed_(weight={"array": 2}),
             listed_(weight={"array": 3}), listed_(signed=1), listed_(signed=True),
             {"record": "SpikeSourcePoisson", "fields": {"duration": float("inf"), "rate": 2.0}},
             {"record": "SpikeSourcePoisson", "fields": {"start": float("inf")}},
             {"record": "SpikeSourcePoisson", "fields": {"core_seeds": [[1, 2, 3, 4]]}},
             {"record": "SpikeSourcePoisson", "fields": {"core_seeds": [[1, 2, 3, "4"]]}},
             {"record": "Network", "fields": {"populations": [5], "projections": []}},
             {"record": "STDPMechanism", "fields": {"timing_dependence": 5}},
             {"record": "SpikeSourceArray", "fields": {"spikes": text}},
             {"record": "Spikes", "fields": {"shape": [1, 1, 3], "n_steps": 1, "offsets": {"array": 5},
                                             "neurons": {"array": 4}}})
    tables += [np.array([2, 1], np.uint16), np.array([0, 2])]
    return [whole, [len(one) for one in arrays], serialisation.first_difference(small(), again), sorted(
        serialisation.RECORDS), [refused(serialisation.decode, one, tables) for one in asked]]


@CASES
def first_differences():
    one, first = small(), serialisation.first_difference
    changed = (replace(one, timestep=2.0), replace(one, populations=one.populations[:2], projections=()), replace(
        one, populations=(*one.populations[:2], replace(one.populations[2], shape=(1, 1, 6)))), replace(
            one, projections=(one.projections[0],)), replace(one, projections=(*one.projections[:1], replace(
                one.projections[1], receptor="excitatory"), one.projections[2])))
    pairs = (({"a": 1}, {"a": 1}), ({"a": 1}, {"b": 1}), ((1, 2), (1, 2, 3)), ((1, [2]), (1, [3])), (1, "1"),
             ("x" * 60, "y"), ("x" * 61, "y"), (np.arange(2), np.arange(3)), (np.arange(2), (0, 1)), (CELL, STDP), (
                 " a \n b", "c"), ((), {}), (dict.fromkeys(range(70), 0), {}))
    return [[first(one, other, known) for other in changed for known in ((), [("Network", "timestep")])],
            [first(*pair) for pair in pairs], first((1,), (2,), (), "at")]


def test_a_population_that_is_no_source_has_no_spikes():
    with pytest.raises(NetworkError, match="must be a SpikeSourceArray, got IFCurrExp"):
        _ = small().populations[2].given_spikes


@pytest.mark.parametrize("name", list(CASES))
def test_a_call_gives_what_it_gave(name):
    CASES.check(name)


if __name__ == "__main__":
    CASES.write()
