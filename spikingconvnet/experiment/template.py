"""The experiment: every number that a user may want to change. The file is copied whole into the run directory.

Units: steps of 1 ms, ms, mV, nA, nF.
"""

from spikingconvnet import (
    STDP,
    AdditiveWeightDependence,
    Classifier,
    Conv2D,
    DifferenceOfGaussians,
    IFCurrExp,
    LatencyEncoder,
    Sequential,
    SpikePairRule,
    STDPMechanism,
)

SEED = 0

# Images: the training file is shared by training and validation, the test file is for testing only. CLASSES, N_TRAIN
# and N_TEST are left out: all classes and images that there are. --source takes another data set, see docs/data.md.
DATASET = "data/mnist"
N_VALIDATION = 0

# From grey values to spikes: on/off-centre cells, the stronger the earlier.
FILTER = DifferenceOfGaussians(sigma_centre=1.0, sigma_surround=2.0, contrast=0.423)
ENCODER = LatencyEncoder(n_steps=15, threshold=0.08, saturation=0.6)

# Steps per image on the timeline: the spikes, then a gap in which the membranes come back towards rest.
SLOT = 28

MODEL = Sequential(
    (2, 28, 28),
    Conv2D(
        filters=48, kernel_size=7,
        neuron=IFCurrExp(tau_m=10.0, cm=10.0, v_rest=0.0, v_reset=0.0, v=0.0, tau_syn_E=2.0, tau_syn_I=2.0,
                         tau_refrac=0.0),
        firing=0.1, gain=4.0,
        training=STDP(
            windows=4000, chunks=20, slot=60, pattern_steps=15, min_spikes=10,
            neuron=IFCurrExp(tau_m=10.0, cm=10.0, v_rest=0.0, v_reset=0.0, v=0.0, tau_syn_E=2.0, tau_syn_I=3.0,
                             tau_refrac=35.0),
            mechanism=STDPMechanism(
                SpikePairRule(tau_plus=10.0, tau_minus=10.0, A_plus=0.02, A_minus=0.02),
                AdditiveWeightDependence(w_min=0.0, w_max=1.0)),
            gate=60.0, lateral=25.0, homeostasis=(0.2, 0.2))),
    Classifier(grid=6, C=3.0, on_board=True))
