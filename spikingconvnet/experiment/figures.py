"""Figures of an experiment, from what its run directory holds."""

import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from spikingconvnet import plotting
from spikingconvnet.errors import SettingsError, StoreError
from spikingconvnet.experiment import binding
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.fields import MOST_KERNELS, led_back, why_not
from spikingconvnet.experiment.told import told
from spikingconvnet.model.sequential import Stage
from spikingconvnet.network.arrays import Floats, Ints
from spikingconvnet.network.geometry import pair
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.plotting.frame import KINDS as KINDS
from spikingconvnet.plotting.frame import Figure, untitled

SHOWN_IMAGES = 6
RASTER_SAMPLES = 3
ACTIVITY_SAMPLES = 200
SHOWN_MEMBRANES = 5
SHOWN_UNITS = 12                # membranes of output units
LONGEST = 14                    # letters of a class above an image
CONFUSIONS = {"test": "confusion", "validation": "confusion-validation"}       # figures of splits


def figure_names(experiment: Experiment) -> list[str]:
    """Names of all figures that an experiment of this model can make."""
    model = experiment.model
    return ["inputs", *["training"] * model.runs_as_one,
            *(f"{kind}-{stage.number}" for stage in model.stages for kind in _kinds(experiment, stage)),
            *CONFUSIONS.values()]


def _kinds(experiment: Experiment, stage: Stage) -> list[str]:
    """Figures of one layer: kernels and activity where they are pictures, a course where it has one of its own."""
    model = experiment.model
    pictures = max(pair(stage.layer.kernel_size)) > 1 or not model.runs_as_one
    fields = pictures and stage.number > 1 and not why_not(model.stages[:stage.number])
    maps = not (stage.dense and model.runs_as_one)
    return [*["kernels"] * pictures, *["fields"] * fields, *["training"] * (not model.runs_as_one), "raster",
            "membranes", *["activity"] * maps]


def outdated_by(experiment: Experiment, number: int) -> list[str]:
    """Names of the figures that a newly trained layer `number` makes outdated; 0: new data, one too many: a readout."""
    return [name for name in figure_names(experiment)
            if name in CONFUSIONS.values() or (name == "inputs" and number == 0)
            or (name == "training" and number <= len(experiment.model.stages))
            or (name[-1].isdigit() and int(name.rpartition("-")[2]) >= number)]


def plot(experiment: Experiment, names: Sequence[str] | None = None, kinds: Sequence[str] = KINDS,
         titles: bool = True) -> list[Path]:
    """Make figures in ``<run directory>/plots``.

    Parameters
    ----------
    experiment : Experiment
    names : list of str or None
        See :func:`figure_names`; None makes every figure whose results are there.
    kinds : sequence of str
        Of files, see ``plotting.save``.
    titles : bool
        Whether figures have a title, which a paper says below them.

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
    with experiment.stored.holding():
        for name in experiment.progress(figure_names(experiment) if names is None else names, "figures"):
            try:
                figure = _figure(experiment, name)
            except StoreError as error:
                if names is not None:
                    raise
                missing = missing or error
                continue
            paths += plotting.save(figure if titles else untitled(figure), experiment.store.path / "plots" / name,
                                   kinds)
    if not paths and missing:
        raise missing
    return paths


def _figure(experiment: Experiment, name: str) -> Figure:
    kind, _, number = name.partition("-")
    makers: dict[str, Callable[..., Figure]] = {
        "inputs": _inputs, "kernels": _kernels, "fields": _fields, "raster": _raster, "membranes": _membranes,
        "activity": _activity, "training": _training if number else _descent}
    if name not in figure_names(experiment):
        raise SettingsError(f"plot: no figure is called {name!r}; there are {', '.join(figure_names(experiment))}")
    for split, confusion in CONFUSIONS.items():
        if name == confusion:
            return _confusion(experiment, split)
    return makers[kind](experiment, *([experiment.model.stages[int(number) - 1]] if number else []))


def _inputs(experiment: Experiment) -> Figure:
    data = experiment.data("train")
    shown = min(SHOWN_IMAGES, len(data["images"]))
    images = data["images"][:shown]
    return plotting.inputs(images if data["images"].any() else None, data["spikes"].samples(0, shown),
                           channel_names=_channel_names(experiment), samples=_samples(experiment, shown))


def _channel_names(experiment: Experiment) -> tuple[str, ...] | None:
    """What the channels of the input are; None for an image filter that does not name them."""
    return getattr(experiment.settings.image_filter, "channel_names", None)


def _classes(experiment: Experiment, labels: Ints) -> list[str]:
    """Names of classes, or their numbers as text."""
    names = binding.class_names(experiment.data("train")["how"])
    return [names.get(label, str(label)) for label in labels.tolist()]


def _samples(experiment: Experiment, n: int) -> list[str]:
    """The first training images with their classes."""
    classes = _classes(experiment, experiment.data("train")["labels"][:n])
    return [f"image {k}: {f'class {name}' if name.isdigit() else textwrap.shorten(name, LONGEST, placeholder='…')}"
            for k, name in enumerate(classes)]


def _is_output(experiment: Experiment, stage: Stage) -> bool:
    """Whether the units of a layer stand for classes."""
    return experiment.model.runs_as_one and stage.number == len(experiment.model.stages)


def _layer_name(stage: Stage) -> str:
    return f"Layer {stage.number}"


def _kernels(experiment: Experiment, stage: Stage) -> Figure:
    layer = experiment.layer(stage.number)
    learned, rule = layer.get("learned", layer["kernels"]), layer["how"]["rule"]
    before = layer["initial"][:MOST_KERNELS] if len(layer.get("wins", ())) else None
    names = _channel_names(experiment) if stage.source == 0 and learned.shape[1] == 2 else None
    noun = "weights of units" if stage.dense else "kernels"
    shown = noun if before is None else f"{noun} before and after"
    return plotting.kernels(before, learned[:MOST_KERNELS], f"{_layer_name(stage)}: {shown} ({rule})", names,
                            total=len(learned))


def _fields(experiment: Experiment, stage: Stage) -> Figure:
    """Kernels of a deeper layer led back to the input through those below."""
    found, total = led_back(experiment, stage.number), stage.out_shape[0]
    noun = "weights of units" if stage.dense else "kernels"
    return plotting.kernels(None, found, f"{_layer_name(stage)}: {noun} led back to the input",
                            _channel_names(experiment) if found.shape[1] == 2 else None, "relative", total)


def _training(experiment: Experiment, stage: Stage) -> Figure:
    layer = experiment.layer(stage.number)
    if not len(layer["wins"]):
        raise StoreError(f"layer {stage.number} comes from --rule {layer['how']['rule']} and has no course of training;"
                         f" run: {experiment.command('training', stage.number)}")
    return plotting.training(layer["wins"], layer["thresholds"], layer["mean_weight"], _layer_name(stage),
                             "unit" if stage.dense else "filter")


def _descent(experiment: Experiment) -> Figure:
    """What a rule that trains all layers at once tells of each of its passes."""
    how = experiment.layer(len(experiment.model.stages))["how"]
    curves = dict(told(how["health"])["curves"])
    if not curves:
        raise StoreError(f"{experiment.store.path}: --rule {how['rule']} leaves no course of its training")
    return plotting.curves(curves, f"Course of training: {how['rule']}")


def _raster(experiment: Experiment, stage: Stage) -> Figure:
    spikes = experiment.example(stage.number, RASTER_SAMPLES)[0]
    classes = _classes(experiment, experiment.classes()) if _is_output(experiment, stage) else None
    return plotting.raster(spikes, RASTER_SAMPLES, layer=_layer_name(stage), noun=_noun(stage),
                           samples=_samples(experiment, spikes.n_samples), channels=classes)


def _noun(stage: Stage) -> str:
    """What a neuron of a layer is called."""
    return "unit" if stage.dense else "neuron"


def _membranes(experiment: Experiment, stage: Stage) -> Figure:
    """The most active neurons, each of another map, over the first images; of output units all of them."""
    spikes, found = experiment.example(stage.number, RASTER_SAMPLES, membranes=True)
    v, thresholds = np.asarray(found), experiment.layer(stage.number)["v_thresh"]
    is_output, area = _is_output(experiment, stage), stage.out_shape[1] * stage.out_shape[2]
    chosen = _units(v) if is_output else _most_active(spikes)
    classes = _classes(experiment, experiment.classes()) if is_output else None
    return plotting.membranes(
        v[:, chosen], thresholds[chosen // area], [spikes.steps()[spikes.neurons == neuron] for neuron in chosen],
        labels=[_place(stage, int(neuron), classes) for neuron in chosen], layer=_layer_name(stage),
        samples=_samples(experiment, spikes.n_samples), total=spikes.size,
        noun=_noun(stage))


def _units(v: Floats) -> Ints:
    """Output units, all of them, or those of the highest membranes, ascending."""
    return np.sort(np.argsort(-v.max(axis=0), kind="stable")[:SHOWN_UNITS])


def _most_active(spikes: Spikes) -> Ints:
    """The most active neuron of each of the most active maps."""
    counts = spikes.counts().sum(axis=0).reshape(spikes.shape[0], -1)
    maps = np.argsort(-counts.max(axis=1), kind="stable")[:SHOWN_MEMBRANES]
    return np.asarray(maps * counts.shape[1] + counts[maps].argmax(axis=1))


def _place(stage: Stage, neuron: int, classes: Sequence[str] | None) -> str:
    """A neuron by its place: ``class 3``, ``unit 17`` or ``map 3, row 5, column 7``."""
    if classes is not None:
        return f"class {classes[neuron]}"
    of_map, row, column = np.unravel_index(neuron, stage.out_shape)
    return f"unit {neuron}" if stage.dense else f"map {of_map}, row {row}, column {column}"


def _activity(experiment: Experiment, stage: Stage) -> Figure:
    counts = experiment.example(stage.number, ACTIVITY_SAMPLES)[0].counts().mean(axis=0)
    return plotting.activity(counts, layer=_layer_name(stage), noun="unit" if stage.dense else "filter")


def _confusion(experiment: Experiment, split: str) -> Figure:
    found = experiment.results().get(split)
    if found is None:
        more = "" if split == "test" else f" --split {split}"
        raise StoreError(f"{experiment.store.path}: no {split} result of this network yet;"
                         f" run: {experiment.command('testing')}{more}")
    return plotting.confusion(np.array(found["confusion"]), found.get("class_names", found["classes"]),
                              f"{split} images")
