"""``--mode convert``: a trained network of torch becomes a parameters file and its weights."""

import math
from argparse import Namespace
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from spikingconvnet.cli.conversion_shown import Shown, bins_of, events_of, images_of, refuse_for_images, scale_is_told
from spikingconvnet.cli.messages import program
from spikingconvnet.data import sources
from spikingconvnet.data.events import EventSet
from spikingconvnet.data.images import ImageSet
from spikingconvnet.errors import SettingsError, SpikingConvNetError
from spikingconvnet.gates.files import write_text
from spikingconvnet.gates.libraries import need
from spikingconvnet.model.readouts import SpikeCount
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.store.directory import word
from spikingconvnet.training.chain import convert
from spikingconvnet.training.chain.parity import Report

MNIST = "data/mnist"
PEAK_RATE = 0.25
CALIBRATION = 100       # images on which it is measured what spikes are worth

PARAMETERS = '''"""{network}, converted to integrate-and-fire neurons by --mode convert.

Units: steps of 1 ms, ms, mV, nA, nF. More steps, with a lower peak_rate, come closer to the network.
"""

from spikingconvnet import {names}

SEED = 0

DATASET = {dataset!r}
CLASSES = {classes}
N_TRAIN = {n_train:_}             # the largest activations to them are what layers are divided by
N_VALIDATION = 0
N_TEST = None

{shows}
SLOT = {slot}                  # a sample and the steps that its spikes take through the layers
RESET = True                # integrate-and-fire neurons do not leak: every sample starts at rest

RULE = Convert(weights={weights!r}, bias=True, {start}norm="channels",
               peak_rate={peak_rate}, calibration={calibration})
CELL = RULE.neuron
MODEL = Sequential(
    {shape},
{layers})
'''


def convert_(_: None, options: Namespace) -> dict[str, Any]:
    """Read a trained network, compare what was read with its own answers, write the parameters and the weights.

    Raises
    ------
    SettingsError
        The network, its weights or an option cannot be used, see ``gradients.traced.weights_of``; or the parameters
        file is there already, or does not end with ``.py``.
    ParityError
        What was read does not answer as the network does.
    """
    need("torch", "--mode convert")
    from spikingconvnet.training.chain.gradients import relu

    named, path, source = options.paths[0], Path(options.paths[1]).absolute(), options.source or MNIST
    _check_new(path)
    network, shape = _network(named, options)
    mean, std = (None if text is None else _numbers(text, option, ",", float)
                 for text, option in ((options.mean, "--mean"), (options.std, "--std")))
    part, why = _part(source)
    bins = bins_of(part, shape, options) if isinstance(part, EventSet) else None
    if bins is None:
        refuse_for_images(options, source)
    seen = shape or (bins.shape if bins else (1, 28, 28))
    units, model = relu.weights_of(network, seen, mean, std)
    classes = _classes(part, model.shapes[-1][0], source)
    if isinstance(part, EventSet) and bins:
        shown = events_of(part, bins, partial(convert.accuracy, model, units), classes, scale_is_told(options))
    else:
        shown = images_of(part, why, seen, source)
    images = shown.images
    reference = None if images is None else relu.reference(network, _normalised(images, mean, std), images, shown.bins)
    kept = reference if seen[0] == 1 or shown.bins else None         # files keep events and grey images
    report = None if reference is None else reference.judge(model, units)
    weights = path.with_suffix(".npz")
    convert.save(weights, units, kept)
    text = _parameters(named, model, source, weights, shown, classes)
    write_text(path, text)
    return {"parameters": str(path), "weights": str(weights), "layers": len(model.stages), "events": list(shown.told),
            "parity": None if report is None else report.as_dict(), "text": _told(model, report, shown, path)}


def _network(named: str, options: Namespace) -> tuple[Any, tuple[Any, ...] | None]:
    """The network, and the shape of its images: of `--input-shape`, else as it was exported, else None."""
    from spikingconvnet.training.chain.gradients import exported, files

    if named.endswith(files.SUFFIXES):
        if options.weights:
            raise SettingsError(f"--weights {options.weights}: belong to a network, FILE.py:NAME or MODULE:NAME, but"
                                f" {named} is a file of weights itself")
        network = files.loaded(named)
    else:
        network = files.loaded(options.weights, named) if options.weights else files.network_of(named)
    given = options.input_shape and _numbers(options.input_shape, "--input-shape", "x", int)
    return network, given or exported.image_of(network)


def _check_new(path: Path) -> None:
    if path.suffix != ".py":
        raise SettingsError(f"--mode convert: {path}: must end with .py; it is the parameters file that is written")
    for one in (path, path.with_suffix(".npz")):
        if one.exists():
            raise SettingsError(f"--mode convert: {one}: is there already; name another file, or remove it")


def _numbers(text: str, option: str, between: str, kind: type) -> tuple[Any, ...]:
    """Numbers of an option, finite ones."""
    try:
        found = tuple(kind(part) for part in text.split(between))
    except ValueError:
        found = ()
    if not found or not all(map(math.isfinite, found)):
        like = "1x28x28" if between == "x" else "0.1307, or one for each channel with a comma between them"
        raise SettingsError(f"{option}: must be numbers as {like}, got {text!r}")
    return found


def _part(source: str) -> tuple[ImageSet | None, str]:
    """Training samples of a data set that is here, to compare with, or why there are none."""
    if source == MNIST and not Path(source).is_dir():
        return None, f"there is no {source}; name a data set that is here with --source"
    try:
        return sources.load_part(source, "train"), ""
    except SpikingConvNetError as error:
        return None, str(error)


def _classes(part: ImageSet | None, outputs: int, source: str) -> tuple[int, ...]:
    """What the network's outputs stand for: numbers from 0 on, or the classes of the data set, in order."""
    found = np.arange(outputs) if part is None else np.unique(part.labels)
    if found.max() < outputs or (len(found) != outputs and not isinstance(part, EventSet)):
        return tuple(range(outputs))
    if len(found) != outputs:
        raise SettingsError(f"--mode convert: the network has {outputs} outputs, and {source} {len(found)} classes, up"
                            f" to {found.max()}")
    return tuple(found.tolist())


def _normalised(images: Any, mean: tuple[float, ...] | None, std: tuple[float, ...] | None) -> Any:
    return (images - np.reshape(mean or (0.0,), (-1, 1, 1))) / np.reshape(std or (1.0,), (-1, 1, 1))


def _told(model: Sequential, report: Report | None, shown: Shown, path: Path) -> str:
    compared = f"not compared with the network's own answers: {shown.why}" if report is None else str(report)
    compared = "\n".join((*shown.told, compared))
    run = Path("runs", path.stem)
    return (f"{model.summary()}\n\n{compared}\n{path}: the parameters; {path.with_suffix('.npz').name} beside it: the"
            f" weights\nnext: {program()} --mode demo --parameters {word(path)} --run-dir {word(run)}")


def _parameters(network: str, model: Sequential, dataset: str, weights: Path, shown: Shown,
                classes: tuple[int, ...]) -> str:
    """Text of the parameters file."""
    depth, last = len(model.stages), max(classes)           # classes ascend
    readout = SpikeCount(first=shown.first, last=shown.last and shown.last + depth)
    layers = [*map(_code, model.layers[:-1]), _code(readout)]
    names = {name for name in ("AvgPool2D", "Conv2D", "Dense", "Shortcut") if any(f"{name}(" in one for one in layers)}
    return PARAMETERS.format(
        network=network.replace("\\", "/").replace('"', "'"), shows=shown.code, start=shown.start,
        slot=shown.n_steps + depth + 1,
        names=", ".join(sorted(names | {"Convert", "Sequential", "SpikeCount", *shown.names})), n_train=shown.n_train,
        dataset=dataset, classes=f"range({last + 1})" if len(classes) == last + 1 else classes, weights=str(weights),
        peak_rate=PEAK_RATE, calibration=CALIBRATION, shape=model.input_shape,
        layers=",\n".join(f"    {one}" for one in layers))


def _code(layer: Any) -> str:
    """A layer as a parameters file writes it: what is not as by default."""
    own = [(field, getattr(layer, field.name)) for field in fields(layer)]
    shown = [f"{field.name}={'CELL' if field.name == 'neuron' else _value(value)}" for field, value in own
             if value != field.default]
    return f"{type(layer).__name__}({', '.join(shown)})"


def _value(value: Any) -> str:
    if isinstance(value, tuple) and value and not isinstance(value[0], int):
        return f"({', '.join(map(_code, value))},)"
    return repr(value)
