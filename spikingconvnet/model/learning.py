"""How a network learns: what every rule is. The rules themselves are in ``training``, a record and its file each.

A rule is a frozen dataclass of its settings that trains by them. One for a layer stands in ``Conv2D.training``, one for
a whole network is ``RULE`` of the parameters; nothing else has to know of it. Digests are made of its ``repr``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from spikingconvnet.gates.schema import Schema
from spikingconvnet.gates.sizes import Asked
from spikingconvnet.network.arrays import Floats, Floats32, Ints, Numbers
from spikingconvnet.network.netlist import Network
from spikingconvnet.network.neurons import Neuron
from spikingconvnet.network.spikes import Spikes

if TYPE_CHECKING:           # a layer holds its rule, and a rule is given layers
    from spikingconvnet.model.sequential import Sequential, Stage
    from spikingconvnet.model.trained import Diagnostics, Trained, TrainedLayer

Progress: TypeAlias = Callable[[Iterable[Any]], Iterable[Any]]      # wraps the iterable of a long loop
Arrays: TypeAlias = Mapping[str, Numbers]       # of a file, by name
Keep: TypeAlias = Callable[..., None]
# Of rooms beside and above this one, which know more of them: data.protocols.Encoder and ImageFilter, backends.base.
Encoder: TypeAlias = Any
ImageFilter: TypeAlias = Any
OpenNetwork: TypeAlias = Callable[..., Any]     # gives a Simulation
Shown: TypeAlias = Callable[[str, Ints], Spikes]        # of a split, samples at these places, without a gap


def tell(steps: Iterable[Any], **values: float) -> None:
    """Have a bar, if a Progress has made one, show values beside how far it is.

    Parameters
    ----------
    steps : iterable
        What the Progress gave.
    **values : float
        By name, as ``loss=0.1``.
    """
    show = getattr(steps, "set_postfix", None)
    if show is not None:
        show(values)


@dataclass(frozen=True, eq=False)
class Trainee:
    """What a machine is given to train a layer with.

    Attributes
    ----------
    network : Network
    slot : int
        Steps of one sample.
    kernels : float array (filters, channels, rows, columns)
        As inference would have them if nothing were learned, nA.
    """

    network: Network
    slot: int
    kernels: Floats


class LayerRule(ABC):
    """A rule that trains one layer after another.

    Attributes
    ----------
    name : str
        As ``--rule`` has it, and as results are noted.
    chunks : int
        After how many parts of a training it can be gone on with, see :meth:`unfinished`; 0 if it begins anew.
    simulates : bool
        Whether a network learns, so that the training can be recorded.
    takes_labels : bool
        Whether :meth:`train` is given ``labels`` as well, int array (samples,).
    """

    name: str
    chunks = 0
    simulates = False
    takes_labels = False

    @abstractmethod
    def train(self, stage: "Stage", spikes: Spikes, rng: np.random.Generator, open_network: OpenNetwork,
              progress: Progress = iter, so_far: Arrays | None = None, keep: Keep | None = None) -> "Trained":
        """Learn the kernels of one layer and calibrate it for inference.

        Parameters
        ----------
        stage : model.Stage
        spikes : Spikes
            Of the stage's source, shape ``stage.source_shape``, gap included.
        rng : numpy.random.Generator
            The only source of chance.
        open_network : callable
            ``open`` of a backend: ``open_network(network, record=...)`` is a Simulation.
        progress : callable
            Wraps the iterable of a long loop.
        so_far : dict of str to array, or None
            What a training that was interrupted had kept last.
        keep : callable or None
            ``keep(**arrays)`` keeps what is finished, as :meth:`unfinished` says.

        Returns
        -------
        model.trained.Trained
        """

    def unfinished(self, stage: "Stage") -> Schema | None:
        """What ``keep`` is given: schema.Schema, or None for a rule that begins anew after an interruption."""
        return None

    def network(self, stage: "Stage", kernels: Floats | None, spikes: Spikes | None,
                rng: np.random.Generator) -> Trainee | None:
        """What a machine is given to train with, or a part of it: Trainee, or None for a rule that simulates nothing.

        It is for ``--mode check`` to look at.

        Parameters
        ----------
        stage : model.Stage
        kernels : float array (filters, channels, rows, columns) or None
            To begin with; None draws them.
        spikes : Spikes or None
            Of the stage's source; None if there are none yet.
        rng : numpy.random.Generator
        """
        return None

    def memory(self, stage: "Stage") -> list[Asked]:
        """Bytes that the filters of a layer ask for at a time while it learns: list, see ``gates.sizes.require_fits``.

        Raises
        ------
        SettingsError
            The rule's own settings ask for more than there is.
        """
        return []


class ReadoutRule(ABC):
    """A rule that trains a linear readout, see ``Classifier.learn``.

    Attributes
    ----------
    name : str
        As results are noted.
    """

    name: str

    @abstractmethod
    def train(self, counts: Numbers, units: Ints, classes: int, rng: np.random.Generator, open_network: OpenNetwork,
              progress: Progress = iter) -> tuple[Floats, Floats]:
        """Find the weights.

        Parameters
        ----------
        counts : array (n, features)
            Spikes of the last layer in each of its cells, samples in rows.
        units : int array (n,)
            That should answer, 0 to classes - 1.
        classes : int
        rng : numpy.random.Generator
            The only source of chance.
        open_network : callable
            ``open`` of a backend, for those that learn in a simulator.
        progress : callable
            Wraps the iterable of a long loop.

        Returns
        -------
        weights : float array (classes, features)
            The unit with the largest sum of weights times counts, and of its bias, answers; 1 is the margin.
        biases : float array (classes,)
        """


class NetworkRule(ABC):
    """A rule that trains all layers at once.

    Its field `neuron`, a record of ``neurons``, is what ``--arch`` gives to the layers.

    Attributes
    ----------
    name : str
        As ``--rule`` has it, and as results are noted.
    output_neuron : record of ``neurons`` or None
        What ``--arch`` gives to the last layer, if that differs.
    rates : callable or None
        If layers stand for units: ``rates(neuron, drive, v_thresh)``, spikes a step of units under a steady current of
        ``drive`` nA; what was trained is then compared, see ``training.chain.parity``.
    """

    name: str
    neuron: Neuron
    output_neuron: Neuron | None = None
    rates: Callable[..., Floats] | None = None

    @property
    def takes_rates(self) -> bool:
        """Whether units see values as rates, so that an encoder without a rate is refused."""
        return False

    @abstractmethod
    def train(self, model: "Sequential", images: Floats32, labels: Ints, rng: np.random.Generator, *,
              encoder: Encoder, image_filter: ImageFilter | None, open_network: OpenNetwork, progress: Progress,
              validation: tuple[Floats32, Ints] | None,
              events: Shown | None) -> tuple[list["TrainedLayer"], "Diagnostics"]:
        """Find the weights of all layers. A rule names the keywords that it needs and takes the others as ``**_``.

        Parameters
        ----------
        model : model.Sequential
            That ``runs_as_one``.
        images : float32 array (n, C, H, W), 0 to 1
            The training images as FILTER makes them and ENCODER shows them.
        labels : int array (n,)
            Unit of the last layer that should answer, 0 to units - 1.
        rng : numpy.random.Generator
            The only source of chance.
        encoder, image_filter : callables
            ENCODER and FILTER of the parameters.
        open_network : callable
            ``open`` of a backend: ``open_network(network, record=...)`` is a Simulation.
        progress : callable
            Wraps the iterable of a long loop.
        validation : (images, labels) or None
            Of the validation split.
        events : callable or None
            If ENCODER takes events: ``events(split, places)`` gives the Spikes that the network is shown, and `images`
            are only how many there are, see ``EventBins.values``. None: ENCODER makes spikes of `images`.

        Returns
        -------
        layers : list of TrainedLayer
            One a stage of the model.
        diagnostics : dict of str to numbers or lists of numbers
            For the user to judge the training. A list is a course, with a number for each pass.
        """
