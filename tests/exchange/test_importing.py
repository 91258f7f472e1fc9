"""Graphs of NIR as networks, against a plain interpreter of NIR's equations (tests/helpers/naive_nir.py)."""

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest

import spikingconvnet as scn
from spikingconvnet.board.fixed_point import leak
from spikingconvnet.exchange.importing import from_nir

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
from naive_nir import FIRING, NEURONS, Interpreter, Plain

LAST_BIT = 1 / 32768


def full(shape, value):
    return np.full(shape, float(value))


def lif(shape, tau=0.01, r=1.0, leak=0.0, threshold=1.0, reset=0.0):
    return {"type": "LIF", "tau": full(shape, tau), "r": full(shape, r), "v_leak": full(shape, leak),
            "v_threshold": full(shape, threshold), "v_reset": full(shape, reset)}


def given(shape):
    return {"type": "Input", "shape": np.array(shape)}


def out(shape):
    return {"type": "Output", "shape": np.array(shape)}


def chain(*nodes):
    names = [f"n{i}" for i in range(len(nodes))]
    return Plain(dict(zip(names, nodes)), list(itertools.pairwise(names)))


def shown(rng, shape, steps, rate):
    return (rng.random((steps, *shape)) < rate).astype(float)


def spikes_of(raster, population):
    steps, neurons = np.nonzero(raster.reshape(len(raster), -1))
    return scn.Spikes.from_events(0 * steps, neurons, steps, population.shape, 1, len(raster))


def compare(graph, inputs, dt=1.0, step=1e-3, method="euler"):
    """Steps that agree, and spikes in them: what is fired, and the membranes of Outputs that do not fire.

    The first spike that differs must be one whose membrane was nearer to its threshold than what was stated
    can have moved it.
    """
    made = from_nir(graph, dt, step, method)
    if made.report.grade == "refused":
        return None
    steps = len(next(iter(inputs.values())))
    network = made.shown({p.label: spikes_of(np.concatenate([inputs[p.label], np.zeros(
        (8, *inputs[p.label].shape[1:]))]), p) for p in made.network.populations if p.is_source})
    silent = {reads.population for reads in made.outputs.values() if reads.what == "v"}
    recording = scn.run(network, record=silent)
    twin = Interpreter(graph, step, method, inputs)
    rasters = {name: recording.spikes[name].raster() for name in recording.spikes}
    fired = 0
    neurons = [name for name, node in graph.nodes.items() if node["type"] in FIRING]
    for t in range(steps):
        for name in graph.nodes:
            if not any(a == name for a, _ in graph.edges):
                twin.value(name, t)
        for name in neurons:
            expected = np.ravel(twin.value(name, t))
            differs = rasters[name][t + made.lags[name]] != expected
            if differs.any():
                near = abs(twin.margins[name, t][differs])
                assert (near <= tolerance(made, twin, name, t, network, dt)).all(), (name, t, near)
                return t, fired
            fired += int(expected.sum())
        for name, reads in made.outputs.items():
            if reads.what == "v":
                v = recording.membranes[reads.population]["v"][t + reads.lag + 1] * LAST_BIT / made.scales[
                    reads.population]
                allowed = tolerance(made, twin, reads.population, t, network, dt)
                np.testing.assert_allclose(v, np.ravel(twin.value(name, t)), 0, allowed)
    return steps, fired


def tolerance(made, twin, name, t, network, dt):
    """Of a membrane, in the graph's unit: what the report states of a step, over the steps that are remembered."""
    lost = leak(network.population(name).parameter("tau_m"), dt).min()
    node, reached = twin.nodes[name], twin.reached.get(name, 0.0)
    tau = node.get("tau", node.get("tau_mem"))
    kind = node["type"]
    share = twin.share(np.asarray(tau)) if tau is not None else 0.0 if kind in ("IF", "I") else 1.0
    leaked = abs(leak(network.population(name).parameter("tau_m"), dt) - np.ravel(share)).max() * reached
    a_step = (made.report.of(name).mv + 4 * LAST_BIT) / made.scales[name] + leaked
    if "tau_syn" in node:           # rounded down in every step, and remembered by the current
        a_step += 2 * LAST_BIT * float(np.max(node["tau_syn"])) / twin.step / made.scales[name]
    return a_step * min(t + 10, 1 / lost)


@pytest.mark.parametrize("method", ["euler", "exact"])
@pytest.mark.parametrize("kind", NEURONS)
def test_every_kind_of_neuron_is_its_equation(kind, method):
    rng = np.random.default_rng(3)
    shape, inputs = (12,), {"in": shown(rng, (20,), 150, 0.1)}
    values = {"tau": rng.uniform(0.005, 0.03, shape), "tau_mem": rng.uniform(0.005, 0.03, shape),
              "tau_syn": rng.uniform(0.002, 0.01, shape), "r": rng.uniform(5.0, 20.0, shape),
              "v_leak": rng.uniform(-0.2, 0.2, shape), "w_in": rng.uniform(0.5, 2.0, shape),
              "v_threshold": rng.uniform(0.8, 1.2, shape), "v_reset": rng.uniform(-0.3, 0.1, shape),
              "threshold": rng.uniform(0.2, 1.0, shape)}
    wanted = {"IF": ("r", "v_threshold", "v_reset"), "I": ("r",), "Threshold": ("threshold",),
              "LI": ("tau", "r", "v_leak"), "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
              "CubaLI": ("tau_syn", "tau_mem", "r", "v_leak", "w_in"),
              "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "w_in", "v_threshold", "v_reset")}[kind]
    node = {"type": kind, **{name: values[name] for name in wanted}}
    if kind in ("IF", "I"):
        node["r"] = node["r"] * 50
    weight = {"type": "Linear", "weight": rng.normal(0.1, 0.5, (12, 20))}
    graph = Plain({"in": given((20,)), "w": weight, "x": node, "out": out(shape)},
                  [("in", "w"), ("w", "x"), ("x", "out")])
    agreed, fired = compare(graph, inputs, method=method)
    assert agreed > 30 and (fired > 40 or kind not in FIRING)


# Linear nodes, loops, delays, and graphs at random.


def random_graph(rng):
    """A graph of one to four layers of neurons at random, with whatever linear nodes lead there; and its input."""
    shape = (int(rng.integers(1, 3)), *map(int, rng.integers(4, 8, 2))) if rng.random() < 0.6 else (
        int(rng.integers(3, 12)),)
    nodes, edges, tip = {"in": given(shape)}, [], "in"
    for layer in range(int(rng.integers(1, 4))):
        for _ in range(int(rng.integers(0, 3))):
            tip, shape = add(rng, nodes, edges, tip, *random_linear(rng, shape, small=False))
        entry, (node, shape) = tip, random_linear(rng, shape, small=True)
        tip, shape = add(rng, nodes, edges, tip, node, shape)
        tip, shape = add(rng, nodes, edges, tip, random_neuron(rng, shape), shape)
        if len(shape) == 1 and rng.random() < 0.4:
            add_loop(rng, nodes, edges, tip, shape)
        if layer and rng.random() < 0.3 and nodes[entry].get("weight") is None:
            skip(rng, nodes, edges, tip)
    if rng.random() < 0.3:
        tip, shape = add(rng, nodes, edges, tip, *random_linear(rng, shape, small=True))
    add(rng, nodes, edges, tip, out(shape), shape)
    return Plain(nodes, edges)


def add(rng, nodes, edges, tip, node, shape):
    name = f"{node['type'].lower()} {len(nodes)}"
    nodes[name] = node
    edges.append((tip, name))
    return name, shape


def add_loop(rng, nodes, edges, tip, shape):
    n = shape[0]
    name, _ = add(rng, nodes, edges, tip, {"type": "Linear", "weight": rng.normal(0, 0.3, (n, n))}, shape)
    if rng.random() < 0.5:
        name, _ = add(rng, nodes, edges, name, {"type": "Delay", "delay": rng.integers(1, 5, n) * 1e-3}, shape)
    edges.append((name, tip))


def skip(rng, nodes, edges, tip):
    """Spikes of the input come to a later layer, too."""
    source, size = nodes["in"]["shape"], int(np.prod(nodes[tip].get("v_threshold", nodes[tip].get("threshold")).shape))
    shape = nodes[tip].get("v_threshold", nodes[tip].get("threshold")).shape
    if len(shape) == 1:
        name, _ = add(rng, nodes, edges, "in", {"type": "Linear", "weight": rng.normal(
            0, 0.3, (size, int(np.prod(source))))}, shape)
        edges.append((name, tip))


def random_neuron(rng, shape):
    kind = str(rng.choice(FIRING))

    def draw(low, high):
        return rng.uniform(low, high, shape) if rng.random() < 0.5 else full(shape, rng.uniform(low, high))

    tau = draw(0.002, 0.03)
    common = {"v_threshold": draw(0.5, 1.5), "v_reset": draw(-0.2, 0.2)}
    if kind == "Threshold":
        return {"type": kind, "threshold": draw(0.2, 1.0)}
    if kind == "IF":
        return {"type": kind, "r": draw(300, 1000), **common}
    r = tau / 1e-3 * rng.uniform(0.5, 1.0)
    if kind == "LIF":
        return {"type": kind, "tau": tau, "r": r, "v_leak": draw(-0.1, 0.1), **common}
    return {"type": kind, "tau_mem": tau, "tau_syn": draw(0.0015, 0.01), "r": r, "v_leak": draw(-0.1, 0.1),
            "w_in": draw(0.5, 2.0), **common}


def random_linear(rng, shape, small):
    """A node for an input of a shape, and the shape of its output; `small` are those that mix neurons."""
    size = int(np.prod(shape))
    bias = rng.normal(0, 0.05, 200) * (rng.random() < 0.5)
    if small and (len(shape) != 3 or rng.random() < 0.3):
        n, scale = int(rng.integers(3, 10)), rng.choice([0.3, 1.0])
        if rng.random() < 0.5:
            return {"type": "Affine", "weight": rng.normal(0.05, scale, (n, size)), "bias": bias[:n]}, (n,)
        return {"type": "Linear", "weight": rng.integers(-4, 8, (n, size)) / 8}, (n,)
    if small:
        groups = shape[0] if rng.random() < 0.3 else 1
        kernel = tuple(int(min(k, n)) for k, n in zip(rng.integers(1, 4, 2), shape[1:]))
        node = {"type": "Conv2d", "weight": rng.normal(0.1, 0.4, (2 * groups, shape[0] // groups, *kernel)),
                "stride": tuple(map(int, rng.integers(1, 3, 2))), "padding": tuple(map(int, rng.integers(0, 2, 2))),
                "dilation": (1, 1), "groups": groups, "bias": bias[:2 * groups], "input_shape": shape[1:]}
        if rng.random() < 0.4:
            node |= {"padding": (0, 0)}
        if rng.random() < 0.2:
            node |= {"padding": "same", "stride": (1, 1)}
        return node, convolution_shape(node, shape)
    kinds = ["Scale", "Delay", "Flatten"] + ["AvgPool2d", "SumPool2d"] * (len(shape) == 3 and min(shape[1:]) > 3)
    kind = str(rng.choice(kinds))
    if kind == "Scale":
        return {"type": kind, "scale": rng.uniform(0.5, 1.5, shape)}, shape
    if kind == "Delay":
        return {"type": kind, "delay": rng.integers(0, 3, shape) * 1e-3}, shape
    if kind == "Flatten":
        return {"type": kind, "start_dim": 0, "end_dim": -1}, (size,)
    pad = int(rng.random() < 0.3)
    node = {"type": kind, "kernel_size": np.array([2, 2]), "stride": np.array([2, 2]), "padding": np.array([pad, pad])}
    return node, (shape[0], *((n + 2 * pad - 2) // 2 + 1 for n in shape[1:]))


def convolution_shape(node, shape):
    from naive_nir import linear

    return linear(node, np.zeros(shape)).shape


GRADES = {}


@pytest.mark.parametrize("seed", range(200))
def test_random_graphs_are_their_equations_or_refused(seed):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    inputs = {"in": shown(rng, graph.nodes["in"]["shape"], 60, rng.uniform(0.02, 0.3))}
    found = compare(graph, inputs, method=str(rng.choice(["euler", "exact"])))
    GRADES[seed] = found


def test_random_graphs_fire_and_mostly_agree_to_the_end():
    if len(GRADES) < 200:
        pytest.skip("looks at all graphs above")
    run = [found for found in GRADES.values() if found is not None]
    assert len(run) > 190
    assert np.mean([steps == 60 for steps, _ in run]) > 0.85 and sum(fired for _, fired in run) > 20_000


SPOILED = (np.nan, np.inf, -1.0, 0.0, 1e30, 1e-30, "text", b"x", None, {}, [], np.zeros(0), np.zeros((2, 3, 4)),
           np.array(["a"]), 10 ** 20, True, np.array([1 + 2j]), object())


def spoil(rng, graph):
    """One change of a graph that may make it nonsense."""
    name = str(rng.choice(list(graph.nodes)))
    node = graph.nodes[name]
    fields = [key for key in node if key != "type"]
    act = int(rng.integers(6))
    if act <= 1 and fields:
        node[str(rng.choice(fields))] = SPOILED[rng.integers(len(SPOILED))]
    elif act == 2 and fields:
        del node[str(rng.choice(fields))]
    elif act == 3 and graph.edges:
        graph.edges.pop(int(rng.integers(len(graph.edges))))
    elif act == 4:
        graph.edges.append((name, str(rng.choice([*graph.nodes, "nowhere"]))))
    else:
        node["type"] = str(rng.choice([*NEURONS, "Nothing", "Output", "Input", "NIRGraph", "Conv1d"]))


def test_spoiled_graphs_get_a_verdict_and_never_a_traceback():
    grades = []
    for seed in range(300):
        rng = np.random.default_rng([7, seed])
        graph = random_graph(rng)
        for _ in range(int(rng.integers(1, 3))):
            spoil(rng, graph)
        report = from_nir(graph).report
        grades.append(report.grade)
        assert all(v.text and v.change for v in report.verdicts if v.grade == "refused")
    assert {"refused", "rounded"} <= set(grades)
