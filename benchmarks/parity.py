"""Parity of networks of torch with what is made of them: is every seeded fault found, and its cause told?

    python benchmarks/parity.py [NETWORK ...] [--digits 12000] [--test 1000] [--epochs 2] [--seed 0] [--run-dir DIR]

Twelve networks of four kinds (a Sequential of convolutions, a Module with a `forward`, Linear alone, convolutions with
pools and BatchNorm), each trained on the first `--digits` training digits as they are, and behind Normalize(0.1307,
0.3081). Each becomes a file with a reference of 200 images, which `--rule convert` compares: a row has the accuracy of
the user's own module and of the spiking network in the board's integers on the first `--test` test digits, the largest
difference of units and whether all faults that were put in between were found, and told by their cause. The exit code
is 1 if one was not. Needs torch; training is kept in `--run-dir`.
"""

import argparse
import copy
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from spikingconvnet.cli.parameters import RECIPES
from spikingconvnet.data import datasets
from spikingconvnet.data.encoding import RegularEncoder
from spikingconvnet.data.filters import Intensity
from spikingconvnet.experiment import settings
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.training.chain import convert
from spikingconvnet.training.chain.gradients import relu
from spikingconvnet.training.chain.parity import ParityError

MNIST = Path(__file__).parent.parent / "data" / "mnist"
RECIPE = RECIPES / "convert.py"
SHAPE = (1, 28, 28)
MEAN, STD = 0.1307, 0.3081
REFERENCE = 200         # images
TRAINED_ON = 500        # digits from which `convert` takes the largest activations


# ---------------------------------------------------------------- networks


class Functional(nn.Module):
    """As tutorials write it: functions of torch between layers."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 12, 3)
        self.fc1, self.fc2 = nn.Linear(12 * 5 * 5, 40), nn.Linear(40, 10)

    def forward(self, x):
        """Logarithms of the classes' shares."""
        x = functional.avg_pool2d(functional.relu(self.conv1(x)), 2)
        x = functional.avg_pool2d(torch.relu(self.conv2(x)), 2)
        x = functional.dropout(x.view(x.size(0), -1), 0.2, self.training)
        return functional.log_softmax(self.fc2(functional.relu(self.fc1(x))), dim=1)


class Blocks(nn.Module):
    """A stack of blocks behind a scale of its own, as constants in `forward`."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Sequential(nn.Conv2d(1, 8, 5, padding="valid"), nn.ReLU(inplace=True)),
                                  nn.Sequential(nn.AvgPool2d(2), nn.AvgPool2d(2)))
        self.head = nn.Linear(288, 10)
        self.register_buffer("centre", torch.full((1, 1, 1, 1), 0.4))

    def forward(self, x):
        """Logits."""
        return self.head(self.body((x - self.centre) / 0.5).flatten(1))


class Perceptron(nn.Module):
    """Linear layers in a Module."""

    def __init__(self):
        super().__init__()
        self.hidden, self.norm, self.out = nn.Linear(784, 60), nn.BatchNorm1d(60), nn.Linear(60, 10)

    def forward(self, x):
        """Logits."""
        return self.out(self.norm(self.hidden(torch.flatten(x, 1))).relu())


NETWORKS = {
    "sequential: lenet": lambda: nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(256, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    "sequential: one layer": lambda: nn.Sequential(
        nn.Conv2d(1, 8, 7), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Dropout(0.3), nn.Linear(968, 10)),
    "sequential: convolution as head": lambda: nn.Sequential(
        nn.Conv2d(1, 8, 5), nn.ReLU(), nn.AvgPool2d(4), nn.Conv2d(8, 10, 6), nn.Flatten(), nn.LogSoftmax(1)),
    "module: functional": Functional,
    "module: blocks": Blocks,
    "module: perceptron": Perceptron,
    "linear: one hidden": lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 10)),
    "linear: no bias": lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 80, bias=False), nn.ReLU(),
                                             nn.Linear(80, 10, bias=False)),
    "linear: two hidden": lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 80), nn.ReLU(), nn.Linear(80, 40),
                                                nn.ReLU(), nn.Linear(40, 10), nn.Softmax(1)),
    "pools: BatchNorm": lambda: nn.Sequential(
        nn.BatchNorm2d(1), nn.Conv2d(1, 8, 5, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(1152, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 10)),
    "pools: sum, BatchNorm behind": lambda: nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.ReLU(), nn.AvgPool2d(2, divisor_override=1), nn.BatchNorm2d(6), nn.Conv2d(6, 12, 5),
        nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(192, 10)),
    "pools: mean of maps": lambda: nn.Sequential(
        nn.Conv2d(1, 8, 5), nn.BatchNorm2d(8), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(8, 24, 5), nn.BatchNorm2d(24),
        nn.ReLU(), nn.Conv2d(24, 10, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())}


def trained(make, normalised, digits, epochs, seed, path):
    """A network of this kind, trained; kept in a file."""
    torch.manual_seed(seed)
    network = make()
    if path.exists():
        network.load_state_dict(torch.load(path, weights_only=True))
        return network.eval()
    shown, labels = torch.from_numpy(inputs(digits.images, normalised)), torch.from_numpy(digits.labels.astype(int))
    optimiser = torch.optim.Adam(network.parameters(), 2e-3)
    for _ in range(epochs):
        for chosen in torch.randperm(len(labels)).split(100):
            answers = network(shown[chosen])
            if isinstance(network, nn.Sequential) and isinstance(network[-1], nn.Softmax):
                answers = torch.log(answers + 1e-9)
            optimiser.zero_grad()
            functional.cross_entropy(answers, labels[chosen]).backward()
            optimiser.step()
    torch.save(network.state_dict(), path)
    return network.eval()


def grey(images):
    """uint8 (n, H, W) as the network on the board is shown them: float32 (n, 1, H, W), 0 to 1."""
    return np.float32(images / 255.0)[:, None]


def inputs(images, normalised):
    """The same as the user's own transforms make them."""
    return np.float32((grey(images) - MEAN) / STD) if normalised else grey(images)


# ---------------------------------------------------------------- faults


@dataclass
class Case:
    """What is compared: the module's inputs, the images, and the weights that were made of it.

    Attributes
    ----------
    network : torch.nn.Module
    inputs, images : float32 array (n, C, H, W)
    units : list of Units
    model : Sequential
    normalised : bool
    """

    network: nn.Module
    inputs: np.ndarray
    images: np.ndarray
    units: list
    model: Sequential
    normalised: bool

    def judge(self):
        """The report on its units."""
        return relu.parity(self.network, self.inputs, self.images, self.units, self.model)


def conversion(network, images, normalised):
    """The Case of a network without a fault."""
    told = (MEAN, STD) if normalised else ()
    return Case(network, inputs(images, normalised), grey(images), *relu.weights_of(network, SHAPE, *told), normalised)


def _changed(case, number, **changes):
    """The case with other `kernels` or another `bias` of a layer."""
    units = list(case.units)
    units[number] = replace(units[number], **changes)
    return replace(case, units=units)


def _untold(case):
    if not case.normalised:
        return None
    return replace(case, units=relu.weights_of(case.network, SHAPE)[0])


def _biases(case):
    number = next((i for i, one in enumerate(case.units) if one.bias.any()), None)
    return None if number is None else _changed(case, number, bias=0.0 * case.units[number].bias)


def _kernel(change, chosen):
    """A fault that changes the kernels of the first layer for which ``chosen(stage)`` holds."""
    def fault(case):
        stage = next((stage for stage in case.model.stages if chosen(stage)), None)
        if stage is None:
            return None
        return _changed(case, stage.number - 1, kernels=change(case.units[stage.number - 1].kernels, stage))

    return fault


def _columns_first(kernel, _):
    units, channels, rows, columns = kernel.shape
    return np.ascontiguousarray(kernel.transpose(0, 2, 3, 1)).reshape(units, channels, rows, columns)


def _one_wrong(kernel, _):
    """One weight of the unit in the middle, by half the largest one, at the place that sees most."""
    found = kernel.copy()
    found[:, :, kernel.shape[2] // 2, kernel.shape[3] // 2] *= -1.0
    return found


def _always(_):
    return True


def _first_of(dense):
    return lambda stage: stage.number == 1 and stage.dense == dense


def _units_turned(case):
    return _changed(case, 0, kernels=np.roll(case.units[0].kernels, 1, axis=0), bias=np.roll(case.units[0].bias, 1))


def _silent(case):
    network = copy.deepcopy(case.network)
    layer = next(layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.Linear)))
    layer.bias = nn.Parameter(torch.full((len(layer.weight),), -1e4))
    told = (MEAN, STD) if case.normalised else ()
    return replace(case, network=network, units=relu.weights_of(network, SHAPE, *told)[0])


# A fault, and a word of the cause that has to be named.
UNITS = {
    "normalisation not told": (_untold, "(image - mean) / std"),
    "trained on 0 to 255": (lambda case: None if case.normalised else replace(case, inputs=case.inputs * 255),
                            "images of 0 to 255"),
    "trained on inverted images": (lambda case: None if case.normalised else replace(case, inputs=1 - case.inputs),
                                   "(image - mean) / std with mean=1, std=-1"),
    "images turned over": (lambda case: replace(case, inputs=np.ascontiguousarray(case.inputs.swapaxes(2, 3))),
                           "rows and columns are swapped"),
    "biases dropped": (_biases, "biases: unit|mean=0.1307, std=1,"),    # all that a layer without them has is the mean
    "kernels transposed": (_kernel(lambda kernel, _: kernel.swapaxes(2, 3), _first_of(False)), "swapped"),
    "kernels turned": (_kernel(lambda kernel, _: kernel[:, :, ::-1, ::-1], _first_of(False)), "half a turn"),
    "flattened columns first": (_kernel(_columns_first, lambda stage: stage.dense and stage.in_shape[0] > 1
                                        and stage.in_shape[1] > 1), "rows, columns, channels"),
    "pool sums": (_kernel(lambda kernel, stage: kernel * stage.pool.area, lambda stage: stage.pool is not None),
                  "count 0.25 times|count 0.0625 times|pool that sums"),
    "pool summed, not folded": (_kernel(lambda kernel, stage: kernel / stage.pool.area,
                                        lambda stage: stage.pool is not None), "pool that sums"),
    "scale of each unit": (_kernel(lambda kernel, _: kernel * np.linspace(0.5, 2, len(kernel))[:, None, None, None],
                                   _always), "scale and an offset of its own"),
    "units in another order": (_units_turned, "another order"),
    "a weight of every unit": (_kernel(_one_wrong, _always), "not told"),
    "silent layer": (_silent, "is silent")}


def found(case, fault, word):
    """Whether a fault is found and its cause told: two bools, and what was said; None where there is no such fault."""
    broken = fault(case)
    if broken is None:
        return None
    try:
        return False, False, str(broken.judge())
    except ParityError as error:
        return True, any(part in str(error) for part in word.split("|")), str(error)


# ---------------------------------------------------------------- behind the board's integers


class Inverted(Intensity):
    """A filter that the network was not trained on."""

    def __call__(self, images):
        """float64 (N, 1, H, W)."""
        return 1.0 - super().__call__(images)


class HalfAsOften(RegularEncoder):
    """An encoder that does not do what it says."""

    def __call__(self, values, rng=None):
        """Spikes."""
        return super().__call__(0.5 * values, rng)


TRAINING = {
    "encoder that makes fewer": ({"encoder": HalfAsOften(n_steps=40, max_rate=1.0)}, "the encoder's shown(values)"),
    "images shown too shortly": ({"encoder": RegularEncoder(n_steps=2, max_rate=1.0)}, "shown too shortly"),
    "filter inverts": ({"image_filter": Inverted()}, "mean=1, std=-1")}


def written(digits, tests, folder):
    """The digits as a data set of its own, small ones are read sooner: its directory."""
    for part, found in (("train", digits), ("test", tests)):
        datasets.save(folder, part, found.images, found.labels)
    return folder


def experiment(case, path, n_test, folder, data, **changes):
    """The recipe with a file of weights: Experiment, loaded."""
    recipe = settings.load(RECIPE)
    rule = replace(recipe.rule, weights=str(path))
    made = Experiment(replace(recipe, dataset=str(data), model=case.model, rule=rule, n_train=TRAINED_ON, n_test=n_test,
                              **changes), folder)
    made.load_data()
    return made


def of_training(case, path, folder, data):
    """Faults between the file and the spikes: dict of name to (found, told, text)."""
    told = {}
    for name, (changes, word) in TRAINING.items():
        made = experiment(case, path, 10, folder / "faults", data, **changes)
        try:
            told[name] = False, False, str(made.train_chain("convert")["parity"])
        except ParityError as error:
            told[name] = True, word in str(error), str(error)
    return told


def row(name, normalised, digits, tests, data, options):
    """A line of the table, and what went wrong with it: list of str."""
    folder = Path(options.run_dir) / f"{name.replace(': ', '-').replace(' ', '-')}-{int(normalised)}-{options.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    network = trained(NETWORKS[name], normalised, digits, options.epochs, options.seed, folder / "network.pt")
    case, path = conversion(network, digits.images[:REFERENCE], normalised), folder / "weights.npz"
    convert.save(path, case.units, relu.reference(network, case.inputs, case.images))
    report = case.judge()
    with torch.no_grad():
        answers = network(torch.from_numpy(inputs(tests.images, normalised))).argmax(1).numpy()
    made = experiment(case, path, len(tests), folder / "run", data)
    _, rates = made.train_chain("convert")["parity"]
    product = made.test().accuracy
    told = {fault: found(case, *how) for fault, how in UNITS.items()} | of_training(case, path, folder, data)
    told = {fault: result for fault, result in told.items() if result is not None}
    wrong = [f"{name}: {fault}: {text}" for fault, (seen, named, text) in told.items() if not (seen and named)]
    largest = max(row.difference for row in report.rows)
    cells = [name, "yes" if normalised else "no", f"{100 * np.mean(answers == tests.labels):.1f}",
             f"{100 * product:.1f}", f"{largest:.1g}", f"{100 * rates['agree']:.1f}",
             ", ".join(f"{one['ratio']:.2f}" for one in rates["rows"]),
             f"{sum(seen for seen, _, _ in told.values())} of {len(told)}",
             str(sum(named for _, named, _ in told.values()))]
    return "| " + " | ".join(cells) + " |", wrong


def main():
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=list(NETWORKS), help=f"of {', '.join(NETWORKS)}")
    parser.add_argument("--digits", type=int, default=12_000)
    parser.add_argument("--test", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run-dir", default="runs/parity")
    options = parser.parse_args()
    torch.set_num_threads(1)
    digits, tests = (datasets.load(str(MNIST), part) for part in ("train", "test"))
    digits, tests = digits.select(np.arange(options.digits)), tests.select(np.arange(options.test))
    data = written(digits.select(np.arange(TRAINED_ON)), tests, Path(options.run_dir) / "data")
    print("| network | Normalize | module (%) | integers (%) | largest difference of units | same answer (%) |"
          " spikes of input and layers, of their units' | faults found | causes told |\n|" + "---|" * 9)
    wrong = []
    for name in options.networks:
        for normalised in (False, True):
            line, more = row(name, normalised, digits, tests, data, options)
            print(line, flush=True)
            print(*more, sep="\n", end="\n" * bool(more), file=sys.stderr)
            wrong += more
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
