"""Libraries that only some of the package needs."""

from importlib.util import find_spec

from spikingconvnet.errors import BackendError


def need(library: str, who: str, extra: str | None = None) -> None:
    """Raise a BackendError that names the command that installs a library, by its extra, unless it is there."""
    if find_spec(library) is None:
        raise BackendError(f"{who}: No module named {library!r}; install it with:"
                           f" pip install 'spikingconvnet[{extra or library}]'")
