"""The model: layers, what is read of them, how they learn, and what is built from them."""

from typing import Any


def __getattr__(name: str) -> Any:
    """``Sequential`` from here, as in version 0.1; goes with version 0.3, see ``experiment.doors``."""
    if name == "Sequential":
        from spikingconvnet.model.sequential import Sequential

        return Sequential
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
