"""Layer-wise STDP spiking convolutional networks on SpiNNaker: train at your desk, know what a board will do, run it.

    import spikingconvnet as scn

    model = scn.Sequential((2, 28, 28), scn.Conv2D(48, 7, firing=0.1), scn.Classifier(grid=6))
    with scn.open(network, backend="spinnaker", record=["neurons"]) as simulation: ...

Every name of ``__all__`` is loaded when it is first used; ``docs/api.md`` lists them. What is not listed there, modules
and their names, may move from one version to the next.
"""

__version__ = "0.1.0"

_HOMES = {
    "model.sequential": ("Sequential",),
    "model.layers": ("Conv2D", "AvgPool2D", "Dense", "Shortcut"),
    "model.readouts": ("Classifier", "SpikeCount", "Membrane"),
    "model.learning": ("LayerRule", "NetworkRule", "ReadoutRule"),
    "model.trained": ("TrainedLayer", "Trained"),
    "training.layerwise.stdp": ("STDP",),
    "training.layerwise.competing": ("CompetingUnits",),
    "training.layerwise.windows": ("RandomWindows",),
    "training.layerwise.homeostasis": ("Homeostasis",),
    "training.layerwise.calibration": ("FiringShare",),
    "training.readout.error_driven": ("ErrorDriven",),
    "training.readout.reward_driven": ("RewardDriven",),
    "network.neurons": ("IFCurrExp", "IFCurrDelta", "IFCurrExpCa2Adaptive", "SpikeSourceArray", "SpikeSourcePoisson"),
    "network.plasticity": ("STDPMechanism", "SpikePairRule", "SpikeNearestPairRule", "PfisterSpikeTripletRule",
                           "Vogels2011Rule", "Neuromodulation", "AdditiveWeightDependence",
                           "MultiplicativeWeightDependence", "WeightDependenceAdditiveTriplet"),
    "network.netlist": ("Network", "Population", "Projection"),
    "network.connectivity": ("ConnectionList", "DenseConnections", "LateralInhibition", "ConvConnections"),
    "network.spikes": ("Spikes",),
    "data.sources": ("load_images=load_part", "read_images"),
    "data.datasets": ("save_images=save",),
    "data.colour": ("Colours", "Opponents"),
    "data.events": ("EventBins",),
    "data.filters": ("Intensity", "BitPlanes", "DifferenceOfGaussians", "Deslanted"),
    "data.receptive_fields": ("GaussianReceptiveFields",),
    "data.deformation": ("Deformation",),
    "data.encoding": ("LatencyEncoder", "RegularEncoder", "RateEncoder"),
    "training.chain.descent": ("Descent",),
    "training.chain.ridge": ("Ridge",),
    "training.chain.convert": ("Convert",),
    "training.chain.feedback": ("FeedbackAlignment",),
    "training.chain.softlif": ("SoftLIF",),
    "training.chain.surrogate": ("Surrogate",),
    "training.chain.bpstdp": ("BPSTDP",),
    "training.chain.rstdp": ("RSTDP",),
    "exchange.importing": ("from_nir",),
    "exchange.exporting": ("to_nir",),
    "exchange.spike_files": ("load_spikes", "save_spikes"),
    "exchange.neo_blocks": ("from_neo", "to_neo"),
    "backends": ("open", "run"),
    "experiment.experiment": ("Experiment",),
    "experiment.estimator": ("SpikingConvClassifier",),
    "experiment.settings": ("Settings", "load_settings=load", "save_settings=save"),
    "errors": ("SpikingConvNetError",),
}
_FOUND_AT = {name: (home, own or name) for home, names in _HOMES.items()
             for name, _, own in (one.partition("=") for one in names)}

__all__ = list(_FOUND_AT)


def __getattr__(name: str) -> object:
    """A name of ``__all__``, imported on its first use.

    Nothing is imported before: a Ctrl-C that comes then would be answered by Python and not by the command line.
    """
    if name in _FOUND_AT:
        from importlib import import_module

        home, own = _FOUND_AT[name]
        value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), own)
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; there are {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
