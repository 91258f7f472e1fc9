r"""Digits anywhere among pieces of other digits, 40x40, from MNIST: one .npz file.

    python benchmarks/cluttered_digits.py runs/clutter.npz
    python benchmarks/floors.py --parameters benchmarks/two_layer_parameters.py --source runs/clutter.npz \
        --run-dir runs/clutter --seeds 0 1 2 --grids 4 2 1 --rules "raw pixels" random kmeans stdp local-errors

A digit lies anywhere on the canvas, and over it six pieces of 8x8 pixels of other digits, also anywhere: as the
cluttered translated digits of Mnih et al. 2014 (arXiv 1406.6247), whose canvas is larger. 10,000 digits for training,
2,000 for validation, the last of the training part, and 5,000 of MNIST's test file; pieces come from digits of the same
part. The same file every time.
"""

import numpy as np
from colour_digits import TEST, TRAIN, VALIDATION, write

from spikingconvnet.data import datasets

CANVAS, PIECES, PIECE, SEED = 40, 6, 8, 1
MARGIN = 4              # of a digit's image, where no pieces come from: it is empty


def cluttered(digits, rng):
    """Digits among pieces of each other: uint8 (n, 40, 40).

    Parameters
    ----------
    digits : uint8 array (n, rows, columns), at most 40 each
    rng : Generator
    """
    made = np.zeros((len(digits), CANVAS, CANVAS), np.uint8)
    _, rows, columns = digits.shape
    for one, digit in zip(made, digits):
        y, x = rng.integers(0, CANVAS - rows + 1), rng.integers(0, CANVAS - columns + 1)
        one[y:y + rows, x:x + columns] = digit
        for other in digits[rng.integers(len(digits), size=PIECES)]:
            y, x = (rng.integers(MARGIN, side - MARGIN - PIECE + 1) for side in (rows, columns))
            to_y, to_x = rng.integers(0, CANVAS - PIECE + 1, size=2)
            place = one[to_y:to_y + PIECE, to_x:to_x + PIECE]
            np.maximum(place, other[y:y + PIECE, x:x + PIECE], out=place)
    return made


def cluttered_digits(source="data/mnist"):
    """The set: dict of ``x_train``, ``y_train``, ``x_test``, ``y_test``."""
    train, test = (datasets.load(source, part) for part in ("train", "test"))
    rng, chosen = np.random.default_rng(SEED), np.concatenate([np.arange(TRAIN), np.arange(-VALIDATION, 0)])
    parts = train.images[chosen[:TRAIN]], train.images[chosen[TRAIN:]], test.images[:TEST]
    found = [cluttered(part, rng) for part in parts]
    return {"x_train": np.concatenate(found[:2]), "y_train": train.labels[chosen], "x_test": found[2],
            "y_test": test.labels[:TEST]}


if __name__ == "__main__":
    write(__doc__, cluttered_digits)
