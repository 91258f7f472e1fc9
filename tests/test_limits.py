"""What fields of records may hold: the limits that they had, and each limit is where its words say.

``golden/limits.json`` has them in words, for every record that checks its fields. A new one is added to it by

    python tests/test_limits.py
"""

import json
import pkgutil
import re
from importlib import import_module
from pathlib import Path

import pytest

import spikingconvnet

GOLDEN = Path(__file__).parent / "golden" / "limits.json"
NUMBER = re.compile(r"(above|below|at least|at most) (-?[\d,]+(?:\.\d+)?(?:e[+-]\d+)?)")
ONE_NUMBER = r"(a number|a whole number), (0 or more|(above|below|at least|at most) [\d,.e+-]+)"
NOT_IMPORTED = re.compile(r"recipes|__main__|_native$|pytest_plugin")
ROUNDED = 1.00001


class Checked(Exception):
    """In the place of the check of a record's fields: what kinds they have to be of."""


def kinds(record, module):
    """What the fields of a record have to be, by name: dict of Kind; None if other fields are looked at before."""
    def seen(_record, *_, **found):
        raise Checked(found)

    real, module.check_fields = module.check_fields, seen
    try:
        record.__post_init__(object.__new__(record))
    except Checked as checked:
        return checked.args[0]
    except (AttributeError, TypeError):
        return None
    finally:
        module.check_fields = real


def every():
    """Kinds of all records of the package, by ``module.Record``."""
    found = {}
    for one in pkgutil.walk_packages(spikingconvnet.__path__, "spikingconvnet."):
        module = None if NOT_IMPORTED.search(one.name) else import_module(one.name)
        for name, value in list(vars(module).items()) if hasattr(module, "check_fields") else ():
            if isinstance(value, type) and value.__module__ == one.name and "__post_init__" in vars(value):
                found[f"{one.name.partition('.')[2]}.{name}"] = kinds(value, module)
    return {name: fields for name, fields in found.items() if fields is not None}


EVERY = every()
KEPT = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}


def told(kind):
    """A kind in words."""
    return [kind.wanted, *(text for _, text in kind.limits)]


def test_no_record_of_before_is_missing():
    assert len(EVERY) > 40 and set(KEPT) == set(EVERY)


@pytest.mark.parametrize("name", sorted(EVERY))
def test_fields_may_hold_what_they_could(name):
    assert {field: told(kind) for field, kind in EVERY[name].items()} == KEPT[name]


def probes(text):
    """Numbers just inside and just outside of the limit that a text names, with whether they may be."""
    for word, digits in [found.groups() for found in [NUMBER.match(text)] if found]:
        bound = float(digits.replace(",", ""))
        whole = bound == int(bound)
        more, less = (int(bound) + 1, int(bound) - 1) if whole else (bound * ROUNDED, bound / ROUNDED)
        at = [(int(bound), word.startswith("at"))] if whole else []     # others are rounded to six digits
        rises = word in ("above", "at least")
        yield from (*at, (more, rises), (less, not rises))
    if text.startswith("0 or more"):
        yield from ((0, True), (-1, False), (-1e-300, False))


@pytest.mark.parametrize("name", sorted(EVERY))
def test_a_limit_is_where_its_words_say(name):
    for field, kind in EVERY[name].items():
        for holds, text in kind.limits if re.fullmatch(ONE_NUMBER, kind.wanted) else ():
            assert [(value, holds(value)) for value, _ in probes(text)] == list(probes(text)), (field, text)


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps({name: {field: told(kind) for field, kind in fields.items()}
                                  for name, fields in sorted(EVERY.items())}, indent=1) + "\n")
