"""What every backend is and gives back: the protocols of a backend and a simulation, recordings and weights.

``tests/test_protocols.py`` has every implementation pass the same tests.
"""

import logging
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from spikingconvnet.board.lowering import COUNTER_TEXTS, MANY_ZEROS
from spikingconvnet.errors import NetworkError, require
from spikingconvnet.network.arrays import ArrayLike, Counts16, Floats, Ints, Ints32
from spikingconvnet.network.netlist import Network
from spikingconvnet.network.spikes import Spikes

if TYPE_CHECKING:           # reads the provenance of boards from databases; most simulations have none
    from spikingconvnet.backends.spinnaker.provenance import Provenance

ACCUM = 32768.0     # s16.15: raw / 2**15
_printed: set[str] = set()      # kinds of warnings, where nobody has set up logging
Record: TypeAlias = Collection[str] | Mapping[str, ArrayLike]       # populations, or neurons of each


@dataclass(frozen=True, eq=False)
class Recording:
    """What was recorded since the last recording was taken.

    Attributes
    ----------
    spikes : dict of str to Spikes
        Every population of neurons and of Poisson sources; samples as in the network's given spikes.
    membranes : dict of str to dict of 'v', 'gsyn_exc', 'gsyn_inh' to int32 array (steps, neurons)
        Raw s16.15 of the populations or neurons asked for, in the order asked for: `v` before, the synaptic currents
        after the inputs of each step.
    saturated : dict of str to int
        Ring-buffer slots per population whose sum did not fit 16 bits and was cut, since the start of the simulation.
    counters : dict of str to dict of str to int
        What the board would do in silence to each projection: of its ``weights`` (of kernels, for a convolution that is
        a stage of its own) the ``lost_weights`` that round to zero and the ``wrapped_weights`` that do not fit their
        bits, the ``silent_delays`` of plastic synapses that are never delivered, and the ``extended_delays`` beyond the
        ring buffer, for which a board needs delay extensions.
    warnings : tuple of str
        The counters that are not 0, in words, and the populations that sPyNNaker puts on split cores.
    provenance : provenance.Provenance or None
        What a machine said about all runs since the start of the simulation; None where there is no machine.
    counts : dict of str to uint16 array (samples, maps * cells)
        Populations whose spikes were counted instead of kept, see ``local.simulator.open``; cut at 65535.
    """

    spikes: dict[str, Spikes]
    membranes: dict[str, dict[str, Ints32]] = field(default_factory=dict)
    saturated: dict[str, int] = field(default_factory=dict)
    counters: dict[str, dict[str, int]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    provenance: "Provenance | None" = None
    counts: dict[str, Counts16] = field(default_factory=dict)

    def membrane(self, label: str, variable: str = "v") -> Floats:
        """A membrane trace in mV, or a current in nA: float64 array (steps, neurons)."""
        return self.membranes[label][variable] / ACCUM

    def to_neo(self, network: Network, record: Record | None = None, t_start: float = 0.0) -> Any:
        """As a Block of neo: neo.Block; parameters and errors as of ``exchange.to_neo``."""
        from spikingconvnet import find

        return find("to_neo")(self, network, record, t_start)


def recorded_neurons(network: Network, record: Record) -> dict[str, Ints]:
    """Ids of the neurons whose membranes are recorded: dict of str to int64 array.

    Parameters
    ----------
    network : Network
    record : collection of str, or dict of str to int array
        Labels of populations, or their neurons in any order.

    Raises
    ------
    NetworkError
        For a population or neuron that does not exist.
    """
    sizes = {p.label: p.size for p in network.populations if not p.is_source}
    unknown = sorted(set(record) - set(sizes))
    if unknown:
        raise NetworkError(f"record: no population of neurons is called {unknown[0]!r}, there are {list(sizes)}")
    chosen = {label: np.asarray(record[label]) if isinstance(record, Mapping) else np.arange(sizes[label])
              for label in record}
    for label, ids in chosen.items():
        whole = ids.ndim == 1 and (not ids.size or (np.issubdtype(ids.dtype, np.integer) and ids.min() >= 0
                                                    and ids.max() < sizes[label]))
        require(whole, "record", label, ids.tolist(), f"a list of neurons 0 .. {sizes[label] - 1}", NetworkError)
    return {label: ids.astype(np.int64) for label, ids in chosen.items()}


def log_warnings(recording: Recording, logger: logging.Logger, said: set[str] | None = None) -> None:
    """Log what the board would have done in silence: lost or wrapped weights, silent synapses, cut ring buffers.

    A few weights that round to zero are a note. Where nobody has set up logging, which is where Python itself prints
    warnings, one of a kind is enough for a process, as of every fit and prediction of an estimator;
    and of the runs that share a set of kinds, `said`.
    """
    few = [COUNTER_TEXTS["lost_weights"].format(label=label, **counts) for label, counts in recording.counters.items()
           if counts["lost_weights"] <= MANY_ZEROS * counts["weights"]]
    for text in recording.warnings:
        if text in few:
            logger.info("note: %s", text)
        else:
            _warn(logger, text, said)
    for label, slots in recording.saturated.items():
        if slots:
            _warn(logger, f"population {label}: {slots} inputs of a step did not fit 16 bits and were cut; lower the"
                          " weights, or raise max_expected_summed_weight", said)


def _warn(logger: logging.Logger, text: str, said: set[str] | None) -> None:
    kind = re.sub(r"\b\d+\b", "N", text)
    known = [one for one in (said, None if logger.hasHandlers() else _printed) if one is not None]
    if any(kind in one for one in known):
        return
    for one in known:
        one.add(kind)
    logger.warning("warning: %s", text)


def joined(parts: Sequence[Spikes], slot: int | None) -> Spikes:
    """Recordings of one population one after another, in samples of `slot` steps if they are whole ones: Spikes."""
    spikes = Spikes.concatenate([Spikes(p.shape, 1, p.offsets, p.neurons) for p in parts])
    steps = len(spikes.offsets) - 1
    return Spikes(spikes.shape, slot if slot and steps % slot == 0 else steps, spikes.offsets, spikes.neurons)


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights of a projection, sorted by presynaptic, then postsynaptic neuron.

    Attributes
    ----------
    raw : int64 array (synapses,) or None
        The 16 bits on the board; None where there are none.
    value : float64 array (synapses,)
        nA.
    """

    raw: Ints | None
    value: Floats


@runtime_checkable
class Simulation(Protocol):
    """A network that is being simulated, a context that ends the simulation.

    Attributes
    ----------
    source_steps : int
        Steps on the timeline of the network's given spikes; 0 without any.
    provenance : provenance.Provenance or None
        What a machine has said about all runs so far; None where there is no machine.
    """

    source_steps: int
    provenance: "Provenance | None"

    def run(self, n_steps: int) -> None:
        """Simulate `n_steps` more steps, at least 1; a NetworkError for fewer."""

    def set(self, label: str, v_thresh: Floats) -> None:
        """Set the thresholds of a population, (size,) in mV, from the next step on; a NetworkError of another shape."""

    def weights(self, label: str) -> Weights:
        """Weights of a projection now, sorted by presynaptic, then postsynaptic neuron."""

    def recording(self) -> Recording:
        """What was recorded since the last call."""

    def __enter__(self) -> "Simulation": ...

    def __exit__(self, *_: object) -> None: ...


@runtime_checkable
class Backend(Protocol):
    """A module of ``backends``.

    Attributes
    ----------
    REPLICAS_AT_ONCE : int or None
        Simulations that may go on in one process at a time; None: as many as there are cores.
    """

    REPLICAS_AT_ONCE: int | None

    def open(self, network: Network, record: Record = (), jobs: int | None = None) -> Simulation:
        """Start a simulation; a NetworkError for what cannot be simulated."""
