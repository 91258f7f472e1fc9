"""Options of the emulated board's command line: what goes together, what is refused, and what a board is made with."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from spikingconvnet.emulator import cli, faults, script
from spikingconvnet.emulator.faulty_machine import FaultyMachine, TimedFaultyMachine
from spikingconvnet.emulator.machine import Machine
from spikingconvnet.emulator.memory_map import SV, SV_BASE
from spikingconvnet.emulator.native_machine import NativeMachine
from spikingconvnet.emulator.timed_machine import TimedMachine


@pytest.fixture
def asked(monkeypatch):
    """What the command line would do: serve a board, run a script or hand out boards; nothing is done."""
    found = {}

    def note(kind):
        def did(first, *more, **options):
            found.update(kind=kind, first=first, more=more, **options)
            return 0
        return did

    for name, kind in (("_serve", "serve"), ("run", "run"), ("_spalloc", "spalloc")):
        monkeypatch.setattr(cli, name, note(kind))
    return found


@pytest.mark.parametrize("words, said", [
    (["--timed", "--fault", "slow-core=0,0,5,8mips"], "--timed: a slow core counts instructions, a core with time"),
    (["--timed", "--fault", "late-packets=0.1,1ms"], "--timed: packets are as late as links and routers make them"),
    (["--timed", "--quantum", "0.09"], "--quantum: must be 0.1 to 1000 us, got 0.09"),
    (["--timed", "--quantum", "1001"], "--quantum: must be 0.1 to 1000 us, got 1001"),
    (["--times", "t.json"], "--times: means nothing without --timed; add it"),
    (["--profile", "0,0,3"], "--profile: means nothing without --timed"),
    (["--phases", "5"], "--phases: means nothing without --timed"),
    (["--seed", "5"], "--seed: means nothing without --timed"),
    (["--timed", "--phases", "-1"], "--phases must be 0 to 1000 us"),
    (["--timed", "--phases", "1001"], "--phases must be 0 to 1000 us"),
    (["--timed", "--seed", "-1"], "--seed a whole number below 2^63"),
    (["--timed", "--seed", str(1 << 63)], "--seed a whole number below 2^63"),
    (["--timed", "--profile", "0,0,3"], "--profile: is written to the file of --times; name one"),
    (["--timed", "--times", "t", "--profile", "0,0"], "--profile 0,0: must be the chip and number of a core"),
    (["--timed", "--times", "t", "--profile", "0,0,3,"], "must be the chip and number of a core, as 0,0,3"),
    (["--at", "5"], "--at: a time below"),
    (["--snapshot", "s", "--at", "-1"], "--at: a time below"),
    (["--snapshot", "s", "--at", "1e12"], "--at: a time below 1,000,000,000,000 ms of the file that --snapshot"),
    (["--hold"], "--hold: means nothing without --restore; add it"),
    (["--port", "5"], "--port: means nothing without --spalloc; add it"),
    (["--longest", "5"], "--longest: means nothing without --spalloc"),
    (["--certificate", "c"], "--certificate: means nothing without --spalloc"),
    (["--spalloc", "--host", "127.0.0.9"], "--spalloc: hands out boards by itself; leave out --host"),
    (["--spalloc", "x.py"], "leave out SCRIPT"), (["--spalloc", "-m", "x"], "leave out -m MODULE"),
    (["--spalloc", "--timed", "--times", "t"], "leave out --times"), (["--spalloc", "--snapshot", "s"], "--snapshot"),
    (["--spalloc", "--version", "3"], "--spalloc: SpiNNMan's jobs have boards of version 5; leave out --version"),
    (["--spalloc", "--boards", "0"], "--boards must be 1 to 200, --port 0 to 65535"),
    (["--spalloc", "--boards", "201"], "--boards must be 1 to 200"),
    (["--spalloc", "--port", "-1"], "--port 0 to 65535"),
    (["--spalloc", "--port", "65536"], "--port 0 to 65535"),
    (["--spalloc", "--longest", "0"], "--longest: must be above 0 and below 31,536,000 s, got 0"),
    (["--spalloc", "--longest", "31536000"], "--longest: must be above 0 and below 31,536,000 s"),
    (["-m"], "-m: the name of a module is missing")])
def test_what_does_not_go_together_is_refused_before_anything_is_done(asked, words, said, capsys):
    assert cli.main(words) == 2
    out, err = capsys.readouterr()
    assert err.startswith("error: ") and said in err and not out and not asked


@pytest.mark.parametrize("words, kind, wanted", [
    ([], "serve", {"version": 5, "timed": False, "real_time": None, "at": None, "hold": False}),
    (["--version", "3", "--real-time"], "serve", {"version": 3, "real_time": True}),
    (["--timed", "--quantum", "0.1", "--phases", "1000", "--seed", str((1 << 63) - 1)], "serve", {"quantum": 0.1}),
    (["--timed", "--quantum", "1000", "--phases", "0.5", "--seed", "1"], "serve", {"seed": 1, "phases": 0.5}),
    (["--snapshot", "s", "--at", "0"], "serve", {"at": 0.0, "snapshot": "s"}),
    (["--restore", "s", "--hold", "--times", "t"], "serve", {"restore": "s", "hold": True, "times": "t"})])
def test_a_board_is_served_as_asked(asked, words, kind, wanted):
    assert cli.main(words) == 0 and asked["kind"] == kind
    options = vars(asked["first"])
    assert {name: options[name] for name in wanted} == wanted
    assert asked["more"] == (faults.Faults(),)


def test_a_script_gets_its_words_and_the_board_its_options(asked):
    assert cli.main(["--timed", "--times", "t", "--profile", "1,0,12", "--seed", "7", "--snapshot", "s", "--at", "5",
                     "--trace", "p", "--trace-only", "ms=1-2", "a.py", "--its", "-m", "x"]) == 0
    assert asked.pop("kind") == "run" and asked.pop("first") == ["a.py", "--its", "-m", "x"]
    assert asked == {"more": (), "version": 5, "host": None, "boards": 1, "times": "t", "profile": (1, 0, 12),
                     "snapshot": None, "hold": False, "save": "s", "at": 5.0, "trace": "p", "trace_only": ["ms=1-2"],
                     "native": None, "watchdog": 300.0, "faults": faults.Faults(), "real_time": None, "timed": True,
                     "quantum": 10.0, "phases": 0.0, "seed": 7}
    assert cli.main(["--fault", "seed=3", "-m", "pytest", "-q"]) == 0
    assert asked["first"] == ["-m", "pytest", "-q"] and asked["faults"] == faults.Faults(seed=3)


def test_boards_are_handed_out_as_asked(asked):
    assert cli.main(["--spalloc", "--boards", "200", "--port", "65535", "--longest", "0.5", "--watchdog", "9"]) == 0
    options = asked.pop("first")
    assert asked.pop("kind") == "spalloc" and (options.boards, options.port, options.longest) == (200, 65535, 0.5)
    assert asked == {"more": (), "native": None, "watchdog": 9.0, "faults": faults.Faults(), "real_time": None,
                     "timed": False, "quantum": 10.0, "phases": 0.0, "seed": 0}
    assert cli.main(["--spalloc", "--boards", "1", "--port", "0"]) == 0 and asked["first"].boards == 1


def test_ctrl_c_has_its_exit_code(monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt
    monkeypatch.setattr(cli, "_serve", interrupted)
    assert cli.main([]) == 130


@pytest.mark.parametrize("words, wrong, kind", [
    ([], faults.Faults(), NativeMachine), (["--no-native"], faults.Faults(), Machine),
    (["--timed"], faults.Faults(), TimedMachine),
    (["--timed"], faults.Faults(dead_cores=((0, 0, 5),)), TimedFaultyMachine),
    (["--no-native"], faults.Faults(dropped_packets=0.5), FaultyMachine)])
def test_a_machine_is_of_its_kind(words, wrong, kind):
    machine = cli._machine(cli.parser().parse_args(["--version", "3", *words]), wrong, ["127.0.0.9"], None)
    assert isinstance(machine, kind) and len(machine.chips) == 4
    assert machine.chips[0, 0].bus.read(SV_BASE + SV.IP_ADDR, 4) == bytes((127, 0, 0, 9))


def test_what_a_board_leaves_behind_is_what_was_asked_for(tmp_path):
    saved, ask, times = [], SimpleNamespace, str(tmp_path / "times.json")
    control = ask(save=saved.append)
    timed, plain = TimedMachine(3, report=print), Machine(3, report=print)
    for options, machine, left in ((ask(snapshot="s", at=None, times=None), timed, (["s"], False)),
                                   (ask(snapshot="s", at=5.0, times=None), timed, ([], False)),
                                   (ask(snapshot=None, at=None, times=times), plain, ([], False)),
                                   (ask(snapshot=None, at=None, times=times), timed, ([], True))):
        assert cli._end(options, control, machine) == 0
        assert (saved, Path(times).exists()) == left
        saved.clear()
    assert json.loads(Path(times).read_text())["programs"] == []


class Stand:
    """In the place of a board that is served, and of a home directory."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def keys(self):
        """No variables."""
        return ()

    def configuration(self):
        """Of no front end."""
        return ""


@pytest.mark.parametrize("ending, code", [("0", 0), ("sys.exit(3)", 3), ("os.kill(os.getpid(), signal.SIGTERM)", 143)])
def test_a_script_ends_with_its_code_or_as_a_shell_says_it(ending, code, tmp_path, monkeypatch):
    path, popen = tmp_path / "ends.py", subprocess.Popen
    path.write_text(f"import os, signal, sys\n{ending}\n")
    monkeypatch.setattr(script, "Board", lambda **_: Stand())
    monkeypatch.setattr(script.front_ends, "private_home", lambda board: Stand())
    monkeypatch.setattr(script.subprocess, "Popen", lambda command, env: popen([sys.executable, command[-1]], env=env))
    assert script.run([str(path)]) == code


@pytest.mark.parametrize("words, told", [([], 1), (["--timed"], 1), (["--no-native"], 0)])
def test_that_cores_run_in_python_is_told_unless_it_is_meant(monkeypatch, capsys, words, told):
    monkeypatch.setattr(cli, "library", lambda: None)
    machine = cli._machine(cli.parser().parse_args(["--version", "3", *words]), faults.Faults(), ["127.0.0.1"], None)
    assert type(machine) is (TimedMachine if "--timed" in words else Machine)
    assert capsys.readouterr().err.count("board: cores run in Python, some 100 times slower") == told
