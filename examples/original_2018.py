"""The experiment of the 2018 SpikingConvNet: digits 0, 1, 7 and 8, four filters of 4x4, stride 3, rate code.

Its neurons and its rule, as far as they are published, with more images: the original trained on one digit per class
and tested on twenty. See docs/original.md for what differs.
"""

from spikingconvnet import (
    STDP,
    AdditiveWeightDependence,
    Classifier,
    Conv2D,
    IFCurrExp,
    Intensity,
    RateEncoder,
    Sequential,
    SpikePairRule,
    STDPMechanism,
)

SEED = 0
DATASET = "data/mnist"
CLASSES = (0, 1, 7, 8)
PER_CLASS = True
N_TRAIN = 500
N_TEST = 970

FILTER = Intensity()
ENCODER = RateEncoder(n_steps=50, max_rate=0.2, threshold=80 / 255)
SLOT = 100

MODEL = Sequential(
    (1, 28, 28),
    Conv2D(
        filters=4, kernel_size=4, strides=3, per_map=True,
        neuron=IFCurrExp(tau_m=10.0, cm=0.5, v_rest=-65.0, v_reset=-65.0, v=-65.0, tau_syn_E=5.0, tau_syn_I=5.0,
                         tau_refrac=1.0),
        firing=0.2, gain=2.0,
        training=STDP(
            windows=800, chunks=10, slot=100, pattern_steps=50, min_spikes=4,
            neuron=IFCurrExp(tau_m=10.0, cm=0.5, v_rest=-65.0, v_reset=-65.0, v=-65.0, tau_syn_E=5.0, tau_syn_I=5.0,
                             tau_refrac=60.0),
            mechanism=STDPMechanism(SpikePairRule(tau_plus=7.0, tau_minus=7.0, A_plus=0.02, A_minus=0.02),
                                    AdditiveWeightDependence(w_min=0.0, w_max=1.0)),
            gate=100.0, lateral=300.0, initial_winners=1.0)),
    Classifier(C=3.0))
