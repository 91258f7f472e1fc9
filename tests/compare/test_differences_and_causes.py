"""Every word and number that is said of many small pairs of runs, and all that explains them: ``golden/causes.json``.

The pairs are those of ``helpers/made_pairs.py``, and cheap ones that ``benchmarks/causes.py`` draws of each kind of
manipulation. Beside the text there is
a checksum of the comparison as JSON, of every explanation and of what each step should have given, since a wrong one
may well lose against another and still be wrong. After a change that is meant, see with git what became of the texts:

    PYTHONPATH=. python tests/compare/test_differences_and_causes.py
"""

import json
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / "helpers"), str(TESTS.parent / "benchmarks")] * (__name__ == "__main__")     # as conftest

import causes as benchmark  # noqa: E402
from made_pairs import PAIRS  # noqa: E402

from spikingconvnet.compare import causes  # noqa: E402
from spikingconvnet.compare.differences import as_dict, as_text, compare  # noqa: E402
from spikingconvnet.compare.expected import Inputs  # noqa: E402

GOLDEN = TESTS / "golden" / "causes.json"
KEPT = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}


def pair(name):
    """Two recordings by their name: a kind, a seed, and whether spikes alone were recorded; or one of PAIRS."""
    if name in PAIRS:
        return PAIRS[name]()
    kind, seed, *alone = name.split(", ")
    rng = np.random.default_rng([int(seed), list(benchmark.KINDS).index(kind)])
    a, b, _ = benchmark.KINDS[kind][0](rng)
    if alone:
        a, b = (replace(r, neurons={}, membranes={}) for r in (a, b))
    return (b, a) if int(seed) % 2 else (a, b)


def said(a, b):
    """Lines of the text, the last of which is a checksum of all the rest."""
    every, explanations = [], causes._explanations
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(causes, "_explanations", lambda case: every.append(explanations(case)) or every[0])
        found = compare(a, b)
    more = [as_dict(found, a, b), *([one.name, one.evidence, one.details] for part in every for one in part),
            *(numbers(Inputs(r, label, 40)) for r in (a, b) for label in r.neurons if len(r.neurons[label]))]
    text = json.dumps(more, default=whole, sort_keys=True)
    return [*as_text(found, a, b).splitlines()[2:], zlib.crc32(json.dumps(rounded(json.loads(text))).encode())]


def whole(value):
    """Sets and numbers of numpy as JSON holds them."""
    return sorted(value) if isinstance(value, (set, frozenset)) else value.item()


def rounded(value):
    """The same with numbers of five digits: more of them a library of linear algebra may choose."""
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return list(map(rounded, value))
    return float(f"{value:.5g}") if isinstance(value, float) else value


def numbers(one):
    """Sums of what a population should have received and done, each number by its place: list of int."""
    came, off = one.expected, one.all_deviations()
    parts = [one.sums(), one.membranes, one.inflow, one.all_thresholds(), one.observed().round(1), off.currents,
             off.membranes, off.spikes, *vars(came).values(), one.membrane_deviations(), one.core]
    return [off.learned, off.places, off.largest, one.is_followed,
            *(int((part.ravel() * (np.arange(part.size) % 1009 + 1)).sum()) for part in parts)]


@pytest.mark.parametrize("name", KEPT)
def test_of_a_pair_of_runs_is_said_what_was_said(name):
    assert said(*pair(name)) == KEPT[name]


if __name__ == "__main__":
    kept = {name: said(*pair(name)) for name in sys.argv[1:] or KEPT}
    GOLDEN.write_text(json.dumps(kept, indent=0, ensure_ascii=False) + "\n")
