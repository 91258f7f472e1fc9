"""Single files of arrays: NumPy's .npy and .npz, and tables of text; nothing in them is ever unpickled."""

import csv
import lzma
import os
import re
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from spikingconvnet.data.images import READING
from spikingconvnet.errors import DataError
from spikingconvnet.gates.progress import OfLength, counted
from spikingconvnet.network.arrays import Numbers

ARRAYS = (".npy", ".npz")
TABLES = (".csv", ".tsv")
LABEL_COLUMNS = ("label", "labels", "class", "target", "y", "digit", "letter", "species")
DELIMITERS = ",;\t"
LONGEST_LINE = 1 << 24          # characters
MOST_BYTES = 1 << 33            # of the arrays in one .npz, unpacked
# What NumPy, and zipfile below it, raise of files that were altered.
DAMAGED = (OSError, ValueError, TypeError, EOFError, KeyError, AttributeError, MemoryError, OverflowError,
           SyntaxError, RuntimeError, struct.error, zipfile.BadZipFile, zlib.error, lzma.LZMAError, tokenize.TokenError)


def read_arrays(path: Path) -> dict[str, Numbers]:
    """The arrays of a .npz by their names, or the one of a .npy under the name ``arr_0``.

    Raises
    ------
    DataError
        A file that is damaged, holds Python objects, or declares more than it has.
    """
    try:
        if path.suffix.lower() == ".npy":
            return {"arr_0": np.array(np.load(path, mmap_mode="r", allow_pickle=False))}      # not more than is there
        with np.load(path, allow_pickle=False) as file:
            size = sum(entry.file_size for entry in file.zip.infolist())
            if size > MOST_BYTES:
                raise DataError(f"{path}: {size:,} bytes of arrays, at most {MOST_BYTES:,} are read")
            return {name: file[name] for name in file.files}
    except DAMAGED as error:
        if isinstance(error, DataError):
            raise
        if re.search("pickle|Python objects|Object arrays", str(error)) and _begins_as_numpys(path):
            raise DataError(f"{path}: holds Python objects, which are not read, as they can run code; save numbers:"
                            " np.savez(file, images=np.stack(list_of_images), labels=np.array(labels))") from None
        raise DataError(f"{path}: cannot be read as NumPy's ({_text(error)}); write it again with numpy.save or"
                        " numpy.savez") from error


def _begins_as_numpys(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(6) in (b"\x93NUMPY", b"PK\x03\x04\x14\x00", b"PK\x03\x04-\x00")


def _text(error: BaseException) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__


def read_table(path: Path, label: int | None = 0,
               known: Sequence[str] = LABEL_COLUMNS) -> tuple[Numbers, Numbers | None]:
    """Rows of numbers, and their labels, of a table of text with or without a line of names.

    Parameters
    ----------
    path : Path
        Commas, semicolons or tabs between the columns.
    label : int or None
        Column of the labels where none has a `known` name; None for no labels.
    known : tuple of str
        Names of a column of labels.

    Returns
    -------
    numbers : float64 array (N, columns)
    labels : str array (N,) or None

    Raises
    ------
    DataError
        A row that is shorter, or holds what is no number.
    """
    first, delimiter = _first_row(path)
    names = [name.strip().lower() for name in first]
    has_names = not all(map(_is_number, names[1:]))
    named = next((i for i, name in enumerate(names) if has_names and name in known), None)
    column = label if named is None else named
    others = [i for i in range(len(first)) if i != column]
    if not others:
        raise DataError(f"{path}: only one column; a table holds a label and the pixels of an image in each row")
    numbers = _columns(path, delimiter, has_names, others, np.float64)
    return numbers, None if column is None else _columns(path, delimiter, has_names, [int(column)], np.str_)[:, 0]


def _first_row(path: Path) -> tuple[list[str], str]:
    """The cells of the first line, and what stands between them."""
    line = first_line(path)
    delimiter = max(DELIMITERS, key=line.count)
    try:
        return next(csv.reader([line], delimiter=delimiter), []), delimiter
    except csv.Error as error:
        raise DataError(f"{path}: cannot be read as a table of text ({error})") from error


def first_line(path: Path) -> str:
    """The first line of a text; what is no text is a DataError."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            return next(_lines(file, path), "")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as a table of text ({_text(error)})") from error


def _lines(file: TextIO, path: Path) -> Iterator[str]:
    """The lines of a text; one that does not end is a DataError before it fills the memory."""
    while line := file.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE and not line.endswith("\n"):
            raise DataError(f"{path}: a line of more than {LONGEST_LINE:,} characters; a table has a line for each row")
        yield line


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _columns(path: Path, delimiter: str, has_names: bool, columns: Sequence[int], dtype: Any) -> Numbers:
    try:
        about = path.stat().st_size // max(1, len(first_line(path)))            # lines
        with warnings.catch_warnings(), open(path, encoding="utf-8-sig") as file:
            warnings.filterwarnings("ignore", "loadtxt: input contained no data")      # an error of ours below
            found: Numbers = np.loadtxt(
                counted(OfLength(_lines(file, path), about), READING), dtype, delimiter=delimiter,
                skiprows=int(has_names), usecols=columns, ndmin=2, comments=None, quotechar='"')
    except DataError:
        raise
    except (OSError, ValueError) as error:              # of which UnicodeDecodeError is one
        raise DataError(f"{path}: {_text(error)}; every row holds the same number of numbers, and a label") from error
    if not len(found):
        raise DataError(f"{path}: no row is in it")
    return found


def suffix(path: str | os.PathLike[str]) -> str:
    """The end of a file's name, in small letters, with its dot."""
    return Path(path).suffix.lower()
