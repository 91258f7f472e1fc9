"""Alterations of files of arrays, of JSON and of bytes: ``alter(path, rng, others)`` is what was done, and whether a
reader that believes it has been deceived (False: plausible numbers under a seal made anew, which nothing can tell)."""

import io
import json
import zipfile

import numpy as np

from spikingconvnet.store.arrays import SEAL, seal

TYPES = ("float32", "float16", ">f8", ">i8", "int8", "int64", "uint64", "complex128", "bool", "<U5", "S3", "float64")
NUMBERS = (np.nan, np.inf, -np.inf, 1e300, -1e300, 1e5, -1.0, 0.0, 2.0 ** 63, 1e-310)
WHOLE = (-1, 0, 1 << 62, -(1 << 62), 65535, 255, 1 << 31)
ODD = (None, True, -1, 0, 1.5, 1e308, float("nan"), float("inf"), 10 ** 30, 10 ** 400, "", "x", "\x1b[31m\n", "\ud800",
       "valid", [], [[]], {}, {"verdict": 5}, {"verdict": []}, [1, "a"], "9" * 70)
SHAPES = ("(99999999999999,)", "(2, 99999999999999)", "()", "(-1,)", "(0, 999999999999999)", "(1L,)", "3", "(1.0,)",
          "(18446744073709551616,)", "(" + "1, " * 70 + ")", "(True,)", "[4]")
HEADERS = ("{'descr': '<f8', 'fortran_order': False, 'shape': %s, }",
           "{'descr': '|O', 'fortran_order': False, 'shape': %s}",
           "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': %s, }", "(" * 200 + "%s",
           "{'shape': %s, 'descr': '<f8', 'fortran_order': False, 'x': __import__('os')}", "\u2603%s")


def raw(path, rng, others):
    """Bytes of any file."""
    content = bytearray(path.read_bytes())
    kind = rng.choice(("cut", "bits", "bytes", "half", "empty", "tail", "front", "huge", "folder", "other", "text",
                       "gone"))
    at = int(rng.integers(len(content) + 1))
    if kind == "cut":
        content = content[:at]
    elif kind == "bits":
        for _ in range(rng.integers(1, 9)):
            content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    elif kind == "bytes":
        content[at:at + 20] = rng.bytes(min(20, len(content) - at))
    elif kind == "half":
        content[at:] = bytes(len(content) - at)
    elif kind in ("tail", "front", "text", "empty"):
        more = rng.bytes(int(rng.integers(1, 5000)))
        content = {"tail": content + more, "front": more + content, "text": b"no such thing\n", "empty": b""}[kind]
    elif kind == "other":
        content = others[rng.integers(len(others))].read_bytes()
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind != "gone":
        path.write_bytes(content)
    if kind == "huge":
        with open(path, "r+b") as stream:
            stream.truncate(int(rng.choice((1 << 33, 1 << 40))))
    return f"{kind} {at}", True


def arrays(path, rng, others):
    """One array of an ``.npz`` file, in a file whose checksums are right."""
    with np.load(path) as file:
        found = dict(file)
    names = [name for name in found if name != SEAL]
    name = str(rng.choice(names))
    forged = rng.choice(("sealed", "sealed anew", "unsealed"))
    kind, plausible = str(rng.choice(("type", "shape", "value", "plausible", "member", "json", "header"))), False
    if kind == "type":
        kind += f" {(kind_ := str(rng.choice(TYPES)))}"
        with np.errstate(all="ignore"):
            try:
                found[name] = found[name].astype(kind_)
            except ValueError:
                found[name] = np.zeros(found[name].shape, kind_)
    elif kind == "shape":
        found[name] = _shaped(found[name], rng)
        kind += f" {found[name].shape}"
    elif kind == "value" and found[name].dtype.kind in "fiu":
        found[name], value = _valued(found[name], rng)
        kind, plausible = f"value {value}", found[name].dtype.kind != "f" or abs(value) < 1e6
    elif kind == "plausible" and found[name].dtype.kind in "fiu" and found[name].size:
        array, plausible = found[name].copy(), True
        flat = array.reshape(-1)
        i, j = rng.integers(flat.size, size=2)
        flat[i] = flat[j] if rng.random() < 0.5 else flat[i] * 0.5
        found[name] = array
    elif kind == "member":
        kind += f" {(told := str(rng.choice(('renamed', 'removed', 'added', 'exchanged'))))}"
        other = str(rng.choice(names))
        if told == "renamed":
            found[name + "x"] = found.pop(name)
        elif told == "removed":
            del found[name]
        elif told == "added":
            found["more"] = np.zeros(3)
        else:
            found[name], found[other] = found[other], found[name]
        plausible = told in ("removed", "exchanged")
    elif kind == "json" and "how" in found:
        name, plausible = "how", True
        found[name] = np.array(mutated_json(str(found[name]), rng))
    if forged != "sealed":
        found.pop(SEAL, None)
        if forged == "sealed anew":
            found[SEAL] = np.array(seal(found))
    content = io.BytesIO()
    np.savez(content, **found)
    if kind == "header":
        content, kind = _rezipped(content, name, rng)
    path.write_bytes(content.getvalue())
    return f"{name}: {kind}, {forged}", not (plausible and forged != "sealed")


def _shaped(array, rng):
    flat = array.reshape(-1)
    ways = (lambda: flat, lambda: array[None], lambda: array.T, lambda: flat[:0], lambda: flat[:-1],
            lambda: array[..., None], lambda: np.concatenate([flat, flat]), lambda: flat[0] if flat.size else flat,
            lambda: array[:1] if array.ndim else flat, lambda: np.asfortranarray(array), lambda: np.repeat(flat, 50),
            lambda: np.zeros((0, 0, 0)), lambda: np.resize(array, np.array(array.shape) + 1))
    return np.asarray(ways[rng.integers(len(ways))]())


def _valued(array, rng):
    value = (NUMBERS if array.dtype.kind == "f" else WHOLE)[rng.integers(len(WHOLE))]
    array = array.copy()
    with np.errstate(all="ignore"):
        flat = array.reshape(-1)
        where = slice(None) if rng.random() < 0.3 or not flat.size else rng.integers(flat.size)
        flat[where] = np.array(value).astype(array.dtype)
    return array, value


def _rezipped(content, name, rng):
    """The archive with another header, or a second or foreign member."""
    out, told = io.BytesIO(), str(rng.choice(("header", "twice", "name", "deflated", "no suffix", "comment")))
    with zipfile.ZipFile(content) as old, zipfile.ZipFile(out, "w") as new:
        for member in old.infolist():
            inside, label = old.read(member), member.filename
            if label == f"{name}.npy":
                if told == "header":
                    text = HEADERS[rng.integers(len(HEADERS))] % SHAPES[rng.integers(len(SHAPES))]
                    text = text.encode() + b" " * int(rng.integers(40)) + b"\n"
                    version = bytes([int(rng.choice((1, 1, 1, 2, 3, 9))), 0])
                    inside = b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text + inside[128:]
                    told += f" {text[:60]}"
                elif told == "twice":
                    new.writestr(label, inside)
                elif told == "name":
                    label = str(rng.choice(("../../x.npy", "x", "/", "a\0b", "a/b/c.npy", "\u202e.npy")))
                elif told == "no suffix":
                    label = name
            new.writestr(label, inside, zipfile.ZIP_DEFLATED if told == "deflated" else zipfile.ZIP_STORED)
        if told == "comment":
            new.comment = b"x" * 100
    return out, told


def mutated_json(text, rng):
    """A text of JSON with one entry, key or character changed."""
    kind = rng.choice(("entry", "entry", "entry", "cut", "deep", "text", "key", "digits"))
    if kind == "cut":
        return text[:int(rng.integers(len(text)))]
    if kind == "deep":
        n = int(rng.choice((50, 500, 900, 2000, 100_000)))
        return '{"a": ' + "[" * n + "]" * n + "}"
    if kind == "digits":
        return text.replace("0", "9" * int(rng.choice((20, 400, 5000))), 1)
    if kind == "text":
        return str(rng.choice(("", "[]", "null", "5", "NaN", '"x"', "{}", '{"made_on": 5}', "{" * 5000)))
    found = json.loads(text)
    places = list(_places(found))
    owner, key = places[rng.integers(len(places))] if places else (found, "x")
    if kind == "key" and isinstance(owner, dict):
        owner[f"{key}x"] = owner.pop(key)
    else:
        owner[key] = ODD[rng.integers(len(ODD))]
    return json.dumps(found)


def _places(value):
    for key in value if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], (dict, list)):
            yield from _places(value[key])


def json_file(path, rng, others):
    """A file of JSON."""
    if rng.random() < 0.3:
        return raw(path, rng, others)
    before = path.read_text()
    path.write_text(after := mutated_json(before, rng), errors="surrogatepass")
    at = next((i for i, (a, b) in enumerate(zip(before, after)) if a != b), 0)
    return f"json at {at}: {after[at - 20:at + 40]!r}", False
