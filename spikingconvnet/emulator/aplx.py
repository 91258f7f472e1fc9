"""Loading an APLX image: a table of copies and fills that ends with a start address (`sark_aplx`, sark_alib.s:1031)."""

import struct

from spikingconvnet.emulator.errors import BusError, ImageError
from spikingconvnet.emulator.memory import Bus

ACOPY, RCOPY, FILL, EXEC = 1, 2, 3, 4               # sark.h:133
ENTRY_SIZE = 16                                     # sark.h:142
_MAX_ENTRIES = 1024                                 # more than that is not a table


def _rounded(length: int) -> int:
    """Bytes that the loader moves for a length: whole blocks of 32, at least one (sark_alib.s:1070)."""
    return max(32, (length + 31) & ~31)


def load(bus: Bus, address: int) -> int:
    """Execute the table at an address of the core's `bus`; the address that the program starts at.

    A table without EXEC, with an unknown operation or with addresses outside the core's memory is an ImageError.
    """
    try:
        for entry in range(address, address + _MAX_ENTRIES * ENTRY_SIZE, ENTRY_SIZE):
            operation, a, b, c = struct.unpack("<4I", bus.read(entry, ENTRY_SIZE))
            if operation == EXEC:
                bus.locate(a & ~3, 4)
                return a
            if operation in (ACOPY, RCOPY):
                source = b if operation == ACOPY else entry + b & 0xffffffff
                bus.write(a, bus.read(source, _rounded(c)))
            elif operation == FILL:
                bus.fill(a, c, _rounded(b))
            else:
                raise ImageError(f"APLX table at {address:#010x}: operation {operation:#x} in entry "
                                 f"{(entry - address) // ENTRY_SIZE}; must be 1 to 4")
    except BusError as error:
        raise ImageError(f"APLX table at {address:#010x}: {error}") from error
    raise ImageError(f"APLX table at {address:#010x}: no start address in {_MAX_ENTRIES} entries")
