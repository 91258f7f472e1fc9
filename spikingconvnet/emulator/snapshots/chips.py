"""A chip in a snapshot: router, system controller, messages that wait, applications; its memories are apart."""

from collections import deque
from typing import Any

from spikingconvnet.emulator.chip import Chip
from spikingconvnet.emulator.dumps import Dumps
from spikingconvnet.emulator.errors import SnapshotError
from spikingconvnet.emulator.memory_map import NUM_CPUS
from spikingconvnet.emulator.router import EMPTY_KEY, EMPTY_ROUTE, TABLE_SIZE, Router
from spikingconvnet.emulator.snapshots.kinds import (
    BYTE,
    FLAG,
    HALF,
    LONG,
    MESSAGE,
    PACKET,
    WORD,
    among,
    give,
    mapping,
    row,
    several,
    take,
    unordered,
    whole,
)
from spikingconvnet.emulator.system_controller import SystemController

_ENTRY = row(whole(TABLE_SIZE - 1), WORD, WORD, WORD)
_EMPTY = EMPTY_KEY, 0, EMPTY_ROUTE

ROUTER = {"control": WORD, "fixed_route": WORD, "enabled": HALF, "filters": several(WORD), "counters": several(WORD),
          "p2p": mapping(whole(Router.P2P_BYTES // 4 - 1), WORD)}
DUMPS = {"enabled": FLAG, "registers": row(*[WORD] * len(Dumps.REGISTERS)),
         "waiting": several(row(*[WORD] * 4, LONG), deque), "latest": LONG, "late": LONG, "owed": several(PACKET)}
CONTROLLER = {"flags": WORD, "port": WORD, "direction": WORD, "real": FLAG,
              "_held": unordered(whole(4 * SystemController.LOCKS))}


def _chip(chip: Chip) -> dict[str, Any]:
    return {"_apps": several(BYTE), "_waiting": mapping(among(chip.cores, BYTE, "a core"), several(MESSAGE))}


def save(chip: Chip) -> dict[str, Any]:
    """All of a chip but its memories and cores, as JSON."""
    router = chip.router
    entries = enumerate(zip(router.keys, router.masks, router.routes))
    return {"chip": take(chip, _chip(chip)), "router": take(router, ROUTER),
            "dumps": take(router.dumps, DUMPS),
            "controller": take(chip.system_controller, CONTROLLER),
            "entries": [[index, *entry] for index, entry in entries if entry != _EMPTY]}


def restore(chip: Chip, said: Any) -> None:
    """Let a chip that has just been booted be as another one was. SnapshotError for what no chip can be."""
    if not isinstance(said, dict) or said.keys() != {"chip", "router", "dumps", "controller", "entries"}:
        raise SnapshotError("a chip without one of its parts")
    give(chip, _chip(chip), said["chip"])
    give(chip.router, ROUTER, said["router"])
    give(chip.router.dumps, DUMPS, said["dumps"])
    give(chip.system_controller, CONTROLLER, said["controller"])
    router = chip.router
    if len(chip._apps) != NUM_CPUS or chip._waiting.keys() != chip.cores.keys():
        raise SnapshotError("a chip with another number of cores")
    for core in chip.cores.values():
        core.mailed = chip.has_mail(core)
    if not len(router.filters) == len(router.counters) == 16:
        raise SnapshotError("a router with another number of counters")
    for entry in several(_ENTRY, most=TABLE_SIZE).read(said["entries"]):
        router.set(*entry)
