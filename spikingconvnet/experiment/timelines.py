"""What trained layers answer to whole splits, timeline by timeline: from the cache, or run and kept.

Images are shown on timelines of at most ``replicas.REPLICA_SAMPLES`` images; each is a copy of the network that starts
at rest (a replica, as on a board), and the unit in which caches are kept. Replicas run side by side.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from spikingconvnet.errors import SimulationFailed
from spikingconvnet.experiment import replicas
from spikingconvnet.experiment.results import Result, Results
from spikingconvnet.experiment.runner import Runner
from spikingconvnet.health import silence
from spikingconvnet.model import build
from spikingconvnet.model.trained import TrainedLayer
from spikingconvnet.network.arrays import Numbers, Pair
from spikingconvnet.network.netlist import Network
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.store.arrays import pack_spikes, unpack_spikes


class Timelines:
    """Answers to whole splits.

    Parameters
    ----------
    results : Results
    runner : Runner
    """

    def __init__(self, results: Results, runner: Runner) -> None:
        self.results, self.runner = results, runner
        self.model, self.settings = results.model, results.settings

    def trained(self, number: int) -> TrainedLayer:
        """A stored layer as inference needs it: TrainedLayer."""
        return TrainedLayer.from_arrays(self.results.layer(number).read())

    def chain(self, number: int, spikes: Spikes) -> Network:
        """The layers up to `number` as one network behind `spikes`; behind the last one a classifier on the board."""
        chain = build.inference_network(self.model.stages[:number], [self.trained(n) for n in range(1, number + 1)],
                                        spikes, self.settings.reset)
        return chain if number < len(self.model.stages) else self.results.with_head(chain)

    def spikes(self, number: int, split: str, data: Mapping[str, Any]) -> list[Spikes]:
        """Spikes of a layer (0: the input) for every replica of a split: list of Spikes.

        Parameters
        ----------
        number : int
        split : str
        data : dict
            ``spikes`` of the input, ``labels``, and the digest ``content`` that tells them from others.

        Raises
        ------
        SettingsError
            The layer has not fired for any image.
        """
        spikes = data["spikes"]
        if number == 0:
            return replicas.timelines(spikes)
        found = self._kept(self.results.spikes(number, split, data, spikes.n_samples), number, split, data)
        return [unpack_spikes(part) for part in found]

    def counts(self, number: int, split: str, data: Mapping[str, Any], grid: Pair) -> Numbers:
        """The same counted on `grid`: uint16 array (n, features)."""
        files = self.results.counts(number, split, data, data["spikes"].n_samples, grid)
        return _joined([part["counts"] for part in self._kept(files, number, split, data, grid)])

    def _kept(self, files: Sequence[Result], number: int, split: str, data: Mapping[str, Any],
              grid: Pair | None = None) -> list[dict[str, Any]]:
        """Responses of a layer from their files, spikes or counts on a `grid`; those that are missing are computed."""
        description = f"layer {number}: {'spikes' if grid is None else 'counts'}, {split}"

        def compute(missing: Sequence[int]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
            sources = self.spikes(number - 1, split, data)
            return ((pack_spikes(response) if grid is None else {"counts": response}, judged) for response, judged
                    in self.simulate(number, [sources[i] for i in missing], grid, description))

        found = self._cached(files, compute, description)
        self._require_spikes(number, split, data, any(part["counts"].any() for part in found))
        return found

    def _require_spikes(self, number: int, split: str, data: Mapping[str, Any], fired: object) -> None:
        """Refuse to go on with a layer that has been trained by itself and has not fired for any image of a split."""
        if not fired:
            raise silence.error([self.model.stages[number - 1]], [self.trained(number)],
                                self.spikes(number - 1, split, data)[0], f"{len(data['labels']):,} {split} images",
                                self.results.layer(number).command)

    def first(self, number: int, data: Mapping[str, Any]) -> Spikes | None:
        """Spikes of a trained layer for the first training replica; None where they are not kept."""
        images = min(replicas.REPLICA_SAMPLES, data["spikes"].n_samples)
        found = self.results.spikes(number, "train", data, images)[0].cached()
        if found is None:
            return None
        spikes = unpack_spikes(found)
        self._require_spikes(number, "train", data, spikes.n_events)
        return spikes

    def simulate(self, number: int, sources: Sequence[Spikes], grid: Pair | None,
                 description: str) -> Iterator[tuple[Any, dict[str, Any]]]:
        """Responses of a layer to the replayed spikes of the layer before, one replica for each, side by side.

        Yields each with the verdict on its run.
        """
        stage, trained = self.model.stages[number - 1], self.trained(number)
        networks = [build.inference_network([stage], [trained], source) for source in sources]
        return self.runner.side_by_side(networks, description, replicas.respond, label=stage.label, grid=grid)

    def answers(self, split: str, data: Mapping[str, Any]) -> dict[str, Numbers]:
        """What the output units of a model that runs as one network answer to a split: dict of str to array.

        ``units`` (n, steps of the window), ``output`` (n, units) and ``spikes`` (n, layers and the input), see
        ``replicas.classify``.
        """
        number, description = len(self.model.stages), f"{split} images"

        def compute(missing: Sequence[int]) -> Iterator[tuple[Any, dict[str, Any]]]:
            sources = self.spikes(0, split, data)
            networks = [self.chain(number, sources[i]) for i in missing]
            return self.runner.side_by_side(networks, description, replicas.classify, layer=self.model.unit_readout)

        found = self._cached(self.results.answers(split, data, data["spikes"].n_samples), compute, description)
        return {name: np.concatenate([part[name] for part in found]) for name in ("units", "output", "spikes")}

    def winners(self, split: str, data: Mapping[str, Any]) -> dict[str, Numbers]:
        """What the classifier as a population answers to a split: ``units`` and ``steps``, see ``replicas.win``.

        The counts of the last layer come from the same runs, and are kept as those of :meth:`counts`.
        """
        stage, description = self.model.stages[-1], f"readout: first spikes, {split}"
        n, grid = data["spikes"].n_samples, self.model.classifier.cells(stage.out_shape)
        counts = self.results.counts(stage.number, split, data, n, grid)

        def compute(missing: Sequence[int]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
            sources, trained = self.spikes(stage.number - 1, split, data), self.trained(stage.number)
            networks = [self.results.with_head(build.inference_network([stage], [trained], sources[i]))
                        for i in missing]
            for i, (found, judged) in zip(missing, self.runner.side_by_side(networks, description, replicas.win,
                                                                            label=stage.label, grid=grid)):
                counts[i].write(self.results.how(judged), counts=found.pop("counts"))
                yield found, judged

        found = self._cached(self.results.winners(split, data, n), compute, description)
        return {name: np.concatenate([part[name] for part in found]) for name in ("units", "steps")}

    def _cached(self, files: Sequence[Result],
                compute: Callable[[list[int]], Iterator[tuple[dict[str, Any], dict[str, Any]]]],
                description: str) -> list[dict[str, Any]]:
        """Results of all replicas: from the cache, or by ``compute(missing replicas)`` one after another, and kept.

        `compute` gives an iterator over arrays and the verdict on the run behind them.
        """
        found = {i: cached for i, file in enumerate(files) if (cached := file.cached()) is not None}
        missing = [i for i in range(len(files)) if i not in found]
        if missing:
            with self.results.store.locked(), telling(description, len(files), "replicas", lambda: len(found)):
                for i, (arrays, judged) in zip(missing, compute(missing)):
                    found[i] = files[i].write(self.results.how(judged), **arrays)
        return [found[i] for i in range(len(files))]


def _joined(parts: list[Numbers]) -> Numbers:
    """Parts one behind another, as ``np.concatenate`` has them. The list is used up, so that nothing is there twice."""
    end = sum(map(len, parts))
    whole = np.empty((end, *parts[0].shape[1:]), parts[0].dtype)
    while parts:                # from the last on: what was allocated last is what goes back to the system
        part = parts.pop()
        whole[end - len(part):end] = part
        end -= len(part)
    return whole


@contextmanager
def telling(what: str, total: int, parts: str, finished: Callable[[], int]) -> Iterator[None]:
    """Have a failure say what was at work, and that ``finished()`` of `total` `parts` are kept."""
    try:
        yield
    except SimulationFailed as error:
        told = SimulationFailed(f"{what}: {error}; {finished()} of {total} {parts} are kept")
        told.provenance = error.provenance
        raise told from error
