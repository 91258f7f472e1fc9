"""Random command lines: options in any combination, with values that no one meant."""

from attacks.harness import Case, command

MODES = ("loaddata", "training", "testing", "info", "plot", "demo", "check", "map", "doctor", "compare", "", "x")
OPTIONS = ("--layer", "--rule", "--arch", "--dataset", "--cv", "--parameters", "--run-dir", "--seed", "--backend",
           "--target", "--copies", "--time-scale", "--packet-buffer", "--cluster", "--source", "--split", "--jobs",
           "--record")
FLAGS = ("--force", "--strict", "--json")
VALUES = ("", "1", "0", "-1", "svm", "1e9", "99999999999999999999", "nan", "stdp", "local", "spinnaker", "nest", "auto",
          "emulated", "virtual", "spin5:", "iris", "mnist", "10x5", "0x0", "784-10-10", "28x28-12c5-2s-10",
          "/dev/null", "/dev/full", "/proc/self/mem", "..", "a\udcff", "\u202e", "test", "train", "x" * 300, "-", "--",
          "a\nb", "\x1b[31m")


def prepare(directory):
    return None


def case(_, rng, where):
    words = ["--mode", str(rng.choice(MODES))] if rng.random() < 0.95 else []
    for option in rng.choice(OPTIONS, rng.integers(0, 4), replace=False):
        words += [str(option), VALUES[rng.integers(len(VALUES))]]
    words += [str(flag) for flag in FLAGS if rng.random() < 0.15]
    words += [VALUES[rng.integers(len(VALUES))] for _ in range(rng.choice((0, 0, 0, 1, 2)))]
    # In a directory of its own, where there is neither a parameters file nor data.
    return Case(repr(words), lambda: _in(where, words))


def _in(where, words):
    import os

    os.chdir(where)
    return command(*words)()
