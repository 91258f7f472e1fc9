"""Whole pipelines of two peers, each as its own tutorial has it.

    PYTHON benchmarks/peer_pipelines.py PEER MNIST.npz [--seed 0] [--enough 0.98 0.987] [--most 1200]

Needs numpy and the peer, not spikingconvnet. Of the file's training digits the last ``VALIDATION`` are left out, and
asked after ``CHECK`` of the others, and whenever a quarter more were shown. A line of JSON each time: how many digits
were shown, CPU seconds so far (user and system, with imports, without asking), and what share of the validation digits
is right as a spiking network. When that is `--enough` (several) the test digits are asked, once for each. It ends with
the last of them, or after `--most` CPU seconds of learning.

`sinabs`: a network of rectifying units is trained and becomes a spiking one, which sees random spikes for 100 steps
(its tutorial "Converting an ANN to an SNN"). `snntorch`: a spiking network learns by a surrogate gradient through 50
steps (its tutorial 6). Numbers of layers, steps, batches and rates are the tutorials'.
"""

import argparse
import json
import resource
import sys

import numpy as np

VALIDATION, CHECK, BATCH, ASKED_AT_ONCE = 5_000, 12_800, 128, 50


def cpu_seconds():
    """CPU seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


# ---------------------------------------------------------------- the peers


class Sinabs:
    """A convolutional network of rectifying units, converted by sinabs."""

    STEPS = 100

    def __init__(self, torch):
        from torch import nn

        self.torch = torch
        self.ann = nn.Sequential(
            nn.Conv2d(1, 20, 5, bias=False), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(20, 32, 5, bias=False), nn.ReLU(),
            nn.AvgPool2d(2), nn.Conv2d(32, 128, 3, bias=False), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(),
            nn.Linear(128, 500, bias=False), nn.ReLU(), nn.Linear(500, 10, bias=False))
        self.optimiser = torch.optim.Adam(self.ann.parameters(), lr=1e-3)

    def learn(self, images, labels):
        """One batch."""
        loss = self.torch.nn.functional.cross_entropy(self.ann(images), labels)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()

    def classes(self, images):
        """What the spiking network answers."""
        from sinabs.from_torch import from_model

        spiking = from_model(self.ann, input_shape=(1, 28, 28), add_spiking_output=True, batch_size=len(images))
        drawn = self.torch.rand(len(images), self.STEPS, *images.shape[1:])
        spikes = (drawn < images[:, None]).float().flatten(0, 1)
        return spiking(spikes).unflatten(0, (len(images), self.STEPS)).sum(1).argmax(1)


class SnnTorch:
    """A convolutional network of leaky neurons."""

    STEPS = 50

    def __init__(self, torch):
        import snntorch
        from snntorch import functional, surrogate
        from torch import nn

        def leaky(**more):
            return snntorch.Leaky(beta=0.5, spike_grad=surrogate.fast_sigmoid(slope=25), init_hidden=True, **more)

        self.torch, self.loss = torch, functional.ce_rate_loss()
        self.net = nn.Sequential(nn.Conv2d(1, 12, 5), nn.MaxPool2d(2), leaky(), nn.Conv2d(12, 64, 5), nn.MaxPool2d(2),
                                 leaky(), nn.Flatten(), nn.Linear(1024, 10), leaky(output=True))
        self.optimiser = torch.optim.Adam(self.net.parameters(), lr=1e-2, betas=(0.9, 0.999))

    def _spikes(self, images):
        from snntorch import utils

        utils.reset(self.net)
        return self.torch.stack([self.net(images)[0] for _ in range(self.STEPS)])

    def learn(self, images, labels):
        """One batch."""
        loss = self.loss(self._spikes(images), labels)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()

    def classes(self, images):
        """What it answers."""
        return self._spikes(images).sum(0).argmax(1)


PEERS = {"sinabs": Sinabs, "snntorch": SnnTorch}


# ---------------------------------------------------------------- one run


def asked(peer, torch, images, labels):
    """Share of images that is right, and CPU seconds that asking took."""
    begin, right = cpu_seconds(), 0
    with torch.no_grad():
        for first in range(0, len(images), ASKED_AT_ONCE):
            part = slice(first, first + ASKED_AT_ONCE)
            right += int((peer.classes(images[part]) == labels[part]).sum())
    return right / len(images), cpu_seconds() - begin


def run(name, digits, seed, enough, most, tell):
    """Train until enough of the validation digits are right; ``tell`` is given a dict each time."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    images = {part: torch.from_numpy(digits[f"x_{part}"]).float()[:, None] / 255.0 for part in ("train", "test")}
    labels = {part: torch.from_numpy(digits[f"y_{part}"].astype(np.int64)) for part in ("train", "test")}
    n, shown, aside = len(images["train"]) - VALIDATION, 0, 0.0
    peer, order = PEERS[name](torch), torch.randperm(n)
    wanted = sorted(enough)
    while wanted and cpu_seconds() - aside < most:
        for _ in range(max(CHECK, shown // 4) // BATCH):
            if len(order) < BATCH:
                order = torch.randperm(n)
            chosen, order = order[:BATCH], order[BATCH:]
            peer.learn(images["train"][chosen], labels["train"][chosen])
            shown += BATCH
        told = {"shown": shown, "cpu_seconds": round(cpu_seconds() - aside, 1)}
        right, took = asked(peer, torch, images["train"][n:], labels["train"][n:])
        aside += took
        told["validation"] = right
        if right >= wanted[0] or told["cpu_seconds"] >= most:
            told["test"], took = asked(peer, torch, images["test"], labels["test"])
            told["cpu_seconds_of_test"] = round(took, 1)
            aside += took
        tell(told)
        while wanted and right >= wanted[0]:
            wanted.pop(0)


def main(args=None):
    """Print a line of JSON after every part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("digits", help=".npz of x_train, y_train, x_test, y_test")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--enough", type=float, nargs="+", default=[0.98, 0.987])
    parser.add_argument("--most", type=float, default=1200.0)
    options = parser.parse_args(args)
    with np.load(options.digits) as file:
        digits = {part: file[part] for part in file.files}
    run(options.peer, digits, options.seed, options.enough, options.most,
        lambda told: print(json.dumps(told), file=sys.stdout, flush=True))


if __name__ == "__main__":
    main()
