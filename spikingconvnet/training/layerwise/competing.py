"""Competing hidden units: a local rule without labels, in floats on the host.

Source: Krotov and Hopfield 2019, PNAS 116 (doi 10.1073/pnas.1820458116, arXiv 1806.10181). A window v, each input of
which is worth how early it fires, drives unit m with weights W by

    <W, v> = sum over i of sign(W_mi) |W_mi|^(p - 1) v_i

and with radius 1 its weights change by (equation 3)

    dW_mi = g_m (v_i - <W, v> W_mi)

where g ranks the units by their drive (equation 10): 1 for the strongest, -delta for the k-th, 0 for all others.
Weights of a unit that wins converge to sum |W_mi|^p = 1. As in the authors' program (DimaKrotov/Biological_Learning on
GitHub) weights start from N(0, 1), the changes of a batch add up and are scaled so that the largest is eps, and eps
falls linearly to nothing.
"""

import math
from dataclasses import dataclass

import numpy as np

from spikingconvnet.errors import require
from spikingconvnet.gates.fields import FACTOR, MOST_SLOT, PART, SIZE, check_fields, least, most, part, real, whole
from spikingconvnet.gates.sizes import Asked, require_fits
from spikingconvnet.model.learning import Arrays, Keep, LayerRule, OpenNetwork, Progress, tell
from spikingconvnet.model.sequential import Stage
from spikingconvnet.model.trained import Trained
from spikingconvnet.network.arrays import Floats
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.training.layerwise.calibration import FiringShare
from spikingconvnet.training.layerwise.course import kernel_diagnostics
from spikingconvnet.training.layerwise.windows import RandomWindows, earliness


@dataclass(frozen=True)
class CompetingUnits(LayerRule):
    """Settings of the rule.

    Attributes
    ----------
    windows : int
        Windows to learn from, drawn once.
    epochs : int
        How often all of them are shown, in an order of its own each time.
    batch : int
        Windows a step.
    eps : float
        Largest change of a weight in a step of the first epoch; weights end with a norm of 1.
    k : int
        Rank of the unit that is depressed; the strongest has 1.
    delta : float
        Strength of the depression, as a share of the potentiation.
    p : float
        Of the norm.
    pattern_steps : int
        Steps of a sample that windows show; what fires later is worth nothing.
    min_spikes : int
        Windows with fewer spiking inputs are not shown.
    sampling : record as RandomWindows
        What draws the windows.
    calibration : record as FiringShare
        What makes kernels and thresholds for inference of the weights.

    A field that is not of its kind, and a `k` of more units than a layer has, is a SettingsError.
    """

    windows: int = 4000
    epochs: int = 300
    batch: int = 100
    eps: float = 0.02
    k: int = 2
    delta: float = 0.4
    p: float = 2.0
    pattern_steps: int = 15
    min_spikes: int = 10
    sampling: RandomWindows = RandomWindows()
    calibration: FiringShare = FiringShare()

    name = "competing"

    def __post_init__(self) -> None:
        check_fields(self, windows=SIZE, epochs=whole(1, 1_000_000), batch=SIZE, eps=FACTOR, k=whole(2), delta=PART,
                     p=real(least(2), most(100)), pattern_steps=whole(1, MOST_SLOT), min_spikes=SIZE,
                     sampling=part("RandomWindows", "__call__"), calibration=part("FiringShare", "__call__", "kernels"))

    def train(self, stage: Stage, spikes: Spikes, rng: np.random.Generator, open_network: OpenNetwork,
              progress: Progress = iter, so_far: Arrays | None = None, keep: Keep | None = None) -> Trained:
        """See ``LayerRule``. Diagnostics have ``norm`` as well, the mean norm of units: 1 if they have converged."""
        self._require_units(stage)
        inputs = earliness(self.sampling(self, stage, spikes, rng), self.pattern_steps)
        initial = rng.normal(size=(stage.layer.filters, inputs.shape[1]))
        learned = learn(self, inputs, initial, rng, progress)
        told = {"norm": norm(self, learned)}
        initial, learned = (part.reshape(stage.layer.kernel_shape(stage.in_shape)) for part in (initial, learned))
        return Trained(initial, learned, self.calibration(stage, learned, spikes, open_network),
                       {**kernel_diagnostics(learned), **told})

    def memory(self, stage: Stage) -> list[Asked]:
        """See ``LayerRule``."""
        self._require_units(stage)
        seen = math.prod(stage.layer.kernel_shape(stage.in_shape)[1:])
        require_fits(f"layer {stage.number}: CompetingUnits", "windows", self.windows, 120 * self.windows * seen)
        return [50 * seen + 40 * min(self.batch, self.windows)]

    def _require_units(self, stage: Stage) -> None:
        require(self.k <= stage.layer.filters, "CompetingUnits", "k", self.k,
                f"at most the {stage.layer.filters} {stage.unit} of layer {stage.number}")


def learn(rule: CompetingUnits, inputs: Floats, weights: Floats, rng: np.random.Generator,
          progress: Progress = iter) -> Floats:
    """Show all windows `rule.epochs` times: weights like `weights`.

    Parameters
    ----------
    rule : CompetingUnits
    inputs : float array (windows, inputs)
    weights : float array (units, inputs)
    rng : numpy.random.Generator
    progress : callable
    """
    batches = math.ceil(len(inputs) / rule.batch)
    epochs = progress(range(rule.epochs))
    for epoch in epochs:
        eps = rule.eps * (1.0 - epoch / rule.epochs)
        for shown in np.array_split(rng.permutation(len(inputs)), batches):
            weights = weights + eps * change(rule, inputs[shown], weights)
        tell(epochs, norm=norm(rule, weights))
    return weights


def norm(rule: CompetingUnits, weights: Floats) -> float:
    """Mean norm of the units, 1 if they have converged; parameters as of :func:`learn`."""
    return float((abs(weights) ** rule.p).sum(axis=1).mean() ** (1.0 / rule.p))


def change(rule: CompetingUnits, inputs: Floats, weights: Floats) -> Floats:
    """What a batch changes, its largest change 1: float array (units, inputs). Parameters as of :func:`learn`."""
    drive = inputs @ (np.sign(weights) * abs(weights) ** (rule.p - 1.0)).T
    ranked, batch = np.argsort(drive, axis=1, kind="stable"), np.arange(len(inputs))
    g = np.zeros_like(drive)
    g[batch, ranked[:, -1]] = 1.0
    g[batch, ranked[:, -rule.k]] = -rule.delta
    found = g.T @ inputs - (g * drive).sum(axis=0)[:, None] * weights
    return found / max(abs(found).max(), 1e-30)
