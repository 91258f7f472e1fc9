"""The picture of the README: what filters have learned, a membrane with its threshold, and the page of the run.

    make demo && .venv/bin/python benchmarks/front_picture.py runs/demo/report.html docs/images/front.png

Everything is taken from the page: weights and membranes from its block of JSON, the rest as Chromium shows it.
"""

import argparse
import io
import json
import re
from pathlib import Path

import numpy as np
from chromium import browser
from matplotlib.figure import Figure
from matplotlib.image import imread
from PIL import Image

from spikingconvnet.experiment.report.packing import unpacked
from spikingconvnet.plotting.frame import BLUE, DIVERGING, GAP_COLOUR, ORANGE, RED, TEXT, plain, scale

DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)
STEP = 13           # of the image that is shown on the page
ZERO = 1e-3         # of a threshold: as good as the reset, in the steps of 16 bits that a page has
SIZE = 1240, 830    # of the window
COLUMNS, GAP = 8, 1
COLOURS = 256       # of the file
DPI = 160


def mosaic(run):
    """Kernels of the first layer, the second channel taken from the first, side by side: array with NaN between."""
    kernels = unpacked(run["layers"][0]["kernels"]["sets"]["after"])
    signed = kernels[:, 0] - kernels[:, 1]
    n, rows, columns = signed.shape
    tiles = np.full((-(-n // COLUMNS) * COLUMNS, rows + GAP, columns + GAP), np.nan)
    tiles[:n, GAP:, GAP:] = signed
    grid = tiles.reshape(-1, COLUMNS, rows + GAP, columns + GAP).swapaxes(1, 2)
    return np.pad(grid.reshape(-1, COLUMNS * (columns + GAP)), ((0, GAP), (0, GAP)), constant_values=np.nan)


def membrane(axes, run):
    """A neuron of the first layer while an image is shown for which it fires most often."""
    layer = run["samples"]["membranes"]["layers"][0]
    v, thresholds = unpacked(layer["v"]), np.array(layer["thresholds"])
    reset = (np.abs(v[:, 1:]) < ZERO * thresholds) & (np.abs(v[:, :-1]) > ZERO * thresholds)
    image, neuron = np.unravel_index(reset.sum(axis=1).argmax(), (len(v), len(thresholds)))
    v, threshold, fired = v[image, :, neuron], thresholds[neuron], np.flatnonzero(reset[image, :, neuron])
    axes.plot(v, color=BLUE)
    axes.axhline(threshold, color=ORANGE, linestyle="--")
    axes.vlines(fired, 1.06 * threshold, 1.2 * threshold, color=RED)
    axes.set(xlabel="time (ms)", ylabel="membrane (mV)", xlim=(0, len(v) - 1))
    axes.set_title("A neuron, its threshold and its spikes", fontsize=TEXT)
    plain(axes)


def seen(page):
    """What one sees of the page, an image in time: array of pixels."""
    with browser(Path("build/browser")) as chromium:
        chromium.open(page.resolve().as_uri(), SIZE, "light")
        chromium.value("(() => { const node = document.querySelector('#steps input[type=range]');"
                       f" node.value = {STEP}; node.dispatchEvent(new Event('input', {{bubbles: true}}));"
                       " document.querySelector('#steps').scrollIntoView(); })()")
        shot = io.BytesIO(chromium.picture())
    return imread(shot)


def main(words=None):
    """Draw it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("picture", type=Path)
    options = parser.parse_args(words)
    run = json.loads(DATA.search(options.page.read_text(encoding="utf-8"))[1])["runs"][0]
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(3.6, 6.4))
    above, below = left.subplots(2, 1, height_ratios=(2.5, 1))
    weights = mosaic(run)
    above.set_facecolor(GAP_COLOUR)
    shown = above.imshow(weights, DIVERGING, vmin=-1, vmax=1)
    above.set(xticks=[], yticks=[])
    above.set_title(f"What {run['layers'][0]['kernels']['n']} filters have learned by STDP", fontsize=TEXT)
    scale(left, shown, above, "answers to bright (+) or dark (\N{MINUS SIGN}), nA", location="bottom", shrink=0.8,
          aspect=40)
    membrane(below, run)
    page = right.subplots()
    page.imshow(seen(options.page), interpolation="antialiased")
    page.set(xticks=[], yticks=[])
    page.set_title("The page of a run, runs/demo/report.html", fontsize=TEXT)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=DPI, format="png")
    Image.open(drawn).convert("RGB").quantize(COLOURS).save(options.picture, optimize=True)
    print(f"{options.picture}: {options.picture.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
