"""A PyNN script: 40 sources that fire every 4 ms -> 40 neurons, 40 learners; prints what came out, or went wrong.

The JSON has the machine that sPyNNaker saw, the neurons' spikes or the exception, and the provenance that is not zero.
"""

import json

import pyNN.spiNNaker as sim
from spinn_front_end_common.interface.provenance import ProvenanceReader
from spynnaker.pyNN.data import SpynnakerDataView

STEPS, SIZE = 200, 40


def build():
    """The network; its neurons."""
    sim.setup(timestep=1.0)
    sources = sim.Population(SIZE, sim.SpikeSourceArray([list(range(1 + i % 4, STEPS - 10, 4)) for i in range(SIZE)]),
                             label="sources")
    neurons = sim.Population(SIZE, sim.IF_curr_exp(tau_refrac=1.0), label="neurons")
    sim.Projection(sources, neurons, sim.OneToOneConnector(), synapse_type=sim.StaticSynapse(weight=30.0, delay=2.0))
    learners = sim.Population(SIZE, sim.IF_curr_exp(), label="learners")
    stdp = sim.STDPMechanism(sim.SpikePairRule(), sim.AdditiveWeightDependence(), weight=0.5, delay=1.0)
    sim.Projection(sources, learners, sim.OneToOneConnector(), synapse_type=stdp)
    neurons.record("spikes")
    return neurons


def provenance():
    """(rows of the tables that are not zero, reports)."""
    with ProvenanceReader() as reader:
        cores = reader.run_query("SELECT x, y, p, description, the_value FROM core_provenance_view WHERE the_value > 0")
        routers = reader.run_query("SELECT x, y, description, the_value FROM router_provenance WHERE the_value > 0")
        return cores, routers, reader.messages()


def machine():
    """Chips, cores and links that sPyNNaker found."""
    found = SpynnakerDataView.get_machine()
    return {"chips": [(chip.x, chip.y) for chip in found.chips],
            "cores": {f"{chip.x},{chip.y}": chip.n_processors for chip in found.chips},
            "links": [(link.source_x, link.source_y, link.source_link_id)
                      for chip in found.chips for link in chip.router.links]}


def main():
    """Run; print one line of results."""
    neurons, result = build(), {}
    try:
        sim.run(STEPS)
        trains = neurons.get_data().segments[0].spiketrains
        result["spikes"] = [[int(time) for time in train.magnitude] for train in trains]
    except Exception as error:      # noqa: BLE001 - whatever it is, it is told
        result["error"] = f"{type(error).__name__}: {error}"
    result["machine"] = machine()
    result["cores"], result["routers"], result["reports"] = provenance()
    if "error" not in result:
        sim.end()
    print("RESULT " + json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
