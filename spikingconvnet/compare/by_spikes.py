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
MOST_RUNS = 600         # of the engine, for a population and a fate
MOST_CORES = 128        # with spikes that differ
MOST_PACKETS = 8        # to a population
LATER = (2, 3)          # steps by which packets may be late, beside one
PLAYED = " (played)"


def by_spikes(case: Case) -> Iterator[Cause]:
    """Spikes that got lost, came twice, or came some steps late: Causes; not told where too few spikes show it."""
    network = case.suspect.network
    if case.order or case.first.variable != "spikes" or case.suspect.thresholds or any(
            p.learns or p.modulates for p in network.projections):
        return
    try:
        parts = [_Played(case, p) for p in network.populations if not p.is_source]
        off = sum(len(part.off(())) for part in parts)
        for name, arrivals in [*FATES.items(), *(("late packet", (steps,)) for steps in LATER)]:
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
        if len(part.off(())):
            packets, others = part.explaining(arrivals)
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

    def _by_core(self, packets: tuple[Packet, ...]) -> dict[int, Ints]:
        """The same keys by core; those without any are left out."""
        keys = self.off(packets)
        core = self.core[keys % self.size]
        return {int(one): keys[core == one] for one in np.unique(core)}

    def explaining(self, arrivals: tuple[int, ...]) -> tuple[list[Packet], list[Packet]]:
        """Packets with which all spikes are as recorded, and others that the first of them may be; none if not all are.

        One after another those are taken that leave the fewest spikes unexplained, on the cores where they help.
        """
        off, runs = self._by_core(()), self.runs
        came: dict[int, tuple[Packet, ...]] = dict.fromkeys(off, ())
        found: list[Packet] = []
        more: list[Packet] = []
        while off:
            if len(found) == MOST_PACKETS or len(off) > MOST_CORES:
                return [], []
            first = min(off, key=lambda core: int(off[core][0]))
            tried = []
            for packet in self._candidates(int(off[first][0]), arrivals):
                if self.runs - runs <= MOST_RUNS:
                    left = self._left(packet, off, came)
                    if first in left:
                        tried.append((sum(len(off[core]) - len(keys) for core, keys in left.items()), packet, left))
            if not tried:
                return [], []
            gain, packet, left = max(tried, key=lambda one: one[0])
            if not found:
                more = [other for won, other, _ in tried if won == gain and other is not packet]
            found.append(replace(packet, cores=frozenset(left)))
            came |= {core: (*came[core], packet) for core in left}
            off = {core: keys for core, keys in (off | left).items() if len(keys)}
        return found, more

    def _left(self, packet: Packet, off: dict[int, Ints], came: dict[int, tuple[Packet, ...]]) -> dict[int, Ints]:
        """What one more packet leaves unexplained of the cores that are the better for it."""
        found = {}
        for core, keys in off.items():
            now = self._by_core((*came[core], packet)).get(core, keys[:0])
            if len(now) < len(keys):
                found[core] = now
        return found

    def _candidates(self, key: int, arrivals: tuple[int, ...]) -> Iterator[Packet]:
        """Packets that reach a neuron before a spike that differs, the latest first."""
        last, neuron = divmod(key, self.size)
        sent: set[tuple[int, str, int]] = set()
        for lowered in self.synapses:
            mine = np.flatnonzero(lowered.post_id == neuron)
            soonest = dict(zip(lowered.pre_id[mine].tolist(), lowered.delay[mine].tolist()))
            spikes = self.recorded.spikes[lowered.pre]
            end = spikes.offsets[last + 1]
            step, sender = spikes.steps()[:end].tolist(), spikes.neurons[:end].tolist()
            sent |= {(t, lowered.pre, who) for t, who in zip(step, sender) if t + soonest.get(who, self.steps) <= last}
        for step, pre, who in sorted(sent, reverse=True)[:NEAREST]:
            yield Packet(pre, who, step, self.label, frozenset(), arrivals)
