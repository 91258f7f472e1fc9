"""Backends by name, modules with ``open(network, record, jobs, ...)``, imported on use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from spikingconvnet.errors import SettingsError

if TYPE_CHECKING:           # names alone are asked for by the command line, without numpy
    from spikingconvnet.backends.base import Backend, Record, Recording, Simulation
    from spikingconvnet.network.netlist import Network

_MODULES = {"local": "spikingconvnet.backends.local.simulator",
            "spinnaker": "spikingconvnet.backends.spinnaker.simulator",
            "nest": "spikingconvnet.backends.pynn.nest", "brian2": "spikingconvnet.backends.pynn.brian2"}


def names() -> tuple[str, ...]:
    """Names that ``--backend`` takes."""
    return tuple(_MODULES)


def get_backend(name: str) -> "Backend":
    """The backend's module; an unknown name is a SettingsError that lists the known ones."""
    if name not in _MODULES:
        raise SettingsError(f"--backend: must be one of {', '.join(_MODULES)}, got {name!r}")
    module: Any = import_module(_MODULES[name])     # a Backend, as tests/test_protocols.py shows
    return module


def open(network: "Network", record: "Record" = (), backend: str = "local", **options: Any) -> "Simulation":
    """Start a simulation of a network.

    Parameters
    ----------
    network : Network
    record : collection of str, or dict of str to int array
        Labels of populations whose membranes and currents are recorded, or the neurons of each whose are; spikes are
        always.
    backend : str
        One of :func:`names`.
    **options
        Of the backend: ``jobs`` (threads) of all of them, ``target``, ``directory``, ``time_scale``, ``packet_buffer``
        and ``timed`` of ``spinnaker``.

    Returns
    -------
    Simulation
        A context, see ``backends.base.Simulation``.

    Raises
    ------
    SettingsError
        An unknown backend.
    BackendError
        One that is not installed, or a board that does not answer.
    NetworkError
        A network that the backend cannot simulate.
    """
    return get_backend(backend).open(network, record, **options)


def run(network: "Network", n_steps: int | None = None, record: "Record" = (), backend: str = "local",
        **options: Any) -> "Recording":
    """Simulate a network from the start: a Recording.

    Parameters
    ----------
    network, record, backend, **options
        See :func:`open`.
    n_steps : int or None
        None runs all steps of the network's given spikes.
    """
    with open(network, record, backend, **options) as simulation:
        simulation.run(simulation.source_steps if n_steps is None else n_steps)
        return simulation.recording()
