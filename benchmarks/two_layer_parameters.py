"""Two layers for the sets of colour_digits.py and cluttered_digits.py, 32x32 and 40x40; colours as their luminance."""

from spikingconvnet import (
    STDP,
    AdditiveWeightDependence,
    AvgPool2D,
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
DATASET = "runs/clutter.npz"
N_TRAIN = 10_000
N_VALIDATION = 2_000
N_TEST = 5_000

FILTER = DifferenceOfGaussians(sigma_centre=1.0, sigma_surround=2.0, contrast=0.423)
ENCODER = LatencyEncoder(n_steps=15, threshold=0.08, saturation=0.6)
SLOT = 40

INFERENCE = IFCurrExp(tau_m=10.0, cm=10.0, v_rest=0.0, v_reset=0.0, v=0.0, tau_syn_E=1.0, tau_syn_I=1.0, tau_refrac=0.0)
TRAINING = IFCurrExp(tau_m=10.0, cm=10.0, v_rest=0.0, v_reset=0.0, v=0.0, tau_syn_E=2.0, tau_syn_I=3.0, tau_refrac=35.0)
MECHANISM = STDPMechanism(SpikePairRule(tau_plus=10.0, tau_minus=10.0, A_plus=0.02, A_minus=0.02),
                          AdditiveWeightDependence(w_min=0.0, w_max=1.0))

# STDP and its windows are those of examples/two_layers.py; other rules take their place.
MODEL = Sequential(
    Conv2D(16, 5, neuron=INFERENCE, firing=0.2,
           training=STDP(windows=4000, chunks=20, min_spikes=6, neuron=TRAINING, mechanism=MECHANISM)),
    AvgPool2D(2),
    Conv2D(64, 5, neuron=INFERENCE, firing=0.2,
           training=STDP(windows=4000, chunks=40, slot=75, pattern_steps=20, min_spikes=20, neuron=TRAINING,
                         mechanism=MECHANISM, gate=400.0, lateral=60.0, homeostasis=(0.3, 0.3))),
    Classifier(grid=4, C=3.0))
