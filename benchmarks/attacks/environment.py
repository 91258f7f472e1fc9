"""Bad surroundings: rights, loops, long and odd names, closed and full streams, limits, no directories to write to.

One to three of them at once. A command is done or says in a sentence what is wrong, with a documented exit code. One
case of `fresh.OFTEN` is a new process, and of those with variables that Python and libraries read when they begin, one
of `START`.
"""

import contextlib
import ctypes
import os
import re
import resource
import shutil
from pathlib import Path

from attacks import fresh, small
from attacks.harness import Case

MODES = (["info"], ["info", "--json"], ["testing"], ["plot"], ["demo"], ["demo", "--rule", "random"], ["check"],
         ["training", "--layer", "1"], ["training", "--layer", "svm"], ["loaddata"], ["testing", "--record", "r.npz"])
CODES = 0, 2, 3, 4, 5, 9
DRAWN = 50          # one case of so many that are no new processes draws its figures
START = 10
NOBODY = 65534      # another user
NAMES = ("a b", "-x", "--json", "\u202eabc", "a\nb", "\x1b[31mred", "\udcff\udcfe", "x" * 255, "é" * 100, "%s{}",
         "'\"", "~", "$HOME", "*", "a\tb", ".", "..x", "\U0001f41b")
NO_PATHS = ("x" * 256, "d/" * 2100 + "run", "x" * 5000, "/dev/null/run", "/proc/run", "/dev/full", "/sys/kernel/run",
            "")
PARTS = ("results.json", "plots", "layers", "layers/1.npz", "data", "data/train.npz", "svm.npz", "features", ".lock",
         "parameters.py", "plots/inputs.png")
VARIABLES = {"HOME": ("/nonexistent", "/dev/null", "", "/proc", None), "TMPDIR": ("/nonexistent", "/proc", "/dev/full"),
             "MPLCONFIGDIR": ("/nonexistent/x", "/proc/x", "/dev/full"), "MPLBACKEND": ("TkAgg", "nonsense", "module://x"),
             "LC_ALL": ("C", "nonsense", "POSIX"), "PYTHONIOENCODING": ("ascii", "ascii:strict", "latin-1"),
             "PYTHONUTF8": ("0", "1"), "PYTHONWARNINGS": ("error", "always", "nonsense"),
             "PYTHONUNBUFFERED": ("1",), "PYTHONCOERCECLOCALE": ("0",), "PYTHONDONTWRITEBYTECODE": ("1",),
             "PYTHONPYCACHEPREFIX": ("/proc",),
             "COLUMNS": ("0", "1", "-5", "x", "9" * 30), "OMP_NUM_THREADS": ("0", "x", "100000"),
             "TERM": ("dumb", ""),
             "NUMBA_CACHE_DIR": ("/nonexistent",), "NUMBA_NUM_THREADS": ("x", "0"),
             "XDG_CACHE_HOME": ("/proc", "/dev/full"), "XDG_CONFIG_HOME": ("/proc",),
             "OPENBLAS_NUM_THREADS": ("0", "x"), "PATH": ("", "/nonexistent"), "TZ": ("x",),
             "MATPLOTLIBRC": ("/nonexistent",)}
AT_RUN = {"HOME", "TMPDIR", "LC_ALL", "PYTHONIOENCODING", "PYTHONUNBUFFERED", "PYTHONWARNINGS", "COLUMNS", "TERM",
          "PATH", "TZ"}


class World:
    """What a case changes before its command begins."""

    def __init__(self, where):
        self.where, self.run, self.parameters = where, str(where / "run"), str(where / "parameters.py")
        self.told, self.before, self.inside, self.quiet, self.new = [], [], [], False, fresh.OFTEN
        self.unheard = False            # whether nothing can be written to stdout
        self.grumbling = False          # whether Python itself says something, before a line of the package


def prepare(directory):
    """A finished run that everybody can read."""
    directory.parent.chmod(0o755)
    return small.run(directory, tiny=True)


def case(context, rng, where):
    """A command in surroundings some of which are bad."""
    world, mode = World(where), MODES[rng.integers(len(MODES))]
    for k in rng.choice(len(CHANGES), rng.integers(1, 4), replace=False):
        CHANGES[k](world, rng)
    new, drawn = fresh.drawn(rng, world.new), fresh.drawn(rng, DRAWN)
    return Case(f"{' '.join(mode)}: {'; '.join(world.told)}{'; a new process' * new}",
                lambda: _work(context, world, mode, new, drawn), lambda outcome: _judged(outcome, world, mode))


def _work(context, world, mode, new, drawn):
    shutil.copytree(context, world.where / "run")
    text = (context.parent / "parameters.py").read_text()
    (world.where / "parameters.py").write_text(text.replace('"digits"', repr(str(context.parent / "digits"))))
    (world.where / "cwd").mkdir()
    os.chdir(world.where / "cwd")
    words = ["--mode", *mode, f"--parameters={world.parameters}", f"--run-dir={world.run}"]
    work = fresh.program(words, new=new, light=not (new or drawn))
    for change in (*world.before, *world.inside):
        change()
    work()


def _judged(outcome, world, mode):
    if outcome.code == 1 and world.grumbling and world.quiet:
        return None                     # Python could not say it
    if outcome.code not in CODES:
        return f"ends with {outcome.code}"
    if outcome.code and not world.quiet and not re.search("(^|\n)(error: |usage: )", outcome.stderr):
        return f"ends with {outcome.code} and no sentence"
    if not outcome.code and world.unheard and mode[0] in ("info", "testing", "demo", "check"):
        return "done, though no one was told the result"
    if "Exception ignored" in outcome.stderr:
        return "an exception that was ignored"
    return None


def _one(rng, values):
    return values[rng.integers(len(values))]


def bound(world, rng):
    """Rights bind: what a root must not do is taken from it, for this process and those that it becomes."""
    world.told.append("rights bind")
    world.inside.append(_give_up)


def _give_up():
    """Drop the two capabilities by which root reads and writes what it has no rights for (capabilities(7))."""
    libc, header, sets = ctypes.CDLL(None), (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    for capability in (1, 2):
        libc.prctl(24, capability, 0, 0, 0)         # PR_CAPBSET_DROP
    libc.capget(header, sets)
    for k in range(3):
        sets[k] &= ~0b110
    libc.capset(header, sets)


def rights(world, rng):
    """Rights of a part taken away, which binds a user who is not root."""
    part, mode = _one(rng, (*PARTS, ".", "../cwd", "../parameters.py")), _one(rng, (0, 0o111, 0o444, 0o555, 0o600))
    world.told.append(f"rights of {part}: {mode:o}")
    path = world.where / "run" / part
    world.before.append(lambda: path.is_symlink() or _quietly(os.chmod, path, mode))        # a link may be to a device
    bound(world, rng)


def owned(world, rng):
    """Everything owned by another user."""
    def change():
        for folder, _, files in os.walk(world.where):
            for name in ("", *files):
                _quietly(os.lchown, Path(folder, name), NOBODY, NOBODY)

    world.told.append("another user's")
    world.before.append(change)
    bound(world, rng)


def replaced(world, rng):
    """Something else in the place of a part: a loop, a directory, a file, a pipe, a link to nowhere or to a device."""
    part, kind = _one(rng, PARTS), _one(rng, ("loop", "folder", "file", "pipe", "nowhere", "/dev/full", "/dev/null"))
    path = world.where / "run" / part

    def change():
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        {"folder": lambda: (path / "in").mkdir(parents=True), "file": lambda: path.write_text("x"),
         "pipe": lambda: os.mkfifo(path)}.get(kind, lambda: path.symlink_to(
             {"loop": path, "nowhere": "/nonexistent/x"}.get(kind, kind)))()

    world.told.append(f"{part} is a {kind}")
    world.before.append(lambda: _quietly(change))


def looping(world, rng):
    """A loop of links in front of the run directory or the parameters file."""
    world.told.append("a loop")
    world.before.append(lambda: _quietly(os.symlink, world.where / "loop", world.where / "loop"))
    if rng.random() < 0.7:
        world.run = str(world.where / "loop" / _one(rng, ("", "run")))
    else:
        world.parameters = str(world.where / "loop")


def named(world, rng):
    """The run directory or the parameters file by another name."""
    name = _one(rng, NAMES)
    world.told.append(f"named {name!r}")
    relative = rng.random() < 0.5
    if rng.random() < 0.7:
        world.run = name if relative else str(world.where / "cwd" / name)
        world.before.append(lambda: _quietly(shutil.copytree, world.where / "run", world.where / "cwd" / name, True))
    else:
        world.parameters = name if relative else str(world.where / "cwd" / name)
        world.before.append(lambda: _quietly(shutil.copy, world.where / "parameters.py", world.where / "cwd" / name))


def impossible(world, rng):
    """A path that cannot be."""
    path = _one(rng, NO_PATHS)
    world.told.append(f"the path {path[:20]!r} of {len(path)}")
    if rng.random() < 0.7:
        world.run = path
    else:
        world.parameters = path


def streams(world, rng):
    """Standard streams closed, full, without a reader or unwritable."""
    kinds = {number: _one(rng, ("as it is", "closed", "full", "gone", "read only")) for number in (1, 2)}
    kinds[0] = _one(rng, ("as it is", "closed"))
    world.quiet |= kinds[2] != "as it is"
    world.unheard |= kinds[1] != "as it is"

    def change(number, kind):
        if kind == "closed":
            _quietly(os.close, number)
        elif kind == "gone":
            end, write = os.pipe()
            os.dup2(write, number)
            os.close(end), os.close(write)
        elif kind != "as it is":
            opened = os.open("/dev/full" if kind == "full" else "/dev/null", os.O_WRONLY * (kind == "full"))
            os.dup2(opened, number)
            os.close(opened)

    for number, kind in kinds.items():
        world.told.append(f"stream {number} {kind}")
        world.before.append(lambda number=number, kind=kind: change(number, kind))


def handles(world, rng):
    """Few open files."""
    n = int(rng.integers(5, 40))
    world.told.append(f"{n} open files")
    world.inside.append(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (n, n)))


def room(world, rng):
    """No room for a file longer than a little."""
    n = int(rng.choice((0, 1, 100, 4096, 30000, 200000)))
    world.told.append(f"files of at most {n} bytes")
    world.inside.append(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (n, n)))
    world.quiet = True      # the log of a case is a file too


def memory(world, rng):
    """Hardly any memory more than is used already."""
    more = int(rng.choice((1, 10, 30, 100, 300))) << 20

    def change():
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + more, used + more))

    world.told.append(f"{more >> 20} MB of memory")
    world.inside.append(lambda: _quietly(change))       # with no file left the memory that is used cannot be read


def variables(world, rng):
    """Environment variables with values that no one meant."""
    for name in rng.choice(sorted(VARIABLES), rng.integers(1, 5), replace=False):
        value = _one(rng, VARIABLES[str(name)])
        world.told.append(f"{name}={value}")
        world.grumbling |= (name, value) == ("PYTHONWARNINGS", "nonsense")
        world.before.append(lambda name=str(name), value=value: os.environ.pop(name, None) if value is None else
                            os.environ.__setitem__(name, value))
        world.new = world.new if name in AT_RUN else START


def strict(world, rng):
    """Warnings as errors."""
    world.told.append("warnings are errors")
    world.before.append(lambda: os.environ.__setitem__("PYTHONWARNINGS", "error"))


def nowhere(world, rng):
    """A current directory that is gone, or cannot be read."""
    gone = rng.random() < 0.6
    world.told.append("the current directory is gone" if gone else "no rights in the current directory")
    world.before.append(lambda: _quietly(shutil.rmtree, os.getcwd()) if gone else os.chmod(".", 0))


def _quietly(function, *args):
    """Changes may make each other impossible."""
    with contextlib.suppress(OSError, ValueError):
        function(*args)


CHANGES = (rights, rights, owned, replaced, replaced, looping, named, named, impossible, streams, streams, handles,
           room, memory, variables, variables, strict, nowhere)
