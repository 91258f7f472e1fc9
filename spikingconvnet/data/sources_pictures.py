"""Files of pictures, one an image, as pillow reads them."""

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from spikingconvnet.data.images import MAX_SIDE, READING
from spikingconvnet.data.sources_files import suffix
from spikingconvnet.errors import DataError
from spikingconvnet.gates.progress import counted
from spikingconvnet.network.arrays import Numbers

log = logging.getLogger(__name__)
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
AS = {"1": "L", "LA": "L", "La": "L", "P": "RGB", "PA": "RGB", "RGBA": "RGB", "RGBa": "RGB", "RGBX": "RGB",
      "CMYK": "RGB", "YCbCr": "RGB", "LAB": "RGB", "HSV": "RGB"}        # what pillow's modes are read as


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder, by name; other files are left out with a log line."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    found = [path for path in files if suffix(path) in PICTURES]
    if len(found) < len(files):
        others = [path.name for path in files if suffix(path) not in PICTURES]
        log.info("%s: %s files that are no pictures are left out (%s)", folder, len(others), ", ".join(others[:3]))
    return found


def read_pictures(paths: Sequence[Path], size: tuple[int, int] | None = None) -> Numbers:
    """Pictures of one size, as their files hold them.

    Parameters
    ----------
    paths : list of Path
        At least one.
    size : (H, W) or None
        To which pillow scales every picture that has another one; None takes them as they are.

    Returns
    -------
    array (N, H, W), or (N, H, W, 3) if one of them is coloured
        uint8, or for files of more bits their own type.

    Raises
    ------
    DataError
        A file that is damaged or no picture, or pictures of different sizes or types.
    """
    found = [_picture(path, size) for path in counted(paths, READING)]
    coloured = any(image.ndim == 3 for image in found)
    if coloured:
        found = [image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2) for image in found]
    _require_same(paths, ["x".join(map(str, image.shape[:2])) for image in found], "pixels")
    _require_same(paths, [image.dtype.name for image in found], "type")
    return np.stack(found)


def _require_same(paths: Sequence[Path], values: Sequence[str], kind: str) -> None:
    """Raise a DataError with two pictures that differ, and a size for all of them, unless all are the same."""
    odd = next((i for i, value in enumerate(values) if value != values[0]), None)
    if odd is not None:
        hint = " write SIZE = (rows, columns) in the parameters, to which all are scaled" if kind == "pixels" else ""
        raise DataError(f"{paths[odd]}: {kind} {values[odd]}, but {values[0]} in {paths[0]}; all images of a set have"
                        f" the same;{hint or ' convert them'}")


def _picture(path: Path, size: tuple[int, int] | None) -> Numbers:
    """One picture: array (H, W) or (H, W, 3)."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if max(image.size) > MAX_SIDE:
                    raise DataError(f"{path}: {image.size[1]}x{image.size[0]} pixels, at most {MAX_SIDE} a side are"
                                    " read")
                image = image.convert(AS[image.mode]) if image.mode in AS else image
                if size and image.size != size[::-1]:
                    image = image.resize(size[::-1], Image.Resampling.BILINEAR)
                return np.array(image)
    except UnidentifiedImageError as error:
        raise DataError(f"{path}: is no picture that pillow knows; convert it, or take it away") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: a damaged picture ({' '.join(str(error).split())}); get it again, or take it"
                        " away") from error
