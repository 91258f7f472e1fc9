"""An interpreter of NIR's equations, node by node and step by step in plain numpy; it shares no code with the package.

A graph is a dict as ``nir.NIRGraph.to_dict`` makes it. In a step everything happens at once; a neuron that hears itself
without a delay hears its step before. Neurons start at their leak (IF: 0), synaptic currents at what a constant input
brings them to.
"""

import itertools

import numpy as np

FIRING = ("IF", "LIF", "CubaLIF", "Threshold")
NEURONS = (*FIRING, "I", "LI", "CubaLI")


class Plain:
    """A dict with ``to_dict``."""

    def __init__(self, nodes, edges):
        self.nodes, self.edges = nodes, edges

    def to_dict(self):
        return {"type": "NIRGraph", "nodes": self.nodes, "edges": self.edges}


class Interpreter:
    """A graph, run step by step; inputs are dicts of name to array (steps, *shape)."""

    def __init__(self, graph, step, method, inputs):
        self.nodes, self.step, self.method, self.inputs = graph.nodes, step, method, inputs
        self.before = {name: [a for a, b in graph.edges if b == name] for name in self.nodes}
        self.values, self.states, self.open = {}, {}, []
        self.margins = {}            # by (neuron, step): how far each membrane was above its threshold
        self.reached = {}            # by neuron: largest membranes

    def value(self, name, t):
        if t < 0:
            return np.zeros(self.shape(name))
        if (name, t) not in self.values:
            if name in self.open:
                return self.value(name, t - 1)
            self.open.append(name)
            node = self.nodes[name]
            if node["type"] == "Input":
                found = self.inputs[name][t]
            elif node["type"] in NEURONS:
                found = self.fire(name, node, self.came(name, t), t)
            elif node["type"] == "Delay":
                found = self.delayed(name, node, t)
            else:
                found = linear(node, self.came(name, t))
            self.open.remove(name)
            self.values[name, t] = found
        return self.values[name, t]

    def shape(self, name):
        node = self.nodes[name]
        if node["type"] == "Input":
            return tuple(node["shape"])
        if node["type"] in NEURONS:
            return np.shape(node.get("r", node.get("threshold")))
        first = np.zeros(self.shape(self.before[name][0]))
        return first.shape if node["type"] == "Delay" else linear(node, first).shape

    def came(self, name, t):
        return sum(self.value(one, t) for one in self.before[name])

    def delayed(self, name, node, t):
        shape = self.shape(name)
        steps = np.rint(np.broadcast_to(node["delay"], shape) / self.step).astype(int)
        then = {d: self.came(name, t - d) for d in set(steps.ravel().tolist())}
        found = np.zeros(shape)
        for at in np.ndindex(*shape):
            found[at] = then[int(steps[at])][at]
        return found

    def share(self, tau):
        return self.step / tau if self.method == "euler" else 1 - np.exp(-self.step / tau)

    def constant(self, name):
        """What comes to a node without a spike."""
        node = self.nodes[name]
        if node["type"] in NEURONS or node["type"] == "Input":
            return np.zeros(self.shape(name))
        came = sum(self.constant(one) for one in self.before[name])
        if node["type"] in ("Delay", "Output"):
            return came
        return linear(node, came)

    def fire(self, name, node, came, t):
        kind, came = node["type"], np.asarray(came, float)
        if kind == "Threshold":
            self.note(name, t, came, came - node["threshold"])
            return (came > node["threshold"]).astype(float)
        if name not in self.states:
            constant = sum((self.constant(one) for one in self.before[name]), 0.0)
            self.states[name] = [np.zeros(came.shape) + node.get("v_leak", 0.0), constant * node.get("w_in", 0.0)]
        v, i = self.states[name]
        if kind.startswith("Cuba"):
            i = came = i + self.share(node["tau_syn"]) * (node["w_in"] * came - i)
        if kind in ("IF", "I"):
            v = v + self.step * node["r"] * came
        else:
            v = v + self.share(node["tau_mem" if "tau_mem" in node else "tau"]) * (
                node["v_leak"] - v + node["r"] * came)
        if kind not in FIRING:
            self.states[name] = [v, i]
            self.note(name, t, v, np.full(v.shape, np.inf))
            return v
        self.note(name, t, v, v - node["v_threshold"])
        fired = v > node["v_threshold"]
        self.states[name] = [np.where(fired, node["v_reset"], v), i]
        return fired.astype(float)

    def note(self, name, t, v, margin):
        self.margins[name, t] = np.ravel(margin)
        self.reached[name] = max(self.reached.get(name, 0.0), float(abs(v).max()))


def linear(node, x):
    kind, x = node["type"], np.asarray(x, float)
    if kind == "Output":
        return x
    if kind in ("Affine", "Linear"):
        return node["weight"] @ x.ravel() + node.get("bias", 0.0)
    if kind == "Scale":
        return x * node["scale"]
    if kind == "Flatten":
        return x.ravel()
    if kind in ("AvgPool2d", "SumPool2d"):
        kernel = tuple(node["kernel_size"])
        weight = np.ones((len(x), 1, *kernel)) / (np.prod(kernel) if kind == "AvgPool2d" else 1)
        return convolution(x, weight, tuple(node["stride"]), tuple(node["padding"]), (1, 1), len(x))
    bias = node["bias"]
    if kind == "Conv1d":
        x, weight = x[:, None], node["weight"][:, :, None]
        pad = node["padding"] if isinstance(node["padding"], str) else (0, node["padding"])
        found = convolution(x, weight, (1, node["stride"]), pad, (1, node["dilation"]), node["groups"])
        return found[:, 0] + bias[:, None]
    return convolution(x, node["weight"], *(node[key] for key in ("stride", "padding", "dilation", "groups"))) + bias[
        :, None, None]


def convolution(x, weight, stride, padding, dilation, groups):
    kernel = weight.shape[2:]
    spread = [d * (k - 1) for d, k in zip(dilation, kernel)]
    if isinstance(padding, str):
        before = [s // 2 if padding == "same" else 0 for s in spread]
        behind = [s - b if padding == "same" else 0 for s, b in zip(spread, before)]
    else:
        before = behind = list(padding)
    x = np.pad(x, ((0, 0), *zip(before, behind)))
    rows, columns = ((n - s - 1) // step + 1 for n, s, step in zip(x.shape[1:], spread, stride))
    out, per = np.zeros((len(weight), rows, columns)), len(weight) // groups
    for m, row, column in itertools.product(range(len(weight)), range(rows), range(columns)):
        top, left = row * stride[0], column * stride[1]
        window = x[m // per * weight.shape[1]:(m // per + 1) * weight.shape[1],
                   top:top + spread[0] + 1:dilation[0], left:left + spread[1] + 1:dilation[1]]
        out[m, row, column] = (window * weight[m]).sum()
    return out
