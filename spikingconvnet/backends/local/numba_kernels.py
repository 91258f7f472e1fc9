"""All numba kernels under the names that they have in ``native.py``."""

from collections.abc import Sequence

import numpy as np

from spikingconvnet.backends.local import kernels
from spikingconvnet.backends.local.general_kernels import general_steps
from spikingconvnet.backends.local.kernels import count_events, place_events, sort_by_row
from spikingconvnet.backends.local.layout import Block, Events, Geometry
from spikingconvnet.backends.local.poisson_kernels import draw, first_countdowns
from spikingconvnet.backends.local.svm_kernels import svm_look, svm_pass
from spikingconvnet.network.arrays import Ints, Ints16, Ints32

__all__ = ["conv_row", "count_events", "draw", "first_countdowns", "general_steps", "place_events", "sort_by_row",
           "svm_look", "svm_pass"]


def conv_row(t: int, n_steps: int, row_offsets: Ints, columns: Ints16, channels: Ints16, rows_in: Ints16, top: int,
             geometry: Geometry, blocks: Sequence[Block], factors: Ints32, reset_every: int,
             slot: int = 0, cells: int = 0) -> list[Events] | list[Ints32]:
    """See ``native.conv_row``."""
    found = [kernels.conv_row(t, n_steps, row_offsets, columns, channels, rows_in, top, geometry, *block[:-1], factors,
                              reset_every) for block in blocks]
    if not slot:
        return found
    return [np.bincount(step // slot * cells + block[-1][lane], minlength=n_steps // slot * cells).reshape(-1, cells)
            .astype(np.int32) for block, (step, lane) in zip(blocks, found)]
