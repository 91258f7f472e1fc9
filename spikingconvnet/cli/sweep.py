"""``--mode sweep``: many settings, one after another or side by side in processes, and their table.

A process that is killed takes nothing of the others along: what is finished is in the run directories of the trials and
in their pool, and the same command goes on.
"""

import multiprocessing
import os
import shutil
import signal
import threading
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, TypeAlias

from spikingconvnet.cli.messages import program, say
from spikingconvnet.cli.parameters import opened, parameters_file, with_overrides
from spikingconvnet.errors import (
    RunDirectoryInUse,
    SettingsError,
    SimulationFailed,
    SpikingConvNetError,
    StoreError,
    SurroundingsError,
)
from spikingconvnet.experiment import overrides, settings
from spikingconvnet.experiment.described import described
from spikingconvnet.experiment.sweep import Row, Trial, as_csv, as_text, complete, table, trials
from spikingconvnet.gates import surroundings
from spikingconvnet.gates.files import write_text
from spikingconvnet.store.directory import RunDirectory
from spikingconvnet.store.shared import SharedRun

MOST = 10_000               # trials
NOT_OF_A_SETTING = SurroundingsError, RunDirectoryInUse, SimulationFailed       # these end the sweep
Task: TypeAlias = tuple[Namespace, Path, Trial]


def sweep(options: Namespace) -> dict[str, Any]:
    """All settings of a grid with their seeds: the table, for JSON and as text.

    Raises
    ------
    SettingsError
        Nothing to sweep, or too much.
    StoreError
        The directory holds something else.
    SimulationFailed
        A process was ended from outside.
    """
    store = RunDirectory(options.run_dir, f"{program()} --mode sweep")
    path = parameters_file(options, store)
    grid = {name: overrides.values(text) for name, text in overrides.parted(options.set or ()).items()}
    base = with_overrides(settings.load(path), path, Namespace(**{**vars(options), "set": None}), store)
    found = _trials(grid, base.seed, path, options)
    with store.locked():
        _claim(store, found)
        rows = _all(store, path, found, options)
        lines = table(rows)
        _write(store, grid, lines, options.split)
        store.write_results("sweep", {**described(base, grid), "split": options.split, "table": lines,
                                      "trials": _told(rows)})
        _clear(store)
    failed = [row for row in rows if row.error]
    say(f"table: {store.path / 'sweep.csv'}, sweep.txt, plots/sweep.png; {len(rows) - len(failed)} of {len(rows)} runs"
        " came to their end")
    return {"run_dir": str(store.path), "table": lines, "trials": _told(rows), "text": as_text(lines),
            "exit_code": 2 * (len(failed) == len(rows))}


def _trials(grid: Mapping[str, Sequence[str]], first: int, path: Path, options: Namespace) -> list[Trial]:
    if "SEED" in grid:
        raise SettingsError("--set SEED: in a sweep there are --seed, the first one, and --seeds, how many")
    for name, texts in grid.items():
        if len(set(texts)) < len(texts):
            raise SettingsError(f"--set {name}: has a value twice, in {', '.join(texts)}")
    n = prod(map(len, grid.values())) * (options.seeds or 1)
    if n > MOST:
        raise SettingsError(f"--mode sweep: would be {n:,} runs, and at most {MOST:,} are done; leave out some values")
    words = [options.rule, options.arch, options.source, options.backend, options.split]
    return trials(grid, range(first, first + (options.seeds or 1)), path.read_bytes(), *words)


def _told(rows: Sequence[Row]) -> dict[str, Any]:
    return {row.trial.name: {"set": dict(row.trial.sets), "seed": row.trial.seed, "accuracy": row.accuracy,
                             "board": row.board, "seconds": row.seconds, "error": row.error} for row in rows}


def _claim(store: RunDirectory, found: Sequence[Trial]) -> None:
    """Refuse a directory of an ordinary run, or of a sweep that this one does not go on with or extend."""
    before = set(store.results().get("sweep", {}).get("trials", {}))
    if store.file("data/train").is_file() or before - {trial.name for trial in found}:
        raise StoreError(f"{store.path}: holds {'another sweep' if before else 'a run'}, of other parameters or values;"
                         " choose another --run-dir, or the command that began it with more values")
    if not before:
        store.write_results("sweep", {"trials": {trial.name: {} for trial in found}})


def _all(store: RunDirectory, path: Path, found: Sequence[Trial], options: Namespace) -> list[Row]:
    """The rows of all trials, in their order; a line on stderr as each is done."""
    jobs = 1 if options.cluster else min(options.jobs or 1, len(found))
    cores = os.cpu_count() or 1
    threads = options.jobs if options.cluster else max(1, cores // jobs)
    tasks = [(Namespace(**{**vars(options), "set": [f"{name}={text}" for name, text in trial.sets], "jobs": threads,
                           "seed": trial.seed, "run_dir": str(store.path / "trials" / trial.name)}),
              path, trial) for trial in found]
    rows: dict[Trial, Row] = {}
    for row in _rows(tasks, jobs, store.path / "shared"):
        rows[row.trial] = row
        reached = row.error if row.accuracy is None else f"{options.split} accuracy {100 * row.accuracy:.2f} %"
        reached += "" if row.board is None else f", by the board's spikes {100 * row.board:.2f} %"
        say(f"{len(rows)}/{len(found)} " + " ".join([*(f"{name}={text}" for name, text in row.trial.sets),
                                                     f"seed {row.trial.seed}: {reached}, {row.seconds:.1f} s"]))
    return [rows[trial] for trial in found]


def _rows(tasks: Sequence[Task], jobs: int, pool: Path) -> Iterator[Row]:
    if jobs == 1:
        yield from map(partial(work, pool), tasks)
        return
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _begin) as workers:
        try:
            for done in as_completed([workers.submit(work, pool, task) for task in tasks]):
                yield done.result()
        except BrokenProcessPool as error:
            raise SimulationFailed("a process of the sweep was ended from outside, maybe for want of memory; try fewer"
                                   " --jobs") from error
        finally:
            for child in multiprocessing.active_children():
                child.terminate()


def _begin() -> None:
    """Have a process end when the one that has started it does, however that ends; Ctrl-C is for that one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(multiprocessing.parent_process(),), daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)


def work(pool: Path, task: Task) -> Row:
    """Run a trial, or what is missing of it: its row."""
    options, path, trial = task
    run, begin = SharedRun(options.run_dir, pool, f"{program()} --mode sweep"), time.perf_counter()
    try:
        with surroundings.told(), run.locked():
            before = run.results().get("sweep", {}).get("seconds", 0.0)
            experiment = opened(path, options, run)
            fresh = options.split not in experiment.results()
            accuracy, board = complete(experiment, run,
                                       options.rule or getattr(experiment.settings.rule, "name", None), options.split)
            seconds = time.perf_counter() - begin - run.waited if fresh else before
            if fresh:
                run.keep_parameters(path, dict(trial.sets))
                run.write_results("sweep", {**described(experiment.settings, dict(trial.sets)), "seconds": seconds})
            return Row(trial, accuracy, seconds, board=board)
    except SpikingConvNetError as error:
        if isinstance(error, NOT_OF_A_SETTING):
            raise
        return Row(trial, None, time.perf_counter() - begin - run.waited, str(error))


def _write(store: RunDirectory, grid: Mapping[str, Sequence[str]], lines: Sequence[Mapping[str, Any]],
           split: str) -> None:
    """The table as text, as CSV and as a figure."""
    from spikingconvnet import plotting

    for name, text in (("sweep.txt", as_text(lines) + "\n"), ("sweep.csv", as_csv(lines))):
        write_text(store.path / name, text)
    plotting.save(plotting.sweep(grid, lines, f"{split} accuracy (%)"), store.path / "plots" / "sweep")


def _clear(store: RunDirectory) -> None:
    """Delete what is no longer needed when all trials are done: spikes and counts, which layers can make again."""
    shared = store.path / "shared"
    for folder in (shared, *(store.path / "trials").glob("*")):
        for name in ("spikes", "features", "answers", "winners"):
            shutil.rmtree(folder / name, ignore_errors=True)
    shutil.rmtree(shared / "locks", ignore_errors=True)
