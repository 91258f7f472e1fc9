/* Instructions of ARMv5TE, ARM and Thumb, as what arm_run.h executes. Each word of ITCM is decoded when it is first
 * executed; most of Thumb's instructions are ARM's with other words. Sections are those of the ARM Architecture Reference
 * Manual (DDI 0100), A3 to A7.
 */
#ifndef ARM_DECODE_H
#define ARM_DECODE_H

#include <stdint.h>

#define FOR_EACH_ALU(X)                                                                             \
    X(AND) X(EOR) X(SUB) X(RSB) X(ADD) X(ADC) X(SBC) X(RSC) X(TST) X(TEQ) X(CMP) X(CMN) X(ORR) X(MOV) X(BIC) X(MVN)
/* By operand: a number, a register, one that is shifted somehow, or by a number; then the same with flags */
#define FOR_EACH_OPERAND(X, name) X(name##_I) X(name##_R) X(name##_T) X(name##_LSL) X(name##_LSR) X(name##_ASR)
#define FOR_EACH_FORM(X, name) FOR_EACH_OPERAND(X, name) FOR_EACH_OPERAND(X, name##S)
#define FOR_EACH_ACCESS(X) X(LDR) X(LDRB) X(STR) X(STRB) X(LDRH) X(LDRSB) X(LDRSH) X(STRH) X(LDRD) X(STRD)
/* By offset: a number, a register shifted to the left, a number that stays in the base, one that counts only behind the
 * access; and any other */
#define FOR_EACH_OFFSET(X, name) X(name##_I) X(name##_LSL) X(name##_BACK) X(name##_POST) X(name)
/* Jumps within ITCM, by condition */
#define FOR_EACH_BRANCH(X)                                                                          \
    X(BEQ) X(BNE) X(BCS) X(BCC) X(BMI) X(BPL) X(BVS) X(BVC) X(BHI) X(BLS) X(BGE) X(BLT) X(BGT) X(BLE)
#define FOR_EACH_OTHER(X)                                                                           \
    X(UNDECODED) X(PAGE) X(IF) X(WITH_PC) X(NOWHERE) X(UNDEFINED) X(SVC) X(BKPT) X(NOP) X(WAIT) X(CONTROL) X(TO_PC)         \
    X(B) X(BL) X(BLX) X(BX_R) X(BLX_R) X(BL_FIRST) X(BL_SECOND) X(BLX_SECOND) X(LITERAL) X(LDR_PC) X(LDM) X(STM)      \
    X(LDM_PLAIN) X(STM_PLAIN) X(MUL) X(MULS) X(MLA) X(MLAS) X(LONG) X(UMULL) X(UMLAL) X(SMULL) X(SMLAL) X(SMLAXY) X(SMULXY) X(SMLAWY) X(SMULWY) X(SMLALXY) X(SATURATE) X(CLZ)       \
    X(SWP) X(MRS) X(MSR)
/* Two instructions that are often one behind the other are done as one: in a chain of loads, sums and comparisons, in
 * numbers of 64 bits and fixed point, and before jumps. */
#define FOR_EACH_SECOND(X, first)                                                                   \
    X(first, LDR_I) X(first, STR_I) X(first, ADD_R) X(first, ADD_I) X(first, SUB_R) X(first, MOV_I)                   \
    X(first, MOV_LSL) X(first, ADD_LSL) X(first, CMPS_R) X(first, CMPS_I)
#define FOR_EACH_BRANCH_OF(X, first)                                                                \
    X(first, BEQ) X(first, BNE) X(first, BCS) X(first, BCC) X(first, BMI) X(first, BPL) X(first, BVS) X(first, BVC)   \
    X(first, BHI) X(first, BLS) X(first, BGE) X(first, BLT) X(first, BGT) X(first, BLE)
#ifdef CHECKED                                                  /* sanitisers take minutes to compile all of them */
#define FOR_EACH_PAIR(X)                                                                            \
    X(LDR_I, ADD_R) X(STR_I, LDR_I) X(CMPS_R, BNE) X(CMPS_I, BEQ) X(SUBS_I, BNE) X(ADDS_R, ADC_R)
#else
#define FOR_EACH_PAIR(X)                                                                            \
    FOR_EACH_SECOND(X, LDR_I) FOR_EACH_SECOND(X, STR_I) FOR_EACH_SECOND(X, ADD_R) FOR_EACH_SECOND(X, ADD_I)           \
    FOR_EACH_SECOND(X, SUB_R) FOR_EACH_SECOND(X, MOV_R) FOR_EACH_SECOND(X, MOV_I) FOR_EACH_SECOND(X, MOV_LSL)         \
    FOR_EACH_BRANCH_OF(X, CMPS_R) FOR_EACH_BRANCH_OF(X, CMPS_I) X(TSTS_R, BEQ) X(TSTS_R, BNE) X(SUBS_I, BEQ)          \
    X(SUBS_I, BNE) X(SBCS_R, BCS) X(SBCS_R, BCC) X(ORRS_R, BEQ) X(ORRS_R, BNE) X(ADDS_R, ADC_R) X(CMPS_R, SBCS_R)     \
    X(ADD_LSL, LDR_I) X(ADD_LSL, MOV_R) X(ADD_LSL, ADD_LSL) X(LDR_I, MOV_ASR) X(MOV_ASR, MLA) X(MOV_LSL, ORR_LSR)     \
    X(ORR_LSR, LDR_I) X(ORR_LSR, SUB_R) X(MOV_LSR, MOV_LSR) X(MOV_LSR, ORR_LSL) X(ORR_LSL, MOV_LSR)                   \
    X(LDRH_I, LDR_I) X(LDRH_I, CMPS_R) X(LDRSH_I, SUB_R) X(LDRSH_I, CMPS_R) X(LDRSH_I, CMPS_I) X(LDRSH_I, LDRSH_I)    \
    X(LDR_I, STRH_I) X(ADD_I, STRH_I) X(STRH_I, LDR_I)
#endif
#define ONE_OF(name) K_##name,
#define FORMS_OF(name) FOR_EACH_FORM(ONE_OF, name)
#define OFFSETS_OF(name) FOR_EACH_OFFSET(ONE_OF, name)
#define PAIR_OF(first, second) K_##first##_##second,

enum kind { FOR_EACH_OTHER(ONE_OF) FOR_EACH_BRANCH(ONE_OF) FOR_EACH_ALU(FORMS_OF) FOR_EACH_ACCESS(OFFSETS_OF)
            FOR_EACH_PAIR(PAIR_OF) KINDS };

/* One instruction. `kind` is done first (of a page's first one, where work takes time, K_PAGE); of IF and WITH_PC `then`, and what that is of `last`. */
typedef struct {
    uint16_t kind, then, last;
    uint8_t condition : 4, shift : 4, rd, rn, rm;
    union { uint8_t rs, amount; };                              /* by what rm is shifted; of LDM and STM, how many */
    uint8_t flags;
    uint32_t number;                                            /* operand, offset, target, list of registers */
} op;

/* How a register is shifted: by `amount`, by the register `rs`, or by one through the carry (A5.1) */
enum { LSL, LSR, ASR, ROR, BY_REGISTER, RRX = 8 };
/* `flags` of accesses: the offset is a register, goes down, counts before the access, stays in the base; LDM and STM:
 * with the user's registers, or the saved status */
enum { REGISTER = 1, DOWN = 2, BEFORE = 4, WRITES_BACK = 8, USERS = 16 };
/* of numbers of the ALU: they come with a carry */
enum { CARRY_0 = 2, CARRY_1 = 3 };
/* of others: an accumulator, signs, flags; halves of registers; the saved status; bytes */
enum { ACCUMULATES = 1, SIGNED = 2, WITH_FLAGS = 4, HIGH_M = 1, HIGH_S = 2, SAVED = 1, BYTES = 1, LINKS = 1, DOUBLES = 2,
       SUBTRACTS = 1, REGISTER_OPERAND = 2 };
enum { ALWAYS_DONE = 14 };

static uint32_t rotated(uint32_t value, uint32_t by) { return by ? value >> by | value << (32 - by) : value; }

static int bit(uint32_t word, int place) { return word >> place & 1; }

/* The operand of the ALU that is a register: its shift, and which of the three kinds (0 a number, 1, 2). */
static int shifter(op *o, uint32_t word) {
    o->rm = word & 15;
    o->shift = word >> 5 & 3;
    if (bit(word, 4)) {
        o->rs = word >> 8 & 15;
        o->shift |= BY_REGISTER;
        return 2;
    }
    o->amount = word >> 7 & 31;
    if (!o->amount && o->shift == LSL) return 1;
    if (!o->amount && o->shift == ROR) o->shift = RRX;
    else if (!o->amount) o->amount = 32;
    return 2;
}

/* What reads register 15 needs it made; what writes it ends in a jump. */
static void with_pc(op *o, int reads) {
    if (!reads) return;
    o->last = o->then = o->kind;
    o->kind = K_WITH_PC;
}

/* Which of FOR_EACH_OPERAND an operand is, of which `shifter` has said one of three. */
static int form_of(const op *o, int operand) {
    int by_number = operand == 2 && o->shift < ROR && o->amount < 32;
    return by_number ? 3 + o->shift : operand;
}

static void alu(op *o, int code, int flags, int operand) {
    static const uint16_t first[] = {
#define FIRST(name) K_##name##_I,
        FOR_EACH_ALU(FIRST)
    };
    int compares = code >= 8 && code <= 11;
    o->kind = (uint16_t) (first[code] + 6 * flags + form_of(o, operand));
    int reads = (code != 13 && code != 15 && o->rn == 15) || (operand && o->rm == 15) ||
                (operand == 2 && o->shift & BY_REGISTER && o->rs == 15);
    if (!compares && o->rd == 15) {                             /* computes into register 15, then goes there */
        o->last = (uint8_t) (code << 3 | flags << 2 | operand);
        o->kind = K_TO_PC;
    } else {
        with_pc(o, reads);
    }
}

/* An access, of which `general` is the last of FOR_EACH_OFFSET. */
static void access(op *o, uint16_t general, uint32_t flags) {
    int form = 4;
    o->flags = (uint8_t) flags;
    if (!(flags & REGISTER)) form = !(flags & BEFORE) ? 3 : flags & WRITES_BACK ? 2 : 0;
    else if ((flags & (BEFORE | WRITES_BACK | DOWN)) == BEFORE && o->shift == LSL) form = 1;
    o->kind = (uint16_t) (general - 4 + form);
    with_pc(o, o->rn == 15 || o->rd == 15 || (flags & REGISTER && o->rm == 15));
}

static uint32_t addressing(uint32_t word) {
    uint32_t flags = bit(word, 24) ? BEFORE : WRITES_BACK;
    if (!bit(word, 23)) flags |= DOWN;
    if (bit(word, 24) && bit(word, 21)) flags |= WRITES_BACK;
    return flags;
}

static void word_or_byte(op *o, uint32_t word, uint32_t here) {
    static const uint16_t kinds[] = {K_STR, K_LDR, K_STRB, K_LDRB};
    uint32_t flags = addressing(word);
    int which = 2 * bit(word, 22) + bit(word, 20);
    if (bit(word, 25)) {
        flags |= REGISTER;
        shifter(o, word);
    } else {
        o->number = flags & DOWN ? -(word & 0xfff) : word & 0xfff;
    }
    if (which == 1 && o->rd == 15) {
        o->flags = (uint8_t) flags;
        o->kind = K_LDR_PC;
        with_pc(o, o->rn == 15 || (flags & REGISTER && o->rm == 15));
    } else if (which == 1 && o->rn == 15 && !(flags & (REGISTER | WRITES_BACK))) {
        o->number += here + 8;
        o->kind = K_LITERAL;
    } else {
        access(o, kinds[which], flags);
    }
}

static void half_or_signed(op *o, uint32_t word) {
    static const uint16_t kinds[] = {K_UNDEFINED, K_STRH, K_LDRD, K_STRD, K_UNDEFINED, K_LDRH, K_LDRSB, K_LDRSH};
    uint32_t flags = addressing(word), offset = (word >> 4 & 0xf0) | (word & 15);
    uint16_t kind = kinds[4 * bit(word, 20) + (word >> 5 & 3)];
    o->rm = word & 15;
    if (bit(word, 22)) o->number = flags & DOWN ? -offset : offset;
    else flags |= REGISTER;
    o->shift = LSL;
    if ((kind == K_LDRD || kind == K_STRD) && o->rd & 1) kind = K_UNDEFINED;
    if (kind == K_UNDEFINED) o->kind = kind;
    else access(o, kind, flags);
}

static void multiply_or_swap(op *o, uint32_t word) {
    o->rm = word & 15;
    o->rs = word >> 8 & 15;
    if ((word & 0x0fc00000) == 0) {                             /* rd and rn have changed places */
        o->rd = word >> 16 & 15;
        o->rn = word >> 12 & 15;
        o->kind = bit(word, 21) ? (bit(word, 20) ? K_MLAS : K_MLA) : bit(word, 20) ? K_MULS : K_MUL;
    } else if ((word & 0x0f800000) == 0x00800000) {
        o->flags = (uint8_t) ((bit(word, 21) ? ACCUMULATES : 0) | (bit(word, 22) ? SIGNED : 0) |
                              (bit(word, 20) ? WITH_FLAGS : 0));
        static const uint16_t kinds[] = {K_UMULL, K_UMLAL, K_SMULL, K_SMLAL};
        o->kind = bit(word, 20) ? K_LONG : kinds[word >> 21 & 3];
    } else if ((word & 0x0fb00f00) == 0x01000000) {
        o->flags = bit(word, 22) ? BYTES : 0;
        o->kind = K_SWP;
    }
}

static void halves(op *o, uint32_t word) {
    o->rm = word & 15;
    o->rs = word >> 8 & 15;
    o->flags = (uint8_t) ((bit(word, 5) ? HIGH_M : 0) | (bit(word, 6) ? HIGH_S : 0));
    int which = word >> 21 & 3;
    if (which == 1) {
        o->kind = bit(word, 5) ? K_SMULWY : K_SMLAWY;
    } else if (which == 2) {
        o->kind = K_SMLALXY;
        return;
    } else {
        o->kind = which ? K_SMULXY : K_SMLAXY;
    }
    o->rd = word >> 16 & 15;
    o->rn = word >> 12 & 15;
}

static void miscellaneous(op *o, uint32_t word) {
    int which = word >> 21 & 3;
    o->rm = word & 15;
    switch (word >> 4 & 15) {
    case 0:
        o->flags = bit(word, 22) ? SAVED : 0;
        o->kind = bit(word, 21) ? K_MSR : K_MRS;
        o->amount = word >> 16 & 15;
        if (bit(word, 21)) o->flags |= REGISTER_OPERAND;
        return;
    case 1:
        if (which == 1) o->kind = K_BX_R;
        if (which == 3) o->kind = K_CLZ;
        with_pc(o, o->kind == K_BX_R && o->rm == 15);
        return;
    case 3: if (which == 1) o->kind = K_BLX_R; return;
    case 5:
        o->flags = (uint8_t) ((which & 1 ? SUBTRACTS : 0) | (which & 2 ? DOUBLES : 0));
        o->kind = K_SATURATE;
        return;
    case 7: if (which == 1) o->kind = K_BKPT; return;
    case 8: case 10: case 12: case 14: halves(o, word); return;
    }
}

static void data(op *o, uint32_t word) {
    int code = word >> 21 & 15, operand = 0, flags = bit(word, 20);
    if (bit(word, 25)) {
        uint32_t by = (word >> 8 & 15) * 2;
        o->number = rotated(word & 0xff, by);
        if (by) o->flags = o->number >> 31 ? CARRY_1 : CARRY_0;
    } else {
        operand = shifter(o, word);
    }
    alu(o, code, flags, operand);
}

/* LDM or STM of a list; plain without register 15 and ^. */
static void list(op *o, int loads) {
    int plain = !(o->flags & USERS) && !bit(o->number, 15);
    o->amount = (uint8_t) __builtin_popcount(o->number);
    o->kind = !o->number ? K_UNDEFINED : plain ? (loads ? K_LDM_PLAIN : K_STM_PLAIN) : loads ? K_LDM : K_STM;
}

static void several(op *o, uint32_t word) {
    o->number = word & 0xffff;
    o->flags = (uint8_t) ((bit(word, 24) ? BEFORE : 0) | (bit(word, 23) ? 0 : DOWN) | (bit(word, 22) ? USERS : 0) |
                          (bit(word, 21) ? WRITES_BACK : 0));
    list(o, bit(word, 20));
    with_pc(o, o->kind == K_STM && bit(word, 15));
}

/* A3.1: what an instruction without a condition is */
static void unconditional(op *o, uint32_t word, uint32_t here) {
    if ((word & 0x0e000000) == 0x0a000000) {
        o->number = here + 8 + (uint32_t) ((int32_t) (word << 8) >> 6) + (bit(word, 24) ? 2 : 0);
        o->kind = K_BLX;
    } else if ((word & 0x0d70f000) == 0x0550f000) {
        o->kind = K_NOP;                                        /* PLD */
    }
}

/* A jump within ITCM with a condition: `number` is the place of its target in the table. */
static void branch(op *o, uint32_t condition, int width) {
    o->kind = (uint16_t) (K_BEQ + condition);
    o->number >>= width;
}

static void decode_arm(op *o, uint32_t word, uint32_t here) {
    *o = (op) {.kind = K_UNDEFINED, .rd = word >> 12 & 15, .rn = word >> 16 & 15};
    uint8_t condition = (uint8_t) (word >> 28);
    if (condition == 15) {
        unconditional(o, word, here);
        return;
    }
    switch (word >> 25 & 7) {
    case 0:
        if ((word & 0xf0) == 0x90) multiply_or_swap(o, word);
        else if ((word & 0x90) == 0x90) half_or_signed(o, word);
        else if ((word & 0x01900000) == 0x01000000) miscellaneous(o, word);
        else data(o, word);
        break;
    case 1:
        if ((word & 0x01900000) != 0x01000000) {
            data(o, word);
        } else if (bit(word, 21)) {
            o->number = rotated(word & 0xff, (word >> 8 & 15) * 2);
            o->amount = word >> 16 & 15;
            o->flags = bit(word, 22) ? SAVED : 0;
            o->kind = K_MSR;
        }
        break;
    case 2: word_or_byte(o, word, here); break;
    case 3: if (!bit(word, 4)) word_or_byte(o, word, here); break;
    case 4: several(o, word); break;
    case 5:
        o->number = here + 8 + (uint32_t) ((int32_t) (word << 8) >> 6);
        o->kind = bit(word, 24) ? K_BL : K_B;
        break;
    case 7:
        if (bit(word, 24)) o->kind = K_SVC;
        else if ((word & WAIT_MASK) == WAIT) o->kind = K_WAIT;
        else if ((word & 0x00ef0fff) == 0x00010f10) o->kind = K_CONTROL;    /* the register c1, c0, 0 of p15 */
        if (o->kind == K_CONTROL) o->flags = (uint8_t) bit(word, 20);
        break;
    }
    if (condition != ALWAYS_DONE && o->kind == K_B && o->number < CODE) {
        branch(o, condition, 2);
    } else if (condition != ALWAYS_DONE) {
        o->condition = condition & 15;
        if (o->kind == K_WITH_PC || o->kind == K_TO_PC) {
            o->then = o->kind;                                  /* and `last` is what it was */
        } else {
            o->then = o->last = o->kind;
        }
        o->kind = K_IF;
    }
}

/* A6: Thumb */
static void thumb_alu(op *o, uint32_t half) {
    static const int codes[] = {0, 1, 13, 13, 13, 5, 6, 13, 8, 3, 10, 11, 12, -1, 14, 15};
    static const int shifts[] = {LSL, LSR, ASR, ROR};
    int which = half >> 6 & 15;
    o->rd = o->rn = half & 7;
    o->rm = half >> 3 & 7;
    if (which == 13) {
        o->rs = o->rm;
        o->rm = o->rd;
        o->kind = K_MULS;
    } else if (codes[which] == 13) {                            /* a shift by a register */
        o->rs = o->rm;
        o->rm = o->rd;
        o->shift = (uint8_t) (shifts[which == 7 ? 3 : which - 2] | BY_REGISTER);
        alu(o, 13, 1, 2);
    } else if (which == 9) {                                    /* NEG */
        o->rn = o->rm;
        alu(o, 3, 1, 0);
    } else {
        alu(o, codes[which], 1, 1);
    }
}

static void thumb_high(op *o, uint32_t half) {
    int which = half >> 8 & 3;
    o->rd = o->rn = (uint8_t) ((half & 7) | (half >> 4 & 8));
    o->rm = half >> 3 & 15;
    if (which == 3) {
        o->kind = bit(half, 7) ? K_BLX_R : K_BX_R;
        with_pc(o, o->rm == 15 && !bit(half, 7));
        return;
    }
    alu(o, which == 0 ? 4 : which == 1 ? 10 : 13, which == 1, 1);
}

static void thumb_access(op *o, uint32_t half) {
    static const uint16_t registers[] = {K_STR, K_STRH, K_STRB, K_LDRSB, K_LDR, K_LDRH, K_LDRB, K_LDRSH};
    uint32_t offset = half >> 6 & 31;
    o->rd = half & 7;
    o->rn = half >> 3 & 7;
    o->flags = BEFORE;
    switch (half >> 12) {
    case 5:
        o->rm = half >> 6 & 7;
        access(o, registers[half >> 9 & 7], BEFORE | REGISTER);
        return;
    case 6: o->number = 4 * offset; o->kind = bit(half, 11) ? K_LDR_I : K_STR_I; return;
    case 7: o->number = offset; o->kind = bit(half, 11) ? K_LDRB_I : K_STRB_I; return;
    case 8: o->number = 2 * offset; o->kind = bit(half, 11) ? K_LDRH_I : K_STRH_I; return;
    default:
        o->rd = half >> 8 & 7;
        o->rn = 13;
        o->number = 4 * (half & 0xff);
        o->kind = bit(half, 11) ? K_LDR_I : K_STR_I;
    }
}

static void thumb_several(op *o, uint32_t half) {
    int loads = bit(half, 11), stack = half >> 12 == 11;
    o->rn = stack ? 13 : half >> 8 & 7;
    o->number = half & 0xff;
    if (stack && bit(half, 8)) o->number |= loads ? 1u << 15 : 1u << 14;
    o->flags = WRITES_BACK;
    if (stack && !loads) o->flags |= DOWN | BEFORE;
    list(o, loads);
}

static void thumb_jump(op *o, uint32_t half, uint32_t here) {
    uint32_t offset = half & 0x7ff;
    switch (half >> 11) {
    case 28: o->number = here + 4 + (uint32_t) ((int32_t) (offset << 21) >> 20); o->kind = K_B; return;
    case 29: if (!(offset & 1)) { o->number = 2 * offset; o->kind = K_BLX_SECOND; } return;
    case 30: o->number = here + 4 + (uint32_t) ((int32_t) (offset << 21) >> 9); o->kind = K_BL_FIRST; return;
    case 31: o->number = 2 * offset; o->kind = K_BL_SECOND; return;
    }
}

static void thumb_stack(op *o, uint32_t half) {
    if ((half & 0xff00) == 0xb000) {
        o->rd = o->rn = 13;
        o->number = 4 * (half & 0x7f);
        alu(o, bit(half, 7) ? 2 : 4, 0, 0);
    } else if ((half & 0xff00) == 0xbe00) {
        o->kind = K_BKPT;
    } else if ((half & 0xf600) == 0xb400) {
        thumb_several(o, half);
    }
}

static void decode_thumb(op *o, uint32_t half, uint32_t here) {
    *o = (op) {.kind = K_UNDEFINED};
    switch (half >> 12) {
    case 0: case 1:
        o->rd = half & 7;
        if (half >> 11 == 3) {                                  /* a sum of three */
            o->rn = half >> 3 & 7;
            o->rm = half >> 6 & 7;
            o->number = half >> 6 & 7;
            alu(o, bit(half, 9) ? 2 : 4, 1, !bit(half, 10));
            return;
        }
        alu(o, 13, 1, shifter(o, (half >> 3 & 7) | (half >> 11) << 5 | (half >> 6 & 31) << 7));
        return;
    case 2: case 3: {
        static const int codes[] = {13, 10, 4, 2};
        o->rd = o->rn = half >> 8 & 7;
        o->number = half & 0xff;
        alu(o, codes[half >> 11 & 3], 1, 0);
        return;
    }
    case 4:
        if (half >> 10 == 16) {
            thumb_alu(o, half);
        } else if (half >> 10 == 17) {
            thumb_high(o, half);
        } else {
            o->rd = half >> 8 & 7;
            o->number = ((here + 4) & ~3u) + 4 * (half & 0xff);
            o->kind = K_LITERAL;
        }
        return;
    case 5: case 6: case 7: case 8: case 9: thumb_access(o, half); return;
    case 10:
        o->rd = half >> 8 & 7;
        o->rn = 13;
        o->number = 4 * (half & 0xff);
        if (!bit(half, 11)) o->number += (here + 4) & ~3u;
        alu(o, bit(half, 11) ? 4 : 13, 0, 0);
        return;
    case 11: thumb_stack(o, half); return;
    case 12: thumb_several(o, half); return;
    case 13:
        if ((half >> 8 & 15) == 15) {
            o->kind = K_SVC;
        } else if ((half >> 8 & 15) != 14) {
            o->number = here + 4 + (uint32_t) ((int32_t) (half << 24) >> 23);
            o->then = o->last = K_B;
            o->condition = half >> 8 & 15;
            o->kind = K_IF;
            if (o->number < CODE) branch(o, o->condition, 1);
        }
        return;
    default: thumb_jump(o, half, here);
    }
}

/* What an instruction and the one behind it are as one, or what it is alone. */
static uint16_t pair_of(uint16_t kind, uint16_t behind) {
    static const uint16_t pairs[][3] = {
#define ROW(first, second) {K_##first, K_##second, K_##first##_##second},
        FOR_EACH_PAIR(ROW)
    };
    for (unsigned i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (pairs[i][0] == kind && pairs[i][1] == behind) return pairs[i][2];
    return kind;
}

#endif
