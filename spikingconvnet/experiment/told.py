"""What a training tells of itself, sorted: numbers, courses over its passes, sentences."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

BY_LAYER = "scales", "spikes", "calibration"        # lists with a number for each layer, not for each pass


def told(health: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Sort the diagnostics of a training.

    Parameters
    ----------
    health : dict
        See ``training``: numbers, lists of numbers, one for each pass, and dicts of them.

    Returns
    -------
    dict
        ``numbers`` and ``curves``, lists of [name, value or values], and ``texts``, list of str.

    >>> told({"loss": [2.0, 1.0], "scales": [3.0, 4.0], "silent_windows": 0.5})["numbers"]
    [['scales layer 1', 3.0], ['scales layer 2', 4.0], ['silent windows', 0.5]]
    """
    found: dict[str, list[Any]] = {"numbers": [], "curves": [], "texts": []}
    for name, value in _flat("", health):
        if isinstance(value, str):
            found["texts"].append(value)
        else:
            found["curves" if isinstance(value, list) else "numbers"].append([name, value])
    return found


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Numbers, lists of numbers and reports in words of nested dicts."""
    if isinstance(value, Mapping):
        if "rows" in value and "text" in value:         # a report of ``training.chain.parity``
            yield name, str(value["text"])
            return
        for key, part in value.items():
            yield from _flat(f"{name} {key}".strip().replace("_", " "), part)
    elif isinstance(value, list) and name.endswith(BY_LAYER):
        for number, part in enumerate(value, start=1):
            yield from _flat(f"{name} layer {number}", part)
    elif isinstance(value, list) and len(value) > 1 and all(map(_is_number, value)):
        yield name, value
    elif isinstance(value, list):
        for part in value:
            yield from _flat(name, part)
    elif _is_number(value):
        yield name, value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
