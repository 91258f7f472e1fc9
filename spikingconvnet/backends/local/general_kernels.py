"""The reference's integers, fast: numba kernels for networks of any wiring and for every plasticity rule.

They do the work of ``general_native.c`` where that was not built. Nothing is checked here; ``general_stage.py``
prepares the arrays of ``layout.py``. What each rule does is said in ``reference_rules.py``; here they are branches of
:func:`_lifted` and :func:`_lowered`, because a function for each would add half a second to the time of compilation.

Numba's cache notices changes of the file that a function stands in, not of what it calls: after an edit of the
elementary operations in ``kernels.py`` delete ``__pycache__``. Therefore the rules stand beside their caller.
"""

from numba import int32, int64

from spikingconvnet.backends.local.kernels import SATURATED, compiled, kmul, mulhi
from spikingconvnet.backends.local.layout import (
    AMOUNTS,
    BLOCK,
    FIELDS,
    FULLEST,
    HISTORY,
    NEVER,
    ROW_FIELDS,
    RULES,
    RUN_FIELDS,
    TABLES,
    TRACES,
    History,
    Modulators,
    Neurons,
    Own,
    Plastic,
    Record,
    Rules,
    Spiking,
    Static,
)
from spikingconvnet.board.programs import OWN_STATES
from spikingconvnet.network.arrays import Ints32, Pair

(V_NOW, TIMER, SYN_E, SYN_I, I_OFFSET, RESISTANCE, V_REST, MEMBRANE_DECAY, V_THRESH, DECAY_E_MASK, DECAY_E,
 DECAY_I_MASK, DECAY_I, V_RESET, REFRACTORY, INPUT_SCALE, OFFSET, ADAPTATION, ADAPTATION_DECAY,
 ADAPTATION_STEP) = range(FIELDS)
(ADAPTS,) = (1 << kind for kind in range(len(OWN_STATES)))
(PAIR_ADDITIVE, PAIR_MULTIPLICATIVE, NEAREST_PAIR_ADDITIVE, NEAREST_PAIR_MULTIPLICATIVE, VOGELS_2011_ADDITIVE,
 PFISTER_TRIPLET_ADDITIVE, MODULATED_PAIR_ADDITIVE, MODULATED_PAIR_MULTIPLICATIVE,
 MODULATED_VOGELS_2011_ADDITIVE) = range(len(RULES))         # the last three under neuromodulation
W_MIN, W_MAX, A_PLUS, A_MINUS, A3_PLUS, A3_MINUS, ALPHA, WEIGHT_MIN, WEIGHT_MAX, RELEASE = range(len(AMOUNTS))
PLUS, MINUS, X, Y, C, D = range(len(TABLES))
SHIFT, MASK, LOW = range(3)         # of a receptor's `inject`
POST, RECEPTOR, DELAY, BACK, FIRST, COUNT = range(len(RUN_FIELDS))
TIME, TRACE, SLOW, RULE = range(len(ROW_FIELDS))
SLOW_SHIFT = 2          # see lowering.py for the shifts
ELIGIBILITY_SHIFT = 4
DOPAMINE_SHIFT = 2


@compiled
def _look_up(table: Ints32, distance: int) -> int:
    return int64(table[distance]) if 0 <= distance < table.shape[0] else int64(0)


@compiled
def _m16(a: int, b: int) -> int:
    return (int64(a) * b) >> 11


@compiled
def _s16(x: int) -> int:
    return ((x + 32768) & 0xffff) - 32768


@compiled
def _slow(trace: int, last_time: int, t: int, table: Ints32) -> int:
    """A slower trace before the spike at step `t`."""
    return _m16(_s16(trace + 2048), _look_up(table, (t - last_time) >> SLOW_SHIFT)) if last_time != 0 else int64(0)


@compiled
def _dopamine(level: int, distance: int, table: Ints32) -> int:
    """What is left of it after `distance` steps."""
    return _m16(level, _look_up(table, distance >> DOPAMINE_SHIFT))


@compiled
def _remember(j: int, t: int, modulates: int, amount: int, history: History, rules: Rules) -> None:
    """Append to the history of neuron `j` its own spike at step `t`, or a modulator's with an amount of dopamine."""
    times, traces, last = history.times[j], history.traces[j], history.counts[j] - 1
    rule, distance = rules.rule_of[j], t - times[last]
    tables = rules.tables[rule]
    trace = _s16(_m16(traces[0, last], _look_up(tables[MINUS], distance)) + (0 if modulates else 2048))
    if rules.kinds[rule] >= MODULATED_PAIR_ADDITIVE:
        second = _s16(_dopamine(traces[1, last], distance, tables[D]) + amount)
    else:
        second = _slow(traces[1, last], times[last], t, tables[Y])
    if last == HISTORY - 1:
        for h in range(1, HISTORY - 1):
            times[h] = times[h + 1]
            for k in range(TRACES):
                traces[k, h] = traces[k, h + 1]
    else:
        history.counts[j] += 1
        last += 1
    times[last], traces[0, last], traces[1, last], traces[2, last] = t, trace, second, modulates
    history.newest[0, j], history.newest[1, j] = t, trace


@compiled
def _remember_all(t: int, fired: Ints32, history: History, rules: Rules) -> None:
    """Append spikes of neurons that share a core with their synapses to their histories."""
    for j in fired:
        if rules.rule_of[j] >= 0 and not rules.split[rules.rule_of[j]]:
            _remember(j, t, 0, 0, history, rules)


@compiled
def _window(times: Ints32, count: int, last_time: int, t: int, delay: int) -> Pair:
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
def _add(w: int, amount: int, trace: int, w_max: int) -> int:
    return min(int32(w + kmul(amount, trace << 4)), int32(w_max))


@compiled
def _subtract(w: int, amount: int, trace: int, w_min: int) -> int:
    return max(int32(w - kmul(amount, trace << 4)), int32(w_min))


@compiled
def _release(w: int, trace: int, dopamine: int, distance: int, release: int, c: Ints32, d: Ints32) -> tuple[int, int]:
    """See ``reference_rules``."""
    decay = _look_up(c, distance >> ELIGIBILITY_SHIFT)
    both = _s16(_m16(decay, _look_up(d, distance >> DOPAMINE_SHIFT)) - 2048)
    gain = kmul(kmul(kmul(trace, release), dopamine << 4), both << 4)
    return int32(w + gain), kmul(trace, decay << 4)


@compiled
def _learn_modulated(kind: int, w: int, trace: int, times: Ints32, traces: Ints32, count: int, window: Pair, last: Pair,
                     t: int, delay: int, amounts: Ints32, tables: Ints32) -> tuple[int, int]:
    """Weight and eligibility as accums; see ``reference_rules.learn_modulated``. `last` is a step and a trace."""
    first, stop = window
    w_min, w_max = amounts[W_MIN], amounts[W_MAX]
    since, release, c, d = last[0], amounts[RELEASE], tables[C], tables[D]
    dopamine = _dopamine(traces[1, first - 1], since - times[first - 1], d)
    for h in range(first, stop):
        arrival = int64(times[h]) + delay
        w, trace = _release(w, trace, dopamine, arrival - since, release, c, d)
        if not traces[2, h + count - stop]:
            p = _m16(last[1], _look_up(tables[PLUS], arrival - last[0]))
            if kind == MODULATED_PAIR_MULTIPLICATIVE:
                trace = int32(trace + kmul(kmul(int32(w_max - trace), amounts[A_PLUS]), p << 4))
            else:
                trace = _add(trace, amounts[A_PLUS], p, w_max)
        dopamine, since = int64(traces[1, h]), arrival
    if stop > 1:
        w, trace = _release(w, trace, dopamine, t - since, release, c, d)
        faded = _m16(traces[0, stop - 1], _look_up(tables[MINUS], t - delay - times[stop - 1]))
        if kind == MODULATED_PAIR_ADDITIVE:
            trace = _subtract(trace, amounts[A_MINUS], faded, w_min)
        elif kind == MODULATED_VOGELS_2011_ADDITIVE:
            trace = _add(trace, amounts[A_PLUS], faded - amounts[ALPHA], w_max)
        else:
            trace = int32(trace - kmul(kmul(int32(trace - w_min), amounts[A_MINUS]), faded << 4))
    return min(max(w, int32(amounts[WEIGHT_MIN])), int32(amounts[WEIGHT_MAX])), trace


@compiled
def _lifted(kind: int, w: int, p: int, third: int, w_max: int, a_plus: int, a3_plus: int) -> int:
    """Weight after a postsynaptic spike, as an accum; `p` is the presynaptic trace at it, `third` its slower one."""
    if kind in (PAIR_MULTIPLICATIVE, NEAREST_PAIR_MULTIPLICATIVE):
        return int32(w + kmul(kmul(int32(w_max - w), a_plus), p << 4))
    if kind == PFISTER_TRIPLET_ADDITIVE:
        w = int32(w + kmul(a3_plus, _m16(p, third) << 4))
    return _add(w, a_plus, p, w_max)


@compiled
def _lowered(kind: int, w: int, o: int, slow: int, w_min: int, w_max: int, amounts: Ints32) -> int:
    """Weight after the presynaptic spike, as an accum; `o` is the postsynaptic trace at it, `slow` its slower one."""
    if kind in (PAIR_MULTIPLICATIVE, NEAREST_PAIR_MULTIPLICATIVE):
        return int32(w - kmul(kmul(int32(w - w_min), amounts[A_MINUS]), o << 4))
    if kind == VOGELS_2011_ADDITIVE:
        return _add(w, amounts[A_PLUS], o - amounts[ALPHA], w_max)
    if kind == PFISTER_TRIPLET_ADDITIVE:
        w = int32(w - kmul(amounts[A3_MINUS], _m16(o, slow) << 4))
    return _subtract(w, amounts[A_MINUS], o, w_min)


@compiled
def _learn(run: Ints32, state: Ints32, slow: int, t: int, plastic: Plastic, shifts: Ints32, history: History,
           rules: Rules) -> None:
    """Change the weights of a run of synapses whose neuron fires at step `t`.

    Parameters
    ----------
    run : int32 (RUN_FIELDS,)
    state : int32 (ROW_FIELDS,)
        Of the row, before the spike.
    slow : int
        The row's slower trace at the spike.
    shifts : int32 (size,)
        Of the run's receptor.
    """
    last_time, last, rule, delay = int64(state[TIME]), int64(state[TRACE]), state[RULE], int64(run[BACK])
    kind, tables, amounts = rules.kinds[rule], rules.tables[rule], rules.amounts[rule]
    plus, minus, w_min, w_max = tables[PLUS], tables[MINUS], amounts[W_MIN], amounts[W_MAX]
    a_plus, a3_plus = amounts[A_PLUS], amounts[A3_PLUS]
    nearest = kind in (NEAREST_PAIR_ADDITIVE, NEAREST_PAIR_MULTIPLICATIVE)
    for k in range(run[COUNT]):
        s, j = run[FIRST] + k, run[POST] + k
        shift, times, traces, count = shifts[j], history.times[j], history.traces[j], history.counts[j]
        first, stop = _window(times, count, last_time, t, delay)
        w = int32(plastic.weight[s] << shift)
        if kind >= MODULATED_PAIR_ADDITIVE:
            w, e = _learn_modulated(kind, w, int32(plastic.eligibility[s] << shift), times, traces, count,
                                    (first, stop), (last_time, last), t, delay, amounts, tables)
            plastic.eligibility[s] = (e >> shift) & 0xffff
        else:
            for h in range(first, stop):
                p = _look_up(plus, times[h] + delay - last_time)
                if not nearest:
                    p = _m16(last, p)
                elif times[h - 1] > last_time:
                    p = int64(0)
                w = _lifted(kind, w, p, traces[1, h], w_max, a_plus, a3_plus)
            if stop > 1:
                faded = _look_up(minus, t - delay - times[stop - 1])
                o = faded if nearest else _m16(traces[0, stop - 1], faded)
                w = _lowered(kind, w, o, slow, w_min, w_max, amounts)
        plastic.weight[s] = (w >> shift) & 0xffff


@compiled
def _deliver(run: Ints32, weight: Ints32, slot: int, neurons: Neurons) -> None:
    """Weights of a run onto their way, from the step of this slot on."""
    arrival = slot + run[DELAY]
    if arrival >= neurons.ring.shape[0]:
        arrival -= neurons.ring.shape[0]
    line = neurons.ring[arrival, run[RECEPTOR]]
    for k in range(run[COUNT]):
        j = run[POST] + k
        line[j] = min(line[j] + weight[run[FIRST] + k], FULLEST)
    neurons.pending[arrival] = 1


@compiled
def _row(row: int, t: int, slot: int, neurons: Neurons, plastic: Plastic, history: History, rules: Rules) -> None:
    """All synapses of a row whose neuron fires at step `t`."""
    row_state = plastic.row_state[row]
    rule, since = row_state[RULE], t - row_state[TIME]
    slow = _slow(row_state[SLOW], row_state[TIME], t, rules.tables[rule, X])
    for r in range(plastic.row_start[row], plastic.row_start[row + 1]):
        run = plastic.runs[r]
        _learn(run, row_state, slow, t, plastic, neurons.inject[run[RECEPTOR], SHIFT], history, rules)
        if run[DELAY] != NEVER:
            _deliver(run, plastic.weight, slot, neurons)
    trace = _s16(_m16(row_state[TRACE], _look_up(rules.tables[rule, PLUS], since)) + 2048)
    row_state[TIME], row_state[TRACE], row_state[SLOW] = t, trace, slow


@compiled
def _at(j: int) -> int:
    """Place of a neuron's membrane, its first number, in the state."""
    return j + (j // BLOCK) * (FIELDS - 1) * BLOCK


@compiled
def _own_currents(state: Ints32, own_states: int) -> None:
    """What the own states of kinds of neurons take in a step is taken from the constant currents."""
    for j in range(state.shape[0] // FIELDS):
        at = _at(j)
        left = state[at + OFFSET * BLOCK]
        if own_states & ADAPTS:
            current = kmul(state[at + ADAPTATION * BLOCK], state[at + ADAPTATION_DECAY * BLOCK])
            state[at + ADAPTATION * BLOCK] = current
            left = int32(left - current)
        state[at + I_OFFSET * BLOCK] = left


@compiled
def _update_neurons(state: Ints32) -> int:
    """Membranes, timers and currents of all neurons; whether any reaches its threshold.

    `state` is one flat array, blocks of `BLOCK` neurons with `FIELDS` numbers each, field by field. Written with these
    constant distances the loop vectorises; separate arrays would first be tested for overlap, which takes longer than
    the step of a small population.
    """
    fires = int32(0)
    for block in range(state.shape[0] // (FIELDS * BLOCK)):
        for lane in range(BLOCK):
            j = block * FIELDS * BLOCK + lane
            v, e, i, timer = state[j], state[j + SYN_E * BLOCK], state[j + SYN_I * BLOCK], state[j + TIMER * BLOCK]
            scale = state[j + INPUT_SCALE * BLOCK]
            current = int32(kmul(e, scale) - kmul(i, scale) + state[j + I_OFFSET * BLOCK])
            alpha = int32(kmul(current, state[j + RESISTANCE * BLOCK]) + state[j + V_REST * BLOCK])
            now = int32(alpha - kmul(int32(alpha - v), state[j + MEMBRANE_DECAY * BLOCK])) if timer <= 0 else v
            state[j] = now
            state[j + TIMER * BLOCK] = timer - int32(timer > 0)
            fires = int32(fires | int32(now >= state[j + V_THRESH * BLOCK]))
            state[j + SYN_E * BLOCK] = int32((e & state[j + DECAY_E_MASK * BLOCK])
                                             + mulhi(e, state[j + DECAY_E * BLOCK]))
            state[j + SYN_I * BLOCK] = int32((i & state[j + DECAY_I_MASK * BLOCK])
                                             + mulhi(i, state[j + DECAY_I * BLOCK]))
    return fires


@compiled
def _collect(neurons: Neurons, slot: int, n: int) -> None:
    """Weights of a slot into the synaptic currents."""
    for r in range(2):
        ring, inject = neurons.ring[slot, r], neurons.inject[r]
        for j in range(n):
            if ring[j] != 0:
                neurons.saturated[j] += ring[j] > SATURATED
                x = int32(min(ring[j], SATURATED) << inject[SHIFT, j])
                neurons.state[_at(j) + (SYN_E + r) * BLOCK] += int32((x & inject[MASK, j]) + mulhi(x, inject[LOW, j]))
                ring[j] = 0


@compiled
def _reset(neurons: Neurons) -> None:
    """Membranes, timers, currents and inputs on their way as they were before the first step."""
    for j in range(neurons.state.shape[0] // FIELDS):
        at = _at(j)
        neurons.state[at] = neurons.v_init[j]
        for field in range(TIMER, SYN_I + 1):
            neurons.state[at + field * BLOCK] = 0
    for slot in range(neurons.pending.shape[0]):
        if neurons.pending[slot]:
            neurons.pending[slot] = 0
            neurons.ring[slot] = 0


@compiled
def _fire(state: Ints32, n: int, step: int, out_step: Ints32, out_id: Ints32, events: int) -> int:
    """Reset the neurons that reach their threshold and append them to the output; how many it holds now."""
    for j in range(n):
        at = _at(j)
        if state[at] >= state[at + V_THRESH * BLOCK]:
            state[at] = state[at + V_RESET * BLOCK]
            state[at + TIMER * BLOCK] = state[at + REFRACTORY * BLOCK]
            state[at + ADAPTATION * BLOCK] += state[at + ADAPTATION_STEP * BLOCK]
            out_step[events], out_id[events] = step, j
            events += 1
    return events


@compiled
def general_steps(t: int, n_steps: int, n: int, n_sources: int, neurons: Neurons, static: Static, plastic: Plastic,
                  modulators: Modulators, own: Own, rules: Rules, history: History, record: Record, spiking: Spiking,
                  reset_every: int) -> int:
    """Steps ``t .. t + n_steps - 1`` of a network of any wiring; the number of output spikes.

    Spike ids below `n_sources` are sources, the others the `n` neurons. See ``layout.py`` for the arrays. Every
    `reset_every` steps (0: never) all state returns to the start; nothing learns then.
    """
    slots, state = neurons.ring.shape[0], neurons.state
    source_ids, out_id = spiking.ids, spiking.out_id
    modulated = (rules.kinds >= MODULATED_PAIR_ADDITIVE).any()
    events = 0
    for step in range(n_steps):
        slot = (t + step) % slots
        if reset_every and (t + step) % reset_every == 0:
            _reset(neurons)
        if neurons.pending[slot]:
            neurons.pending[slot] = 0
            _collect(neurons, slot, n)
        for k in range(record.ids.shape[0]):
            at = _at(record.ids[k])
            record.v[step, k] = state[at]
            record.gsyn_exc[step, k], record.gsyn_inh[step, k] = state[at + SYN_E * BLOCK], state[at + SYN_I * BLOCK]
        first = events
        if neurons.own_states:
            _own_currents(state, neurons.own_states)
        if _update_neurons(state):
            events = _fire(state, n, step, spiking.out_step, out_id, events)
        _remember_all(t + step, out_id[first:events], history, rules)
        begin, end = spiking.offsets[step], spiking.offsets[step + 1]
        last = end + events - first
        for k in range(begin, last):
            spike = int64(source_ids[k]) if k < end else n_sources + out_id[first + k - end]
            for r in range(static.start[spike], static.start[spike + 1]):
                _deliver(static.runs[r], static.weight, slot, neurons)
            for row in range(plastic.start[spike], plastic.start[spike + 1]):
                _row(row, t + step, slot, neurons, plastic, history, rules)
        if modulated:
            for k in range(begin, last):
                spike = int64(source_ids[k]) if k < end else n_sources + out_id[first + k - end]
                for s in range(modulators.start[spike], modulators.start[spike + 1]):
                    _remember(modulators.post[s], t + step, 1, modulators.amount[s], history, rules)
        if own.start.shape[0]:
            for k in range(first, events):
                for entry in range(own.start[out_id[k]], own.start[out_id[k] + 1]):
                    _remember(out_id[k], t + step, 0, 0, history, rules)
                    if own.row[entry] >= 0:
                        _row(own.row[entry], t + step, slot, neurons, plastic, history, rules)
    return events
