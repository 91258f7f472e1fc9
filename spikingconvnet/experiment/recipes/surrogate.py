"""Leaky integrate-and-fire neurons trained with surrogate gradients. Units: steps of 1 ms, ms, mV, nA, nF.

Training needs torch: pip install 'spikingconvnet[torch]'.
"""

from spikingconvnet import Dense, Descent, Intensity, RegularEncoder, Sequential, SpikeCount, Surrogate

SEED = 0

DATASET = "data/mnist"
CLASSES = range(10)
N_TRAIN = 60_000
N_VALIDATION = 0
N_TEST = 10_000

# 25 steps of input, in training too; its last spikes need one more step a layer, and a further one shows the membranes
# behind them. RateEncoder for Poisson spikes.
FILTER = Intensity()
ENCODER = RegularEncoder(n_steps=25, max_rate=1.0, random_phase=True)
SLOT = 30
RESET = True                # without it a gap of some tau_m has to bring the membranes back to rest

RULE = Surrogate(descent=Descent(epochs=10, shift=1))
MODEL = Sequential((1, 28, 28), Dense(512, neuron=RULE.neuron), Dense(10, neuron=RULE.neuron), SpikeCount())
