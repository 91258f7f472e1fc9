"""Networks of torch in the forms that people have: each becomes a model that answers the same, or is refused."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (pip install -e '.[torch]')")

from forward import Forward  # noqa: E402

from spikingconvnet.errors import SettingsError  # noqa: E402
from spikingconvnet.model.layers import AvgPool2D, Conv2D, Dense  # noqa: E402
from spikingconvnet.training.chain.gradients import relu  # noqa: E402
from spikingconvnet.training.chain.units import activations  # noqa: E402

nn, functional = torch.nn, torch.nn.functional
S, C, L, R, F, P = nn.Sequential, nn.Conv2d, nn.Linear, nn.ReLU, nn.Flatten, nn.AvgPool2d
SHAPE = (2, 14, 14)


def functions(m, x):
    x = functional.avg_pool2d(functional.relu(m.conv(x)), 2)
    x = functional.dropout(x.view(x.size(0), -1), 0.5, m.training)
    return functional.log_softmax(m.fc(x), dim=1)


def methods(m, x):
    x = m.conv((x - m.mean) / torch.tensor([0.5, 2.0]).view(-1, 1, 1)).relu()
    x = functional.adaptive_avg_pool2d(x, (2, 2)).reshape(x.shape[0], 24)
    return torch.softmax(2 * m.fc(x) + 1, -1)


class Normalize(nn.Module):
    """As torchvision's, whose forward cannot be traced."""

    __module__ = "torchvision.transforms.transforms"

    def __init__(self, mean, std):
        super().__init__()
        self.mean, self.std = mean, std

    def forward(self, x):
        if x.sum() <= -1e9:
            return x
        return (x - torch.tensor(self.mean)[:, None, None]) / torch.tensor(self.std)[:, None, None]


class Defaults(nn.Module):
    """A forward with arguments that nobody gives."""

    def __init__(self):
        super().__init__()
        self.fc = L(392, 5)

    def forward(self, x, mask=None, times=2):
        x = x if mask is None else x * mask
        return times * self.fc(x.flatten(1))


def with_statistics(network):
    """The network after a few batches in training, so that the statistics of BatchNorm are no zeros and ones."""
    network.train()
    with torch.no_grad():
        for _ in range(4):
            network(3.0 * torch.rand(8, *SHAPE) + 0.3)
    return network


FORMS = {
    "plain": (lambda: S(C(2, 3, 3), R(), P(2), F(), L(108, 5)), "3c3-2s-5"),
    "forward": (lambda: Forward(functions, conv=C(2, 3, 3), fc=L(108, 5)), "3c3-2s-5"),
    "forward with constants": (lambda: Forward(methods, conv=C(2, 6, 3), fc=L(24, 5),
                                               mean=torch.tensor([0.3, 0.1])[None, :, None, None]), "6c3-6s-5"),
    "nested, in place": (lambda: S(S(C(2, 3, 3), R(inplace=True), P(2)), S(F(), L(108, 9), nn.ReLU(inplace=True)),
                                   S(nn.Identity(), L(9, 5))), "3c3-2s-9-5"),
    "double": (lambda: S(C(2, 3, 3), R(), F(), L(432, 5)).double(), "3c3-5"),
    "half": (lambda: S(C(2, 3, 3), R(), F(), L(432, 5)).half(), "3c3-5"),
    "bfloat16": (lambda: S(C(2, 3, 3), R(), F(), L(432, 5)).bfloat16(), "3c3-5"),
    "compiled": (lambda: torch.compile(S(C(2, 3, 3), R(), F(), L(432, 5))), "3c3-5"),
    "valid, same of 1x1": (lambda: S(C(2, 3, 3, padding="valid"), R(), C(3, 4, 1, padding="same"), R(), F(),
                                     L(576, 5)), "3c3-4c1-5"),
    "softmax": (lambda: S(F(), L(392, 7, bias=False), R(), nn.Dropout(), L(7, 5), nn.Softmax(1)), "7-5"),
    "relu at the end": (lambda: S(F(), L(392, 7), R(), L(7, 5), R()), "7-5"),
    "convolution as head": (lambda: S(C(2, 3, 3), R(), C(3, 5, 12), nn.LogSoftmax(1), F()), "3c3-5"),
    "mean of maps": (lambda: S(C(2, 3, 3), R(), P(2), C(3, 5, 3), nn.AdaptiveAvgPool2d(1), F()), "3c3-2s-5"),
    "mean by name": (lambda: Forward(lambda m, x: m.b(m.a(x).relu()).mean((2, 3)), a=C(2, 3, 3), b=C(3, 5, 1)),
                     "3c3-5"),
    "two pools": (lambda: S(C(2, 3, 3), R(), P(2), P(3), F(), L(12, 5)), "3c3-6s-5"),
    "pools with a rest": (lambda: S(C(2, 3, 4), R(), P(2), P(2), F(), L(12, 5)), "3c4-4s-5"),
    "pool of the input": (lambda: S(P(2), F(), L(98, 5)), "2s-5"),
    "pool of other divisor": (lambda: S(C(2, 3, 3), R(), P(2, divisor_override=3), C(3, 4, 3), R(), F(), L(64, 5)),
                              "3c3-2s-4c3-5"),
    "pool, ceil_mode without a rest": (lambda: S(C(2, 3, 3), R(), P(2, 2, ceil_mode=True, count_include_pad=False),
                                                 F(), L(108, 5)), "3c3-2s-5"),
    "adaptive": (lambda: S(C(2, 3, 3), R(), nn.AdaptiveAvgPool2d((4, 4)), F(), L(48, 5)), "3c3-3s-5"),
    "BatchNorm before ReLU": (lambda: with_statistics(S(
        C(2, 3, 3, bias=False), nn.BatchNorm2d(3), R(), F(), L(432, 6), nn.BatchNorm1d(6, affine=False), R(),
        L(6, 5), nn.BatchNorm1d(5))), "3c3-6-5"),
    "BatchNorm behind ReLU": (lambda: with_statistics(S(
        nn.BatchNorm2d(2), C(2, 3, 3), R(), nn.BatchNorm2d(3), P(2), nn.BatchNorm2d(3), F(), nn.BatchNorm1d(108),
        L(108, 5))), "3c3-2s-5"),
    "Normalize": (lambda: S(Normalize([0.2, 0.6], [0.5, 0.1]), C(2, 3, 3), R(), F(), L(432, 5)), "3c3-5"),
    "pools of rectangles": (lambda: S(C(2, 3, 3), R(), P((2, 3)), nn.AdaptiveAvgPool2d((3, None)), F(), L(36, 5)),
                            "3c3-4x3s-5"),
    "no ReLU between": (lambda: S(C(2, 3, 3), F(), L(432, 7), L(7, 5)), "5"),
    "pool of responses": (lambda: S(C(2, 3, 3), P(2), R(), F(), L(108, 5)), "3c4-5"),
    "pool that overlaps": (lambda: S(C(2, 3, 3), R(), P(2, 1), C(3, 4, 2), R(), F(), L(400, 5)), "3c3-4c3-5"),
    "BatchNorm between ReLUs": (lambda: with_statistics(S(F(), L(392, 7), R(), nn.BatchNorm1d(7), R(), L(7, 5))),
                                "7-7-5"),
    "default arguments": (Defaults, "5"),
    "in DataParallel": (lambda: nn.DataParallel(S(F(), L(392, 5))), "5"),
    "one ReLU twice": (lambda: (lambda relu_: S(C(2, 3, 3), relu_, F(), L(432, 9), relu_, L(9, 5)))(R()), "3c3-9-5")}
ENDS_WITH_SHARES = ("softmax", "forward with constants")


def shares(values):
    """What a softmax makes of logits, and of their logarithm."""
    return np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)


def answers(network, values):
    """What a network answers in evaluation, in the precision that it has."""
    network = getattr(network, "_orig_mod", network).double().eval()
    with torch.no_grad():
        return network(torch.from_numpy(values)).numpy().reshape(len(values), -1)


def tokens(model):
    """The layers of a model in few words, as ``--arch`` has them."""
    words = {Conv2D: lambda layer: f"{layer.filters}c{layer.kernel_size[0]}", Dense: lambda layer: str(layer.units),
             AvgPool2D: lambda layer: "x".join(map(str, sorted({*layer.pool_size}, reverse=True))) + "s"}
    return "-".join(words[type(layer)](layer) for layer in model.layers[:-1])


@pytest.mark.parametrize("name", FORMS)
def test_a_network_becomes_a_model_that_answers_the_same(name):
    torch.manual_seed(0)
    make, expected = FORMS[name]
    network = make()
    units, model = relu.weights_of(network, SHAPE)
    values = np.random.default_rng(0).random((6, *SHAPE))
    assert tokens(model) == expected
    found, wanted = activations(model, units, values)[-1][..., 0, 0], answers(network, values)
    if name == "relu at the end":
        found = np.maximum(found, 0.0)
    wanted = wanted if name in ENDS_WITH_SHARES else shares(wanted)
    assert np.allclose(shares(found), wanted, atol=1e-7) and np.ptp(wanted) > 1e-3
    assert relu.parity(network, values, np.float32(values), units, model).rows[-1].difference < 1e-5


@pytest.mark.parametrize("mean, std", [(0.1307, 0.3081), ((0.4, 0.1), (0.2, 0.5)), (np.array([0.5, 0.2]), 0.25)])
@pytest.mark.parametrize("name", ["plain", "softmax", "pool of the input", "BatchNorm behind ReLU"])
def test_a_normalisation_is_folded_into_the_first_layer(name, mean, std):
    torch.manual_seed(1)
    network, values = FORMS[name][0](), np.random.default_rng(1).random((6, *SHAPE))
    shown = (values - np.reshape(mean, (-1, 1, 1))) / np.reshape(std, (-1, 1, 1))
    report = relu.parity(network, shown, np.float32(values), *relu.weights_of(network, SHAPE, mean, std))
    assert report.agree == 1.0 and max(row.difference for row in report.rows) < 1e-5


def test_linear_layers_of_flat_images():
    network, values = S(L(392, 7), R(), L(7, 5)), np.random.default_rng(0).random((6, *SHAPE))
    units, model = relu.weights_of(network, SHAPE, 0.5, 0.5)
    assert tokens(model) == "7-5" and units[0].kernels.shape == (7, *SHAPE)
    assert relu.parity(network, (values - 0.5) / 0.5, values, units, model).agree == 1.0


def test_the_network_stays_as_it_is():
    network = with_statistics(S(C(2, 3, 3), nn.BatchNorm2d(3), R(), F(), L(432, 5))).half()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    relu.weights_of(network, SHAPE, 0.5, 0.5)
    assert network.training and all(torch.equal(value, before[name]) and value.dtype == before[name].dtype
                                    for name, value in network.state_dict().items())


def looks(m, x):
    return m.fc(x.flatten(1)) if x.sum() > 0 else m.fc(-x.flatten(1))


REFUSED = {
    "control flow": (Forward(looks, fc=L(392, 5)), "torch.fx cannot trace the forward of Forward"),
    "several outputs": (Forward(lambda m, x: (m.fc(x.flatten(1)), x), fc=L(392, 5)), "output: (sees|the network)"),
    "max pool": (S(C(2, 3, 3), R(), nn.MaxPool2d(2), F(), L(108, 5)), "2: MaxPool2d.*use AvgPool2d and train again"),
    "max pool by name": (Forward(lambda m, x: m.fc(functional.max_pool2d(m.c(x).relu(), 2).flatten(1)), c=C(2, 3, 3),
                                 fc=L(108, 5)), "max_pool2d: cannot be converted; use AvgPool2d"),
    "leaky": (S(F(), L(392, 7), nn.LeakyReLU(), L(7, 5)), "LeakyReLU.*use ReLU and train again"),
    "unheard of": (S(C(2, 4, 3), nn.PixelShuffle(2), R(), F(), L(576, 5)), "1: PixelShuffle.*; known are Conv2d"),
    "ceil_mode with a rest": (S(C(2, 3, 4), R(), P(2, ceil_mode=True), F(), L(108, 5)), "2: AvgPool2d.*no ceil_mode"),
    "adaptive, uneven": (S(C(2, 3, 3), R(), nn.AdaptiveAvgPool2d(5), F(), L(75, 5)), "5x5 do not divide the maps"),
    "no Flatten": (S(C(2, 3, 3), R(), L(432, 5)), "2: Linear.*needs a Flatten before it"),
    "other size": (S(F(), L(300, 5)), r"1: Linear.*sees 300 values, but what comes before it makes 392, \(2, 14, 14\)"),
    "other channels": (S(C(3, 3, 3), R(), F(), L(432, 5)), r"sees maps of 3 channels, but .* makes \(2, 14, 14\)"),
    "Softmax inside": (S(F(), L(392, 7), nn.Softmax(1), L(7, 5)), "3: Linear.*nothing can follow the Softmax"),
    "Softmax of a batch": (S(F(), L(392, 5), nn.Softmax(0)), "2: Softmax.*dim=1"),
    "ends with maps": (S(C(2, 3, 3), R(), C(3, 5, 3)), r"output: must be what a Linear says.*maps of \(5, 10, 10\)"),
    "BatchNorm of a batch": (S(C(2, 3, 3), nn.BatchNorm2d(3, track_running_stats=False), R(), F(), L(432, 5)),
                             "1: BatchNorm2d.*no running statistics"),
    "BatchNorm of places": (with_statistics(S(C(2, 3, 3), F(), nn.BatchNorm1d(432), R(), L(432, 5))),
                            "2: BatchNorm1d.*before the Flatten"),
    "not finite": (S(F(), nn.utils.skip_init(L, 392, 5)), "1: Linear.*values that are not finite"),
    "state_dict": (S(F(), L(392, 5)).state_dict(), "network: is a state_dict.*load_state_dict"),
    "a path": ("lenet.pt", "network: must be a torch.nn.Module that torch.fx can trace, got str")}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_counterpart_is_refused_by_its_name(name):
    network, text = REFUSED[name]
    if name == "not finite":
        nn.init.constant_(network[1].weight, np.nan)
    with pytest.raises(SettingsError, match=text):
        relu.weights_of(network, SHAPE)


@pytest.mark.parametrize("shape, text", [
    ((28, 28), r"must be \(channels, rows, columns\) of one image, as \(1, 28, 28\)"),
    ((1, 1, 28, 28), r"as \(1, 28, 28\), got \(1, 1, 28, 28\)"), ((784,), r"as \(1, 1, 784\)"),
    ((28, 28, 1), r"as \(1, 28, 28\), got \(28, 28, 1\), channels last"), ((0, 28, 28), "must be")])
def test_shapes_of_no_image_are_refused(shape, text):
    with pytest.raises(SettingsError, match=f"input_shape: .*{text}"):
        relu.weights_of(S(F(), L(784, 5)), shape)


@pytest.mark.parametrize("mean, std", [(0.5, 0.0), (0.5, -1.0), ((0.1, 0.2, 0.3), 1.0), (0.5, np.nan)])
def test_a_normalisation_that_is_none_is_refused(mean, std):
    with pytest.raises(SettingsError, match="mean, std: must be a number, or one for each of the 2 channels"):
        relu.weights_of(FORMS["plain"][0](), SHAPE, mean, std)
