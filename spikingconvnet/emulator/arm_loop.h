/* The loop of arm_run.h, which includes this for cores whose work takes time (TIMED) and for all others, each as RUN.
 */

#define TAKE_FLAGS (sign = a->sign, zero = a->zero, carry = a->carry, overflow = a->overflow)
#define GIVE_FLAGS (a->sign = sign, a->zero = zero, a->carry = carry, a->overflow = overflow)
#define FLAGS_OF_ZERO(value) sign = zero = (value)
#define FLAGS_OF_SUM(x, y, sum)                                                                     \
    FLAGS_OF_ZERO(sum), overflow = (~((x) ^ (y)) & ((x) ^ (sum))) >> 31
#define ADDING(x, y, more)                                                                          \
    { uint64_t wide = (uint64_t) (x) + (y) + (more); made = (uint32_t) wide; out = (uint32_t) (wide >> 32); }
#define LOGIC(made_of, keeps) made = (made_of); if (keeps) r[o->rd] = made;
#define LOGIC_S(made_of, keeps) made = (made_of); FLAGS_OF_ZERO(made); carry = out; if (keeps) r[o->rd] = made;
#define SUM(x, y, more, keeps) if (keeps) r[o->rd] = (x) + (y) + (more);
#define SUM_S(x, y, more, keeps)                                                                    \
    { uint32_t p = (x), q = (y); ADDING(p, q, more) FLAGS_OF_SUM(p, q, made); carry = out;       \
      if (keeps) r[o->rd] = made; }
/* Each instruction with its operands, without flags and with */
#define OPERAND_I(s) y = o->number; if (s) out = o->flags & CARRY_0 ? o->flags & 1 : carry;
#define OPERAND_R(s) y = r[o->rm]; if (s) out = carry;
#define OPERAND_T(s) if (s) y = shifted(o, r, carry, &out); else y = moved(o, r, carry);
#define OPERAND_LSL(s) y = r[o->rm]; if (s) out = y >> (32 - o->amount) & 1; y <<= o->amount;
#define OPERAND_LSR(s) y = r[o->rm]; if (s) out = y >> (o->amount - 1) & 1; y >>= o->amount;
#define OPERAND_ASR(s) y = r[o->rm]; if (s) out = y >> (o->amount - 1) & 1; y = (uint32_t) ((int32_t) y >> o->amount);
#define ALU_FORMS(name, s, does)                                                                    \
    do_##name##_I: OPERAND_I(s) does NEXT;                                                          \
    do_##name##_R: OPERAND_R(s) does NEXT;                                                          \
    do_##name##_T: OPERAND_T(s) does NEXT;                                                          \
    do_##name##_LSL: OPERAND_LSL(s) does NEXT;                                                      \
    do_##name##_LSR: OPERAND_LSR(s) does NEXT;                                                      \
    do_##name##_ASR: OPERAND_ASR(s) does NEXT;
#define ALU(name, how, made_of, keeps)                                                              \
    ALU_FORMS(name, 0, how(made_of, keeps)) ALU_FORMS(name##S, 1, how##_S(made_of, keeps))
#define ALU_SUM(name, first, second, more, keeps)                                                   \
    ALU_FORMS(name, 0, SUM(first, second, more, keeps)) ALU_FORMS(name##S, 1, SUM_S(first, second, more, keeps))
/* An access, by its offset. The base changes only if the access is made. */
#define ACCESS(name, does, ends)                                                                    \
    do_##name##_I: at = r[o->rn] + o->number; does ends NEXT;                                       \
    do_##name##_LSL: at = r[o->rn] + (r[o->rm] << o->amount); does ends NEXT;                       \
    do_##name##_BACK: at = r[o->rn] + o->number; does r[o->rn] += o->number; ends NEXT;             \
    do_##name##_POST: at = r[o->rn]; does r[o->rn] += o->number; ends NEXT;                         \
    do_##name: {                                                                                    \
        uint32_t moved = r[o->rn] + offset_of(o, r, carry);                                         \
        at = o->flags & BEFORE ? moved : r[o->rn];                                                  \
        does                                                                                        \
        if (o->flags & WRITES_BACK) r[o->rn] = moved;                                               \
        ends                                                                                        \
        NEXT;                                                                                       \
    }
/* The value stays in a register as long as it comes from memory that is near. */
#define LOAD(size, value)                                                                           \
    if (at - DTCM_BASE <= DTCM_SIZE - size) value = bytes_at(dtcm + (at - DTCM_BASE), size);        \
    else { uint32_t far; if (!load(c, at, size, &far)) goto again; value = far; }
#define STORE_AT(place, size, value)                                                                \
    if ((place) - DTCM_BASE <= DTCM_SIZE - size) put_bytes(dtcm + ((place) - DTCM_BASE), size, value); \
    else if (!store(c, place, size, value)) goto again;
#define STORE(size) STORE_AT(at, size, r[o->rd])
#define MULTIPLICATION(name, made_of)                                                               \
    do_##name: { uint64_t wide = (made_of); r[o->rd] = (uint32_t) wide; r[o->rn] = (uint32_t) (wide >> 32); NEXT; }
/* Those that may be one of a pair */
#define DO_LDR_I at = r[o->rn] + o->number; LOAD(4, y) r[o->rd] = y;
#define DO_LDRH_I at = r[o->rn] + o->number; LOAD(2, y) r[o->rd] = y;
#define DO_LDRSH_I at = r[o->rn] + o->number; LOAD(2, y) r[o->rd] = half(y, 0);
#define DO_STR_I at = r[o->rn] + o->number; STORE(4)
#define DO_STRH_I at = r[o->rn] + o->number; STORE(2)
#define DO_ADD_R r[o->rd] = r[o->rn] + r[o->rm];
#define DO_ADD_I r[o->rd] = r[o->rn] + o->number;
#define DO_SUB_R r[o->rd] = r[o->rn] - r[o->rm];
#define DO_MOV_R r[o->rd] = r[o->rm];
#define DO_MOV_I r[o->rd] = o->number;
#define DO_MOV_LSL r[o->rd] = r[o->rm] << o->amount;
#define DO_MOV_LSR r[o->rd] = r[o->rm] >> o->amount;
#define DO_MOV_ASR r[o->rd] = (uint32_t) ((int32_t) r[o->rm] >> o->amount);
#define DO_ADD_LSL r[o->rd] = r[o->rn] + (r[o->rm] << o->amount);
#define DO_ORR_LSL r[o->rd] = r[o->rn] | r[o->rm] << o->amount;
#define DO_ORR_LSR r[o->rd] = r[o->rn] | r[o->rm] >> o->amount;
#define DO_MLA r[o->rd] = r[o->rm] * r[o->rs] + r[o->rn];
#define DO_CMPS_R OPERAND_R(1) SUM_S(r[o->rn], ~y, 1u, 0)
#define DO_CMPS_I OPERAND_I(1) SUM_S(r[o->rn], ~y, 1u, 0)
#define DO_TSTS_R OPERAND_R(1) LOGIC_S(r[o->rn] & y, 0)
#define DO_ORRS_R OPERAND_R(1) LOGIC_S(r[o->rn] | y, 1)
#define DO_SUBS_I OPERAND_I(1) SUM_S(r[o->rn], ~y, 1u, 1)
#define DO_SBCS_R OPERAND_R(1) SUM_S(r[o->rn], ~y, carry, 1)
#define DO_ADDS_R OPERAND_R(1) SUM_S(r[o->rn], y, 0u, 1)
#define DO_ADC_R OPERAND_R(0) SUM(r[o->rn], y, carry, 1)
#define DO_BEQ GO_IF(!zero)
#define DO_BNE GO_IF(zero)
#define DO_BCS GO_IF(carry)
#define DO_BCC GO_IF(!carry)
#define DO_BMI GO_IF(sign >> 31)
#define DO_BPL GO_IF(!(sign >> 31))
#define DO_BVS GO_IF(overflow)
#define DO_BVC GO_IF(!overflow)
#define DO_BHI GO_IF(zero && carry)
#define DO_BLS GO_IF(!(zero && carry))
#define DO_BGE GO_IF(sign >> 31 == overflow)
#define DO_BLT GO_IF(sign >> 31 != overflow)
#define DO_BGT GO_IF(zero && sign >> 31 == overflow)
#define DO_BLE GO_IF(!(zero && sign >> 31 == overflow))
#define ALONE(name) do_##name: DO_##name NEXT;
#define PAIR(first, second) do_##first##_##second: DO_##first o = next++; DO_##second NEXT;
#define HERE ((uint32_t) (o - table) << width)
#define NEXT_ONE ((uint32_t) (next - table) << width)
#define NEXT do { o = next++; goto *labels[o->kind]; } while (0)
#if TIMED                                                       /* behind a block there is another one */
#define FOLLOWS ((uint32_t) (behind - table) << width)
/* A block begins at `next`, if there is nothing to look at before: one comparison, which fails for one that is not measured, too.
 * Each jump has its own copy: what comes next is guessed better. */
#define BEGIN(lasts)                                                                                \
    {                                                                                               \
        const block *begun = blocks + (next - table);                                               \
        uint64_t now = c->now + (lasts) + (uint64_t) (int64_t) begun->price + UNMEASURED;           \
        if (__builtin_expect(now >= c->attend, 0)) goto there;                                      \
        c->now = now;                                                                               \
        in = begun;                                                                                 \
        behind = next + begun->length;                                                              \
        __asm__ volatile("# %0" : : "i"(__COUNTER__));             /* GCC would make one of all copies */ \
        NEXT;                                                                                       \
    }
#define FOLLOW BEGIN(0)
#define GO_IF(holds)                                                                                \
    if (holds) {                                                                                    \
        next = table + o->number;                                                                   \
        BEGIN(in->jump)                                                                             \
    }                                                                                               \
    FOLLOW
#else
#define FOLLOW NEXT
#define GO_IF(holds)                                                                                \
    if (holds) {                                                                                    \
        if (c->pause) goto branch;                                                                  \
        next = table + o->number;                                                                   \
        NEXT;                                                                                       \
    }
#endif

/* Run from c->pc until something stops it, and leave c->pc where it goes on. Between two instructions of a jump alone is
 * looked whether somebody has asked it to pause. */
static void RUN(core *c) {
#define LABEL(name) &&do_##name,
#define FORM_LABELS(name) FOR_EACH_FORM(LABEL, name)
#define OFFSET_LABELS(name) FOR_EACH_OFFSET(LABEL, name)
#define PAIR_LABEL(first, second) &&do_##first##_##second,
    static const void *const labels[] = {FOR_EACH_OTHER(LABEL) FOR_EACH_BRANCH(LABEL) FOR_EACH_ALU(FORM_LABELS)
                                         FOR_EACH_ACCESS(OFFSET_LABELS) FOR_EACH_PAIR(PAIR_LABEL)};
    arm *a = &c->arm;
    uint32_t sign, zero, carry, overflow;                       /* those of `a` while it runs */
    uint32_t *r = a->r, y = 0, made = 0, out = 0, at = 0, to = c->pc;
    uint8_t *const dtcm = c->memories[1].bytes;
    op *table = NULL, *next = NULL, *o = NULL;
    int width = 2;
#if TIMED
    const block before = {.jump = (uint16_t) c->jump}, *in = &before;
    block *blocks = NULL;
    const op *behind = NULL;                                    /* the block that it is in */
#endif
    c->stops = 0;
    TAKE_FLAGS;
    goto change;

#if !TIMED
branch:                                                         /* to where a jump with a condition goes, in ITCM */
    to = o->number << width;
    next = table + o->number;
    goto there;
#endif
jump:                                                           /* to `to`, in the same state */
    if (to >= CODE) goto lost;
    next = table + (to >> width);
#if TIMED
    BEGIN(next == behind ? 0 : in->jump)
#endif
there:                                                          /* to `next`, and something is to look at */
#if TIMED
    to = NEXT_ONE;
    if (to == CODE) goto lost;
#endif
    if (c->pause) {
        c->pause = 0;
        c->yielded = 1;
        goto leave;
    }
#if TIMED
    block *begun = blocks + (next - table);
    if (!begun->length) measure(c, begun, table, width, to);
    if (!begin_block(c, to, next == behind ? 0 : in->jump, begun)) goto stopped;
    in = begun;
    behind = next + begun->length;
#endif
    NEXT;
change:                                                         /* to `to`, in the state that c->thumb says */
#if TIMED
    if (behind) c->follow = FOLLOWS;
#endif
    table = table_of(c);
    width = c->thumb ? 1 : 2;
    if (!table) {
        snprintf(c->message, sizeof c->message, "no memory for what Thumb's instructions are");
        c->fault = 1;
        goto leave;
    }
#if TIMED
    blocks = blocks_of(c);
    behind = c->follow < CODE && !(c->follow & ((1u << width) - 1)) ? table + (c->follow >> width) : NULL;
#endif
    goto jump;
lost:
    nowhere(c, "fetch", to, 2u << (width - 1));
    c->fault = -1 - FETCH;
    goto leave;
again:                                                          /* the access was not made: the instruction comes again */
    to = HERE;
leave:
#if TIMED
    c->jump = in->jump;
    if (behind) c->follow = FOLLOWS;
stopped:
#endif
    GIVE_FLAGS;
    c->pc = to;
    return;

do_UNDECODED:
    decoded(c, table, width, HERE);
    goto *labels[o->kind];
do_PAGE:                                                        /* a block ends before it, unless it begins here */
#if TIMED
    if (o == behind) {
        next = o;
        FOLLOW
    }
#endif
    goto *labels[kind_behind(c, width, HERE)];
do_IF:
    if (!(HOLDS_FOR[o->condition] >> (sign >> 31 << 3 | (uint32_t) !zero << 2 | carry << 1 | overflow) & 1)) {
#if TIMED
        if (next == behind) FOLLOW
#endif
        NEXT;
    }
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
    if (o->flags) NEXT;
    FOLLOW;
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
    if (at <= CODE - 4) y = bytes_at(c->itcm + at, 4);          /* nearly all are */
    else LOAD(4, y)
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
do_LDM: {
    uint32_t base = r[o->rn], bytes = 4u * o->amount;
    at = lowest_of(o, base, bytes) - DTCM_BASE;
    if (at > DTCM_SIZE - bytes || o->flags & USERS || !(o->number >> 15)) goto any_LDM;
    if (o->flags & WRITES_BACK) r[o->rn] = o->flags & DOWN ? base - bytes : base + bytes;
    for (uint32_t rest = o->number & 0x7fff; rest; rest &= rest - 1, at += 4) r[__builtin_ctz(rest)] = bytes_at(dtcm + at, 4);
    to = bytes_at(dtcm + at, 4);
    goto exchange;
}
any_LDM:
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
do_LDM_PLAIN: {
    uint32_t base = r[o->rn], bytes = 4u * o->amount;
    at = lowest_of(o, base, bytes) - DTCM_BASE;
    if (at > DTCM_SIZE - bytes) goto any_LDM;
    if (o->flags & WRITES_BACK) r[o->rn] = o->flags & DOWN ? base - bytes : base + bytes;
    for (uint32_t rest = o->number; rest; rest &= rest - 1, at += 4) r[__builtin_ctz(rest)] = bytes_at(dtcm + at, 4);
    NEXT;
}
do_STM_PLAIN: {
    uint32_t base = r[o->rn], bytes = 4u * o->amount;
    at = lowest_of(o, base, bytes) - DTCM_BASE;
    if (at > DTCM_SIZE - bytes) goto do_STM;
    for (uint32_t rest = o->number; rest; rest &= rest - 1, at += 4) put_bytes(dtcm + at, 4, r[__builtin_ctz(rest)]);
    if (o->flags & WRITES_BACK) r[o->rn] = o->flags & DOWN ? base - bytes : base + bytes;
    NEXT;
}
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
    MULTIPLICATION(UMULL, (uint64_t) r[o->rm] * r[o->rs])
    MULTIPLICATION(UMLAL, ((uint64_t) r[o->rn] << 32 | r[o->rd]) + (uint64_t) r[o->rm] * r[o->rs])
    MULTIPLICATION(SMULL, (uint64_t) ((int64_t) (int32_t) r[o->rm] * (int32_t) r[o->rs]))
    MULTIPLICATION(SMLAL, ((uint64_t) r[o->rn] << 32 | r[o->rd]) +
                          (uint64_t) ((int64_t) (int32_t) r[o->rm] * (int32_t) r[o->rs]))
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
    FOLLOW;

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
    ACCESS(STRD, STORE(4) STORE_AT(at + 4, 4, r[o->rd + 1]), )

    FOR_EACH_BRANCH(ALONE)
    FOR_EACH_PAIR(PAIR)
}

#undef TAKE_FLAGS
#undef GIVE_FLAGS
#undef FLAGS_OF_ZERO
#undef FLAGS_OF_SUM
#undef ADDING
#undef LOGIC
#undef LOGIC_S
#undef SUM
#undef SUM_S
#undef OPERAND_I
#undef OPERAND_R
#undef OPERAND_T
#undef OPERAND_LSL
#undef OPERAND_LSR
#undef OPERAND_ASR
#undef ALU_FORMS
#undef ALU
#undef ALU_SUM
#undef ACCESS
#undef LOAD
#undef STORE_AT
#undef STORE
#undef MULTIPLICATION
#undef DO_LDR_I
#undef DO_LDRH_I
#undef DO_LDRSH_I
#undef DO_STR_I
#undef DO_STRH_I
#undef DO_ADD_R
#undef DO_ADD_I
#undef DO_SUB_R
#undef DO_MOV_R
#undef DO_MOV_I
#undef DO_MOV_LSL
#undef DO_MOV_LSR
#undef DO_MOV_ASR
#undef DO_ADD_LSL
#undef DO_ORR_LSL
#undef DO_ORR_LSR
#undef DO_MLA
#undef DO_CMPS_R
#undef DO_CMPS_I
#undef DO_TSTS_R
#undef DO_ORRS_R
#undef DO_SUBS_I
#undef DO_SBCS_R
#undef DO_ADDS_R
#undef DO_ADC_R
#undef DO_BEQ
#undef DO_BNE
#undef DO_BCS
#undef DO_BCC
#undef DO_BMI
#undef DO_BPL
#undef DO_BVS
#undef DO_BVC
#undef DO_BHI
#undef DO_BLS
#undef DO_BGE
#undef DO_BLT
#undef DO_BGT
#undef DO_BLE
#undef ALONE
#undef PAIR
#undef HERE
#undef NEXT_ONE
#undef NEXT
#undef FOLLOW
#undef FOLLOWS
#undef GO_IF
#undef BEGIN
#undef LABEL
#undef FORM_LABELS
#undef OFFSET_LABELS
#undef PAIR_LABEL
#undef RUN
#undef TIMED
