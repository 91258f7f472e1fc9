"""Parameters files with one node changed: a number, a record or a name that no one meant; and numbers of options.

Every record of the package and every rule stands in one of `FILES`, all on small data. A case ends well if it is
refused by one sentence, or done with numbers that can be right.
"""

import ast
import json
import math
from importlib import import_module

from numba.core.registry import cpu_target

from attacks import small
from attacks.harness import ROOT, Case, command

HEAD = """
import decimal, fractions, itertools
import numpy
class Evil(float):
    def __repr__(self): raise RuntimeError("no repr")
    def __lt__(self, other): raise RuntimeError("no order")
from spikingconvnet import *
from spikingconvnet.data import *
from spikingconvnet.network import *
from spikingconvnet.training import *
"""

CHAIN = """
SEED = 1
DATASET = "digits"
CLASSES = range(10)
N_TRAIN = 60
N_VALIDATION = 20
N_TEST = 30
PER_CLASS = False
WHITE = 255
FILTER = Intensity()
RESET = True
"""

IRIS = """
SEED = 0
DATASET = "iris"
CLASSES = (0, 1, 2)
N_TRAIN = 60
N_VALIDATION = 0
N_TEST = 30
FILTER = GaussianReceptiveFields(fields=10, width=1.0, silent_below=0.1)
RESET = True
"""

DELTA = ("IFCurrDelta(tau_m=512.0, cm=1.0, v_rest=0.0, v_reset=0.0, v_thresh=1.0, tau_refrac=0.0, i_offset=0.0, v=0.0)")

FILES = (
    small.PARAMETERS.replace("{second}", ""),
    small.PARAMETERS.replace("{second}", small.SECOND),
    """
SEED = 3
DATASET = "digits"
CLASSES = [0, 1, 4]
N_TRAIN = 5
N_VALIDATION = 1
N_TEST = 2
PER_CLASS = True
FILTER = Deslanted(DifferenceOfGaussians(sigma_centre=1.0, sigma_surround=2.0, contrast=0.35), limit=1.0)
ENCODER = RegularEncoder(n_steps=15, max_rate=0.5, threshold=0.1, random_phase=True)
SLOT = 30
DEFORMATION = Deformation(copies=2, rotation=10.0, stretch=0.1, shear=0.15, shift=1.5)
CELL = IFCurrDelta(tau_m=10.0, cm=10.0, v_rest=0.0, v_reset=0.0, v_thresh=1.0, tau_refrac=1.0, i_offset=0.0, v=0.0)
MODEL = Sequential(
    (2, 28, 28),
    Conv2D(filters=3, kernel_size=(6, 5), strides=(2, 3), per_map=True, neuron=CELL, firing=0.1, gain=4.0, lateral=2.0,
           centred=True,
           training=STDP(windows=20, chunks=2, slot=60, pattern_steps=15, min_spikes=2,
                         neuron=IFCurrExp(tau_m=10.0, cm=10.0, v_rest=0.0, v_reset=0.0, v=0.0, tau_syn_E=2.0,
                                          tau_syn_I=3.0, tau_refrac=35.0, v_thresh=1.0, i_offset=0.0),
                         mechanism=STDPMechanism(PfisterSpikeTripletRule(tau_plus=16.8, tau_minus=33.7, tau_x=101.0,
                                                                         tau_y=114.0, A_plus=0.01, A_minus=0.01),
                                                 WeightDependenceAdditiveTriplet(w_min=0.0, w_max=1.0, A3_plus=0.01,
                                                                                 A3_minus=0.01),
                                                 backprop_delay=True),
                         gate=60.0, lateral=25.0, volley=(4, 5), homeostasis=(0.3, 0.05), initial_winners=2.0)),
    AvgPool2D((2, 2)),
    Dense(5, neuron=CELL, firing=0.05, gain=4.0, lateral=0.0, centred=True,
          training=STDP(windows=20, chunks=2, slot=80, pattern_steps=25, min_spikes=1,
                        mechanism=STDPMechanism(Vogels2011Rule(alpha=0.2, tau=20.0, A_plus=0.01, A_minus=0.01),
                                                AdditiveWeightDependence(w_min=0.0, w_max=1.0)))),
    Classifier(grid=None, C=0.1))
""",
    CHAIN + f"""
from spikingconvnet import Ridge
ENCODER = RateEncoder(n_steps=12, max_rate=1.0, threshold=0.0)
SLOT = 16
RULE = Ridge(strength=0.01, quantile=0.999, threshold=1.0, neuron={DELTA})
CELL = RULE.neuron
MODEL = Sequential((1, 28, 28), AvgPool2D(4), Dense(12, neuron=CELL), Dense(10, neuron=CELL), SpikeCount(first=0,
                   last=14, ties="v"))
""",
    CHAIN + f"""
from spikingconvnet import Convert
from spikingconvnet import Descent
ENCODER = RegularEncoder(n_steps=12, max_rate=1.0, threshold=0.0)
SLOT = 16
RULE = Convert(norm="robust", quantile=0.999, balance="weights", threshold=1.0, start=0.5, bias=True, dropout=0.5,
               descent=Descent(epochs=2, batch=20, learning_rate=0.002, shift=1), weights=None, neuron={DELTA})
CELL = RULE.neuron
MODEL = Sequential((1, 28, 28), Conv2D(2, 5, neuron=CELL), AvgPool2D(4), Dense(10, neuron=CELL), SpikeCount(last=14))
""",
    CHAIN + """
from spikingconvnet import SoftLIF
from spikingconvnet import Descent
ENCODER = RegularEncoder(n_steps=60, max_rate=1.0, threshold=0.0)
SLOT = 62
CELL = IFCurrExp(tau_m=20.0, cm=20.0, v_rest=0.0, v_reset=0.0, v_thresh=1.0, tau_syn_E=5.0, tau_syn_I=5.0,
                 tau_refrac=2.0, v=0.0, i_offset=0.0)
RULE = SoftLIF(softness=0.03, noise=10.0, amplitude=20.0, random_start=True, dropout=0.5,
               descent=Descent(epochs=2, batch=20, learning_rate=0.02, shift=1), weights=None, neuron=CELL,
               output_neuron=CELL)
MODEL = Sequential((1, 28, 28), AvgPool2D(4), Dense(12, neuron=CELL), Dense(10, neuron=CELL),
                   Membrane(first=20, last=60))
""",
    CHAIN + f"""
from spikingconvnet import Surrogate
from spikingconvnet import Descent
ENCODER = RegularEncoder(n_steps=10, max_rate=1.0, random_phase=True)
SLOT = 14
RULE = Surrogate(slope=5.0, spread=1.5, evidence=1.0, dropout=0.1, descent=Descent(epochs=2, batch=20,
                 learning_rate=0.01, shift=1), start=None, boost=1.5, weights=None, neuron={DELTA})
MODEL = Sequential((1, 28, 28), AvgPool2D(4), Dense(12, neuron=RULE.neuron), Dense(10, neuron=RULE.neuron),
                   SpikeCount())
""",
    IRIS + f"""
from spikingconvnet import BPSTDP
ENCODER = RegularEncoder(n_steps=16, max_rate=1.0, random_phase=True)
SLOT = 21
RULE = BPSTDP(epochs=2, n_steps=16, window=4, mu=0.002, hidden_ratio=1.0, last=0.05, hidden_threshold=1.0,
              output_threshold=2.0, deviation=0.3, shift=0, neuron={DELTA})
MODEL = Sequential((10, 1, 4), Dense(12, neuron=RULE.neuron), Dense(3, neuron=RULE.neuron), SpikeCount(last=20))
""",
    IRIS + """
from spikingconvnet import RSTDP
ENCODER = RegularEncoder(n_steps=16, max_rate=0.5)
SLOT = 18
CELL = IFCurrDelta(tau_m=20.0, cm=1.0, v_rest=0.0, v_reset=0.0, v_thresh=65535.0, tau_refrac=0.0, v=0.0, i_offset=0.0)
RULE = RSTDP(epochs=2, pattern_steps=16, punish=24, kick=24, reward=36, flush=48, slot=120, pulses=(4, 3, 2, 1),
             amount=0.05, eligibility=0.04, target=10.0, margin=2.0, v_thresh=20.0, w_max=1.0, initial=(0.16, 0.24),
             neuron=CELL)
MODEL = Sequential((10, 1, 4), Dense(3, neuron=RULE.neuron), Membrane(first=17, last=18))
""")

VALUES = (
    "0", "-1", "1", "0.5", "3", "float('nan')", "float('inf')", "-float('inf')", "1e308", "-1e308", "1e-308", "5e-324",
    "1e9", "1e-9", "10**400", "-10**400", "10**5000", "2**31", "2**31 - 1", "2**32", "2**63", "2**64", "10**9", "65536",
    "65535.99999999", "True", "False", "None", "'1'", "b'1'", "''", "'a\\0b'", "'\\ud800'", "'x' * 10000",
    "decimal.Decimal('1')", "decimal.Decimal('nan')", "fractions.Fraction(1, 2)", "1j", "numpy.float64(1.0)",
    "numpy.int64(3)", "numpy.uint8(200)", "numpy.float32('nan')", "numpy.float16(65504)", "numpy.longdouble(1)",
    "numpy.bool_(True)", "numpy.array([1, 2])", "numpy.array(2)", "numpy.zeros(5000)", "numpy.datetime64('2026-01-01')",
    "[]", "()", "{}", "[1]", "(1, 2)", "(1, 2, 3)", "[(1, 2), 3]", "{1, 2}", "range(3)", "range(10**12)",
    "range(10**400)", "object()", "object", "len", "(lambda *a: 1)", "itertools.count()", "(x for x in (0, 1))", "...",
    "Evil(1.0)", "Evil('nan')", "numpy", "STDP()", "Conv2D(2, 3)", "IFCurrExp()", "IFCurrExp", "Classifier",
    "LatencyEncoder()", "Intensity()", "Sequential((1, 28, 28))", "1 / 0", "exit()", "[][1]", "Neuromodulation()",
    "SpikeSourcePoisson()", "MultiplicativeWeightDependence()", "SpikeNearestPairRule()")
NAMES = ("CELL", "RULE", "MODEL", "FILTER", "ENCODER", "STDP", "Conv2D", "Dense", "AvgPool2D", "IFCurrExp", "range",
         "Sequential", "Membrane", "Deformation", "nowhere", "BitPlanes", "RateEncoder", "SpikePairRule", "numpy")
OPTIONS = {"--seed": ("0", "-1", "4294967295", "4294967296", "9" * 30, "9" * 5000, "nan", "1e3", "0x10", "٣"),
           "--jobs": ("0", "1", "-1", "2", "1024", "1000000000", "9" * 30, "1.5"),
           "--cv": ("1000000x2", "2x1000000", "1x2", "0x2", "9" * 5000 + "x2", "x", "-1x2", "٣x٣", "1x1"),
           "--copies": ("0", "1000000000", "9" * 30), "--time-scale": ("0", "1000000000", "9" * 30),
           "--packet-buffer": ("0", "1000000000", "9" * 30),
           "--arch": ("784-10", "784-1000000000-10", "784-" + "9" * 5000 + "-10", "28x28-9999c5-10", "28x28-2c29-10",
                      "784-0-10", "28x28-2c0-10", "28x28-0s-10", "28x28-65536s-10", "784-10-10o")}


def prepare(directory):
    """Data, the trees of all files, and heavy modules imported where a fork shares them."""
    small.write(directory)
    cpu_target.typing_context.refresh(), cpu_target.target_context.refresh()
    for name in ("torch._dynamo", *(f"spikingconvnet.training.chain.gradients.{path.stem}" for path in sorted(
            (ROOT / "spikingconvnet/training/chain/gradients").glob("[a-z]*.py")))):
        import_module(name)
    return directory


def _source(number, directory):
    return HEAD + FILES[number].replace('"digits"', repr(str(directory / "digits")))


def case(directory, rng, where):
    """A parameters file with one altered node, or a number on the command line, and what uses it."""
    number = int(rng.integers(len(FILES)))
    path, more, source = where / "parameters.py", [], _source(number, directory)
    if rng.random() < 0.08:
        what, more = _options(rng, number)
        path.write_text(source)
    else:
        what, changed = mutated(source, rng)
        path.write_bytes(changed.encode(errors="surrogatepass"))
    mode = [] if "--mode" in more else ["--mode", "demo"]
    words = *mode, *more, "--json", "--parameters", path, "--run-dir", where / "run"
    return Case(f"file {number}: {what}", lambda: _without_figures(*words, *["--jobs", 1] * ("--jobs" not in more)),
                judge)


def _without_figures(*words):
    """A command line; what the figures make of its results takes longer than all else, and is none of parameters."""
    from spikingconvnet.experiment import figures

    figures.plot = lambda *_: []
    return command(*words)()


def _options(rng, number):
    name = str(rng.choice(tuple(OPTIONS)))
    value = OPTIONS[name][rng.integers(len(OPTIONS[name]))]
    more = [name, value]
    if name == "--cv":
        more += ["--mode", "training"]
    if name in ("--copies", "--time-scale", "--packet-buffer"):
        more += ["--backend", "spinnaker", "--mode", "check" if name == "--packet-buffer" else "testing"]
    return " ".join(more)[:80], more


def mutated(source, rng):
    """What has been changed, and the file with it."""
    tree = ast.parse(source)
    start = next(i for i, node in enumerate(tree.body) if isinstance(node, ast.Assign))
    found = [(parent, field, i, node) for top in tree.body[start:] for parent in ast.walk(top)
             for field, value in ast.iter_fields(parent) for i, node in enumerate(
                 value if isinstance(value, list) else [value])
             if isinstance(node, (ast.Constant, ast.Call, ast.Name, ast.Tuple, ast.List, ast.keyword, ast.Attribute))]
    parent, field, i, node = found[rng.integers(len(found))]
    before, kind = ast.unparse(node), rng.random()
    if isinstance(node, ast.keyword):
        if kind < 0.5:
            getattr(parent, field).pop(i)
            return _told(tree, node, "dropped")
        node.arg = str(rng.choice(("unknown", "C", "neuron", "windows", "filters", "w_max", "tau_m")))
        return _told(tree, node, f"renamed to {node.arg}")
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        node.id = str(rng.choice(("SEEDS", "n_train", *NAMES[:5])))
        return _told(tree, before, f"renamed to {node.id}")
    if isinstance(node, ast.Call) and kind < 0.2 and (node.args or node.keywords):
        (node.args or node.keywords).pop(0)
        return _told(tree, before, "an argument less")
    if isinstance(node, ast.Call) and kind < 0.3:
        node.args.append(ast.Constant(2))
        return _told(tree, before, "an argument more")
    if isinstance(node, ast.Call) and kind < 0.4:
        changed = node.func
    elif isinstance(node, ast.Name) and kind < 0.7:
        changed = ast.Name(str(rng.choice(NAMES)), ast.Load())
    elif isinstance(node, ast.Call) and kind < 0.6:
        calls = [other for *_, other in found if isinstance(other, ast.Call) and other is not node
                 and node not in ast.walk(other)]
        changed = calls[rng.integers(len(calls))]
    else:
        changed = ast.parse(VALUES[rng.integers(len(VALUES))], mode="eval").body
    if isinstance(getattr(parent, field), list):
        getattr(parent, field)[i] = changed
    else:
        setattr(parent, field, changed)
    return _told(tree, f"line {node.lineno}, {before}", ast.unparse(changed))


def _told(tree, before, after):
    before = ast.unparse(before) if isinstance(before, ast.AST) else before
    return f"{before[:120]!r} -> {after[:120]!r}", ast.unparse(ast.fix_missing_locations(tree))


def judge(outcome):
    """What is wrong with an end that is none of the bad ones: None or a sentence."""
    if "RuntimeWarning" in outcome.stderr:
        return "a RuntimeWarning: some number is no number"
    if outcome.kind == "refused":
        said = outcome.stderr.strip().splitlines()[-1:] or [""]
        return None if outcome.code in (2, 4, 5) and "error: " in said[0] else "no sentence, or another exit code"
    return _nonsense(json.loads(outcome.stdout))


def _nonsense(result):
    numbers = list(_numbers(result))
    if not all(map(math.isfinite, numbers)):
        return "a result that is not finite"
    return None if 0 <= result.get("accuracy", 0) <= 1 else "an accuracy that is none"


def _numbers(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _numbers(part)
    elif isinstance(value, float):
        yield value


