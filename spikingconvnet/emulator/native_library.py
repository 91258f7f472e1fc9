"""The library in C with the cores of the emulated board, and what its functions take and give.

``setup.py`` compiles ``core_native.c`` where it finds a C compiler.
"""

import ctypes
import zlib
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

from spikingconvnet.emulator.memory_map import CC_BASES, DMA_BASES, TIMER_BASES, VIC_BASES

_VOID, _INT, _U32, _U64 = None, ctypes.c_int, ctypes.c_uint32, ctypes.c_uint64
_POINTER, _WORDS, _LONGS = ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint32), ctypes.POINTER(ctypes.c_uint64)
DEVICES = (VIC_BASES, TIMER_BASES, CC_BASES, DMA_BASES)     # of a core alone
SERVE = ctypes.CFUNCTYPE(_U32, _POINTER, _U32, _U32, _U32, _INT, _U32)    # serve_device in core_native.c
PRICE = ctypes.CFUNCTYPE(_U64, _POINTER, _U32, _U32)       # price_of: (core, address, bytes) -> its jump, its cycles
PROTOTYPES = {
    "core_new": (_POINTER, _POINTER, _U32, _POINTER), "core_place": (_INT, _POINTER, _INT, _U32, _U32),
    "core_get": (_U32, _POINTER, _INT), "core_put": (_VOID, _POINTER, _INT, _U32), "core_free": (_VOID, _POINTER),
    "core_memory": (_INT, _POINTER, _U32, _U32, _POINTER),
    "seat_run": (_INT, _POINTER, _U64), "seat_ready": (_INT, _POINTER),
    "seat_settle": (_INT, _POINTER), "core_idle": (_INT, _POINTER), "core_touch": (_VOID, _POINTER),
    "core_skip": (_INT, _POINTER), "core_catch_up": (_U64, _POINTER, _U64), "loop_rouse": (_VOID, _POINTER),
    "loop_arrive": (_VOID, _POINTER),
    "seat_fill": (_INT, _POINTER, _POINTER, _U32),
    "seat_offer": (_VOID, _POINTER, _U32, _U32, _U32),
    "loop_open": (_INT, _POINTER, _POINTER, _U32, _POINTER, _U32), "loop_close": (_VOID, _POINTER),
    "loop_go": (_INT, _POINTER, _U64, _U32, _U32, _POINTER), "loop_next": (_U64, _POINTER),
    "loop_push": (_VOID, _POINTER, _U64, _U32), "loop_wake": (_VOID, _POINTER, _POINTER),
    "loop_again": (_VOID, _POINTER, _POINTER), "loop_take": (_U32, _POINTER),
    "loop_schedule": (_VOID, _POINTER, _POINTER), "loop_see": (_VOID, _POINTER, _U32),
    "loop_collect": (_U32, _POINTER, _POINTER), "loop_put": (_VOID, _POINTER, _INT, _U32, _U32, _U32, _U32),
    "net_open": (_INT, _POINTER, _U64, _POINTER, _POINTER, _U32), "net_close": (_VOID, _POINTER),
    "net_come": (_VOID, _POINTER, _U64, _U64, _U32, _U32, _U32, _U32),
    "net_plant": (_U32, _POINTER, _U32, _U32, _U32, _POINTER, _U32, _POINTER, _U32), "net_forget": (_VOID, _POINTER),
    "net_take": (_INT, _POINTER, _POINTER, _POINTER, _INT), "net_post": (_VOID, _POINTER, _U64, _U32, _U32, _U32, _U32),
    "net_send": (_INT, _POINTER, _POINTER), "net_carry": (_INT, _POINTER, _U64, _U64, _POINTER),
    "loop_plant": (_INT, _POINTER, _U32, _U32, _U32, _POINTER, _U32), "loop_forget": (_VOID, _POINTER),
    "core_line": (_VOID, _POINTER, _INT, _INT), "core_expire": (_VOID, _POINTER, _INT, _U64),
    "core_deadline": (_POINTER, _POINTER, _INT), "core_sent": (_WORDS, _POINTER, ctypes.POINTER(_U64)),
    "core_pc": (_U32, _POINTER), "core_set_pc": (_VOID, _POINTER, _U32), "core_pause": (_VOID, _POINTER),
    "core_reach": (_VOID, _POINTER), "core_progress": (_VOID, _POINTER),
    "core_fault": (_VOID, _POINTER, ctypes.c_char_p),
    "core_take_fault": (_INT, _POINTER, ctypes.POINTER(ctypes.c_char_p)),
    "core_except": (_VOID, _POINTER, _U32, _U32, _U32),
    "core_clock": (_INT, _POINTER, _POINTER, _POINTER, _U64, _POINTER, _INT),
    "cores_arrive": (_U32, _POINTER, _INT, _U64, _U32, _U32, _U32), "core_wake": (_VOID, _POINTER, _U64),
    "core_plan": (_VOID, _POINTER), "core_pace": (_VOID, _POINTER, _U64),
    "core_attend": (_VOID, _POINTER, _U64, _U64), "core_router": (_VOID, _POINTER, _POINTER),
    "core_enabled": (_INT, _POINTER, _INT), "core_drops": (_POINTER, _POINTER, _LONGS),
    "core_rest": (_INT, _POINTER),
    "core_times": (_VOID, _POINTER, _LONGS),
    "core_steps": (_WORDS, _POINTER), "core_sent_at": (_LONGS, _POINTER),
    "core_field": (ctypes.c_char_p, _INT, _LONGS), "core_save": (_VOID, _POINTER, _LONGS),
    "core_restore": (ctypes.c_char_p, _POINTER, _LONGS), "core_coming": (_U64, _POINTER, _LONGS),
    "core_restore_steps": (_INT, _POINTER, _POINTER, _U64), "core_block": (_U32, _POINTER),
    "core_restore_block": (_VOID, _POINTER, _U32),
    "cores_run": (_INT, _POINTER, _INT, _U64, _U64, _POINTER, _INT, _POINTER, _LONGS, _LONGS, _POINTER),
    "net_run": (_INT, _POINTER, _POINTER, _POINTER, _POINTER, _INT, _POINTER, _INT, _POINTER),
}


@cache
def library() -> Any:
    """The extension with its prototypes, or None where it was not built, or from other sources: ctypes.CDLL."""
    here = Path(__file__).parent
    built = [path for suffix in EXTENSION_SUFFIXES if (path := here / f"_native{suffix}").exists()]
    sources = sorted([*here.glob("*_native.c"), *here.glob("*.h")])
    digest = zlib.crc32(b"".join(path.read_bytes() for path in sources))       # as setup.py computes it
    if not built or (sources and digest_of(built[0]) != digest):
        return None
    return load(built[0])


def digest_of(path: Path) -> int | None:
    """That of the sources of a build, None if it does not say."""
    loaded = ctypes.CDLL(str(path))
    return ctypes.c_uint32.in_dll(loaded, "source_digest").value if hasattr(loaded, "source_digest") else None


def load(path: Path) -> ctypes.CDLL:
    """A build of the C library with its prototypes: ctypes.CDLL."""
    loaded = ctypes.CDLL(str(path))
    for name, (result, *arguments) in PROTOTYPES.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    return loaded
