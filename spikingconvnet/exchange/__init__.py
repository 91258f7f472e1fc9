"""To and from other programs: networks as NIR, see ``docs/nir.md``; spikes in files and as neo's Blocks."""

from typing import TYPE_CHECKING

from spikingconvnet import room

if TYPE_CHECKING:
    from spikingconvnet.exchange.exporting import to_nir as to_nir
    from spikingconvnet.exchange.importing import from_nir as from_nir
    from spikingconvnet.exchange.neo_blocks import from_neo as from_neo
    from spikingconvnet.exchange.neo_blocks import to_neo as to_neo
    from spikingconvnet.exchange.spike_files import load_spikes as load_spikes
    from spikingconvnet.exchange.spike_files import save_spikes as save_spikes
else:
    __all__, __getattr__, __dir__ = room(__name__)
