"""From the files of a data set to the images, and their spikes, that an experiment learns from and is tested with."""

import logging
import re
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from spikingconvnet.data import sources
from spikingconvnet.data.colour import seen_by
from spikingconvnet.data.deformation import Deformation
from spikingconvnet.data.encoding import check_fires, encode, shown
from spikingconvnet.data.events import EventSet, given, showing, takes_events
from spikingconvnet.data.images import ImageSet, full_range
from spikingconvnet.data.protocols import ImageFilter
from spikingconvnet.data.resize import resized
from spikingconvnet.data.sources_labels import Found
from spikingconvnet.data.split import check_classes, split
from spikingconvnet.errors import DataError, SettingsError, require
from spikingconvnet.experiment.settings import Settings
from spikingconvnet.gates import sizes
from spikingconvnet.gates.progress import counted
from spikingconvnet.model.learning import Shown
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.network.arrays import AnyInts, Floats32, Ints, Pixels
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.store.arrays import digest

logger = logging.getLogger(__name__)

AT_ONCE = 1000              # images that are filtered at a time
DEFORMED = 20_000           # images of which there are copies at a time
CHAIN_SAMPLES = 1000        # training images whose spikes are kept where the rule does not learn from them


def with_spikes(model: Sequential, split: str) -> int:
    """How many images of a split have spikes, if there are so many: int."""
    return CHAIN_SAMPLES if split == "train" and model.runs_as_one else sys.maxsize


class Images:
    """The images that settings ask for.

    Parameters
    ----------
    settings : Settings
    downloads : Path
        Where a download is kept.
    """

    def __init__(self, settings: Settings, downloads: Path) -> None:
        self.settings, self.downloads = settings, downloads

    def found(self) -> Found:
        """What the data set holds: Found."""
        s = self.settings
        return sources.load(s.dataset, s.seed, self.downloads, s.white, s.size)

    def files(self, found: Found | None = None) -> Iterator[ImageSet]:
        """What the data set holds, training and test part, as MODEL and FILTER need it: two ImageSets.

        Images of another size than MODEL takes are a DataError, and what ``sources.load`` refuses.
        """
        found = found or self.found()
        if takes_events(self.settings.encoder):
            yield from self._events(found)
            return
        for name, part in (("train", found.train), ("test", found.test)):
            yield ImageSet(self.prepared(part.images, f"{self.settings.dataset}, {name} images", found.span is None),
                           part.labels)

    def _events(self, found: Found) -> Iterator[EventSet]:
        """The same of events, which ENCODER takes as they are."""
        s = self.settings
        for part in (found.train, found.test):
            if not isinstance(part, EventSet):
                raise DataError(f"{s.dataset}: holds images; EventBins, the ENCODER of the parameters, takes events")
            yield part

    def prepared(self, images: Pixels, name: str, are_bytes: bool = True) -> Pixels:
        """Images as FILTER takes them: drawn in SIZE, from black to white, without colour for a filter that sees none.

        Parameters
        ----------
        images : uint8 array (N, H, W) or (N, H, W, 3)
        name : str
            For the error text.
        are_bytes : bool
            Whether they were bytes from the start; otherwise what is white has been found.

        Returns
        -------
        uint8 array (N, rows, columns), or (N, rows, columns, 3) for a filter that takes colour

        Raises
        ------
        DataError
            Another size than MODEL takes, and what ``images.full_range`` refuses.
        """
        s, (_, rows, columns) = self.settings, self.settings.model.input_shape
        images = images if s.size is None else resized(images, s.size)
        require(images.shape[1:3] == (rows, columns), str(s.dataset), "images",
                f"{images.shape[1]}x{images.shape[2]} pixels", f"{rows}x{columns}, the input shape of MODEL in the"
                " parameters", DataError)
        own_range = hasattr(s.image_filter, "fitted") or not are_bytes
        return seen_by(s.image_filter, full_range(images, s.white if are_bytes else None, name, own_range), name)

    def everything(self, found: Found | None = None) -> ImageSet:
        """All of them, training part first: ImageSet."""
        train, test = self.files(found)
        return train.joined(test)

    def splits(self) -> dict[str, ImageSet]:
        """Images and labels of every split: dict of str to ImageSet.

        What ``split.split`` refuses is a SettingsError that names the parameter, other errors as of :meth:`files`.
        """
        return self._split(*self.files())

    def _split(self, train: ImageSet, test: ImageSet) -> dict[str, ImageSet]:
        s = self.settings
        try:
            chosen = split(train.labels, test.labels, s.classes, s.n_train, s.n_validation, s.n_test, s.per_class)
        except SettingsError as error:
            text = re.sub(r"^split\.([^:]+)", lambda match: f"parameters.{match[1].upper()}", str(error))
            raise SettingsError(f"{text} in {s.dataset}") from None
        return {"train": train.select(chosen.train), "validation": train.select(chosen.validation),
                "test": test.select(chosen.test)}

    def image_filter(self, train: ImageSet | None = None) -> ImageFilter:
        """The parameters' FILTER, fitted to the training images (an ImageSet, or read) if it is one that has to be."""
        chosen = self.settings.image_filter
        if hasattr(chosen, "fitted"):
            chosen = chosen.fitted((self.splits()["train"] if train is None else train).images)
        return chosen

    def encoded(self, rng: np.random.Generator, found: Found | None = None) -> dict[str, tuple[ImageSet, Spikes]]:
        """Every split with its spikes, gap included: dict of str to (ImageSet, Spikes).

        Parameters
        ----------
        rng : numpy.random.Generator
        found : Found or None
            Saves reading again.

        Raises
        ------
        DataError, SettingsError
            Of what is missing, damaged, teaches nothing or never fires.
        """
        s = self.settings
        train, test = self.files(found)
        left_out = np.setdiff1d(train.labels, s.classes).tolist()
        if left_out:
            logger.info("images of classes that CLASSES of the parameters does not name are not used: %s",
                        ", ".join(map(str, left_out)))
        parts = self._split(train, test)
        check_classes({name: part.labels for name, part in parts.items()}, s.dataset)
        image_filter = self.image_filter(parts["train"])
        return {name: (part, self._spikes(name, part, image_filter, rng)) for name, part in parts.items()}

    def _spikes(self, name: str, part: ImageSet, image_filter: ImageFilter, rng: np.random.Generator) -> Spikes:
        s = self.settings
        images = given(part.select(np.arange(min(len(part), with_spikes(s.model, name)))), s.encoder)
        told = partial(counted, description=f"images: encoding, {name}")
        spikes = encode(images, image_filter, s.encoder, rng, progress=told).with_gap(s.slot)
        check_fires(spikes, images, image_filter, s.encoder, name)
        return spikes

    def values(self, split: str) -> tuple[Floats32, AnyInts]:
        """What a rule for whole chains is given of a split: float32 (n, C, H, W), and labels (n,)."""
        parts, encoder = self.splits(), self.settings.encoder
        part, image_filter = parts[split], self.image_filter(parts["train"])
        batches = counted(range(0, len(part.labels), AT_ONCE), f"images: filtering, {split}")
        values = [shown(given(part.select(np.arange(first, min(first + AT_ONCE, len(part)))), encoder), image_filter,
                        encoder) for first in batches]
        return np.concatenate(values), part.labels

    def events(self) -> Shown | None:
        """What shows a rule for whole chains the events of its samples, see ``NetworkRule.train``."""
        bins: Any = self.settings.encoder
        return showing(bins, self.splits) if takes_events(bins) else None

    def deformed(self, chosen: Ints, deformation: Deformation) -> Iterator[dict[str, Any]]:
        """Deformed copies of the training images at `chosen`, of some at a time: their spikes, labels and a digest."""
        s, train, copies = self.settings, self.splits()["train"], deformation.copies
        for first in range(0, len(chosen), DEFORMED):
            rng = np.random.default_rng([s.seed, 0, 1, *([first] if first else [])])
            images = train.select(chosen[first:first + DEFORMED])
            sizes.require_fits("Deformation", "copies", copies,
                               copies * len(images) * (2 * images.images[0].size + 24 * s.slot))
            spikes = encode(deformation(images.images, rng), self.image_filter(train), s.encoder, rng).with_gap(s.slot)
            yield {"spikes": spikes, "labels": np.repeat(images.labels, copies),
                   "content": digest(spikes.offsets, spikes.neurons)}
