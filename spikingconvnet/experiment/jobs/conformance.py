"""Conformance: small networks with every model, rule and connector that is deployed, and their integers.

Run on a board once, they say which of the claims of this package hold there: that it computes the integers of the local
engine. Networks of one time step that start at rest as often share a run, so there are three runs.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np

import spikingconvnet
from spikingconvnet import backends
from spikingconvnet.backends.base import Simulation
from spikingconvnet.compare import recorded, recorder
from spikingconvnet.compare.recorded import Recorded
from spikingconvnet.errors import StoreError
from spikingconvnet.experiment.jobs.archive import read_archive
from spikingconvnet.experiment.jobs.bundle import job_text
from spikingconvnet.experiment.jobs.sent import Task
from spikingconvnet.gates.progress import counted
from spikingconvnet.health.watch import Watch
from spikingconvnet.network.connectivity import ConnectionList, ConvConnections, DenseConnections, LateralInhibition
from spikingconvnet.network.netlist import Connections, Network, Plasticity, Population, Projection, together
from spikingconvnet.network.neurons import IFCurrDelta, IFCurrExp, Neuron, SpikeSourceArray
from spikingconvnet.network.plasticity import (
    MODULATED,
    WEIGHT_DEPENDENCES,
    Neuromodulation,
    STDPMechanism,
    TimingDependence,
    WeightDependence,
)
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.store.arrays import digest

SOURCES, CELLS, SAMPLES, SLOT = 8, 12, 3, 40
EXPECTED, FOUND = "expected", "found"           # folders of recordings
LEVELS = {"tau_m": 10.0, "v_rest": -65.0, "v_reset": -65.0, "v_thresh": -60.0, "tau_refrac": 2.0}
LIF = IFCurrExp(**LEVELS)
DELTA = IFCurrDelta(tau_m=20.0, v_rest=0.0, v_reset=0.0, v_thresh=1.0, tau_refrac=1.0, v=0.0)
NUMBERS = {"tau": 20.0, "A": 0.04, "alpha": 0.2, "w_min": 0.0, "w_max": 3.0}     # of rules, by how their names begin


def networks() -> dict[str, Network]:
    """What is tried, by name: dict of str to Network."""
    return {name: made(np.random.default_rng([number, 2026])) for number, (name, made) in enumerate(_MADE.items())}


def _spikes(shape: tuple[int, int, int], rng: np.random.Generator, rate: float = 0.15) -> Spikes:
    fired = rng.random((SAMPLES * SLOT, int(np.prod(shape)))) < rate
    step, neuron = np.nonzero(fired)
    return Spikes.from_events(step // SLOT, neuron, step % SLOT, shape, SAMPLES, SLOT)


def _list(rng: np.random.Generator, pre: int = SOURCES, largest_delay: int = 5, weight: float = 2.0) -> ConnectionList:
    at = np.argwhere(rng.random((pre, CELLS)) < 0.6)
    return ConnectionList(at[:, 0], at[:, 1], rng.uniform(0.2, weight, len(at)),
                          rng.integers(1, largest_delay + 1, len(at)))


def _network(cell: Neuron, *projections: tuple[str, Connections, str, Plasticity | None],
             rng: np.random.Generator, values: Mapping[str, Any] | None = None, timestep: float = 1.0,
             reset_every: int = 0) -> Network:
    """Sources and a population, with projections (presynaptic, connections, receptor, rule)."""
    shape = (1, 1, SOURCES)
    return Network((Population("in", shape, SpikeSourceArray(_spikes(shape, rng))),
                    Population("cells", (1, 1, CELLS), cell, dict(values or {}))),
                   tuple(Projection(f"p{i}", pre, "cells", connections, receptor, rule)
                         for i, (pre, connections, receptor, rule) in enumerate(projections)), timestep, reset_every)


def _static(cell: Neuron, rng: np.random.Generator, **more: Any) -> Network:
    delay, timestep = more.pop("largest_delay", 5), more.get("timestep", 1.0)
    return _network(cell, ("in", _list(rng, largest_delay=delay, weight=2.0 / timestep), "excitatory", None),
                    ("in", _list(rng, largest_delay=delay, weight=0.5), "inhibitory", None), rng=rng, **more)


def _rule(timing: type[TimingDependence], weight: type[WeightDependence]) -> STDPMechanism:
    """A rule of the two kinds, with numbers that move weights in a few spikes."""
    made: list[Any] = [kind(**{one.name: next(value for name, value in NUMBERS.items() if one.name.startswith(name))
                               for one in fields(kind)}) for kind in (timing, weight)]
    return STDPMechanism(*made)


def _by_neuron(rng: np.random.Generator) -> Network:
    values = {"i_offset": np.round(rng.uniform(0.0, 0.6, CELLS), 3),
              "v_thresh": np.round(rng.uniform(-62.0, -55.0, CELLS), 3)}
    return _static(LIF, rng, values=values)


def _dense(rng: np.random.Generator) -> Network:
    return _network(DELTA, ("in", DenseConnections(rng.uniform(0.1, 0.6, (SOURCES, CELLS))), "excitatory", None),
                    ("in", DenseConnections(rng.uniform(0.1, 0.3, (SOURCES, CELLS)), 2), "inhibitory", None), rng=rng)


def _lateral(rng: np.random.Generator) -> Network:
    return _network(LIF, ("in", _list(rng, weight=4.0), "excitatory", None),
                    ("cells", LateralInhibition(CELLS, 3.0), "inhibitory", None), rng=rng)


def _recurrent(rng: np.random.Generator) -> Network:
    return _network(LIF, ("in", _list(rng, weight=4.0), "excitatory", None),
                    ("cells", _list(rng, CELLS, 9, 1.0), "excitatory", None), rng=rng)


def _plastic(timing: type[TimingDependence], weight: type[WeightDependence], rng: np.random.Generator,
             delay: int = 5) -> Network:
    rule = _rule(timing, weight)
    return _network(LIF, ("in", _list(rng, largest_delay=delay, weight=3.0), "excitatory", rule),
                    ("in", _list(rng, weight=1.0), "inhibitory", None), rng=rng)


def _rewarded(timing: type[TimingDependence], weight: type[WeightDependence], rng: np.random.Generator) -> Network:
    """The teacher fires when no other source does, and nothing waits for a delay.

    Otherwise the order of packets within a step decides, which a board does not define (docs/architecture.md).
    """
    plain = _plastic(timing, weight, rng, delay=1)
    silent = np.flatnonzero(np.diff(plain.population("in").given_spikes.offsets) == 0)
    step, shape = rng.choice(silent, 12, replace=False), (1, 1, 2)
    taught = Spikes.from_events(step // SLOT, step % 2, step % SLOT, shape, SAMPLES, SLOT)
    reward = Projection("reward", "teacher", "cells", DenseConnections(np.full((2, CELLS), 0.1), 1, "machine"),
                        "reward", Neuromodulation(tau_c=100.0, tau_d=20.0, w_max=3.0))
    return replace(plain, populations=(*plain.populations, Population("teacher", shape, SpikeSourceArray(taught))),
                   projections=(*plain.projections, reward))


def _convolution(rng: np.random.Generator, reset_every: int = 0, **geometry: Any) -> Network:
    shape = (2, 8, 8)
    connections = ConvConnections(rng.uniform(-0.4, 1.2, (3, 2, 3, 3)), shape, **geometry)
    return Network((Population("in", shape, SpikeSourceArray(_spikes(shape, rng, 0.06))),
                    Population("cells", connections.post_shape, replace(LIF, tau_refrac=1.0), per_channel=True)),
                   (Projection("conv", "in", "cells", connections),), reset_every=reset_every)


_MADE: dict[str, Callable[[np.random.Generator], Network]] = {
    **{f"{kind.__name__}, a list, both receptors": partial(_static, kind(**LEVELS)) for kind in get_args(Neuron)},
    "parameters by neuron": _by_neuron,
    "delays of up to 60 steps": partial(_static, LIF, largest_delay=60),
    "dense weights, both receptors": _dense,
    "lateral inhibition": _lateral,
    "recurrent": _recurrent,
    "convolution, the connector": _convolution,
    "convolution, padded": partial(_convolution, padding=(1, 1)),
    "convolution, pooled": partial(_convolution, pool=(2, 2)),
    "convolution, strides, as lists": partial(_convolution, strides=(2, 2)),
    **{f"{timing.__name__}, {weight.__name__}": partial(_plastic, timing, weight)
       for timing, weights in WEIGHT_DEPENDENCES.items() for weight in weights},
    **{f"{timing.__name__}, {weight.__name__}, a reward": partial(_rewarded, timing, weight)
       for timing, weight in MODULATED[:1]},
    "images that start at rest": partial(_static, DELTA, reset_every=SLOT),
    "a step of 0.1 ms": partial(_static, LIF, timestep=0.1)}


def groups() -> Iterator[tuple[dict[str, str], Network]]:
    """What shares a run: names by the suffix of their labels, and all in one Network."""
    kinds: dict[tuple[float, int], dict[str, Network]] = {}
    for name, network in networks().items():
        kinds.setdefault((network.timestep, network.reset_every), {})[name] = network
    for parts in kinds.values():
        whole = together(list(parts.values())) if len(parts) > 1 else next(iter(parts.values()))
        yield {f"#{i}" if len(parts) > 1 else "": name for i, name in enumerate(parts)}, whole


def local(network: Network) -> Recorded:
    """What the local engine makes of a network."""
    return recorder.run(backends.open, network, {"made_on": "local"})


@dataclass(frozen=True)
class Claim:
    """Whether a network did on a board what the local engine says.

    Attributes
    ----------
    name : str
    differs : tuple of str
        Spikes, membranes and weights that are others; none if it holds.
    """

    name: str
    differs: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether every integer is the same."""
        return not self.differs


def claims(found: Callable[[Network], Recorded]) -> Iterator[Claim]:
    """Every network, as ``found(network)`` recorded it, beside the local engine: Claims, a run after another."""
    for names, network in counted(list(groups()), "conformance: runs"):
        yield from beside(names, local(network), found(network))


def beside(names: Mapping[str, str], ours: Recorded, theirs: Recorded) -> Iterator[Claim]:
    """Claims of the networks in a run: `names` by the suffix of their labels."""
    for suffix, name in names.items():
        yield Claim(name, tuple(_differing(suffix, ours, theirs)))


def _differing(suffix: str, ours: Recorded, theirs: Recorded) -> Iterator[str]:
    def own(label: str) -> bool:
        return label.endswith(suffix) and (suffix != "" or "#" not in label)

    for label, spikes in ours.spikes.items():
        if own(label) and digest(spikes.offsets, spikes.neurons) != digest(theirs.spikes[label].offsets,
                                                                           theirs.spikes[label].neurons):
            yield f"spikes of {label.partition('#')[0]}"
    for label, traces in ours.membranes.items():
        for kind, values in traces.items() if own(label) else ():
            if not np.array_equal(values, theirs.membranes.get(label, {}).get(kind, np.zeros(0))):
                yield f"{kind} of {label.partition('#')[0]}"
    for label, weights in ours.weights.items():
        if own(label) and label in theirs.weights and not np.array_equal(weights, theirs.weights[label]):
            yield f"weights of {label.partition('#')[0]}"


def on_board(directory: Path, **options: Any) -> Callable[[Network], Recorded]:
    """What records a network on a board; `options` are those of the backend."""
    backend: Any = backends.get_backend("spinnaker")

    def opened(network: Network, record: Any = ()) -> AbstractContextManager[Simulation]:
        return watch.open(backend.open(network, record, directory=directory, **options))

    watch = Watch("conformance", force=True)
    return lambda network: recorder.run(opened, network, {"made_on": "hardware"})


def pack() -> str:
    """Text of a job that runs all networks where a board is."""
    return job_text(Task(conformance=True), _nothing)


def _nothing(run: Path) -> str:
    """A job that needs no more than this package."""
    run.mkdir()
    return digest("conformance", spikingconvnet.__version__)


def record_all(run: Path, found: Callable[[Network], Recorded], finished: Callable[[], object]) -> None:
    """Record all networks into files of a folder, one a run."""
    for i, (_, network) in enumerate(groups()):
        path = run / FOUND / f"{i}.npz"
        if not path.is_file():
            recorded.save(path, found(network))
        finished()


def read(path: str | Path) -> list[Claim]:
    """What a job of :func:`pack` has brought: list of Claim.

    Raises
    ------
    StoreError
        The file is missing, cut, altered, no result of such a job, or lacks networks.
    """
    archive = read_archive(Path(path))
    if not archive.task.conformance:
        raise StoreError(f"{path}: is of a job of an experiment; read it with --mode collect")
    made: list[Claim] = []
    with tempfile.TemporaryDirectory(prefix="spikingconvnet-") as folder:
        for i, (names, network) in enumerate(groups()):
            data = archive.files.get(f"{FOUND}/{i}.npz")
            if data is None:
                raise StoreError(f"{path}: {archive.why()}")
            file = Path(folder, f"{i}.npz")
            file.write_bytes(data)
            made += beside(names, local(network), recorded.load(file, "--mode conformance job.py"))
    return made


def as_text(found: Sequence[Claim]) -> str:
    """A line for each network."""
    lines = [f"{'holds  ' if one.holds else 'DIFFERS'}  {one.name}" + "".join(f"; {what}" for what in one.differs)
             for one in found]
    return "\n".join((*lines, f"{sum(one.holds for one in found)} of {len(found)} networks: the integers of the local"
                              " engine"))
