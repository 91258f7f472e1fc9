"""Many settings, each with several seeds: what is tried, how one of them is run, and the table of all.

Every trial has a run directory of its own; what two of them have in common is computed once, see ``store.shared``.
"""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from spikingconvnet.experiment import onboard
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.store.arrays import digest
from spikingconvnet.store.shared import SharedRun
from spikingconvnet.training import layer_rule

Sets = tuple[tuple[str, str], ...]
BOARD = "board", "board spread"        # of a line, what the board's own answers reach
TRAIN = "data/train"        # keeps, beside the data, which settings they have bound


@dataclass(frozen=True)
class Trial:
    """One setting with one seed.

    Attributes
    ----------
    sets : tuple of (str, str)
        Names and values of ``--set``.
    seed : int
    name : str
        Of its run directory: a digest of both and of the parameters that they change.
    """

    sets: Sets
    seed: int
    name: str


@dataclass(frozen=True)
class Row:
    """What came of a trial.

    Attributes
    ----------
    trial : Trial
    accuracy : float or None
        0 to 1; None if it failed.
    seconds : float
        That it took, without steps that another trial had done, and waiting for them.
    error : str
        Why it failed.
    board : float or None
        Accuracy of the board's own answers, if the classifier is on the board too.
    """

    trial: Trial
    accuracy: float | None
    seconds: float
    error: str = ""
    board: float | None = None


def trials(grid: Mapping[str, Sequence[str]], seeds: Iterable[int], *parts: object) -> list[Trial]:
    """All combinations of the values in a grid, each with every seed; seeds change fastest.

    Parameters
    ----------
    grid : dict of str to list of str
    seeds : iterable of int
    *parts
        What else tells one sweep's trials from another's.

    >>> [(trial.sets, trial.seed) for trial in trials({"SLOT": ["28", "38"]}, [0, 1])]
    [((('SLOT', '28'),), 0), ((('SLOT', '28'),), 1), ((('SLOT', '38'),), 0), ((('SLOT', '38'),), 1)]
    """
    settings = [tuple(zip(grid, chosen)) for chosen in product(*grid.values())]
    return [Trial(sets, seed, digest(*parts, sorted(sets), seed)[:16]) for sets, seed in product(settings, seeds)]


def complete(experiment: Experiment, run: SharedRun, rule: str | None, split: str) -> tuple[float, float | None]:
    """Do what is not done yet of an experiment in a SharedRun, each step once among all.

    Returns
    -------
    accuracy : float
        On the split.
    board : float or None
        That of the board's own answers, see Row.
    """
    def step(there: Callable[[], bool], make: Callable[[], object], *key: object) -> None:
        if not there():
            with run.once(digest(experiment.stored.machine, *key)):
                if not there():
                    make()

    _load(experiment, run)
    stored, stages = experiment.stored, experiment.model.stages     # now that the data have said what they are of
    if experiment.model.runs_as_one:
        step(lambda: all(experiment.is_trained(stage.number, rule) for stage in stages),
             lambda: experiment.train_chain(rule), "chain", stored.layer(1).made_from(), stages, rule)
    else:
        _layer_by_layer(experiment, step, rule)
    done = experiment.results().get(split)
    if done is None:
        own = {}
        with run.once(digest(stored.machine, "features", stored.content(len(stages)), split)):
            if onboard.asked(experiment):       # counts come with the answers
                own = {"on_board": onboard.tested(experiment, split)}
            experiment.features(split)
        experiment.keep_result(split, done := {**experiment.test(split).entry(split), **own})
    return float(done["accuracy"]), done.get("on_board", {}).get("accuracy")


def _load(experiment: Experiment, run: SharedRun) -> None:
    """Load the data once for all trials that ask for the same, also where the data have a say in what that is."""
    key = digest(experiment.stored.data("train").made_from(), experiment.asked.model.given_shape)
    if experiment.has_data():
        return
    with run.once(digest("data", key)):
        run.adopt(TRAIN, key)
        experiment.look()
        if not experiment.has_data():
            experiment.load_data()
            run.offer(TRAIN, key)


def _layer_by_layer(experiment: Experiment, step: Callable[..., None], rule: str | None) -> None:
    stored = experiment.stored
    for stage in experiment.model.stages:
        number, name = stage.number, layer_rule(stage, rule).name
        step(lambda number=number, name=name: experiment.is_trained(number, name),
             lambda number=number: experiment.train_layer(number, rule), stored.layer(number).made_from(), name)
    if not experiment.has_svm():
        step(lambda: False, lambda: experiment.features("train"), "features", stored.content(len(stored.model.stages)))
        step(experiment.has_svm, experiment.train_svm, "svm", stored.readout_digest())


def table(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Means and spreads over the seeds of each setting: list of dict.

    ``set``, ``accuracy`` and ``spread`` (the standard deviation of a sample; None of fewer than two seeds), both 0 to
    1, ``board`` and ``board spread`` of the board's own answers, ``seeds`` that came to their end, ``seconds`` on
    average, and the first ``error``.
    """
    settings: dict[Sets, list[Row]] = {}
    for row in rows:
        settings.setdefault(row.trial.sets, []).append(row)
    return [_line(sets, found) for sets, found in settings.items()]


def _line(sets: Sets, rows: Sequence[Row]) -> dict[str, Any]:
    reached = [row.accuracy for row in rows if row.accuracy is not None]
    (accuracy, spread), own = _mean(reached), _mean([row.board for row in rows if row.board is not None])
    return {"set": dict(sets), "accuracy": accuracy, "spread": spread, **dict(zip(BOARD, own)), "seeds": len(reached),
            "seconds": float(np.mean([row.seconds for row in rows])),
            "error": next((row.error for row in rows if row.error), "")}


def _mean(shares: Sequence[float]) -> tuple[float | None, float | None]:
    """And the standard deviation of a sample."""
    return (float(np.mean(shares)) if shares else None, float(np.std(shares, ddof=1)) if len(shares) > 1 else None)


def _rows(lines: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Head and cells; columns of the board where one line has its answers."""
    shares = ["accuracy", "spread", *(BOARD if any(line["board"] is not None for line in lines) else ())]
    units = {"accuracy": "accuracy (%)", "board": "board (%)"}
    return [[*lines[0]["set"], *(units.get(name, name) for name in shares), "seeds", "seconds", "error"],
            *([*line["set"].values(), *("" if line[name] is None else f"{100 * line[name]:.2f}" for name in shares),
               str(line["seeds"]), f"{line['seconds']:.1f}", line["error"]] for line in lines)]


def as_text(lines: Sequence[Mapping[str, Any]]) -> str:
    """The table of :func:`table` for eyes: one line a setting."""
    rows = _rows(lines)
    numbers = range(len(lines[0]["set"]), len(rows[0]) - 1)
    if not any(line["error"] for line in lines):
        rows = [row[:-1] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(cell.rjust(width) if i in numbers else cell.ljust(width)
                               for i, (cell, width) in enumerate(zip(row, widths))).rstrip() for row in rows)


def as_csv(lines: Sequence[Mapping[str, Any]]) -> str:
    """The same for programs: CSV, shares in percent."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(_rows(lines))
    return stream.getvalue()
