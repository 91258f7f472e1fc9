"""What type checkers read of the face, whose names are loaded when they are first used; a test compares it."""

from collections.abc import Callable
from typing import Any

from spikingconvnet import data as data
from spikingconvnet import errors as errors
from spikingconvnet import exchange as exchange
from spikingconvnet import experiment as experiment
from spikingconvnet import network as network
from spikingconvnet import training as training
from spikingconvnet.backends import open as open
from spikingconvnet.backends import run as run
from spikingconvnet.data import sources as _sources
from spikingconvnet.data.colour import Colours as Colours
from spikingconvnet.data.deformation import Deformation as Deformation
from spikingconvnet.data.encoding import LatencyEncoder as LatencyEncoder
from spikingconvnet.data.encoding import RateEncoder as RateEncoder
from spikingconvnet.data.encoding import RegularEncoder as RegularEncoder
from spikingconvnet.data.events import EventBins as EventBins
from spikingconvnet.data.filters import Deslanted as Deslanted
from spikingconvnet.data.filters import DifferenceOfGaussians as DifferenceOfGaussians
from spikingconvnet.data.filters import Intensity as Intensity
from spikingconvnet.data.receptive_fields import GaussianReceptiveFields as GaussianReceptiveFields
from spikingconvnet.errors import SpikingConvNetError as SpikingConvNetError
from spikingconvnet.experiment import settings as _settings
from spikingconvnet.experiment.estimator import SpikingConvClassifier as SpikingConvClassifier
from spikingconvnet.experiment.experiment import Experiment as Experiment
from spikingconvnet.model.layers import AvgPool2D as AvgPool2D
from spikingconvnet.model.layers import Conv2D as Conv2D
from spikingconvnet.model.layers import Dense as Dense
from spikingconvnet.model.layers import Shortcut as Shortcut
from spikingconvnet.model.readouts import Classifier as Classifier
from spikingconvnet.model.readouts import Membrane as Membrane
from spikingconvnet.model.readouts import SpikeCount as SpikeCount
from spikingconvnet.model.sequential import Sequential as Sequential
from spikingconvnet.network.connectivity import DenseConnections as DenseConnections
from spikingconvnet.network.netlist import Network as Network
from spikingconvnet.network.netlist import Population as Population
from spikingconvnet.network.netlist import Projection as Projection
from spikingconvnet.network.neurons import IFCurrDelta as IFCurrDelta
from spikingconvnet.network.neurons import IFCurrExp as IFCurrExp
from spikingconvnet.network.neurons import SpikeSourceArray as SpikeSourceArray
from spikingconvnet.network.plasticity import AdditiveWeightDependence as AdditiveWeightDependence
from spikingconvnet.network.plasticity import SpikePairRule as SpikePairRule
from spikingconvnet.network.plasticity import STDPMechanism as STDPMechanism
from spikingconvnet.network.spikes import Spikes as Spikes
from spikingconvnet.training.chain.bpstdp import BPSTDP as BPSTDP
from spikingconvnet.training.chain.convert import Convert as Convert
from spikingconvnet.training.chain.descent import Descent as Descent
from spikingconvnet.training.chain.feedback import FeedbackAlignment as FeedbackAlignment
from spikingconvnet.training.chain.ridge import Ridge as Ridge
from spikingconvnet.training.chain.rstdp import RSTDP as RSTDP
from spikingconvnet.training.chain.softlif import SoftLIF as SoftLIF
from spikingconvnet.training.chain.surrogate import Surrogate as Surrogate
from spikingconvnet.training.layerwise.stdp import STDP as STDP

__version__: str
PUBLIC: dict[str, str]
load_images = _sources.load_part
load_settings = _settings.load

def find(name: str) -> Any: ...
def room(package: str) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]: ...
