"""BP-STDP on the irises, 40-30-3. Units: steps of 1 ms, ms, mV, nA, nF."""

from spikingconvnet import BPSTDP, Dense, GaussianReceptiveFields, RegularEncoder, Sequential, SpikeCount

SEED = 0

DATASET = "iris"
CLASSES = range(3)
N_TRAIN = 120
N_VALIDATION = 0
N_TEST = 30

FILTER = GaussianReceptiveFields(fields=10, width=2.0)
ENCODER = RegularEncoder(n_steps=48, max_rate=1.0, random_phase=True)
SLOT = 53
RESET = True

RULE = BPSTDP(epochs=30, n_steps=48, window=4, mu=0.002, hidden_ratio=1.0, output_threshold=2.0, deviation=0.3)
MODEL = Sequential((10, 1, 4), Dense(30, neuron=RULE.neuron), Dense(3, neuron=RULE.neuron), SpikeCount(last=52))
