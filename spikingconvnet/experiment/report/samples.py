"""Some images step by step: input spikes, the spikes of every layer, the vote, membranes of some neurons.

They are computed by the local engine, each behind the images that stood before it in the split, whose traces it meets
there. What comes out is compared with what the test has stored.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, zip_longest
from typing import Any

import numpy as np

from spikingconvnet import backends
from spikingconvnet.backends.base import Recording
from spikingconvnet.experiment import readout, replicas
from spikingconvnet.experiment.report.answers import Answered
from spikingconvnet.experiment.report.held import Held
from spikingconvnet.experiment.report.membranes import membranes
from spikingconvnet.experiment.report.packing import Block, packed, packed_spikes, quantised
from spikingconvnet.experiment.results import if_there
from spikingconvnet.model import build
from spikingconvnet.model.readouts import Membrane
from spikingconvnet.model.sequential import Stage
from spikingconvnet.network.arrays import Floats, Ints, Ints32
from spikingconvnet.network.geometry import grid_cells
from spikingconvnet.network.netlist import Network
from spikingconvnet.network.spikes import Spikes

MOST_SAMPLES = 40
NEURONS_AT_ONCE = 1_000_000     # neurons times samples that are simulated
BEFORE = 6                      # images before each sample: their traces are gone then but for the last place
MEMBRANE_SAMPLES = 12
MEMBRANES = 24                  # neurons a layer
MOST_SYNAPSES = 20_000_000      # of a Dense layer whose membranes are recorded
NOBODY = 65_535                 # has led yet


def in_turn(wrong: Ints, right: Ints) -> Ints:
    """Both alternately, as long as there are of both."""
    pairs = chain.from_iterable(zip_longest(wrong.tolist(), right.tolist()))
    return np.array([one for one in pairs if one is not None], np.int64)


@dataclass(frozen=True, eq=False)
class Shown:
    """Samples as the local engine answers to them.

    Attributes
    ----------
    held : Held
    index : int array (n,)
        Images of the split.
    """

    held: Held
    index: Ints

    @cached_property
    def stages(self) -> list[Stage]:
        """The layers that are trained."""
        return self.held.stages[:len(self.held.layers)]

    @property
    def before(self) -> int:
        """Images that are shown before each; none where every image starts at rest."""
        return 0 if self.held.settings.reset else BEFORE

    @cached_property
    def timeline(self) -> Spikes:
        """Input spikes: the images `before` a sample, those before its replica being silent, and the sample in turn."""
        spikes, most = self.held.data["spikes"], replicas.REPLICA_SAMPLES
        parts = []
        for one in self.index.tolist():
            first = max(one // most * most, one - self.before)
            silent = Spikes.empty(spikes.shape, self.before - (one - first), spikes.n_steps)
            parts += [silent, spikes.samples(first, one + 1)]
        return Spikes.concatenate(parts)

    def network(self, spikes: Spikes) -> Network:
        """All trained layers behind a timeline."""
        layers = [self.held.experiment.trained(stage.number) for stage in self.stages]
        return build.inference_network(self.stages, layers, spikes, self.held.settings.reset)

    @cached_property
    def has_units(self) -> bool:
        """Whether the last layer answers by itself, and is trained."""
        return self.held.model.runs_as_one and len(self.stages) == len(self.held.stages)

    @cached_property
    def recording(self) -> Recording:
        """Of all layers; there is at least one."""
        record = [self.stages[-1].label] if self.has_units and self.held.model.unit_readout.needs_membranes else []
        return backends.run(self.network(self.timeline), record=record, jobs=self.held.experiment.jobs)

    @cached_property
    def spikes(self) -> list[Spikes]:
        """Of the input and every trained layer, of the samples alone."""
        found = [self.recording.spikes[stage.label] for stage in self.stages] if self.stages else []
        places = range(self.before, self.timeline.n_samples, self.before + 1)
        return [Spikes.concatenate([one.samples(place, place + 1) for place in places])
                for one in (self.timeline, *found)]

    def v(self, recording: Recording, label: str) -> Ints32:
        """Raw membranes of the samples alone: int32 array (n, steps, neurons)."""
        return self.samples_of(recording.membranes[label]["v"])

    def samples_of(self, v: Ints32) -> Ints32:
        """Of a trace (steps, neurons) the part of the samples alone: array (n, steps, neurons)."""
        found: Ints32 = v.reshape(len(self.index), self.before + 1, self.timeline.n_steps, -1)[:, self.before]
        return found


def shown(held: Held, order: Ints, budget: int) -> Shown:
    """As many samples as fit: Shown.

    Parameters
    ----------
    held : Held
    order : int array
        Images of the split, those first that are to be there.
    budget : int
        Bytes that their spikes may take.
    """
    shapes = held.stages[0].source_shape, *(stage.out_shape for stage in held.stages)
    most = int(np.clip(NEURONS_AT_ONCE // sum(map(math.prod, shapes)), 2, MOST_SAMPLES))
    return _within(Shown(held, order[:most]), budget)


def samples(shown: Shown, found: Answered | None) -> dict[str, Any]:
    """Samples step by step: dict for JSON.

    Parameters
    ----------
    shown : Shown
    found : Answered or None
        What the test has stored.
    """
    held, votes, labels = shown.held, _votes(shown), ["input", *(stage.label for stage in shown.stages)]
    return {"index": shown.index.tolist(), "n_steps": shown.timeline.n_steps,
            "populations": [{"label": label, **packed_spikes(one)} for label, one in zip(labels, shown.spikes)],
            "before": shown.before, "votes": votes and votes.as_dict(),
            "membranes": _membranes(shown), "agreement": _agreement(shown, found),
            "means": [one.n_events / len(shown.index) for one in shown.spikes], "maps": _maps(shown.spikes),
            "missing": _missing(held)}


def _missing(held: Held) -> list[dict[str, str]]:
    """The first layer that is not trained."""
    number = len(held.layers) + 1
    if number > len(held.stages):
        return []
    return [held.missing(f"layer {number} is not trained yet, so nothing behind it is shown", "training",
                         None if held.model.runs_as_one else number)]


def _within(shown: Shown, budget: int) -> Shown:
    """The first samples, which take no more bytes than there are."""
    each = sum(_bytes(one) for one in shown.spikes)
    fit = max(1, int(np.searchsorted(np.cumsum(each), budget, side="right")))
    if fit >= len(shown.index):
        return shown
    return Shown(shown.held, shown.index[:fit])


def _bytes(spikes: Spikes) -> Ints:
    """Bytes of the spikes of each sample."""
    return np.diff(spikes.offsets[::spikes.n_steps]) * spikes.neurons.itemsize + 2 * spikes.n_steps


def _maps(spikes: list[Spikes]) -> list[Block]:
    """Spikes an image of each map of each population, on average over the samples."""
    return [quantised(one.counts().sum(axis=(2, 3)).mean(axis=0), 2) for one in spikes]


@dataclass(frozen=True, eq=False)
class Votes:
    """What stands for each class after every step.

    Attributes
    ----------
    unit : str
        Of the scores.
    scores : float array (n, steps, classes)
    leads : int array (n, steps)
        The class that would be the answer; NOBODY before the window of the readout.
    """

    unit: str
    scores: Floats
    leads: Ints

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"unit": self.unit, "scores": quantised(self.scores, 2), "leads": packed(self.leads)}


def _votes(shown: Shown) -> Votes | None:
    """Votes of the readout; None where it is missing."""
    if len(shown.stages) < len(shown.held.stages):
        return None
    return _of_units(shown) if shown.has_units else _of_classifier(shown)


def _of_classifier(shown: Shown) -> Votes | None:
    """Margins of the counts so far."""
    held, spikes = shown.held, shown.spikes[-1]
    arrays = if_there(held.experiment.stored.classifier().read)
    if arrays is None:
        return None
    fitted = readout.Readout.from_arrays(arrays)
    cells = grid_cells(spikes.shape, held.model.classifier.cells(spikes.shape))[spikes.neurons]
    steps, total = spikes.steps(), len(spikes.offsets) - 1
    each = [np.bincount(steps, weights=row[cells], minlength=total) for row in fitted.coefficients]
    scores = np.full((spikes.n_samples, spikes.n_steps, len(held.classes)), np.nan)
    places = np.searchsorted(held.classes, fitted.classes)
    sums = np.stack(each, axis=1).reshape(spikes.n_samples, spikes.n_steps, -1).cumsum(axis=1)
    scores[:, :, places] = sums + fitted.intercepts
    scores = np.where(np.isnan(scores), np.nanmin(scores), scores)      # classes that the classifier does not know
    return Votes("margin of the classifier", scores, np.argmax(scores, axis=2))


def _of_units(shown: Shown) -> Votes:
    """Spikes, or mean membranes, of the output units so far."""
    spikes, layer, n = shown.spikes[-1], shown.held.model.unit_readout, len(shown.index)
    first, last = layer.window(spikes.n_steps)
    v = shown.v(shown.recording, shown.stages[-1].label) if layer.needs_membranes else None
    flat = None if v is None else v.reshape(n * spikes.n_steps, -1)
    if isinstance(layer, Membrane) and v is not None and flat is not None:
        units, _ = readout.by_membrane(flat, spikes.n_steps, (first, last))
        unit, inside = "mean membrane (mV)", v[:, first:last].cumsum(axis=1, dtype=np.int64) / 32768.0
        inside = inside / np.arange(1, last - first + 1)[:, None]
    else:
        units, _ = readout.by_spike_count(spikes, (first, last), flat)
        unit, inside = "spikes", spikes.raster().reshape(n, spikes.n_steps, -1)[:, first:last].cumsum(axis=1)
    return Votes(unit, _padded(inside, first, spikes.n_steps, 0.0),
                 _padded(units, first, spikes.n_steps, NOBODY).astype(np.int64))


def _padded(inside: Any, first: int, steps: int, before: float) -> Floats:
    """Values of a window for all steps: `before` ahead of it, the last ones behind it."""
    place = np.clip(np.arange(steps) - first, 0, inside.shape[1] - 1)
    found = np.asarray(inside, np.float64)[:, place]
    found[:, :first] = before
    return found


def _membranes(shown: Shown) -> dict[str, Any]:
    """Membranes of the most active neurons, each of another map, for the first samples."""
    few = Shown(shown.held, shown.index[:MEMBRANE_SAMPLES])
    large = [stage for stage in shown.stages if stage.dense and _synapses(stage) > MOST_SYNAPSES]
    told = ", ".join(f"{stage.label} with its {_synapses(stage):,} synapses" for stage in large)
    return {"samples": len(few.index), "left_out": told or ("" if shown.stages else "no layer is trained"),
            "layers": [_traces(shown, few, stage, layer) for stage, layer in zip(shown.stages, shown.held.layers)
                       if stage not in large]}


def _traces(shown: Shown, few: Shown, stage: Stage, layer: dict[str, Any]) -> dict[str, Any]:
    """Membranes of one layer."""
    n, spikes, neurons = few.timeline.n_samples, shown.recording.spikes, active(shown.spikes[stage.number])
    seen = {0: few.timeline, **{one.number: spikes[one.label].samples(0, n) for one in shown.stages}}
    v = membranes(stage, shown.held.experiment.trained(stage.number), seen, neurons, shown.held.settings.reset,
                  shown.held.experiment.jobs)
    area = stage.out_shape[1] * stage.out_shape[2]
    return {"label": stage.label, "neurons": neurons.tolist(),
            "thresholds": [float(layer["v_thresh"][one // area]) for one in neurons],
            "v": quantised(few.samples_of(v) / 32768.0, 2)}


def _synapses(stage: Stage) -> int:
    return sum(math.prod(stage.out_shape) * math.prod(branch.kernel_shape[1:]) * branch.area
               for branch in stage.branches)


def active(spikes: Spikes) -> Ints:
    """The most active neuron of each of the most active maps, `MEMBRANES` at most, ascending."""
    counts = spikes.counts().sum(axis=0).reshape(spikes.shape[0], -1)
    maps = np.sort(np.argsort(-counts.max(axis=1), kind="stable")[:MEMBRANES])
    return np.asarray(maps * counts.shape[1] + counts[maps].argmax(axis=1))


def _agreement(shown: Shown, found: Answered | None) -> dict[str, int] | None:
    """Of how many samples the counts are those of the test; None where there are none to compare with."""
    if found is None or len(shown.stages) < len(shown.held.stages):
        return None
    if found.counts is not None:
        grid = shown.held.model.classifier.cells(shown.stages[-1].out_shape)
        same = (readout.spike_counts(shown.spikes[-1], grid) == found.counts[shown.index]).all(axis=1)
    else:
        fired = np.stack([np.diff(one.offsets[::one.n_steps]) for one in shown.spikes], axis=1)
        same = (fired == found.fired[shown.index]).all(axis=1) if found.fired is not None else np.zeros(0, bool)
    return {"same": int(same.sum()), "of": len(same)}
