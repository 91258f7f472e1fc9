"""The engine as a library: three neurons behind plastic synapses, in the integers that a SpiNNaker board computes."""

import numpy as np

import spikingconvnet as scn


def build(rng):
    """Ten sources at 100 Hz, three neurons, STDP and lateral inhibition: Network."""
    step, neuron = np.nonzero(rng.random((400, 10)) < 0.1)
    spikes = scn.Spikes.from_events(0 * step, neuron, step, (1, 1, 10), n_samples=1, n_steps=400)
    rule = scn.STDPMechanism(scn.SpikePairRule(tau_plus=20.0, tau_minus=20.0, A_plus=0.02, A_minus=0.02),
                             scn.AdditiveWeightDependence(w_min=0.0, w_max=2.0))
    weights = scn.DenseConnections(rng.uniform(0.5, 1.5, (10, 3)))
    others = scn.DenseConnections(2.0 * (1 - np.eye(3)))
    return scn.Network(
        (scn.Population("sources", (1, 1, 10), scn.SpikeSourceArray(spikes)),
         scn.Population("neurons", (3, 1, 1), scn.IFCurrExp())),
        (scn.Projection("plastic", "sources", "neurons", weights, plasticity=rule),
         scn.Projection("lateral", "neurons", "neurons", others, "inhibitory")))


def main():
    """Run, move the thresholds, run on; print what a host would read back."""
    with scn.open(build(np.random.default_rng(0)), record=["neurons"]) as simulation:
        before = simulation.weights("plastic").value
        simulation.run(200)
        simulation.set("neurons", v_thresh=[-52.0, -50.0, -48.0])
        simulation.run(200)
        recording = simulation.recording()
        weights = simulation.weights("plastic")
    print("spikes per neuron:", recording.spikes["neurons"].counts().ravel().tolist())
    print("highest membrane (mV):", recording.membrane("neurons").max(axis=0).round(3).tolist())
    print("weights on the board:", weights.raw[:3].tolist(), "before (nA):", before[:3].round(3).tolist(),
          "after:", weights.value[:3].round(3).tolist())


if __name__ == "__main__":
    main()
