"""What is planned, counted, lowered and said of small networks, as it was when others like them agreed with sPyNNaker.

The slow tests of this folder compare with sPyNNaker, on networks that are drawn. Here every number is kept, in
``golden/board.json``. Where one is meant to change, and those tests pass:

    python tests/board/test_as_recorded.py
"""

import json
import sys
from functools import cache
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

import recorded
import small_networks
from small_networks import NETWORKS

from spikingconvnet.board import check, connectors, dtcm, partition, sdram, split_cores, weight_scale
from spikingconvnet.board.lowering import lower
from spikingconvnet.board.quantisation import margins, quantise, vanished
from spikingconvnet.board.reference import ReferenceSimulation
from spikingconvnet.board.resources import MACHINES, resources
from spikingconvnet.errors import NetworkError
from spikingconvnet.network.connectivity import ConvConnections

GOLDEN = Path(__file__).parents[1] / "golden" / "board.json"
STEPS = 30


@cache
def network(name):
    return NETWORKS[name]()


def _neurons(made):
    return [population.label for population in made.populations if not population.is_source]


def _vertices(made):
    connected, choices = partition.convolutions(made)
    return [partition.vertices(made), partition.cores(made), choices, partition.split_populations(made, connected)]


def _sdram(made):
    found = partition.vertices(made)
    return [[sdram.used(vertex, found, record) for vertex in found] for record in ((), _neurons(made))]


def _dtcm(made):
    some = {label: list(range(0, made.population(label).size, 3)) for label in _neurons(made)}
    found = [
        dtcm.memory(made, record, packets)
        for record, packets in (((), None), (_neurons(made), 300), (some, 4000), (some, 16384))
    ]
    return [
        [[(use, use.parts, use.needed, use.there, use.fits) for use in uses], lacks, dtcm.largest_packet_buffer(uses)]
        for uses, lacks in found
    ]


def _resources(made):
    return [resources(made), resources(made, _neurons(made), small_networks.fired(made))]


def _lowered(made):
    found = lower(made)
    convolutions = [
        [*found.convolution(p.label)] for p in made.projections if isinstance(p.connections, ConvConnections)
    ]
    return [
        found.populations,
        [found.projection(p.label) for p in made.projections],
        convolutions,
        found.counters,
        found.warnings,
        connectors.fixed_scales(made, found),
    ]


def _scale(made):
    return [
        {
            str(key): value
            for key, value in weight_scale.projection_statistics(
                projection, made.population(projection.post), made.timestep
            ).items()
        }
        for projection in made.projections
    ]


def _quantised(made):
    return [quantise(made), margins(made), margins(made, fired=small_networks.fired(made)), vanished(made)]


def _checked(made):
    subject = check.Subject("layer 1", made, 40, tuple(_neurons(made)), basis="what there is")
    also = check.Subject("again", made, 25, replicated=False, fired=small_networks.fired(made))
    found = [
        [check.check(one, on, packets) for one in (subject, also)]
        for on, packets in ((MACHINES["spin3"], None), (MACHINES["spin5"], 16))
    ]
    machines = MACHINES["spin3"], MACHINES["spin5"]
    return [
        [check.as_text(one, on).splitlines() for one, on in zip(found, machines)],
        [check.as_dict(one, on) for one, on in zip(found, machines)] if len(made.projections) == 1 else "",
    ]


def _split(made):
    found, told = lower(made), {}
    for label, population in found.populations.items():
        own = [found.projection(p.label) for p in made.incoming(label)]
        cells = made.population(label)
        told[label] = [split_cores.own_synapses(cells, p, split) for p in own for split in (False, True)]
        told[label] += [
            [[one and one.label for one in entries] for entries in split_cores.transfers(cells, own, slots)]
            for slots in (1, population.delay_slots)
        ]
        told[label] += [
            split_cores.warning(cells, own, population.delay_slots, made.timestep),
            split_cores.neurons_of_core(cells),
        ]
    return told


def _run(made):
    simulation = ReferenceSimulation(lower(made))
    spikes, recordings = simulation.run(STEPS, _neurons(made))
    return [
        spikes,
        recordings,
        {label: one.weight for label, one in simulation.projections.items() if one.lowered.rule},
    ]


VIEWS = {
    "partition": _vertices,
    "sdram": _sdram,
    "dtcm": _dtcm,
    "resources": _resources,
    "lowering": _lowered,
    "weight_scale": _scale,
    "quantisation": _quantised,
    "check": _checked,
    "split_cores": _split,
    "reference": _run,
}
# Most neurons, for what takes longer for each.
SIZE = {"reference": 400, "split_cores": 100, "lowering": 2000, "dtcm": 2000}


def cases():
    """(view, network) of all that is kept."""
    for view in VIEWS:
        for name in NETWORKS:
            size = sum(population.size for population in network(name).populations)
            if size <= SIZE.get(view, size):
                yield view, name


def seen(view, name):
    """A view of a network; an error is one, too."""
    try:
        return VIEWS[view](network(name))
    except NetworkError as error:
        return f"NetworkError: {error}"


KEPT = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}


@pytest.mark.parametrize(("view", "name"), [(view, name) for view, names in KEPT.items() for name in names])
def test_a_network_is_seen_as_it_was(view, name):
    recorded.compare(seen(view, name), KEPT[view][name])


def test_nothing_is_left_out():
    assert [(view, name) for view, names in KEPT.items() for name in names] == list(cases())


if __name__ == "__main__":
    found = {view: {} for view in VIEWS}
    for view, name in cases():
        found[view][name] = seen(view, name)
    recorded.write(GOLDEN, found)
