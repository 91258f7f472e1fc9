"""The reference's integers, fast: numba kernels for networks of any wiring and for every plasticity rule.

Nothing is checked here; ``simulator.GeneralStage`` prepares every argument. What each rule does is said
in ``reference_rules.py``; here they are branches of one loop over a row of synapses, because each function of its own
would add half a second to the time of compilation.

Numba's cache notices changes of the file that a function stands in, not of what it calls: after an edit of the
elementary operations in ``kernels.py`` delete ``__pycache__``. Therefore the rules stand beside their caller.
"""

from numba import int32, int64

from spikingconvnet.backends.local.kernels import SATURATED, compiled, kmul, mulhi

LANES = FIELDS = 16     # of a block of neurons; their numbers in the order of NEURON_FIELDS
NEURON_FIELDS = ("v", "timer", "syn_e", "syn_i", "i_offset", "resistance", "v_rest", "membrane_decay", "v_thresh",
                 "decay_e_mask", "decay_e", "decay_i_mask", "decay_i", "v_reset", "refractory")
HISTORY = 16            # postsynaptic events kept per neuron, a permanent placeholder included
RULES = ("pair_additive", "pair_multiplicative", "nearest_pair_additive", "vogels_2011_additive",
         "pfister_triplet_additive", "izhikevich_neuromodulation_pair_additive")
(PAIR_ADDITIVE, PAIR_MULTIPLICATIVE, NEAREST_PAIR_ADDITIVE, VOGELS_2011_ADDITIVE, PFISTER_TRIPLET_ADDITIVE,
 MODULATED) = range(len(RULES))
AMOUNTS = ("w_min", "w_max", "a_plus", "a_minus", "a3_plus", "a3_minus", "alpha", "weight_min", "weight_max", "release")
W_MIN, W_MAX, A_PLUS, A_MINUS, A3_PLUS, A3_MINUS, ALPHA, WEIGHT_MIN, WEIGHT_MAX, RELEASE = range(len(AMOUNTS))
TABLES = ("lut_plus", "lut_minus", "lut_x", "lut_y", "lut_c", "lut_d")
PLUS, MINUS, X, Y, C, D = range(len(TABLES))
TRACES = 3              # of a spike: its trace, the slower one or dopamine, whether it is a reward or punishment
SLOW_SHIFT = 2          # see lowering.py for the shifts
ELIGIBILITY_SHIFT = 4
DOPAMINE_SHIFT = 2


@compiled
def _look_up(table, distance):
    return int64(table[distance]) if 0 <= distance < table.shape[0] else int64(0)


@compiled
def _m16(a, b):
    return (a * b) >> 11


@compiled
def _s16(x):
    return ((x + 32768) & 0xffff) - 32768


@compiled
def _grown(trace, distance, table):
    """A trace after the next spike, `distance` steps later."""
    return _s16(_m16(trace, _look_up(table, distance)) + 2048)


@compiled
def _slow(trace, last_time, t, table):
    """A slower trace before the spike at step `t`."""
    return _m16(_s16(trace + 2048), _look_up(table, (t - last_time) >> SLOW_SHIFT)) if last_time != 0 else int64(0)


@compiled
def _dopamine(level, distance, table):
    """What is left of it after `distance` steps."""
    return _m16(level, _look_up(table, distance >> DOPAMINE_SHIFT))


@compiled
def _remember(j, t, modulates, amount, history, rule, kinds, tables):
    """Append to the history of neuron `j` its own spike at step `t`, or a modulator's with an amount of dopamine."""
    times, traces, counts = history
    last = counts[j] - 1
    distance = t - times[j, last]
    trace = _s16(_m16(traces[0, j, last], _look_up(tables[rule, MINUS], distance)) + (0 if modulates else 2048))
    if kinds[rule] == MODULATED:
        second = _s16(_dopamine(traces[1, j, last], distance, tables[rule, D]) + amount)
    else:
        second = _slow(traces[1, j, last], times[j, last], t, tables[rule, Y])
    if counts[j] == HISTORY:
        for h in range(1, HISTORY - 1):
            times[j, h] = times[j, h + 1]
            for k in range(TRACES):
                traces[k, j, h] = traces[k, j, h + 1]
    else:
        counts[j] += 1
    last = counts[j] - 1
    times[j, last], traces[0, j, last], traces[1, j, last], traces[2, j, last] = t, trace, second, modulates


@compiled
def _window(times, count, last_time, t, delay):
    """See ``reference_rules.window``; `times` is one neuron's."""
    begin = last_time - delay if last_time >= delay else int64(0)
    end_time = t - delay if t >= delay else int64(0)
    first = count
    while first > 1 and times[first - 1] > begin:
        first -= 1
    end = count
    while end > first and times[end - 1] > end_time:
        end -= 1
    return first, end


@compiled
def _add(w, amount, trace, w_max):
    return min(int32(w + kmul(amount, trace << 4)), int32(w_max))


@compiled
def _subtract(w, amount, trace, w_min):
    return max(int32(w - kmul(amount, trace << 4)), int32(w_min))


@compiled
def _release(w, trace, dopamine, distance, release, c, d):
    """See ``reference_rules``."""
    decay = _look_up(c, distance >> ELIGIBILITY_SHIFT)
    both = _s16(_m16(decay, _look_up(d, distance >> DOPAMINE_SHIFT)) - 2048)
    gain = kmul(kmul(kmul(trace, release), dopamine << 4), both << 4)
    return int32(w + gain), kmul(trace, decay << 4)


@compiled
def _learn_modulated(w, trace, times, traces, count, window, last, t, delay, amounts, tables):
    """Weight and eligibility as accums; see ``reference_rules.learn_modulated``. `last` is a step and a trace."""
    first, stop = window
    since, release, c, d = last[0], amounts[RELEASE], tables[C], tables[D]
    dopamine = _dopamine(traces[1, first - 1], since - times[first - 1], d)
    for h in range(first, stop):
        arrival = times[h] + delay
        w, trace = _release(w, trace, dopamine, arrival - since, release, c, d)
        if not traces[2, h + count - stop]:
            p = _m16(last[1], _look_up(tables[PLUS], arrival - last[0]))
            trace = _add(trace, amounts[A_PLUS], p, amounts[W_MAX])
        dopamine, since = traces[1, h], arrival
    if stop > 1:
        w, trace = _release(w, trace, dopamine, t - since, release, c, d)
        faded = _m16(traces[0, stop - 1], _look_up(tables[MINUS], t - delay - times[stop - 1]))
        trace = _subtract(trace, amounts[A_MINUS], faded, amounts[W_MIN])
    return min(max(w, int32(amounts[WEIGHT_MIN])), int32(amounts[WEIGHT_MAX])), trace


@compiled
def _learn(begin, end, state, t, synapses, history, kinds, amounts, tables):
    """Change the weights ``begin .. end - 1`` of a row whose neuron fires at step `t`, and the row's state.

    Parameters
    ----------
    state : int64 (4,)
        Last step, its two traces, place of the rule.
    synapses : tuple of arrays
        Post, weight, stored delay, receptor and eligibility of all plastic synapses, and ``inject`` with the ring
        buffers' shifts.
    history : tuple of arrays
        `times` (neurons, HISTORY), `traces` (TRACES, neurons, HISTORY) and `counts` (neurons,) of postsynaptic spikes.
    kinds, amounts, tables : arrays (rules,), (rules, AMOUNTS), (rules, TABLES, steps)
    """
    post, weight, stored, receptor, eligibility, inject = synapses
    times, traces, counts = history
    last_time, last, rule = state[0], state[1], state[3]
    kind, plus, minus = kinds[rule], tables[rule, PLUS], tables[rule, MINUS]
    w_min, w_max = amounts[rule, W_MIN], amounts[rule, W_MAX]
    a_plus, a_minus = amounts[rule, A_PLUS], amounts[rule, A_MINUS]
    slow = _slow(state[2], last_time, t, tables[rule, X])
    for s in range(begin, end):
        j, delay, shift = post[s], stored[s], inject[receptor[s], 0, post[s]]
        first, stop = _window(times[j], counts[j], last_time, t, delay)
        w = int32(weight[s] << shift)
        real, trace = stop > 1, traces[0, j, stop - 1]
        faded = _look_up(minus, t - delay - times[j, stop - 1])
        if kind == PAIR_ADDITIVE:
            for h in range(first, stop):
                w = _add(w, a_plus, _m16(last, _look_up(plus, times[j, h] + delay - last_time)), w_max)
            if real:
                w = _subtract(w, a_minus, _m16(trace, faded), w_min)
        elif kind == PAIR_MULTIPLICATIVE:
            for h in range(first, stop):
                p = _m16(last, _look_up(plus, times[j, h] + delay - last_time))
                w = int32(w + kmul(kmul(int32(w_max - w), a_plus), p << 4))
            if real:
                w = int32(w - kmul(kmul(int32(w - w_min), a_minus), _m16(trace, faded) << 4))
        elif kind == NEAREST_PAIR_ADDITIVE:
            for h in range(first, stop):
                nearest = times[j, h - 1] <= last_time
                decay = _look_up(plus, times[j, h] + delay - last_time) if nearest else int64(0)
                w = _add(w, a_plus, decay, w_max)
            if real:
                w = _subtract(w, a_minus, faded, w_min)
        elif kind == VOGELS_2011_ADDITIVE:
            for h in range(first, stop):
                w = _add(w, a_plus, _m16(last, _look_up(plus, times[j, h] + delay - last_time)), w_max)
            if real:
                w = _add(w, a_plus, _m16(trace, faded) - amounts[rule, ALPHA], w_max)
        elif kind == PFISTER_TRIPLET_ADDITIVE:
            for h in range(first, stop):
                p = _m16(last, _look_up(plus, times[j, h] + delay - last_time))
                gain = kmul(amounts[rule, A3_PLUS], _m16(p, traces[1, j, h]) << 4)
                w = _add(int32(w + gain), a_plus, p, w_max)
            if real:
                o = _m16(trace, faded)
                loss = kmul(amounts[rule, A3_MINUS], _m16(o, slow) << 4)
                w = _subtract(int32(w - loss), a_minus, o, w_min)
        else:
            w, e = _learn_modulated(w, int32(eligibility[s] << shift), times[j], traces[:, j], counts[j], (first, stop),
                                    (last_time, last), t, delay, amounts[rule], tables[rule])
            eligibility[s] = (e >> shift) & 0xffff
        weight[s] = (w >> shift) & 0xffff
    state[0], state[1], state[2] = t, _grown(last, t - last_time, plus), slow


@compiled
def _update_neurons(state):
    """Membranes, timers and currents of all neurons; whether any reaches its threshold.

    `state` is one flat array, blocks of `LANES` neurons with `FIELDS` numbers each, field by field. Written with these
    constant distances the loop vectorises; separate arrays would first be tested for overlap, which takes longer than
    the step of a small population.
    """
    fires = int32(0)
    for block in range(state.shape[0] // 256):
        first = block * 256
        for lane in range(16):
            j = first + lane
            e, i, timer = state[j + 32], state[j + 48], state[j + 16]
            alpha = int32(kmul(int32(e - i + state[j + 64]), state[j + 80]) + state[j + 96])
            now = int32(alpha - kmul(int32(alpha - state[j]), state[j + 112])) if timer <= 0 else state[j]
            state[j] = now
            state[j + 16] = timer - int32(timer > 0)
            fires = int32(fires | int32(now >= state[j + 128]))
            state[j + 32] = int32((e & state[j + 144]) + mulhi(e, state[j + 160]))
            state[j + 48] = int32((i & state[j + 176]) + mulhi(i, state[j + 192]))
    return fires


@compiled
def _collect(state, ring, inject, saturated):
    """Weights of a slot into the synaptic currents; `inject` holds shift, mask and low per receptor."""
    for r in range(2):
        for j in range(ring.shape[1]):
            if ring[r, j] != 0:
                saturated[j] += ring[r, j] > SATURATED
                x = int32(min(ring[r, j], int64(SATURATED)) << inject[r, 0, j])
                at = (j >> 4) * 256 + 32 + 16 * r + (j & 15)
                state[at] += int32((x & inject[r, 1, j]) + mulhi(x, inject[r, 2, j]))
                ring[r, j] = 0


@compiled
def general_steps(t, n_steps, source_offsets, source_ids, n_sources, state, inject, ring, pending, saturated,
                  row_start, post, weight, delay, receptor,
                  plastic_start, plastic_row, row_state, p_post, p_weight, p_delay, p_stored, p_receptor, p_eligibility,
                  modulator_start, modulated, amount, rule_of, kinds, amounts, tables, times, traces, counts,
                  trace_ids, trace_v, trace_e, trace_i, out_step, out_id):
    """Steps ``t .. t + n_steps - 1`` of a network of any wiring; the number of output spikes.

    Spike ids below `n_sources` are sources, the others neurons. See ``simulator.GeneralStage`` for the arrays.
    """
    n = ring.shape[2]
    slots = ring.shape[0]
    synapses = (p_post, p_weight, p_stored, p_receptor, p_eligibility, inject)
    history = (times, traces, counts)
    events = 0
    for step in range(n_steps):
        slot = (t + step) % slots
        if pending[slot]:
            pending[slot] = 0
            _collect(state, ring[slot], inject, saturated)
        for k in range(trace_ids.shape[0]):
            at = (trace_ids[k] >> 4) * 256 + (trace_ids[k] & 15)
            trace_v[step, k], trace_e[step, k], trace_i[step, k] = state[at], state[at + 32], state[at + 48]
        first = events
        if _update_neurons(state):
            for j in range(n):
                at = (j >> 4) * 256 + (j & 15)
                if state[at] >= state[at + 128]:
                    state[at] = state[at + 208]
                    state[at + 16] = state[at + 224]
                    out_step[events], out_id[events] = step, j
                    events += 1
        for k in range(first, events):
            j = out_id[k]
            if rule_of[j] >= 0:
                _remember(j, t + step, 0, 0, history, rule_of[j], kinds, tables)
        begin, end = source_offsets[step], source_offsets[step + 1]
        for k in range(begin, (end + events - first) * (modulated.shape[0] > 0)):
            spike = int64(source_ids[k]) if k < end else n_sources + out_id[first + k - end]
            for s in range(modulator_start[spike], modulator_start[spike + 1]):
                j = modulated[s]
                _remember(j, t + step, 1, amount[s], history, rule_of[j], kinds, tables)
        for k in range(begin, end + events - first):
            spike = int64(source_ids[k]) if k < end else n_sources + out_id[first + k - end]
            for s in range(row_start[spike], row_start[spike + 1]):
                arrival = (t + step + delay[s]) % slots
                ring[arrival, receptor[s], post[s]] += weight[s]
                pending[arrival] = 1
            for row in range(plastic_start[spike], plastic_start[spike + 1]):
                _learn(plastic_row[row], plastic_row[row + 1], row_state[row], t + step, synapses, history, kinds,
                       amounts, tables)
                for s in range(plastic_row[row], plastic_row[row + 1]):
                    if p_stored[s] != 0 or kinds[row_state[row, 3]] == MODULATED:
                        arrival = (t + step + p_delay[s]) % slots
                        ring[arrival, p_receptor[s], p_post[s]] += p_weight[s]
                        pending[arrival] = 1
    return events
