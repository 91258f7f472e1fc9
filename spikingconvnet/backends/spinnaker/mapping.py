"""How sPyNNaker maps a network to a machine, without computing."""

from pathlib import Path

from spikingconvnet.backends.spinnaker.machine import VirtualBoard, is_own
from spikingconvnet.backends.spinnaker.simulator import open
from spikingconvnet.network.netlist import Network

CHIPS_OF_A_BOARD = 48       # SpiNN-5


def mapped(network: Network, directory: Path | None = None) -> dict[str, int]:
    """What sPyNNaker would use for a network; nothing is computed.

    Parameters
    ----------
    network : Network
    directory : Path or None
        As for :func:`open`.

    Returns
    -------
    dict of str to int
        ``cores`` (monitors included), ``chips`` that have one of the network's, ``boards`` of 48 chips.
    """
    with open(network, target=VirtualBoard(), directory=directory) as simulation:
        simulation.run(1)
        from spynnaker.pyNN.data import SpynnakerDataView as view

        places = list(view.iterate_placemements())
        return {"cores": len(places), "chips": len({(p.x, p.y) for p in places if p.p > 0 and is_own(p.vertex)}),
                "boards": -(-view.get_machine().n_chips // CHIPS_OF_A_BOARD)}
