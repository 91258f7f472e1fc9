"""How much memory parameters ask for, estimated before anything is allocated."""

import math
import os
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, TypeAlias

from spikingconvnet.errors import require

SHARE = 0.75        # of the memory there is that arrays may take
Asked: TypeAlias = int | tuple[int, int]        # bytes at a time, and the power with which they grow, 1 if left out
MEMBRANES, BATCH = 10, 250         # samples that are looked at together, see ``training``


def memory() -> int:
    """Bytes that arrays of this process may take, of the machine's and of what a limit leaves to it."""
    try:
        import psutil
    except ImportError:         # on the far side of a job, where there is sPyNNaker alone
        return int(SHARE * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    there = psutil.virtual_memory().total
    limit = psutil.Process().rlimit(psutil.RLIMIT_AS)[0] if hasattr(psutil, "RLIMIT_AS") else -1     # Linux
    return int(SHARE * (there if limit == -1 else min(there, limit)))


def require_fits(owner: str, field: str, value: int, *asked: Asked, there: int | None = None) -> None:
    """Raise a SettingsError that names the number that would fit, if a value asks for more memory than there is.

    Parameters
    ----------
    owner, field : str
    value : int
    asked : int or (int, int)
        Bytes that the value asks for at a time, and the power of the value with which they grow, 1 if it is left out.
    there : int or None
        Bytes that there are; None looks.
    """
    there = memory() if there is None else there
    grown = [one if isinstance(one, tuple) else (one, 1) for one in asked]
    fits = min(int(value * (there / size) ** (1 / power)) if size > there else value for size, power in grown)
    largest = max(size for size, _ in grown)
    require(largest <= there, owner, field, value,
            f"at most {fits:,}: it asks for {largest / 1e9:,.1f} GB of memory, and {there / 1e9:,.1f} are there")


def check(settings: Any, learning: Sequence[Sequence[Asked]] = ()) -> None:
    """:func:`require_fits` for what Settings ask for in all, as far as it can be said without the data set.

    Parameters
    ----------
    settings : Settings
    learning : list of list
        For each layer that learns by itself what its filters ask for while it does, see ``LayerRule.memory``.
    """
    there, n = memory(), _images(settings)
    slot, inputs = settings.slot, math.prod(settings.model.input_shape)
    require_fits("MODEL", "input_shape", inputs, 200 * inputs, there=there)
    require_fits("parameters", "SLOT", slot, 24 * n * slot, there=there)
    dense = hasattr(settings.encoder, "max_rate") and not hasattr(settings.encoder, "takes_events")
    if dense:       # dense values of a batch at every step
        steps = settings.encoder.n_steps
        require_fits("ENCODER", "n_steps", steps, 20 * min(n, 1000) * inputs * steps, there=there)
    for stage, asked in zip_longest(settings.model.stages, learning, fillvalue=()):
        _check_layer(stage, slot, settings.model, asked, there)


def _images(settings: Any) -> int:
    """Images of the largest split, as far as parameters say it."""
    n: int = max(settings.n_train or 1, settings.n_validation, settings.n_test or 1)
    return n * len(settings.classes) if settings.per_class else n


def _check_layer(stage: Any, slot: int, model: Any, learning: Sequence[Asked], there: int) -> None:
    """Of a filter or unit: its weights, and what its neurons do; of a step: what windows see, and membranes."""
    filters, maps, positions = stage.layer.filters, stage.out_shape[0], math.prod(stage.out_shape[1:])
    seen = math.prod(stage.layer.kernel_shape(stage.in_shape)[1:])
    weights = maps * stage.in_shape[0] * math.prod(stage.layer.kernel_size)
    require_fits("parameters", "SLOT", slot, slot * MEMBRANES * positions * (12 + 4 * seen), there=there)
    asked = [*learning, 60 * weights + maps * positions * (200 + 12 * MEMBRANES * slot)]
    if stage.layer.lateral:
        asked.append((100 * maps ** 2 * positions, 2))
    if model.runs_as_one:
        asked.append(8 * BATCH * slot * maps * (stage.number == len(model.stages)) or 1)
    require_fits(f"layer {stage.number}: {stage.kind}", stage.unit, filters, *asked, there=there)
