"""Settings for images that somebody has at hand as arrays: what is not said is chosen by their size and classes."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from spikingconvnet.data.colour import Opponents
from spikingconvnet.data.encoding import LatencyEncoder
from spikingconvnet.data.events import takes_events
from spikingconvnet.data.filters import DifferenceOfGaussians
from spikingconvnet.data.images import ImageSet
from spikingconvnet.data.protocols import Encoder, ImageFilter
from spikingconvnet.data.receptive_fields import GaussianReceptiveFields
from spikingconvnet.errors import SettingsError, require
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.given import OWNER
from spikingconvnet.experiment.settings import Settings, load
from spikingconvnet.model import shorthand
from spikingconvnet.model.layers import Conv2D, Dense
from spikingconvnet.model.learning import NetworkRule
from spikingconvnet.model.readouts import Classifier
from spikingconvnet.model.sequential import Layer, Readout, Sequential
from spikingconvnet.network.arrays import Shape
from spikingconvnet.network.neurons import IFCurrExp
from spikingconvnet.network.plasticity import AdditiveWeightDependence, SpikePairRule, STDPMechanism
from spikingconvnet.store.arrays import digest
from spikingconvnet.training.layerwise.stdp import STDP

RECIPES = Path(__file__).parent / "recipes"
FIRST = "ridge"     # whose recipe stands in for that of a rule that brings none
SMALL = 16          # pixels a side below which kernels are 3 pixels wide and the retina sees finer

Layers: TypeAlias = Sequence[Layer | Readout]
Model: TypeAlias = "Sequential | Layers | str | None"


def settings_for(train: ImageSet, model: Model = None, image_filter: ImageFilter | None = None,
                 encoder: Encoder | None = None, slot: int | None = None, rule: NetworkRule | str | None = None,
                 seed: int = 0) -> Settings:
    """Settings of an experiment with images that are given.

    Parameters
    ----------
    train : ImageSet
        Its classes are 0 and on, without a gap, and its white is 255.
    model : Sequential, list of layers, str or None
        Layers are put behind the input as it comes; a text is an architecture as of ``--arch``, for a `rule`. None: 48
        filters and a classifier, or what the recipe has.
    image_filter, encoder, slot
        None: on- and off-centre cells, those of coloured images of opponent colours, and latencies in 15 of 28 steps;
        or what the recipe has. Images of one row are taken for numbers, each of which is shown by a population.
    rule : NetworkRule, str or None
        Of which a name takes the settings of its recipe.
    seed : int

    Returns
    -------
    Settings

    Raises
    ------
    SettingsError
        What cannot be used.
    """
    require(not takes_events(encoder), OWNER, "encoder", encoder, "one of images, which are what it learns from; events"
            " are for an Experiment with --source")
    shape, classes = train.images.shape[1:3], tuple(range(int(train.labels.max()) + 1))
    base = _layerwise(*train.images.shape[1:]) if rule is None else _recipe(rule)
    chosen = image_filter or base.image_filter
    made = _model(model, (chosen.channels, *shape), len(classes), base)
    require(rule is not None or not made.runs_as_one, OWNER, "rule", rule,
            f"one that trains all layers at once, because the model ends with {type(made.readout).__name__}")
    return replace(base, dataset=f"arrays-{digest(train.images, train.labels)}", image_filter=chosen, classes=classes,
                   encoder=encoder or base.encoder, slot=slot or base.slot, model=made, n_train=None, n_test=None,
                   n_validation=0, seed=seed, white=255, size=None, free=())


def trained(experiment: Experiment) -> Experiment:
    """An experiment with everything that can be trained in it trained; what is there is not done again."""
    if not experiment.has_data():
        experiment.load_data()
    stages = experiment.model.stages
    missing = [stage.number for stage in stages if not experiment.is_trained(stage.number)]
    if experiment.model.runs_as_one:
        if missing:
            experiment.train_chain()
        return experiment
    for number in missing:
        experiment.train_layer(number)
    if not experiment.has_svm():
        experiment.train_svm()
    return experiment


def _layerwise(rows: int, columns: int, colours: int = 1) -> Settings:
    """One layer that learns by STDP, for images of a size; the numbers are those of the demo where they can be."""
    small, row = min(rows, columns) < SMALL, rows == 1
    cell = IFCurrExp(tau_m=10.0, cm=10.0, v_rest=0.0, v_reset=0.0, v=0.0, tau_syn_E=2.0, tau_syn_I=2.0, tau_refrac=0.0)
    learning = STDP(
        windows=4000, chunks=20, min_spikes=5 if small else 10, homeostasis=(0.2, 0.2),
        mechanism=STDPMechanism(SpikePairRule(tau_plus=10.0, tau_minus=10.0, A_plus=0.02, A_minus=0.02),
                                AdditiveWeightDependence(w_min=0.0, w_max=1.0)))
    side = 3 if small else 7
    kernel = (1, columns) if row else (min(side, rows), min(side, columns))
    layer = Conv2D(48, kernel, neuron=cell, firing=0.2 if small else 0.1, gain=4.0, training=learning)
    cells = min(6, rows - kernel[0] + 1), min(6, columns - kernel[1] + 1)
    retina = DifferenceOfGaussians(0.5, 1.0, 0.6) if small else DifferenceOfGaussians(1.0, 2.0, 0.423)
    seen: Any = GaussianReceptiveFields() if row else retina if colours == 1 else Opponents(retina)
    encoder: Any = LatencyEncoder(n_steps=15, threshold=0.08, saturation=0.8 if small else 0.6)
    return Settings(dataset=".", image_filter=seen, encoder=encoder, slot=28,
                    model=Sequential((seen.channels, rows, columns), layer, Classifier(grid=cells, C=3.0)))


def _recipe(rule: NetworkRule | str) -> Settings:
    """The settings that a rule for all layers at once brings with it, with its own in their place."""
    name = getattr(rule, "name", rule)
    known = sorted(path.stem for path in RECIPES.glob("*.py") if "-" not in path.stem)
    require(isinstance(rule, NetworkRule) or name in known, OWNER, "rule", rule,
            f"one of {', '.join(known)}, or the settings of a rule that trains all layers at once")
    found = load(RECIPES / f"{name if name in known else FIRST}.py")
    return replace(found, rule=rule) if isinstance(rule, NetworkRule) else found


def _model(model: Model, input_shape: Shape, n_classes: int, base: Settings) -> Sequential:
    if isinstance(model, Sequential):
        require(model.given_shape in (None, input_shape), OWNER, "model", model.given_shape,
                f"a model for the input {input_shape}, or layers alone")
        return model.taking(input_shape)
    if isinstance(model, str):
        if base.rule is None:
            raise SettingsError(f"{OWNER}.model: {model} is for a rule that trains all layers at once;"
                                " say which, as rule='ridge', or give layers")
        return shorthand.parse(model, input_shape, base.rule.neuron, base.model.unit_readout, base.rule.output_neuron)
    return Sequential(input_shape, *(_fitting(base, n_classes) if model is None else model))


def _fitting(base: Settings, n_classes: int) -> Layers:
    """The layers of settings, with the neurons of their rule and a unit for each class."""
    rule, (*hidden, _, readout) = base.rule, base.model.layers
    if rule is None:
        return base.model.layers
    hidden = [replace(one, neuron=rule.neuron) if isinstance(one, (Conv2D, Dense)) else one for one in hidden]
    return [*hidden, Dense(n_classes, neuron=rule.output_neuron or rule.neuron), readout]
