"""Windows of a layer's input, as its kernels see them."""

from dataclasses import dataclass

import numpy as np

from spikingconvnet.errors import DataError, SettingsError, require
from spikingconvnet.network.geometry import pooled_neurons, receptive_fields
from spikingconvnet.network.spikes import Spikes


def pooled_input(stage, spikes):
    """Spikes of the stage's source as its windows see them: at pooled positions, at most one a step.

    Parameters
    ----------
    stage : model.Stage
    spikes : Spikes
        Of shape ``stage.source_shape``.

    Returns
    -------
    Spikes of shape ``stage.in_shape``
    """
    if stage.pool is None:
        return spikes
    pooled = spikes.regrouped(stage.in_shape, pooled_neurons(stage.source_shape, stage.pool.pool_size))
    sample, neuron, step = pooled.events()
    once = np.unique((sample * pooled.n_steps + step) * pooled.size + neuron)
    time = once // pooled.size
    return Spikes.from_events(time // pooled.n_steps, once % pooled.size, time % pooled.n_steps, pooled.shape,
                              pooled.n_samples, pooled.n_steps)


@dataclass(frozen=True)
class RandomWindows:
    """Windows anywhere in the training images, drawn with the same chance among those with enough spikes.

    A part of ``STDP``: another one is a frozen dataclass that is called in the same way.
    """

    def __call__(self, rule, stage, spikes, rng):
        """Windows to show: Spikes. Parameters as of :func:`window_spikes`, but spikes are the source's."""
        return window_spikes(rule, stage, pooled_input(stage, spikes), rng)


def window_spikes(rule, stage, spikes, rng):
    """Windows of the input, one per slot, drawn at random among those with enough spikes.

    Inputs that stay silent during the pattern fire in the late volley, even ones first.

    Parameters
    ----------
    rule : stdp.STDP
    stage : model.Stage
    spikes : Spikes
        Of shape ``stage.in_shape``, see :func:`pooled_input`.
    rng : numpy.random.Generator

    Returns
    -------
    Spikes, shape (channels, kernel rows, kernel columns), one sample of ``rule.slot`` steps per window

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
        silent = np.setdiff1d(np.arange(n_inputs), inputs[seen])
        fullest = max(fullest, n_inputs - len(silent))
        if n_inputs - len(silent) < rule.min_spikes:
            continue
        steps = np.searchsorted(spikes.offsets[begin:], np.arange(first, last)[seen], side="right") - 1
        volley = rule.pattern_steps - 1 + np.array(rule.volley)[silent % 2]
        inputs, steps = np.concatenate([inputs[seen], silent]), np.concatenate([steps, volley])
        events.append((np.full(len(inputs), shown), inputs, steps))
        shown += 1
        if shown == rule.windows:
            return Spikes.from_events(*(np.concatenate(part) for part in zip(*events)), shape, shown, rule.slot)
    raise _too_few_windows(rule, stage, spikes, shown, fullest)


def _too_few_windows(rule, stage, spikes, shown, fullest):
    """The error with what is in the way: a silent source, spikes behind the pattern, or windows that are too empty."""
    says = (f"layer {stage.number}: only {shown} of {rule.windows} windows with at least {rule.min_spikes}"
            " spiking inputs were found; ")
    if not spikes.n_events:
        return DataError(f"{says}its source has no spikes at all, so no setting of STDP helps")
    if not fullest:
        return SettingsError(f"{says}none of those looked at has a spike in its first {rule.pattern_steps} steps;"
                             f" the source first fires in step {spikes.events()[2].min()}, so raise STDP.pattern_steps"
                             " in the parameters")
    return SettingsError(f"{says}the fullest of those looked at has {fullest}; lower STDP.min_spikes in the parameters")


def window_inputs(stage):
    """Input neurons of every window that a filter may see: int array (windows, inputs per window)."""
    channels = stage.in_shape[0]
    if not stage.layer.per_map:
        return receptive_fields(stage.in_shape, stage.layer.kernel_size, stage.layer.strides)
    one = receptive_fields((1, *stage.in_shape[1:]), stage.layer.kernel_size, stage.layer.strides)
    return np.concatenate([one + c * stage.in_shape[1] * stage.in_shape[2] for c in range(channels)])
