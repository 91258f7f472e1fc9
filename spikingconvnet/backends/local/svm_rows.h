/* What svm_native.c compiles for vectors of several widths. */

/* A sample as floats, while the processor fetches the one behind it. */
static inline void NAME(read)(const struct samples *s, int64_t i, int64_t next, float *x)
{
    const int64_t size = s->width * s->bytes;
    const char *line = (const char *)s->value + next * size;
#define EACH(type) \
    for (int64_t f = 0; f < s->width; f++) \
        x[f] = ((const type *)s->value)[i * s->width + f]
    WITHIN(i, s->n);
    HOLDS(s->width % (DOTS * STRIPES) == 0);
    if (s->bytes == 1)
        EACH(uint8_t);
    else if (s->bytes == 2)
        EACH(uint16_t);
    else
        EACH(float);
#undef EACH
    for (int64_t at = 0; at < size; at += 64)
        __builtin_prefetch(line + at);
}

/* Scores of a sample by `many` machines: each has several vectors of sums, so that none waits for the last addition. */
INLINED void NAME(score)(const float *x, const float *weights, int64_t width, int many, float *score)
{
    F sum[AT_ONCE][DOTS] = {{{0}}};
    for (int64_t first = 0; first < width; first += DOTS * STRIPES)
        for (int dot = 0; dot < DOTS; dot++)
            for (int k = 0; k < many; k++) {
                const int64_t at = first + dot * STRIPES;
                sum[k][dot] += *(const F *)(x + at) * *(const F *)(weights + k * width + at);
            }
    for (int k = 0; k < many; k++) {
        float total[STRIPES];
        *(F *)total = sum[k][0] + sum[k][1];
#define FOLD(half) \
        for (int stripe = 0; stripe < half; stripe++) \
            total[stripe] += total[stripe + half]
        FOLD(8);
        FOLD(4);
        FOLD(2);
        FOLD(1);
#undef FOLD
        score[k] = total[0];
    }
}

static int64_t NAME(pass)(const struct samples *s, const struct group *m, const int64_t *order, int64_t drawn)
{
    const float strength = m->factors[0], half = m->factors[1], *square = m->square;
    const int64_t width = s->width;
    float *x = m->x;
    int64_t changed = 0;
    for (int64_t k = 0; k < drawn; k++) {
        const int64_t i = order[k];
        NAME(read)(s, i, order[k + 1 < drawn ? k + 1 : k], x);
        for (int64_t machine = 0; machine < m->machines; machine++) {
            const int64_t at = i * m->machines + machine;
            if (!m->active[at])
                continue;
            float *weights = m->weights + machine * width, score, after;
            const float side = m->own[i] == machine ? 1.0f : -1.0f, before = m->alpha[at];
            NAME(score)(x, weights, width, 1, &score);
            after = before - (side * (score * strength) - 1.0f + before * half) / (m->size[i] * strength + half);
            after = after > 0.0f ? after : 0.0f;
            if (after == before)
                continue;
            const float step = (after - before) * side;
            m->alpha[at] = after;
            changed++;
            for (int64_t f = 0; f < width; f += STRIPES)
                *(F *)(weights + f) += step * (*(const F *)(square + f) * *(const F *)(x + f));
        }
    }
    return changed;
}

static int64_t NAME(look)(const struct samples *s, const struct group *m, double *slacks)
{
    int64_t number = 0, many;
    for (int64_t i = 0; i < s->n; i++) {
        NAME(read)(s, i, i + 1 < s->n ? i + 1 : i, m->x);
        for (int64_t first = 0; first < m->machines; first += many) {
            const float *weights = m->weights + first * s->width;
            float score[AT_ONCE];
            many = m->machines - first < AT_ONCE ? 1 : AT_ONCE;
            if (many == AT_ONCE)
                NAME(score)(m->x, weights, s->width, AT_ONCE, score);
            else
                NAME(score)(m->x, weights, s->width, 1, score);
            for (int64_t machine = first; machine < first + many; machine++) {
                const int64_t at = i * m->machines + machine;
                const float side = m->own[i] == machine ? 1.0f : -1.0f;
                const float slack = 1.0f - side * (score[machine - first] * m->factors[0]);
                m->active[at] = slack > 0.0f || m->alpha[at] > 0.0f;
                number += m->active[at];
                if (slack > 0.0f)
                    slacks[machine] += (double)slack * slack;
            }
        }
    }
    return number;
}

#undef NAME
