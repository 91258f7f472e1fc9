/* One output row of a convolution; included by conv_native.c once for each kind of processor.
 *
 * The includer defines V (a vector of int32), NAME(x), and for V the functions mulhi, any and bits (one bit per lane).
 * Vectors are those of GCC and clang: their operators act on each lane. Lanes are (column, map), map innermost; rows are
 * padded to whole vectors with lanes that stay at rest, so a range of lanes may be widened to whole vectors.
 */

#define LANES ((int64_t)(sizeof(V) / sizeof(int32_t)))
#define VECTOR(array, lane) (*(V *)((array) + (lane)))
#define CONSTANT(array, lane) (*(const V *)((array) + (lane)))

/* x * factor >> 32 for a factor of 33 bits, split into a mask and its low half */
INLINED V NAME(scaled)(V x, const int32_t *factor)
{
    return (x & factor[0]) + NAME(mulhi)(x, factor[1]);
}

/* A membrane on its way from v to alpha: alpha - (alpha - v) * decay. */
INLINED V NAME(decayed)(V alpha, V v, const int32_t *decay)
{
    return ((alpha & ~decay[0]) | (v & decay[0])) - NAME(mulhi)(alpha - v, decay[1]);
}

/* Weights of a step into one synaptic current: slots that did not fit 16 bits; `all` collects the currents' bits. */
INLINED int64_t NAME(inject)(int32_t *syn, int32_t *ring, const int32_t *shift, int64_t begin, int64_t end,
                             const int32_t *factor, V *all)
{
    V cut = {0};
    for (int64_t j = begin; j < end; j += LANES) {
        V w = VECTOR(ring, j), over = w > SATURATED;
        cut -= over;
        w = ((w & ~over) | (over & SATURATED)) << CONSTANT(shift, j);
        w = VECTOR(syn, j) + NAME(scaled)(w, factor);
        *all |= w;
        VECTOR(syn, j) = w;
        VECTOR(ring, j) = (V){0};
    }
    int64_t n = 0;
    for (int64_t k = 0; k < LANES; k++)
        n += cut[k];
    return n;
}

/* Reset the lanes of the vector at j that fire, and append them to the output. */
INLINED void NAME(fire)(struct row *r, int64_t j, uint32_t fires, const int32_t *f, int64_t step)
{
    for (; fires; fires &= fires - 1) {
        const int64_t lane = j + __builtin_ctz(fires);
        r->v[lane] = f[V_RESET];
        r->timer[lane] = f[REFRACTORY];
        r->out_step[r->events] = (int32_t)step;
        r->out_lane[r->events++] = (int32_t)lane;
    }
}

/* Membranes and currents of a row, and its output spikes: all bits of the currents that are left.
 *
 * `whole`: no refractory timer runs, and tau_m / cm is a whole number.
 */
INLINED V NAME(integrate)(struct row *r, const int32_t *f, int whole, int64_t step)
{
    const int32_t target = f[V_REST] + f[I_OFFSET] * f[GAIN];
    V all = {0};
    for (int64_t j = 0; j < r->lanes; j += LANES) {
        V e = VECTOR(r->syn_e, j), i = VECTOR(r->syn_i, j), v = VECTOR(r->v, j);
        V alpha = (e - i) * f[GAIN] + target;
        if (!whole)
            alpha += NAME(scaled)(e - i + f[I_OFFSET], f + RESISTANCE);
        V now = NAME(decayed)(alpha, v, f + MEMBRANE);
        if (!whole) {
            V timer = VECTOR(r->timer, j), waits = timer > 0;
            now = (now & ~waits) | (v & waits);
            VECTOR(r->timer, j) = timer + waits;
        }
        VECTOR(r->v, j) = now;
        e = NAME(scaled)(e, f + DECAY_E);
        i = NAME(scaled)(i, f + DECAY_I);
        VECTOR(r->syn_e, j) = e;
        VECTOR(r->syn_i, j) = i;
        all |= e | i;
        const uint32_t fires = NAME(bits)(now >= CONSTANT(r->v_thresh, j));
        if (fires)
            NAME(fire)(r, j, fires, f, step);
    }
    return all;
}

/* Membranes of a row without currents, and its output spikes: whether it is at rest now. */
INLINED int NAME(relax)(struct row *r, const int32_t *f, int64_t step)
{
    const int32_t target = f[V_REST] + f[I_OFFSET] * f[GAIN];
    const int64_t before = r->events;
    V change = {0};
    for (int64_t j = 0; j < r->lanes; j += LANES) {
        V v = VECTOR(r->v, j), now = NAME(decayed)(target + (V){0}, v, f + MEMBRANE);
        change |= now ^ v;
        VECTOR(r->v, j) = now;
        const uint32_t fires = NAME(bits)(now >= CONSTANT(r->v_thresh, j));
        if (fires)
            NAME(fire)(r, j, fires, f, step);
    }
    return !NAME(any)(change) && r->events == before;
}

/* Weights of one input spike onto their way: the positive ones are excitatory, the negative ones inhibitory. */
INLINED void NAME(add)(int32_t *ring_e, int32_t *ring_i, const int32_t *weights, int64_t n)
{
    int64_t j = 0;
    for (; j + LANES <= n; j += LANES) {
        V w = CONSTANT(weights, j), excites = w > 0;
        VECTOR(ring_e, j) += w & excites;
        VECTOR(ring_i, j) -= w & ~excites;
    }
    for (; j < n; j++) {
        ring_e[j] += weights[j] > 0 ? weights[j] : 0;
        ring_i[j] -= weights[j] > 0 ? 0 : weights[j];
    }
}

/* Weights of the input spikes of a step onto their way; `span` becomes the lanes that they reach. */
INLINED void NAME(scatter)(const struct window *w, const struct input *in, int64_t step, int32_t *ring_e,
                           int32_t *ring_i, int64_t *span)
{
    const int64_t *offsets = in->row_offsets + step * w->height + w->top, line = w->pieces * w->maps;
    for (int64_t s = offsets[0]; s < offsets[w->kernel_rows]; s++) {
        const int64_t column = in->columns[s], right = column / w->stride, left_edge = right - w->pieces + 1;
        const int64_t low = greater(left_edge, 0), high = lesser(right + 1, w->width);
        if (low < high) {
            const int64_t row = in->channels[s] * w->kernel_rows + in->rows[s] - w->top;
            const int64_t phase = row * w->stride + column - right * w->stride;
            const int32_t *weights = w->kernels + phase * line + (low - left_edge) * w->maps;
            NAME(add)(ring_e + low * w->maps, ring_i + low * w->maps, weights, (high - low) * w->maps);
            span[0] = lesser(span[0], low * w->maps);
            span[1] = greater(span[1], high * w->maps);
        }
    }
}

static int64_t NAME(steps)(int64_t t, int64_t step, int64_t last, const struct input *in, const struct window *w,
                           struct row *r, const int32_t *f)
{
    const int64_t n = r->lanes;
    const int whole = f[RESISTANCE] == 0 && f[RESISTANCE + 1] == 0;
    int64_t rest = r->flags[AT_REST], busy = r->flags[BUSY];
    V left = {0};
    left[0] = (int32_t)r->flags[LEFT];
    for (; step < last && r->events + n <= r->room; step++) {
        const int64_t slot = (t + step) % r->delay, before = r->events;
        int32_t *ring_e = r->ring_e + slot * n, *ring_i = r->ring_i + slot * n;
        int64_t *span = r->spans + 2 * slot;
        if (span[0] < span[1]) {
            const int64_t begin = span[0] / LANES * LANES, end = (span[1] + LANES - 1) / LANES * LANES;
            r->flags[CUT] += NAME(inject)(r->syn_e, ring_e, r->shift_e, begin, end, f + INJECT_E, &left);
            r->flags[CUT] += NAME(inject)(r->syn_i, ring_i, r->shift_i, begin, end, f + INJECT_I, &left);
            span[0] = n;
            span[1] = 0;
        }
        if (busy || !whole) {
            left = NAME(integrate)(r, f, 0, step);
            busy -= busy > 0;
            rest = 0;
        } else if (NAME(any)(left)) {
            left = NAME(integrate)(r, f, 1, step);
            rest = 0;
        } else if (!rest)
            rest = NAME(relax)(r, f, step);
        if (r->events > before)
            busy = f[REFRACTORY];
        NAME(scatter)(w, in, step, ring_e, ring_i, span);
    }
    r->flags[LEFT] = NAME(any)(left);
    r->flags[AT_REST] = rest;
    r->flags[BUSY] = busy;
    return step;
}

#undef LANES
#undef VECTOR
#undef CONSTANT
#undef NAME
#undef V
