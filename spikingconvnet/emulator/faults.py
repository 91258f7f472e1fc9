"""What shall go wrong on a board: a description, and its form on the command line. `faulty_machine.py` does it.

Dead parts are missing from the start, as on a board whose blacklist names them: SC&MP leaves them out of its tables
and counts, so sPyNNaker does without them. Everything else goes wrong while programs run. Lots are drawn from `seed`
and what they are about (router, key, how many came before): the same faults befall the same packets in whatever order
cores are looked at.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

from spikingconvnet.emulator.errors import SetupError
from spikingconvnet.emulator.layout import Layout
from spikingconvnet.emulator.memory_map import NUM_CPUS, NUM_LINKS, XY, Place

Paced: TypeAlias = tuple[int, int, int, float]      # a core, and its speed or a time


@dataclass(frozen=True)
class Faults:
    """Faults of one board; the default is none.

    Parameters
    ----------
    seed : int
        Of the lots.
    dropped_packets : float
        Share, 0 to 1, of multicast packets that each router on their way drops, with all that it would have sent on.
    late_packets : (share, ms)
        Share of multicast packets that set out so much later than they were sent.
    dead_chips : ((x, y), ...)
        Not (0, 0), which has the Ethernet port.
    dead_cores : ((x, y, core), ...)
        Physical cores 1 to 17; virtual ones are numbered without them (`assign_virt_cpu`, scamp-3.c:902).
    dead_links : ((x, y, link), ...)
        0 E, 1 NE, 2 N, 3 W, 4 SW, 5 S; in both directions.
    slow_cores : ((x, y, core, speed), ...)
        Virtual cores that execute only `speed` million instructions per second while their timer ticks. A real one
        executes about 130 (200 MHz, 1.5 cycles each).
    crashes : ((x, y, core, ms), ...)
        Virtual cores that have a data abort at the first tick of their timer that comes so long after their first one.
    silent_after : float or None
        Seconds of the board's own clock after which it answers nothing any more. That clock stands still while no
        timer runs, so loading takes none of it.
    silent_after_packets : int or None
        Number of messages from the host that it still takes.

    Raises
    ------
    SetupError
        For a value that means nothing.
    """

    seed: int = 0
    dropped_packets: float = 0.0
    late_packets: tuple[float, float] = (0.0, 0.0)
    dead_chips: tuple[XY, ...] = ()
    dead_cores: tuple[Place, ...] = ()
    dead_links: tuple[Place, ...] = ()
    slow_cores: tuple[Paced, ...] = ()
    crashes: tuple[Paced, ...] = ()
    silent_after: float | None = None
    silent_after_packets: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name in _LISTS:
                self._check_list(field.name)
        _require("seed", self.seed, isinstance(self.seed, int) and 0 <= self.seed < 2**63, "a whole number below 2^63")
        share, delay = self.late_packets if _numbers(self.late_packets, 2) else (math.nan, math.nan)
        _require("dropped_packets", self.dropped_packets, _share(self.dropped_packets), "a share from 0 to 1")
        _require("late_packets", self.late_packets, _share(share) and 0 <= delay < math.inf,
                 "(share from 0 to 1, milliseconds)")
        for name in ("silent_after", "silent_after_packets"):
            value = getattr(self, name)
            _require(name, value, value is None or (_numbers((value,), 1) and 0 <= value < math.inf), "None, 0 or more")

    def _check_list(self, name: str) -> None:
        length, bound, meaning = _LISTS[name]
        for entry in getattr(self, name):
            good = _numbers(entry, length) and min(entry) >= 0 and (length == 2 or entry[2] < bound)
            good = good and all(isinstance(number, int) for number in entry[:3]) and entry[-1] < math.inf
            _require(name, entry, good, meaning)
            _require(name, entry, name != "slow_cores" or entry[3] > 0, "faster than 0 instructions")
            _require(name, entry, entry != (0, 0), "another chip: (0, 0) has the Ethernet port")
            _require(name, entry, bound != NUM_CPUS or entry[2] != 0, "another core: core 0 is the chip's monitor")

    def check_places(self, layout: Layout) -> None:
        """Raise SetupError if a fault is not on a chip of a machine, or a chip with an Ethernet port is dead."""
        for name in _LISTS:
            for entry in getattr(self, name):
                _require(name, entry, entry[:2] in layout.ethernet_of, f"on a chip of the {layout}")
        for entry in self.dead_chips:
            _require("dead_chips", entry, entry not in layout.ethernets, f"another chip: {entry} has an Ethernet port")

    def options(self) -> list[str]:
        """The command line's options that mean these faults."""
        return [part for name, form in FORMS.items() for value in form.write(self) for part in
                ("--fault", f"{name}={value}")]


def refuse_with_time(faults: Faults) -> None:
    """Raise SetupError for faults that a board with time cannot have."""
    if faults.slow_cores:
        raise SetupError("--timed: a slow core counts instructions, a core with time counts cycles; leave out "
                         "--fault slow-core, or --timed")
    if faults.late_packets != Faults.late_packets:
        raise SetupError("--timed: packets are as late as links and routers make them; leave out --fault late-packets, "
                         "or --timed")


def _require(name: str, value: Any, condition: object, meaning: str) -> None:
    if not condition:
        raise SetupError(f"Faults.{name}: must be {meaning}, got {value!r}")


def _numbers(value: Any, length: int) -> bool:
    """Whether it is a tuple of so many numbers."""
    return (isinstance(value, tuple) and len(value) == length
            and all(isinstance(number, (int, float)) and not isinstance(number, bool) for number in value))


def _share(value: Any) -> bool:
    return _numbers((value,), 1) and 0 <= value <= 1


_LISTS = {"dead_chips": (2, math.inf, "(x, y)"), "dead_cores": (3, NUM_CPUS, f"(x, y, core up to {NUM_CPUS - 1})"),
          "dead_links": (3, NUM_LINKS, f"(x, y, link up to {NUM_LINKS - 1})"),
          "slow_cores": (4, NUM_CPUS, f"(x, y, core up to {NUM_CPUS - 1}, million instructions per second)"),
          "crashes": (4, NUM_CPUS, f"(x, y, core up to {NUM_CPUS - 1}, milliseconds)")}


_WHOLE, _REAL = r"(\d+)", r"(\d+(?:\.\d*)?(?:e[+-]?\d+)?|\.\d+)"


@dataclass(frozen=True)
class Form:
    """How a fault is written: the attribute of `Faults`, a pattern with a group per number, an example."""

    attribute: str
    pattern: str
    example: str

    def read(self, text: str) -> Any:
        """The value in a text, or None: a number, or a tuple of several."""
        match = re.fullmatch(self.pattern, text)
        if match is None:
            return None
        numbers = tuple(int(group) if group.isdigit() else float(group) for group in match.groups())
        return numbers if len(numbers) > 1 else numbers[0]

    def write(self, faults: Faults) -> list[str]:
        """Texts for the values that differ from no fault."""
        value, default = getattr(faults, self.attribute), getattr(Faults, self.attribute)
        if value == default:
            return []
        return [self._text(entry) for entry in (value if self.attribute in _LISTS else [value])]

    def _text(self, value: Any) -> str:
        numbers = value if isinstance(value, tuple) else (value,)
        unit = re.sub(r".*\d", "", self.example)
        return ",".join(map(repr, numbers)) + unit


FORMS = {
    "dropped-packets": Form("dropped_packets", _REAL, "0.01"),
    "late-packets": Form("late_packets", f"{_REAL},{_REAL}ms", "0.01,1.5ms"),
    "dead-chip": Form("dead_chips", f"{_WHOLE},{_WHOLE}", "1,1"),
    "dead-core": Form("dead_cores", f"{_WHOLE},{_WHOLE},{_WHOLE}", "0,0,5"),
    "dead-link": Form("dead_links", f"{_WHOLE},{_WHOLE},{_WHOLE}", "0,0,2"),
    "slow-core": Form("slow_cores", f"{_WHOLE},{_WHOLE},{_WHOLE},{_REAL}mips", "0,0,5,0.5mips"),
    "crash": Form("crashes", f"{_WHOLE},{_WHOLE},{_WHOLE},{_REAL}ms", "0,0,5,100ms"),
    "silent-after": Form("silent_after", f"{_REAL}s", "0.1s"),
    "silent-after-packets": Form("silent_after_packets", _WHOLE, "2000"),
    "seed": Form("seed", _WHOLE, "1"),
}


def parse(texts: Iterable[str]) -> Faults:
    """Faults from texts like ``dead-core=0,0,5``, as they follow ``--fault``.

    One that there is not, that is written in another way, or that is there twice is a SetupError.

    >>> parse(["dropped-packets=0.01", "dead-core=0,0,5", "dead-core=1,1,2"]).dead_cores
    ((0, 0, 5), (1, 1, 2))
    """
    values: dict[str, Any] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in FORMS:
            raise SetupError(f"--fault {text}: no such fault; there are " + ", ".join(
                f"{known}={form.example}" for known, form in FORMS.items()))
        form, read = FORMS[name], FORMS[name].read(value)
        if read is None:
            raise SetupError(f"--fault {text}: must be written like {name}={form.example}")
        if form.attribute in _LISTS:
            values[form.attribute] = (*values.get(form.attribute, ()), read)
        elif form.attribute in values:
            raise SetupError(f"--fault {text}: {name} is there already; give it once")
        else:
            values[form.attribute] = read
    return Faults(**values)
