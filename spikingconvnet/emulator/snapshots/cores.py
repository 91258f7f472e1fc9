"""A core in a snapshot: its fields in C by name (``core_state.h``), what Python keeps of it, and its two memories.

What it has decoded is made again as it goes on. A core that is off, for which nothing waits, is left out.
"""

import ctypes
from array import array
from functools import cache
from typing import Any

from spikingconvnet.emulator.core import Core, Rest
from spikingconvnet.emulator.errors import SnapshotError
from spikingconvnet.emulator.memory_map import RTE
from spikingconvnet.emulator.native_core import NativeCore
from spikingconvnet.emulator.native_library import library
from spikingconvnet.emulator.snapshots.kinds import COUNT, LONG, WORD, Kind, give, maybe, row, several, take, whole
from spikingconvnet.emulator.timed_core import MOST_STEPS
from spikingconvnet.emulator.timed_native import Cost, TimedNativeCore

_COST = tuple(name for name, *_ in Cost._fields_)
_COSTS = several(row(*[LONG] * len(_COST)))

WHATEVER = {"inbox": several(WORD, lambda words: array("I", words)), "lost": COUNT,
            "scheduled": row(maybe(LONG), maybe(LONG))}
POWERED = {"_faults": COUNT}
TIMED = {"_slept_at_fault": whole(2**64 - 1, -1), "_steps": several(WORD, most=MOST_STEPS)}


def check(core: Core) -> None:
    """Raise SnapshotError for a core whose state cannot be had."""
    if not isinstance(core, NativeCore):
        raise SnapshotError(
            "no snapshot: on this board core {},{},{} runs in Python, and the CPU emulator keeps part of its state to "
            "itself; take snapshots of boards with compiled cores, without slow ones".format(*core.place))


@cache
def fields() -> dict[str, int]:
    """Names of a core's fields in C, and how many numbers each has."""
    found, count = dict[str, int](), ctypes.c_uint64()
    while (name := library().core_field(len(found), ctypes.byref(count))) is not None:
        found[name.decode()] = count.value
    return found


def is_idle(core: Core) -> bool:
    """Whether a core is as SC&MP leaves it, with nothing to keep."""
    return core.rest is Rest.OFF and not core.inbox and not core.lost and list(core.scheduled) == [None, None]


def save(core: Any) -> dict[str, Any]:
    """All of a core but its memories, as JSON."""
    said = take(core, WHATEVER)
    if core.made is None:
        return said
    said["dead"] = getattr(core, "failure", RTE.RESET).value if core.rest is Rest.DEAD else None
    said["powered"] = take(core, POWERED)
    numbers = (ctypes.c_uint64 * sum(fields().values()))()
    library().core_save(core.made, numbers)
    said["numbers"] = list(numbers)
    if isinstance(core, TimedNativeCore):
        core.times()                                # which takes the steps
        said["timed"] = take(core, TIMED)
        said["coming"] = _coming(core)
        said["block"] = library().core_block(core.made)
        said["costs"] = _COSTS.write([[getattr(one, name) for name in _COST] for one in core._costs]
                                     if core.profiled else [])
    return said


def _coming(core: TimedNativeCore) -> list[int]:
    words = (ctypes.c_uint64 * (4 * library().core_coming(core.made, None)))()
    library().core_coming(core.made, words)
    return list(words)


def restore(core: Any, said: Any, fill: Any) -> None:
    """Let a core be as it was.

    Parameters
    ----------
    core : NativeCore that is off
    said : dict that `save` has made
    fill : callable: fills the memories of the core

    Raises
    ------
    SnapshotError
        No core can be like that.
    """
    whatever = {name: said[name] for name in WHATEVER if name in said}
    if said.keys() - whatever.keys():
        core.power(lambda: int(fill() or 0))
        core.begin()
        _restore_in_c(core, said)
        give(core, POWERED, said.get("powered"))
        core.rest = Rest(library().core_rest(core.made)) if said.get("dead") is None else Rest.DEAD
        if core.rest is Rest.DEAD:
            core.failure = _FAILURE.read(said.get("dead"))
    give(core, WHATEVER, whatever)
    core.scheduled = list(core.scheduled)


def _failure(said: Any) -> RTE:
    number = whole(max(RTE)).read(said)
    if number not in RTE._value2member_map_:
        raise SnapshotError(f"no core dies of {number}")
    return RTE(number)


_FAILURE = Kind(int, _failure)


def _restore_in_c(core: Any, said: dict[str, Any]) -> None:
    """Put the numbers of a core into its C part, those of a timed one around them."""
    timed = isinstance(core, TimedNativeCore)
    if timed:
        _restore_time(core, said)
    expected = sum(fields().values())
    numbers = several(LONG, most=expected).read(said.get("numbers"))
    if len(numbers) != expected:
        raise SnapshotError(f"a core has {expected} numbers, found {len(numbers)}")
    wrong = library().core_restore(core.made, (ctypes.c_uint64 * expected)(*numbers))
    if wrong is not None:
        raise SnapshotError(f"a core whose {wrong.decode()} no core can have")
    core._pc = library().core_pc(core.made)
    if timed:
        library().core_restore_block(core.made, whole(len(core._costs)).read(said.get("block")))


def _restore_time(core: TimedNativeCore, said: dict[str, Any]) -> None:
    give(core, TIMED, said.get("timed"))
    steps = (ctypes.c_uint32 * len(core._steps))(*core._steps)
    words = several(LONG).read(said.get("coming"))
    if len(words) % 4 or not library().core_restore_steps(core.made, steps, len(core._steps)):
        raise SnapshotError("a core with packets or steps that are cut")
    for at, *packet in zip(*(iter(words),) * 4):
        if library().cores_arrive((ctypes.c_void_p * 1)(core.made), 1, at, *(word & 0xffffffff for word in packet)):
            raise SnapshotError("a core with more packets than there is room for")
    costs = _COSTS.read(said.get("costs"))
    if core.profiled:
        if len(costs) != len(core._costs):
            raise SnapshotError(f"{len(costs)} blocks of a program that is profiled, {len(core._costs)} expected")
        for place, cost in enumerate(costs):
            core._costs[place] = Cost(*cost)
