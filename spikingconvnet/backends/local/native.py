"""The kernels in C, where the package's build made them: names, arguments and integers of the numba kernels.

``setup.py`` compiles ``*_native.c`` where it finds a C compiler. Without one the numba kernels do the same work; they
take some seconds to compile when they first run. The library is loaded with ctypes, which lets other threads run
during a call.
"""

import ctypes
import logging
import zlib
from functools import cache
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import numpy as np

logger = logging.getLogger(__name__)

WIDEST = 64         # bytes of a vector; the processor may have less
BLOCK = 16          # lanes of the widest vector
CUT = 2             # place of the cut slots in the flags of a row


@cache
def library():
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


def or_else(module="spikingconvnet.backends.local.numba_kernels"):
    """This module where the extension was built, the one called `module` elsewhere."""
    return import_module(__name__ if library() else module)


def _call(name, *arguments):
    """Call a C function with the memory of arrays and with int64 numbers; what it returns, as an int."""
    function = getattr(library(), name)
    function.restype = ctypes.c_int64
    return function(*(ctypes.c_void_p(a.ctypes.data) if isinstance(a, np.ndarray) else ctypes.c_int64(a)
                      for a in arguments))


def sort_by_row(offsets, neurons, row_of, column_of, channel_of, height):
    """See ``kernels.sort_by_row``."""
    steps = len(offsets) - 1
    row_offsets = np.zeros(steps * height + 1, np.int64)
    columns, channels, rows = (np.empty(len(neurons), np.int16) for _ in range(3))
    n = _call("sort_by_row", steps, offsets, neurons, neurons.itemsize, row_of, column_of, channel_of, height,
              row_offsets, columns, channels, rows)
    return row_offsets, columns[:n], channels[:n], rows[:n]


def conv_row(t, n_steps, row_offsets, columns, channels, rows_in, top, geometry, blocks, factors, reset_every):
    """See ``kernels.conv_row``, for all blocks of maps of a row: they have their inputs in common.

    Parameters
    ----------
    blocks : list of tuple
        Arguments of ``kernels.conv_row`` from `weights` to `per_lane`; `spans` and all flags but the cut slots are only
        used there.

    Returns
    -------
    list of (out_step, out_lane)
    """
    height, stride, width, maps, pieces = geometry
    (kernel_rows, lanes), n_columns = (blocks[0][0].shape[1], len(blocks[0][1])), (width + pieces) * stride
    inputs = _call("window_inputs", n_steps, row_offsets, top, height, kernel_rows)
    groups = pieces if maps % BLOCK == 0 else 2 + pieces * maps // BLOCK        # of lanes, that one spike reaches
    start, count = np.empty(lanes // BLOCK + 1, np.int64), np.empty(n_columns, np.int64)
    in_step, in_place = (np.empty(inputs * groups, np.int32) for _ in range(2))
    reach, place = np.empty((n_columns, 3), np.int32), np.empty(n_steps + 1, np.int64)
    out = np.empty((2, 6 * BLOCK * n_steps), np.int32)      # a call wants to find room for half of it
    found, grouped = [], 0
    for weights, v, timer, syn_e, syn_i, ring_e, ring_i, _, flags, per_lane in blocks:
        lane, events, cut = 0, np.zeros(1, np.int64), np.zeros(1, np.int64)
        while lane < lanes:
            lane = _call("conv_row", t, n_steps, lane, row_offsets, columns, channels, rows_in, top, *geometry, weights,
                         kernel_rows, v, timer, syn_e, syn_i, ring_e, ring_i, *ring_e.shape, reset_every, cut,
                         per_lane, factors, start, in_step, in_place, n_columns, reach, count, *out, out.shape[1],
                         events, grouped, WIDEST)
            grouped = 1
            if lane < lanes:
                full, out = out, np.empty((2, 2 * out.shape[1]), np.int32)
                out[:, :events[0]] = full[:, :events[0]]
        flags[CUT] += cut[0]
        ordered = np.empty((2, int(events[0])), np.int32)
        _call("sort_by_step", *out, ordered.shape[1], n_steps, place, *ordered)
        found.append(tuple(ordered))
    return found


def count_events(step, lane, maps, first_map, all_maps, counts):
    """See ``kernels.count_events``."""
    _call("count_events", step, lane, len(step), maps, first_map, all_maps, counts)


def place_events(step, lane, maps, first_map, all_maps, row, width, positions, place, out):
    """See ``kernels.place_events``."""
    _call("place_events", step, lane, len(step), maps, first_map, all_maps, row, width, positions, place, out,
          out.itemsize)


def general_steps(t, n_steps, n, n_sources, neurons, static, plastic, modulators, own, rules, history, record,
                  spiking, reset_every):
    """See ``general_kernels.general_steps``."""
    slots, _, size = neurons.ring.shape
    return _call("general_steps", t, n_steps, n, n_sources, size, slots, *neurons, *static, *plastic, *modulators,
                 *own, len(own.start), *rules, rules.tables.shape[2], len(rules.kinds), *history, *record,
                 len(record.ids), *spiking, reset_every, WIDEST)


def first_countdowns(state, slow, interval, waiting):
    """See ``poisson_kernels.first_countdowns``."""
    _call("first_countdowns", state, slow, interval, waiting, len(slow))


def draw(t, state, slow, interval, limit, start, end, waiting, counts):
    """See ``poisson_kernels.draw``."""
    _call("draw", t, state, slow, interval, limit, start, end, waiting, counts, *counts.shape)
