"""How each core and each router did in a run: a few of their counters, place by place, as plain values for JSON."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, TypeAlias

from spikingconvnet.backends.spinnaker.provenance import CORE, ROUTER, Provenance

Chips: TypeAlias = tuple[dict[str, Any], ...]
# What is kept: its name, and sPyNNaker's items that are summed for it.
OF_CORES = {
    "spikes handled": ("How many spikes were processed",),
    "most in a step": ("Max_spikes_per_time_step", "Max_spikes_received_in_time_step"),
    "packets sent": ("Send_multicast_packets",),
    "late": ("Number_of_late_spikes", "Late spikes", "Late_packets"),
    "lost": ("Times_the_input_buffer_lost_packets", "lost_packets_without_payload", "lost_packets_with_payload"),
    "steps overrun": ("Times_the_timer_tic_over_ran",)}
OF_ROUTERS = {
    "packets": ("Local_Multicast_Packets", "External_Multicast_Packets"), "dropped": ("Dropped_Multicast_Packets",),
    "sent again": ("Reinjected",), "routing entries": ("Entries",)}
LARGEST = {"most in a step", "routing entries"}         # no sums over runs


def chips(provenance: Provenance) -> Chips:
    """Chips of a run, with the cores of its network: tuple of dict.

    Each has ``x``, ``y``, ``router``, the counters of its router by their names here, and ``cores``, dicts with ``p``,
    ``population``, ``first`` and ``last`` neuron, and ``counts``. Counters that are 0 are left out. On an emulated
    board in time there is ``load`` too, see ``emulator.times.loads``.
    """
    items: dict[Any, dict[str, float]] = defaultdict(dict)
    for reading in provenance.readings:
        if reading.table in (CORE, ROUTER):
            items[reading.x, reading.y, reading.p][reading.item] = reading.value
    cores: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for core in sorted(provenance.cores, key=lambda one: (one.x, one.y, one.p)):
        place = core.x, core.y, core.p
        cores[core.x, core.y].append({"p": core.p, "population": core.population, "first": core.first,
                                      "last": core.last, "counts": _named(items[place], OF_CORES),
                                      **({"load": provenance.loads[place]} if place in provenance.loads else {})})
    return tuple({"x": x, "y": y, "router": _named(items[x, y, None], OF_ROUTERS), "cores": found}
                 for (x, y), found in cores.items())


def _named(items: dict[str, float], names: dict[str, tuple[str, ...]]) -> dict[str, float]:
    found = {name: sum(items.get(item, 0) for item in of) for name, of in names.items()}
    return {name: value for name, value in found.items() if value}


def together(parts: Sequence[Chips]) -> Chips:
    """Chips of several runs as one: of those of the largest network, whose counters are summed."""
    largest = max(parts, key=lambda part: sum(len(chip["cores"]) for chip in part), default=())
    alike = [part for part in parts if _places(part) == _places(largest)]
    return tuple({**chip, "router": _summed([one["router"] for one in same]),
                  "cores": [{**cores[0], "counts": _summed([core["counts"] for core in cores]), **_heaviest(cores)}
                            for cores in zip(*(one["cores"] for one in same))]}
                 for chip, *same in zip(largest, *alike))


def _places(part: Chips) -> list[Any]:
    return [(chip["x"], chip["y"], [(core["p"], core["population"], core["first"]) for core in chip["cores"]])
            for chip in part]


def _heaviest(cores: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The load of the run in which a core had most to do; steps without a rest are those of all runs."""
    loads = [core["load"] for core in cores if "load" in core]
    if not loads:
        return {}
    return {"load": {**max(loads, key=lambda load: load["worst"]), "full": sum(load["full"] for load in loads)}}


def _summed(counts: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: (max if name in LARGEST else sum)(one.get(name, 0) for one in counts)
            for name in dict.fromkeys(name for one in counts for name in one)}
