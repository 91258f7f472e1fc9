"""Thresholds by which all filters win equally often."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from spikingconvnet.gates.fields import FACTOR, above, check_fields, most, real
from spikingconvnet.model.learning import OpenNetwork
from spikingconvnet.network.arrays import AnyInts, Floats
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.training.layerwise.competition import FILTERS, drive_network

if TYPE_CHECKING:           # of which this is a part
    from spikingconvnet.training.layerwise.stdp import STDP

DRIVE_WINDOWS = 400         # windows from which the start thresholds are taken
RATE = real(above(0), most(10))


@dataclass(frozen=True)
class Homeostasis:
    """Thresholds begin where each filter would fire in its fair share of the windows, and follow its wins.

    A part of ``STDP``: another one is a frozen dataclass with the same methods. Values that cannot be used are a
    SettingsError.

    Attributes
    ----------
    first, last : float
        Largest change of the logarithm of a threshold's height above rest, after the first and the last chunk; between
        them it goes down by the same factor with every chunk.
    wins : float
        A window that are aimed at, over all filters.
    """

    first: float = 0.3
    last: float = 0.05
    wins: float = 0.9

    def __post_init__(self) -> None:
        check_fields(self, first=RATE, last=RATE, wins=FACTOR)

    def start(self, rule: "STDP", windows: Spikes, weights: Floats, open_network: OpenNetwork) -> Floats:
        """Thresholds to begin with: float array (filters,), mV. See :func:`start_thresholds`."""
        return start_thresholds(rule, windows, weights, open_network)

    def after(self, rule: "STDP", thresholds: Floats, fired: Spikes) -> Floats:
        """Thresholds for the next chunk, made of those so far and of who fired: float array (filters,), mV.

        Parameters
        ----------
        rule : stdp.STDP
        thresholds : float array (finished chunks, filters), mV
            In force during each chunk so far.
        fired : Spikes
            Of the filters during the last chunk, a sample for each window.
        """
        filters = thresholds.shape[1]
        wins, target = np.bincount(fired.neurons, minlength=filters), self.wins * fired.n_samples / filters
        return homeostasis(thresholds[-1], wins, target, self.rate(rule, len(thresholds)), rule.neuron.v_rest)

    def rate(self, rule: "STDP", chunks: int) -> float:
        """Largest change of the logarithm after so many chunks."""
        return np.geomspace(self.first, self.last, rule.chunks)[chunks - 1]


def homeostasis(v_thresh: Floats, wins: AnyInts, target: float, rate: float, v_rest: float = 0.0) -> Floats:
    """Thresholds after a chunk: those of frequent winners rise, those of rare ones fall.

        v_rest + (v_thresh - v_rest) exp(rate tanh(log((wins + 0.3 target) / (1.3 target))))

    Parameters
    ----------
    v_thresh : float array (filters,), mV
    wins : int array (filters,)
    target : float
        Wins per chunk that leave a threshold where it is.
    rate : float
        Largest change of the logarithm of its height above rest.
    v_rest : float, mV

    >>> homeostasis(np.array([10.0, 10.0]), np.array([4, 4]), 4.0, 0.2).tolist()
    [10.0, 10.0]
    """
    ratio = (wins + 0.3 * target) / (1.3 * target)
    return v_rest + (v_thresh - v_rest) * np.exp(rate * np.tanh(np.log(ratio)))


def start_thresholds(rule: "STDP", windows: Spikes, weights: Floats, open_network: OpenNetwork) -> Floats:
    """Thresholds with which each filter would fire in its fair share of the windows, mV.

    Taken from the peaks of the membranes over a part of the windows, without learning and without volley.
    """
    part = windows.samples(0, min(DRIVE_WINDOWS, windows.n_samples))
    with open_network(drive_network(rule, part, weights), record=(FILTERS,)) as simulation:
        simulation.run(part.n_samples * rule.slot)
        v = simulation.recording().membrane(FILTERS).reshape(part.n_samples, rule.slot, -1)
    peaks = v[:, :rule.pattern_steps + 2].max(axis=1)
    share = min(rule.initial_winners / weights.shape[1], 0.5)
    return np.maximum(np.quantile(peaks, 1.0 - share, axis=0), rule.neuron.v_rest + 1e-3)
