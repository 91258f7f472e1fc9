"""Networks as plain data that any simulator can be given: populations, connections, plasticity, by PyNN's names."""

# ruff: noqa: F403 - of some modules everything that is public belongs to the room

from typing import TYPE_CHECKING

from spikingconvnet import room

if TYPE_CHECKING:
    from spikingconvnet.network.connectivity import ConnectionList as ConnectionList
    from spikingconvnet.network.connectivity import ConvConnections as ConvConnections
    from spikingconvnet.network.connectivity import DenseConnections as DenseConnections
    from spikingconvnet.network.connectivity import LateralInhibition as LateralInhibition
    from spikingconvnet.network.netlist import Network as Network
    from spikingconvnet.network.netlist import Population as Population
    from spikingconvnet.network.netlist import Projection as Projection
    from spikingconvnet.network.neurons import *
    from spikingconvnet.network.plasticity import *
    from spikingconvnet.network.spikes import Spikes as Spikes
else:
    __all__, __getattr__, __dir__ = room(__name__)
