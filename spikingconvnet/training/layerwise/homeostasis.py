"""Thresholds by which all filters win equally often."""

import numpy as np

from spikingconvnet.model import build

TARGET_WINS = 0.9           # wins per window that homeostasis aims at, over all filters
DRIVE_WINDOWS = 400         # windows from which the start thresholds are taken


def thresholds_after(stage, v_thresh, fired, rate):
    """Thresholds for the next chunk, made of those of the last and of who fired then: float array (filters,), mV.

    Parameters
    ----------
    stage : model.Stage
    v_thresh : float array (filters,), mV
    fired : Spikes
        Of the filters, a sample for each window of the chunk.
    rate : float
        See :func:`homeostasis`.
    """
    filters = stage.layer.filters
    return homeostasis(v_thresh, np.bincount(fired.neurons, minlength=filters),
                       TARGET_WINS * fired.n_samples / filters, rate, stage.layer.training.neuron.v_rest)


def homeostasis(v_thresh, wins, target, rate, v_rest=0.0):
    """Thresholds after a chunk: those of frequent winners rise, those of rare ones fall.

    Parameters
    ----------
    v_thresh : float array (filters,), mV
    wins : int array (filters,)
    target : float
        Wins per chunk that leave a threshold where it is.
    rate : float
        Largest change of the logarithm of its height above rest.
    v_rest : float, mV

    >>> homeostasis(np.array([10.0, 10.0]), np.array([4, 4]), 4.0, 0.2).tolist()
    [10.0, 10.0]
    """
    ratio = (wins + 0.3 * target) / (1.3 * target)
    return v_rest + (v_thresh - v_rest) * np.exp(rate * np.tanh(np.log(ratio)))


def start_thresholds(stage, windows, weights, open_network):
    """Thresholds with which each filter would fire in its fair share of the windows, mV.

    Taken from the peaks of the membranes over a part of the windows, without learning and without volley.
    """
    training, filters = stage.layer.training, stage.layer.filters
    part = windows.samples(0, min(DRIVE_WINDOWS, windows.n_samples))
    with open_network(build.drive_network(stage, part, weights), record=(build.FILTERS,)) as simulation:
        simulation.run(part.n_samples * training.slot)
        v = simulation.recording().membrane(build.FILTERS).reshape(part.n_samples, training.slot, filters)
    peaks = v[:, :training.pattern_steps + 2].max(axis=1)
    share = min(training.initial_winners / filters, 0.5)
    return np.maximum(np.quantile(peaks, 1.0 - share, axis=0), training.neuron.v_rest + 1e-3)
