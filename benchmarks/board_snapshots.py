"""Snapshots of the emulated board under networks of sPyNNaker: left at random places, continued from the file.

    python benchmarks/board_snapshots.py [--places 100] [CASE ...]

Each case runs a network on a board of its own, in the middle of which a snapshot is taken. The board in it goes on
without interruption; then again, and at each of the random places (between two steps of the machine, packets under
way included) it is written and read, and the one that was read goes on to the end. Everything must be as without: a
digest of all memories, cores, routers and queues, and the messages that left the board. "live" has spikes of a host
come in, and live output.
"""

import argparse
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from spikingconvnet.emulator.native_machine import NativeMachine
from spikingconvnet.emulator.packets import PORT_ETHERNET, SDP
from spikingconvnet.emulator.snapshots import boards
from spikingconvnet.emulator.tags import REVERSE, VALID
from spikingconvnet.emulator.timed_machine import TimedMachine

ROOT = Path(__file__).parents[1]
STDP = [str(ROOT / "tests/emulator/stdp_network.py"), "0"]
LIVE = [__file__, "--network"]
FAULTS = ["dropped-packets=0.02", "late-packets=0.1,1.5ms", "crash=0,0,3,150ms"]
CASES = {"stdp": ([], STDP), "faults": ([word for fault in FAULTS for word in ("--fault", fault)], STDP),
         "timed": (["--timed"], STDP), "live": (["--no-real-time"], LIVE)}
AT, MOST = 50, 2000                     # ms of the snapshot, steps from there
KEY, PORT, EVERY = 0x70000, 17899, 7    # of the injector; steps from one spike of the host to the next


def network():
    """A PyNN script: spikes from outside drive neurons whose spikes leave."""
    import pyNN.spiNNaker as sim

    sim.setup(1.0)
    injected = sim.Population(8, sim.external_devices.SpikeInjector(), label="injected",
                              additional_parameters={"virtual_key": KEY, "port": PORT})
    cells = sim.Population(100, sim.IF_curr_exp(), label="cells")
    sim.Projection(injected, cells, sim.FixedProbabilityConnector(0.5), sim.StaticSynapse(weight=5.0, delay=1.0))
    cells.record("spikes")
    sim.external_devices.activate_live_output_for(cells)
    sim.run(300)
    sim.end()


def taken(options, script, path):
    """Run a script on a board with options, and have its snapshot taken on the way."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "spikingconvnet.emulator", *options, "--snapshot", str(path), "--at", str(AT)]
        done = subprocess.run([*command, *script], cwd=folder, capture_output=True, text=True,
                              env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert path.exists(), done.stderr[-2000:]


def send(machine, number):
    """Let a host send a spike to the injector, if there is one."""
    for index, tag in enumerate(machine.tags[0, 0].table):
        if tag.flags & VALID and tag.flags & REVERSE:
            spike = struct.pack("<2BI", 1, 2 << 2, KEY + number % 8)            # EIEIO: one key of 32 bits
            machine.accept(SDP(0x07, index, tag.dest_port, PORT_ETHERNET, tag.dest_addr, 0, spike))


def walk(machine, first, last):
    """Make steps by their numbers; how many there were before nothing was left to do."""
    for number in range(first, last):
        if number % EVERY == 0:
            send(machine, number)
        if not machine.busy:
            return number
        machine.step(*[0] * isinstance(machine, (NativeMachine, TimedMachine)))
    return last


def load(path, times=None):
    """A board from a file, what it sends; CPU seconds of that are added to `times`."""
    sent, began = [], time.process_time()
    machine = boards.load(path, transmit=sent.append)
    if times is not None:
        times.append(time.process_time() - began)
    return machine, sent


def compare(path, places, seed):
    """Leave the board of a file at random places; what came out."""
    machine, sent = load(path)
    last = walk(machine, 0, MOST)
    expected, began = boards.digest(machine), machine.cycle
    machine.close()
    machine, before = load(path)
    found = {"steps": last, "places": places, "alike": 0, "under way": 0, "messages out": len(sent)}
    at, saves, loads, left = 0, [], [], path.with_suffix(".left")
    for place in sorted(random.Random(seed).sample(range(1, last), places)):
        walk(machine, at, place)
        at, found["under way"] = place, found["under way"] + (not machine.at_rest)
        start = time.process_time()
        boards.save(machine, left)
        saves.append(time.process_time() - start)
        restored, after = load(left, loads)
        walk(restored, place, last)
        found["alike"] += boards.digest(restored) == expected and before + after == sent and restored.cycle == began
        restored.close()
    walk(machine, at, last)
    assert boards.digest(machine) == expected and before == sent, "a board is not the same after snapshots were taken"
    return {**found, "kB": left.stat().st_size // 1000, "save CPU s": round(max(saves), 3),
            "restore CPU s": round(max(loads), 3)}


def main():
    """Print a line a case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--places", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--network", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.network:
        network()
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in options.cases or CASES:
            path = Path(folder) / name
            taken(*CASES[name], path)
            print(name, json.dumps(compare(path, options.places, options.seed)), flush=True)


if __name__ == "__main__":
    main()
