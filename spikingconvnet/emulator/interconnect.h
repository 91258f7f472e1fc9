/* Packets on their way through routers and links where work takes time: native_interconnect.py, whose specification is
 * interconnect.py. It stands behind board_loop.h.
 */
enum { SEND = 10, ROUTER_PACKET = 2, ROUTER_PIPELINE = 20, LINK_PACKET = 33, LINK_LONG_PACKET = 60, LINK_FLIGHT = 20,
       LINK_QUEUE = 4, NUM_LINKS = 6, COUNTERS = 16 };
#define NO_WIRE 0xffffffffu                                     /* of a packet that a core of the chip has sent */

/* A packet comes to a router: where, as a place among the branches of all ways */
typedef struct {
    uint64_t at, number;
    uint32_t branch, control, key, data;
} hop;

/* A router on the way of packets: the wire by which they come, FAKE of it, bits of the counters that count them, cores, branches
 * behind it */
typedef struct { uint32_t chip, wire, came_by, counters, ends, n_ends, children, n_children; } stage;

/* A packet that a core of a chip has sent */
typedef struct {
    uint64_t at;
    uint32_t from, control, key, data;
} posted;

/* native_interconnect.Dropped: a packet that a router has dropped, as it came to its branch */
typedef struct {
    uint64_t at;
    uint32_t branch, control, key, data;
} dropped;

/* native_interconnect.Net */
typedef struct {
    uint64_t lag, number;
    hop *hops;                                                  /* a heap */
    stage *branches;
    way *ways;                                                  /* `first` is that of its branches */
    posted *posts;
    seat **ends, **cores;                                       /* cores: those of all chips, one chip behind the other */
    uint64_t *routers, *wires, *patience;                       /* when they are free again; cycles that a router waits */
    uint32_t *counts, *senders, *table, *firsts;                /* firsts: of `cores` */
    dropped *dropped;
    uint8_t *paced;                                             /* chips whose cores have to take turns to send */
    uint32_t n_chips, n_hops, n_branches, n_ways, n_posts, done, n_ends, n_dropped;
    uint32_t hops_size, branches_size, ways_size, posts_size, ends_size, dropped_size, key_bits, full;
} net;

/* native_interconnect.Span: what net_run is asked for, and what came of it */
typedef struct {
    uint64_t end, most, lag, until, next, clock;
    uint32_t passes;
    int busy, carries;
} span;

static int room(net *t, void *things, uint32_t *size, uint32_t n, uint32_t more, size_t each) {
    loop none = {0};
    if (!grow(&none, things, size, n, more, each)) t->full = 1;
    return !t->full;
}

static int sooner(const hop *a, const hop *b) { return a->at < b->at || (a->at == b->at && a->number < b->number); }

/* A packet is going to come to a router. */
API void net_come(net *t, uint64_t at, uint64_t number, uint32_t place, uint32_t control, uint32_t key, uint32_t data) {
    hop one = {at, number, place, control, key, data};
    uint32_t i = t->n_hops;
    if (!room(t, &t->hops, &t->hops_size, i, 1, sizeof one)) return;
    for (t->n_hops++; i && sooner(&one, &t->hops[(i - 1) / 2]); i = (i - 1) / 2) t->hops[i] = t->hops[(i - 1) / 2];
    t->hops[i] = one;
}

static hop next_hop(net *t) {
    hop first = t->hops[0], one = t->hops[--t->n_hops];
    uint32_t i = 0;
    for (uint32_t child; (child = 2 * i + 1) < t->n_hops; i = child) {
        if (child + 1 < t->n_hops && sooner(&t->hops[child + 1], &t->hops[child])) child++;
        if (!sooner(&t->hops[child], &one)) break;
        t->hops[i] = t->hops[child];
    }
    t->hops[i] = one;
    return first;
}

/* Where packets go: branches, one behind the other with their children behind them, and their cores. Returns the place of the
 * first, NO_WIRE if there is no memory for them. */
API uint32_t net_plant(net *t, uint32_t from, uint32_t control, uint32_t key, const stage *branches, uint32_t n,
                       seat **ends, uint32_t n_ends) {
    way one = {from, control, key, t->n_branches, n, 0};
    if (!room(t, &t->ways, &t->ways_size, t->n_ways, 1, sizeof one) ||
        !room(t, &t->branches, &t->branches_size, t->n_branches, n, sizeof *branches) ||
        !room(t, &t->ends, &t->ends_size, t->n_ends, n_ends, sizeof *ends)) return NO_WIRE;
    for (uint32_t i = 0; i < n; i++) {
        stage *b = &t->branches[one.first + i];
        *b = branches[i];
        b->ends += t->n_ends;
        b->children += one.first;
    }
    if (n_ends) memcpy(t->ends + t->n_ends, ends, n_ends * sizeof *ends);
    t->n_ends += n_ends;
    t->n_branches += n;
    *find(t->table, t->ways, from, control, key) = t->n_ways + 1;
    t->ways[t->n_ways++] = one;
    return one.first;
}

/* Forget where packets go, but for those that are under way. */
API void net_forget(net *t) {
    if (t->n_ways) memset(t->table, 0, TABLE * sizeof *t->table);
    t->n_ways = 0;
    if (!t->n_hops) t->n_branches = t->n_ends = 0;
}

/* Take the packets of cores that have sent some, by their places among all, unless Python has to look at one of them; whether it
 * has not. */
API int net_take(net *t, seat *const *seats, const int *found, int n) {
    for (int i = 0; i < n; i++) {
        const core *c = seats[found[i]]->made;
        if (c->rest == FAULT || c->dropped || c->enable >> RTR_DUMP & 1) return 0;
    }
    for (int i = 0; i < n; i++) {
        const seat *s = seats[found[i]];
        core *c = s->made;
        uint32_t packets = (uint32_t) (c->n_sent / 3);
        if (!room(t, &t->posts, &t->posts_size, t->n_posts, packets, sizeof *t->posts)) return 1;
        for (uint32_t p = 0; p < packets; p++) {
            posted one = {c->sent_at[p], s->chip, c->sent[3 * p], c->sent[3 * p + 1], c->sent[3 * p + 2]};
            t->posts[t->n_posts++] = one;
        }
        t->senders[s->chip]++;
        c->n_sent = 0;
    }
    return 1;
}

/* A core of a chip has sent a packet. */
API void net_post(net *t, uint64_t at, uint32_t from, uint32_t control, uint32_t key, uint32_t data) {
    posted one = {at, from, control, key, data};
    if (room(t, &t->posts, &t->posts_size, t->n_posts, 1, sizeof one)) t->posts[t->n_posts++] = one;
}

/* Packets come to the routers of those who have sent them; MISSING if it is not known where one goes. */
API int net_send(net *t, uint32_t *found) {
    for (; t->done < t->n_posts; t->done++) {
        const posted *p = &t->posts[t->done];
        uint32_t at = way_of(t->table, t->ways, t->key_bits, p->from, p->control, p->key);
        if (!at) {
            found[0] = p->from;
            found[1] = p->control;
            found[2] = p->key;
            return MISSING;
        }
        net_come(t, p->at + SEND, ++t->number, t->ways[at - 1].first, p->control, p->key, p->data);
    }
    t->done = t->n_posts = 0;
    return AT_REST;
}

/* A packet comes to a router. */
static void route(net *t, hop h) {
    const stage *b = &t->branches[h.branch], *children = t->branches + b->children;
    uint64_t begins = h.at > t->routers[b->chip] ? h.at : t->routers[b->chip], ready = begins + ROUTER_PIPELINE, held = 0;
    uint64_t takes = h.control & PAYLOAD ? LINK_LONG_PACKET : LINK_PACKET, patience = t->patience[b->chip];
    if (b->wire != NO_WIRE && begins > LINK_FLIGHT && t->wires[b->wire] < begins - LINK_FLIGHT)
        t->wires[b->wire] = begins - LINK_FLIGHT;               /* its wire holds it until the router takes it */
    for (uint32_t i = 0; i < b->n_children; i++) {
        uint64_t at = t->wires[children[i].wire];
        if (at > ready + LINK_QUEUE * takes + held) held = at - ready - LINK_QUEUE * takes;
    }
    t->routers[b->chip] = begins + ROUTER_PACKET + (held < patience ? held : patience);
    if (held > patience) {
        dropped one = {ready + patience, h.branch, h.control, h.key, h.data};
        if (room(t, &t->dropped, &t->dropped_size, t->n_dropped, 1, sizeof one)) t->dropped[t->n_dropped++] = one;
        return;
    }
    for (uint32_t i = 0; i < b->n_children; i++) {
        uint64_t *wire = &t->wires[children[i].wire];
        *wire = (*wire > ready ? *wire : ready) + takes;
        net_come(t, *wire + LINK_FLIGHT, ++t->number, b->children + i, h.control, h.key, h.data);
    }
    for (seat **end = t->ends + b->ends; end < t->ends + b->ends + b->n_ends; end++)
        if (!ended(*end) && !arrive((*end)->made, begins + t->lag, (h.control & ~(uint32_t) FAKE) | b->came_by, h.key, h.data))
            (*end)->lost++;
    for (uint32_t bits = b->counters; bits; bits &= bits - 1) t->counts[COUNTERS * b->chip + (uint32_t) __builtin_ctz(bits)]++;
}

/* Cores of a chip send packets so many cycles apart at least. */
static void set_pace(net *t, uint32_t chip, uint64_t pace) {
    for (seat **s = t->cores + t->firsts[chip]; s < t->cores + t->firsts[chip + 1]; s++)
        if (!ended(*s)) (*s)->made->pace = pace;
}

/* Let packets that have been sent set out, and everything happen at routers before a cycle; let cores whose routers have not come to
 * all packets by now take turns. MISSING: of packets whose way is not known, chip, control and key. */
API int net_carry(net *t, uint64_t until, uint64_t now, uint32_t *found) {
    if (net_send(t, found) == MISSING) return MISSING;
    while (t->n_hops && t->hops[0].at < until) route(t, next_hop(t));
    for (uint32_t i = 0; i < t->n_chips; i++) {
        uint8_t busy = t->routers[i] > now;
        if (busy || t->paced[i]) set_pace(t, i, busy ? LINK_PACKET * (uint64_t) (t->senders[i] ? t->senders[i] : 1) : 0);
        t->paced[i] = busy;
        t->senders[i] = 0;
    }
    return t->full ? FULL : AT_REST;
}

/* Whether Python has served a device of a core since it was asked last. */
static int any_called(core *const *cores, int n) {
    int any = 0;
    for (int i = 0; i < n; i++) {
        any |= cores[i]->called;
        cores[i]->called = 0;
    }
    return any;
}

/* Let cores run and their packets go on, until Python has to do something or for so many passes; what it is: interconnect.Interconnect.run.
 * Returns how many cores it has to look at. */
API int net_run(net *t, span *s, core *const *cores, seat *const *seats, int n, bank **banks, int n_banks, int *found) {
    for (uint32_t pass = 1;; pass++) {
        uint64_t end = s->end;
        uint32_t asked[3];
        s->carries = t->n_hops > 0;
        if (s->carries && t->hops[0].at + s->lag < end) end = t->hops[0].at + s->lag;
        int n_found = cores_run(cores, n, end, s->lag, banks, n_banks, found, &s->next, &s->clock, &s->busy);
        if (any_called(cores, n) || s->clock >= s->until || (n_found && !net_take(t, seats, found, n_found))) return n_found;
        s->carries |= n_found > 0;
        if (!s->carries || net_carry(t, s->next, s->clock, asked) != AT_REST) return 0;
        s->carries = 0;
        s->busy = 1;
        s->next = s->clock;
        if (s->most) s->end = s->next + s->most;
        if (t->n_dropped || pass >= s->passes || s->next >= s->end) return 0;
    }
}

/* Make room for chips, of which each has the cores from its first to that of the next; whether there is. */
API int net_open(net *t, uint64_t lag, seat **cores, const uint32_t *firsts, uint32_t n_chips) {
    t->lag = lag;
    t->n_chips = n_chips;
    t->cores = malloc((firsts[n_chips] + 1) * sizeof *cores);
    t->firsts = malloc((n_chips + 1) * sizeof *firsts);
    t->routers = calloc(n_chips, sizeof *t->routers);
    t->wires = calloc(n_chips, NUM_LINKS * sizeof *t->wires);
    t->patience = calloc(n_chips, sizeof *t->patience);
    t->counts = calloc(n_chips, COUNTERS * sizeof *t->counts);
    t->senders = calloc(n_chips, sizeof *t->senders);
    t->table = calloc(TABLE, sizeof *t->table);
    t->paced = calloc(n_chips, 1);
    if (!t->cores || !t->firsts || !t->routers || !t->wires || !t->patience || !t->counts || !t->senders || !t->table ||
        !t->paced)
        return 0;
    memcpy(t->cores, cores, firsts[n_chips] * sizeof *cores);
    memcpy(t->firsts, firsts, (n_chips + 1) * sizeof *firsts);
    return 1;
}

API void net_close(net *t) {
    void *parts[] = {t->hops, t->branches, t->ways, t->posts, t->ends, t->cores, t->routers, t->wires, t->patience, t->counts,
                     t->senders, t->dropped, t->table, t->firsts, t->paced};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) free(parts[i]);
}
