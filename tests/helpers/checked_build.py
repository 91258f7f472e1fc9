"""What is in C as no user has it: with its bounds asserted, under AddressSanitizer and UBSan.

Signed overflow is no error: it wraps on purpose (-fwrapv). The usual extension is not touched. As a program,
``python checked_build.py LIBRARY ARGUMENTS`` is pytest with that library instead of it.
"""

import ctypes
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import patience
import sketches

ROOT = Path(__file__).parents[2]
LOCAL, EMULATOR = (ROOT / "spikingconvnet" / folder for folder in ("backends/local", "emulator"))
NOTICED = "does not hold", "Assertion", "AddressSanitizer", "runtime error"
CHECKS = "-fsanitize=address,undefined", "-fno-sanitize-recover=all"
FLAGS = "-fPIC", "-std=gnu11", "-g", "-O1", "-fwrapv", "-DSOURCE_DIGEST=0", "-DCHECKED", *CHECKS
_folder, _compiled = tempfile.TemporaryDirectory(), {}


def build(directory, source=LOCAL):
    """Compile the sources in a directory, of equal ones each once: the library's path."""
    library = Path(directory) / "checked.so"
    objects = map(_object, sorted(Path(source).glob("*_native.c")))
    subprocess.run(["gcc", "-shared", *CHECKS, *objects, "-o", library], check=True)
    return library


def _object(path):
    """The object file of a source, compiled unless one of the same text has been."""
    text = _output("gcc", *FLAGS, "-E", "-P", path)
    if text not in _compiled:
        _compiled[text] = Path(_folder.name) / f"{len(_compiled)}.o"
        subprocess.run(["gcc", *FLAGS, "-c", path, "-o", _compiled[text]], check=True)
    return _compiled[text]


def run(library, *arguments):
    """A Python process in which that library has the place of the extension: what it prints, and its exit code."""
    # Without the C++ library AddressSanitizer ends a process in which a library throws, as matplotlib's do.
    preloaded = " ".join(_output("gcc", f"-print-file-name={name}") for name in ("libasan.so", "libstdc++.so.6"))
    environment = {**os.environ, "LD_PRELOAD": preloaded, "ASAN_OPTIONS": "detect_leaks=0",
                   "UBSAN_OPTIONS": "print_stacktrace=1", "PYTHONPATH": str(ROOT), "PYTHONMALLOC": "malloc"}
    return patience.run([sys.executable, __file__, str(library), *map(str, arguments)], env=environment,
                        cwd=ROOT)


def _output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def main(library, kind, *arguments):
    """Take the library, then run pytest or the command line; "board": that of the emulated board, then pytest."""
    from spikingconvnet.backends.local import native
    from spikingconvnet.emulator import native_core, native_cpu

    if kind == "board":
        loaded = native_cpu.load(library)
        native_core.library = native_cpu.library = lambda: loaded
    else:
        loaded = ctypes.CDLL(library)
        native.library = lambda: loaded
    if kind == "cli":
        from spikingconvnet.cli import main as cli

        sketches.instead_of_figures(setattr)
        return cli.main(list(arguments))
    import pytest

    return pytest.main(["-q", "-s", "-n", "0", "-x", "-p", "no:cacheprovider", *arguments])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
