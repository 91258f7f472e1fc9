"""Graphs as they are read: nested ones, edges that lead nowhere, fields that are no numbers, heaps of a file."""

import sys
from pathlib import Path

import numpy as np
import pytest

from spikingconvnet.errors import DataError
from spikingconvnet.exchange import graph as module
from spikingconvnet.exchange.graph import as_text, read
from spikingconvnet.exchange.verdicts import Ledger

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
from naive_nir import Plain

IN, OUT = {"type": "Input", "shape": [1]}, {"type": "Output", "shape": [1]}
SCALE = {"type": "Scale", "scale": 1.0}


def found(nodes, edges):
    ledger = Ledger()
    return read(Plain(nodes, edges), ledger), ledger.refused


def nested(nodes, edges=()):
    return {"type": "NIRGraph", "nodes": nodes, "edges": list(edges)}


def test_an_edge_to_a_nested_graph_is_one_to_its_input_and_one_from_it_from_its_output():
    inner = nested({"i": IN, "s": SCALE, "o": OUT}, [("i", "s"), ("s", "o")])
    graph, refused = found({"a": IN, "g": nested({"i": IN, "h": inner, "o": OUT}, [("i", "h"), ("h", "o")]), "b": OUT},
                           [("a", "g"), ("g", "b"), ("g/h/s", "b")])
    assert not refused and graph.nested == ["g", "g/h"]
    assert sorted(graph.edges) == [("a", "g/i"), ("g/h/i", "g/h/s"), ("g/h/o", "g/o"), ("g/h/s", "b"),
                                   ("g/h/s", "g/h/o"), ("g/i", "g/h/i"), ("g/o", "b")]
    assert graph.kinds()[:3] == [("g", "NIRGraph"), ("g/h", "NIRGraph"), ("a", "Input")]
    assert graph.before("b") == ["g/o", "g/h/s"] and graph.after("g/h/s") == ["g/h/o", "b"]


@pytest.mark.parametrize("inner, n", [({"i": IN, "j": IN, "o": OUT}, 2), ({"o": OUT}, 0)])
def test_a_nested_graph_without_one_door_is_refused(inner, n):
    graph, refused = found({"a": IN, "g": nested(inner)}, [("a", "g")])
    assert list(refused) == ["g"] and refused["g"][0].startswith(f"has {n} nodes of kind Input") and not graph.edges


def test_two_edges_and_edges_to_nowhere_are_refused():
    graph, refused = found({"a": IN, "s": SCALE, "b": OUT}, [("a", "s"), ("a", "s"), ("s", "b")])
    assert graph.edges == [("a", "s"), ("s", "b")] and list(refused) == ["s"]
    assert refused["s"][0] == "has two edges from 'a'"
    graph, refused = found({"a": IN, "b": OUT}, [("a", "none"), ("no", "b"), ("no", "none"), ("a", "b")])
    assert graph.edges == [("a", "b")] and sorted(refused) == ["a", "b"]
    assert "'none', which is no node" in refused["a"][0] and "'no'" in refused["b"][0]


@pytest.mark.parametrize("fields, said", [
    ({"scale": None}, "scale is missing"), ({}, "scale is missing"), ({"scale": np.nan}, "not made of finite"),
    ({"scale": [1.0, np.inf]}, "finite"), ({"scale": "same"}, "finite"), ({"scale": []}, "finite"),
    ({"scale": [[1], [1, 2]]}, "finite"), ({"scale": 1j}, "finite")])
def test_fields_have_to_be_finite_numbers(fields, said):
    _, refused = found({"s": {"type": "Scale", **fields}}, [])
    assert said in refused["s"][0] and "the package nir" in refused["s"][1]


@pytest.mark.parametrize("value", [1, 1.5, True, np.uint8(3), [1, 2], np.ones((2, 2), np.float32)])
def test_numbers_of_every_kind_are_numbers(value):
    assert not found({"s": {"type": "Scale", "scale": value}}, [])[1]


def test_words_are_for_paddings_and_optional_fields_are_looked_at_where_they_are():
    conv = {"type": "Conv1d", "weight": np.ones((1, 1, 1)), "stride": 1, "dilation": 1, "groups": 1, "bias": [0.0]}
    for padding, good in (("same", True), (b"valid", True), (np.array("same", object), True), ("full", False)):
        assert found({"c": {**conv, "padding": padding}}, [])[1].keys() == (set() if good else {"c"})
    flat = {"type": "Flatten"}
    for end, good in ((None, True), (1, True), ("x", False)):
        assert found({"f": flat | {"end_dim": end}}, [])[1].keys() == (set() if good else {"f"})
    _, refused = found({"x": {"type": "Nothing"}, "y": 3, "z": {"scale": 1.0}}, [])
    assert [refused[name][0].split()[0] for name in "xyz"] == ["'Nothing'", "'nothing'", "'nothing'"]


def test_texts_are_texts_however_they_are_held():
    assert [as_text(one) for one in ("a", b"b", np.array("c", object), np.array(b"d"), 3, None, np.array(["e"]))] == [
        "a", "b", "c", "d", "", "", ""]


def heap(*pieces, size=None):
    """A global heap of HDF5 with pieces (index, length)."""
    body = b"".join(index.to_bytes(2, "little") + bytes(6) + length.to_bytes(8, "little")
                    + bytes(0 if index == 0 else -(-length // 8) * 8) for index, length in pieces)
    return b"GCOL" + bytes(4) + (16 + len(body) if size is None else size).to_bytes(8, "little") + body


@pytest.mark.parametrize("whole, good", [
    (heap((1, 8), (2, 3)), True), (heap((1, 8), (0, 16)), True), (heap((1, 72), (0, 16)), True),
    (heap((1, 8), (0, 0)), False), (heap((0, 17)), False), (b"some" + heap((1, 5)) + heap((0, 0)), False),
    (heap(size=16), True), (heap((1, 8), size=39), False), (heap((1, 8), size=40), True), (b"no heap", True)])
def test_a_heap_at_which_hdf5_would_look_for_ever_is_damaged(whole, good):
    if good:
        module._check_heaps(whole)
    else:
        with pytest.raises(DataError, match="heap of it is damaged"):
            module._check_heaps(whole)
