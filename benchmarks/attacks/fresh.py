"""The command line as a process of its own: a fork that is made like one which Python has just started, or a new one.

A fork has the modules already, which is most of what a small command costs. All else of a new process is made again:
arguments, signals, standard streams, warnings, what is read of the environment; the script runs as ``__main__``, and
the end is Python's own, with its exit handlers and its last flush. What only start-up and imports read or need is met
by processes that are new.
"""

import contextlib
import ctypes
import io
import locale
import os
import runpy
import signal
import sys
import tempfile
import time
import warnings
import weakref

from attacks import flows
from attacks.harness import ROOT

OFTEN = 50          # one case of so many is a new process
MAIN = str(ROOT / "main.py")
STARTS = ([MAIN], ["-m", "spikingconvnet"],
          ["-c", "import sys; sys.argv[0] = 'spikingconvnet'; from spikingconvnet.console import *; sys.exit(main())"])
LIGHT = f"""
import runpy, sys
sys.path.insert(0, {str(ROOT / 'benchmarks')!r})
from attacks import flows
flows.light_figures()
sys.argv[:1] = []
runpy.run_path({MAIN!r}, run_name="__main__")
"""         # the script, its figures being what they are drawn from
INTERRUPTS = signal.SIGINT, signal.SIGTERM


def drawn(rng, often=OFTEN):
    """Whether a case is a new process."""
    return bool(rng.random() < 1 / often)


def program(words, start=STARTS[0], new=False, light=False, whole=True):
    """``work`` of a Case that does not return: the process becomes the program and ends as it does.

    Parameters
    ----------
    words : list of str
        Of the command line.
    start : list of str
        What of `STARTS` comes before them.
    new : bool
        A new process instead of a fork.
    light : bool
        Figures are what they are drawn from, see ``flows.light_figures``; of a new process that is no ``-m``.
    whole : bool
        A fork ends as Python ends. Otherwise it ends after its last flush: Python at its end writes to all that was
        imported, of which a fork gets a copy by it, and that costs as much as a small command.
    """
    def work():
        for number in INTERRUPTS:
            signal.signal(number, signal.SIG_DFL)
        if new:
            os.environ["PYTHONPATH"] = str(ROOT)
            begin = ["-c", LIGHT, MAIN] if light else start
            signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTS)
            os.execv(sys.executable, [sys.executable, *begin, *map(os.fsencode, words)])
        if light:
            flows.light_figures()
        _settle()
        sys.argv, sys.orig_argv = [start[0], *words], [sys.executable, *start, *words]
        code = _ran(start)
        if whole:
            ctypes.pythonapi.Py_Exit(code)
        sys.stdout.flush()
        os._exit(code)

    return work


def _settle():
    """Make again what Python makes when it starts."""
    os.closerange(3, 256)
    weakref.finalize._registry.clear()      # of temporary directories, which their maker will remove
    tempfile.tempdir = None
    time.tzset()
    with contextlib.suppress(locale.Error):
        locale.setlocale(locale.LC_CTYPE, "")
    for name in ("__main__", "console"):
        sys.modules.pop(f"spikingconvnet.{name}", None)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = _stream(number)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.warnoptions[:] = filter(None, os.environ.get("PYTHONWARNINGS", "").split(","))
    warnings._processoptions(sys.warnoptions)


def _stream(number):
    """A standard stream as Python makes it: None if it is closed."""
    try:
        os.fstat(number)
    except OSError:
        return None
    encoding, _, errors = os.environ.get("PYTHONIOENCODING", "").partition(":")
    unbuffered = bool(number and os.environ.get("PYTHONUNBUFFERED"))
    return io.TextIOWrapper(open(number, "wb" if number else "rb", 0 if unbuffered else -1, closefd=False),
                            encoding or "utf-8", "backslashreplace" if number == 2 else errors or None,
                            line_buffering=number == 2, write_through=unbuffered)


def _ran(start):
    """Run the script: the exit code, after what Python would have said."""
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTS)
        if start[0] == "-m":
            runpy.run_module(start[1], run_name="__main__", alter_sys=True)
        elif start[0] == "-c":
            exec(start[1], {"__name__": "__main__"})
        else:
            runpy.run_path(start[0], run_name="__main__")
    except SystemExit as stop:
        if isinstance(stop.code, int | None):
            return stop.code or 0
        print(stop.code, file=sys.stderr)
        return 1
    except BaseException as error:      # noqa: BLE001 - whatever it is, Python shows it
        sys.excepthook(*sys.exc_info())
        if isinstance(error, KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        return 1
    return 0
