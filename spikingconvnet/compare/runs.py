"""Two run directories of one experiment: the first stored result in which they differ, in the order of the pipeline.

Results are what training and testing keep anyway: input spikes, kernels, the course of a training, spikes of layers,
counts, the classifier. They tell where two machines part; what each neuron received there only a recording tells.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikingconvnet.compare.causes import NOT_TOLD, Cause
from spikingconvnet.errors import StoreError
from spikingconvnet.network.arrays import Numbers
from spikingconvnet.store import schemas
from spikingconvnet.store.directory import HOW, RunDirectory, word

SPLITS = ("train", "validation", "test")
ALIKE = "; compare runs of the same parameters"
COURSE = ("thresholds", "wins", "mean_weight")      # of a training, chunk by chunk
ARRAYS: dict[str, dict[str, tuple[str, ...]]] = {    # compared, in this order, with what their places are
    "data": {"labels": ("image",), "counts": ("step",), "neurons": ("spike",)},
    "layers": {"initial": ("filter", "channel", "row", "column"), **dict.fromkeys(COURSE, ("chunk", "entry")),
               "learned": ("filter", "channel", "row", "column"), "kernels": ("filter", "channel", "row", "column"),
               "v_thresh": ("map",)},
    "spikes": {"counts": ("step",), "neurons": ("spike",)},
    "features": {"counts": ("image", "feature")},
    "": {"coefficients": ("class", "feature"), "intercepts": ("class",)},
}


@dataclass(frozen=True)
class ArrayDifference:
    """An array of a stored result that differs.

    Attributes
    ----------
    name : str
        Of the result, as in the run directory.
    array : str
    place : str
        Of the first entry that differs, in words.
    a, b : float or int
        That entry.
    differ, compared : int
        Entries.
    """

    name: str
    array: str
    place: str
    a: float
    b: float
    differ: int
    compared: int


@dataclass(frozen=True, eq=False)
class RunComparison:
    """What came out.

    Attributes
    ----------
    same : list of str
        Results that are identical.
    results : list of ArrayDifference
        Arrays that differ, in the order of the pipeline.
    cause : Cause or None
    next : list of str
        Options of the commands to run next.
    how : dict of 'A' and 'B' to dict
        How the first result that differs was made, or the last one.
    """

    same: list[str]
    results: list[ArrayDifference]
    cause: Cause | None
    next: list[str]
    how: dict[str, Any]

    @property
    def identical(self) -> bool:
        """Whether nothing differs."""
        return not self.results


def compare_runs(a: str | Path, b: str | Path) -> RunComparison:
    """Compare everything that both run directories hold.

    Parameters
    ----------
    a, b : str or Path

    Returns
    -------
    RunComparison

    Raises
    ------
    StoreError
        They have no results in common, or are not of one experiment.
    """
    stores = RunDirectory(a), RunDirectory(b)
    names = sorted(set.intersection(*(_names(store) for store in stores)), key=_place)
    if not names:
        raise StoreError(f"{a} and {b}: hold no results in common; run the same modes with both, such as --mode demo")
    same: list[str] = []
    results: list[ArrayDifference] = []
    how: dict[str, Any] = {}
    for name in names:
        ours, theirs = (store.read(name, "the command that made it", None, schemas.of(name)) for store in stores)
        found = list(_differences(name, ours, theirs))
        if not results:
            how = {"A": ours[HOW], "B": theirs[HOW]}
        same += [] if found else [name]
        results += found
    cause, after = (None, []) if not results else (_cause(results[0], how), _next((a, b), results[0], how))
    return RunComparison(same, results, cause, after, how)


def _names(store: RunDirectory) -> set[str]:
    return {path.relative_to(store.path).with_suffix("").as_posix() for path in store.path.glob("**/*.npz")
            if path.parent.name in ARRAYS or path.stem == "svm"}


def _place(name: str) -> tuple[int, int, bool, int, str]:
    """Where in the pipeline a result is made."""
    kind, _, rest = name.rpartition("/")
    words = rest.split("-")
    split = next((SPLITS.index(word) for word in words if word in SPLITS), 0)
    layer = int(words[0]) if words[0].isdigit() else 0
    return {"data": 0, "layers": 1, "spikes": 1}.get(kind, 2 + (not kind)), layer, kind == "spikes", split, name


def _differences(name: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[ArrayDifference]:
    """Arrays of one stored result that differ, those of a training by the earliest chunk."""
    found = []
    for array, axes in ARRAYS[name.rpartition("/")[0]].items():
        if (array in ours) != (array in theirs):
            raise StoreError(f"{name}: only one of the two has {array}; they are not of one experiment{ALIKE}")
        if array in ours and not np.array_equal(ours[array], theirs[array]):
            lists = array in ("neurons", "counts") and ours[array].ndim == 1        # may be of any length
            if ours[array].shape != theirs[array].shape and not lists:
                raise StoreError(f"{name}: {array} has the shape {ours[array].shape} in A and {theirs[array].shape} in"
                                 f" B; they are not of one experiment{ALIKE}")
            found.append((array, *_first(ours[array], theirs[array], axes)))
    chunks = [entry for entry in found if entry[0] in COURSE]       # a training parts in its earliest chunk
    rest = [entry for entry in found if entry[0] not in COURSE]
    at = next((i for i, entry in enumerate(rest) if entry[0] != "initial"), len(rest))
    for array, _, *numbers in rest[:at] + sorted(chunks, key=lambda entry: entry[1][0]) + rest[at:]:
        yield ArrayDifference(name, array, *numbers)


def _first(ours: Numbers, theirs: Numbers, axes: Sequence[str]) -> tuple[Any, ...]:
    """Index of the first entry that differs, the same in words, both entries, how many differ and of how many."""
    if ours.shape != theirs.shape:
        n = min(len(ours), len(theirs))
        index: tuple[int, ...] = (int(np.argmax(ours[:n] != theirs[:n])) if (ours[:n] != theirs[:n]).any() else n,)
        entries = [part[index].item() if index[0] < len(part) else 0 for part in (ours, theirs)]
        differ = int((ours[:n] != theirs[:n]).sum()) + abs(len(ours) - len(theirs))
        return index, f"{axes[0]} {index[0]}", *entries, differ, max(len(ours), len(theirs))
    index = tuple(int(i) for i in np.argwhere(ours != theirs)[0])
    place = ", ".join(f"{axis} {i}" for axis, i in zip(axes, index))
    return index, place, ours[index].item(), theirs[index].item(), int((ours != theirs).sum()), ours.size


def _cause(first: ArrayDifference, how: Mapping[str, Any]) -> Cause:
    """As much of a cause as stored results tell."""
    made = [how[side].get("made_on", "?") for side in ("A", "B")]
    if first.name.startswith("data/") or first.array == "initial":
        seeds = [how[side].get("seed") for side in ("A", "B")]
        text = "both began with other " + ("images or spikes" if first.array != "initial" else "start weights")
        return Cause("data", text + (f" (seed {seeds[0]} and {seeds[1]})" if seeds[0] != seeds[1] else ""),
                     {"seeds": seeds})
    text = {"layers": "training had the same input and start weights in both",
            "spikes": "the layers and their input are the same in both",
            "features": "the layers and their input are the same in both",
            "": "the counts are the same in both"}[first.name.rpartition("/")[0]]
    return Cause(NOT_TOLD, f"{text}, one computed on {made[0]}, the other on {made[1]}; recordings tell what each"
                 " neuron received")


def _next(paths: Iterable[str | Path], first: ArrayDifference, how: Mapping[str, Any]) -> list[str]:
    """Options of the commands that record what differs and compare that."""
    kind, _, rest = first.name.rpartition("/")
    if kind == "data" or first.array == "initial" or not kind:
        return []
    mode = f"--mode training --layer {rest}" if kind == "layers" else "--mode testing"
    machine = {"emulated": " --backend spinnaker", "timed": " --backend spinnaker --timed",
               "hardware": " --backend spinnaker --target HOST"}
    made = [how[side].get("made_on", "local") for side in ("A", "B")]
    backends = [machine.get(name, f" --backend {name}" if name != "local" else "") for name in made]
    commands = [f"{mode}{backend} --run-dir {word(path)} --record {file}"
                for backend, path, file in zip(backends, paths, ("a.npz", "b.npz"))]
    return [*commands, "--mode compare a.npz b.npz"]


def as_dict(comparison: RunComparison) -> dict[str, Any]:
    """The comparison as JSON holds it."""
    return {"identical": comparison.identical, "a": comparison.how["A"], "b": comparison.how["B"],
            "same": comparison.same, "first": asdict(comparison.results[0]) if comparison.results else None,
            "results": [asdict(result) for result in comparison.results],
            "cause": asdict(comparison.cause) if comparison.cause else None, "next": comparison.next}


def as_text(comparison: RunComparison, a: str | Path, b: str | Path, program: str) -> str:
    """The comparison in a few lines, with the commands to run next."""
    lines = [f"{name}: {path}" for name, path in (("A", a), ("B", b))]
    lines += [f"the same: {', '.join(comparison.same)}"] * bool(comparison.same)
    cause = comparison.cause
    if cause is None:
        return "\n".join([*lines, "identical"])
    first = comparison.results[0]
    lines.append(f"first difference: {first.name}, {first.array}, {first.place}: A {first.a:.6g}, B {first.b:.6g}")
    lines += [f"  {r.name}, {r.array}: {r.differ:,} of {r.compared:,} differ" for r in comparison.results]
    lines.append(f"cause not told: {cause.evidence}" if cause.name == NOT_TOLD else f"cause: {cause.name}:"
                 f" {cause.evidence}")
    return "\n".join([*lines, *(f"next: {program} {words}" for words in comparison.next or [])]
                     + ([] if comparison.next else [f"next: {cause.advice}"]))
