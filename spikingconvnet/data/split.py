"""Which images of a data set are learned from, validated with and tested with."""

import logging
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from spikingconvnet.data.images import require_array, whole_numbers
from spikingconvnet.errors import DataError, SettingsError, require
from spikingconvnet.network.arrays import AnyInts, ArrayLike, Ints

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Split:
    """Which images train, validate and test; validation images come from the training file but never train.

    Attributes
    ----------
    train, validation : int64 array
        Indices into the training file.
    test : int64 array
        Indices into the test file.

    Raises
    ------
    SettingsError
        An index below 0 or twice, or an image that is in both `train` and `validation`.
    """

    train: Ints
    validation: Ints
    test: Ints

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(self)):
            array = getattr(self, name)
            require_array("Split", name, array, np.int64, 1, SettingsError)
            require(not len(array) or array.min() >= 0, "Split", name, "a negative index", "0 or more")
            require(len(np.unique(array)) == len(array), "Split", name, "an index twice", "without repeats")
        shared = np.intersect1d(self.train, self.validation)
        require(not len(shared), "Split", "train, validation", f"{len(shared)} shared images", "without overlap")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Split) and all(
            np.array_equal(getattr(self, field.name), getattr(other, field.name)) for field in fields(self))


def check_classes(labels: Mapping[str, AnyInts], source: str) -> None:
    """Refuse a split that teaches nothing, and warn of classes that it cannot teach.

    Parameters
    ----------
    labels : dict of str to integer array
        Of the images of ``train``, ``validation`` and ``test``.
    source : str
        The data set, for the error text.

    Raises
    ------
    SettingsError
        No training images.
    DataError
        Training images of one class.
    """
    known = np.unique(labels["train"]).tolist()
    if not known:
        raise SettingsError("parameters.N_TRAIN: is 0, so there is nothing to learn from; raise it")
    if len(known) == 1:
        raise DataError(f"{source}: all {len(labels['train']):,} training images are of class {known[0]}, so there is"
                        " nothing to tell apart; raise N_TRAIN, set PER_CLASS = True, or give another --source")
    for name in ("validation", "test"):
        unknown = np.setdiff1d(labels[name], known).tolist()
        if unknown:
            log.warning("warning: no training image is of class %s, so the %s %s images of it cannot be recognised;"
                        " raise N_TRAIN, or set PER_CLASS = True", " or ".join(map(str, unknown)),
                        f"{np.isin(labels[name], unknown).sum():,}", name)


def split(train_labels: ArrayLike, test_labels: ArrayLike, classes: Iterable[int] = range(10),
          n_train: int | None = None, n_validation: int = 0, n_test: int | None = None, per_class: bool = False,
          rng: np.random.Generator | None = None) -> Split:
    """Choose images by class and count.

    Training images are the first `n_train` of the chosen classes in file order, validation images the last
    `n_validation` of the same file, test images the first `n_test` of the test file: ``n_train=50000,
    n_validation=10000`` trains on the first 50,000 digits of MNIST and validates on the last 10,000.

    Parameters
    ----------
    train_labels, test_labels : integer array (N,)
        Classes in the two files.
    classes : iterable of int
        Class ids to keep, each once; the order has no meaning.
    n_train, n_test : int or None
        Images; None for all (those that validation leaves).
    n_validation : int
        Images.
    per_class : bool
        The three counts are meant for each class, not for all classes together.
    rng : numpy.random.Generator, optional
        Shuffles the training file's images, then the test file's, before they are counted off.

    Returns
    -------
    Split
        In file order, or in shuffled order with `rng`.

    Raises
    ------
    SettingsError
        More images asked for than there are, a class in neither file, a count below 0.

    >>> parts = split([7, 3, 7, 3, 7], [3, 7, 1], classes=[3, 7], n_train=2, n_validation=1)
    >>> parts.train.tolist(), parts.validation.tolist(), parts.test.tolist()
    ([0, 1], [4], [0, 1])
    """
    train_labels = whole_numbers("split", "train_labels", train_labels)
    test_labels = whole_numbers("split", "test_labels", test_labels)
    for name, count, optional in (("n_train", n_train, True), ("n_validation", n_validation, False),
                                  ("n_test", n_test, True)):
        whole = isinstance(count, (int, np.integer)) and not isinstance(count, bool) and count >= 0
        require(whole or (optional and count is None), "split", name, count,
                "a whole number, 0 or more" + ", or None for all" * optional)
    classes = _known_classes(classes, np.union1d(train_labels, test_labels).tolist())
    train, validation = _count_off(train_labels, classes, n_train, n_validation, per_class, rng, "n_train")
    test, _ = _count_off(test_labels, classes, n_test, 0, per_class, rng, "n_test")
    return Split(train, validation, test)


def _known_classes(classes: Iterable[int], known: Sequence[int]) -> list[int]:
    """`classes` as a list of int, each once and among the `known` ones."""
    try:
        wanted = [operator.index(c) for c in classes]
    except TypeError:
        raise SettingsError(f"split.classes: must be class ids, got {classes!r}") from None
    require(wanted and len(set(wanted)) == len(wanted), "split", "classes", wanted, "one class or more, each once")
    unknown = [c for c in wanted if c not in known]
    require(not unknown, "split", "classes", unknown, f"among those in the files, {known}")
    return wanted


def _count_off(labels: Ints, classes: list[int], n_first: int | None, n_last: int, per_class: bool,
               rng: np.random.Generator | None, name: str) -> tuple[Ints, Ints]:
    """The first `n_first` (None for all that are left) and the last `n_last` images of all classes, or of each."""
    pool = np.flatnonzero(np.isin(labels, classes))
    if rng is not None:
        pool = rng.permutation(pool)
    first, last = [], []
    for group in [[c] for c in classes] if per_class else [classes]:
        members = np.flatnonzero(np.isin(labels[pool], group))
        n_left = len(members) - n_last
        require((n_first or 0) <= n_left, "split", name + ", n_validation" * bool(n_last),
                (n_first, n_last) if n_last else n_first,
                f"at most {len(members)}{' together' * bool(n_last)}, as many as its file has of classes {group}")
        first.append(members[:n_left if n_first is None else n_first])
        last.append(members[n_left:])
    return pool[np.sort(np.concatenate(first))], pool[np.sort(np.concatenate(last))]
