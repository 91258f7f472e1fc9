/* The core loop and the devices of a core in C: core.py, cpu.py and peripherals.py say what it does and why, and are
 * its specification; tests demand the same results and the same numbers under the same names. The CPU emulator is
 * called through pointers, so nothing is linked. Bounds are asserted with -DCHECKED, see tests/helpers/checked_build.py.
 */
#if !defined CHECKED && !defined NDEBUG
#define NDEBUG
#endif
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const uint32_t source_digest = SOURCE_DIGEST;                   /* see native_library.py */

enum { OFF, READY, WFI, POLL, FAULT };                          /* core.Rest, and a fault for Python to deal with */
/* timing.py: cycles, and the packets that wait between the router and a core */
enum { ENTRY = 3, DEVICE_WAIT = 3, SYSRAM_WAIT = 20, SDRAM_WAIT = 25, DMA_LATENCY = 20, DMA_WORD = 48,
       SDRAM_WORD = 13, QUEUE = 4 };
enum { FIRST_SHARED = 2, SHARED = 4 };                          /* of a core's memories, those that are the chip's */
enum { ROUTER = 0x01000000, ROUTER_STATUS = 0x04 };             /* in the chip's map and its mirrors */
enum { ROUTER_BLOCKED = 0x02000000 };                           /* of ROUTER_STATUS */
#define ROUTER_DUMPED 0xa0000000u
enum { DEVICES = 4 };                                           /* native_cpu.py: of a core alone */
enum { SOFTWARE = 1, TIMER1 = 4, TIMER2 = 5, CC_RDY = 6, CC_TMT = 11, DMA_DONE = 12, RTR_DUMP = 16, CC_TNF = 23, CC_MC = 24 };
enum { I_BIT = 0x80, F_BIT = 0x40, T_BIT = 0x20, MODE_BITS = 0x1f, FIQ_MODE = 0x11, IRQ_MODE = 0x12 };
enum { IRQ_VECTOR = 0x18, FIQ_VECTOR = 0x1c, WAIT = 0x0e070f90, WAIT_MASK = 0x0fff0fff, MEMORIES = 8, PLACES = 16 };
enum { BANKS = 6, SVC_MODE = 0x13, ABT_MODE = 0x17, UND_MODE = 0x1b };      /* of registers, by mode: arm_run.h */
enum { DTCM_BASE = 0x00400000, DTCM_SIZE = 0x10000, SDRAM_BASE = 0x60000000, SDRAM_SIZE = 128 << 20 };
enum { FETCH, UNDEFINED, CALL, DATA };                          /* cpu.Trap */
enum { PAGE = 4096 };         /* cpu.py */
enum { READ_COST = 50, POLLS = 6, BURST = 32, MOST_SENT = 1 << 16, MOST_PACKETS = 1 << 18 };
/* Registers of peripherals.py and their bits: VIC */
enum { IRQST = 0x00, FIQST = 0x04, RAW = 0x08, SELECT = 0x0c, ENABLE = 0x10, DISABLE = 0x14, SOFT_SET = 0x18,
       SOFT_CLR = 0x1c, VADDR = 0x30, DEFADDR = 0x34, ADDR = 0x100, CNTL = 0x200, SLOTS = 16, SLOT_ENABLE = 0x20 };
/* Timer and Timers */
enum { LOAD = 0x00, COUNT = 0x04, CONTROL = 0x08, INT_CLR = 0x0c, RAW_INT = 0x10, MASK_INT = 0x14, BG_LOAD = 0x18,
       SECOND = 0x20, RUN = 0x80, INTERRUPT = 0x20, ONE_SHOT = 0x01 };
/* CommsController */
enum { TCR = 0x00, TXDATA = 0x04, TXKEY = 0x08, RSR = 0x0c, RXDATA = 0x10, RXKEY = 0x14, SAR = 0x18,
       NOT_FULL = 0x10000000, ERROR_FREE = 0x08000000, MULTICAST = 1, PAYLOAD = 0x00020000, TYPE = 0x00c00000,
       POINT_TO_POINT = 0x00400000, NEAREST = 0x00800000, DIRECT = 0x00200000, LINK = 0x001c0000, LINK_SHIFT = 18,
       TYPE_SHIFT = 22, BYTE = 0x00ff0000, FAKE = 0x07000000, FAKE_SHIFT = 24 };
#define EMPTY 0x80000000u
#define RECEIVED 0x80000000u
/* DMA */
enum { ADRS = 0x04, ADRT = 0x08, DESC = 0x0c, CTRL = 0x10, STAT = 0x14, GCTL = 0x18, SCTL = 0x28, STAT0 = 0x40,
       TO_SYSTEM = 1 << 19, LENGTH = 0x1ffff, ENABLE_COUNT = 0x01, CLEAR_COUNT = 0x02, CLEAR_DONE = 0x08, ABORT = 0x02,
       UNCOMMIT = 0x01, TRANSFERRING = 0x01, QUEUED = 0x04, DONE = 1 << 10, DONE_TWICE = 1 << 11, AT_ONCE = 2, MOST_STEPS = 1 << 22, CODE = 0x8000 };
#include "arm_decode.h"
#define NEVER UINT64_MAX
#define ALWAYS (1u << CC_TMT | 1u << CC_TNF)

typedef struct {
    uint32_t load, background, control, polls;
    uint64_t deadline, started, reads;
    int raw, halted;
} timer;

typedef struct core core;

/* What a block of so many bytes costs: its jump, its cycles (cycles.Cost) */
typedef uint64_t price_of(core *c, uint32_t address, uint32_t size);

/* A device of the chip, which Python serves: what a load gives, or 0 */
typedef uint32_t (*serve_device)(core *c, uint32_t base, uint32_t offset, uint32_t size, int stores, uint32_t value);

typedef uint32_t (*device_read)(core *c, uint32_t offset, unsigned size);
typedef void (*device_write)(core *c, uint32_t offset, unsigned size, uint32_t value);

/* Where a core has a device; `read` and `write` are NULL of those of the chip, which Python serves. */
typedef struct {
    uint32_t base, size;
    device_read read;
    device_write write;
} place;

/* A block by its first instruction: how many it has (0: not known), cycles of a jump that ends it, and its own less UNMEASURED, or 0 */
typedef struct { uint16_t length, jump; int32_t price; } block;
enum { UNMEASURED = 1 << 30 };

/* Registers; `zero` is 0 and `sign` has its highest bit where the flags are set. What a mode has to itself is in `banked`
 * and `saved` by bank while another mode is on; in `high` what r8 to r12 are of FIQ (1) and of all others. */
typedef struct {
    uint32_t r[16], sign, zero, carry, overflow, saturated, masks, mode, control;
    uint32_t banked[BANKS][2], saved[BANKS], high[2][5];
    op *words, *halves;
    block *blocks;                                              /* of a core whose work takes time */
    uint16_t pages[2][CODE / PAGE];                             /* kinds behind K_PAGE, of words and half words */
} arm;

/* The same for all cores with a program: cycles.Cost, bytes, how often it began, cycles spent in it with its waits and jumps */
typedef struct {
    uint32_t cycles, jump, size, thumb;
    uint64_t begun, spent;                                      /* of a core that is `profiled` */
} cost;

/* timed_core.Bank: the SDRAM of a chip */
typedef struct {
    uint64_t moved;                                             /* cycles that transfers have taken */
    uint32_t word;                                              /* sixteenths of a cycle for one */
} bank;

typedef struct {
    uint64_t at;
    uint32_t control, key, data;
} arrival;

struct core {
    const uint8_t *itcm;
    uint64_t now;
    uint32_t pc;
    int rest, thumb, burst, fault;
    volatile int pause;
    int stops, at_wait;                                         /* an access was not made; the program waits */
    int yielded;
    char message[128];
    /* interrupt controller */
    uint32_t lines, soft, enable, select, fallback, vectors[SLOTS], controls[SLOTS];
    int in_service[SLOTS], served;
    /* timers */
    timer timers[2];
    int waiting;
    /* communications controller */
    uint32_t tcr, txdata, rxcontrol, rxkey, rxdata, source;
    int has_data, received;
    uint32_t *sent;
    size_t n_sent, sent_size;
    uint32_t full;                                              /* the transmitter's line while it is, where work takes time */
    /* DMA controller */
    uint32_t system, tcm, description, gctl, processor, sctl, bursts;
    int done;
    /* time: timed_core.py */
    int timed, profiled, stopped, transfers, waits;
    uint32_t read_cost;
    uint64_t limit, until, lag, begins, follow, jump, slept, ends[AT_ONCE];
    uint64_t attend;                                            /* a block that begins before it needs no look at anything */
    cost *costs, *last;                                         /* `last` if it is `profiled` */
    price_of *price;
    bank *bank;
    uint64_t *sent_at;
    arrival *coming, queue[QUEUE];                              /* at the router, and between it and the core */
    size_t first, n_coming, coming_size;
    arrival *drops;                                             /* packets for which there was no room, and when */
    size_t dropped, drops_size;
    uint64_t blocked, freed, timeout, pace, held;
    uint64_t dump_at;                                           /* from when on the router tells of a packet that it dropped */
    const uint64_t *router;                                     /* until when a packet waits there; NULL: Python knows */
    uint64_t worked;                                            /* cycles awake until the last tick of timer 1 */
    int called;                                                 /* Python has served a device since somebody asked */
    uint32_t *steps;                                            /* by step */
    size_t n_steps, steps_size;
    struct { uint32_t base, size; uint8_t *bytes; } memories[MEMORIES];         /* ITCM, DTCM, the chip's */
    int n_memories;
    arm arm;
    place places[PLACES];
    int n_places;
    serve_device serve;
    /* Whether its ticks are for nothing: idle_core.h */
    core *before;                                               /* what it was after its last tick, its own memories behind */
    uint32_t quiet, patience;                                   /* ticks that nobody has disturbed; before it is looked at */
    int apart, outside, touched, idle;          /* shared memories are far; an access to what is not its own; by others */
};

static uint32_t status(const core *c);
static void set_status(core *c, uint32_t word);
static void set_saved_status(arm *a, uint32_t word);
static void forget(core *c, uint32_t offset, uint32_t size);

/* Let the program stop before it makes the access that it is about to make. */
static void stop_program(core *c) {
    c->stops = 1;
}

static uint32_t stop(core *c) {
    c->fault = 1;
    stop_program(c);
    return 0;
}

static uint32_t unknown(core *c, const char *verb, const char *device, uint32_t offset) {
    snprintf(c->message, sizeof c->message, "%s of %s+0x%03x, a register that is not modelled", verb, device, offset);
    return stop(c);
}

static int partial(core *c, const char *device, uint32_t offset, unsigned size) {
    if (size == 4 && !(offset & 3)) return 0;
    snprintf(c->message, sizeof c->message, "access to %u bytes of %s+0x%03x; registers are words", size, device, offset);
    stop(c);
    return 1;
}

static void happen(core *c);
static void spend(core *c, uint64_t cycles);
static void move_up(core *c);
static void plan(core *c);

/* An access to a device begins: it takes time, and finds what is due by then. */
static void reach(core *c) {
    if (!c->timed) return;
    spend(c, DEVICE_WAIT);
    happen(c);
}

static void progress(core *c) {
    c->waiting = 0;
    c->timers[0].polls = c->timers[1].polls = 0;
}

static uint32_t raw(const core *c) { return c->lines | c->soft | (ALWAYS & ~c->full); }

static void set_line(core *c, int line, int active) {
    if (active) c->lines |= 1u << line;
    else c->lines &= ~(1u << line);
}

static int slot(const core *c) {
    uint32_t pending = raw(c) & c->enable & ~c->select;
    int limit = c->served ? c->in_service[c->served - 1] : SLOTS;
    if (pending)
        for (int i = 0; i < limit; i++)
            if (c->controls[i] & SLOT_ENABLE && pending >> (c->controls[i] & 31) & 1) return i;
    return -1;
}

static uint32_t vic_read(core *c, uint32_t offset, unsigned size) {
    uint32_t index = (offset & 0xff) / 4, bank = offset & ~0xffu;
    reach(c);
    if (partial(c, "VIC", offset, size)) return 0;
    progress(c);
    switch (offset) {
    case IRQST: return raw(c) & c->enable & ~c->select;
    case FIQST: return raw(c) & c->enable & c->select;
    case RAW: return raw(c);
    case SELECT: return c->select;
    case ENABLE: return c->enable;
    case SOFT_SET: return c->soft;
    case DISABLE: case SOFT_CLR: return 0;                      /* to be written */
    case VADDR: {
        int i = slot(c);
        if (i < 0) return c->served ? c->vectors[c->in_service[c->served - 1]] : c->fallback;
        c->in_service[c->served++] = i;
        return c->vectors[i];
    }
    case DEFADDR: return c->fallback;
    }
    if (index < SLOTS && bank == ADDR) return c->vectors[index];
    if (index < SLOTS && bank == CNTL) return c->controls[index];
    return unknown(c, "read", "VIC", offset);
}

static void vic_write(core *c, uint32_t offset, unsigned size, uint32_t value) {
    uint32_t index = (offset & 0xff) / 4, bank = offset & ~0xffu;
    reach(c);
    if (partial(c, "VIC", offset, size)) return;
    progress(c);
    switch (offset) {
    case SELECT: c->select = value; return;
    case ENABLE: c->enable |= value; return;
    case DISABLE: c->enable &= ~value; return;
    case SOFT_SET: c->soft |= value; return;
    case SOFT_CLR: c->soft &= ~value; return;
    case VADDR: if (c->served) c->served--; return;
    case DEFADDR: c->fallback = value; return;
    }
    if (index < SLOTS && bank == ADDR) c->vectors[index] = value;
    else if (index < SLOTS && bank == CNTL) c->controls[index] = value;
    else unknown(c, "write", "VIC", offset);
}

static void update_timers(core *c) {
    for (int i = 0; i < 2; i++) set_line(c, TIMER1 + i, c->timers[i].raw && c->timers[i].control & INTERRUPT);
}

static uint64_t period(const timer *t) { return t->background ? t->background : t->load; }

static void begin(core *c, timer *t, uint64_t cycles) {
    if (t == c->timers) c->worked = c->now - c->slept;
    t->started = c->now;
    t->reads = 0;
    t->halted = 0;
    t->deadline = t->control & RUN && t->control & INTERRUPT && cycles ? c->now + cycles : NEVER;
}

static uint32_t count(core *c, timer *t) {
    c->outside = 1;
    if (!(t->control & RUN)) return t->load;
    t->reads++;
    if (t->deadline == NEVER)
        return t->halted ? 0 : (uint32_t) (t->load - (c->now - t->started + c->read_cost * t->reads));
    int64_t left = (int64_t) (t->deadline - c->now) - (int64_t) (c->read_cost * t->reads);
    return left > 1 ? (uint32_t) left : 1;
}

static uint32_t timer_read(core *c, uint32_t offset, unsigned size) {
    uint32_t value;
    timer *t = &c->timers[offset >= SECOND];
    reach(c);
    if (partial(c, "timers", offset, size)) return 0;
    switch (offset < 2 * SECOND ? offset % SECOND : offset) {
    case LOAD: return t->load;
    case COUNT:
        value = count(c, t);
        if (t->deadline != NEVER) {
            t->polls++;
            c->waiting = t->polls >= POLLS && (t->control & ONE_SHOT || value == 1);
        }
        if (c->waiting) stop_program(c);
        return value;
    case CONTROL: return t->control;
    case RAW_INT: return t->raw;
    case MASK_INT: return t->raw && t->control & INTERRUPT;
    case BG_LOAD: return t->background;
    }
    return unknown(c, "read", "timers", offset);
}

static void timer_write(core *c, uint32_t offset, unsigned size, uint32_t value) {
    timer *t = &c->timers[offset >= SECOND];
    int started = value & RUN && !(t->control & RUN);
    reach(c);
    if (partial(c, "timers", offset, size)) return;
    switch (offset < 2 * SECOND ? offset % SECOND : offset) {
    case LOAD: t->load = value; begin(c, t, value); break;
    case CONTROL:
        t->control = value;
        if (started) begin(c, t, value & ONE_SHOT || c->timed ? t->load : period(t));
        else if (!(value & RUN)) t->deadline = NEVER;
        break;
    case INT_CLR: t->raw = 0; break;
    case BG_LOAD: t->background = value; break;
    default: unknown(c, "write", "timers", offset);
    }
    update_timers(c);
    progress(c);
    plan(c);
}

static void offer(core *c, int received) {
    int kind = c->rxcontrol >> TYPE_SHIFT & 3;
    c->received = received;
    set_line(c, CC_RDY, received);
    for (int i = 0; i < 4; i++) set_line(c, CC_MC + i, received && i == kind);
}

/* Offer a packet to the program; one of a neighbour, sent by a link, has come by the opposite one. */
static void receive(core *c, uint32_t control, uint32_t key, uint32_t data) {
    if ((control & TYPE) == NEAREST)
        control = (control & ~(uint32_t) LINK) | ((control >> LINK_SHIFT & 7) + 3) % 6 << LINK_SHIFT;
    c->rxcontrol = control & BYTE;
    c->rxkey = key;
    c->rxdata = data;
    offer(c, 1);
}

static void send_packet(core *c, uint32_t key) {
    uint32_t kind = c->tcr & TYPE;
    if (kind == NEAREST) {
        kind = c->tcr & (TYPE | DIRECT | LINK);
        if (kind & DIRECT || (kind & LINK) > 5 << LINK_SHIFT) {
            snprintf(c->message, sizeof c->message, "nearest-neighbour packet with key 0x%08x to a router itself or to all"
                     " links, which is not modelled", key);
            stop(c);
            return;
        }
    }
    uint32_t link = (c->source & FAKE) ^ FAKE;
    if (link == 1 << FAKE_SHIFT) {
        snprintf(c->message, sizeof c->message, "packet with key 0x%08x that seems to have come by link 6, which is not"
                 " there", key);
        stop(c);
        return;
    }
    if (c->n_sent + 3 > c->sent_size) {
        size_t larger = c->sent_size ? 2 * c->sent_size : 768;
        uint32_t *moved = realloc(c->sent, larger * sizeof *moved);
        if (!moved) {
            snprintf(c->message, sizeof c->message, "no memory for the packets that the core sends");
            stop(c);
            return;
        }
        c->sent = moved;
        if (c->timed) {
            uint64_t *times = realloc(c->sent_at, larger / 3 * sizeof *times);
            if (!times) {
                snprintf(c->message, sizeof c->message, "no memory for the packets that the core sends");
                stop(c);
                return;
            }
            c->sent_at = times;
        }
        c->sent_size = larger;
    }
    if (c->timed) {
        c->sent_at[c->n_sent / 3] = c->now;
        c->held = c->now + c->pace;
        c->full = c->pace ? 1u << CC_TNF : 0;
        if (c->now + c->lag < c->until) c->until = c->now + c->lag;
        if (c->until < c->limit) c->limit = c->until;
    }
    int payload = c->has_data || c->tcr & PAYLOAD;
    c->sent[c->n_sent++] = kind | link | (payload ? PAYLOAD : 0);
    c->sent[c->n_sent++] = key;
    c->sent[c->n_sent++] = payload ? c->txdata : 0;
    c->has_data = 0;
    if (c->n_sent >= 3 * MOST_SENT) c->pause = 1;               /* somebody has to take them */
}

#define CC "communications controller"

static uint32_t comms_read(core *c, uint32_t offset, unsigned size) {
    reach(c);
    if (partial(c, CC, offset, size)) return 0;
    progress(c);
    switch (offset) {
    case TCR: return c->tcr | (c->now < c->held ? 0 : EMPTY | NOT_FULL);
    case RSR: return c->rxcontrol | (c->received ? RECEIVED | ERROR_FREE | MULTICAST << (c->rxcontrol >> TYPE_SHIFT & 3) : 0);
    case RXDATA: return c->rxdata;
    case RXKEY: {
        uint32_t key = c->rxkey;
        offer(c, 0);
        move_up(c);
        plan(c);
        return key;
    }
    case SAR: return c->source;
    }
    return unknown(c, "read", CC, offset);
}

static void comms_write(core *c, uint32_t offset, unsigned size, uint32_t value) {
    reach(c);
    if (partial(c, CC, offset, size)) return;
    progress(c);
    switch (offset) {
    case TCR: c->tcr = value & 0x00ff0000; return;
    case TXDATA: c->txdata = value; c->has_data = 1; return;
    case TXKEY: send_packet(c, value); return;
    case RSR: return;
    case SAR: c->source = value; return;
    }
    unknown(c, "write", CC, offset);
}

static uint8_t *locate(core *c, uint32_t address, uint32_t length) {
    for (int i = 0; i < c->n_memories; i++) {
        uint32_t offset = address - c->memories[i].base;
        if (offset < c->memories[i].size && length <= c->memories[i].size - offset) {
            assert((uint64_t) offset + length <= c->memories[i].size);
            return c->memories[i].bytes + offset;
        }
    }
    snprintf(c->message, sizeof c->message, "no memory holds %u bytes at 0x%08x", length, address);
    stop(c);
    return NULL;
}

static int transfer(core *c, uint32_t length) {
    c->outside = 1;
    int to_system = (c->description & TO_SYSTEM) != 0;
    uint8_t *source = locate(c, to_system ? c->tcm : c->system, length);
    uint8_t *target = source ? locate(c, to_system ? c->system : c->tcm, length) : NULL;
    if (!target) return 0;
    memmove(target, source, length);
    if (!to_system && c->tcm < c->memories[0].size) forget(c, c->tcm, length);
    if (c->sctl & ENABLE_COUNT) {
        uint32_t burst = 4u << ((c->description >> 24 & 1) + (c->description >> 21 & 7));
        c->bursts += (length + burst - 1) / burst;
    }
    return 1;
}

/* A transfer: at once, or done when the one before it is and the chip's SDRAM has moved so many words. */
static void commit(core *c, uint32_t length) {
    if (!transfer(c, length)) return;
    if (!c->timed) {
        c->done = 1;
        return;
    }
    c->transfers -= c->transfers == AT_ONCE;                    /* takes the place of the one that waits */
    uint64_t begins = c->transfers ? c->ends[0] : c->now, moving = (uint64_t) (length / 4) * c->bank->word >> 4;
    c->ends[c->transfers++] = begins + DMA_LATENCY + moving;
    c->bank->moved += moving;
}

static void control_transfers(core *c, uint32_t value) {
    if (!c->timed) {
        if (value & (CLEAR_DONE | ABORT)) c->done = 0;
        return;
    }
    if (value & UNCOMMIT && c->transfers == AT_ONCE) c->transfers = 1;
    if (value & ABORT) c->transfers = c->done = 0;
    else if (value & CLEAR_DONE && c->done) c->done--;
}

static uint32_t transfer_status(const core *c) {
    return c->processor << 24 | (c->done ? DONE : 0) | (c->done > 1 ? DONE_TWICE : 0) |
           (c->transfers ? TRANSFERRING : 0) | (c->transfers > 1 ? QUEUED : 0);
}

#define DMA "DMA controller"

static uint32_t dma_read(core *c, uint32_t offset, unsigned size) {
    reach(c);
    if (partial(c, DMA, offset, size)) return 0;
    progress(c);
    switch (offset) {
    case ADRS: return c->system;
    case ADRT: return c->tcm;
    case DESC: return c->description;
    case CTRL: return 0;
    case STAT: return transfer_status(c);
    case GCTL: return c->gctl;
    case STAT0: return c->bursts;
    }
    return unknown(c, "read", DMA, offset);
}

static void dma_write(core *c, uint32_t offset, unsigned size, uint32_t value) {
    reach(c);
    if (partial(c, DMA, offset, size)) return;
    progress(c);
    switch (offset) {
    case ADRS: c->system = value; break;
    case ADRT: c->tcm = value; break;
    case DESC: c->description = value; commit(c, value & LENGTH); break;
    case CTRL: control_transfers(c, value); break;
    case GCTL: c->gctl = value; break;
    case SCTL: c->sctl = value; if (value & CLEAR_COUNT) c->bursts = 0; break;
    default: unknown(c, "write", DMA, offset);
    }
    set_line(c, DMA_DONE, c->done && c->gctl & DONE);
    plan(c);
}

static uint32_t wanted(core *c) {
    uint32_t fast = raw(c) & c->enable & c->select, any = fast || slot(c) >= 0;
    uint32_t mask = any && c->rest != WFI ? status(c) : 0;
    if (fast && !(mask & F_BIT)) return FIQ_VECTOR;
    if (!(mask & I_BIT) && any && slot(c) >= 0) return IRQ_VECTOR;
    return 0;
}

static void enter(core *c, uint32_t vector, uint32_t mode, uint32_t link, uint32_t mask) {
    uint32_t cpsr = status(c), keep = cpsr & ~(uint32_t) (MODE_BITS | T_BIT);
    if (c->rest == WFI) keep &= ~(uint32_t) F_BIT;
    set_status(c, keep | mode | mask);
    set_saved_status(&c->arm, cpsr);
    c->arm.r[14] = link;
    c->pc = vector;
    c->thumb = 0;
    progress(c);
}


#include "arm_run.h"

/* Let the program go until something stops it; whether there is a reason to go on. */
static int emulate(core *c) {
    c->at_wait = 0;
    run_program(c);
    if (c->fault) {
        c->rest = FAULT;
        return 0;
    }
    if (c->stopped) {
        c->stopped = 0;
        return 0;
    }
    if (c->yielded) {
        c->yielded = 0;
        return 0;
    }
    if (c->waiting) c->rest = POLL;
    else if (c->at_wait) c->rest = WFI;
    return c->rest != READY;
}

/* Time: what follows is timed_core.py's. Packets move up: from the router into the queue before the core, as long as
 * there is room, and from there into its controller. One that had to wait for longer than the router waits is dropped.
 */
static void drop(core *c, const arrival *one) {
    if (c->dropped == c->drops_size) {
        size_t larger = c->drops_size ? 2 * c->drops_size : 16;
        arrival *moved = realloc(c->drops, larger * sizeof *moved);
        if (!moved) return;
        c->drops = moved;
        c->drops_size = larger;
    }
    c->drops[c->dropped] = *one;
    c->drops[c->dropped++].at = c->blocked;
}

static void move_up(core *c) {
    for (;;) {
        if (!c->received && c->waits) {
            arrival *first = c->queue;
            receive(c, first->control, first->key, first->data);
            if (c->waits == QUEUE) c->freed = c->now;
            memmove(first, first + 1, --c->waits * sizeof *first);
            progress(c);
        }
        if (c->first == c->n_coming || c->waits == QUEUE) return;
        arrival *next = &c->coming[c->first];
        uint64_t since = next->at > c->blocked ? next->at : c->blocked;
        uint64_t enters = since > c->freed ? since : c->freed;
        if (enters > c->now) return;
        c->first++;
        if (enters - since > c->timeout) {
            c->blocked = since + c->timeout;
            drop(c, next);
        } else {
            c->queue[c->waits++] = *next;
            c->blocked = enters;
        }
    }
}

static void expire(core *c, int index) {
    timer *t = &c->timers[index];
    t->raw = 1;
    t->reads = 0;
    t->started = t->deadline;
    t->halted = t->control & ONE_SHOT;
    t->deadline = t->halted ? NEVER : t->deadline + period(t);
    update_timers(c);
    progress(c);
}

/* A step has ended: note how long the core was awake in it. */
static void note_step(core *c) {
    uint64_t worked = c->now - c->slept;
    if (c->n_steps == c->steps_size) {
        size_t larger = c->steps_size ? 2 * c->steps_size : 256;
        uint32_t *moved = larger > MOST_STEPS ? NULL : realloc(c->steps, larger * sizeof *moved);
        if (!moved) return;
        c->steps = moved;
        c->steps_size = larger;
    }
    c->steps[c->n_steps++] = (uint32_t) (worked - c->worked);
    c->worked = worked;
}

/* Let everything happen that is due. */
static void happen(core *c) {
    for (int i = 0; i < 2; i++)
        while (c->timers[i].deadline <= c->now) {
            if (!i) note_step(c);
            expire(c, i);
            if (!period(&c->timers[i])) c->timers[i].deadline = NEVER;
        }
    while (c->transfers && c->ends[0] <= c->now) {
        c->ends[0] = c->ends[1];
        c->transfers--;
        c->done += c->done < AT_ONCE;
        set_line(c, DMA_DONE, c->gctl & DONE);
    }
    if (c->dump_at <= c->now) set_line(c, RTR_DUMP, 1);
    if (c->held <= c->now) c->full = 0;
    move_up(c);
}

/* When the transmitter takes packets again, or the router tells of a packet, if the program wants to hear of it. */
static uint64_t heard_at(const core *c) {
    uint64_t next = c->full & c->enable ? c->held : NEVER;
    return c->enable >> RTR_DUMP & 1 && c->dump_at > c->now && c->dump_at < next ? c->dump_at : next;
}

/* When something happens next; now if it already should have. */
static uint64_t due(const core *c) {
    uint64_t next = c->timers[0].deadline < c->timers[1].deadline ? c->timers[0].deadline : c->timers[1].deadline;
    if (c->transfers && c->ends[0] < next) next = c->ends[0];
    if (!c->received && c->first < c->n_coming && c->coming[c->first].at < next) next = c->coming[c->first].at;
    if (heard_at(c) < next) next = heard_at(c);
    return next < c->now ? c->now : next;
}

/* Something has changed what happens next: the slice has to end there. */
static void plan(core *c) {
    if (c->timed) {
        uint64_t next = due(c);
        if (next < c->limit) c->limit = next;
    }
}

/* The block that is under way takes so many cycles more. */
static void spend(core *c, uint64_t cycles) {
    c->now += cycles;
    if (c->last) c->last->spent += cycles;
}

static int asleep(core *c) { return c->rest == WFI || c->waiting; }

static void doze(core *c, uint64_t until) {
    if (until > c->now) {
        c->slept += until - c->now;
        c->now = until;
    }
}

/* Let a core run until a cycle, or sleep until something happens after that; less far if what it sends may come back. */
static void slice(core *c) {
    while (c->now < c->until && c->rest != FAULT) {
        happen(c);
        uint32_t vector = wanted(c);
        if (vector) {
            enter(c, vector, vector == IRQ_VECTOR ? IRQ_MODE : FIQ_MODE, c->pc + 4,
                  vector == IRQ_VECTOR ? I_BIT : I_BIT | F_BIT);
            c->rest = READY;
            c->now += ENTRY;
            continue;
        }
        uint64_t next = due(c);
        if (asleep(c)) {
            if (next >= c->until) return;
            doze(c, next);
            progress(c);
            continue;
        }
        c->limit = next < c->until ? next : c->until;
        c->attend = 0;
        c->rest = READY;
        emulate(c);
    }
}

#define API __attribute__((visibility("default")))

static const device_read READS[] = {vic_read, timer_read, comms_read, dma_read};
static const device_write WRITES[] = {vic_write, timer_write, comms_write, dma_write};

/* A core as after a reset, or NULL. */
API core *core_new(const uint8_t *itcm, uint32_t processor, void *serve) {
    core *c = calloc(1, sizeof *c);
    op *words = calloc(CODE / 4 + 1, sizeof *words);
    if (!c || !words) {
        free(c);
        free(words);
        return NULL;
    }
    c->itcm = itcm;
    c->processor = processor;
    c->serve = (serve_device) serve;
    c->rest = READY;
    c->touched = 1;
    c->arm.words = words;
    words[CODE / 4].kind = K_NOWHERE;
    c->arm.mode = SVC_MODE;
    c->arm.zero = 1;
    c->timers[0].deadline = c->timers[1].deadline = c->dump_at = NEVER;
    c->source = FAKE;
    c->read_cost = READ_COST;
    return c;
}

/* Let a device be at a place: one of the core's own by its number, or one of the chip. */
API int core_place(core *c, int index, uint32_t base, uint32_t size) {
    if (c->n_places == PLACES) return -1;
    place *p = &c->places[c->n_places++];
    p->base = base;
    p->size = size;
    p->read = index < DEVICES ? READS[index] : NULL;
    p->write = index < DEVICES ? WRITES[index] : NULL;
    return 0;
}

/* Registers 0 to 14, then the status and the saved one. */
API uint32_t core_get(const core *c, int number) {
    return number < 15 ? c->arm.r[number] : number == 15 ? status(c) : saved_status(&c->arm);
}

API void core_put(core *c, int number, uint32_t value) {
    if (number < 15) c->arm.r[number] = value;
    else if (number == 15) set_status(c, value);
    else set_saved_status(&c->arm, value);
}

API void core_free(core *c) {
    if (c) {
        free(c->before);
        free(c->sent);
        free(c->sent_at);
        free(c->coming);
        free(c->drops);
        free(c->steps);
        free(c->arm.words);
        free(c->arm.halves);
        free(c->arm.blocks);
    }
    free(c);
}

API int core_memory(core *c, uint32_t base, uint32_t size, uint8_t *bytes) {
    if (c->n_memories == MEMORIES) return -1;
    c->memories[c->n_memories].base = base;
    c->memories[c->n_memories].size = size;
    c->memories[c->n_memories++].bytes = bytes;
    return 0;
}

/* Whether a program that waits has something left to do, like a transfer that is over: it works as fast as packets come, so
 * those of an instant do not fill its buffer, but for the BURST that its handler takes on end. */
static int at_work(const core *c) { return c->rest == WFI && !c->burst && slot(c) >= 0; }

/* Run with packets of three words on offer; *taken of them were taken. Returns why the core stopped. */
static int core_run(core *c, uint64_t now, const uint32_t *inbox, uint32_t packets, uint32_t *taken) {
    uint32_t next = 0;
    c->now = now;
    for (;;) {
        if (c->rest != READY) {
            if (next < packets && !c->received && !at_work(c)) {
                const uint32_t *packet = inbox + 3 * next++;
                receive(c, packet[0], packet[1], packet[2]);
            }
            uint32_t vector = wanted(c);
            if (vector == IRQ_VECTOR) {
                enter(c, vector, IRQ_MODE, c->pc + 4, I_BIT);
            } else if (vector) {
                int again = c->rest == WFI && next < packets && c->burst < BURST;
                c->burst = again ? c->burst + 1 : 0;
                enter(c, vector, FIQ_MODE, again ? c->pc : c->pc + 4, I_BIT | F_BIT);
            } else if (c->rest != POLL || c->waiting) {
                break;
            }
        }
        c->rest = READY;
        if (!emulate(c)) break;
    }
    *taken = next;
    return c->rest;
}

static int core_ready(core *c, uint32_t packets) {
    return c->rest == READY || (packets && !c->received) || wanted(c) || (c->rest == POLL && !c->waiting);
}

API void core_line(core *c, int line, int active) {
    uint32_t before = c->lines;
    set_line(c, line, active);
    if (c->lines != before) c->touched = 1;
}

API void core_expire(core *c, int index, uint64_t now) {
    c->now = now;
    expire(c, index);
}

/* Where it stands when a timer expires. */
API uint64_t *core_deadline(core *c, int index) { return &c->timers[index].deadline; }

API const uint32_t *core_sent(core *c, uint64_t *words) {
    *words = c->n_sent;
    c->n_sent = 0;
    return c->sent;
}

API uint32_t core_pc(const core *c) { return c->pc; }

API void core_set_pc(core *c, uint32_t pc) {
    c->pc = pc & ~1u;
    c->thumb = pc & 1;
}

API void core_pause(core *c) { c->pause = 1; }

/* For accesses to the chip's devices, which Python serves. */
API void core_reach(core *c) { reach(c); }

API void core_progress(core *c) { progress(c); }

API void core_fault(core *c, const char *message) {
    snprintf(c->message, sizeof c->message, "%s", message);
    stop(c);
}

/* The fault to deal with, with its message: 1 a device's, below 0 the program's (-1 less cpu.Trap). */
API int core_take_fault(core *c, const char **message) {
    int fault = c->fault;
    c->fault = 0;
    *message = c->message;
    return fault;
}

/* Go on in an exception handler. */
API void core_except(core *c, uint32_t vector, uint32_t mode, uint32_t link) {
    c->touched = 1;
    enter(c, vector, mode, link, I_BIT);
    c->rest = READY;
}

/* Time */
/* Let its work take time; whether there is memory for it. */
API int core_clock(core *c, cost *costs, bank *shared, uint64_t now, void *price, int profiled) {
    c->arm.blocks = calloc(CODE, sizeof *c->arm.blocks);
    c->price = (price_of *) price;
    c->timed = c->apart = 1;
    c->profiled = profiled;
    c->read_cost = 0;
    c->costs = costs;
    c->bank = shared;
    c->now = c->slept = now;
    return c->arm.blocks != NULL;
}

/* A packet sets out for a core, or arrives; 0 if there is no room for it. */
static int arrive(core *c, uint64_t at, uint32_t control, uint32_t key, uint32_t data) {
    if (c->first == c->n_coming) c->first = c->n_coming = 0;                    /* from here on */
    if (c->n_coming == c->coming_size) {
        size_t larger = c->coming_size ? 2 * c->coming_size : 64;
        arrival *moved = larger > MOST_PACKETS ? NULL : realloc(c->coming, larger * sizeof *moved);
        if (!moved) return 0;
        c->coming = moved;
        c->coming_size = larger;
    }
    arrival *last = &c->coming[c->n_coming++];
    last->at = at;
    last->control = control;
    last->key = key;
    last->data = data;
    return 1;
}

/* The same for up to 32 cores; bits of those that have no room for it. */
API uint32_t cores_arrive(core **cores, int n, uint64_t at, uint32_t control, uint32_t key, uint32_t data) {
    uint32_t full = 0;
    for (int i = 0; i < n; i++)
        if (!arrive(cores[i], at, control, key, data)) full |= 1u << i;
    return full;
}

/* Whoever does something to a core that sleeps does it now. */
API void core_wake(core *c, uint64_t now) {
    if (asleep(c)) doze(c, now);
}

/* The router takes a packet from the core only so many cycles after the last. */
API void core_pace(core *c, uint64_t pace) { c->pace = pace; }

API void core_plan(core *c) { plan(c); }

/* How long the router waits for it, and when it tells of a packet that it has dropped. */
API void core_attend(core *c, uint64_t timeout, uint64_t dump_at) {
    c->timeout = timeout;
    c->dump_at = dump_at;
    set_line(c, RTR_DUMP, dump_at <= c->now);
}

/* Where it stands until when a packet waits at the router. */
API void core_router(core *c, const uint64_t *router) { c->router = router; }

/* Whether an interrupt can reach it. */
API int core_enabled(const core *c, int line) { return c->enable >> line & 1; }

/* Packets for which there was no room, and when they were dropped; how many. They are gone then. */
API const arrival *core_drops(core *c, uint64_t *count) {
    *count = c->dropped;
    c->dropped = 0;
    return c->drops;
}

API int core_rest(const core *c) { return c->rest; }

/* timed_core.Times; how many steps there are instead of them */
API void core_times(const core *c, uint64_t *four) {
    four[0] = c->now;
    four[1] = c->slept;
    four[2] = period(&c->timers[0]);
    four[3] = c->n_steps;
}

API const uint32_t *core_steps(const core *c) { return c->steps; }

API const uint64_t *core_sent_at(const core *c) { return c->sent_at; }

static uint64_t next_of(core *c) {
    if (c->rest == FAULT) return NEVER;
    return asleep(c) && !wanted(c) ? due(c) : c->now;
}

/* Let cores run up to a cycle, in rounds: each as far as nothing that another one does can reach it, which takes `lag`
 * cycles. Returns, when somebody has to be looked at, how many (their places in `looked_at`), and always when nobody works
 * or waits for anything but a timer. `next`: when something happens next; `clock`: how far all have come.
 */
API int cores_run(core *const *cores, int n, uint64_t end, uint64_t lag, bank **banks, int n_banks, int *looked_at,
                  uint64_t *next, uint64_t *clock, int *busy) {
    for (;;) {
        uint64_t first = NEVER, second = NEVER, latest = 0, began = *clock;
        int found = 0;
        for (int i = 0; i < n; i++) {
            uint64_t begins = cores[i]->begins = next_of(cores[i]);
            if (begins < first) {
                second = first;
                first = begins;
            } else if (begins < second) second = begins;
        }
        *next = NEVER;
        *busy = 0;
        for (int i = 0; i < n; i++) {
            core *c = cores[i];
            uint64_t others = c->begins == first ? second : first;
            c->lag = lag;
            c->until = others < end - lag ? others + lag : end;
            if (c->begins < c->until) slice(c);
            if (c->n_sent || c->dropped || c->rest == FAULT) looked_at[found++] = i;
            uint64_t then = next_of(c);
            if (then < *next) *next = then;
            if (c->now > latest) latest = c->now;
            *busy |= (c->rest != FAULT && !asleep(c)) || c->transfers || (!c->received && c->first < c->n_coming) ||
                     heard_at(c) != NEVER;
        }
        if (*busy && *next < NEVER) latest = *next;
        if (latest > *clock) *clock = latest;
        for (int i = 0; i < n_banks; i++) {
            uint64_t passed = *clock - began > lag ? *clock - began : lag;
            uint64_t word = (2 * SDRAM_WORD * banks[i]->moved + passed) / (2 * passed);
            banks[i]->word = word > DMA_WORD ? (uint32_t) word : DMA_WORD;
            banks[i]->moved = 0;
        }
        if (found || !*busy || *next >= end) return found;
    }
}

#include "core_state.h"
#include "idle_core.h"
#include "board_loop.h"
#include "interconnect.h"
