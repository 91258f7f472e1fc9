"""The model as a drawing, and of each layer its kernels and how its training went."""

import math
from typing import Any

import numpy as np

from spikingconvnet.experiment.fields import MOST_KERNELS, led_back, why_not
from spikingconvnet.experiment.report.answers import Answered
from spikingconvnet.experiment.report.held import Held
from spikingconvnet.experiment.report.packing import Block, quantised
from spikingconvnet.experiment.told import told
from spikingconvnet.model.sequential import Stage
from spikingconvnet.network.arrays import Floats

FEWEST_KERNELS = 4
OF_A_LAYER = "inputs", "v_thresh"       # of all that is told of a network that is trained as a whole
MOST_PIXELS = 256 * 256     # of a kernel with all its channels


def drawing(held: Held, found: Answered | None, samples: dict[str, Any]) -> dict[str, Any]:
    """Layers with shapes, neurons, weights, synapses and spikes an image, and what leads from one to another."""
    spikes = _spikes(held, found, samples)
    first = {"label": "input", "kind": "Input", "text": " + ".join(held.channel_names[:3]), "neurons": 0, "weights": 0,
             "synapses": 0, "shape": list(held.model.input_shape), "spikes": spikes.get(0)}
    return {"nodes": [first, *(_node(stage, spikes.get(stage.number)) for stage in held.stages)],
            "edges": [_edge(stage, number) for stage in held.stages for number in range(len(stage.branches))],
            "readout": str(held.model.readout), "classes": len(held.classes)}


def _node(stage: Stage, spikes: tuple[float, str] | None) -> dict[str, Any]:
    neurons = math.prod(stage.out_shape)
    kernels = [(branch.kernel_shape, branch.area) for branch in stage.branches]
    neuron = type(stage.layer.neuron).__name__
    return {"label": stage.label, "kind": stage.kind, "neurons": neurons, "shape": list(stage.out_shape),
            "text": _text(stage) + f", {neuron}", "weights": sum(math.prod(shape) for shape, _ in kernels),
            "synapses": sum(neurons * math.prod(shape[1:]) * area for shape, area in kernels), "spikes": spikes}


def _text(stage: Stage) -> str:
    """A layer in words, without its name."""
    units = f"{stage.out_shape[0]} units"
    return units if stage.dense else str(stage.layer).removeprefix("Conv2D").strip()


def _edge(stage: Stage, number: int) -> dict[str, Any]:
    branch = stage.branches[number]
    pool = "" if branch.pool == (1, 1) else f"average pooling {branch.pool[0]}x{branch.pool[1]}"
    return {"from": branch.source, "to": stage.number, "text": pool, "shortcut": number > 0}


def _spikes(held: Held, found: Answered | None, samples: dict[str, Any]) -> dict[int, tuple[float, str]]:
    """Spikes an image of each population, and of which images that is the mean."""
    few = f"{len(samples['index'])} images"
    means = {number: (float(mean), few) for number, mean in enumerate(samples["means"])}
    spikes = held.data["spikes"]
    all_of = f"{spikes.n_samples:,} images"
    means[0] = (spikes.n_events / spikes.n_samples, all_of)
    if found is not None and found.counts is not None:
        means[len(held.stages)] = (float(found.counts.sum(axis=1, dtype=np.int64).mean()), all_of)
    if found is not None and found.fired is not None:
        means |= {number: (float(mean), all_of) for number, mean in enumerate(found.fired.mean(axis=0))}
    return means


def layers(held: Held, samples: dict[str, Any], budget: int) -> list[dict[str, Any]]:
    """Of each trained layer kernels, course and what its training has told: list of dict for JSON.

    Parameters
    ----------
    held : Held
    samples : dict
        See ``samples.samples``.
    budget : int
        Bytes that kernels may take.
    """
    each = budget // max(1, 3 * len(held.layers))
    return [{"number": stage.number, "label": stage.label, "rule": str(arrays["how"]["rule"]),
             "dense": stage.dense, "thresholds": np.asarray(arrays["v_thresh"], float)[:MOST_KERNELS].tolist(),
             "kernels": _kernels(held, stage, arrays, each), "activity": samples["maps"][stage.number],
             "course": _course(arrays), **told(_own(held, arrays["how"].get("health", {})))}
            for stage, arrays in zip(held.stages, held.layers)]


def together(held: Held) -> dict[str, Any] | None:
    """What a rule that trains all layers at once tells of all of them: dict for JSON; None where each has its own."""
    if not held.model.runs_as_one or not held.layers:
        return None
    health = held.layers[0]["how"].get("health", {})
    return {"rule": held.rules[0], **told({name: part for name, part in health.items() if name not in OF_A_LAYER})}


def _own(held: Held, health: dict[str, Any]) -> dict[str, Any]:
    """What a training tells of one layer alone."""
    return {name: health[name] for name in OF_A_LAYER if name in health} if held.model.runs_as_one else health


def _kernels(held: Held, stage: Stage, arrays: dict[str, Any], budget: int) -> dict[str, Any]:
    """Kernels after and before training and led back to the input, where they are pictures."""
    after = np.asarray(arrays.get("learned", arrays["kernels"]), np.float64)
    pictures = max(after.shape[2:]) > 1
    trained = len(arrays.get("wins", ())) > 0
    reason = why_not(held.stages[:stage.number]) if stage.number > 1 else ""
    deep = stage.number > 1 and not reason
    sets = {"after": after if pictures or stage.source == 0 else None,
            "before": np.asarray(arrays["initial"], np.float64) if trained and pictures else None,
            "fields": led_back(held.experiment, stage.number) if deep else None}
    names = held.channel_names if after.shape[1] == held.model.input_shape[0] and stage.source == 0 else None
    return {"n": len(after), "channels": names, "input_channels": held.channel_names, "not_led_back": reason,
            "unit": "nA", "sets": {name: _block(one, budget) for name, one in sets.items() if one is not None}}


def _block(kernels: Floats, budget: int) -> Block | None:
    """The first kernels, as many as fit; None of such as are too large. Channels of one row stand below each other."""
    below = kernels.shape[1] if kernels.shape[2] == 1 < kernels.shape[3] else 0
    if below:
        kernels = kernels.swapaxes(1, 2)
    size = math.prod(kernels.shape[1:])
    fit = min(MOST_KERNELS, budget // size)
    if size > MOST_PIXELS or fit < min(FEWEST_KERNELS, len(kernels)):
        return None
    return {**quantised(kernels[:fit]), "below": below}


def _course(arrays: dict[str, Any]) -> dict[str, Any] | None:
    """Winners, thresholds and mean weight, chunk by chunk."""
    if not len(arrays.get("wins", ())):
        return None
    thresholds = np.asarray(arrays["thresholds"], np.float64)
    few = thresholds[:, :MOST_KERNELS]
    return {"wins": arrays["wins"].tolist(), "thresholds": quantised(few, 2),
            "median": np.median(thresholds, axis=1).tolist(), "mean_weight": arrays["mean_weight"].tolist()}
