"""A convolutional network of rectifying units, converted to integrate-and-fire neurons.

Units: steps of 1 ms, ms, mV, nA, nF. Training needs torch: pip install 'spikingconvnet[torch]'.
"""

from spikingconvnet import AvgPool2D, Conv2D, Convert, Dense, Descent, Intensity, RegularEncoder, Sequential, SpikeCount

SEED = 0

DATASET = "data/mnist"
CLASSES = range(10)
N_TRAIN = 60_000
N_VALIDATION = 0
N_TEST = 10_000

# A pixel of full intensity fires in every step. One more step shows the membranes at the end of the window.
# RateEncoder for Poisson spikes; BitPlanes() as FILTER, with a MODEL of 8 channels, for constant currents.
FILTER = Intensity()
ENCODER = RegularEncoder(n_steps=40, max_rate=1.0)
SLOT = 41
RESET = True                # integrate-and-fire neurons do not leak: every image starts at rest

RULE = Convert(descent=Descent(epochs=12, shift=2))
CELL = RULE.neuron
MODEL = Sequential((1, 28, 28), Conv2D(12, 5, neuron=CELL), AvgPool2D(2), Conv2D(64, 5, neuron=CELL), AvgPool2D(2),
                   Dense(10, neuron=CELL), SpikeCount(last=40))
