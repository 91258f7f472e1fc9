"""What a simulator's PyNN calls things, and what it can."""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import Any

from spikingconvnet.errors import BackendError
from spikingconvnet.network.arrays import Floats, Ints

RECEPTORS = ("excitatory", "inhibitory")


@dataclass(frozen=True)
class Dialect:
    """What one simulator behind PyNN wants, and what it calls things.

    Attributes
    ----------
    name : str
    module : str
        The PyNN module.
    extra : str
        Of this package's extras, the one that installs it.
    setup : dict
        More arguments of ``setup``.
    membranes : dict of str to str
        Names of 'v', 'gsyn_exc', 'gsyn_inh' when they are recorded; those that it has.
    row_limit : int or None
        Synapses of a presynaptic neuron that one projection may hold.
    splits_channels : bool
        Whether a population that is one board population per channel becomes one population per channel.
    lacks : tuple of str
        Names of timing rules and weight dependences that it does not have, whatever PyNN says.
    mechanism : dict
        More arguments of ``STDPMechanism``.
    backprop_choice : bool
        Whether learning may see postsynaptic spikes without the delay (``STDPMechanism.backprop_delay``).
    has_w_min : bool
        Whether a plastic weight may have a lower bound above 0.
    plastic_inhibition : bool
        Whether inhibitory synapses learn.
    flowing : bool
        Whether a synaptic current decays inside a step; weights, amplitudes and recorded currents are then converted.
    refractory : int
        Steps that are added to a refractory time above 0.
    first_step : int
        Steps by which every spike is moved so that none is so early that it would be lost.
    stamp : int
        Steps by which an output spike is stamped later than on SpiNNaker.
    arrival : int
        Steps by which a spike acts later than its delay says.
    least_delay : int
        Steps.
    least_sources : int
        Sources that a population of them must have; silent ones are added.
    connect : callable or None
        ``connect(sim, projection, pre, post, values)`` makes the connections of a projection at once, where PyNN makes
        them one by one; `values` are the arrays ``weight`` (nA) and ``delay`` (ms).
    resets : bool
        Whether ``sim.reset()`` brings everything back to the start, and sources take new spikes then. Otherwise images
        that start at rest are kept apart by a gap in which nobody fires, and the state is set behind it.
    sets_currents : bool
        Whether synaptic currents can be set then; otherwise the gap is as long as they take to fade.
    """

    name: str
    module: str
    extra: str
    setup: dict[str, Any] = field(default_factory=dict)
    membranes: dict[str, str] = field(
        default_factory=lambda: {"v": "v", "gsyn_exc": "gsyn_exc", "gsyn_inh": "gsyn_inh"})
    row_limit: int | None = None
    splits_channels: bool = False
    lacks: tuple[str, ...] = ()
    mechanism: dict[str, Any] = field(default_factory=dict)
    backprop_choice: bool = True
    has_w_min: bool = True
    plastic_inhibition: bool = True
    flowing: bool = False
    refractory: int = 0
    first_step: int = 0
    stamp: int = 0
    arrival: int = 0
    least_delay: int = 1
    least_sources: int = 1
    connect: Callable[[Any, Any, Ints, Ints, dict[str, Floats]], None] | None = None
    resets: bool = False
    sets_currents: bool = True


def load(dialect: Dialect) -> ModuleType:
    """The PyNN module of a simulator; a missing package is a BackendError that names the command that installs it."""
    try:
        return import_module(dialect.module)
    except ImportError as error:
        raise BackendError(f"--backend {dialect.name}: {error}; install it with:"
                           f" pip install 'spikingconvnet[{dialect.extra}]'") from error
