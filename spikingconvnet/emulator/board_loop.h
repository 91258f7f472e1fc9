/* The clock of a board without time of its own, and its packets: native_machine.py, whose specification is machine.py. At each instant
 * cores run until they wait, then the packets that they have sent arrive, and so on until nothing is left; then the clock
 * jumps to the next instant at which a timer expires. Whatever is not of every day is left to Python: loop_go comes back.
 */
enum { MOST_UNDER_WAY = 1 << 20, MOST_TREES = 1 << 16, MOST_EVENTS = 1 << 17, MANY = 1 << 10, LANDINGS = 1000,
       CYCLES_PER_MS = 200000 };
enum { AT_REST, ASKED, LOOK, MISSING, FULL };                   /* why loop_go comes back */
#define OWN 0x80000000u                                         /* in `control` of a way */
#define BEGINS 0x80000000u                                      /* in `from`: the first that a core has sent in a turn */
enum { TABLE = 1 << 17 };                                       /* places for ways by what they are of: twice MOST_TREES */

/* native_core.Seat: what a board keeps of a core, whether it is on or not */
typedef struct {
    core *made;                                                 /* while it is on */
    uint32_t *inbox;                                            /* packets that wait for it, three words each */
    uint64_t scheduled[2], lost, faults, streamed;                        /* deadlines of its timers that are events */
    uint32_t words, size, rest, mailed, queued, number, chip, listed;
} seat;

typedef struct { uint64_t at; uint32_t of; } event;             /* of a core's timer: twice the core's number, and 1 of the second */

typedef struct { uint32_t from, control, key, data; } packet;   /* from a chip */

/* Where packets go whose keys have the same of those bits that routers look at (`key_bits`), or this very key (OWN): cores,
 * so many behind `first`; how many went there since somebody has counted them */
typedef struct {
    uint32_t from, control, key, first, n;
    uint64_t passed;
} way;

/* native_machine.Loop */
typedef struct {
    uint64_t cycle;
    seat **seats, **ends;
    uint8_t **clocks, *seen;                                    /* of chips: their clock in ms, whether it is in `clocked` */
    event *events;                                              /* a heap */
    uint32_t *ready, *clocked, *table, *idle;                   /* cores in a ring, chips, places of ways and 1, cores */
    packet *sent, *landing;
    way *ways;
    uint32_t n_seats, n_events, first, n_ready, n_clocked, n_sent, landed, n_landing, left, n_ways, n_ends;
    uint32_t events_size, sent_size, landing_size, ways_size, ends_size;
    uint32_t mail, running, full;                               /* cores have left messages; number of a core and 1; no memory */
    uint32_t key_bits, n_idle;
    volatile uint32_t asked;                                    /* to come back, by another thread */
} loop;

/* Room for `more` behind `n` things of a size; whether there is. */
static int grow(loop *l, void *things, uint32_t *room, uint32_t n, uint32_t more, size_t size) {
    void *moved;
    uint32_t larger = *room ? *room : 64;
    if (n + more <= *room) return 1;
    while (larger < n + more) larger *= 2;
    memcpy(&moved, things, sizeof moved);
    moved = realloc(moved, larger * size);
    if (!moved) {
        l->full = 1;
        return 0;
    }
    memcpy(things, &moved, sizeof moved);
    *room = larger;
    return 1;
}

/* Let so many words be in the inbox of a core, or none; whether there is memory for them. */
API int seat_fill(seat *s, const uint32_t *words, uint32_t n) {
    uint32_t *made = n ? malloc(n * sizeof *made) : NULL;
    if (n && !made) return 0;
    if (n) memcpy(made, words, n * sizeof *made);
    free(s->inbox);
    s->inbox = made;
    s->words = s->size = n;
    return 1;
}

/* A packet comes to a core; one for which there is no room is lost. */
API void seat_offer(seat *s, uint32_t control, uint32_t key, uint32_t data) {
    if (s->words + 3 > s->size && s->words < 3 * MOST_PACKETS) {
        uint32_t larger = 2 * s->words + 48, *moved = realloc(s->inbox, larger * sizeof *moved);
        if (moved) {
            s->inbox = moved;
            s->size = larger;
        }
    }
    if (s->made) s->made->touched = 1;
    if (s->words >= 3 * MOST_PACKETS || s->words + 3 > s->size) {
        s->lost++;
        return;
    }
    assert(s->words + 3 <= s->size);
    s->inbox[s->words++] = control;
    s->inbox[s->words++] = key;
    s->inbox[s->words++] = data;
}

/* Let a core run until it waits or has a fault, and lose what it does not take then; why it stopped. */
API int seat_run(seat *s, uint64_t now) {
    uint32_t taken = 0;
    int stopped = core_run(s->made, now, s->inbox, s->words / 3, &taken);
    s->words -= 3 * taken;
    if (taken && s->words) memmove(s->inbox, s->inbox + 3 * taken, s->words * sizeof *s->inbox);
    if (stopped == FAULT) return FAULT;
    s->rest = (uint32_t) stopped;
    if (stopped == WFI) {
        s->faults = s->streamed = 0;
        s->lost += s->words / 3;
        s->words = 0;
    }
    return stopped;
}

static int ended(const seat *s) { return !s->made || s->rest == FAULT; }

/* A core has run: whether its next ticks are for nothing. */
API int seat_settle(seat *s) { return s->made && settle(s->made, s->words || s->mailed); }

API int seat_ready(const seat *s) { return !ended(s) && core_ready(s->made, s->words / 3); }

static int before(event a, event b) { return a.at < b.at || (a.at == b.at && a.of < b.of); }

/* Put an event into the heap, at its place or below it. */
static void sink(loop *l, uint32_t i, event one) {
    for (uint32_t child; (child = 2 * i + 1) < l->n_events; i = child) {
        if (child + 1 < l->n_events && before(l->events[child + 1], l->events[child])) child++;
        if (!before(l->events[child], one)) break;
        l->events[i] = l->events[child];
    }
    l->events[i] = one;
}

API void loop_push(loop *l, uint64_t at, uint32_t of) {
    event one = {at, of};
    uint32_t i = l->n_events;
    if (!grow(l, &l->events, &l->events_size, i, 1, sizeof one)) return;
    for (l->n_events++; i && before(one, l->events[(i - 1) / 2]); i = (i - 1) / 2) l->events[i] = l->events[(i - 1) / 2];
    l->events[i] = one;
}

static event pop(loop *l) {
    event first = l->events[0];
    if (--l->n_events) sink(l, 0, l->events[l->n_events]);
    return first;
}

static int stale(const loop *l, event one) {
    const seat *s = l->seats[one.of / 2];
    return ended(s) || s->made->timers[one.of & 1].deadline != one.at;
}

API void loop_schedule(loop *l, seat *s);

/* Ticks of cores that are no longer idle become events. */
static void rouse(loop *l) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < l->n_idle; i++) {
        seat *s = l->seats[l->idle[i]];
        if (core_idle(s->made)) {
            l->idle[kept++] = l->idle[i];
            continue;
        }
        s->listed = 0;
        loop_schedule(l, s);
    }
    l->n_idle = kept;
}

/* Those of all cores do, until they are found idle again. */
API void loop_rouse(loop *l) {
    for (uint32_t i = 0; i < l->n_idle; i++)
        if (l->seats[l->idle[i]]->made) l->seats[l->idle[i]]->made->touched = 1;
    rouse(l);
}

/* Cycle to which the clock jumps next, NEVER if no timer runs that anybody's state depends on. */
API uint64_t loop_next(loop *l) {
    rouse(l);
    while (l->n_events && stale(l, l->events[0])) pop(l);
    return l->n_events ? l->events[0].at : NEVER;
}

API void loop_wake(loop *l, seat *s) {
    if (s->queued) return;
    s->queued = 1;
    assert(l->n_ready < l->n_seats);
    l->ready[(l->first + l->n_ready++) % l->n_seats] = s->number;
}

/* The core that goes on before anybody else, because it was paused. */
API void loop_again(loop *l, seat *s) {
    if (s->queued) return;
    s->queued = 1;
    assert(l->n_ready < l->n_seats);
    l->first = (l->first + l->n_seats - 1) % l->n_seats;
    l->ready[l->first] = s->number;
    l->n_ready++;
}

/* The core that runs next, taken out of the ring. */
API uint32_t loop_take(loop *l) {
    uint32_t number = l->ready[l->first];
    assert(l->n_ready);
    l->first = (l->first + 1) % l->n_seats;
    l->n_ready--;
    l->seats[number]->queued = 0;
    return number;
}

/* Deadlines of a core's timers become events, but those of an idle one. */
API void loop_schedule(loop *l, seat *s) {
    if (core_idle(s->made)) {
        s->scheduled[0] = s->scheduled[1] = NEVER;
        if (!s->listed) l->idle[l->n_idle++] = s->number;
        s->listed = 1;
        return;
    }
    for (uint32_t i = 0; i < 2; i++) {
        uint64_t deadline = s->made ? s->made->timers[i].deadline : NEVER;
        if (deadline != NEVER && deadline != s->scheduled[i]) loop_push(l, deadline, 2 * s->number + i);
        s->scheduled[i] = deadline;
    }
    if (l->n_events > MOST_EVENTS) {                            /* timers that are set again and again leave their old ones */
        uint32_t kept = 0;
        for (uint32_t i = 0; i < l->n_events; i++)
            if (!stale(l, l->events[i])) l->events[kept++] = l->events[i];
        l->n_events = kept;
        for (uint32_t i = kept / 2; i--;) sink(l, i, l->events[i]);
    }
}

/* A program runs on a chip: somebody may look at its clock. */
API void loop_see(loop *l, uint32_t chip) {
    if (l->seen[chip]) return;
    l->seen[chip] = 1;
    l->clocked[l->n_clocked++] = chip;
}

/* A packet is under way, or (`lands`) about to arrive. */
API void loop_put(loop *l, int lands, uint32_t from, uint32_t control, uint32_t key, uint32_t data) {
    packet one = {from, control, key, data};
    if (lands ? grow(l, &l->landing, &l->landing_size, l->n_landing, 1, sizeof one)
              : grow(l, &l->sent, &l->sent_size, l->n_sent, 1, sizeof one))
        *(lands ? &l->landing[l->n_landing++] : &l->sent[l->n_sent++]) = one;
}

/* Take the packets of a core that has run; how many. */
API uint32_t loop_collect(loop *l, seat *s) {
    core *c = s->made;
    uint32_t n = c ? (uint32_t) (c->n_sent / 3) : 0, from = s->chip | BEGINS;
    loop_see(l, s->chip);
    if (!n || !grow(l, &l->sent, &l->sent_size, l->n_sent, n, sizeof *l->sent)) return 0;
    for (const uint32_t *word = c->sent; word < c->sent + 3 * (size_t) n; word += 3, from = s->chip) {
        packet one = {from, word[0], word[1], word[2]};
        l->sent[l->n_sent++] = one;
    }
    c->n_sent = 0;
    return n;
}

/* Let the next core run, and look after what it has done; LOOK if Python has to, AT_REST if not. */
static int turn(loop *l, uint32_t *found) {
    seat *s = l->seats[found[0] = loop_take(l)];
    if (!seat_ready(s) || core_skip(s->made)) return AT_REST;
    l->running = s->number + 1;
    int stopped = seat_run(s, l->cycle);
    l->running = 0;
    found[1] = stopped == FAULT;
    if (stopped == FAULT || stopped == READY || l->mail || s->mailed || s->made->n_sent > 3 * MANY) {
        l->mail = 0;
        return LOOK;
    }
    seat_settle(s);
    loop_collect(l, s);
    loop_schedule(l, s);
    return AT_REST;
}

static uint32_t place_of(uint32_t from, uint32_t control, uint32_t key) {
    uint32_t mixed = (key * 0x9e3779b1u) ^ (from * 0x85ebca6bu) ^ (control * 0xc2b2ae35u);
    return (mixed ^ mixed >> 15) % TABLE;
}

/* The place in a table of the way of packets, or where it would be. */
static uint32_t *find(uint32_t *table, const way *ways, uint32_t from, uint32_t control, uint32_t key) {
    uint32_t at = place_of(from, control, key);
    for (; table[at]; at = (at + 1) % TABLE) {
        const way *w = &ways[table[at] - 1];
        if (w->key == key && w->from == from && w->control == control) break;
    }
    return &table[at];
}

/* Bits of the key of a packet that routers look at: packets.seen_bits */
static uint32_t seen_bits(uint32_t control, uint32_t multicast) {
    uint32_t kind = control & TYPE;
    return !kind ? multicast : kind == POINT_TO_POINT ? 0xffff : 0;
}

/* The number of the way of a packet and 1, or 0. */
static uint32_t way_of(uint32_t *table, const way *ways, uint32_t key_bits, uint32_t from, uint32_t control, uint32_t key) {
    uint32_t found = *find(table, ways, from, control, key & seen_bits(control, key_bits));
    return found ? found : *find(table, ways, from, control | OWN, key);
}

/* The cores to which packets go; whether there is memory for that. */
API int loop_plant(loop *l, uint32_t from, uint32_t control, uint32_t key, const uint32_t *numbers, uint32_t n) {
    way one = {from, control, key, l->n_ends, n, 0};
    assert(l->n_ways < MOST_TREES);
    if (!grow(l, &l->ways, &l->ways_size, l->n_ways, 1, sizeof one) ||
        !grow(l, &l->ends, &l->ends_size, l->n_ends, n, sizeof *l->ends)) return 0;
    for (uint32_t i = 0; i < n; i++) l->ends[l->n_ends++] = l->seats[numbers[i]];
    *find(l->table, l->ways, from, control, key) = l->n_ways + 1;
    l->ways[l->n_ways++] = one;
    return 1;
}

/* Forget where packets go. */
API void loop_forget(loop *l) {
    if (l->n_ways) memset(l->table, 0, TABLE * sizeof *l->table);
    l->n_ways = l->n_ends = 0;
}

/* Let packets reach their cores until all have, or so many that messages should be looked after first; MISSING if it is
 * not known where the next one goes. */
static int land(loop *l, uint32_t *found) {
    for (; l->left && l->landed < l->n_landing; l->left--) {
        const packet *p = &l->landing[l->landed];
        uint32_t from = p->from & ~BEGINS, at = way_of(l->table, l->ways, l->key_bits, from, p->control, p->key);
        if (!at) {
            found[0] = from;
            found[1] = p->control;
            found[2] = p->key;
            return MISSING;
        }
        way *w = &l->ways[at - 1];
        w->passed++;
        for (seat **end = l->ends + w->first; end < l->ends + w->first + w->n; end++) {
            seat_offer(*end, p->control, p->key, p->data);
            loop_wake(l, *end);
        }
        l->landed++;
    }
    l->left = LANDINGS;
    return AT_REST;
}

/* All packets that are under way arrive. */
API void loop_arrive(loop *l) {
    packet *before = l->landing;
    uint32_t size = l->landing_size;
    l->landing = l->sent;
    l->landing_size = l->sent_size;
    l->n_landing = l->n_sent;
    l->landed = l->n_sent = 0;
    l->sent = before;
    l->sent_size = size;
}

/* Jump to the next instant at which timers expire, and let them. */
static void tick(loop *l) {
    uint64_t instant = l->events[0].at;
    for (uint32_t i = 0; i < l->n_idle; i++)                    /* as if they had ticked until now */
        if (core_catch_up(l->seats[l->idle[i]]->made, instant) == instant) loop_push(l, instant, 2 * l->idle[i]);
    while (l->n_events && l->events[0].at == instant) {
        event one = pop(l);
        seat *s = l->seats[one.of / 2];
        if (stale(l, one)) continue;
        if (l->cycle != instant) {
            uint64_t ms = instant / CYCLES_PER_MS;
            l->cycle = instant;
            for (uint32_t i = 0; i < l->n_clocked; i++) memcpy(l->clocks[l->clocked[i]], &ms, sizeof ms);
        }
        core_expire(s->made, (int) (one.of & 1), instant);
        loop_schedule(l, s);
        loop_wake(l, s);
    }
}

/* Do up to so many things, with so many jumps of the clock, none beyond a cycle. LOOK: found[0] is the number of a core that has
 * run, found[1] whether it has a fault; MISSING: of packets whose way is not known, chip, control and key. */
API int loop_go(loop *l, uint64_t until, uint32_t instants, uint32_t things, uint32_t *found) {
    for (; things; things--) {
        int why = AT_REST;
        if (l->asked) {
            l->asked = 0;
            return ASKED;
        }
        if (l->landed < l->n_landing) why = land(l, found);
        else if (l->n_ready) why = turn(l, found);
        else if (l->n_sent) {
            loop_arrive(l);
            why = land(l, found);
        } else if (rouse(l), instants && l->n_events && l->events[0].at <= until) {
            instants--;
            tick(l);
        } else return AT_REST;
        if (l->full) return FULL;
        if (why) return why;
    }
    return AT_REST;
}

/* Make room for cores and chips, whose seats and clocks these are; whether there is. */
API int loop_open(loop *l, seat **seats, uint32_t n_seats, uint8_t **clocks, uint32_t n_chips) {
    l->seats = malloc(n_seats * sizeof *l->seats);
    l->clocks = malloc(n_chips * sizeof *l->clocks);
    l->seen = calloc(n_chips, 1);
    l->ready = malloc(n_seats * sizeof *l->ready);
    l->clocked = malloc(n_chips * sizeof *l->clocked);
    l->idle = malloc(n_seats * sizeof *l->idle);
    l->table = calloc(TABLE, sizeof *l->table);
    if (!l->seats || !l->clocks || !l->seen || !l->ready || !l->clocked || !l->table || !l->idle) return 0;
    memcpy(l->seats, seats, n_seats * sizeof *seats);
    memcpy(l->clocks, clocks, n_chips * sizeof *clocks);
    l->n_seats = n_seats;
    l->left = LANDINGS;
    for (uint32_t i = 0; i < n_seats; i++) seats[i]->number = i;
    return 1;
}

API void loop_close(loop *l) {
    void *parts[] = {l->seats, l->ends, l->clocks, l->seen, l->events, l->ready, l->clocked, l->table, l->sent, l->landing,
                     l->ways, l->idle};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) free(parts[i]);
}
