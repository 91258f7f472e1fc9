"""What an explanation of two recordings must stand up to: every integer of the one that left its network's arithmetic.

A change of a network is an explanation if the local engine, given that network, computes all that was recorded; a
change of what reached the neurons, if ``inputs`` finds every step of theirs to follow from it.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from spikingconvnet.backends.local import simulator
from spikingconvnet.board.fixed_point import ACCUM_ONE
from spikingconvnet.board.lowering import Lowered, lower
from spikingconvnet.board.partition import cores
from spikingconvnet.compare.expected import Deviations, Inputs
from spikingconvnet.compare.recorded import Recorded
from spikingconvnet.errors import SpikingConvNetError
from spikingconvnet.network.arrays import Ints, Pair
from spikingconvnet.network.netlist import Network, Projection
from spikingconvnet.network.spikes import Spikes

if TYPE_CHECKING:
    from spikingconvnet.compare.differences import Difference

Residuals: TypeAlias = Callable[[Ints], Ints]       # of candidates (n,): (n, observations)
NOT_TOLD = "not told"
HORIZON = 1000          # steps behind the first difference that a cause has to explain
CONTINUOUS = ("nest", "brian2")     # simulators that do not round weights to 16 bits
ADVICE = {
    "data": "record both with the same data, seed and parameters",
    "weights": "use one run's layers for both recordings; if both were given the same weights, compare the versions of"
               " the simulators",
    "parameter": "record both with the same parameters; if both were given the same, compare the versions of the"
                 " simulators",
    "rounding": "nothing if the answers agree; only the local backend and sPyNNaker 7.4.1 promise equal integers",
    "saturation": "lower the weights or raise max_expected_summed_weight, see --mode check",
    "lost packet": "record again with a larger --time-scale; --mode check tells which steps are busy",
    "doubled packet": "record again on the same machines to see whether it is always there",
    "late packet": "record again with a larger --time-scale; --mode check tells which steps are busy",
    "delay": "look at the delays of that projection, and whether time steps overran; a larger --time-scale gives them"
             " time",
    "partition": "look at how the population is cut into cores, see --mode check; record again to see whether it is"
                 " always that core",
    NOT_TOLD: "record both again on the same machines to see whether it is always there",
}


@dataclass(frozen=True)
class Cause:
    """Why two recordings differ.

    Attributes
    ----------
    name : str
        A key of `ADVICE`.
    evidence : str
        What shows it, or what is known without showing a cause.
    details : dict
        The same in numbers, as JSON holds it.
    """

    name: str
    evidence: str
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def advice(self) -> str:
        """What to do next."""
        return ADVICE[self.name]


class Case:
    """Two recordings and what their networks make one expect, computed when it is asked for.

    Parameters
    ----------
    a, b : Recorded
        Of the same populations and synapses.
    first : compare.Difference
    """

    def __init__(self, a: Recorded, b: Recorded, first: "Difference") -> None:
        self.a, self.b, self.first, self.network = a, b, first, a.network
        self.sides = {"A": a, "B": b}
        self.steps = min(a.n_steps, first.step + HORIZON)
        self.order = [p.label for p in a.network.populations if p.label in a.neurons and len(a.neurons[p.label])
                      and all(len(r.membranes[p.label]) == 3 for r in (a, b))]

    @cached_property
    def inputs(self) -> dict[str, list[Inputs]]:
        """Inputs of every population whose membranes were recorded: dict of 'A' and 'B' to list."""
        return {name: [Inputs(r, label, self.steps) for label in self.order] for name, r in self.sides.items()}

    @cached_property
    def deviations(self) -> dict[str, list[Deviations]]:
        """From the network's arithmetic: dict of 'A' and 'B' to list of Deviations."""
        return {name: [one.all_deviations() for one in side] for name, side in self.inputs.items()}

    @cached_property
    def follows(self) -> dict[str, bool]:
        """Whether the local engine computes all of a recording from its own network: dict of 'A' and 'B' to bool."""
        return {name: self.reproduces(r.network, r) for name, r in self.sides.items()}

    @cached_property
    def deviant(self) -> str | None:
        """The recording that alone leaves the arithmetic, 'A' or 'B'; None if it is both or neither."""
        off = [name for name, follows in self.follows.items() if not follows]
        if len(off) == 2:
            off = [name for name, parts in self.deviations.items() if any(part.places for part in parts)]
        return off[0] if len(off) == 1 else None

    @property
    def _blamed(self) -> str:
        assert self.deviant is not None         # whoever asks has made sure
        return self.deviant

    @property
    def other(self) -> str:
        """The recording that is not the deviant one."""
        return "A" if self.deviant == "B" else "B"

    @property
    def suspect(self) -> Recorded:
        """The deviant Recorded."""
        return self.sides[self._blamed]

    @property
    def replays(self) -> list[Inputs]:
        """Inputs of the deviant recording."""
        return self.inputs[self._blamed]

    @cached_property
    def beginnings(self) -> list[Inputs]:
        """The same up to the first difference, which most explanations fail already."""
        return [Inputs(self.suspect, label, min(self.first.step + 1, self.steps)) for label in self.order]

    @property
    def off(self) -> list[Deviations]:
        """Deviations of the deviant recording, by `replays`."""
        return self.deviations[self._blamed]

    @cached_property
    def astray(self) -> list[tuple[Inputs, Deviations]]:
        """(Inputs, Deviations) of the populations of the deviant recording that leave the arithmetic."""
        return [(one, off) for one, off in zip(self.replays, self.off) if off.places]

    @cached_property
    def is_input(self) -> bool:
        """Whether only what came in is other than expected: membranes and spikes follow from recorded currents."""
        return bool(self.astray) and all(one.is_followed for one in self.replays) and not any(
            off.membranes.any() or off.spikes.any() for off in self.off)

    @cached_property
    def cores(self) -> dict[str, Ints]:
        """Core of every neuron: dict of str to int array."""
        return cores(self.network)

    def core_text(self, label: str, core: int) -> str:
        """A core in words."""
        ids = np.flatnonzero(self.cores[label] == core)
        return f"core {core} of population {label} (neurons {ids[0]} to {ids[-1]})"

    def cores_text(self, label: str, hit: Collection[int]) -> str:
        """Cores in words: the whole population, or up to three of its cores."""
        if len(hit) == len(np.unique(self.cores[label])):
            return f"population {label}"
        more = f" and {len(hit) - 3} more" * (len(hit) > 3)
        return " and ".join(self.core_text(label, core) for core in sorted(hit)[:3]) + more

    def reproduces(self, network: Network, recorded: Recorded) -> bool:
        """Whether the local engine computes from `network` what was recorded: spikes, membranes, learned weights."""
        ends = sorted({self.first.step + 1, self.steps, *(step for step, _, _ in recorded.thresholds)} - {0})
        ends = [end for end in ends if end <= self.steps]
        try:
            with simulator.open(network, {k: recorded.neurons[k] for k in recorded.membranes}, jobs=1) as simulation:
                return (all(_is_same(simulation, recorded, start, end) for start, end in zip([0, *ends], ends))
                        and (self.steps < recorded.n_steps or _learned_the_same(simulation, recorded)))
        except SpikingConvNetError:         # a network that no board could hold
            return False

    def explains(self, network: Network) -> bool:
        """Whether a changed network explains the deviant recording, with weight scales as it would choose them."""
        return self.reproduces(network, self.suspect)

    def follows_from(self, recorded: Recorded, lowered: Lowered, labels: Iterable[str]) -> bool:
        """Whether populations follow from a network in integers.

        Up to the first difference, then as far as one looks.
        """
        return not any(Inputs(recorded, label, steps, lowered).all_deviations().places
                       for steps in sorted({min(self.first.step + 1, self.steps), self.steps}) for label in labels)

    def explains_at_this_scale(self, network: Network) -> bool:
        """The same with the scales of weights that the recording's own network has."""
        if not all(one.is_followed for one in self.replays):
            return False
        scales = self.suspect.lowered.populations
        try:
            changed = lower(network)
            populations = {label: replace(p, shift=scales[label].shift) for label, p in changed.populations.items()}
            lowered, recorded = Lowered(network, populations), replace(self.suspect, network=network)
            return self.follows_from(recorded, lowered, self.order)
        except SpikingConvNetError:
            return False


def _is_same(simulation: simulator.Simulation, recorded: Recorded, start: int, end: int) -> bool:
    """Whether a simulation does in these steps what was recorded, with the thresholds that were set then."""
    for since, label, values in recorded.thresholds:
        if since == start:
            simulation.set(label, v_thresh=values)
    simulation.run(end - start)
    made = simulation.recording()
    return (all(_same_spikes(spikes, recorded.spikes[label].window(start, end - start))
                for label, spikes in made.spikes.items())
            and all(np.array_equal(values, recorded.membranes[label][name][start:end])
                    for label, traces in made.membranes.items() for name, values in traces.items()
                    if name in recorded.membranes[label]))


def _same_spikes(ours: Spikes, theirs: Spikes) -> bool:
    return np.array_equal(ours.offsets, theirs.offsets) and np.array_equal(ours.neurons, theirs.neurons)


def _learned_the_same(simulation: simulator.Simulation, recorded: Recorded) -> bool:
    pairs = ((simulation.weights(p.label).raw, recorded.weights[p.label])
             for p in recorded.network.projections if p.learns and p.label in recorded.weights)
    return all(ours is not None and np.array_equal(ours, theirs) for ours, theirs in pairs)


def with_population(network: Network, label: str, **changes: Any) -> Network:
    """The network with fields of a population changed."""
    return replace(network, populations=tuple(replace(p, **changes) if p.label == label else p
                                              for p in network.populations))


def with_projections(network: Network, change: Callable[..., Projection]) -> Network:
    """The network with ``change(projection)`` for every projection."""
    return replace(network, projections=tuple(map(change, network.projections)))


def shortest(low: int, high: int) -> float:
    """The number of fewest decimals whose s16.15 is from `low` to `high`, both raw.

    >>> shortest(393500, 393530), shortest(393500, 393550)
    (12.009, 12.01)
    """
    for digits in range(7):
        for value in {round(raw / ACCUM_ONE, digits) for raw in (low, (low + high) / 2, high)}:
            if low <= round(value * ACCUM_ONE) <= high:
                return value
    return low / ACCUM_ONE


def solutions(residuals: Residuals, declared: int, low: int, high: int, ratio: float = 2.0 ** 0.25,
              window: int = 4096) -> Pair | None:
    """Whole numbers for which every residual is 0, where they are less wrong the nearer one comes.

    Parameters
    ----------
    residuals : callable
        ``residuals(candidates)``, int64 (n,), is an int64 array (n, observations).
    declared : int
        Where the search begins.
    low, high : int
        Bounds.
    ratio : float
        Between the distances from `declared` that are tried first.
    window : int
        How many are tried one by one at the end; so far residuals may go up and down with what is rounded.

    Returns
    -------
    (smallest, largest) of them, or None
    """
    away = np.unique(np.rint(ratio ** np.arange(0, 31 / np.log2(ratio) + 0.01)).astype(np.int64))
    grid = np.unique(np.clip(np.concatenate([declared - away, [declared], declared + away]), low, high))
    reach = 4 if window > 16 else 1         # neighbours between which the best may be
    while True:
        wrong = abs(residuals(grid).astype(np.float64)).sum(axis=1)
        right = np.flatnonzero(wrong == 0)
        if len(right):
            break
        best = np.flatnonzero(wrong == wrong.min())
        first, last = grid[max(best[0] - reach, 0)], grid[min(best[-1] + reach, len(grid) - 1)]
        if grid[-1] - grid[0] < len(grid) or last - first > 0.6 * (grid[-1] - grid[0]):
            return None
        points = window if last - first <= window else 16 * reach
        around = max(0, window - int(last - first)) // 2
        first, last = max(low, first - around), min(high, last + around)
        grid = np.unique(np.rint(np.linspace(first, last, points + 1)).astype(np.int64))
    ends = [_end(residuals, grid[right[0]], grid[right[0] - 1] if right[0] else grid[0]),
            _end(residuals, grid[right[-1]], grid[right[-1] + 1] if right[-1] + 1 < len(grid) else grid[-1])]
    return ends[0], ends[1]


def _end(residuals: Residuals, right: int, wrong: int) -> int:
    """The last right number on the way from a right one to one that is wrong, or right too."""
    right, wrong = int(right), int(wrong)
    if not residuals(np.array([wrong])).any():
        return wrong
    while abs(wrong - right) > 1:
        middle = (right + wrong) // 2
        if residuals(np.array([middle])).any():
            wrong = middle
        else:
            right = middle
    return right
