"""Altered parameters in TOML: odd values, names, tables and bytes; each is a sentence, or parameters that are right."""

import re

from attacks import altered
from attacks.harness import Case, command

PARAMETERS = """
SEED = 0
DATASET = "digits"
CLASSES = [0, 1, 2]
N_TRAIN = 60
PER_CLASS = false
SLOT = 30

[FILTER]
type = "DifferenceOfGaussians"
sigma_centre = 1.0
sigma_surround = 2.0
contrast = 0.35

[ENCODER]
type = "LatencyEncoder"
n_steps = 15
threshold = 0.08
saturation = 0.6

[MODEL]
type = "Sequential"
input_shape = [2, 28, 28]

[[MODEL.layers]]
type = "Conv2D"
filters = 4
kernel_size = [5, 4]
firing = 0.1

[MODEL.layers.neuron]
type = "IFCurrExp"
tau_m = 10.0
tau_refrac = 0.0

[MODEL.layers.training]
type = "STDP"
windows = 60
homeostasis = [0.2, 0.2]

[MODEL.layers.training.mechanism]
type = "STDPMechanism"
timing_dependence = {type = "SpikePairRule", tau_plus = 10.0, tau_minus = 10.0, A_plus = 0.02, A_minus = 0.02}
weight_dependence = {type = "AdditiveWeightDependence", w_min = 0.0, w_max = 1.0}

[[MODEL.layers]]
type = "Classifier"
grid = 3
C = 0.1
"""
VALUES = ("nan", "inf", "-inf", "-1", "0", "1e308", "1e-310", "9" * 30, "9" * 5000, "true", '""', '"x"', "[]", "[[]]",
          "{}", "1979-05-27T07:32:00Z", "[1, 'a']", '{type = "IFCurrExp"}', '{type = "Sequential"}',
          '{type = "Experiment"}', '{type = "__import__"}', '{type = 5}', "'\\ud800'", '"\\u0000"', '"\\u202e"',
          "[" * 400 + "]" * 400, "[" * 5000 + "]" * 5000, "0x7fffffffffffffff", "1.5", "[0.1, 0.2, 0.3]")
TYPES = ("STDP", "Conv2D", "Dense", "AvgPool2D", "LatencyEncoder", "Classifier", "Membrane", "Network", "Spikes",
         "Iris", "SpikePairRule", "Surrogate", "Convert", "Population", "load", "os", "Recording")
KINDS = ("value", "value", "value", "name", "type", "gone", "twice", "table")
CODES = 0, 2, 5, 9      # done, settings or a model that does not fit, no input shape and no data, the system


def mutated(text, rng):
    """TOML with one thing changed: what was done, and the text."""
    lines = text.strip().splitlines()
    given = [k for k, line in enumerate(lines) if " = " in line]
    k, kind = int(rng.choice(given)), str(rng.choice(KINDS))
    name, _, value = lines[k].partition(" = ")
    if kind == "value":
        lines[k] = f"{name} = {VALUES[rng.integers(len(VALUES))]}"
    elif kind == "name":
        names = f"x{name}", name.upper(), name.lower(), "type", repr(name), f"{name}.x"
        lines[k] = f"{names[rng.integers(len(names))]} = {value}"
    elif kind == "type":
        k = int(rng.choice([k for k in given if "type = " in lines[k]]))
        lines[k] = re.sub('type = "[^"]*"', f'type = "{TYPES[rng.integers(len(TYPES))]}"', lines[k], count=1)
    elif kind == "gone":
        del lines[k]
    elif kind == "twice":
        lines.insert(k, lines[k])
    else:
        k = int(rng.choice([k for k, line in enumerate(lines) if line.startswith("[")]))
        lines[k] = ("[X]", "[[MODEL]]", "[MODEL.layers]", "[", "[MODEL.layers.x]", "[[CLASSES]]", "")[rng.integers(7)]
    return f"{kind} at line {k + 1}: {lines[min(k, len(lines) - 1)][:60]}", "\n".join(lines) + "\n"


def prepare(directory):
    """The file as it is."""
    path = directory / "parameters.toml"
    path.write_text(PARAMETERS)
    return path


def case(whole, rng, where):
    """A file with one or two changes, which is checked."""
    path = where / "parameters.toml"
    path.write_text(whole.read_text())
    if rng.random() < 0.2:
        told, _ = altered.raw(path, rng, [whole])
    else:
        told = ""
        for _ in range(rng.integers(1, 3)):
            more, text = mutated(path.read_text(), rng)
            path.write_text(text)
            told += f"{more}; "

    def judge(outcome):
        return None if outcome.code in CODES else f"ends with {outcome.code}"

    return Case(told, command("--mode", "check", "--parameters", path, "--run-dir", where / "run"), judge)
