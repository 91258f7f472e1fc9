"""Rules by name: what finds the weights of a model. A rule's module is imported when it is used.

A rule trains one layer after another (``stdp.train``), or all of them at once (`whole`). The latter has a settings
record, a frozen dataclass that a parameters file names ``RULE``, with the attributes

    name            that of the rule
    neuron          record of ``neurons`` that ``--arch`` gives to the layers
    output_neuron   the same for the last layer, if it differs
    takes_rates     whether units see values as rates, so that an encoder without a rate is refused
    rates           if layers stand for units: ``rates(neuron, drive, v_thresh)``, spikes a step of units under a steady
                    current of ``drive`` nA; what was trained is then compared, see ``parity``

and a function

    train(model, images, labels, rng, rule, progress, validation=None) -> layers, health

    model       model.Sequential that ``runs_as_one``
    images      float32 array (n, C, H, W), 0 to 1: the training images as FILTER makes them and ENCODER shows them
    labels      int array (n,): unit of the last layer that should answer, 0 to units - 1
    rng         numpy.random.Generator, the only source of chance
    rule        the settings record
    progress    wraps the iterable of a long loop
    validation  (images, labels) of the validation split, or None without any
    layers      list of build.TrainedLayer, one a stage of the model
    health      dict of str to numbers or lists of numbers, for the user to judge the training
"""

from dataclasses import dataclass
from importlib import import_module

from spikingconvnet.errors import SettingsError
from spikingconvnet.gates.libraries import need


@dataclass(frozen=True)
class Rule:
    """Where a rule is found.

    Attributes
    ----------
    name : str
    module, function : str
    whole : bool
        Whether it trains all layers at once.
    encodes : bool
        Whether it makes spikes itself, or has to know what those of the input stand for: its function is also given
        ``encoder``, that of the parameters.
    filters : bool
        Whether it has to know what the channels are: its function is also given ``image_filter``, FILTER.
    simulates : bool
        Whether it learns in a simulator or on a board: its function is also given ``encoder``, that of the parameters,
        and ``open_network``, the backend's ``open``.
    needs : str or None
        A library, and the package's extra of that name that installs it.
    """

    name: str
    module: str
    function: str = "train"
    whole: bool = False
    encodes: bool = False
    filters: bool = False
    simulates: bool = False
    needs: str = None

    def load(self):
        """The function that trains; a missing library is a BackendError that names the command that installs it."""
        if self.needs:
            need(self.needs, f"--rule {self.name}")
        return getattr(import_module(self.module), self.function)

    def given(self, encoder, image_filter, open_network):
        """What its function is given beside what every rule is: dict."""
        found = {"encoder": encoder} if self.encodes or self.simulates else {}
        found |= {"image_filter": image_filter} if self.filters else {}
        return found | ({"open_network": open_network} if self.simulates else {})


RULES = {rule.name: rule for rule in (
    Rule("stdp", "spikingconvnet.training.layerwise.stdp"),
    Rule("random", "spikingconvnet.training.layerwise.floors", "random"),
    Rule("kmeans", "spikingconvnet.training.layerwise.floors", "kmeans"),
    Rule("ridge", "spikingconvnet.training.chain.ridge", whole=True, encodes=True),
    Rule("convert", "spikingconvnet.training.chain.convert", whole=True, encodes=True, filters=True),
    Rule("softlif", "spikingconvnet.training.chain.softlif", whole=True, encodes=True),
    Rule("surrogate", "spikingconvnet.training.chain.surrogate", whole=True, encodes=True, filters=True),
    Rule("bpstdp", "spikingconvnet.training.chain.bpstdp", whole=True, encodes=True),
    Rule("rstdp", "spikingconvnet.training.chain.rstdp", whole=True, simulates=True))}


def require_trains(rule, model, settings, whole):
    """Raise a SettingsError unless a rule can train a model.

    Parameters
    ----------
    rule : str
    model : model.Sequential
    settings : record or None
        RULE of the parameters.
    whole : bool
        Whether it is asked to train all layers at once.
    """
    kind = "all layers at once" if RULES[rule].whole else "one layer after another"
    if RULES[rule].whole != model.runs_as_one:
        readout = "SpikeCount() or Membrane()" if RULES[rule].whole else "Classifier()"
        raise SettingsError(f"--rule {rule}: trains {kind}, for a MODEL that ends with {readout}; this one ends"
                            f" with {model.readout}")
    if RULES[rule].whole and getattr(settings, "name", None) != rule:
        raise SettingsError(f"--rule {rule}: needs its settings as RULE in the parameters, which hold"
                            f" {'none' if settings is None else settings}")
    if RULES[rule].whole != whole:
        raise SettingsError(f"--rule {rule}: trains {kind}")
