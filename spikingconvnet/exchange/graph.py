"""A NIR graph as plain data: from an object of the package ``nir`` or from its file, nested graphs made flat.

The file is HDF5 as ``nir.write`` of versions 1.0.4 to 1.0.8 makes it: ``version``, and under ``node`` the type and the
fields of each node as datasets. Nothing in it is unpickled, no link is followed, and sizes are looked at before arrays
are read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikingconvnet.errors import DataError
from spikingconvnet.exchange.verdicts import Ledger
from spikingconvnet.gates.libraries import need
from spikingconvnet.gates.sizes import memory

DEEPEST = 20            # groups inside each other
MOST_PACKED = 1032      # bytes that gzip makes one of at most, zlib.net/zlib_tech.html
Fields = Mapping[str, Any]
NEURONS = {"LIF": ("tau", "r", "v_leak", "v_threshold"), "LI": ("tau", "r", "v_leak"), "IF": ("r", "v_threshold"),
           "I": ("r",), "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "w_in", "v_threshold"),
           "CubaLI": ("tau_syn", "tau_mem", "r", "v_leak", "w_in"), "Threshold": ("threshold",)}
_POOL, _CONV = ("kernel_size", "stride", "padding"), ("weight", "stride", "padding", "dilation", "groups", "bias")
LINEAR = {"Affine": ("weight", "bias"), "Linear": ("weight",), "Scale": ("scale",), "Flatten": (), "Delay": ("delay",),
          "Conv1d": _CONV, "Conv2d": _CONV, "AvgPool2d": _POOL, "SumPool2d": _POOL}
WANTED = {**NEURONS, **LINEAR, "Input": ("shape",), "Output": ("shape",)}
WORDS = ("padding",)    # fields that may be text
OPTIONAL = "v_reset", "start_dim", "end_dim"


@dataclass(frozen=True, eq=False)
class Node:
    """A node: its name, those of nested graphs joined by ``/``, NIR's name of its kind, and its fields by name."""

    name: str
    kind: str
    fields: Fields


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes and the edges between them; an Input or Output of a nested graph is a node like any other.

    Attributes
    ----------
    nodes : dict of str to Node
    edges : list of (str, str)
    nested : list of str
        Names of nested graphs.
    """

    nodes: dict[str, Node]
    edges: list[tuple[str, str]]
    nested: list[str]

    def before(self, name: str) -> list[str]:
        """Nodes with an edge to that one."""
        return [a for a, b in self.edges if b == name]

    def after(self, name: str) -> list[str]:
        """Nodes that one has an edge to."""
        return [b for a, b in self.edges if a == name]

    def kinds(self) -> list[tuple[str, str]]:
        """(name, kind) of every node and nested graph."""
        return [(name, "NIRGraph") for name in self.nested] + [(n.name, n.kind) for n in self.nodes.values()]


def read(source: object, ledger: Ledger) -> Graph:
    """The graph in a file, or of an object of ``nir``.

    Parameters
    ----------
    source : path, or anything with nir's ``to_dict``
    ledger : Ledger
        Is told of every node that cannot be what it says.

    Returns
    -------
    Graph

    Raises
    ------
    DataError
        A file that is missing, damaged or no NIR; or an object that is no graph.
    BackendError
        A file, but h5py is not installed.
    """
    if isinstance(source, (str, Path)):
        found, name = _from_file(Path(source)), str(source)
    elif hasattr(source, "to_dict"):
        found, name = source.to_dict(), type(source).__name__
    else:
        raise DataError(f"from_nir: takes a nir.NIRGraph or the name of a file, got {type(source).__name__}")
    graph = Graph({}, [], [])
    if not _is_graph(found):
        raise DataError(f"{name}: holds no NIRGraph with nodes and edges; make one with nir.NIRGraph")
    _flatten(found, "", graph, ledger)
    for node in graph.nodes.values():
        _check(node, ledger)
    _check_edges(graph, ledger)
    return graph


def _is_graph(found: object) -> bool:
    return (isinstance(found, Mapping) and as_text(found.get("type")) == "NIRGraph"
            and isinstance(found.get("nodes"), Mapping))


def _flatten(found: Fields, prefix: str, graph: Graph, ledger: Ledger) -> None:
    for name, fields in found["nodes"].items():
        path = f"{prefix}{name}"
        if _is_graph(fields):
            graph.nested.append(path)
            _flatten(fields, f"{path}/", graph, ledger)
        else:
            kind = as_text(fields.get("type")) if isinstance(fields, Mapping) else ""
            graph.nodes[path] = Node(path, kind or "nothing", fields if kind else {})
    graph.edges.extend(_edges(found, prefix, graph, ledger))


def _edges(found: Fields, prefix: str, graph: Graph, ledger: Ledger) -> list[tuple[str, str]]:
    """Edges of one graph, those to or from a nested one moved to its Input or Output."""
    pairs = [tuple(map(as_text, pair)) for pair in np.asarray(found.get("edges", []), object).reshape(-1, 2)]
    made: list[tuple[str, str]] = []
    for pair in pairs:
        ends = [_door(f"{prefix}{end}", kind, graph, ledger) for end, kind in zip(pair, ("Output", "Input"))]
        if all(ends):
            made.append((ends[0], ends[1]))
    for twice in {edge for edge in made if made.count(edge) > 1}:
        ledger.refuse(twice[1], f"has two edges from {twice[0]!r}", "keep one, with twice the weight if both are meant")
    return list(dict.fromkeys(made))


def _door(path: str, kind: str, graph: Graph, ledger: Ledger) -> str:
    """The node that an end of an edge is: itself, or the only Input or Output of the nested graph of that name."""
    if path not in graph.nested:
        return path
    doors = [n.name for n in graph.nodes.values() if n.kind == kind and n.name.rpartition("/")[0] == path]
    if len(doors) != 1:
        ledger.refuse(path, f"has {len(doors)} nodes of kind {kind}, so an edge to it says too little",
                      "give it exactly one, or connect its inner nodes in the outer graph")
        return ""
    return doors[0]


def _check(node: Node, ledger: Ledger) -> None:
    """Refuse a node of an unknown kind, or one whose fields are missing, no numbers or not finite."""
    if node.kind not in WANTED:
        ledger.refuse(node.name, f"{node.kind!r} is no kind of node of NIR 1.0",
                      f"use one of {', '.join(sorted(WANTED))} or a NIRGraph")
        return
    given = [name for name in OPTIONAL if node.fields.get(name) is not None]
    for name in (*WANTED[node.kind], *given):
        value = node.fields.get(name)
        if not (name in WORDS and as_text(value) in ("same", "valid")) and not _is_numbers(value):
            ledger.refuse(node.name, f"its {name} is {'missing' if value is None else 'not made of finite numbers'}",
                          "write the node again with the package nir")


def _is_numbers(value: object) -> bool:
    try:
        array = np.asarray(value)
    except ValueError:          # lists of different lengths
        return False
    return array.dtype.kind in "biuf" and array.size > 0 and bool(np.isfinite(array).all())


def _check_edges(graph: Graph, ledger: Ledger) -> None:
    """Refuse nodes whose edges lead nowhere; those edges are left out."""
    for edge in list(graph.edges):
        for end, other in (edge, edge[::-1]):
            if end not in graph.nodes:
                graph.edges.remove(edge) if edge in graph.edges else None
                if other in graph.nodes:
                    ledger.refuse(other, f"has an edge with {end!r}, which is no node", "name a node of the graph")


def as_text(value: object) -> str:
    """Text of what h5py or nir holds as one; other things are ''."""
    value = value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value
    if isinstance(value, bytes):
        return value.decode("utf8", "replace")
    return value if isinstance(value, str) else ""


def _from_file(path: Path) -> Fields:
    need("h5py", f"{path}", "nir")
    import h5py

    if not path.is_file():
        raise DataError(f"{path}: no such file; write one with nir.write")
    try:
        _check_heaps(path.read_bytes())
        with h5py.File(path, "r") as file:
            return _group(file["node"], [min(memory(), MOST_PACKED * path.stat().st_size)], DEEPEST)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError, OverflowError,
            MemoryError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: damaged, or no NIR file ({reason}); write it again with nir.write") from error


def _check_heaps(whole: bytes) -> None:
    """Raise a DataError if a heap of texts has a piece without length, at which HDF5 would look for ever.

    Source: HDF5 File Format Specification 3.0, III.E, global heap.
    """
    start = whole.find(b"GCOL")
    while start >= 0:
        end = start + int.from_bytes(whole[start + 8:start + 16], "little")
        at = start + 16
        while at + 16 <= min(end, len(whole)):
            index, size = (int.from_bytes(whole[at + a:at + b], "little") for a, b in ((0, 2), (8, 16)))
            step = size if index == 0 else 16 + -(-size // 8) * 8
            if step == 0 or at + step > end:
                raise DataError("a heap of it is damaged; write it again with nir.write")
            at += step
        start = whole.find(b"GCOL", start + 4)


def _group(group: Any, room: list[int], depth: int) -> Fields:
    """A group of HDF5 as a dict; `room` are the bytes that are left for its arrays."""
    import h5py

    if not isinstance(group, h5py.Group) or depth == 0:
        raise DataError(f"{group.name}: is no group, or too deep inside others; write the graph again with nir.write")
    found = {}
    for key in group:
        if not isinstance(group.get(key, getlink=True), h5py.HardLink):
            raise DataError(f"{group.name}/{key}: is a link; write the graph again with nir.write")
        item = group[key]
        found[key] = _dataset(item, room) if isinstance(item, h5py.Dataset) else _group(item, room, depth - 1)
    return found


def _dataset(item: Any, room: list[int]) -> object:
    import h5py

    text = h5py.check_string_dtype(item.dtype) is not None
    if item.shape is None or item.is_virtual or item.external or not (text or item.dtype.kind in "biuf"):
        raise DataError(f"{item.name}: holds neither numbers nor text; write the graph again with nir.write")
    declared, stored = item.size * item.dtype.itemsize, item.id.get_storage_size()
    room[0] -= declared
    if room[0] < 0 or declared > stored * (MOST_PACKED if item.chunks else 1):
        raise DataError(f"{item.name}: says that it holds {declared:,} bytes, and is no larger than {stored:,}")
    if item.dtype.kind == "O":
        _check_texts(item)
    return item[()]


def _check_texts(item: Any) -> None:
    """Raise a DataError if a text says that it is longer than the file, which HDF5 would make room for.

    Each is 4 bytes of length, 8 of an address, 4 of a number, as HDF5 stores them where they are not packed.
    """
    file, start = Path(item.file.filename), item.id.get_offset()
    if item.chunks or start is None:
        raise DataError(f"{item.name}: holds packed texts; write the graph again with nir.write")
    size = file.stat().st_size
    with file.open("rb") as stream:
        stream.seek(start)
        entries = np.frombuffer(stream.read(16 * item.size), "<u4,<u8,<u4")
    if len(entries) < item.size or entries["f0"].max(initial=0) > size or entries["f1"].max(initial=0) > size:
        raise DataError(f"{item.name}: holds a text beyond the end of the file")
