"""Every line that the doctor may write, each by itself: of made-up packages, boards and answers; nothing is asked."""

import socket
import struct
from importlib import metadata

import pytest
from packaging.requirements import Requirement

from spikingconvnet.cli import doctor
from spikingconvnet.cli.doctor import BROKEN, MISSING, OK, Line


def line(found):
    return found.name, found.state, found.text, found.fix


@pytest.mark.parametrize("found, extra, expected", [
    ("2.0", None, (OK, "2.0, wanted >=2,<3", "")), ("2.0.dev1", None, (BROKEN, "2.0.dev1, wanted >=2,<3",
                                                                  "pip install 'x>=2,<3'")),
    ("2.5rc1", None, (OK, "2.5rc1, wanted >=2,<3", "")), ("3.0", "more", (BROKEN, "3.0, wanted >=2,<3",
                                                                     "pip install 'spikingconvnet[more]'")),
    (None, None, (MISSING, "not installed, wanted >=2,<3", "pip install 'x>=2,<3'"))])
def test_a_package_of_our_own(found, extra, expected):
    assert line(doctor._own("x", ">=2,<3", extra, {"x": found})) == ("spikingconvnet - x", *expected)


@pytest.mark.parametrize("found, expected", [
    (None, (BROKEN, "not installed, wanted >=2", "pip install 'y>=2'")), ("1", (BROKEN, "1, wanted >=2",
                                                                               "pip install 'y>=2'")),
    ("2rc1", (BROKEN, "2rc1, wanted >=2", "pip install 'y>=2'")), ("3a1", (OK, "3a1, wanted >=2", ""))])
def test_what_a_package_wants_of_another(found, expected):
    assert line(doctor._pair("x", Requirement("y>=2"), found)) == ("x - y", *expected)


def test_only_what_matters_of_installed_packages_is_looked_at():
    installed = {"numba": "1", "sPyNNaker": "1", "numpy": "2.3", "PyNN": "0.1", "scipy": "1"}

    def version(name):
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return installed[name]

    wants = {"numba": ["numpy>=2.4", "other>=1", "scipy", "PyNN>1; extra == 'x'"], "sPyNNaker": None}
    found = list(doctor._pairs(version, wants.get))
    assert [line(one)[:3] for one in found] == [("numba - numpy", BROKEN, "2.3, wanted >=2.4"),
                                                ("sPyNNaker - numpy", OK, "2.3, wanted <2.4")]


def test_scipy_comes_behind_numba_with_names_in_any_spelling():
    def version(name):
        if name == "missing":
            raise metadata.PackageNotFoundError(name)
        return "2"

    wants = {"scipy": ["Lazy_Array>=1", "LazyArray>=1; python_version > '3'", "sympy>1; python_version < '3'"]}
    found = {one.name: one.state for one in doctor._pairs(version, lambda name: wants.get(name, ()))}
    assert found == {"scipy - LazyArray": OK, "sPyNNaker - numpy": OK}


@pytest.mark.parametrize("installed, expected", [
    ({"a": "1", "b": "2"}, (OK, "a 1, b 2", "")), ({"a": None, "b": "2"}, (MISSING, "a not installed",
                                                                      "pip install 'spikingconvnet[extra]'")),
    ({"a": None, "b": None}, (MISSING, "a, b not installed", "pip install 'spikingconvnet[extra]'"))])
def test_what_a_backend_needs(installed, expected):
    assert line(doctor._needs("backend x", ("a", "b"), installed, "extra")) == ("backend x", *expected)


def test_what_is_compiled(tmp_path):
    assert line(doctor._compiled("x", tmp_path, "slow work")) == (
        "x", OK, "compiled extension not built, slow work", "install a C compiler, then: pip install -e .")
    (tmp_path / f"_native{doctor.EXTENSION_SUFFIXES[0]}").touch()
    assert line(doctor._compiled("x", tmp_path, "slow work")) == ("x", OK, "compiled extension built", "")


ALL = dict.fromkeys(("unicorn", "sPyNNaker", "nest-simulator", "PyNN", "brian2"), "1")


@pytest.mark.parametrize("compiled, missing, emulator, target", [
    (True, (), "compiled extension built", (OK, "a SpiNN-5 in memory")),
    (False, (), "compiled extension not built, pure Python does its work, some 10 times slower",
     (OK, "a SpiNN-5 in memory")),
    (True, ("unicorn",), "compiled extension built; unicorn not installed, which --fault slow-core needs",
     (OK, "a SpiNN-5 in memory")),
    (False, ("unicorn",), "unicorn not installed", (MISSING, "needs sPyNNaker and unicorn")),
    (True, ("sPyNNaker",), "compiled extension built", (MISSING, "needs sPyNNaker")),
    (False, ("sPyNNaker", "unicorn"), "unicorn not installed", (MISSING, "needs sPyNNaker and unicorn"))])
def test_backends_and_the_emulated_board(monkeypatch, tmp_path, compiled, missing, emulator, target):
    monkeypatch.setattr(doctor, "_is_compiled", lambda directory: compiled)
    installed = {**ALL, **dict.fromkeys(missing)}
    backends = list(doctor._backends(installed))
    assert [one.name for one in backends] == ["backend local", "backend nest", "backend brian2", "backend spinnaker",
                                              "emulator"]
    assert backends[1].text == "nest-simulator 1, PyNN 1" and backends[-1].text == emulator
    assert backends[3].state == (MISSING if "sPyNNaker" in missing else OK)
    first, second, *_ = doctor._targets(None, installed, tmp_path)
    assert line(first)[:3] == ("target emulated", *target) and line(second)[1:] == (
        OK, "maps networks and computes nothing; refused for training and testing", "use --target emulated")


def test_targets_that_are_always_told_and_those_asked_for(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "_board", lambda target: Line("asked", OK, target))
    names = [[one.name for one in doctor._targets(target, ALL, tmp_path)] for target in (
        None, "emulated", "virtual", "spin5")]
    assert names[0] == names[1] == names[2] == ["target emulated", "target virtual", "target spalloc:URL"]
    assert names[3] == [*names[0], "asked"]
    (tmp_path / "spynnaker.cfg").touch()
    assert line(list(doctor._targets(None, ALL, tmp_path))[3]) == (
        "configuration", BROKEN, "spynnaker.cfg in this directory would override --target", "run in another directory")


@pytest.mark.parametrize("user, password, text", [
    ("", "", "SPALLOC_USER and SPALLOC_PASSWORD not set"), ("a", "", "SPALLOC_PASSWORD not set"),
    ("", "b", "SPALLOC_USER not set"), ("a", "b", "SPALLOC_USER and SPALLOC_PASSWORD are set")])
def test_a_login_for_spalloc(monkeypatch, user, password, text):
    monkeypatch.setenv("SPALLOC_USER", user)
    monkeypatch.setenv("SPALLOC_PASSWORD", password)
    found = doctor._spalloc()
    assert (found.text, found.state) == (text, OK if user and password else MISSING) and bool(found.fix) == (
        found.state == MISSING)


@pytest.mark.parametrize("answer, state, text", [
    (("SC&MP/SpiNNaker", 4, 0), OK, "SC&MP/SpiNNaker 4.0 answers"), (("SC&MP", 5, 1), OK, "SC&MP 5.1 answers"),
    (("SC&MP", 3, 9), BROKEN, "SC&MP 3.9, wanted 4.0 or later"),
    (TimeoutError(), BROKEN, "no answer on UDP port 17893 within 1 s"),
    (OSError(1, "not allowed"), BROKEN, "cannot be asked (not allowed)"), (OSError(None, "x"), BROKEN,
                                                                          "cannot be asked (x)")])
def test_a_board_is_asked_for_its_version(monkeypatch, answer, state, text):
    asked = []

    def ask(host):
        asked.append(host)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(doctor, "_ask_version", ask)
    for target in ("spin5", "spin3:10.0.0.1", "board.example"):
        found = doctor._board(target)
        assert (found.name, found.state, found.text) == (f"target {target}", state, text)
    assert asked == ["192.168.240.1", "10.0.0.1", "board.example"] and bool(found.fix) == (state == BROKEN)
    assert line(doctor._board("spalloc:x"))[:3] == ("target spalloc", OK,
                                                    "a server is asked for boards when a run starts")


def answer(number, text, ok=0x80):
    return struct.pack("<2x8s2H4xI4x", b"header__", ok, 0, number << 16) + text


@pytest.mark.parametrize("data, found", [
    (answer(133, b"SC&MP\0"), ("SC&MP", 1, 33)), (answer(400, b"SC&MP"), ("SC&MP", 4, 0)),
    (answer(0xffff, b"SC&MP/SpiNNaker\x004.0.1\0"), ("SC&MP/SpiNNaker", 4, 0)), (answer(0xffff, b"x\x0012.34"), (
        "x", 12, 34)), (answer(0xffff, b"only"), None), (answer(0xffff, b"x\0y"), None),
    (answer(133, b"x", ok=0x81), None), (answer(133, b""), None), (b"", None)])
def test_a_version_is_read_from_an_answer(data, found):
    assert len(answer(1, b"")) == 26
    if found is None:
        with pytest.raises(OSError, match="answers what no SC&MP does"):
            doctor._version_in(data)
    else:
        assert doctor._version_in(data) == found


class Link:
    """In the place of a socket: what is done with it, and an answer."""

    def __init__(self, *kind):
        self.done = [kind]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.done.append("closed")

    def __getattr__(self, name):
        return self.done.append

    def recv(self, n):
        self.done.append(n)
        return answer(133, b"x")


def test_the_message_that_asks_is_one_of_scp(monkeypatch):
    made = []
    monkeypatch.setattr(doctor.socket, "socket", lambda *kind: made.append(Link(*kind)) or made[0])
    assert doctor._ask_version("host") == ("x", 1, 33)
    message = bytes((0, 0, 0x87, 0xff, 0, 0xff)) + bytes(4 + 2 + 2 + 12)
    assert made[0].done == [(socket.AF_INET, socket.SOCK_DGRAM), 1.0, ("host", 17893), message, 512, "closed"]


@pytest.mark.parametrize("lines, right", [
    ([], True), ([Line("a", OK, "")], True), ([Line("a", BROKEN, "")], False), ([Line("a", MISSING, "")], True),
    ([Line("spikingconvnet - numpy", MISSING, "")], False), ([Line("spikingconvnet - numpy", OK, "")], True),
    ([Line("spikingconvnet - unicorn", MISSING, "")], True), ([Line("a", OK, ""), Line("b", BROKEN, "")], False)])
def test_what_every_command_needs_is_there_or_not(lines, right):
    assert doctor.healthy(lines) == right


def test_python_is_one_that_is_wanted(monkeypatch):
    for version, state in (((3, 9, 18), BROKEN), ((3, 10, 0), OK), ((3, 13, 9), OK), ((3, 14, 0), BROKEN)):
        monkeypatch.setattr(doctor.sys, "version_info", (*version, "final", 0))
        found = doctor._python()
        told = ".".join(map(str, version)) + ", wanted >=3.10,<3.14"
        assert line(found)[:3] == ("spikingconvnet - Python", state, told) and bool(found.fix) == (state == BROKEN)


def test_a_line_has_a_column_of_states():
    assert str(Line("a", OK, "b")) == "ok      a: b" and str(Line("a", BROKEN, "b", "c")) == "broken  a: b; c"
