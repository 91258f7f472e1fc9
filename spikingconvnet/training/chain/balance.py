"""From a trained chain to one that a board can hold: gains of neuron models, largest inputs, thresholds, weight steps.

Rules train in units of their own choice. On a board a membrane is s16.15, and its target ``current * tau_m / cm``
wraps at 65536 mV; a step's input has 16 bits, on a scale that sPyNNaker chooses for neurons that fire at 30 Hz. So the
largest inputs are measured on training images; where they would wrap, weights, thresholds, offsets and start membranes
of the layer are halved together until they do not, which changes nothing else, and the scale is chosen for them.

Average pooling needs no step here: connections divide the next layer's weights by the pool's area.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from spikingconvnet.board.fixed_point import leak
from spikingconvnet.errors import SettingsError, require
from spikingconvnet.gates.progress import counted
from spikingconvnet.model import build
from spikingconvnet.model.branches import Branch
from spikingconvnet.model.learning import NetworkRule, OpenNetwork
from spikingconvnet.model.sequential import Sequential, Stage
from spikingconvnet.model.trained import TrainedLayer
from spikingconvnet.network.arrays import Flags, Numbers
from spikingconvnet.network.neurons import IFCurrDelta, Neuron
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.training.chain.units import responses

SAMPLES = 100               # training images on which inputs are measured, fewer if they take
STEPS = 10_000              # more steps than this
PRODUCTS = 2e10             # of weights and spikes; in a larger layer the busiest steps alone are looked at
BATCH = 10                  # samples at a time, fewer of large layers
ENTRIES = 2 ** 24           # of the largest array while inputs are measured, 64 MB
LARGEST_TARGET = 59_000.0   # mV; the distance from the membrane to its target has to fit s16.15 as well


def require_dense(model: Sequential, rule: NetworkRule) -> None:
    """Raise a SettingsError unless all layers of a model are Dense, without pooling between them."""
    for stage in model.stages:
        if not stage.dense or stage.pool is not None:
            raise SettingsError(f"--rule {rule.name}: trains Dense layers, layer {stage.number} of MODEL is"
                                f" {stage.layer}")


@dataclass(frozen=True)
class Peak:
    """Largest inputs of a layer's neurons in one step, nA.

    Attributes
    ----------
    excitatory, inhibitory : float
        Of each receptor alone.
    net : float
        Of the difference, without sign.
    """

    excitatory: float
    inhibitory: float
    net: float


def gain(neuron: Neuron, timestep: float = 1.0) -> float:
    """What a steady input of one spike a step through a weight of 1 nA adds to the membrane's distance in a step, mV.

    An IFCurrDelta holds the weight's charge of 1 ms as a current for one step; of an IFCurrExp the current adds up to
    ``tau_syn_E / dt`` times the weight. Weights divided by it are in mV a spike. The leak is that of the board's
    integers, whose exponential loses the last bit: with a `tau_m` of 2048 ms they leak, and add, 17/16 of what they
    should, with 32,768 ms twice as much; with 512 ms it is 1.

    Parameters
    ----------
    neuron : IFCurrExp or IFCurrDelta
    timestep : float
        ms.

    Raises
    ------
    SettingsError
        A `tau_m` above 32768 ms.
    """
    require(neuron.tau_m <= 32768.0, type(neuron).__name__, "tau_m", neuron.tau_m,
            "at most 32768 ms: on a board exp(-dt / tau_m) is 1 beyond, and inputs have no effect")
    return current(neuron, timestep) * neuron.tau_m / neuron.cm * float(leak(np.array([neuron.tau_m]), timestep)[0])


def current(neuron: Neuron, timestep: float = 1.0) -> float:
    """Current that a steady input of one spike a step through 1 nA ends in, nA; of the longer time constant."""
    if isinstance(neuron, IFCurrDelta):
        return 1.0 / timestep
    return max(neuron.tau_syn_E, neuron.tau_syn_I) / timestep


def require_chain(model: Sequential, rule: NetworkRule) -> None:
    """Raise a SettingsError unless every layer of a model sees the one before it, and nothing else."""
    for stage in model.stages:
        if stage.shortcuts or stage.source != stage.number - 1:
            raise SettingsError(f"layer {stage.number}: --rule {rule.name} trains plain chains; {stage.kind}.after and"
                                f" {stage.kind}.shortcuts are for --rule convert")


def peak_input(stage: Stage, layer: TrainedLayer, spikes: Mapping[int, Spikes]) -> Peak:
    """Largest inputs in any step, offsets not included: Peak.

    Of a layer for which that takes more than `PRODUCTS`, the steps are those in which most spikes arrive.

    Parameters
    ----------
    stage : model.Stage
    layer : TrainedLayer
    spikes : dict of int to Spikes
        Of the layers that it sees, by number.
    """
    largest, n, n_steps = np.zeros(3), spikes[stage.source].n_samples, spikes[stage.source].n_steps
    batch = max(min(BATCH, ENTRIES // (n_steps * max(math.prod(one.source_shape) for one in stage.branches))), 1)
    rows = max(ENTRIES // (math.prod(stage.out_shape[1:]) * max(_seen(one) for one in stage.branches)), 1)
    looked_at = _busiest(stage, spikes)
    for first in counted(range(0, n, batch), f"layer {stage.number}: largest inputs"):
        counts = [_arriving(spikes[branch.source].samples(first, min(first + batch, n)), delay)
                  for branch, delay in zip(stage.branches, stage.delays)]
        busy = np.any([one.any(axis=(1, 2, 3)) for one in counts], axis=0)
        steps = np.flatnonzero(busy & looked_at[first * n_steps:][:len(busy)])
        for start in range(0, len(steps), rows):
            largest = np.maximum(largest, _largest(stage, layer, [one[steps[start:start + rows]] for one in counts]))
    return Peak(*largest.tolist())


def _seen(branch: Branch) -> int:
    """Neurons in the window of a neuron, those of other groups among them."""
    return branch.in_shape[0] * math.prod(branch.kernel_size)


def _largest(stage: Stage, layer: TrainedLayer, values: Sequence[Numbers]) -> Numbers:
    """Largest excitatory, inhibitory and net input of any neuron; `values` arrive by each branch: float array (3,)."""
    e, i = (np.sum([responses(branch, np.maximum(sign * kernels, 0.0), one) for branch, kernels, one
                    in zip(stage.branches, layer.all_kernels, values)], axis=0) for sign in (1, -1))
    return np.array([part.max(initial=0.0) for part in (e, i, abs(e - i))])


def _busiest(stage: Stage, spikes: Mapping[int, Spikes]) -> Flags:
    """Steps at which inputs are measured: bool array (samples * steps,)."""
    counts = np.sum([np.roll(np.diff(spikes[branch.source].offsets), delay - 1)
                     for branch, delay in zip(stage.branches, stage.delays)], axis=0)
    products = 2 * math.prod(stage.out_shape) * sum(math.prod(one.kernel_shape[1:]) for one in stage.branches)
    most = max(int(PRODUCTS // products), 1)
    found = np.zeros(len(counts), bool)
    found[np.argsort(-counts, kind="stable")[:most]] = True
    return found


def _arriving(spikes: Spikes, delay: int) -> Numbers:
    """Spikes of each neuron by the step in which they arrive, one step after they are fired at the earliest."""
    total, steps = spikes.n_samples * spikes.n_steps, spikes.steps() + delay - 1
    late, inside = np.zeros((total, spikes.size), np.float32), steps < total
    np.add.at(late, (steps[inside], spikes.neurons[inside]), 1)
    return late.reshape(-1, *spikes.shape)


def scaled(stage: Stage, layer: TrainedLayer, factor: float) -> TrainedLayer:
    """A layer whose membranes are all `factor` times as high and that fires the same: TrainedLayer.

    Its neurons have to rest and be reset at 0 mV, unless `factor` is 1: others are a SettingsError.
    """
    neuron, size = stage.layer.neuron, math.prod(stage.out_shape)
    if factor == 1.0:
        return layer
    if neuron.v_rest or neuron.v_reset:
        raise SettingsError(f"layer {stage.number}: its inputs do not fit s16.15 and would have to be scaled, which"
                            f" needs v_rest and v_reset of 0, got {neuron.v_rest:g} and {neuron.v_reset:g} mV")
    v = np.full(size, neuron.v) if layer.v is None and neuron.v else layer.v
    largest = layer.max_expected_summed_weight
    return TrainedLayer(layer.kernels * factor, layer.v_thresh * factor,
                        factor * (layer.i_offset + neuron.i_offset) - neuron.i_offset,
                        None if v is None else v * factor, None if largest is None else largest * factor,
                        tuple(kernels * factor for kernels in layer.shortcuts))


def fitting_factor(stage: Stage, layer: TrainedLayer, peak: Peak) -> float:
    """Largest power of two, at most 1, by which a layer's membranes fit s16.15: float.

    The target of a membrane is ``current * tau_m / cm``.
    """
    neuron = stage.layer.neuron
    largest = peak.net * current(neuron) + abs(layer.i_offset + neuron.i_offset).max()
    target = largest * neuron.tau_m / neuron.cm + abs(neuron.v_rest)
    return 2.0 ** -max(0, math.ceil(math.log2(target / LARGEST_TARGET))) if target > 0 else 1.0


def some(spikes: Mapping[int, Spikes]) -> dict[int, Spikes]:
    """Those of the first samples, on which inputs are measured."""
    return {number: one.samples(0, min(SAMPLES, one.n_samples, max(STEPS // one.n_steps, 1)))
            for number, one in spikes.items()}


def fitted(stage: Stage, layer: TrainedLayer, spikes: Mapping[int, Spikes]) -> tuple[TrainedLayer, Peak]:
    """A layer whose membranes fit s16.15 and that says how large its inputs are, and how large: TrainedLayer, Peak.

    Parameters as of :func:`peak_input`; what cannot be scaled is a SettingsError, see :func:`scaled`.
    """
    peak = peak_input(stage, layer, spikes)
    factor = fitting_factor(stage, layer, peak)
    layer = scaled(stage, layer, factor)
    peak = Peak(peak.excitatory * factor, peak.inhibitory * factor, peak.net * factor)
    if layer.max_expected_summed_weight is None and peak.net > 0:
        layer = replace(layer, max_expected_summed_weight=max(peak.excitatory, peak.inhibitory))
    return layer, peak


def balanced(model: Sequential, trained: Sequence[TrainedLayer], spikes: Spikes, open_network: OpenNetwork,
             reset: bool = False) -> tuple[list[TrainedLayer], list[Peak]]:
    """A trained chain as a board can hold it.

    Parameters
    ----------
    model : model.Sequential
    trained : list of TrainedLayer
    spikes : Spikes
        Of the input; the first samples are used.
    open_network : callable
        ``open`` of a backend.
    reset : bool
        Whether every sample starts at rest.

    Returns
    -------
    layers : list of TrainedLayer
    peaks : list of Peak
        In the units of the layers that are returned.

    Raises
    ------
    SettingsError
        A layer with numbers that are not finite, or that would have to be scaled and cannot, see :func:`scaled`.
    """
    for stage, layer in zip(model.stages, trained):
        if not all(np.isfinite(part).all() for part in layer.arrays().values()):
            raise SettingsError(f"layer {stage.number}: its rule has found weights that are no finite numbers; lower"
                                " the learning rate, or what else multiplies weights, in RULE of the parameters")
    layers, peaks = [], []
    shown = some({0: spikes})
    for stage, layer in zip(model.stages, trained):
        layer, peak = fitted(stage, layer, shown)
        layers.append(layer)
        peaks.append(peak)
        if stage.number < len(model.stages):
            with open_network(build.inference_network([stage], [layer], shown, reset)) as simulation:
                simulation.run(simulation.source_steps)
                shown[stage.number] = simulation.recording().spikes[stage.label]
    return layers, peaks


def cell(neuron: Neuron) -> tuple[float, float]:
    """How a neuron's membrane goes on from one step to the next, from rest 0 to threshold 1: (decay, reset)."""
    decay = 1.0 - float(leak(np.array([neuron.tau_m]), 1.0)[0])
    return decay, (neuron.v_reset - neuron.v_rest) / (neuron.v_thresh - neuron.v_rest)
