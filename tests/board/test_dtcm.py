"""A core's own memory as predicted, against the heaps that sPyNNaker's binaries lay out on an emulated board."""

import struct
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import core_memory
import numpy as np
import pytest
from core_memory import Drawn

from spikingconvnet.backends.spinnaker import simulator as spinnaker
from spikingconvnet.board import dtcm
from spikingconvnet.board.binaries import HEAP_BASES
from spikingconvnet.board.check import Subject, check
from spikingconvnet.board.dtcm import memory
from spikingconvnet.board.programs import PROGRAMS
from spikingconvnet.board.resources import MACHINES
from spikingconvnet.board.rules import MODULATED_KINDS, RULE_KINDS
from spikingconvnet.cli import main as cli
from spikingconvnet.emulator import Board, board
from spikingconvnet.emulator.core import Core, Rest
from spikingconvnet.emulator.ethernet import Ethernet
from spikingconvnet.emulator.heap import Heap
from spikingconvnet.emulator.machine import Machine
from spikingconvnet.emulator.native_core import NativeCore, library
from spikingconvnet.errors import NetworkError, SimulationFailed
from spikingconvnet.health.verdict import judge
from spikingconvnet.network.connectivity import ConnectionList
from spikingconvnet.network.netlist import Network, Population, Projection, together
from spikingconvnet.network.neurons import IFCurrDelta, IFCurrExp, SpikeSourceArray
from spikingconvnet.network.plasticity import STDPMechanism
from spikingconvnet.network.spikes import Spikes

HEAP_BASE = 0x4c            # of sark_vec_t in the ITCM, sark.h of spinnaker_tools
DTCM = 0x400000
NAME = 15                   # characters of a program's name that SARK keeps
STATIC = Drawn("static", "exp", "", 7, 20.0, 256, False, False, 1, 1)


def plastic(neurons, delay, pre=50):
    """The network of the fault report: default cores of plastic neurons, delays up to so many steps."""
    rng = np.random.default_rng(0)
    step, neuron = np.nonzero(rng.random((40, pre)) < 0.05)
    spikes = Spikes.from_events(0 * step, neuron, step, (1, 1, pre), 1, 40)
    listed = ConnectionList(rng.integers(0, pre, 2000), rng.integers(0, neurons, 2000), rng.uniform(0.0, 0.5, 2000),
                            np.r_[delay, rng.integers(1, delay + 1, 1999)])
    return Network((Population("in", spikes.shape, SpikeSourceArray(spikes)),
                    Population("out", (1, 1, neurons), IFCurrExp())),
                   (Projection("x", "in", "out", listed, plasticity=STDPMechanism()),))


# ---------------------------------------------------------------- against the binaries


def binaries():
    """Files of sPyNNaker's programs by name."""
    folders = ("spynnaker/pyNN/model_binaries", "spinn_front_end_common/common_model_binaries")
    return {file.stem: file for folder in folders for file in (
        Path(find_spec(folder.split("/")[0]).submodule_search_locations[0]).parent / folder).glob("*.aplx")}


def heap_base(file):
    """Where the heap of a program begins in the DTCM, from the copy to address 0 in its APLX table (sark.h)."""
    image = file.read_bytes()
    for entry in range(0, 64 * 16, 16):
        operation, to, source, _ = struct.unpack_from("<4I", image, entry)
        if operation == 2 and to == 0:
            return struct.unpack_from("<I", image, entry + source + HEAP_BASE)[0] - DTCM
    raise AssertionError(f"{file}: no copy to address 0")


def test_every_binary_s_heap_begins_where_the_table_says():
    assert {name: heap_base(binaries()[name]) for name in HEAP_BASES} == HEAP_BASES


@contextmanager
def open_to_view():
    """An emulated board as a thread of this process, whose cores can be looked at."""
    ethernet = Ethernet()
    machine = Machine(5, ethernet.hosts, make_core=NativeCore if library() else Core)
    ethernet.attach(machine)
    thread = threading.Thread(target=ethernet.serve)
    thread.start()
    try:
        yield SimpleNamespace(machine=machine, configuration=lambda: board.configuration(5, ethernet.hosts[0]))
    finally:
        ethernet.close()
        thread.join()


def heaps(machine):
    """(name of the program, Counter of the sizes of its blocks) of every core that runs."""
    for chip in machine.chips.values():
        for number, core in chip.cores.items():
            if core.rest is not Rest.OFF:
                base = int.from_bytes(core.itcm.bytes[HEAP_BASE:HEAP_BASE + 4], "little")
                free = {block for block, _ in Heap(core.bus, base).free_blocks()}
                yield chip.app_name(number), Counter(
                    end - block - dtcm.BLOCK for block, end in Heap(core.bus, base).blocks()
                    if end and block not in free)


def every_kind():
    """A network of every kind of core; no core has as many neurons as another of its program."""
    drawn = [STATIC, replace(STATIC, cell="delta", delay=20, lists=2), replace(STATIC, cell="ca2"),
             replace(STATIC, records=True, recurrent=True),
             *(Drawn("plastic", cell, rule, 7, 20.0, 256, False, False, 1, 2) for cell, rule in core_memory.COMBINED),
             *(Drawn("split", cell, rule, 7, 30.0, 256, rule == "triplets", False, 1, 3)
               for cell, rule in [*core_memory.SPLIT, ("ca2", "nearest")]),
             *(Drawn("dopamine", cell, rule, 1, 20.0, 256, False, False, 1, 4)
               for cell, rule in core_memory.MODULATED[::2]),
             Drawn("delays", "exp", "", 70, 20.0, 256, False, False, 1, 5),
             Drawn("kernels", "exp", "", 3, 20.0, 256, False, False, 1, 6)]
    return together([core_memory.network(one, 20 + 2 * i) for i, one in enumerate(drawn)])


def every_kind_below_1_ms():
    """What sPyNNaker splits there because of the time step, with tables of other lengths."""
    learning = Drawn("plastic", "exp", core_memory.COMBINED[0][1], 7, 5.0, 256, False, False, 1, 2)
    drawn = [STATIC, replace(STATIC, cell="delta", delay=20), learning]
    return replace(together([core_memory.network(one, 21 + 2 * i) for i, one in enumerate(drawn)]), timestep=0.5)


def test_kinds_of_cores_are_complete():
    uses = [use for network in (every_kind(), every_kind_below_1_ms()) for use in memory(network)[0]]
    learning = [f"_stdp_mad_{kind}" for kind in RULE_KINDS.values()]
    there = [*(row.name + end for row in PROGRAMS.values() for end in ("", "_neuron", "_conv", *learning)), "synapses",
             *("synapses" + end for end in (*learning, *(f"_stdp_{kind}" for kind in MODULATED_KINDS.values()))),
             "delay_extension", "reverse_iptag_multicast_source"]
    assert {use.binary for use in uses} == set(there) & set(HEAP_BASES)


@pytest.mark.parametrize("made_of", [every_kind, every_kind_below_1_ms])
def test_every_block_of_every_kind_of_core_is_predicted(made_of, tmp_path):
    network, packet_buffer = made_of(), 1000
    record = [p.label for p in network.populations if p.label.startswith("out") and p.size % 3 == 0]
    uses, lacks = memory(network, record, packet_buffer)
    assert not lacks
    with open_to_view() as made, spinnaker.open(
            network, record, target=made, directory=tmp_path, packet_buffer=packet_buffer) as simulation:
        simulation.run(20)
        real = list(heaps(made.machine))
    for use in uses:
        wanted = Counter(-(-size // 4) * 4 for sizes in use.blocks.values() for size in sizes)
        left = [blocks - wanted for name, blocks in real if use.binary.startswith(name[:NAME]) or name.startswith(
            use.binary[:NAME]) if not wanted - blocks]
        filters = 2 if "conv" not in use.binary and use.binary.startswith(("IF_", "synapses")) else 0
        assert left and min(sum(more.values()) for more in left) <= filters + len(network.incoming(use.label)), use


def test_the_largest_core_that_fits_runs_and_one_neuron_more_does_not(tmp_path):
    one = Drawn("plastic", "exp", "Vogels", 14, 20.0, 256, True, False, 1, 1)
    assert core_memory.measured(one, tmp_path) == (fits := core_memory.most_that_fit(one), True, fits)


def test_a_core_that_is_too_small_is_refused_before_the_run_and_after_it_the_verdict_names_the_same_change(tmp_path):
    network = plastic(256, 15)
    with (tmp_path / "log").open("w") as log, Board(log=log) as made:
        with pytest.raises(NetworkError, match="population out: a core of 256 neurons needs .* set neurons_per_core"):
            spinnaker.open(network, target=made, directory=tmp_path / "refused")
        with patch.object(dtcm, "require_fits"), pytest.raises(SimulationFailed) as failed, spinnaker.open(
                network, target=made, directory=tmp_path / "crashed") as simulation:
            simulation.run(20)
    health = judge(failed.value.provenance)
    assert {f.name for f in health.findings if f.severity == "invalid"} == {"failed", "core_memory"}
    assert all("neurons_per_core" in f.fix for f in health.findings if f.severity == "invalid")
    core, = [finding for finding in health.findings if finding.name == "core_memory"]
    assert "core 0,0,2 (out, neurons 0 to 255): RUN_TIME_EXCEPTION: Unable to allocate" in core.where[0]
    assert "Out of DTCM" in core.where[0]


# ---------------------------------------------------------------- the advice


def verdict(network, packet_buffer=None, record=()):
    return check(Subject("test", network, 40, record), MACHINES["spin5"], packet_buffer)


def memory_findings(one):
    return [finding for finding in one.findings if "own memory (DTCM)" in finding.text]


def with_cores_of(network, label, neurons):
    return replace(network, populations=[replace(p, neurons_per_core=neurons) if p.label == label else p
                                         for p in network.populations])


@pytest.mark.parametrize("neurons, delay, fits", [(254, 7, True), (254, 15, False), (254, 17, False), (128, 17, True),
                                                  (140, 31, False), (200, 15, True)])
def test_the_networks_of_the_report_fit_or_do_not(neurons, delay, fits):
    one = verdict(plastic(neurons, delay))
    assert bool(memory_findings(one)) != fits and (one.verdict == "does not fit") != fits
    assert (one.memory.needed <= one.memory.there) == fits


def test_the_number_of_neurons_that_is_named_fits_and_one_more_does_not():
    rng = np.random.default_rng(5)
    for kind in core_memory.KINDS:
        one = core_memory.drawn(kind, rng)
        network, record = core_memory.network(one, one.most), core_memory._record(one)
        lack, = memory(network, record, one.packets)[1]
        label, most = lack.change.split("population ")[1].split(" to at most ")
        most = int(most.split(",")[0])
        assert not memory(with_cores_of(network, label, most), record, one.packets)[1]
        one_more = memory(with_cores_of(network, label, most + 1), record, one.packets)[1]
        assert one_more or kind == "kernels"        # a plane is cut into equal tiles, which may be smaller


def test_a_packet_buffer_that_no_longer_fits_is_named_with_the_largest_that_does():
    network = plastic(254, 7)
    assert verdict(network).verdict != "does not fit"
    one = verdict(network, 1024)
    finding, = memory_findings(one)
    assert "waiting packets" in finding.text or "ring buffer" in finding.text
    assert "--packet-buffer of at most 512" in finding.change
    assert not memory_findings(verdict(network, 512))


def test_what_cannot_fit_a_burst_is_not_advised():
    network = plastic(254, 7, pre=2000)
    burst = Spikes.from_events([0] * 2000, np.arange(2000), [1] * 2000, (1, 1, 2000), 1, 40)
    network = replace(network, populations=[replace(network.populations[0], cell=SpikeSourceArray(burst)),
                                            network.populations[1]])
    change, = [finding.change for finding in verdict(network).findings if "reach a core in one step" in finding.text]
    assert "run with --packet-buffer" not in change and "no room for a --packet-buffer of 2048, but for 512" in change


def test_membranes_take_room_only_where_they_are_recorded():
    network = plastic(254, 7)
    assert memory(network)[1] == [] == memory(network, {"out": np.arange(100)})[1]
    lack, = memory(network, ["out"])[1]
    assert lack.change.endswith("to at most 253, or record the membranes of fewer neurons")
    plain, recorded = (next(use.parts["recording"] for use in memory(network, record)[0] if use.label == "out")
                       for record in ((), ["out"]))
    assert recorded - plain == 3 * 4 * 254      # a word for each of three variables and neurons


def test_delta_neurons_and_several_populations_are_named_each():
    network = together([plastic(254, 15), plastic(254, 17)])
    assert len(memory(network)[1]) == 2
    assert memory(Network((Population("alone", (1, 1, 256), IFCurrDelta()),), ()))[1] == []


def test_a_packet_buffer_is_refused_by_check_and_before_the_run(parameters, tmp_path, capsys):
    def call(*words):
        code = cli.main([*words, "--parameters", str(parameters()), "--run-dir", str(tmp_path / "run")])
        return code, *capsys.readouterr()

    code, out, _ = call("--mode", "check", "--packet-buffer", "16384")
    sentence = "bytes of its own memory (DTCM)"
    assert code == 2 and sentence in out and "take a --packet-buffer of at most" in out
    assert call("--mode", "check", "--packet-buffer", "2048")[0] == 0
    assert call("--mode", "loaddata")[0] == 0
    code, _, err = call("--mode", "training", "--layer", "1", "--backend", "spinnaker", "--packet-buffer", "16384")
    assert code == 2 and sentence in err and "take a --packet-buffer of at most" in err


@pytest.mark.parametrize("n, bits", [(31, 4), (32, 8), (255, 32), (256, 36)])
def test_a_core_s_spikes_of_a_step_are_a_bit_for_each_neuron_and_one_more_in_whole_words(n, bits):
    sizes = dtcm._recording(SimpleNamespace(label="a"), n, record=())
    assert sizes[-1] == 4 + bits and sizes[-2] == 4 + 4 and sizes[-2 - dtcm.VARIABLES] == 2 * n
