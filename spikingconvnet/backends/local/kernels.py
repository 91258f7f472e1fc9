"""The reference's integers, fast: numba kernels for convolutions and for networks of any wiring.

Nothing is checked here; ``simulator.py`` prepares every argument. Products of two 32-bit numbers shifted right are
written as :func:`mulhi` plus a masked addend, because that form vectorises: a factor ``f`` below 2**32 is split by
:func:`split` into ``(mask, low)`` so that ``(x * f) >> 32 == (x & mask) + mulhi(x, low)``, floor included.

The convolution keeps the state of one output row in the first-level cache while all steps of a batch pass by. Its lanes
are (column, map) with the map innermost, so that one input spike adds one contiguous piece of weights to a row.
"""

import numpy as np
from numba import int32, int64, njit, uint32

HISTORY = 16
SATURATED = 0xffff

_compiled = njit(nogil=True, error_model="numpy", cache=True)
_inlined = njit(inline="always")


def split(factor):
    """``(mask, low)`` of factors 0 .. 2**32 for :func:`mulhi`: two int32 arrays of the shape of `factor`."""
    factor = np.asarray(factor, np.int64)
    mask = np.where(factor >= 1 << 31, -1, 0)
    return mask.astype(np.int32), (factor - (factor >= 1 << 31) * (1 << 32)).astype(np.int32)


@_inlined
def mulhi(x, low):
    """Upper half of a signed 32 x 32 bit product."""
    return int32((int64(x) * int64(low)) >> 32)


@_inlined
def kmul(a, b):
    """accum * accum, rounded down, wrapped."""
    return int32((int64(a) * int64(b)) >> 15)


@_inlined
def kmul_fraction(a, b):
    """kmul with ``0 <= b < 2**15``: two 32-bit products, because no bit of the lower one is lost."""
    upper = int32(int32(int32(a >> 16) * b) << 1)
    return int32(upper + int32(uint32(uint32(a & int32(0xffff)) * uint32(b)) >> uint32(15)))


@_inlined
def decay_16_bits(x, upper, lower):
    """``x * (upper << 16 | lower) >> 32`` for ``0 <= x < 2**16``, in 32 bits."""
    x = uint32(x)
    return int32(uint32(x * upper + uint32(uint32(x * lower) >> uint32(16))) >> uint32(16))


# ---------------------------------------------------------------- convolution, one row of one block of maps


@_compiled
def _inject_row(syn, ring, shift, mask, low):
    """Weights of a step into one synaptic current; the number of slots that did not fit 16 bits."""
    saturated = int32(0)
    for j in range(syn.shape[0]):
        saturated = int32(saturated + int32(ring[j] > SATURATED))
        w = int32(min(ring[j], int32(SATURATED)) << shift[j])
        syn[j] += int32((w & mask) + mulhi(w, low))
        ring[j] = 0
    return saturated


@_compiled
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


@_compiled
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


@_compiled
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


@_compiled
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


@_compiled
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


@_compiled
def _add(target, weights):
    for j in range(target.shape[0]):
        target[j] += weights[j]


@_compiled
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
    flags : int64 (3,)
        Bits of the currents left, row at rest, saturated slots.
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
    simple = refractory == 0 and factors[15] == 0 and factors[16] == 0
    target = int32(factors[10] + factors[14] * factors[11])     # where a membrane without currents goes, if simple
    step = first
    while step < last and events + v.shape[0] <= out_step.shape[0]:
        slot = (t + step) % delay
        fires = int32(0)
        begin, end = spans[slot]
        if begin < end:
            spans[slot, 0], spans[slot, 1] = v.shape[0], 0
            flags[2] += _inject_row(syn_e[begin:end], ring_e[slot, begin:end], lanes[1, begin:end],
                                    factors[0], factors[1])
            flags[2] += _inject_row(syn_i[begin:end], ring_i[slot, begin:end], lanes[2, begin:end],
                                    factors[2], factors[3])
            left = int32(-1)
        if not simple:
            fires, left = _integrate_any_row(v, timer, syn_e, syn_i, v_thresh, factors)
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
    flags[0], flags[1] = left, rest
    return step, events


@_compiled
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


@_compiled
def count_events(step, lane, n, maps, first_map, all_maps, counts):
    """Add a row's events to ``counts[step * all_maps + map]``."""
    for s in range(n):
        counts[step[s] * all_maps + first_map + lane[s] % maps] += 1


@_compiled
def place_events(step, lane, n, maps, first_map, all_maps, row, width, positions, place, out):
    """Write a row's events as neuron ids at the places that :func:`count_events` made room for."""
    for s in range(n):
        m = first_map + lane[s] % maps
        at = place[step[s] * all_maps + m]
        place[step[s] * all_maps + m] += 1
        out[at] = m * positions + row * width + lane[s] // maps


# ---------------------------------------------------------------- networks of any wiring


@_inlined
def _look_up(tables, rule, distance):
    return int64(tables[rule, distance]) if 0 <= distance < tables.shape[1] else int64(0)


@_inlined
def _m16(a, b):
    return (a * b) >> 11


@_inlined
def _s16(x):
    return ((x + 32768) & 0xffff) - 32768


@_compiled
def pair_update(weight, shift, times, traces, count, t, last_time, last_trace, delay, rule, amounts, plus, minus):
    """See ``reference.pair_update``; `times` and `traces` are the neuron's history, `amounts` (A+, A-, min, max)."""
    begin = last_time - delay if last_time >= delay else 0
    end_time = t - delay if t >= delay else 0
    end, k, following = count, count - 1, count
    while k != 0 and times[k] > begin:
        if times[k] > end_time:
            end = k
        following = k
        k -= 1
    value = int32(weight << shift)
    newest = k
    for h in range(following, end):
        distance = times[h] + delay - last_time
        if distance != 0:
            p = _m16(last_trace, _look_up(plus, rule, distance))
            value = min(int32(value + kmul(amounts[0], p << 4)), int32(amounts[3]))
        newest = h
    if newest != 0:
        o = _m16(traces[newest], _look_up(minus, rule, t - delay - times[newest]))
        value = max(int32(value - kmul(amounts[1], o << 4)), int32(amounts[2]))
    return (value >> shift) & 0xffff


@_compiled
def general_steps(t, n_steps, source_offsets, source_ids, n_sources, neurons, factors, syn, ring, saturated,
                  row_start, post, weight, delay, receptor,
                  plastic_start, plastic_row, row_state, p_post, p_weight, p_delay, p_stored, p_receptor,
                  rule_of, amounts, plus, minus, times, traces, counts, trace_ids, trace_v, trace_e, trace_i, out_step,
                  out_id):
    """Steps ``t .. t + n_steps - 1`` of a network of any wiring; the number of output spikes.

    Spike ids below `n_sources` are sources, the others neurons. See ``simulator.GeneralStage`` for the arrays.
    """
    n = syn.shape[1]
    slots = ring.shape[0]
    v, timer, v_thresh, v_reset, v_rest, i_offset, resistance, refractory = (
        neurons[0], neurons[1], neurons[2], neurons[3], neurons[4], neurons[5], neurons[6], neurons[7])
    events = 0
    for step in range(n_steps):
        slot = (t + step) % slots
        for r in range(2):
            buffer, shift, mask, low = ring[slot, r], factors[r, 0], factors[r, 1], factors[r, 2]
            for j in range(n):
                if buffer[j] != 0:
                    saturated[j] += buffer[j] > SATURATED
                    x = int32(min(buffer[j], int64(SATURATED)) << shift[j])
                    syn[r, j] += int32((x & mask[j]) + mulhi(x, low[j]))
                    buffer[j] = 0
        for k in range(trace_ids.shape[0]):
            j = trace_ids[k]
            trace_v[step, k], trace_e[step, k], trace_i[step, k] = v[j], syn[0, j], syn[1, j]
        first = events
        for j in range(n):
            if timer[j] <= 0:
                alpha = int32(kmul(int32(syn[0, j] - syn[1, j] + i_offset[j]), resistance[j]) + v_rest[j])
                d = int32(alpha - v[j])
                v[j] = int32(alpha - kmul(d, factors[2, 0, j]))
            else:
                timer[j] -= 1
            if v[j] >= v_thresh[j]:
                v[j] = v_reset[j]
                timer[j] = refractory[j]
                out_step[events], out_id[events] = step, j
                events += 1
            for r in range(2):
                x = syn[r, j]
                syn[r, j] = int32((x & factors[r, 3, j]) + mulhi(x, factors[r, 4, j]))
        for k in range(first, events):
            j = out_id[k]
            if rule_of[j] >= 0:
                last = counts[j] - 1
                now = _s16(_m16(traces[j, last], _look_up(minus, rule_of[j], t + step - times[j, last])) + 2048)
                if counts[j] == HISTORY:
                    for h in range(1, HISTORY - 1):
                        times[j, h], traces[j, h] = times[j, h + 1], traces[j, h + 1]
                else:
                    counts[j] += 1
                times[j, counts[j] - 1], traces[j, counts[j] - 1] = t + step, now
        begin, end = source_offsets[step], source_offsets[step + 1]
        for k in range(begin, end + events - first):
            spike = int64(source_ids[k]) if k < end else n_sources + out_id[first + k - end]
            for s in range(row_start[spike], row_start[spike + 1]):
                ring[(t + step + delay[s]) % slots, receptor[s], post[s]] += weight[s]
            for row in range(plastic_start[spike], plastic_start[spike + 1]):
                last_time, last_trace, rule = row_state[row, 0], row_state[row, 1], row_state[row, 2]
                for s in range(plastic_row[row], plastic_row[row + 1]):
                    j, r = p_post[s], p_receptor[s]
                    w = pair_update(p_weight[s], factors[r, 0, j], times[j], traces[j], counts[j], t + step,
                                    last_time, last_trace, p_stored[s], rule, amounts[rule], plus, minus)
                    p_weight[s] = w
                    if p_stored[s] != 0:
                        ring[(t + step + p_delay[s]) % slots, r, j] += w
                row_state[row, 0] = t + step
                row_state[row, 1] = _s16(_m16(last_trace, _look_up(plus, rule, t + step - last_time)) + 2048)
    return events
