"""What ``--mode convert`` shows a network: images, or events counted as the network was trained on them."""

import math
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from spikingconvnet.data.colour import coloured, grey
from spikingconvnet.data.events import EventBins, EventSet
from spikingconvnet.data.images import ImageSet
from spikingconvnet.errors import SettingsError
from spikingconvnet.experiment import overrides
from spikingconvnet.network.arrays import Floats32, Ints, Numbers, Pair, Shape

REFERENCE = 100         # images on which units are compared with the network's own
ASKED = 500             # training samples by which is told how well a network knows its events
STEPS = 250             # of an image; in the first quarter rates have not settled
FEWEST = 10             # steps of the longest sample: with fewer the unit of time is another one
COARSE = 40             # steps below which a rate has less than ten values, at a peak rate of a quarter
BETTER = 0.05           # share by which another scale has to be better to be told
FILTERS = {1: "Intensity", 3: "Colours"}        # by the channels of the images
ENCODER = "ENCODER."

Accuracy = Callable[[Numbers, Ints], float]


@dataclass(frozen=True, eq=False)
class Shown:
    """What a network is shown.

    Attributes
    ----------
    code : str
        FILTER and ENCODER of the parameters.
    names : tuple of str
        Of the package, in `code`.
    n_steps, first : int
        Steps of a sample, and the one from which on spikes are counted.
    images : float32 array (n, C, H, W) or None
        To compare with.
    why : str
        Why there are none.
    n_train : int
        Samples of which the largest activations are taken.
    bins : EventBins or None
        Of events.
    told : tuple of str
        Lines about the events.
    """

    code: str
    names: tuple[str, ...]
    n_steps: int
    first: int
    images: Floats32 | None
    why: str = ""
    n_train: int = 2000
    bins: EventBins | None = None
    told: tuple[str, ...] = ()

    @property
    def start(self) -> str:
        """Where membranes start, of RULE: those of events at rest, as what fires early cannot be undone."""
        return "" if self.bins else "start=0.5, spread=True, "

    @property
    def last(self) -> int | None:
        """Steps of a sample, if what comes behind them must not count: the input of events ends, biases do not."""
        return self.n_steps if self.bins else None


def images_of(part: ImageSet | None, why: str, shape: Shape, source: str) -> Shown:
    """Images as Shown; a SettingsError for a number of channels that no FILTER makes."""
    channels = shape[0]
    if channels not in FILTERS:
        raise SettingsError(f"--mode convert: images of {channels} channels: parameters show grey ones, of 1, or"
                            " coloured ones, of 3; --input-shape says which. Events of 2 polarities need --source")
    images = None
    if part is not None:
        found = part.images[:REFERENCE]
        found = grey(found)[:, None] if channels == 1 else np.moveaxis(coloured(found), 3, 1)
        images, why = ((np.float32(found / 255.0), "") if found.shape[1:] == shape else
                       (None, f"the images of {source} are {found.shape[2]}x{found.shape[3]}"))
    code = f"FILTER = {FILTERS[channels]}()\nENCODER = RegularEncoder(n_steps={STEPS}, max_rate=1.0)"
    return Shown(code, (FILTERS[channels], "RegularEncoder"), STEPS, STEPS // 4, images, why)


def refuse_for_images(options: Namespace, source: str) -> None:
    """Raise a SettingsError for options that belong to events."""
    for flag, value in (("--scale", options.scale), ("--clip", options.clip), ("--set", options.set)):
        if value is not None:
            raise SettingsError(f"{flag}: with --mode convert it belongs to events, and {source} holds none; --source"
                                " names them")


def bins_of(part: EventSet, shape: Shape | None, options: Namespace) -> EventBins:
    """ENCODER for a network that sees `shape`, or all of the sensor: EventBins, as far as it has been told.

    Raises
    ------
    SettingsError
        A network that cannot see these events, or ``--set`` of something else.
    """
    given = overrides.parted(options.set or ())
    for name in given:
        if not name.startswith(ENCODER):
            raise SettingsError(f"--set {name}: with --mode convert it takes fields of {ENCODER}, as"
                                " ENCODER.n_steps=300; the others stand in the parameters file that is written")
    sets = {name.removeprefix(ENCODER): text for name, text in given.items()}
    sets |= {name: str(value) for name in ("scale", "clip") if (value := getattr(options, name)) is not None}
    sensor, seen = part.images.shape[1:3], shape
    found = EventBins(size=(sensor[0], sensor[1]), once=False)
    if seen is not None and not {"size", "crop", "pool", "polarity"} & sets.keys():
        found = _fitted(found.size, seen)
    bins = overrides.changed(found, sets, "--set ENCODER")
    if "n_steps" not in sets:
        bins = replace(bins, n_steps=_steps(part, bins))
    if seen not in (None, bins.shape):
        raise SettingsError(f"--input-shape: the network sees {_by(seen)}, and ENCODER shows {_by(bins.shape)}; say"
                            " what lies between by --set ENCODER.size=ROWS,COLUMNS, ENCODER.crop, ENCODER.pool or"
                            " ENCODER.polarity")
    return bins


def _by(shape: Sequence[int] | None) -> str:
    return "x".join(map(str, shape or ()))


def scale_is_told(options: Namespace) -> bool:
    """Whether the command line has the scale of events."""
    return options.scale is not None or "ENCODER.scale" in overrides.parted(options.set or ())


def _fitted(sensor: Pair, shape: Shape) -> EventBins:
    """For events that reach `sensor` pixels, and a network that sees `shape`: whole pools, and hardly an empty edge."""
    channels, *sides = shape
    if channels not in (1, 2):
        raise SettingsError(f"--mode convert: a network of {channels} channels; events have 2, of what brightens and of"
                            " what darkens, or 1. Frames of a sample that are stacked as channels are no input of a"
                            " spiking network, whose time is the sample's: train with one frame of all of it")
    pool = max(1, *(round(pixels / side) for pixels, side in zip(sensor, sides)))
    empty = [side * pool - pixels for pixels, side in zip(sensor, sides)]
    most = [pixels // 4 if pool == 1 else max(pool - 1, pixels // 20) for pixels in sensor]
    if not all(0 <= one <= limit for one, limit in zip(empty, most)):
        raise SettingsError(f"--input-shape: the network sees {_by(sides)} pixels, and the events reach {_by(sensor)};"
                            " say what lies between by --set ENCODER.size=ROWS,COLUMNS (of the sensor) and"
                            " ENCODER.crop=TOP,LEFT,ROWS,COLUMNS or ENCODER.pool=N")
    return EventBins(size=(sides[0] * pool, sides[1] * pool), pool=pool, polarity=channels == 2, once=False)


def _steps(part: EventSet, bins: EventBins) -> int:
    """Steps of the longest sample; a SettingsError if they are so few that the unit of time must be another one."""
    n_steps = math.floor(float(part.t.max()) / bins.per_step) + 1
    if n_steps < FEWEST:
        raise SettingsError(f"--set ENCODER.per_step: the longest sample lasts {part.t.max():g} of the events' unit of"
                            f" time, {n_steps} steps of {bins.per_step:g}; say how much of that unit a step of 1 ms is,"
                            " 1000 of microseconds, 0.001 of seconds")
    return n_steps


def events_of(part: EventSet, bins: EventBins, accuracy: Accuracy, classes: Sequence[int], is_told: bool) -> Shown:
    """Events as Shown.

    Parameters
    ----------
    part : EventSet
        Training samples.
    bins : EventBins
    accuracy : callable
        ``accuracy(values, units)``, float (n, C, H, W) and int (n,): share that the network itself answers rightly.
    classes : tuple of int
        Of its outputs.
    is_told : bool
        Whether the scale of `bins` has been told.

    Raises
    ------
    SettingsError
        It has not; the text says how well the network knows the samples on several.
    """
    few = part.select(_spread(len(part), ASKED))
    labels = np.searchsorted(classes, few.labels)
    largest = int(replace(bins, clip=None)(few).counts().max())
    own = {f"--scale {bins.scale:g}" + f" --clip {bins.clip}" * bool(bins.clip): bins}
    known = {words: accuracy(one.values(few), labels) for words, one in {
        **own, "--scale 1": replace(bins, scale=1.0, clip=None), "--scale 1 --clip 1": replace(bins, scale=1.0, clip=1),
        f"--scale {largest} (the largest count)": replace(bins, scale=float(largest), clip=None),
        f"--scale {bins.n_steps} (spikes a step)": replace(bins, scale=float(bins.n_steps), clip=None),
    }.items()}
    if not is_told:
        raise SettingsError("--scale: is missing: how many events of a pixel were 1 in what the network was trained on?"
                            f" It recognises of {len(few)} training samples {_listed(known)}; tonic's ToImage and"
                            " ToFrame count, which is 1")
    values = bins.values(few)
    return Shown(f"ENCODER = {_code(bins)}", ("EventBins",), bins.n_steps, 0,
                 values[_spread(len(values), REFERENCE)], n_train=min(2000, len(part)), bins=bins,
                 told=_told(part, bins, known, len(few)))


def _spread(n: int, most: int) -> Ints:
    """At most so many of `n` places, evenly spread: sets may be sorted by class."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64))


def _listed(known: Mapping[str, float]) -> str:
    return ", ".join(f"{100 * share:.1f} % with {words}" for words, share in known.items())


def _code(bins: EventBins) -> str:
    """As a parameters file writes it: what is not as by default."""
    default = EventBins()
    shown = {name: getattr(bins, name) for name in vars(bins)}
    return "EventBins(" + ", ".join(f"{name}={value!r}" for name, value in shown.items()
                                    if name in ("size", "n_steps", "scale") or value != getattr(default, name)) + ")"


def _told(part: EventSet, bins: EventBins, known: Mapping[str, float], n: int) -> tuple[str, ...]:
    """Lines about what the network is shown, and what may be wrong with it."""
    (said, own), *others = known.items()
    best, most = max(others, key=lambda one: one[1])
    sensor, left_out = part.images.shape[1:3], bins.left_out(part)
    lines = [f"ENCODER = {_code(bins)}; the events reach {_by(sensor)} pixels",
             f"the network itself recognises {100 * own:.1f} % of {n} training samples with {said}"]
    lines += [f"{100 * share:.1f} % of the events are left out by ENCODER.{name}" for name, share in left_out.items()
              if share]
    if most > own + BETTER:
        lines.append(f"warning: with {best} it recognises {100 * most:.1f} %; is that what it was trained on?")
    if bins.n_steps < COARSE:
        lines.append(f"warning: {bins.n_steps} steps a sample are few: a layer that fires in every fourth at most"
                     f" counts to {bins.n_steps // 4}; --set ENCODER.per_step={bins.per_step / 4:g} makes more of them")
    return tuple(lines)
