/* The convolution of kernels.py in C: the same names, the same arguments, the same integers.
 *
 * setup.py builds this file where there is a C compiler; native.py loads it. It knows nothing of Python and checks
 * nothing. Signed overflow wraps (-fwrapv), as it does on the board.
 */

#include <stdint.h>

#define SATURATED 0xffff
#define INLINED static inline __attribute__((always_inline))

/* Places in the arrays that simulator.py prepares. */
enum { INJECT_E = 0, INJECT_I = 2, DECAY_E = 4, DECAY_I = 6, MEMBRANE = 8, RESISTANCE = 10, V_REST = 12, GAIN = 13,
       V_RESET = 14, REFRACTORY = 15, I_OFFSET = 16 };
enum { LEFT, AT_REST, CUT, BUSY };

struct input {          /* spikes sorted by step and row */
    const int64_t *row_offsets;
    const int16_t *columns, *channels, *rows;
};

struct window {         /* the part of the input that a row sees, and its kernels */
    int64_t top, height, stride, width, maps, kernel_rows, pieces;
    const int32_t *kernels;
};

struct row {
    int64_t lanes, delay, room, events;
    int32_t *v, *timer, *syn_e, *syn_i, *ring_e, *ring_i;
    const int32_t *v_thresh, *shift_e, *shift_i;
    int64_t *spans, *flags;
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
INLINED uint32_t avx512_bits(V16 x) { return _mm512_test_epi32_mask((__m512i)x, (__m512i)x); }
INLINED int avx512_any(V16 x) { return avx512_bits(x) != 0; }
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
INLINED uint32_t avx2_bits(V8 x) { return (uint32_t)_mm256_movemask_ps((__m256)x); }
INLINED int avx2_any(V8 x) { return !_mm256_testz_si256((__m256i)x, (__m256i)x); }
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
INLINED uint32_t plain_bits(V4 x)
{
    return (x[0] != 0) | (uint32_t)(x[1] != 0) << 1 | (uint32_t)(x[2] != 0) << 2 | (uint32_t)(x[3] != 0) << 3;
}
INLINED int plain_any(V4 x) { return (x[0] | x[1] | x[2] | x[3]) != 0; }
#define V V4
#define NAME(x) plain_##x
#include "conv_row.h"

typedef int64_t steps(int64_t, int64_t, int64_t, const struct input *, const struct window *, struct row *,
                      const int32_t *);

/* The widest vectors of this processor; `widest` bytes at most, for tests. */
static steps *best(int64_t widest)
{
#ifdef __x86_64__
    if (widest >= 64 && __builtin_cpu_supports("avx512f"))
        return avx512_steps;
    if (widest >= 32 && __builtin_cpu_supports("avx2"))
        return avx2_steps;
#endif
    (void)widest;
    return plain_steps;
}

int64_t conv_row(int64_t t, int64_t step, int64_t last, const int64_t *row_offsets, const int16_t *columns,
                 const int16_t *channels, const int16_t *rows_in, int64_t top, int64_t height, int64_t stride,
                 int64_t width, int64_t maps, const int32_t *kernels, int64_t kernel_rows, int64_t pieces, int32_t *v,
                 int32_t *timer, int32_t *syn_e, int32_t *syn_i, int32_t *ring_e, int32_t *ring_i, int64_t delay,
                 int64_t lanes, int64_t *spans, int64_t *flags, const int32_t *per_lane, const int32_t *factors,
                 int32_t *out_step, int32_t *out_lane, int64_t room, int64_t *events, int64_t widest)
{
    const struct input in = {row_offsets, columns, channels, rows_in};
    const struct window w = {top, height, stride, width, maps, kernel_rows, pieces, kernels};
    struct row r = {lanes, delay, room, *events, v, timer, syn_e, syn_i, ring_e, ring_i, per_lane, per_lane + lanes,
                    per_lane + 2 * lanes, spans, flags, out_step, out_lane};
    step = best(widest)(t, step, last, &in, &w, &r, factors);
    *events = r.events;
    return step;
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
        for (int64_t s = offsets[t]; s < offsets[t + 1]; s++) {
            const int64_t row = row_of[neuron_at(neurons, bytes, s)];
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
    for (int64_t s = 0; s < n; s++)
        counts[step[s] * all_maps + first_map + (uint32_t)lane[s] % (uint32_t)maps]++;
    return n;
}

int64_t place_events(const int32_t *step, const int32_t *lane, int64_t n, int64_t maps, int64_t first_map,
                     int64_t all_maps, int64_t row, int64_t width, int64_t positions, int64_t *place, void *out,
                     int64_t bytes)
{
    for (int64_t s = 0; s < n; s++) {
        const int64_t map = first_map + (uint32_t)lane[s] % (uint32_t)maps;
        const int64_t at = place[step[s] * all_maps + map]++;
        const int64_t neuron = map * positions + row * width + (uint32_t)lane[s] / (uint32_t)maps;
        if (bytes == 2)
            ((uint16_t *)out)[at] = (uint16_t)neuron;
        else
            ((uint32_t *)out)[at] = (uint32_t)neuron;
    }
    return n;
}
