/* svm_kernels.py in C: the same names, the same arguments, the same floats.
 *
 * Every lane adds in the order that Python has, and nothing is contracted (-ffp-contract=off), so vectors of any width
 * give the same bits.
 */

#include <stdint.h>

#include "checked.h"

#define LANES 16            /* classes at a time */

typedef float F __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t I __attribute__((vector_size(64), may_alias));

struct rows {               /* samples: what is not zero of each */
    const int64_t *start;
    const void *feature, *value;
    int64_t feature_bytes, value_bytes, features, n;
};

struct machine {            /* a lane is a class against all others */
    const int32_t *own;         /* lane of each sample's class; -1 for none */
    const float *square, *size, *factors;       /* of features' scales, of samples; see svm_kernels.py */
    float *weights, *alpha;
    int64_t lanes;
};

static inline int64_t feature_at(const struct rows *r, int64_t k)
{
    const int64_t at = r->feature_bytes == 2 ? ((const uint16_t *)r->feature)[k] : ((const uint32_t *)r->feature)[k];
    WITHIN(at, r->features);
    return at;
}

static inline float value_at(const struct rows *r, int64_t k)
{
    return r->value_bytes == 2 ? (float)((const uint16_t *)r->value)[k] : ((const float *)r->value)[k];
}

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

int64_t svm_pass(const int64_t *order, int64_t drawn, const int64_t *start, int64_t n, const void *feature,
                 int64_t feature_bytes, const void *value, int64_t value_bytes, const int32_t *own, const float *square,
                 int64_t features, const float *size, const float *factors, int64_t lanes, float *weights, float *alpha,
                 int64_t widest)
{
    const struct rows r = {start, feature, value, feature_bytes, value_bytes, features, n};
    const struct machine m = {own, square, size, factors, weights, alpha, lanes};
    return BEST(pass, &r, &m, order, drawn);
}

int64_t svm_scores(const int64_t *start, int64_t n, const void *feature, int64_t feature_bytes, const void *value,
                   int64_t value_bytes, int64_t features, const float *weights, float *scores, int64_t widest)
{
    const struct rows r = {start, feature, value, feature_bytes, value_bytes, features, n};
    return BEST(scores, &r, weights, scores);
}
