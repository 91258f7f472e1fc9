"""Small graphs of NIR of every kind of node, made of formulas. Not a test itself."""

import itertools

import numpy as np
from naive_nir import Plain
from small_networks import spread


def values(shape, step, low=-1.0, high=1.0, levels=37):
    """Numbers that jump about between two."""
    n = int(np.prod(shape))
    return (low + (high - low) * spread(n, step, levels) / (levels - 1)).reshape(shape)


def given(*shape):
    return {"type": "Input", "shape": np.array(shape)}


def out(*shape):
    return {"type": "Output", "shape": np.array(shape)}


def lif(*shape, **other):
    return {
        "type": "LIF",
        "tau": values(shape, 5, 0.005, 0.03),
        "r": values(shape, 7, 0.5, 2.0),
        "v_leak": values(shape, 3, -0.3, 0.2),
        "v_threshold": values(shape, 11, 0.8, 1.3),
        "v_reset": values(shape, 13, -0.2, 0.1),
    } | other


def even(*shape, **other):
    """The same for all, without a leak to anything but 0."""
    return {
        "type": "LIF",
        "tau": np.full(shape, 0.01),
        "r": np.full(shape, 1.0),
        "v_leak": np.zeros(shape),
        "v_threshold": np.full(shape, 1.0),
        "v_reset": np.zeros(shape),
    } | other


def cuba(*shape, **other):
    return {
        "type": "CubaLIF",
        "tau_mem": values(shape, 5, 0.005, 0.03),
        "tau_syn": values(shape, 9, 0.002, 0.01),
        "r": values(shape, 7, 0.5, 2.0),
        "w_in": values(shape, 4, 0.5, 1.5),
        "v_leak": values(shape, 3, -0.3, 0.2),
        "v_threshold": values(shape, 11, 0.8, 1.3),
        "v_reset": values(shape, 13, -0.2, 0.1),
    } | other


def linear(n_out, n_in, step=17, bias=None):
    node = {"type": "Linear", "weight": values((n_out, n_in), step)}
    return node if bias is None else node | {"type": "Affine", "bias": np.full(n_out, bias)}


def conv(maps, channels, size=(3, 3), stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1, bias=0.0):
    return {
        "type": f"Conv{len(size)}d",
        "weight": values((maps, channels // groups, *size), 19),
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "bias": np.full(maps, bias),
    }


def pool(kind, size, stride, padding=0):
    return {"type": kind, "kernel_size": np.array(size), "stride": np.array(stride), "padding": np.array(padding)}


def chain(*nodes, more=()):
    names = [f"n{i}" for i in range(len(nodes))]
    return Plain(dict(zip(names, nodes)), [*itertools.pairwise(names), *more])


def behind(node, came, *left):
    """A linear node behind an Input, and neurons behind it."""
    return chain(given(*came), node, even(*left), out(*left))


GRAPHS = {
    "lif": chain(given(6), linear(4, 6), lif(4), out(4)),
    "lif-with-bias": chain(given(6), linear(4, 6, bias=0.05), lif(4), linear(3, 4), lif(3), out(3)),
    "cuba": chain(given(6), linear(4, 6), cuba(4), linear(3, 4, bias=0.1), cuba(3), out(3)),
    "cuba-of-a-step": chain(given(5), linear(4, 5), cuba(4, tau_syn=np.full(4, 0.001)), out(4)),
    "if": chain(given(5), linear(3, 5), {"type": "IF", "r": np.full(3, 80.0), "v_threshold": np.full(3, 0.9)}, out(3)),
    "threshold": chain(given(5), linear(3, 5), {"type": "Threshold", "threshold": values((3,), 5, 0.2, 0.9)}, out(3)),
    "membranes": chain(
        given(5),
        linear(3, 5),
        lif(3),
        linear(2, 3),
        {"type": "LI", "tau": np.full(2, 0.02), "r": np.full(2, 1.5), "v_leak": np.zeros(2)},
        out(2),
    ),
    "integrator": chain(given(5), linear(3, 5), lif(3), linear(2, 3), {"type": "I", "r": np.full(2, 9.0)}, out(2)),
    "leaky-currents": chain(
        given(5),
        linear(3, 5),
        {k: v for k, v in cuba(3).items() if k not in ("v_threshold", "v_reset")} | {"type": "CubaLI"},
        out(3),
    ),
    "readout": chain(given(6), linear(4, 6), lif(4), linear(3, 4, bias=0.2), out(3)),
    "conv": behind(conv(3, 2), (2, 6, 7), 3, 4, 5),
    "conv-strided": behind(conv(3, 2, (3, 2), (2, 1), (1, 0)), (2, 6, 7), 3, 3, 6),
    "conv-dilated": behind(conv(2, 2, (2, 3), dilation=(2, 1), padding=(1, 1)), (2, 5, 6), 2, 5, 6),
    "conv-grouped": behind(conv(4, 2, groups=2, bias=0.1), (2, 5, 5), 4, 3, 3),
    "conv-same": behind(conv(2, 1, (3, 2)) | {"padding": "same"}, (1, 4, 5), 2, 4, 5),
    "conv-valid": behind(conv(2, 1, (2, 2)) | {"padding": "valid"}, (1, 4, 5), 2, 3, 4),
    "conv-1d": behind(conv(2, 3, (3,), (2,), (1,), (1,)), (3, 9), 2, 5),
    "pooled": chain(given(2, 6, 8), pool("AvgPool2d", (2, 2), (2, 2)), conv(3, 2), even(3, 1, 2), out(3, 1, 2)),
    "summed": behind(pool("SumPool2d", (3, 2), (1, 2), (1, 0)), (2, 5, 6), 2, 5, 3),
    "flattened": chain(
        given(2, 3, 4), {"type": "Flatten", "start_dim": 0, "end_dim": -1}, linear(5, 24), lif(5), out(5)
    ),
    "scaled": chain(given(4), {"type": "Scale", "scale": values((4,), 3, 0.5, 1.5)}, linear(3, 4), lif(3), out(3)),
    "delayed": chain(
        given(4), {"type": "Delay", "delay": np.array([0.0, 0.002, 0.005, 0.0034])}, linear(3, 4), lif(3), out(3)
    ),
    "maps": chain(
        given(1, 7, 7),
        conv(2, 1),
        even(2, 5, 5),
        conv(3, 2, bias=0.03),
        even(3, 3, 3),
        {"type": "Flatten", "start_dim": np.array(0), "end_dim": np.array(2)},
        linear(4, 27),
        cuba(4),
        out(4),
    ),
    "loop": Plain(
        {"in": given(4), "w": linear(3, 4), "n": lif(3), "back": linear(3, 3, 5), "out": out(3)},
        [("in", "w"), ("w", "n"), ("n", "back"), ("back", "n"), ("n", "out")],
    ),
    "skip": Plain(
        {
            "in": given(4),
            "w": linear(3, 4),
            "a": lif(3),
            "x": linear(3, 3, 5),
            "b": lif(3),
            "past": linear(3, 4, 7),
            "out": out(3),
        },
        [("in", "w"), ("w", "a"), ("a", "x"), ("x", "b"), ("in", "past"), ("past", "b"), ("b", "out")],
    ),
    "two-inputs": Plain(
        {"a": given(2), "b": given(3), "wa": linear(3, 2), "wb": linear(3, 3), "n": lif(3), "out": out(3)},
        [("a", "wa"), ("wa", "n"), ("b", "wb"), ("wb", "n"), ("n", "out")],
    ),
    "nested": Plain(
        {
            "in": given(3),
            "inner": {
                "type": "NIRGraph",
                "nodes": {"input": given(3), "w": linear(2, 3), "n": lif(2), "output": out(2)},
                "edges": [("input", "w"), ("w", "n"), ("n", "output")],
            },
            "out": out(2),
        },
        [("in", "inner"), ("inner", "out")],
    ),
    "small-and-large": chain(
        given(4),
        {"type": "Linear", "weight": np.array([[1e-7, 1, 2, 3], [0.5, -900, 0.25, 40]])},
        lif(2, v_threshold=np.array([1.0, 100.0])),
        out(2),
    ),
    # Refused.
    "unknown": chain(given(3), {"type": "Sigmoid"}, out(3)),
    "lacking": chain(given(3), linear(2, 3), {"type": "LIF", "tau": np.ones(2), "r": np.ones(2)}, out(2)),
    "other-sizes": chain(given(3), linear(2, 4), lif(2), out(2)),
    "other-shapes": chain(given(3), linear(2, 3), lif(3), out(3)),
    "unlike": chain(given(3), linear(2, 3), lif(2, r=np.ones(3)), out(2)),
    "fast": chain(given(3), linear(2, 3), lif(2, tau=np.array([0.01, 0.0001])), out(2)),
    "backwards": chain(given(3), {"type": "Delay", "delay": np.full(3, -0.001)}, lif(3), out(3)),
    "same-strided": behind(conv(2, 1, stride=(2, 2)) | {"padding": "same"}, (1, 5, 5), 2, 3, 3),
    "no-output": behind(conv(2, 1, (4, 4)), (1, 3, 3), 2, 1, 1),
    "other-channels": behind(conv(2, 4, groups=2), (3, 5, 5), 2, 3, 3),
    "other-groups": behind(conv(3, 2, groups=2), (2, 5, 5), 3, 3, 3),
    "half-a-stride": behind(conv(2, 1, stride=(1.5, 1)), (1, 5, 5), 2, 3, 3),
    "loop-of-weights": Plain(
        {"in": given(2), "w": linear(2, 2), "x": linear(2, 2), "n": lif(2), "out": out(2)},
        [("in", "w"), ("w", "x"), ("x", "w"), ("w", "n"), ("n", "out")],
    ),
    "behind-membranes": chain(given(3), linear(2, 3), {"type": "I", "r": np.ones(2)}, lif(2), out(2)),
    "nowhere": Plain({"in": given(2), "n": lif(2), "out": out(2)}, [("in", "n"), ("n", "out"), ("n", "away")]),
    "alone": Plain({"in": given(2), "w": linear(2, 2), "n": lif(2), "out": out(2)}, [("w", "n"), ("n", "out")]),
    "beyond": chain(given(2), {"type": "Linear", "weight": np.full((2, 2), 1e31)}, lif(2), out(2)),
    "no-bits": chain(given(2), {"type": "Linear", "weight": np.full((2, 2), 1e9)}, lif(2), out(2)),
}
