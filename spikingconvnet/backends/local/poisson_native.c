/* The Poisson sources of poisson_kernels.py in C: the same arguments, the same integers. See poisson.py.
 *
 * A generator's state is four uint64 that hold 32 bits each: x, y, z, c. Sums and products of uint32 wrap.
 */

#include <stdint.h>

#define INTERVAL 1000       /* poisson.py */

static uint32_t jkiss64(uint64_t *state)
{
    const uint32_t x = 314527869 * (uint32_t)state[0] + 1234567;
    uint32_t y = (uint32_t)state[1];
    y ^= y << 5;
    y ^= y >> 7;
    y ^= y << 22;
    const uint64_t t = 4294584393u * state[2] + state[3];
    state[0] = x;
    state[1] = y;
    state[2] = (uint32_t)t;
    state[3] = t >> 32;
    return x + y + (uint32_t)t;
}

/* Thousandths of a step to the next spike, by von Neumann's algorithm. */
static uint32_t countdown(uint64_t *state, uint64_t interval)
{
    for (uint64_t whole = 0;; whole += 1 << 15) {
        const uint32_t first = jkiss64(state);
        for (uint32_t u = first, v;; ) {
            v = jkiss64(state);
            if (u < v)
                return (uint32_t)(((INTERVAL * (whole + (first >> 17)) + 0x4000) >> 15) * interval);
            u = jkiss64(state);
            if (u >= v)
                break;
        }
    }
}

/* Spikes of a step, by Knuth's algorithm. */
static uint16_t fast_spikes(uint64_t *state, uint64_t limit)
{
    uint64_t product = 0xffffffff;
    for (uint16_t count = 0;; count++) {
        product = (product * jkiss64(state)) >> 32;
        if (product <= limit)
            return count;
    }
}

int64_t first_countdowns(uint64_t *state, const uint8_t *slow, const uint64_t *interval, uint64_t *waiting, int64_t n)
{
    for (int64_t k = 0; k < n; k++)
        if (slow[k])
            waiting[k] = countdown(state, interval[k]);
    return n;
}

int64_t draw(int64_t t, uint64_t *state, const uint8_t *slow, const uint64_t *interval, const uint64_t *limit,
             const uint64_t *start, const uint64_t *end, uint64_t *waiting, uint16_t *counts, int64_t steps, int64_t n)
{
    for (uint64_t now = (uint64_t)t; now < (uint64_t)(t + steps); now++) {
        for (int64_t k = 0; k < n; k++) {
            uint16_t count = 0;
            if (start[k] <= now && now < end[k] && !slow[k]) {
                count = fast_spikes(state, limit[k]);
            } else if (start[k] <= now && now < end[k] && interval[k]) {
                for (; waiting[k] < INTERVAL; count++)
                    waiting[k] = (uint32_t)(waiting[k] + countdown(state, interval[k]));
                waiting[k] -= INTERVAL;
            }
            *counts++ = count;
        }
    }
    return steps;
}
