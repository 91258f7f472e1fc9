"""What all figures share: colours and sizes, the empty figure, colour bars, checks of what is drawn, files.

What cannot be drawn is a SettingsError that names the figure's function and its argument.
"""

import io
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure as Figure
from matplotlib.ticker import MaxNLocator

from spikingconvnet.errors import require
from spikingconvnet.gates.files import write_whole
from spikingconvnet.network.arrays import Numbers
from spikingconvnet.network.spikes import Spikes

SEQUENTIAL, DIVERGING, SHARES = "viridis", "RdBu_r", "Blues"
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#7f7f7f"
GAP_COLOUR = "#cccccc"          # between tiles: neither white (0 of the diverging map) nor a colour of a map
MAX_DENSE = 2000                # marks or points beyond this are one bitmap in the SVG
MAX_NAMED = 8                   # samples whose labels have more than a number
MAX_LABELS = 16                 # tick labels; of more, every 2nd, 5th, 10th and so on
TITLE, TEXT, SMALL = 11, 9, 8   # sizes of text, points
DPI = 150
KINDS = "png", "svg"            # of files, unless others are asked for
METADATA: dict[str, dict[str, Any]] = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None},
                                       "pdf": {"CreationDate": None, "Creator": None, "Producer": None}}
# In files: text of an SVG as shapes, of a PDF as TrueType, which journals take and editors can edit.
IN_FILES: Any = {"svg.hashsalt": "spikingconvnet", "svg.fonttype": "path", "pdf.fonttype": 42}


def framed(width: float, height: float, title: str) -> Figure:
    """Empty Figure of that size in inches with a title."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title, fontsize=TITLE)
    return figure


def untitled(figure: Figure) -> Figure:
    """The same figure without its title, for a paper that says it below; lower by the height of the title."""
    if (title := figure._suptitle) is not None:     # type: ignore[attr-defined]
        figure.set_size_inches(figure.get_figwidth(), figure.get_figheight() - 2.0 * TITLE / 72)
        title.set(visible=False, in_layout=False)
        figure.set_layout_engine("constrained")
        laid_out(figure)
    return figure


def plain(axes: Axes) -> None:
    """Axes without a frame at the top and at the right, and with small numbers."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=SMALL)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_fontsize(TEXT)


def scale(figure: Figure, image: ScalarMappable, axes: Any, label: str, ticks: Sequence[float] | None = None,
          **where: Any) -> None:
    """A colour bar that names both of its ends, and round numbers between them, or `ticks`."""
    low, high = image.get_clim()
    bar = figure.colorbar(image, ax=axes, ticks=ticks or _ends(float(low), float(high)),
                          format=lambda value, _: f"{value:.3g}".replace("-", "\N{MINUS SIGN}"), **where)
    bar.set_label(label, size=TEXT)
    bar.ax.tick_params(labelsize=SMALL)


def _ends(low: float, high: float) -> list[float]:
    """Both ends, and round numbers between that keep a fifth of the way from them."""
    inner = [tick for tick in MaxNLocator(4).tick_values(low, high)
             if 0.2 <= (tick - low) / (high - low) <= 0.8]
    return [low, *inner, high]


def label_samples(axes: Iterable[Axes], names: Sequence[str], width: float, first: float) -> None:
    """Vertical lines between samples, `width` ms long from `first` on, and the samples' names above the upper axes."""
    borders, axes = first + width * np.arange(len(names) + 1), list(axes)
    for one in axes:
        for border in borders[1:-1]:
            one.axvline(border, color=GREY, linewidth=0.9, linestyle=(0, (4, 2)))
    every = every_nth(len(names))
    top = axes[0].secondary_xaxis("top")
    top.set_xticks((borders[:-1] + borders[1:])[::every] / 2, names[::every])
    top.tick_params(length=0, labelsize=TEXT)
    top.spines["top"].set_visible(False)


def sample_names(owner: str, names: Sequence[str] | None, n: int) -> list[str]:
    """Names of `n` samples: those given, else ``sample 0`` and on, of many the numbers alone."""
    if names is None:
        return [f"sample {k}" if n <= MAX_NAMED else str(k) for k in range(n)]
    require(len(names) >= n, owner, "samples", f"{len(names)} names", f"one name per sample ({n})")
    return list(names[:n])


def titled(layer: str, text: str) -> str:
    """A title with the name of its layer in front, if there is one: ``Layer 1: mean activity of 3 filters``."""
    return f"{layer}: {text[0].lower()}{text[1:]}" if layer else text


def laid_out(figure: Figure) -> Figure:
    """The figure with its layout computed once and fixed: computed again at each drawing it would drift by a pixel."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)          # as drawing begins with
    with matplotlib.rc_context({"figure.autolayout": False, "figure.constrained_layout.use": False}):
        figure.set_layout_engine(None)          # with "none" each file would be drawn twice
    return figure


def every_nth(n: int) -> int:
    """Distance of labels, of 1, 2, 5, 10, 20 and so on, that writes at most MAX_LABELS of `n`."""
    steps = (step * int(10 ** power) for power in range(20) for step in (1, 2, 5))
    return next(step for step in steps if n <= MAX_LABELS * step)


def counted(text: str, n: int, noun: str) -> str:
    """`text` with its braces filled by a number and its noun: ``3 filters``."""
    return text.format(f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s")


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


def save(figure: Figure, stem: str | Path, kinds: Sequence[str] = KINDS) -> list[Path]:
    """Write ``stem.png`` and ``stem.svg``, the same bytes for the same figure.

    The directory is made; each file appears whole or not at all, and nothing is written if drawing fails.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    stem : path
        Without a suffix; dots in its name are kept.
    kinds : sequence of str
        Kinds of files, of "png", "svg" and "pdf".

    Returns
    -------
    list of pathlib.Path

    Raises
    ------
    SettingsError
        A kind that is none of them.
    SurroundingsError
        A file cannot be written.
    """
    wrong = [kind for kind in kinds if kind not in METADATA]
    require(not wrong, "save", "kinds", wrong, f"of {', '.join(METADATA)}")
    contents = {Path(f"{stem}.{kind}"): _rendered(figure, kind) for kind in kinds}
    for path, content in contents.items():
        write_whole(path, partial(_write, content))
    return list(contents)


def _write(content: bytes, stream: BinaryIO) -> None:
    stream.write(content)


def _rendered(figure: Figure, kind: str) -> bytes:
    content = io.BytesIO()
    with matplotlib.rc_context(IN_FILES):
        figure.savefig(content, format=kind, dpi=DPI, metadata=METADATA[kind])
    return content.getvalue()
