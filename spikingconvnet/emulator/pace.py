"""The wall clock's part in simulated time, for runs in which somebody outside takes part.

A machine's clock jumps as fast as its cores can follow. That is too fast for a host that sends spikes in the middle of
a run, watches them, or ends a run that has no end. So time keeps to the wall clock while

* a host has set an IP tag or a reverse IP tag: of the front ends' programs only live output and live input have any
  (SpiNNFrontEndCommon 7.4.1, ``live_packet_gather_parameters.py`` and
  ``reverse_ip_tag_multicast_source_machine_vertex.py``), and the data speed-up: the program that gathers its data has
  one, runs on the chip with the Ethernet port, and sends nothing but what a host waits for, so its tag does not count,
  or
* the program of spike sources runs on a core and has no spikes of its own, so that it waits for a host's: a spike
  injector is one, a SpikeSourceArray without any spike looks the same, or
* cores have been told to run without end.

Sources: simulation.h:57 and simulation.c:205 (commands to programs), data_specification.h:31, struct config of
reverse_iptag_multicast_source.c:52, of SpiNNFrontEndCommon a100eec.

Not modelled: anything slower than the wall clock. When cores cannot follow it, time falls behind, and that is said
as soon as it matters to somebody: at once where time is kept on purpose (a run without end, `real_time`), otherwise
when something comes or leaves, for an empty SpikeSourceArray has nobody outside.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from spikingconvnet.emulator import packets
from spikingconvnet.emulator.core import Core, Rest
from spikingconvnet.emulator.errors import BusError
from spikingconvnet.emulator.memory_map import CPU_CLOCK_MHZ, VCPU

if TYPE_CHECKING:
    from spikingconvnet.emulator.chip import Chip
    from spikingconvnet.emulator.machine import Machine

RUNNING_COMMANDS, NEW_RUNTIME = 3, 7                # SDP port of programs that simulate; their command to run so long
_SOURCE = "reverse_iptag_multicast_source"[:15]     # as much of it as a core's block of state keeps
_GATHERER = "data_speed_up_packet_gatherer"[:15]
_REGIONS, _REGION_SIZE = 8, 12                      # the first pointer to a region, from one to the next
_CONFIGURATION, _BUFFER_SIZE = 1, 28                # region, offset in it
_CYCLES_PER_S = CPU_CLOCK_MHZ * 1_000_000
_NOTICEABLE = 0.25                                  # s behind the wall clock from which it is said


class Pace:
    """When a machine's next instant is due on the wall clock.

    Parameters
    ----------
    machine : the Machine
    real_time : True: keep to the wall clock; False: never; None: while somebody outside takes part
    clock : callable -> seconds of the wall clock
    """

    def __init__(self, machine: "Machine", real_time: bool | None = None,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._machine, self._real_time, self._clock = machine, real_time, clock
        self._endless: set[Core] = set()            # cores that wait for a host's word to stop
        self._awaiting: set[Core] = set()           # cores that wait for a host's spikes
        self._zero: float | None = None             # cycle 0 on the wall clock while timers run
        self._said = _NOTICEABLE                    # lateness said last

    def cores(self) -> tuple[set[Core], set[Core]]:
        """Cores that run without end, and cores that wait for a host's spikes: sets to change, for a snapshot."""
        return self._endless, self._awaiting

    def hear(self, message: packets.SDP) -> None:
        """Take note of an SDP message from a host: it may tell a core how long to run next."""
        if message.core:
            self.tell()
        command = packets.SCP.decode(message.payload) if message.port == RUNNING_COMMANDS else None
        chip = self._machine.chip_at(message.dest_addr)
        if command is None or command.code != NEW_RUNTIME or chip is None or message.core not in chip.cores:
            return
        core = chip.cores[message.core]
        for cores, belongs in ((self._endless, bool(command.arguments[1])),
                               (self._awaiting, _awaits_spikes(chip, message.core))):
            (cores.add if belongs else cores.discard)(core)

    @property
    def kept(self) -> bool:
        """Whether simulated time keeps to the wall clock."""
        if self._real_time is not None:
            return self._real_time
        return self._tagged() or _on(self._endless) or _on(self._awaiting)

    def _tagged(self) -> bool:
        """Whether a board has more tags than its data speed-up needs."""
        machine = self._machine
        return any(table.live and table.live > _gatherers(machine.chips[xy]) for xy, table in machine.tags.items())

    def spare(self) -> float | None:
        """Seconds for which the machine should do nothing; None: until somebody wants something of it."""
        machine = self._machine
        if not machine.at_rest:
            return 0.0
        kept = self.kept
        instant = machine.next_instant() if kept else None
        if instant is not None:
            return self._until(instant)
        self._zero = None
        return 0.0 if machine.busy and not kept else None

    def _until(self, instant: int) -> float:
        if self._zero is None:                      # timers have been started: time goes on from where it stood
            self._zero, self._said = self._clock() - self._machine.cycle / _CYCLES_PER_S, _NOTICEABLE / 2
        if self._real_time or _on(self._endless):
            self.tell()
        return max(self._zero + instant / _CYCLES_PER_S - self._clock(), 0.0)

    def _late(self) -> float:
        """Seconds by which simulated time is behind; negative: the next instant is not due yet."""
        if self._zero is None:
            return 0.0
        machine = self._machine
        due = machine.next_instant() if machine.at_rest else None
        return self._clock() - self._zero - (machine.cycle if due is None else due) / _CYCLES_PER_S

    def tell(self) -> None:
        """Say if simulated time is behind; again when twice as far. For whenever something comes or leaves."""
        late = self._late()
        if late > 2 * self._said:
            self._said = late
            self._machine.report(f"simulated time is {late:.2f} s behind the wall clock, which it keeps to: data that "
                                 "come from outside are so much too early for it, data that leave are so late")


def _on(cores: set[Core]) -> bool:
    """Whether any of some cores has not been stopped."""
    return any(core.rest is not Rest.OFF for core in cores)


def _gatherers(chip: "Chip") -> int:
    """How many cores of a chip gather the data speed-up's data."""
    return sum(not core.ended and chip.app_name(number) == _GATHERER for number, core in chip.cores.items())


def _awaits_spikes(chip: "Chip", number: int) -> bool:
    """Whether a core of a chip sends the spikes of a host alone."""
    if chip.app_name(number) != _SOURCE:
        return False
    try:
        regions = chip.vcpu(number, VCPU.USER) + _REGIONS
        return chip.bus.load(chip.bus.load(regions + _REGION_SIZE * _CONFIGURATION) + _BUFFER_SIZE) == 0
    except BusError:                                # a program of that name that keeps its parameters elsewhere
        return False
