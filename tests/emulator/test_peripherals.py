"""Devices by themselves, register by register: interrupt controller, timers, packets, DMA, system controller."""

import pytest

from spikingconvnet.emulator.errors import BusError
from spikingconvnet.emulator.memory import Bus, Memory
from spikingconvnet.emulator.peripherals import DMA, POLLS, READ_COST, VIC, CommsController, Timer, Timers
from spikingconvnet.emulator.system_controller import SystemController

ALWAYS = 1 << 11 | 1 << 23          # the transmitter is empty and not full


def nowhere(device, *offsets):
    """Neither reading nor writing there does anything but say so."""
    for offset in offsets:
        with pytest.raises(BusError, match=rf"read of {device.name}\+{offset:#05x}"):
            device.load(offset)
        with pytest.raises(BusError, match=rf"write of {device.name}\+{offset:#05x}"):
            device.store(offset, 1)


# Interrupt controller


def vic(*lines, enable=0xffffffff, select=0):
    """With lines 1, 4, 5 in slots 2, 0, 1 at handlers 0x102, 0x100, 0x101."""
    device = VIC()
    device.store(0x10, enable)
    device.store(0x0c, select)
    for slot, line in enumerate((4, 5, 1)):
        device.store(0x100 + 4 * slot, 0x100 + slot)
        device.store(0x200 + 4 * slot, 0x20 | line)
    for line in lines:
        device.set(line, True)
    return device


def test_registers_of_the_interrupt_controller():
    device = vic(4, 5, enable=0x37, select=0x20)
    device.store(0x18, 0x6)
    device.store(0x1c, 0x4)
    device.store(0x34, 0x999)
    device.store(0x14, 0x1)
    raw = 1 << 4 | 1 << 5 | 0x2 | ALWAYS
    assert [device.load(offset) for offset in (0x00, 0x04, 0x08, 0x0c, 0x10, 0x18, 0x34)] == [
        0x12, 0x20, raw, 0x20, 0x36, 0x2, 0x999]
    assert [device.load(0x100 + 4 * i) for i in range(4)] == [0x100, 0x101, 0x102, 0]
    assert [device.load(0x200 + 4 * i) for i in range(4)] == [0x24, 0x25, 0x21, 0]
    device.set(4, False)
    assert device.load(0x08) == raw & ~0x10 and device.fiq and not vic(4).fiq
    device.store(0x13c, 7)
    assert device.load(0x13c) == 7
    nowhere(device, 0x20, 0x140, 0x240, 0x300)


def test_the_first_slot_is_served_and_others_below_it_wait():
    device = vic(1, 5)
    assert device.slot() == 1 and device.load(0x30) == 0x101 and device.in_service == [1]
    assert device.slot() is None and device.load(0x30) == 0x101         # slot 2 waits; what is served is told again
    device.set(4, True)
    assert device.load(0x30) == 0x100 and device.in_service == [1, 0]
    device.store(0x30, 0)
    assert device.in_service == [1] and device.slot() == 0
    device.set(4, False), device.set(5, False)
    device.store(0x30, 0)
    assert device.load(0x30) == 0x102


def test_what_asks_for_nothing_or_has_no_slot_is_not_served():
    assert vic().slot() is None and vic(4, enable=0).slot() is None and vic(4, select=0x10).slot() is None
    device = vic(7)
    assert device.slot() is None
    device.store(0x34, 0x55)
    assert device.load(0x30) == 0x55
    device.store(0x30, 0)                       # nothing is served, nothing ends
    device.store(0x200, 4)                      # the slot is not enabled
    device.set(4, True)
    assert device.slot() is None


# Timers


class Clock:
    now = 1000

    def __call__(self):
        return self.now


def timers():
    clock = Clock()
    return Timers(VIC(), clock), clock


RUN, PERIODIC, INTERRUPT, ONE_SHOT = 0x80, 0x40, 0x20, 0x01


@pytest.mark.parametrize("second", [0, 1])
def test_a_periodic_timer_expires_each_period_from_when_it_was_loaded(second):
    device, clock = timers()
    base, line = 0x20 * second, 1 << (4, 5)[second]
    device.store(base + 0x08, RUN | PERIODIC | INTERRUPT)
    device.store(base + 0x00, 300)
    timer = device.each[second]
    assert timer.deadline == 1300 and device.each[1 - second].deadline is None
    clock.now = 1100
    assert device.load(base + 0x04) == 200 - READ_COST and device.load(base + 0x04) == 200 - 2 * READ_COST
    clock.now = 1300
    device.expire(second)
    assert timer.deadline == 1600 and device._vic.lines == line
    assert [device.load(base + offset) for offset in (0x00, 0x08, 0x10, 0x14)] == [
        300, RUN | PERIODIC | INTERRUPT, 1, 1]
    assert device.load(base + 0x04) == 300 - READ_COST
    device.store(base + 0x0c, 0)
    assert device._vic.lines == 0 and device.load(base + 0x10) == device.load(base + 0x14) == 0
    device.store(base + 0x18, 40)               # the background value is the period from then on
    assert device.load(base + 0x18) == 40 and timer.period == 40 and timer.deadline == 1600
    device.expire(second)
    assert timer.deadline == 1640


def test_a_timer_that_is_started_takes_what_was_loaded():
    device, clock = timers()
    device.store(0x00, 500)
    assert device.each[0].deadline is None and device.load(0x04) == 500
    clock.now = 2000
    device.store(0x08, RUN | INTERRUPT)
    assert device.each[0].deadline == 2500
    clock.now = 2100
    device.store(0x08, RUN | INTERRUPT | PERIODIC)      # it runs on
    assert device.each[0].deadline == 2500
    device.store(0x08, INTERRUPT)
    assert device.each[0].deadline is None and device.load(0x04) == 500


def test_one_shot_ends_after_one_period_of_its_own():
    device, _ = timers()
    device.store(0x18, 40)
    device.store(0x00, 500)
    device.store(0x08, RUN | INTERRUPT | ONE_SHOT)
    timer = device.each[0]
    assert timer.deadline == 1500
    device.expire(0)
    assert timer.deadline is None and timer.halted and timer.interrupt and device.load(0x04) == 0
    device.store(0x00, 60)
    assert timer.deadline == 1060 and not timer.halted


def test_a_timer_without_an_interrupt_goes_down_and_never_expires():
    device, clock = timers()
    device.store(0x08, RUN)
    device.store(0x00, 120)
    assert device.each[0].deadline is None
    clock.now = 1010
    assert device.load(0x04) == 120 - 10 - READ_COST
    assert device.load(0x04) == 120 - 10 - 2 * READ_COST
    assert device.load(0x04) == 120 - 10 - 3 * READ_COST & 0xffffffff       # round and on
    device.each[0].raw = True
    assert device.load(0x10) == 1 and device.load(0x14) == 0


def test_a_timer_is_never_at_0_before_it_expires():
    device, clock = timers()
    device.store(0x08, RUN | INTERRUPT)
    device.store(0x00, 100)
    clock.now = 1099
    assert device.load(0x04) == 1


def test_polls_of_a_counter_that_will_expire_wait_for_it():
    device, _ = timers()
    device.store(0x08, RUN | INTERRUPT | ONE_SHOT)
    device.store(0x00, 1 << 20)
    assert [device.load(0x04) and device.waiting for _ in range(POLLS)] == [False] * (POLLS - 1) + [True]
    device.progress()
    assert not device.waiting and device.each[0].polls == 0
    for _ in range(POLLS):
        device.load(0x04)
    device.store(0x2c, 0)                       # a write is something else
    assert not device.waiting
    device.store(0x20, 5)
    for _ in range(2 * POLLS):
        device.load(0x24)                       # does not run
    assert not device.waiting
    device.store(0x08, RUN | INTERRUPT)
    device.store(0x00, 1 << 20)
    for _ in range(POLLS):
        device.load(0x04)
    assert not device.waiting                   # of a periodic one, only at its end
    device.store(0x00, POLLS * READ_COST)
    assert [device.load(0x04) and device.waiting for _ in range(POLLS)][-1]
    nowhere(device, 0x1c, 0x3c)
    with pytest.raises(BusError, match="write"):
        device.store(0x04, 1)


def test_nothing_is_set_when_a_timer_begins():
    timer = Timer(Clock())
    assert [timer.load(offset) for offset in range(0, 0x1c, 4)] == [0, 0, 0, None, 0, 0, 0] and timer.load(0x1c) is None


# Packets


def test_packets_are_sent_with_a_payload_if_one_was_written():
    device = CommsController(VIC())
    device.store(0x08, 0x11)
    device.store(0x04, 0x77)
    device.store(0x08, 0x12)
    device.store(0x08, 0x13)
    device.store(0x00, 0xff02ffff)              # "has a payload" stays, and only control bits are kept
    device.store(0x08, 0x14)
    assert device.sent == [(0, 0x11, 0), (0x20000, 0x12, 0x77), (0, 0x13, 0), (0x20000, 0x14, 0x77)]
    assert device.load(0x00) == 0x80000000 | 0x10000000 | 0x20000
    device.store(0x00, 0x00400000)              # to a point
    device.store(0x08, 0x15)
    device.store(0x00, 0x00a00000)              # to a neighbour's router itself
    with pytest.raises(BusError, match=r"nearest-neighbour packet with key 0x00000016"):
        device.store(0x08, 0x16)
    assert device.sent[4:] == [(0x00400000, 0x15, 0)]


def test_a_received_packet_is_offered_until_its_key_is_read():
    device = CommsController(VIC())
    assert device.load(0x0c) == 0 and device._vic.lines == 0
    device.receive((0x20000, 0x1234, 0x99))
    assert device._vic.lines == 1 << 6 | 1 << 24
    assert [device.load(offset) for offset in (0x0c, 0x10)] == [0x88020001, 0x99] and device.received
    assert device.load(0x14) == 0x1234 and not device.received and device._vic.lines == 0
    assert device.load(0x0c) == 0x20000 and device.load(0x14) == 0x1234
    device.store(0x18, 0x5)
    device.store(0x0c, 0xffffffff)
    assert device.load(0x18) == 5
    with pytest.raises(BusError):
        device.load(0x04)
    nowhere(device, 0x1c, 0x20)


# DMA


def dma():
    bus, told = Bus(), []
    bus.add_memory(0x400000, Memory("DTCM", 0x10000))
    bus.add_memory(0x60000000, Memory("SDRAM", 0x100000))
    return DMA(VIC(), bus, 5, told.append), bus, told


def test_dma_reads_and_writes_and_says_when_it_is_done():
    device, bus, told = dma()
    bus.write(0x60000010, bytes(range(1, 25)))
    device.store(0x04, 0x60000010)
    device.store(0x08, 0x400020)
    device.store(0x18, 1 << 10)
    device.store(0x0c, 24)
    assert bus.read(0x400020, 24) == bytes(range(1, 25)) and told == [0x400020]
    assert device._vic.lines == 1 << 12 and device.load(0x14) == 5 << 24 | 1 << 10
    device.store(0x10, 0x08)
    assert device._vic.lines == 0 and device.load(0x14) == 5 << 24
    bus.write(0x400020, b"\xaa" * 4)
    device.store(0x0c, 1 << 19 | 4)
    assert bus.read(0x60000010, 5) == b"\xaa" * 4 + b"\x05" and told == [0x400020, 0x60000010]
    device.store(0x10, 0xfffffff5)              # neither clears nor aborts
    assert device.load(0x14) >> 10 & 1
    device.store(0x10, 0x02)
    assert not device.load(0x14) >> 10 & 1
    assert [device.load(offset) for offset in (0x04, 0x08, 0x0c, 0x10, 0x18)] == [
        0x60000010, 0x400020, 1 << 19 | 4, 0, 1 << 10]


def test_dma_without_its_interrupt_is_only_done():
    device, _, _ = dma()
    device.store(0x04, 0x60000000), device.store(0x08, 0x400000), device.store(0x0c, 4)
    assert device._vic.lines == 0 and device.done
    nowhere(device, 0x00, 0x1c)
    with pytest.raises(BusError):
        device.load(0x28)


@pytest.mark.parametrize("length, burst, double, bursts", [
    (64, 0, 0, 16), (64, 4, 0, 1), (68, 4, 0, 2), (64, 3, 1, 1), (60, 0, 1, 8), (0, 4, 0, 0)])
def test_dma_counts_bursts_of_words_or_double_words(length, burst, double, bursts):
    device, _, _ = dma()
    device.store(0x04, 0x60000000), device.store(0x08, 0x400000)
    device.store(0x0c, length)
    assert device.load(0x40) == 0               # nobody counts yet
    device.store(0x28, 3)
    for n in (1, 2):
        device.store(0x0c, double << 24 | burst << 21 | length)
        assert device.load(0x40) == n * bursts
    device.store(0x28, 1)
    assert device.load(0x40) == 2 * bursts
    device.store(0x28, 2)
    assert device.load(0x40) == 0


# System controller


def test_the_system_controller_interrupts_with_the_code_alone():
    told = []
    device = SystemController(lambda cores, active: told.append((cores, active)), lambda: 0x2a)
    device.store(0x08, 0x5ec00000 | 0x3ffff)
    device.store(0x0c, 0x5ec00000 | 0x4)
    device.store(0x08, 0x5ed00004)
    device.store(0x08, 0x4)
    device.store(0x08, 0x5ec40002)              # bits beyond the cores say nothing
    assert told == [(0x3ffff, True), (4, False), (2, True)]
    assert device.load(0x64) == 0x2a and device.load(0x00) == 0x59111012 and device.load(0x34) == 0


def test_flags_lamps_and_locks():
    device = SystemController(lambda cores, active: None, lambda: 0)
    device.store(0x58, 0xfff00000 | 0x6)
    device.store(0x58, 0x8)
    device.store(0x5c, 0x4)
    assert device.load(0x58) == device.load(0x5c) == 0xa
    device.store(0x40, 0x3)
    device.store(0x48, 0x8)
    device.store(0x4c, 0x1)
    device.store(0x44, 0x70)
    assert [device.load(offset) for offset in (0x40, 0x48, 0x44)] == [0xa, 0xa, 0x70]
    device.store(0x40, 0x1)
    assert device.load(0x40) == 1
    assert [device.load(offset) for offset in (0x100, 0x17c, 0x180, 0x1fc)] == [0] * 4
    nowhere(device, 0x10, 0x200)
    with pytest.raises(BusError):
        device.load(0xfc)
