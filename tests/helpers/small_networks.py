"""Small networks of every kind that a board has, made of formulas: no random numbers, the same everywhere.

Not a test itself: ``tests/board/test_as_recorded.py`` keeps what is planned, counted and said of them.
"""

from dataclasses import replace

import numpy as np

from spikingconvnet.network.board_connectors import BoardConvolution, BoardPoolDense
from spikingconvnet.network.connectivity import ConnectionList, ConvConnections, DenseConnections, LateralInhibition
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrDelta, IFCurrExp, IFCurrExpCa2Adaptive, SpikeSourceArray
from spikingconvnet.network.plasticity import (
    AdditiveWeightDependence,
    MultiplicativeWeightDependence,
    Neuromodulation,
    PfisterSpikeTripletRule,
    SpikeNearestPairRule,
    SpikePairRule,
    STDPMechanism,
    Vogels2011Rule,
    WeightDependenceAdditiveTriplet,
)
from spikingconvnet.network.spikes import Spikes

EXP = IFCurrExp()
PAIR = SpikePairRule(16.7, 33.3, 0.05, 0.045)
NEAREST = SpikeNearestPairRule(12.0, 25.0, 0.04, 0.05)
RULES = {
    "pair": STDPMechanism(PAIR, AdditiveWeightDependence(0.1, 1.5)),
    "multiplicative": STDPMechanism(PAIR, MultiplicativeWeightDependence(0.05, 2.0)),
    "nearest": STDPMechanism(NEAREST, AdditiveWeightDependence(0.0, 1.0)),
    "nearest-multiplicative": STDPMechanism(NEAREST, MultiplicativeWeightDependence(0.0, 1.2)),
    "vogels": STDPMechanism(Vogels2011Rule(0.3, 20.0, 0.06, 0.05), AdditiveWeightDependence(0.1, 2.0)),
    "triplet": STDPMechanism(
        PfisterSpikeTripletRule(16.8, 33.7, 101.0, 114.0, 0.03, 0.02),
        WeightDependenceAdditiveTriplet(0.0, 2.0, 0.01, 0.02),
    ),
}
REWARD = Neuromodulation(300.0, 60.0, 0.0, 2.0)


def spread(n, step, below, first=0):
    """Whole numbers that jump about: int array (n,), 0 to `below` - 1."""
    return (first + step * np.arange(n)) % below


def spikes(shape, n, n_steps=24, samples=2, first=0):
    """`n` spikes of a source, some of a neuron twice in a step."""
    size = int(np.prod(shape))
    return Spikes.from_events(
        spread(n, 1, samples), spread(n, 7, size, first), spread(n, 5, n_steps, 1), shape, samples, n_steps
    )


def source(label, shape, n, n_steps=24, first=0):
    return Population(label, shape, SpikeSourceArray(spikes(shape, n, n_steps, first=first)))


def listed(n_pre, n_post, n, delays=(1,), weight=0.02, signed=False):
    """A list of `n` connections with weights of 1 to 61 times `weight`."""
    pre, post = spread(n, 11, n_pre), (spread(n, 17, n_post) + np.arange(n) // n_pre) % n_post
    weights = weight * (1 + spread(n, 23, 61)) * np.where(signed & (np.arange(n) % 3 == 0), -1, 1)
    return ConnectionList(pre, post, weights, np.array(delays)[spread(n, 1, len(delays))], signed=signed)


def learning(rule, cell=EXP, loop=False, n=12, delays=(1, 3), per_core=None, backprop=True):
    """Neurons that learn, and with `loop` learn from themselves."""
    mechanism = replace(RULES[rule], backprop_delay=backprop)
    cells = Population("cells", (1, 1, n), cell, {"i_offset": 0.3 + 0.05 * spread(n, 5, 9)}, neurons_per_core=per_core)
    projections = [
        Projection("in to cells", "in", "cells", listed(20, n, 130, delays), plasticity=mechanism),
        Projection("fixed", "in", "cells", listed(20, n, 40, (1, 2)), "inhibitory"),
    ]
    if loop:
        projections += [
            Projection("loop", "cells", "cells", listed(n, n, 50, delays), plasticity=mechanism),
            Projection("static loop", "cells", "cells", listed(n, n - 1, 30, (2,)), "inhibitory"),
        ]
    return Network((source("in", (1, 4, 5), 90), cells), tuple(projections))


def rewarded(rule):
    """Neurons that learn under reward and punishment."""
    made = learning(rule, delays=(1, 2))
    signals = [
        Projection(name, "signals", "cells", DenseConnections(np.full((2, 12), amount), 1, "machine"), name, REWARD)
        for name, amount in (("reward", 0.9), ("punishment", 0.3))
    ]
    return Network((*made.populations, source("signals", (1, 1, 2), 9, first=1)), (*made.projections, *signals))


def wide(n=300, cell=EXP, delays=(1, 4), per_core=None, n_pre=70, signed=False, timestep=1.0, limit=None):
    """Neurons on several cores behind a list of connections and behind themselves."""
    return Network(
        (
            source("in", (1, 7, n_pre // 7), 120),
            Population("out", (1, 1, n), cell, neurons_per_core=per_core, max_expected_summed_weight=limit),
        ),
        (
            Projection("to out", "in", "out", listed(n_pre, n, 900, delays, 0.05, signed)),
            Projection("back", "out", "out", listed(n, n, 150, delays[:1], 0.1), "inhibitory"),
        ),
        timestep,
    )


def rows(n=900, n_post=100, rule=None):
    """Rows of many synapses, of three inputs."""
    connections = ConnectionList(
        spread(n, 1, 3), np.arange(n) // 3 % n_post, 0.05 * (1 + spread(n, 3, 50)), 1 + spread(n, 1, 2)
    )
    return Network(
        (source("in", (1, 1, 3), 20), Population("out", (1, 1, n_post), IFCurrExp())),
        (Projection("all", "in", "out", connections, plasticity=rule),),
    )


def kernels(size=(3, 3), shape=(2, 12, 14), maps=3, pool=(1, 1), strides=(1, 1), delay=1, cell=EXP, per_core=None):
    """A convolution, in sPyNNaker's own connector if that can."""
    values = 0.3 * (spread(maps * shape[0] * size[0] * size[1], 13, 41) - 18).reshape(maps, shape[0], *size)
    connections = ConvConnections(values, shape, strides, pool, delay)
    return Network(
        (
            source("in", shape, 150),
            Population("out", connections.post_shape, cell, per_channel=True, neurons_per_core=per_core),
        ),
        (Projection("conv", "in", "out", connections),),
    )


def competing():
    """Maps that inhibit each other at each place."""
    made = kernels(size=(2, 3), shape=(1, 8, 9), maps=4)
    shape = made.populations[1].shape
    others = ConvConnections(-2.5 * (1.0 - np.eye(4))[:, :, None, None], shape)
    return Network(made.populations, (*made.projections, Projection("within", "out", "out", others)))


def deep():
    """Two convolutions one after another, and units that see both maps."""
    first = kernels(shape=(1, 14, 14), maps=2)
    shape = first.populations[1].shape
    second = ConvConnections(0.2 * (spread(2 * 2 * 9, 7, 23) - 9).reshape(2, 2, 3, 3), shape)
    size = int(np.prod(second.post_shape))
    return Network(
        (
            *first.populations,
            Population("maps", second.post_shape, IFCurrExp(), per_channel=True),
            Population("units", (1, 1, 5), IFCurrDelta()),
        ),
        (
            *first.projections,
            Projection("conv 2", "out", "maps", second),
            Projection("dense", "maps", "units", DenseConnections(0.01 * spread(size * 5, 29, 97).reshape(size, 5), 2)),
        ),
    )


def generated(n=40, timestep=1.0, rule=None):
    """What a board generates itself, and neurons that inhibit each other."""
    return Network(
        (source("in", (1, 3, 10), 60), Population("out", (1, 1, n), IFCurrExp())),
        (
            Projection("dense", "in", "out", DenseConnections(np.full((30, n), 0.8), 1, "machine"), plasticity=rule),
            Projection("lateral", "out", "out", LateralInhibition(n, 2.0, 1, "machine"), "inhibitory"),
        ),
        timestep,
    )


def connectors():
    """sPyNNaker's own connectors, as networks are given with them."""
    convolution = BoardConvolution(0.3 * (spread(9, 4, 11) - 4).reshape(3, 3), (1, 9, 8), (2, 1), (1, 1), delay=2)
    dense = BoardPoolDense(0.25 * (spread(64, 7, 19) - 8).reshape(4, 4, 4), (1, 8, 8), (2, 2))
    return Network(
        (
            source("in", (1, 9, 8), 80),
            source("also", (1, 8, 8), 60),
            Population("conv", convolution.post_shape, IFCurrExp()),
            Population("dense", (1, 1, 4), IFCurrExp()),
        ),
        (Projection("convolution", "in", "conv", convolution), Projection("pool", "also", "dense", dense)),
    )


def troubled():
    """Weights that vanish and wrap, parameters that are 0 or too long, inputs that are cut."""
    cell = IFCurrExp(tau_m=40000.0, i_offset=1e-6, v_reset=-70.0)
    weights = ConnectionList(
        spread(40, 3, 10), spread(40, 7, 6), np.where(np.arange(40) % 2, 9.0, 1e-5), 1 + spread(40, 1, 3)
    )
    return Network(
        (source("in", (1, 1, 10), 200, 8), Population("out", (1, 1, 6), cell, max_expected_summed_weight=2.0)),
        (
            Projection("bad", "in", "out", weights),
            Projection("inhibits", "in", "out", listed(10, 6, 50, weight=0.001), "inhibitory"),
        ),
    )


def busy(delay=1, rule=None):
    """All inputs fire in one step, which takes longer than it lasts."""
    pulses = Spikes.from_events(np.zeros(150, int), np.arange(150), np.full(150, 3), (1, 10, 15), 1, 20)
    return Network(
        (Population("in", (1, 10, 15), SpikeSourceArray(pulses)), Population("out", (1, 1, 90), IFCurrExp())),
        (Projection("dense", "in", "out", DenseConnections(np.full((150, 90), 0.2), delay), plasticity=rule),),
    )


def silent():
    """Neurons without a source, one of them on their own."""
    return Network(
        (Population("one", (1, 1, 1), IFCurrExp()), Population("two", (2, 1, 2), IFCurrDelta(), per_channel=True)),
        (Projection("p", "one", "two", listed(1, 4, 4)),),
    )


NETWORKS = {
    "wide": wide,
    "wide-delta": lambda: wide(257, IFCurrDelta(), (2,)),
    "wide-signed": lambda: wide(256, IFCurrExpCa2Adaptive(), signed=True, limit=4.0),
    "few-on-a-core": lambda: wide(100, per_core=33),
    "delayed": lambda: wide(60, delays=(1, 40, 200)),
    "delayed-wide": lambda: wide(260, delays=(3, 33, 100), per_core=130),
    "fast": lambda: wide(130, delays=(1, 2, 9), timestep=0.5),
    "slow": lambda: wide(20, IFCurrDelta(), timestep=2.0),
    "rows": rows,
    "rows-learn": lambda: rows(200, 254, RULES["nearest"]),
    **{f"learns-{rule}": lambda rule=rule: learning(rule) for rule in RULES},
    **{
        f"split-{rule}": lambda rule=rule: learning(rule, IFCurrDelta(), loop=True)
        for rule in ("multiplicative", "nearest-multiplicative", "vogels", "triplet")
    },
    "split-cores": lambda: learning("triplet", IFCurrDelta(), loop=True, n=14, per_core=5),
    "learns-adaptive": lambda: learning("pair", IFCurrExpCa2Adaptive(), n=20, per_core=8),
    "learns-at-once": lambda: learning("nearest", backprop=False, delays=(1, 2, 5)),
    "learns-fast": lambda: replace(learning("pair", loop=True), timestep=0.5),
    **{f"rewarded-{rule}": lambda rule=rule: rewarded(rule) for rule in ("pair", "multiplicative", "vogels")},
    "kernels": kernels,
    "kernels-of-5": lambda: kernels((5, 3), (1, 24, 20), 2, delay=3),
    "kernels-cut": lambda: kernels((3, 3), (1, 20, 34), 2, per_core=64),
    "kernels-pooled": lambda: kernels((3, 3), pool=(2, 2)),
    "kernels-listed": lambda: kernels((4, 2), strides=(2, 1)),
    "kernels-delta": lambda: kernels(cell=IFCurrDelta()),
    "deep": deep,
    "generated": generated,
    "generated-fast": lambda: generated(30, 0.5),
    "generated-learns": lambda: generated(25, rule=RULES["pair"]),
    "busy": busy,
    "busy-learns": lambda: busy(2, RULES["nearest"]),
    "crowded": lambda: wide(2000, per_core=2),
    "competing": competing,
    "saturated": lambda: wide(40, limit=0.5),
    "connectors": connectors,
    "troubled": troubled,
    "silent": silent,
}


def fired(network):
    """Spikes that neurons are said to fire: dict of label to Spikes."""
    steps = max(
        (p.cell.spikes.n_steps * p.cell.spikes.n_samples for p in network.populations if p.is_source), default=24
    )
    return {p.label: spikes(p.shape, 40, steps, 1, first=3) for p in network.populations if not p.is_source}
