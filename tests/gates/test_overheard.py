"""What a library prints behind Python's back is read, and stdout is as before."""

import os

import pytest

from spikingconvnet.gates.overheard import STDOUT, overheard


def test_lines_are_heard_and_not_shown(capfd):
    heard = []
    with overheard(heard.extend):
        os.write(STDOUT, b"one\ntw")
        print("of Python")
        os.write(STDOUT, b"o\n")
    os.write(STDOUT, b"after\n")
    assert heard == ["one\n", "two\n"] and capfd.readouterr().out == "after\n"


def test_more_than_a_pipe_holds_is_no_end(capfd):
    """A pipe holds 64 KiB; who prints waits for who listens, who may have stopped after a line."""
    heard = []
    with overheard(lambda lines: heard.append(next(lines))):
        for _ in range(20):
            os.write(STDOUT, b"x" * 9999 + b"\n")
    assert heard == ["x" * 9999 + "\n"] and capfd.readouterr().out == ""


def test_an_error_leaves_stdout_as_it_was(capfd):
    with pytest.raises(KeyboardInterrupt), overheard(list):
        raise KeyboardInterrupt
    os.write(STDOUT, b"after\n")
    assert capfd.readouterr().out == "after\n"


def test_without_a_stdout_nothing_is_heard(monkeypatch):
    def refuse(descriptor):
        raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr(os, "dup", refuse)
    heard = []
    with overheard(heard.extend):
        pass
    assert heard == []
