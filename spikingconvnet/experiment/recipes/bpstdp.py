"""BP-STDP on MNIST, 784-1000-10. Units: steps of 1 ms, ms, mV, nA, nF."""

from spikingconvnet import BPSTDP, Dense, Intensity, RegularEncoder, Sequential, SpikeCount

SEED = 0

DATASET = "data/mnist"
CLASSES = range(10)
N_TRAIN = 60_000
N_VALIDATION = 0
N_TEST = 10_000

# 20 steps of input; its last spikes need one more step a layer, and a further one shows the membranes behind them.
FILTER = Intensity()
ENCODER = RegularEncoder(n_steps=20, max_rate=1.0, random_phase=True)
SLOT = 25
RESET = True                # integrate-and-fire neurons do not leak: every image starts at rest

RULE = BPSTDP(epochs=10, n_steps=20, window=4, mu=0.002, hidden_ratio=4.0, shift=1)
MODEL = Sequential((1, 28, 28), Dense(1000, neuron=RULE.neuron), Dense(10, neuron=RULE.neuron), SpikeCount(last=24))
