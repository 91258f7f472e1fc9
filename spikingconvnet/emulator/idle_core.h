/* A core whose timer ticks for nothing: after a tick it is as it was after the one before, and has touched nothing but itself. As long
 * as nobody touches it, all its ticks are alike, so they need not happen. It is part of core_native.c; who may leave ticks out,
 * and when they have to be made up for, is in machine.py and board_loop.h.
 */
enum { QUIET = 4, RARELY = 1024 };                              /* ticks after which it is looked at again: twice as many each time */

static void stop_watching(core *c) {
    free(c->before);
    c->before = NULL;
    c->apart = c->timed;
}

static size_t own_bytes(const core *c) { return (size_t) c->memories[0].size + c->memories[1].size; }

/* Keep what it is now, and note what it touches from here on. */
static void watch(core *c) {
    core *before = malloc(sizeof *c + own_bytes(c));
    if (!before) return;
    c->before = before;
    c->apart = 1;
    c->outside = 0;
    memcpy(before, c, sizeof *c);
    memcpy(before + 1, c->memories[0].bytes, c->memories[0].size);
    memcpy((uint8_t *) (before + 1) + c->memories[0].size, c->memories[1].bytes, c->memories[1].size);
}

/* Whether it is what it was, one tick later. */
static int unchanged(const core *c) {
    core *before = c->before;
    const uint8_t *memories = (const uint8_t *) (before + 1);
    before->timers[0].deadline = c->timers[0].deadline;
    before->timers[0].started = c->timers[0].started;
    before->now = c->now;
    before->pause = c->pause;
    return !c->outside && !memcmp(before, c, sizeof *c) && !memcmp(memories, c->memories[0].bytes, c->memories[0].size) &&
           !memcmp(memories + c->memories[0].size, c->memories[1].bytes, c->memories[1].size);
}

/* A core has run and rests; whether its next ticks are for nothing. `busy`: packets or messages wait for it. */
static int settle(core *c, int busy) {
    const timer *t = c->timers;
    int quiet = !c->timed && !c->touched && !busy && c->rest == WFI && !c->n_sent && !t->raw && !t->reads &&
                t->deadline != NEVER && t->deadline == t->started + period(t) && t[1].deadline == NEVER;
    c->touched = 0;
    if (!quiet) {
        c->idle = 0;
        c->quiet = 0;
        c->patience = QUIET;
        if (c->before) stop_watching(c);
    } else if (c->before) {
        c->idle = unchanged(c);
        c->quiet = 0;
        c->patience = c->patience < RARELY ? 2 * c->patience : RARELY;
        stop_watching(c);
    } else if (!c->idle && ++c->quiet >= c->patience) watch(c);
    return c->idle;
}

/* Whether its ticks are for nothing, still. */
API int core_idle(const core *c) { return c && c->idle && !c->touched; }

API void core_touch(core *c) { c->touched = 1; }

/* Make up for all ticks of an idle core before an instant; its deadline is that instant or later then. */
API uint64_t core_catch_up(core *c, uint64_t instant) {
    timer *t = c->timers;
    if (t->deadline < instant) {
        uint64_t ticks = (instant - t->deadline + period(t) - 1) / period(t);
        t->deadline += ticks * period(t);
        t->started += ticks * period(t);
    }
    return t->deadline;
}

/* Let an idle core do its tick; whether it is one. */
API int core_skip(core *c) {
    if (!core_idle(c)) return 0;
    c->timers[0].raw = 0;
    update_timers(c);
    return 1;
}
