"""Whether all of some thousand cores start each time, on a machine that has more to do than it can.

    python benchmarks/board_starts.py [--times 20] [--cores 7] [--boards 3] [--busy 8]

SpiNNMan loads a program on so many cores of every chip, waits until all are ready (SYNC0), tells them to go, waits
until all have paused after ten ticks of 1 ms, as sPyNNaker does with its simulations. The program is a few words of ARM
that do what the start of a simulation does: they say so in the core's state, wait for the signal, and tick. Meanwhile
so many other processes (`--busy`) keep the machine busy. It needs SpiNNMan: ``pip install -e ".[test]"``.
"""

import argparse
import os
import struct
import subprocess
import sys
import time

import spinnman.spinnman_script as script
from spinn_machine import CoreSubset, CoreSubsets
from spinnman.messages.scp.enums import Signal
from spinnman.model.enums import CPUState

APP, LIMIT = 17, 300                                # application; s for each of the two states
MAIN, IRQ = 0x40, 0x140
WAIT = [0xee070f90, 0xeafffffd]                     # mcr p15, 0, r0, c7, c0, 4; b to it
BEGIN = [
    0xe3a06203, 0xe5960014,                         # mov r6, #0x30000000; ldr r0, [r6, #STAT]: number of the core
    0xe1a00c20, 0xe200001f,                         # mov r0, r0, lsr #24; and r0, r0, #31
    0xe3a074e5, 0xe3877a07, 0xe0877380,             # r7 = 0xe5007000 + 128 * r0: its block of state
    0xe3a05421, 0xe3a0341f,                         # mov r5, #0x21000000: timers; mov r3, #0x1f000000: interrupts
    0xe3a00032, 0xe5830200,                         # mov r0, #0x20 | 18; str r0, [r3, #CNTL]
    0xe3a00701, 0xe5830010,                         # mov r0, #1 << 18; str r0, [r3, #ENABLE]
    0xe3a00008, 0xe5c7002e]                         # mov r0, #SYNC0; strb r0, [r7, #CPU_STATE]
TICK = [
    0xe5930000, 0xe3100010, 0x1a00000d,             # ldr r0, [r3, #IRQST]; tst r0, #1 << 4; bne to what a tick does
    0xe3a00701, 0xe5830014,                         # mov r0, #1 << 18; str r0, [r3, #DISABLE]
    0xe3a00007, 0xe5c7002e,                         # mov r0, #RUN; strb r0, [r7, #CPU_STATE]
    0xe3a0800a,                                     # mov r8, #10: ticks
    0xe3a00803, 0xe5850000,                         # mov r0, #0x30000; str r0, [r5, #LOAD]: 0.98 ms
    0xe3a00024, 0xe5830204,                         # mov r0, #0x20 | 4; str r0, [r3, #CNTL + 4]
    0xe3a00010, 0xe5830010,                         # mov r0, #1 << 4; str r0, [r3, #ENABLE]
    0xe3a000e2, 0xe5850008, 0xea000006,             # mov r0, #0xe2; str r0, [r5, #CONTROL]; b to the end
    0xe3a00001, 0xe585000c, 0xe2588001,             # a tick: mov r0, #1; str r0, [r5, #INT_CLR]; subs r8, r8, #1
    0x03a0000a, 0x05c7002e,                         # if it is the last: mov r0, #PAUSE; strb r0, [r7, #CPU_STATE]
    0x03a00000, 0x05850008,                         # mov r0, #0; str r0, [r5, #CONTROL]
    0xe5830030, 0xe25ef004]                         # str r0, [r3, #VADDR]; subs pc, lr, #4


def image():
    """The program as an APLX image, with its interrupt vector."""
    words = [0] * ((IRQ >> 2) + len(TICK))
    words[0], words[0x18 >> 2] = (0xea000000 | (there - here - 8) >> 2 for here, there in ((0, MAIN), (0x18, IRQ)))
    words[MAIN >> 2:(MAIN >> 2) + len(BEGIN + WAIT)] = BEGIN + WAIT
    words[IRQ >> 2:] = TICK
    code = struct.pack(f"<{len(words)}I", *words)
    return struct.pack("<8I", 2, 0, 32, len(code), 4, 0, 0, 0) + code.ljust(-(-len(code) // 32) * 32, b"\0")


def start(transceiver, cores):
    """Load, start and run the program on cores; how many have paused at the end."""
    transceiver.execute_flood(cores, bytearray(image()), APP)
    transceiver.wait_for_cores_to_be_in_state(cores, APP, CPUState.SYNC0, timeout=LIMIT)
    transceiver.send_signal(APP, Signal.SYNC0)
    transceiver.wait_for_cores_to_be_in_state(cores, APP, CPUState.PAUSED, timeout=LIMIT)
    paused = transceiver.get_core_state_count(APP, CPUState.PAUSED)
    transceiver.stop_application(APP)
    return paused


def started(times, per_chip):
    """Within a board: start so many times, and tell each time."""
    script.setup(n_boards_required=1)
    machine, transceiver = script.get_machine(), script.get_transceiver()
    cores = CoreSubsets(CoreSubset(*xy, range(1, per_chip + 1)) for xy in machine.chip_coordinates)
    complete = 0
    for number in range(times):
        began = time.monotonic()
        paused = start(transceiver, cores)
        complete += paused == len(cores)
        load = os.getloadavg()[0]
        print(f"start {number + 1}: {paused} of {len(cores)} cores, {time.monotonic() - began:.1f} s, load {load:.1f}",
              flush=True)
    print(f"{complete} of {times} starts complete")
    script.end()


def main():
    """Keep the machine busy, and start cores on boards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default, meaning in (("times", 20, "starts"), ("cores", 7, "on each chip"), ("boards", 3, "1 or 3"),
                                   ("busy", 8, "processes that do nothing but work")):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{meaning} ({default})")
    parser.add_argument("--within", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.within:
        started(options.times, options.cores)
        return
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(options.busy)]
    try:
        subprocess.run([sys.executable, "-m", "spikingconvnet.emulator", "--boards", str(options.boards), __file__,
                        "--within", "--times", str(options.times), "--cores", str(options.cores)], check=True)
    finally:
        for process in busy:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
