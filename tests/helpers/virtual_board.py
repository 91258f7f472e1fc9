"""sPyNNaker on a virtual board: it maps networks and writes their weights, and computes nothing. Not a test itself."""

from contextlib import contextmanager

from spikingconvnet.backends.spinnaker import simulator as spinnaker


class VirtualBoard:
    """A target for the spinnaker backend; sPyNNaker invents as many boards of 48 chips as it needs."""

    @staticmethod
    def configuration():
        """Text of the configuration's section Machine."""
        return "[Machine]\nversion = 5\nvirtual_board = True\n"


@contextmanager
def mapped(network, directory, record=()):
    """A Simulation whose network has been mapped."""
    with spinnaker.open(network, record, target=VirtualBoard(), directory=directory) as simulation:
        simulation.run(10)
        yield simulation
