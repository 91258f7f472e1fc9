"""Where things are in a SpiNNaker chip: addresses, sizes, structures in memory and their codes; no behaviour.

Sources are file:line in spinnaker_tools 813bfef (`include/` and `scamp/`). Two numbers for one place are its buffered
and its unbuffered alias.
"""

from enum import IntEnum
from typing import TypeAlias

XY: TypeAlias = tuple[int, int]                      # of a chip
Place: TypeAlias = tuple[int, int, int]             # of a core: x, y, virtual number

NUM_CPUS = 18                                       # spinnaker.h:64
NUM_LINKS = 6                                       # spinnaker.h:65
CPU_CLOCK_MHZ = 200                                 # tools/boot/sark.struct, cpu_clk
LINK_DELTAS = ((1, 0), (1, 1), (0, 1), (-1, 0), (-1, -1), (0, -1))      # E NE N W SW S; SpiNNMachine machine.py:49

ITCM_BASE, ITCM_SIZE = 0x00000000, 0x8000           # spinnaker.h:75
DTCM_BASE, DTCM_SIZE = 0x00400000, 0x10000          # spinnaker.h:82
SDRAM_BASES, SDRAM_SIZE = (0x60000000, 0x70000000), 128 << 20           # spinnaker.h:89
SYSRAM_BASES, SYSRAM_SIZE = (0xe5000000, 0xf5000000), 0x8000            # spinnaker.h:106
SDRAM_BASE, SYSRAM_BASE = SDRAM_BASES[0], SYSRAM_BASES[0]

CC_BASES = (0x10000000, 0x20000000)                 # spinnaker.h:138
TIMER_BASES = (0x11000000, 0x21000000)              # spinnaker.h:175
VIC_BASES = (0x1f000000, 0x2f000000, 0xfffff000)    # spinnaker.h:247 ; the last: `ldr pc, [pc, #-0xff0]` at 0x18
DMA_BASES = (0x30000000, 0x40000000)                # spinnaker.h:398
ROUTER_BASES = (0xe1000000, 0xf1000000)             # spinnaker.h:580
SYSCTL_BASES = (0xe2000000, 0xf2000000)             # spinnaker.h:753
DEVICE_SIZE, ROUTER_SIZE = 0x1000, 0x20000          # the last register: spinnaker.h:739

# How SC&MP lays out the memories (scamp-3.c sv_init and sdram_init, with the values of tools/boot/sark.struct)
SYSRAM_HEAP = SYSRAM_BASE + 0x100 + 1024 * 4        # above the user's 1,024 words
SYSRAM_HEAP_TOP = SYSRAM_BASE + 0x7000              # sark.h:943
SYSTEM_BUFFER_WORDS = 32768                         # one per core at the bottom of SDRAM
SDRAM_USER = SDRAM_BASE + NUM_CPUS * SYSTEM_BUFFER_WORDS * 4
SDRAM_HEAP = SDRAM_USER                             # SpiNNMan reserves nothing, system_variable_boot_values.py:204
SDRAM_SYSTEM = SDRAM_BASE + SDRAM_SIZE - (8 << 20)  # 0x67800000: binaries and tables on their way in
SYSTEM_HEAP = SDRAM_SYSTEM + 65536 * 4
SYSTEM_HEAP_TOP = SDRAM_BASE + SDRAM_SIZE
SV_BASE = SYSRAM_BASE + 0x7f00                      # sark.h:940
VCPU_BASE = SYSRAM_BASE + 0x7000                    # sark.h:949
SOFTWARE_VERSION = 0x00040000                       # 4.0.0; SpiNNMan base_transceiver.py:99 wants SC&MP 4
IOBUF_SIZE = 16384                                  # tools/boot/sark.struct, iobuf_size


class SV:
    """Offsets in the system variables (`sv_t`, sark.h:973)."""

    P2P_ADDR, P2P_DIMS, P2P_UP = 0x00, 0x02, 0x06
    ETH_ADDR, HW_VER, ETH_UP = 0x08, 0x0a, 0x0b
    CLOCK_MS, CPU_CLK, MEM_CLK = 0x10, 0x24, 0x26
    FORWARD, RETRY, PEEK_TIME = 0x28, 0x29, 0x2a
    P2P_ROOT, CLOCK_DRIFT, RANDOM = 0x2e, 0x38, 0x3c
    ROOT_CHIP, NUM_BUF = 0x40, 0x41
    SYSRAM_HEAP, SDRAM_HEAP, IOBUF_SIZE = 0x48, 0x4c, 0x50
    SDRAM_BUFS, SYSBUF_SIZE, LINK_EN = 0x54, 0x58, 0x65
    SHM_FREE, SHM_COUNT, SHM_MAX = 0x68, 0x6c, 0x6e
    P2V_MAP, V2P_MAP, MAP_SIZE = 0x94, 0xa8, 20
    NUM_CPUS, ROM_CPUS = 0xbc, 0xbd
    SDRAM_BASE, SYSRAM_BASE, SDRAM_SYS, VCPU_BASE = 0xc0, 0xc4, 0xc8, 0xcc
    SYS_HEAP, RTR_COPY, ALLOC_TAG = 0xd0, 0xd4, 0xdc
    RTR_FREE, P2P_ACTIVE, APP_DATA = 0xe0, 0xe2, 0xe4
    SHM_BUF, MBOX_FLAGS, IP_ADDR, FR_COPY, SW_VER = 0xe8, 0xec, 0xf0, 0xf4, 0xfc
    SIZE = 0x100


class VCPU:
    """Offsets in a core's block of state (`vcpu_t`, sark.h:730 )."""

    REGISTERS, PSR, SP, LR = 0, 32, 36, 40
    RT_CODE, PHYS_CPU, CPU_STATE, APP_ID = 44, 45, 46, 47
    MBOX_AP_MSG, MBOX_MP_MSG, MBOX_AP_CMD, MBOX_MP_CMD = 48, 52, 56, 57
    TIME, APP_NAME, IOBUF, SW_VER, USER = 68, 72, 88, 92, 112
    SIZE = 128                                      # sark.h:760


class CPUState(IntEnum):
    """What a core says about itself (`cpu_state_e`, sark.h:263)."""

    DEAD, PWRDN, RTE, WDOG, INIT, WAIT, SARK, RUN, SYNC0, SYNC1, PAUSE, EXIT = range(12)
    IDLE = 15


class RTE(IntEnum):
    """Run time errors that the emulator itself can cause (`rte_code_e`, sark.h:213)."""

    RESET, UNDEF, SVC, PABT, DABT = 1, 2, 3, 4, 5


class Signal(IntEnum):
    """Signals to applications (`signal_e`, sark.h:392)."""

    (INIT, PWRDN, STOP, START, SYNC0, SYNC1, PAUSE, CONT, EXIT, TIMER, USR0, USR1, USR2, USR3) = range(14)


class Mailbox(IntEnum):
    """Commands between the monitor and a core (`shm_cmd_e`, sark.h:379)."""

    IDLE, MSG, NOP, SIGNAL, CMD = range(5)


class Interrupt(IntEnum):
    """Lines of the vectored interrupt controller that are modelled (spinnaker.h:354)."""

    SOFTWARE, TIMER1, TIMER2 = 1, 4, 5
    CC_RDY, CC_TMT, DMA_DONE, RTR_DUMP = 6, 11, 12, 16
    CPU, CC_TNF, CC_MC, CC_P2P, CC_NN, CC_FR = 18, 23, 24, 25, 26, 27


class AppData:
    """Offsets in the record of an application id (`app_data_t`, sark.h:541)."""

    CORES, CLEAN, SEMA, LEAD, MASK, SIZE = 0, 1, 2, 3, 4, 8


class SDPMessage:
    """Offsets in a message in memory (`sdp_msg_t`, sark.h:574)."""

    NEXT, LENGTH, CHECKSUM, BODY, SIZE = 0, 4, 6, 8, 292
    MAX_LENGTH = 8 + 16 + 256                       # headers and sark.h:561
