"""Images in colour, 32x32x3, of benchmarks/colour_digits.py: luminance and opponent colours become spikes."""

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
from spikingconvnet.data import Opponents

SEED = 0
DATASET = "runs/colour.npz"
N_TRAIN = 10_000
N_VALIDATION = 2_000
N_TEST = 5_000

FILTER = Opponents(DifferenceOfGaussians(sigma_centre=1.0, sigma_surround=2.0, contrast=0.423))
ENCODER = LatencyEncoder(n_steps=15, threshold=0.08, saturation=0.6)
SLOT = 28

MODEL = Sequential(
    (10, 32, 32),
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
    Classifier(grid=6, C=3.0))
