"""Altered files of a run directory: truncated, bits, types, shapes, values, members, JSON, files in each other's place.

Whatever the mode, it refuses, or it ends as with the files as they were: what was damaged has been computed anew.
"""

import json
import shutil

import numpy as np

from attacks import altered, flows, small
from attacks.harness import Case, command, made

CHAIN = """
from spikingconvnet import RegularEncoder
from spikingconvnet import Dense, SpikeCount
from spikingconvnet import Sequential
from spikingconvnet import Intensity
from spikingconvnet import Ridge

DATASET = "digits"
N_TRAIN = 60
N_VALIDATION = 20
N_TEST = 30
FILTER = Intensity()
ENCODER = RegularEncoder(n_steps=10, max_rate=1.0)
SLOT = 12
RESET = True
RULE = Ridge()
MODEL = Sequential((1, 28, 28), Dense(20, neuron=RULE.neuron), Dense(10, neuron=RULE.neuron), SpikeCount(last=10))
"""
MODES = {"1": ("testing", "svm", "info", "check", "compare"), "2": ("testing", "svm", "2", "info", "compare"),
         "chain": ("testing", "info", "check", "compare"), "unfinished": ("1",)}


def prepare(directory):
    """Runs of one and of two layers, of a chain, and one that was interrupted: dict of str to what each mode gives."""
    found = {}
    for name in MODES:
        where = directory / name
        where.mkdir()
        path = small.write(where, 2 if name == "2" else 1)
        if name == "chain":
            path.write_text(CHAIN)
        made("--mode", "demo", "--parameters", path, "--run-dir", where / "run", "--jobs", 1,
             before=_keep_unfinished if name == "unfinished" else lambda: None)
        if name == "unfinished":
            for file in (where / "run").glob("[lfs]*/[!1]*.npz"):
                file.unlink()
            (where / "run/layers/1.npz").unlink()
        shutil.rmtree(where / "run/plots")
        found[name] = {}
        for mode in MODES[name]:
            shutil.copytree(where / "run", where / mode)
            out = made(*_words(mode, where / mode, where / "run"))
            found[name][mode] = _told(out), _kept(where / mode, mode)
    return directory, found


def _keep_unfinished():
    from spikingconvnet.store.unfinished import Unfinished

    Unfinished.forget = lambda self: None


def _words(mode, where, whole):
    if mode == "compare":
        return "--mode", "compare", where, whole, "--json"
    layer = ("--layer", mode) if mode in ("svm", "1", "2") else ()
    return "--mode", "training" if layer else mode, *layer, "--run-dir", where, "--jobs", 1, "--json"


def _told(text):
    """What a mode has printed, without what differs from run to run."""
    found = json.loads(text)
    return {name: found.get(name) for name in ("accuracy", "confusion", "classes", "health", "done", "identical")}


def _kept(where, mode):
    """Arrays that a mode leaves: of the layer or classifier that it trains."""
    name = {"svm": "svm", "1": "layers/1", "2": "layers/2"}.get(mode)
    if name is None:
        return {}
    with np.load(where / f"{name}.npz") as file:
        return {key: file[key].tolist() for key in file if key not in ("how", "seal", "made_from")}


def case(context, rng, where):
    """A copy of a run with one altered file, and a mode that reads it."""
    directory, found = context
    name = str(rng.choice(("1", "2", "2", "chain", "unfinished")))
    mode, run, whole = str(rng.choice(MODES[name])), where / "run", directory / name / "run"
    shutil.copytree(whole, run)
    files = [path for path in sorted(run.rglob("*")) if path.is_file() and path.suffix in (".npz", ".json", ".py")]
    if name == "unfinished" and rng.random() < 0.7:
        files = [run / "layers/1-unfinished.npz"]
    if mode == "compare":
        files = [path for path in files if path.suffix == ".npz"]
    path = files[rng.integers(len(files))]
    others = [other for one in MODES for other in sorted((directory / one / "run").rglob("*.npz"))]
    alter = {".npz": altered.arrays if rng.random() < 0.7 else altered.raw, ".json": altered.json_file,
             ".py": altered.raw}[path.suffix]
    told, strict = alter(path, rng, others)
    if path.suffix == ".py" and mode == "demo":
        strict = False          # another experiment

    def judge(outcome):
        if outcome.kind != "done" or not strict or mode in ("plot", "check"):
            return None
        wanted, kept = found[name][mode]
        got = _told(outcome.stdout)
        if mode == "info" and not all(got["done"].values()):
            return None         # what is damaged is told as not there
        if got != wanted:
            return f"{got} instead of {wanted}"[:2000]
        return None if _kept(run, mode) == kept else "other arrays were kept"

    words = [str(word) for word in _words(mode, run, whole)]
    return Case(f"{name}: {path.relative_to(run)}: {told}: {' '.join(words[:4])}",
                flows.mostly_light(rng, command(*words)), judge)
