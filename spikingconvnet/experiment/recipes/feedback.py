"""Direct feedback alignment on MNIST, 784-500-10, in spiking neurons. Units: steps of 1 ms, ms, mV, nA, nF."""

from spikingconvnet import Dense, FeedbackAlignment, Intensity, RegularEncoder, Sequential, SpikeCount

SEED = 0

DATASET = "data/mnist"
CLASSES = range(10)
N_TRAIN = 60_000
N_VALIDATION = 0
N_TEST = 10_000

# A pixel of full intensity fires in every step. One more step shows the membranes at the end of the window.
FILTER = Intensity()
ENCODER = RegularEncoder(n_steps=40, max_rate=1.0)
SLOT = 41
RESET = True                # integrate-and-fire neurons do not leak: every image starts at rest

RULE = FeedbackAlignment()
MODEL = Sequential((1, 28, 28), Dense(500, neuron=RULE.neuron), Dense(10, neuron=RULE.neuron), SpikeCount(last=40))
