"""The weight scale that sPyNNaker 7.4.1 chooses for a population: one power of two per receptor.

A synaptic weight is stored in 16 bits as ``weight * 2**(15 - shift)``. The shift follows from the largest input that
one step can bring. Source: sPyNNaker 7.4.1 ``population_vertex.py``, class ``_Stats`` and ``get_ring_buffer_shifts``.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from spikingconvnet.network.arrays import Floats, Ints
from spikingconvnet.network.board_connectors import BoardConvolution, BoardPoolDense
from spikingconvnet.network.connectivity import ConvConnections, DenseConnections
from spikingconvnet.network.netlist import Population, Projection

SPIKES_PER_SECOND = 30.0
RING_BUFFER_SIGMA = 5.0
_POISSON_SIGMA = 3.0


@dataclass(frozen=True)
class WeightStatistics:
    """What one projection brings to one receptor of one board population: all weights in nA, without sign."""

    fan_in: int
    mean: float
    variance: float
    largest: float
    delay_variance: float


# Of each (channel, receptor) of the postsynaptic population, see `projection_statistics`.
Statistics: TypeAlias = dict[tuple[int, int], list[WeightStatistics]]


class _RunningStatistics:
    """Mean and variance of groups of items, merged group by group."""

    def __init__(self) -> None:
        self.n, self.mean, self._m2 = 0, 0.0, 0.0

    def add(self, mean: float, variance: float, n: int) -> None:
        """Merge a group of `n` items."""
        if n > 0:
            total = self.n + n
            delta = mean - self.mean
            self._m2 += variance * (n - 1.0) + delta * delta * self.n * n / total
            self.mean = (self.n * self.mean + n * mean) / total
            self.n = total

    @property
    def variance(self) -> float:
        """That of all items so far, with n - 1; 0 for a single one."""
        return self._m2 / (self.n - 1) if self.n > 1 else 0.0


def ring_buffer_shift(statistics: Sequence[WeightStatistics], max_expected_summed_weight: float | None = None,
                      timestep: float = 1.0) -> int:
    """Left shift of a receptor's ring buffer.

    Parameters
    ----------
    statistics : list of WeightStatistics
        All projections to this receptor.
    max_expected_summed_weight : float or None
        nA; replaces the estimate.
    timestep : float
        ms.

    Returns
    -------
    int
        ``raw weight = weight * 2**(15 - shift)``.
    """
    if max_expected_summed_weight is None:
        bound = _largest_input(statistics, 1000.0 / timestep)
    else:
        bound = max_expected_summed_weight
    shift = 0 if bound <= 0 else math.ceil(max(0.0, math.log2(bound)))
    return shift + 1 if 2 ** shift <= bound else shift


def _largest_input(statistics: Sequence[WeightStatistics], steps_per_second: float) -> float:
    total = largest = 0.0
    weights, delays, rates = _RunningStatistics(), _RunningStatistics(), _RunningStatistics()
    for s in statistics:
        weights.add(s.mean, s.variance, s.fan_in)
        delays.add(0.0, s.delay_variance, s.fan_in)
        rates.add(SPIKES_PER_SECOND, 0.0, s.fan_in)
        total += max(1.0, SPIKES_PER_SECOND / steps_per_second) * s.largest * s.fan_in
        largest = max(largest, s.largest)
    if delays.variance == 0.0:
        return max(total, largest)
    return max(min(_poisson_bound(weights, rates.mean, steps_per_second), total), largest)


def _poisson_bound(weights: _RunningStatistics, rate: float, steps_per_second: float) -> float:
    """Mean input of a step plus `RING_BUFFER_SIGMA` standard deviations for Poisson spikes."""
    from scipy.special import gammaincc, gammaln  # a tenth of the time that any command takes to start

    spikes = weights.n * rate / steps_per_second
    upper = round(spikes + _POISSON_SIGMA * math.sqrt(spikes))
    weight_variance = 0.0
    deviation = math.sqrt(weights.variance)
    if deviation > 0:
        ratio = math.log(spikes) * upper - gammaln(1 + upper)
        if -701.0 < ratio < 701.0 and ratio != 0.0:
            weight_variance = math.exp(
                -spikes + math.log(spikes) + 2.0 * math.log(deviation)
                + math.log(math.exp(spikes) * gammaincc(1 + upper, spikes) - math.exp(ratio)))
    return spikes * weights.mean + RING_BUFFER_SIGMA * math.sqrt(spikes * weights.mean ** 2 + weight_variance)


def projection_statistics(projection: Projection, population: Population, timestep: float = 1.0) -> Statistics:
    """Statistics of a projection for every board population and receptor that it reaches.

    Parameters
    ----------
    projection : Projection
    population : Population
        The postsynaptic one.
    timestep : float
        ms; sPyNNaker takes the variance of delays in ms, which of equal delays is not always exactly 0.

    Returns
    -------
    dict of (channel, receptor) to list of WeightStatistics
        `receptor` 0 is excitatory, 1 inhibitory; `channel` is 0 for a population that is one piece. Rewards and
        punishments have no ring buffer.
    """
    if projection.modulates:
        return {}
    if isinstance(projection.connections, ConvConnections) and population.per_channel:
        return _convolution_statistics(projection.connections)
    if isinstance(projection.connections, (BoardConvolution, BoardPoolDense)):
        local = projection.connections
        return {(0, receptor): [one] for receptor, one in enumerate(_signed_statistics(local.weights, local.fan_in))}
    generated = projection.connections.rounding == "machine"            # from one delay, not from a list
    found: Statistics = {}
    for key, weight, fan_in, delay in _parts(projection, population):
        delay_variance = 0.0 if generated else float(np.var(delay * timestep))
        if projection.rule:
            top = max(float(weight.max()), projection.rule.weight_dependence.w_max)
            found[key] = [WeightStatistics(fan_in, top, 0.0, top, delay_variance)]
        else:
            found[key] = [WeightStatistics(fan_in, float(weight.mean()), float(weight.var()), float(weight.max()),
                                           delay_variance)]
    return found


def _parts(projection: Projection, population: Population) -> Iterator[tuple[tuple[int, int], Floats, int, Ints]]:
    """Of every (channel, receptor) reached, in the order of a list: weights without sign, largest fan-in, delays."""
    connections, fixed = projection.connections, int(projection.receptor == "inhibitory")
    if isinstance(connections, DenseConnections):
        n_pre, n_post = connections.weight.shape
        pieces = population.shape[0] if population.per_channel else 1
        for piece, weight in enumerate(np.split(connections.weight, pieces, axis=1) if n_pre * n_post else ()):
            yield (piece, fixed), weight.ravel(), n_pre, np.full(weight.size, connections.delay)
        return
    listed = connections.to_list()
    part = (2 * population.channel_of).astype(np.int32)[listed.post]
    part += (listed.weight < 0) if listed.signed else fixed
    for both in np.flatnonzero(np.bincount(part)).tolist():
        chosen = part == both
        weight = listed.weight[chosen]
        yield ((both // 2, both % 2), np.abs(weight, out=weight), int(np.bincount(listed.post[chosen]).max()),
               listed.delay[chosen])


def _convolution_statistics(connections: ConvConnections) -> Statistics:
    """As the ConvolutionConnector states them: one connector per pair (map, channel), the kernel's size as fan-in.

    A pooling connector has divided its weights by the pool's area before it is asked.
    """
    n_pre = connections.pre_shape[1] * connections.pre_shape[2]
    area = connections.pool[0] * connections.pool[1]
    found: Statistics = {}
    for index, kernels in enumerate(connections.kernels / area):
        for kernel in kernels:
            if kernel.any():
                for receptor, one in enumerate(_signed_statistics(kernel, min(kernel.size, n_pre))):
                    found.setdefault((index, receptor), []).append(one)
    return found


def _signed_statistics(weights: Floats, fan_in: int) -> list[WeightStatistics]:
    """Statistics of the positive and of the negative weights of a local-only connector: two WeightStatistics."""
    parts = weights[weights > 0], -weights[weights < 0]
    return [WeightStatistics(fan_in, float(part.mean()), float(part.var()), float(part.max()), 0.0) if len(part)
            else WeightStatistics(fan_in, 0.0, 0.0, 0.0, 0.0) for part in parts]
