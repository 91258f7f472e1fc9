/* What svm_native.c compiles for vectors of several widths. */

#define DOTS 4              /* sums side by side, so that none waits for the last addition */

/* Scores of a sample in all lanes, the intercept's weights first. */
static inline void NAME(score)(const struct rows *r, int64_t i, const float *weights, F *score)
{
    const int64_t first = r->start[i], end = r->start[i + 1];
    F sum[DOTS] = {*(const F *)(weights + r->features * LANES)};
    int64_t k = first;
    HOLDS(0 <= first && first <= end);
#define ADD(d) sum[d] += *(const F *)(weights + feature_at(r, k + d) * LANES) * value_at(r, k + d)
    for (; k + DOTS <= end; k += DOTS) {
        ADD(0);
        ADD(1);
        ADD(2);
        ADD(3);
    }
    if (k < end)
        ADD(0);
    if (k + 1 < end)
        ADD(1);
    if (k + 2 < end)
        ADD(2);
#undef ADD
    *score = (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

static int64_t NAME(pass)(const struct rows *r, const struct machine *m, const int64_t *order, int64_t drawn)
{
    const float strength = m->factors[0], half = m->factors[1];
    I used;
    int64_t changed = 0;
    for (int64_t lane = 0; lane < LANES; lane++)
        used[lane] = -(lane < m->lanes);
    for (int64_t k = 0; k < drawn; k++) {
        const int64_t i = order[k];
        WITHIN(i, r->n);
        F *alpha = (F *)(m->alpha + i * LANES);
        const F before = *alpha;
        F score, side = (F){0} - 1.0f;
        NAME(score)(r, i, m->weights, &score);
        score *= strength;
        HOLDS(m->own[i] < m->lanes);
        if (m->own[i] >= 0)
            side[m->own[i]] = 1.0f;
        F after = before - (side * score - 1.0f + before * half) / (m->size[i] * strength + half);
        after = (F)((I)after & (after > 0.0f) & used);
        const F step = (after - before) * side;
        const I moves = step != 0.0f;
        int32_t moved = 0;
        for (int64_t lane = 0; lane < LANES; lane++)
            moved |= moves[lane];
        if (!moved)
            continue;
        changed++;
        *alpha = after;
        for (int64_t j = r->start[i]; j < r->start[i + 1]; j++) {
            const int64_t f = feature_at(r, j);
            *(F *)(m->weights + f * LANES) += step * (m->square[f] * value_at(r, j));
        }
        *(F *)(m->weights + r->features * LANES) += step;
    }
    return changed;
}

static int64_t NAME(scores)(const struct rows *r, const float *weights, float *scores)
{
    for (int64_t i = 0; i < r->n; i++)
        NAME(score)(r, i, weights, (F *)(scores + i * LANES));
    return r->n;
}

#undef NAME
#undef DOTS
