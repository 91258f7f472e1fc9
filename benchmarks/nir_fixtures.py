"""Networks of other frameworks, in their own exporters' files and with what their own simulation gives.

    pip install torch snntorch nirtorch nir          # an environment
    python benchmarks/nir_fixtures.py snntorch tests/exchange/fixtures
    pip install torch norse sinabs nir==1.0.4        # another one, in which both take nirtorch 2.0.2
    python benchmarks/nir_fixtures.py norse tests/exchange/fixtures
    python benchmarks/nir_fixtures.py sinabs tests/exchange/fixtures
    pip install torch spikingjelly nirtorch nir      # and one more
    python benchmarks/nir_fixtures.py spikingjelly tests/exchange/fixtures

Made on 29 November 2026 with torch 2.13.0 and snnTorch 1.0.0 or SpikingJelly 2.0.0, nirtorch 2.6, nir 1.0.8; Norse
1.1.0, sinabs 3.1.3, nirtorch 2.0.2, nir 1.0.4. All but sinabs also run a network of this package, whose imports they
need for it.
"""

import sys
from pathlib import Path

import nir
import numpy as np
import torch

STEPS = 100


def keep(folder, name, graph, shown, given):
    """Write one graph, its input (steps, *shape), and by node what its neurons fired, or their membranes."""
    nir.write(folder / f"{name}.nir", graph)
    fired = {f"spikes {i}": one.astype(bool) for i, one in given.items() if set(np.unique(one)) <= {0.0, 1.0}}
    membranes = {f"membranes {i}": one for i, one in given.items() if f"spikes {i}" not in fired}
    np.savez_compressed(folder / f"{name}.npz", input=np.packbits(shown.numpy().astype(bool)), shape=shown.shape[1:],
                        **fired, **membranes)
    sys.stdout.write(f"{name}: { {i: int(one.sum()) for i, one in fired.items()} }, {list(membranes)}\n")


def watched(neurons, run, *words):
    """What neurons, a dict of modules, give while ``run(*words)`` goes on: dict of array (steps, *shape)."""
    given = {name: [] for name in neurons}
    hooks = [part.register_forward_hook(lambda _, __, out, i=name: given[i].append(
        (out[0] if isinstance(out, tuple) else out).detach().to_dense().numpy())) for name, part in neurons.items()]
    with torch.no_grad():
        run(*words)
    for hook in hooks:
        hook.remove()
    return {name: np.concatenate(parts) for name, parts in given.items()}


def scaled(net, *factors):
    """The network with the weights of its layers multiplied, one factor each."""
    with torch.no_grad():
        for layer, factor in zip([part for part in net.modules() if hasattr(part, "weight")], factors, strict=True):
            layer.weight.mul_(factor)
    return net


def snntorch(folder):
    """Leaky and Synaptic neurons, and two convolutions as the NIR paper's for N-MNIST, of 34x34 pixels."""
    import snntorch as snn
    from snntorch.export_nir import export_to_nir
    from snntorch.import_nir import import_from_nir

    how = {"init_hidden": True, "reset_mechanism": "zero", "reset_delay": False}    # v_reset, in the step of the spike

    def leaky(shape, beta):
        return snn.Leaky(beta=beta * torch.ones(shape), threshold=torch.ones(shape), **how)

    dense = scaled(torch.nn.Sequential(
        torch.nn.Linear(20, 16), leaky(16, 0.9), torch.nn.Linear(16, 5, bias=False), snn.Synaptic(
            alpha=0.8 * torch.ones(5), beta=0.85 * torch.ones(5), threshold=torch.ones(5), output=True, **how)), 3, 2)
    convolution = scaled(torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 5, stride=2, padding=1, bias=False), leaky((4, 16, 16), 0.8),
        torch.nn.Conv2d(4, 4, 3, padding=1, bias=False), leaky((4, 16, 16), 0.8), torch.nn.AvgPool2d(2),
        torch.nn.Flatten(), torch.nn.Linear(256, 10, bias=False), leaky((10,), 0.8)), 4, 4, 16)
    for name, net, shape, rate in (("dense", dense, (20,), 0.2), ("convolution", convolution, (2, 34, 34), 0.02)):
        graph = export_to_nir(net, torch.zeros(1, *shape), ignore_dims=[0])
        shown = (torch.rand(STEPS, *shape) < rate).float()
        neurons = {str(i): part for i, part in enumerate(net) if isinstance(part, snn.SpikingNeuron)}
        for part in neurons.values():
            part.reset_mem()
        keep(folder, f"snntorch-{name}", graph, shown, watched(neurons, each, net, shown))
    ours("snnTorch", import_from_nir, graph_dt=1e-4)


def norse(folder):
    """LIFBox, IAF and LIBox cells; LIF cells with synapses, which Norse exports without their w_in."""
    import norse.torch as nt

    def lif(n):
        return nt.LIFCell(p=nt.LIFParameters(
            tau_syn_inv=torch.full((n,), 200.0), tau_mem_inv=torch.full((n,), 100.0), v_leak=torch.zeros(n),
            v_th=torch.ones(n), v_reset=torch.zeros(n)))

    box = nt.LIFBoxCell(p=nt.LIFBoxParameters(
        tau_mem_inv=torch.full((16,), 100.0), v_th=torch.ones(16), v_leak=torch.full((16,), 0.1)))
    dense = scaled(nt.SequentialState(
        torch.nn.Linear(20, 16), box, torch.nn.Linear(16, 8), nt.IAFCell(p=nt.IAFParameters(v_th=torch.ones(8))),
        torch.nn.Linear(8, 5), nt.LIBoxCell(p=nt.LIBoxParameters(
            tau_mem_inv=torch.full((5,), 50.0), v_leak=torch.zeros(5)))), 24, 4, 4)
    cuba = scaled(nt.SequentialState(
        torch.nn.Linear(20, 16, bias=False), lif(16), torch.nn.Linear(16, 5, bias=False), lif(5)), 6, 6)
    for name, net in (("dense", dense), ("cuba", cuba)):
        graph = nt.to_nir(net, torch.zeros(1, 20), dt=1000)     # tau = dt / tau_mem_inv: so many of its steps of 1 ms
        shown = (torch.rand(STEPS, 20) < 0.2).float()
        neurons = {str(i): part for i, part in enumerate(net) if type(part).__name__.endswith("Cell")}
        keep(folder, f"norse-{name}", graph, shown, watched(neurons, stepped, net, shown))
    ours("Norse", nt.from_nir)


def sinabs(folder):
    """Convolutions, sums as pooling, neurons that are reset to 0: IAF and LIF, and an ExpLeak that is read."""
    import sinabs.layers as sl
    from sinabs.activation import MembraneReset, SingleSpike
    from sinabs.nir import to_nir

    how = {"num_timesteps": STEPS, "spike_fn": SingleSpike, "reset_fn": MembraneReset()}
    net = scaled(torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 5, stride=2, padding=1), sl.IAFSqueeze(**how), sl.SumPool2d(2),
        torch.nn.Conv2d(4, 4, 3, padding=1), sl.LIFSqueeze(
            tau_mem=torch.full((4, 3, 3), 5.0), spike_threshold=torch.ones(4, 3, 3), norm_input=True, **how),
        torch.nn.Flatten(), torch.nn.Linear(36, 10), sl.IAFSqueeze(**how), torch.nn.Linear(10, 3),
        sl.ExpLeakSqueeze(tau_mem=torch.full((3,), 8.0), num_timesteps=STEPS, norm_input=True)), 3, 9, 3, 2)
    shown = (torch.rand(STEPS, 2, 15, 15) < 0.03).float()
    net(shown)                                                  # which makes the states that the exporter looks at
    graph = to_nir(net, shown)
    graph.infer_types()                                         # sizes of convolutions, without which nir writes none
    neurons = {str(i): part for i, part in enumerate(net) if type(part).__name__.endswith("Squeeze")}
    for part in neurons.values():
        part.reset_states()
    keep(folder, "sinabs-convolution", graph, shown, watched(neurons, net, shown))


def spikingjelly(folder):
    """A convolution of 34x34 pixels and pooling; LIF, CUBALIF and IF nodes."""
    from spikingjelly.activation_based import functional, layer, neuron
    from spikingjelly.activation_based.nir_exchange import export_to_nir, import_from_nir

    net = scaled(torch.nn.Sequential(
        layer.Conv2d(2, 4, 5, stride=2, padding=1, bias=False), neuron.LIFNode(tau=5.0, decay_input=True),
        layer.AvgPool2d(2), layer.Flatten(), layer.Linear(256, 10, bias=False),
        neuron.CUBALIFNode(c_decay=0.7, v_decay=0.9), layer.Linear(10, 5), neuron.IFNode()), 24, 10, 2)
    shown = (torch.rand(STEPS, 2, 34, 34) < 0.02).float()
    graph = export_to_nir(net, torch.zeros(1, 2, 34, 34), dt=1e-3)
    functional.reset_net(net)
    neurons = {f"_{i}": part for i, part in enumerate(net) if isinstance(part, neuron.BaseNode)}    # names of nodes
    keep(folder, "spikingjelly-convolution", graph, shown, watched(neurons, each, net, shown))
    ours("SpikingJelly", lambda graph: import_from_nir(graph, dt=1e-3))


def each(net, shown):
    """Show a network that keeps its own state step by step."""
    for one in shown:
        net(one[None])


def stepped(net, shown):
    """What a network gives, step by step, whose state is handed on: array (steps, neurons)."""
    state, given = None, []
    with torch.no_grad():
        for one in shown:
            out, state = net(one[None], state) if state is not None else net(one[None])
            given.append(np.ravel(out.to_dense()))
    return np.array(given)


def ours(framework, load, **how):
    """A network of this package, as a file, elsewhere: spikes of its last layer there, and how many differ."""
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
        (scn.Projection("to a", "in", "a", scn.network.ConvConnections(weights[0], (20, 1, 1))),
         scn.Projection("to b", "a", "b", scn.network.ConvConnections(weights[1], (16, 1, 1)))))
    graph = network.to_nir(**how)
    theirs = stepped(load(graph), torch.tensor(spikes.raster()[:STEPS], dtype=torch.float32))
    differ = theirs != scn.run(network).spikes["b"].raster()[2:STEPS + 2]
    sys.stdout.write(f"ours: {int(np.sum(theirs))} spikes in {framework}, {int(differ.sum())} differ\n")


if __name__ == "__main__":
    torch.manual_seed(0)
    made = {one.__name__: one for one in (snntorch, norse, sinabs, spikingjelly)}
    made[sys.argv[1]](Path(sys.argv[2]))
