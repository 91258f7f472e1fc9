"""The doctor on installations that are made up, on this one, and asking an emulated board."""

import base64
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from importlib import metadata
from pathlib import Path

import pytest
import service
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from spikingconvnet.cli import doctor
from spikingconvnet.cli import main as cli
from spikingconvnet.cli.doctor import BROKEN, MISSING, OK, OWN, Line, examine, healthy
from spikingconvnet.emulator import Board

ROOT = Path(__file__).resolve().parents[2]
GOOD = {"numpy": "2.4.6", "scipy": "1.17.1", "numba": "0.68.1", "scikit-learn": "1.9.1", "matplotlib": "3.11.2",
        "python-mnist": "0.7", "pillow": "12.0.0", "pooch": "1.8.2", "tqdm": "4.70.1", "packaging": "26.3",
        "filelock": "4.3.1", "psutil": "7.2.2"}
WANTS = {"numba": ["llvmlite<0.51,>=0.50", "numpy<2.6,>=1.22"],
         "sPyNNaker": ["pyNN!=0.12.0,>=0.11", "sphinx; extra == 'x'"]}


def lines_of(installed, target=None, here=Path("nowhere")):
    """Lines by name for a made-up installation: package to version."""
    def version(name):
        found = {k.lower(): v for k, v in installed.items()}
        if name.lower() not in found:
            raise metadata.PackageNotFoundError(name)
        return found[name.lower()]

    lines = examine(target, version, WANTS.get, here)
    assert len({line.name for line in lines}) == len(lines)
    return {line.name: line for line in lines}


def test_a_good_installation_is_healthy_and_says_what_is_optional():
    lines = lines_of(GOOD | {"llvmlite": "0.50.0"})
    assert healthy(lines.values())
    assert lines["spikingconvnet - numpy"] == Line("spikingconvnet - numpy", OK, "2.4.6, wanted >=1.26")
    assert lines["numba - numpy"].state == OK
    assert lines["spikingconvnet - sPyNNaker"].state == lines["target emulated"].state == MISSING
    assert lines["backend nest"].fix == "pip install 'spikingconvnet[nest]'"
    assert "extension" in lines["backend local"].text


@pytest.mark.parametrize("built, state, text, ready", [
    (True, OK, "compiled extension built; unicorn not installed, which --fault slow-core needs", OK),
    (False, MISSING, "unicorn not installed", MISSING)])
def test_compiled_cores_need_no_unicorn(monkeypatch, built, state, text, ready):
    monkeypatch.setattr(doctor, "_is_compiled", lambda directory: built)
    lines = lines_of(GOOD | {"sPyNNaker": "1!7.4.1"})
    assert (lines["emulator"].state, lines["emulator"].text) == (state, text)
    assert lines["emulator"].fix == "pip install 'spikingconvnet[emulator]'"
    assert lines["target emulated"].state == ready


@pytest.fixture
def there(tmp_path, monkeypatch):
    """A queue's service that takes a token which is good for two hours."""
    claims = base64.urlsafe_b64encode(json.dumps({"exp": time.time() + 7200}).encode()).decode().rstrip("=")
    made = service.Service(None, f"eyJhbGciOi.{claims}.s3cret")
    service.installed(monkeypatch, made, tmp_path / ".hbptoken")
    monkeypatch.setenv("OIDC_BEARER_TOKEN", made.token)
    return made


def test_a_queue_is_asked_whom_the_token_is_of_and_for_quota(there, tmp_path, capsys):
    assert cli.main(["--mode", "doctor", "--collab", "my-collab"]) == 0
    said = capsys.readouterr()
    assert "ok      queue ebrains - account: the token is of ada, good for 2.0 h\n" in said.out
    assert "ok      queue ebrains - quota of my-collab: 20 of 5000 core-hours used" in said.out
    assert there.jobs == {} and "s3cret" not in said.out + said.err and not (tmp_path / ".hbptoken").exists()


def test_what_a_queue_lacks_is_told_with_its_fix(there, monkeypatch):
    def told(collab="my-collab"):
        return {line.name.partition(" - ")[2]: line for line in doctor.queue(collab)}

    there.quotas["my-collab"][0]["usage"] = 5000.0
    line = told()["quota of my-collab"]
    assert (line.state, line.text) == (BROKEN, "5000 of 5000 core-hours used") and "under Quotas" in line.fix
    assert told("other")["quota of other"].text == "none on SpiNNaker"
    assert list(told(None)) == ["client", "account"]
    monkeypatch.setenv("OIDC_BEARER_TOKEN", "expired")
    assert "get a new one and set OIDC_BEARER_TOKEN" in told()["account"].text and not healthy(told().values())
    monkeypatch.setattr(there, "token", "no-jwt")
    monkeypatch.setenv("OIDC_BEARER_TOKEN", "no-jwt")
    assert told()["account"].text == "the token is of ada"
    monkeypatch.delenv("OIDC_BEARER_TOKEN")
    assert "set OIDC_BEARER_TOKEN in the environment" in told()["account"].text
    monkeypatch.setitem(sys.modules, "nmpi", None)

    def nothing(name):
        raise metadata.PackageNotFoundError(name)

    client, account = doctor.queue(None, nothing)
    assert client.state == MISSING and "spikingconvnet[ebrains]" in client.fix and account.state == BROKEN


@pytest.mark.parametrize("change, name, text, fix", [
    ({"numpy": None}, "spikingconvnet - numpy", "not installed", "pip install 'numpy>=1.26'"),
    ({"numpy": "1.25.0"}, "spikingconvnet - numpy", "1.25.0, wanted >=1.26", "pip install 'numpy>=1.26'"),
    ({"numpy": "2.7.1"}, "numba - numpy", "2.7.1, wanted <2.6,>=1.22", "pip install 'numpy<2.6,>=1.22'"),
    ({"llvmlite": None}, "numba - llvmlite", "not installed", "pip install 'llvmlite<0.51,>=0.50'"),
    ({"sPyNNaker": "1!7.4.1", "PyNN": "0.12.0"}, "sPyNNaker - pyNN", "0.12.0, wanted !=0.12.0,>=0.11",
     "pip install 'pyNN!=0.12.0,>=0.11'"),
    ({"sPyNNaker": "1!7.3.0"}, "spikingconvnet - sPyNNaker", "1!7.3.0, wanted ==1!7.4.1", "spikingconvnet[spinnaker]")])
def test_every_pair_that_does_not_fit_has_its_line_and_its_fix(change, name, text, fix):
    installed = {k: v for k, v in (GOOD | {"llvmlite": "0.50.0"} | change).items() if v}
    lines = lines_of(installed)
    assert lines[name].state != OK and text in lines[name].text and fix in lines[name].fix
    assert not healthy(lines.values())


def test_its_own_pairs_are_those_of_setup_py():
    wanted = [Requirement(line) for line in metadata.requires("spikingconvnet")]
    assert {(one.name, one.specifier) for one in wanted if one.marker is None} == {
        (name, SpecifierSet(spec)) for name, spec, extra in OWN if extra is None}
    for name, spec, extra in OWN:
        assert extra is None or (name, SpecifierSet(spec)) in {
            (one.name, one.specifier) for one in wanted if one.marker and one.marker.evaluate({"extra": extra})}


def test_a_numpy_with_which_spynnaker_cannot_read_rewiring_is_named():
    line = lines_of(GOOD | {"sPyNNaker": "1!7.4.1", "PyNN": "0.13.0"})["sPyNNaker - numpy"]
    assert line.state == BROKEN and line.fix == "pip install 'numpy<2.4'"
    assert lines_of(GOOD | {"numpy": "2.3.5", "sPyNNaker": "1!7.4.1"})["sPyNNaker - numpy"].state == OK


def test_a_configuration_in_this_directory_is_named(tmp_path):
    (tmp_path / "spynnaker.cfg").write_text("")
    line = lines_of(GOOD, here=tmp_path)["configuration"]
    assert line.state == BROKEN and "another directory" in line.fix


def test_secrets_are_only_said_to_be_set(monkeypatch):
    monkeypatch.setenv("SPALLOC_USER", "me-myself")
    assert "SPALLOC_PASSWORD not set" in lines_of(GOOD)["target spalloc:URL"].text
    monkeypatch.setenv("SPALLOC_PASSWORD", "hunter2")
    lines = lines_of(GOOD, "spalloc:https://a:hunter2@example.org")
    assert lines["target spalloc:URL"].state == OK
    assert not any(secret in str(line) for line in lines.values() for secret in ("hunter2", "me-myself"))


# ---------------------------------------------------------------- boards


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    with (tmp_path_factory.mktemp("board") / "log").open("w") as log, Board(version=3, log=log) as made:
        yield made


def test_a_board_that_answers_says_its_version(board):
    assert lines_of(GOOD, board.host)[f"target {board.host}"] == Line(f"target {board.host}", OK, "SC&MP/SpiNNaker 4.0"
                                                                      " answers")


def test_an_old_board_is_named():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as old:
        old.bind(("127.0.0.97", doctor.SCP_PORT))

        def answer():
            _, sender = old.recvfrom(512)
            old.sendto(bytes(10) + b"\x80\0" + bytes(2) + bytes(4) + b"\0\1" + bytes([0x53, 1]) + bytes(4)
                       + b"SC&MP/SpiNNaker\0", sender)

        thread = threading.Thread(target=answer)
        thread.start()
        line = lines_of(GOOD, "127.0.0.97")["target 127.0.0.97"]
        thread.join()
    assert line.state == BROKEN and "3.39, wanted 4.0" in line.text and "power it off and on" in line.fix


def test_a_board_that_is_not_there_is_one_line():
    line = lines_of(GOOD, "127.0.0.98")["target 127.0.0.98"]
    assert line.state == BROKEN and ("cannot be asked" in line.text or "no answer" in line.text) and line.fix


@pytest.mark.parametrize("target, host", [("spin3", "192.168.240.253"), ("spin5", "192.168.240.1"),
                                          ("spin5:10.0.0.5", "10.0.0.5"), ("spin3:board", "board"), ("board", "board")])
def test_a_kind_of_board_is_asked_at_its_address(monkeypatch, target, host):
    asked = []
    monkeypatch.setattr(doctor, "_ask_version", lambda name: asked.append(name) or ("SC&MP", 4, 0))
    assert lines_of(GOOD, target)[f"target {target}"].state == OK and asked == [host]


@pytest.mark.parametrize("answer", [b"", b"\0" * 12, b"\0" * 60, bytes(10) + b"\x80\0" + bytes(6) + bytes(2)
                                    + b"\xff\xff" + bytes(4) + b"SC&MP\0what\0"])
def test_an_answer_that_is_not_a_versions_is_an_error_with_a_text(answer):
    with pytest.raises(OSError, match="answers what no SC&MP does"):
        doctor._version_in(answer)


# ---------------------------------------------------------------- the command


def test_the_command_prints_one_line_each_and_its_exit_code_tells(capsys):
    assert cli.main(["--mode", "doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 15 and all(re.match(r"(ok     |missing|broken ) [a-zA-Z]", line) for line in lines)
    assert cli.main(["--mode", "doctor", "--json", "--target", "127.0.0.98"]) == 3
    assert '"state": "broken"' in capsys.readouterr().out


def test_nothing_is_written_to_the_home_directory_and_no_simulator_is_imported(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    code = ("import sys; from spikingconvnet.cli.main import main; code = main(sys.argv[1:]);"
            "print([m for m in ('spynnaker', 'pyNN', 'nest', 'brian2') if m in sys.modules], file=sys.stderr);"
            "sys.exit(code)")
    done = subprocess.run([sys.executable, "-c", code, "--mode", "doctor"], capture_output=True, text=True, cwd=ROOT,
                          env={**os.environ, "HOME": str(home)})
    assert done.returncode == 0 and done.stderr.splitlines()[-1] == "[]" and list(home.iterdir()) == []
