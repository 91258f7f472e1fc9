"""A command that is killed at one of its operations on files; the same command again must end as one that was not.

Operations are every open for writing, write (half of it done), fsync, rename, unlink, mkdir and rmdir; a case is one of
them, counted through all flows.
"""

import io
import itertools
import os
import sys

from attacks import flows
from attacks.harness import Case

EVENTS = "os.rename", "os.remove", "os.mkdir", "os.rmdir"


def prepare(directory):
    """What is known of the operations of all flows, one after another, and the flows of which it is not yet known."""
    return [], iter(flows.prepare(directory))


def case(context, _, where):
    """A flow whose process is killed at one of its file operations, and the same command again; None if there are no
    more."""
    number, (known, flows_left) = int(where.name.rpartition("-")[2]), context
    while number >= len(known):
        flow = next(flows_left, None)
        if flow is None:
            return None
        known += [(flow, at) for at in range(_count(flows.undisturbed(flow), where))]
    flow, at = known[number]
    return Case(f"{flow.name}, killed at operation {at}", lambda: _work(flow, at, where / "run"),
                lambda outcome: outcome.stdout.strip())


def _count(flow, where):
    """How many operations a flow has."""
    run, told = where / "counted", where / "count"
    flows.begin(flow, run)
    flows.forked(_operated, flow, run, None, told, silent=True)
    return int(told.read_text())


def _work(flow, at, run):
    flows.begin(flow, run)
    flows.forked(_operated, flow, run, at)
    flows.again(flow, run)


def _operated(flow, run, at, told=None):
    """The flow's command, killed at its operation `at`; how many it does is `told` at its end."""
    from spikingconvnet.gates import files

    ticks = itertools.count()

    def tick(half=lambda: None):
        if next(ticks) == at:
            half()
            flows.die()

    def audit(event, args):
        writes = event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if (writes or event in EVENTS) and str(args[0]).startswith(str(run)):
            tick()

    class Stream(io.FileIO):
        def write(self, content):
            tick(lambda: super(Stream, self).write(bytes(content)[:len(content) // 2]))
            return super().write(content)

    fsync = os.fsync
    os.fsync = lambda number: (tick(), fsync(number))
    files.open = lambda path, mode: io.BufferedWriter(Stream(path, mode))
    sys.addaudithook(audit)
    code = flow.command(run)()
    if told is not None:
        told.write_text(str(next(ticks)))
    return code
