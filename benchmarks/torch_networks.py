"""Networks of torch as people write them, trained on MNIST, converted and run in the board's integers.

    python benchmarks/torch_networks.py --store DIR                         # all of them
    python benchmarks/torch_networks.py --store DIR --only residual --epochs 12 --digits 60000 --steps 200

A row for each: test accuracy of the network itself and of its spiking neurons on the same digits, the digits to which
both give the same answer, or why it was refused. Trained networks are kept in DIR (``state_dict`` files) and not
trained again. The test digits decide nothing: steps and settings are the same for all.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from spikingconvnet import Experiment, Membrane, Sequential, SpikeCount, load_settings
from spikingconvnet.cli.parameters import RECIPES
from spikingconvnet.data import datasets
from spikingconvnet.data.encoding import RegularEncoder
from spikingconvnet.errors import SettingsError
from spikingconvnet.training.chain import convert
from spikingconvnet.training.chain.gradients import relu

MNIST = Path(__file__).parents[1] / "data" / "mnist"
MEAN, STD = 0.1307, 0.3081
REFERENCE = 100         # digits that units are compared on


def block(channels, filters, stride=1, groups=1, size=3):
    """Convolution, BatchNorm, ReLU."""
    return nn.Sequential(nn.Conv2d(channels, filters, size, stride, size // 2, groups=groups, bias=False),
                         nn.BatchNorm2d(filters), nn.ReLU())


class Residual(nn.Module):
    """Two convolutions and a shortcut (He et al. 2016), which is a projection where the shape changes."""

    def __init__(self, channels, filters, stride=1):
        super().__init__()
        self.one, self.two = block(channels, filters, stride), nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(filters)
        self.shortcut = nn.Identity() if channels == filters and stride == 1 else nn.Sequential(
            nn.Conv2d(channels, filters, 1, stride, bias=False), nn.BatchNorm2d(filters))

    def forward(self, x):
        """Maps (n, filters, rows, columns)."""
        return functional.relu(self.norm(self.two(self.one(x))) + self.shortcut(x))


class Dense(nn.Module):
    """Maps of all convolutions before behind each other (Huang et al. 2017)."""

    def __init__(self, channels, growth, count):
        super().__init__()
        self.parts = nn.ModuleList(block(channels + i * growth, growth) for i in range(count))

    def forward(self, x):
        """Maps (n, channels + count * growth, rows, columns)."""
        for part in self.parts:
            x = torch.cat([x, part(x)], dim=1)
        return x


class Branches(nn.Module):
    """Convolutions of several sizes beside each other (Szegedy et al. 2015), without the largest values of pools."""

    def __init__(self, channels, filters):
        super().__init__()
        self.parts = nn.ModuleList([block(channels, filters, size=size) for size in (1, 3, 5)])

    def forward(self, x):
        """Maps (n, 3 * filters, rows, columns)."""
        return torch.cat([part(x) for part in self.parts], dim=1)


class Normalised(nn.Module):
    """A network that normalises its images itself."""

    def __init__(self, network):
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor([MEAN]).reshape(1, 1, 1))
        self.register_buffer("std", torch.tensor([STD]).reshape(1, 1, 1))

    def forward(self, x):
        """Answers (n, classes)."""
        return self.network((x - self.mean) / self.std)


class Functional(nn.Module):
    """All but the weights as functions, in place where that can be."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(1, 12, 5, padding=2), nn.Conv2d(12, 24, 3, stride=2)
        self.norm, self.last = nn.BatchNorm2d(12), nn.Linear(24 * 36, 10)

    def forward(self, x):
        """Answers (n, classes)."""
        x = functional.avg_pool2d(functional.relu_(self.norm(self.one(x))), 2)
        x = functional.relu(self.two(x), inplace=True)
        return functional.log_softmax(self.last(functional.dropout(x.view(x.size(0), -1), 0.2, self.training)), dim=1)


def separable(channels, filters, stride=1):
    """Depthwise and pointwise convolution (Howard et al. 2017)."""
    return nn.Sequential(block(channels, channels, stride, channels), block(channels, filters, size=1))


def head(channels, rows=1):
    """From maps to ten answers; maps of more than one place are averaged."""
    return [*([nn.AdaptiveAvgPool2d(1)] if rows == 1 else []), nn.Flatten(), nn.Linear(channels * rows * rows, 10)]


S, C, R, A, F, L = nn.Sequential, nn.Conv2d, nn.ReLU, nn.AvgPool2d, nn.Flatten, nn.Linear
NETWORKS = {
    "lenet": lambda: S(C(1, 6, 5, padding=2), R(), A(2), C(6, 16, 5), R(), A(2), F(), L(400, 120), R(), L(120, 84),
                       R(), L(84, 10)),
    "lenet, no bias": lambda: S(C(1, 8, 5, bias=False), R(), A(2), C(8, 16, 5, bias=False), R(), A(2), F(),
                                L(256, 64, bias=False), R(), L(64, 10, bias=False)),
    "lenet, behind Normalize": lambda: Normalised(S(C(1, 8, 5, padding=2), R(), A(2), C(8, 16, 5), R(), A(2), F(),
                                                    L(400, 10))),
    "vgg": lambda: S(*block(1, 16), *block(16, 16), A(2), *block(16, 32), *block(32, 32), A(2), *head(32, 7)),
    "vgg, nested": lambda: S(S(block(1, 12), block(12, 12)), A(2), S(block(12, 24), A(2)), S(*head(24, 7))),
    "vgg, dropout": lambda: S(*block(1, 16), A(2), nn.Dropout2d(0.1), *block(16, 32), A(2), F(), nn.Dropout(0.4),
                              L(1568, 64), nn.BatchNorm1d(64), R(), L(64, 10)),
    "residual": lambda: S(*block(1, 32, size=5), A(2), Residual(32, 64), Residual(64, 64), A(2), Residual(64, 96),
                          A(2), *head(96, 3)),
    "residual, strides": lambda: S(*block(1, 16), Residual(16, 32, 2), Residual(32, 32), Residual(32, 64, 2),
                                   *head(64)),
    "residual, small": lambda: S(*block(1, 24, 2, size=5), Residual(24, 24), A(2), Residual(24, 48), *head(48, 7)),
    "dense blocks": lambda: S(*block(1, 12), A(2), Dense(12, 8, 3), A(2), *block(36, 24), *head(24, 7)),
    "branches": lambda: S(*block(1, 12), A(2), Branches(12, 8), A(2), *head(24, 7)),
    "depthwise": lambda: S(*block(1, 16), A(2), separable(16, 32), separable(32, 32, 2), *head(32, 7)),
    "depthwise, ReLU6": lambda: S(C(1, 16, 3, 2, 1), nn.ReLU6(), C(16, 16, 3, 1, 1, groups=16), nn.ReLU6(),
                                  C(16, 32, 1), nn.ReLU6(), *head(32, 14)),
    "groups": lambda: S(*block(1, 16), A(2), *block(16, 32, groups=4), A(2), *head(32, 7)),
    "strides only": lambda: S(*block(1, 16, 2), *block(16, 32, 2), *block(32, 32, 2), *head(32, 4)),
    "even kernels": lambda: S(C(1, 12, 4, padding="same"), R(), A(2), C(12, 24, 2, stride=2), R(), *head(24, 7)),
    "rectangular kernels": lambda: S(C(1, 12, (3, 7), padding=(1, 3)), R(), A((2, 1)), C(12, 24, (5, 3), (1, 2)), R(),
                                     A(2), F(), L(720, 10)),
    "dilated": lambda: S(C(1, 12, 3, padding=2, dilation=2), R(), A(2), C(12, 24, 3, dilation=2), R(), A(2),
                         *head(24, 5)),
    "global pool": lambda: S(*block(1, 16), A(2), *block(16, 32), A(2), *block(32, 64), *head(64)),
    "convolution as head": lambda: S(*block(1, 16), A(4), C(16, 10, 7), F(), nn.Softmax(1)),
    "functional": Functional,
    "perceptron": lambda: S(F(), L(784, 128), R(), L(128, 64), R(), L(64, 10)),
    "float64": lambda: S(*block(1, 12), A(4), *head(12, 7)).double(),
    "bfloat16": lambda: S(C(1, 12, 5), R(), A(2), *head(12, 12)),
    "channels last": lambda: S(*block(1, 12), A(2), *block(12, 24), A(2), *head(24, 7)).to(
        memory_format=torch.channels_last),
    "largest of pools": lambda: S(*block(1, 12), nn.MaxPool2d(2), *block(12, 24), nn.MaxPool2d(2), *head(24, 7)),
    "means of pools": lambda: S(*block(1, 12), A(2), *block(12, 24), A(2), *head(24, 7)),
    "LeakyReLU": lambda: S(C(1, 8, 5), nn.LeakyReLU(), A(2), *head(8, 12)),
}


def grey(images, dtype=torch.float32):
    """uint8 (n, H, W) as tensors (n, 1, H, W), 0 to 1."""
    return torch.from_numpy(images)[:, None].to(dtype) / 255


def trained(name, digits, epochs, seed, path):
    """A network, trained with Adam on digits that are moved by up to two pixels; kept in a file."""
    torch.manual_seed(seed)
    network = NETWORKS[name]()
    if path.exists():
        network.load_state_dict(torch.load(path, weights_only=True))
        return as_used(name, network)
    dtype = next(network.parameters()).dtype
    shown, labels = grey(digits.images, dtype), torch.from_numpy(digits.labels.astype(int))
    optimiser = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=1e-2)
    steps = epochs * -(-len(labels) // 100)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 5e-3, total_steps=steps)
    for epoch in range(epochs):
        begin, total = time.process_time(), 0.0
        for chosen in torch.randperm(len(labels)).split(100):
            down, right = torch.randint(-2, 3, (2,)).tolist()
            answers = network(torch.roll(shown[chosen], (down, right), (2, 3)))
            answers = torch.log(answers + 1e-9) if name == "convolution as head" else answers
            loss = functional.cross_entropy(answers, labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += float(loss.detach())
        print(f"# {name}: epoch {epoch + 1}, loss {total / (steps / epochs):.4f},"
              f" {time.process_time() - begin:.0f} s", flush=True)
    torch.save(network.state_dict(), path)
    return as_used(name, network)


def as_used(name, network):
    """In evaluation, in the type of its name."""
    return network.to(torch.bfloat16).eval() if name == "bfloat16" else network.eval()


def answers(network, images):
    """Class of each image by the network itself: int array."""
    dtype = next(network.parameters()).dtype
    with torch.no_grad():
        return torch.cat([network(part).argmax(1) for part in grey(images, dtype).split(500)]).numpy()


def read_by(model, options):
    """The model with the readout that the options ask for: Sequential."""
    *hidden, last, _ = model.layers
    if options.leak:
        last = replace(last, neuron=replace(last.neuron, tau_m=options.leak))
    readout = (Membrane if options.membrane else SpikeCount)(first=options.steps // 4)
    return Sequential(model.input_shape, *hidden, last, readout)


def row(name, options):
    """Cells of a line: str."""
    folder = Path(options.store) / f"{name.replace(' ', '-').replace(',', '')}-{options.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    digits = datasets.load(str(options.data), "train").select(np.arange(options.digits))
    tests = datasets.load(str(options.data), "test").select(np.arange(options.test))
    network = trained(name, digits, options.epochs, options.seed, folder / "network.pt")
    if options.train_only:
        return f"| {name} | {100 * np.mean(answers(network, tests.images) == tests.labels):.2f} | trained |"
    try:
        units, model = relu.weights_of(network, (1, 28, 28))
    except SettingsError as error:
        return f"| {name} | refused: {error} |"
    images = np.ascontiguousarray(digits.images[:REFERENCE])
    reference = relu.reference(network, grey(images, torch.float64).numpy(), np.float32(images / 255)[:, None])
    convert.save(folder / "weights.npz", units, reference)
    recipe, begin = load_settings(RECIPES / "convert.py"), time.process_time()
    rule = replace(recipe.rule, weights=str(folder / "weights.npz"), bias=True, start=0.5, spread=True,
                   norm="channels", peak_rate=options.peak_rate, calibration=options.calibration)
    model = read_by(model, options)
    made = Experiment(replace(recipe, dataset=str(options.data), model=model, rule=rule, n_train=2000,
                              n_test=len(tests), encoder=RegularEncoder(n_steps=options.steps, max_rate=1.0),
                              slot=options.steps + len(model.stages) + 2, seed=options.seed), folder / "run", jobs=2)
    made.load_data()
    made.train_chain("convert")
    found = made.test()
    course, theirs = made.answers("test"), answers(network, tests.images)
    ours = course["units"][:, -1]
    return (f"| {name} | {len(model.stages)} | {100 * np.mean(theirs == tests.labels):.2f} | {100 * found.accuracy:.2f}"
            f" | {100 * np.mean(ours == theirs):.2f} | {time.process_time() - begin:.0f} |")


def main():
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", required=True)
    parser.add_argument("--data", default=MNIST)
    parser.add_argument("--only", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--digits", type=int, default=60000, help="of the training file")
    parser.add_argument("--test", type=int, default=10000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--peak-rate", type=float, default=0.25)
    parser.add_argument("--calibration", type=int, default=100, help="images")
    parser.add_argument("--membrane", action="store_true", help="read the output units' membranes, not their spikes")
    parser.add_argument("--leak", type=float, help="tau_m of the output units, ms, for --membrane")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train-only", action="store_true")
    options = parser.parse_args()
    print("| network | layers | its own accuracy | in spikes | same answer | CPU s |")
    print("|---|---|---|---|---|---|", flush=True)
    for name in options.only:
        print(row(name, options), flush=True)


if __name__ == "__main__":
    main()
