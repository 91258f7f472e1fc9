"""What gates let through and what they say of the rest: kept, see ``helpers/outputs.py``."""

import errno
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pytest
from outputs import Outputs, refused

from spikingconvnet.errors import SurroundingsError
from spikingconvnet.gates import address, fields, files, progress, schema, sizes, surroundings
from spikingconvnet.model.layers import AvgPool2D, Conv2D, Dense
from spikingconvnet.model.readouts import Classifier, SpikeCount
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.network.neurons import IFCurrDelta

CASES = Outputs("gates")


@dataclass(frozen=True)
class Record:
    """A record with what a part needs."""

    a: int = 1
    b: str = "x"

    def show(self):
        return self


@CASES
def kinds_of_fields():
    f, top = fields, fields.RANGE
    kinds = (f.FLAG, f.TEXT, f.PAIR, f.PADDING, f.PATH, f.NOT_NEGATIVE, f.POSITIVE, f.FACTOR, f.SHARE, f.PART, f.SEED,
             f.SHAPE, f.SIZE, f.table(), f.table(2), f.real(f.S16_15), f.real(), f.whole(2, 5), f.whole(2, 5, " why"),
             f.whole(2, 5, wanted="W"), f.whole(2, 5, " why", "W"), f.choice("a", "b"), f.choice("a", wanted="W"),
             f.record(Record), f.record(Record, int, wanted="W"), f.part("Like", "show"), f.part("Like", "none",
             "show"),
             f.optional(f.whole(1, 3)), f.or_infinity(f.real(f.least(0))), f.several(f.whole(1), "several", 2),
             f.several(f.whole(1), "some"), f.real(f.above(1), f.below(2), wanted="W"), f.real(f.most(3.5)), f.real(
                 f.most(3000)), f.real(f.least(1000, " why")))
    values = (True, np.True_, "a", "a\n", "\0", "b/c", 0, 1, 2, 3, 5, 6, -1, 1 << 31, (1 << 31) - 1, (1 << 32) - 1,
              1 << 32,
              0.0, 1.0, 1.5, 2.0, 1e-6, 9e-7, 1e6, 1.1e6, 1 / 32_768, 1 / 65_536, top - 1, top, top + 1, -top, 1 - top,
              math.inf, -math.inf, 1.7e308, np.float32(0.5), np.int8(3), (1, 2), [2, 1], (0, 1), (1, top), (1, top + 1),
              (1, 2, 3), (1, 1.0), (1,), (), None, Record(), Record, Path("a"), 2979.0, 5957.0, 8593.0, 8594.0, 8595.0,
              8596.0, 17190.0, 34379.0, 34380.0, 34381.0, "\udc80", "\ud800")
    return [[kind.wanted, [wanted for _, wanted in kind.limits], [
        ["+", kind(value, "O", "f")] if kind.takes(value) else refused(kind, value, "O",
        "f").partition(", got")[0][28:] for value in values]]
        for kind in kinds]


@CASES
def records_and_numbers():
    asked = ([1, 2.5], [1, 2], ["1"], [[1], [1, 2]], [None], 3, [True], [1 << 53], [(1 << 53) - 1], [-(1 << 53)], [1.5],
             [math.nan], np.array([1, 2], np.uint8))
    return [[refused(fields.numbers, one, "O", "f", dtype=kind) for kind in (np.float64, np.int64)] for one in asked], [
        fields.spelled(Record(*given), later) for given in ((), (2,), (1, "y"), (2, "y")) for later in (
            (), ("a",), ("a", "b"))]


@CASES
def addresses():
    texts = ("https://me:secret@example.org/sets/?token=abc", "https://x/?a=1&b=2#c=3",
             "https://x/?a=1&key=2&b=3#sig=4",
             "https://x/?a", "https://x/?=1", "https://x/?a=", "https://x/?a=0123456789abcde&b=0123456789abcdef",
             "plain",
             "https://me@x/", "https://:@x/", "http://me:p%40q@x:80/a", "https://x:port/", "https://[::1]:80/", "a:b@c",
             "./a:b@c", "spalloc:https://u:p@h/", "see https://u:p@h/", "see https://h/", "https://a/b@c",
             "https://a:b/c@d",
             "https://%ff:x@h/", "https://%00:x@h/", "https://a%7f@h/", "HTTP://x/?&&a=1", "https://x/#a=1&&", "~a:b@c",
             "https://x/?name=" + "a" * 15, "https://x/?name=" + "a" * 16, "https://@x/", "ftp://x", "1://x")

    def parted(text):
        made, lines = address.Address(text), []
        made.warn(made.login, SimpleNamespace(warning=lambda form, *given: lines.append(form % given)))
        login = made.login
        return [str(made), made.in_full(), made.has_secret, login and [login.user, login.password, login.basic()],
                lines]
    words = ("--source=https://u:p@h/", "--source=https://h/", "https://u:p@h/", "-x=https://h/", "--a", "--b=c=d")
    return [refused(parted, one) for one in texts], address.apart(words), sorted(address._forms("a'b ü/"))


def test_secrets_of_the_environment_are_hidden(monkeypatch):
    for name, value in (("SPALLOC_USER", "me"), ("SPALLOC_PASSWORD", "se cret"), ("OIDC_BEARER_TOKEN", "tok")):
        monkeypatch.setenv(name, value)
    assert address.hidden("a se cret, se%20cret, se+cret, tok, a 7 character password, bWU6c2UgY3JldA==") == (
        "a (hidden), (hidden), (hidden), tok, (hidden), (hidden)")
    monkeypatch.setenv("OIDC_BEARER_TOKEN", "toke")
    assert address.hidden("toke tok") == "(hidden) tok"
    assert address.Login.from_environment("SPALLOC") == address.Login("me", "se cret")
    monkeypatch.delenv("SPALLOC_USER")
    assert address.Login.from_environment("SPALLOC") is None
    monkeypatch.delenv("SPALLOC_PASSWORD")
    assert address.hidden("se cret") == "se cret"


@CASES
def schemas():
    one = schema.Array("uint8 float64", ("n", 2), 0, 9)
    arrays = (np.zeros((3, 2)), np.zeros((3, 2), np.uint8), np.zeros((3, 2), np.int8), np.zeros((3, 3)), np.zeros(3),
              np.full(
        (3, 2), 9.0), np.full((3, 2), 9.5), np.full((3, 2), -0.5), np.full((3, 2), np.nan), np.zeros((0, 2)), np.zeros(
            (2, 2)), np.zeros((3, 2), ">f8"), np.full((1, 2), 10, np.uint8))
    kinds = [[refused(one.check, "A", array, dict(sizes)) for sizes in ({}, {"n": 3})] for array in arrays]
    ends = [[refused(kind.check, "A", np.array(value), {}) for value in (0, 1, 2.0, 3.5e38, 3.3e38, -np.inf, "a", True)]
            for kind in (schema.Array("float64 int64 str"), schema.Array("int64 bool", (), 1), schema.Array(
                "int64 float64", (), None, 1))]
    whole = schema.Schema({"x": one, "y": schema.optional(schema.Array("int64", ("n",)))}, {
        "seed": schema.INTEGER, "t": schema.optional(schema.TEXT)}, sizes={"n": 3})
    given = (({"x": arrays[0]}, {"seed": 1}), ({"x": arrays[0]}, {}), ({}, {"seed": 1}), ({"x": arrays[0],
             "y": np.arange(
        3)}, {"seed": 1, "t": "a", "z": 1}), ({"x": arrays[0], "y": np.arange(2)}, {"seed": 1}), ({"x": arrays[10]}, {
            "seed": 1}), ({"x": arrays[0], "z": arrays[0]}, {"seed": 1}), ({"x": arrays[0]}, {"seed": -1}), (
                {"x": arrays[0]}, {"seed": 1, "t": "a\n"}))
    deep = [refused(schema.parse_json, '{"a":' * n + "1" + "}" * n) for n in (1, 2)] + [
        isinstance(refused(schema.parse_json, '{"a":' * n + "1" + "}" * n), str) for n in (39, 40, 41)] + [
        isinstance(refused(schema.parse_json, '{"a":' + "[" * n + "]" * n + "}"), str) for n in (38, 39, 40)]
    large = [refused(schema.parse_json, f'{{"a": {sign}{number}}}') for number in ((1 << 128) - 1, 1 << 128)
             for sign in ("", "-")]
    return [kinds, ends, [refused(whole.check, *one) for one in given], deep, large,
            [refused(schema.parse_json, text) for text in ("[]", "1", '{"a": [1, {"b": 2}]}')],
            [schema.is_integer(value) for value in (0, -1, 1 << 128, (1 << 128) + 1, True, 1.0)],
            [schema.is_number(value, 0, 2) for value in (0, 2, 2.1, -0.1, math.nan, True, "1")],
            [schema.printable(text) for text in ("a\nb", "ü\u2028", "\udc80")],
            [refused(schema.refuse, "N", "W", "x" * n) for n in (59, 60, 61)], [schema._text(one) for one in (
                (), (1,), (1, "n"))], [schema.is_text(one) for one in ("", "a", "a\t", 5)]]


@CASES
def sizes_of_memory():
    asked = [(value, one, there) for value in (1, 10, 1000) for one in ((100,), ((100, 2),), (100, (900, 2)), (50, 200))
             for there in (49, 50, 99, 100, 101, 200, 899, 900)]
    cell = IFCurrDelta()
    chain = Sequential((2, 9, 9), Conv2D(3, 2, lateral=2.0), AvgPool2D(2), Conv2D(2, 2), Classifier(1))
    one = Sequential((2, 9, 9), Conv2D(4, 3, neuron=cell), Dense(3, neuron=cell), SpikeCount())
    encoders = SimpleNamespace(n_steps=7), SimpleNamespace(n_steps=7, max_rate=1.0), SimpleNamespace(
        n_steps=7, max_rate=1.0, takes_events=True)

    def told(model, encoder, n, there):
        real, sizes.memory = sizes.memory, lambda: there
        settings = SimpleNamespace(slot=9, model=model, encoder=encoder, n_train=n, n_validation=3, n_test=None,
                                   classes=(1, 2), per_class=n == 20)
        try:
            return refused(sizes.check, settings, [[70_000]] if n == 50 else [])
        finally:
            sizes.memory = real
    def asked_for(model, encoder, n):
        kept = []
        with patch.object(sizes, "require_fits", lambda *given, there: kept.append(given)):
            told(model, encoder, n, 1000)
        return kept
    calls = [[told(model, encoders[1], n, there) for n in (2, 20, 50) for there in (30_000, 100_000, 400_000, 1 << 33)]
             for model in (chain, one)]
    bytes_of = [asked_for(model, encoder, n) for model in (chain, one) for encoder in encoders for n in (2, 20, 50,
                2000)]
    images = [sizes._images(SimpleNamespace(n_train=a, n_validation=b, n_test=c, per_class=each, classes=(1, 2, 3)))
              for a, b, c in ((None, 0, None), (5, 3, 2), (1, 3, 2), (1, 3, 7)) for each in (False, True)]
    fits = [refused(sizes.require_fits, "O", "f", value, *more, there=there) for value, more, there in asked]
    return fits, calls, bytes_of, images


@CASES
def sentences_of_the_system():
    caused = ValueError("x")
    caused.__cause__ = OSError(errno.ENOSPC, "no room", "F")
    asked = (MemoryError(), OSError(errno.ENOSPC, "no room", "F"), OSError(errno.EMFILE, "many"), OSError(
        errno.ENOENT, "none"), OSError(errno.ENOENT, "none", b"F"), OSError("x"),
        RuntimeError("can't start new thread"),
             RuntimeError("x"), caused, ImportError("lib: failed to map segment"), OSError(errno.EACCES, "no", "F"))
    return [surroundings._sentence(one) for one in asked], [surroundings.Stopped(n).exit_code for n in (2, 15)], str(
        files.cannot_write(Path("F"), OSError(errno.EROFS, "read only")))


def test_what_the_system_refuses_comes_out_as_one_sentence():
    with pytest.raises(SurroundingsError, match="no memory is left"), surroundings.told():
        raise MemoryError
    with pytest.raises(ValueError, match="kept"), surroundings.told():
        raise ValueError("kept")


def test_files_appear_whole_and_what_dead_processes_left_is_swept():
    host = files.socket.gethostname()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        files.write_text(folder / "a" / "b.txt", "ü\udc80")
        assert (folder / "a" / "b.txt").read_bytes() == "ü\\udc80".encode()
        names = (f".1.{host}.99999999999999999999.tmp", f".1.{host}.{files.os.getpid()}.tmp", ".1.elsewhere.5.tmp",
                 "c.tmp",
                 f".1.{host}.x.tmp")
        for place in (folder, folder / "a"):
            for name in names:
                (place / name).touch()
        files.sweep(folder, below=False)
        assert sorted(path.name for path in folder.iterdir()) == sorted(("a", *names[1:]))
        assert len(list((folder / "a").iterdir())) == 6
        files.sweep(folder)
        assert sorted(path.name for path in folder.rglob("*.tmp")) == ["c.tmp", "c.tmp"]


def test_loops_are_counted_by_whoever_asks():
    seen, length = [], progress.OfLength(iter("ab"), 7)
    with progress.shown_by(lambda items, text: seen.append((text, len(items))) or items):
        assert list(progress.counted(length, "told")) == ["a", "b"]
    assert list(progress.counted([1], "silent")) == [1]
    assert seen == [("told", 7)]


@pytest.mark.parametrize("name", list(CASES))
def test_a_call_gives_what_it_gave(name):
    CASES.check(name)


if __name__ == "__main__":
    CASES.write()
