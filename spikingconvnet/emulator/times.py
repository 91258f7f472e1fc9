"""What the cores of a timed board had to do, as a file.

JSON: {"programs": [{"core": [x, y, p], "program": name, "period": cycles of a step, "steps": [cycles awake, ...],
"functions": [{"address": a, "calls": n, "cycles": n}, ...]}]}, of every program that had steps, in the order in which
they ended. A step begins with a tick of timer 1. Functions are those of the core that is profiled, since it was loaded.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikingconvnet.emulator.errors import SetupError

if TYPE_CHECKING:
    from spikingconvnet.emulator.timed_machine import History


_FULL = 0.99                     # of a step: a core without a rest is awake some cycles less or more, as blocks end
STRETCHES = 100, 10, 8000        # parts into which steps are put together: at most, at least, and of all cores


def loads(histories: "Iterable[History]") -> list[dict[str, Any]]:
    """What share of its steps each core was awake, of its last program that had steps: list of dict for JSON.

    Each has ``core``, (x, y, p); ``mean`` and ``worst`` share of a step; ``full``, steps without a rest, which are
    those that overrun; ``every``, how many steps are one of ``course``, whose numbers are the largest share of a step
    in each part, in whole per cent.
    """
    last = {each.core: each for each in histories if each.steps}
    most, least, together = STRETCHES
    parts = min(most, max(least, together // max(1, len(last))))
    found = []
    for core, each in sorted(last.items()):
        every = -(-len(each.steps) // parts)
        cuts = [*range(0, len(each.steps), every), len(each.steps)]
        found.append({"core": list(core), "mean": sum(each.steps) / len(each.steps) / each.period,
                      "worst": max(each.steps) / each.period, "every": every,
                      "full": sum(step > _FULL * each.period for step in each.steps),
                      "course": [round(100 * max(each.steps[a:b]) / each.period) for a, b in pairwise(cuts)]})
    return found


def write(history: "Iterable[History]", path: str) -> None:
    """Write what programs did; a file that cannot be written is a SetupError."""
    try:
        Path(path).write_text(json.dumps({"programs": [asdict(each) for each in history]}))
    except OSError as error:
        raise SetupError(f"--times {path}: {error.strerror}") from error
