"""``--mode convert``: a trained network of torch becomes a parameters file and its weights."""

import math
from argparse import Namespace
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from spikingconvnet.cli.messages import program
from spikingconvnet.data import sources
from spikingconvnet.data.colour import coloured, grey
from spikingconvnet.errors import SettingsError, SpikingConvNetError
from spikingconvnet.gates.files import write_whole
from spikingconvnet.gates.libraries import need
from spikingconvnet.model.readouts import SpikeCount
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.store.directory import word
from spikingconvnet.training.chain import convert
from spikingconvnet.training.chain.parity import Report

MNIST = "data/mnist"
REFERENCE = 100         # images on which units are compared with the network's own
STEPS = 250             # of an image; in the first quarter rates have not settled
PEAK_RATE = 0.25
CALIBRATION = 100       # images on which it is measured what spikes are worth

FILTERS = {1: "Intensity", 3: "Colours"}        # by the channels of the images

PARAMETERS = '''"""{network}, converted to integrate-and-fire neurons by --mode convert.

Units: steps of 1 ms, ms, mV, nA, nF. More steps, with a lower peak_rate, come closer to the network.
"""

from spikingconvnet import {names}

SEED = 0

DATASET = {dataset!r}
CLASSES = range({classes})
N_TRAIN = 2_000             # the largest activations to them are what layers are divided by
N_VALIDATION = 0
N_TEST = None

FILTER = {filter}()
ENCODER = RegularEncoder(n_steps={steps}, max_rate=1.0)
SLOT = {slot}                  # an image and the steps that its spikes take through the layers
RESET = True                # integrate-and-fire neurons do not leak: every image starts at rest

RULE = Convert(weights={weights!r}, bias=True, start=0.5, spread=True, norm="channels",
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

    named, path = options.paths[0], Path(options.paths[1]).absolute()
    _check_new(path)
    network, shape = _network(named, options)
    mean, std = (None if text is None else _numbers(text, option, ",", float)
                 for text, option in ((options.mean, "--mean"), (options.std, "--std")))
    units, model = relu.weights_of(network, shape, mean, std)
    if shape[0] not in FILTERS:
        raise SettingsError(f"--mode convert: images of {shape[0]} channels: parameters show grey ones, of 1, or"
                            " coloured ones, of 3; --input-shape says which")
    images, why = _images(options.source or MNIST, shape)
    reference = None if images is None else relu.reference(network, _normalised(images, mean, std), images)
    kept = reference if shape[0] == 1 else None         # files keep grey images alone
    report = None if reference is None else reference.judge(model, units)
    weights = path.with_suffix(".npz")
    convert.save(weights, units, kept)
    text = _parameters(named, model, options.source or MNIST, weights)
    write_whole(path, lambda stream: stream.write(text.encode()))
    return {"parameters": str(path), "weights": str(weights), "layers": len(model.stages),
            "parity": None if report is None else report.as_dict(), "text": _told(model, report, why, path)}


def _network(named: str, options: Namespace) -> tuple[Any, tuple[Any, ...]]:
    """The network, and the shape of its images: of `--input-shape`, else as it was exported, else of grey digits."""
    from spikingconvnet.training.chain.gradients import exported, files

    if named.endswith(files.SUFFIXES):
        if options.weights:
            raise SettingsError(f"--weights {options.weights}: belong to a network, FILE.py:NAME or MODULE:NAME, but"
                                f" {named} is a file of weights itself")
        network = files.loaded(named)
    else:
        network = files.loaded(options.weights, named) if options.weights else files.network_of(named)
    given = options.input_shape and _numbers(options.input_shape, "--input-shape", "x", int)
    return network, given or exported.image_of(network) or (1, 28, 28)


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


def _images(source: str, shape: tuple[int, ...]) -> tuple[Any, str]:
    """Images of a data set that is here, to compare with: float32 (n, channels, H, W) or None, and why not."""
    if source == MNIST and not Path(source).is_dir():
        return None, f"there is no {source}; name a data set that is here with --source"
    try:
        found = sources.load_part(source, "train").images[:REFERENCE]
    except SpikingConvNetError as error:
        return None, str(error)
    found = grey(found)[:, None] if shape[0] == 1 else np.moveaxis(coloured(found), 3, 1)
    if found.shape[1:] != shape:
        return None, f"the images of {source} are {found.shape[2]}x{found.shape[3]}"
    return np.float32(found / 255.0), ""


def _normalised(images: Any, mean: tuple[float, ...] | None, std: tuple[float, ...] | None) -> Any:
    return (images - np.reshape(mean or (0.0,), (-1, 1, 1))) / np.reshape(std or (1.0,), (-1, 1, 1))


def _told(model: Sequential, report: Report | None, why: str, path: Path) -> str:
    compared = f"not compared with the network's own answers: {why}" if report is None else str(report)
    run = Path("runs", path.stem)
    return (f"{model.summary()}\n\n{compared}\n{path}: the parameters; {path.with_suffix('.npz').name} beside it: the"
            f" weights\nnext: {program()} --mode demo --parameters {word(path)} --run-dir {word(run)}")


def _parameters(network: str, model: Sequential, dataset: str, weights: Path) -> str:
    """Text of the parameters file."""
    layers = [*map(_code, model.layers[:-1]), _code(SpikeCount(first=STEPS // 4))]
    names = {name for name in ("AvgPool2D", "Conv2D", "Dense", "Shortcut") if any(f"{name}(" in one for one in layers)}
    return PARAMETERS.format(
        network=network.replace("\\", "/").replace('"', "'"), steps=STEPS, slot=STEPS + len(model.stages) + 1,
        filter=FILTERS[model.input_shape[0]],
        names=", ".join(sorted(names | {"Convert", FILTERS[model.input_shape[0]], "RegularEncoder", "Sequential",
                                        "SpikeCount"})),
        dataset=dataset, classes=model.shapes[-1][0], weights=str(weights), peak_rate=PEAK_RATE,
        calibration=CALIBRATION, shape=model.input_shape, layers=",\n".join(f"    {one}" for one in layers))


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
