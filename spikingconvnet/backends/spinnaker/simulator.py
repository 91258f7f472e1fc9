"""The spinnaker backend: a network through sPyNNaker on a board, an emulated board or a virtual one.

sPyNNaker reads its configuration from files in the home directory and in the current one. Here it is written for
every run into a directory of the run, which is the home directory while sPyNNaker looks for it; nothing of the user's
is read or written. Files and lines are those of sPyNNaker 7.4.1 and of the packages that it comes with. Whatever fails
inside sPyNNaker is a SimulationFailed that names the file with its messages.
"""

import logging
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from spikingconvnet.backends.base import Record, Recording, Weights, joined, recorded_neurons
from spikingconvnet.backends.pynn import simulator as pynn
from spikingconvnet.backends.pynn.dialect import Dialect, load
from spikingconvnet.backends.spinnaker import allocated, failures, provenance
from spikingconvnet.backends.spinnaker.databases import kept_open
from spikingconvnet.backends.spinnaker.machine import (
    LOG,
    ConfiguredHere,
    Hiding,
    Machine,
    chips,
    configuration,
    hide_in,
    is_own,
    machine_section,
    messages_to,
    private_configuration,
    provenance_database,
    sources_in_phase,
)
from spikingconvnet.backends.spinnaker.provenance import Core, Loads, Provenance, Told
from spikingconvnet.board import dtcm
from spikingconvnet.board.connectors import check_reset, fixed_scales
from spikingconvnet.board.lowering import Lowered, lower
from spikingconvnet.board.partition import convolutions, split_populations, tile
from spikingconvnet.board.resources import boards_needed
from spikingconvnet.board.rules import AMOUNT_SHIFT
from spikingconvnet.board.split_cores import ROW_LIMIT
from spikingconvnet.errors import (
    BackendError,
    IncompleteRecording,
    NetworkError,
    SimulationFailed,
    SpikingConvNetError,
    require,
)
from spikingconvnet.network.arrays import ArrayLike, Floats, Ints
from spikingconvnet.network.connectivity import ConvConnections
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.spikes import Spikes

logger = logging.getLogger(__name__)

REPLICAS_AT_ONCE = 1        # sPyNNaker keeps its state in globals
DIALECT = Dialect(
    "spinnaker", "pyNN.spiNNaker", "spinnaker", row_limit=ROW_LIMIT, splits_channels=True, resets=True)
COLOURS = 16                # 2 ** n_colour_bits, spynnaker.cfg:56
ROUNDED_UP = 1e-6           # ms; it tells of more than 1e-5, abstract_spinnaker_base.py:377


def open(network: Network, record: Record = (), jobs: int | None = None, target: str | Machine = "emulated",
         directory: Path | None = None, time_scale: int = 1, packet_buffer: int | None = None,
         timed: bool = False) -> "Simulation":
    """Start a simulation of `network` on a SpiNNaker machine.

    Parameters
    ----------
    network : Network
    record : collection of str, or dict of str to int array
        As for the local backend.
    jobs : None
        Not used; a board has its own cores.
    target : str or emulator.Board
        See ``backends.TARGETS``; or an emulated board that is already there.
    directory : Path or None
        Where the configuration and sPyNNaker's reports go; None takes a temporary one.
    time_scale : int
        How many times slower than real time a board runs, so that busy steps are done in time.
    packet_buffer : int or None
        Packets that each core holds until it works them off, 4 bytes each; None is sPyNNaker's own number.
    timed : bool
        Whether work takes time on the emulated board that is made for it.

    Returns
    -------
    Simulation

    Raises
    ------
    BackendError
        Without sPyNNaker, without a board, or on a virtual board, which computes nothing.
    NetworkError
        For what no board can run: sPyNNaker cannot map it, or a core does not have the memory (``dtcm``). For what it
        would compute otherwise than the engine: :func:`check_reset`, ``lowering.lower``.
    """
    if target == "virtual":
        raise BackendError("--target virtual: a virtual board only maps a network and computes nothing, so it neither"
                           " trains nor tests; use --target emulated")
    sim = load(DIALECT)
    recorded = recorded_neurons(network, record)
    lowered = lower(network)
    check_reset(network, lowered)
    with ExitStack() as resources:
        home = Path(directory or tempfile.mkdtemp(prefix="spikingconvnet-")).resolve()  # written into to the very end
        boards = boards_needed(network, recorded) if target == "emulated" else 1
        machine, loads = resources.enter_context(machine_section(target, timed, boards))
        if "virtual_board" not in machine:
            dtcm.require_fits(network, recorded, packet_buffer)
        resources.enter_context(failures.patient(emulated="post_simulation_overrun" in machine))    # for those alone
        resources.enter_context(kept_open())
        resources.enter_context(sources_in_phase())
        is_job = isinstance(target, ConfiguredHere)     # whose reports a service gives back from where it runs
        text = configuration(machine, Path.cwd() if is_job else home, packet_buffer)
        resources.enter_context(private_configuration(home, text, is_job))
        simulation = Simulation(network, sim, recorded, lowered, home / LOG, time_scale)
        simulation.keeps_reports, simulation.loads = is_job, loads
        simulation.resources = resources.pop_all()
    for choice in dict.fromkeys(f"{label.partition('#')[0]}: {choice}" for label, choice in simulation.choices.items()):
        logger.info("%s", choice)                       # once for all copies
    return simulation


def _states(error: object) -> list[Told]:
    """States of the cores that an error of sPyNNaker is about: (x, y, p, state)."""
    infos: Any = getattr(error, "failed_core_states", tuple)()
    return [(*place, infos.get_cpu_info(*place).state.name) for place in infos]


class Simulation(pynn.Simulation):
    """A network on a SpiNNaker machine, see ``simulator.Simulation``.

    Parameters
    ----------
    network : Network
    sim : module
    record : dict of str to int64 array
    lowered : Lowered
        The network in the board's integers.
    log : Path
        File that sPyNNaker's progress goes to.
    time_scale : int
    """

    def __init__(self, network: Network, sim: Any, record: dict[str, Ints], lowered: Lowered, log: Path,
                 time_scale: int = 1) -> None:
        self._lowered, self._log, self._time_scale = lowered, log, time_scale
        self.resources, self.keeps_reports = ExitStack(), False
        self.loads: Callable[[], Loads] = dict          # of a board in time
        self._ends: list[int] = []
        self._earlier: list[Provenance] = []
        self._failed: BackendError | None = None
        self._chosen: dict[str, list[int]] = {}
        self._finished: list[Recording] = []
        self._mechanisms: dict[str, tuple[Any, object]] = {}
        self._connectors, self.choices = convolutions(network)
        ends = {label: network.projection(label) for label in self._connectors}
        self._planes = {population for p in ends.values() for population in (p.pre, p.post)}
        self._split = split_populations(network, self._connectors)
        with self._apart():
            dialect = replace(DIALECT, setup={"time_scale_factor": time_scale})
            super().__init__(network, sim, dialect, record, fixed_scales(network, lowered, self._planes))
        for projection in network.projections:          # lowered for their counters
            is_conv = isinstance(projection.connections, ConvConnections) and projection.plasticity is None
            (lowered.convolution if is_conv else lowered.projection)(projection.label)

    def __exit__(self, *raised: Any) -> None:
        with self.resources:
            try:
                with self._telling(), self._apart():
                    kept = self._failed or self.keeps_reports or not self._ends      # what failed is looked at later
                    done_with = [] if kept else [Path(provenance_database())]
                    super().__exit__(*raised)
                    for database in done_with:
                        database.unlink(missing_ok=True)
            except SimulationFailed:
                if raised[1] is None:       # otherwise the first failure is the one to tell of
                    raise

    def run(self, n_steps: int) -> None:
        """Simulate `n_steps` more steps. NetworkError if there are none."""
        with self._telling(), self._apart():
            super().run(n_steps)

    def set(self, label: str, v_thresh: ArrayLike) -> None:
        """Set the thresholds of a population: float array (size,) in mV. NetworkError for another shape."""
        with self._telling(), self._apart():
            super().set(label, v_thresh)

    def recording(self) -> Recording:
        """What was recorded since the last call: Recording, with what the board does in silence.

        Raises
        ------
        IncompleteRecording
            Of some steps there are no membranes. Like all failures here, it has the provenance of the runs.
        """
        with self._telling(), self._apart():
            recording = self._joined() if self._finished else self._recorded()
        return replace(recording, counters=self._counters(), warnings=tuple(self._lowered.warnings),
                       provenance=self.provenance)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Have whatever fails inside tell what the machine has said about the runs so far."""
        try:
            yield
        except BackendError as error:
            self._failed = error
            error.provenance = self.provenance
            raise

    def _recorded(self) -> Recording:
        """What sPyNNaker has recorded, if it is all there: its own reading fails or moves steps otherwise."""
        if self.record:
            found = self._since_reset()
            gap = next((r for r in found.readings if r.item == provenance.MISSING_STEPS and r.value), None)
            if gap is not None:
                core = next(core for core in found.cores if (core.x, core.y, core.p) == (gap.x, gap.y, gap.p))
                raise IncompleteRecording(f"sPyNNaker: the recording lacks {gap.value} of {found.ends[-1]} steps of"
                                          f" {core} and is not taken for a whole one; its messages are in {self._log}")
        return super().recording()

    def _counters(self) -> dict[str, dict[str, int]]:
        return {label: dict(counts) for label, counts in self._lowered.counters.items()}

    @property
    def provenance(self) -> Provenance:
        """What the machine says about the runs so far: provenance.Provenance; to be asked for before the end."""
        return replace(self._since_reset(), earlier=tuple(self._earlier), loads={} if self._failed else self.loads())

    def _since_reset(self) -> Provenance:
        """What the machine says about the runs since the start or the last reset."""
        known: dict[str, Any] = {"ends": tuple(self._ends), "time_scale": self._time_scale,
                                 "counters": self._counters()}
        if isinstance(self._failed, SimulationFailed):
            known |= {"failure": str(self._failed), "states": tuple(_states(self._failed.__cause__)),
                      "said": provenance.said(provenance_database())}
        try:
            with self._apart():
                return replace(provenance.read(provenance_database()), cores=tuple(self._cores()), chips=tuple(chips()),
                               **known)
        except BackendError:
            if self._failed is None:
                raise
            return Provenance(**known)       # a run that has failed may have left nothing

    def _cores(self) -> Iterator[Core]:
        """The cores of the network that sPyNNaker reads provenance from: Cores."""
        from spinn_front_end_common.interface.provenance import AbstractProvidesProvenanceDataFromMachine
        from spynnaker.pyNN.data import SpynnakerDataView as view

        parts = {part.label: (label, begin) for label, all_parts in self._parts.items() for begin, part in all_parts}
        given, counters = self._given(), self._lowered.counters
        silent = {p.post for p in self.network.projections if counters.get(p.label, {}).get("silent_delays")}
        for place in view.iterate_placemements():
            vertex = place.vertex
            if is_own(vertex) and isinstance(vertex, AbstractProvidesProvenanceDataFromMachine):
                label, begin = parts.get(vertex.app_vertex.label, (vertex.app_vertex.label, 0))
                ids = vertex.vertex_slice.get_raster_ids() + begin
                counts = given.get((label, begin))
                yield Core(place.x, place.y, place.p, label, int(ids.min()), int(ids.max()),
                           None if counts is None else int(counts[ids].sum()), label in silent)

    def _given(self) -> dict[tuple[str, int], Ints]:
        """Spikes by neuron that sources were given for the steps so far, by population and first neuron of a part.

        A source that projects to nobody sends nothing. The counts of cores, unlike their time, go on through resets.
        """
        found: dict[tuple[str, int], Ints] = {}
        for label in {p.pre for p in self.network.projections}:
            population = self.network.population(label)
            if population.has_given_spikes:
                spikes = population.given_spikes
                until = spikes.offsets[min(self.t, len(spikes.offsets) - 1)]
                counts = np.bincount(spikes.neurons[:until], minlength=population.size)
                found |= {(label, begin): counts for p in self.network.projections if p.pre == label
                          for begin, _, _ in self._projections[p.label]}
        return found

    def _start_anew(self) -> None:
        """Everything back to the start, and the spikes of the next image into the sources.

        sPyNNaker 7.4.1 cannot do the latter by ``set(spike_times=...)`` for more than one source: it takes an array's
        indices to a list (``reverse_ip_tag_multi_cast_source.py:173``).
        """
        self._earlier.append(self._since_reset())
        self._ends = []
        self.sim.reset()
        self._origin = self.t
        for population in self.network.populations:
            if population.has_given_spikes:
                for first, part in self._parts[population.label]:
                    times = self._source_times(population.given_spikes, first, part.size)
                    ticks = np.empty(len(times), object)
                    ticks[:] = [np.rint(one / self.network.timestep).astype(np.int64) for one in times]
                    part._vertex.send_buffer_times = ticks

    def _source_times(self, spikes: Spikes, first: int, size: int) -> list[Floats]:
        """Of the image that begins now, and a spike of every source behind its end.

        sPyNNaker reserves memory for the busiest step when it maps the first image, and later ones may be busier.
        """
        every, dt = self.network.reset_every, self.network.timestep
        if not every:
            return super()._source_times(spikes, first, size)
        image = spikes.window(self._origin, every)
        times = super()._source_times(image, first, size)
        return [np.append(one, (every + COLOURS) * dt) for one in times]

    def _duration(self, n_steps: int) -> float:
        """Less by what sPyNNaker tolerates in silence, because it rounds up to whole steps: 57 * 0.2 / 0.2 is above 57.

        Source: SpiNNFrontEndCommon 7.4.1 ``abstract_spinnaker_base.py:366``, ``__timesteps``.
        """
        return super()._duration(n_steps) - ROUNDED_UP

    def _advance(self, n_steps: int) -> None:
        """Run some steps more at the end of an image, of which nothing is kept.

        Neurons stamp their packets with a colour, the step modulo `COLOURS`, and go on counting through ``sim.reset()``
        while synapses begin again: packets of the next image would count as late and be lost, unless an image takes a
        multiple of `COLOURS` steps (found with the binaries of sPyNNaker 7.4.1).
        """
        every = self.network.reset_every
        ends = every and self.t + n_steps - self._origin == every
        n_steps += -every % COLOURS if ends else 0
        super()._advance(n_steps)
        self._ends.append((self._ends[-1] if self._ends else 0) + n_steps)

    def _after_piece(self) -> None:
        if self.network.reset_every:
            self._finished.append(self._recorded())

    def _joined(self) -> Recording:
        """The recordings of all pieces since the last call as one."""
        pieces, self._finished = self._finished, []
        first, slot = pieces[0], self.network.slot
        return replace(first, spikes={label: joined([p.spikes[label] for p in pieces], slot) for label in first.spikes},
                       membranes={label: {name: np.concatenate([p.membranes[label][name] for p in pieces])
                                          for name in traces} for label, traces in first.membranes.items()})

    def _record(self, part: Any, chosen: Ints) -> None:
        super()._record(part, chosen)
        self._chosen[part.label] = chosen.tolist()

    def _data(self, part: Any) -> Any:
        return part if self.network.reset_every else super()._data(part)

    def _events(self, data: Any) -> tuple[Floats, Ints]:
        if not self.network.reset_every:
            return super()._events(data)
        found = data.spinnaker_get_data("spikes")       # get_data would read all images again
        return found[:, 1], found[:, 0].astype(int)

    def _signal(self, data: Any, name: str, first: int, last: int) -> Floats:
        if not self.network.reset_every:
            return super()._signal(data, name, first, last)
        return np.asarray(data.spinnaker_get_data(name, True, self._chosen[data.label]), np.float64)[first:last]

    def _splits(self, population: Population) -> bool:
        return super()._splits(population) or population.label in self._planes

    def _make(self, population: Population, size: int, index: int, cell: Any, **more: Any) -> Any:
        if not population.is_source:
            more["n_synapse_cores"] = int(population.label in self._split)
        if population.label not in self._planes:
            made = super()._make(population, size, index, cell, **more)
            if population.neurons_per_core:
                made.set_max_atoms_per_core(population.neurons_per_core)
            return made
        _, rows, columns = population.shape
        made = super()._make(population, size, index, cell, structure=self.sim.Grid2D(columns / rows), **more)
        made.set_max_atoms_per_core(tile(rows, columns, population.neurons_per_core))
        return made

    def _project(self, projection: Projection) -> list[pynn.Piece]:
        if projection.label not in self._connectors:
            return super()._project(projection)
        (pres, posts), delay = (self._parts[projection.pre], self._parts[projection.post]), self.network.timestep
        return [(pres[channel][0], posts[index][0], self.sim.Projection(
            pres[channel][1], posts[index][1],
            self.sim.ConvolutionConnector(one.kernel, padding=one.padding if max(one.padding) else None,
                                          pool_shape=one.pool if max(one.pool) > 1 else None),
            self.sim.Convolution(delay=one.delay * delay)))
            for (channel, index), one in self._connectors[projection.label].items()]

    def _synapse(self, projection: Projection, receptor: str, weight: float | None = None,
                 delay: float | None = None) -> Any:
        """One mechanism for all lists that learn beside a reward or punishment.

        sPyNNaker 7.4.1 tells only the last mechanism of a population of its neuromodulation, writes the rows of the
        others without it, and the core that reads them has a data abort (``synapse_dynamics_stdp.py:147``, ``merge``).
        """
        if not (projection.learns and self.network.modulation(projection.post)):
            return super()._synapse(projection, receptor, weight, delay)
        given = weight, delay
        mechanism, first = self._mechanisms.setdefault(
            projection.post, (super()._synapse(projection, receptor, weight, delay), given))
        require(given == first, f"Projection {projection.label!r}", "connections", "generated on the board",
                "lists, or all of one weight and delay, beside a reward or punishment: sPyNNaker 7.4.1 tells one"
                " mechanism alone of the neuromodulation", NetworkError)
        return mechanism

    @contextmanager
    def _apart(self) -> Iterator[None]:
        """Send sPyNNaker's progress bars and messages to the file, and its failures out as SimulationFailed."""
        with (self._log.open("a") as file, redirect_stdout(log := Hiding(file)), redirect_stderr(log),
              messages_to(log), failures.watched() as silence):
            try:
                yield
            except SpikingConvNetError:
                raise
            except SystemExit as end:       # how its run ends after Ctrl-C
                raise KeyboardInterrupt from end
            except Exception as error:      # sPyNNaker's own have no common base
                hide_in(error)
                traceback.print_exc(file=log)
                what = allocated.lost() or ("the board no longer answers: " if silence.noticed else "")
                raise SimulationFailed(f"sPyNNaker: {what}{failures.in_one_line(error)}; its messages are in"
                                       f" {self._log}") from error

    def weights(self, label: str) -> Weights:
        """Weights of a projection as read back from the board: Weights.

        Raises
        ------
        NetworkError
            A convolution on the board, whose kernel sPyNNaker does not read back.
        """
        require(label not in self._connectors, f"Projection {label!r}", "connections", "a ConvolutionConnector",
                "lists of connections: sPyNNaker does not read a kernel back", NetworkError)
        with self._telling(), self._apart():
            weights = super().weights(label)
        listed = self._lowered.projection(label)
        population = self._lowered.populations[listed.post]
        scale = 2.0 ** (15 - population.shift[listed.receptor, listed.post_id])
        raw = np.rint(weights.value * scale).astype(np.int64)
        if listed.modulates:        # sPyNNaker reads amounts of dopamine as if they were weights
            return replace(weights, raw=raw, value=raw / 2.0 ** (15 - AMOUNT_SHIFT))
        return replace(weights, raw=raw)
