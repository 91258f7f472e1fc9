"""One core: waiting, interrupts, polls, faults; the same for the core in Python and the one in C."""

import struct
import threading
import time

import pytest
from programs import MAIN, SCRATCH, SEEN, WFI, binary, branch, image, program

from spikingconvnet.emulator.core import _GRACE, BURST, Rest, clock_of_this_thread
from spikingconvnet.emulator.memory import Bus
from spikingconvnet.emulator.memory_map import SDRAM_SYSTEM, VCPU, CPUState, Interrupt
from spikingconvnet.emulator.peripherals import VIC

R1_CC = 0xe3a01202                      # mov r1, #0x20000000 (communications controller)
R3_VIC = 0xe3a0341f                     # mov r3, #0x1f000000 (interrupt controller)
R5_TIMER = [0xe3a05421]                 # mov r5, #0x21000000 (timers)
R4_SEEN = [0xe3a04206, 0xe3844603]      # mov r4, #0x60000000; orr r4, r4, #0x300000
ENABLE_TIMER1 = [R3_VIC, 0xe3a00010, 0xe5830010,        # mov r0, #1 << 4; str r0, [r3, #ENABLE]
                 0xe3a00024, 0xe5830200]                # mov r0, #0x20 | 4; str r0, [r3, #CNTL]
COUNT_UP = [0xe5940000, 0xe2800001, 0xe5840000]         # ldr r0, [r4]; add r0, r0, #1; str r0, [r4]
RETURN = 0xe25ef004                     # subs pc, lr, #4


def seen(bench, words=2):
    return struct.unpack(f"<{words}I", bench.chip.bus.read(SEEN, 4 * words))


def forever(main):
    """The words, then WFI again and again."""
    here = MAIN + 4 * len(main)
    return [*main, WFI, branch(here + 4, here)]


def test_a_program_runs_to_its_wait_and_stands_behind_it(bench):
    bench.start(program([0xe3a00007, WFI, 0xe3a00008]))          # mov r0, #7; wfi; mov r0, #8
    core = bench.chip.cores[1]
    assert core.rest is Rest.WFI
    assert (core.registers()["pc"], core.registers()["r0"]) == (MAIN + 8, 7)


def test_the_application_id_and_flags_arrive_in_r0(bench):
    bench.chip.bus.write(SDRAM_SYSTEM, program([WFI]))
    bench.chip.start(SDRAM_SYSTEM, 2, 30, 1)
    bench.machine.run()
    assert bench.chip.cores[1].registers()["r0"] == 1 << 8 | 30


def timer_program(body):
    """Timer 1 every 1000 cycles; its handler does `body` with r4 = SEEN, acknowledges and returns."""
    main = [*R4_SEEN, *ENABLE_TIMER1, *R5_TIMER,
            0xe3a00ffa, 0xe5850000,             # mov r0, #1000; str r0, [r5, #LOAD]
            0xe3a000e2, 0xe5850008]             # mov r0, #0xe2; str r0, [r5, #CONTROL]
    vector = 0x200 + 0x10 * 0x18
    set_vector = [0xe3a00fe0, 0xe5830100]       # mov r0, #vector; str r0, [r3, #ADDR]
    assert vector == 0x380
    handler = [*body, 0xe3a00001, 0xe585000c,   # mov r0, #1; str r0, [r5, #INT_CLR]
               0xe5830030, RETURN]              # str r0, [r3, #VADDR]
    irq = {0x18: handler}
    made = bytearray(program(forever(main + set_vector), irq))
    made[32 + 0x18:32 + 0x1c] = struct.pack("<I", 0xe51ffff0)       # ldr pc, [pc, #-0xff0]
    return bytes(made)


@pytest.mark.parametrize("until", [10_000, 10_500])
def test_a_timer_interrupts_the_wait_and_the_clock_jumps(bench, until):
    bench.chip.bus.write(SDRAM_SYSTEM, timer_program(COUNT_UP))
    bench.chip.start(SDRAM_SYSTEM, 2, 30, 0)
    bench.machine.run(until=until)
    assert seen(bench, 1) == (10,)
    assert bench.machine.cycle == 10_000
    assert not bench.chip.cores[1].registers()["psr"] & 0x1f ^ 0x13      # back in the mode that waited


def test_an_interrupt_keeps_the_mode_and_masks_for_the_return(bench):
    note = [0xe14f0000, 0xe5840004,             # mrs r0, spsr; str r0, [r4, #4]
            0xe10f0000, 0xe5840008,             # mrs r0, cpsr; str r0, [r4, #8]
            0xe584e00c]                         # str lr, [r4, #12]
    bench.chip.bus.write(SDRAM_SYSTEM, timer_program(note))
    bench.chip.start(SDRAM_SYSTEM, 2, 30, 0)
    bench.machine.run(until=1000)
    _, spsr, cpsr, lr = seen(bench, 4)
    assert spsr & 0xff == 0xd3                  # supervisor mode, both masked: as it waited
    assert cpsr & 0xff == 0x92                  # IRQ mode, IRQ masked, FIQ open: the wait's mask was only for waiting
    assert lr == bench.chip.cores[1].registers()["pc"] + 4


FIQ_ON_PACKETS = [R1_CC, R3_VIC, *R4_SEEN,
                  0xe3a00401, 0xe583000c, 0xe5830010]   # mov r0, #1 << 24; str to SELECT and ENABLE
TAKE_PACKET = [0xe591000c, 0xe5840004,          # ldr r0, [r1, #RSR]; str r0, [r4, #4]
               0xe5910014, 0xe5840008,          # ldr r0, [r1, #RXKEY]; str r0, [r4, #8]
               *COUNT_UP, RETURN]


def packet_bench(bench, packets, main=FIQ_ON_PACKETS):
    bench.start(program(forever(list(main)), {0x1c: TAKE_PACKET}))
    core = bench.chip.cores[1]
    for key in range(packets):
        core.offer((0, key, 0))
    core.run()
    return core


@pytest.mark.parametrize("packets", [1, 3, BURST, 3 * BURST + 5])
def test_every_packet_is_offered_once_and_in_order(bench, packets):
    packet_bench(bench, packets)
    count, status, key = seen(bench, 3)
    assert (count, key) == (packets, packets - 1)
    assert status == 0x88000001


# What a simulation does: the handler of packets keeps them, and asks by an interrupt that they are worked off.
KEEP_PACKET = [0xe5910014, *COUNT_UP,                   # ldr r0, [r1, #RXKEY]; one more waits: [r4]
               0xe5947004, 0xe1500007, 0x85840004,      # ldr r7, [r4, #4]; cmp r0, r7; strhi r0, [r4, #4]: the most
               0xe3a00002, 0xe5830018, RETURN]          # mov r0, #1 << 1; str r0, [r3, #SOFT_SET]
WORK_OFF = [0xe5940000, 0xe5947008, 0xe0877000, 0xe5847008,     # ldr r0, [r4]; ldr r7, [r4, #8]; add r7, r7, r0; str r7
            0xe3a00000, 0xe5840000,                     # mov r0, #0; str r0, [r4]
            0xe3a00002, 0xe583001c, 0xe5830030, RETURN]         # str r0, [r3, #SOFT_CLR]; str r0, [r3, #VADDR]


@pytest.mark.parametrize("packets", [1, BURST, BURST + 2, 20 * BURST + 5])
def test_packets_of_an_instant_are_worked_off_while_they_come(bench, packets):
    main = [*FIQ_ON_PACKETS, 0xe3800002, 0xe5830010,    # orr r0, r0, #1 << 1; str r0, [r3, #ENABLE]
            0xe3a00021, 0xe5830200]                     # mov r0, #0x20 | 1; str r0, [r3, #CNTL]
    bench.start(program(forever(main), {0x18: WORK_OFF, 0x1c: KEEP_PACKET}))
    core = bench.chip.cores[1]
    for key in range(packets):
        core.offer((0, key, 0))
    core.run()
    waiting, most, done = seen(bench, 3)
    assert (waiting, done, core.lost) == (0, packets, 0)
    assert most == min(packets, BURST + 1)


def test_packets_that_a_program_does_not_want_are_lost_and_counted(bench):
    core = packet_bench(bench, 5, main=[R1_CC, R3_VIC, *R4_SEEN])
    assert seen(bench, 1) == (0,)
    assert core.lost == 4 and not core.ready    # one stays in the controller


def test_a_payload_arrives_and_is_announced(bench):
    take = [0xe591000c, 0xe5840004, 0xe5910010, 0xe5840008, 0xe5910014, 0xe584000c, *COUNT_UP, RETURN]
    bench.start(program(forever(list(FIQ_ON_PACKETS)), {0x1c: take}))
    bench.chip.cores[1].offer((0x20000, 0x12340000, 0xdeadbeef))
    bench.chip.cores[1].run()
    assert seen(bench, 4) == (1, 0x88020001, 0xdeadbeef, 0x12340000)


def test_a_write_of_txkey_sends_with_or_without_payload(bench):
    bench.start(image([0]))                     # nothing: only so that the core exists
    sent = bench.sending(program([R1_CC, 0xe3a00005, 0xe5810008,            # mov r0, #5; str r0, [r1, #TXKEY]
                                  0xe5810004, 0xe3a00006, 0xe5810008, 0xe5810008, WFI]))    # TXDATA 5, TXKEY 6, twice
    assert sent == [((0, 0), [(0, 5, 0), (0x20000, 6, 5), (0, 6, 0)])]


POLL = [*R4_SEEN, *R5_TIMER,
        0xe3a00ffa, 0xe5850020,                 # mov r0, #1000; str r0, [r5, #T2_LOAD]
        0xe3a000e3, 0xe5850028,                 # mov r0, #0xe3; str r0, [r5, #T2_CONTROL]
        0xe5950024, 0xe3500000, 0x1afffffc,     # ldr r0, [r5, #T2_COUNT]; cmp r0, #0; bne the load
        *COUNT_UP]


def test_a_poll_of_a_timer_waits_for_it(bench):
    bench.chip.bus.write(SDRAM_SYSTEM, program([*POLL, WFI]))
    bench.chip.start(SDRAM_SYSTEM, 2, 30, 0)
    bench.machine.step()
    core = bench.chip.cores[1]
    assert core.rest is Rest.POLL and seen(bench, 1) == (0,) and bench.machine.cycle == 0
    bench.machine.run()
    assert core.rest is Rest.WFI and seen(bench, 1) == (1,) and bench.machine.cycle == 1000


def test_a_poll_is_interrupted_unless_the_program_masks_it(bench):
    for mask, taken in ((0xe329f01f, 3), (0xe329f0df, 0)):      # msr cpsr_cf, #0x1f or #0xdf: system mode
        bench.start(image([0]))
        main = [*FIQ_ON_PACKETS, mask & ~0x80000, *POLL[2:], WFI]
        bench.chip.bus.write(SDRAM_SYSTEM, program(main, {0x1c: TAKE_PACKET}))
        bench.chip.bus.write(SEEN, bytes(4))
        bench.chip.start(SDRAM_SYSTEM, 2, 30, 0)
        bench.machine.step()
        core = bench.chip.cores[1]
        assert core.rest is Rest.POLL
        for key in range(3):
            core.offer((0, key, 0))
        core.run()
        assert core.rest is Rest.POLL and seen(bench, 1) == (taken,)


def test_a_timer_that_is_read_goes_down(bench):
    bench.start(program([*R4_SEEN, *R5_TIMER, 0xe3a00ffa, 0xe5850000, 0xe3a000e2, 0xe5850008,
                         0xe5950004, 0xe5840000, 0xe5950004, 0xe5840004, 0xe3a00000, 0xe5850008, WFI]))
    assert seen(bench) == (950, 900)


def test_dma_moves_bytes_both_ways_and_tells(bench):
    main = [0xe3a01101, *R4_SEEN,               # mov r1, #0x40000000 (DMA); r4 = SEEN
            0xe5814004,                         # str r4, [r1, #ADRS]
            0xe3a02501, 0xe5812008,             # mov r2, #0x400000; str r2, [r1, #ADRT]
            0xe3a00010, 0xe581000c,             # mov r0, #16; str r0, [r1, #DESC]: to TCM
            0xe5910014, 0xe5820020,             # ldr r0, [r1, #STAT]; str r0, [r2, #32]
            0xe2843040, 0xe5813004,             # add r3, r4, #0x40; str r3, [r1, #ADRS]
            0xe3a00702, 0xe3800028, 0xe581000c,     # mov r0, #1 << 19; orr r0, r0, #40; str r0, [r1, #DESC]: to SDRAM
            0xe3a00008, 0xe5810010,             # mov r0, #8; str r0, [r1, #CTRL]
            0xe5910014, 0xe5840080, WFI]        # ldr r0, [r1, #STAT]; str r0, [r4, #128]
    bench.chip.bus.write(SCRATCH, bytes(range(16)))
    bench.start(program(main))
    assert bench.chip.bus.read(SCRATCH + 0x40, 16) == bytes(range(16))
    assert bench.chip.bus.load(SCRATCH + 0x60) == 1 << 24 | 1 << 10         # core 1, done
    assert bench.chip.bus.load(SCRATCH + 0x80) == 1 << 24


def test_dma_counts_bursts_from_when_it_is_told_to(bench):
    description = [0xe3a00401, 0xe3800502, 0xe3800088]  # mov r0, #1 << 24; orr r0, #1 << 23; orr r0, #136
    bench.start(program([0xe3a01101, *R4_SEEN, 0xe5814004,          # r1 = DMA; r4 = SEEN; str r4, [r1, #ADRS]
                         0xe3a02501, 0xe5812008, *description,      # str #0x400000, [r1, #ADRT]
                         0xe581000c,                                # str r0, [r1, #DESC]: not counted
                         0xe3a03003, 0xe5813028,                    # str #3, [r1, #SCTL]: clear and count
                         0xe581000c, 0xe581000c,                    # two transfers of 136 bytes, 128 a burst
                         0xe5915040, 0xe5845000, WFI]))             # str [r1, #STAT0], [r4]
    assert seen(bench, 1) == (4,)


FAULTS = {
    "undefined": ([0xe7f000f0], 1, 4, "UNDEF at pc 0x00000040"),
    "svc": ([0xef000000], 2, 4, "SVC"),
    "breakpoint": ([0xe1200070], 3, 4, "PABT at pc 0x00000040"),
    "jump to nowhere": ([0xe3a0f209], 3, 0x90000004 - MAIN, "PABT at pc 0x90000000"),
    "jump into DTCM": ([0xe3a0f501], 3, 0x400004 - MAIN, "PABT at pc 0x00400000"),
    "read of nothing": ([0xe3a01209, 0xe5910000], 4, 12, "read of 4 bytes at 0x90000000, where nothing is"),
    "write to nothing": ([0xe3a01209, 0xe5810000], 4, 12, "write of 4 bytes at 0x90000000, where nothing is"),
    "Ethernet": ([0xe3a014e4, 0xe5910000], 4, 12, "at 0xe4000000"),
    "unknown register": ([R1_CC, 0xe5910054], 4, 12, "read of communications controller+0x054, a register that is not"),
    "unknown router register": ([0xe3a014e1, 0xe5910030], 4, 12, "read of router+0x030, a register that is not"),
    "byte of a register": ([R1_CC, 0xe5d10000], 4, 12, "access to 1 bytes of communications controller+0x000"),
    "packet to routers": ([R1_CC, 0xe3a028a0, 0xe5812000, 0xe5812008], 4, 20, "to a router itself or to all links"),
    "DMA from nowhere": ([0xe3a01101, 0xe3a02209, 0xe5812004, 0xe3a02010, 0xe581200c], 4, 24,
                         "no memory holds 16 bytes at 0x90000000"),
    "DMA over the end of DTCM": ([0xe3a01101, *R4_SEEN, 0xe5814004, 0xe3a02841, 0xe2422008, 0xe5812008, 0xe3a00010,
                                  0xe581000c], 4, 40, "no memory holds 16 bytes at 0x0040fff8"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_the_exception_it_is_on_hardware_and_is_named(bench, name):
    main, vector, link, text = FAULTS[name]
    bench.start(program([*main, WFI]))
    assert seen(bench) == (vector, MAIN + link)
    assert len(bench.reports) == 1 and "core 0,0,1" in bench.reports[0] and text in bench.reports[0]


def test_a_core_whose_handlers_fault_is_given_up_with_its_registers(bench):
    bench.start(image([0xe3a03007, *[0xe7f000f0] * 20]))        # mov r3, #7; undefined everywhere, vectors included
    assert bench.chip.cores[1].rest is Rest.DEAD
    assert bench.chip.vcpu(1, VCPU.CPU_STATE, 1) == CPUState.RTE
    assert (bench.chip.vcpu(1, VCPU.RT_CODE, 1), bench.chip.vcpu(1, VCPU.REGISTERS + 12)) == (2, 7)


@pytest.mark.parametrize("where, code", [(0x90000000, 5), (SCRATCH, 19)])
def test_a_real_binary_reports_its_own_end(bench, where, code):
    bench.chip.set_vcpu(1, VCPU.USER, where)    # where IF_curr_exp looks for its data: nowhere, or zeros
    bench.start(binary("IF_curr_exp.aplx"))
    assert bench.chip.vcpu(1, VCPU.CPU_STATE, 1) == CPUState.RTE
    assert bench.chip.vcpu(1, VCPU.RT_CODE, 1) == code          # data abort; API startup
    assert bench.chip.app_name(1) == "IF_curr_exp"
    if code == 5:
        assert bench.chip.vcpu(1, VCPU.REGISTERS) == 0x90000000
        assert "IF_curr_exp): DABT" in bench.reports[0] and "0x90000008" in bench.reports[0]
    else:
        buffer = bench.chip.vcpu(1, VCPU.IOBUF)
        assert bench.chip.bus.read(buffer + 16, bench.chip.bus.load(buffer + 12)) == b"17\x1e00000000\n"


def test_the_watchdog_names_a_core_that_never_rests(bench):
    bench.machine.watchdog = 0.2
    over = threading.Event()

    def look():
        while not over.wait(0.02):
            bench.machine.pause()

    threading.Thread(target=look, daemon=True).start()
    began = time.monotonic()
    bench.start(program([0xe3a00005, branch(4, 4)]))            # mov r0, #5; b .
    over.set()
    assert time.monotonic() - began < 200
    assert bench.chip.vcpu(1, VCPU.CPU_STATE, 1) == CPUState.WDOG
    assert (bench.chip.vcpu(1, VCPU.REGISTERS), bench.chip.vcpu(1, VCPU.LR)) == (5, MAIN + 4)
    assert "core 0,0,1" in bench.reports[0] and "watchdog at pc 0x00000044" in bench.reports[0]


def test_pausing_repeats_no_access(bench):
    """A thread that pauses all the time: every packet is still sent once."""
    over = threading.Event()

    def pause():
        while not over.wait(0.0005):
            bench.machine.pause()

    bench.start(image([0]))
    threading.Thread(target=pause, daemon=True).start()
    sent = bench.sending(program([R1_CC, 0xe3a00000, 0xe5810008, 0xe2800001,    # mov r0, #0; str r0, TXKEY; add r0, #1
                                  0xe3500801, 0x1afffffb, WFI]))            # cmp r0, #65536; bne the store; wfi
    over.set()
    assert [key for _, packets in sent for _, key, _ in packets] == list(range(65536))


def test_an_access_that_takes_long_is_not_repeated(bench, monkeypatch):
    """A device, or what runs beside it in this process, may take longer than a program that is asked to pause has."""
    over, stored = threading.Event(), []

    class Slow:
        def store(self, offset, value):
            stored.append(value)
            ends = time.thread_time() + 2 * _GRACE
            while time.thread_time() < ends and len(stored) < 10:
                pass

    def pause():
        while not over.wait(0.0005):
            bench.machine.pause()

    device = Bus.device
    monkeypatch.setattr(Bus, "device", lambda bus, base: Slow() if base == 0xe2000000 else device(bus, base))
    looks = threading.Thread(target=pause, daemon=True)
    looks.start()
    bench.start(program([0xe3a014e2, 0xe3a00000, 0xe5810000, 0xe2800001,    # mov r1, #0xe2000000; mov r0, #0; str; add
                         0xe3500003, 0x1afffffb, WFI]))                     # cmp r0, #3; bne the store; wfi
    over.set()
    looks.join()
    assert stored == [0, 1, 2]


@pytest.mark.parametrize("used, halted", [([0.0, 0.0], 0), ([5.0, 5.01], 0), ([5.0, 5.2], 1)])
def test_a_program_that_gets_no_cpu_is_not_stopped_in_the_middle_of_an_access(plain_bench, monkeypatch, used, halted):
    """It is asked to pause twice, by whatever time on the wall between; it has used so many seconds of CPU."""
    plain_bench.start(image([0]))
    core, stopped, clock = plain_bench.chip.cores[1], [], iter(used)
    monkeypatch.setattr(core, "_halt", lambda: stopped.append(core))
    monkeypatch.setattr(core, "_spent", lambda: next(clock))
    with core._cpu.turn_of(core):
        core.pause()
        core.pause()
    assert len(stopped) == halted


def test_the_clock_is_of_the_thread_that_asked_for_it():
    found = []
    thread = threading.Thread(target=lambda: (found.append(clock_of_this_thread()), found.append(sum(range(10 ** 6))),
                                              found.append(found[0]()), time.sleep(0.3), found.append(found[0]())))
    thread.start()
    thread.join()
    assert 0 < found[2] <= found[3] < found[2] + 0.2


def test_a_line_of_the_interrupt_controller_makes_a_core_ready(bench):
    take = [0xe5930030, *COUNT_UP, WFI, branch(4, 0)]           # ldr r0, [r3, #VADDR]: in service, never acknowledged
    bench.start(program(forever([R3_VIC, *R4_SEEN, 0xe3a00701, 0xe5830010, 0xe3a00032, 0xe5830200]), {0x18: take}))
    core = bench.chip.cores[1]
    assert not core.ready
    core.interrupt(Interrupt.CPU, True)
    assert core.ready
    core.run()
    assert seen(bench, 1) == (1,) and not core.ready


def test_an_interrupt_controller_begins_with_nothing_in_its_registers():
    vic = VIC()
    slots = [base + 4 * slot for base in (vic.ADDR, vic.CNTL) for slot in range(vic.SLOTS)]
    registers = [vic.VADDR, vic.DEFADDR, *slots]
    assert [vic.load(register) for register in registers] == [0] * len(registers)
    assert vic.slot() is None and not vic.fiq
