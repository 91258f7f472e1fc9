"""Two recordings of one network: where they differ first, how much of them differs, and why, where it can be told.

What counts is integers, those of a board. The first difference is that of the earliest step; inside a step populations
and projections come in the order of the network, inside a population neurons, inside a neuron `VARIABLES`. Static
weights belong to step 0, weights that learn to the end. Causes are in ``causes``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, get_args

import numpy as np

from spikingconvnet.compare import causes
from spikingconvnet.compare.causes import NOT_TOLD, Cause
from spikingconvnet.compare.recorded import Recorded
from spikingconvnet.errors import StoreError
from spikingconvnet.network import serialisation
from spikingconvnet.network.arrays import AnyInts, Ints, Pair
from spikingconvnet.network.neurons import Cell
from spikingconvnet.network.spikes import Spikes

VARIABLES = ("v", "gsyn_exc", "gsyn_inh", "spikes", "weights")
NAMES = {"v": "V", "gsyn_exc": "excitatory current", "gsyn_inh": "inhibitory current", "spikes": "spikes",
         "weights": "weights"}
COMPARED_ANYHOW = (         # that these differ is a difference of its own, with a cause
    *((cell.__name__, part.name) for cell in get_args(Cell) for part in fields(cell)),
    *((wiring, name) for wiring in ("ConnectionList", "DenseConnections", "LateralInhibition", "ConvConnections",
                                    "BoardConvolution", "BoardPoolDense")
      for name in ("weight", "kernels", "kernel", "delay")),
    *(("Projection", name) for name in ("receptor", "plasticity")),
    *(("Population", name) for name in ("values", "max_expected_summed_weight")),
    *(("Network", name) for name in ("timestep", "reset_every")))


@dataclass(frozen=True)
class Difference:
    """One number that is not the same in both.

    Attributes
    ----------
    step : int
    population : str
    neuron : int
    variable : str
        One of `VARIABLES`.
    a, b : int
        Raw s16.15, 16 bits of a weight, or the number of spikes.
    projection : str or None
        Of a weight; `neuron` is the postsynaptic one.
    pre : int or None
        Presynaptic neuron of a weight.
    """

    step: int
    population: str
    neuron: int
    variable: str
    a: int
    b: int
    projection: str | None = None
    pre: int | None = None


@dataclass(frozen=True)
class Count:
    """How much of a variable differs.

    Attributes
    ----------
    compared, differ : int
        Numbers; of spikes those that at least one of the two has.
    neurons, of_neurons, steps, of_steps : int
        With a difference, and compared; synapses instead of neurons for weights, which have no steps.
    largest : int
        Difference, raw.
    """

    compared: int
    differ: int
    neurons: int
    of_neurons: int
    steps: int
    of_steps: int
    largest: int


@dataclass(frozen=True, eq=False)
class Comparison:
    """What came out.

    Attributes
    ----------
    first : Difference or None
        None if the two are identical.
    counts : dict of str to Count
        By variable; those that both have.
    cause : Cause or None
    """

    first: Difference | None
    counts: dict[str, Count]
    cause: Cause | None

    @property
    def identical(self) -> bool:
        """Whether nothing differs."""
        return self.first is None


def compare(a: Recorded, b: Recorded) -> Comparison:
    """Compare two recordings.

    Parameters
    ----------
    a, b : Recorded

    Returns
    -------
    Comparison

    Raises
    ------
    StoreError
        They are of different networks, lengths or recorded neurons.
    """
    check_same(a, b)
    found, counts = {}, {}
    for variable in VARIABLES:
        parts = list(_DIFFERENCES[variable](a, b))
        if parts:
            found[variable] = [part.first for part in parts if part.first]
            steps, of_steps = _steps([part.steps for part in parts], a.n_steps)
            counts[variable] = Count(**{name: sum(getattr(part, name) for part in parts) for name in (
                "compared", "differ", "neurons", "of_neurons")}, steps=steps, of_steps=of_steps,
                largest=max(part.largest for part in parts))
    order = {p.label: i for i, p in enumerate(a.network.populations)}
    first = min((d for part in found.values() for d in part), default=None,
                key=lambda d: (d.step, order[d.population], d.neuron, VARIABLES.index(d.variable)))
    return Comparison(first, counts, None if first is None else causes.cause(a, b, first))


def check_same(a: Recorded, b: Recorded) -> None:
    """Raise a StoreError that says what differs, unless both are of one network, length and set of neurons."""
    labels = [[part.label for part in r.network.populations + r.network.projections] for r in (a, b)]
    found = (("labels", *map(str, labels)) if labels[0] != labels[1]
             else serialisation.first_difference(a.network, b.network, COMPARED_ANYHOW))
    if found:
        raise StoreError("A and B are not of one network: {}: A has {}, B {}; record both with the same parameters,"
                         " seed and layers".format(*found))
    if a.n_steps != b.n_steps:
        raise StoreError(f"A and B are not of one length: A has {a.n_steps:,} steps, B {b.n_steps:,}; record the same"
                         " images with both")
    for label in a.weights.keys() & b.weights.keys():
        ours, theirs = (len(r.weights[label]) for r in (a, b))
        if ours != theirs:
            raise StoreError(f"A and B are not of one network: projection {label}: A has {ours:,} synapses, B"
                             f" {theirs:,}; record both with the same parameters, seed and layers")
    for label in a.neurons.keys() | b.neurons.keys():
        ours, theirs = (r.neurons.get(label, np.zeros(0, int)).tolist() for r in (a, b))
        if ours != theirs:
            raise StoreError(f"A and B did not record the membranes of the same neurons of population {label}: A"
                             f" {len(ours)} neurons, B {len(theirs)}; record both in the same way")


@dataclass(frozen=True, eq=False)
class _Part:
    first: Difference | None
    compared: int
    differ: int
    neurons: int
    of_neurons: int
    steps: Ints | None
    largest: int


def _steps(parts: Sequence[Ints | None], of_steps: int) -> Pair:
    told = [part for part in parts if part is not None]
    return (len(np.unique(np.concatenate(told))), of_steps) if told else (0, 0)


def _membranes(name: str) -> Callable[[Recorded, Recorded], Iterator[_Part]]:
    def differences(a: Recorded, b: Recorded) -> Iterator[_Part]:
        for label, ids in a.neurons.items():
            if name in a.membranes[label] and name in b.membranes[label]:
                ours, theirs = (r.membranes[label][name].astype(np.int64) for r in (a, b))
                step, column = np.nonzero(ours != theirs)
                first = None
                if len(step):
                    now = column[step == step[0]]
                    c = now[np.argmin(ids[now])]
                    first = Difference(int(step[0]), label, int(ids[c]), name, int(ours[step[0], c]),
                                       int(theirs[step[0], c]))
                yield _Part(first, ours.size, len(step), len(np.unique(column)), len(ids), step,
                            int(abs(ours - theirs).max(initial=0)))

    return differences


def _spikes(a: Recorded, b: Recorded) -> Iterator[_Part]:
    for population in a.network.populations:
        label, size = population.label, population.size
        key, ours, theirs = counted(a.spikes[label], b.spikes[label])
        differ = ours != theirs
        step, neuron = np.divmod(key[differ], size)
        first = None
        if len(step):
            first = Difference(int(step[0]), label, int(neuron[0]), "spikes", int(ours[differ][0]),
                               int(theirs[differ][0]))
        yield _Part(first, int(np.maximum(ours, theirs).sum()), int(abs(ours - theirs).sum()), len(np.unique(neuron)),
                    size, step, int(abs(ours - theirs).max(initial=0)))


def counted(a: Spikes, b: Spikes) -> tuple[Ints, AnyInts, AnyInts]:
    """Spikes of two recordings of one population.

    Returns
    -------
    key : int64 array (n,)
        ``step * size + neuron`` of every spike that at least one of them has, ascending.
    ours, theirs : int64 arrays (n,)
        How often the neuron fired in that step.
    """
    keys = [s.steps() * s.size + s.neurons for s in (a, b)]
    key = np.union1d(*keys).astype(np.int64)
    ours, theirs = (np.bincount(np.searchsorted(key, own), minlength=len(key)) for own in keys)
    return key, ours, theirs


def _weights(a: Recorded, b: Recorded) -> Iterator[_Part]:
    """Where the weights at the end differ, a part for each projection that both tell of."""
    for projection in a.network.projections:
        label = projection.label
        if label in a.weights and label in b.weights:
            ours, theirs = (r.weights[label].astype(np.int64) for r in (a, b))
            lowered = a.lowered.projection(label)
            differ = np.flatnonzero(ours != theirs)
            first = None
            if len(differ):
                s = differ[np.argmin(lowered.post_id[differ])]
                first = Difference(a.n_steps if projection.learns else 0, projection.post, int(lowered.post_id[s]),
                                   "weights", int(ours[s]), int(theirs[s]), label, int(lowered.pre_id[s]))
            yield _Part(first, len(ours), len(differ), len(differ), len(ours), None,
                        int(abs(ours - theirs).max(initial=0)))


_DIFFERENCES = {**{name: _membranes(name) for name in VARIABLES[:3]}, "spikes": _spikes, "weights": _weights}


def as_dict(comparison: Comparison, a: Recorded, b: Recorded) -> dict[str, Any]:
    """The comparison as JSON holds it."""
    return {"identical": comparison.identical, "a": a.how, "b": b.how,
            "first": None if comparison.first is None else asdict(comparison.first),
            "counts": {name: asdict(count) for name, count in comparison.counts.items()},
            "cause": None if comparison.cause is None else asdict(comparison.cause)}


def as_text(comparison: Comparison, a: Recorded, b: Recorded) -> str:
    """The comparison in a few lines, with what to do next."""
    lines = [f"{name}: {_made(r)}" for name, r in (("A", a), ("B", b))]
    compared = ", ".join(f"{count.compared:,} {'values of ' * (name in VARIABLES[:3])}{NAMES[name]}"
                         for name, count in comparison.counts.items())
    lines.append(f"compared: {a.n_steps:,} steps, {compared}")
    first, cause = comparison.first, comparison.cause
    if first is None or cause is None:
        return "\n".join([*lines, "identical"])
    told = cause.name != NOT_TOLD
    return "\n".join([*lines, f"first difference: {where(first, a)}", *_shares(comparison.counts),
                      f"cause: {cause.name}: {cause.evidence}" if told else f"cause not told: {cause.evidence}",
                      f"next: {cause.advice}"])


def _made(recorded: Recorded) -> str:
    how = recorded.how
    return ", ".join([how.get("made_on", "?"), *(f"{name} {how[name]}" for name in ("shown", "seed", "version")
                                                 if name in how)])


def where(first: Difference, recorded: Recorded) -> str:
    """A difference in words."""
    population = recorded.network.population(first.population)
    channel, row, column = np.unravel_index(first.neuron, population.shape)
    neuron = f"neuron {first.neuron}"
    if np.prod(population.shape[1:]) > 1:
        neuron += f" (map {channel}, row {row}, column {column})"
    slot = recorded.spikes[first.population].n_steps
    step = f"step {first.step:,}"
    if slot < recorded.n_steps:
        step += f" (sample {first.step // slot}, step {first.step % slot})"
    if first.variable == "weights":
        step = "from the start" if first.step == 0 else "at the end"
        return (f"{step}, projection {first.projection}, weight of neuron {first.pre} to {neuron}: A {first.a}, B"
                f" {first.b} (16 bits)")
    if first.variable == "spikes":
        return f"{step}, population {first.population}, {neuron}: A fires {first.a} times, B {first.b}"
    unit = "mV" if first.variable == "v" else "nA"
    return (f"{step}, population {first.population}, {neuron}, {NAMES[first.variable]}: A {first.a / 32768:.5f}, B"
            f" {first.b / 32768:.5f} {unit} ({first.b - first.a:+d} in the last place)")


def _shares(counts: Mapping[str, Count]) -> Iterator[str]:
    """How much differs, a line for each variable."""
    for name, count in counts.items():
        if count.differ:
            who = "synapses" if name == "weights" else "neurons"
            steps = f", {count.steps:,} of {count.of_steps:,} steps" if count.of_steps else ""
            yield (f"  {NAMES[name]}: {count.differ:,} of {count.compared:,} differ"
                   f" ({100 * count.differ / count.compared:.2g} %), {count.neurons:,} of {count.of_neurons:,}"
                   f" {who}{steps}, by {count.largest:,} at most")
