"""Parity: a trained network's units beside what is made of them, with the place and cause of a difference.

Units are compared with those of the user's own network, rates of spiking neurons with the units that they stand for.
Every layer is compared as it answers to one and the same input, what the network's (or the neurons') own layer before
it says, so that a fault shows where it is and nowhere else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikingconvnet.data.encoding import rate_of
from spikingconvnet.data.events import EventBins, takes_events
from spikingconvnet.data.protocols import Encoder
from spikingconvnet.errors import SettingsError, require
from spikingconvnet.gates.progress import counted
from spikingconvnet.model.readouts import Membrane
from spikingconvnet.model.sequential import Sequential, Stage
from spikingconvnet.model.trained import TrainedLayer
from spikingconvnet.network.arrays import Floats, Floats32, Numbers
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.training.chain.balance import current
from spikingconvnet.training.chain.causes import UNITS, Answering
from spikingconvnet.training.chain.units import Units, activations, summed

IMAGES = 200            # training images on which rates are compared
INPUT = 0.05            # largest difference of the spikes of an input, as a share, beside one spike of every neuron
RATES = 0.2, 1.2        # spikes of a layer, as a share of what its units answer to the spikes before it
OF_EVENTS = 2.0         # most of them where the input is not even: what fires before it is inhibited has fired
ALIKE = 0.7             # least correlation of a layer's rates with these answers


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
        0 to 1; of events as `bins` counts them.
    answers : list of float array (n, units, rows, columns)
        Of every layer, behind its ReLU; the last one's are not rectified.
    bins : EventBins or None
        What made the images of events, if it did.

    Raises
    ------
    SettingsError
        No images, of another shape or range, or answers to another number of them.
    """

    images: Floats32
    answers: list[Numbers]
    bins: EventBins | None = None

    def __post_init__(self) -> None:
        most = 1.0 if self.bins is None else np.inf
        inside = self.images.ndim == 4 and len(self.images) and 0 <= self.images.min() and self.images.max() <= most
        require(inside, "Reference", "images", f"{self.images.shape}, {self.images.min(initial=0):g} to"
                f" {self.images.max(initial=0):g}", f"(n, C, H, W) of 0 to {most:g}, as the spiking network is"
                " shown them")
        require(all(len(one) == len(self.images) for one in self.answers), "Reference", "answers",
                [len(one) for one in self.answers], f"of {len(self.images)} images")

    def judge(self, model: Sequential, units: Sequence[Units], images: Numbers | None = None) -> Report:
        """Compare with units of these weights: Report.

        Parameters
        ----------
        model : model.Sequential
        units : list of Units
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
        rows, n = [], len(self.images)
        values = [np.asarray(self.images if images is None else images, np.float64)]
        layers = list(zip(model.stages, units, self.answers, strict=True))
        for stage, one, theirs in counted(layers, "parity: units"):
            _check_shape(stage, values, theirs)
            last = stage.number == len(model.stages)
            layer = Answering(stage, one, {branch.source: values[branch.source] for branch in stage.branches},
                           np.asarray(theirs, np.float64), last)
            rows.append(Row.of(stage.number, "units", layer.answers(), layer.theirs, layer.scale))
            values.append(layer.theirs)
            report = Report(n, tuple(rows), None)
            if not last and not layer.theirs.any():
                raise ParityError(f"layer {stage.number}: is silent: no unit of the network answers to any of the"
                                  f" {n} images", report)
            if not rows[-1].difference <= UNITS:
                raise ParityError(f"{rows[-1]}, more than {UNITS:g} of the layer's largest answer; likely cause:"
                                  f" {layer.on(rows[-1].image).cause()}", report)
        return Report(n, tuple(rows), self._agree(model, units, images))

    def _agree(self, model: Sequential, units: Sequence[Units], images: Numbers | None) -> float:
        found = activations(model, units, self.images if images is None else images)[-1]
        return float(np.mean(found[..., 0, 0].argmax(axis=1) == self.answers[-1][..., 0, 0].argmax(axis=1)))


def _check_shape(stage: Stage, values: Sequence[Numbers], theirs: Numbers) -> None:
    for name, found, wanted in (*(("sees", values[one.source], one.source_shape) for one in stage.branches),
                                ("answers", theirs, stage.out_shape)):
        if found.shape[1:] != wanted:
            raise SettingsError(f"layer {stage.number}: the network {name} {found.shape[1:]}, MODEL {wanted}")


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
    depths = [0]
    for stage in model.stages:
        depths.append(depths[stage.source] + stage.delays[0])
    found = [_rates(part, depth, n_steps) for depth, part in zip(depths, spikes)]
    wanted, answers = [images * rate], [images * rate]
    for stage, layer in counted(list(zip(model.stages, layers)), "parity: rates"):
        wanted.append(np.minimum(_units(stage, layer, rule, found), 1.0))
        answers.append(_units(stage, layer, rule, answers))
    if isinstance(model.readout, Membrane):      # its units do not fire
        found, wanted, agree = found[:-1], wanted[:-1], None
    else:
        agree = float(np.mean(found[-1].reshape(len(images), -1).argmax(axis=1)
                              == answers[-1].reshape(len(images), -1).argmax(axis=1)))
    rows = tuple(Row.of(number, "rates", *pair) for number, pair in enumerate(zip(found, wanted)))
    report = Report(len(images), rows, agree)
    early, most = [0.0, *map(_early, layers)], OF_EVENTS if takes_events(encoder) else RATES[1]
    for row, ours, theirs in zip(rows, found, wanted):
        if fault := _rate_fault(row, ours, theirs, rate, n_steps, early[row.layer], most):
            raise ParityError(fault, report)
    return report


def _rates(spikes: Spikes, depth: int, n_steps: int) -> Floats:
    """Spikes a step while a layer answers to an image `depth` steps late: float array (n, maps, rows, columns)."""
    last = min(n_steps + depth, spikes.n_steps)
    return spikes.counts(depth, last) / (last - depth)


def _units(stage: Stage, layer: TrainedLayer, rule: Any, rates: Sequence[Numbers]) -> Floats:
    """What units of a layer answer to rates of the input and of the layers before it, in spikes a step."""
    neuron = stage.layer.neuron
    drive = summed(stage, layer.all_kernels, rates) * current(neuron)
    offset = layer.i_offset + neuron.i_offset
    return rule.rates(neuron, drive + (offset if offset.ndim == 3 else np.broadcast_to(
        offset, stage.out_shape[:1])[:, None, None]), layer.v_thresh[:, None, None])


def _early(layer: TrainedLayer) -> float:
    """Share of a spike that neurons of a layer fire too many because they do not start at rest."""
    if layer.v is None:
        return 0.0
    return float(np.mean(layer.v / np.repeat(layer.v_thresh, layer.v.size // layer.v_thresh.size)))


def _rate_fault(row: Row, ours: Numbers, theirs: Numbers, rate: float, n_steps: int, early: float,
                most: float) -> str | None:
    """What is wrong with the rates of a layer or of the input, in words, or None."""
    if not ours.any():
        return _silence(row, len(ours), theirs.max(), n_steps)
    if not row.layer:
        return _input_fault(row, theirs, rate, n_steps)
    alike = np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] if np.ptp(ours) and np.ptp(theirs) else 1.0
    most += early * np.count_nonzero(theirs) / n_steps / max(theirs.sum(), 1e-9)
    if RATES[0] <= row.ratio <= most and alike >= ALIKE:
        return None
    cause = (f"samples are shown too shortly, {n_steps} steps" if row.ratio <= 1.0 else
             "neurons that do not integrate as those of the rule, or events that come in another order than a rate has")
    return (f"{row}; all together {row.ratio:.3g} of its units' spikes ({RATES[0]:g} to {most:.3g} are right),"
            f" correlation {alike:.3g} (at least {ALIKE:g}); likely cause: {cause}")


def _silence(row: Row, n: int, most: float, n_steps: int) -> str:
    if not row.layer:
        return f"input: is silent: not one spike in {n} images; likely cause: images that are dark"
    cause = "no unit is above 0" if most <= 0 else (
        f"samples are shown too shortly, {n_steps} steps, or its thresholds are too high")
    return (f"layer {row.layer}: is silent: not one spike in {n} images, where its units answer up to {most:.3g} spikes"
            f" a step; likely cause: {cause}")


def _input_fault(row: Row, theirs: Numbers, rate: float, n_steps: int) -> str | None:
    slack = INPUT + np.count_nonzero(theirs) / n_steps / max(theirs.sum(), 1e-9)      # regular spikes are rounded down
    if abs(row.ratio - 1.0) <= slack:
        return None
    return (f"input: fires {row.ratio:.3g} times as often as its values at the ENCODER's max_rate of {rate:g} should;"
            " likely cause: the encoder's shown(values) are not what its spikes say")
