"""What values were, kept in a file of JSON: how they are spelled, compared and written anew. Not a test itself."""

import dataclasses
import hashlib
import json
import math
import types

import numpy as np


def spelled(value):
    """A value of numbers, texts, arrays and records as JSON holds it; of an array of integers its shape and digest.

    Of an array of other numbers its shape and two sums, since their last bits are not the same everywhere.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: spelled(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, np.ndarray):
        shape = "x".join(map(str, value.shape))
        if value.dtype.kind in "iub":
            if value.size <= 8:
                return [shape, *value.ravel().astype(int).tolist()]
            return f"{shape} {hashlib.sha256(value.astype('<i8').tobytes()).hexdigest()[:12]}"
        flat = value.ravel().astype(float)
        return [shape, float(flat.sum()), float(flat @ (1.0 + np.arange(flat.size) % 7))]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, types.SimpleNamespace):
        return spelled(vars(value))
    if isinstance(value, type | types.FunctionType):
        return value.__name__
    if isinstance(value, dict):
        return {str(key): spelled(one) for key, one in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(map(spelled, value))
    if isinstance(value, tuple | list):
        return [spelled(one) for one in value]
    return value


def shortened(spelling, longest=400):
    """The same with a digest in the place of every long part that has no fractions in it."""
    text = json.dumps(spelling)
    if len(text) <= longest:
        return spelling
    if not _has_fractions(spelling):
        return f"sha256 {hashlib.sha256(text.encode()).hexdigest()[:16]}"
    if isinstance(spelling, dict):
        return {key: shortened(one, longest) for key, one in spelling.items()}
    return [shortened(one, longest) for one in spelling]


def digest(value):
    """A digest of a value, fractions to nine digits: for what comes of +, -, *, / and roots alone."""

    def rounded(part):
        if isinstance(part, dict):
            return {key: rounded(one) for key, one in part.items()}
        return (
            [rounded(one) for one in part]
            if isinstance(part, list)
            else f"{part:.9g}"
            if isinstance(part, float)
            else part
        )

    return hashlib.sha256(json.dumps(rounded(spelled(value))).encode()).hexdigest()[:8]


def _has_fractions(spelling):
    parts = spelling.values() if isinstance(spelling, dict) else spelling if isinstance(spelling, list) else ()
    return isinstance(spelling, float) or any(map(_has_fractions, parts))


def differences(found, kept, at=""):
    """Where a spelling is otherwise than the one that was kept: list of str."""
    if isinstance(found, dict) and isinstance(kept, dict) and found.keys() == kept.keys():
        return [text for key in found for text in differences(found[key], kept[key], f"{at}.{key}")]
    if isinstance(found, list) and isinstance(kept, list) and len(found) == len(kept):
        return [text for i, pair in enumerate(zip(found, kept)) for text in differences(*pair, f"{at}[{i}]")]
    if isinstance(found, float) and isinstance(kept, float | int):
        near = math.isclose(found, kept, rel_tol=1e-9, abs_tol=1e-12)
        return [] if near else [f"{at}: {found!r}, was {kept!r}"]
    return [] if type(found) is type(kept) and found == kept else [f"{at}: {found!r}, was {kept!r}"]


def compare(found, kept):
    """Raise AssertionError where what was found is not what was kept."""
    wrong = differences(shortened(spelled(found)), kept)
    assert not wrong, "\n".join(wrong[:20])


def write(path, found):
    """Write what was found, a line for each entry: dict of str to dict of str to anything."""
    lines = [
        f" {json.dumps(name)}: {{\n"
        + ",\n".join(f"  {json.dumps(key)}: {json.dumps(shortened(spelled(value)))}" for key, value in values.items())
        + "\n }"
        for name, values in found.items()
    ]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
