"""The command line: serve a board until interrupted, or run a script or module against one."""

import argparse
import gc
import os
import re
import shlex
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from spikingconvnet.emulator import faults, times, trace
from spikingconvnet.emulator.board import configuration
from spikingconvnet.emulator.control import Control
from spikingconvnet.emulator.core import Core
from spikingconvnet.emulator.cpu import require_unicorn
from spikingconvnet.emulator.errors import EmulatorError, SetupError
from spikingconvnet.emulator.ethernet import Ethernet
from spikingconvnet.emulator.faulty_machine import FaultyMachine, TimedFaultyMachine
from spikingconvnet.emulator.layout import SEVERAL, VERSIONS, Layout
from spikingconvnet.emulator.machine import Machine
from spikingconvnet.emulator.memory_map import SDRAM_SIZE, Place
from spikingconvnet.emulator.native_core import NativeCore
from spikingconvnet.emulator.native_library import library
from spikingconvnet.emulator.native_machine import machine_of
from spikingconvnet.emulator.script import run
from spikingconvnet.emulator.snapshots.boards import Snapshot
from spikingconvnet.emulator.timed_core import TimedCore
from spikingconvnet.emulator.timed_machine import TimedMachine
from spikingconvnet.emulator.timed_native import TimedNativeCore
from spikingconvnet.emulator.timing import QUANTUM

INTERRUPTED = 130
_MOST_BOARDS = 200                                  # loopback addresses that boards take: 127.0.0.2 to 254
_YEAR = 365 * 24 * 3600
_MOST_MS = 10**12
_ACCESS = ("SPALLOC_USER", "SPALLOC_PASSWORD", "OIDC_BEARER_TOKEN")     # variables, as of SpiNNMan's client
_NAMES = {"script": "SCRIPT", "module": "-m MODULE"}


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(
        prog="python -m spikingconvnet.emulator",
        description="An emulated SpiNNaker board. Without SCRIPT or MODULE: serve one until interrupted.")
    made.add_argument("--version", type=int, choices=VERSIONS, help="3: 4 chips, 5: 48 chips (default)")
    made.add_argument("--host", help="loopback address to listen on (default: 127.0.0.2 or the next free one)")
    made.add_argument("--watchdog", type=float, default=300.0, metavar="SECONDS",
                      help="stop a core that runs for more CPU time without coming to rest")
    made.add_argument("--native", action=argparse.BooleanOptionalAction, default=None,
                      help="insist on, or do without, the compiled core loop")
    made.add_argument("--real-time", action=argparse.BooleanOptionalAction, default=None,
                      help="keep simulated time to the wall clock, or never do (default: with live input or output and "
                           "in runs without end)")
    made.add_argument("--fault", action="append", default=[], metavar="NAME=VALUE",
                      help="let something go wrong; more than once: several. "
                           + ", ".join(f"{name}={form.example}" for name, form in faults.FORMS.items()))
    made.add_argument("--timed", action="store_true",
                      help="let work take time: instructions, memory, routers, links; what is late is late")
    made.add_argument("--quantum", type=float, default=QUANTUM, metavar="US",
                      help="with --timed: us that packets are under way at least (default: %(default)s)")
    made.add_argument("--phases", type=float, default=0.0, metavar="US",
                      help="with --timed: chips hear of the start up to so many us apart (default: at once)")
    made.add_argument("--seed", type=int, default=0, metavar="N", help="with --timed: of the phases")
    made.add_argument("--profile", metavar="X,Y,P",
                      help="with --timed and --times: a core whose functions are counted, by their addresses")
    made.add_argument("--times", metavar="FILE", help="with --timed: write what cores had to do, when the board ends")
    made.add_argument("--snapshot", metavar="FILE", help="write the whole board to a file when it ends, or --at a time")
    made.add_argument("--at", type=float, metavar="MS", help="with --snapshot: when the board's clock comes there")
    made.add_argument("--restore", metavar="FILE", help="go on with the board in a file, with its faults and its time")
    made.add_argument("--trace", metavar="FILE", help="write every multicast packet that is sent or received: CSV")
    made.add_argument("--trace-only", action="append", default=[], metavar="NAME=VALUE",
                      help="with --trace: packets with a key, of a chip or core, at a time; several: any of a name. "
                           + ", ".join(f"{name}={example}" for name, (_, example) in trace.FORMS.items()))
    made.add_argument("--hold", action="store_true", help="with --restore: stand still until somebody says go on")
    made.add_argument("--spalloc", action="store_true",
                      help="serve boards as a spalloc server does: one for each job, others wait")
    made.add_argument("--boards", type=int, metavar="N",
                      help=f"1 (default), or {SEVERAL}: one machine of three side by side. With --spalloc: so many at a"
                           f" time (default: as many as there are processors, {os.cpu_count()})")
    made.add_argument("--port", type=int, default=0, metavar="N", help="with --spalloc: TCP port (default: a free one)")
    made.add_argument("--longest", type=float, metavar="S", help="with --spalloc: a job has its board for so many"
                                                                 " seconds at most")
    made.add_argument("--certificate", metavar="FILE",
                      help="with --spalloc: made if it is not there, its key in FILE.key (default: a new one)")
    made.add_argument("--ready", type=int, help=argparse.SUPPRESS)
    made.add_argument("--alive", type=int, help=argparse.SUPPRESS)
    made.add_argument("-m", dest="module", nargs=argparse.REMAINDER, metavar="MODULE [ARGS]",
                      help="module to run against a private board, as python -m does: pytest, for example")
    made.add_argument("script", nargs="?", metavar="SCRIPT", help="PyNN script to run against a private board")
    made.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARGS", help="the script's own arguments")
    return made


def _report(text: str) -> None:
    print(f"board: {text}", file=sys.stderr, flush=True)


def _core_class(native: bool | None, timed: bool) -> type[Any]:
    """The compiled core if it is there and wanted."""
    if native and not library():
        raise SetupError("--native: the extension was not built, or from other sources; install the package where there"
                         " is a C compiler: pip install -e .")
    in_python = native is False or not library()
    if timed:
        return TimedCore if in_python else TimedNativeCore
    return Core if in_python else NativeCore


def _announce(options: argparse.Namespace, layout: Layout, hosts: Sequence[str]) -> None:
    if options.ready is None:
        print(f"{layout} at {', '.join(hosts)}; machine_name = {hosts[0]}, version = {layout.version}; Ctrl-C ends it",
              flush=True)
        return
    os.write(options.ready, " ".join([str(layout.version), *hosts]).encode())
    os.close(options.ready)


def _machine(options: argparse.Namespace, wrong: faults.Faults, hosts: Sequence[str],
             traced: trace.Trace | None) -> Machine:
    """The machine; one that knows of faults only if there are any."""
    kind = _core_class(options.native, options.timed)
    if options.native is None and not library():
        _report("cores run in Python, some 100 times slower, as the extension was not built, or from other sources;"
                " install the package where there is a C compiler: pip install -e .; --no-native if it is meant")
    settings = {"addresses": hosts, "report": _report, "watchdog": options.watchdog,
                "make_core": traced.cores(kind) if traced else kind}
    if options.timed:
        settings |= {"quantum": options.quantum, "profile": _place(options.profile), "phases": options.phases,
                     "seed": options.seed}
        if wrong != faults.Faults():
            return TimedFaultyMachine(wrong, options.version, **settings)
        return TimedMachine(options.version, **settings)
    if wrong == faults.Faults():
        return machine_of(settings["make_core"])(options.version, **settings)
    return FaultyMachine(wrong, options.version, **settings)


def _board(options: argparse.Namespace, wrong: faults.Faults,
           traced: trace.Trace | None) -> tuple[Ethernet, Control]:
    """A board and who asks something of it; SetupError if the system refuses memory, sockets or files for it."""
    if not options.restore and (_core_class(options.native, options.timed) in (Core, TimedCore) or wrong.slow_cores):
        require_unicorn()
    layout = Layout(options.version, options.boards)
    try:
        snapshot = Snapshot(options.restore) if options.restore else None
        layout = snapshot.layout if snapshot else layout
        ethernet = Ethernet(options.host, options.real_time, layout.ethernets)
        control = Control(ethernet, lambda found: found.machine(
            traced, ethernet.hosts, report=_report, watchdog=options.watchdog))
        if snapshot is None:
            ethernet.attach(_machine(options, wrong, ethernet.hosts, traced))
        else:
            control.attach(snapshot)
        return ethernet, control
    except (OSError, MemoryError) as error:
        needed = len(layout.chips) * SDRAM_SIZE >> 20
        raise SetupError(f"the system refuses what a board needs ({getattr(error, 'strerror', 'no memory is left')}): "
                         f"{needed:,} MB of address space and a few files; raise the limits (ulimit -a)") from error


def _serve(options: argparse.Namespace, wrong: faults.Faults) -> int:
    traced = trace.Trace(options.trace, trace.parse(options.trace_only), _report) if options.trace else None
    ethernet, control = _board(options, wrong, traced)
    if options.hold:
        control.hold()
    if options.at is not None:
        control.save_at(options.at, options.snapshot)
    gc.freeze()                                     # chips and cores stay: not worth looking through again and again
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ethernet.close())
    if options.alive is not None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)        # Ctrl-C is for the process that started this one
        threading.Thread(target=control.listen, args=(options.alive,), daemon=True).start()
    _announce(options, ethernet.machine.layout, ethernet.hosts)
    ethernet.serve()
    if traced:
        traced.close()
    return _end(options, control, ethernet.machine)


def _end(options: argparse.Namespace, control: Control, machine: Machine) -> int:
    """Write what is to be written when a board ends."""
    if options.snapshot and options.at is None:
        control.save(options.snapshot)
    if options.times and isinstance(machine, TimedMachine):
        machine.note_all()
        times.write(machine.history, options.times)
    return 0


def _place(text: str | None) -> Place | None:
    """The core in ``X,Y,P``."""
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,2},\d{1,2},\d{1,2}", text):
        raise SetupError(f"--profile {text}: must be the chip and number of a core, as 0,0,3")
    x, y, p = map(int, text.split(","))
    return x, y, p


def _check(options: argparse.Namespace, wrong: faults.Faults) -> None:
    """Refuse options that do not go together or mean nothing."""
    if options.timed:
        faults.refuse_with_time(wrong)
    if not 0.1 <= options.quantum <= 1000:
        raise SetupError(f"--quantum: must be 0.1 to 1000 us, got {options.quantum:g}")
    for name in ("times", "profile", "phases", "seed"):
        if getattr(options, name) and not (options.timed or options.restore):
            raise SetupError(f"--{name}: means nothing without --timed; add it")
    if not 0 <= options.phases <= 1000 or not 0 <= options.seed < 2**63:
        raise SetupError("--phases must be 0 to 1000 us, --seed a whole number below 2^63")
    if options.profile and not options.times:
        raise SetupError("--profile: is written to the file of --times; name one")
    _place(options.profile)
    _check_spalloc(options)


def _check_snapshots(options: argparse.Namespace, wrong: faults.Faults) -> None:
    """Refuse what a snapshot says itself, or what means nothing without one."""
    if options.at is not None and not (options.snapshot and 0 <= options.at < _MOST_MS):
        raise SetupError(f"--at: a time below {_MOST_MS:,} ms of the file that --snapshot names")
    for name, needed in (("hold", "restore"), ("trace_only", "trace")):
        if getattr(options, name) and not getattr(options, needed):
            raise SetupError(f"--{name.replace('_', '-')}: means nothing without --{needed}; add it")
    if options.trace and wrong.slow_cores:
        raise SetupError("--trace: slow cores are not traced; leave out --trace, or --fault slow-core")
    trace.parse(options.trace_only)
    given = [name for name in ("version", "boards", "timed", "phases", "seed", "profile") if getattr(options, name)]
    given += ["fault"] * (wrong != faults.Faults()) + ["no-native"] * (options.native is False)
    if options.restore and given:
        raise SetupError(f"--{given[0]}: a snapshot is of a board of its own kind, with compiled cores; leave it out")


def _check_spalloc(options: argparse.Namespace) -> None:
    """Refuse what means nothing for a server of boards, or without one."""
    given = [name for name in ("port", "longest", "certificate") if getattr(options, name)]
    if given and not options.spalloc:
        raise SetupError(f"--{given[0]}: means nothing without --spalloc; add it")
    if not options.spalloc:
        return
    for name in ("host", "times", "snapshot", "restore", "trace", "script", "module"):
        if getattr(options, name):
            raise SetupError(f"--spalloc: hands out boards by itself; leave out {_NAMES.get(name, f'--{name}')}")
    if options.version != 5:
        raise SetupError("--spalloc: SpiNNMan's jobs have boards of version 5; leave out --version")
    if not (1 <= options.boards <= _MOST_BOARDS and 0 <= options.port < 1 << 16):
        raise SetupError(f"--boards must be 1 to {_MOST_BOARDS}, --port 0 to 65535")
    if options.longest is not None and not 0 < options.longest < _YEAR:
        raise SetupError(f"--longest: must be above 0 and below {_YEAR:,} s, got {options.longest:g}")


def _spalloc(options: argparse.Namespace, **board: Any) -> int:
    """Hand out boards until interrupted; the exit code."""
    if find_spec("tornado") is None:
        raise SetupError("--spalloc: no module named 'tornado'; install it with: pip install 'spikingconvnet[spalloc]'")
    from spikingconvnet.emulator.spalloc import certificate, pages, server

    access = pages.Access(*(os.environ.get(name, "") for name in _ACCESS))
    def announce(url: str) -> None:
        trust = " ".join(f"{name}={shlex.quote(str(path))}" for name in certificate.TRUSTED)
        print(f"spalloc server for {options.boards} emulated boards at {url}; Ctrl-C ends it. Its clients need\n\n"
              f"export {trust}\n\nand in ~/.spynnaker.cfg\n\n"
              f"{configuration(options.version, url, 'spalloc_server')}", flush=True)

    with tempfile.TemporaryDirectory(prefix="emulated-boards-") as folder:
        path = Path(options.certificate or f"{folder}/certificate.pem").resolve()
        server.run(options.boards, options.port, path, _report, announce, access, options.longest, **board)
    return 0


def _command(options: argparse.Namespace) -> list[str] | None:
    """What to run against the board, as `script.run` wants it; None: nothing."""
    if options.module == []:
        raise SetupError("-m: the name of a module is missing, as in: -m pytest tests")
    if options.module:
        return ["-m", *options.module]
    return None if options.script is None else [options.script, *options.arguments]


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    options = parser().parse_args(args)
    try:
        wrong = faults.parse(options.fault)
        _check_snapshots(options, wrong)
        options.version = options.version or 5
        if options.boards is None:
            options.boards = (os.cpu_count() or 1) if options.spalloc else 1
        wrong.check_places(Layout(options.version, 1 if options.spalloc else options.boards))
        _check(options, wrong)
        command = _command(options)
        if command is None and not options.spalloc:
            return _serve(options, wrong)
        kind = {"native": options.native, "watchdog": options.watchdog, "faults": wrong,
                "real_time": options.real_time, "timed": options.timed, "quantum": options.quantum,
                "phases": options.phases, "seed": options.seed}
        if command is None:
            return _spalloc(options, **kind)
        return run(command, version=options.version, boards=options.boards, host=options.host, times=options.times,
                   profile=_place(options.profile), snapshot=options.restore, hold=options.hold, save=options.snapshot,
                   at=options.at, trace=options.trace, trace_only=options.trace_only, **kind)
    except EmulatorError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
