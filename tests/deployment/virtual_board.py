"""sPyNNaker on a virtual board: it maps networks and writes their weights, and computes nothing. Not a test itself."""

from contextlib import contextmanager
from unittest.mock import patch

from spikingconvnet.backends import spinnaker


class VirtualBoard:
    """A target for the spinnaker backend; sPyNNaker invents as many boards of 48 chips as it needs."""

    @staticmethod
    def configuration():
        """Text of the configuration's section Machine."""
        return "[Machine]\nversion = 5\nvirtual_board = True\n"


@contextmanager
def mapped(network, directory, record=()):
    """A Simulation whose network has been mapped as for a real board.

    On a virtual board sPyNNaker takes every combined binary to be there (`combined_binary_exists`); on a real one it
    looks, and so it does here.
    """
    from spynnaker.pyNN.data import SpynnakerDataView
    from spynnaker.pyNN.models.neuron import PopulationVertex

    def exists(vertex):
        try:
            SpynnakerDataView.get_executable_path(vertex.combined_binary_file_name)
        except KeyError:
            return False
        return True

    with patch.object(PopulationVertex, "combined_binary_exists", property(exists)):
        with spinnaker.open(network, record, target=VirtualBoard(), directory=directory) as simulation:
            simulation.run(10)
            yield simulation
