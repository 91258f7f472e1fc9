"""Files like those of EMNIST's letters, made of MNIST: 26 classes from 1 on, every image transposed.

    python benchmarks/letters.py [--folder DIR] [--train N] [--test N]
    python main.py --mode demo --source DIR --run-dir runs/letters

A class is a digit as it is (10), turned clockwise by a quarter (all but 0, 9) or mirrored (2, 3, 4, 5, 6, 7 and 9, 7).
Each digit of MNIST is in one class, so no image is there twice; training and test files are made of MNIST's own.
--train and --test are images a class. The files have the names of EMNIST's, by which readers know that they are
transposed (Cohen et al. 2017, arXiv 1702.05373).
"""

import argparse
from pathlib import Path

import numpy as np

from spikingconvnet.data import datasets

MNIST = Path(__file__).parents[1] / "data" / "mnist"
NAME = "emnist-letters"
AS_IT_IS, TURNED, MIRRORED = (lambda images: images), (lambda images: np.rot90(images, -1, (1, 2))), (
    lambda images: images[:, :, ::-1])
CLASSES = [*((digit, AS_IT_IS) for digit in range(10)), *((digit, TURNED) for digit in range(1, 10)),
           *((digit, MIRRORED) for digit in (2, 3, 4, 5, 6, 7, 9))]


def letters(images, labels, per_class):
    """Images as they are seen, uint8 (n, 28, 28), and labels from 1 on, uint8 (n,), in an order of their own."""
    left = {digit: list(np.flatnonzero(labels == digit)) for digit in range(10)}
    found, classes = [], []
    for number, (digit, change) in enumerate(CLASSES, 1):
        chosen, left[digit] = left[digit][:per_class], left[digit][per_class:]
        if len(chosen) < per_class:
            raise SystemExit(f"class {number}: {len(chosen)} images are left of digit {digit}, {per_class} are wanted")
        found.append(change(images[chosen]))
        classes.append(np.full(per_class, number, np.uint8))
    order = np.random.default_rng(0).permutation(len(CLASSES) * per_class)
    return np.concatenate(found)[order], np.concatenate(classes)[order]


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--folder", type=Path, default=Path("data/letters"))
    options.add_argument("--train", type=int, default=1000)
    options.add_argument("--test", type=int, default=200)
    options = options.parse_args()
    for part, per_class in (("train", options.train), ("test", options.test)):
        found = datasets.load(MNIST, part)
        images, labels = letters(found.images, found.labels, per_class)
        datasets.save(options.folder, part, np.ascontiguousarray(images.transpose(0, 2, 1)), labels)
    for path in options.folder.glob("t*-ubyte"):
        path.rename(path.with_name(f"{NAME}-{path.name.replace('t10k', 'test')}"))
    print(f"{options.folder}: {len(CLASSES)} classes of {options.train} training and {options.test} test images")


if __name__ == "__main__":
    main()
