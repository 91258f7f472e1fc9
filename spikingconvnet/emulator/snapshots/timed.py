"""What a board in time has beside others: clocks, memories that are shared, packets on their way, what programs did."""

from typing import Any

from spikingconvnet.emulator.errors import SnapshotError
from spikingconvnet.emulator.profile import Function
from spikingconvnet.emulator.snapshots.kinds import (
    ANY,
    COUNT,
    FLAG,
    LONG,
    PACKET,
    PLACE,
    TEXT,
    WORD,
    XY,
    Kind,
    among,
    give,
    mapping,
    maybe,
    read,
    record,
    row,
    several,
    take,
    unordered,
    whole,
)
from spikingconvnet.emulator.timed_core import MOST_STEPS
from spikingconvnet.emulator.timed_machine import History, TimedMachine
from spikingconvnet.emulator.tree import Tree

_FUNCTION = record(Function, address=WORD, calls=LONG, cycles=LONG)
_HISTORY = record(History, core=PLACE, program=TEXT, period=LONG, steps=several(WORD, most=MOST_STEPS),
                  functions=several(_FUNCTION))
_BANK = {"moved": LONG, "word": WORD}
_HOPS = several(row(LONG, LONG, XY, COUNT, PACKET))          # when, number, where from, branch of its way, packet


def table(machine: TimedMachine, core: Kind) -> dict[str, Kind]:
    """Attributes of a machine in time; `core` is the kind of its cores."""
    xy = among(machine.chips, XY, "a chip")
    return {"_awake": mapping(core, maybe(COUNT)), "_next": maybe(LONG), "_someone_works": FLAG,
            "_posted": several(row(LONG, xy, COUNT, PACKET)), "_paced": unordered(xy), "_mailed": several(core),
            "history": several(_HISTORY), "_looked_at": COUNT,
            "_sleep": mapping(core, row(whole(2**64 - 1, -1), COUNT))}


def _sorted(key: Kind) -> Kind:
    """When something is free, by what it is."""
    kind = mapping(key, LONG)
    return Kind(lambda values: kind.write(dict(sorted(values.items()))), kind.read)


def _network(machine: TimedMachine) -> dict[str, Kind]:
    xy = among(machine.chips, XY, "a chip")
    return {"_routers": _sorted(xy), "_wires": _sorted(row(xy, whole(5))), "_count": COUNT}


def save(machine: TimedMachine) -> dict[str, Any]:
    """Memories that are shared, and packets on their way, as JSON; SnapshotError if these routes have changed."""
    return {"banks": [[list(xy), take(bank, _BANK)] for xy, bank in machine._banks.items()],
            "network": take(machine._network, _network(machine)),
            "hops": [_hop(machine, *hop) for hop in sorted(machine._network._hops, key=lambda hop: hop[:2])]}


def _hop(machine: TimedMachine, at: int, number: int, tree: Tree, branch: int, packet: Any) -> list[Any]:
    source = tree.branches[0][0]
    now = machine.tree(source, packet)
    if tree is not now and (tree.branches != now.branches or tree.hops != now.hops):
        raise SnapshotError("no snapshot: a packet is under way on routes that have been changed since it was sent; "
                            "take it a little later")
    return [at, number, list(source), branch, list(packet)]


def restore(machine: TimedMachine, said: Any) -> None:
    """Let memories, routers and links of a machine be as they were. SnapshotError for what cannot be."""
    found = read({"banks": several(row(XY, ANY), dict), "network": ANY, "hops": _HOPS}, said)
    for xy, bank in machine._banks.items():
        give(bank, _BANK, found["banks"].get(xy))
    give(machine._network, _network(machine), found["network"])
    for at, number, source, branch, packet in found["hops"]:
        tree = machine.tree(among(machine.chips, XY, "a chip").read(list(source)), packet)
        if branch >= len(tree.branches) or (branch and _wire(tree, branch) not in machine._network._wires):
            raise SnapshotError("a packet that is under way where it cannot be")
        machine._network.add((at, number, tree, branch, packet))


def _wire(tree: Tree, branch: int) -> Any:
    return tree.branches[branch][0], tree.came_by[branch]

