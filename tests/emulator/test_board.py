"""A board in its own process: its address, its life, datagrams of all kinds, scripts."""

import os
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spikingconvnet.emulator import Board, SetupError, cli, script
from spikingconvnet.emulator.ethernet import Ethernet
from spikingconvnet.emulator.packets import BOOT_PORT, SCP_PORT, SDP, UDP_PADDING, Command

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def board():
    with Board(version=3) as made:
        yield made


def exchange(host, code, *arguments):
    """The payload of the board's answer to an SCP command, over UDP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        payload = struct.pack("<2H3I", code, 1, *(*arguments, 0, 0, 0)[:3])
        sock.sendto(UDP_PADDING + SDP(0x87, 0xff, 0, 0xff, 0, 0, payload).encode(), (host, SCP_PORT))
        return SDP.decode(sock.recv(512)[2:]).payload


def test_a_board_answers_on_its_own_loopback_address(board):
    assert board.host.startswith("127.") and board.host != "127.0.0.1" and board.hosts == [board.host]
    assert b"SC&MP" in exchange(board.host, Command.VER)


def test_boards_live_side_by_side_and_end_with_their_block(board):
    with Board(version=3) as other:
        assert other.host != board.host
        assert b"SC&MP" in exchange(other.host, Command.VER)
        process = other.process_id
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_a_board_ends_with_the_process_that_started_it():
    code = ("import os\nfrom spikingconvnet.emulator import Board\nboard = Board(version=3).__enter__()\n"
            "print(board.process_id, flush=True)\nos._exit(0)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    for _ in range(1200):
        if not Path(f"/proc/{int(done.stdout)}/cmdline").exists() or not Path(
                f"/proc/{int(done.stdout)}/cmdline").read_bytes():
            return
        time.sleep(0.1)
    pytest.fail("the board outlived its owner")


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0\x87", bytes(2000), b"\xff" * 300])
@pytest.mark.parametrize("port", [SCP_PORT, BOOT_PORT])
def test_noise_is_dropped(board, data, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(data, (board.host, port))
    assert b"SC&MP" in exchange(board.host, Command.VER)


def test_a_reverse_tag_listens_until_it_is_cleared(board):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((board.host, 0))
        free = probe.getsockname()[1]
    exchange(board.host, Command.IPTAG, 2 << 28 | 1 << 16 | 0x21 << 8 | 1, free)

    def taken():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            try:
                sock.bind((board.host, free))
            except OSError:
                return True
            return False

    assert taken()
    exchange(board.host, Command.IPTAG, 3 << 16 | 1)
    assert not taken()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "localhost", "::1", ""])
def test_only_loopback_addresses_are_listened_on(host):
    if host:
        with pytest.raises(SetupError, match="must be a loopback address"):
            Ethernet(host)
    else:
        with pytest.raises(SetupError, match="127.0.0.1"):
            first, second = Ethernet("127.0.0.1"), None
            try:
                second = Ethernet("127.0.0.1")
            finally:
                for sock in (*first._ports.values(), *first._wakers):
                    sock.close()
                assert second is None


SCRIPT = """
import os, sys
from pathlib import Path
print(sys.argv[1:], os.getcwd(), Path.home() / ".spynnaker.cfg", (Path.home() / ".spynnaker.cfg").read_text(), sep="|")
import helper
sys.exit(int(sys.argv[1]))
"""


def test_a_script_keeps_its_arguments_directory_neighbours_and_exit_code(tmp_path):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "try_it.py").write_text(SCRIPT)
    (tmp_path / "scripts" / "helper.py").write_text("")
    command = [sys.executable, "-m", "spikingconvnet.emulator", "--version", "3", "scripts/try_it.py", "7", "--version"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 7, done.stderr
    arguments, place, configuration, text = done.stdout.strip().split("|")
    assert arguments == "['7', '--version']" and Path(place) == tmp_path
    assert "version = 3\nmachine_name = 127." in text and not Path(configuration).exists()
    assert not configuration.startswith(str(Path.home()))


def test_a_script_that_is_not_there_is_an_error_without_a_board(capsys):
    assert cli.main(["nowhere.py"]) == 2
    assert capsys.readouterr().err == "error: nowhere.py: no such script; give its path, or a module as -m NAME\n"
    with pytest.raises(SetupError):
        script.run(["nowhere.py"])


def test_a_board_that_cannot_start_says_so():
    with pytest.raises(SetupError, match="did not start"):
        Board(version=3, host="192.0.2.1", log=subprocess.DEVNULL).__enter__()


LIMITED = """
import resource, sys
from spikingconvnet.emulator import cli
limit, value = sys.argv[1:]
resource.setrlimit(getattr(resource, limit), (int(value), int(value)))
sys.exit(cli.main(["--version", "3"]))
"""


@pytest.mark.parametrize("limit, value, reason", [("RLIMIT_AS", 512 << 20, "Cannot allocate memory"),
                                                  ("RLIMIT_NOFILE", 6, "Too many open files")])
def test_what_the_system_refuses_a_board_is_a_sentence(limit, value, reason):
    done = subprocess.run([sys.executable, "-c", LIMITED, limit, str(value)], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=600)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.startswith(f"error: the system refuses what a board needs ({reason}): 512 MB of address space")


def test_the_board_s_process_runs_the_package_of_the_one_that_starts_it(monkeypatch):
    found = {}

    def popen(arguments, env, **options):
        found.update(env)
        raise InterruptedError

    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    monkeypatch.setattr(subprocess, "Popen", popen)
    with pytest.raises(InterruptedError):
        Board(version=3).__enter__()
    assert found["PYTHONPATH"] == os.pathsep.join([str(ROOT), "elsewhere"])
