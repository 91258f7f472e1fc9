"""Digits in colour, 32x32x3 as CIFAR-10: MNIST's over pieces of scikit-learn's two photographs, as one .npz file.

    python benchmarks/colour_digits.py runs/colour.npz
    python benchmarks/floors.py --parameters benchmarks/colour_parameters.py --run-dir runs/colour --seeds 0 1 2

Each value is |picture - ink|, which inverts the picture where the digit is (as MNIST-M: Ganin et al. 2016, JMLR
17:59), so neither brightness nor hue says what is digit. 10,000 digits for training lie on the left six tenths of the
photographs, 2,000 for validation, the last of the training part, on the next two, and 5,000 of MNIST's test file on
the last two: no piece of a picture is in two of them. The same file every time.
"""

import argparse
from pathlib import Path

import numpy as np

from spikingconvnet.data import datasets

SIZE, SEED = 32, 0
TRAIN, VALIDATION, TEST = 10_000, 2_000, 5_000
LEFT, MIDDLE, RIGHT = (0.0, 0.6), (0.6, 0.8), (0.8, 1.0)       # shares of a photograph's width


def over(digits, photographs, span, rng):
    """Digits over pieces of photographs: uint8 (n, 32, 32, 3).

    Parameters
    ----------
    digits : uint8 array (n, rows, columns), at most 32 each
    photographs : list of uint8 array (height, width, 3)
    span : (float, float)
        Shares of the width between which pieces lie.
    rng : Generator
    """
    made = np.empty((len(digits), SIZE, SIZE, 3), np.uint8)
    for one, digit in zip(made, digits):
        picture = photographs[rng.integers(len(photographs))]
        first, last = (round(share * picture.shape[1]) for share in span)
        x, y = rng.integers(first, last - SIZE + 1), rng.integers(0, picture.shape[0] - SIZE + 1)
        ink = np.zeros((SIZE, SIZE, 1), np.int16)
        row, column = ((SIZE - side) // 2 for side in digit.shape)
        ink[row:row + digit.shape[0], column:column + digit.shape[1], 0] = digit
        one[:] = np.abs(picture[y:y + SIZE, x:x + SIZE].astype(np.int16) - ink)
    return made


def colour_digits(source="data/mnist"):
    """The set: dict of ``x_train``, ``y_train``, ``x_test``, ``y_test``."""
    from sklearn.datasets import load_sample_images

    photographs, rng = [np.asarray(one) for one in load_sample_images().images], np.random.default_rng(SEED)
    train, test = (datasets.load(source, part) for part in ("train", "test"))
    chosen = np.concatenate([np.arange(TRAIN), np.arange(-VALIDATION, 0)])
    pictures = np.concatenate([over(train.images[chosen[:TRAIN]], photographs, LEFT, rng),
                               over(train.images[chosen[TRAIN:]], photographs, MIDDLE, rng)])
    return {"x_train": pictures, "y_train": train.labels[chosen],
            "x_test": over(test.images[:TEST], photographs, RIGHT, rng), "y_test": test.labels[:TEST]}


def write(text, make, args=None):
    """Write a set to the file that the command line names.

    Parameters
    ----------
    text : str
        What ``--help`` says.
    make : callable
        ``make(source)`` gives arrays by name.
    args : list of str or None
    """
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--source", default="data/mnist", help="directory of MNIST's IDX files")
    options = parser.parse_args(args)
    options.file.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(options.file, **make(options.source))


if __name__ == "__main__":
    write(__doc__, colour_digits)
