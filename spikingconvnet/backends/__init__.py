"""Backends by name: modules with ``open(network, record, jobs, ...)``, imported on use."""

from importlib import import_module

from spikingconvnet.errors import SettingsError

_MODULES = {"local": "spikingconvnet.backends.local.simulator", "spinnaker": "spikingconvnet.backends.spinnaker",
            "nest": "spikingconvnet.backends.nest", "brian2": "spikingconvnet.backends.brian2"}
TARGETS = "emulated, virtual, spin3[:HOST], spin5[:HOST], spalloc:URL or the name or address of a SpiNN-5"


def names():
    """Names that ``--backend`` takes."""
    return tuple(_MODULES)


def get_backend(name):
    """The backend's module; an unknown name is a SettingsError that lists the known ones."""
    if name not in _MODULES:
        raise SettingsError(f"--backend: must be one of {', '.join(_MODULES)}, got {name!r}")
    return import_module(_MODULES[name])
