"""What is reached without learning: by the classes alone, and in run directories beside this one.

Of those only ``results.json`` is read: their parameters are Python, and a page executes nothing but its own run's.
"""

import json
from collections.abc import Iterator
from typing import Any

from spikingconvnet.data.events import takes_events
from spikingconvnet.errors import StoreError
from spikingconvnet.experiment.described import described
from spikingconvnet.experiment.report.about import again
from spikingconvnet.experiment.report.held import Held
from spikingconvnet.network.arrays import Ints
from spikingconvnet.store.directory import RunDirectory, word
from spikingconvnet.store.schemas import check_entry

MOST_RUNS = 200             # that are looked at
DATA = "DATASET", "CLASSES", "N_VALIDATION", "PER_CLASS"
# Names of rules that are floors. The first ones are this network, with kernels that have learned nothing of the task.
SAME_NETWORK = {"random": "random kernels, all else the same", "kmeans": "k-means kernels, all else the same",
                "pca": "principal components as kernels, all else the same"}
ON_SAME_IMAGES = {"ridge": "linear units behind random ones", "raw pixels": "raw pixels and a linear machine"}


def floors(held: Held, confusion: Ints) -> list[dict[str, Any]]:
    """What is reached by guessing, and by runs beside this one that are floors of it: list of dict for JSON.

    Parameters
    ----------
    held : Held
    confusion : int array (classes, classes)
        Of the last test.
    """
    n, classes = max(1, int(confusion.sum())), int((confusion.sum(axis=1) > 0).sum())
    return [{"name": "always the most frequent class", "share": float(confusion.sum(axis=1).max(initial=0) / n)},
            {"name": "guessing", "share": 1.0 / max(1, classes)}, *_computed(held, confusion.sum(axis=1).tolist())]


def _computed(held: Held, shown: list[int]) -> Iterator[dict[str, Any]]:
    """Floors in directories beside this one and in ``floors`` beside it, that saw as many images of each class."""
    own, home = json.loads(json.dumps(described(held.settings, {})["settings"])), held.store.path.resolve()
    paths = sorted(path.parent for part in ("*", "floors/*") for path in home.parent.glob(f"{part}/results.json"))
    for path in [path for path in paths if path != home][:MOST_RUNS]:
        try:
            entries = RunDirectory(path).results(check_entry)
        except (StoreError, OSError):
            continue            # a damaged neighbour is no fault of this run
        rule, test = _rule(entries), _test(entries, held.split)
        named = {**ON_SAME_IMAGES, **(SAME_NETWORK if held.settings.rule is None else {})}.get(rule)
        if named and test and rule not in held.rules and _same(held, own, entries, rule) and _rows(test) == shown:
            yield {"name": named, "share": test["accuracy"], "run": path.relative_to(home.parent).as_posix()}


def _rule(entries: dict[str, Any]) -> str:
    """The rule that all layers have in common, or ''."""
    rules = {str(entry.get("rule")) for name, entry in entries.items() if name.startswith("layer ") or name == "floor"}
    return rules.pop() if len(rules) == 1 else ""


def _test(entries: dict[str, Any], split: str) -> dict[str, Any] | None:
    """The entry of a split, unless something before it was computed again since, or a board has spoilt it."""
    names = [name for name in entries if name.startswith("layer ") or name in ("svm", split)]
    found = entries.get(split, {})
    whole = names[-1:] == [split] and "made_from" in found      # of others nothing was checked
    return found if whole and found.get("verdict", "valid") == "valid" else None


def _same(held: Held, own: dict[str, Any], entries: dict[str, Any], rule: str) -> bool:
    """Whether a run has seen the same data, and a floor of the same network is of this one."""
    run = entries.get("run", {}).get("settings")
    if not isinstance(run, dict):
        return False
    if rule in SAME_NETWORK:
        return all(own.get(name) == run.get(name) for name in (set(own) | set(run)) - {"SEED"})
    as_many = run.get("N_TRAIN") in (own.get("N_TRAIN"), len(held.train["labels"]))
    return as_many and all(own.get(name) == run.get(name) for name in DATA)


def _rows(entry: dict[str, Any]) -> list[int]:
    """Images of each class."""
    return [sum(row) for row in entry["confusion"]]


def commands(held: Held, known: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Commands that make floors that are not known yet, beside this run: list of dict for JSON."""
    home, found = held.store.path.parent, {}
    if set(held.rules) == {"stdp"}:
        found[SAME_NETWORK["random"]] = again(held, word(home / "random"), "random")
    if not takes_events(held.settings.encoder) and min(held.model.input_shape[1:]) > 1 and held.rules[:1] != ["ridge"]:
        found[ON_SAME_IMAGES["ridge"]] = (f"{held.program} --mode demo --rule ridge --source {word(held.source)}"
                                          f" --run-dir {word(home / 'ridge')}")
    names = {one["name"] for one in known}
    return [{"what": what, "command": command} for what, command in found.items() if what not in names]
