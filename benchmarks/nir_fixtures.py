"""Networks of snnTorch, in its own exporter's files and with the spikes of its own simulation: tests/exchange/fixtures.

    pip install torch snntorch nirtorch nir          # in an environment of their own
    python benchmarks/nir_fixtures.py tests/exchange/fixtures

Made with snnTorch 1.0.0, nirtorch 2.6, nir 1.0.8 and torch 2.13.0 on 29 November 2026.
"""

import sys
from pathlib import Path

import nir
import numpy as np
import snntorch as snn
import torch
from snntorch.export_nir import export_to_nir

STEPS = 100
HOW = {"init_hidden": True, "reset_mechanism": "zero", "reset_delay": False}    # v_reset, in the step of the spike


def dense():
    """20-16-5 with the neurons Leaky and Synaptic, and biases."""
    net = torch.nn.Sequential(
        torch.nn.Linear(20, 16), snn.Leaky(beta=0.9 * torch.ones(16), threshold=torch.ones(16), **HOW),
        torch.nn.Linear(16, 5, bias=False), snn.Synaptic(alpha=0.8 * torch.ones(5), beta=0.85 * torch.ones(5),
                                                         threshold=torch.ones(5), output=True, **HOW))
    with torch.no_grad():
        net[0].weight.mul_(3)
        net[2].weight.mul_(2)
    return net, (20,)


def convolution():
    """Two convolutions with padding and pooling between, as the NIR paper's for N-MNIST, of 34x34 pixels."""
    def leaky(shape):
        return snn.Leaky(beta=0.8 * torch.ones(shape), threshold=torch.ones(shape), **HOW)

    net = torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 5, stride=2, padding=1, bias=False), leaky((4, 16, 16)),
        torch.nn.Conv2d(4, 4, 3, padding=1, bias=False), leaky((4, 16, 16)), torch.nn.AvgPool2d(2),
        torch.nn.Flatten(), torch.nn.Linear(256, 10, bias=False), leaky((10,)))
    with torch.no_grad():
        for part in net:
            if hasattr(part, "weight"):
                part.weight.mul_(4 if isinstance(part, torch.nn.Conv2d) else 16)
    return net, (2, 34, 34)


def made(name, net, shape, rate, folder):
    """Write one network, its input and what its layers fire."""
    graph = export_to_nir(net, torch.zeros(1, *shape), ignore_dims=[0])
    nir.write(folder / f"{name}.nir", graph)
    shown = (torch.rand(STEPS, *shape) < rate).float()
    neurons = {str(i): part for i, part in enumerate(net) if isinstance(part, snn.SpikingNeuron)}
    fired = {i: [] for i in neurons}
    hooks = [part.register_forward_hook(lambda _, __, out, i=i: fired[i].append(
        (out[0] if isinstance(out, tuple) else out).detach().numpy()[0])) for i, part in neurons.items()]
    for part in neurons.values():
        part.reset_mem()
    with torch.no_grad():
        for step in shown:
            net(step[None])
    for hook in hooks:
        hook.remove()
    np.savez_compressed(folder / f"{name}.npz", input=np.packbits(shown.numpy().astype(bool)), shape=shape, **{
        f"spikes {i}": np.stack(parts).astype(bool) for i, parts in fired.items()})
    sys.stdout.write(f"{name}: { {i: int(np.sum(parts)) for i, parts in fired.items()} } spikes\n")


def ours():
    """A network of this package, as a file, in snnTorch: spikes of its last layer there, and how many differ."""
    from snntorch.import_nir import import_from_nir

    import spikingconvnet as scn

    rng = np.random.default_rng(0)
    spikes = scn.Spikes.from_events(np.zeros(600, int), rng.integers(0, 20, 600), rng.integers(0, STEPS, 600),
                                    (20, 1, 1), 1, STEPS + 10)
    cell = scn.IFCurrDelta(tau_m=10.0, cm=10.0, v_rest=0.0, v_reset=0.0, v=0.0, v_thresh=8.0, tau_refrac=0.0)
    weights = [np.clip(rng.integers(-256, 512, shape) / 8, -30, most) for shape, most in (
        ((16, 20, 1, 1), 30), ((5, 16, 1, 1), 60))]
    network = scn.Network(
        (scn.Population("in", (20, 1, 1), scn.SpikeSourceArray(spikes)),
         *(scn.Population(name, (n, 1, 1), cell, max_expected_summed_weight=64.0)
           for name, n in (("a", 16), ("b", 5)))),
        (scn.Projection("to a", "in", "a", scn.ConvConnections(weights[0], (20, 1, 1))),
         scn.Projection("to b", "a", "b", scn.ConvConnections(weights[1], (16, 1, 1)))))
    net, state, theirs = import_from_nir(scn.to_nir(network, graph_dt=1e-4)), None, []
    with torch.no_grad():
        for step in torch.tensor(spikes.raster()[:STEPS], dtype=torch.float32):
            out, state = net(step[None], state) if state is not None else net(step[None])
            theirs.append(np.ravel(out))
    differ = np.array(theirs) != scn.run(network).spikes["b"].raster()[2:STEPS + 2]
    sys.stdout.write(f"ours: {int(np.sum(theirs))} spikes in snnTorch, {int(differ.sum())} differ\n")


if __name__ == "__main__":
    ours()
    torch.manual_seed(0)
    for name, (network, size), share in (("dense", dense(), 0.2), ("convolution", convolution(), 0.02)):
        made(f"snntorch-{name}", network, size, share, Path(sys.argv[1]))
