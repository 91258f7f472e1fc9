"""What is said while a command works: levels, bars on a terminal, and lines between them."""

import fcntl
import logging
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import pytest

from spikingconvnet.cli import main as cli
from spikingconvnet.cli import messages
from spikingconvnet.model.learning import tell

ROOT = Path(__file__).resolve().parents[2]
BARS = """
import logging, time
from spikingconvnet.cli.messages import TICK, error, heard, progress, say, step
from spikingconvnet.model.learning import tell
log = logging.getLogger("somewhere")
with heard():
    with step("outer"):
        steps = progress(range(6), "inner")
        for n in steps:
            say(f"said {n}")
            log.warning("warned %d", n)
            tell(steps, loss=0.5 / (n + 1))
            time.sleep(0.3)
        time.sleep(1.5 * TICK)
    for n in progress(range(9), "left open"):
        time.sleep(0.2)
        break
    error("error: the end")
"""


def shown(*words):
    """What a command writes to a terminal as its stderr: bytes as text."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 100, 0, 0))
    with subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL, stderr=theirs,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}) as process:
        os.close(theirs)
        found = bytearray()
        reader = threading.Thread(target=_read, args=(ours, found))
        reader.start()
        assert process.wait(120) == 0
        reader.join()
    os.close(ours)
    return found.decode()


def _read(descriptor, found):
    try:
        while block := os.read(descriptor, 4096):
            found += block
    except OSError:         # the other end is closed
        pass


def screen(text):
    """The lines that a terminal is left with."""
    lines, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[0-9;]*[A-Za-z]|[^\x1b]", text):
        if part == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif part == "\r":
            column = 0
        elif part == "\x1b[A":
            row -= 1
        elif part == "\x1b[K":
            lines[row] = lines[row][:column]
        else:
            lines[row] = f"{lines[row][:column]:<{column}}{part}{lines[row][column + 1:]}"
            column += 1
    return [line.rstrip() for line in lines]


def test_a_terminal_is_left_with_whole_lines_and_no_bar():
    found = shown("-c", BARS)
    said = [line for n in range(6) for line in (f"said {n}", f"warned {n}")]
    assert [line for line in screen(found) if line] == [*said, "error: the end"]
    assert re.search(r"inner:.*\d/6 \[.*<\d\d:\d\d.*loss=0\.25", found), "a rest of time and a loss"
    assert len(set(re.findall(r"outer: (\d\d:\d\d)", found))) > 1, "a step that does not know how far it is ticks"


def test_a_screen_shows_what_collides():
    assert screen("bar 1/2\rline") == ["line1/2"] and screen("a\r\nb\x1b[A\rc") == ["c", "b"]


def test_a_loss_is_for_bars_and_nothing_else():
    told = {}

    class Bar:
        set_postfix = told.update

    tell(Bar, loss=1.0)
    tell(iter(()), loss=2.0)
    assert told == {"loss": 1.0}


@pytest.mark.parametrize("option, heard", [(None, ["warned", "said"]), ("--quiet", ["warned"]), ("-q", ["warned"]),
                                           ("--verbose", ["doctor", "warned", "said", "looked"])])
def test_quiet_and_verbose(option, heard, monkeypatch, capsys):
    log = logging.getLogger("spikingconvnet.somewhere")

    def doctor(_, options):
        log.warning("warned")
        messages.say("said")
        log.debug("looked")
        return {"text": "the result"}

    monkeypatch.setitem(cli.MODES, "doctor", doctor)
    assert cli.main(["--mode", "doctor", *filter(None, [option])]) == 0
    out, err = capsys.readouterr()
    assert out == "the result\n" and [line.split()[-1] for line in err.splitlines()] == heard
    assert err.startswith("warned") == (option != "--verbose")
    before = logging.getLogger().level, log.getEffectiveLevel()
    assert cli.main(["--mode", "doctor", "--quiet"]) == 0
    assert (logging.getLogger().level, log.getEffectiveLevel()) == before, "a command leaves logging as it was"


def test_an_error_is_heard_however_quiet(capsys):
    assert cli.main(["--mode", "info", "--seed", "-1", "--quiet"]) == 2
    assert capsys.readouterr().err.startswith("error: --seed")
    assert cli.main(["--mode", "info", "--quiet", "--verbose"]) == 2


def test_verbose_says_where_an_error_was_raised(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["--mode", "info", "--run-dir", "nowhere", "-v"]) == 5
    assert re.search(r"StoreError of .*directory\.py:\d+", capsys.readouterr().err)


@pytest.mark.parametrize("argv, orig, text", [
    (["main.py"], ["python", "main.py"], "python main.py"),
    (["../a b/main.py"], [".venv/bin/python", "../a b/main.py"], ".venv/bin/python '../a b/main.py'"),
    (["/x/spikingconvnet/__main__.py"], ["python3", "-m", "spikingconvnet"], "python3 -m spikingconvnet"),
    (["/no where/bin/spikingconvnet"], ["/no where/bin/python"], "'/no where/bin/spikingconvnet'"),
    ([""], ["python"], "spikingconvnet")])
def test_a_command_is_named_as_a_shell_takes_it(argv, orig, text, monkeypatch):
    monkeypatch.setattr(sys, "argv", argv)
    monkeypatch.setattr(sys, "orig_argv", orig)
    assert messages.program() == text


def test_an_installed_command_that_is_found_by_its_name_is_named_so(tmp_path, monkeypatch):
    path = tmp_path / "spikingconvnet"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", [str(path)])
    assert messages.program() == "spikingconvnet"


def test_bars_are_for_terminals(capsys):
    with messages.heard():
        assert list(messages.progress(range(3), "loop")) == [0, 1, 2]
        with messages.step("a step"):
            time.sleep(0.01)
    assert capsys.readouterr().err == ""
