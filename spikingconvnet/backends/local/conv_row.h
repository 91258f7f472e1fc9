/* Lanes of a convolution's row, a vector at a time; included by conv_native.c once for each kind of processor.
 *
 * The includer defines V (a vector of int32), NAME(x), and for V the functions mulhi, magnitude, half (of unsigned
 * numbers) and bits (one bit per lane).
 * Vectors are those of GCC and clang: their operators act on each lane. The state of a vector stays in registers
 * for all steps of a run; a vector at rest is passed over until its next input.
 */

#define LANES ((int64_t)(sizeof(V) / sizeof(int32_t)))
#define MOST (MOST_LANES / (int)(sizeof(V) / sizeof(int32_t)))
#define VECTOR(array, lane) (*(V *)((array) + (lane)))
#define CONSTANT(array, lane) (*(const V *)((array) + (lane)))
#define WHERE(mask, a, b) (((a) & (mask)) | ((b) & ~(mask)))

/* x * factor >> 32 for a factor of 33 bits, split into a mask and its low half */
INLINED V NAME(scaled)(V x, const int32_t *factor)
{
    return (x & factor[0]) + NAME(mulhi)(x, factor[1]);
}

/* Weights of one step, cut to 16 bits, as currents. */
INLINED V NAME(injected)(V w, V shift, const int32_t *factor, V *cut)
{
    V over = w > SATURATED;
    *cut -= over;
    return NAME(scaled)(WHERE(over, SATURATED, w) << shift, factor);
}

/* One step of `n` vectors: the lanes that fire, one bit each; `moves` collects what has not come to rest.
 *
 * `whole`: tau_m / cm is a whole number. `waits`: a refractory timer may run. `look`: whether `moves` is wanted.
 */
INLINED uint64_t NAME(update)(V *v, V *e, V *i, V *timer, const V *v_thresh, const V *i_offset, V *moves, const int32_t *f,
                              int n, int whole, int waits, int look)
{
    uint64_t fires = 0;
    for (int m = 0; m < n; m++) {
        const V net = e[m] - i[m], before = v[m];
        V alpha = (net + i_offset[m]) * f[GAIN] + f[V_REST];
        if (!whole)
            alpha += NAME(scaled)(net + i_offset[m], f + RESISTANCE);
        v[m] = WHERE((V){0} + f[MEMBRANE], before, alpha) - NAME(mulhi)(alpha - before, f[MEMBRANE + 1]);
        if (waits) {
            const V waiting = timer[m] > 0;
            v[m] = WHERE(waiting, before, v[m]);
            timer[m] += waiting;
        }
        e[m] = NAME(scaled)(e[m], f + DECAY_E);
        i[m] = NAME(scaled)(i[m], f + DECAY_I);
        if (look)
            *moves |= e[m] | i[m] | (v[m] ^ before);
        fires |= (uint64_t)NAME(bits)(v[m] >= v_thresh[m]) << (m * LANES);
    }
    return fires;
}

/* All steps of `n` vectors of lanes of one group, from `lane` on, with the inputs `from` .. `to` - 1 of the group.
 *
 * Several vectors at a time share the branches.
 */
INLINED void NAME(vectors)(struct row *r, const struct inputs *in, int64_t from, int64_t to, int64_t lane,
                           const int32_t *weights, int64_t t, int64_t n_steps, const int32_t *f, int n, int whole)
{
    V v[MOST], e[MOST], i[MOST], timer[MOST], v_thresh[MOST], i_offset[MOST], inside[MOST], cut[MOST];
    V own[MOST];                /* of competing maps, all of which are here: -1 where one fired in the step before */
    uint64_t last = 0;          /* and the same as bits */
    for (int m = 0; m < n; m++) {
        const int64_t at = lane + m * LANES;
        HOLDS(at >= 0 && at + LANES <= r->lanes);
        v[m] = VECTOR(r->v, at);
        e[m] = VECTOR(r->syn_e, at);
        i[m] = VECTOR(r->syn_i, at);
        timer[m] = VECTOR(r->timer, at);
        v_thresh[m] = CONSTANT(r->v_thresh, at);
        i_offset[m] = CONSTANT(r->i_offset, at);
        cut[m] = (V){0};
        for (int64_t j = 0; j < LANES; j++)     /* the row's last vector may be longer than the row */
            inside[m][j] = -(at + j < r->neurons);
    }
    int64_t k = from, step = 0, busy = f[REFRACTORY];       /* steps for which a refractory timer may run */
    int64_t reset = r->reset_every ? (r->reset_every - t % r->reset_every) % r->reset_every : n_steps;
    reset = lesser(reset, n_steps);
    while (step < n_steps) {
        if (step == reset) {
            for (int m = 0; m < n; m++) {
                v[m] = CONSTANT(r->v_init, lane + m * LANES);
                e[m] = i[m] = timer[m] = (V){0};
            }
            for (int64_t slot = 0; step < r->delay && slot < r->delay; slot++)
                for (int m = 0; m < n; m++)
                    VECTOR(r->ring_e, slot * r->lanes + lane + m * LANES) =
                        VECTOR(r->ring_i, slot * r->lanes + lane + m * LANES) = (V){0};
            while (k < to && in->step[k] < step)        /* on their way when the images change */
                k++;
            busy = 0;
            last = 0;
            reset = lesser(reset + r->reset_every, n_steps);
        }
        const int first = step < r->delay;
        if (first || last || (k < to && in->step[k] + r->delay == step)) {
            V sum[MOST], both[MOST];    /* excitatory less inhibitory weights, and all of them */
            for (int m = 0; m < n; m++)
                sum[m] = both[m] = (V){0};
            if (first)
                for (int m = 0; m < n; m++) {
                    const int64_t slot = (t + step) % r->delay * r->lanes + lane + m * LANES;
                    sum[m] = VECTOR(r->ring_e, slot) - VECTOR(r->ring_i, slot);
                    both[m] = VECTOR(r->ring_e, slot) + VECTOR(r->ring_i, slot);
                    VECTOR(r->ring_e, slot) = VECTOR(r->ring_i, slot) = (V){0};
                }
            for (; k < to && in->step[k] + r->delay == step; k++)
                for (int m = 0; m < n; m++) {
                    HOLDS(in->place[k] >= 0);
                    const V w = CONSTANT(weights, in->place[k] + m * LANES);
                    sum[m] += w;
                    both[m] += NAME(magnitude)(w);
                }
            if (last)
                for (int m = 0; m < n; m++) {
                    const V w = (own[m] + __builtin_popcountll(last)) * CONSTANT(r->lateral, lane + m * LANES);
                    sum[m] -= w;
                    both[m] += w;
                }
            last = 0;
            for (int m = 0; m < n; m++) {
                const int64_t at = lane + m * LANES;
                const V w_e = NAME(half)(both[m] + sum[m]) & inside[m], w_i = NAME(half)(both[m] - sum[m]) & inside[m];
                e[m] += NAME(injected)(w_e, CONSTANT(r->shift_e, at), f + INJECT_E, cut + m);
                i[m] += NAME(injected)(w_i, CONSTANT(r->shift_i, at), f + INJECT_I, cut + m);
            }
        }
        V moves = {0};
        uint64_t fires;
        const int look = !busy && step % REST_INTERVAL == 0;
        if (busy || !whole) {
            fires = NAME(update)(v, e, i, timer, v_thresh, i_offset, &moves, f, n, whole, 1, look);
            busy -= busy > 0;
        } else if (look)
            fires = NAME(update)(v, e, i, timer, v_thresh, i_offset, &moves, f, n, 1, 0, 1);
        else
            fires = NAME(update)(v, e, i, timer, v_thresh, i_offset, &moves, f, n, 1, 0, 0);
        step++;
        if (fires) {
            busy = f[REFRACTORY];
            last = f[COMPETES] ? fires : 0;
            for (int m = 0; m < n; m++) {
                const V hits = v[m] >= v_thresh[m];
                own[m] = hits;
                v[m] = WHERE(hits, f[V_RESET], v[m]);
                timer[m] = WHERE(hits, f[REFRACTORY], timer[m]);
            }
            for (; fires; fires &= fires - 1) {
                WITHIN(r->events, r->room);
                WITHIN(lane + __builtin_ctzll(fires), r->neurons);
                r->out_step[r->events] = (int32_t)(step - 1);
                r->out_lane[r->events++] = (int32_t)(lane + __builtin_ctzll(fires));
            }
        } else if (look && step >= r->delay && !NAME(bits)(moves))      /* at rest until the next input */
            step = k < to ? lesser(in->step[k] + r->delay, reset) : reset;
    }
    for (; k < to; k++)
        for (int m = 0; m < n; m++) {
            WITHIN(in->step[k], n_steps);
            HOLDS(in->place[k] >= 0);
            const V w = CONSTANT(weights, in->place[k] + m * LANES) & inside[m];
            const int64_t slot = (t + in->step[k]) % r->delay * r->lanes + lane + m * LANES;
            VECTOR(r->ring_e, slot) += w & (w > 0);
            VECTOR(r->ring_i, slot) -= w & (w < 0);
        }
    if (last)
        for (int m = 0; m < n; m++) {
            const int64_t at = lane + m * LANES;
            VECTOR(r->ring_i, at) += (own[m] + __builtin_popcountll(last)) * CONSTANT(r->lateral, at);
        }
    for (int m = 0; m < n; m++) {
        const int64_t at = lane + m * LANES;
        VECTOR(r->v, at) = v[m];
        VECTOR(r->syn_e, at) = e[m];
        VECTOR(r->syn_i, at) = i[m];
        VECTOR(r->timer, at) = timer[m];
        for (int64_t j = 0; j < LANES; j++)
            r->cut += cut[m][j];
    }
}

/* Lanes of a row from `lane` on: the lane before which the output may have no room. */
static int64_t NAME(lanes)(int64_t lane, const struct inputs *in, const struct window *w, struct row *r, int64_t t,
                           int64_t n_steps, const int32_t *f)
{
    const int whole = f[RESISTANCE] == 0 && f[RESISTANCE + 1] == 0;
    while (lane < r->lanes && r->events + MOST_LANES * n_steps <= r->room) {
        const int64_t group = lane / w->group, from = in->start[group], to = in->start[group + 1];
        const int64_t left = ((group + 1) * w->group - lane) / LANES;
        const int32_t *weights = w->weights + lane - group * w->group;
#define RUN(n) do { \
            if (whole) NAME(vectors)(r, in, from, to, lane, weights, t, n_steps, f, n, 1); \
            else NAME(vectors)(r, in, from, to, lane, weights, t, n_steps, f, n, 0); \
            lane += (n) * LANES; } while (0)
        if (f[COMPETES] && left == MOST)        /* the maps of a place inhibit each other, so they run together */
            RUN(MOST);
        else if (f[COMPETES] && left == MOST / 3)
            RUN(MOST / 3);
        else if (f[COMPETES])
            RUN(MOST / 3 * 2);
        else if (left == 1)
            RUN(1);
        else if (left == 3 && LANES == 16)
            RUN(3);
        else
            RUN(2);
#undef RUN
    }
    return lane;
}

#undef LANES
#undef MOST
#undef VECTOR
#undef CONSTANT
#undef WHERE
#undef NAME
#undef V
