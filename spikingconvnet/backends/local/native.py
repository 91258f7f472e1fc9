"""The kernels in C, where the package's build made them: names, arguments and integers of the numba kernels.

``setup.py`` compiles ``*_native.c`` where it finds a C compiler. Without one the numba kernels do the same work; they
take some seconds to compile when they first run. The library is loaded with ctypes, which lets other threads run
during a call. An array that C would misread is a NetworkError, before any call.
"""

import ctypes
import logging
import zlib
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from math import prod
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from spikingconvnet.backends.local.layout import (
    AMOUNTS,
    BLOCK,
    CUT,
    FIELDS,
    INPUT_FIELDS,
    LANE_FIELDS,
    REACH_FIELDS,
    TABLES,
    TRACED,
    Block,
    Events,
    Geometry,
    History,
    Modulators,
    Neurons,
    Own,
    Plastic,
    Record,
    Rules,
    SortedInput,
    Spiking,
    Static,
)
from spikingconvnet.errors import NetworkError
from spikingconvnet.network.arrays import Counts16, Flags, Floats, Floats32, Ids, Ints, Ints16, Ints32, Numbers, Words

logger = logging.getLogger(__name__)

WIDEST = 64         # bytes of a vector; the processor may have less


@cache
def library() -> ctypes.CDLL | None:
    """The extension, or None where it was not built, or from other sources than those beside it: ctypes.CDLL."""
    here = Path(__file__).parent
    built = [path for suffix in EXTENSION_SUFFIXES if (path := here / f"_native{suffix}").exists()]
    if not built:
        return None
    loaded = ctypes.CDLL(str(built[0]))
    sources = sorted([*here.glob("*_native.c"), *here.glob("*.h")])
    digest = zlib.crc32(b"".join(path.read_bytes() for path in sources))       # as setup.py computes it
    if sources and ctypes.c_uint32.in_dll(loaded, "source_digest").value != digest:
        logger.warning("the compiled kernels are older than their sources, so numba's are used; build them again with:"
                       " pip install -e .")
        return None
    return loaded


def or_else(module: str = "spikingconvnet.backends.local.numba_kernels") -> ModuleType:
    """The C kernels, this module, where the extension was built; the module called `module` elsewhere."""
    return import_module(__name__ if library() else module)


# The arguments of each C function in order: numbers, and arrays as name:types:fewest numbers in it, which is a sum of
# products of numbers, of other arguments, of other arrays' lengths and of what `_COUNTS` names.
_COUNTS = {"FIELDS": FIELDS, "BLOCK": BLOCK, "AMOUNTS": len(AMOUNTS), "TABLES": len(TABLES),
           "REACH": len(REACH_FIELDS), "LANE": len(LANE_FIELDS), "TRACED": len(TRACED),
           "INPUT": len(INPUT_FIELDS), "CHOSEN": 2}
SIGNATURES = {
    "sort_by_row": "steps offsets:i8:steps+1 neurons:u2,u4 bytes row_of:i2 column_of:i2:row_of channel_of:i2:row_of"
                   " height row_offsets:i8:steps*height+1 columns:i2:neurons channels:i2:neurons rows:i2:neurons",
    "window_inputs": "n_steps row_offsets:i8:n_steps*height+1 top height kernel_rows",
    "row_inputs": "n_steps row_offsets:i8:n_steps*height+1 columns:i2 channels:i2:columns rows_in:i2:columns top height"
                  " stride width maps pieces kernel_rows n_columns reach:i4:REACH*n_columns inputs:i4:INPUT*room room",
    "sort_by_step": "step:i4:n lane:i4:n n n_steps place:i8:n_steps+1 sorted_step:i4:n sorted_lane:i4:n",
    "conv_row": "t n_steps lane width maps weights:i4 v:i4:n_lanes timer:i4:n_lanes syn_e:i4:n_lanes syn_i:i4:n_lanes"
                " ring_e:i4:delay*n_lanes ring_i:i4:delay*n_lanes delay n_lanes reset_every cut:i8:1"
                " per_lane:i4:LANE*n_lanes factors:i4:18 inputs:i4:INPUT*input_room chosen:i4:CHOSEN*input_room"
                " input_room n_inputs out_step:i4:room out_lane:i4:room room events:i8:1"
                " trace:i4:TRACED*traced*n_steps*n_lanes traced cell:i4:counted*n_lanes counts:i4:samples*cells cells"
                " samples counted widest",
    "count_events": "step:i4:n lane:i4:n n maps first_map all_maps counts:i8:all_maps",
    "place_events": "step:i4:n lane:i4:n n maps first_map all_maps row width positions place:i8:all_maps out:u2,u4"
                    " bytes",
    "general_steps": """t n_steps n n_sources size slots
        state:i4:FIELDS*n inject:i4:6*size v_init:i4:size saturated:i4:size ring:i4:2*slots*size pending:i8:slots
        own_states
        static_start:i8:n_sources+n+1 static_runs:i4 static_weight:i4:BLOCK
        plastic_start:i8:n_sources+n+1 row_start:i8:1 row_state:i4 plastic_runs:i4 weight:i4:BLOCK eligibility:i4:weight
        modulator_start:i8:n_sources+n+1 modulator_post:i4 modulator_amount:i4:modulator_post
        own_start:i8:n_own own_row:i4 n_own
        rule_of:i4:size kinds:i4:n_rules split:i4:n_rules amounts:i4:AMOUNTS*n_rules
        tables:i4:TABLES*n_rules*table_steps table_steps n_rules
        times:i4 traces:i4 counts:i4 newest:i4
        recorded_ids:i8:n_recorded recorded_v:i4:n_steps*n_recorded recorded_gsyn_exc:i4:n_steps*n_recorded
        recorded_gsyn_inh:i4:n_steps*n_recorded n_recorded
        offsets:i8:n_steps+1 ids:i4 out_step:i4:n_steps*n out_id:i4:n_steps*n reset_every widest""",
    "svm_pass": "order:i8:drawn drawn value:u1,u2,f4:n*width bytes n width own:i4:n square:f4:width size:f4:n"
                " factors:f4:2 active:?:n*machines machines weights:f4:machines*width alpha:f4:n*machines x:f4:width"
                " widest",
    "svm_look": "value:u1,u2,f4:n*width bytes n width own:i4:n factors:f4:2 active:?:n*machines machines"
                " weights:f4:machines*width alpha:f4:n*machines x:f4:width slacks:f8:machines widest",
    "first_countdowns": "state:u8:4 slow:?:n interval:u8:n waiting:u8:n n",
    "draw": "t state:u8:4 slow:?:n interval:u8:n limit:u8:n start:u8:n end:u8:n waiting:u8:n counts:u2:steps*n steps n",
}


@cache
def _signature(name: str) -> tuple[list[str], list[tuple[int, set[Any], list[list[Any]]]]]:
    """(names, arrays) of a function; an array is its place, types, and the terms of its fewest numbers."""
    parts = [part.split(":") for part in SIGNATURES[name].split()]
    arrays = [(place, {np.dtype(kind) for kind in part[1].split(",")},
               [[int(factor) if factor.isdigit() else factor for factor in term.split("*")]
                for term in (part[2].split("+") if len(part) > 2 else [])])
              for place, part in enumerate(parts) if len(part) > 1]
    return [part[0] for part in parts], arrays


def _check(name: str, arguments: tuple[Any, ...]) -> None:
    """Refuse arrays that C would misread: of another type, with gaps between their numbers, or too short."""
    names, arrays = _signature(name)
    sizes = _COUNTS | {called: given.size if isinstance(given, np.ndarray) else given
                       for called, given in zip(names, arguments)}
    for place, kinds, terms in arrays:
        array = arguments[place]
        fewest = sum(prod([sizes.get(factor, factor) for factor in term]) for term in terms)
        if array.dtype not in kinds or array.size < fewest or not array.flags.c_contiguous:
            raise NetworkError(f"{name}: {names[place]}: must be at least {fewest} numbers of "
                               f"{' or '.join(sorted(map(str, kinds)))} without gaps, got {array.dtype} of shape "
                               f"{array.shape}")


def _call(name: str, *arguments: Any) -> int:
    """Call a C function with the memory of arrays and with int64 numbers; what it returns, as an int."""
    _check(name, arguments)
    function = getattr(library(), name)
    function.restype = ctypes.c_int64
    return function(*(ctypes.c_void_p(a.ctypes.data) if isinstance(a, np.ndarray) else ctypes.c_int64(a)
                      for a in arguments))


def sort_by_row(offsets: Ints, neurons: Ids, row_of: Ints16, column_of: Ints16, channel_of: Ints16,
                height: int) -> SortedInput:
    """See ``kernels.sort_by_row``."""
    steps = len(offsets) - 1
    row_offsets = np.zeros(steps * height + 1, np.int64)
    columns, channels, rows = (np.empty(len(neurons), np.int16) for _ in range(3))
    n = _call("sort_by_row", steps, offsets, neurons, neurons.itemsize, row_of, column_of, channel_of, height,
              row_offsets, columns, channels, rows)
    return row_offsets, columns[:n], channels[:n], rows[:n]


def conv_row(t: int, n_steps: int, row_offsets: Ints, columns: Ints16, channels: Ints16, rows_in: Ints16, top: int,
             geometry: Geometry, blocks: Sequence[Block], factors: Ints32, reset_every: int,
             slot: int = 0, cells: int = 0) -> list[Events] | list[Ints32]:
    """See ``kernels.conv_row``, for all blocks of maps of a row: they have their inputs in common.

    `blocks` is a list of tuples, the arguments of ``kernels.conv_row`` from `weights` to `trace`, and the cell of each
    lane; `spans` and all flags but the cut slots are only used there.

    Returns
    -------
    list of (out_step, out_lane); with a `slot`, of int32 arrays (samples of `slot` steps, `cells`)
        Of each block.
    """
    height, stride, width, maps, pieces = geometry
    (kernel_rows, lanes), n_columns = (blocks[0][0].shape[1], len(blocks[0][1])), (width + pieces) * stride
    room = _call("window_inputs", n_steps, row_offsets, top, height, kernel_rows) + 2 * BLOCK
    inputs, chosen = (np.empty((rows, room), np.int32) for rows in (len(INPUT_FIELDS), 2))
    n_inputs = _call("row_inputs", n_steps, row_offsets, columns, channels, rows_in, top, *geometry, kernel_rows,
                     n_columns, np.empty((n_columns, len(REACH_FIELDS)), np.int32), inputs, room)
    place = np.empty(n_steps + 1, np.int64)
    out = np.empty((2, 0 if slot else 6 * BLOCK * n_steps), np.int32)   # a call wants to find room for half of it
    found: list[Any] = []
    for weights, v, timer, syn_e, syn_i, ring_e, ring_i, _, flags, per_lane, trace, cell in blocks:
        lane, events, cut = 0, np.zeros(1, np.int64), np.zeros(1, np.int64)
        counts = np.zeros((n_steps // slot if slot else 0, cells), np.int32)
        while lane < lanes:
            lane = _call("conv_row", t, n_steps, lane, width, maps, weights, v, timer, syn_e, syn_i, ring_e, ring_i,
                         *ring_e.shape, reset_every, cut, per_lane, factors, inputs, chosen, room, n_inputs, *out,
                         out.shape[1], events, trace, trace.size > 0, cell, counts, cells,
                         len(counts), slot > 0, WIDEST)
            if lane < lanes:
                full, out = out, np.empty((2, 2 * out.shape[1]), np.int32)
                out[:, :events[0]] = full[:, :events[0]]
        flags[CUT] += cut[0]
        if slot:
            found.append(counts)
            continue
        ordered = np.empty((2, int(events[0])), np.int32)
        _call("sort_by_step", *out, ordered.shape[1], n_steps, place, *ordered)
        found.append((ordered[0], ordered[1]))
    return found


def count_events(step: Ints32, lane: Ints32, maps: int, first_map: int, all_maps: int, counts: Ints) -> None:
    """See ``kernels.count_events``."""
    _call("count_events", step, lane, len(step), maps, first_map, all_maps, counts)


def place_events(step: Ints32, lane: Ints32, maps: int, first_map: int, all_maps: int, row: int, width: int,
                 positions: int, place: Ints, out: Ids) -> None:
    """See ``kernels.place_events``."""
    _call("place_events", step, lane, len(step), maps, first_map, all_maps, row, width, positions, place, out,
          out.itemsize)


def general_steps(t: int, n_steps: int, n: int, n_sources: int, neurons: Neurons, static: Static, plastic: Plastic,
                  modulators: Modulators, own: Own, rules: Rules, history: History, record: Record, spiking: Spiking,
                  reset_every: int) -> int:
    """See ``general_kernels.general_steps``."""
    slots, _, size = neurons.ring.shape
    return _call("general_steps", t, n_steps, n, n_sources, size, slots, *neurons, *static, *plastic, *modulators,
                 *own, len(own.start), *rules, rules.tables.shape[2], len(rules.kinds), *history, *record,
                 len(record.ids), *spiking, reset_every, WIDEST)


def first_countdowns(state: Words, slow: Flags, interval: Words, waiting: Words) -> None:
    """See ``poisson_kernels.first_countdowns``."""
    _call("first_countdowns", state, slow, interval, waiting, len(slow))


def draw(t: int, state: Words, slow: Flags, interval: Words, limit: Words, start: Words, end: Words, waiting: Words,
         counts: Counts16) -> None:
    """See ``poisson_kernels.draw``."""
    _call("draw", t, state, slow, interval, limit, start, end, waiting, counts, *counts.shape)


def svm_pass(order: Ints, value: Numbers, own: Ints32, square: Floats32, size: Floats32, factors: Floats32,
             active: Flags, weights: Floats32, alpha: Floats32, x: Floats32) -> int:
    """See ``svm_kernels.svm_pass``."""
    return _call("svm_pass", order, len(order), value, value.itemsize, *value.shape, own, square, size, factors, active,
                 len(weights), weights, alpha, x, WIDEST)


def svm_look(value: Numbers, own: Ints32, factors: Floats32, active: Flags, weights: Floats32, alpha: Floats32,
             x: Floats32, slacks: Floats) -> int:
    """See ``svm_kernels.svm_look``."""
    return _call("svm_look", value, value.itemsize, *value.shape, own, factors, active, len(weights), weights, alpha, x,
                 slacks, WIDEST)
