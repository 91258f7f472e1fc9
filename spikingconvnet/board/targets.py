"""What may be a target: a machine, or the name or address of a board or server."""

import difflib
import ipaddress
import re
import socket
from urllib.parse import urlsplit

from spikingconvnet.errors import SettingsError
from spikingconvnet.gates.address import TOKEN, Address

TARGETS = "emulated, virtual, spin3[:HOST], spin5[:HOST], spalloc:URL or the name or address of a SpiNN-5"
BOARDS = ("spin3", "spin5")
HOST = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*"


def check_target(target: str, *more: str) -> None:
    """Refuse what is neither a machine nor, as far as can be told without asking it, a board's name or address.

    Parameters
    ----------
    target : str
    more : str
        Machines that are known beside those of `TARGETS`.

    Raises
    ------
    SettingsError
        With what there is; a bare name has to be one that this machine can look up.
    """
    known = dict.fromkeys(("emulated", "virtual", *BOARDS, *more))
    target = Address(target)
    kind, colon, host = target.partition(":")
    if target in known:
        return
    listed = ", ".join((*(name for name in more if name not in TARGETS), TARGETS))
    if kind == "spalloc":
        _check_server(host, listed)
        if target.in_full() != target:
            raise SettingsError("--target spalloc:URL: URL must have nothing secret behind a ? or #, which no server"
                                f" takes; a token is given as {TOKEN}")
    elif "@" in target:
        raise SettingsError("--target: a board has no user's name and no password, so what is given is not repeated;"
                            f" there are {listed}")
    elif kind in BOARDS and colon:
        if not _is_host(host):
            raise SettingsError(f"--target {target}: {host!r} is no board's name or address")
    elif not (_is_host(target) and ("." in target or _can_be_looked_up(target))):
        hint = "".join(f" (did you mean {near}?)" for near in difflib.get_close_matches(target, known, 1))
        raise SettingsError(f"--target {target}: no machine is called that{hint}, and no board's name or address can be"
                            f" looked up by it; there are {listed}")


def _check_server(url: str, listed: str) -> None:
    """Refuse what is no address of a server; it may hold a password that is not seen as one, so it is not repeated."""
    try:
        parts = urlsplit(url)
        right = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        right = False
    if not right:
        raise SettingsError(f"--target spalloc:URL: URL must be the http(s) address of a server; there are {listed}")


def _is_host(name: str) -> bool:
    """Whether it has the form of a host's name or of an address."""
    try:
        return bool(ipaddress.IPv4Address(name))
    except ValueError:
        return bool(re.fullmatch(HOST, name, re.IGNORECASE)) and not re.fullmatch(r"[0-9.]+", name)


def _can_be_looked_up(name: str) -> bool:
    try:
        return bool(socket.gethostbyname(name))
    except OSError:
        return False
