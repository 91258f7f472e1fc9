"""What is in C as no user has it: with its bounds asserted, under AddressSanitizer and UBSan.

Signed overflow is no error: it wraps on purpose (-fwrapv). The usual extension is not touched. As a program,
``python checked_build.py RUNS``, a file of JSON, is pytest or the command line with such a library instead of it, once
for each of the runs; everything is imported once, and each run is a fork.
"""

import ctypes
import json
import os
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

import patience
import sketches

ROOT = Path(__file__).parents[2]
LOCAL, EMULATOR = (ROOT / "spikingconvnet" / folder for folder in ("backends/local", "emulator"))
NOTICED = "does not hold", "Assertion", "AddressSanitizer", "runtime error"
CHECKS = "-fsanitize=address,undefined", "-fno-sanitize-recover=all"
FLAGS = "-fPIC", "-std=gnu11", "-fwrapv", "-DSOURCE_DIGEST=0", "-DCHECKED", f"-I{EMULATOR}", *CHECKS
USUAL, QUICK = ("-g", "-O1"), ("-O0",)      # what many tests run, and what has to fail once
_folder, _compiled = tempfile.TemporaryDirectory(), {}


def build(directory, source=LOCAL):
    """Compile the sources in a directory, of equal ones each once: the library's path."""
    library = Path(directory) / "checked.so"
    objects = [_object(path, USUAL if source in (LOCAL, EMULATOR) else QUICK)
               for path in sorted(Path(source).glob("*_native.c"))]
    subprocess.run(["gcc", "-shared", *CHECKS, *objects, "-o", library], check=True)
    return library


def _object(path, how):
    """The object file of a source, compiled unless one of the same text has been."""
    text = _output("gcc", *FLAGS, "-E", "-P", path)
    if text not in _compiled:
        _compiled[text] = Path(_folder.name) / f"{len(_compiled)}.o"
        subprocess.run(["gcc", *FLAGS, *how, "-c", path, "-o", _compiled[text]], check=True)
    return _compiled[text]


def run(*runs):
    """Runs of Python in which a library has the place of the extension: what each prints, and its exit code.

    Each is (library, "pytest", "cli" or "board", arguments...); see :func:`one`.
    """
    # Without the C++ library AddressSanitizer ends a process in which a library throws, as matplotlib's do.
    preloaded = " ".join(_output("gcc", f"-print-file-name={name}") for name in ("libasan.so", "libstdc++.so.6"))
    environment = {**os.environ, "LD_PRELOAD": preloaded, "ASAN_OPTIONS": "detect_leaks=0",
                   "UBSAN_OPTIONS": "print_stacktrace=1", "PYTHONPATH": str(ROOT)}
    if any(kind == "board" for _, kind, *_ in runs):    # packets are in arrays of Python's own, not NumPy's
        environment["PYTHONMALLOC"] = "malloc"
    with tempfile.TemporaryDirectory() as folder:
        told = [Path(folder) / str(number) for number in range(len(runs))]
        file = Path(folder) / "runs.json"
        file.write_text(json.dumps([(str(out), list(map(str, words))) for out, words in zip(told, runs)]))
        out, code = patience.run([sys.executable, __file__, str(file)], env=environment, cwd=ROOT)
        assert code == 0, out[-3000:]
        return list(zip([one.read_text(errors="replace") for one in told], json.loads(out.splitlines()[-1])))


def _output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def one(library, kind, *arguments):
    """Take the library, then run pytest or the command line; "board": that of the emulated board, then pytest."""
    from spikingconvnet.backends.local import native
    from spikingconvnet.emulator import interpreter, native_core, native_library, timed_native

    if kind == "board":
        loaded = native_library.load(library)
        for module in (interpreter, native_core, native_library, timed_native):
            module.library = lambda: loaded
    else:
        loaded = ctypes.CDLL(library)
        native.library = lambda: loaded
    if kind == "cli":
        from spikingconvnet.cli import main as cli

        sketches.instead_of_figures(setattr)
        return cli.main(list(arguments))
    import pytest

    return pytest.main(["-q", "-s", "-n", "0", "-x", "-p", "no:cacheprovider", *arguments])


def forked(told, words):
    """Do one run in a fork whose output goes to a file: its exit code."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 1
    try:
        file = os.open(told, os.O_WRONLY | os.O_CREAT)
        os.dup2(file, 1), os.dup2(file, 2)
        code = int(one(*words))
    finally:
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(code)


def main(runs):
    """Do the runs that a file holds, and print their exit codes."""
    from spikingconvnet.backends.local import native

    # The kernels in numba touch none of what is in C; compiling them for comparison takes most of the time.
    sys.modules["spikingconvnet.backends.local.numba_kernels"] = native
    for name in ("hypothesis", "pytest", "random_networks", "spikingconvnet.cli.main"):
        import_module(name)
    print(json.dumps([forked(*words) for words in json.loads(Path(runs).read_text())]))


if __name__ == "__main__":
    main(sys.argv[1])
