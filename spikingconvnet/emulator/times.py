"""What the cores of a timed board had to do, as a file.

JSON: {"programs": [{"core": [x, y, p], "program": name, "period": cycles of a step, "steps": [cycles awake, ...],
"functions": [{"address": a, "calls": n, "cycles": n}, ...]}]}, of every program that had steps, in the order in which
they ended. A step begins with a tick of timer 1. Functions are those of the core that is profiled, since it was loaded.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from spikingconvnet.emulator.errors import SetupError

if TYPE_CHECKING:
    from spikingconvnet.emulator.timed_machine import History


def write(history: "Iterable[History]", path: str) -> None:
    """Write what programs did; a file that cannot be written is a SetupError."""
    try:
        Path(path).write_text(json.dumps({"programs": [asdict(each) for each in history]}))
    except OSError as error:
        raise SetupError(f"--times {path}: {error.strerror}") from error
