"""All numba kernels under the names that they have in ``native.py``."""

from spikingconvnet.backends.local import kernels
from spikingconvnet.backends.local.general_kernels import general_steps
from spikingconvnet.backends.local.kernels import count_events, place_events, sort_by_row
from spikingconvnet.backends.local.poisson_kernels import draw, first_countdowns

__all__ = ["conv_row", "count_events", "draw", "first_countdowns", "general_steps", "place_events", "sort_by_row"]


def conv_row(*inputs_and_geometry):
    """See ``native.conv_row``."""
    *before, blocks, factors, reset_every = inputs_and_geometry
    return [kernels.conv_row(*before, *block, factors, reset_every) for block in blocks]
