"""Which populations sPyNNaker splits between cores, and what their spikes start there; the numbers are the board's."""

from dataclasses import replace

import numpy as np
import pytest

from spikingconvnet import backends
from spikingconvnet.backends.local import simulator
from spikingconvnet.board.lowering import lower
from spikingconvnet.board.split_cores import own_synapses, transfers
from spikingconvnet.network.connectivity import ConnectionList, DenseConnections
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrDelta, IFCurrExp, SpikeSourceArray
from spikingconvnet.network.plasticity import (
    AdditiveWeightDependence,
    MultiplicativeWeightDependence,
    Neuromodulation,
    SpikePairRule,
    STDPMechanism,
    Vogels2011Rule,
)
from spikingconvnet.network.spikes import Spikes

ADDITIVE = STDPMechanism(SpikePairRule(), AdditiveWeightDependence())
MULTIPLICATIVE = STDPMechanism(SpikePairRule(), MultiplicativeWeightDependence())
VOGELS = STDPMechanism(Vogels2011Rule(0.1), AdditiveWeightDependence())


def network(size, *loops, rule=MULTIPLICATIVE, cell=None, per_channel=False):
    """A plastic input and projections of a population onto itself: (pre, post, delay, whether it learns)."""
    source = Population("in", (1, 1, 1), SpikeSourceArray(Spikes.empty((1, 1, 1), 1, 5)))
    shape = (2, 1, size // 2) if per_channel else (1, 1, size)
    projections = [Projection("p", "in", "c", ConnectionList([0], [0], [1.0], [1]), plasticity=rule)]
    for k, (pre, post, delay, learns) in enumerate(loops):
        connections = ConnectionList(pre, post, np.full(len(pre), 0.1), np.full(len(pre), delay))
        projections.append(Projection(f"loop {k}", "c", "c", connections, plasticity=rule if learns else None))
    cells = Population("c", shape, cell or IFCurrDelta(), per_channel=per_channel, max_expected_summed_weight=8.0)
    return Network([source, cells], projections)


def started(made):
    """Labels of the rows that the spike of each neuron starts, None where it is an event alone."""
    lowered = lower(made)
    found = transfers(made.population("c"), [lowered.projection(p.label) for p in made.projections],
                      lowered.populations["c"].delay_slots)
    return [[p and p.label for p in entries] for entries in found]


@pytest.mark.parametrize("cell, rule, modulated, expected", [
    (IFCurrDelta(), ADDITIVE, False, False), (IFCurrDelta(), MULTIPLICATIVE, False, True),
    (IFCurrDelta(), VOGELS, False, True), (IFCurrExp(), VOGELS, False, False), (IFCurrExp(), ADDITIVE, True, True)])
def test_a_population_is_split_where_there_is_no_binary_for_both(cell, rule, modulated, expected):
    made = network(2, rule=rule, cell=cell)
    if modulated:
        reward = Projection("reward", "in", "c", ConnectionList([0], [0], [1.0], [1]), "reward", Neuromodulation())
        made = Network(made.populations, [*made.projections, reward])
    assert lower(made).populations["c"].split is expected
    assert lower(replace(made, timestep=0.5)).populations["c"].split


def test_without_a_projection_onto_itself_every_spike_is_one_event():
    assert started(network(3)) == [[None]] * 3


def test_every_plastic_projection_onto_itself_is_an_event_and_a_row_of_every_neuron():
    loops = ([0], [1], 1, True), ([1, 2], [0, 0], 1, False), ([0], [0], 1, True)
    assert started(network(3, *loops)) == [["loop 0", None, "loop 2"]] * 3


def test_a_neuron_whose_rows_are_all_static_and_empty_makes_no_event():
    assert started(network(3, ([0], [1], 1, False), ([0, 2], [1, 1], 1, False))) == [[None] * 2, [], [None] * 2]


def test_an_empty_projection_does_not_count():
    assert started(network(2, ([], [], 1, True))) == [[None]] * 2


def test_synapses_behind_a_core_for_delays_do_not_count():
    far = network(256, ([0, 1], [1, 0], 33, False))
    assert lower(far).populations["c"].delay_slots == 32 and started(far) == [[]] * 256


def test_more_synapses_than_a_row_holds_make_another_projection():
    post = np.repeat(np.arange(30), 10)
    assert started(network(30, (np.zeros(300, int), post, 1, False)))[0] == [None, None]


def test_neurons_of_another_channel_or_core_are_others():
    assert started(network(4, ([0, 2, 3], [1, 0, 2], 1, False), per_channel=True)) == [[None], [], [], [None]]
    assert started(network(4, ([0], [1], 1, True), per_channel=True)) == [["loop 0"]] * 2 + [[None]] * 2
    apart = started(network(300, ([0, 1], [299, 2], 1, False)))
    assert apart[:2] == [[], [None]]


def test_own_synapses_are_plastic_ones_inside_a_core():
    made = network(300, ([0, 1, 299], [299, 2, 256], 1, True), ([0], [1], 1, False))
    found = [own_synapses(made.population("c"), lower(made).projection(label), True).tolist() for label in
             ("p", "loop 0", "loop 1")]
    assert found == [[False], [False, True, True], [False]]


def test_neurons_of_another_core_are_others_where_the_population_says_so():
    made = network(6, ([0, 1, 4], [2, 1, 5], 1, True), ([0], [1], 1, False))
    fewer = replace(made, populations=[replace(p, neurons_per_core=2) if p.label == "c" else p
                                       for p in made.populations])
    assert own_synapses(fewer.population("c"), lower(fewer).projection("loop 0"), True).tolist() == [False, True, True]
    assert own_synapses(made.population("c"), lower(made).projection("loop 0"), True).all()


def test_the_ring_buffer_is_as_long_as_the_neurons_of_a_core_leave_it():
    far = network(256, ([0, 1], [1, 0], 200, False))
    for neurons, slots in ((None, 32), (129, 32), (128, 64), (30, 256)):
        made = replace(far, populations=[replace(p, neurons_per_core=neurons) for p in far.populations])
        assert lower(made).populations["c"].delay_slots == slots
    assert lower(network(300, ([0], [1], 200, False), per_channel=True)).populations["c"].delay_slots == 32


def test_split_cores_are_in_the_warnings_of_the_recording():
    combined = backends.run(network(3, rule=ADDITIVE)).warnings
    alone = backends.run(network(3)).warnings
    twice = backends.run(network(3, ([0], [1], 1, True), ([0], [1], 1, True))).warnings
    assert combined == () and len(alone) == len(twice) == 1
    assert alone[0].startswith("population c: sPyNNaker 7.4.1 has no binary") and "a spike is" not in alone[0]
    assert "a spike is 2 events for its neuron's synapses" in twice[0]
    fine = backends.run(replace(network(3, rule=ADDITIVE), timestep=0.2)).warnings
    assert len(fine) == 1 and "at a time step of 0.2 ms sPyNNaker 7.4.1 splits its neurons" in fine[0]


def test_a_recording_says_where_the_order_of_packets_decides_what_an_input_meets():
    early = backends.run(network(3, rule=replace(ADDITIVE, backprop_delay=False))).warnings
    assert len(early) == 1 and early[0].startswith("population c: it learns without the delay (backprop_delay=False)")


def test_two_projections_onto_itself_double_the_trace():
    """A spike of the neuron and 3 steps later one of the input: depression by a trace of 2 instead of 1."""
    def weight(*loops):
        spikes = Spikes.from_events([0, 0], [0, 0], [2, 7], (1, 1, 1), 1, 10)
        made = network(2, *loops)
        source = replace(made.population("in"), cell=SpikeSourceArray(spikes))
        cells = replace(made.population("c"), cell=IFCurrDelta(v=-65.0, tau_refrac=50.0),
                        values={"i_offset": np.array([4.0, 0.0])})
        mechanism = STDPMechanism(SpikePairRule(20.0, 20.0, 0.0, 0.01), MultiplicativeWeightDependence(0.0, 2.0))
        projections = [replace(p, plasticity=mechanism if p.learns else None) for p in made.projections]
        with simulator.open(Network([source, cells], projections)) as simulation:
            simulation.run(10)
            assert simulation.recording().spikes["c"].n_events == 1
            return 1.0 - simulation.weights("p").value[0]

    once, twice = weight(), weight(([1], [1], 1, False), ([0], [1], 1, False))
    assert once > 0.003 and twice == pytest.approx(2 * once, rel=0.05)


def test_static_synapses_alone_never_split_a_population():
    made = network(2)
    static = replace(made.projections[0], plasticity=None, connections=DenseConnections(np.ones((1, 2))))
    for timestep in (0.1, 1.0):
        assert lower(Network(made.populations, [static], timestep)).warnings == []
