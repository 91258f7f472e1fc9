"""A small experiment of version 0.1, with the names that modules had then."""

from spikingconvnet.encoding import LatencyEncoder
from spikingconvnet.layers import STDP, Classifier, Conv2D
from spikingconvnet.neurons import IFCurrExp
from spikingconvnet.plasticity import AdditiveWeightDependence, SpikePairRule, STDPMechanism
from spikingconvnet.preprocessing import DifferenceOfGaussians

from spikingconvnet.model import Sequential

SEED = 3
DATASET = "data/mnist"
N_TRAIN = 40
N_TEST = 20
FILTER = DifferenceOfGaussians(sigma_centre=1.0, sigma_surround=2.0, contrast=0.423)
ENCODER = LatencyEncoder(n_steps=15, threshold=0.08, saturation=0.6)
SLOT = 28
CELL = IFCurrExp(tau_m=10.0, cm=10.0, v_rest=0.0, v_reset=0.0, v=0.0, tau_syn_E=2.0, tau_syn_I=2.0, tau_refrac=0.0)
MODEL = Sequential(
    (2, 28, 28),
    Conv2D(filters=3, kernel_size=7, neuron=CELL, firing=0.2, gain=4.0,
           training=STDP(windows=100, chunks=2, slot=60, pattern_steps=15, min_spikes=10,
                         mechanism=STDPMechanism(
                           SpikePairRule(tau_plus=10.0, tau_minus=10.0, A_plus=0.02, A_minus=0.02),
                           AdditiveWeightDependence(w_min=0.0, w_max=1.0)),
                         gate=60.0, lateral=25.0, homeostasis=(0.2, 0.2))),
    Classifier(grid=3, C=1.0))
