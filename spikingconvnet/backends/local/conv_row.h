/* Lanes of a convolution's row, a vector at a time; included by conv_native.c once for each kind of processor.
 *
 * The includer defines V (a vector of int32), NAME(x), and for V the functions mulhi, mulhi_positive (of unsigned
 * numbers), positive (0 for negative ones), bits and reached (one bit per lane), and choose.
 * Vectors are those of GCC and clang: their operators act on each lane. The state of a vector stays in registers
 * for all steps of a run; a vector at rest is passed over until its next input.
 *
 * `simple`: tau_m / cm is a whole number, and no current can leave 31 bits, see conv_stage.conv_factors, so that their
 * signs need no care. `unit`: it is 1, and no current is constant.
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

/* The same for x from 0 on and a factor of 32 bits, if `simple`. */
INLINED V NAME(faded)(V x, const int32_t *factor, int simple)
{
    return simple ? NAME(mulhi_positive)(x, factor[1]) : NAME(scaled)(x, factor);
}

/* Weights of one step, cut to 16 bits, as currents. */
INLINED V NAME(injected)(V w, V shift, const int32_t *factor, V *cut)
{
    V over = w > SATURATED;
    *cut -= over;
    return NAME(scaled)(WHERE(over, SATURATED, w) << shift, factor);
}

/* One step of `n` vectors: 0 unless a lane fires. `waits`: a refractory timer may run. */
INLINED uint32_t NAME(update)(V *v, V *e, V *i, V *timer, const V *v_thresh, const V *i_offset, const int32_t *f, int n,
                              int simple, int unit, int waits)
{
    uint32_t fires = 0;
    for (int m = 0; m < n; m++) {
        const V net = e[m] - i[m], before = v[m];
        V alpha = net;
        if (!unit)
            alpha = (net + i_offset[m]) * f[GAIN];
        alpha += f[V_REST];
        if (!simple)
            alpha += NAME(scaled)(net + i_offset[m], f + RESISTANCE);
        v[m] = WHERE((V){0} + f[MEMBRANE], before, alpha) - NAME(mulhi)(alpha - before, f[MEMBRANE + 1]);
        if (waits) {
            const V waiting = timer[m] > 0;
            v[m] = WHERE(waiting, before, v[m]);
            timer[m] += waiting;
        }
        e[m] = NAME(faded)(e[m], f + DECAY_E, simple);
        i[m] = NAME(faded)(i[m], f + DECAY_I, simple);
        fires |= NAME(reached)(v[m], v_thresh[m]);
    }
    return fires;
}

/* Lanes so far from 0 that a difference of two of them may not fit 32 bits. */
INLINED uint32_t NAME(far)(V v)
{
    return NAME(bits)((v ^ (v << 1)) < 0);
}

/* Steps `step` .. `end` - 1 of `n` vectors without currents that cannot fire: membranes go to `target`, one after another
 * below the threshold, and stay.
 */
INLINED void NAME(relax)(V *v, const V *target, const int32_t *f, int64_t step, int64_t end, int n)
{
    for (V moves = {-1}; step < end && NAME(bits)(moves); step += REST_INTERVAL) {
        moves = (V){0};
        for (int64_t k = lesser(REST_INTERVAL, end - step); k > 0; k--)
            for (int m = 0; m < n; m++) {
                const V before = v[m];
                v[m] = WHERE((V){0} + f[MEMBRANE], before, target[m]) - NAME(mulhi)(target[m] - before, f[MEMBRANE + 1]);
                moves |= v[m] ^ before;
            }
    }
}

/* Add what `n` vectors of lanes have fired to the counts of a sample. */
INLINED void NAME(count)(struct row *r, V *fired, int64_t lane, int64_t sample, int n)
{
    int32_t *counts = r->counts + sample * r->cells;
    for (int m = 0; m < n; m++) {
        const int32_t *cell = r->cell + lane + m * LANES;
        WITHIN(cell[0], r->cells);
        WITHIN(cell[LANES - 1], r->cells);
        if (cell[LANES - 1] - cell[0] == LANES - 1)     /* all at one place */
            VECTOR(counts, cell[0]) += fired[m];
        else
            for (int64_t j = 0; j < LANES; j++)
                counts[cell[j]] += fired[m][j];
        fired[m] = (V){0};
    }
}

/* All steps of `n` vectors of lanes of one group, from `lane` on, with the inputs of the group.
 *
 * Several vectors at a time share the branches.
 */
INLINED void NAME(vectors)(struct row *r, const struct chosen *in, int64_t lane, const int32_t *weights, int64_t t,
                           int64_t n_steps, const int32_t *f, int n, int simple, int unit)
{
    V v[MOST], e[MOST], i[MOST], timer[MOST], v_thresh[MOST], i_offset[MOST], inside[MOST], cut[MOST], target[MOST];
    V own[MOST];                /* of competing maps, all of which are here: -1 where one fired in the step before */
    uint64_t last = 0;          /* and the same as bits */
    V fired[MOST];              /* spikes of a sample that are to be counted */
    int64_t sample_end = 0;     /* its end; 0 before the first spike */
    uint32_t restless = 0;      /* lanes that constant currents alone make fire */
    const int ragged = lane + n * LANES > r->neurons;       /* the row's last vector may be longer than the row */
    for (int m = 0; m < n; m++) {
        const int64_t at = lane + m * LANES;
        HOLDS(at >= 0 && at + LANES <= r->lanes);
        v[m] = VECTOR(r->v, at);
        e[m] = VECTOR(r->syn_e, at);
        i[m] = VECTOR(r->syn_i, at);
        timer[m] = VECTOR(r->timer, at);
        v_thresh[m] = CONSTANT(r->v_thresh, at);
        i_offset[m] = CONSTANT(r->i_offset, at);
        cut[m] = fired[m] = (V){0};
        target[m] = i_offset[m] * f[GAIN] + f[V_REST] + (simple ? (V){0} : NAME(scaled)(i_offset[m], f + RESISTANCE));
        restless |= NAME(reached)(target[m], v_thresh[m]) | NAME(far)(target[m]);
        for (int64_t j = 0; j < LANES; j++)
            inside[m][j] = -(at + j < r->neurons);
    }
    const int64_t to = in->n;
    int64_t k = 0, step = 0, busy = f[REFRACTORY];       /* steps for which a refractory timer may run */
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
            V sum[MOST], plus[MOST];    /* excitatory less inhibitory weights, and the former */
            for (int m = 0; m < n; m++)
                sum[m] = plus[m] = (V){0};
            if (first)
                for (int m = 0; m < n; m++) {
                    const int64_t at = (t + step) % r->delay * r->lanes + lane + m * LANES;
                    sum[m] = VECTOR(r->ring_e, at) - VECTOR(r->ring_i, at);
                    plus[m] = VECTOR(r->ring_e, at);
                    VECTOR(r->ring_e, at) = VECTOR(r->ring_i, at) = (V){0};
                }
            for (; k < to && in->step[k] + r->delay == step; k++)
                for (int m = 0; m < n; m++) {
                    HOLDS(in->place[k] >= 0);
                    const V w = CONSTANT(weights, in->place[k] + m * LANES);
                    sum[m] += w;
                    plus[m] += NAME(positive)(w);
                }
            if (last)
                for (int m = 0; m < n; m++)
                    sum[m] -= (own[m] + __builtin_popcountll(last)) * CONSTANT(r->lateral, lane + m * LANES);
            last = 0;
            V large = {0};
            for (int m = 0; m < n; m++) {
                if (ragged) {
                    sum[m] &= inside[m];
                    plus[m] &= inside[m];
                }
                sum[m] = plus[m] - sum[m];              /* inhibitory ones */
                large |= plus[m] | sum[m];
            }
            if (NAME(bits)(large & ~SATURATED))
                for (int m = 0; m < n; m++) {
                    const int64_t at = lane + m * LANES;
                    e[m] += NAME(injected)(plus[m], CONSTANT(r->shift_e, at), f + INJECT_E, cut + m);
                    i[m] += NAME(injected)(sum[m], CONSTANT(r->shift_i, at), f + INJECT_I, cut + m);
                }
            else
                for (int m = 0; m < n; m++) {
                    const int64_t at = lane + m * LANES;
                    e[m] += NAME(faded)(plus[m] << CONSTANT(r->shift_e, at), f + INJECT_E, simple);
                    i[m] += NAME(faded)(sum[m] << CONSTANT(r->shift_i, at), f + INJECT_I, simple);
                }
        }
        if (r->trace)
            for (int m = 0; m < n; m++) {
                const int64_t at = step * r->lanes + lane + m * LANES, field = n_steps * r->lanes;
                VECTOR(r->trace, at) = v[m];
                VECTOR(r->trace, field + at) = e[m];
                VECTOR(r->trace, 2 * field + at) = i[m];
            }
        const int64_t next = first ? step + 1 : k < to ? lesser(in->step[k] + r->delay, reset) : reset;
        const int64_t look = busy || r->trace ? step + 1 : lesser(next, step + REST_INTERVAL);
        uint32_t fires;
        if (busy) {
            fires = NAME(update)(v, e, i, timer, v_thresh, i_offset, f, n, simple, unit, 1);
            busy--;
            step++;
        } else
            do
                fires = NAME(update)(v, e, i, timer, v_thresh, i_offset, f, n, simple, unit, 0);
            while (++step < look && !fires);
        if (fires) {
            busy = f[REFRACTORY];
            uint64_t which = 0;
            if (r->cell && step > sample_end) {
                if (sample_end)
                    NAME(count)(r, fired, lane, sample_end / r->slot - 1, n);
                sample_end = ((step - 1) / r->slot + 1) * r->slot;
            }
            for (int m = 0; m < n; m++) {
                const V hits = v[m] >= v_thresh[m];
                which |= (uint64_t)NAME(bits)(hits) << (m * LANES);
                fired[m] -= hits;
                v[m] = WHERE(hits, f[V_RESET], v[m]);
                if (f[COMPETES])
                    own[m] = hits;
                if (busy)
                    timer[m] = WHERE(hits, f[REFRACTORY], timer[m]);
            }
            last = f[COMPETES] ? which : 0;
            for (; which && !r->cell; which &= which - 1) {
                WITHIN(r->events, r->room);
                WITHIN(lane + __builtin_ctzll(which), r->neurons);
                r->out_step[r->events] = (int32_t)(step - 1);
                r->out_lane[r->events++] = (int32_t)(lane + __builtin_ctzll(which));
            }
        } else if (step < next && !busy && !r->trace) {
            V left = {0};
            for (int m = 0; m < n; m++)
                left |= e[m] | i[m];
            if (!restless && !NAME(bits)(left)) {
                uint32_t wild = 0;
                for (int m = 0; m < n; m++)
                    wild |= NAME(far)(v[m]);
                if (!wild) {
                    NAME(relax)(v, target, f, step, next, n);
                    step = next;
                }
            }
        }
    }
    if (sample_end)
        NAME(count)(r, fired, lane, sample_end / r->slot - 1, n);
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
static int64_t NAME(lanes)(int64_t lane, const struct inputs *in, struct chosen *those, const int32_t *weights,
                           int64_t group, struct row *r, int64_t t, int64_t n_steps, const int32_t *f)
{
    const int simple = f[RESISTANCE] == 0 && f[RESISTANCE + 1] == 0 && f[BOUNDED];
    int32_t constant = 0;
    for (int64_t j = 0; j < r->neurons; j++)
        constant |= r->i_offset[j];
    const int unit = f[GAIN] == 1 && !constant;
    for (int64_t before = -1; lane < r->lanes && (r->cell || r->events + MOST_LANES * n_steps <= r->room);) {
        const int64_t here = lane / group, left = ((here + 1) * group - lane) / LANES;
        if (here != before)
            NAME(choose)(in, here, group, those);
        before = here;
#define RUN(n) do { \
            const int32_t *line = weights + lane - here * group; \
            if (simple) NAME(vectors)(r, those, lane, line, t, n_steps, f, n, 1, unit); \
            else NAME(vectors)(r, those, lane, line, t, n_steps, f, n, 0, unit); \
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
