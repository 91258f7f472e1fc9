"""What type checkers read of the face, whose names are loaded when they are first used; a test compares it."""

from spikingconvnet.backends import open, run
from spikingconvnet.data.datasets import load as load_images
from spikingconvnet.data.datasets import save as save_images
from spikingconvnet.data.deformation import Deformation
from spikingconvnet.data.encoding import LatencyEncoder, RateEncoder, RegularEncoder
from spikingconvnet.data.filters import BitPlanes, Deslanted, DifferenceOfGaussians, Intensity
from spikingconvnet.data.receptive_fields import GaussianReceptiveFields
from spikingconvnet.errors import SpikingConvNetError
from spikingconvnet.exchange.exporting import to_nir
from spikingconvnet.exchange.importing import from_nir
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.settings import Settings
from spikingconvnet.experiment.settings import load as load_settings
from spikingconvnet.model.layers import AvgPool2D, Conv2D, Dense
from spikingconvnet.model.learning import LayerRule, NetworkRule
from spikingconvnet.model.readouts import Classifier, Membrane, SpikeCount
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.model.trained import TrainedLayer
from spikingconvnet.network.connectivity import ConnectionList, ConvConnections, DenseConnections, LateralInhibition
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import (
    IFCurrDelta,
    IFCurrExp,
    IFCurrExpCa2Adaptive,
    SpikeSourceArray,
    SpikeSourcePoisson,
)
from spikingconvnet.network.plasticity import (
    AdditiveWeightDependence,
    MultiplicativeWeightDependence,
    Neuromodulation,
    PfisterSpikeTripletRule,
    SpikeNearestPairRule,
    SpikePairRule,
    STDPMechanism,
    Vogels2011Rule,
    WeightDependenceAdditiveTriplet,
)
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.training.chain.bpstdp import BPSTDP
from spikingconvnet.training.chain.convert import Convert
from spikingconvnet.training.chain.descent import Descent
from spikingconvnet.training.chain.feedback import FeedbackAlignment
from spikingconvnet.training.chain.ridge import Ridge
from spikingconvnet.training.chain.rstdp import RSTDP
from spikingconvnet.training.chain.softlif import SoftLIF
from spikingconvnet.training.chain.surrogate import Surrogate
from spikingconvnet.training.layerwise.calibration import FiringShare
from spikingconvnet.training.layerwise.competing import CompetingUnits
from spikingconvnet.training.layerwise.course import Trained
from spikingconvnet.training.layerwise.homeostasis import Homeostasis
from spikingconvnet.training.layerwise.stdp import STDP
from spikingconvnet.training.layerwise.windows import RandomWindows

__all__ = [
    "BPSTDP",
    "RSTDP",
    "STDP",
    "AdditiveWeightDependence",
    "AvgPool2D",
    "BitPlanes",
    "Classifier",
    "CompetingUnits",
    "ConnectionList",
    "Conv2D",
    "ConvConnections",
    "Convert",
    "Deformation",
    "Dense",
    "DenseConnections",
    "Descent",
    "Deslanted",
    "DifferenceOfGaussians",
    "Experiment",
    "FeedbackAlignment",
    "FiringShare",
    "GaussianReceptiveFields",
    "Homeostasis",
    "IFCurrDelta",
    "IFCurrExp",
    "IFCurrExpCa2Adaptive",
    "Intensity",
    "LatencyEncoder",
    "LateralInhibition",
    "LayerRule",
    "Membrane",
    "MultiplicativeWeightDependence",
    "Network",
    "NetworkRule",
    "Neuromodulation",
    "PfisterSpikeTripletRule",
    "Population",
    "Projection",
    "RandomWindows",
    "RateEncoder",
    "RegularEncoder",
    "Ridge",
    "STDPMechanism",
    "Sequential",
    "Settings",
    "SoftLIF",
    "SpikeCount",
    "SpikeNearestPairRule",
    "SpikePairRule",
    "SpikeSourceArray",
    "SpikeSourcePoisson",
    "Spikes",
    "SpikingConvNetError",
    "Surrogate",
    "Trained",
    "TrainedLayer",
    "Vogels2011Rule",
    "WeightDependenceAdditiveTriplet",
    "from_nir",
    "load_images",
    "load_settings",
    "open",
    "run",
    "save_images",
    "to_nir",
]
__version__: str
