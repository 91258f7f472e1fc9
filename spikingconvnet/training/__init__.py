"""How layers and networks learn. A rule is a record with its file, see ``model.learning``; it is found by its type.

``layerwise`` has rules that train one layer after another, ``chain`` those that train all layers at once.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from spikingconvnet import room
from spikingconvnet.errors import SettingsError, require
from spikingconvnet.gates.fields import numbers
from spikingconvnet.model.learning import LayerRule as LayerRule
from spikingconvnet.model.learning import NetworkRule as NetworkRule
from spikingconvnet.model.sequential import Sequential, Stage
from spikingconvnet.model.trained import Trained as Trained
from spikingconvnet.model.trained import TrainedLayer as TrainedLayer
from spikingconvnet.training.layerwise.floors import PCA, Floor, KMeans, Random
from spikingconvnet.training.layerwise.local_errors import MOST_STEPS
from spikingconvnet.training.layerwise.local_errors import LocalErrors as LocalErrors
from spikingconvnet.training.layerwise.stdp import STDP as STDP

if TYPE_CHECKING:
    from spikingconvnet.model.learning import ReadoutRule as ReadoutRule
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
    from spikingconvnet.training.layerwise.windows import RandomWindows as RandomWindows
    from spikingconvnet.training.readout.error_driven import ErrorDriven as ErrorDriven
    from spikingconvnet.training.readout.reward_driven import RewardDriven as RewardDriven
else:
    __all__, __getattr__, __dir__ = room(__name__)

FLOORS: dict[str, type[Floor]] = {floor.name: floor for floor in (Random, KMeans, PCA)}
LAYERWISE = (STDP.name, LocalErrors.name, *FLOORS)


def layer_rule(stage: Stage, name: str | None = None) -> LayerRule:
    """The rule that trains a layer: its own, or in the place of an STDP local errors or a floor to compare it with.

    Parameters
    ----------
    stage : model.Stage
    name : str or None
        None is the layer's own.

    Returns
    -------
    LayerRule

    Raises
    ------
    SettingsError
        A name that is neither the rule's own nor of what can take the place of an STDP.
    """
    own = stage.layer.training or STDP()
    if name in (None, own.name):
        return own
    if isinstance(own, STDP) and name in FLOORS:
        return FLOORS[name](own)
    if isinstance(own, STDP) and name == LocalErrors.name:
        return LocalErrors(pattern_steps=min(own.pattern_steps, MOST_STEPS), calibration=own.calibration)
    *some, last = LocalErrors.name, *FLOORS
    others = f", or take {', '.join(some)} or {last} to compare with" * isinstance(own, STDP)
    raise SettingsError(f"--rule {name}: layer {stage.number} learns by {own.name} ({stage.kind}.training of the"
                        f" parameters); leave --rule out{others}")


def network_rule(settings: Any, name: str | None = None) -> NetworkRule:
    """The rule that trains all layers of a model at once: RULE of the parameters.

    Parameters
    ----------
    settings : Settings
    name : str or None
        That it has to have, if it is not None.

    Returns
    -------
    NetworkRule

    Raises
    ------
    SettingsError
        MODEL is trained layer by layer, or RULE is missing or another one.
    """
    rule: NetworkRule | None = settings.rule
    require_trains(settings.model, name or (rule.name if rule else "NAME"), whole=True)
    if not isinstance(rule, NetworkRule) or name not in (None, rule.name):
        raise SettingsError(f"--rule {name or 'NAME'}: needs its settings as RULE in the parameters, which hold"
                            f" {'none' if rule is None else rule}")
    return rule


def require_layers(rule: LayerRule | NetworkRule, stages: Sequence[Stage], found: Sequence[TrainedLayer],
                   diagnostics: object) -> None:
    """Refuse what a rule gave back that cannot be kept.

    Parameters
    ----------
    rule : LayerRule or NetworkRule
    stages : list of model.Stage
    found : list of TrainedLayer
        One a stage, of its shape and finite.
    diagnostics : dict
        As JSON writes it.

    Raises
    ------
    SettingsError
        It is something else; the text names the rule and the part.
    """
    owner, fits = f"rule {rule.name}", isinstance(found, (list, tuple)) and len(found) == len(stages)
    require(fits and all(isinstance(layer, TrainedLayer) for layer in found), owner, "layers", found,
            f"{len(stages)} TrainedLayer, one a layer")
    for stage, layer in zip(stages, found):
        layer.require_fits(stage, owner)
    try:
        told = isinstance(diagnostics, dict) and json.dumps(diagnostics)
    except TypeError:
        told = False
    require(told, owner, "diagnostics", diagnostics, "a dict of numbers by name, which are Python's own")


def require_trained(rule: LayerRule, stage: Stage, trained: Trained) -> Trained:
    """What a LayerRule gave back, if it is a Trained that can be kept.

    Parameters
    ----------
    rule : LayerRule
    stage : model.Stage
    trained : Trained

    Raises
    ------
    SettingsError
        It is something else; the text names the rule and the part.
    """
    owner, shape = f"rule {rule.name}", stage.layer.kernel_shape(stage.in_shape)
    require(isinstance(trained, Trained), owner, "train(...)", trained, "a Trained")
    for name in ("initial", "learned"):
        kernels = numbers(getattr(trained, name), owner, name)
        require(kernels.shape == shape and bool(np.isfinite(kernels).all()), owner, name, kernels.shape,
                f"finite, of shape {shape}")
    require_layers(rule, [stage], [trained.inference], trained.diagnostics)
    return trained


def require_trains(model: Sequential, name: str, whole: bool) -> None:
    """Raise a SettingsError unless a rule of a kind can train a model.

    Parameters
    ----------
    model : model.Sequential
    name : str
        Of the rule.
    whole : bool
        Whether it trains all layers at once.
    """
    if whole != model.runs_as_one:
        kind, readout = (("all layers at once", "SpikeCount() or Membrane()") if whole
                         else ("one layer after another", "Classifier()"))
        raise SettingsError(f"--rule {name}: trains {kind}, for a MODEL that ends with {readout}; this one ends with"
                            f" {model.readout}")
