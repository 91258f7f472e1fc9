"""Small ARM programs as words, and the APLX images that hold them. Each word's assembly stands next to it."""

import struct
from importlib.util import find_spec
from pathlib import Path

import pytest

WFI = 0xee070f90                        # mcr p15, 0, r0, c7, c0, 4
SEEN = 0x60300000                       # SDRAM word that the programs write to
SCRATCH = 0x60300000
MAIN = 0x40


def branch(here, there):
    """b <there>"""
    return 0xea000000 | (there - here - 8 >> 2) & 0xffffff


def image(words, start=0):
    """APLX image that puts words at address 0 and starts at `start`."""
    code = struct.pack(f"<{len(words)}I", *words)
    return struct.pack("<8I", 2, 0, 32, len(code), 4, start, 0, 0) + code.ljust(-(-len(code) // 32) * 32, b"\0")


def program(main, handlers=None):
    """Image of `main` at 0x40 with exception vectors: vector -> words of its handler, by default one that notes itself.

    The default handler of the vector at 4 * n stores n and its LR at SEEN, then waits for ever.
    """
    words = [0] * 0x140
    words[0] = branch(0, MAIN)
    for vector in (0x04, 0x08, 0x0c, 0x10, 0x18, 0x1c):
        at = 0x200 + 0x10 * vector
        words[vector // 4] = branch(vector, at)
        noted = [0xe3a00000 | vector // 4,      # mov r0, #n
                 0xe59f100c,                    # ldr r1, =SEEN
                 0xe5810000,                    # str r0, [r1]
                 0xe581e004,                    # str lr, [r1, #4]
                 WFI, branch(4, 0), SEEN]
        handler = (handlers or {}).get(vector, noted)
        words[at // 4:at // 4 + len(handler)] = handler
    words[MAIN // 4:MAIN // 4 + len(main)] = main
    return image(words)


def binary(name):
    """Bytes of one of sPyNNaker's binaries; the test is skipped where sPyNNaker is not installed."""
    found = find_spec("spynnaker")
    if found is None:
        pytest.skip("sPyNNaker is not installed: pip install -e .[test]")
    return (Path(found.submodule_search_locations[0]) / "pyNN/model_binaries" / name).read_bytes()
