"""What a board would be given by an experiment, before anything runs on it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from spikingconvnet import backends
from spikingconvnet.backends.spinnaker import mapping
from spikingconvnet.board.check import Subject
from spikingconvnet.experiment import replicas
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.results import if_there
from spikingconvnet.model import build
from spikingconvnet.model.sequential import Stage
from spikingconvnet.model.trained import TrainedLayer
from spikingconvnet.network.netlist import Network, together
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.training import layer_rule
from spikingconvnet.training.chain import balance

CHECKED_SAMPLES = 50        # images that a chain, or a layer whose maps compete, is checked with


def subjects(experiment: Experiment) -> list[Subject]:
    """What a board would be given: a Subject for training and one for inference of every layer, or one for all.

    Spikes are those that are stored, of the replica with the busiest step; a source whose spikes are not there yet
    is silent. Kernels are those that were learned, or random ones.
    """
    if experiment.model.runs_as_one:
        return [_chain(experiment)]
    found = [subject for stage in experiment.model.stages for subject in _training_and_inference(experiment, stage)]
    return [*found, *_readout(experiment)]


def _readout(experiment: Experiment) -> list[Subject]:
    """The last layer with the classifier behind it, if that is a population already."""
    stage = experiment.model.stages[-1]
    source = experiment.kept_spikes(stage.number - 1)
    if source is None or not experiment.is_trained(stage.number):
        return []
    layer = build.inference_network([stage], [experiment.trained(stage.number)],
                                    source.samples(0, min(CHECKED_SAMPLES, source.n_samples)))
    network = experiment.stored.with_head(layer)
    return [] if network is layer else [
        Subject("readout, inference", network, source.n_steps, basis="learned kernels, stored spikes",
                fired=backends.run(network, jobs=experiment.jobs).spikes)]


def _chain(experiment: Experiment) -> Subject:
    """The chain behind the first training images; what its layers fire is told by the local engine."""
    data, stages, settings = if_there(experiment.data, "train"), experiment.model.stages, experiment.settings
    learned = all(experiment.is_trained(stage.number) for stage in stages)
    shown = (Spikes.empty(stages[0].source_shape, 1, settings.slot) if data is None
             else data["spikes"].samples(0, min(CHECKED_SAMPLES, data["spikes"].n_samples)))
    layers = ([experiment.trained(stage.number) for stage in stages] if learned else balance.balanced(
        experiment.model, [_random(stage, settings.seed) for stage in stages], shown, backends.open,
        settings.reset)[0])
    network = build.inference_network(stages, layers, shown, settings.reset)
    basis = f"{_kernels(experiment, stages, learned)}, {_spikes(experiment, data)}"
    fired = backends.run(network, jobs=experiment.jobs).spikes
    if learned:
        experiment.check_fires(shown, {label: spikes.n_events for label, spikes in fired.items()},
                               f"{shown.n_samples} training images")
    return Subject("all layers, inference", network, shown.n_steps,
                   (stages[-1].label,) * experiment.model.unit_readout.needs_membranes, basis=basis, fired=fired)


def _kernels(experiment: Experiment, stages: Sequence[Stage], learned: bool) -> str:
    """In words, what kernels a network is made with, and why not with those that are stored."""
    stored = any(experiment.store.file(f"layers/{stage.number}").is_file() for stage in stages)
    return "learned kernels" if learned else "random kernels" + " (those stored are of other settings)" * stored


def _spikes(experiment: Experiment, found: object) -> str:
    """The same for its spikes."""
    if found is not None:
        return "stored spikes"
    stored = experiment.store.file("data/train").is_file() and not experiment.has_data()
    return "no spikes (those stored are of other settings)" if stored else "no spikes yet"


def _random(stage: Stage, seed: int) -> TrainedLayer:
    shape, rng = stage.layer.kernel_shape(stage.in_shape), np.random.default_rng([seed, stage.number])
    return TrainedLayer(rng.normal(0.0, np.prod(shape[1:]) ** -0.5, shape),
                        np.full(stage.out_shape[0], stage.layer.neuron.v_thresh))


def _training_and_inference(experiment: Experiment, stage: Stage) -> tuple[Subject, ...]:
    """The Subjects of a layer that is trained by itself: of its training, if that simulates, and of inference."""
    rng = np.random.default_rng([experiment.settings.seed, stage.number])
    source, arrays = experiment.kept_spikes(stage.number - 1), if_there(experiment.layer, stage.number)
    shown = source or Spikes.empty(stage.source_shape, 1, experiment.settings.slot)
    trainee = layer_rule(stage).network(stage, None if arrays is None else arrays["initial"], source, rng)
    basis = f"{_kernels(experiment, [stage], arrays is not None)}, {_spikes(experiment, source)}"
    trained = (TrainedLayer.from_arrays(arrays) if arrays is not None else _random(stage, experiment.settings.seed)
               if trainee is None else TrainedLayer(trainee.kernels, np.ones(stage.out_shape[0])))
    if stage.layer.lateral:         # what the layer fires comes back to it
        shown = shown.samples(0, min(CHECKED_SAMPLES, shown.n_samples))
    inference = build.inference_network([stage], [trained], shown)
    fired = backends.run(inference, jobs=experiment.jobs).spikes if stage.layer.lateral else {}
    name, made_of = f"layer {stage.number}", basis.replace("learned", "initial").replace("random", "initial")
    training = [] if trainee is None else [
        Subject(f"{name}, training", trainee.network, trainee.slot, replicated=False, basis=made_of)]
    return (*training, Subject(f"{name}, inference", inference, shown.n_steps, (stage.label,), basis=basis,
                               fired=fired))


def trained(experiment: Experiment) -> Network:
    """The Network of all trained layers as a chain behind a silent source; one that is not trained is a StoreError."""
    stages, settings = experiment.model.stages, experiment.settings
    layers = [experiment.trained(stage.number) for stage in stages]
    silence = Spikes.empty(stages[0].source_shape, 1, settings.slot)
    return experiment.stored.with_head(build.inference_network(stages, layers, silence, settings.reset))


def mapped(experiment: Experiment) -> dict[str, dict[str, Any]]:
    """What sPyNNaker would use for inference, by layer or for all, in as many copies as asked for: dict of str to dict.

    See ``backends.spinnaker.mapping``.
    """
    found, data = {}, if_there(experiment.data, "train")
    directory = experiment.store.path / "spinnaker" if data is not None else None       # nothing is begun by looking
    wanted = 1 if data is None else -(-len(data["labels"]) // replicas.REPLICA_SAMPLES)
    for subject in subjects(experiment):
        if subject.replicated:
            copies = experiment.runner.copies_of(subject.network, wanted)
            network = together([subject.network] * copies) if copies > 1 else subject.network
            used = mapping.mapped(network, directory)
            found[subject.name] = {"copies": copies, **used}
    return found
