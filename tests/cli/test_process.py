"""A command as a process: one writer in a run directory, kills, signals, streams, what the system refuses."""

import errno
import io
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest

from spikingconvnet import __main__
from spikingconvnet.cli import main as cli
from spikingconvnet.errors import RunDirectoryInUse, SurroundingsError
from spikingconvnet.gates import files, surroundings
from spikingconvnet.store import locks
from spikingconvnet.store.directory import RunDirectory

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import sys
from pathlib import Path
from spikingconvnet.store import locks
with locks.writing(Path(sys.argv[1]), "main.py --mode training"):
    print("held", flush=True)
    sys.stdin.read()
"""


def started(*words, **options):
    """A process of the package that has been started."""
    return subprocess.Popen([sys.executable, *map(str, words)], env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of ``run``."""
    with started("-c", HOLD, tmp_path / "run") as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_writer_is_told_at_once_who_writes(holder, tmp_path, parameters, capsys, monkeypatch):
    monkeypatch.setattr(locks, "BETWEEN", float("nan"))         # not a time to wait for
    with pytest.raises(RunDirectoryInUse, match=f"process {holder.pid} on {socket.gethostname()} since .*main.py --mode"
                                                " training.*; wait until it has ended, or choose another --run-dir"):
        with RunDirectory(tmp_path / "run").locked():
            pass
    words = ["--parameters", str(parameters()), "--run-dir", str(tmp_path / "run")]
    assert cli.main(["--mode", "loaddata", *words]) == 5 and str(holder.pid) in capsys.readouterr().err
    assert cli.main(["--mode", "check", *words]) == 0, "what only reads does not wait"


def test_a_lock_is_free_when_its_holder_has_been_killed_and_what_it_left_is_cleared(holder, tmp_path):
    run = tmp_path / "run"
    (run / "layers").mkdir()
    for name in (".host.1.tmp", "layers/.1.npz.host.2.tmp"):
        (run / name).write_text("half")
    holder.kill()
    holder.wait()
    assert (run / ".lock").exists()
    with RunDirectory(run).locked(), RunDirectory(run).locked():
        assert json.loads((run / ".lock").read_text())["pid"] == os.getpid()
        assert sorted(path.name for path in run.rglob("*")) == [".lock", "layers"]
    assert [path.name for path in run.iterdir()] == ["layers"]


def test_a_writer_that_writes_nothing_leaves_nothing(tmp_path):
    with RunDirectory(tmp_path / "runs/a").locked():
        assert json.loads((tmp_path / "runs/a/.lock").read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_locks_is_told_of(tmp_path, monkeypatch, caplog):
    def fail(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks.FileLock, "acquire", fail)
    with locks.writing(tmp_path, "command"):
        assert "has no locks (No locks available)" in caplog.text


def test_temporary_files_of_dead_processes_are_told_from_those_of_living_ones(tmp_path):
    dead = subprocess.Popen(["true"])
    dead.wait()
    names = [f".7.{socket.gethostname()}.{dead.pid}.tmp", f".7.{socket.gethostname()}.{os.getppid()}.tmp",
             f".7.elsewhere.{dead.pid}.tmp", ".other.tmp"]
    for name in names:
        (tmp_path / name).write_text("")
    files.sweep(tmp_path, below=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[1:])


def test_threads_write_side_by_side(tmp_path):
    both = threading.Barrier(2)

    def save(stream, content):
        stream.write(content)
        both.wait(60)

    writers = [threading.Thread(target=files.write_whole, args=(tmp_path / name, partial(save, content=name.encode())))
               for name in ("a", "b")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "a", "b": "b"}


def test_a_text_with_names_that_are_no_utf_8_is_written(tmp_path):
    files.write_text(tmp_path / "file", "é\r\n\udcff")
    assert (tmp_path / "file").read_bytes() == b"\xc3\xa9\r\n\\udcff"


def test_a_name_as_long_as_can_be_is_written(tmp_path):
    files.write_whole(tmp_path / ("x" * 255), lambda stream: stream.write(b"all"))
    assert (tmp_path / ("x" * 255)).read_bytes() == b"all"


@pytest.mark.parametrize("error, text", [
    (MemoryError(), "no memory is left"), (OSError(errno.ENOSPC, "No space left on device", "f"), "f: No space left"),
    (OSError(errno.EMFILE, "Too many open files"), "ulimit -n"), (RuntimeError("can't start new thread"), "--jobs"),
    (FileNotFoundError(errno.ENOENT, "No such file or directory"), "the current directory"),
    (ImportError("libx.so: cannot open shared object file: Too many open files"), "ulimit -n")])
def test_what_the_system_refuses_is_a_sentence_and_exit_code_9(error, text):
    with pytest.raises(SurroundingsError, match=text) as raised, surroundings.told():
        raise error
    assert raised.value.exit_code == 9 and raised.value.__cause__ is error


@pytest.mark.parametrize("error", [RuntimeError("a fault"), OSError("a fault"), ImportError("no module x")])
def test_an_error_inside_the_program_is_still_one(error):
    with pytest.raises(type(error), match=str(error)) as raised, surroundings.told():
        raise error
    assert raised.value is error


@pytest.mark.parametrize("shell, code, text", [
    (">/dev/full", 9, "error: stdout: cannot be written (No space left on device)\n"),
    (">&-", 9, "error: stdout: cannot be written (Bad file descriptor)\n"), (">/dev/null 2>&-", 0, ""),
    (">/dev/null 2>/dev/full", 0, ""), ("--help >/dev/full", 9, "error: stdout: cannot be written"),
    ("--run-dir $'a\\nb' >/dev/null", 5, "error: a\\nb: holds no run"), (">/dev/null <&-", 0, "")])
def test_streams_that_cannot_be_written(parameters, tmp_path, shell, code, text):
    words = f"{sys.executable} {ROOT / 'main.py'} --mode info --parameters {parameters()}"
    if "--run-dir" in shell:
        words = f"{sys.executable} {ROOT / 'main.py'} --mode info"
    done = subprocess.run(["bash", "-c", f"{words} {shell}"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == code and done.stderr.startswith(text) and "Traceback" not in done.stderr


NO_DEVICE = """
import os, sys
os.devnull = "/nonexistent/null"
from spikingconvnet.gates import surroundings
surroundings.settle()
kept = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
told = [kept]
for number in (1, 2):
    try:
        told.append(os.write(number, b"x"))
    except OSError as error:
        told.append(type(error).__name__)
os.write(kept, repr([os.read(0, 1), *told]).encode())
"""


@pytest.mark.parametrize("shell, wanted", [
    ("<&- >&- 2>&-", [b"", 3, "OSError", "BrokenPipeError"]), ("<&- >/dev/null 2>/dev/null", [b"", 3, 1, 1]),
    ("</dev/null >&- 2>/dev/null", [b"", 3, "OSError", 1])])
def test_closed_streams_are_there_without_a_null_device(shell, wanted, tmp_path):
    (tmp_path / "it.py").write_text(NO_DEVICE)
    subprocess.run(["bash", "-c", f"{sys.executable} it.py kept {shell}"], cwd=tmp_path, check=True,
                   env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert (tmp_path / "kept").read_text() == repr(wanted)


@pytest.mark.parametrize("more, told", [(1, True), (31, True), (32, False)])
def test_a_limit_that_leaves_hardly_any_memory_is_told_before_a_library_crashes(monkeypatch, more, told):
    used = 1000 * resource.getpagesize()
    monkeypatch.setattr(surroundings.Path, "read_text", lambda path: {"/proc/self/statm": "1000 9 9"}[str(path)])
    monkeypatch.setattr(resource, "getrlimit", lambda which: {resource.RLIMIT_AS: (used + (more << 20), -1)}[which])
    wanted = f"^the limit of memory leaves {more} MB, .* at least 32; .* ulimit -v"
    with pytest.raises(SurroundingsError, match=wanted) if told else nullcontext():
        surroundings.require_memory()


def test_a_command_with_a_megabyte_left_ends_with_a_sentence(tmp_path):
    limit = ("import resource, sys; used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize(); "
             "from spikingconvnet import __main__; "
             "resource.setrlimit(resource.RLIMIT_AS, (used + 2 ** 20,) * 2); sys.exit(__main__.main(['--version']))")
    done = subprocess.run([sys.executable, "-c", limit], env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=tmp_path,
                          capture_output=True, text=True)
    assert done.returncode == SurroundingsError.exit_code
    assert done.stderr.startswith("error: the limit of memory leaves ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("start", ["runpy.run_path('main.py', run_name='__main__')",
                                   "runpy.run_module('spikingconvnet', run_name='__main__')",
                                   "from spikingconvnet.console import main; sys.exit(main())"])
@pytest.mark.parametrize("where", ["_on", "settle"])
def test_an_interrupt_before_signals_are_watched_is_no_traceback(start, where):
    text = f"""
import os, runpy, signal, sys
sys.argv = ["spikingconvnet", "--version"]
def interrupt(frame, event, _):
    if event == "call" and frame.f_code.co_name == "{where}":
        sys.setprofile(None)
        os.kill(os.getpid(), signal.SIGINT)
sys.setprofile(interrupt)
{start}
"""
    done = subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 130 and "Traceback" not in done.stderr and not done.stdout, done.stderr


def test_the_console_script_is_watched_from_its_import_on():
    text = ("import signal, sys; sys.argv[0] = '{}'; import spikingconvnet.console; "
            "print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)")
    for name, wanted in (("bin/spikingconvnet", "False"), ("bin/pytest", "True")):
        done = subprocess.run([sys.executable, "-c", text.format(name)], cwd=ROOT, capture_output=True, text=True)
        assert done.stdout.strip() == wanted, done.stderr


def test_no_memory_for_the_sentence_is_the_sentence_all_the_same(monkeypatch, capfd):
    monkeypatch.setattr(surroundings.Signals, "__exit__", lambda *_: _raise(MemoryError()))
    monkeypatch.setattr(sys, "stdout", sys.stdout), monkeypatch.setattr(sys, "stderr", sys.stderr)
    handlers = {number: signal.getsignal(number) for number in surroundings.ENDING}
    hook = sys.unraisablehook
    try:
        assert __main__.main(["--version"]) == 9
    finally:
        sys.unraisablehook = hook
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert capfd.readouterr().err == ("error: no memory is left; end other programs, or give --jobs a smaller number\n")


def _raise(error):
    raise error


@pytest.mark.parametrize("text, told", [("", None), ("x", "stdout: cannot be written")])
def test_only_what_is_said_fails_on_an_unbuffered_stream(text, told, monkeypatch):
    with open("/dev/full", "wb", buffering=0) as full:
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(full, write_through=True))
        with pytest.raises(SurroundingsError, match=told) if told else nullcontext():
            surroundings.say_on_stdout(text)


@pytest.mark.parametrize("limit, value", [(resource.RLIMIT_FSIZE, 100), (resource.RLIMIT_NOFILE, 6)])
def test_limits_of_the_system(parameters, tmp_path, limit, value):
    with started(ROOT / "main.py", "--mode", "loaddata", "--parameters", parameters(), cwd=tmp_path,
                 preexec_fn=lambda: resource.setrlimit(limit, (value, value))) as process:
        _, told = process.communicate()
    assert process.returncode == 9 and "error: " in told and "Traceback" not in told


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("body", ["time.sleep(600)", "swallowed()"])
def test_a_signal_ends_a_command_with_its_exit_code(number, code, body):
    source = f"""
import os, signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from spikingconvnet.gates.surroundings import Signals
class Late:
    def __del__(self):
        os.kill(os.getpid(), {int(number)}); time.sleep(600)
def swallowed():
    late = Late(); del late; time.sleep(600)
with Signals():
    if {body!r} == "time.sleep(600)":
        threading.Timer(0.2, os.kill, (os.getpid(), {int(number)})).start()
    {body}
"""
    with started("-c", source) as process:
        _, told = process.communicate(timeout=500)
    assert process.returncode == code and told == surroundings.INTERRUPTED + "\n"


def test_an_interrupt_that_a_library_makes_another_error_of_is_still_one():
    source = """
import os, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from spikingconvnet.gates.surroundings import Signals
with Signals():
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        raise ImportError("initialization failed")
"""
    with started("-c", source) as process:
        _, told = process.communicate()
    assert process.returncode == 130 and "Traceback" not in told


@pytest.mark.usefixtures("sketched")
def test_a_demo_that_was_killed_before_an_entry_of_its_results_makes_up_for_it(parameters, tmp_path, monkeypatch):
    from spikingconvnet.experiment.experiment import Experiment

    words = ["--mode", "demo", "--parameters", str(parameters()), "--run-dir"]
    assert cli.main([*words, str(tmp_path / "whole")]) == 0
    keep = Experiment.keep_result
    for entry in ("layer 1", "svm", "test"):
        def stop(self, name, result, entry=entry):
            if name == entry:
                raise KeyboardInterrupt
            keep(self, name, result)

        monkeypatch.setattr(Experiment, "keep_result", stop)
        run = tmp_path / entry
        assert cli.main([*words, str(run)]) == 130
        monkeypatch.undo()
        assert cli.main([*words, str(run)]) == 0
        ours, whole = (json.loads((folder / "results.json").read_text()) for folder in (run, tmp_path / "whole"))
        assert ours.pop("run")["settings"] == whole.pop("run")["settings"]
        assert ours == whole and "test" in ours


def test_signals_that_are_ignored_stay_so_and_a_failure_behind_one_has_its_code(monkeypatch):
    handlers = dict.fromkeys((signal.SIGINT, signal.SIGTERM), signal.SIG_DFL) | {signal.SIGHUP: signal.SIG_IGN}
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr(signal, "getsignal", handlers.get)
    monkeypatch.setattr(signal, "signal", handlers.__setitem__)
    signals = surroundings.Signals()
    assert handlers == {signal.SIGINT: signals.leave, signal.SIGTERM: signals.leave, signal.SIGHUP: signal.SIG_IGN}
    assert [signals.judged(code) for code in (0, 2, 9)] == [0, 2, 9]
    with pytest.raises(surroundings.Stopped) as stopped:
        signals._stop(signal.SIGTERM, None)
    assert stopped.value.exit_code == 143 and [signals.judged(code) for code in (0, 2, 9)] == [0, 143, 143]
