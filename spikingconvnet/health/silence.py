"""Layers in which nothing ever fires: an error that says how far they are from firing, instead of a score at chance."""

from collections.abc import Mapping, Sequence

import numpy as np

from spikingconvnet import backends
from spikingconvnet.errors import SettingsError
from spikingconvnet.model import build
from spikingconvnet.model.readouts import Membrane, SpikeCount
from spikingconvnet.model.sequential import Sequential, Stage
from spikingconvnet.model.trained import TrainedLayer
from spikingconvnet.network.arrays import Numbers
from spikingconvnet.network.spikes import Spikes

SHOWN = 20      # samples with which the distance to the threshold is measured


def check_chain(model: Sequential, trained: Sequence[TrainedLayer], spikes: Spikes, fired: Mapping[str, int],
                samples: str, way_on: str, reset: bool = False) -> None:
    """Raise the :func:`error` of the first layer of a chain that has not fired; a Membrane's units need not.

    Parameters
    ----------
    model : model.Sequential
    trained : list of TrainedLayer
    spikes : Spikes
        Of the input.
    fired : dict of str to int
        Spikes of each layer, by its label.
    samples, way_on, reset
        As for :func:`error`.

    Raises
    ------
    SettingsError
        A layer that has not fired; the text says how far it is from firing, and the next command.
    """
    stages = model.stages[:-1] if isinstance(model.readout, Membrane) else model.stages
    for number, stage in enumerate(stages, start=1):
        if not fired[stage.label]:
            raise error(stages[:number], trained[:number], spikes, samples, way_on, reset)


def check_counted(model: Sequential, output: Numbers, samples: str, way_on: str) -> None:
    """Refuse answers of a SpikeCount that counts not one spike, so that membranes alone would decide.

    Parameters
    ----------
    model : model.Sequential
    output : float array (n, units)
        Counts of the output units in the window of the readout; means of membranes of a Membrane.
    samples, way_on
        As for :func:`error`.

    Raises
    ------
    SettingsError
        The output units fire, but never in the window.
    """
    if isinstance(model.readout, SpikeCount) and len(output) and not output.any():
        raise SettingsError(f"{model.readout}: not one spike of any of {samples} falls into these steps; choose first"
                            f" and last of SpikeCount in MODEL within the ENCODER's steps; then run: {way_on}")


def error(stages: Sequence[Stage], trained: Sequence[TrainedLayer], spikes: Spikes, samples: str, way_on: str,
          reset: bool = False) -> SettingsError:
    """The error for a layer that fires for none of the samples.

    Parameters
    ----------
    stages : list of model.Stage
        A chain that ends with the layer.
    trained : list of TrainedLayer
    spikes : Spikes
        Of the source of the first one.
    samples : str
        What was shown, as in "for none of 50 test images".
    way_on : str
        The command that comes next.
    reset : bool
        Whether every sample starts at rest.

    Returns
    -------
    SettingsError
        What reaches the layer, how far its membranes come by the local engine, and its lowest threshold.
    """
    shown, stage, layer = spikes.samples(0, min(SHOWN, spikes.n_samples)), stages[-1], trained[-1]
    network = build.inference_network(stages, trained, shown, reset)
    recording = backends.run(network, record=(stage.label,))
    source = network.incoming(stage.label)[0].pre
    received = shown if source == build.INPUT else recording.spikes[source]
    says = f"layer {stage.number}: none of its {np.prod(stage.out_shape):,} neurons fires for any of {samples}"
    if recording.spikes[stage.label].n_events:
        return SettingsError(f"{says}, but they do in the local engine; find out where they part with --record and"
                             " --mode compare")
    return SettingsError(
        f"{says}: {received.n_events / shown.n_samples:,.1f} spikes a sample reach it, its membranes come up to"
        f" {recording.membrane(stage.label).max():.4g} mV and its lowest threshold is {layer.v_thresh.min():.4g} mV;"
        f" lower its thresholds, or give it more input, in the parameters, then run: {way_on}")
