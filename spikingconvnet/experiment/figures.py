"""Figures of an experiment, from what its run directory holds."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from spikingconvnet import plotting
from spikingconvnet.errors import SettingsError, StoreError
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.fields import led_back
from spikingconvnet.model.sequential import Stage
from spikingconvnet.network.geometry import pair
from spikingconvnet.plotting.frame import Figure

SHOWN_IMAGES = 6
RASTER_SAMPLES = 3
ACTIVITY_SAMPLES = 200
SHOWN_MEMBRANES = 5
SHOWN_KERNELS = 100


def figure_names(experiment: Experiment) -> list[str]:
    """Names of all figures that an experiment of this model can make."""
    return ["inputs", *(f"{kind}-{stage.number}" for stage in experiment.model.stages
                        for kind in _kinds(stage, experiment.model.runs_as_one)), "confusion"]


def _kinds(stage: Stage, as_one: bool) -> list[str]:
    """Figures of one layer: kernels and activity where they are pictures, a course where it has one of its own."""
    pictures = max(pair(stage.layer.kernel_size)) > 1 or not as_one
    maps = not (stage.dense and as_one)
    kernels = (["kernels", "fields"] if stage.number > 1 else ["kernels"]) * pictures
    return [*kernels, *["training"] * (not as_one), "raster", "membranes", *["activity"] * maps]


def outdated_by(experiment: Experiment, number: int) -> list[str]:
    """Names of the figures that a newly trained layer `number` (0: new data) makes outdated."""
    return [name for name in figure_names(experiment)
            if name == "confusion" or (name == "inputs" and number == 0)
            or (name[-1].isdigit() and int(name.rpartition("-")[2]) >= number)]


def plot(experiment: Experiment, names: Sequence[str] | None = None) -> list[Path]:
    """Make figures as PNG and SVG in ``<run directory>/plots``.

    Parameters
    ----------
    experiment : Experiment
    names : list of str or None
        See :func:`figure_names`; None makes every figure whose results are there.

    Returns
    -------
    list of Path

    Raises
    ------
    StoreError
        A named figure's results are not there, or none are.
    SettingsError
        A name that is none of them.
    """
    paths, missing = [], None
    for name in experiment.progress(figure_names(experiment) if names is None else names, "figures"):
        try:
            figure = _figure(experiment, name)
        except StoreError as error:
            if names is not None:
                raise
            missing = missing or error
            continue
        paths += plotting.save(figure, experiment.store.path / "plots" / name)
    if not paths and missing:
        raise missing
    return paths


def _figure(experiment: Experiment, name: str) -> Figure:
    kind, _, number = name.partition("-")
    makers: dict[str, Callable[..., Figure]] = {
        "inputs": _inputs, "kernels": _kernels, "fields": _fields, "training": _training, "raster": _raster,
        "membranes": _membranes, "activity": _activity, "confusion": _confusion}
    if kind not in makers or name not in figure_names(experiment):
        raise SettingsError(f"plot: no figure is called {name!r}; there are {', '.join(figure_names(experiment))}")
    return makers[kind](experiment, *([int(number)] if number else []))


def _inputs(experiment: Experiment) -> Figure:
    data = experiment.data("train")
    shown = min(SHOWN_IMAGES, len(data["images"]))
    return plotting.inputs(data["images"][:shown], data["spikes"].samples(0, shown),
                           channel_names=_channel_names(experiment))


def _channel_names(experiment: Experiment) -> tuple[str, ...] | None:
    """What the channels of the input are; None for an image filter that does not name them."""
    return getattr(experiment.settings.image_filter, "channel_names", None)


def _layer_name(number: int) -> str:
    return f"Layer {number}"


def _kernels(experiment: Experiment, number: int) -> Figure:
    layer = experiment.layer(number)
    learned, rule = layer.get("learned", layer["kernels"])[:SHOWN_KERNELS], layer["how"]["rule"]
    before = layer["initial"][:SHOWN_KERNELS] if len(layer.get("wins", ())) else None
    names = _channel_names(experiment) if number == 1 and learned.shape[1] == 2 else None
    shown = "kernels" if before is None else "kernels before and after"
    return plotting.kernels(before, learned, f"{_layer_name(number)}: {shown} ({rule})", names)


def _fields(experiment: Experiment, number: int) -> Figure:
    """Kernels of a deeper layer led back to the input through those below."""
    found = led_back(experiment, number, SHOWN_KERNELS)
    return plotting.kernels(None, found, f"{_layer_name(number)}: kernels led back to the input",
                            _channel_names(experiment) if found.shape[1] == 2 else None, "relative")


def _training(experiment: Experiment, number: int) -> Figure:
    layer = experiment.layer(number)
    if not len(layer["wins"]):
        raise StoreError(f"layer {number} comes from --rule {layer['how']['rule']} and has no course of training;"
                         f" run: {experiment.command('training', number)}")
    return plotting.training(layer["wins"], layer["thresholds"], layer["mean_weight"],
                             _layer_name(number))


def _raster(experiment: Experiment, number: int) -> Figure:
    return plotting.raster(experiment.example(number, RASTER_SAMPLES)[0], RASTER_SAMPLES, layer=_layer_name(number))


def _membranes(experiment: Experiment, number: int) -> Figure:
    """The most active neurons, each of another map, over the first images."""
    spikes, v = experiment.example(number, RASTER_SAMPLES, membranes=True)
    counts = spikes.counts().sum(axis=0)
    maps = np.argsort(-counts.max(axis=(1, 2)), kind="stable")[:SHOWN_MEMBRANES]
    positions = counts.reshape(len(counts), -1).argmax(axis=1)
    chosen = maps * counts[0].size + positions[maps]
    thresholds = experiment.layer(number)["v_thresh"][maps]
    steps = [spikes.steps()[spikes.neurons == neuron] for neuron in chosen]
    labels = [f"map {m}" for m in maps]
    return plotting.membranes(np.asarray(v)[:, chosen], thresholds, steps, labels=labels, layer=_layer_name(number))


def _activity(experiment: Experiment, number: int) -> Figure:
    counts = experiment.example(number, ACTIVITY_SAMPLES)[0].counts().mean(axis=0)
    return plotting.activity(counts, layer=_layer_name(number))


def _confusion(experiment: Experiment) -> Figure:
    """Of the split that was classified last."""
    splits = [entry for name, entry in experiment.results().items() if name in ("test", "validation")]
    if not splits:
        raise StoreError(f"{experiment.store.path}: no test result of this network yet;"
                         f" run: {experiment.command('testing')}")
    last = splits[-1]
    return plotting.confusion(np.array(last["confusion"]), last.get("class_names", last["classes"]),
                              f"{last['split']} images")
