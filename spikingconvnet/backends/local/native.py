"""The kernels in C, where the package's build made them: names, arguments and integers of the numba kernels.

``setup.py`` compiles ``*_native.c`` where it finds a C compiler. Without one the numba kernels do the same work; they
take some seconds to compile when they first run. The library is loaded with ctypes, which lets other threads run
during a call.
"""

import ctypes
from functools import cache
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import numpy as np

WIDEST = 64         # bytes of a vector; the processor may have less


@cache
def library():
    """The extension, or None where it was not built: ctypes.CDLL."""
    here = Path(__file__).parent
    built = [path for suffix in EXTENSION_SUFFIXES if (path := here / f"_native{suffix}").exists()]
    return ctypes.CDLL(str(built[0])) if built else None


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


def conv_row(t, first, last, row_offsets, columns, channels, rows_in, top, geometry, weights, v, timer, syn_e, syn_i,
             ring_e, ring_i, spans, flags, per_lane, factors, out_step, out_lane, events):
    """See ``kernels.conv_row``."""
    kernel_rows, pieces = weights.shape[1], weights.shape[3] // geometry[3]
    n = np.array([events], np.int64)
    step = _call("conv_row", t, first, last, row_offsets, columns, channels, rows_in, top, *geometry, weights,
                 kernel_rows, pieces, v, timer, syn_e, syn_i, ring_e, ring_i, *ring_e.shape, spans, flags, per_lane,
                 factors, out_step, out_lane, len(out_step), n, WIDEST)
    return step, int(n[0])


def count_events(step, lane, maps, first_map, all_maps, counts):
    """See ``kernels.count_events``."""
    _call("count_events", step, lane, len(step), maps, first_map, all_maps, counts)


def place_events(step, lane, maps, first_map, all_maps, row, width, positions, place, out):
    """See ``kernels.place_events``."""
    _call("place_events", step, lane, len(step), maps, first_map, all_maps, row, width, positions, place, out,
          out.itemsize)


def general_steps(t, n_steps, n, n_sources, neurons, static, plastic, modulators, own, rules, history, record,
                  spiking):
    """See ``general_kernels.general_steps``."""
    slots, _, size = neurons.ring.shape
    return _call("general_steps", t, n_steps, n, n_sources, size, slots, *neurons, *static, *plastic, *modulators,
                 *own, len(own.start), *rules, rules.tables.shape[2], len(rules.kinds), *history, *record,
                 len(record.ids), *spiking, WIDEST)


def first_countdowns(state, slow, interval, waiting):
    """See ``poisson_kernels.first_countdowns``."""
    _call("first_countdowns", state, slow, interval, waiting, len(slow))


def draw(t, state, slow, interval, limit, start, end, waiting, counts):
    """See ``poisson_kernels.draw``."""
    _call("draw", t, state, slow, interval, limit, start, end, waiting, counts, *counts.shape)
