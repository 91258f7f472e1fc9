"""What type checkers read of the face, whose names are loaded when they are first used; a test compares it."""

# ruff: noqa: F403 - of some modules everything that is public belongs to the face

from spikingconvnet.backends import open as open
from spikingconvnet.backends import run as run
from spikingconvnet.data import datasets as _datasets
from spikingconvnet.data import sources as _sources
from spikingconvnet.data.colour import Colours as Colours
from spikingconvnet.data.colour import Opponents as Opponents
from spikingconvnet.data.deformation import Deformation as Deformation
from spikingconvnet.data.encoding import LatencyEncoder as LatencyEncoder
from spikingconvnet.data.encoding import RateEncoder as RateEncoder
from spikingconvnet.data.encoding import RegularEncoder as RegularEncoder
from spikingconvnet.data.events import EventBins as EventBins
from spikingconvnet.data.filters import *
from spikingconvnet.data.receptive_fields import GaussianReceptiveFields as GaussianReceptiveFields
from spikingconvnet.data.sources import read_images as read_images
from spikingconvnet.errors import SpikingConvNetError as SpikingConvNetError
from spikingconvnet.exchange.exporting import to_nir as to_nir
from spikingconvnet.exchange.importing import from_nir as from_nir
from spikingconvnet.exchange.neo_blocks import from_neo as from_neo
from spikingconvnet.exchange.neo_blocks import to_neo as to_neo
from spikingconvnet.exchange.spike_files import load_spikes as load_spikes
from spikingconvnet.exchange.spike_files import save_spikes as save_spikes
from spikingconvnet.experiment import settings as _settings
from spikingconvnet.experiment.estimator import SpikingConvClassifier as SpikingConvClassifier
from spikingconvnet.experiment.experiment import Experiment as Experiment
from spikingconvnet.experiment.settings import Settings as Settings
from spikingconvnet.model.layers import AvgPool2D as AvgPool2D
from spikingconvnet.model.layers import Conv2D as Conv2D
from spikingconvnet.model.layers import Dense as Dense
from spikingconvnet.model.layers import Shortcut as Shortcut
from spikingconvnet.model.learning import LayerRule as LayerRule
from spikingconvnet.model.learning import NetworkRule as NetworkRule
from spikingconvnet.model.learning import ReadoutRule as ReadoutRule
from spikingconvnet.model.readouts import Classifier as Classifier
from spikingconvnet.model.readouts import Membrane as Membrane
from spikingconvnet.model.readouts import SpikeCount as SpikeCount
from spikingconvnet.model.sequential import Sequential as Sequential
from spikingconvnet.model.trained import Trained as Trained
from spikingconvnet.model.trained import TrainedLayer as TrainedLayer
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
from spikingconvnet.training.chain.bpstdp import BPSTDP as BPSTDP
from spikingconvnet.training.chain.convert import Convert as Convert
from spikingconvnet.training.chain.descent import Descent as Descent
from spikingconvnet.training.chain.feedback import FeedbackAlignment as FeedbackAlignment
from spikingconvnet.training.chain.ridge import Ridge as Ridge
from spikingconvnet.training.chain.rstdp import RSTDP as RSTDP
from spikingconvnet.training.chain.softlif import SoftLIF as SoftLIF
from spikingconvnet.training.chain.surrogate import Surrogate as Surrogate
from spikingconvnet.training.layerwise.calibration import FiringShare as FiringShare
from spikingconvnet.training.layerwise.competing import CompetingUnits as CompetingUnits
from spikingconvnet.training.layerwise.homeostasis import Homeostasis as Homeostasis
from spikingconvnet.training.layerwise.stdp import STDP as STDP
from spikingconvnet.training.layerwise.windows import RandomWindows as RandomWindows
from spikingconvnet.training.readout.error_driven import ErrorDriven as ErrorDriven
from spikingconvnet.training.readout.reward_driven import RewardDriven as RewardDriven

__version__: str
load_images = _sources.load_part
save_images = _datasets.save
load_settings = _settings.load
save_settings = _settings.save
