"""Causes of a difference where no membranes were recorded: packets, told by what the neurons fire without them.

Each population is simulated by itself behind sources that play what was recorded of those before it, so a spike that
is other than recorded is due to what happened on the way to its own core, whatever has become of the network since.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from spikingconvnet.backends.local import simulator
from spikingconvnet.board.lowering import lower
from spikingconvnet.compare.expected import Packet
from spikingconvnet.compare.explained import NOT_TOLD, Case, Cause
from spikingconvnet.compare.packets import FATES, merged, told
from spikingconvnet.errors import SpikingConvNetError
from spikingconvnet.network.arrays import Ints
from spikingconvnet.network.netlist import Network, Population
from spikingconvnet.network.neurons import SpikeSourceArray
from spikingconvnet.network.spikes import Spikes

FEWEST = 3              # spikes that differ, before a packet is more than one accident of many
NEAREST = 60            # packets before a spike that differs that are tried
MOST_RUNS = 400         # of the engine, for a population and a fate
MOST_CORES = 64         # with spikes that differ
MOST_PACKETS = 5        # to a core
PLAYED = " (played)"


def by_spikes(case: Case) -> Iterator[Cause]:
    """Spikes that got lost, came twice, or came a step late: Causes; not told where too few spikes show it."""
    network = case.suspect.network
    if case.order or case.first.variable != "spikes" or case.suspect.thresholds or any(
            p.learns or p.modulates for p in network.projections):
        return
    try:
        parts = [_Played(case, p) for p in network.populations if not p.is_source]
        off = sum(len(part.off(())) for part in parts)
        for name, arrivals in FATES.items():
            found, more = _explaining(parts, arrivals)
            if found:
                cause = told(case, name, merged(found), more, "spikes")
                yield cause if off >= FEWEST else Cause(NOT_TOLD, cause.evidence, cause.details)
    except SpikingConvNetError:         # a part that no board could hold by itself
        return


def _explaining(parts: Sequence["_Played"], arrivals: tuple[int, ...]) -> tuple[list[Packet], list[Packet]]:
    """Packets of a fate that explain every spike, and what else the first of them may be; none if some are not."""
    found: list[Packet] = []
    more: list[Packet] = []
    for part in parts:
        cores = part.cores_of(part.off(()))
        if len(cores) > MOST_CORES:
            return [], []
        for core in cores:
            packets, others = part.explaining(core, arrivals, found)
            if not packets:
                return [], []
            more = more if found else others
            found += packets
    return found, more


class _Played:
    """A population of the deviant recording behind what was recorded of those before it.

    Parameters
    ----------
    case : Case
    population : Population
    """

    def __init__(self, case: Case, population: Population) -> None:
        self.recorded, self.label, self.steps = case.suspect, population.label, case.steps
        self.core, self.size = case.cores[population.label], population.size
        self.synapses = [case.suspect.lowered.projection(p.label)
                         for p in case.suspect.network.incoming(population.label)]
        self.network = self._network(population)
        self.theirs = self._keys(self.recorded.spikes[self.label])
        self.runs, self.off = 0, cache(self._off)

    def _network(self, population: Population) -> Network:
        whole = self.recorded.network
        incoming = whole.incoming(self.label)
        sources = tuple(Population(pre + PLAYED, whole.population(pre).shape, SpikeSourceArray(self._played(pre, ())))
                        for pre in dict.fromkeys(p.pre for p in incoming))
        made = replace(whole, populations=(*sources, population),
                       projections=tuple(replace(p, pre=p.pre + PLAYED) for p in incoming))
        ours, theirs = (lowered.populations[self.label] for lowered in (lower(made), self.recorded.lowered))
        if not np.array_equal(ours.shift, theirs.shift):
            raise SpikingConvNetError(f"population {self.label}: has other integers by itself")
        return made

    def _played(self, pre: str, packets: Sequence[Packet]) -> Spikes:
        """What a population sent, with packets that come otherwise."""
        spikes = self.recorded.spikes[pre]
        end = spikes.offsets[self.steps]
        step, neuron = spikes.steps()[:end], spikes.neurons[:end].astype(np.int64)
        for packet in packets:
            if packet.pre == pre:
                here = np.flatnonzero((step == packet.step) & (neuron == packet.neuron))[:1]
                late = np.array(packet.arrivals, np.int64)
                step = np.concatenate([np.delete(step, here), packet.step + late])
                neuron = np.concatenate([np.delete(neuron, here), np.full(len(late), packet.neuron)])
        inside = step < self.steps
        return Spikes.from_events(np.zeros(inside.sum()), neuron[inside], step[inside], spikes.shape, 1, self.steps)

    def _keys(self, spikes: Spikes) -> Ints:
        """Step times size plus neuron of the spikes that are looked at: int64 array, ascending."""
        end = spikes.offsets[self.steps]
        return spikes.steps()[:end] * self.size + spikes.neurons[:end]

    def _off(self, packets: tuple[Packet, ...]) -> Ints:
        """Keys of spikes that are other than recorded if some packets come otherwise, ascending."""
        self.runs += 1
        network = replace(self.network, populations=tuple(
            replace(p, cell=SpikeSourceArray(self._played(p.label.removesuffix(PLAYED), packets)))
            if p.is_source else p for p in self.network.populations))
        with simulator.open(network, jobs=1) as simulation:
            simulation.run(self.steps)
            return np.setxor1d(self._keys(simulation.recording().spikes[self.label]), self.theirs)

    def cores_of(self, keys: Ints) -> list[int]:
        """Cores of neurons, in the order in which spikes differ."""
        return list(dict.fromkeys(self.core[keys % self.size].tolist()))

    def _on(self, core: int, packets: tuple[Packet, ...]) -> Ints:
        keys = self.off(packets)
        return keys[self.core[keys % self.size] == core]

    def explaining(self, core: int, arrivals: tuple[int, ...],
                   known: Sequence[Packet]) -> tuple[list[Packet], list[Packet]]:
        """The fewest packets with which all spikes of a core are as recorded, and others that the last of them may be.

        Those that are `known` from other cores come first.
        """
        found: tuple[Packet, ...] = ()
        off = self._on(core, found)
        while len(off) and len(found) < MOST_PACKETS:
            exact, best, left = [], None, off
            for packet in self._candidates(core, int(off[0]), arrivals, known):
                if packet in found or self.runs > MOST_RUNS:
                    continue
                now = self._on(core, (*found, packet))
                if not len(now):
                    exact.append(packet)
                    if packet.neuron in {p.neuron for p in known}:
                        break
                elif now[0] // self.size > off[0] // self.size and len(now) < len(left):
                    best, left = packet, now
            if exact:
                return [*found, exact[0]], exact[1:]
            if best is None:
                return [], []
            found, off = (*found, best), left
        return [], []

    def _candidates(self, core: int, key: int, arrivals: tuple[int, ...], known: Sequence[Packet]) -> Iterator[Packet]:
        """Packets to a core that reach a neuron before a spike that differs, the latest first."""
        last, neuron = divmod(key, self.size)
        here = frozenset([core])
        yield from (replace(p, post=self.label, cores=here) for p in known)
        tried: list[tuple[int, str, int]] = []
        for lowered in self.synapses:
            mine = np.flatnonzero(lowered.post_id == neuron)
            soonest = dict(zip(lowered.pre_id[mine].tolist(), lowered.delay[mine].tolist()))
            spikes = self.recorded.spikes[lowered.pre]
            end = spikes.offsets[last + 1]
            step, sender = spikes.steps()[:end], spikes.neurons[:end]
            hit = np.flatnonzero(np.isin(sender, list(soonest)))[-NEAREST * 4:]
            tried += [(int(step[i]), lowered.pre, int(sender[i])) for i in hit
                      if step[i] + soonest[int(sender[i])] <= last + bool(0 in arrivals)]
        for sent, pre, who in sorted(set(tried), reverse=True)[:NEAREST]:
            yield Packet(pre, who, sent, self.label, here, arrivals)
