"""Windows of a layer's input, as its kernels see them."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from spikingconvnet.errors import DataError, SettingsError, require
from spikingconvnet.model.sequential import Stage
from spikingconvnet.network.arrays import Floats, Ints
from spikingconvnet.network.geometry import pooled_neurons, receptive_fields
from spikingconvnet.network.spikes import Spikes

if TYPE_CHECKING:           # of which this is a part
    from spikingconvnet.training.layerwise.stdp import STDP


@dataclass(frozen=True)
class RandomWindows:
    """Windows anywhere in the training images, drawn with the same chance among those with enough spikes.

    A part of ``STDP`` and of other rules: another one is a frozen dataclass that is called in the same way.
    """

    def __call__(self, rule: Any, stage: Stage, spikes: Spikes, rng: np.random.Generator) -> Spikes:
        """Windows to learn from: Spikes. See :func:`window_spikes`."""
        return window_spikes(rule, stage, spikes, rng)


def window_spikes(rule: Any, stage: Stage, spikes: Spikes, rng: np.random.Generator) -> Spikes:
    """Windows of the input, drawn at random among those with enough spikes.

    Where the source is pooled or padded, a window sees at most one spike a step at each of its places.

    Parameters
    ----------
    rule : LayerRule
        With how many `windows`, the `pattern_steps` of a sample that they show, and the fewest inputs that spike in
        them, `min_spikes`.
    stage : model.Stage
    spikes : Spikes
        Of shape ``stage.main.source_shape``.
    rng : numpy.random.Generator

    Returns
    -------
    Spikes, shape (channels, kernel rows, kernel columns), one sample of ``rule.pattern_steps`` steps per window

    Raises
    ------
    SettingsError
        No samples, or too few windows with `rule.min_spikes` among those looked at.
    DataError
        The same, because the source has no spikes at all.
    """
    branch, shape = stage.main, stage.layer.kernel_shape(stage.in_shape)[1:]
    require(spikes.n_samples >= 1, "window_spikes", "spikes", spikes.n_samples, "at least one sample")
    fields, place = window_inputs(stage), pooled_neurons(branch.source_shape, branch.pool, branch.padding)
    n_inputs = fields.shape[1]
    member = np.full(math.prod(branch.seen_shape) + 1, -1)      # the last is for neurons without a place, -1
    events, shown, fullest = [], 0, 0
    for _ in range(100 * rule.windows):
        sample, field = rng.integers(spikes.n_samples), fields[rng.integers(len(fields))]
        begin = sample * spikes.n_steps
        first, last = spikes.offsets[[begin, begin + min(rule.pattern_steps, spikes.n_steps)]]
        member[field] = np.arange(n_inputs)
        inputs = member[place[spikes.neurons[first:last]]]
        member[field] = -1
        seen = inputs >= 0
        spiking = len(np.unique(inputs[seen]))
        fullest = max(fullest, spiking)
        if spiking < rule.min_spikes:
            continue
        steps = np.searchsorted(spikes.offsets[begin:], np.arange(first, last)[seen], side="right") - 1
        found = steps * n_inputs + inputs[seen]
        if branch.seen_shape != branch.source_shape:
            found = np.unique(found)
        events.append((np.full(len(found), shown), found % n_inputs, found // n_inputs))
        shown += 1
        if shown == rule.windows:
            samples, neurons, times = (np.concatenate(part) for part in zip(*events))
            return Spikes.from_events(samples, neurons, times, shape, shown, rule.pattern_steps)
    raise _too_few_windows(rule, stage, spikes.steps()[place[spikes.neurons] >= 0] % spikes.n_steps, shown, fullest)


def _too_few_windows(rule: Any, stage: Stage, steps: Ints, shown: int, fullest: int) -> DataError | SettingsError:
    """The error with what is in the way: a silent source, spikes behind the pattern, or windows that are too empty.

    `steps` of their samples are those in which the source fires.
    """
    name = type(rule).__name__
    says = (f"layer {stage.number}: only {shown} of {rule.windows} windows with at least {rule.min_spikes}"
            " spiking inputs were found; ")
    if not len(steps):
        return DataError(f"{says}its source has no spikes at all, so no setting of {name} helps")
    if not fullest:
        return SettingsError(f"{says}none of those looked at has a spike in its first {rule.pattern_steps} steps; the"
                             f" source first fires in step {steps.min()}, so raise {name}.pattern_steps in"
                             " the parameters")
    return SettingsError(f"{says}the fullest of those looked at has {fullest}; lower {name}.min_spikes in the"
                         " parameters")


def with_volley(rule: "STDP", windows: Spikes) -> Spikes:
    """Windows as STDP shows them, a slot each: inputs that stay silent fire in the late volley, even ones first.

    Parameters
    ----------
    rule : stdp.STDP
    windows : Spikes
        A sample each.

    Returns
    -------
    Spikes, one sample of ``rule.slot`` steps per window
    """
    sample, neuron, step = windows.events()
    fired = np.zeros((windows.n_samples, windows.size), bool)
    fired[sample, neuron] = True
    late, silent = np.nonzero(~fired)
    volley = rule.pattern_steps - 1 + np.array(rule.volley)[silent % 2]
    sample, neuron, step = (np.concatenate(parts) for parts in ((sample, late), (neuron, silent), (step, volley)))
    return Spikes.from_events(sample, neuron, step, windows.shape, windows.n_samples, rule.slot)


def earliness(windows: Spikes, steps: int) -> Floats:
    """How early inputs first fire: float array (windows, inputs), 1 in the first step, 0 after `steps` or never."""
    sample, neuron, step = windows.events()
    early = np.zeros((windows.n_samples, windows.size))
    np.maximum.at(early, (sample, neuron), np.maximum(1.0 - step / steps, 0.0))
    return early


def window_inputs(stage: Stage) -> Ints:
    """Input neurons of every window that a filter may see: int array (windows, inputs per window)."""
    branch = stage.main
    channels, rows, columns = branch.seen_shape
    if not branch.per_map:
        return receptive_fields(branch.seen_shape, branch.kernel_size, branch.strides)
    one = receptive_fields((1, rows, columns), branch.kernel_size, branch.strides)
    return np.concatenate([one + c * rows * columns for c in range(channels)])
