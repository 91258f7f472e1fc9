"""How the values of a part are written as JSON, and judged when they are read: nothing from a file is used as it is."""

import ipaddress
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from spikingconvnet.emulator.errors import SnapshotError
from spikingconvnet.emulator.packets import MAX_PAYLOAD, SDP


@dataclass(frozen=True)
class Kind:
    """A kind of value: to JSON, and back; `read` raises SnapshotError for what is no value of this kind."""

    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


Table: TypeAlias = Mapping[str, Kind]               # attributes of a part


def refuse(said: Any, meaning: str) -> SnapshotError:
    """The error for a value that is not what it must be."""
    return SnapshotError(f"{meaning} expected, found {str(said)[:60]!r}; it was not written by this emulator")


def whole(most: int, least: int = 0) -> Kind:
    """A whole number within limits."""
    def read(said: Any) -> int:
        if type(said) is not int or not least <= said <= most:
            raise refuse(said, f"a whole number from {least} to {most}")
        return said
    return Kind(int, read)


def maybe(kind: Kind) -> Kind:
    """A value, or None."""
    return Kind(lambda value: None if value is None else kind.write(value),
                lambda said: None if said is None else kind.read(said))


def several(kind: Kind, make: Callable[[Any], Any] = list, most: int = 1 << 22) -> Kind:
    """Any number of values; `make` puts them together."""
    def read(said: Any) -> Any:
        if not isinstance(said, list) or len(said) > most:
            raise refuse(said, f"a list of up to {most}")
        return make([kind.read(one) for one in said])
    return Kind(lambda values: [kind.write(value) for value in values], read)


def unordered(kind: Kind) -> Kind:
    """A set of values."""
    values = several(kind, set)
    return Kind(lambda found: sorted(values.write(found)), values.read)


def row(*kinds: Kind) -> Kind:
    """A tuple of certain kinds."""
    def read(said: Any) -> tuple[Any, ...]:
        if not isinstance(said, list) or len(said) != len(kinds):
            raise refuse(said, f"a list of {len(kinds)}")
        return tuple(kind.read(one) for kind, one in zip(kinds, said))
    return Kind(lambda value: [kind.write(one) for kind, one in zip(kinds, value)], read)


def mapping(key: Kind, value: Kind, make: Callable[[Any], Any] = dict) -> Kind:
    """Values by keys, in their order."""
    pairs = several(row(key, value), make)
    return Kind(lambda values: pairs.write(values.items()), pairs.read)


def record(make: Callable[..., Any], **kinds: Kind) -> Kind:
    """An object of a class by the names of its attributes, which are its arguments too."""
    cells = row(*kinds.values())
    return Kind(lambda value: cells.write([getattr(value, name) for name in kinds]),
                lambda said: make(**dict(zip(kinds, cells.read(said)))))


def _flag(said: Any) -> bool:
    if type(said) is not bool:
        raise refuse(said, "true or false")
    return said


def _text(said: Any) -> str:
    if not isinstance(said, str) or len(said) > 1000:
        raise refuse(said, "a text")
    return said


def _number(said: Any) -> float:
    if type(said) not in (int, float) or not 0 <= said < 2**63:
        raise refuse(said, "a number")
    return float(said)


def _payload(said: Any) -> bytes:
    try:
        data = bytes.fromhex(_text(said))
    except ValueError:
        raise refuse(said, "bytes in hexadecimal") from None
    if len(data) > MAX_PAYLOAD:
        raise refuse(said, f"up to {MAX_PAYLOAD} bytes")
    return data


def _address(said: Any) -> str:
    try:
        return str(ipaddress.IPv4Address(_text(said)))
    except ValueError:
        raise refuse(said, "an IPv4 address") from None


BYTE, HALF, WORD, LONG, COUNT = whole(255), whole(0xffff), whole(0xffffffff), whole(2**64 - 1), whole(2**63 - 1)
FLAG, TEXT, NUMBER = Kind(bool, _flag), Kind(str, _text), Kind(float, _number)
ADDRESS = Kind(str, _address)
ANY = Kind(lambda value: value, lambda said: said)  # judged by whoever it is handed to
XY = row(BYTE, BYTE)
PLACE = row(BYTE, BYTE, BYTE)
PACKET = row(WORD, WORD, WORD)                      # packets.Packet
MESSAGE = record(SDP, flags=BYTE, tag=BYTE, dest_port=BYTE, srce_port=BYTE, dest_addr=HALF, srce_addr=HALF,
                 payload=Kind(bytes.hex, _payload))


def among(values: Container[Any], kind: Kind, meaning: str) -> Kind:
    """One of several values, for example the place of a chip that there is."""
    def read(said: Any) -> Any:
        if (key := kind.read(said)) not in values:
            raise refuse(said, meaning)
        return key
    return Kind(kind.write, read)


def take(part: Any, table: Table) -> dict[str, Any]:
    """A part's attributes as JSON."""
    return {name: kind.write(getattr(part, name)) for name, kind in table.items()}


def give(part: Any, table: Table, said: Any) -> None:
    """Set a part's attributes to what JSON says, once all of it has been judged."""
    for name, value in read(table, said).items():
        setattr(part, name, value)


def read(table: Table, said: Any) -> dict[str, Any]:
    """Attributes from JSON; SnapshotError if they are others, or one is of another kind."""
    if not isinstance(said, dict) or said.keys() != table.keys():
        raise refuse(sorted(said) if isinstance(said, dict) else said, f"the values {', '.join(table)}")
    found = {}
    for name, kind in table.items():
        try:
            found[name] = kind.read(said[name])
        except SnapshotError as error:
            raise SnapshotError(f"{name.lstrip('_')}: {error}") from None
    return found
