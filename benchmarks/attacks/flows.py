"""Commands that write a run directory, each from a state that is kept, and what it has to look like in the end."""

import os
import re
import shutil
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from attacks import small
from attacks.harness import ROOT, command

CHAIN = ROOT / "spikingconvnet/experiment/recipes/bpstdp-iris.py"


@dataclass
class Flow:
    """A command, the flow it starts from the end of (or None), where it is done once, and, when it has been
    :func:`undisturbed`, how long it takes and the bytes that it ends with."""

    name: str
    words: list
    before: object
    where: Path
    seconds: float = 0.0
    after: dict = None

    def line(self, run):
        """Its command line in a run directory."""
        return [*map(str, self.words), "--run-dir", str(run)]

    def command(self, run):
        """Its work in a run directory, see ``harness.command``."""
        return command(*self.line(run))


def light_figures():
    """Have figures of this process be what they are drawn from: drawing takes most of the time and is not the point."""
    from spikingconvnet import plotting
    from spikingconvnet.plotting import frame
    from spikingconvnet.store.arrays import digest

    for name in plotting.__all__:
        if name != "save":
            setattr(plotting, name, lambda *args, name=name, **kwargs: f"{name} {digest(*args, *kwargs.values())}")
    frame._rendered = lambda figure, kind: f"{kind} {figure}".encode()


def mostly_light(rng, work):
    """Work whose figures are drawn in one of twenty cases, and light in the others."""
    return work if rng.random() < 0.05 else lambda: (light_figures(), work())[1]


def forked(work, *args, silent=False):
    """Do work in a forked process of its own: its exit code (negative: a signal). What it prints goes to stderr."""
    return ended(fork(work, *args, silent=silent))


def ended(pid):
    """The exit code of a forked process, once it has one."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def fork(work, *args, silent=False, log=None):
    """Fork a process for :func:`forked`, what it prints may go to a log: its number."""
    sys.stdout.flush(), sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    if silent or log:
        os.dup2(os.open(log or os.devnull, os.O_WRONLY | os.O_CREAT), 2)
    os.dup2(2, 1)
    code = 1
    try:
        code = work(*args) or 0
    except BaseException:       # noqa: BLE001 - shown, and no process may go on as another one's copy
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush(), sys.stderr.flush()
        finally:
            os._exit(code)


def contents(folder):
    """Every file below a folder by its name, folders too, but for how long commands took and where the folder lies.

    A dict of str to bytes or None.
    """
    return {str(path.relative_to(folder)): _untimed(path, Path(folder)) if path.is_file() else None
            for path in sorted(Path(folder).rglob("*"))}


def _untimed(path, folder):
    content = path.read_bytes()
    if path.name in ("results.json", "report.html"):
        content = re.sub(rb'"seconds": ?\{[^}]*\}', b"", content)
    if path.name == "report.html":
        content = re.sub(rb'"floor_commands":\[[^]]*\]', b"", content)       # runs are to lie beside this one
        for where in (str(folder), f'"name":"{folder.name}","data"', f">{folder.name}: "):
            content = content.replace(where.encode(), b"")
    return content


def prepare(directory):
    """Flows of all kinds, light figures being set in this process: list of Flow."""
    light_figures()
    flows = []
    for layers in (1, 2):
        folder = Path(directory) / f"layers-{layers}"
        folder.mkdir()
        flows += _flows(f"{layers} layers", folder, ["--parameters", small.write(folder, layers)])
    folder = Path(directory) / "chain"
    folder.mkdir()
    parameters = folder / "parameters.py"
    parameters.write_text(CHAIN.read_text().replace("epochs=30", "epochs=2"))
    return flows + _flows("chain", folder, ["--parameters", parameters])


def _flows(name, folder, parameters):
    layer = [] if name == "chain" else ["--layer", "1"]
    def flow(told, mode, before, *more):
        return Flow(f"{name}: {told}", ["--mode", mode, *more, *parameters], before, folder / told)

    demo, loaddata = flow("demo", "demo", None), flow("loaddata", "loaddata", None)
    return [demo, loaddata, flow("training", "training", loaddata, *layer), flow("testing", "testing", demo),
            flow("training again", "training", demo, *layer), flow("plot", "plot", demo)]


def undisturbed(flow):
    """The flow, done once where nothing disturbs it."""
    if flow.after is None:
        begin(flow, flow.where)
        started = time.monotonic()
        if forked(flow.command(flow.where), silent=True):
            raise RuntimeError(f"{flow.name}: fails without being disturbed")
        flow.seconds, flow.after = time.monotonic() - started, contents(flow.where)
    return flow


def begin(flow, run):
    """Put into a run directory what the flow starts from."""
    if flow.before is not None:
        shutil.copytree(undisturbed(flow.before).where, run)


def again(flow, run):
    """Do a flow's command once more in a run directory, as a whole, and print what differs from one that was not
    disturbed."""
    code = forked(flow.command(run))
    found = contents(run)
    differ = sorted({name for name in {*found, *flow.after} if found.get(name, ()) != flow.after.get(name, ())})
    if code or differ:
        print(f"the same command ends with {code}; differ: {differ}")


def die():
    """End this process as nothing can prevent."""
    os.kill(os.getpid(), signal.SIGKILL)
