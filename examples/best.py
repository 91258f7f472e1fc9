"""The most accurate recipe: 64 filters, upright digits, a classifier that also sees deformed copies of hard ones."""

from spikingconvnet import (
    STDP,
    AdditiveWeightDependence,
    Classifier,
    Conv2D,
    Deformation,
    Deslanted,
    DifferenceOfGaussians,
    IFCurrExp,
    LatencyEncoder,
    Sequential,
    SpikePairRule,
    STDPMechanism,
)

SEED = 0
DATASET = "data/mnist"
N_TRAIN = 60_000
N_TEST = 10_000

FILTER = Deslanted(DifferenceOfGaussians(sigma_centre=1.0, sigma_surround=2.0, contrast=0.423))
ENCODER = LatencyEncoder(n_steps=15, threshold=0.08, saturation=0.6)
SLOT = 28

# For the classifier only: four copies of every training digit that lies near one of its margins.
DEFORMATION = Deformation(copies=4, rotation=10.0, stretch=0.1, shear=0.15, shift=1.5)

MODEL = Sequential(
    (2, 28, 28),
    Conv2D(
        filters=64, kernel_size=7,
        neuron=IFCurrExp(tau_m=10.0, cm=10.0, v_rest=0.0, v_reset=0.0, v=0.0, tau_syn_E=2.0, tau_syn_I=2.0,
                         tau_refrac=0.0),
        firing=0.2, gain=4.0,
        training=STDP(
            windows=4000, chunks=20, slot=60, pattern_steps=15, min_spikes=10,
            neuron=IFCurrExp(tau_m=10.0, cm=10.0, v_rest=0.0, v_reset=0.0, v=0.0, tau_syn_E=2.0, tau_syn_I=3.0,
                             tau_refrac=35.0),
            mechanism=STDPMechanism(
                SpikePairRule(tau_plus=10.0, tau_minus=10.0, A_plus=0.02, A_minus=0.02),
                AdditiveWeightDependence(w_min=0.0, w_max=1.0)),
            gate=60.0, lateral=25.0, homeostasis=(0.2, 0.2))),
    Classifier(grid=6, C=4.0))
