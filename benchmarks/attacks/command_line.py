"""Random command lines: options in any combination, with values that no one meant, with a run behind them or none."""

import json
import math
import os
import shutil

from attacks import flows, small
from attacks.harness import Case, command, made
from spikingconvnet.cli.table import OPTIONS

MODES = ("loaddata", "training", "testing", "info", "plot", "demo", "check", "map", "compare", "import", "export", "",
         "x")
USED_BY = {option.flag: option.modes for option in OPTIONS}
RIGHT = {"--layer": ("1", "svm"), "--rule": ("stdp", "random", "kmeans"), "--parameters": ("parameters.py",),
         "--run-dir": ("run", "other"), "--seed": ("0", "7"), "--backend": ("local",), "--jobs": ("1", "2"),
         "--split": ("test", "validation"), "--record": ("kept.npz",), "--source": ("digits",), "--cv": ("2x2",),
         "--target": ("spin3", "spin5"), "--copies": ("1",), "--arch": ("784-10-10",), "--dataset": ("mnist",),
         "--time-scale": ("1",), "--packet-buffer": ("256",), "--cluster": ("tcp://127.0.0.1:1",),
         "--graph-dt": ("0.001", "1"), "--method": ("euler", "exact"), "--spikes": ("in.csv", "run.npz")}
PATHS = {"import": (["model.nir"],), "export": (["out.nir"], ["run.npz", "out.csv"], ["run.npz", "out.npz"]),
         "check": ([], [], ["run.npz"])}
WRONG = ("", "1", "0", "-1", "svm", "1e9", "99999999999999999999", "nan", "stdp", "local", "spinnaker", "nest", "auto",
         "emulated", "virtual", "spin5:", "iris", "mnist", "10x5", "0x0", "784-10-10", "28x28-12c5-2s-10", "/dev/null",
         "/dev/full", "/proc/self/mem", "..", "a\udcff", "\u202e", "test", "train", "x" * 300, "-", "--", "a\nb",
         "\x1b[31m", "run", "digits", "parameters.py", "٣", "0x10", "1_000", " 1", "+1", "1" * 5000)
FLAGS = ("--force", "--strict", "--json")
DOCUMENTED = (0, 2, 3, 4, 5, 6, 7, 8, 9)


def prepare(directory):
    """A run of the small experiment that has gone through all modes, a recording of it, it as NIR, and spikes."""
    small.run(directory)
    shutil.rmtree(directory / "run/plots")
    for words in (("testing", "--run-dir", "run", "--record", "run.npz"), ("export", "model.nir", "--run-dir", "run"),
                  ("export", "run.npz", "in.csv")):
        made("--mode", *words, where=directory)
    return directory


def case(context, rng, where):
    """A command with options of its mode, mostly with good values; in a directory that holds a run, or an empty one."""
    mode, begun = _one(rng, MODES), rng.random() < 0.9
    own = [option for option in RIGHT if mode in (USED_BY[option] or MODES)]
    words, wild = ["--mode", mode], rng.random() < 0.2
    for option in rng.permutation(list(RIGHT) if wild else own)[:rng.integers(0, 4)]:
        words += [str(option), _one(rng, RIGHT[option] if rng.random() < 0.75 else WRONG)]
    paths = _one(rng, PATHS[mode]) if mode in PATHS and rng.random() < 0.9 else []
    if begun and not {"model.nir", "run.npz"} & set(paths):                         # which are of no experiment
        words += ["--run-dir", "run", *["--parameters", "parameters.py"] * bool(rng.random() < 0.3)]
    words += [flag for flag in FLAGS if rng.random() < 0.1]
    words += paths + [_one(rng, WRONG) for _ in range(2 * (mode == "compare") or wild)]

    def work():
        if begun:
            shutil.copytree(context, where, dirs_exist_ok=True)
        os.chdir(where)
        return command(*words)()

    return Case(repr(words), flows.mostly_light(rng, work), lambda outcome: _judge(outcome, "--json" in words))


def _judge(outcome, as_json):
    if outcome.code not in DOCUMENTED:
        return f"exit code {outcome.code}"
    if outcome.code and "error: " not in outcome.stderr and outcome.code not in (2, 3, 7, 8):
        return "no sentence"
    if as_json and outcome.stdout.strip():
        return _finite(json.loads(outcome.stdout))
    return None


def _finite(value):
    """None, or which number in a result is none."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value} in the result"
    return next((found for part in parts if (found := _finite(part))), None)


def _one(rng, choices):
    return choices[rng.integers(len(choices))]
