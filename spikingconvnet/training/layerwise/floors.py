"""Kernels to compare STDP with: what the network reaches without learning, by clustering, by principal components.

Both go the same way as learned kernels afterwards: centred, scaled, calibrated.
"""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from spikingconvnet.errors import SettingsError
from spikingconvnet.gates.fields import check_fields, record
from spikingconvnet.model.learning import Arrays, Keep, LayerRule, OpenNetwork, Progress
from spikingconvnet.model.sequential import Stage
from spikingconvnet.model.trained import Trained
from spikingconvnet.network.arrays import Floats
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.training.layerwise.course import weight_diagnostics
from spikingconvnet.training.layerwise.stdp import STDP, random_kernels
from spikingconvnet.training.layerwise.windows import earliness

KMEANS_ITERATIONS = 20


@dataclass(frozen=True)
class Floor(LayerRule):
    """Kernels that are found without learning.

    Attributes
    ----------
    like : STDP
        The rule to compare with: its windows, bounds of weights and calibration. Another rule is a SettingsError.
    """

    like: STDP = STDP()

    def __post_init__(self) -> None:
        check_fields(self, like=record(STDP))

    def train(self, stage: Stage, spikes: Spikes, rng: np.random.Generator, open_network: OpenNetwork,
              progress: Progress = iter, so_far: Arrays | None = None, keep: Keep | None = None) -> Trained:
        """See ``LayerRule``."""
        windows = self.like.sampling(self.like, stage, spikes, rng)
        kernels, bounds = self.kernels(stage, windows, rng), self.like.mechanism.weight_dependence
        return Trained(kernels, kernels, self.like.calibration(stage, kernels, spikes, open_network),
                       weight_diagnostics(bounds, kernels))

    @abstractmethod
    def kernels(self, stage: Stage, windows: Spikes, rng: np.random.Generator) -> Floats:
        """Kernels, float array (filters, channels, rows, columns), from the windows that STDP would see."""


@dataclass(frozen=True)
class Random(Floor):
    """Random kernels, the ones STDP starts from."""

    name = "random"

    def kernels(self, stage: Stage, windows: Spikes, rng: np.random.Generator) -> Floats:
        """See ``Floor``."""
        return random_kernels(self.like, stage, rng)


@dataclass(frozen=True)
class KMeans(Floor):
    """Centres of the windows that STDP would see, each input valued by how early it fires.

    Lloyd's algorithm of ``scipy.cluster.vq.kmeans2`` with k-means++ starts.
    """

    name = "kmeans"

    def kernels(self, stage: Stage, windows: Spikes, rng: np.random.Generator) -> Floats:
        """See ``Floor``."""
        from scipy.cluster.vq import kmeans2  # takes longer to load than all the rest

        early = earliness(windows, self.like.pattern_steps)
        centres, _ = kmeans2(early, stage.layer.filters, iter=KMEANS_ITERATIONS, minit="++", seed=rng)
        bounds = self.like.mechanism.weight_dependence
        learned = bounds.w_min + (bounds.w_max - bounds.w_min) * centres
        return learned.reshape(stage.layer.kernel_shape(stage.in_shape))


@dataclass(frozen=True)
class PCA(Floor):
    """Principal components of the windows that STDP would see, each input valued by how early it fires.

    The components of most variance, each with both signs, as a neuron fires for one of them only; the largest part of
    each is as far from the middle of the weights as these go, and positive first. A layer with more than twice as many
    filters as inputs of a kernel is a SettingsError.
    """

    name = "pca"

    def kernels(self, stage: Stage, windows: Spikes, rng: np.random.Generator) -> Floats:
        """See ``Floor``; draws nothing."""
        early, filters = earliness(windows, self.like.pattern_steps), stage.layer.filters
        if filters > 2 * early.shape[1]:
            raise SettingsError(f"layer {stage.number}: {filters} filters, but a kernel of {early.shape[1]} inputs has"
                                f" no more than {2 * early.shape[1]} principal components, both signs counted;"
                                " take fewer filters")
        _, vectors = np.linalg.eigh(np.cov(early, rowvar=False))
        found = vectors[:, ::-1].T[:(filters + 1) // 2]
        largest = found[np.arange(len(found)), np.abs(found).argmax(axis=1)]
        signed = np.stack([found, -found], axis=1) / largest[:, None, None]
        bounds = self.like.mechanism.weight_dependence
        middle, reach = (bounds.w_max + bounds.w_min) / 2, (bounds.w_max - bounds.w_min) / 2
        learned = middle + reach * signed.reshape(-1, early.shape[1])[:filters]
        return learned.reshape(stage.layer.kernel_shape(stage.in_shape))
