"""Spikes as tables, a row a spike: what files of other programs and neo have in common.

What rows cannot tell, the shapes of populations and how long their samples are, stands beside them as JSON::

    {"timestep": 1.0, "populations": {"cells": {"shape": [1, 2, 3], "samples": 4, "steps": 28}}}
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from spikingconvnet.errors import DataError, SpikingConvNetError, require
from spikingconvnet.gates.schema import Value, check_entries, is_integer, is_number, is_text, parse_json
from spikingconvnet.gates.sizes import memory
from spikingconvnet.network.arrays import Flags, Floats, Ints, Numbers, Shape
from spikingconvnet.network.netlist import Network
from spikingconvnet.network.spikes import Spikes

MOST = (1 << 31) - 1        # of a neuron, a sample, a step
COUNT = Value("a whole number, 1 or more", lambda value: is_integer(value, 1, MOST))
SHAPE = Value("three sizes of at most 2**31 neurons", lambda value: isinstance(value, list) and len(value) == 3 and all(
    is_integer(one, 1, MOST) for one in value) and math.prod(value) <= MOST)
ABOUT = {"timestep": Value("ms, above 0", lambda value: is_number(value, 1e-6, 1e6)),
         "populations": Value("an object", lambda value: isinstance(value, dict) and all(map(is_text, value)))}
DIGITS, GRID = 9, 6         # of a ms, of a step, that a time has


@dataclass(frozen=True)
class Sizes:
    """Of a population's spikes: shape, number of samples, steps of each; None is what nothing tells."""

    shape: Shape | None = None
    samples: int | None = None
    steps: int | None = None


@dataclass(frozen=True)
class About:
    """What stands beside a table: ms of a step, None if nothing tells it, and sizes by label."""

    timestep: float | None = None
    sizes: dict[str, Sizes] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Events:
    """Rows of one population.

    Attributes
    ----------
    sample, neuron : int64 array (rows,)
    time : float64 array (rows,)
        ms since the sample began.
    lines : int64 array (rows,) or None
        Where the rows stand in a file of text.
    """

    sample: Ints
    neuron: Ints
    time: Floats
    lines: Ints | None = None

    def check(self, name: str, values: Numbers, good: Flags, wanted: str) -> None:
        """Raise a DataError that names the first row which is not `good`, a bool array (rows,)."""
        if not good.all():
            row = int(good.argmin())
            place = f"spike {row + 1}" if self.lines is None else f"line {self.lines[row]}"
            raise DataError(f"{place}: {name} must be {wanted}, got {values[row]:g}")


NO_ROWS = Events(*(np.zeros(0, np.int64),) * 2, np.zeros(0))


def write_about(spikes: Mapping[str, Spikes], timestep: float) -> str:
    """The JSON beside the rows of some spikes; ``timestep`` in ms. A SettingsError for a label that is no text."""
    for label in spikes:
        require(is_text(label), "spikes", "label", label, "a text for one line")
    return json.dumps({"timestep": timestep, "populations": {
        label: {"shape": list(map(int, one.shape)), "samples": one.n_samples, "steps": one.n_steps}
        for label, one in spikes.items()}})


def read_about(text: str) -> About:
    """What JSON tells; a DataError if it is damaged."""
    try:
        told = parse_json(text)
        check_entries(told, ABOUT)
        for label, entry in told["populations"].items():
            check_entries(entry if isinstance(entry, dict) else {}, {"shape": SHAPE, "samples": COUNT, "steps": COUNT},
                          f"{label}.")
    except (SpikingConvNetError, ValueError, RecursionError) as error:
        raise DataError(f"what it tells of itself is damaged ({error})") from error
    return About(float(told["timestep"]), {label: Sizes(tuple(one["shape"]), one["samples"], one["steps"])
                                           for label, one in told["populations"].items()})


def rows_of(spikes: Spikes, timestep: float) -> Events:
    """The rows of a population, in the order of time."""
    sample, neuron, step = spikes.events()
    return Events(sample, neuron, np.round(step.astype(np.float64) * timestep, DIGITS))


def assembled(tables: Mapping[str, Events], about: About, network: Network | None = None) -> dict[str, Spikes]:
    """The spikes that tables hold.

    Parameters
    ----------
    tables : dict of str to Events
        By label; rows without one have the label ``''``.
    about : About
    network : Network or None
        Tells shapes and the time step, where `about` does not.

    Returns
    -------
    dict of str to Spikes
        Silent populations among them, where `about` tells of them. Without sizes a population has as many neurons,
        samples and steps as its last spike needs, samples and steps as many as all other ones.

    Raises
    ------
    DataError
        A row that does not fit, by its place; labels, shapes or a time step that are not the network's; more than
        fits into memory.
    """
    about, tables = _fitted(about, tables, network), _named(tables, network)
    steps = {label: _steps(one, about.timestep or 1.0) for label, one in tables.items()}
    silent = [label for label, one in about.sizes.items() if one.samples and label not in tables]
    rows = {**dict.fromkeys(silent, NO_ROWS), **tables}
    common = [1 + max((int(one.max(initial=0)) for one in parts), default=0) for parts in (
        [one.sample for one in tables.values()], steps.values())]
    sizes = {label: _sizes(about.sizes.get(label, Sizes()), one, *common) for label, one in rows.items()}
    asked = sum(16 * samples * length for _, samples, length in sizes.values())
    if asked > memory():
        raise DataError(f"its samples and steps ask for {asked / 1e9:,.0f} GB of memory; give it fewer")
    return {label: _spikes(one, steps.get(label, NO_ROWS.sample), *sizes[label]) for label, one in rows.items()}


def _fitted(about: About, tables: Mapping[str, Events], network: Network | None) -> About:
    """What is told of populations, with the time step and the shapes of a network."""
    if network is None:
        return about
    if about.timestep not in (None, network.timestep):
        raise DataError(f"its steps are of {about.timestep:g} ms, those of the network of {network.timestep:g}")
    known = {p.label: p for p in network.populations}
    for label in {**about.sizes, **tables}:
        if label and label not in known:
            raise DataError(f"{label!r} is no population of the network; there are {', '.join(map(repr, known))}")
    told = {label: about.sizes.get(label, Sizes()) for label in known}
    for label, one in told.items():
        if one.shape is not None and math.prod(one.shape) != known[label].size:
            raise DataError(f"{label!r} has the shape {one.shape}, in the network it has {known[label].shape}")
    return About(network.timestep, {label: replace(one, shape=known[label].shape) for label, one in told.items()})


def _named(tables: Mapping[str, Events], network: Network | None) -> Mapping[str, Events]:
    """Rows without a label are those of the network's only source."""
    if "" not in tables or network is None:
        return tables
    sources = [p.label for p in network.populations if p.is_source]
    if len(sources) != 1 or len(tables) > 1:
        raise DataError(f"its spikes say no population; name one of {', '.join(map(repr, sources))}")
    return {sources[0]: tables[""]}


def whole_steps(times: Floats, timestep: float) -> Floats:
    """Steps of times in ms; one between two steps belongs to the later one, as sPyNNaker takes it.

    Source: spike_source_array_vertex.py, _as_numpy_ticks.

    >>> whole_steps(np.array([0.1 * 3, 0.31]), 0.1)
    array([3., 4.])
    """
    return np.asarray(np.ceil(np.round(times / timestep, GRID)))


def _steps(events: Events, timestep: float) -> Ints:
    steps = whole_steps(events.time, timestep)
    events.check("time", events.time, (steps >= 0) & (steps <= MOST), f"0 to {MOST * timestep:g} ms")
    return steps.astype(np.int64)


def _sizes(told: Sizes, events: Events, samples: int, steps: int) -> tuple[Shape, int, int]:
    """Shape, samples and steps of one population, those that nothing tells from the rows."""
    return (told.shape or (1 + int(events.neuron.max(initial=0)), 1, 1), told.samples or samples, told.steps or steps)


def _spikes(events: Events, step: Ints, shape: Shape, samples: int, steps: int) -> Spikes:
    for name, values, most in (("neuron", events.neuron, math.prod(shape)), ("sample", events.sample, samples)):
        events.check(name, values, (values >= 0) & (values < most), f"0 to {most - 1}")
    events.check("time", events.time, step < steps, f"within the {steps} steps of its sample")
    return Spikes.from_events(events.sample, events.neuron, step, shape, samples, steps)
