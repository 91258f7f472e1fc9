/* Executes what arm_decode.h has decoded, in arm_loop.h: a core's program, until something stops it. It is part of core_native.c, whose
 * `core` has the memories and the devices. Not modelled, as by Unicorn: faults of alignment (an access goes where it says),
 * interrupts in the middle (core.py enters them at waits), the protection unit.
 */

enum { USR_MODE = 0x10 };
enum { N_BIT = 1 << 31, Z_BIT = 1 << 30, C_BIT = 1 << 29, V_BIT = 1 << 28, Q_BIT = 1 << 27 };

static const uint8_t bank_of[32] = {[FIQ_MODE] = 1, [IRQ_MODE] = 2, [SVC_MODE] = 3, [ABT_MODE] = 4, [UND_MODE] = 5};

/* Change the registers that a mode has to itself: 13 and 14, of FIQ 8 to 12 too. */
static void change_mode(arm *a, uint32_t mode) {
    int before = bank_of[a->mode & 31], after = bank_of[mode & 31];
    a->mode = mode;
    if (before == after) return;
    memcpy(a->banked[before], a->r + 13, sizeof a->banked[0]);
    memcpy(a->r + 13, a->banked[after], sizeof a->banked[0]);
    if (before != 1 && after != 1) return;
    memcpy(a->high[before == 1], a->r + 8, sizeof a->high[0]);
    memcpy(a->r + 8, a->high[after == 1], sizeof a->high[0]);
}

static uint32_t status(const core *c) {
    const arm *a = &c->arm;
    return (a->sign & (uint32_t) N_BIT) | (a->zero ? 0 : Z_BIT) | (a->carry ? C_BIT : 0) | (a->overflow ? V_BIT : 0) |
           (a->saturated ? Q_BIT : 0) | a->masks | (c->thumb ? T_BIT : 0) | a->mode;
}

static void set_flags(arm *a, uint32_t word) {
    a->sign = word;
    a->zero = !(word & Z_BIT);
    a->carry = bit(word, 29);
    a->overflow = bit(word, 28);
    a->saturated = bit(word, 27);
}

static void set_status(core *c, uint32_t word) {
    set_flags(&c->arm, word);
    c->arm.masks = word & (I_BIT | F_BIT);
    c->attend = 0;
    c->thumb = word & T_BIT ? 1 : 0;
    change_mode(&c->arm, word & MODE_BITS);
}

static uint32_t saved_status(const arm *a) { return a->saved[bank_of[a->mode & 31]]; }

static void set_saved_status(arm *a, uint32_t word) { a->saved[bank_of[a->mode & 31]] = word; }

/* The bytes of fields c, x, s, f (A4.1.39); a user writes the flags alone. */
static void write_status(core *c, const op *o, uint32_t word) {
    uint32_t mask = 0;
    for (int i = 0; i < 4; i++)
        if (o->amount >> i & 1) mask |= 0xffu << 8 * i;
    if (o->flags & SAVED) {
        set_saved_status(&c->arm, (saved_status(&c->arm) & ~mask) | (word & mask));
        return;
    }
    if (c->arm.mode == USR_MODE) mask &= 0xff000000u;
    mask &= ~(uint32_t) T_BIT;
    set_status(c, (status(c) & ~mask) | (word & mask));
}

/* Whether a condition (A3.2) holds: bit NZCV of its word. */
static const uint16_t HOLDS_FOR[] = {0xf0f0, 0x0f0f, 0xcccc, 0x3333, 0xff00, 0x00ff, 0xaaaa, 0x5555, 0x0c0c, 0xf3f3,
                                     0xaa55, 0x55aa, 0x0a05, 0xf5fa, 0xffff, 0x0000};

/* A register, shifted, and the carry that comes out (A5.1). */
static inline __attribute__((always_inline)) uint32_t shifted(const op *o, const uint32_t *r, uint32_t carry, uint32_t *out) {
    uint32_t value = r[o->rm], by = o->shift & BY_REGISTER ? r[o->rs] & 0xff : o->amount;
    *out = carry;
    if (o->shift == RRX) {
        *out = value & 1;
        return value >> 1 | carry << 31;
    }
    if (!by) return value;
    switch (o->shift & 3) {
    case LSL:
        *out = by <= 32 ? (uint32_t) bit(value, (32 - by) & 31) : 0;
        return by < 32 ? value << by : 0;
    case LSR:
        *out = by <= 32 ? (uint32_t) bit(value, by - 1) : 0;
        return by < 32 ? value >> by : 0;
    case ASR:
        *out = (uint32_t) (by < 32 ? bit(value, by - 1) : bit(value, 31));
        return (uint32_t) ((int32_t) value >> (by < 32 ? by : 31));
    default:
        *out = (uint32_t) bit(value, (by - 1) & 31);
        return rotated(value, by & 31);
    }
}

/* The same without the carry that comes out. */
static inline __attribute__((always_inline)) uint32_t moved(const op *o, const uint32_t *r, uint32_t carry) {
    uint32_t value = r[o->rm], by = o->shift & BY_REGISTER ? r[o->rs] & 0xff : o->amount;
    if (o->shift == RRX) return value >> 1 | carry << 31;
    switch (o->shift & 3) {
    case LSL: return by < 32 ? value << by : 0;
    case LSR: return by < 32 ? value >> by : 0;
    case ASR: return (uint32_t) ((int32_t) value >> (by < 32 ? by : 31));
    default: return rotated(value, by & 31);
    }
}

/* What the ALU makes of two operands, for the instructions that compute an address to go to. */
static uint32_t computed(int code, uint32_t x, uint32_t y, uint32_t carry) {
    switch (code) {
    case 0: return x & y;
    case 1: return x ^ y;
    case 2: return x - y;
    case 3: return y - x;
    case 4: return x + y;
    case 5: return x + y + carry;
    case 6: return x - y - !carry;
    case 7: return y - x - !carry;
    case 12: return x | y;
    case 13: return y;
    case 14: return x & ~y;
    default: return ~y;
    }
}

static uint32_t saturated(arm *a, int64_t value) {
    if (value == (int32_t) value) return (uint32_t) value;
    a->saturated = 1;
    return value < 0 ? 0x80000000u : 0x7fffffffu;
}

static uint32_t half(uint32_t word, int high) { return (uint32_t) (int32_t) (int16_t) (high ? word >> 16 : word); }

/* Where an access to memory goes, or NULL: a device, nothing, or (for stores) instructions. */
static inline uint8_t *memory_at(const core *c, uint32_t address, uint32_t size, int stores) {
    if (address - DTCM_BASE <= DTCM_SIZE - size) return c->memories[1].bytes + (address - DTCM_BASE);
    if (!c->apart && address - SDRAM_BASE <= SDRAM_SIZE - size) return c->memories[2].bytes + (address - SDRAM_BASE);
    if (!stores && address <= CODE - size) return c->memories[0].bytes + address;
    return NULL;
}

/* Something has been written to instructions. */
static void forget(core *c, uint32_t offset, uint32_t size) {
    arm *a = &c->arm;
    uint32_t first = offset < 4 ? 0 : offset - 4;               /* the one before may have been decoded as a pair with it */
    for (uint32_t i = first / 4; i <= (offset + size - 1) / 4 && i < CODE / 4; i++) a->words[i].kind = K_UNDECODED;
    for (uint32_t i = 0; a->blocks && i < CODE; i++) a->blocks[i].price = a->blocks[i].length = 0;    /* a jump may be under way */
    if (a->halves)
        for (uint32_t i = first / 2; i <= (offset + size - 1) / 2 && i < CODE / 2; i++) a->halves[i].kind = K_UNDECODED;
}

static int nowhere(core *c, const char *verb, uint32_t address, uint32_t size) {
    snprintf(c->message, sizeof c->message, "%s of %u bytes at 0x%08x, where nothing is", verb, size, address);
    c->fault = -1 - DATA;
    return 0;
}

/* Whether a device of the chip has the same in a register at all times: the router's state has, but in time. */
static int never_changes(const place *p, uint32_t offset) { return (p->base & 0x0fffffff) == ROUTER && offset == ROUTER_STATUS; }

/* The router's state, where work takes time: as Python serves it. */
static uint32_t router_status(core *c) {
    reach(c);
    progress(c);
    return (c->now < *c->router ? ROUTER_BLOCKED : 0) | (c->lines >> RTR_DUMP & 1 ? ROUTER_DUMPED : 0);
}

static uint32_t call_python(core *c, uint32_t base, uint32_t offset, uint32_t size, int stores, uint32_t value) {
    if (c->timed) c->called = 1;
    return c->serve(c, base, offset, size, stores, value);
}

/* Reads or writes what is no memory that everybody uses all the time; whether the program goes on behind it. */
static int far_load(core *c, uint32_t address, uint32_t size, uint32_t *value) {
    for (int i = 0; i < c->n_memories; i++) {
        uint32_t offset = address - c->memories[i].base;
        if (offset < c->memories[i].size && size <= c->memories[i].size - offset) {
            *value = 0;
            if (i >= FIRST_SHARED) c->outside = 1;
            memcpy(value, c->memories[i].bytes + offset, size);
            if (c->timed && i >= FIRST_SHARED) spend(c, i < FIRST_SHARED + 2 ? SDRAM_WAIT : SYSRAM_WAIT);
            return 1;
        }
    }
    for (int i = 0; i < c->n_places; i++) {
        const place *p = &c->places[i];
        uint32_t offset = address - p->base;
        if (offset >= p->size) continue;
        int state = never_changes(p, offset);
        if (!p->read && !state) c->outside = 1;
        if (p->read) *value = (uint32_t) p->read(c, offset, size);
        else if (state && c->router && size == 4) *value = router_status(c);
        else *value = call_python(c, p->base, offset, size, 0, 0);
        c->attend = 0;
        return !c->stops;
    }
    return nowhere(c, "read", address, size);
}

static int far_store(core *c, uint32_t address, uint32_t size, uint32_t value) {
    for (int i = 0; i < c->n_memories; i++) {
        uint32_t offset = address - c->memories[i].base;
        if (offset < c->memories[i].size && size <= c->memories[i].size - offset) {
            if (i >= FIRST_SHARED) c->outside = 1;
            memcpy(c->memories[i].bytes + offset, &value, size);
            if (!i) forget(c, offset, size);
            if (c->timed && i >= FIRST_SHARED) spend(c, i < FIRST_SHARED + 2 ? SDRAM_WAIT : SYSRAM_WAIT);
            return 1;
        }
    }
    for (int i = 0; i < c->n_places; i++) {
        const place *p = &c->places[i];
        uint32_t offset = address - p->base;
        if (offset >= p->size) continue;
        if (p->write) p->write(c, offset, size, value);
        else {
            c->outside = 1;
            call_python(c, p->base, offset, size, 1, value);
        }
        c->attend = 0;
        return !c->stops;
    }
    return nowhere(c, "write", address, size);
}

/* One, two or four bytes in memory. */
static inline uint32_t bytes_at(const uint8_t *from, uint32_t size) {
    uint16_t two;
    uint32_t four;
    if (size == 1) return *from;
    if (size == 2) {
        memcpy(&two, from, 2);
        return two;
    }
    memcpy(&four, from, 4);
    return four;
}

static inline __attribute__((always_inline)) void put_bytes(uint8_t *to, uint32_t size, uint32_t value) { memcpy(to, &value, size); }

static __attribute__((noinline)) int load(core *c, uint32_t address, uint32_t size, uint32_t *value) {
    const uint8_t *at = memory_at(c, address, size, 0);
    if (!at) return far_load(c, address, size, value);
    *value = bytes_at(at, size);
    return 1;
}

static __attribute__((noinline)) int store(core *c, uint32_t address, uint32_t size, uint32_t value) {
    uint8_t *at = memory_at(c, address, size, 1);
    if (!at) return far_store(c, address, size, value);
    memcpy(at, &value, size);
    return 1;
}

static inline uint32_t offset_of(const op *o, const uint32_t *r, uint32_t carry) {
    if (!(o->flags & REGISTER)) return o->number;
    uint32_t offset = moved(o, r, carry);
    return o->flags & DOWN ? -offset : offset;
}

/* The registers that LDM and STM mean: with ^ and without register 15, those of a user. */
static uint32_t *register_of(arm *a, const op *o, int number) {
    int bank = bank_of[a->mode & 31];
    if (!(o->flags & USERS) || !bank) return a->r + number;
    if (number >= 13 && number < 15) return &a->banked[0][number - 13];
    if (number >= 8 && number < 13 && bank == 1) return &a->high[0][number - 8];
    return a->r + number;
}

static uint32_t lowest_of(const op *o, uint32_t base, uint32_t bytes) {
    uint32_t low = o->flags & DOWN ? base - bytes : base;
    return low + (!(o->flags & BEFORE) == !(o->flags & DOWN) ? 0 : 4);
}

/* LDM; whether it goes on behind it. What is read of register 15 comes in `to`. */
static int load_several(core *c, const op *o, uint32_t *to) {
    arm *a = &c->arm;
    uint32_t base = a->r[o->rn], bytes = 4u * o->amount, at = lowest_of(o, base, bytes);
    uint32_t found[16], *next = found;
    const uint8_t *from = memory_at(c, at, bytes, 0);
    if (from) memcpy(found, from, bytes);
    else
        for (uint32_t i = 0; i < bytes; i += 4)
            if (!load(c, at + i, 4, found + i / 4)) return 0;
    if (o->flags & WRITES_BACK) a->r[o->rn] = o->flags & DOWN ? base - bytes : base + bytes;
    for (uint32_t rest = o->number & 0x7fff; rest; rest &= rest - 1) {
        int number = __builtin_ctz(rest);
        *(o->number >> 15 ? a->r + number : register_of(a, o, number)) = *next++;
    }
    if (o->number >> 15) *to = *next;
    return 1;
}

static int store_several(core *c, const op *o) {
    arm *a = &c->arm;
    uint32_t base = a->r[o->rn], bytes = 4u * o->amount, at = lowest_of(o, base, bytes);
    uint32_t values[16], *next = values;
    for (uint32_t rest = o->number; rest; rest &= rest - 1) *next++ = *register_of(a, o, __builtin_ctz(rest));
    uint8_t *to = memory_at(c, at, bytes, 1);
    if (to) memcpy(to, values, bytes);
    else
        for (uint32_t i = 0; i < bytes; i += 4)
            if (!store(c, at + i, 4, values[i / 4])) return 0;
    if (o->flags & WRITES_BACK) a->r[o->rn] = o->flags & DOWN ? base - bytes : base + bytes;
    return 1;
}

static void multiply_long(arm *a, const op *o) {
    uint64_t before = (uint64_t) a->r[o->rn] << 32 | a->r[o->rd];
    uint64_t made = o->flags & SIGNED ? (uint64_t) ((int64_t) (int32_t) a->r[o->rm] * (int32_t) a->r[o->rs])
                                      : (uint64_t) a->r[o->rm] * a->r[o->rs];
    if (o->flags & ACCUMULATES) made += before;
    a->r[o->rd] = (uint32_t) made;
    a->r[o->rn] = (uint32_t) (made >> 32);
    if (o->flags & WITH_FLAGS) {
        a->sign = (uint32_t) (made >> 32);
        a->zero = made != 0;
    }
}

static void multiply_halves(arm *a, const op *o, int kind) {
    int32_t y = (int32_t) half(a->r[o->rs], o->flags & HIGH_S);
    int wide = kind == K_SMLAWY || kind == K_SMULWY;
    int64_t made = wide ? ((int64_t) (int32_t) a->r[o->rm] * y) >> 16
                        : (int64_t) (int32_t) half(a->r[o->rm], o->flags & HIGH_M) * y;
    if (kind == K_SMLALXY) {
        uint64_t sum = ((uint64_t) a->r[o->rn] << 32 | a->r[o->rd]) + (uint64_t) made;
        a->r[o->rd] = (uint32_t) sum;
        a->r[o->rn] = (uint32_t) (sum >> 32);
        return;
    }
    if (kind == K_SMLAXY || kind == K_SMLAWY) {
        made = (int32_t) made + (int64_t) (int32_t) a->r[o->rn];
        if (made != (int32_t) made) a->saturated = 1;
    }
    a->r[o->rd] = (uint32_t) made;
}

static void saturate(arm *a, const op *o) {
    int64_t y = (int32_t) a->r[o->rn];
    if (o->flags & DOUBLES) y = (int32_t) saturated(a, 2 * y);
    a->r[o->rd] = saturated(a, (int32_t) a->r[o->rm] + (o->flags & SUBTRACTS ? -y : y));
}

static int swap(core *c, const op *o) {
    arm *a = &c->arm;
    uint32_t size = o->flags & BYTES ? 1 : 4, address = a->r[o->rn], value = a->r[o->rm], found;
    if (!load(c, address, size, &found) || !store(c, address, size, value)) return 0;
    a->r[o->rd] = found;
    return 1;
}

/* The table of instructions of the state it is in: decoded words, or half words, of which few programs have any. */
static op *table_of(core *c) {
    arm *a = &c->arm;
    if (!c->thumb) return a->words;
    if (!a->halves) {
        a->halves = calloc(CODE / 2 + 1, sizeof *a->halves);
        if (a->halves) a->halves[CODE / 2].kind = K_NOWHERE;
    }
    return a->halves;
}

/* The same for its blocks: those of half words, then those of words. */
static block *blocks_of(const core *c) { return c->arm.blocks + (c->thumb ? 0 : CODE / 2 + 1); }

static void decode(op *o, uint32_t word, uint32_t here, int width) {
    if (width == 2) decode_arm(o, word, here);
    else decode_thumb(o, word, here);
}

/* An instruction, decoded; with the one behind it if that is in the same page: blocks end with pages. */
static op *decoded(core *c, op *table, int width, uint32_t here) {
    op *o = table + (here >> width);
    if (o->kind == K_UNDECODED) {
        uint32_t word = 0, behind = here + (1u << width);
        memcpy(&word, c->itcm + here, (size_t) 1 << width);
        decode(o, word, here, width);
        if (behind % PAGE) {
            op next;
            memcpy(&word, c->itcm + behind, (size_t) 1 << width);
            decode(&next, word, behind, width);
            uint16_t both = pair_of(o->kind, next.kind);
            if (both != o->kind) decoded(c, table, width, behind);          /* of which it takes the operands */
            o->kind = both;
        }
        if (c->timed && here % PAGE == 0) {
            c->arm.pages[width & 1][here / PAGE] = o->kind;
            o->kind = K_PAGE;
        }
    }
    return o;
}

/* Whether a block ends with an instruction of a kind: it may go elsewhere, or change what comes next. */
static int ends_block(const op *o, int kind) {
    if (kind == K_IF) kind = o->then;
    if (kind == K_WITH_PC) kind = o->last;
    if (kind >= K_BEQ && kind <= K_BLE) return 1;
    switch (kind) {
    case K_LDM: return bit(o->number, 15);
    case K_CONTROL: return !o->flags;
    case K_NOWHERE: case K_UNDEFINED: case K_SVC: case K_BKPT: case K_WAIT: case K_TO_PC: case K_B: case K_BL:
    case K_BLX: case K_BX_R: case K_BLX_R: case K_BL_SECOND: case K_BLX_SECOND: case K_LDR_PC: case K_MSR:
        return 1;
    default: return 0;
    }
}

/* What the first instruction of a page is. */
static uint16_t kind_behind(const core *c, int width, uint32_t here) { return c->arm.pages[width & 1][here / PAGE]; }

static void set_price(core *c, cost *one, uint32_t address, uint32_t size) {
    uint64_t both = c->price(c, address, size);
    one->cycles = (uint32_t) both;
    one->jump = (uint32_t) (both >> 32);
    one->size = size;
    one->thumb = (uint32_t) c->thumb;
}

/* Look how long the block is that begins somewhere (up to where it may go elsewhere, or to the end of a page), and what it
 * costs. */
static __attribute__((noinline)) void measure(core *c, block *made, op *table, int width, uint32_t begins) {
    uint32_t end = begins, step = 1u << width, goes_on = 0;
    cost *one = &c->costs[begins / 2];
    for (int ends = 0; !ends; ends |= end % PAGE == 0) {
        const op *o = decoded(c, table, width, end);
        int kind = o->kind == K_PAGE ? kind_behind(c, width, end) : o->kind;
        ends = ends_block(o, kind);
        end += step;
        goes_on = kind >= K_BEQ && kind <= K_BLE && o->number << width == end;          /* a jump to where it is anyway */
    }
    if (one->size != end - begins) set_price(c, one, begins, end - begins);
    made->length = (uint16_t) ((end - begins) >> width);
    made->jump = goes_on ? 0 : (uint16_t) one->jump;
    made->price = (int32_t) one->cycles - UNMEASURED;
}

/* A core that is `profiled` begins a block. What came before has cost a jump. */
static __attribute__((noinline)) void note_block(core *c, uint32_t address, uint64_t jump) {
    if (c->last) c->last->spent += jump;
    c->last = &c->costs[address / 2];
    c->last->begun++;
    c->last->spent += c->last->cycles;
}

/* A block cannot begin: something else comes first. */
static __attribute__((noinline)) int stop_before(core *c, uint32_t address, uint64_t jump) {
    if (c->last) c->last->spent += jump;
    c->now += jump;
    c->jump = 0;
    c->follow = address;
    c->stopped = 1;
    return 0;
}

/* Whether a block may begin: it is counted then. What came before has cost a jump. Nothing has to be looked at before the limit from
 * here on, unless a device or the status is touched; and in a while, so that what is not measured is never before it. */
static __attribute__((noinline)) int begin_block(core *c, uint32_t address, uint64_t jump, const block *one) {
    uint64_t now = c->now + jump, last = now + UNMEASURED / 2;
    if (__builtin_expect(now >= c->limit || (raw(c) & c->enable && wanted(c)), 0)) return stop_before(c, address, jump);
    if (__builtin_expect(c->profiled, 0)) note_block(c, address, jump);
    c->now = now + (uint64_t) (one->price + UNMEASURED);
    c->attend = c->profiled ? 0 : c->limit < last ? c->limit : last;
    return 1;
}

/* The program of a core whose work takes time: each block has its price, and what happens in between ends it. */
#define RUN run_timed
#define TIMED 1
#include "arm_loop.h"
#define RUN run_untimed
#define TIMED 0
#include "arm_loop.h"

static void run_program(core *c) {
    if (c->timed) run_timed(c);
    else run_untimed(c);
}
