"""What a network needs to be exact through sPyNNaker's own connectors."""

from collections.abc import Collection

import numpy as np

from spikingconvnet.board.lowering import Lowered
from spikingconvnet.board.split_cores import ROW_LIMIT
from spikingconvnet.errors import NetworkError, require
from spikingconvnet.network.arrays import Floats, Pair
from spikingconvnet.network.board_connectors import BoardConvolution
from spikingconvnet.network.connectivity import ConvConnections, LateralInhibition
from spikingconvnet.network.netlist import Network, Projection


def fixed_scales(network: Network, lowered: Lowered, planes: Collection[str] = ()) -> dict[str, Floats]:
    """Largest inputs that make sPyNNaker choose the weight scales of `lowered` where its own list would give others.

    A convolution is written as one list per receptor and map, but its scale is that of the connectors that sPyNNaker
    has for convolutions; a board that generates lateral inhibition itself counts every neuron as its own input; and
    of a list in several pieces it adds up the largest inputs of all.

    Parameters
    ----------
    network : Network
    lowered : Lowered
    planes : collection of str
        Populations that become one of sPyNNaker's for each channel, besides those that say so.

    Returns
    -------
    dict of str to float array (channels, 2), nA
        Just below the power of two that the scale stands for.
    """
    limits = {}
    for population in network.populations:
        if any(isinstance(p.connections, (ConvConnections, LateralInhibition)) or _in_pieces(network, p, planes)
               for p in network.incoming(population.label)):
            shift = lowered.populations[population.label].shift
            first = shift.reshape(2, population.shape[0] if population.per_channel else 1, -1)[:, :, 0]
            limits[population.label] = 0.75 * 2.0 ** first.T
    return limits


def check_reset(network: Network, lowered: Lowered) -> None:
    """Raise NetworkError if spikes could be on their way in a core that extends delays when the network is reset.

    ``sim.reset()`` leaves them there, and they would arrive in the next image (found with the binaries of sPyNNaker
    7.4.1).
    """
    for projection in network.projections if network.reset_every else ():
        slots, longest = lowered.populations[projection.post].delay_slots, projection.connections.max_delay
        require(longest <= slots, f"Projection {projection.label!r}", "delay", longest,
                f"at most {slots} steps on a board in a network that is reset; longer ones take cores for delays, which"
                " sPyNNaker does not reset", NetworkError)


def _in_pieces(network: Network, projection: Projection, planes: Collection[str]) -> bool:
    """Whether a list becomes several projections to one of sPyNNaker's populations."""
    pre, listed = network.population(projection.pre), projection.connections.to_list()
    if pre.shape[0] > 1 and (pre.per_channel or pre.label in planes):
        return True
    return projection.connections.rounding == "host" and bool(np.bincount(listed.pre).max(initial=0) > ROW_LIMIT)


def convolution_connectors(connections: ConvConnections) -> dict[Pair, BoardConvolution]:
    """The connectors that compute a convolution on a board.

    Parameters
    ----------
    connections : ConvConnections

    Returns
    -------
    dict of (channel, map) to BoardConvolution
        Kernels without a weight are left out. The populations of a board are one per channel and one per map.

    Raises
    ------
    NetworkError
        If sPyNNaker's connector cannot compute it: strides above 1, kernels of even size.
    """
    rows, columns = connections.kernels.shape[2:]
    require(tuple(connections.strides) == (1, 1), "ConvConnections", "strides", connections.strides,
            "(1, 1) on a board: sPyNNaker lays the whole kernel around every strided position, so that neighbouring"
            " outputs share an input that they should not", NetworkError)
    require(rows % 2 == 1 and columns % 2 == 1, "ConvConnections", "kernels", (rows, columns),
            "of odd size on a board: sPyNNaker's binary reads beyond a kernel of even size", NetworkError)
    pre_shape, pool, padding = (1, *connections.pre_shape[1:]), connections.pool[::-1], connections.padding[::-1]
    return {(channel, index): BoardConvolution(kernel[::-1, ::-1].reshape(columns, rows), pre_shape, padding=padding,
                                               pool=pool, delay=connections.delay)
            for index, kernels in enumerate(connections.kernels) for channel, kernel in enumerate(kernels)
            if kernel.any()}
