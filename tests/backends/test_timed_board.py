"""sPyNNaker and its binaries on an emulated board that counts time: what is in time, and what is not."""


import numpy as np
import pytest

from spikingconvnet import backends
from spikingconvnet.backends.spinnaker import simulator as spinnaker
from spikingconvnet.board.resources import resources
from spikingconvnet.emulator import Board
from spikingconvnet.health.verdict import judge
from spikingconvnet.network.connectivity import ConnectionList, DenseConnections
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrExp, SpikeSourceArray
from spikingconvnet.network.plasticity import STDPMechanism
from spikingconvnet.network.spikes import Spikes

STEPS = 30


def network(inputs, neurons, at, weight=0.001, rule=None):
    """All inputs fire in some steps, to all neurons."""
    step, neuron = (each.ravel() for each in np.meshgrid(at, np.arange(inputs)))
    spikes = Spikes.from_events(0 * step, neuron, step, (1, 1, inputs), 1, STEPS)
    weights = DenseConnections(weight * (1 + np.arange(inputs * neurons).reshape(inputs, neurons) % 7))
    return Network((Population("in", spikes.shape, SpikeSourceArray(spikes)),
                    Population("out", (1, 1, neurons), IFCurrExp(v_thresh=-60.0))),
                   (Projection("p", "in", "out", weights, plasticity=rule),))


IN_TIME = network(20, 8, [5, 9, 12, 18], 0.3, STDPMechanism())
BURST = network(600, 100, [10])                             # 600 packets at once, for 256 places
BEHIND = network(30, 100, range(6, 24), rule=STDPMechanism())           # 2.6 ms of work a step


@pytest.fixture(scope="module")
def ran():
    """Recordings of three networks, one run each, on one board."""
    with Board(version=3, timed=True) as board:
        found = []
        for made in (IN_TIME, BURST, BEHIND):
            with spinnaker.open(made, target=board) as simulation:
                simulation.run(STEPS)
                found.append(simulation.recording())
    return found


def test_what_each_core_had_to_do_is_kept_with_the_verdict():
    with spinnaker.open(BEHIND, timed=True) as simulation:
        simulation.run(STEPS)
        provenance = simulation.provenance
    places = {(core.x, core.y, core.p): core.population for core in provenance.cores}
    assert places.keys() <= provenance.loads.keys()
    loads = {name: [load for place, load in provenance.loads.items() if places.get(place) == name]
             for name in ("in", "out")}
    assert max(load["worst"] for load in loads["in"]) < 0.5 and not any(load["full"] for load in loads["in"])
    (out,) = loads["out"]
    assert out["full"] > 5 and out["worst"] > 0.99 and max(out["course"]) in (99, 100, 101) and out["course"][0] < 50
    kept = {core["population"]: core["load"] for chip in judge(provenance).chips for core in chip["cores"]}
    assert kept["out"] == out
    with spinnaker.open(IN_TIME) as simulation:
        simulation.run(STEPS)
        assert not simulation.provenance.loads


def test_what_is_in_time_gives_the_same_integers(ran):
    local = backends.run(IN_TIME, STEPS)
    assert max(load.worst for load in resources(IN_TIME).loads) < 0.6
    assert ran[0].spikes["out"].n_events > 0
    assert (ran[0].spikes["out"].neurons == local.spikes["out"].neurons).all()
    assert (ran[0].spikes["out"].offsets == local.spikes["out"].offsets).all()
    assert judge(ran[0].provenance).verdict == "valid"


def test_sources_of_earlier_networks_do_not_make_those_of_this_one_late(monkeypatch):
    """sPyNNaker counts sources of a process, and the 900th begins its steps when those of neurons end."""
    from spinn_front_end_common.utility_models import ReverseIPTagMulticastSourceMachineVertex as Source
    monkeypatch.setattr(Source, "_n_vertices", 940)
    monkeypatch.setattr(Source, "_n_data_specs", 940)
    with Board(version=3, timed=True) as board, spinnaker.open(IN_TIME, target=board) as simulation:
        simulation.run(STEPS)
        recording = simulation.recording()
    assert Source._n_vertices == 940
    assert judge(recording.provenance).verdict == "valid"
    assert recording.spikes["out"].n_events == backends.run(IN_TIME, STEPS).spikes["out"].n_events > 0


def names(recording):
    return {finding.name for finding in judge(recording.provenance).findings}


def test_a_burst_that_overruns_the_input_buffer_is_lost_and_told_where(ran):
    health = judge(ran[1].provenance)
    lost, = (finding for finding in health.findings if finding.name == "lost_input")
    assert health.verdict == "invalid" and 0 < lost.value < 600 - 256 and "out" in lost.where[0]


def test_a_larger_packet_buffer_takes_a_burst_in_which_the_usual_one_loses_packets(ran):
    with Board(version=3, timed=True) as board, spinnaker.open(BURST, target=board, packet_buffer=1024,
                                                               time_scale=20) as simulation:
        simulation.run(STEPS)
        whole = simulation.recording()
    assert "lost_input" in names(ran[1]) and judge(whole.provenance).verdict == "valid"
    assert whole.spikes["out"].n_events == backends.run(BURST, STEPS).spikes["out"].n_events > 0


def sends(cores):
    """So many cores, 17 on a chip, send 180 packets each at once; each to one of 17 cores of the next chip."""
    pre = np.arange(180 * cores)
    spikes = Spikes.from_events(0 * pre, pre, 0 * pre + 5, (1, 1, len(pre)), 1, STEPS)
    lists = ConnectionList(pre, 15 * (pre // 180 % 17) + pre % 15, np.full(len(pre), 0.01), np.ones(len(pre), int))
    return Network((Population("in", spikes.shape, SpikeSourceArray(spikes), neurons_per_core=180),
                    Population("out", (1, 1, 255), IFCurrExp(), neurons_per_core=15)),
                   (Projection("p", "in", "out", lists),))


@pytest.mark.parametrize("cores, kept", [(17, True), (34, False)])
def test_a_link_that_all_packets_have_to_cross_makes_them_late_if_they_are_too_many(cores, kept):
    """3,060 packets take 0.50 ms to the next chip, 6,120 of two chips 1.01 ms: longer than a step."""
    with spinnaker.open(sends(cores), timed=True, packet_buffer=1024) as simulation:
        simulation.run(STEPS)
        provenance = simulation.recording().provenance
    places = {core.population: {(one.x, one.y) for one in provenance.cores if one.population == core.population}
              for core in provenance.cores}
    assert (len(places["in"]), len(places["out"])) == (cores // 17, 1)
    health = judge(provenance)
    assert (health.verdict == "valid") is kept
    found = {(finding.name, finding.severity): finding for finding in health.findings}
    if not kept:
        (router,) = found["dropped_packets", "invalid"].where
        assert router.startswith("router ") and 0 < found["dropped_packets", "invalid"].value < 1000
        assert "out" in found["late_spikes", "suspect"].where[0]


def test_a_plastic_core_that_falls_behind_is_late_and_told(ran):
    assert resources(BEHIND).loads[0].worst > 2
    assert judge(ran[2].provenance).verdict == "invalid" and "late_packets" in names(ran[2])


def test_time_is_for_the_board_that_is_made(monkeypatch):
    asked = []
    monkeypatch.setattr("spikingconvnet.emulator.Board", lambda **options: asked.append(options) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        spinnaker.open(IN_TIME, timed=True)
    assert asked == [{"real_time": False, "timed": True, "boards": 1}]
