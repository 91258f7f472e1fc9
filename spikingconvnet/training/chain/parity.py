"""Parity: a trained network's units beside what is made of them, with the place and cause of a difference.

Units are compared with those of the user's own network, rates of spiking neurons with the units that they stand for.
Every layer is compared as it answers to one and the same input, what the network's (or the neurons') own layer before
it says, so that a fault shows where it is and nowhere else.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikingconvnet.data.encoding import rate_of
from spikingconvnet.data.protocols import Encoder
from spikingconvnet.errors import SettingsError, require
from spikingconvnet.model.layers import AvgPool2D
from spikingconvnet.model.readouts import Membrane
from spikingconvnet.model.sequential import Sequential, Stage
from spikingconvnet.model.trained import TrainedLayer
from spikingconvnet.network.arrays import Flags, Floats, Floats32, Numbers
from spikingconvnet.network.geometry import pair
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.training.chain.balance import activations, current, responses

IMAGES = 200            # training images on which rates are compared
UNITS = 1e-3            # largest difference of a unit's answers, as a share of its layer's largest answer
INPUT = 0.05            # largest difference of the spikes of an input, as a share, beside one spike of every neuron
RATES = 0.2, 1.2        # spikes of a layer, as a share of what its units answer to the spikes before it
ALIKE = 0.7             # least correlation of a layer's rates with these answers
TOLD_BY = 30            # images by which a cause is told, beside the one that differs most
BATCH = 25              # images that go through a layer at a time
ENOUGH = 3              # answers of a unit from which a scale and an offset can be told


class ParityError(SettingsError):
    """What was converted does not answer as the network that it was made of.

    Attributes
    ----------
    report : Report
    """

    def __init__(self, text: str, report: "Report") -> None:
        super().__init__(text)
        self.report = report


@dataclass(frozen=True)
class Row:
    """Largest difference in a layer.

    Attributes
    ----------
    layer : int
        From 1; 0 is the input.
    kind : 'units' or 'rates'
    difference : float
        Of units, as a share of the layer's largest answer; of rates, spikes a step.
    image : int
    unit : (map, row, column)
    ours, theirs : float
        There.
    ratio : float
        All answers of the layer together, ours over theirs.
    """

    layer: int
    kind: str
    difference: float
    image: int
    unit: tuple[int, ...]
    ours: float
    theirs: float
    ratio: float

    @classmethod
    def of(cls, layer: int, kind: str, ours: Numbers, theirs: Numbers, scale: float = 1.0) -> "Row":
        """That of two arrays (n, maps, rows, columns)."""
        off = abs(ours - theirs)
        place = tuple(int(i) for i in np.unravel_index(np.argmax(off), off.shape))
        total = float(abs(theirs).sum())
        return cls(layer, kind, float(off.max()) / scale, place[0], place[1:], float(ours[place]),
                   float(theirs[place]), float(abs(ours).sum()) / total if total else float("nan"))

    def __str__(self) -> str:
        where = f"layer {self.layer}" if self.layer else "input"
        return (f"{where}, {self.kind}: largest difference {self.difference:.2g} (image {self.image}, unit"
                f" {'x'.join(map(str, self.unit))}: {self.ours:.4g} for {self.theirs:.4g})")


@dataclass(frozen=True)
class Report:
    """All rows.

    Attributes
    ----------
    images : int
    rows : tuple of Row
    agree : float or None
        Share of the images to which both networks answer with the same unit; None where that is not known.
    """

    images: int
    rows: tuple[Row, ...]
    agree: float | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"images": self.images, "agree": self.agree, "rows": [vars(row) for row in self.rows],
                "text": str(self)}

    def __str__(self) -> str:
        kinds = {row.kind for row in self.rows}
        largest = [max((row for row in self.rows if row.kind == kind), key=lambda row: row.difference)
                   for kind in ("units", "rates") if kind in kinds]
        agree = "" if self.agree is None else f"same answer to {100 * self.agree:.1f} %; "
        return f"parity on {self.images} images: {agree}" + "; ".join(map(str, largest))


@dataclass(frozen=True, eq=False)
class Reference:
    """What a network answers to some images.

    Attributes
    ----------
    images : float32 array (n, C, H, W)
        0 to 1.
    answers : list of float array (n, units, rows, columns)
        Of every layer, behind its ReLU; the last one's are not rectified.

    Raises
    ------
    SettingsError
        No images, of another shape or range, or answers to another number of them.
    """

    images: Floats32
    answers: list[Numbers]

    def __post_init__(self) -> None:
        inside = self.images.ndim == 4 and len(self.images) and 0 <= self.images.min() and self.images.max() <= 1
        require(inside, "Reference", "images", f"{self.images.shape}, {self.images.min(initial=0):g} to"
                f" {self.images.max(initial=0):g}", "(n, C, H, W) of 0 to 1, as the spiking network is shown them")
        require(all(len(one) == len(self.images) for one in self.answers), "Reference", "answers",
                [len(one) for one in self.answers], f"of {len(self.images)} images")

    def judge(self, model: Sequential, kernels: Sequence[Numbers], biases: Sequence[Numbers],
              images: Numbers | None = None) -> Report:
        """Compare with units of these weights: Report.

        Parameters
        ----------
        model : model.Sequential
        kernels, biases : lists of float array
            Of every stage.
        images : float array (n, C, H, W) or None
            What these units are shown, if it is not ``images``.

        Raises
        ------
        ParityError
            A layer differs by more than `UNITS` of its largest answer, or is silent.
        SettingsError
            A layer sees or answers maps of another shape than MODEL's.
        """
        rows, fed = [], np.asarray(self.images if images is None else images, np.float64)
        for stage, kernel, bias, theirs in zip(model.stages, kernels, biases, self.answers, strict=True):
            _check_shape(stage, fed, theirs)
            last = stage.number == len(model.stages)
            layer = _Layer(stage, kernel, bias, fed, np.asarray(theirs, np.float64), last)
            rows.append(Row.of(stage.number, "units", layer.answers(), layer.theirs, layer.scale))
            fed = layer.theirs
            report = Report(len(fed), tuple(rows), None)
            if not last and not layer.theirs.any():
                raise ParityError(f"layer {stage.number}: is silent: no unit of the network answers to any of the"
                                  f" {len(fed)} images", report)
            if not rows[-1].difference <= UNITS:
                raise ParityError(f"{rows[-1]}, more than {UNITS:g} of the layer's largest answer; likely cause:"
                                  f" {layer.on(rows[-1].image).cause()}", report)
        return Report(len(fed), tuple(rows), self._agree(model, kernels, biases, images))

    def _agree(self, model: Sequential, kernels: Sequence[Numbers], biases: Sequence[Numbers],
               images: Numbers | None) -> float:
        found = activations(model, kernels, self.images if images is None else images, biases)[-1]
        return float(np.mean(found[..., 0, 0].argmax(axis=1) == self.answers[-1][..., 0, 0].argmax(axis=1)))


def _check_shape(stage: Stage, fed: Numbers, theirs: Numbers) -> None:
    for name, found, wanted in (("sees", fed, stage.source_shape), ("answers", theirs, stage.out_shape)):
        if found.shape[1:] != wanted:
            raise SettingsError(f"layer {stage.number}: the network {name} {found.shape[1:]}, MODEL {wanted}")


class _Layer:
    """A layer's units beside those of the network, both shown the same.

    Parameters
    ----------
    stage : model.Stage
    kernel, bias : float array
    fed : float array (n, *stage.source_shape)
    theirs : float array (n, *stage.out_shape)
    last : bool
        Whether it is not rectified.
    """

    def __init__(self, stage: Stage, kernel: Numbers, bias: Numbers, fed: Numbers, theirs: Numbers, last: bool) -> None:
        self.stage, self.kernel, self.bias, self.fed, self.theirs, self.last = stage, kernel, bias, fed, theirs, last
        self.scale = float(abs(theirs).max(initial=0.0)) or 1.0

    def on(self, image: int) -> "_Layer":
        """The same on one image and the first ones."""
        chosen = [image, *range(min(TOLD_BY, len(self.fed)))]
        return _Layer(self.stage, self.kernel, self.bias, self.fed[chosen], self.theirs[chosen], self.last)

    def answers(self, kernel: Numbers | None = None, bias: Numbers | None = None,
                fed: Numbers | None = None) -> Numbers:
        """What units answer, with other weights or inputs if they are given."""
        return self._rectified(self._drive(kernel, fed) + (self.bias if bias is None else bias)[:, None, None])

    def _drive(self, kernel: Numbers | None = None, fed: Numbers | None = None) -> Numbers:
        kernel, fed = self.kernel if kernel is None else kernel, self.fed if fed is None else fed
        return np.concatenate([responses(self.stage, kernel, fed[first:first + BATCH])
                               for first in range(0, len(fed), BATCH)])

    def _rectified(self, drive: Numbers) -> Numbers:
        return drive if self.last else np.maximum(drive, 0.0)

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
        if self.stage.pool is not None:
            yield "a pool that takes the largest value, not the mean", self._largest(self.stage.pool)

    def _largest(self, pool: AvgPool2D) -> Numbers:
        """The input with every pool's largest value in all of its places."""
        (rows, columns), (channels, height, width) = pair(pool.pool_size), self.stage.in_shape
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
        found = _fit(columns, self.theirs - self.bias[:, None, None], self._seen())
        if not self._is(self._rectified(np.tensordot(found, columns, 1) + self.bias[:, None, None])):
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
        drive, seen = self._drive(), self._seen()
        told = np.any(seen, axis=(0, 2, 3))
        offsets = np.array([np.median((self.theirs - drive)[:, unit][seen[:, unit]]) if told[unit] else bias
                            for unit, bias in enumerate(self.bias)])
        if not self._fits(drive + offsets[:, None, None], told):
            return None
        unit = int(np.argmax(abs(offsets - self.bias)))
        return f"biases: unit {unit} has {self.bias[unit]:.4g}, the network's {offsets[unit]:.4g}"

    def _factor(self) -> str | None:
        """Whether all weights count a number of times more or less."""
        drive, seen, offsets = self._drive(), self._seen(), self.bias[:, None, None]
        factor, = _fit([drive], self.theirs - offsets, seen)
        if not self._fits(factor * drive + offsets, np.any(seen, axis=(0, 2, 3))):
            return None
        if self.stage.pool is not None and np.isclose(factor, self.stage.pool.area, rtol=1e-2):
            return f"a pool that sums: the network's weights count {factor:.4g} times, the pool's area"
        return f"all weights of the layer count {factor:.4g} times in the network"

    def _scales(self) -> str | None:
        """Whether every unit has another scale and offset, its own."""
        drive, seen = self._drive(), self._seen()
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


def _fit(columns: Sequence[Numbers], wanted: Numbers, where: Flags) -> Floats:
    """Factors of `columns` that add up to `wanted`, least squares over the places `where`: float array."""
    table = np.stack([column[where] for column in columns], axis=1)
    return np.linalg.lstsq(table, wanted[where], rcond=None)[0]


def _listed(values: Sequence[float] | Floats) -> str:
    """A number, or numbers in brackets."""
    texts = [f"{value:.4g}" for value in values]
    return texts[0] if len(texts) == 1 else f"({', '.join(texts)})"


def judge_rates(model: Sequential, layers: Sequence[TrainedLayer], rule: Any, images: Numbers,
                spikes: Sequence[Spikes], encoder: Encoder) -> Report:
    """Compare rates of spiking neurons with the units that they stand for: Report.

    A neuron that is reset loses what is beyond its threshold, the more the nearer its rate is to one spike a step: in
    40 steps layers of such neurons have 0.73 to 0.89 of their units' spikes, in 20 down to 0.5.

    Parameters
    ----------
    model : model.Sequential
    layers : list of TrainedLayer
    rule : settings record
        With ``rates(neuron, drive, v_thresh)``, see ``training``.
    images : float array (n, C, H, W)
        What the first layer's units are shown.
    spikes : list of Spikes
        Of these images: of the input and of every layer.
    encoder : callable of ``encoding``
        With a rate.

    Raises
    ------
    ParityError
        A layer is silent, or its rates are not those of its units.
    """
    rate, n_steps = rate_of(encoder, f"RULE {rule.name}"), encoder.n_steps
    found = [_rates(part, number, n_steps) for number, part in enumerate(spikes)]
    wanted, answers = [images * rate], images * rate
    for stage, layer, before in zip(model.stages, layers, found):
        wanted.append(np.minimum(_units(stage, layer, rule, before), 1.0))
        answers = _units(stage, layer, rule, answers)
    if isinstance(model.readout, Membrane):      # its units do not fire
        found, wanted, agree = found[:-1], wanted[:-1], None
    else:
        agree = float(np.mean(found[-1].reshape(len(images), -1).argmax(axis=1)
                              == answers.reshape(len(images), -1).argmax(axis=1)))
    rows = tuple(Row.of(number, "rates", *pair) for number, pair in enumerate(zip(found, wanted)))
    report = Report(len(images), rows, agree)
    for row, ours, theirs in zip(rows, found, wanted):
        if fault := _rate_fault(row, ours, theirs, rate, n_steps):
            raise ParityError(fault, report)
    return report


def _rates(spikes: Spikes, number: int, n_steps: int) -> Floats:
    """Spikes a step while layer `number` (0: the input) answers to an image: float array (n, maps, rows, columns)."""
    sample, neuron, step = spikes.events()
    inside = (step >= number) & (step < n_steps + number)
    counts = np.bincount(sample[inside] * spikes.size + neuron[inside], minlength=spikes.n_samples * spikes.size)
    return counts.reshape(spikes.n_samples, *spikes.shape) / min(n_steps, spikes.n_steps - number)


def _units(stage: Stage, layer: TrainedLayer, rule: Any, rates: Numbers) -> Floats:
    """What units of a layer answer to rates of the layer before it, in spikes a step."""
    neuron = stage.layer.neuron
    drive = responses(stage, layer.kernels, rates) * current(neuron)
    offset = np.broadcast_to(layer.i_offset + neuron.i_offset, stage.out_shape[:1])
    return rule.rates(neuron, drive + offset[:, None, None], layer.v_thresh[:, None, None])


def _rate_fault(row: Row, ours: Numbers, theirs: Numbers, rate: float, n_steps: int) -> str | None:
    """What is wrong with the rates of a layer or of the input, in words, or None."""
    if not ours.any():
        return _silence(row, len(ours), theirs.max(), n_steps)
    if not row.layer:
        return _input_fault(row, theirs, rate, n_steps)
    alike = np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] if np.ptp(ours) and np.ptp(theirs) else 1.0
    if RATES[0] <= row.ratio <= RATES[1] and alike >= ALIKE:
        return None
    cause = (f"images are shown too shortly, {n_steps} steps" if row.ratio <= 1.0 else
             "neurons that do not integrate as those of the rule")
    return (f"{row}; all together {row.ratio:.3g} of its units' spikes ({RATES[0]:g} to {RATES[1]:g} are right),"
            f" correlation {alike:.3g} (at least {ALIKE:g}); likely cause: {cause}")


def _silence(row: Row, n: int, most: float, n_steps: int) -> str:
    if not row.layer:
        return f"input: is silent: not one spike in {n} images; likely cause: images that are dark"
    cause = "no unit is above 0" if most <= 0 else (
        f"images are shown too shortly, {n_steps} steps, or its thresholds are too high")
    return (f"layer {row.layer}: is silent: not one spike in {n} images, where its units answer up to {most:.3g} spikes"
            f" a step; likely cause: {cause}")


def _input_fault(row: Row, theirs: Numbers, rate: float, n_steps: int) -> str | None:
    slack = INPUT + np.count_nonzero(theirs) / n_steps / max(theirs.sum(), 1e-9)      # regular spikes are rounded down
    if abs(row.ratio - 1.0) <= slack:
        return None
    return (f"input: fires {row.ratio:.3g} times as often as its values at the ENCODER's max_rate of {rate:g} should;"
            " likely cause: the encoder's shown(values) are not what its spikes say")
