"""What all figures share: colours, the empty figure, checks of what is drawn, the two files.

What cannot be drawn is a SettingsError that names the figure's function and its argument.
"""

import io
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import matplotlib
import numpy as np
from matplotlib.figure import Figure as Figure

from spikingconvnet.errors import require
from spikingconvnet.gates.files import write_whole
from spikingconvnet.network.arrays import Numbers
from spikingconvnet.network.spikes import Spikes

SEQUENTIAL, DIVERGING, SHARES = "viridis", "RdBu_r", "Blues"
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#7f7f7f"
GAP_COLOUR = "#cccccc"          # between tiles: neither white (0 of the diverging map) nor a colour of a map
MAX_DENSE = 2000                # marks or points beyond this are one bitmap in the SVG
MAX_LABELS = 16                 # tick labels; of more, every 2nd, 5th, 10th and so on
DPI = 150
METADATA = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}


def framed(width: float, height: float, title: str) -> Figure:
    """Empty Figure of that size in inches with a title."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title, fontsize=12)
    return figure


def titled(layer: str, text: str) -> str:
    """A title with the name of its layer in front, if there is one: ``Layer 1: mean activity of 3 filters``."""
    return f"{layer}: {text[0].lower()}{text[1:]}" if layer else text


def laid_out(figure: Figure) -> Figure:
    """The figure with its layout computed once and fixed: computed again at each drawing it would drift by a pixel."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def every_nth(n: int) -> int:
    """Distance of labels, of 1, 2, 5, 10, 20 and so on, that writes at most MAX_LABELS of `n`."""
    steps = (step * int(10 ** power) for power in range(20) for step in (1, 2, 5))
    return next(step for step in steps if n <= MAX_LABELS * step)


def counted(text: str, n: int, noun: str) -> str:
    """`text` with its braces filled by a number and its noun: ``3 filters``."""
    return text.format(f"{n} {noun}" if n == 1 else f"{n} {noun}s")


def checked_array(owner: str, name: str, value: object, shape: str, dtype: type[Any] = np.floating) -> Numbers:
    """`value` as an array with as many axes as `shape` names, none empty and all finite; real numbers become floats."""
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.empty(0, object)         # rows of different length
    n_axes = shape.count(",") + (not shape.endswith(",)"))
    require(array.ndim == n_axes and array.size > 0, owner, name, array.shape, f"an array {shape}, none of them 0")
    wanted = np.number if dtype is np.floating else dtype
    require(np.issubdtype(array.dtype, wanted), owner, name, array.dtype.name, f"of type {dtype.__name__}")
    require(bool(np.isfinite(array).all()), owner, name, "NaN or infinity", "finite")
    return array.astype(np.float64) if dtype is np.floating else array


def require_spikes(owner: str, spikes: object, timestep: float) -> None:
    """Refuse what is not a Spikes, and a timestep that is not above 0 ms."""
    require(isinstance(spikes, Spikes), owner, "spikes", type(spikes).__name__, "a Spikes")
    require_timestep(owner, timestep)


def require_timestep(owner: str, timestep: float) -> None:
    """Refuse a timestep that is not above 0 ms."""
    require(timestep > 0, owner, "timestep", timestep, "above 0 ms")


def save(figure: Figure, stem: str | Path) -> list[Path]:
    """Write ``stem.png`` and ``stem.svg``, the same bytes for the same figure.

    The directory is made; each file appears whole or not at all, and nothing is written if drawing fails.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    stem : path
        Without a suffix; dots in its name are kept.

    Returns
    -------
    list of pathlib.Path

    Raises
    ------
    SurroundingsError
        A file cannot be written.
    """
    contents = {Path(f"{stem}.{kind}"): _rendered(figure, kind) for kind in METADATA}
    for path, content in contents.items():
        write_whole(path, partial(_write, content))
    return list(contents)


def _write(content: bytes, stream: BinaryIO) -> None:
    stream.write(content)


def _rendered(figure: Figure, kind: str) -> bytes:
    content = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "spikingconvnet", "svg.fonttype": "path"}):
        figure.savefig(content, format=kind, dpi=DPI, metadata=METADATA[kind])
    return content.getvalue()
