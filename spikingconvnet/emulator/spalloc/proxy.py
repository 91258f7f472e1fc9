"""Channels between a client's websocket and the UDP ports of its board.

Sources: ``proxy_protocol.py`` and ``spalloc_client.py`` of SpiNNMan 7.4.1. A frame begins with what it is and the
number of the call or channel, both words of 32 bits.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from enum import IntEnum
from typing import Any

from spikingconvnet.emulator.memory_map import XY

_MOST_CHANNELS = 256
_BUFFER = 4 << 20                                   # bytes that the kernel keeps while the loop is busy, as for boards
_FRAME, _OPENED, _OPENED_UNBOUND = struct.Struct("<2I"), struct.Struct("<3I"), struct.Struct("<3I4BI")
_PLACE, _CHANNEL = struct.Struct("<3I"), struct.Struct("<I")
_HERE = "127.0.0.1"                                 # where what is bound to no board listens


class Kind(IntEnum):
    """What a frame is."""

    OPEN, CLOSE, MSG, OPEN_UNBOUND, MSG_TO, ERROR = range(6)


class _Channel(asyncio.DatagramProtocol):
    """A UDP socket whose datagrams go to the client."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take

    def datagram_received(self, data: bytes, _sender: Any) -> None:
        """Hand on a datagram."""
        self._take(data)

    def error_received(self, _error: Exception) -> None:
        """Nothing: who sends datagrams does not know whether they arrive."""


class Proxy:
    """What a client does over one websocket.

    Parameters
    ----------
    hosts : addresses of the job's boards, by the place of their Ethernet chip
    send : callable(bytes): a frame for the client
    """

    def __init__(self, hosts: dict[XY, str], send: Callable[[bytes], None]) -> None:
        self._hosts, self._send, self._count = hosts, send, 0
        self._channels: dict[int, asyncio.DatagramTransport] = {}

    async def receive(self, frame: bytes) -> None:
        """Deal with a frame; what is no frame of the protocol is dropped, a call that fails is answered."""
        if len(frame) < _FRAME.size:
            return
        kind, number = _FRAME.unpack_from(frame)
        rest = frame[_FRAME.size:]
        if kind == Kind.MSG:
            self._to_board(number, rest)
        elif kind == Kind.MSG_TO and len(rest) >= _PLACE.size:
            x, y, port = _PLACE.unpack_from(rest)
            self._to_board(number, rest[_PLACE.size:], (self._hosts.get((x, y), ""), port))
        elif kind in (Kind.OPEN, Kind.CLOSE, Kind.OPEN_UNBOUND):
            try:
                self._send(await self._call(kind, number, rest))
            except (struct.error, OSError, OverflowError, KeyError, ValueError) as error:
                self._send(_FRAME.pack(Kind.ERROR, number) + f"{Kind(kind).name} failed: {error}".encode())

    async def _call(self, kind: int, number: int, rest: bytes) -> bytes:
        """The answer to a call."""
        if kind == Kind.CLOSE:
            (channel,) = _CHANNEL.unpack(rest)
            self._channels.pop(channel).close()
            return _OPENED.pack(kind, number, channel)
        if kind == Kind.OPEN:
            x, y, port = _PLACE.unpack(rest)
            return _OPENED.pack(kind, number, await self._open(remote_addr=(self._hosts[x, y], port)))
        channel = await self._open(local_addr=(_HERE, 0))
        host, port = self._channels[channel].get_extra_info("sockname")
        return _OPENED_UNBOUND.pack(kind, number, channel, *map(int, host.split(".")), port)

    async def _open(self, **ends: Any) -> int:
        """A new channel: its number."""
        if len(self._channels) >= _MOST_CHANNELS:
            raise ValueError(f"{_MOST_CHANNELS} channels are open")
        self._count += 1
        channel = self._count

        def take(data: bytes) -> None:
            self._send(_FRAME.pack(Kind.MSG, channel) + data)

        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Channel(take), **ends)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._channels[channel] = transport
        return channel

    def _to_board(self, channel: int, data: bytes, address: tuple[str, int] | None = None) -> None:
        """Send a datagram: where the channel leads, or to an address; nothing if there is no such thing."""
        transport = self._channels.get(channel)
        bound = transport is not None and transport.get_extra_info("peername") is not None
        if transport is not None and data and (bound if address is None else not bound and address[0] != ""):
            transport.sendto(data, address)

    def close(self) -> None:
        """Close all channels."""
        while self._channels:
            self._channels.popitem()[1].close()
