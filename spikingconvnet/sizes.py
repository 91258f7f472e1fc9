"""How much memory parameters ask for, estimated before anything is allocated."""

import math
import os
import resource

from spikingconvnet.errors import require

SHARE = 0.75        # of the memory there is that arrays may take
WINDOWS, MEMBRANES, BATCH = 400, 10, 250        # windows and samples that are looked at together, see ``training``


def memory():
    """Bytes that arrays of this process may take, of the machine's and of what a limit leaves to it."""
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return int(SHARE * (there if limit == resource.RLIM_INFINITY else min(there, limit)))


def require_fits(owner, field, value, size, power=1, there=None):
    """Raise a SettingsError that names the number that would fit, if a value asks for more memory than there is.

    Parameters
    ----------
    owner, field : str
    value : int
    size : int
        Bytes that the value asks for; they grow with its `power`.
    there : int or None
        Bytes that there are; None looks.
    """
    there = memory() if there is None else there
    fits = int(value * (there / size) ** (1 / power)) if size > there else value
    require(size <= there, owner, field, value,
            f"at most {fits:,}: it asks for {size / 1e9:,.1f} GB of memory, and {there / 1e9:,.1f} are there")


def check(settings, there=None):
    """:func:`require_fits` for what Settings ask for in all, as far as it can be said without the data set."""
    there, n = memory() if there is None else there, _images(settings)
    model, slot, inputs = settings.model, settings.slot, math.prod(settings.model.input_shape)
    require_fits("MODEL", "input_shape", inputs, 200 * inputs, 1, there)
    require_fits("parameters", "SLOT", slot, 24 * n * slot, 1, there)
    if hasattr(settings.encoder, "max_rate"):       # dense values of a batch at every step
        steps = settings.encoder.n_steps
        require_fits("ENCODER", "n_steps", steps, 20 * min(n, 1000) * inputs * steps, 1, there)
    for stage in model.stages:
        _check_layer(stage, settings, there)


def _images(settings):
    """Images of the largest split, as far as parameters say it."""
    n = max(settings.n_train or 1, settings.n_validation, settings.n_test or 1)
    return n * len(settings.classes) if settings.per_class else n


def _check_layer(stage, settings, there):
    kind, field = ("Dense", "units") if stage.dense else ("Conv2D", "filters")
    owner = f"layer {stage.number}: {kind}"
    filters, neurons = stage.layer.filters, math.prod(stage.out_shape)
    seen = math.prod(stage.layer.kernel_shape(stage.in_shape)[1:])
    positions = stage.out_shape[1] * stage.out_shape[2]
    weights = stage.out_shape[0] * stage.in_shape[0] * math.prod(stage.layer.kernel_size)
    require_fits(owner, field, filters, 60 * weights + 200 * neurons, 1, there)
    a_step = MEMBRANES * (12 * neurons + 4 * positions * seen)
    if settings.model.runs_as_one:
        a_step += 8 * BATCH * settings.model.stages[-1].layer.filters
    require_fits("parameters", "SLOT", settings.slot, settings.slot * a_step, 1, there)
    if stage.layer.lateral:
        require_fits(owner, field, filters, 100 * stage.out_shape[0] ** 2 * positions, 2, there)
    if not settings.model.runs_as_one:
        _check_training(stage, owner, field, seen, there)


def _check_training(stage, owner, field, seen, there):
    """One neuron a filter, each connected to all others, behind windows of which every input fires."""
    training, filters = stage.layer.training, stage.layer.filters
    require_fits(owner, field, filters, 100 * filters * max(seen, filters), 2, there)
    require_fits(f"layer {stage.number}: STDP", "slot", training.slot,
                 12 * min(WINDOWS, training.windows) * training.slot * filters, 1, there)
    require_fits(f"layer {stage.number}: STDP", "windows", training.windows,
                 training.windows * (120 * seen + 24 * training.slot), 1, there)
