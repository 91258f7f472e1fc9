"""Kernels to compare STDP with: what the network reaches without learning, and with ordinary clustering.

Both go the same way as learned kernels afterwards: centred, scaled, calibrated.
"""

import numpy as np
from scipy.cluster.vq import kmeans2

from spikingconvnet.model.windows import pooled_input, window_spikes
from spikingconvnet.training.layerwise.calibration import calibrate
from spikingconvnet.training.layerwise.course import Course, Trained, weight_health
from spikingconvnet.training.layerwise.stdp import random_kernels

KMEANS_ITERATIONS = 20


def random(stage, spikes, rng, open_network, progress=iter, so_far=None, keep=None):
    """Random kernels, the ones STDP starts from: course.Trained. Parameters as ``stdp.train``."""
    windows = window_spikes(stage, pooled_input(stage, spikes), rng)     # as many draws as STDP makes
    del windows
    return _finished(stage, spikes, random_kernels(stage, rng), open_network)


def kmeans(stage, spikes, rng, open_network, progress=iter, so_far=None, keep=None):
    """Centres of the windows that STDP would see, each input valued by how early it fires: course.Trained.

    Lloyd's algorithm of ``scipy.cluster.vq.kmeans2`` with k-means++ starts. Parameters as ``stdp.train``.
    """
    windows = window_spikes(stage, pooled_input(stage, spikes), rng)
    sample, neuron, step = windows.events()
    early = np.zeros((windows.n_samples, windows.size))
    value = np.maximum(1.0 - step / stage.layer.training.pattern_steps, 0.0)
    np.maximum.at(early, (sample, neuron), value)
    centres, _ = kmeans2(early, stage.layer.filters, iter=KMEANS_ITERATIONS, minit="++", seed=rng)
    bounds = stage.layer.training.mechanism.weight_dependence
    learned = bounds.w_min + (bounds.w_max - bounds.w_min) * centres
    return _finished(stage, spikes, learned.reshape(stage.layer.kernel_shape(stage.in_shape)), open_network)


def _finished(stage, spikes, kernels, open_network):
    nothing = Course(np.zeros((0, 3), int), np.zeros((0, stage.layer.filters)), np.zeros(0))
    return Trained(kernels, kernels, calibrate(stage, kernels, spikes, open_network), nothing,
                   weight_health(stage, kernels))
