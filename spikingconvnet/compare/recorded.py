"""A recording with the network that it is of, as a value and as a file: what ``--record`` keeps and ``compare`` reads.

The file is an ``.npz`` of plain arrays, written and checked as everything in a run directory, see ``store``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from spikingconvnet.board.lowering import Lowered, lower
from spikingconvnet.errors import SettingsError, SpikingConvNetError, StoreError
from spikingconvnet.gates.schema import (
    ACCUM,
    FLOATS,
    INTEGER,
    TEXT,
    Array,
    Schema,
    Value,
    check_entries,
    is_integer,
    is_text,
    optional,
    refuse,
)
from spikingconvnet.network import serialisation
from spikingconvnet.network.arrays import AnyInts, Floats, Ints, Ints32, Numbers
from spikingconvnet.network.netlist import Network
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.store import schemas
from spikingconvnet.store.arrays import pack_spikes, unpack_spikes
from spikingconvnet.store.directory import RunDirectory

MEMBRANES = ("v", "gsyn_exc", "gsyn_inh")
KIND = "recording"
_LABELS = Value("a list of labels", lambda value: isinstance(value, list) and all(map(is_text, value)))
ABOUT = {               # what JSON tells of a recording
    "network": Value("a record", lambda value: isinstance(value, dict)),
    "n_steps": Value("a whole number of steps", lambda value: is_integer(value, 0, 1 << 31)),
    "how": Value("an object", lambda value: isinstance(value, dict)),
    "thresholds": Value("a list of steps and labels", lambda value: isinstance(value, list) and all(
        isinstance(part, list) and len(part) == 2 and is_text(part[1]) for part in value)),
    "spikes": _LABELS, "neurons": _LABELS, "weights": _LABELS}


@dataclass(frozen=True, eq=False)
class Recorded:
    """What a network did, from its first step on.

    Attributes
    ----------
    network : Network
    n_steps : int
    spikes : dict of str to Spikes
        Every population, sources included.
    neurons : dict of str to int64 array
        Ids of the neurons whose membranes were recorded.
    membranes : dict of str to dict of 'v', 'gsyn_exc', 'gsyn_inh' to int32 array (steps, neurons)
        Raw s16.15, see ``backends.base.Recording``.
    weights : dict of str to int64 array (synapses,)
        The 16 bits at the end, by projection, sorted by presynaptic, then postsynaptic neuron; those that the
        simulator tells.
    thresholds : tuple of (step, label, float array (size,))
        Thresholds (mV) that were set before a step.
    how : dict
        What JSON holds: ``made_on``, seed, version, what was shown.
    """

    network: Network
    n_steps: int
    spikes: dict[str, Spikes]
    neurons: dict[str, Ints] = field(default_factory=dict)
    membranes: dict[str, dict[str, Ints32]] = field(default_factory=dict)
    weights: dict[str, AnyInts] = field(default_factory=dict)
    thresholds: tuple[tuple[int, str, Floats], ...] = ()
    how: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def lowered(self) -> Lowered:
        """The network in a board's integers."""
        return lower(self.network)


def check_file(path: str | Path) -> None:
    """Raise a SettingsError unless `path` can name a recording."""
    if Path(path).suffix != ".npz" or Path(path).is_dir():
        raise SettingsError(f"--record: must be the name of a file that ends in .npz, got {str(path)!r}")


def save(path: str | Path, recorded: Recorded) -> None:
    """Write a recording, whole or not at all; SurroundingsError if the system refuses it."""
    tables: list[Numbers] = []
    about = {"network": serialisation.encode(recorded.network, tables), "n_steps": recorded.n_steps,
             "how": recorded.how,
             "thresholds": [(step, label) for step, label, _ in recorded.thresholds],
             "spikes": list(recorded.spikes), "neurons": list(recorded.neurons), "weights": list(recorded.weights)}
    arrays = {f"network/{i}": table for i, table in enumerate(tables)}
    arrays |= {f"threshold/{i}": values for i, (_, _, values) in enumerate(recorded.thresholds)}
    for i, spikes in enumerate(recorded.spikes.values()):
        arrays |= pack_spikes(spikes, f"spikes/{i}/")
    for i, (label, ids) in enumerate(recorded.neurons.items()):
        arrays[f"neurons/{i}"] = ids
        arrays |= {f"{name}/{i}": values for name, values in recorded.membranes[label].items()}
    arrays |= {f"weights/{i}": values for i, values in enumerate(recorded.weights.values())}
    path = Path(path)
    RunDirectory(path.parent).write(path.stem, KIND, about, **arrays)


def load(path: str | Path, command: str = "the command that made it, with --record") -> Recorded:
    """The recording in a file; one that is missing, damaged or something else is a StoreError."""
    path = Path(path)
    if path.suffix != ".npz":
        raise StoreError(f"{path}: is neither a run directory nor a recording, whose name would end in .npz;"
                         f" make one with: {command}")
    arrays = RunDirectory(path.parent).read(path.stem, command)
    about = arrays.pop("how")
    if "network" not in about:
        raise StoreError(f"{path}: is no recording; make one with: {command}")
    try:
        return _decoded(about, arrays)
    except (SpikingConvNetError, MemoryError, OverflowError, ValueError, TypeError) as error:
        raise StoreError(f"{path}: damaged ({error}); make it again with: {command}") from error


def _decoded(about: Mapping[str, Any], arrays: dict[str, Numbers]) -> Recorded:
    """The Recorded of what a file holds, once everything in it fits everything else."""
    check_entries(about, ABOUT, "how.")
    check_entries(about["how"], {"made_on": optional(TEXT), "shown": optional(TEXT), "version": optional(TEXT),
                                 "seed": optional(INTEGER)}, "how.how.")
    tables = [arrays.pop(name) for name in (f"network/{i}" for i in range(len(arrays))) if name in arrays]
    network = serialisation.decode(about["network"], tables)
    if not isinstance(network, Network):
        refuse("how.network", "a Network", type(network).__name__)
    Schema(_wanted(network, about)).check(arrays, about)
    spikes = {label: unpack_spikes(arrays, f"spikes/{i}/") for i, label in enumerate(about["spikes"])}
    for label, fired in spikes.items():
        fired.check_order()
        if fired.shape != network.population(label).shape:
            refuse(f"spikes of {label}", f"of shape {network.population(label).shape}", str(fired.shape))
    neurons = {label: arrays[f"neurons/{i}"] for i, label in enumerate(about["neurons"])}
    for label, ids in neurons.items():
        if (ids[1:] <= ids[:-1]).any():
            refuse(f"neurons of {label}", "ascending", "others")
    return Recorded(
        network, about["n_steps"], spikes, neurons,
        {label: {name: arrays[f"{name}/{i}"] for name in MEMBRANES if f"{name}/{i}" in arrays}
         for i, label in enumerate(about["neurons"])},
        {label: arrays[f"weights/{i}"] for i, label in enumerate(about["weights"])},
        tuple((step, label, arrays[f"threshold/{i}"]) for i, (step, label) in enumerate(about["thresholds"])),
        about["how"])


def _wanted(network: Network, about: Mapping[str, Any]) -> dict[str, Array]:
    """Arrays that belong to a recording of a network: dict of str to schema.Array."""
    size, steps = {p.label: p.size for p in network.populations}, about["n_steps"]
    labels = {"spikes": list(size), "neurons": [p.label for p in network.populations if not p.is_source],
              "weights": [p.label for p in network.projections]}
    for name, known in labels.items():
        told = set(about[name])
        if told - set(known) or len(told) < len(about[name]) or (name == "spikes" and told != set(known)):
            refuse(f"how.{name}", f"labels of the network, {known}", about[name])
    wanted = {}
    for i, (step, label) in enumerate(about["thresholds"]):
        if not (is_integer(step, 0, steps) and label in labels["neurons"]):
            refuse("how.thresholds", f"steps up to {steps} and labels of {labels['neurons']}", [step, label])
        wanted[f"threshold/{i}"] = Array(FLOATS, (size[label],), -ACCUM, ACCUM)
    for i, _ in enumerate(about["spikes"]):
        wanted |= {f"spikes/{i}/{name}": part for name, part in schemas.SPIKES.items()}
        wanted[f"spikes/{i}/counts"] = Array(schemas.IDS, (steps,))
        wanted[f"spikes/{i}/neurons"] = Array(schemas.IDS, (f"spikes {i}",))
    for i, label in enumerate(about["neurons"]):
        wanted[f"neurons/{i}"] = Array("int64", (f"recorded {i}",), 0, size[label] - 1)
        wanted |= {f"{name}/{i}": Array("int32", (steps, f"recorded {i}"), optional=True) for name in MEMBRANES}
    for i, label in enumerate(about["weights"]):
        synapses = len(network.projection(label).connections.to_list().pre)
        wanted[f"weights/{i}"] = Array("int64 int32 uint16 uint32", (synapses,), 0, 65535)
    return wanted
