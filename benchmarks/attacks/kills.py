"""A command that is ended at a random instant by a signal; the same command again must end as one that was not."""

import os
import signal
import time

from attacks import flows
from attacks.harness import Case
from spikingconvnet.__main__ import main
from spikingconvnet.gates.surroundings import Signals

SIGNALS = signal.SIGKILL, signal.SIGTERM, signal.SIGINT


prepare = flows.prepare


def case(context, rng, where):
    """A flow whose process is killed after part of the time that it takes, and the same command again."""
    flow, number = flows.undisturbed(context[rng.integers(len(context))]), SIGNALS[rng.integers(len(SIGNALS))]
    kills = rng.uniform(0, flow.seconds, rng.integers(1, 4)).tolist()
    at = ", ".join(f"{s:.3f}" for s in kills)
    return Case(f"{flow.name}, {number.name} after {at} s", lambda: _work(flow, number, kills, where / "run"),
                lambda outcome: outcome.stdout.strip())


def _work(flow, number, kills, run):
    flows.begin(flow, run)
    Signals()       # inherited by each fork, which may be hit before the first line of the command
    for seconds in kills:
        pid = flows.fork(main, flow.line(run))
        time.sleep(seconds)
        os.kill(pid, number)
        code = flows.ended(pid)
        if code not in (0, -signal.SIGKILL, 128 + number):
            print(f"ended with {code} by {number.name}")
    flows.again(flow, run)
