/* The steps of a network of any wiring; included by general_native.c once for each kind of processor.
 *
 * The includer defines V and U (vectors of int32 and uint32), NAME(x), and for V the functions mulhi (upper half of a
 * product), kmul (a product of accums), gather and bits (one bit per lane of a mask). Vectors are those of GCC and clang:
 * their operators act on each lane, comparisons give 0 and -1.
 */

#define LANES ((int64_t)(sizeof(V) / sizeof(int32_t)))
#define VECTOR(array) (*(V *)(array))
#define CONSTANT(array) (*(const V *)(array))
#define BOTH(mask, yes, no) (((yes) & (mask)) | ((no) & ~(mask)))

/* -1 in the first `count` lanes. */
INLINED V NAME(first_lanes)(int64_t count)
{
    V lane;
    for (int32_t k = 0; k < LANES; k++)
        lane[k] = k;
    return (int32_t)lesser((int32_t)count, (int32_t)LANES) > lane;
}

/* x * factor >> 32 for a factor of 33 bits, split into a mask and its low half */
INLINED V NAME(scaled)(V x, const int32_t *mask, const int32_t *low)
{
    return (x & CONSTANT(mask)) + NAME(mulhi)(x, CONSTANT(low));
}

/* Weights of a slot into the synaptic currents. */
INLINED void NAME(collect)(const struct neurons *all, int32_t *ring)
{
    for (int r = 0; r < 2; r++) {
        const int32_t *inject = all->inject + 3 * r * all->size;
        for (int64_t j = 0; j < all->n; j += LANES) {
            V w = VECTOR(ring + r * all->size + j);
            if (!NAME(bits)(w != 0))
                continue;
            const V over = w > SATURATED;
            VECTOR(all->saturated + j) -= over;
            w = BOTH(over, SATURATED, w) << CONSTANT(inject + SHIFT * all->size + j);
            int32_t *syn = all->state + (j / BLOCK) * FIELDS * BLOCK + (SYN_E + r) * BLOCK + j % BLOCK;
            VECTOR(syn) += NAME(scaled)(w, inject + MASK * all->size + j, inject + LOW * all->size + j);
            VECTOR(ring + r * all->size + j) = (V){0};
        }
    }
}

#include "own_states.h"

/* Membranes, timers and currents of all neurons; those that fire are reset and appended to `out`: how many. */
INLINED int64_t NAME(update)(const struct neurons *all, int32_t *out)
{
    int64_t n = 0;
    for (int64_t j = 0; j < all->n; j += LANES) {
        int32_t *s = all->state + (j / BLOCK) * FIELDS * BLOCK + j % BLOCK;
        const V e = VECTOR(s + SYN_E * BLOCK), i = VECTOR(s + SYN_I * BLOCK), v = VECTOR(s + V_NOW * BLOCK);
        const V timer = VECTOR(s + TIMER * BLOCK), waits = timer > 0;
        const V scale = CONSTANT(s + INPUT_SCALE * BLOCK);
        V input = e - i;
        if (NAME(bits)(scale != ACCUM_ONE))
            input = NAME(kmul)(e, scale) - NAME(kmul)(i, scale);
        const V current = input + CONSTANT(s + I_OFFSET * BLOCK);
        const V alpha = NAME(kmul)(current, CONSTANT(s + RESISTANCE * BLOCK)) + CONSTANT(s + V_REST * BLOCK);
        const V now = BOTH(waits, v, alpha - NAME(kmul)(alpha - v, CONSTANT(s + MEMBRANE_DECAY * BLOCK)));
        VECTOR(s + V_NOW * BLOCK) = now;
        VECTOR(s + TIMER * BLOCK) = timer + waits;
        VECTOR(s + SYN_E * BLOCK) = NAME(scaled)(e, s + DECAY_E_MASK * BLOCK, s + DECAY_E * BLOCK);
        VECTOR(s + SYN_I * BLOCK) = NAME(scaled)(i, s + DECAY_I_MASK * BLOCK, s + DECAY_I * BLOCK);
        for (uint32_t fires = NAME(bits)(now >= CONSTANT(s + V_THRESH * BLOCK)); fires; fires &= fires - 1) {
            const int lane = __builtin_ctz(fires);
            s[V_NOW * BLOCK + lane] = s[V_RESET * BLOCK + lane];
            s[TIMER * BLOCK + lane] = s[REFRACTORY * BLOCK + lane];
            NAME(own_spike)(s + lane);
            out[n++] = (int32_t)j + lane;
        }
    }
    return n;
}

/* Weights of a run onto their way, from the step of this slot on. */
INLINED void NAME(deliver)(const struct run *run, const int32_t *weight, const struct neurons *all, int64_t slot)
{
    HOLDS(run->delay >= 0 && run->delay <= all->slots && run->receptor >= 0 && run->receptor <= 1);
    HOLDS(run->post >= 0 && run->count >= 0 && run->post + run->count <= all->n && run->first >= 0);
    int64_t arrival = slot + run->delay;
    arrival -= arrival >= all->slots ? all->slots : 0;
    int32_t *ring = all->ring + (2 * arrival + run->receptor) * all->size + run->post;
    weight += run->first;
    all->pending[arrival] = 1;
    if (run->count < LANES / 4) {
        for (int32_t k = 0; k < run->count; k++)
            ring[k] = lesser(ring[k] + weight[k], FULLEST);
        return;
    }
    for (int32_t k = 0; k < run->count; k += LANES) {
        const V sum = VECTOR(ring + k) + (CONSTANT(weight + k) & NAME(first_lanes)(run->count - k));
        VECTOR(ring + k) = BOTH(sum > FULLEST, FULLEST, sum);
    }
}

/* Pairs with additive weight dependence: neurons that have not fired since the row's last spike in vectors. */
INLINED void NAME(learn_pairs)(const struct run *run, const struct spike *s, const struct events *e,
                               const int32_t *shifts, int32_t *weights)
{
    const int32_t begin = greater(s->last_time - run->back, 0);
    for (int32_t k = 0; k < run->count; k += LANES) {
        const V inside = NAME(first_lanes)(run->count - k), time = CONSTANT(e->newest_time + run->post + k);
        const V busy = (time > begin) & inside, shift = CONSTANT(shifts + run->post + k);
        const V distance = s->t - run->back - time, beyond = (V)((U)distance > (uint32_t)s->last_step);
        const V faded = NAME(gather)(s->tables[MINUS], BOTH(beyond, s->last_step, distance));
        const V trace = (CONSTANT(e->newest_trace + run->post + k) * faded) >> 11;
        const V before = VECTOR(weights + k), w = before << shift;
        V less = w - NAME(kmul)((V){0} + s->amounts[A_MINUS], trace << 4);
        less = BOTH(less > s->amounts[W_MIN], less, s->amounts[W_MIN]);
        const V after = (BOTH(time >= 0, less, w) >> shift) & 0xffff;
        VECTOR(weights + k) = BOTH(inside & ~busy, after, before);
        for (uint32_t bits = NAME(bits)(busy); bits; bits &= bits - 1) {
            const int32_t at = k + __builtin_ctz(bits);
            learn_one(PAIR_ADDITIVE, s, e, run->post + at, run->back, shifts[run->post + at], weights + at, 0);
        }
    }
}

/* All synapses of a row whose neuron fires at step t. */
INLINED void NAME(row)(const struct network *net, int64_t row, int32_t t, int64_t slot)
{
    const struct neurons *all = &net->neurons;
    const struct rules *r = &net->rules;
    struct row *state = net->rows + row;
    HOLDS(row >= 0 && net->row_start[row] >= 0 && net->row_start[row] <= net->row_start[row + 1]);
    WITHIN(state->rule, r->n);
    const int32_t *tables = r->tables + state->rule * TABLES * r->steps;
    struct spike s = {t, state->time, state->trace, 0, r->kinds[state->rule], (int32_t)r->steps - 1,
                      r->amounts + state->rule * AMOUNTS, {0}};
    for (int k = 0; k < TABLES; k++)
        s.tables[k] = tables + k * r->steps;
    s.slow = slower(state->slow, state->time, t, s.tables[X], s.last_step);
    for (const struct run *run = net->plastic_runs + net->row_start[row];
         run < net->plastic_runs + net->row_start[row + 1]; run++) {
        HOLDS(run->post >= 0 && run->count >= 0 && run->post + run->count <= all->n && run->first >= 0);
        const int32_t *shifts = all->inject + (3 * run->receptor + SHIFT) * all->size;
        if (s.kind == PAIR_ADDITIVE && run->count >= LANES / 4)
            NAME(learn_pairs)(run, &s, &net->events, shifts, net->weight + run->first);
        else
            for (int32_t k = 0; k < run->count; k++)
                learn_one(s.kind, &s, &net->events, run->post + k, run->back, shifts[run->post + k],
                          net->weight + run->first + k, net->eligibility + run->first + k);
        if (run->delay != NEVER)
            NAME(deliver)(run, net->weight, all, slot);
    }
    state->slow = s.slow;
    state->trace = (int16_t)(m16(s.last, look_up(s.tables[PLUS], t - s.last_time, s.last_step)) + 2048);
    state->time = t;
}

static int64_t NAME(steps)(const struct network *net, int64_t t, int64_t n_steps)
{
    const struct neurons *all = &net->neurons;
    int64_t events = 0, slot = t % all->slots;
    for (int64_t step = 0; step < n_steps; step++, slot = slot + 1 == all->slots ? 0 : slot + 1) {
        const int32_t now = (int32_t)(t + step);
        if (net->reset_every && (t + step) % net->reset_every == 0)
            reset(all);
        if (all->pending[slot]) {
            all->pending[slot] = 0;
            NAME(collect)(all, all->ring + 2 * slot * all->size);
        }
        for (int64_t k = 0; k < net->n_recorded; k++) {
            const int64_t j = net->recorded[k], at = step * net->n_recorded + k;
            WITHIN(j, all->n);
            const int32_t *s = all->state + (j / BLOCK) * FIELDS * BLOCK + j % BLOCK;
            net->trace_v[at] = s[V_NOW * BLOCK];
            net->trace_e[at] = s[SYN_E * BLOCK];
            net->trace_i[at] = s[SYN_I * BLOCK];
        }
        const int32_t *fired = net->out_id + events;
        if (all->own_states)
            NAME(own_currents)(all);
        const int64_t n_fired = NAME(update)(all, net->out_id + events);
        for (int64_t k = 0; k < n_fired; k++)
            net->out_step[events++] = (int32_t)step;
        remember_all(net, fired, n_fired, now);
        HOLDS(net->offsets[step] >= 0 && net->offsets[step] <= net->offsets[step + 1]);
        const int32_t *given = net->ids + net->offsets[step];
        const int64_t n_given = net->offsets[step + 1] - net->offsets[step];
#define SPIKE(k) ((k) < n_given ? given[k] : net->n_sources + fired[(k) - n_given])
        for (int64_t k = 0; k < n_given + n_fired; k++) {
            const int64_t spike = SPIKE(k);
            WITHIN(spike, net->n_sources + all->n);
            for (int64_t r = net->static_start[spike]; r < net->static_start[spike + 1]; r++)
                NAME(deliver)(net->static_runs + r, net->static_weight, all, slot);
            for (int64_t row = net->plastic_start[spike]; row < net->plastic_start[spike + 1]; row++)
                NAME(row)(net, row, now, slot);
        }
        for (int64_t k = 0; k < (net->rules.modulate ? n_given + n_fired : 0); k++)
            for (int64_t m = net->modulator_start[SPIKE(k)]; m < net->modulator_start[SPIKE(k) + 1]; m++)
            {
                WITHIN(net->modulated[m], all->n);
                remember(&net->events, &net->rules, net->modulated[m], now, 1, net->amount[m]);
            }
#undef SPIKE
        for (int64_t k = 0; k < (net->n_own ? n_fired : 0); k++)
            for (int64_t e = net->own_start[fired[k]]; e < net->own_start[fired[k] + 1]; e++) {
                remember(&net->events, &net->rules, fired[k], now, 0, 0);
                if (net->own_row[e] >= 0)
                    NAME(row)(net, net->own_row[e], now, slot);
            }
    }
    return events;
}

#undef LANES
#undef VECTOR
#undef CONSTANT
#undef BOTH
#undef NAME
#undef V
#undef U
