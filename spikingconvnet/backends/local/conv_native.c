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
#define REST_INTERVAL 4     /* steps between two looks at whether vectors have come to rest */
#define BLOCK 16            /* lanes of the widest vector; rows and lines of weights are padded to it */
#define MOST_LANES 48       /* that run together: a block of maps */
#ifndef CHECKED
#define INLINED static inline __attribute__((always_inline))
#else                       /* the sanitizers take minutes to compile what is put into one function */
#define INLINED static
#endif

/* Places in the factors that conv_stage.py prepares. */
enum { INJECT_E = 0, INJECT_I = 2, DECAY_E = 4, DECAY_I = 6, MEMBRANE = 8, RESISTANCE = 10, V_REST = 12, GAIN = 13,
       V_RESET = 14, REFRACTORY = 15, COMPETES = 16 };

struct inputs {         /* spikes that reach a row, by group of lanes and in the order of their steps */
    int64_t *start;
    int32_t *step, *place;      /* place: of the weight of the group's first lane */
};

struct window {         /* the part of the input that a row sees, its kernels, and how its lanes are grouped */
    int64_t top, height, stride, width, maps, kernel_rows, pieces, group;
    const int32_t *weights;
};

struct row {
    int64_t lanes, neurons, delay, reset_every, room, events, cut;      /* reset_every: steps, 0 for never */
    int32_t *v, *timer, *syn_e, *syn_i, *ring_e, *ring_i;
    const int32_t *v_thresh, *shift_e, *shift_i, *i_offset, *v_init, *lateral;
    int32_t *out_step, *out_lane;
};

INLINED int64_t lesser(int64_t a, int64_t b) { return a < b ? a : b; }
INLINED int64_t greater(int64_t a, int64_t b) { return a > b ? a : b; }

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
INLINED V16 avx512_magnitude(V16 x) { return (V16)_mm512_abs_epi32((__m512i)x); }
INLINED V16 avx512_half(V16 x) { return (V16)_mm512_srli_epi32((__m512i)x, 1); }
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
INLINED V8 avx2_magnitude(V8 x) { return (V8)_mm256_abs_epi32((__m256i)x); }
INLINED V8 avx2_half(V8 x) { return (V8)_mm256_srli_epi32((__m256i)x, 1); }
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
INLINED V4 plain_magnitude(V4 x) { return (x ^ (x >> 31)) - (x >> 31); }
INLINED V4 plain_half(V4 x)
{
    for (int k = 0; k < 4; k++)
        x[k] = (int32_t)((uint32_t)x[k] >> 1);
    return x;
}
INLINED uint32_t plain_bits(V4 x)
{
    return (x[0] != 0) | (uint32_t)(x[1] != 0) << 1 | (uint32_t)(x[2] != 0) << 2 | (uint32_t)(x[3] != 0) << 3;
}
#define V V4
#define NAME(x) plain_##x
#include "conv_row.h"

typedef int64_t lanes(int64_t, const struct inputs *, const struct window *, struct row *, int64_t, int64_t,
                      const int32_t *);

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

/* Inputs of a row by group of lanes, in the order of their steps. */
static void group_inputs(const int64_t *row_offsets, const int16_t *columns, const int16_t *channels,
                         const int16_t *rows_in, const struct window *w, int64_t n_steps, int64_t n_columns,
                         int64_t n_groups, struct inputs *in, struct column *reach, int64_t *count)
{
    const int64_t line = w->pieces * w->maps + 2 * BLOCK;
    for (int64_t x = 0; x < n_columns; x++) {
        const int64_t right = x / w->stride, left = (right - w->pieces + 1) * w->maps;
        const int64_t first = greater(left, 0), last = lesser(right + 1, w->width) * w->maps - 1;
        reach[x].first = (int32_t)(first / w->group);
        reach[x].last = (int32_t)(first <= last ? last / w->group : first / w->group - 1);
        reach[x].place = (int32_t)((x - right * w->stride) * line + BLOCK - left);
        count[x] = 0;
    }
    for (int64_t step = 0; step < n_steps; step++) {
        const int64_t *offsets = row_offsets + step * w->height + w->top;
        HOLDS(offsets[0] >= 0 && offsets[0] <= offsets[w->kernel_rows]);
        for (int64_t s = offsets[0]; s < offsets[w->kernel_rows]; s++) {
            WITHIN(columns[s], n_columns);
            count[columns[s]]++;
        }
    }
    for (int64_t g = 0; g <= n_groups; g++)
        in->start[g] = 0;
    for (int64_t x = 0; x < n_columns; x++)
        for (int64_t g = reach[x].first; g <= reach[x].last; g++) {
            WITHIN(g, n_groups);
            in->start[g + 1] += count[x];
        }
    for (int64_t g = 0; g < n_groups; g++)
        in->start[g + 1] += in->start[g];
    for (int64_t step = 0; step < n_steps; step++) {
        const int64_t *offsets = row_offsets + step * w->height + w->top;
        for (int64_t s = offsets[0]; s < offsets[w->kernel_rows]; s++) {
            WITHIN(rows_in[s] - w->top, w->kernel_rows);
            HOLDS(channels[s] >= 0);
            const struct column *c = reach + columns[s];
            const int64_t row = (channels[s] * w->kernel_rows + rows_in[s] - w->top) * w->stride * line + c->place;
            for (int64_t g = c->first; g <= c->last; g++) {
                const int64_t at = in->start[g]++;
                WITHIN(at, in->start[n_groups]);
                in->step[at] = (int32_t)step;
                in->place[at] = (int32_t)(row + g * w->group);
            }
        }
    }
    for (int64_t g = n_groups; g > 0; g--)      /* writing has moved every start to the next one */
        in->start[g] = in->start[g - 1];
    in->start[0] = 0;
}

/* Spikes in the window of a row. */
int64_t window_inputs(int64_t n_steps, const int64_t *row_offsets, int64_t top, int64_t height, int64_t kernel_rows)
{
    int64_t n = 0;
    for (const int64_t *offsets = row_offsets + top; n_steps > 0; n_steps--, offsets += height)
        n += offsets[kernel_rows] - offsets[0];
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

int64_t conv_row(int64_t t, int64_t n_steps, int64_t lane, const int64_t *row_offsets, const int16_t *columns,
                 const int16_t *channels, const int16_t *rows_in, int64_t top, int64_t height, int64_t stride,
                 int64_t width, int64_t maps, int64_t pieces, const int32_t *weights, int64_t kernel_rows, int32_t *v,
                 int32_t *timer, int32_t *syn_e, int32_t *syn_i, int32_t *ring_e, int32_t *ring_i, int64_t delay,
                 int64_t n_lanes, int64_t reset_every, int64_t *cut, const int32_t *per_lane, const int32_t *factors, int64_t *start,
                 int32_t *in_step, int32_t *in_place, int64_t n_columns, int32_t *reach, int64_t *count,
                 int32_t *out_step, int32_t *out_lane, int64_t room, int64_t *events, int64_t grouped, int64_t widest)
{
    HOLDS(top >= 0 && kernel_rows >= 1 && top + kernel_rows <= height && n_columns == (width + pieces) * stride);
    HOLDS(n_lanes % BLOCK == 0 && width * maps <= n_lanes && delay >= 1);
    const int64_t group = maps % BLOCK ? BLOCK : maps;
    HOLDS(!factors[COMPETES] || (group == maps && maps <= MOST_LANES && delay == 1));
    const struct window w = {top, height, stride, width, maps, kernel_rows, pieces, group, weights};
    struct inputs in = {start, in_step, in_place};
    struct row r = {n_lanes, width * maps, delay, reset_every, room, *events, 0, v, timer, syn_e, syn_i, ring_e, ring_i,
                    per_lane, per_lane + n_lanes, per_lane + 2 * n_lanes, per_lane + 3 * n_lanes, per_lane + 4 * n_lanes,
                    per_lane + 5 * n_lanes, out_step, out_lane};
    if (!grouped)
        group_inputs(row_offsets, columns, channels, rows_in, &w, n_steps, n_columns, n_lanes / group, &in,
                     (struct column *)reach, count);
    lane = best(widest)(lane, &in, &w, &r, t, n_steps, factors);
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
