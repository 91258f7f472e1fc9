"""Networks of torch that are graphs: every layer that was read answers what torch's own forward says there."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (pip install -e '.[torch]')")

from forward import Forward  # noqa: E402
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from torch.overrides import TorchFunctionMode  # noqa: E402

from spikingconvnet.errors import SettingsError  # noqa: E402
from spikingconvnet.training.chain.convert import Convert  # noqa: E402
from spikingconvnet.training.chain.gradients import relu  # noqa: E402
from spikingconvnet.training.chain.units import activations  # noqa: E402

nn, functional = torch.nn, torch.nn.functional
S, C, L, R, F, P, B = nn.Sequential, nn.Conv2d, nn.Linear, nn.ReLU, nn.Flatten, nn.AvgPool2d, nn.BatchNorm2d
SHAPE = (2, 12, 12)
RECTIFIERS = {"relu", "relu_", "relu6", "hardtanh", "clamp", "clamp_min"}


class Rectified(TorchFunctionMode):
    """Keeps what every ReLU of a forward says, as torch calls them."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        if getattr(function, "__name__", "") in RECTIFIERS:
            self.found.append(found.clone())
        return found


class Add(nn.Module):
    """A residual block around `body`, with a ReLU behind the sum if it is asked for."""

    def __init__(self, body, short=None, rectify=True):
        super().__init__()
        self.body, self.short, self.rectify = body, short or nn.Identity(), rectify

    def forward(self, x):
        found = self.body(x) + self.short(x)
        return torch.relu(found) if self.rectify else found


class Cat(nn.Module):
    """Branches whose channels are joined."""

    def __init__(self, *branches):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], 1)


def conv(here, there, size=3, stride=1, groups=1):
    """A padded convolution with BatchNorm."""
    return S(C(here, there, size, stride, size // 2, groups=groups, bias=False), B(there))


def head(channels, classes=5):
    return S(nn.AdaptiveAvgPool2d(1), F(), L(channels, classes))


def basic(here, there, stride=1):
    short = conv(here, there, 1, stride) if stride > 1 or here != there else None
    return Add(S(conv(here, there, 3, stride), R(inplace=True), conv(there, there)), short)


def bottleneck(here, there, wide):
    body = S(conv(here, wide, 1), nn.ReLU6(), conv(wide, wide, groups=wide), nn.ReLU6(), conv(wide, there, 1))
    return Add(body, rectify=False) if here == there else body


def dense_unit(here):
    return Cat(nn.Identity(), S(B(here), R(), C(here, 3, 3, padding=1, bias=False)))


def inplace_add(m, x):
    x = m.a(x).relu()
    y = m.b(x)
    y += x
    return m.c(functional.relu_(y).mean((2, 3)))


def functional_residual(m, x):
    x = functional.relu(functional.conv2d(x, m.w, m.v, 2, 1))
    y = torch.add(functional.conv2d(x, m.u, padding="same", groups=4), x, alpha=0.5)
    y = functional.avg_pool2d(torch.clamp(y, min=0, max=0.4), x.shape[-2:])
    return functional.linear(torch.flatten(y, 1), m.t)


def shared_source(m, x):
    x = m.a(x).relu()
    return m.c(torch.relu(m.b(x) + m.d(x) - 0.3 * x).flatten(1))


def far_after(m, x):
    one = m.a(x).relu()
    two = m.b(x).relu()
    return m.c((functional.avg_pool2d(one, 2) + functional.avg_pool2d(two, 2)).flatten(1))


def sum_of_rectified(m, x):
    one = m.a(x).relu()
    return m.c((one + m.b(one).relu()).relu().flatten(1))


def normalised(m, x):
    return m.b(functional.relu(m.a((x - m.mean) / m.std.view(1, -1, 1, 1))).flatten(1))


def with_sizes(m, x):
    n, c = x.size(0), x.size(1)
    x = m.a(x.view(n, c, x.shape[2], -1)).relu_()
    return functional.log_softmax(m.b(x.reshape(-1, x.size(1) * x.size(2) * x.size(3))), -1)


NETWORKS = {
    "LeNet": lambda: S(C(2, 6, 5, padding=2), R(), P(2), C(6, 8, 3), R(), P(2), F(), L(32, 12), R(), L(12, 5)),
    "VGG": lambda: S(conv(2, 4), R(), conv(4, 4), R(), P(2), conv(4, 6), R(), P(2), F(), nn.Dropout(), L(54, 5)),
    "ResNet": lambda: S(conv(2, 4), R(), basic(4, 4), basic(4, 6, 2), basic(6, 6), head(6)),
    "ResNet, stem pooled": lambda: S(conv(2, 4, 5, 2), R(), P(2), basic(4, 4), basic(4, 6, 2), head(6)),
    "ResNet, before activation": lambda: S(
        C(2, 4, 3, padding=1), Add(S(B(4), R(), C(4, 4, 3, padding=1)), rectify=False), B(4), R(), head(4)),
    "ResNeXt": lambda: S(conv(2, 4), R(), Add(S(conv(4, 8, 1), R(), conv(8, 8, groups=2), R(), conv(8, 4, 1))),
                         head(4)),
    "depthwise separable": lambda: S(conv(2, 4, 3, 2), R(), conv(4, 4, groups=4), R(), conv(4, 6, 1), R(), head(6)),
    "depthwise, folded into the next": lambda: S(C(2, 4, 3, padding=1, groups=2), C(4, 6, 1), B(6), R(), head(6)),
    "depth multiplier": lambda: S(C(2, 6, 3, groups=2), R(), F(), L(600, 5)),
    "MobileNetV2": lambda: S(conv(2, 4), nn.ReLU6(), bottleneck(4, 4, 8), bottleneck(4, 4, 8), bottleneck(4, 6, 8),
                             C(6, 8, 1), nn.ReLU6(), head(8)),
    "DenseNet": lambda: S(C(2, 3, 3, padding=1), dense_unit(3), dense_unit(6), B(9), R(), C(9, 4, 1), P(2), B(4), R(),
                          head(4)),
    "all convolutions": lambda: S(conv(2, 4), R(), conv(4, 4, 3, 2), R(), C(4, 6, 3), R(), C(6, 5, 1), R(), P(4), F()),
    "strides unlike": lambda: S(C(2, 4, 3, (2, 1), (1, 0)), R(), C(4, 4, 3, (1, 3)), R(), F(), L(4 * 4 * 3, 5)),
    "rectangles": lambda: S(C(2, 4, (1, 5), padding=(0, 2)), R(), C(4, 4, (3, 1)), R(), P((2, 3)), F(), L(80, 5)),
    "dilation": lambda: S(C(2, 4, 3, padding=2, dilation=2), R(), C(4, 4, 2, dilation=(1, 3)), R(), F(), L(396, 5)),
    "same, even kernels": lambda: S(C(2, 4, 4, padding="same"), R(), C(4, 3, (2, 3), padding="same"), R(), head(3)),
    "same, dilated": lambda: S(C(2, 4, 2, padding="same", dilation=3), R(), F(), L(576, 5)),
    "float64": lambda: NETWORKS["ResNet"]().double(),
    "bfloat16": lambda: NETWORKS["VGG"]().bfloat16(),
    "channels_last": lambda: NETWORKS["VGG"]().to(memory_format=torch.channels_last),
    "compiled": lambda: torch.compile(NETWORKS["MobileNetV2"]()),
    "Inception": lambda: S(conv(2, 4), R(), Cat(S(C(4, 2, 1), R()), S(C(4, 2, 1), R(), conv(2, 3), R()), S(
        P(3, 1, 1), C(4, 2, 1), R())), P(2), conv(7, 4), R(), head(4)),
    "Inception, one ReLU": lambda: S(Cat(C(2, 3, 1), C(2, 3, 5, padding=2), S(C(2, 2, 1), B(2))), B(8), R(), head(8)),
    "SqueezeNet": lambda: S(C(2, 4, 3, 2), R(), S(C(4, 2, 1), R(), Cat(S(C(2, 3, 1), R()), S(C(2, 3, 3, padding=1), R(
        )))), C(6, 5, 1), R(), nn.AdaptiveAvgPool2d(1), F()),
    "RepVGG": lambda: S(Cat(nn.Identity()), Forward(lambda m, x: torch.relu(m.a(x) + m.b(x) + m.c(x)), a=conv(2, 2),
                                                    b=conv(2, 2, 1), c=B(2)), head(2)),
    "Normalize, padded": lambda: Forward(normalised, a=C(2, 4, 3, padding=1), b=L(576, 5), std=torch.tensor([0.4, 2.0]),
                                         mean=torch.tensor([0.3, 0.6]).view(1, 2, 1, 1)),
    "BatchNorm everywhere": lambda: S(B(2), conv(2, 4, 3, 2), R(), B(4), conv(4, 4), B(4), R(), P(2), B(4), F(),
                                      nn.BatchNorm1d(36), L(36, 6), nn.BatchNorm1d(6), R(), L(6, 5), nn.BatchNorm1d(5)),
    "in-place sum": lambda: Forward(inplace_add, a=conv(2, 4), b=conv(4, 4), c=L(4, 5)),
    "functions": lambda: Forward(functional_residual, w=0.3 * torch.randn(4, 2, 3, 3), v=torch.randn(4),
                                 u=torch.randn(4, 1, 3, 3), t=torch.randn(5, 4)),
    "sizes": lambda: Forward(with_sizes, a=C(2, 4, 3), b=L(400, 5)),
    "three ways from one layer": lambda: Forward(shared_source, a=conv(2, 4), b=conv(4, 4), d=C(4, 4, 1), c=L(576, 5)),
    "layers side by side": lambda: Forward(far_after, a=conv(2, 3), b=conv(2, 3), c=L(108, 5)),
    "a sum of rectified ones": lambda: Forward(sum_of_rectified, a=conv(2, 3), b=conv(3, 3), c=L(432, 5)),
    "pool before a ReLU": lambda: S(C(2, 4, 3, padding=1), P(2), R(), C(4, 4, 3), P(2, 1), R(), F(), L(36, 5)),
    "zeros around": lambda: S(nn.ZeroPad2d((0, 1, 2, 0)), C(2, 4, 3, 2), R(), nn.ZeroPad2d(1), P(3), F(), L(16, 5)),
    "sums of pools": lambda: S(conv(2, 3), nn.Hardtanh(0, 0.7), nn.LPPool2d(1, 2), conv(3, 3), R(), P(
        2, divisor_override=1), F(), L(27, 5)),
    "linear twice": lambda: S(conv(2, 3), F(), L(432, 6), L(6, 7), R(), L(7, 6), nn.Identity(), L(6, 5)),
    "weight norm": lambda: S(nn.utils.parametrizations.weight_norm(C(2, 3, 3, padding=1)), R(), F(), L(432, 5)),
}


def with_statistics(network):
    """The network with weights and statistics of BatchNorm that are no zeros and ones."""
    for part in network.modules():
        if isinstance(part, (nn.BatchNorm1d, B)):
            for name, low, high in (("weight", 0.5, 1.5), ("bias", -0.5, 0.5), ("running_mean", -0.3, 0.3),
                                    ("running_var", 0.3, 1.5)):
                with torch.no_grad():
                    getattr(part, name).uniform_(low, high)
    return network


def told(network, values):
    """What torch's own forward says in double precision: behind every ReLU, and at the end."""
    network = getattr(network, "_orig_mod", network).double().eval()
    with torch.no_grad(), Rectified() as spy:
        last = network(torch.from_numpy(values))
    return [found.numpy() for found in spy.found], last.numpy()


def assert_alike(ours, theirs):
    theirs = theirs.reshape(ours.shape)
    assert abs(ours - theirs).max() <= 1e-9 + 1e-5 * abs(theirs).max()


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_answers_as_the_network(name):
    torch.manual_seed(0)
    network, values = with_statistics(NETWORKS[name]()), np.random.default_rng(0).random((3, *SHAPE))
    units, model = relu.weights_of(network, SHAPE)
    found = activations(model, units, values)
    rectified, last = told(network, values)
    if name in ("all convolutions", "SqueezeNet"):      # their last ReLU is a layer: means of it are read
        assert len(found) == len(rectified) + 1
    elif name == "sizes":
        last = last - last.mean(axis=1, keepdims=True)
        found[-1] -= found[-1].mean(axis=1, keepdims=True)
    for ours, theirs in zip(found, [*rectified, last], strict=True):
        assert_alike(ours, theirs)
    for ours, theirs in zip(found[:-1], relu.answers_of(network, values)):
        assert_alike(ours, theirs)
    assert np.ptp(found[-1]) > 1e-3 and model.layers[0].neuron == Convert.neuron


@pytest.mark.parametrize("mean, std", [(0.3, 0.5), ((0.1, 0.7), (0.4, 2.0))])
@pytest.mark.parametrize("name", ["ResNet", "Inception, one ReLU", "zeros around", "RepVGG"])
def test_a_normalisation_does_not_reach_the_frame(name, mean, std):
    torch.manual_seed(1)
    network, values = with_statistics(NETWORKS[name]()), np.random.default_rng(1).random((3, *SHAPE))
    units, model = relu.weights_of(network, SHAPE, mean, std)
    shown = (values - np.reshape(mean, (-1, 1, 1))) / np.reshape(std, (-1, 1, 1))
    assert units[0].bias.ndim == 3
    assert_alike(activations(model, units, values)[-1], told(network, shown)[1])
    assert relu.parity(network, shown, values, units, model).agree == 1.0


def test_layers_become_what_they_are():
    network = with_statistics(NETWORKS["ResNet, stem pooled"]())
    units, model = relu.weights_of(network, SHAPE)
    third = model.stages[4].layer
    assert [type(layer).__name__ for layer in model.layers] == [
        "Conv2D", "AvgPool2D", "Conv2D", "Conv2D", "Conv2D", "Conv2D", "AvgPool2D", "Dense", "SpikeCount"]
    assert (model.stages[2].layer.shortcuts[0].pool, model.stages[2].layer.shortcuts[0].layer) == ((2, 2), 1)
    assert np.array_equal(units[2].shortcuts[0][..., 0, 0], np.eye(4))
    assert (third.shortcuts[0].layer, third.shortcuts[0].strides, third.shortcuts[0].padding) == (3, (2, 2), (0, 0))


def test_groups_padding_and_ceilings_are_kept():
    units, model = relu.weights_of(with_statistics(NETWORKS["MobileNetV2"]()), SHAPE)
    depthwise = model.stages[2].layer
    assert (depthwise.groups, depthwise.padding, units[2].kernels.shape) == (8, (1, 1), (8, 1, 3, 3))
    assert [one.ceiling for one in units] == [6.0] * 8 + [np.inf]
    assert all(one.bias.ndim == 1 for one in units)


def test_ways_from_one_layer_become_one_convolution():
    units, model = relu.weights_of(with_statistics(NETWORKS["RepVGG"]()), SHAPE)
    assert model.stages[0].layer.shortcuts == () and units[0].kernels.shape == (2, 2, 3, 3)


def test_a_layer_that_sees_another_than_the_one_before_says_so():
    _, model = relu.weights_of(with_statistics(NETWORKS["layers side by side"]()), SHAPE)
    assert model.layers[1].after == 0 and [one.layer for one in model.layers[3].shortcuts] == [1]



class Two(nn.Module):
    """With two inputs."""

    def forward(self, x, y):
        return x + y


def twice(m, x):
    y = m.a(x).relu()
    return m.b(m.gate(y.mean((2, 3))).view(-1, 3, 1, 1) * y)


def reused(m, x):
    x = m.a(x)
    y = x
    x += 1.0
    return m.b((x + y).relu().flatten(1))


REFUSED = {
    "two padded": (lambda: S(C(2, 3, 3, padding=1), C(3, 3, 3, padding=1), R(), head(3)),
                   r"1: Conv2d.*is padded and sees a convolution without a ReLU between.*put a ReLU between"),
    "reflected": (lambda: S(C(2, 3, 3, padding=1, padding_mode="reflect"), R(), head(3)),
                  "padding_mode: must be 'zeros'"),
    "max pool": (lambda: S(C(2, 3, 3), R(), nn.MaxPool2d(2), head(3)), "MaxPool2d.*use AvgPool2d and train again"),
    "adaptive max": (lambda: S(C(2, 3, 3), R(), nn.AdaptiveMaxPool2d(1), F(), L(3, 5)), "use AvgPool2d and train"),
    **{kind.__name__: ((lambda kind=kind: S(C(2, 3, 3), kind(), head(3))), f"{kind.__name__}.*use ReLU and train again")
       for kind in (nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh, nn.ELU, nn.PReLU, nn.Softplus,
                    nn.Hardswish)},
    "Hardtanh": (lambda: S(C(2, 3, 3), nn.Hardtanh(), head(3)), "Hardtanh.*must be from 0 to a number above 0.*-1"),
    "GroupNorm": (lambda: S(C(2, 4, 3), nn.GroupNorm(2, 4), R(), head(4)), "GroupNorm.*use BatchNorm2d and train"),
    "LayerNorm": (lambda: S(F(), L(288, 4), nn.LayerNorm(4), R(), L(4, 5)), "LayerNorm.*use BatchNorm2d"),
    "InstanceNorm": (lambda: S(C(2, 4, 3), nn.InstanceNorm2d(4), R(), head(4)), "InstanceNorm2d.*use BatchNorm2d"),
    "attention": (lambda: Forward(lambda m, x: m.b(m.a(x.flatten(2), x.flatten(2), x.flatten(2))[0].flatten(1)),
                                  a=nn.MultiheadAttention(144, 2), b=L(288, 5)), "flatten: must leave the images"),
    "recurrent": (lambda: Forward(lambda m, x: m.b(m.a(x.flatten(1))[0]), a=nn.LSTM(288, 4), b=L(4, 5)),
                  "LSTM.*use layers without a memory"),
    "gated": (lambda: Forward(twice, a=C(2, 3, 3), gate=L(3, 3), b=head(3)), "mul: .*to multiply two values"),
    "slices": (lambda: Forward(lambda m, x: m.b(m.a(x)[:, :, ::2, ::2].relu().flatten(1)), a=C(2, 3, 3), b=L(75, 5)),
               "getitem: cannot be converted; use whole maps"),
    "two outputs": (lambda: Forward(lambda m, x: (m.a(x.flatten(1)), x), a=L(288, 5)), "output: the network must"),
    "control flow": (lambda: Forward(lambda m, x: m.a(x.flatten(1)) if x.sum() > 0 else x, a=L(288, 5)),
                     "torch.fx cannot trace the forward"),
    "maps of two sizes": (lambda: Forward(lambda m, x: m.b(torch.cat([m.a(x).flatten(1), x.flatten(1)], 1)),
                                          a=C(2, 3, 3), b=L(588, 5)), "cat: joins maps of"),
    "other axis": (lambda: Forward(lambda m, x: m.b(torch.cat([x, x], 2).flatten(1)), b=L(576, 5)), "cat: must join"),
    "shapes of a sum": (lambda: Forward(lambda m, x: m.b((m.a(x) + x[:, :1]).flatten(1)), a=C(2, 2, 1), b=L(288, 5)),
                        "getitem: cannot"),
    "broadcast sum": (lambda: Forward(lambda m, x: m.b((m.a(x) + m.c(x)).relu().flatten(1)), a=C(2, 3, 12),
                                      c=C(2, 3, 1), b=L(432, 5)), "add: adds maps of"),
    "edge of fewer places": (lambda: S(C(2, 3, 3), R(), P(3, 1, 1, count_include_pad=False), head(3)),
                             "count_include_pad"),
    "in place, seen by Python alone": (lambda: Forward(reused, a=C(2, 3, 3), b=L(300, 5)), "answers otherwise than"),
    "drawn": (lambda: Forward(lambda m, x: m.b(x.flatten(1) + torch.rand(1)), b=L(288, 5)), "answers otherwise than"),
    "transposed": (lambda: S(nn.ConvTranspose2d(2, 3, 3), R(), head(3)), "ConvTranspose2d.*use Conv2d"),
    "constants padded": (lambda: S(nn.ConstantPad2d(1, 0.5), C(2, 3, 3), R(), head(3)), "must put zeros around"),
    "TorchScript": (lambda: torch.jit.trace(S(F(), L(288, 5)), torch.zeros(1, *SHAPE)), "network: is TorchScript"),
    "no units": (lambda: S(F(), nn.Linear(288, 0)), "1: Linear.*its weight has no values"),
    "two inputs": (Two, "y: is a second input"),
    "fails by itself": (lambda: S(C(2, 3, 3), nn.BatchNorm1d(3), R(), head(3)), "its own forward fails on images"),
    "not finite": (lambda: S(C(2, 3, 3), B(3), R(), head(3)), "1: BatchNorm2d.*running_var has values that are not"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_counterpart_is_refused_with_the_reason(name):
    make, text = REFUSED[name]
    network = make()
    if name == "not finite":
        network[1].running_var[0] = np.nan
    with pytest.raises(SettingsError, match=text):
        relu.weights_of(network, SHAPE)


@st.composite
def graphs(draw):
    """A random graph: values of earlier operations are chosen as inputs of later ones."""
    pick, seed = (lambda *options: draw(st.sampled_from(options))), draw(st.integers(0, 1 << 30))
    return seed, [(pick(*PIECES), pick(0, 0, 0, 0, 1, 3), pick(0, 1, 1, 2, 3, 4, 6), pick(1, 3, 3, 2), pick(1, 1, 2),
                   pick(1, 0, 2), pick(1, 1, 2)) for _ in range(draw(st.integers(4, 14)))]


PIECES = ("conv", "relu", "add", "depthwise", "relu", "cat", "point", "relu6", "pool", "smooth", "norm", "scale", "pad",
          "conv", "relu", "add")


class Drawn(nn.Module):
    """The network of what `graphs` draws; pieces that fit nothing are left out."""

    def __init__(self, pieces, shape):
        super().__init__()
        self.parts, self.calls, shapes = nn.ModuleList(), [], [shape]
        for kind, first, second, size, stride, padding, dilation in pieces:
            first, second = -1 - first % len(shapes), -1 - second % len(shapes)
            part = _piece(kind, shapes[first][0], size, stride, padding, dilation)
            with torch.no_grad():
                try:
                    found = _called(kind, part, torch.zeros(2, *shapes[first]), torch.zeros(2, *shapes[second]))
                except RuntimeError:
                    continue
            if found.shape[1] > 12 or min(found.shape) < 1:
                continue
            self.parts.append(part)
            self.calls.append((kind, first, second))
            shapes.append(tuple(found.shape[1:]))
        self.end = S(F(), L(int(np.prod(shapes[-1])), 4))

    def forward(self, x):
        values = [x]
        for part, (kind, first, second) in zip(self.parts, self.calls):
            values.append(_called(kind, part, values[first], values[second]))
        return self.end(values[-1])


def _piece(kind, channels, size, stride, padding, dilation):
    return {"conv": lambda: C(channels, 4, (size, 3), stride, padding, dilation),
            "depthwise": lambda: C(channels, channels, size, stride, padding, groups=channels),
            "point": lambda: C(channels, 3, 1, stride), "relu6": lambda: nn.Hardtanh(0, 0.3),
            "pool": lambda: P(size, ceil_mode=dilation == 2), "norm": lambda: B(channels),
            "smooth": lambda: P(3, stride, padding % 2, count_include_pad=dilation == 1),
            "pad": lambda: nn.ZeroPad2d((padding, 0, 1, stride))}.get(kind, R)()


def _called(kind, part, first, second):
    return {"add": lambda: first + second, "cat": lambda: torch.cat([first, second], 1),
            "scale": lambda: 0.5 - first * 2.0}.get(kind, lambda: part(first))()


@settings(max_examples=100, deadline=None)
@given(graphs())
def test_a_random_graph_is_read_exactly_or_refused(drawn):
    seed, pieces = drawn
    torch.manual_seed(seed)
    network = with_statistics(Drawn(pieces, (2, 7, 8)))
    values = np.random.default_rng(seed).random((2, 2, 7, 8))
    try:
        units, model = relu.weights_of(network, (2, 7, 8))
    except SettingsError as error:
        assert not any(text in str(error) for text in ("read wrongly", "answers otherwise", "own forward fails"))
        return
    assert_alike(activations(model, units, values)[-1], told(network, values)[1])
