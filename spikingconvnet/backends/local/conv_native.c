/* The convolution of kernels.py in C: the same names, the same arguments, the same integers.
 *
 * setup.py builds this file where there is a C compiler; native.py loads it. It knows nothing of Python. What it
 * relies on is said with HOLDS, which the usual build leaves out. Signed overflow wraps (-fwrapv), as it does on the
 * board.
 */

#include <stdint.h>

#include "checked.h"

const uint32_t source_digest = SOURCE_DIGEST;   /* see native.py */

#define SATURATED 0xffff
#define REST_INTERVAL 8     /* steps between two looks at whether vectors have come to rest */
#define BLOCK 16            /* lanes of the widest vector; rows and lines of weights are padded to it */
#define MOST_LANES 48       /* that run together: a block of maps */
#ifndef CHECKED
#define INLINED static inline __attribute__((always_inline))
#else                       /* the sanitizers take minutes to compile what is put into one function */
#define INLINED static
#endif

/* Places in the factors that conv_stage.py prepares. */
enum { INJECT_E = 0, INJECT_I = 2, DECAY_E = 4, DECAY_I = 6, MEMBRANE = 8, RESISTANCE = 10, V_REST = 12, GAIN = 13,
       V_RESET = 14, REFRACTORY = 15, COMPETES = 16, BOUNDED = 17 };

struct inputs {         /* spikes that reach a row, in the order of their steps */
    int64_t n;
    const int32_t *step, *place, *first, *groups;   /* place: of the weight of group 0's first lane */
};

struct chosen {         /* those of them that reach a group of lanes; place: of the weight of its first lane */
    int64_t n;
    int32_t *step, *place;
};

struct row {
    int64_t lanes, neurons, delay, reset_every, room, events, cut;      /* reset_every: steps, 0 for never */
    int32_t *v, *timer, *syn_e, *syn_i, *ring_e, *ring_i;
    const int32_t *v_thresh, *shift_e, *shift_i, *i_offset, *v_init, *lateral;
    int32_t *out_step, *out_lane, *trace;       /* trace: membranes and both currents by step, or none */
    const int32_t *cell;        /* of each lane, where its spikes are counted instead; or none */
    int32_t *counts;            /* by sample and cell */
    int64_t cells, slot;        /* slot: steps of a sample */
};

INLINED int64_t lesser(int64_t a, int64_t b) { return a < b ? a : b; }
INLINED int64_t greater(int64_t a, int64_t b) { return a > b ? a : b; }

/* Inputs of a group of lanes; without a branch, for which of them reach it is hard to predict. */
INLINED void choose(const struct inputs *in, int64_t group, int64_t lanes, struct chosen *out)
{
    int64_t n = 0;
    for (int64_t k = 0; k < in->n; k++) {
        out->step[n] = in->step[k];
        out->place[n] = in->place[k] + (int32_t)(group * lanes);
        n += (uint32_t)(group - in->first[k]) < (uint32_t)in->groups[k];
    }
    out->n = n;
}

#ifdef __x86_64__
#include <immintrin.h>

#pragma GCC push_options
#pragma GCC target("avx512f")
typedef int32_t V16 __attribute__((vector_size(64), aligned(4), may_alias));
INLINED V16 avx512_mulhi(V16 x, int32_t low)
{
    const __m512i factor = _mm512_set1_epi32(low), a = (__m512i)x;
    const __m512i even = _mm512_mul_epi32(a, factor), odd = _mm512_mul_epi32(_mm512_srli_epi64(a, 32), factor);
    return (V16)_mm512_mask_shuffle_epi32(odd, 0x5555, even, _MM_PERM_DDBB);
}
INLINED V16 avx512_mulhi_positive(V16 x, int32_t low)
{
    const __m512i factor = _mm512_set1_epi32(low), a = (__m512i)x;
    const __m512i even = _mm512_mul_epu32(a, factor), odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), factor);
    return (V16)_mm512_mask_shuffle_epi32(odd, 0x5555, even, _MM_PERM_DDBB);
}
INLINED V16 avx512_positive(V16 x) { return (V16)_mm512_max_epi32((__m512i)x, _mm512_setzero_si512()); }
INLINED uint32_t avx512_reached(V16 v, V16 top) { return _mm512_cmpge_epi32_mask((__m512i)v, (__m512i)top); }
INLINED void avx512_choose(const struct inputs *in, int64_t group, int64_t lanes, struct chosen *out)
{
    const __m512i here = _mm512_set1_epi32((int32_t)group), more = _mm512_set1_epi32((int32_t)(group * lanes));
    out->n = 0;
    for (int64_t k = 0; k < in->n; k += BLOCK) {        /* arrays are longer than `n`; what is there reaches nothing */
        const __m512i far = _mm512_sub_epi32(here, _mm512_loadu_si512(in->first + k));
        const __mmask16 those = _mm512_cmplt_epu32_mask(far, _mm512_loadu_si512(in->groups + k));
        const __m512i place = _mm512_add_epi32(_mm512_loadu_si512(in->place + k), more);
        _mm512_storeu_si512(out->step + out->n, _mm512_maskz_compress_epi32(those, _mm512_loadu_si512(in->step + k)));
        _mm512_storeu_si512(out->place + out->n, _mm512_maskz_compress_epi32(those, place));
        out->n += __builtin_popcount(those);
    }
}
INLINED uint32_t avx512_bits(V16 x) { return _mm512_test_epi32_mask((__m512i)x, (__m512i)x); }
#define V V16
#define NAME(x) avx512_##x
#include "conv_row.h"
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2")
typedef int32_t V8 __attribute__((vector_size(32), aligned(4), may_alias));
INLINED V8 avx2_mulhi(V8 x, int32_t low)
{
    const __m256i factor = _mm256_set1_epi32(low), a = (__m256i)x;
    const __m256i even = _mm256_mul_epi32(a, factor), odd = _mm256_mul_epi32(_mm256_srli_epi64(a, 32), factor);
    return (V8)_mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
}
INLINED V8 avx2_mulhi_positive(V8 x, int32_t low)
{
    const __m256i factor = _mm256_set1_epi32(low), a = (__m256i)x;
    const __m256i even = _mm256_mul_epu32(a, factor), odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), factor);
    return (V8)_mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
}
INLINED V8 avx2_positive(V8 x) { return (V8)_mm256_max_epi32((__m256i)x, _mm256_setzero_si256()); }
INLINED uint32_t avx2_reached(V8 v, V8 top)
{
    return 0xff & ~(uint32_t)_mm256_movemask_ps((__m256)_mm256_cmpgt_epi32((__m256i)top, (__m256i)v));
}
INLINED void avx2_choose(const struct inputs *in, int64_t group, int64_t lanes, struct chosen *out)
{
    choose(in, group, lanes, out);
}
INLINED uint32_t avx2_bits(V8 x)
{
    return 0xff & ~(uint32_t)_mm256_movemask_ps((__m256)_mm256_cmpeq_epi32((__m256i)x, _mm256_setzero_si256()));
}
#define V V8
#define NAME(x) avx2_##x
#include "conv_row.h"
#pragma GCC pop_options
#endif

typedef int32_t V4 __attribute__((vector_size(16), aligned(4), may_alias));
INLINED V4 plain_mulhi(V4 x, int32_t low)
{
    for (int k = 0; k < 4; k++)
        x[k] = (int32_t)(((int64_t)x[k] * low) >> 32);
    return x;
}
INLINED V4 plain_mulhi_positive(V4 x, int32_t low)
{
    for (int k = 0; k < 4; k++)
        x[k] = (int32_t)(((uint64_t)x[k] * (uint32_t)low) >> 32);
    return x;
}
INLINED V4 plain_positive(V4 x) { return x & (x > 0); }
INLINED uint32_t plain_bits(V4 x)
{
    return (x[0] != 0) | (uint32_t)(x[1] != 0) << 1 | (uint32_t)(x[2] != 0) << 2 | (uint32_t)(x[3] != 0) << 3;
}
INLINED uint32_t plain_reached(V4 v, V4 top) { return plain_bits(v >= top); }
INLINED void plain_choose(const struct inputs *in, int64_t group, int64_t lanes, struct chosen *out)
{
    choose(in, group, lanes, out);
}
#define V V4
#define NAME(x) plain_##x
#include "conv_row.h"

typedef int64_t lanes(int64_t, const struct inputs *, struct chosen *, const int32_t *, int64_t, struct row *, int64_t,
                      int64_t, const int32_t *);

/* The widest vectors of this processor; `widest` bytes at most, for tests. */
static lanes *best(int64_t widest)
{
#ifdef __x86_64__
    if (widest >= 64 && __builtin_cpu_supports("avx512f"))
        return avx512_lanes;
    if (widest >= 32 && __builtin_cpu_supports("avx2"))
        return avx2_lanes;
#endif
    (void)widest;
    return plain_lanes;
}

struct column {         /* where the spikes of an input column arrive */
    int32_t first, last;        /* groups of lanes; none if the second is the smaller one */
    int32_t place;              /* of the weight of group 0 in the column's line of weights, and its line */
};

/* Spikes in the window of a row. */
int64_t window_inputs(int64_t n_steps, const int64_t *row_offsets, int64_t top, int64_t height, int64_t kernel_rows)
{
    int64_t n = 0;
    for (const int64_t *offsets = row_offsets + top; n_steps > 0; n_steps--, offsets += height)
        n += offsets[kernel_rows] - offsets[0];
    return n;
}

/* Spikes that reach a row, with the groups of lanes that they reach: step, place, first group, and how many; each of
 * `room` numbers, of which those behind the last spike reach nothing.
 */
int64_t row_inputs(int64_t n_steps, const int64_t *row_offsets, const int16_t *columns, const int16_t *channels,
                   const int16_t *rows_in, int64_t top, int64_t height, int64_t stride, int64_t width, int64_t maps,
                   int64_t pieces, int64_t kernel_rows, int64_t n_columns, int32_t *reach, int32_t *inputs,
                   int64_t room)
{
    HOLDS(top >= 0 && kernel_rows >= 1 && top + kernel_rows <= height && n_columns == (width + pieces) * stride);
    const int64_t line = pieces * maps + 2 * BLOCK, group = maps % BLOCK ? BLOCK : maps;
    struct column *all = (struct column *)reach;
    for (int64_t x = 0; x < n_columns; x++) {
        const int64_t right = x / stride, left = (right - pieces + 1) * maps;
        const int64_t first = greater(left, 0), last = lesser(right + 1, width) * maps - 1;
        all[x].first = (int32_t)(first / group);
        all[x].last = (int32_t)(first <= last ? last / group : first / group - 1);
        all[x].place = (int32_t)((x - right * stride) * line + BLOCK - left);
    }
    int64_t n = 0;
    for (int64_t step = 0; step < n_steps; step++) {
        const int64_t *offsets = row_offsets + step * height + top;
        HOLDS(offsets[0] >= 0 && offsets[0] <= offsets[kernel_rows]);
        for (int64_t s = offsets[0]; s < offsets[kernel_rows]; s++, n++) {
            WITHIN(columns[s], n_columns);
            WITHIN(rows_in[s] - top, kernel_rows);
            HOLDS(channels[s] >= 0);
            WITHIN(n, room);
            const struct column *c = all + columns[s];
            inputs[n] = (int32_t)step;
            inputs[room + n] = (int32_t)((channels[s] * kernel_rows + rows_in[s] - top) * stride * line + c->place);
            inputs[2 * room + n] = c->first;
            inputs[3 * room + n] = c->last - c->first + 1;
        }
    }
    for (int64_t k = n; k < room; k++)
        inputs[3 * room + k] = 0;
    return n;
}

/* Order spikes by step; those of a step stay in their order. */
int64_t sort_by_step(const int32_t *step, const int32_t *lane, int64_t n, int64_t n_steps, int64_t *place,
                     int32_t *sorted_step, int32_t *sorted_lane)
{
    for (int64_t t = 0; t <= n_steps; t++)
        place[t] = 0;
    for (int64_t k = 0; k < n; k++) {
        WITHIN(step[k], n_steps);
        place[step[k] + 1]++;
    }
    for (int64_t t = 0; t < n_steps; t++)
        place[t + 1] += place[t];
    for (int64_t k = 0; k < n; k++) {
        const int64_t at = place[step[k]]++;
        WITHIN(at, n);
        sorted_step[at] = step[k];
        sorted_lane[at] = lane[k];
    }
    return n;
}

int64_t conv_row(int64_t t, int64_t n_steps, int64_t lane, int64_t width, int64_t maps, const int32_t *weights,
                 int32_t *v, int32_t *timer, int32_t *syn_e, int32_t *syn_i, int32_t *ring_e, int32_t *ring_i,
                 int64_t delay, int64_t n_lanes, int64_t reset_every, int64_t *cut, const int32_t *per_lane,
                 const int32_t *factors, const int32_t *inputs, int32_t *chosen, int64_t input_room, int64_t n_inputs,
                 int32_t *out_step, int32_t *out_lane, int64_t room, int64_t *events, int32_t *trace, int64_t traced,
                 const int32_t *cell, int32_t *counts, int64_t cells, int64_t samples, int64_t counted, int64_t widest)
{
    HOLDS(n_lanes % BLOCK == 0 && width * maps <= n_lanes && delay >= 1 && n_inputs + BLOCK <= input_room);
    const int64_t group = maps % BLOCK ? BLOCK : maps;
    HOLDS(!factors[COMPETES] || (group == maps && maps <= MOST_LANES && delay == 1));
    HOLDS(!counted || (samples >= 1 && n_steps % samples == 0));
    const struct inputs in = {n_inputs, inputs, inputs + input_room, inputs + 2 * input_room, inputs + 3 * input_room};
    struct chosen those = {0, chosen, chosen + input_room};
    struct row r = {n_lanes, width * maps, delay, reset_every, room, *events, 0, v, timer, syn_e, syn_i, ring_e, ring_i,
                    per_lane, per_lane + n_lanes, per_lane + 2 * n_lanes, per_lane + 3 * n_lanes, per_lane + 4 * n_lanes,
                    per_lane + 5 * n_lanes, out_step, out_lane, traced ? trace : 0, counted ? cell : 0, counts, cells,
                    counted ? n_steps / samples : 0};
    lane = best(widest)(lane, &in, &those, weights, group, &r, t, n_steps, factors);
    *events = r.events;
    *cut += r.cut;
    return lane;
}

INLINED int64_t neuron_at(const void *neurons, int64_t bytes, int64_t k)
{
    return bytes == 2 ? ((const uint16_t *)neurons)[k] : ((const uint32_t *)neurons)[k];
}

int64_t sort_by_row(int64_t steps, const int64_t *offsets, const void *neurons, int64_t bytes, const int16_t *row_of,
                    const int16_t *column_of, const int16_t *channel_of, int64_t height, int64_t *row_offsets,
                    int16_t *columns, int16_t *channels, int16_t *rows)
{
    int64_t n = 0;
    for (int64_t t = 0; t < steps; t++) {
        int64_t *count = row_offsets + t * height + 1;
        HOLDS(offsets[t] >= 0 && offsets[t] <= offsets[t + 1]);
        for (int64_t s = offsets[t]; s < offsets[t + 1]; s++) {
            const int64_t row = row_of[neuron_at(neurons, bytes, s)];
            HOLDS(row < height);
            if (row >= 0)
                count[row]++;
        }
        for (int64_t row = 0, total; row < height; row++, n = total) {
            total = n + count[row];
            count[row] = n;         /* the next place of this row, and in the end where the next row begins */
        }
        for (int64_t s = offsets[t]; s < offsets[t + 1]; s++) {
            const int64_t neuron = neuron_at(neurons, bytes, s), row = row_of[neuron];
            if (row >= 0) {
                const int64_t at = count[row]++;
                columns[at] = column_of[neuron];
                channels[at] = channel_of[neuron];
                rows[at] = (int16_t)row;
            }
        }
    }
    return n;
}

int64_t count_events(const int32_t *step, const int32_t *lane, int64_t n, int64_t maps, int64_t first_map,
                     int64_t all_maps, int64_t *counts)
{
    for (int64_t s = 0; s < n; s++) {
        const int64_t map = first_map + (uint32_t)lane[s] % (uint32_t)maps;
        HOLDS(step[s] >= 0);
        WITHIN(map, all_maps);
        counts[step[s] * all_maps + map]++;
    }
    return n;
}

int64_t place_events(const int32_t *step, const int32_t *lane, int64_t n, int64_t maps, int64_t first_map,
                     int64_t all_maps, int64_t row, int64_t width, int64_t positions, int64_t *place, void *out,
                     int64_t bytes)
{
    for (int64_t s = 0; s < n; s++) {
        const int64_t map = first_map + (uint32_t)lane[s] % (uint32_t)maps;
        WITHIN(map, all_maps);
        const int64_t at = place[step[s] * all_maps + map]++;
        HOLDS(at >= 0);
        const int64_t neuron = map * positions + row * width + (uint32_t)lane[s] / (uint32_t)maps;
        if (bytes == 2)
            ((uint16_t *)out)[at] = (uint16_t)neuron;
        else
            ((uint32_t *)out)[at] = (uint32_t)neuron;
    }
    return n;
}
