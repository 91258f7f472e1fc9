"""What the server itself asks of a board: a job's memory, read and written in one request, and its routers set back.

It asks the chips' monitors, several questions at a time, as a host does (SCP over UDP, `packets`).
"""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from spikingconvnet.emulator.errors import EmulatorError
from spikingconvnet.emulator.memory_map import XY
from spikingconvnet.emulator.monitor import MAX_DATA
from spikingconvnet.emulator.packets import SCP_PORT, SDP, TAG_NONE, UDP_PADDING, Command, Result

_AT_ONCE = 8                                        # questions whose answers are waited for
_PATIENCE, _TRIES = 1.0, 10                         # s until a question is asked again, how often, as SpiNNMan does
_BYTES, _WORDS = 0, 2                               # units of a read or write, sark.h:487
_ROUTER = 0xe1000000                                # SpiNNMan constants.py:34
_FILTERS, _CLEAR_COUNTERS = _ROUTER + 0x200, _ROUTER + 0x2c


class Refused(EmulatorError):
    """A question that a board does not answer, or answers with an error."""


class Monitors(asyncio.DatagramProtocol):
    """The monitors of a board, asked from here; made by `monitors`."""

    def __init__(self) -> None:
        self._answers: dict[int, asyncio.Future[bytes]] = {}
        self._sequence = 0

    def connection_made(self, transport: Any) -> None:
        """Keep the socket."""
        self._transport = transport

    def datagram_received(self, data: bytes, _sender: Any) -> None:
        """Give an answer to who waits for it."""
        message = SDP.decode(data[len(UDP_PADDING):])
        if message is None or len(message.payload) < 4:
            return
        answer = self._answers.get(struct.unpack_from("<H", message.payload, 2)[0])
        if answer is not None and not answer.done():
            answer.set_result(message.payload)

    def error_received(self, _error: Exception) -> None:
        """Nothing: a question without an answer is asked again."""

    async def ask(self, xy: XY, code: int, arguments: tuple[int, int, int], data: bytes = b"") -> bytes:
        """The data of a monitor's answer to a command; Refused if it is an error or does not come."""
        self._sequence = sequence = self._sequence + 1 & 0x7fff         # the others are nobody's, see `ethernet`
        payload = struct.pack("<2H3I", code, sequence, *arguments) + data
        message = UDP_PADDING + SDP(0x87, TAG_NONE, 0, 0xff, xy[0] << 8 | xy[1], 0, payload).encode()
        answer = self._answers[sequence] = asyncio.get_running_loop().create_future()
        try:
            for _ in range(_TRIES):
                self._transport.sendto(message)
                done, _ = await asyncio.wait([answer], timeout=_PATIENCE)
                if done:
                    break
            else:
                raise Refused(f"chip {xy[0]},{xy[1]} does not answer")
        finally:
            del self._answers[sequence]
        result = struct.unpack_from("<H", answer.result())[0]
        if result != Result.OK:
            raise Refused(f"chip {xy[0]},{xy[1]} answers {Command(code).name} with error {result:#x}")
        return answer.result()[4:]

    async def read(self, xy: XY, address: int, size: int) -> bytes:
        """Memory of a chip; Refused if the chip refuses it."""
        found = bytearray(size)

        async def part(place: int, length: int) -> None:
            data = await self.ask(xy, Command.READ, (place, length, _unit(place, length)))
            found[place - address:place - address + length] = data[:length]

        await _several(partial(part, place, length) for place, length in _parts(address, size))
        return bytes(found)

    async def write(self, xy: XY, address: int, data: bytes) -> None:
        """Write memory of a chip; Refused if the chip refuses it."""
        await _several(partial(self.ask, xy, Command.WRITE, (place, length, _unit(place, length)),
                               data[place - address:place - address + length])
                       for place, length in _parts(address, len(data)))

    async def reset_routers(self, chips: list[XY], filters: Mapping[int, int]) -> None:
        """Clear routes and diagnostic counters of chips, and set filters of the counters, by number."""
        words = {_CLEAR_COUNTERS: 0xffffffff, **{_FILTERS + 4 * number: word for number, word in filters.items()}}
        await _several(partial(self.ask, xy, Command.RTR, (0, 0, 0)) for xy in chips)
        await _several(partial(self.ask, xy, Command.WRITE, (address, 4, _WORDS), struct.pack("<I", word))
                       for xy in chips for address, word in words.items())


def _unit(address: int, length: int) -> int:
    return _BYTES if (address | length) & 3 else _WORDS


def _parts(address: int, size: int) -> Iterator[tuple[int, int]]:
    """(address, length) of what one command can carry; Refused if it is beyond all addresses."""
    end = address + size
    if end > 1 << 32:
        raise Refused(f"there are no {size} bytes at {address:#x}")
    return ((place, min(MAX_DATA, end - place)) for place in range(address, end, MAX_DATA))


async def _several(questions: Iterator[Callable[[], Awaitable[Any]]]) -> None:
    """Ask questions, so many at a time."""
    async def some() -> None:
        for question in questions:
            await question()

    tasks = [asyncio.create_task(some()) for _ in range(_AT_ONCE)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:                          # the rest is of no use if one has failed
            task.cancel()


@asynccontextmanager
async def monitors(host: str) -> AsyncIterator[Monitors]:
    """The monitors of the board at an address, for as long as the context lasts."""
    transport, found = await asyncio.get_running_loop().create_datagram_endpoint(
        Monitors, remote_addr=(host, SCP_PORT))
    try:
        yield found
    finally:
        transport.close()
