"""R-STDP on the irises, 40-3, made for a board. Units: steps of 1 ms, ms, mV, nA, nF."""

from spikingconvnet import RSTDP, Dense, GaussianReceptiveFields, Membrane, RegularEncoder, Sequential

SEED = 0

DATASET = "iris"
CLASSES = range(3)
N_TRAIN = 120
N_VALIDATION = 0
N_TEST = 30

# Ten fields for each of the four measures; up to eight spikes in 16 steps.
FILTER = GaussianReceptiveFields(fields=10, width=1.0)
ENCODER = RegularEncoder(n_steps=16, max_rate=0.5)
SLOT = 18                   # step 17 begins when the last spikes have arrived
RESET = True

RULE = RSTDP(epochs=5, pattern_steps=16)
MODEL = Sequential((10, 1, 4), Dense(3, neuron=RULE.neuron), Membrane(first=17, last=18))
