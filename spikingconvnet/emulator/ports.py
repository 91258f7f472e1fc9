"""The UDP sockets of a board's Ethernet port, on a loopback address of its own.

It listens on loopback addresses alone.
"""

import ipaddress
import socket
from collections.abc import Sequence

from spikingconvnet.emulator import packets, tags
from spikingconvnet.emulator.errors import SetupError
from spikingconvnet.emulator.memory_map import XY

_FIRST_HOST, _LAST_HOST = 2, 254                    # 127.0.0.1 makes SpiNNMan expect a virtual board
_BUFFER = 4 << 20                                   # bytes that the kernel keeps while a core runs


def _socket(host: str, port: int) -> socket.socket:
    """A UDP socket bound to a loopback address."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        bound.bind((host, port))
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    except OSError:
        bound.close()
        raise
    return bound


class Port:
    """The port of a board: sockets for SCP, for boot images, and for the reverse IP tags that there are.

    Parameters
    ----------
    host : loopback address
    xy : the chip that has the port

    Raises
    ------
    OSError
        The address is taken.
    """

    def __init__(self, host: str, xy: XY) -> None:
        self.host, self.xy, self.address = host, xy, xy[0] << 8 | xy[1]
        self.scp = _socket(host, packets.SCP_PORT)
        try:
            self.boot = _socket(host, packets.BOOT_PORT)
        except OSError:
            self.scp.close()
            raise
        self.reverse: dict[int, socket.socket] = {}         # UDP port -> socket of a reverse IP tag

    def open(self, port: int) -> socket.socket:
        """Listen on the port of a reverse IP tag; OSError or OverflowError if that is not to be had."""
        self.reverse[port] = _socket(self.host, port)
        return self.reverse[port]

    def close(self) -> None:
        """Close all sockets."""
        for sock in (self.scp, self.boot, *self.reverse.values()):
            sock.close()


def _hosts(host: str | None, number: int) -> list[str]:
    """Addresses to try: so many from one on, or all that boards take."""
    if host is None:
        return [f"127.0.0.{n}" for n in range(_FIRST_HOST, _LAST_HOST + 1)]
    hosts = [str(ipaddress.IPv4Address(host) + n) for n in range(number)] if tags.is_loopback(host) else [host]
    if not tags.is_loopback(hosts[-1]):
        raise SetupError(f"--host: must be a loopback address such as 127.0.0.2, got {hosts[-1]!r}")
    return hosts


def open_ports(host: str | None, ethernets: Sequence[XY]) -> list[Port]:
    """A port for each chip that has one.

    Parameters
    ----------
    host : loopback address of the first; the others have the next ones. None: the first of 127.0.0.2, ... that are free
    ethernets : places of the chips

    Raises
    ------
    SetupError
        A host that is no loopback address, or not enough are free.
    """
    found: list[Port] = []
    reason: OSError | None = None
    hosts = _hosts(host, len(ethernets))
    for one in hosts:
        try:
            found.append(Port(one, ethernets[len(found)]))
        except OSError as error:
            reason = error
        if len(found) == len(ethernets):
            return found
    for port in found:
        port.close()
    raise SetupError(f"no address for the board: UDP ports {packets.SCP_PORT} and {packets.BOOT_PORT} of "
                     f"{hosts[0]}{' and others' if len(hosts) > 1 else ''}: {reason}; end another"
                     " board that runs there, or give a --host of its own")
