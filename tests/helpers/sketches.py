"""Figures that are made and saved, but not rendered, which is most of a small experiment."""

import importlib


def instead_of_figures(replace):
    """Have every figure be a sketch.

    Parameters
    ----------
    replace : callable
        ``setattr``, or that of a MonkeyPatch.
    """
    figure = importlib.import_module("matplotlib.figure").Figure
    layout = importlib.import_module("matplotlib.layout_engine").ConstrainedLayoutEngine
    replace(layout, "execute", lambda self, figure: {})
    replace(figure, "savefig", lambda self, file, **_: file.write(b"a sketch"))
