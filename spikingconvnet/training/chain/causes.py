"""Why the units of a layer answer otherwise than those that they were made of: found by undoing it."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np

from spikingconvnet.model.branches import Branch
from spikingconvnet.model.sequential import Stage
from spikingconvnet.network.arrays import Flags, Floats, Numbers
from spikingconvnet.training.chain.units import Units, responses

UNITS = 1e-3            # largest difference of a unit's answers, as a share of its layer's largest answer
TOLD_BY = 30            # images by which a cause is told, beside the one that differs most
BATCH = 25              # images that go through a layer at a time
ENOUGH = 3              # answers of a unit from which a scale and an offset can be told


class Answering:
    """A layer's units beside those of the network, both shown the same.

    Parameters
    ----------
    stage : model.Stage
    units : Units
    values : dict of int to float array (n, C, H, W)
        What the network's own layers, and the input, say that its branches see, by number.
    theirs : float array (n, *stage.out_shape)
    last : bool
        Whether it is not rectified.
    """

    def __init__(self, stage: Stage, units: Units, values: Mapping[int, Numbers], theirs: Numbers, last: bool) -> None:
        self.stage, self.units, self.values, self.theirs, self.last = stage, units, values, theirs, last
        self.scale = float(abs(theirs).max(initial=0.0)) or 1.0
        self.kernel, self.fed = units.kernels, values[stage.source]
        self.bias = np.broadcast_to(units.at_places(), stage.out_shape)

    def on(self, image: int) -> "Answering":
        """The same on one image and the first ones."""
        chosen = [image, *range(min(TOLD_BY, len(self.fed)))]
        values = {number: one[chosen] for number, one in self.values.items()}
        return Answering(self.stage, self.units, values, self.theirs[chosen], self.last)

    def answers(self, kernel: Numbers | None = None, fed: Numbers | None = None) -> Numbers:
        """What units answer, with other weights or inputs of the main branch if they are given."""
        return self._rectified(self._drive(kernel, fed) + self._others + self.bias)

    def _drive(self, kernel: Numbers | None = None, fed: Numbers | None = None) -> Numbers:
        return _in_batches(self.stage.main, self.kernel if kernel is None else kernel, self.fed if fed is None else fed)

    @cached_property
    def _others(self) -> Numbers:
        """What comes by the shortcuts."""
        return sum((_in_batches(branch, kernels, self.values[branch.source])
                    for branch, kernels in zip(self.stage.shortcuts, self.units.shortcuts)), np.zeros(()))

    def _rectified(self, drive: Numbers) -> Numbers:
        return drive if self.last else self.units.rectified(drive)

    def _is(self, answers: Numbers) -> bool:
        return bool(abs(answers - self.theirs).max() <= UNITS * self.scale)

    def cause(self) -> str:
        """What would explain the difference, in words; it is said only of what removes it."""
        for text, kernel in self._other_kernels():
            if self._is(self.answers(kernel)):
                return text
        for text, fed in self._other_inputs():
            if self._is(self.answers(fed=fed)):
                return text
        others = (self._input_scale, self._biases, self._factor, self._scales, self._order)
        return next((told for find in others if (told := find())), "not told")

    def _other_kernels(self) -> Iterator[tuple[str, Numbers]]:
        units, channels, rows, columns = self.kernel.shape
        yield "kernels whose rows and columns are swapped", (
            self.kernel.swapaxes(2, 3) if rows == columns else self.kernel)
        yield "kernels that are turned by half a turn (torch correlates)", self.kernel[:, :, ::-1, ::-1]
        yield "channels of the input in reverse order", self.kernel[:, ::-1]
        if self.stage.dense:
            yield ("maps flattened in the order rows, columns, channels",
                   self.kernel.reshape(units, rows, columns, channels).transpose(0, 3, 1, 2))

    def _other_inputs(self) -> Iterator[tuple[str, Numbers]]:
        if self.stage.number == 1 and self.fed.shape[2] == self.fed.shape[3]:
            yield "images whose rows and columns are swapped", self.fed.swapaxes(2, 3)
        if self.stage.main.area > 1:
            yield "a pool that takes the largest value, not the mean", self._largest(self.stage.main)

    def _largest(self, branch: Branch) -> Numbers:
        """The input with every pool's largest value in all of its places."""
        (rows, columns), (channels, height, width) = branch.pool, branch.in_shape
        shown = self.fed[:, :, :height * rows, :width * columns]
        parts = shown.reshape(-1, channels, height, rows, width, columns).max(axis=(3, 5))
        return np.kron(parts, np.ones((rows, columns)))

    def _input_scale(self) -> str | None:
        """Whether the network was shown the images on another scale, each channel on one of its own."""
        channels = self.kernel.shape[1]
        if self.stage.number > 1 or len(self.kernel) <= channels:
            return None
        parts = [np.where(np.arange(channels)[:, None, None] == channel, self.kernel, 0.0)
                 for channel in range(channels)]
        columns = [self._drive(part) for part in parts]
        columns += [np.broadcast_to(part.sum(axis=(1, 2, 3))[:, None, None], columns[0].shape) for part in parts]
        told = self.theirs - self.bias - self._others
        found = _fit(columns, told, self._seen())
        if not self._is(self._rectified(np.tensordot(found, columns, 1) + self.bias + self._others)):
            return None
        scale, shift = found[:channels], found[channels:]
        if (abs(shift) <= 1e-2 * abs(scale)).all():
            return f"the network was shown images of 0 to {_listed(scale)}, not 0 to 1"
        return (f"the network was shown (image - mean) / std with mean={_listed(-shift / scale)},"
                f" std={_listed(1 / scale)}, which relu.weights_of was not told")

    def _seen(self) -> Flags:
        """Where answers can be compared as they are: all of the last layer, those above 0 of the others."""
        return np.ones(self.theirs.shape, bool) if self.last else self.theirs > UNITS * self.scale

    def _biases(self) -> str | None:
        """Whether only the biases are others."""
        if self.units.bias.ndim == 3:
            return None
        drive, seen = self._drive() + self._others, self._seen()
        told = np.any(seen, axis=(0, 2, 3))
        offsets = np.array([np.median((self.theirs - drive)[:, unit][seen[:, unit]]) if told[unit] else bias
                            for unit, bias in enumerate(self.units.bias)])
        if not self._fits(drive + offsets[:, None, None], told):
            return None
        unit = int(np.argmax(abs(offsets - self.units.bias)))
        return f"biases: unit {unit} has {self.units.bias[unit]:.4g}, the network's {offsets[unit]:.4g}"

    def _factor(self) -> str | None:
        """Whether all weights count a number of times more or less."""
        drive, seen, offsets = self._drive(), self._seen(), self.bias + self._others
        factor, = _fit([drive], self.theirs - offsets, seen)
        if not self._fits(factor * drive + offsets, np.any(seen, axis=(0, 2, 3))):
            return None
        if self.stage.main.area > 1 and np.isclose(factor, self.stage.main.area, rtol=1e-2):
            return f"a pool that sums: the network's weights count {factor:.4g} times, the pool's area"
        return f"all weights of the layer count {factor:.4g} times in the network"

    def _scales(self) -> str | None:
        """Whether every unit has another scale and offset, its own."""
        drive, seen = self._drive() + self._others, self._seen()
        told = seen.sum(axis=(0, 2, 3)) >= ENOUGH
        found = drive.copy()
        for unit in np.flatnonzero(told):
            columns = [drive[:, unit], np.ones_like(drive[:, unit])]
            found[:, unit] = np.tensordot(_fit(columns, self.theirs[:, unit], seen[:, unit]), columns, 1)
        fits = told.mean() >= 0.5 and self._fits(found, told)
        return "every unit has a scale and an offset of its own: BatchNorm of other statistics" if fits else None

    def _fits(self, responses: Numbers, told: Flags) -> bool:
        """Whether these responses are the network's, in the units of which that can be told."""
        return bool(told.any()) and self._is(np.where(told[:, None, None], self._rectified(responses), self.theirs))

    def _order(self) -> str | None:
        """Whether the units stand in another order."""
        ours = self.answers().swapaxes(0, 1).reshape(len(self.bias), -1)
        theirs = self.theirs.swapaxes(0, 1).reshape(len(self.bias), -1)
        order = [int(np.argmin(abs(ours - unit).max(axis=1))) for unit in theirs]
        return "units in another order" if self._is(self.answers()[:, order]) else None


def _in_batches(branch: Branch, kernels: Numbers, values: Numbers) -> Numbers:
    return np.concatenate([responses(branch, kernels, values[first:first + BATCH])
                           for first in range(0, len(values), BATCH)])


def _fit(columns: Sequence[Numbers], wanted: Numbers, where: Flags) -> Floats:
    """Factors of `columns` that add up to `wanted`, least squares over the places `where`: float array."""
    table = np.stack([column[where] for column in columns], axis=1)
    return np.linalg.lstsq(table, wanted[where], rcond=None)[0]


def _listed(values: Sequence[float] | Floats) -> str:
    """A number, or numbers in brackets."""
    texts = [f"{value:.4g}" for value in values]
    return texts[0] if len(texts) == 1 else f"({', '.join(texts)})"
