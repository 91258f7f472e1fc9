"""Layer-wise STDP: windows of the input, one after another, to one neuron per filter.

The recipe follows Kheradpisheh et al. 2018 (doi 10.1016/j.neunet.2017.12.005) and the 2018 SpikingConvNet, with what a
board can do: lateral inhibition instead of a host that picks the winner, a late volley of the silent inputs that
depresses them, a gate spike that keeps that volley from being learned by everyone, and thresholds that the host moves
between runs (homeostasis).
"""

import logging
from dataclasses import dataclass, replace

import numpy as np

from spikingconvnet import build
from spikingconvnet.backends.base import log_warnings
from spikingconvnet.build import TrainedLayer
from spikingconvnet.errors import SettingsError

logger = logging.getLogger(__name__)

TARGET_WINS = 0.9           # wins per window that homeostasis aims at, over all filters
DUPLICATE = 0.95            # cosine of two centred kernels from which they count as the same
DRIVE_WINDOWS = 400         # windows from which the start thresholds are taken
CALIBRATION_SAMPLES = 200   # samples from which the inference thresholds are taken
CALIBRATION_BATCH = 10


@dataclass(frozen=True, eq=False)
class Course:
    """What a training run recorded about itself, chunk by chunk.

    Attributes
    ----------
    wins : int array (chunks, 3)
        Windows in which no, one, or several neurons fired.
    thresholds : float array (chunks, filters)
        In force during the chunk, mV.
    mean_weight : float array (chunks,)
        At its end, nA.
    """

    wins: np.ndarray
    thresholds: np.ndarray
    mean_weight: np.ndarray


@dataclass(frozen=True, eq=False)
class Trained:
    """A layer trained with STDP.

    Attributes
    ----------
    initial, learned : float arrays (filters, channels, rows, columns)
        Kernels before and after, within ``w_min .. w_max``, nA.
    inference : TrainedLayer
        Kernels and thresholds for inference.
    course : Course
    health : dict of str to float
        See :func:`health`.
    """

    initial: np.ndarray
    learned: np.ndarray
    inference: TrainedLayer
    course: Course
    health: dict


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
    windows = build.window_spikes(stage, build.pooled_input(stage, spikes), rng)
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

    Parameters as :func:`train`; `windows` from ``build.window_spikes``.
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


# ---------------------------------------------------------------- inference


def inference_kernels(layer, learned):
    """Kernels for inference: mean removed (if ``layer.centred``) and scaled to length ``layer.gain``, nA.

    A kernel of equal weights has nothing left without its mean and stays zero.
    """
    flat = learned.reshape(len(learned), -1)
    if layer.centred:
        flat = flat - flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    scaled = np.divide(layer.gain * flat, length, out=np.zeros_like(flat), where=length > 1e-9)
    return scaled.reshape(learned.shape)


def calibrate(stage, learned, spikes, open_network):
    """Inference kernels with thresholds that a share ``layer.firing`` of (sample, position) pairs reaches.

    Parameters
    ----------
    stage : model.Stage
    learned : float array (filters, channels, rows, columns)
    spikes : Spikes
        Of the stage's source; the first samples are used.
    open_network : callable

    Returns
    -------
    TrainedLayer
    """
    layer, maps = stage.layer, stage.out_shape[0]
    silent = replace(layer, neuron=replace(layer.neuron, v_thresh=build.OUT_OF_REACH))
    kernels = inference_kernels(layer, learned)
    used = spikes.samples(0, min(CALIBRATION_SAMPLES, spikes.n_samples))
    network = build.inference_network([replace(stage, layer=silent)],
                                      [TrainedLayer(kernels, np.full(maps, build.OUT_OF_REACH))], used)
    peaks = []
    with open_network(network, record=(stage.label,)) as simulation:
        for first in range(0, used.n_samples, CALIBRATION_BATCH):
            samples = min(CALIBRATION_BATCH, used.n_samples - first)
            simulation.run(samples * used.n_steps)
            v = simulation.recording().membranes[stage.label]["v"]
            peaks.append(v.reshape(samples, used.n_steps, maps, -1).max(axis=1))
    peak = np.concatenate(peaks).transpose(1, 0, 2).reshape(maps, -1)
    raw = np.ceil(np.quantile(peak, 1.0 - layer.firing, axis=1))
    v_thresh = raw / 32768.0
    if (v_thresh <= layer.neuron.v_rest).any():
        index = int(np.argmax(v_thresh <= layer.neuron.v_rest))
        raise SettingsError(f"layer {stage.number}, filter {index + 1}: fewer than {100 * layer.firing:g} % of the"
                            " windows lift its membrane above rest, so no threshold gives that share;"
                            " lower Conv2D.firing in the parameters")
    return TrainedLayer(kernels, v_thresh)


# ---------------------------------------------------------------- health


def health(stage, learned, course):
    """Whether the layer has learned well; accuracy alone does not tell.

    Parameters
    ----------
    stage : model.Stage
    learned : float array (filters, channels, rows, columns)
    course : Course

    Returns
    -------
    dict of str to float
        ``wins_per_window``, ``silent_windows`` and ``contested_windows`` (shares, over the last quarter of the chunks;
        a window with more than two winners counts as two wins), ``duplicate_pairs``, ``mean_weight`` (nA), ``at_lower``
        and ``at_upper`` (shares of weights at their bounds).
    """
    late = course.wins[-max(1, len(course.wins) // 4):].sum(axis=0)
    return {"wins_per_window": float((late * [0, 1, 2]).sum() / late.sum()),
            "silent_windows": float(late[0] / late.sum()),
            "contested_windows": float(late[2] / late.sum()), **weight_health(stage, learned)}


def weight_health(stage, learned):
    """The part of :func:`health` that kernels alone tell, whatever rule found them."""
    bounds = stage.layer.training.mechanism.weight_dependence
    flat = learned.reshape(len(learned), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    unit = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
    pairs = np.triu(unit @ unit.T > DUPLICATE, k=1)
    step = 1e-3 * (bounds.w_max - bounds.w_min)
    return {"duplicate_pairs": float(pairs.sum()),
            "mean_weight": float(learned.mean()),
            "at_lower": float(np.mean(learned <= bounds.w_min + step)),
            "at_upper": float(np.mean(learned >= bounds.w_max - step))}
