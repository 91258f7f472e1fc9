"""Memories and the bus: bytes by address, with registers of devices in between. Words are little-endian.

Each memory is host memory that the CPU emulator maps too, so a byte written here is a byte that the program sees.
"""

import ctypes
import mmap
import struct
from typing import Protocol

from spikingconvnet.emulator.errors import BusError

_FLAGS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0x4000)    # touched pages only
_WORD = {1: struct.Struct("<B"), 2: struct.Struct("<H"), 4: struct.Struct("<I"), 8: struct.Struct("<Q")}


class Device(Protocol):
    """What is there instead of memory: registers by offset."""

    name: str

    def load(self, offset: int) -> int:
        """Read a register."""

    def store(self, offset: int, value: int) -> None:
        """Write a register."""


class Memory:
    """A block of zeroed memory of `size` bytes; `address` is where it is on the host."""

    def __init__(self, name: str, size: int) -> None:
        self.name, self.size = name, size
        self.bytes = mmap.mmap(-1, size, flags=_FLAGS)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.bytes))


class Bus:
    """What one master (the monitor, a core's DMA) sees: memories and devices at their base addresses."""

    def __init__(self) -> None:
        self._memories: dict[int, tuple[int, Memory]] = {}          # by page of 1 MB
        self._devices: dict[int, tuple[int, int, Device]] = {}      # by page of 64 KB

    def add_memory(self, base: int, memory: Memory) -> None:
        """Let a memory appear at `base` (a multiple of 1 MB)."""
        for page in range(base >> 20, (base + memory.size + 0xfffff) >> 20):
            self._memories[page] = base, memory

    def add_device(self, base: int, size: int, device: Device) -> None:
        """Let a device (``load(offset)`` and ``store(offset, word)``) appear at `base`."""
        for page in range(base >> 16, (base + size + 0xffff) >> 16):
            self._devices[page] = base, size, device

    def locate(self, address: int, length: int) -> tuple[Memory, int]:
        """The memory that holds `length` bytes at `address`, and the offset in it; BusError if no memory does."""
        if (found := self._memories.get(address >> 20)) is not None:
            base, memory = found
            if 0 <= length <= memory.size - (address - base):
                return memory, address - base
        raise BusError(f"no memory holds {length} bytes at {address:#010x}")

    def device(self, base: int) -> Device:
        """The device at a base address."""
        return self._devices[base >> 16][2]

    def _device(self, address: int, length: int) -> tuple[int, Device]:
        base, size, device = self._devices[address >> 16]
        if (address | length) & 3 or address + length > base + size:
            raise BusError(f"{device.name} registers are words; {length} bytes at {address:#010x} were asked for")
        return address - base, device

    def read(self, address: int, length: int) -> bytes:
        """Bytes at an address, from memory or from registers. BusError where nothing is."""
        if address >> 16 in self._devices:
            offset, device = self._device(address, length)
            return b"".join(_WORD[4].pack(device.load(offset + i)) for i in range(0, length, 4))
        memory, offset = self.locate(address, length)
        return memory.bytes[offset:offset + length]

    def write(self, address: int, data: bytes) -> None:
        """Write bytes at an address, to memory or to registers. BusError where nothing is."""
        if address >> 16 in self._devices:
            offset, device = self._device(address, len(data))
            for i in range(0, len(data), 4):
                device.store(offset + i, _WORD[4].unpack_from(data, i)[0])
            return
        memory, offset = self.locate(address, len(data))
        memory.bytes[offset:offset + len(data)] = bytes(data)

    def load(self, address: int, size: int = 4) -> int:
        """Unsigned integer of `size` bytes at an address in memory."""
        memory, offset = self.locate(address, size)
        return int(_WORD[size].unpack_from(memory.bytes, offset)[0])

    def store(self, address: int, value: int, size: int = 4) -> None:
        """Write an unsigned integer of `size` bytes into memory."""
        memory, offset = self.locate(address, size)
        _WORD[size].pack_into(memory.bytes, offset, value & (1 << 8 * size) - 1)

    def fill(self, address: int, word: int, length: int) -> None:
        """Repeat a word over `length` bytes (a multiple of 4)."""
        memory, offset = self.locate(address, length)
        memory.bytes[offset:offset + length] = _WORD[4].pack(word) * (length // 4)
