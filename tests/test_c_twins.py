"""Every number, structure and function that C shares with Python: the same name, the same value, the same order."""

import ast
import ctypes
import operator
import re
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from spikingconvnet.backends.local import general_kernels, kernels, layout, native, poisson_kernels
from spikingconvnet.board import fixed_point
from spikingconvnet.emulator import (
    core,
    cpu,
    dumps,
    machine,
    memory_map,
    native_core,
    native_interconnect,
    native_library,
    native_machine,
    packets,
    peripherals,
    timed_core,
    timed_devices,
    timed_native,
    timing,
)
from spikingconvnet.emulator.snapshots import cores
from spikingconvnet.network.arrays import Ints, Ints32

PACKAGE = Path(__file__).parents[1] / "spikingconvnet"
LOCAL, EMULATOR = PACKAGE / "backends/local", PACKAGE / "emulator"
# An instruction set of its own: arm_*.h have no number of Python's.
FILES = sorted(path for path in [*PACKAGE.rglob("*.c"), *PACKAGE.rglob("*.h")] if not path.name.startswith("arm_"))

# Where the numbers of a file have their twins. A number that several of these have is compared with all of them.
GENERAL = (general_kernels, layout, fixed_point)
HOMES = {
    "core_state.h": (), "idle_core.h": (), "board_loop.h": (machine, native_machine),
    "interconnect.h": (memory_map, native_interconnect, timing),
    "general_native.c": GENERAL, "general_steps.h": GENERAL, "own_states.h": GENERAL,
    "conv_native.c": (kernels,), "conv_row.h": (), "poisson_native.c": (poisson_kernels,), "checked.h": (),
    "svm_native.c": (layout,), "svm_rows.h": (),
    "core_native.c": (core.Rest, core, cpu, cpu.Trap, memory_map, native_core, native_library, memory_map.Interrupt,
                      peripherals, peripherals.VIC, peripherals.Timer, peripherals.Timers,
                      peripherals.CommsController, peripherals.DMA, timed_core, timed_devices, timing, packets, dumps)}
# What C has to itself: words for the preprocessor, and numbers that no Python needs.
VECTORS = {"V", "U", "NAME", "LANES", "VECTOR", "CONSTANT"}
ALONE = {
    "general_native.c": {*VECTORS, "INLINED", "OWN"}, "own_states.h": {"OWN_STATES_H"},
    "general_steps.h": {*VECTORS, "BOTH", "SPIKE"},
    # C looks for vectors at rest, numba at each step
    "conv_native.c": {*VECTORS, "INLINED", "REST_INTERVAL", "MOST_LANES"},
    "conv_row.h": {*VECTORS, "WHERE", "RUN", "MOST"}, "checked.h": {"CHECKED_H", "HOLDS", "WITHIN"},
    "poisson_native.c": set(),
    "svm_native.c": {"NAME", "BEST", "INLINED", "AT_ONCE"}, "svm_rows.h": {"EACH", "FOLD"},
    "core_native.c": {"API", "CC", "DMA", "MEMORIES", "PLACES", "BANKS", "NDEBUG",       # names of devices; room
                      "ROUTER", "ROUTER_STATUS", "UNMEASURED"},
    "board_loop.h": {"TABLE"}, "idle_core.h": {"QUIET", "RARELY"}, "interconnect.h": set(),
    "core_state.h": {"MANY", "ONE", "WORD", "CYCLE", "TIMER", "ARRIVAL"}}     # Python asks for the fields
# Structures: an array's columns or a record of ctypes; and those that no Python sees.
STRUCTURES = {
    ("general_native.c", "run"): layout.RUN_FIELDS, ("general_native.c", "row"): layout.ROW_FIELDS,
    ("conv_native.c", "column"): layout.REACH_FIELDS,
    ("conv_native.c", "inputs"): ("n", *layout.INPUT_FIELDS),
    ("core_native.c", "cost"): tuple(name for name, _ in timed_native.Cost._fields_),
    ("core_native.c", "arrival"): tuple(name for name, _ in timed_native.Arrival._fields_),
    ("core_native.c", "bank"): tuple(name for name, _ in timed_native.Bank._fields_),
    **{("board_loop.h", name): tuple(field for field, _ in kind._fields_) for name, kind in (
        ("seat", native_core.Seat), ("event", native_machine.Due), ("packet", native_machine.Travelling),
        ("way", native_machine.Way), ("loop", native_machine.Loop))},
    **{("interconnect.h", name): tuple(field for field, _ in kind._fields_) for name, kind in (
        ("hop", native_interconnect.Coming), ("stage", native_interconnect.Stage),
        ("dropped", native_interconnect.Dropped), ("span", native_interconnect.Span),
        ("net", native_interconnect.Net))}}
INSIDE = {"general_native.c": {"neurons", "events", "rules", "spike", "network"},      # pointers to arguments
          "conv_native.c": {"chosen", "row"}, "svm_native.c": {"samples", "group"},
          "core_native.c": {"timer", "core", "place", "arm", "block", "memories"}, "core_state.h": {"field"},
          "interconnect.h": {"posted"}}
OPERATORS = {ast.LShift: operator.lshift, ast.BitOr: operator.or_}


def source(path):
    """C without its comments, on one line where a line is continued."""
    return re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL).replace("\\\n", " ")


def value(node, known):
    """A constant expression of whole numbers."""
    if isinstance(node, ast.BinOp):
        return OPERATORS[type(node.op)](value(node.left, known), value(node.right, known))
    return known[node.id] if isinstance(node, ast.Name) else node.value


def number(text, known):
    return value(ast.parse(re.sub(r"\b(0x[0-9a-f]+|\d+)u\b", r"\1", text.strip()), mode="eval").body, known)


def numbers(text, alone):
    """Enumerators and macros, with their numbers, but for some names; None for a macro with arguments."""
    given_before = {"UINT64_MAX": 2 ** 64 - 1, "OWN": layout.NEURON_FIELDS.index("offset") + 1}
    known = dict(given_before)
    for body in re.findall(r"\benum\s*\w*\s*\{(.*?)\}", text, re.DOTALL):
        last = -1
        for name, _, given in (part.strip().partition("=") for part in body.split(",")):
            last = known[name.strip()] = number(given, known) if given else last + 1
    for name, arguments, given in re.findall(r"^[ \t]*#define (\w+)(\([^)]*\))?(.*)$", text, re.MULTILINE):
        if name not in alone:
            known[name] = None if arguments else number(given, known)
    return {name: known[name] for name in known.keys() - {*given_before, *alone}}


def structures(text):
    """Names of a file's structures, with those of their fields."""
    found = {}
    for tag, body, name in re.findall(r"\bstruct\s*(\w*)\s*\{((?:[^{}]|\{[^{}]*\})*)\}\s*(\w*)", text):
        members = re.sub(r"\([^()]*\)(?=;)", "", re.sub(r"\{[^{}]*\}", "", body))     # no arguments, nothing nested
        found[tag or name] = tuple(chain.from_iterable(
            re.findall(r"(\w+)\)?\s*(?:\[\w+\])*\s*(?=[,;])", line + ";") for line in members.split(";")))
        found.update(structures(body))
    return found


def twins(name, homes):
    """What Python calls by a name of C; a tuple of names stands for how many they are."""
    found = [getattr(home, name) for home in homes if hasattr(home, name)]
    return [len(each) if isinstance(each, tuple) else getattr(each, "value", each) for each in found]


def unlike(path, text=None):
    """Numbers of a file that have no twin, or another value than one of them."""
    found = numbers(text or source(path), ALONE[path.name])
    pairs = {name: twins(name, HOMES[path.name]) for name in found}
    return [name for name in sorted(found) if not pairs[name] or set(pairs[name]) != {found[name]}]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_number_of_c_is_pythons(path):
    assert unlike(path) == []


@pytest.mark.parametrize("file, right, wrong", [
    ("general_native.c", "HISTORY = 16", "HISTORY = 17"), ("general_native.c", "W_MIN, W_MAX", "W_MAX, W_MIN"),
    ("general_native.c", "SLOW_SHIFT = 2", "SLOWER_SHIFT = 2"), ("conv_native.c", "D 0xffff", "D 0xfff"),
    ("conv_native.c", "GAIN = 13", "GAIN = 14"), ("poisson_native.c", "INTERVAL 1000", "INTERVAL 1001"),
    ("core_native.c", "DMA_DONE = 12", "DMA_DONE = 13"), ("core_native.c", "TXKEY = 0x08", "TXKEY = 0x0c"),
    ("core_native.c", "READY, WFI", "WFI, READY"), ("core_native.c", "EMPTY 0x80000000u", "EMPTY 0x80u")])
def test_another_number_is_noticed(file, right, wrong):
    path = next(path for path in FILES if path.name == file)
    text = source(path)
    assert right in text and unlike(path, text.replace(right, wrong))


def test_the_places_in_the_arrays_are_in_the_order_of_the_layout():
    kinds = [kind.replace("izhikevich_neuromodulation", "modulated") for kind in layout.RULES]
    for names in (layout.NEURON_FIELDS, kinds, layout.AMOUNTS, [name.removeprefix("lut_") for name in layout.TABLES],
                  layout.RUN_FIELDS, layout.ROW_FIELDS):
        assert [getattr(general_kernels, name.upper()) for name in names] == list(range(len(names)))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_structure_that_both_see_has_the_same_fields(path):
    for name, fields in structures(source(path)).items():
        if (path.name, name) in STRUCTURES:
            assert fields == STRUCTURES[path.name, name]
        else:
            assert name in INSIDE[path.name]


def test_the_numbers_of_a_lane_are_in_one_order():
    row = structures(source(LOCAL / "conv_native.c"))["row"]
    first = row.index(layout.LANE_FIELDS[0])
    assert row[first:first + len(layout.LANE_FIELDS)] == layout.LANE_FIELDS
    assert [getattr(kernels, name.upper()) for name in layout.LANE_FIELDS] == list(range(len(layout.LANE_FIELDS)))


def test_what_is_said_of_structures_is_of_structures_that_are_there():
    there = {(path.name, name) for path in FILES for name in structures(source(path))}
    assert set(STRUCTURES) | {(file, name) for file in INSIDE for name in INSIDE[file]} == there


def prototypes(path, start):
    """Functions that a file lets others call: name, type, and (type, name) of its arguments."""
    head = rf"^{start}([\w ]+[ *])(\w+)\(([^)]*)\)\s*\{{"
    for result, name, arguments in re.findall(head, source(path), re.MULTILINE):
        pairs = [re.fullmatch(r"(.*[ *])(\w+)", " ".join(one.split())).groups() for one in arguments.split(",")]
        yield name, result, pairs


def c_type(kinds):
    """C's type of an argument of `native.SIGNATURES`; bytes where either of two will do."""
    whole = {"i": "int", "u": "uint", "b": "uint", "f": "float"}[np.dtype(kinds.split(",")[0]).kind]
    floats = {"f4": "float", "f8": "double"}
    return "void" if "," in kinds else floats.get(kinds) or f"{whole}{8 * np.dtype(kinds).itemsize}_t"


def test_the_kernels_arguments_are_those_of_c():
    found = {name: [(kind.replace("const", "").strip(), called) for kind, called in arguments]
             for path in LOCAL.glob("*_native.c") for name, _, arguments in prototypes(path, r"(?:)(?=int64_t)")}
    said = {}
    for name, signature in native.SIGNATURES.items():
        parts = [part.split(":") for part in signature.split()]
        said[name] = [(f"{c_type(part[1])} *" if len(part) > 1 else "int64_t", part[0]) for part in parts]
    assert found == said


def test_the_arrays_of_the_layout_are_given_in_the_order_of_c():
    kinds = (layout.Neurons, layout.Static, layout.Plastic, layout.Modulators, layout.Own, layout.Rules, layout.History,
             layout.Record, layout.Spiking)
    letters = {Ints32: "i4", Ints: "i8"}
    given = [(name, letters[kept]) for kind in kinds for name, kept in kind.__annotations__.items() if kept in letters]
    arrays = [part.split(":")[:2] for part in native.SIGNATURES["general_steps"].split() if ":" in part]
    assert len(arrays) == len(given) == 37
    assert all(array.endswith(name) and letter == kept for (array, letter), (name, kept) in zip(arrays, given))


def width(declared):
    """A type of C as ctypes has it, pointers as addresses."""
    named = {"int": ctypes.c_int, "uint32_t": ctypes.c_uint32, "uint64_t": ctypes.c_uint64, "void": None}
    return ctypes.c_void_p if "*" in declared else named[declared.replace("const", "").strip()]


# Of a core, what a snapshot does not have: pointers and their sizes, what others made, what somebody has dealt with.
NOT_KEPT = {"itcm", "fault", "pause", "message", "sent", "n_sent", "sent_size", "processor", "timed", "read_cost",
            "costs", "last", "price", "bank", "sent_at", "coming", "n_coming", "coming_size", "steps", "n_steps",
            "steps_size", "memories", "base", "size", "bytes", "n_memories", "places", "n_places", "serve", "words",
             "halves", "blocks", "pages", "profiled", "drops", "dropped", "drops_size", "router",
             "attend",        # which every slice sets anew
            # whether it is idle, which is found out anew
            "before", "quiet", "patience", "apart", "outside", "touched", "idle",
            "called"}        # which the loop asks for after each pass


def test_every_field_of_a_core_is_in_snapshots_or_made_anew():
    found = structures(source(EMULATOR / "core_native.c"))
    parts = {"timers": "timer", "queue": "arrival", "arm": "arm"}
    there = {name for name in found["core"] if name not in parts}
    there |= {f"{part}.{name}" for part, kind in parts.items() for name in found[kind]}
    kept = {re.sub(r"\[\d\]", "", name) for name in cores.fields()}
    assert kept == {name for name in there if name.split(".")[-1] not in NOT_KEPT}


def test_the_core_loops_functions_are_those_of_c():
    found = {name: [width(result), *(width(kind) for kind, _ in arguments)]
             for file in ("core_native.c", "core_state.h", "idle_core.h", "board_loop.h", "interconnect.h")
             for name, result, arguments in prototypes(EMULATOR / file, "API ")}
    pointers = (ctypes.c_char_p, ctypes.POINTER(ctypes.c_uint32), ctypes.POINTER(ctypes.c_uint64),
                ctypes.POINTER(ctypes.c_char_p))
    assert found == {name: [ctypes.c_void_p if kind in pointers else kind for kind in kinds]
                     for name, kinds in native_library.PROTOTYPES.items()}
