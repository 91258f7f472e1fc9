"""An ordinary PyNN script: 25 sources -> 8 neurons with STDP and lateral inhibition; prints what it read back as JSON.

Argument: synapse cores per population (0: synapses and neurons on one core).
"""

import json
import sys

import numpy as np
import pyNN.spiNNaker as sim
from spynnaker.pyNN.data import SpynnakerDataView

STEPS = 300


def main(synapse_cores):
    """Build, run, read back."""
    rng = np.random.default_rng(1)
    times = [sorted(rng.choice(np.arange(10, STEPS - 20), 12, replace=False).tolist()) for _ in range(25)]
    weights = [(i, j, float(0.5 + 0.3 * rng.random()), 1.0) for i in range(25) for j in range(8)]

    sim.setup(timestep=1.0)
    sources = sim.Population(25, sim.SpikeSourceArray(times))
    cells = sim.IF_curr_exp(tau_m=10.0, v_thresh=-60.0, tau_refrac=2.0)
    neurons = sim.Population(8, cells, n_synapse_cores=synapse_cores)
    neurons.initialize(v=np.linspace(-65, -61, 8).tolist())
    stdp = sim.STDPMechanism(
        timing_dependence=sim.SpikePairRule(tau_plus=20.0, tau_minus=20.0, A_plus=0.02, A_minus=0.02),
        weight_dependence=sim.AdditiveWeightDependence(w_min=0.0, w_max=1.0), weight=0.6)
    plastic = sim.Projection(sources, neurons, sim.FromListConnector(weights), synapse_type=stdp)
    sim.Projection(neurons, neurons, sim.AllToAllConnector(allow_self_connections=False),
                   synapse_type=sim.StaticSynapse(weight=2.0, delay=1.0), receptor_type="inhibitory")
    neurons.record(["spikes", "v"])
    sim.run(STEPS)
    segment = neurons.get_data().segments[0]
    result = {
        "spikes": [[int(t) for t in train.magnitude] for train in segment.spiketrains],
        "v": segment.filter(name="v")[0].magnitude.tolist(),
        "before": [w for _, _, w, _ in weights],
        "weights": [float(w) for _, _, w in sorted(plastic.get("weight", "list"))],
        "cores": SpynnakerDataView.get_n_placements(),
    }
    sim.end()
    print("RESULT " + json.dumps(result))


if __name__ == "__main__":
    main(int(sys.argv[1]))
