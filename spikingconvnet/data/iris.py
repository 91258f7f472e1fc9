"""Fisher's irises, which come with scikit-learn, as a data set of whole numbers."""

import numpy as np

from spikingconvnet.data.images import ImageSet

IRIS = "iris"                   # a data set that comes with scikit-learn
IRIS_TEST = 5                   # every fifth flower of a species is in its test part


def iris() -> ImageSet:
    """Anderson's irises (Fisher 1936), as scikit-learn holds them: 50 flowers of each of three species.

    Returns
    -------
    ImageSet
        150 "images" (1, 4): length and width of sepal and petal in mm, as they were measured; labels 0 setosa,
        1 versicolor, 2 virginica.
    """
    from sklearn.datasets import load_iris

    centimetres, species = load_iris(return_X_y=True)
    return ImageSet(np.rint(10.0 * centimetres).astype(np.uint8)[:, None], species.astype(np.uint8))


def iris_part(part: str) -> ImageSet:
    """120 flowers to train with, in mixed order, or 30 to test; one split of 30 is worth little, see --cv."""
    flowers = iris()
    tested = np.arange(len(flowers)) % IRIS_TEST == IRIS_TEST - 1
    chosen = np.flatnonzero(tested == (part == "test"))
    return flowers.select(chosen.reshape(3, -1).T.ravel())
