"""From the files of a data set to the images, and their spikes, that an experiment learns from and is tested with."""

import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from spikingconvnet.data import datasets
from spikingconvnet.data.deformation import Deformation
from spikingconvnet.data.encoding import check_fires, encode, shown
from spikingconvnet.data.images import ImageSet, full_range
from spikingconvnet.data.protocols import ImageFilter
from spikingconvnet.data.split import check_classes, split
from spikingconvnet.errors import DataError, SettingsError, require
from spikingconvnet.experiment.settings import Settings
from spikingconvnet.gates import sizes
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.network.arrays import AnyInts, Floats32, Ints
from spikingconvnet.network.spikes import Spikes

logger = logging.getLogger(__name__)

AT_ONCE = 1000              # images that are filtered at a time
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

    def files(self) -> Iterator[ImageSet]:
        """What the files of the data set hold, training and test part, as MODEL and FILTER need it: two ImageSets.

        Images of another size than MODEL takes are a DataError, and what ``datasets.load`` refuses.
        """
        s, source = self.settings, self.settings.dataset
        for part in ("train", "test"):
            found = datasets.load(source, part, self.downloads)
            shape = (s.image_filter.channels, *found.images.shape[1:])
            require(shape == s.model.input_shape, str(source), "images", f"{shape[1]}x{shape[2]} pixels",
                    f"{s.model.input_shape[1]}x{s.model.input_shape[2]}, the input shape of MODEL in the parameters",
                    DataError)
            yield ImageSet(full_range(found.images, s.white, f"{source}, {part} images",
                                      hasattr(s.image_filter, "fitted")), found.labels)

    def everything(self) -> ImageSet:
        """All of them, training part first: ImageSet."""
        parts = list(self.files())
        return ImageSet(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("images", "labels")))

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

    def encoded(self, rng: np.random.Generator) -> dict[str, tuple[ImageSet, Spikes]]:
        """Every split with its spikes, gap included: dict of str to (ImageSet, Spikes).

        Raises
        ------
        DataError, SettingsError
            Of what is missing, damaged, teaches nothing or never fires.
        """
        s = self.settings
        train, test = self.files()
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
        images = part.images[:with_spikes(s.model, name)]
        spikes = encode(images, image_filter, s.encoder, rng).with_gap(s.slot)
        check_fires(spikes, images, image_filter, s.encoder, name)
        return spikes

    def values(self, split: str) -> tuple[Floats32, AnyInts]:
        """What a rule for whole chains is given of a split: float32 (n, C, H, W), 0 to 1, and labels (n,)."""
        parts = self.splits()
        part, image_filter = parts[split], self.image_filter(parts["train"])
        values = [shown(part.images[first:first + AT_ONCE], image_filter, self.settings.encoder)
                  for first in range(0, len(part.labels), AT_ONCE)]
        return np.concatenate(values), part.labels

    def deformed(self, chosen: Ints, deformation: Deformation) -> tuple[Spikes, AnyInts]:
        """Deformed copies of the training images at `chosen`: Spikes, labels."""
        s = self.settings
        train, rng = self.splits()["train"], np.random.default_rng([s.seed, 0, 1])
        images, copies = train.select(chosen), deformation.copies
        sizes.require_fits("Deformation", "copies", copies,
                           copies * len(images) * (2 * images.images[0].size + 24 * s.slot))
        spikes = encode(deformation(images.images, rng), self.image_filter(train), s.encoder, rng).with_gap(s.slot)
        return spikes, np.repeat(images.labels, copies)
