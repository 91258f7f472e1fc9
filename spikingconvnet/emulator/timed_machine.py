"""A board on which work takes time: `Machine` with cores that have clocks of their own (`timed_core.py`).

Cores run in rounds, one after another, each as far as nothing that another one does can reach it: a packet is under way
for a quantum (10 us) at least. So packets are in nobody's past, nothing depends on the order of cores, and the same
programs give the same results; that packets take too long is the price. Between two events nobody works, and the clock
jumps.

Words that DMA controllers move share a chip's SDRAM: what one takes follows from how many controllers were at work on
average in the round before.
"""

import hashlib
import struct
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any

from spikingconvnet.emulator import timing
from spikingconvnet.emulator.core import Core, Rest
from spikingconvnet.emulator.interconnect import Interconnect
from spikingconvnet.emulator.machine import CYCLES_PER_MS, Machine
from spikingconvnet.emulator.memory_map import CPU_CLOCK_MHZ, XY, Place
from spikingconvnet.emulator.native_interconnect import NativeInterconnect
from spikingconvnet.emulator.packets import PORT_ETHERNET, SDP, Packet
from spikingconvnet.emulator.profile import Function, functions
from spikingconvnet.emulator.timed_core import Order, TimedCore
from spikingconvnet.emulator.timed_native import TimedNativeCore

_WATCHED = CPU_CLOCK_MHZ * 1_000_000                # cycles after which it is looked whether cores sleep at times
_MOST = CPU_CLOCK_MHZ * 1000                        # cycles that cores run before messages are looked after
_PASSES = 64                                        # in C, before it is looked how long they have taken
_ON_END = 0.005                                     # s for which quanta follow each other, then messages are looked at


def _phase(most: float, seed: int, place: Place) -> int:
    """Cycles by which interrupts of a chip's monitor come later, up to a number of us, from a seed."""
    drawn = hashlib.blake2b(struct.pack("<qHH", seed, *place[:2]), digest_size=8).digest()
    return int(timing.CYCLES_PER_US * most * int.from_bytes(drawn, "little") / 2**64)


@dataclass(frozen=True)
class History:
    """What a program did: its core, name, cycles of a step, cycles that it was awake in each, functions if profiled."""

    core: Place
    program: str
    period: int
    steps: list[int]
    functions: list[Function]


class TimedMachine(Machine):
    """A `Machine` in time.

    Parameters
    ----------
    quantum : us that packets are under way at least
    profile : a core whose functions are counted
    phases : us by which the monitors' interrupts come to the chips apart, at most
    seed : of the phases
    make_core : TimedCore or a class like it
    version, options : see `Machine`
    """

    def __init__(self, version: int = 5, quantum: float = timing.QUANTUM, make_core: Any = TimedCore,
                 profile: Place | None = None, phases: float = 0.0, seed: int = 0, **options: Any) -> None:
        self._profile, self._phases = profile, partial(_phase, phases, seed)
        self._quantum = timing.cycles_of(quantum)
        self._awake: dict[Core, None] = {}          # cores that run programs, in the order in which they began
        self._order: Order | None = None            # the same as a list
        self._next: int | None = None               # when something happens next
        self._someone_works = False                       # whether any core does, or waits for anything but a timer
        self._banks: dict[XY, Any] = {}
        self._crowded: list[Any] = []               # banks that more cores use than they can serve at full speed
        self._posted: list[tuple[int, XY, int, Packet]] = []        # packets that have just been sent: cycle, by whom
        self._mailed: list[Core] = []               # cores to which messages may wait
        self.history: list[History] = []            # of programs that had steps, in the order in which they ended
        self._looked_at = 0                         # when it was looked
        self._sleep: dict[Core, tuple[int, int]] = {}       # how long each core had slept then, and since when not
        self._network = self._kind_of_network(make_core)(self, self._quantum)
        super().__init__(version, make_core=make_core, **options)
        self._network.open()
        for xy, chip in self.chips.items():
            chip.system_controller.real = True
            chip.router.free = partial(self._network.free, xy)

    def _kind_of_network(self, make_core: Any) -> type[Interconnect]:
        return NativeInterconnect if make_core is TimedNativeCore else Interconnect

    def _core_of(self, x: int, y: int) -> Any:
        make = super()._core_of(x, y)
        bank = self._banks.setdefault((x, y), self._make_core.BANK())       # type: ignore[attr-defined]

        def make_timed(*arguments: Any) -> Any:
            core: Any = make(*arguments)
            core.bank, core.forget = bank, self._forget
            core.profiled = core.place == self._profile
            return core
        return make_timed

    def _wake(self, core: Core) -> None:
        if core.ended:
            return
        core.wake(self.cycle + self._phases(core.place))        # type: ignore[attr-defined]
        if core not in self._awake:
            self._awake[core] = self._order = None
            if (chip := self.chips[core.place[:2]]) not in self._clocked:
                self._clocked.append(chip)
        self._next, self._someone_works = self.cycle, True

    def _forget(self, core: Any) -> None:
        """A core is about to be stopped, or has died."""
        found = self._history_of(core)
        if found.steps:
            self.history.append(found)
        self.chips[core.place[:2]].system_controller.free_all()
        self._order = None

    def _history_of(self, core: Any) -> History:
        (x, y, number), found = core.place, core.times()
        return History(core.place, self.chips[x, y].app_name(number), found.period, list(found.steps),
                       functions(bytes(core.itcm.bytes), core.blocks()))

    @property
    def hears(self) -> bool:
        """See `Machine.hears`: all have a clock here."""
        return True

    @property
    def at_rest(self) -> bool:
        """Whether no core works, and none waits for anything but a timer: their states are what a board would show."""
        return not (self._mail or self._someone_works)

    @property
    def busy(self) -> bool:
        """Whether `step` would do something."""
        return bool(self._mail) or self._next is not None

    def next_instant(self) -> int | None:
        """Cycle at which something happens next."""
        return self._next

    def step(self, patience: float = _ON_END) -> None:
        """Carry messages, or let time pass until somebody should look at something, or for so many seconds."""
        if self._mail:
            self._carry()
            return
        ends = time.monotonic() + patience
        while self._next is not None:
            self._pass(None, _PASSES if patience else 1)
            if self._mail or not self._someone_works or time.monotonic() >= ends:
                return

    def run(self, until: int | None = None) -> None:
        """Step until nothing is left to do, or nothing up to and including a cycle."""
        while self._mail or (self._next is not None and (until is None or self._next <= until)):
            if self._mail:
                self._carry()
            else:
                self._pass(until)

    def _pass(self, until: int | None, passes: int = _PASSES) -> None:
        """Let all cores run, up to and including a cycle, until somebody has to be looked at."""
        order, tick = self._cores_at_work(), (self.cycle // CYCLES_PER_MS + 1) * CYCLES_PER_MS
        end, most = ((self._next or 0) + _MOST, _MOST) if until is None else (until + 1, 0)
        alone = 0 if self._posted else min(tick, self._looked_at + _WATCHED)
        outcome = self._network.run(order, self.cycle, end, self._quantum, self._crowded, most, alone,
                                    1 if self._mailed else passes)
        self._next, self._someone_works = outcome.next, outcome.busy
        self._set_clock(outcome.clock)
        taken = bool(outcome.found) and self._network.take(order, outcome.found)
        for core in () if taken else outcome.found:
            self._look_after(core)
        if taken or self._posted or outcome.carries:
            self._pass_on(outcome.next)
        if self._mailed:
            self._mailed = [core for core in self._mailed if self._post(core)]
        if self.cycle >= self._looked_at + _WATCHED:
            self._check_sleep(self.cycle)

    def _pass_on(self, until: int | None) -> None:
        """Let packets go on, as far as none can be sent meanwhile: before anybody does anything next."""
        if self._posted:
            self._network.post(self._posted)
            self._posted = []
        self._network.carry(until, self.cycle)
        self._next, self._someone_works = self.cycle, True

    @property
    def _paced(self) -> set[XY]:
        return self._network.paced

    @_paced.setter
    def _paced(self, chips: set[XY]) -> None:
        self._network.paced = chips

    def _forget_routes(self) -> None:
        super()._forget_routes()
        self._network.forget()

    def settle(self) -> None:
        """Count what has passed along every way since the last time."""
        self._network.settle()
        super().settle()

    def _cores_at_work(self) -> Order:
        """Cores that run programs, in the order in which they began; and whose memory is crowded then."""
        if self._order is None:
            self._order = Order(core for core in self._awake if not core.ended)
            self._awake = dict.fromkeys(self._order)
            cores = Counter(core.place[:2] for core in self._order)
            self._crowded = [bank for xy, bank in self._banks.items()
                             if timing.shared_word(cores[xy], 1) > timing.DMA_WORD]
        return self._order

    def _look_after(self, core: Any) -> None:
        """Deal with a core's fault, take its packets, and count those that it did not take in time."""
        x, y, _ = core.place
        core.settle()
        if core.rest is Rest.DEAD:
            self.chips[x, y].bury_dead(core)
            self._forget(core)
            return
        self._next, self._someone_works = self.cycle, True
        router = self.chips[x, y].router
        for at, packet in core.take_drops():
            router.drop_copy(packet, core.number, core.physical, at)
        sent = core.take_sent_at()
        if sent and router.dumps.owed and core.hears_of_drops():
            sent = [(at, router.dumps.narrowed(packet)) for at, packet in sent]
        self._posted += [(at, (x, y), core.number, packet) for at, packet in sent]

    def send(self, message: SDP) -> None:
        """Route an SDP message; one that a core has no room for is delivered when it has."""
        super().send(message)
        chip = self.chip_at(message.dest_addr)
        if chip is not None and message.core in chip.cores and message.dest_port != PORT_ETHERNET:
            self._mailed.append(chip.cores[message.core])

    def _post(self, core: Core) -> bool:
        """Hand over a core's next message if it has taken the last; whether more wait."""
        chip = self.chips[core.place[:2]]
        chip.post(core)
        return chip.has_mail(core)

    def _set_clock(self, cycle: int) -> None:
        if cycle // CYCLES_PER_MS != self.cycle // CYCLES_PER_MS:
            super()._set_clock(cycle)
        self.cycle = cycle

    def so_far(self) -> list[History]:
        """`history`, and what cores have done that still run."""
        return [*self.history, *map(self._history_of, self._cores_at_work())]

    def note_all(self) -> None:
        """Note in `history` what cores have done that still run."""
        for core in sorted(self._cores_at_work(), key=lambda core: core.place):
            self._forget(core)

    def _check_sleep(self, now: int) -> None:
        """Stop cores that have not slept for as long as the watchdog waits, in seconds of the board's clock."""
        self._looked_at = now
        for core in self._cores_at_work():
            slept, since = core.times().slept, self._sleep.get(core, (-1, now))
            if slept != since[0]:
                self._sleep[core] = slept, now
            elif now - since[1] > self.watchdog * _WATCHED:
                self._stop(core, f"has not come to rest for {self.watchdog:g} s of its own clock")
                self._forget(core)
