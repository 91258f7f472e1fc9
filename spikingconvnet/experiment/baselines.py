"""Classifiers that see the plain values, to compare a network with."""

from typing import Any

import numpy as np

from spikingconvnet.network.arrays import Floats, Ints


def logistic_regression(values: Floats, labels: Ints, asked: Floats) -> Ints:
    """What a logistic regression answers on standardised values: array of labels.

    Parameters
    ----------
    values, asked : float arrays (n, features), (m, features)
        Of training and test samples; the former alone decide the standardisation.
    labels : int array (n,)
    """
    from sklearn.linear_model import LogisticRegression

    return _standardised(LogisticRegression(max_iter=1000), values, labels, asked)


def support_vectors(values: Floats, labels: Ints, asked: Floats) -> Ints:
    """What a support vector machine with Gaussian kernels answers; as :func:`logistic_regression`."""
    from sklearn.svm import SVC

    return _standardised(SVC(), values, labels, asked)


BASELINES = {"logistic regression": logistic_regression, "support vector machine": support_vectors}


def _standardised(model: Any, values: Floats, labels: Ints, asked: Floats) -> Ints:
    deviation = values.std(axis=0)
    scale = np.where(deviation > 0, deviation, 1.0)
    model.fit((values - values.mean(axis=0)) / scale, labels)
    answers: Ints = model.predict((asked - values.mean(axis=0)) / scale)
    return answers
