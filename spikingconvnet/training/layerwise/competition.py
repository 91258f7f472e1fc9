"""The network that a layer learns in: one neuron per filter behind plastic synapses, before windows of the input."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from spikingconvnet.network.arrays import Floats
from spikingconvnet.network.connectivity import DenseConnections, LateralInhibition
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import OUT_OF_REACH, SpikeSourceArray
from spikingconvnet.network.spikes import Spikes

if TYPE_CHECKING:           # of which this is a part
    from spikingconvnet.training.layerwise.stdp import STDP

WINDOW, GATE, FILTERS, KERNELS = "window", "gate", "filters", "kernels"


def training_network(rule: "STDP", windows: Spikes, weights: Floats, v_thresh: Floats) -> Network:
    """One neuron per filter behind plastic synapses, with lateral inhibition and the gate.

    Parameters
    ----------
    rule : stdp.STDP
    windows : Spikes
        A sample each, see ``windows``.
    weights : float array (inputs per window, filters), nA
    v_thresh : float array (filters,), mV

    Returns
    -------
    Network with the populations ``window``, ``gate`` and ``filters``; the plastic projection is ``kernels``
    """
    filters = weights.shape[1]
    shown = np.arange(windows.n_samples)
    gate = Spikes.from_events(shown, 0 * shown, 0 * shown + rule.pattern_steps, (1, 1, 1), len(shown), rule.slot)
    populations = (Population(WINDOW, windows.shape, SpikeSourceArray(windows)),
                   Population(GATE, gate.shape, SpikeSourceArray(gate)),
                   Population(FILTERS, (filters, 1, 1), rule.neuron, {"v_thresh": v_thresh}))
    projections = [
        Projection(KERNELS, WINDOW, FILTERS, DenseConnections(weights), plasticity=rule.mechanism),
        Projection(GATE, GATE, FILTERS, DenseConnections(np.full((1, filters), rule.gate)), "inhibitory")]
    if filters > 1:
        projections.append(Projection("lateral", FILTERS, FILTERS, LateralInhibition(filters, rule.lateral),
                                      "inhibitory"))
    return Network(populations, tuple(projections))


def drive_network(rule: "STDP", windows: Spikes, weights: Floats) -> Network:
    """The training network without learning, gate, volley's effect or spikes: how far the windows drive each filter.

    Parameters as :func:`training_network`. The threshold is out of reach.
    """
    neuron = replace(rule.neuron, v_thresh=OUT_OF_REACH)
    populations = (Population(WINDOW, windows.shape, SpikeSourceArray(windows)),
                   Population(FILTERS, (weights.shape[1], 1, 1), neuron))
    return Network(populations, (Projection(KERNELS, WINDOW, FILTERS, DenseConnections(weights)),))
