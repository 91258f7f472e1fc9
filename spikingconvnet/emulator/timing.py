"""How long things take on a SpiNNaker chip, in cycles of a core (200 MHz), with where each number comes from.

What instructions take is in `cycles.py`. "Temple": S. Temple, slides of the SpiNNaker workshop of 2015.
"Datasheet": SpiNNaker datasheet 2.02, 2011. "Assumed": no source was found.
"""

from spikingconvnet.emulator.cycles import EXCEPTION
from spikingconvnet.emulator.memory_map import CPU_CLOCK_MHZ

ENTRY = EXCEPTION                                   # of an interrupt; beside it the block that is under way delays it
DEVICE_WAIT = 3                                     # a core's own devices: N + I of DDI 0164A, table 10.4, at one clock
SYSRAM_WAIT = 20                                    # 100 ns: as SDRAM without its own latency (assumed)
SDRAM_WAIT = 25                                     # 125 ns: "> 100 ns an access" (Temple)
DMA_LATENCY = 20                                    # 100 ns until the first word: the least of "> 100 ns" (Temple)
DMA_WORD = 48                                       # sixteenths: "about 15 ns a word" (Temple), one core alone
SDRAM_WORD = 13                                     # sixteenths, all cores: "over 1 Gbyte/s sustained" (datasheet)
FRACTION = 16                                       # of a cycle, in which words are counted

QUEUE = 4                                           # packets between the router and a core (assumed)
SEND = 10                                           # from the write of a key to the router (assumed)
ROUTER_PACKET = 2                                   # the router takes a packet a cycle at 100 MHz (datasheet)
ROUTER_PIPELINE = 20                                # from its input to its output (assumed: 10 of its cycles)
LINK_PACKET = 33                                    # 6 million packets of 40 bits a second and link (datasheet)
LINK_LONG_PACKET = 60                               # of 72 bits: the same rate of bits
LINK_FLIGHT = 20                                    # along the wire and into the next router (assumed)
LINK_QUEUE = 4                                      # packets between the router and a link (assumed)

CYCLES_PER_US = CPU_CLOCK_MHZ
QUANTUM = 10                                        # us that cores run before they hear of each other


def cycles_of(microseconds: float) -> int:
    """Cycles of a time, at least one."""
    return max(round(microseconds * CYCLES_PER_US), 1)


def waiting_time(control: int) -> int:
    """Cycles that a router waits for an output before it drops a packet, by its control register.

    wait1 and wait2 are numbers with an exponent (datasheet, 10.6), of cycles at 100 MHz: the second begins when
    emergency routing, which is not modelled, has not helped.

    >>> waiting_time(0x00400001)
    480
    """
    return 2 * sum(_floating(control >> shift & 255) for shift in (16, 24))


def _floating(bits: int) -> int:
    mantissa, exponent = bits & 15, bits >> 4
    if exponent == 0 and mantissa == 0:
        return 0
    below = 1 << 4 - exponent if exponent <= 4 else 0
    return (mantissa + 16 - below) << exponent


def shared_word(moved: int, passed: int) -> int:
    """Sixteenths of a cycle that a word takes if transfers were under way for `moved` of `passed` cycles, all together.

    >>> shared_word(2000, 2000), shared_word(16 * 2000, 2000)
    (48, 208)
    """
    return max(DMA_WORD, (2 * SDRAM_WORD * moved + passed) // (2 * passed))
