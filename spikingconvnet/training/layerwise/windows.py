"""Windows of a layer's input, as its kernels see them."""

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


def pooled_input(stage: Stage, spikes: Spikes) -> Spikes:
    """Spikes of the stage's source as its windows see them: at pooled, padded positions, at most one a step.

    Parameters
    ----------
    stage : model.Stage
    spikes : Spikes
        Of shape ``stage.source_shape``.

    Returns
    -------
    Spikes of shape ``stage.main.seen_shape``
    """
    branch = stage.main
    if branch.seen_shape == branch.source_shape:
        return spikes
    pooled = spikes.regrouped(branch.seen_shape, pooled_neurons(branch.source_shape, branch.pool, branch.padding))
    sample, neuron, step = pooled.events()
    once = np.unique((sample * pooled.n_steps + step) * pooled.size + neuron)
    time = once // pooled.size
    return Spikes.from_events(time // pooled.n_steps, once % pooled.size, time % pooled.n_steps, pooled.shape,
                              pooled.n_samples, pooled.n_steps)


@dataclass(frozen=True)
class RandomWindows:
    """Windows anywhere in the training images, drawn with the same chance among those with enough spikes.

    A part of ``STDP`` and of other rules: another one is a frozen dataclass that is called in the same way.
    """

    def __call__(self, rule: Any, stage: Stage, spikes: Spikes, rng: np.random.Generator) -> Spikes:
        """Windows to learn from: Spikes. As :func:`window_spikes`, but spikes are the source's."""
        return window_spikes(rule, stage, pooled_input(stage, spikes), rng)


def window_spikes(rule: Any, stage: Stage, spikes: Spikes, rng: np.random.Generator) -> Spikes:
    """Windows of the input, drawn at random among those with enough spikes.

    Parameters
    ----------
    rule : LayerRule
        With how many `windows`, the `pattern_steps` of a sample that they show, and the fewest inputs that spike in
        them, `min_spikes`.
    stage : model.Stage
    spikes : Spikes
        Of shape ``stage.main.seen_shape``, see :func:`pooled_input`.
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
    shape = stage.layer.kernel_shape(stage.in_shape)[1:]
    require(spikes.n_samples >= 1, "window_spikes", "spikes", spikes.n_samples, "at least one sample")
    fields = window_inputs(stage)
    n_inputs = fields.shape[1]
    member = np.full(spikes.size, -1)
    events, shown, fullest = [], 0, 0
    for _ in range(100 * rule.windows):
        sample, field = rng.integers(spikes.n_samples), fields[rng.integers(len(fields))]
        begin = sample * spikes.n_steps
        first, last = spikes.offsets[[begin, begin + min(rule.pattern_steps, spikes.n_steps)]]
        member[field] = np.arange(n_inputs)
        inputs = member[spikes.neurons[first:last]]
        member[field] = -1
        seen = inputs >= 0
        spiking = len(np.unique(inputs[seen]))
        fullest = max(fullest, spiking)
        if spiking < rule.min_spikes:
            continue
        steps = np.searchsorted(spikes.offsets[begin:], np.arange(first, last)[seen], side="right") - 1
        events.append((np.full(len(steps), shown), inputs[seen], steps))
        shown += 1
        if shown == rule.windows:
            samples, neurons, times = (np.concatenate(part) for part in zip(*events))
            return Spikes.from_events(samples, neurons, times, shape, shown, rule.pattern_steps)
    raise _too_few_windows(rule, stage, spikes, shown, fullest)


def _too_few_windows(rule: Any, stage: Stage, spikes: Spikes, shown: int, fullest: int) -> DataError | SettingsError:
    """The error with what is in the way: a silent source, spikes behind the pattern, or windows that are too empty."""
    name = type(rule).__name__
    says = (f"layer {stage.number}: only {shown} of {rule.windows} windows with at least {rule.min_spikes}"
            " spiking inputs were found; ")
    if not spikes.n_events:
        return DataError(f"{says}its source has no spikes at all, so no setting of {name} helps")
    if not fullest:
        return SettingsError(f"{says}none of those looked at has a spike in its first {rule.pattern_steps} steps; the"
                             f" source first fires in step {spikes.events()[2].min()}, so raise {name}.pattern_steps in"
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
