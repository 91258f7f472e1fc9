/* Networks of any wiring, as general_kernels.py runs them, in C: the same arguments, the same integers.
 *
 * setup.py builds this file where there is a C compiler; native.py loads it. It knows nothing of Python. What it
 * relies on is said with HOLDS, which the usual build leaves out. Signed overflow wraps (-fwrapv), as it does on the
 * board. The arrays are described in layout.py, the rules in reference_rules.py.
 */

#include <stdint.h>
#include <string.h>

#include "checked.h"

#ifndef CHECKED
#define INLINED static inline __attribute__((always_inline))
#else
#define INLINED static
#endif

/* Places in the arrays; see layout.py. A test compares all of them with general_kernels.py, by name. */
enum { BLOCK = 16, HISTORY = 16, TRACES = 3, NEVER = 0, SATURATED = 0xffff, FULLEST = 1 << 30, ACCUM_ONE = 1 << 15 };
enum { V_NOW, TIMER, SYN_E, SYN_I, I_OFFSET, RESISTANCE, V_REST, MEMBRANE_DECAY, V_THRESH, DECAY_E_MASK, DECAY_E,
       DECAY_I_MASK, DECAY_I, V_RESET, REFRACTORY, INPUT_SCALE, OFFSET, OWN };
#include "own_states.h"
enum { PAIR_ADDITIVE, PAIR_MULTIPLICATIVE, NEAREST_PAIR_ADDITIVE, NEAREST_PAIR_MULTIPLICATIVE, VOGELS_2011_ADDITIVE,
       PFISTER_TRIPLET_ADDITIVE, MODULATED_PAIR_ADDITIVE, MODULATED_PAIR_MULTIPLICATIVE,
       MODULATED_VOGELS_2011_ADDITIVE };        /* the last three under neuromodulation */
enum { W_MIN, W_MAX, A_PLUS, A_MINUS, A3_PLUS, A3_MINUS, ALPHA, WEIGHT_MIN, WEIGHT_MAX, RELEASE, AMOUNTS };
enum { PLUS, MINUS, X, Y, C, D, TABLES };
enum { SHIFT, MASK, LOW };
enum { SLOW_SHIFT = 2, ELIGIBILITY_SHIFT = 4, DOPAMINE_SHIFT = 2 };

struct neurons {
    int64_t n, size, slots;
    int32_t *state, *saturated, *ring;
    const int32_t *inject, *v_init;
    int64_t *pending, own_states;
};

struct run {            /* synapses to postsynaptic neurons one after another */
    int32_t post, receptor, delay, back, first, count;
};

struct row {            /* of a presynaptic neuron and a plastic projection */
    int32_t time, trace, slow, rule;
};

struct events {         /* of all neurons behind plastic synapses */
    int32_t *times, *traces, *counts, *newest_time, *newest_trace;
};

struct rules {
    const int32_t *rule_of, *kinds, *split, *amounts, *tables;
    int64_t steps;      /* of a table; the last number of each is 0 */
    int64_t modulate;   /* whether any of them is one of neuromodulation */
    int64_t n;
};

struct spike {          /* what one presynaptic spike brings to all synapses of a row */
    int32_t t, last_time, last, slow, kind, last_step;
    const int32_t *amounts, *tables[TABLES];
};

INLINED int32_t lesser(int32_t a, int32_t b) { return a < b ? a : b; }
INLINED int32_t greater(int32_t a, int32_t b) { return a > b ? a : b; }
INLINED int32_t kmul(int32_t a, int32_t b) { return (int32_t)(((int64_t)a * b) >> 15); }
INLINED int32_t m16(int32_t a, int32_t b) { return (a * b) >> 11; }

INLINED int32_t look_up(const int32_t *table, int32_t distance, int32_t last)
{
    return table[(uint32_t)distance < (uint32_t)last ? distance : last];
}

/* A slower trace before the spike at step t. */
INLINED int32_t slower(int32_t trace, int32_t last_time, int32_t t, const int32_t *table, int32_t last)
{
    return last_time ? m16((int16_t)(trace + 2048), look_up(table, (t - last_time) >> SLOW_SHIFT, last)) : 0;
}

INLINED int32_t dopamine_after(int32_t level, int32_t distance, const int32_t *table, int32_t last)
{
    return m16(level, look_up(table, distance >> DOPAMINE_SHIFT, last));
}

/* Append to the history of neuron j its own spike at step t, or a modulator's with an amount of dopamine. */
static void remember(const struct events *e, const struct rules *r, int64_t j, int32_t t, int32_t modulates,
                     int32_t amount)
{
    int32_t *times = e->times + j * HISTORY, *traces = e->traces + j * TRACES * HISTORY, second;
    int32_t at = e->counts[j] - 1;
    WITHIN(at, HISTORY);
    WITHIN(r->rule_of[j], r->n);
    const int32_t rule = r->rule_of[j], distance = t - times[at], last = (int32_t)r->steps - 1;
    const int32_t *tables = r->tables + rule * TABLES * r->steps;
    const int32_t trace = (int16_t)(m16(traces[at], look_up(tables + MINUS * r->steps, distance, last))
                                    + (modulates ? 0 : 2048));
    if (r->kinds[rule] >= MODULATED_PAIR_ADDITIVE)
        second = (int16_t)(dopamine_after(traces[HISTORY + at], distance, tables + D * r->steps, last) + amount);
    else
        second = slower(traces[HISTORY + at], times[at], t, tables + Y * r->steps, last);
    if (at == HISTORY - 1) {
        memmove(times + 1, times + 2, (HISTORY - 2) * sizeof *times);
        for (int k = 0; k < TRACES; k++)
            memmove(traces + k * HISTORY + 1, traces + k * HISTORY + 2, (HISTORY - 2) * sizeof *traces);
    } else {
        e->counts[j]++;
        at++;
    }
    times[at] = e->newest_time[j] = t;
    traces[at] = e->newest_trace[j] = trace;
    traces[HISTORY + at] = second;
    traces[2 * HISTORY + at] = modulates;
}

INLINED int32_t potentiated(const struct spike *s, int32_t w, int32_t trace)
{
    return lesser(w + kmul(s->amounts[A_PLUS], trace << 4), s->amounts[W_MAX]);
}

INLINED int32_t depressed(const struct spike *s, int32_t w, int32_t trace)
{
    return greater(w - kmul(s->amounts[A_MINUS], trace << 4), s->amounts[W_MIN]);
}

/* The same in proportion to the way to the bound. */
INLINED int32_t drawn_up(const struct spike *s, int32_t w, int32_t trace)
{
    return w + kmul(kmul(s->amounts[W_MAX] - w, s->amounts[A_PLUS]), trace << 4);
}

INLINED int32_t drawn_down(const struct spike *s, int32_t w, int32_t trace)
{
    return w - kmul(kmul(w - s->amounts[W_MIN], s->amounts[A_MINUS]), trace << 4);
}

/* The trace of the presynaptic spike before, when a postsynaptic one arrives. */
INLINED int32_t pair(const struct spike *s, int32_t arrival)
{
    return m16(s->last, look_up(s->tables[PLUS], arrival - s->last_time, s->last_step));
}

/* What is left of the presynaptic spike before, if no postsynaptic one came between. */
INLINED int32_t nearest(const struct spike *s, int32_t previous, int32_t arrival)
{
    return previous <= s->last_time ? look_up(s->tables[PLUS], arrival - s->last_time, s->last_step) : 0;
}

/* Weight and eligibility after some steps under dopamine. */
INLINED int32_t released(const struct spike *s, int32_t w, int32_t *eligibility, int32_t dopamine, int32_t distance)
{
    const int32_t decay = look_up(s->tables[C], distance >> ELIGIBILITY_SHIFT, s->last_step);
    const int32_t both = (int16_t)(dopamine_after(decay, distance, s->tables[D], s->last_step) - 2048);
    w += kmul(kmul(kmul(*eligibility, s->amounts[RELEASE]), dopamine << 4), both << 4);
    *eligibility = kmul(*eligibility, decay << 4);
    return w;
}

/* Change one synapse onto neuron j; events first .. stop - 1 are those since the last presynaptic spike. */
INLINED void learn_one(int32_t kind, const struct spike *s, const struct events *e, int64_t j, int32_t delay,
                       int32_t shift, int32_t *weight, int32_t *eligibility)
{
    const int32_t *times = e->times + j * HISTORY, *traces = e->traces + j * TRACES * HISTORY;
    const int32_t *slow = traces + HISTORY, *modulates = slow + HISTORY, *a = s->amounts, count = e->counts[j];
    const int32_t begin = greater(s->last_time - delay, 0), end = greater(s->t - delay, 0);
    int32_t first = count, stop = count, w = *weight << shift;
    HOLDS(count >= 1 && count <= HISTORY);
    while (first > 1 && times[first - 1] > begin)
        first--;
    while (stop > first && times[stop - 1] > end)
        stop--;
    const int real = stop > 1;
    const int32_t faded = look_up(s->tables[MINUS], s->t - delay - times[stop - 1], s->last_step);
    const int32_t newest = m16(traces[stop - 1], faded);
    switch (kind) {
    case PAIR_ADDITIVE:
        for (int32_t h = first; h < stop; h++)
            w = potentiated(s, w, pair(s, times[h] + delay));
        w = real ? depressed(s, w, newest) : w;
        break;
    case PAIR_MULTIPLICATIVE:
        for (int32_t h = first; h < stop; h++)
            w = drawn_up(s, w, pair(s, times[h] + delay));
        w = real ? drawn_down(s, w, newest) : w;
        break;
    case NEAREST_PAIR_ADDITIVE:
        for (int32_t h = first; h < stop; h++)
            w = potentiated(s, w, nearest(s, times[h - 1], times[h] + delay));
        w = real ? depressed(s, w, faded) : w;
        break;
    case NEAREST_PAIR_MULTIPLICATIVE:
        for (int32_t h = first; h < stop; h++)
            w = drawn_up(s, w, nearest(s, times[h - 1], times[h] + delay));
        w = real ? drawn_down(s, w, faded) : w;
        break;
    case VOGELS_2011_ADDITIVE:
        for (int32_t h = first; h < stop; h++)
            w = potentiated(s, w, pair(s, times[h] + delay));
        w = real ? potentiated(s, w, newest - a[ALPHA]) : w;
        break;
    case PFISTER_TRIPLET_ADDITIVE:
        for (int32_t h = first; h < stop; h++) {
            const int32_t p = pair(s, times[h] + delay);
            w = potentiated(s, w + kmul(a[A3_PLUS], m16(p, slow[h]) << 4), p);
        }
        w = real ? depressed(s, w - kmul(a[A3_MINUS], m16(newest, s->slow) << 4), newest) : w;
        break;
    default: {          /* under neuromodulation; the slower traces are dopamine */
        int32_t since = s->last_time, trace = *eligibility << shift;
        int32_t dopamine = dopamine_after(slow[first - 1], since - times[first - 1], s->tables[D], s->last_step);
        for (int32_t h = first; h < stop; h++) {
            const int32_t arrival = times[h] + delay;
            w = released(s, w, &trace, dopamine, arrival - since);
            if (!modulates[h + count - stop])
                trace = kind == MODULATED_PAIR_MULTIPLICATIVE ? drawn_up(s, trace, pair(s, arrival))
                                                              : potentiated(s, trace, pair(s, arrival));
            dopamine = slow[h];
            since = arrival;
        }
        if (real) {
            w = released(s, w, &trace, dopamine, s->t - since);
            trace = kind == MODULATED_PAIR_MULTIPLICATIVE ? drawn_down(s, trace, newest)
                  : kind == MODULATED_VOGELS_2011_ADDITIVE ? potentiated(s, trace, newest - a[ALPHA])
                                                           : depressed(s, trace, newest);
        }
        w = lesser(greater(w, a[WEIGHT_MIN]), a[WEIGHT_MAX]);
        *eligibility = (trace >> shift) & 0xffff;
    }
    }
    *weight = (w >> shift) & 0xffff;
}

struct network {
    struct neurons neurons;
    struct events events;
    struct rules rules;
    const int64_t *static_start, *plastic_start, *row_start, *modulator_start, *own_start;
    const struct run *static_runs, *plastic_runs;
    const int32_t *static_weight, *modulated, *amount, *own_row;
    struct row *rows;
    int32_t *weight, *eligibility;
    int64_t n_own, n_sources, n_recorded;      /* 0 own ones: no neurons are on split cores */
    int64_t reset_every;        /* steps, 0 for never */
    const int64_t *recorded, *offsets;
    int32_t *trace_v, *trace_e, *trace_i;
    const int32_t *ids;
    int32_t *out_step, *out_id;
};

/* Append spikes of neurons that share a core with their synapses to their histories. */
static void remember_all(const struct network *net, const int32_t *fired, int64_t n, int32_t t)
{
    const struct rules *r = &net->rules;
    for (int64_t k = 0; k < n; k++) {
        WITHIN(fired[k], net->neurons.n);
        HOLDS(r->rule_of[fired[k]] < r->n);
        if (r->rule_of[fired[k]] >= 0 && !r->split[r->rule_of[fired[k]]])
            remember(&net->events, r, fired[k], t, 0, 0);
    }
}

/* Everything as it was before the first step; nothing learns here. */
static void reset(const struct neurons *all)
{
    for (int64_t block = 0; block * BLOCK < all->n; block++) {
        int32_t *s = all->state + block * FIELDS * BLOCK;
        memcpy(s + V_NOW * BLOCK, all->v_init + block * BLOCK, BLOCK * sizeof *s);
        for (int field = TIMER; field <= SYN_I; field++)
            memset(s + field * BLOCK, 0, BLOCK * sizeof *s);
    }
    for (int64_t slot = 0; slot < all->slots; slot++)
        if (all->pending[slot]) {
            memset(all->ring + 2 * slot * all->size, 0, 2 * all->size * sizeof *all->ring);
            all->pending[slot] = 0;
        }
}

#ifdef __x86_64__
#include <immintrin.h>

#pragma GCC push_options
#pragma GCC target("avx512f")
typedef int32_t W16 __attribute__((vector_size(64), aligned(4), may_alias));
typedef uint32_t U16 __attribute__((vector_size(64)));
INLINED W16 g512_mulhi(W16 x, W16 y)
{
    const __m512i a = (__m512i)x, b = (__m512i)y;
    const __m512i even = _mm512_mul_epi32(a, b);
    const __m512i odd = _mm512_mul_epi32(_mm512_srli_epi64(a, 32), _mm512_srli_epi64(b, 32));
    return (W16)_mm512_mask_shuffle_epi32(odd, 0x5555, even, _MM_PERM_DDBB);
}
INLINED W16 g512_kmul(W16 x, W16 y)
{
    const __m512i a = (__m512i)x, b = (__m512i)y;
    const __m512i even = _mm512_mul_epi32(a, b);
    const __m512i odd = _mm512_mul_epi32(_mm512_srli_epi64(a, 32), _mm512_srli_epi64(b, 32));
    return (W16)_mm512_mask_mov_epi32(_mm512_srli_epi64(even, 15), 0xaaaa, _mm512_slli_epi64(odd, 17));
}
INLINED W16 g512_gather(const int32_t *table, W16 index) { return (W16)_mm512_i32gather_epi32((__m512i)index, table, 4); }
INLINED uint32_t g512_bits(W16 x) { return _mm512_test_epi32_mask((__m512i)x, (__m512i)x); }
#define V W16
#define U U16
#define NAME(x) g512_##x
#include "general_steps.h"
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2")
typedef int32_t W8 __attribute__((vector_size(32), aligned(4), may_alias));
typedef uint32_t U8 __attribute__((vector_size(32)));
INLINED W8 g256_mulhi(W8 x, W8 y)
{
    const __m256i a = (__m256i)x, b = (__m256i)y;
    const __m256i even = _mm256_mul_epi32(a, b);
    const __m256i odd = _mm256_mul_epi32(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(b, 32));
    return (W8)_mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
}
INLINED W8 g256_kmul(W8 x, W8 y)
{
    const __m256i a = (__m256i)x, b = (__m256i)y;
    const __m256i even = _mm256_mul_epi32(a, b);
    const __m256i odd = _mm256_mul_epi32(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(b, 32));
    return (W8)_mm256_blend_epi32(_mm256_srli_epi64(even, 15), _mm256_slli_epi64(odd, 17), 0xaa);
}
INLINED W8 g256_gather(const int32_t *table, W8 index) { return (W8)_mm256_i32gather_epi32(table, (__m256i)index, 4); }
INLINED uint32_t g256_bits(W8 x) { return (uint32_t)_mm256_movemask_ps((__m256)x); }
#define V W8
#define U U8
#define NAME(x) g256_##x
#include "general_steps.h"
#pragma GCC pop_options
#endif

typedef int32_t W4 __attribute__((vector_size(16), aligned(4), may_alias));
typedef uint32_t U4 __attribute__((vector_size(16)));
INLINED W4 g128_mulhi(W4 x, W4 y)
{
    for (int k = 0; k < 4; k++)
        x[k] = (int32_t)(((int64_t)x[k] * y[k]) >> 32);
    return x;
}
INLINED W4 g128_kmul(W4 x, W4 y)
{
    for (int k = 0; k < 4; k++)
        x[k] = kmul(x[k], y[k]);
    return x;
}
INLINED W4 g128_gather(const int32_t *table, W4 index)
{
    return (W4){table[index[0]], table[index[1]], table[index[2]], table[index[3]]};
}
INLINED uint32_t g128_bits(W4 x)
{
    return (x[0] != 0) | (uint32_t)(x[1] != 0) << 1 | (uint32_t)(x[2] != 0) << 2 | (uint32_t)(x[3] != 0) << 3;
}
#define V W4
#define U U4
#define NAME(x) g128_##x
#include "general_steps.h"

int64_t general_steps(int64_t t, int64_t n_steps, int64_t n, int64_t n_sources, int64_t size, int64_t slots,
                      int32_t *state, int32_t *inject, int32_t *v_init, int32_t *saturated, int32_t *ring,
                      int64_t *pending, int64_t own_states, int64_t *static_start, int32_t *static_runs, int32_t *static_weight,
                      int64_t *plastic_start, int64_t *row_start, int32_t *row_state, int32_t *plastic_runs,
                      int32_t *weight, int32_t *eligibility,
                      int64_t *modulator_start, int32_t *modulator_post, int32_t *modulator_amount,
                      int64_t *own_start, int32_t *own_row, int64_t n_own,
                      int32_t *rule_of, int32_t *kinds, int32_t *split, int32_t *amounts, int32_t *tables, int64_t table_steps,
                      int64_t n_rules,
                      int32_t *times, int32_t *traces, int32_t *counts, int32_t *newest,
                      int64_t *recorded_ids, int32_t *recorded_v, int32_t *recorded_gsyn_exc,
                      int32_t *recorded_gsyn_inh, int64_t n_recorded,
                      int64_t *offsets, int32_t *ids, int32_t *out_step, int32_t *out_id, int64_t reset_every,
                      int64_t widest)
{
    HOLDS(n >= 0 && n + BLOCK <= size && slots >= 2 && table_steps >= 1);
    int64_t modulate = 0;
    for (int64_t rule = 0; rule < n_rules; rule++)
        modulate |= kinds[rule] >= MODULATED_PAIR_ADDITIVE;
    const struct network net = {
        {n, size, slots, state, saturated, ring, inject, v_init, pending, own_states},
        {times, traces, counts, newest, newest + size},
        {rule_of, kinds, split, amounts, tables, table_steps, modulate, n_rules},
        static_start, plastic_start, row_start, modulator_start, own_start,
        (const struct run *)static_runs, (const struct run *)plastic_runs,
        static_weight, modulator_post, modulator_amount, own_row, (struct row *)row_state, weight, eligibility,
        n_own, n_sources, n_recorded, reset_every, recorded_ids, offsets,
        recorded_v, recorded_gsyn_exc, recorded_gsyn_inh, ids, out_step, out_id};
#ifdef __x86_64__
    if (widest >= 64 && __builtin_cpu_supports("avx512f"))
        return g512_steps(&net, t, n_steps);
    if (widest >= 32 && __builtin_cpu_supports("avx2"))
        return g256_steps(&net, t, n_steps);
#endif
    (void)widest;
    return g128_steps(&net, t, n_steps);
}
