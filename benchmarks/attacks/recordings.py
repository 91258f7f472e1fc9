"""Altered recordings given to compare, beside the recording as it was: of a training and of the chain of all layers."""

import json
import shutil

from attacks import altered, small
from attacks.harness import Case, command, made


def prepare(directory):
    """Two recordings, of a network of fewer neurons than `small` has, so that they are read sooner."""
    path, where = small.write(directory), directory / "run"
    path.write_text(path.read_text().replace("Conv2D(4, (5, 4), ", "Conv2D(4, (5, 4), strides=3, "))
    made("--mode", "demo", "--parameters", path, "--run-dir", where)
    for name, words in (("train", ("--mode", "training", "--layer", 1)), ("test", ("--mode", "testing"))):
        made(*words, "--run-dir", where, "--record", directory / f"{name}.npz", "--jobs", 1)
    return directory


def case(directory, rng, where):
    """A recording with one alteration, compared with the unaltered one."""
    name = str(rng.choice(("train", "test")))
    whole, path = directory / f"{name}.npz", where / "altered.npz"
    shutil.copy(whole, path)
    others = [directory / "train.npz", directory / "test.npz", *sorted(directory.rglob("run/**/*.npz"))]
    alter = altered.arrays if rng.random() < 0.8 else altered.raw
    told, _strict = alter(path, rng, others)
    words = ["--mode", "compare", *((path, whole) if rng.random() < 0.5 else (whole, path)), "--json"]

    def judge(outcome):
        if outcome.kind == "done" and not json.loads(outcome.stdout)["identical"]:
            return "exit code 0, though they differ"
        return None

    return Case(f"{name}: {told}", command(*words), judge)
