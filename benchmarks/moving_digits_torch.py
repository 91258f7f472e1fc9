"""Moving digits by a network of torch: trained on counts of events, converted, tested with the events in time.

    python benchmarks/moving_digits_torch.py [--train N] [--test N] [--folder DIR] [--validate] [--board N]

The events are those of ``moving_digits.py``. A convolutional network is trained on how many events of each polarity
every pixel has, as frames of tonic's ToImage count them, and exported. ``--mode convert`` makes a parameters file of
it, and the spiking network is shown the events of the test digits as they come. --validate tests with the last training
digits and leaves the test file closed; --board shows the first test digits once more on the emulated board.
"""

import argparse
import json
import time
from pathlib import Path

import moving_digits
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from spikingconvnet import EventBins, Experiment, backends, load_settings
from spikingconvnet.cli.main import main as command_line
from spikingconvnet.data import datasets, sources

SIDE, EPOCHS, BATCH = moving_digits.SIDE, 12, 64
PACKETS = 4096                      # that a core of the board holds: all maps may fire in one step
COUNTS = EventBins(size=(SIDE, SIDE), n_steps=moving_digits.N_STEPS, once=False)


def network():
    """12 maps of 5x5, 32 of 5x5, a Dense layer; 2x34x34 counts."""
    return nn.Sequential(nn.Conv2d(2, 12, 5), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(12, 32, 5), nn.ReLU(),
                         nn.AvgPool2d(2), nn.Flatten(), nn.Dropout(0.3), nn.Linear(800, 10))


def trained(events, seed):
    """A network that has learned from an EventSet."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    made, images = network(), torch.from_numpy(COUNTS.values(events))
    labels, steps = torch.from_numpy(events.labels.astype(np.int64)), EPOCHS * -(-len(events) // BATCH)
    optimiser = torch.optim.Adam(made.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps + 1)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(images)).split(BATCH):
            optimiser.zero_grad()
            functional.cross_entropy(made(images[chosen]), labels[chosen]).backward()
            optimiser.step()
            schedule.step()
    return made.eval()


def answers(made, events):
    """What a network of torch answers to an EventSet: int array (n,)."""
    with torch.no_grad():
        return torch.cat([made(part) for part in torch.from_numpy(COUNTS.values(events)).split(500)]).argmax(1).numpy()


def converted(made, source, folder):
    """The experiment that ``--mode convert`` has written of a network, trained."""
    for kind in (".py", ".npz"):
        (folder / f"converted{kind}").unlink(missing_ok=True)
    shown = torch.rand(2, *COUNTS.shape)
    torch.export.save(torch.export.export(made, (shown,), dynamic_shapes=({0: torch.export.Dim("n")},)),
                      folder / "network.pt2")
    path = folder / "converted.py"
    assert command_line(["--mode", "convert", str(folder / "network.pt2"), str(path), "--source", str(source),
                         "--scale", "1", "--set", f"ENCODER.n_steps={moving_digits.N_STEPS}"]) == 0
    experiment = Experiment(load_settings(path), folder / "converted")
    experiment.load_data()
    experiment.train_chain()
    return experiment


def on_board(experiment, n):
    """Spikes of each layer for the first `n` test samples, and whether the emulated board fires the same."""
    stages = experiment.model.stages
    chain = experiment.network(len(stages), experiment.data("test")["spikes"].samples(0, n))
    local, board = (backends.run(chain, backend=name, **options).spikes for name, options in (
        ("local", {}), ("spinnaker", {"target": "emulated", "packet_buffer": PACKETS})))
    return {stage.label: (local[stage.label].n_events, local[stage.label] == board[stage.label]) for stage in stages}


def main(args=None):
    """Print accuracies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, default=6_000)
    parser.add_argument("--test", type=int, default=2_000)
    parser.add_argument("--folder", type=Path, default=Path("runs/moving-digits-torch"))
    parser.add_argument("--validate", action="store_true")
    parser.add_argument("--board", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(args)
    digits = datasets.load(str(moving_digits.MNIST), "train")
    train = digits.select(np.arange(options.train))
    test = (digits.select(np.arange(len(digits) - options.test, len(digits))) if options.validate
            else datasets.load(str(moving_digits.MNIST), "test").select(np.arange(options.test)))
    options.folder.mkdir(parents=True, exist_ok=True)
    source = options.folder / "events.npz"
    moving_digits.write(source, [(part.images, part.labels) for part in (train, test)])
    events, begin = sources.load(source), time.process_time()
    made = trained(events.train, options.seed)
    print(f"training: {time.process_time() - begin:.0f} s of CPU", flush=True)
    begin, experiment = time.process_time(), converted(made, source, options.folder)
    own, answered = answers(made, events.test), experiment.answers("test")
    spiking = answered["units"][:, -1]
    print(f"conversion and test: {time.process_time() - begin:.0f} s of CPU")
    print(json.dumps({"samples": len(own), "network (%)": 100 * np.mean(own == events.test.labels),
                      "spikes (%)": 100 * np.mean(spiking == events.test.labels),
                      "same answer (%)": 100 * np.mean(own == spiking),
                      "spikes a sample": answered["spikes"].mean(axis=0).round().tolist()}), flush=True)
    if options.board:
        print(f"emulated board, {options.board} samples, spikes and whether they are the same:",
              on_board(experiment, options.board))


if __name__ == "__main__":
    main()
