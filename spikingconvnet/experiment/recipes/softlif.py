"""A convolutional network of soft LIF units, run as leaky integrate-and-fire neurons with synapses that filter.

Units: steps of 1 ms, ms, mV, nA, nF. Training needs torch: pip install 'spikingconvnet[torch]'.
"""

from spikingconvnet import AvgPool2D, Conv2D, Dense, Descent, Intensity, Membrane, RegularEncoder, Sequential, SoftLIF

SEED = 0

DATASET = "data/mnist"
CLASSES = range(10)
N_TRAIN = 60_000
N_VALIDATION = 0
N_TEST = 10_000

# A pixel of full intensity fires in every step; RateEncoder for Poisson spikes.
FILTER = Intensity()
ENCODER = RegularEncoder(n_steps=60, max_rate=1.0)
SLOT = 61
RESET = True                # every image starts at rest

# The answer is the highest mean membrane of output units that do not fire, when hidden rates have settled;
# SpikeCount(last=60) lets them fire.
RULE = SoftLIF(descent=Descent(epochs=8, learning_rate=0.02, shift=2))
CELL, OUTPUT = RULE.neuron, RULE.output_neuron
MODEL = Sequential((1, 28, 28), Conv2D(12, 5, neuron=CELL), AvgPool2D(2), Conv2D(64, 5, neuron=CELL), AvgPool2D(2),
                   Dense(10, neuron=OUTPUT), Membrane(first=30, last=60))
