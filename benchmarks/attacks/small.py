"""A small experiment, every mode of which takes about a second: 60 training digits, one layer of 4 maps or two.

A tiny one takes a tenth of that, for attacks whose cases are many and do not depend on what is computed.
"""

import gzip
import struct
from pathlib import Path

import numpy as np

from attacks.harness import ROOT, made

MNIST = ROOT / "data" / "mnist"
SHARES = (("train", 80), ("t10k", 30))

PARAMETERS = """
from spikingconvnet import LatencyEncoder
from spikingconvnet import STDP, AvgPool2D, Classifier, Conv2D
from spikingconvnet import Sequential
from spikingconvnet import IFCurrExp
from spikingconvnet import AdditiveWeightDependence, SpikePairRule, STDPMechanism
from spikingconvnet import DifferenceOfGaussians

SEED = 0
DATASET = "digits"
CLASSES = range(10)
N_TRAIN = 60
N_VALIDATION = 20
N_TEST = 30
PER_CLASS = False
FILTER = DifferenceOfGaussians(sigma_centre=1.0, sigma_surround=2.0, contrast=0.35)
ENCODER = LatencyEncoder(n_steps=15, threshold=0.08, saturation=0.6)
SLOT = 30
CELL = IFCurrExp(tau_m=10.0, cm=10.0, v_rest=0.0, v_reset=0.0, v=0.0, tau_syn_E=1.0, tau_syn_I=1.0, tau_refrac=0.0)
MODEL = Sequential(
    (2, 28, 28),
    Conv2D(4, (5, 4), neuron=CELL, firing=0.1, gain=4.0,
           training=STDP(windows=30, chunks=3, slot=60, pattern_steps=15, min_spikes=5,
                         mechanism=STDPMechanism(SpikePairRule(tau_plus=10.0, tau_minus=10.0, A_plus=0.02,
                                                               A_minus=0.02),
                                                 AdditiveWeightDependence(w_min=0.0, w_max=1.0)),
                         gate=60.0, lateral=25.0, homeostasis=(0.2, 0.2))),
    {second}
    Classifier(grid=3, C=0.1))
"""
SECOND = """AvgPool2D(2),
    Conv2D(3, 3, neuron=CELL, training=STDP(windows=20, chunks=2, slot=70, pattern_steps=20, min_spikes=3)),"""
TINY = {"N_TRAIN = 60": "N_TRAIN = 20", "N_VALIDATION = 20": "N_VALIDATION = 10", "N_TEST = 30": "N_TEST = 10",
        "(2, 28, 28)": "(2, 14, 14)", "Conv2D(4, (5, 4)": "Conv2D(2, (4, 3)",
        "windows=30, chunks=3": "windows=8, chunks=2", "grid=3": "grid=2"}


def write(directory, layers=1, tiny=False):
    """Write images and a parameters file: the file's path. Tiny images are every second pixel of every second row."""
    digits = Path(directory) / "digits"
    digits.mkdir()
    for part, n in SHARES:
        images, labels = (gzip.decompress((MNIST / f"{part}-{kind}-ubyte.gz").read_bytes())
                          for kind in ("images-idx3", "labels-idx1"))
        pixels = np.frombuffer(images, np.uint8, n * 784, 16).reshape(n, 28, 28)[:, ::1 + tiny, ::1 + tiny]
        head = images[:4] + struct.pack(">3I", *pixels.shape)
        (digits / f"{part}-images-idx3-ubyte").write_bytes(head + pixels.tobytes())
        (digits / f"{part}-labels-idx1-ubyte").write_bytes(labels[:4] + struct.pack(">I", n) + labels[8:8 + n])
    text = PARAMETERS.replace("{second}", SECOND if layers == 2 else "")
    for there, instead in TINY.items() if tiny else ():
        text = text.replace(there, instead)
    path = Path(directory) / "parameters.py"
    path.write_text(text)
    return path


def run(directory, layers=1, mode="demo", *more, tiny=False):
    """Write them and run a mode in a forked process: the run directory."""
    path, where = write(directory, layers, tiny), Path(directory) / "run"
    made("--mode", mode, "--parameters", path, "--run-dir", where, *more)
    return where
