"""A recording with the network that it is of, as a value and as a file: what ``--record`` keeps and ``compare`` reads.

The file is an ``.npz`` of plain arrays, written and checked as everything in a run directory, see ``store``.
"""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from spikingconvnet.backends.local.lowering import lower
from spikingconvnet.deployment import netlist, stored
from spikingconvnet.errors import NetworkError, SettingsError, SpikingConvNetError, StoreError
from spikingconvnet.network import Network
from spikingconvnet.schema import (
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
from spikingconvnet.spikes import Spikes
from spikingconvnet.store import RunDirectory, pack_spikes, unpack_spikes

NEURONS = 64                # of every population, membranes are recorded
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
    spikes: dict
    neurons: dict = field(default_factory=dict)
    membranes: dict = field(default_factory=dict)
    weights: dict = field(default_factory=dict)
    thresholds: tuple = ()
    how: dict = field(default_factory=dict)

    @cached_property
    def lowered(self):
        """The network in a board's integers."""
        return lower(self.network)


class Recorder:
    """A backend's simulation that remembers what it gave: used in its place, it has the same methods.

    Parameters
    ----------
    simulation : context manager of a Simulation
        Opened with ``record=neurons``.
    network : Network
    neurons : dict of str to int64 array
    how : dict
    keep : callable
        ``keep(recorded)`` is called when the simulation ends without an error.
    """

    def __init__(self, simulation, network, neurons, how, keep):
        self._opened, self._network, self._neurons, self._how = simulation, network, neurons, how
        self._keep, self._chunks, self._thresholds, self._t = keep, [], [], 0

    def __getattr__(self, name):
        return getattr(self._simulation, name)

    def __enter__(self):
        self._simulation = self._opened.__enter__()
        return self

    def __exit__(self, kind, *error):
        try:
            if kind is None:
                self._keep(self._recorded())
        finally:
            self._opened.__exit__(kind, *error)

    def run(self, n_steps):
        """Simulate `n_steps` more steps."""
        self._simulation.run(n_steps)
        self._t += n_steps

    def set(self, label, v_thresh):
        """Set the thresholds of a population."""
        self._simulation.set(label, v_thresh)
        self._thresholds.append((self._t, label, np.array(v_thresh, np.float64)))

    def recording(self):
        """What was recorded since the last call: Recording."""
        self._chunks.append(self._simulation.recording())
        return self._chunks[-1]

    def _recorded(self):
        chunks, steps = self._chunks, self._t
        given = [p for p in self._network.populations if p.has_given_spikes]
        slot = next((p.cell.spikes.n_steps for p in given), steps)
        spikes = {p.label: shown(p.cell.spikes, steps, slot) for p in given}
        spikes |= {label: joined([chunk.spikes[label] for chunk in chunks], slot) for label in chunks[0].spikes}
        membranes = {label: {name: np.concatenate([chunk.membranes[label][name] for chunk in chunks])
                             for name in traces} for label, traces in chunks[0].membranes.items()}
        return Recorded(self._network, steps, spikes, self._neurons, membranes, self._weights(),
                        tuple(self._thresholds), self._how)

    def _weights(self):
        found = {}
        for projection in self._network.projections:
            try:
                found[projection.label] = self._simulation.weights(projection.label).raw
            except NetworkError:        # a kernel that sPyNNaker does not read back
                continue
        return {label: raw for label, raw in found.items() if raw is not None}


def recording(open_network, how, keep, chosen=lambda network: True):
    """``open_network`` whose simulations of `chosen` networks are recorded, with membranes of `NEURONS` each.

    Parameters
    ----------
    open_network : callable
        ``open`` of a backend.
    how : dict
    keep : callable
        ``keep(recorded)``, see :class:`Recorder`.
    chosen : callable
        ``chosen(network)`` tells whether a network is recorded.
    """
    def opened(network, record=(), **options):
        if not chosen(network):
            return open_network(network, record, **options)
        neurons = {p.label: spread(p.size) for p in network.populations if not p.is_source}
        return Recorder(open_network(network, neurons, **options), network, neurons, how, keep)

    return opened


def spread(size, n=NEURONS):
    """At most `n` neurons of a population, evenly spread so that every map and core has some: int64 array."""
    return np.unique(np.linspace(0, size - 1, min(n, size)).astype(np.int64))


def learns(network):
    """Whether a network has a projection that learns."""
    return any(p.learns for p in network.projections)


def joined(parts, slot):
    """Spikes of consecutive chunks as one, in samples of `slot` steps if they are whole."""
    whole = Spikes.concatenate([Spikes(p.shape, 1, p.offsets, p.neurons) for p in parts])
    steps = len(whole.offsets) - 1
    return Spikes(whole.shape, slot if steps % slot == 0 else steps, whole.offsets, whole.neurons)


def shown(spikes, steps, slot):
    """The first `steps` steps of a timeline, silent beyond its end."""
    offsets = np.concatenate([spikes.offsets, np.full(max(0, steps + 1 - len(spikes.offsets)), spikes.offsets[-1])])
    part = Spikes(spikes.shape, 1, offsets[:steps + 1], spikes.neurons[:offsets[steps]])
    return joined([part], slot)


# ---------------------------------------------------------------- files


def check_file(path):
    """Raise a SettingsError unless `path` can name a recording."""
    if Path(path).suffix != ".npz" or Path(path).is_dir():
        raise SettingsError(f"--record: must be the name of a file that ends in .npz, got {str(path)!r}")


def save(path, recorded):
    """Write a recording, whole or not at all; StoreError if that fails."""
    tables = []
    about = {"network": netlist.encode(recorded.network, tables), "n_steps": recorded.n_steps, "how": recorded.how,
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


def load(path, command="the command that made it, with --record"):
    """The recording in a file; one that is missing, damaged or something else is a StoreError."""
    path = Path(path)
    if path.suffix != ".npz":
        raise StoreError(f"{path}: is neither a run directory nor a recording, whose name would end in .npz")
    arrays = RunDirectory(path.parent).read(path.stem, command)
    about = arrays.pop("how")
    if "network" not in about:
        raise StoreError(f"{path}: is no recording; make one with: {command}")
    try:
        return _decoded(about, arrays)
    except (SpikingConvNetError, MemoryError, OverflowError, ValueError, TypeError) as error:
        raise StoreError(f"{path}: damaged ({error}); make it again with: {command}") from error


def _decoded(about, arrays):
    """The Recorded of what a file holds, once everything in it fits everything else."""
    check_entries(about, ABOUT, "how.")
    check_entries(about["how"], {"made_on": optional(TEXT), "shown": optional(TEXT), "version": optional(TEXT),
                                 "seed": optional(INTEGER)}, "how.how.")
    tables = [arrays.pop(name) for name in (f"network/{i}" for i in range(len(arrays))) if name in arrays]
    network = netlist.decode(about["network"], tables)
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


def _wanted(network, about):
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
        wanted |= {f"spikes/{i}/{name}": part for name, part in stored.SPIKES.items()}
        wanted[f"spikes/{i}/counts"] = Array(stored.IDS, (steps,))
        wanted[f"spikes/{i}/neurons"] = Array(stored.IDS, (f"spikes {i}",))
    for i, label in enumerate(about["neurons"]):
        wanted[f"neurons/{i}"] = Array("int64", (f"recorded {i}",), 0, size[label] - 1)
        wanted |= {f"{name}/{i}": Array("int32", (steps, f"recorded {i}"), optional=True) for name in MEMBRANES}
    for i, label in enumerate(about["weights"]):
        synapses = len(network.projection(label).connections.to_list().pre)
        wanted[f"weights/{i}"] = Array("int64 int32 uint16 uint32", (synapses,), 0, 65535)
    return wanted


def run(open_network, network, how):
    """A network simulated for all steps of its sources: Recorded."""
    kept = []
    with recording(open_network, how, kept.append)(network) as simulation:
        simulation.run(simulation.source_steps)
        simulation.recording()
    return kept[0]

