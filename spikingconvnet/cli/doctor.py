"""What is installed and what answers: one line per pair of packages, per backend and per board, each with the fix.

Nothing is imported that is only asked about, nothing is read from the home directory, and of secrets only whether they
are set. A board is asked for its version (SCP command 0, answered by SC&MP); no other message is sent.
"""

import os
import re
import socket
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import spikingconvnet

PACKAGE = Path(spikingconvnet.__file__).parent
EMULATOR = PACKAGE / "emulator"
OWN: tuple[tuple[str, str, str | None], ...] = (                         # (package, versions, extra); as in setup.py
    ("numpy", ">=1.26", None), ("scipy", ">=1.11", None), ("numba", ">=0.61", None), ("scikit-learn", ">=1.4", None),
    ("matplotlib", ">=3.8", None), ("python-mnist", ">=0.7", None), ("tqdm", ">=4.66", None),
    ("pillow", ">=10", None), ("pooch", ">=1.8", None),
    ("packaging", ">=23", None), ("filelock", ">=4.1", None), ("psutil", ">=5.9", None),
    ("sPyNNaker", "==1!7.4.1", "spinnaker"), ("unicorn", "==2.1.4", "emulator"))
ASKED = ("numba", "scipy", "scikit-learn", "sPyNNaker", "PyNN", "nest-simulator", "brian2")     # pairs beside our own
UNSAID = {"sPyNNaker": ("numpy<2.4",)}     # what a package wants without saying so, see setup.py
OF_INTEREST = ("numpy", "scipy", "pynn", "llvmlite", "neo", "lazyarray", "quantities", "spinnman", "spinnmachine",
               "spinnfrontendcommon", "spinnutilities", "sacman", "spinnakerpacman", "sympy")
PYTHON = ">=3.10,<3.14"
CLIENT = "hbp-neuromorphic-platform"       # of EBRAINS' queue
OK, MISSING, BROKEN = "ok", "missing", "broken"
SCP_PORT, VERSION_COMMAND, COMMAND_OK = 17893, 0, 0x80
SCAMP = (4, 0)                  # the SC&MP that sPyNNaker 7.4.1 asks for, SpiNNMan base_transceiver.py
ANSWER_SECONDS = 1.0
ADDRESSES = {"spin3": "192.168.240.253", "spin5": "192.168.240.1"}      # as delivered


@dataclass(frozen=True)
class Line:
    """One thing that was looked at: its state (`OK`, `MISSING` or `BROKEN`), what was found, and the fix."""

    name: str
    state: str
    text: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.state:<8}{self.name}: {self.text}" + (f"; {self.fix}" if self.fix else "")


def examine(target: str | None = None, version: Callable[[str], str] = metadata.version,
            requires: Callable[[str], Sequence[str] | None] = metadata.requires,
            here: Path | None = None) -> list[Line]:
    """Look at everything.

    Parameters
    ----------
    target : str or None
        A board to ask, beside those that are always there.
    version, requires : callables
        Installed version of a package, and what it requires; they raise ``PackageNotFoundError``.
    here : Path or None
        Directory that a command runs in; None takes the current one.

    Returns
    -------
    list of Line
    """
    installed = {name: _version(name, version) for name in {*(name for name, *_ in OWN), *ASKED}}
    return [_python(), *(_own(*pair, installed) for pair in OWN), *_pairs(version, requires),
            *_backends(installed), *_targets(target, installed, here or Path.cwd())]


def queue(collab: str | None, version: Callable[[str], str] = metadata.version) -> list[Line]:
    """Look at what a job needs that goes to EBRAINS' queue; the service is asked whom the token is of, and for quota.

    Parameters
    ----------
    collab : str or None
        Whose quota is looked at.
    version : callable
        As of :func:`examine`.
    """
    from spikingconvnet.errors import SpikingConvNetError
    from spikingconvnet.experiment.jobs.queue import PLATFORM, account

    name = "queue ebrains"
    found = _version(CLIENT, version)
    client = (Line(f"{name} - client", OK, f"{CLIENT} {found}") if found else
              Line(f"{name} - client", MISSING, f"{CLIENT} not installed", "pip install 'spikingconvnet[ebrains]'"))
    try:
        known = account(collab)
    except SpikingConvNetError as error:
        return [client, Line(f"{name} - account", BROKEN, str(error).removeprefix("--queue ebrains: "))]
    good = "" if known.hours_left is None else f", good for {known.hours_left:.1f} h"
    lines = [client, Line(f"{name} - account", OK, f"the token is of {known.user}{good}")]
    if collab:
        text = ", ".join(f"{used:g} of {granted:g} {unit} used" for used, granted, unit in known.quotas)
        left = any(used < granted for used, granted, _ in known.quotas)
        lines.append(Line(f"{name} - quota of {collab}", OK if left else BROKEN, text or f"none on {PLATFORM}",
                          "" if left else "ask for it in the collab's Job Manager, under Quotas"))
    return lines


def healthy(lines: Iterable[Line]) -> bool:
    """Whether what every command needs is there: the optional may be missing, but nothing may be broken."""
    needed = {name for name, _, extra in OWN if extra is None}
    return all(line.state != BROKEN and (line.state == OK or line.name.split(" - ")[-1] not in needed)
               for line in lines)


def _version(name: str, version: Callable[[str], str]) -> str | None:
    try:
        return version(name)
    except metadata.PackageNotFoundError:
        return None


def _fits(found: str, wanted: str) -> bool:
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(wanted).contains(found, prereleases=True)


def _python() -> Line:
    found = ".".join(map(str, sys.version_info[:3]))
    if _fits(found, PYTHON):
        return Line("spikingconvnet - Python", OK, f"{found}, wanted {PYTHON}")
    return Line("spikingconvnet - Python", BROKEN, f"{found}, wanted {PYTHON}", "make an environment with python3.11")


def _own(name: str, wanted: str, extra: str | None, installed: Mapping[str, str | None]) -> Line:
    pair, found = f"spikingconvnet - {name}", installed[name]
    command = f"pip install 'spikingconvnet[{extra}]'" if extra else f"pip install '{name}{wanted}'"
    if found is None:
        return Line(pair, MISSING, f"not installed, wanted {wanted}", command)
    if not _fits(found, wanted):
        return Line(pair, BROKEN, f"{found}, wanted {wanted}", command)
    return Line(pair, OK, f"{found}, wanted {wanted}")


def _pairs(version: Callable[[str], str], requires: Callable[[str], Sequence[str] | None]) -> Iterator[Line]:
    """What installed packages want of each other, as far as it matters here."""
    from packaging.requirements import Requirement

    for name in ASKED:
        if _version(name, version) is None:
            continue
        for requirement in map(Requirement, (*(requires(name) or ()), *UNSAID.get(name, ()))):
            wanted = requirement.name.lower().replace("_", "-")
            if (wanted in OF_INTEREST and requirement.specifier
                    and (requirement.marker is None or requirement.marker.evaluate({"extra": ""}))):
                yield _pair(name, requirement, _version(requirement.name, version))


def _pair(name: str, requirement: Any, found: str | None) -> Line:
    pair, command = f"{name} - {requirement.name}", f"pip install '{requirement.name}{requirement.specifier}'"
    if found is None:
        return Line(pair, BROKEN, f"not installed, wanted {requirement.specifier}", command)
    if not requirement.specifier.contains(found, prereleases=True):
        return Line(pair, BROKEN, f"{found}, wanted {requirement.specifier}", command)
    return Line(pair, OK, f"{found}, wanted {requirement.specifier}")


def _backends(installed: Mapping[str, str | None]) -> Iterator[Line]:
    yield _compiled("backend local", PACKAGE / "backends" / "local", "numba's kernels do its work")
    for name, packages in (("nest", ("nest-simulator", "PyNN")), ("brian2", ("brian2", "PyNN")),
                           ("spinnaker", ("sPyNNaker",))):
        yield _needs(f"backend {name}", packages, installed, name)
    yield _emulator(installed) or _compiled("emulator", EMULATOR, "pure Python does its work, some 10 times slower")


def _emulator(installed: Mapping[str, str | None]) -> Line | None:
    """What is to be said of cores without unicorn: compiled ones execute by themselves, but for slow ones."""
    if installed["unicorn"] is not None:
        return None
    if _is_compiled(EMULATOR):
        return Line("emulator", OK, "compiled extension built; unicorn not installed, which --fault slow-core needs",
                    "pip install 'spikingconvnet[emulator]'")
    return _needs("emulator", ("unicorn",), installed, "emulator")


def _needs(name: str, packages: Sequence[str], installed: Mapping[str, str | None], extra: str | None) -> Line:
    missing = [package for package in packages if installed[package] is None]
    if missing:
        return Line(name, MISSING, f"{', '.join(missing)} not installed", f"pip install 'spikingconvnet[{extra}]'")
    return Line(name, OK, ", ".join(f"{package} {installed[package]}" for package in packages))


def _compiled(name: str, directory: Path, instead: str) -> Line:
    if _is_compiled(directory):
        return Line(name, OK, "compiled extension built")
    return Line(name, OK, f"compiled extension not built, {instead}", "install a C compiler, then: pip install -e .")


def _is_compiled(directory: Path) -> bool:
    return any((directory / f"_native{suffix}").exists() for suffix in EXTENSION_SUFFIXES)


def _targets(target: str | None, installed: Mapping[str, str | None], here: Path) -> Iterator[Line]:
    runs = _is_compiled(EMULATOR) or installed["unicorn"] is not None
    yield (Line("target emulated", OK, "a SpiNN-5 in memory") if runs and installed["sPyNNaker"] is not None else
           Line("target emulated", MISSING, f"needs sPyNNaker{'' if runs else ' and unicorn'}",
                "pip install 'spikingconvnet[spinnaker,emulator]'"))
    yield Line("target virtual", OK, "maps networks and computes nothing; refused for training and testing",
               "use --target emulated")
    yield _spalloc()
    if (here / "spynnaker.cfg").exists():
        yield Line("configuration", BROKEN, "spynnaker.cfg in this directory would override --target",
                   "run in another directory")
    if target not in (None, "emulated", "virtual"):
        yield _board(target)


def _spalloc() -> Line:
    unset = [name for name in ("SPALLOC_USER", "SPALLOC_PASSWORD") if not os.environ.get(name)]
    if unset:
        return Line("target spalloc:URL", MISSING, f"{' and '.join(unset)} not set",
                    "set them, or write spalloc:https://USER:PASSWORD@SERVER")
    return Line("target spalloc:URL", OK, "SPALLOC_USER and SPALLOC_PASSWORD are set")


def _board(target: str) -> Line:
    if target.startswith("spalloc:"):
        return Line("target spalloc", OK, "a server is asked for boards when a run starts")
    kind, _, host = target.partition(":")       # spin3:HOST
    try:
        name, major, minor = _ask_version(host or ADDRESSES.get(kind, target))
    except TimeoutError:
        return Line(f"target {target}", BROKEN, f"no answer on UDP port {SCP_PORT} within {ANSWER_SECONDS:g} s",
                    "is it powered, is its address right, is it on this network?")
    except OSError as error:
        return Line(f"target {target}", BROKEN, f"cannot be asked ({error.strerror or error})", "check the address")
    if (major, minor) < SCAMP:
        return Line(f"target {target}", BROKEN, f"{name} {major}.{minor}, wanted {SCAMP[0]}.{SCAMP[1]} or later",
                    "power it off and on; sPyNNaker then boots it with its own SC&MP")
    return Line(f"target {target}", OK, f"{name} {major}.{minor} answers")


def _ask_version(host: str) -> tuple[str, int, int]:
    """Name and version of the software on a board's first monitor.

    Layout: two bytes of padding, SDP header, SCP command; `sdp_msg_t`, sark.h:574 of spinnaker_tools 813bfef.
    """
    message = struct.pack("<2x4B2H2H3I", 0x87, 0xff, 0, 0xff, 0, 0, VERSION_COMMAND, 0, 0, 0, 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.settimeout(ANSWER_SECONDS)
        link.connect((host, SCP_PORT))
        link.send(message)
        answer = link.recv(512)
    return _version_in(answer)


def _version_in(answer: bytes) -> tuple[str, int, int]:
    """Name, major and minor version of an answer: in text behind the name, or older ones as a number of hundredths."""
    if len(answer) < 27 or struct.unpack_from("<H", answer, 10)[0] != COMMAND_OK:
        raise OSError(None, "answers what no SC&MP does")
    number, text = struct.unpack_from("<I", answer, 18)[0] >> 16, answer[26:].decode("ascii", "replace").split("\0")
    if number != 0xffff:
        return text[0], number // 100, number % 100
    found = re.match(r"(\d+)\.(\d+)", text[1] if len(text) > 1 else "")
    if not found:
        raise OSError(None, "answers what no SC&MP does")
    return text[0], int(found[1]), int(found[2])
