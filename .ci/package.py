"""Build the distributions, install them where nothing else is, in empty folders, and use what was installed.

``make package`` runs it. The wheel is made from the source distribution. One environment has the wheel and what it
needs, and runs the demo; one has the emulated board alone, which is a distribution of its own, and numpy.
"""

import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = {path.relative_to(ROOT).as_posix() for pattern in ("*.py", "*.pyi", "py.typed", "page.*")
           for path in (ROOT / "spikingconvnet").rglob(pattern) if path.parent.name != "__pycache__"}


def run(*words, cwd, codes=(0,)):
    """A command's result: it has to end with one of the codes, and its time is told."""
    begin = time.perf_counter()
    done = subprocess.run([*map(str, words)], cwd=cwd, capture_output=True, text=True)
    print(f"{time.perf_counter() - begin:6.1f} s  {' '.join(Path(str(word)).name for word in words)}", flush=True)
    if done.returncode not in codes:
        raise SystemExit(f"exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def built(folder):
    """Paths of a wheel and the source distribution that it was built from, with all that belongs into the wheel."""
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, cwd=folder)
    wheel, source = next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))
    names = set(zipfile.ZipFile(wheel).namelist())
    compiled = sorted(name for name in names if name.endswith(".so"))
    assert names >= SOURCES, SOURCES - names
    assert {Path(name).name.split(".")[0] for name in compiled} == {"_native"} and len(compiled) == 2, compiled
    print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.2f} MB; {source.name}: {source.stat().st_size / 1e6:.2f} MB")
    return wheel, source


def environment(folder, name, *words):
    """The folder of programs of a new environment with what pip installs by some words."""
    run(sys.executable, "-m", "venv", folder / name, cwd=folder)
    run(folder / name / "bin/python", "-m", "pip", "install", "-q", *words, cwd=folder)
    return folder / name / "bin"


def empty(folder, name):
    """A new empty folder."""
    (folder / name).mkdir()
    return folder / name


def try_wheel(folder, wheel):
    """The demo in one command, with MNIST from its server, or from here if there is no network."""
    program, here = environment(folder, "whole", wheel) / "spikingconvnet", empty(folder, "empty")
    for words in (["--version"], ["--help"], ["--mode", "training", "--help"]):
        assert run(program, *words, cwd=here).stdout
    assert not run(program, "--mode", "doctor", cwd=here, codes=(0, 3)).stderr
    done = run(program, "--mode", "demo", cwd=here, codes=(0, 4))
    if done.returncode:
        assert "--source sklearn:digits" in done.stderr, done.stderr
        done = run(program, "--mode", "demo", "--source", ROOT / "data/mnist", cwd=here)
    accuracy = float(done.stdout.split()[-2])
    assert done.stdout.startswith("test accuracy ") and accuracy > 98.5, done.stdout
    print(f"          {done.stdout.strip()}")
    assert "test accuracy" in run(program, "--mode", "info", cwd=here).stdout


def try_board(folder):
    """The distribution of the emulated board, with numpy alone: it starts, and answers to its host."""
    programs, here = environment(folder, "light", ROOT / "board"), empty(folder, "nothing")
    listed = run(programs / "python", "-m", "pip", "list", "--format=freeze", cwd=folder).stdout
    assert {line.split("==")[0] for line in listed.split()} <= {"numpy", "pip", "setuptools",
                                                                "spikingconvnet-board"}, listed
    site = next((folder / "light/lib").glob("*/site-packages"))
    for name in ("spikingconvnet", "numpy", "numpy.libs"):
        size = sum(path.stat().st_size for path in (site / name).rglob("*") if path.is_file())
        print(f"          {name}: {size / 1e6:.1f} MB")
    run(programs / "python", "-c", "import spikingconvnet.emulator.cli", cwd=here)
    with subprocess.Popen([programs / "spikingconvnet-emulator", "--version", "3"], cwd=here, text=True,
                          stdout=subprocess.PIPE) as board:
        host = board.stdout.readline().split()[2].rstrip(";")
        assert b"SC&MP" in answered(host)
        board.send_signal(signal.SIGINT)
    assert board.returncode == 0


def answered(host):
    """What a board answers when it is asked for its version: an SDP header, SCP command 0."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.settimeout(30)
        link.sendto(struct.pack("<2x4B2H2H3I", 0x87, 0xff, 0, 0xff, 0, 0, 0, 0, 0, 0, 0), (host, 17893))
        return link.recv(512)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        made, _ = built(Path(name))
        try_board(Path(name))
        try_wheel(Path(name), made)
