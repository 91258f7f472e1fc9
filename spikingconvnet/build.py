"""From layers and weights to networks: one for training a layer, one for inference with trained ones."""

from dataclasses import dataclass, replace

import numpy as np

from spikingconvnet.connectivity import ConvConnections, DenseConnections, LateralInhibition
from spikingconvnet.errors import DataError, NetworkError, SettingsError, require
from spikingconvnet.geometry import pooled_neurons, receptive_fields
from spikingconvnet.network import Network, Population, Projection
from spikingconvnet.neurons import SpikeSourceArray
from spikingconvnet.spikes import Spikes

WINDOW, GATE, FILTERS, KERNELS = "window", "gate", "filters", "kernels"
INPUT = "input"


@dataclass(frozen=True, eq=False)
class TrainedLayer:
    """What inference needs of a layer, whatever rule found it.

    Attributes
    ----------
    kernels : float64 array (filters, channels, rows, columns)
        Signed weights, nA.
    v_thresh : float64 array (maps,)
        Threshold of each output map, mV.
    i_offset : float64 array (maps,)
        Constant current of each output map beside that of the neuron model, nA; 0 by default.
    v : float64 array (neurons,) or None
        Membranes at the start, mV; None takes the neuron model's.
    max_expected_summed_weight : float or None
        Largest input of a neuron in one step, nA, see ``network.Population``; None leaves the choice to sPyNNaker.
    """

    kernels: np.ndarray
    v_thresh: np.ndarray
    i_offset: np.ndarray = None
    v: np.ndarray = None
    max_expected_summed_weight: float = None

    def __post_init__(self):
        if self.i_offset is None:
            object.__setattr__(self, "i_offset", np.zeros(len(self.v_thresh)))

    def arrays(self):
        """Itself as arrays for a file, those left out that are as by default: dict of str to array."""
        found = {"kernels": self.kernels, "v_thresh": self.v_thresh}
        if np.any(self.i_offset):
            found["i_offset"] = self.i_offset
        if self.v is not None:
            found["v"] = self.v
        if self.max_expected_summed_weight is not None:
            found["max_expected_summed_weight"] = np.array(self.max_expected_summed_weight)
        return found

    @classmethod
    def from_arrays(cls, arrays):
        """The inverse of :meth:`arrays`; other arrays may be among them."""
        largest = arrays.get("max_expected_summed_weight")
        return cls(arrays["kernels"], arrays["v_thresh"], arrays.get("i_offset"), arrays.get("v"),
                   None if largest is None else float(largest))


# ---------------------------------------------------------------- training


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


def window_spikes(stage, spikes, rng):
    """Windows of the input, one per slot, drawn at random among those with enough spikes.

    Inputs that stay silent during the pattern fire in the late volley, even ones first.

    Parameters
    ----------
    stage : model.Stage
    spikes : Spikes
        Of shape ``stage.in_shape``, see :func:`pooled_input`.
    rng : numpy.random.Generator

    Returns
    -------
    Spikes, shape (channels, kernel rows, kernel columns), one sample of ``training.slot`` steps per window
    """
    training, shape = stage.layer.training, stage.layer.kernel_shape(stage.in_shape)[1:]
    require(spikes.n_samples >= 1, "window_spikes", "spikes", spikes.n_samples, "at least one sample")
    fields = window_inputs(stage)
    n_inputs = fields.shape[1]
    member = np.full(spikes.size, -1)
    events, shown, fullest = [], 0, 0
    for _ in range(100 * training.windows):
        sample, field = rng.integers(spikes.n_samples), fields[rng.integers(len(fields))]
        begin = sample * spikes.n_steps
        first, last = spikes.offsets[[begin, begin + min(training.pattern_steps, spikes.n_steps)]]
        member[field] = np.arange(n_inputs)
        inputs = member[spikes.neurons[first:last]]
        member[field] = -1
        seen = inputs >= 0
        silent = np.setdiff1d(np.arange(n_inputs), inputs[seen])
        fullest = max(fullest, n_inputs - len(silent))
        if n_inputs - len(silent) < training.min_spikes:
            continue
        steps = np.searchsorted(spikes.offsets[begin:], np.arange(first, last)[seen], side="right") - 1
        volley = training.pattern_steps - 1 + np.array(training.volley)[silent % 2]
        inputs, steps = np.concatenate([inputs[seen], silent]), np.concatenate([steps, volley])
        events.append((np.full(len(inputs), shown), inputs, steps))
        shown += 1
        if shown == training.windows:
            return Spikes.from_events(*(np.concatenate(part) for part in zip(*events)), shape, shown, training.slot)
    raise _too_few_windows(stage, spikes, shown, fullest)


def _too_few_windows(stage, spikes, shown, fullest):
    """The error with what is in the way: a silent source, spikes behind the pattern, or windows that are too empty."""
    training = stage.layer.training
    says = (f"layer {stage.number}: only {shown} of {training.windows} windows with at least {training.min_spikes}"
            " spiking inputs were found; ")
    if not spikes.n_events:
        return DataError(f"{says}its source has no spikes at all, so no setting of STDP helps")
    if not fullest:
        return SettingsError(f"{says}none of those looked at has a spike in its first {training.pattern_steps} steps;"
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


def training_network(stage, windows, weights, v_thresh):
    """One neuron per filter behind plastic synapses, with lateral inhibition and the gate.

    Parameters
    ----------
    stage : model.Stage
    windows : Spikes
        From :func:`window_spikes`.
    weights : float array (inputs per window, filters), nA
    v_thresh : float array (filters,), mV

    Returns
    -------
    Network with the populations ``window``, ``gate`` and ``filters``; the plastic projection is ``kernels``
    """
    training, filters = stage.layer.training, stage.layer.filters
    shown = np.arange(windows.n_samples)
    gate = Spikes.from_events(shown, 0 * shown, 0 * shown + training.pattern_steps, (1, 1, 1), len(shown),
                              training.slot)
    populations = (Population(WINDOW, windows.shape, SpikeSourceArray(windows)),
                   Population(GATE, gate.shape, SpikeSourceArray(gate)),
                   Population(FILTERS, (filters, 1, 1), training.neuron, {"v_thresh": v_thresh}))
    projections = [
        Projection(KERNELS, WINDOW, FILTERS, DenseConnections(weights), plasticity=training.mechanism),
        Projection(GATE, GATE, FILTERS, DenseConnections(np.full((1, filters), training.gate)), "inhibitory")]
    if filters > 1:
        projections.append(Projection("lateral", FILTERS, FILTERS, LateralInhibition(filters, training.lateral),
                                      "inhibitory"))
    return Network(populations, projections)


def drive_network(stage, windows, weights):
    """The training network without learning, gate, volley's effect or spikes: how far the windows drive each filter.

    Parameters as :func:`training_network`. The threshold is out of reach.
    """
    neuron = replace(stage.layer.training.neuron, v_thresh=OUT_OF_REACH)
    populations = (Population(WINDOW, windows.shape, SpikeSourceArray(windows)),
                   Population(FILTERS, (stage.layer.filters, 1, 1), neuron))
    return Network(populations, (Projection(KERNELS, WINDOW, FILTERS, DenseConnections(weights)),))


OUT_OF_REACH = 65535.0      # mV, the largest s16.15


# ---------------------------------------------------------------- inference


def inference_network(stages, trained, spikes, reset=False):
    """A chain of trained layers behind a source.

    Parameters
    ----------
    stages : list of model.Stage
        Consecutive ones; a single one replays the spikes of the layer before it.
    trained : list of TrainedLayer
    spikes : Spikes
        Of shape ``stages[0].source_shape``; its samples, gap included, are the timeline.
    reset : bool
        Whether every sample starts at rest.

    Returns
    -------
    Network, all static: a source ``input`` and one population per stage; one board population per map of a convolution
    """
    require(len(stages) == len(trained), "inference_network", "trained", len(trained), f"{len(stages)} layers",
            NetworkError)
    require(spikes.shape == stages[0].source_shape, "inference_network", "spikes.shape", spikes.shape,
            stages[0].source_shape, NetworkError)
    populations = [Population(INPUT, spikes.shape, SpikeSourceArray(spikes))]
    projections = []
    for stage, layer in zip(stages, trained):
        connections = ConvConnections(all_channel_kernels(stage, layer.kernels), stage.source_shape,
                                      stage.layer.strides, stage.pool.pool_size if stage.pool else (1, 1))
        populations.append(Population(stage.label, stage.out_shape, stage.layer.neuron, _values(stage, layer),
                                      not stage.dense, layer.max_expected_summed_weight))
        projections.append(Projection(stage.label, populations[-2].label, stage.label, connections))
        if stage.layer.lateral and stage.out_shape[0] > 1:
            projections.append(Projection(f"{stage.label} lateral", stage.label, stage.label,
                                          competition(stage.out_shape, stage.layer.lateral)))
    return Network(populations, projections, reset_every=spikes.n_steps if reset else 0)


def competition(shape, lateral):
    """Inhibition between the maps of a layer at each place: ConvConnections with kernels of one weight.

    Parameters
    ----------
    shape : (maps, rows, columns)
    lateral : float, nA
    """
    others = 1.0 - np.eye(shape[0])
    return ConvConnections(-lateral * others[:, :, None, None], shape)


def _values(stage, layer):
    """Parameters that a trained layer sets neuron by neuron."""
    positions = stage.out_shape[1] * stage.out_shape[2]
    values = {"v_thresh": np.repeat(layer.v_thresh, positions)}
    if np.any(layer.i_offset):
        values["i_offset"] = np.repeat(layer.i_offset, positions) + stage.layer.neuron.i_offset
    if layer.v is not None:
        values["v"] = layer.v
    return values


def all_channel_kernels(stage, kernels):
    """Kernels over all input channels: (maps, channels, rows, columns).

    A per-map layer has one set of single-channel kernels; output map ``filter * channels + channel`` sees one channel,
    in the order of the 2018 original.
    """
    if not stage.layer.per_map:
        return kernels
    channels, filters = stage.in_shape[0], stage.layer.filters
    full = np.zeros((filters, channels, channels, *stage.layer.kernel_size))
    for channel in range(channels):
        full[:, channel, channel] = kernels[:, 0]
    return full.reshape(filters * channels, channels, *stage.layer.kernel_size)
