/* svm_kernels.py in C: the same names, the same arguments, the same floats.
 *
 * Sums have the order that Python has, and nothing is contracted (-ffp-contract=off), so vectors of any width give the
 * same bits.
 */

#include <stdint.h>

#include "checked.h"

#define STRIPES 16
#define DOTS 2
#define AT_ONCE 4           /* machines that score a sample together */
#ifndef CHECKED
#define INLINED static inline __attribute__((always_inline))
#else
#define INLINED static
#endif

typedef float F __attribute__((vector_size(64), aligned(4), may_alias));

struct samples {
    const void *value;
    int64_t bytes, n, width;
};

struct group {              /* of machines, each of which is a class against all others */
    const int32_t *own;
    const float *square, *size, *factors;
    uint8_t *active;
    float *weights, *alpha, *x;
    int64_t machines;
};

#ifdef __x86_64__
#pragma GCC push_options
#pragma GCC target("avx512f")
#define NAME(x) avx512_##x
#include "svm_rows.h"
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2")
#define NAME(x) avx2_##x
#include "svm_rows.h"
#pragma GCC pop_options
#endif

#define NAME(x) plain_##x
#include "svm_rows.h"

/* Functions for the widest vectors of this processor; `widest` bytes at most, for tests. */
#ifdef __x86_64__
#define BEST(name, ...) \
    (widest >= 64 && __builtin_cpu_supports("avx512f") ? avx512_##name(__VA_ARGS__) \
     : widest >= 32 && __builtin_cpu_supports("avx2") ? avx2_##name(__VA_ARGS__) : plain_##name(__VA_ARGS__))
#else
#define BEST(name, ...) ((void)widest, plain_##name(__VA_ARGS__))
#endif

int64_t svm_pass(const int64_t *order, int64_t drawn, const void *value, int64_t bytes, int64_t n, int64_t width,
                 const int32_t *own, const float *square, const float *size, const float *factors, uint8_t *active,
                 int64_t machines, float *weights, float *alpha, float *x, int64_t widest)
{
    const struct samples s = {value, bytes, n, width};
    const struct group m = {own, square, size, factors, active, weights, alpha, x, machines};
    return BEST(pass, &s, &m, order, drawn);
}

int64_t svm_look(const void *value, int64_t bytes, int64_t n, int64_t width, const int32_t *own, const float *factors,
                 uint8_t *active, int64_t machines, float *weights, float *alpha, float *x, double *slacks,
                 int64_t widest)
{
    const struct samples s = {value, bytes, n, width};
    const struct group m = {own, 0, 0, factors, active, weights, alpha, x, machines};
    return BEST(look, &s, &m, slacks);
}
