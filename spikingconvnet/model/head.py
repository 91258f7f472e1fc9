"""A linear classifier as a population that answers with its first spike, behind a network that runs without resets.

Its units hardly leak: each sums up what the last layer fires, so its membrane is the margin of its class. When nothing
more can come, a clock, a source of known spikes, lifts all units from level to level. The unit that is highest crosses
the threshold first: it is the answer. The last two ticks lift every unit over the threshold, which resets it: the next
image begins at 0 mV, and no host resets anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from spikingconvnet.model.build import INPUT
from spikingconvnet.network.arrays import Floats, Numbers
from spikingconvnet.network.connectivity import ConvConnections
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrDelta, SpikeSourceArray
from spikingconvnet.network.spikes import Spikes

READOUT, CLOCK = "readout", "clock"
NEURON = IFCurrDelta(tau_m=2048.0, cm=1.0, v_rest=0.0, v_reset=0.0, v_thresh=1.0, tau_refrac=0.0, v=0.0)


@dataclass(frozen=True, eq=False)
class Head:
    """What the population needs.

    Attributes
    ----------
    kernels : float64 array (classes, channels, rows, columns)
        Weights of the last layer's spikes, nA.
    clock : float64 array (classes, ticks)
        Those of the clock's spikes, nA; the first holds the bias.
    first : int array ()
        Step of an image in which the first tick acts; the others follow, the last one in step 0 of the next image.
    v_thresh : float64 array ()
        mV.
    largest_input : float64 array ()
        Of a unit in one step, nA.
    """

    kernels: Floats
    clock: Floats
    first: Numbers
    v_thresh: Floats
    largest_input: Floats

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Numbers]) -> "Head":
        """The Head that a file holds: dict of str to array, others left alone."""
        return cls(*(arrays[field.name] for field in fields(cls)))


def answering(network: Network, label: str, head: Head) -> Network:
    """A network with a clock and units that answer behind its population `label`: Network.

    Its source is ``input``, whose samples are the images.
    """
    classes, ticks = head.clock.shape
    source = network.population(INPUT).given_spikes
    clock = Population(CLOCK, (ticks, 1, 1), SpikeSourceArray(_ticking(head, source)))
    units = Population(READOUT, (classes, 1, 1), replace(NEURON, v_thresh=float(head.v_thresh)),
                       max_expected_summed_weight=float(head.largest_input))
    ways = {label: ConvConnections(head.kernels, network.population(label).shape),
            CLOCK: ConvConnections(head.clock[:, :, None, None], (ticks, 1, 1))}
    return replace(network, populations=(*network.populations, clock, units), projections=(
        *network.projections, *(Projection(f"{READOUT} {pre}", pre, READOUT, one) for pre, one in ways.items())))


def _ticking(head: Head, source: Spikes) -> Spikes:
    """Spikes of the clock: each of its neurons once an image, a step before it acts."""
    n, ticks = source.n_samples, head.clock.shape[1]
    tick = np.tile(np.arange(ticks), n)
    return Spikes.from_events(np.repeat(np.arange(n), ticks), tick, int(head.first) - 1 + tick, (ticks, 1, 1), n,
                              source.n_steps)
