"""A trace of multicast packets: each that a core sends or that comes to one, as a line of a file.

CSV: ``ms,event,x,y,core,key,payload``: the board's clock, ``sent`` or ``received``, the core that did, the key in
hexadecimal, the payload likewise or nothing. Lines are written as things happen, nothing is kept in memory. A packet
that a fault or a router drops is sent and never received.

A board without a trace has none of this: a class of cores that notes its packets is made only for one that has.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import IO, Any

from spikingconvnet.emulator.core import Rest
from spikingconvnet.emulator.errors import SetupError
from spikingconvnet.emulator.memory_map import CPU_CLOCK_MHZ, Place
from spikingconvnet.emulator.packets import PAYLOAD, Packet

_HEADING = "ms,event,x,y,core,key,payload\n"
_CYCLES_PER_MS = CPU_CLOCK_MHZ * 1000
_BUFFER = 1 << 16                                   # bytes before they are written
_KEY, _PLACE, _TIME = r"(0x[0-9a-fA-F]{1,8}|\d{1,10})", r"(\d{1,3})", r"(\d+(?:\.\d*)?)"
FORMS = {"key": (f"{_KEY}(?:/{_KEY})?", "0x10000/0xffff0000"), "chip": (f"{_PLACE},{_PLACE}", "0,0"),
         "core": (f"{_PLACE},{_PLACE},{_PLACE}", "0,0,3"), "ms": (f"{_TIME}-{_TIME}", "100-200")}


@dataclass(frozen=True)
class Filter:
    """Which packets a trace has: those that meet one of each kind of condition that there is.

    Parameters
    ----------
    keys : (key, mask) pairs; a packet's key in the bits of the mask must be the key
    chips : (x, y) of the core that sends or receives
    cores : (x, y, core) of the same
    times : (from, to) pairs, ms of the board's clock, both included
    """

    keys: tuple[tuple[int, int], ...] = ()
    chips: tuple[tuple[int, int], ...] = ()
    cores: tuple[Place, ...] = ()
    times: tuple[tuple[float, float], ...] = ()
    _cycles: tuple[tuple[float, float], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        cycles = tuple((first * _CYCLES_PER_MS, last * _CYCLES_PER_MS) for first, last in self.times)
        object.__setattr__(self, "_cycles", cycles)

    def has_core(self, place: Place) -> bool:
        """Whether anything of a core at (x, y, core) is of interest."""
        return (not self.cores or place in self.cores) and (not self.chips or place[:2] in self.chips)

    def has(self, cycle: int, key: int) -> bool:
        """Whether a packet with a key at a cycle is of interest."""
        return (not self._cycles or any(first <= cycle <= last for first, last in self._cycles)) and (
            not self.keys or any(key & mask == wanted for wanted, mask in self.keys))


def parse(texts: Iterable[str]) -> Filter:
    """A filter from texts like ``key=0x10000/0xffff0000``.

    Raises
    ------
    SetupError
        There is no such condition, or it is written in another way.

    Examples
    --------
    >>> parse(["chip=0,1", "key=0x10/0xf0", "ms=0-1.5"]).keys
    ((16, 240),)
    """
    found: dict[str, list[Any]] = {name: [] for name in FORMS}
    for text in texts:
        name, _, value = text.partition("=")
        match = re.fullmatch(FORMS[name][0], value) if name in FORMS else None
        if match is None:
            raise SetupError(f"--trace-only {text}: must be one of " + ", ".join(
                f"{known}={example}" for known, (_, example) in FORMS.items()))
        found[name].append(_numbers(name, match.groups()))
    return Filter(*map(tuple, found.values()))


def _numbers(name: str, groups: tuple[str | None, ...]) -> tuple[float, ...]:
    if name == "ms":
        return tuple(float(group or 0) for group in groups)
    numbers = [int(group, 0 if group.startswith("0x") else 10) for group in groups if group is not None]
    if name == "key":
        key, mask = numbers if len(numbers) == 2 else (*numbers, 0xffffffff)
        return key & 0xffffffff & mask, mask & 0xffffffff
    return tuple(numbers)


class Trace:
    """A file that packets are written to.

    Parameters
    ----------
    path : path
    wanted : Filter
    report : callable(text): told once if the file cannot be written any more; the board goes on without it

    Raises
    ------
    SetupError
        The file cannot be made.
    """

    def __init__(self, path: str, wanted: Filter, report: Any) -> None:
        self._path, self._wanted, self._report = path, wanted, report
        try:
            self._file: IO[str] | None = open(path, "w", buffering=_BUFFER)       # noqa: SIM115    # closed by `close`
            self._file.write(_HEADING)
        except OSError as error:
            raise SetupError(f"--trace {path}: {error.strerror}") from error

    def cores(self, kind: Any) -> Any:
        """A class of cores like another one, whose packets are noted."""
        if not hasattr(kind, "take_sent_at"):
            return type(f"Traced{kind.__name__}", (_Traced, kind), {"trace": self})
        return type(f"Traced{kind.__name__}", (_TracedInTime, kind), {
            "trace": self, "arrive_all": staticmethod(partial(self._arrive_all, kind))})

    def _arrive_all(self, kind: Any, cores: Iterable[Any], at: int, packet: Packet) -> None:
        """A packet has set out for some cores of a chip, and comes to the output of the router at a cycle."""
        for core in cores:
            self.note(at, "received", core.place, [packet])
        kind.arrive_all(cores, at, packet)

    def note(self, cycle: int, event: str, place: Place, packets: Iterable[Packet]) -> None:
        """Write packets that a core sends or receives at a cycle, if they are wanted."""
        if self._file is None or not self._wanted.has_core(place):
            return
        begins = f"{cycle / _CYCLES_PER_MS:.6f},{event},{','.join(map(str, place))}"
        lines = [f"{begins},{key:#010x},{f'{payload:#010x}' if control & PAYLOAD else ''}\n"
                 for control, key, payload in packets if self._wanted.has(cycle, key)]
        try:
            self._file.writelines(lines)
        except OSError as error:
            self._report(f"the trace {self._path} ends here: {error.strerror}")
            broken, self._file = self._file, None
            with suppress(OSError):                 # of what is left
                broken.close()

    def close(self) -> None:
        """Write what is left."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:
                self._report(f"the trace {self._path} has no end: {error.strerror}")


class _Traced:
    """What a core does beside its work when its packets are noted."""

    trace: Trace
    place: Place
    rest: Rest
    _clock: Any

    def offer(self, packet: Packet) -> None:
        """A packet arrives."""
        if self.rest not in (Rest.OFF, Rest.DEAD):
            self.trace.note(self._clock(), "received", self.place, [packet])
        super().offer(packet)                       # type: ignore[misc]

    def take_sent(self) -> list[Packet]:
        """The packets that the program has sent since the last time."""
        sent: list[Packet] = super().take_sent()    # type: ignore[misc]
        if sent and not hasattr(self, "take_sent_at"):
            self.trace.note(self._clock(), "sent", self.place, sent)
        return sent


class _TracedInTime(_Traced):
    """The same where packets have times of their own."""

    def take_sent_at(self) -> list[tuple[int, Packet]]:
        """The packets that the program has sent since the last time, with their cycles."""
        sent: list[tuple[int, Packet]] = super().take_sent_at()     # type: ignore[misc]
        for at, packet in sent:
            self.trace.note(at, "sent", self.place, [packet])
        return sent
