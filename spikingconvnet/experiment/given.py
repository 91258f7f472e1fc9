"""Images that are given as arrays: how their pixels lie, and which numbers are black and white."""

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikingconvnet.data.colour import seen_by
from spikingconvnet.data.images import DIM, ImageSet
from spikingconvnet.data.pixels import CHANNELS, as_bytes, found_span
from spikingconvnet.data.sources_labels import Found
from spikingconvnet.errors import DataError, require
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.loading import Images
from spikingconvnet.experiment.settings import Settings
from spikingconvnet.network.arrays import Numbers, Pixels

OWNER = "SpikingConvClassifier"
ROW = "row"


class GivenImages(Images):
    """Images that are given instead of read, all of them for training.

    Parameters
    ----------
    settings : Settings
    train : ImageSet
    """

    def __init__(self, settings: Settings, train: ImageSet) -> None:
        super().__init__(settings, Path())
        self._train = train

    def found(self) -> Found:
        """Them, and no image to test with: Found."""
        return Found(self._train, self._train.select([]))

    def files(self, found: Found | None = None) -> Iterator[ImageSet]:
        """The same as FILTER takes them: two ImageSets."""
        for part in (found or self.found())[:2]:
            yield ImageSet(seen_by(self.settings.image_filter, part.images, "X"), part.labels)


class GivenExperiment(Experiment):
    """An experiment with images that are given instead of read.

    Parameters
    ----------
    train : ImageSet
    settings, run_dir, **machine
        As of an Experiment.
    """

    def __init__(self, train: ImageSet, settings: Settings, run_dir: str | Path, **machine: Any) -> None:
        self._train = train
        super().__init__(settings, run_dir, **machine)

    def images_of(self, settings: Settings) -> Images:
        """Those that were given: Images."""
        return GivenImages(settings, self._train)


@dataclass(frozen=True)
class Form:
    """How the pixels of an image lie in a row of numbers.

    Attributes
    ----------
    axes : tuple of int
        (H, W), (H, W, C) or (C, H, W).
    channels_first : bool

    Raises
    ------
    DataError
        Other axes.
    """

    axes: tuple[int, ...]
    channels_first: bool = False

    def __post_init__(self) -> None:
        colours = self.axes[0 if self.channels_first else -1] if len(self.axes) == 3 else 1
        require(len(self.axes) in (2, 3) and colours in CHANNELS, "X", "shape", ("n", *self.axes),
                "(n, rows, columns); or with 1, 3 or 4 channels (n, rows, columns, channels), which come first with"
                " channels_first=True", DataError)

    @classmethod
    def found(cls, axes: tuple[int, ...], shape: tuple[int, ...] | str | None, channels_first: bool) -> "Form":
        """The form of images.

        Parameters
        ----------
        axes : tuple of int
            Of an image in the array; one if its pixels are a row.
        shape, channels_first
            As ``SpikingConvClassifier`` has them.

        Raises
        ------
        DataError
            A row that is no square, or another number of pixels than `shape` says.
        """
        pixels, side = math.prod(axes), math.isqrt(math.prod(axes))
        if shape == ROW:
            return cls((1, pixels))
        if shape is not None:
            require(isinstance(shape, tuple) and axes in ((math.prod(shape),), shape), OWNER, "shape", shape,
                    f"a tuple, that of the {pixels} numbers of an image in X, {axes}", DataError)
            return cls(tuple(map(int, shape)), channels_first)
        if len(axes) > 1:
            return cls(axes, channels_first)
        require(side * side == pixels, OWNER, "shape", None,
                f"given, as (rows, columns): the {pixels} pixels of an image in X are no square; 'row' is for numbers"
                " that are no picture", DataError)
        return cls((side, side))

    def images(self, rows: Numbers) -> Numbers:
        """Rows of numbers (n, pixels) as images: array (n, H, W) or (n, H, W, 3); opacity is left out."""
        found = rows.reshape(len(rows), *self.axes)
        if len(self.axes) == 2:
            return found
        last = np.moveaxis(found, 1, 3) if self.channels_first else found
        return last[..., 0] if last.shape[3] == 1 else last[..., :3]


@dataclass(frozen=True)
class Span:
    """Which numbers are black and white.

    Attributes
    ----------
    low, high : float
    declared : bool
        Whether the user has said so, and not the training images.
    """

    low: float
    high: float
    declared: bool

    @classmethod
    def found(cls, rows: Numbers, value_range: tuple[float, float] | None) -> "Span":
        """That of numbers (n, pixels), or the one declared.

        Parameters
        ----------
        rows : array (n, pixels)
        value_range : (float, float) or None

        Raises
        ------
        DataError, SettingsError
            Bytes without a bright one; a range whose black is not below its white.
        """
        if value_range is not None:
            low, high = map(float, value_range)
            require(low < high, OWNER, "value_range", value_range, "(black, white), the smaller one first")
            return cls(low, high, True)
        if rows.dtype != np.uint8:
            return cls(*found_span(rows, "X"), False)
        require(rows.max() >= DIM, "X", "values", f"at most {rows.max()}", "bytes up to 255; if they are that dark, or"
                f" another number is white, say so, as value_range=(0, {rows.max()})", DataError)
        return cls(0.0, 255.0, False)

    def bytes(self, rows: Numbers) -> Pixels:
        """Numbers as bytes from 0 to 255: uint8 array.

        Beyond a range that was declared there is nothing: a DataError. Beyond one that was found all is as black or as
        white, with a UserWarning if that is far beyond.
        """
        low, high, width = float(rows.min()), float(rows.max()), self.high - self.low
        require(not self.declared or self.low <= low <= high <= self.high, "X", "values", f"{low:g} to {high:g}",
                f"from {self.low:g} to {self.high:g}, as value_range says", DataError)
        if low < self.low - width or high > self.high + width:
            warnings.warn(f"X: values from {low:g} to {high:g}, where the images that were learned from have"
                          f" {self.low:g} to {self.high:g}; what is beyond is as black or as white", stacklevel=2)
        as_they_are = (self.low, self.high) == (0, 255)
        return as_bytes(rows if as_they_are else rows.astype(np.float64), "X", (self.low, self.high))
