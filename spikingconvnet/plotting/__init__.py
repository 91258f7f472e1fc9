"""Figures: plain arrays (or Spikes) in, a matplotlib Figure out; nothing is shown, only `save` writes files.

The only modules that import matplotlib, and only its object interface: no pyplot, no window, no current figure, so it
works on a machine without a screen and from any thread. Colours are safe for colour-blind readers (viridis, a blue-red
map centred at 0, the palette of Okabe and Ito 2008).
"""

from spikingconvnet.plotting.events import first_spikes, inputs, membranes, raster
from spikingconvnet.plotting.frame import save
from spikingconvnet.plotting.maps import activity, kernels
from spikingconvnet.plotting.results import confusion, curves, training
from spikingconvnet.plotting.sweep import sweep

__all__ = ["activity", "confusion", "curves", "first_spikes", "inputs", "kernels", "membranes", "raster", "save",
           "sweep", "training"]
