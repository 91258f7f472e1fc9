/* Executes what arm_decode.h has decoded: a core's program, until something stops it. It is part of core_native.c, whose
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
    if (address - SDRAM_BASE <= SDRAM_SIZE - size) return c->memories[2].bytes + (address - SDRAM_BASE);
    if (!stores && address <= CODE - size) return c->memories[0].bytes + address;
    return NULL;
}

/* Something has been written to instructions. */
static void forget(core *c, uint32_t offset, uint32_t size) {
    arm *a = &c->arm;
    for (uint32_t i = offset / 4; i <= (offset + size - 1) / 4 && i < CODE / 4; i++) a->words[i].kind = K_UNDECODED;
    if (a->halves)
        for (uint32_t i = offset / 2; i <= (offset + size - 1) / 2 && i < CODE / 2; i++) a->halves[i].kind = K_UNDECODED;
}

static int nowhere(core *c, const char *verb, uint32_t address, uint32_t size) {
    snprintf(c->message, sizeof c->message, "%s of %u bytes at 0x%08x, where nothing is", verb, size, address);
    c->fault = -1 - DATA;
    return 0;
}

/* Reads or writes what is no memory that everybody uses all the time; whether the program goes on behind it. */
static int far_load(core *c, uint32_t address, uint32_t size, uint32_t *value) {
    for (int i = 0; i < c->n_memories; i++) {
        uint32_t offset = address - c->memories[i].base;
        if (offset < c->memories[i].size && size <= c->memories[i].size - offset) {
            *value = 0;
            memcpy(value, c->memories[i].bytes + offset, size);
            return 1;
        }
    }
    for (int i = 0; i < c->n_places; i++) {
        const place *p = &c->places[i];
        uint32_t offset = address - p->base;
        if (offset >= p->size) continue;
        *value = p->read ? (uint32_t) p->read(c, offset, size) : c->serve(c, p->base, offset, size, 0, 0);
        return !c->stops;
    }
    return nowhere(c, "read", address, size);
}

static int far_store(core *c, uint32_t address, uint32_t size, uint32_t value) {
    for (int i = 0; i < c->n_memories; i++) {
        uint32_t offset = address - c->memories[i].base;
        if (offset < c->memories[i].size && size <= c->memories[i].size - offset) {
            memcpy(c->memories[i].bytes + offset, &value, size);
            if (!i) forget(c, offset, size);
            return 1;
        }
    }
    for (int i = 0; i < c->n_places; i++) {
        const place *p = &c->places[i];
        uint32_t offset = address - p->base;
        if (offset >= p->size) continue;
        if (p->write) p->write(c, offset, size, value);
        else c->serve(c, p->base, offset, size, 1, value);
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

static inline int load(core *c, uint32_t address, uint32_t size, uint32_t *value) {
    const uint8_t *at = memory_at(c, address, size, 0);
    if (!at) return far_load(c, address, size, value);
    *value = bytes_at(at, size);
    return 1;
}

static inline int store(core *c, uint32_t address, uint32_t size, uint32_t value) {
    uint8_t *at = memory_at(c, address, size, 1);
    if (!at) return far_store(c, address, size, value);
    memcpy(at, &value, size);
    return 1;
}

static inline uint32_t offset_of(const op *o, const uint32_t *r, uint32_t carry) {
    uint32_t ignored;
    if (!(o->flags & REGISTER)) return o->number;
    uint32_t offset = shifted(o, r, carry, &ignored);
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
    uint32_t base = a->r[o->rn], bytes = 4 * (uint32_t) __builtin_popcount(o->number), at = lowest_of(o, base, bytes);
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
    uint32_t base = a->r[o->rn], bytes = 4 * (uint32_t) __builtin_popcount(o->number), at = lowest_of(o, base, bytes);
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

#define TAKE_FLAGS (sign = a->sign, zero = a->zero, carry = a->carry, overflow = a->overflow)
#define GIVE_FLAGS (a->sign = sign, a->zero = zero, a->carry = carry, a->overflow = overflow)
#define FLAGS_OF_ZERO(value) sign = zero = (value)
#define FLAGS_OF_SUM(x, y, sum)                                                                     \
    FLAGS_OF_ZERO(sum), overflow = (~((x) ^ (y)) & ((x) ^ (sum))) >> 31
#define ADDING(x, y, more)                                                                          \
    { uint64_t wide = (uint64_t) (x) + (y) + (more); made = (uint32_t) wide; out = (uint32_t) (wide >> 32); }
#define LOGIC(made_of, keeps) { made = (made_of); if (keeps) { r[o->rd] = made; } NEXT; }
#define LOGIC_S(made_of, keeps)                                                                     \
    { made = (made_of); FLAGS_OF_ZERO(made); carry = out; if (keeps) { r[o->rd] = made; } NEXT; }
#define SUM(x, y, more, keeps) { if (keeps) { r[o->rd] = (x) + (y) + (more); } NEXT; }
#define SUM_S(x, y, more, keeps)                                                                    \
    { uint32_t p = (x), q = (y); ADDING(p, q, more) FLAGS_OF_SUM(p, q, made); carry = out;       \
      if (keeps) { r[o->rd] = made; } NEXT; }
/* Each instruction with its three operands, without flags and with */
#define OPERAND_I(s) y = o->number; if (s) out = o->flags & CARRY_0 ? o->flags & 1 : carry;
#define OPERAND_R(s) y = r[o->rm]; if (s) out = carry;
#define OPERAND_T(s) y = shifted(o, r, carry, &out);
#define ALU(name, how, made_of, keeps)                                                              \
    do_##name##_I: OPERAND_I(0) how(made_of, keeps)                                                 \
    do_##name##_R: OPERAND_R(0) how(made_of, keeps)                                                 \
    do_##name##_T: OPERAND_T(0) how(made_of, keeps)                                                 \
    do_##name##S_I: OPERAND_I(1) how##_S(made_of, keeps)                                            \
    do_##name##S_R: OPERAND_R(1) how##_S(made_of, keeps)                                            \
    do_##name##S_T: OPERAND_T(1) how##_S(made_of, keeps)
#define ALU_SUM(name, first, second, more, keeps)                                                   \
    do_##name##_I: OPERAND_I(0) SUM(first, second, more, keeps)                                     \
    do_##name##_R: OPERAND_R(0) SUM(first, second, more, keeps)                                     \
    do_##name##_T: OPERAND_T(0) SUM(first, second, more, keeps)                                     \
    do_##name##S_I: OPERAND_I(1) SUM_S(first, second, more, keeps)                                  \
    do_##name##S_R: OPERAND_R(1) SUM_S(first, second, more, keeps)                                  \
    do_##name##S_T: OPERAND_T(1) SUM_S(first, second, more, keeps)
/* An access: with a number for an offset, and all others. The base changes only if the access is made. */
#define ACCESS(name, does, ends)                                                                    \
    do_##name##_I: at = r[o->rn] + o->number; does ends NEXT;                                       \
    do_##name: {                                                                                    \
        uint32_t moved = r[o->rn] + offset_of(o, r, carry);                                                \
        at = o->flags & BEFORE ? moved : r[o->rn];                                                  \
        does                                                                                        \
        if (o->flags & WRITES_BACK) r[o->rn] = moved;                                               \
        ends                                                                                        \
        NEXT;                                                                                       \
    }
/* The value stays in a register as long as it comes from memory that is near. */
#define LOAD(size, value)                                                                           \
    { const uint8_t *from = memory_at(c, at, size, 0);                                              \
      uint32_t far;                                                                                 \
      if (from) value = bytes_at(from, size);                                                       \
      else if (far_load(c, at, size, &far)) value = far;                                            \
      else goto again; }
#define STORE(size) if (!store(c, at, size, r[o->rd])) goto again;
#define HERE ((uint32_t) (o - table) << width)
#define NEXT do { o = next++; goto *labels[o->kind]; } while (0)

/* Run from c->pc until something stops it, and leave c->pc where it goes on. Between two instructions of a jump alone is
 * looked whether somebody has asked it to pause. */
static void run_program(core *c) {
#define LABEL(name) &&do_##name,
#define SIX_LABELS(name) &&do_##name##_I, &&do_##name##_R, &&do_##name##_T, &&do_##name##S_I, &&do_##name##S_R, &&do_##name##S_T,
#define TWO_LABELS(name) &&do_##name##_I, &&do_##name,
    static const void *const labels[] = {FOR_EACH_OTHER(LABEL) FOR_EACH_ALU(SIX_LABELS) FOR_EACH_ACCESS(TWO_LABELS)};
    arm *a = &c->arm;
    uint32_t sign, zero, carry, overflow;                       /* those of `a` while it runs */
    uint32_t *r = a->r, y = 0, made = 0, out = 0, at = 0, to = c->pc;
    op *table = NULL, *next = NULL, *o = NULL;
    int width = 2;
    c->stops = 0;
    TAKE_FLAGS;
    goto change;

jump:                                                           /* to `to`, in the same state */
    if (c->pause) {
        c->pause = 0;
        c->yielded = 1;
        goto leave;
    }
    if (to >= CODE) goto lost;
    next = table + (to >> width);
    NEXT;
change:                                                         /* to `to`, in the state that c->thumb says */
    table = table_of(c);
    width = c->thumb ? 1 : 2;
    if (!table) {
        snprintf(c->message, sizeof c->message, "no memory for what Thumb's instructions are");
        c->fault = 1;
        goto leave;
    }
    goto jump;
lost:
    nowhere(c, "fetch", to, 2u << (width - 1));
    c->fault = -1 - FETCH;
    goto leave;
again:                                                          /* the access was not made: the instruction comes again */
    to = HERE;
leave:
    GIVE_FLAGS;
    c->pc = to;
    return;

do_UNDECODED: {
    uint32_t word = 0;
    memcpy(&word, c->itcm + HERE, (size_t) 1 << width);
    if (width == 2) decode_arm(o, word, HERE);
    else decode_thumb(o, word, HERE);
    goto *labels[o->kind];
}
do_IF:
    if (!(HOLDS_FOR[o->condition] >> (sign >> 31 << 3 | (uint32_t) !zero << 2 | carry << 1 | overflow) & 1)) NEXT;
    goto *labels[o->then];
do_WITH_PC:
    r[15] = HERE + (4u << (width - 1));
    goto *labels[o->last];
do_NOWHERE:
    to = CODE;
    goto lost;
do_UNDEFINED:
    snprintf(c->message, sizeof c->message, "no instruction of the core");
    c->fault = -1 - UNDEFINED;
    goto again;
do_SVC:
    snprintf(c->message, sizeof c->message, "SVC");
    c->fault = -1 - CALL;
    to = HERE + (1u << width);
    goto leave;
do_BKPT:
    snprintf(c->message, sizeof c->message, "BKPT");
    c->fault = -1 - CALL;
    goto again;
do_NOP:
    NEXT;
do_WAIT:
    to = HERE + 4;
    c->at_wait = 1;
    goto leave;
do_CONTROL:
    if (o->flags) r[o->rd] = a->control;
    else a->control = r[o->rd];
    NEXT;
do_TO_PC:
    r[15] = HERE + (4u << (width - 1));
    if (!(o->last & 3)) y = o->number;
    else y = shifted(o, r, carry, &out);
    to = computed(o->last >> 3, r[o->rn], y, carry);
    if (o->last & 4) {                                          /* back from an exception */
        set_status(c, saved_status(a));
        TAKE_FLAGS;
        to &= c->thumb ? ~1u : ~3u;
        goto change;
    }
    to &= width == 1 ? ~1u : ~3u;
    goto jump;
do_BL:
    r[14] = HERE + 4;
do_B:
    to = o->number;
    goto jump;
do_BLX:
    r[14] = HERE + 4;
    c->thumb = 1;
    to = o->number;
    goto change;
do_BLX_R:
    to = r[o->rm];
    r[14] = width == 1 ? (HERE + 2) | 1 : HERE + 4;
    goto exchange;
do_BX_R:
    to = r[o->rm];
exchange:
    c->thumb = to & 1;
    to &= c->thumb ? ~1u : ~3u;
    if (c->thumb != (width == 1)) goto change;
    goto jump;
do_BL_FIRST:
    r[14] = o->number;
    NEXT;
do_BL_SECOND:
    to = r[14] + o->number;
    r[14] = (HERE + 2) | 1;
    to &= ~1u;
    goto jump;
do_BLX_SECOND:
    to = (r[14] + o->number) & ~3u;
    r[14] = (HERE + 2) | 1;
    c->thumb = 0;
    goto change;
do_LITERAL:
    at = o->number;
    LOAD(4, y)
    r[o->rd] = y;
    NEXT;
do_LDR_PC: {
    uint32_t moved = r[o->rn] + offset_of(o, r, carry);
    at = o->flags & BEFORE ? moved : r[o->rn];
    LOAD(4, y)
    if (o->flags & WRITES_BACK) r[o->rn] = moved;
    to = y;
    goto exchange;
}
do_LDM:
    if (!load_several(c, o, &to)) goto again;
    if (!(o->number >> 15)) NEXT;
    if (!(o->flags & USERS)) goto exchange;
    set_status(c, saved_status(a));
    TAKE_FLAGS;
    to &= c->thumb ? ~1u : ~3u;
    goto change;
do_STM:
    if (!store_several(c, o)) goto again;
    NEXT;
do_MUL:
    r[o->rd] = r[o->rm] * r[o->rs];
    NEXT;
do_MULS:
    r[o->rd] = r[o->rm] * r[o->rs];
    FLAGS_OF_ZERO(r[o->rd]);
    NEXT;
do_MLA:
    r[o->rd] = r[o->rm] * r[o->rs] + r[o->rn];
    NEXT;
do_MLAS:
    r[o->rd] = r[o->rm] * r[o->rs] + r[o->rn];
    FLAGS_OF_ZERO(r[o->rd]);
    NEXT;
do_LONG:
    GIVE_FLAGS;
    multiply_long(a, o);
    TAKE_FLAGS;
    NEXT;
do_SMLAXY: multiply_halves(a, o, K_SMLAXY); NEXT;
do_SMULXY: multiply_halves(a, o, K_SMULXY); NEXT;
do_SMLAWY: multiply_halves(a, o, K_SMLAWY); NEXT;
do_SMULWY: multiply_halves(a, o, K_SMULWY); NEXT;
do_SMLALXY: multiply_halves(a, o, K_SMLALXY); NEXT;
do_SATURATE:
    saturate(a, o);
    NEXT;
do_CLZ:
    r[o->rd] = r[o->rm] ? (uint32_t) __builtin_clz(r[o->rm]) : 32;
    NEXT;
do_SWP:
    if (!swap(c, o)) goto again;
    NEXT;
do_MRS:
    GIVE_FLAGS;
    r[o->rd] = o->flags & SAVED ? saved_status(a) : status(c);
    NEXT;
do_MSR:
    GIVE_FLAGS;
    write_status(c, o, o->flags & REGISTER_OPERAND ? r[o->rm] : o->number);
    TAKE_FLAGS;
    NEXT;

    ALU(AND, LOGIC, r[o->rn] & y, 1)
    ALU(EOR, LOGIC, r[o->rn] ^ y, 1)
    ALU_SUM(SUB, r[o->rn], ~y, 1u, 1)
    ALU_SUM(RSB, y, ~r[o->rn], 1u, 1)
    ALU_SUM(ADD, r[o->rn], y, 0u, 1)
    ALU_SUM(ADC, r[o->rn], y, carry, 1)
    ALU_SUM(SBC, r[o->rn], ~y, carry, 1)
    ALU_SUM(RSC, y, ~r[o->rn], carry, 1)
    ALU(TST, LOGIC, r[o->rn] & y, 0)
    ALU(TEQ, LOGIC, r[o->rn] ^ y, 0)
    ALU_SUM(CMP, r[o->rn], ~y, 1u, 0)
    ALU_SUM(CMN, r[o->rn], y, 0u, 0)
    ALU(ORR, LOGIC, r[o->rn] | y, 1)
    ALU(MOV, LOGIC, y, 1)
    ALU(BIC, LOGIC, r[o->rn] & ~y, 1)
    ALU(MVN, LOGIC, ~y, 1)

    ACCESS(LDR, LOAD(4, y), r[o->rd] = y;)
    ACCESS(LDRB, LOAD(1, y), r[o->rd] = y;)
    ACCESS(STR, STORE(4), )
    ACCESS(STRB, STORE(1), )
    ACCESS(LDRH, LOAD(2, y), r[o->rd] = y;)
    ACCESS(LDRSB, LOAD(1, y), r[o->rd] = (uint32_t) (int32_t) (int8_t) y;)
    ACCESS(LDRSH, LOAD(2, y), r[o->rd] = half(y, 0);)
    ACCESS(STRH, STORE(2), )
    ACCESS(LDRD, LOAD(4, y) at += 4; LOAD(4, made), r[o->rd] = y; r[o->rd + 1] = made;)
    ACCESS(STRD, STORE(4) if (!store(c, at + 4, 4, r[o->rd + 1])) goto again;, )
}
