"""Layer-wise STDP: windows of the input, one after another, to one neuron per filter.

The recipe follows Kheradpisheh et al. 2018 (doi 10.1016/j.neunet.2017.12.005) and the 2018 SpikingConvNet, with what a
board can do: lateral inhibition instead of a host that picks the winner, a late volley of the silent inputs that
depresses them, a gate spike that keeps that volley from being learned by everyone, and thresholds that the host moves
between runs (homeostasis).
"""

import logging

import numpy as np

from spikingconvnet.backends.base import log_warnings
from spikingconvnet.model import build
from spikingconvnet.model.windows import pooled_input, window_spikes
from spikingconvnet.training.layerwise.calibration import calibrate
from spikingconvnet.training.layerwise.course import Course, Trained, health
from spikingconvnet.training.layerwise.homeostasis import start_thresholds, thresholds_after

logger = logging.getLogger(__name__)


def train(stage, spikes, rng, open_network, progress=iter, so_far=None, keep=None):
    """Learn the kernels of one layer and calibrate it for inference.

    Parameters
    ----------
    stage : model.Stage
    spikes : Spikes
        Of the stage's source, shape ``stage.source_shape``, gap included.
    rng : numpy.random.Generator
    open_network : callable
        ``open`` of a backend: ``open_network(network, record=...)`` is a Simulation.
    progress : callable
        Wraps the iterable of chunks.
    so_far : dict of str to array, or None
        What a training that was interrupted had kept last.
    keep : callable or None
        ``keep(**arrays)`` is called with the start thresholds and after every chunk but the last: ``thresholds``
        (finished chunks + 1, filters), the last for the next chunk; ``wins`` and ``mean_weight`` as in a Course;
        ``learned`` (inputs per window, filters), nA.

    Returns
    -------
    Trained
    """
    windows = window_spikes(stage, pooled_input(stage, spikes), rng)
    initial = random_kernels(stage, rng)
    learned, course = learn(stage, windows, initial, open_network, progress, so_far, keep)
    return Trained(initial, learned, calibrate(stage, learned, spikes, open_network), course,
                   health(stage, learned, course))


def random_kernels(stage, rng):
    """Uniform start weights between the rule's bounds: float array of the kernels' shape, nA."""
    bounds = stage.layer.training.mechanism.weight_dependence
    return rng.uniform(bounds.w_min, bounds.w_max, stage.layer.kernel_shape(stage.in_shape))


def learn(stage, windows, initial, open_network, progress=iter, so_far=None, keep=None):
    """Show all windows: learned kernels like `initial`, and the Course.

    Parameters as :func:`train`; `windows` from ``windows.window_spikes``.
    """
    training, weights = stage.layer.training, initial.reshape(stage.layer.filters, -1).T
    if so_far is None:
        so_far = {"thresholds": start_thresholds(stage, windows, weights, open_network)[None],
                  "wins": np.zeros((0, 3), np.int64), "mean_weight": np.zeros(0), "learned": weights}
        if keep:
            keep(**so_far)
    rates = np.geomspace(*training.homeostasis, training.chunks)[len(so_far["wins"]):]
    with open_network(build.training_network(stage, windows, weights, so_far["thresholds"][0])) as simulation:
        goes_on = _show_again(simulation, stage, so_far, progress)
        for rate in progress(rates if goes_on else ()):
            recording, so_far = _chunk(simulation, stage, so_far, rate)
            if keep and len(so_far["wins"]) < training.chunks:      # the last one is kept in the layer, if at all
                keep(**so_far)
    if not goes_on:
        return learn(stage, windows, initial, open_network, progress, None, keep)
    log_warnings(recording, logger)
    return (so_far["learned"].T.reshape(initial.shape),
            Course(so_far["wins"], so_far["thresholds"][:training.chunks], so_far["mean_weight"]))


def _chunk(simulation, stage, so_far, rate):
    """Show one more chunk and move the thresholds: its Recording, and what is finished now."""
    training, v_thresh = stage.layer.training, so_far["thresholds"][-1]
    per_chunk = training.windows // training.chunks
    simulation.run(per_chunk * training.slot)
    recording = simulation.recording()
    fired = recording.spikes[build.FILTERS]
    learned = simulation.weights(build.KERNELS).value.reshape(so_far["learned"].shape)
    winners = fired.counts().reshape(per_chunk, -1).sum(axis=1)
    wins = np.bincount(np.minimum(winners, 2), minlength=3)
    moved = thresholds_after(stage, v_thresh, fired, rate)
    simulation.set(build.FILTERS, moved)
    return recording, {"thresholds": np.vstack([so_far["thresholds"], moved]),
                       "wins": np.vstack([so_far["wins"], wins]),
                       "mean_weight": np.append(so_far["mean_weight"], learned.mean()), "learned": learned}


def _show_again(simulation, stage, so_far, progress):
    """Bring a simulation from its start to where an interrupted one had finished its last chunk: whether it got there.

    Weights alone would not do: traces, and potentiation that waits for the next presynaptic spike, cannot be given to
    a board. The same windows under the same thresholds give the same integers again, all of them; a machine on which
    they do not has erred then or now, so that the thresholds that were kept are worth nothing.
    """
    training, chunks = stage.layer.training, len(so_far["wins"])
    if not chunks:
        return True
    logger.info("layer %d: %d of %d chunks were finished before; showing them again, then going on", stage.number,
                chunks, training.chunks)
    for v_thresh in progress(so_far["thresholds"][1:]):
        simulation.run(training.windows // training.chunks * training.slot)
        simulation.set(build.FILTERS, v_thresh)
    simulation.recording()
    different = np.count_nonzero(simulation.weights(build.KERNELS).value != so_far["learned"].ravel())
    if different:
        logger.warning("warning: layer %d: %d of %d weights are not those of before the interruption: what simulates"
                       " does not repeat itself exactly; beginning anew", stage.number, different,
                       so_far["learned"].size)
    return not different


# ---------------------------------------------------------------- health


