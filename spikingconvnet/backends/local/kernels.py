"""The reference's integers, fast: numba kernels for convolutions; other networks are in ``general_kernels.py``.

Nothing is checked here; ``simulator.py`` prepares every argument. Products of two 32-bit numbers shifted right are
written as :func:`mulhi` plus a masked addend, because that form vectorises: a factor ``f`` below 2**32 is split by
:func:`split` into ``(mask, low)`` so that ``(x * f) >> 32 == (x & mask) + mulhi(x, low)``, floor included.

The convolution keeps the state of one output row in the first-level cache while all steps of a batch pass by. Its lanes
are (column, map) with the map innermost, so that one input spike adds one contiguous piece of weights to a row.
"""

import numpy as np
from numba import int32, int64, njit, uint32

SATURATED = 0xffff

compiled = njit(nogil=True, error_model="numpy", cache=True)
inlined = njit(inline="always")


def split(factor):
    """``(mask, low)`` of factors 0 .. 2**32 for :func:`mulhi`: two int32 arrays of the shape of `factor`."""
    factor = np.asarray(factor, np.int64)
    mask = np.where(factor >= 1 << 31, -1, 0)
    return mask.astype(np.int32), (factor - (factor >= 1 << 31) * (1 << 32)).astype(np.int32)


@inlined
def mulhi(x, low):
    """Upper half of a signed 32 x 32 bit product."""
    return int32((int64(x) * int64(low)) >> 32)


@inlined
def kmul(a, b):
    """accum * accum, rounded down, wrapped."""
    return int32((int64(a) * int64(b)) >> 15)


@inlined
def kmul_fraction(a, b):
    """kmul with ``0 <= b < 2**15``: two 32-bit products, because no bit of the lower one is lost."""
    upper = int32(int32(int32(a >> 16) * b) << 1)
    return int32(upper + int32(uint32(uint32(a & int32(0xffff)) * uint32(b)) >> uint32(15)))


@inlined
def decay_16_bits(x, upper, lower):
    """``x * (upper << 16 | lower) >> 32`` for ``0 <= x < 2**16``, in 32 bits."""
    x = uint32(x)
    return int32(uint32(x * upper + uint32(uint32(x * lower) >> uint32(16))) >> uint32(16))


# ---------------------------------------------------------------- convolution, one row of one block of maps


@compiled
def _inject_row(syn, ring, shift, mask, low):
    """Weights of a step into one synaptic current; slots that did not fit 16 bits, and all bits of the currents."""
    saturated, bits = int32(0), int32(0)
    for j in range(syn.shape[0]):
        saturated = int32(saturated + int32(ring[j] > SATURATED))
        w = int32(min(ring[j], int32(SATURATED)) << shift[j])
        now = int32(syn[j] + int32((w & mask) + mulhi(w, low)))
        bits = int32(bits | now)
        syn[j] = now
        ring[j] = 0
    return saturated, bits


@compiled
def _integrate_row(v, syn_e, syn_i, v_thresh, factors):
    """Membranes and currents of a row; whether any lane fires, and all bits of the currents that are left.

    For neurons without refractory time and with a whole `tau_m / cm`.
    """
    fires, left = int32(0), int32(0)
    d_e_mask, d_e, d_i_mask, d_i = factors[4], factors[5], factors[6], factors[7]
    m, rest, gain, offset = factors[8], factors[10], factors[11], factors[14]
    for j in range(v.shape[0]):
        e, i = syn_e[j], syn_i[j]
        alpha = int32(int32(e - i + offset) * gain + rest)
        now = int32(alpha - kmul_fraction(int32(alpha - v[j]), m))
        v[j] = now
        fires = int32(fires | int32(now >= v_thresh[j]))
        e = int32((e & d_e_mask) + mulhi(e, d_e))
        i = int32((i & d_i_mask) + mulhi(i, d_i))
        left = int32(left | int32(e | i))
        syn_e[j] = e
        syn_i[j] = i
    return fires, left


@compiled
def _integrate_weak_row(v, syn_e, syn_i, v_thresh, factors):
    """As :func:`_integrate_row`, for currents of 16 bits."""
    fires, left = int32(0), int32(0)
    d_e, d_e_low = uint32(factors[17]), uint32(factors[18])
    d_i, d_i_low = uint32(factors[19]), uint32(factors[20])
    m, rest, gain, offset = factors[8], factors[10], factors[11], factors[14]
    for j in range(v.shape[0]):
        e, i = syn_e[j], syn_i[j]
        alpha = int32(int32(e - i + offset) * gain + rest)
        now = int32(alpha - kmul_fraction(int32(alpha - v[j]), m))
        v[j] = now
        fires = int32(fires | int32(now >= v_thresh[j]))
        e = decay_16_bits(e, d_e, d_e_low)
        i = decay_16_bits(i, d_i, d_i_low)
        left = int32(left | int32(e | i))
        syn_e[j] = e
        syn_i[j] = i
    return fires, left


@compiled
def _integrate_any_row(v, timer, syn_e, syn_i, v_thresh, factors):
    """As :func:`_integrate_row` for any `tau_refrac` and `tau_m / cm`."""
    fires, left = int32(0), int32(0)
    d_e_mask, d_e, d_i_mask, d_i = factors[4], factors[5], factors[6], factors[7]
    m, rest, gain, offset = factors[8], factors[10], factors[11], factors[14]
    r_mask, r = factors[15], factors[16]
    for j in range(v.shape[0]):
        e, i = syn_e[j], syn_i[j]
        current = int32(e - i + offset)
        alpha = int32(current * gain + rest + (current & r_mask) + mulhi(current, r))
        now = int32(alpha - kmul_fraction(int32(alpha - v[j]), m)) if timer[j] <= 0 else v[j]
        timer[j] -= int32(timer[j] > 0)
        v[j] = now
        fires = int32(fires | int32(now >= v_thresh[j]))
        e = int32((e & d_e_mask) + mulhi(e, d_e))
        i = int32((i & d_i_mask) + mulhi(i, d_i))
        left = int32(left | int32(e | i))
        syn_e[j] = e
        syn_i[j] = i
    return fires, left


@compiled
def _relax_row(v, v_thresh, factors, rest):
    """Membranes of a row without currents, drawn to `rest`; whether any lane fires, whether anything changes."""
    fires, change = int32(0), int32(0)
    m = factors[8]
    for j in range(v.shape[0]):
        now = int32(rest - kmul_fraction(int32(rest - v[j]), m))
        change = int32(change | int32(now ^ v[j]))
        v[j] = now
        fires = int32(fires | int32(now >= v_thresh[j]))
    return fires, change


@compiled
def _fire_row(v, timer, v_thresh, v_reset, refractory, fired, fired_words, step, out_step, out_lane, events):
    """Reset the lanes that reach their threshold and append them to the output; how many it holds now.

    `fired` (uint8) and `fired_words` (uint64) are one buffer, so that eight silent lanes are passed over at once.
    """
    for j in range(v.shape[0]):
        fired[j] = v[j] >= v_thresh[j]
    for word in range(fired_words.shape[0]):
        if fired_words[word]:
            for j in range(8 * word, min(8 * word + 8, v.shape[0])):
                if fired[j]:
                    v[j] = v_reset
                    timer[j] = refractory
                    out_step[events] = step
                    out_lane[events] = j
                    events += 1
    return events


@compiled
def _add(target, weights):
    for j in range(target.shape[0]):
        target[j] += weights[j]


@compiled
def conv_row(t, first, last, row_offsets, columns, channels, rows_in, top, geometry, kernels_e, kernels_i,
             v, timer, syn_e, syn_i, ring_e, ring_i, spans, flags, lanes, factors, fired, fired_words,
             out_step, out_lane, events):
    """Steps ``first .. last - 1`` of a run that began at step `t`, for one output row of one block of maps.

    Parameters
    ----------
    row_offsets : (steps * input rows + 1,)
        Input spikes sorted by step and input row; `columns`, `channels` and `rows_in` belong to them.
    top : int
        First input row of the window row.
    geometry : (input rows, column stride, output columns, maps)
    kernels_e, kernels_i : int32 (channels, kernel rows, column stride, pieces * maps)
        Weights in the order in which an input spike adds them, see ``simulator.conv_weights``.
    v, timer, syn_e, syn_i : int32 (output columns * maps,)
        State of the row.
    ring_e, ring_i : int32 (delay, output columns * maps)
        Weights on their way.
    spans : int64 (delay, 2)
        First lane and end of the lanes with weights on their way, by slot.
    flags : int64 (4,)
        Bits of the currents left, row at rest, saturated slots, steps for which a refractory timer may still run.
    lanes : int32 (3, lanes)
        Threshold and shifts.
    factors : int32 (21,)
        See ``simulator.conv_factors``.
    fired, fired_words : uint8 (lanes rounded up to 8), the same memory as uint64
        Scratch.
    out_step, out_lane, events
        Buffers of output spikes, and how many they hold.

    Returns
    -------
    step reached, events : before `last` if the buffers may not hold another step
    """
    height, stride, width, maps = geometry
    kernel_rows = kernels_e.shape[1]
    pieces = kernels_e.shape[3] // maps
    delay = ring_e.shape[0]
    left, rest = int32(flags[0]), flags[1] != 0
    v_thresh, v_reset, refractory = lanes[0], factors[12], factors[13]
    whole, busy = factors[15] == 0 and factors[16] == 0, flags[3]
    target = int32(factors[10] + factors[14] * factors[11])     # where a membrane without currents goes, if whole
    step = first
    while step < last and events + v.shape[0] <= out_step.shape[0]:
        slot = (t + step) % delay
        fires = int32(0)
        begin, end = spans[slot]
        if begin < end:
            spans[slot, 0], spans[slot, 1] = v.shape[0], 0
            cut, bits = _inject_row(syn_e[begin:end], ring_e[slot, begin:end], lanes[1, begin:end],
                                    factors[0], factors[1])
            flags[2] += cut
            left = int32(left | bits)
            cut, bits = _inject_row(syn_i[begin:end], ring_i[slot, begin:end], lanes[2, begin:end],
                                    factors[2], factors[3])
            flags[2] += cut
            left = int32(left | bits)
        if busy or not whole:
            fires, left = _integrate_any_row(v, timer, syn_e, syn_i, v_thresh, factors)
            busy, rest = max(busy - 1, 0), False
        elif left >> 16:
            fires, left = _integrate_row(v, syn_e, syn_i, v_thresh, factors)
            rest = False
        elif left:
            fires, left = _integrate_weak_row(v, syn_e, syn_i, v_thresh, factors)
            rest = False
        elif not rest:
            fires, change = _relax_row(v, v_thresh, factors, target)
            rest = change == 0 and fires == 0
        if fires:
            events = _fire_row(v, timer, v_thresh, v_reset, refractory, fired, fired_words, step, out_step, out_lane,
                               events)
            busy = int64(refractory)
        begin = row_offsets[step * height + top]
        end = row_offsets[step * height + top + kernel_rows]
        if begin < end:
            first_lane, last_lane = spans[slot]
            target_e, target_i = ring_e[slot], ring_i[slot]
            for s in range(begin, end):
                column = int64(columns[s])
                right = column // stride
                left_edge = right - pieces + 1
                low, high = max(left_edge, 0), min(right + 1, width)
                if low < high:
                    weights_e = kernels_e[channels[s], rows_in[s] - top, column - right * stride]
                    weights_i = kernels_i[channels[s], rows_in[s] - top, column - right * stride]
                    a, b = (low - left_edge) * maps, (high - left_edge) * maps
                    _add(target_e[low * maps:high * maps], weights_e[a:b])
                    _add(target_i[low * maps:high * maps], weights_i[a:b])
                    first_lane, last_lane = min(first_lane, low * maps), max(last_lane, high * maps)
            spans[slot, 0], spans[slot, 1] = first_lane, last_lane
        step += 1
    flags[0], flags[1], flags[3] = left, rest, busy
    return step, events


@compiled
def sort_by_row(offsets, neurons, row_of, column_of, channel_of, height):
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
def count_events(step, lane, n, maps, first_map, all_maps, counts):
    """Add a row's events to ``counts[step * all_maps + map]``."""
    for s in range(n):
        counts[step[s] * all_maps + first_map + lane[s] % maps] += 1


@compiled
def place_events(step, lane, n, maps, first_map, all_maps, row, width, positions, place, out):
    """Write a row's events as neuron ids at the places that :func:`count_events` made room for."""
    for s in range(n):
        m = first_map + lane[s] % maps
        at = place[step[s] * all_maps + m]
        place[step[s] * all_maps + m] += 1
        out[at] = m * positions + row * width + lane[s] // maps
