"""The reference's integers, fast: numba kernels for convolutions; other networks are in ``general_kernels.py``.

They do the work of ``conv_native.c`` where that was not built. Nothing is checked here; ``simulator.py`` prepares
every argument. Products of two 32-bit numbers shifted right are written as :func:`mulhi` plus a masked addend, because
that form vectorises: see ``fixed_point.split``.

The convolution keeps the state of one output row in the first-level cache while all steps of a batch pass by. Its lanes
are (column, map) with the map innermost, so that one input spike adds one contiguous piece of weights to a row.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import int32, int64, njit, uint32

from spikingconvnet.backends.local.layout import (
    AT_REST,
    BLOCK,
    BUSY,
    CUT,
    LANE_FIELDS,
    LEFT,
    Events,
    Geometry,
    SortedInput,
)
from spikingconvnet.network.arrays import Ids, Ints, Ints16, Ints32, Pixels

SATURATED = 0xffff          # a slot of the ring buffer as the board keeps it
INJECT_E, INJECT_I, DECAY_E, DECAY_I, MEMBRANE, RESISTANCE = range(0, 12, 2)    # places in conv_row's factors
V_REST, GAIN, V_RESET, REFRACTORY, COMPETES, BOUNDED = range(12, 18)
V_THRESH, SHIFT_E, SHIFT_I, I_OFFSET, V_INIT, LATERAL = range(len(LANE_FIELDS))          # and in its per_lane

Function = TypeVar("Function", bound=Callable[..., Any])

# Numba finds its types by itself; those that a function says are for readers and for mypy, so int is of 32 or 64 bits.
compiled: Callable[[Function], Function] = njit(nogil=True, error_model="numpy", cache=True)
inlined: Callable[[Function], Function] = njit(inline="always")


@inlined
def mulhi(x: int, low: int) -> int:
    """Upper half of a signed 32 x 32 bit product."""
    return int32((int64(x) * int64(low)) >> 32)


@inlined
def kmul(a: int, b: int) -> int:
    """accum * accum, rounded down, wrapped."""
    return int32((int64(a) * int64(b)) >> 15)


@inlined
def kmul_fraction(a: int, b: int) -> int:
    """kmul with ``0 <= b <= 2**15``: two 32-bit products, because no bit of the lower one is lost."""
    upper = int32(int32(int32(a >> 16) * b) << 1)
    return int32(upper + int32(uint32(uint32(a & int32(0xffff)) * uint32(b)) >> uint32(15)))


@inlined
def _membrane_decay(factors: Ints32) -> int:
    """accum 0 .. 2**15 of the pair that ``fixed_point.split`` made of it, shifted to the left by 17."""
    return int32(int64(factors[MEMBRANE + 1]) - (int64(factors[MEMBRANE]) << 32) >> 17)


@compiled
def _inject_row(syn: Ints32, ring: Ints32, shift: Ints32, mask: int, low: int) -> tuple[int, int]:
    """Weights of a step into one synaptic current; slots that did not fit 16 bits, and all bits of the currents."""
    cut, bits = int32(0), int32(0)
    for j in range(syn.shape[0]):
        cut = int32(cut + int32(ring[j] > SATURATED))
        w = int32(min(ring[j], int32(SATURATED)) << shift[j])
        now = int32(syn[j] + int32((w & mask) + mulhi(w, low)))
        bits = int32(bits | now)
        syn[j] = now
        ring[j] = 0
    return cut, bits


@compiled
def _integrate_row(v: Ints32, syn_e: Ints32, syn_i: Ints32, v_thresh: Ints32, i_offset: Ints32,
                   factors: Ints32) -> tuple[int, int]:
    """Membranes and currents of a row; whether any lane fires, and all bits of the currents that are left.

    For neurons without refractory time and with a whole `tau_m / cm`.
    """
    fires, left = int32(0), int32(0)
    e_mask, e_low, i_mask, i_low = factors[DECAY_E], factors[DECAY_E + 1], factors[DECAY_I], factors[DECAY_I + 1]
    decay, gain, rest = _membrane_decay(factors), factors[GAIN], factors[V_REST]
    for j in range(v.shape[0]):
        e, i = syn_e[j], syn_i[j]
        alpha = int32(int32(e - i + i_offset[j]) * gain + rest)
        now = int32(alpha - kmul_fraction(int32(alpha - v[j]), decay))
        v[j] = now
        fires = int32(fires | int32(now >= v_thresh[j]))
        e = int32((e & e_mask) + mulhi(e, e_low))
        i = int32((i & i_mask) + mulhi(i, i_low))
        left = int32(left | int32(e | i))
        syn_e[j] = e
        syn_i[j] = i
    return fires, left


@compiled
def _integrate_any_row(v: Ints32, timer: Ints32, syn_e: Ints32, syn_i: Ints32, v_thresh: Ints32, i_offset: Ints32,
                       factors: Ints32) -> tuple[int, int]:
    """As :func:`_integrate_row` for any `tau_refrac` and `tau_m / cm`."""
    fires, left = int32(0), int32(0)
    e_mask, e_low, i_mask, i_low = factors[DECAY_E], factors[DECAY_E + 1], factors[DECAY_I], factors[DECAY_I + 1]
    decay, gain = _membrane_decay(factors), factors[GAIN]
    r_mask, r_low, rest = factors[RESISTANCE], factors[RESISTANCE + 1], factors[V_REST]
    for j in range(v.shape[0]):
        e, i = syn_e[j], syn_i[j]
        current = int32(e - i + i_offset[j])
        alpha = int32(current * gain + rest + (current & r_mask) + mulhi(current, r_low))
        now = int32(alpha - kmul_fraction(int32(alpha - v[j]), decay)) if timer[j] <= 0 else v[j]
        timer[j] -= int32(timer[j] > 0)
        v[j] = now
        fires = int32(fires | int32(now >= v_thresh[j]))
        e = int32((e & e_mask) + mulhi(e, e_low))
        i = int32((i & i_mask) + mulhi(i, i_low))
        left = int32(left | int32(e | i))
        syn_e[j] = e
        syn_i[j] = i
    return fires, left


@compiled
def _relax_row(v: Ints32, v_thresh: Ints32, i_offset: Ints32, factors: Ints32) -> tuple[int, int]:
    """Membranes of a row without currents; whether any lane fires, and whether anything changes."""
    fires, change = int32(0), int32(0)
    decay, gain, rest = _membrane_decay(factors), factors[GAIN], factors[V_REST]
    for j in range(v.shape[0]):
        target = int32(i_offset[j] * gain + rest)
        now = int32(target - kmul_fraction(int32(target - v[j]), decay))
        change = int32(change | int32(now ^ v[j]))
        v[j] = now
        fires = int32(fires | int32(now >= v_thresh[j]))
    return fires, change


@compiled
def _reset_row(v: Ints32, timer: Ints32, syn_e: Ints32, syn_i: Ints32, ring_e: Ints32, ring_i: Ints32, spans: Ints,
               v_init: Ints32) -> None:
    """Everything as it was before the first step."""
    for j in range(v.shape[0]):
        v[j] = v_init[j]
        timer[j], syn_e[j], syn_i[j] = 0, 0, 0
    for slot in range(spans.shape[0]):
        for j in range(spans[slot, 0], spans[slot, 1]):
            ring_e[slot, j], ring_i[slot, j] = 0, 0
        spans[slot, 0], spans[slot, 1] = v.shape[0], 0


@compiled
def _fire_row(v: Ints32, timer: Ints32, v_thresh: Ints32, factors: Ints32, fired: Pixels, step: int, out_step: Ints32,
              out_lane: Ints32, events: int) -> int:
    """Reset the lanes that reach their threshold and append them to the output; how many it holds now.

    `fired` (uint8, lanes) is scratch: eight silent lanes of it are passed over at once.
    """
    for j in range(v.shape[0]):
        fired[j] = v[j] >= v_thresh[j]
    words = fired.view(np.uint64)
    for word in range(words.shape[0]):
        if words[word]:
            for j in range(8 * word, 8 * word + 8):
                if fired[j]:
                    v[j] = factors[V_RESET]
                    timer[j] = factors[REFRACTORY]
                    out_step[events] = step
                    out_lane[events] = j
                    events += 1
    return events


@compiled
def _add(target_e: Ints32, target_i: Ints32, weights: Ints32) -> None:
    for j in range(target_e.shape[0]):
        w = weights[j]
        target_e[j] = int32(target_e[j] + (w if w > 0 else int32(0)))
        target_i[j] = int32(target_i[j] - (int32(0) if w > 0 else w))


@inlined
def _compete(ring_i: Ints32, lateral: Ints32, fired: Ints32, maps: int, span: Ints) -> None:
    """Let the maps that fire in a step inhibit the others at their place: `lateral`, the weight for each lane."""
    for lane in fired:
        first = lane // maps * maps
        for j in range(first, first + maps):
            if j != lane:
                ring_i[j] += lateral[j]
        span[0], span[1] = min(span[0], first), max(span[1], first + maps)


@compiled
def conv_row(t: int, n_steps: int, row_offsets: Ints, columns: Ints16, channels: Ints16, rows_in: Ints16, top: int,
             geometry: Geometry, weights: Ints32, v: Ints32, timer: Ints32, syn_e: Ints32, syn_i: Ints32,
             ring_e: Ints32, ring_i: Ints32, spans: Ints, flags: Ints, per_lane: Ints32, trace: Ints32,
             factors: Ints32, reset_every: int) -> Events:
    """Steps ``t .. t + n_steps - 1`` of one output row of one block of maps.

    Parameters
    ----------
    t, n_steps : int
    row_offsets : int64 (steps * input rows + 1,)
        First input spike of each step and input row.
    columns, channels, rows_in : int16 (input spikes,)
        As :func:`sort_by_row` makes them.
    top : int
        First input row of the window row.
    geometry : (input rows, column stride, output columns, maps, pieces)
    weights : int32 (channels, kernel rows, column stride, BLOCK + pieces * maps + BLOCK)
        In the order in which an input spike adds them, see ``conv_stage.conv_weights``; inhibitory ones negative.
    v, timer, syn_e, syn_i : int32 (lanes,)
        State of the row: output columns * maps lanes, and lanes that never fire up to a multiple of 16.
    ring_e, ring_i : int32 (delay, lanes)
        Weights on their way.
    spans : int64 (delay, 2)
        First lane and end of the lanes with weights on their way, by slot.
    flags : int64 (4,)
        Bits of the currents left, row at rest, saturated slots, steps for which a refractory timer may still run.
    per_lane : int32 (LANE_FIELDS, lanes)
    trace : int32 (3, steps, lanes), or without steps
        Membranes and both currents of each step, before it.
    factors : int32 (18,)
        See ``conv_stage.conv_factors``.
    reset_every : int
        Steps after which all state returns to the start; 0 for never.

    Returns
    -------
    out_step, out_lane : int32 (events,)
        Output spikes in the order of steps and lanes.
    """
    height, stride, width, maps, pieces = geometry
    kernel_rows = weights.shape[1]
    delay = ring_e.shape[0]
    left, rest, busy = int32(flags[LEFT]), flags[AT_REST] != 0, flags[BUSY]
    v_thresh, i_offset = per_lane[V_THRESH], per_lane[I_OFFSET]
    whole = factors[RESISTANCE] == 0 and factors[RESISTANCE + 1] == 0
    fired = np.empty(v.shape[0], np.uint8)
    events = 0
    out_step, out_lane = np.empty(4 * v.shape[0], np.int32), np.empty(4 * v.shape[0], np.int32)
    for step in range(n_steps):
        if events + v.shape[0] > out_step.shape[0]:
            out_step = np.concatenate((out_step, np.empty_like(out_step)))
            out_lane = np.concatenate((out_lane, np.empty_like(out_lane)))
        slot = (t + step) % delay
        fires = int32(0)
        if reset_every and (t + step) % reset_every == 0:
            _reset_row(v, timer, syn_e, syn_i, ring_e, ring_i, spans, per_lane[V_INIT])
            left, rest, busy = int32(0), False, int64(0)
        begin, end = spans[slot]
        if begin < end:
            spans[slot, 0], spans[slot, 1] = v.shape[0], 0
            cut, bits = _inject_row(syn_e[begin:end], ring_e[slot, begin:end], per_lane[SHIFT_E, begin:end],
                                    factors[INJECT_E], factors[INJECT_E + 1])
            flags[CUT] += cut
            left = int32(left | bits)
            cut, bits = _inject_row(syn_i[begin:end], ring_i[slot, begin:end], per_lane[SHIFT_I, begin:end],
                                    factors[INJECT_I], factors[INJECT_I + 1])
            flags[CUT] += cut
            left = int32(left | bits)
        if len(trace[0]):
            trace[0, step], trace[1, step], trace[2, step] = v, syn_e, syn_i
        if busy or not whole:
            fires, left = _integrate_any_row(v, timer, syn_e, syn_i, v_thresh, i_offset, factors)
            busy, rest = max(busy - 1, 0), False
        elif left:
            fires, left = _integrate_row(v, syn_e, syn_i, v_thresh, i_offset, factors)
            rest = False
        elif not rest:
            fires, change = _relax_row(v, v_thresh, i_offset, factors)
            rest = change == 0 and fires == 0
        if fires:
            before = events
            events = _fire_row(v, timer, v_thresh, factors, fired, step, out_step, out_lane, events)
            busy = int64(factors[REFRACTORY])
            if factors[COMPETES]:
                _compete(ring_i[slot], per_lane[LATERAL], out_lane[before:events], maps, spans[slot])
        begin = row_offsets[step * height + top]
        end = row_offsets[step * height + top + kernel_rows]
        if begin < end:
            first_lane, last_lane = spans[slot]
            for s in range(begin, end):
                column = int64(columns[s])
                right = column // stride
                left_edge = right - pieces + 1
                low, high = max(left_edge, 0), min(right + 1, width)
                if low < high:
                    line = weights[channels[s], rows_in[s] - top, column - right * stride]
                    _add(ring_e[slot, low * maps:high * maps], ring_i[slot, low * maps:high * maps],
                         line[BLOCK + (low - left_edge) * maps:BLOCK + (high - left_edge) * maps])
                    first_lane, last_lane = min(first_lane, low * maps), max(last_lane, high * maps)
            spans[slot, 0], spans[slot, 1] = first_lane, last_lane
    flags[LEFT], flags[AT_REST], flags[BUSY] = left, rest, busy
    return out_step[:events], out_lane[:events]


@compiled
def sort_by_row(offsets: Ints, neurons: Ids, row_of: Ints16, column_of: Ints16, channel_of: Ints16,
                height: int) -> SortedInput:
    """Order the spikes of each step by input row; neurons whose row is -1 are dropped.

    Returns
    -------
    row_offsets : int64 (steps * height + 1,)
    columns, channels, rows : int16 (events,)
    """
    steps = offsets.shape[0] - 1
    row_offsets = np.zeros(steps * height + 1, np.int64)
    for t in range(steps):
        for s in range(offsets[t], offsets[t + 1]):
            row = row_of[neurons[s]]
            if row >= 0:
                row_offsets[t * height + row + 1] += 1
    for k in range(steps * height):
        row_offsets[k + 1] += row_offsets[k]
    place = row_offsets[:-1].copy()
    n = row_offsets[-1]
    columns, channels, rows = np.empty(n, np.int16), np.empty(n, np.int16), np.empty(n, np.int16)
    for t in range(steps):
        for s in range(offsets[t], offsets[t + 1]):
            neuron = neurons[s]
            row = row_of[neuron]
            if row >= 0:
                at = place[t * height + row]
                place[t * height + row] += 1
                columns[at], channels[at], rows[at] = column_of[neuron], channel_of[neuron], row
    return row_offsets, columns, channels, rows


@compiled
def count_events(step: Ints32, lane: Ints32, maps: int, first_map: int, all_maps: int, counts: Ints) -> None:
    """Add a row's events to ``counts[step * all_maps + map]``."""
    for s in range(step.shape[0]):
        counts[step[s] * all_maps + first_map + lane[s] % maps] += 1


@compiled
def place_events(step: Ints32, lane: Ints32, maps: int, first_map: int, all_maps: int, row: int, width: int,
                 positions: int, place: Ints, out: Ids) -> None:
    """Write a row's events as neuron ids at the places that :func:`count_events` made room for."""
    for s in range(step.shape[0]):
        m = first_map + lane[s] % maps
        at = place[step[s] * all_maps + m]
        place[step[s] * all_maps + m] += 1
        out[at] = m * positions + row * width + lane[s] // maps
