"""What deeper layers see of the input: their kernels led back to it, as if the layers below were linear."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from spikingconvnet.errors import StoreError
from spikingconvnet.model.branches import Branch
from spikingconvnet.model.sequential import Stage
from spikingconvnet.network.arrays import Floats, Pair

if TYPE_CHECKING:
    from spikingconvnet.experiment.experiment import Experiment

MOST_KERNELS = 100              # of a layer, in figures and on the page of a run
MOST_PRODUCTS = 10 ** 10        # multiplications that leading back may take: some seconds
Span: TypeAlias = tuple[Pair, Pair]         # first place, and the one behind the last, of rows and of columns


def led_back(experiment: "Experiment", number: int, most: int = MOST_KERNELS) -> Floats:
    """Kernels of a layer led back to the input through those below, each as a share of its largest weight.

    It is what each place of the input adds to the unit in the middle of a map, by all ways that lead there (shortcuts,
    groups), without what padding puts around maps.

    Parameters
    ----------
    experiment : Experiment
        With all layers up to `number` trained.
    number : int
    most : int
        Kernels, at most.

    Returns
    -------
    float array (filters, input channels, rows, columns)
        Of the part of the input that the unit sees.

    Raises
    ------
    StoreError
        A layer is not trained, or there is no such picture, see :func:`why_not`.
    """
    stages = experiment.model.stages[:number]
    if reason := why_not(stages, most):
        raise StoreError(f"layer {number} is not led back to the input: {reason}")
    spans = _spans(stages)
    maps = [experiment.model.input_shape[0], *(stage.out_shape[0] for stage in stages)]
    found = {place: np.zeros((min(most, maps[-1]), maps[place], *_size(span))) for place, span in spans.items()}
    found[number] = np.eye(maps[-1])[:most, :, None, None]
    for stage in reversed(stages):
        if stage.number in spans:
            layer = experiment.trained(stage.number)
            for branch, kernels in zip(stage.branches, (layer.kernels, *layer.shortcuts)):
                _add(found[branch.source], spans[branch.source], found[stage.number], spans[stage.number], branch,
                     branch.full(kernels))
    largest = abs(found[0]).max(axis=(1, 2, 3), keepdims=True)
    shares: Floats = found[0] / np.where(largest > 0, largest, 1.0)
    return shares


def why_not(stages: Sequence[Stage], most: int = MOST_KERNELS) -> str:
    """Why the last of some stages has no picture of what it sees of the input; empty if it has one."""
    spans, products = _spans(stages), 0
    for stage in stages:
        if stage.number in spans:
            height, width = _size(spans[stage.number])
            products += sum(most * stage.out_shape[0] * height * width * branch.in_shape[0] * branch.kernel_size[0]
                            * branch.kernel_size[1] for branch in stage.branches)
    return f"that takes {products:.0e} multiplications" if products > MOST_PRODUCTS else ""


def _spans(stages: Sequence[Stage]) -> dict[int, Span]:
    """What the unit in the middle of the last layer's maps sees of each layer below, 0 the input."""
    last = stages[-1]
    row, column = (n // 2 for n in last.out_shape[1:])
    spans: dict[int, Span] = {last.number: ((row, row + 1), (column, column + 1))}
    for stage in reversed(stages):
        if stage.number in spans:
            for branch in stage.branches:
                seen = _cut(_window(spans[stage.number], branch), branch)
                (rows, columns), pool = spans.get(branch.source, (None, None)), branch.pool
                spans[branch.source] = _union(rows, seen[0], pool[0]), _union(columns, seen[1], pool[1])
    return spans


def _window(span: Span, branch: Branch) -> Span:
    """The pooled places, those of the padding among them, that the kernels of some places of a layer cover."""
    rows, columns = ((first * stride - padding, (end - 1) * stride + size - padding) for (first, end), stride, size,
                     padding in zip(span, branch.strides, branch.kernel_size, branch.padding))
    return rows, columns


def _cut(window: Span, branch: Branch) -> Span:
    """The same without the padding."""
    rows, columns = ((max(first, 0), min(end, n)) for (first, end), n in zip(window, branch.in_shape[1:]))
    return rows, columns


def _union(known: Pair | None, pooled: Pair, pool: int) -> Pair:
    """The places of a population that are known to be seen, and those that are pooled into further ones."""
    first, end = pooled[0] * pool, pooled[1] * pool
    return (first, end) if known is None else (min(first, known[0]), max(end, known[1]))


def _size(span: Span) -> Pair:
    return span[0][1] - span[0][0], span[1][1] - span[1][0]


def _add(below: Floats, seen: Span, above: Floats, span: Span, branch: Branch, kernels: Floats) -> None:
    """Add what places of a source add to a layer, by one of the ways into it.

    Parameters
    ----------
    below : float array (units, maps of the source, *seen)
        It is added to.
    above : float array (units, maps of the layer, *span)
        What places of the layer add to the units.
    seen, span : Span
    branch : Branch
    kernels : float array (maps of the layer, maps of the source, rows, columns)
    """
    window, (height, width) = _window(span, branch), _size(span)
    wide = np.zeros((len(above), kernels.shape[1], *_size(window)))
    for row, column in np.ndindex(*kernels.shape[2:]):
        rows = slice(row, row + (height - 1) * branch.strides[0] + 1, branch.strides[0])
        columns = slice(column, column + (width - 1) * branch.strides[1] + 1, branch.strides[1])
        wide[:, :, rows, columns] += np.moveaxis(np.tensordot(above, kernels[:, :, row, column], (1, 0)), -1, 1)
    inside = _cut(window, branch)
    cut = [slice(part[0] - whole[0], part[1] - whole[0]) for part, whole in zip(inside, window)]
    fine = np.kron(wide[:, :, cut[0], cut[1]], np.ones((1, 1, *branch.pool))) / branch.area
    top, left = (part[0] * pool - there[0] for part, pool, there in zip(inside, branch.pool, seen))
    below[:, :, top:top + fine.shape[2], left:left + fine.shape[3]] += fine
