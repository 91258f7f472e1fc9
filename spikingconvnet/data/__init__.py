"""Images, numbers and events: where they come from, what is made of them, and their spikes."""

# ruff: noqa: F403 - of some modules everything that is public belongs to the room

from typing import TYPE_CHECKING

from spikingconvnet import room

if TYPE_CHECKING:
    from spikingconvnet.data import datasets as _datasets
    from spikingconvnet.data import sources as _sources
    from spikingconvnet.data.colour import *
    from spikingconvnet.data.deformation import *
    from spikingconvnet.data.encoding import *
    from spikingconvnet.data.events import *
    from spikingconvnet.data.filters import *
    from spikingconvnet.data.receptive_fields import *
    from spikingconvnet.data.sources import read_images as read_images

    load_images = _sources.load_part
    save_images = _datasets.save
else:
    __all__, __getattr__, __dir__ = room(__name__)
