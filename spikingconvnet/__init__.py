"""Layer-wise STDP spiking convolutional networks on SpiNNaker: train at your desk, know what a board will do, run it.

    import spikingconvnet as scn

    model = scn.Sequential((2, 28, 28), scn.Conv2D(48, 7, firing=0.1), scn.Classifier(grid=6))
    with scn.open(network, backend="spinnaker", record=["neurons"]) as simulation: ...
    scn.exchange.to_nir(network)

``__all__`` has what is needed every day; the rest is in the rooms ``data``, ``errors``, ``exchange``, ``experiment``,
``network`` and ``training``. Every name is loaded when it is first used; ``docs/api.md`` lists them. What is not listed
there, modules and their names, may move from one version to the next.
"""

import sys
from collections.abc import Callable

__version__ = "0.1.0"

_HOMES = {      # of what is needed every day; a room offers its part of it, too
    "model.sequential": ("Sequential",),
    "model.layers": ("Conv2D", "AvgPool2D", "Dense", "Shortcut"),
    "model.readouts": ("Classifier", "SpikeCount", "Membrane"),
    "training.layerwise.stdp": ("STDP",),
    "training.chain.descent": ("Descent",),
    "training.chain.ridge": ("Ridge",),
    "training.chain.convert": ("Convert",),
    "training.chain.feedback": ("FeedbackAlignment",),
    "training.chain.softlif": ("SoftLIF",),
    "training.chain.surrogate": ("Surrogate",),
    "training.chain.bpstdp": ("BPSTDP",),
    "training.chain.rstdp": ("RSTDP",),
    "network.neurons": ("IFCurrExp", "IFCurrDelta", "SpikeSourceArray"),
    "network.plasticity": ("STDPMechanism", "SpikePairRule", "AdditiveWeightDependence"),
    "network.netlist": ("Network", "Population", "Projection"),
    "network.connectivity": ("DenseConnections",),
    "network.spikes": ("Spikes",),
    "data.sources": ("load_images=load_part",),
    "data.filters": ("Intensity", "DifferenceOfGaussians", "Deslanted"),
    "data.colour": ("Colours",),
    "data.receptive_fields": ("GaussianReceptiveFields",),
    "data.deformation": ("Deformation",),
    "data.encoding": ("LatencyEncoder", "RegularEncoder", "RateEncoder"),
    "data.events": ("EventBins",),
    "backends": ("open", "run"),
    "experiment.experiment": ("Experiment",),
    "experiment.estimator": ("SpikingConvClassifier",),
    "experiment.settings": ("load_settings=load",),
    "errors": ("SpikingConvNetError",),
}
_ROOMS: dict[str, dict[str, tuple[str, ...]]] = {       # and what they alone offer
    "data": {
        "data.filters": ("BitPlanes",),
        "data.colour": ("Opponents",),
        "data.sources": ("read_images",),
        "data.datasets": ("save_images=save",)},
    "errors": {},
    "exchange": {
        "exchange.importing": ("from_nir",),
        "exchange.exporting": ("to_nir",),
        "exchange.neo_blocks": ("from_neo", "to_neo"),
        "exchange.spike_files": ("load_spikes", "save_spikes")},
    "experiment": {
        "experiment.settings": ("Settings", "save_settings=save")},
    "network": {
        "network.neurons": ("IFCurrExpCa2Adaptive", "SpikeSourcePoisson"),
        "network.connectivity": ("ConnectionList", "ConvConnections", "LateralInhibition"),
        "network.plasticity": ("SpikeNearestPairRule", "PfisterSpikeTripletRule", "Vogels2011Rule", "Neuromodulation",
                               "MultiplicativeWeightDependence", "WeightDependenceAdditiveTriplet")},
    "training": {
        "training.layerwise.competing": ("CompetingUnits",),
        "training.layerwise.local_errors": ("LocalErrors",),
        "training.layerwise.windows": ("RandomWindows",),
        "training.layerwise.homeostasis": ("Homeostasis",),
        "training.layerwise.calibration": ("FiringShare",),
        "training.readout.error_driven": ("ErrorDriven",),
        "training.readout.reward_driven": ("RewardDriven",),
        "model.learning": ("LayerRule", "NetworkRule", "ReadoutRule"),
        "model.trained": ("Trained", "TrainedLayer")},
}


def _found_at(homes: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, str]]:
    """Module and own name of each name of a table."""
    return {name: (home, own or name) for home, names in homes.items()
            for name, _, own in (one.partition("=") for one in names)}


__all__ = list(_found_at(_HOMES))
PUBLIC = {**dict.fromkeys(__all__, __name__),
          **{name: f"{__name__}.{room}" for room, homes in _ROOMS.items() for name in _found_at(homes)}}
_FOUND_AT = {name: place for homes in (_HOMES, *_ROOMS.values()) for name, place in _found_at(homes).items()}


def find(name: str) -> object:
    """What a public name stands for, one of `PUBLIC`, which has the module that offers it; None for any other.

    Nothing is imported before: a Ctrl-C that comes then would be answered by Python and not by the command line.
    """
    if name not in PUBLIC:
        return None
    from importlib import import_module

    home, own = _FOUND_AT[name]
    return getattr(import_module(f"{__name__}.{home}"), own)


def room(package: str) -> tuple[list[str], Callable[[str], object], Callable[[], list[str]]]:
    """``__all__``, ``__getattr__`` and ``__dir__`` of a room: it offers what is at home in it, and its own of `_ROOMS`.

    What type checkers read of it stands below ``if TYPE_CHECKING`` in its ``__init__``; a test compares it.
    """
    inside = f"{package.rpartition('.')[2]}."
    offered = [name for name, (home, _) in _FOUND_AT.items() if PUBLIC[name] == package or home.startswith(inside)]

    def loaded(name: str) -> object:
        """A name of the room, imported on its first use."""
        if name not in offered:
            raise AttributeError(f"module {package!r} has no attribute {name!r}; there are {', '.join(offered)}")
        value = vars(sys.modules[package])[name] = find(name)
        return value

    return offered, loaded, lambda: offered


def __getattr__(name: str) -> object:
    """A name of ``__all__`` or a room, imported on its first use; with a warning a name that only a room has now."""
    if name in _ROOMS:
        from importlib import import_module

        return import_module(f"{__name__}.{name}")
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; there are {', '.join(__all__)}; and more"
                             f" in {', '.join(_ROOMS)}")
    if PUBLIC[name] == __name__:
        globals()[name] = find(name)
    else:
        from warnings import warn

        warn(f"{__name__}.{name} is {PUBLIC[name]}.{name}; version 0.3 will find it there alone", DeprecationWarning,
             stacklevel=2)
    return find(name)


def __dir__() -> list[str]:
    return [*__all__, *_ROOMS, *(name for name in globals() if name.startswith("__"))]
