"""Small networks over everything that sPyNNaker ships, each with what its results must be."""

from models import cells, connectors, machine, plasticity, sources  # noqa: F401  (entering their networks in the catalogue is their effect)
from models.catalogue import NETWORKS

__all__ = ["NETWORKS"]
