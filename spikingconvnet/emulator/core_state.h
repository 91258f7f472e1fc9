/* All that a core is beside its memories and what it has decoded, as numbers of 64 bits by name: snapshots/cores.py writes them
 * into files, and what comes back from one is judged before it is used. Not there: pointers, who asked it to pause, packets
 * sent or dropped (somebody has taken them), a fault (somebody has dealt with it), and the steps of a timed core, which are apart.
 */
typedef struct {
    const char *name;
    size_t place, size, count;                                  /* in the core, in bytes; so many in a row */
    uint64_t most;
} field;

#define MANY(name, number, most)                                                                    \
    {#name, offsetof(core, name), sizeof ((core *) 0)->name / (number), number, most},
#define ONE(name, most) MANY(name, 1, most)
#define WORD(name) ONE(name, 0xffffffffu)
#define CYCLE(name) ONE(name, NEVER)
#define TIMER(i)                                                                                    \
    WORD(timers[i].load) WORD(timers[i].background) WORD(timers[i].control) WORD(timers[i].polls)   \
    CYCLE(timers[i].deadline) CYCLE(timers[i].started) CYCLE(timers[i].reads)                       \
    ONE(timers[i].raw, 1) ONE(timers[i].halted, 1)
#define ARRIVAL(i) CYCLE(queue[i].at) WORD(queue[i].control) WORD(queue[i].key) WORD(queue[i].data)

static const field FIELDS[] = {
    CYCLE(now) WORD(pc) ONE(rest, FAULT) ONE(thumb, 1) ONE(burst, BURST) ONE(stops, 1) ONE(at_wait, 1) ONE(yielded, 1)
    WORD(lines) WORD(soft) WORD(enable) WORD(select) WORD(fallback)
    MANY(vectors, SLOTS, 0xffffffffu) MANY(controls, SLOTS, 0xffffffffu) MANY(in_service, SLOTS, SLOTS - 1) ONE(served, SLOTS)
    TIMER(0) TIMER(1) ONE(waiting, 1)
    WORD(tcr) WORD(txdata) WORD(rxcontrol) WORD(rxkey) WORD(rxdata) WORD(source) ONE(has_data, 1) ONE(received, 1)
    WORD(system) WORD(tcm) WORD(description) WORD(gctl) WORD(sctl) WORD(bursts) ONE(done, AT_ONCE)
    ONE(stopped, 1) ONE(transfers, AT_ONCE) ONE(waits, QUEUE) CYCLE(limit) CYCLE(until) CYCLE(lag) CYCLE(begins)
    WORD(follow) WORD(jump) CYCLE(slept) MANY(ends, AT_ONCE, NEVER)
    ARRIVAL(0) ARRIVAL(1) ARRIVAL(2) ARRIVAL(3) ONE(first, MOST_PACKETS)
    CYCLE(blocked) CYCLE(freed) CYCLE(timeout) CYCLE(pace) CYCLE(held) CYCLE(worked) CYCLE(dump_at) WORD(full)
    MANY(arm.r, 16, 0xffffffffu) WORD(arm.sign) WORD(arm.zero) ONE(arm.carry, 1) ONE(arm.overflow, 1) ONE(arm.saturated, 1)
    ONE(arm.masks, I_BIT | F_BIT) ONE(arm.mode, MODE_BITS) WORD(arm.control)
    MANY(arm.banked, 2 * BANKS, 0xffffffffu) MANY(arm.saved, BANKS, 0xffffffffu) MANY(arm.high, 10, 0xffffffffu)
};
static const int N_FIELDS = sizeof FIELDS / sizeof *FIELDS;

/* The name of a field by its number, NULL behind the last, and how many numbers it has. */
API const char *core_field(int index, uint64_t *count) {
    if (index < 0 || index >= N_FIELDS) return NULL;
    *count = FIELDS[index].count;
    return FIELDS[index].name;
}

/* Copy its fields into numbers, one behind the other. */
API void core_save(const core *c, uint64_t *numbers) {
    for (const field *f = FIELDS; f < FIELDS + N_FIELDS; f++)
        for (size_t i = 0; i < f->count; i++) {
            *numbers = 0;                                       /* both are little-endian */
            memcpy(numbers++, (const char *) c + f->place + i * f->size, f->size);
        }
}

/* Take its fields from numbers; the name of one that no core can have, or NULL. Packets that are coming are there already. */
API const char *core_restore(core *c, const uint64_t *numbers) {
    const uint64_t *next = numbers;
    for (const field *f = FIELDS; f < FIELDS + N_FIELDS; f++)
        for (size_t i = 0; i < f->count; i++)
            if (*next++ > f->most) return f->name;
    for (const field *f = FIELDS; f < FIELDS + N_FIELDS; f++)
        for (size_t i = 0; i < f->count; i++) memcpy((char *) c + f->place + i * f->size, numbers++, f->size);
    if (c->first <= c->n_coming) return NULL;
    c->first = c->n_coming;
    return "first";
}

/* How many packets have been on their way to a timed core since there was none; the words of each: cycle, control, key, data. */
API uint64_t core_coming(const core *c, uint64_t *words) {
    for (size_t i = 0; words && i < c->n_coming; i++) {
        *words++ = c->coming[i].at;
        *words++ = c->coming[i].control;
        *words++ = c->coming[i].key;
        *words++ = c->coming[i].data;
    }
    return c->n_coming;
}

/* The steps that a timed core has made; whether there is memory for them. */
API int core_restore_steps(core *c, const uint32_t *steps, uint64_t n) {
    size_t size = 256;
    while (size < n) size *= 2;
    uint32_t *moved = size > MOST_STEPS ? NULL : realloc(c->steps, size * sizeof *moved);
    if (!moved) return 0;
    memcpy(moved, steps, n * sizeof *moved);
    c->steps = moved;
    c->steps_size = size;
    c->n_steps = n;
    return 1;
}

/* The block that a timed core is in, as its place among the costs and 1; 0: none. */
API uint32_t core_block(const core *c) { return c->last ? (uint32_t) (c->last - c->costs) + 1 : 0; }

API void core_restore_block(core *c, uint32_t place) { c->last = place && place <= CODE / 2 ? c->costs + place - 1 : NULL; }
