"""The peers of ``engine.py``, each as its own users would write it: ``PYTHON benchmarks/peers.py PEER JOB.npz``.

Needs numpy and the peer, not spikingconvnet. Prints user CPU seconds of the run alone and its output spikes as JSON.
What a peer compiles stays beside the job, for the next call. Potentials are relative to rest. A peer without synaptic
currents gets an input's whole charge, ``w tau_syn``, at once.
"""

import json
import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np

BATCH = 16              # images at a time; with 1, 4 and 48 torch was slower or equal

# Fast mathematics when linking, too, flushes denormals to 0: neurons without input have them, and are 10 times slower.
GENN_CXX = os.environ.get("GENN_CXX", "g++ -march=native -ffast-math")


@dataclass(frozen=True)
class Peer:
    """What a peer imports, how it is had, how many samples of a kind of job it is given, what it does not compute."""

    modules: tuple
    install: str
    sizes: dict
    lacks: str


def user_seconds():
    """User CPU seconds of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


def timed(run):
    """User CPU seconds of a call, and what it returned."""
    begin = user_seconds()
    found = run()
    return user_seconds() - begin, found


# ---------------------------------------------------------------- the job


def load(path):
    """The job that ``engine.write`` wrote, its numbers as Python's own."""
    with np.load(path) as file:
        job = SimpleNamespace(**{name: file[name] if file[name].ndim else file[name].item() for name in file.files})
    job.convolves, job.total = job.weights.ndim == 4, job.samples * job.steps
    job.times, job.built = job.sample * job.steps + job.step, Path(path).with_suffix(".built")
    job.built.mkdir(exist_ok=True)
    job.outputs = job.weights.shape[0] * (job.side - job.weights.shape[2] + 1) ** 2 if job.convolves else len(
        job.weights.T)
    return job


def synapses(job):
    """Sources, targets and weights of all synapses: three arrays."""
    if not job.convolves:
        pre, post = np.indices(job.weights.shape).reshape(2, -1)
        return pre, post, job.weights.ravel()
    maps, _, kernel, _ = job.weights.shape
    out = job.side - kernel + 1
    k, row, column, y, x = np.indices((maps, out, out, kernel, kernel)).reshape(5, -1)
    return (row + y) * job.side + column + x, (k * out + row) * out + column, job.weights[k, 0, y, x]


def trains(job):
    """Input spike times (ms), an array for each source."""
    order = np.argsort(job.neuron, kind="stable")
    return np.split(job.times[order], np.cumsum(np.bincount(job.neuron, minlength=job.inputs))[:-1])


def raster(job):
    """Input spikes as 0 and 1: float32 array (samples, steps, 1, side, side)."""
    dense = np.zeros((job.samples, job.steps, job.inputs), np.float32)
    dense[job.sample, job.step, job.neuron] = 1
    return dense.reshape(job.samples, job.steps, 1, job.side, job.side)


# ---------------------------------------------------------------- simulators


def nest(job):
    """PyNN on NEST, on_grid, one long run."""
    import pyNN.nest as sim

    sim.setup(timestep=1.0, min_delay=1.0, max_delay=2.0, spike_precision="on_grid", threads=1)
    source = sim.Population(job.inputs, sim.SpikeSourceArray(
        spike_times=[(times + 2.0).tolist() for times in trains(job)]))                  # 0 and 1 are refused
    output = sim.Population(job.outputs, sim.IF_curr_exp(
        tau_m=job.tau_m, cm=job.cm, v_rest=0.0, v_reset=0.0, v_thresh=job.threshold, tau_syn_E=job.tau_e,
        tau_syn_I=job.tau_i, tau_refrac=job.refractory), initial_values={"v": 0.0})
    output.record("spikes")
    synapse = sim.StaticSynapse(weight=0.5, delay=1.0)
    if not job.convolves:
        synapse = sim.STDPMechanism(
            timing_dependence=sim.SpikePairRule(tau_plus=job.tau_plus, tau_minus=job.tau_minus, A_plus=job.a_plus,
                                                A_minus=job.a_minus),
            weight_dependence=sim.AdditiveWeightDependence(w_min=0.0, w_max=job.w_max), weight=0.5, delay=1.0)
        sim.Projection(output, output, sim.AllToAllConnector(allow_self_connections=False),
                       sim.StaticSynapse(weight=-job.inhibition, delay=1.0), receptor_type="inhibitory")
    rows = [(*row, 1.0) for row in zip(*(part.tolist() for part in synapses(job)))]
    sim.Projection(source, output, sim.FromListConnector(rows), synapse, receptor_type="excitatory")
    sim.run(1.0)                                                     # NEST allocates its tables at the first run
    seconds, _ = timed(lambda: sim.run(float(job.total)))
    return seconds, int(sum(output.get_spike_counts().values()))


def genn(job):
    """GeNN on a CPU: its own LIF, ExpCurr, Conv2D (Toeplitz) and STDP; compiled with optimize_code."""
    import pygenn

    os.environ["CXX"] = GENN_CXX

    model = pygenn.GeNNModel("float", "job", backend="single_threaded_cpu", optimize_code=True)
    model.dt = 1.0
    times = trains(job)
    ends = np.cumsum([len(part) for part in times])
    source = model.add_neuron_population("source", job.inputs, "SpikeSourceArray", {},
                                         {"startSpike": ends - [len(part) for part in times], "endSpike": ends})
    source.extra_global_params["spikeTimes"].set_init_values(np.concatenate(times))
    output = model.add_neuron_population("output", job.outputs, "LIF", {
        "C": job.cm, "TauM": job.tau_m, "Vrest": 0.0, "Vreset": 0.0, "Vthresh": job.threshold, "Ioffset": 0.0,
        "TauRefrac": job.refractory}, {"V": 0.0, "RefracTime": 0.0})
    output.spike_recording_enabled = True
    excites = pygenn.init_postsynaptic("ExpCurr", {"tau": job.tau_e})
    if job.convolves:
        maps, _, kernel, _ = job.weights.shape
        sizes = {"conv_kh": kernel, "conv_kw": kernel, "conv_ih": job.side, "conv_iw": job.side, "conv_ic": 1,
                 "conv_oh": job.side - kernel + 1, "conv_ow": job.side - kernel + 1, "conv_oc": maps}
        model.add_synapse_population(
            "kernels", "TOEPLITZ", source, output, pygenn.init_weight_update(
                "StaticPulse", {}, {"g": job.weights.transpose(2, 3, 1, 0).ravel()}), excites,
            pygenn.init_toeplitz_connectivity("Conv2D", sizes))
    else:
        rule = {"tauPlus": job.tau_plus, "tauMinus": job.tau_minus, "Aplus": job.a_plus, "Aminus": job.a_minus,
                "Wmin": 0.0, "Wmax": job.w_max}
        model.add_synapse_population("kernels", "DENSE", source, output, pygenn.init_weight_update(
            "STDP", rule, {"g": job.weights.ravel()}), excites)
        others = -job.inhibition * (1 - np.eye(job.outputs))
        model.add_synapse_population("lateral", "DENSE", output, output, pygenn.init_weight_update(
            "StaticPulse", {}, {"g": others.ravel()}), pygenn.init_postsynaptic("ExpCurr", {"tau": job.tau_i}))
    model.build(path_to_model=str(job.built))
    model.load(num_recording_timesteps=job.total + 1)            # a spike moves on in the step after its own

    def run():
        while model.timestep <= job.total:
            model.step_time()
        model.pull_recording_buffers_from_device()

    seconds, _ = timed(run)
    return seconds, len(output.spike_recording_data[0][0])


def brian2(job):
    """Brian 2 as a program in C++; the seconds are those of its network alone, as the program itself counts them."""
    import brian2 as b2

    b2.set_device("cpp_standalone", directory=None, build_on_run=False)
    b2.defaultclock.dt = 1 * b2.ms
    b2.prefs.devices.cpp_standalone.extra_make_args_unix = ["-j1"]
    source = b2.SpikeGeneratorGroup(job.inputs, job.neuron, job.times * b2.ms)
    names = {"tau_m": job.tau_m * b2.ms, "tau_e": job.tau_e * b2.ms, "tau_i": job.tau_i * b2.ms,
             "R": job.tau_m / job.cm, "threshold": job.threshold}
    current, inhibitory = ("ge", "") if job.convolves else ("(ge - gi)", "dgi/dt = -gi/tau_i : 1")
    output = b2.NeuronGroup(job.outputs, f"""dv/dt = (R*{current} - v)/tau_m : 1 (unless refractory)
        dge/dt = -ge/tau_e : 1
        {inhibitory}""", threshold="v >= threshold", reset="v = 0", refractory=job.refractory * b2.ms,
                            method="exact", namespace=names)
    pre, post, weights = synapses(job)
    if job.convolves:
        kernels = b2.Synapses(source, output, "w : 1", on_pre="ge_post += w")
        parts = [kernels]
    else:
        rule = {"tau_plus": job.tau_plus * b2.ms, "tau_minus": job.tau_minus * b2.ms, "A_plus": job.a_plus,
                "A_minus": job.a_minus, "w_max": job.w_max}
        kernels = b2.Synapses(
            source, output, """w : 1
            dapre/dt = -apre/tau_plus : 1 (event-driven)
            dapost/dt = -apost/tau_minus : 1 (event-driven)""",
            on_pre="""ge_post += w
            apre += A_plus
            w = clip(w - apost, 0, w_max)""",
            on_post="""apost += A_minus
            w = clip(w + apre, 0, w_max)""", namespace=rule)
        lateral = b2.Synapses(output, output, on_pre="gi_post += inhibition",
                              namespace={"inhibition": job.inhibition})
        lateral.connect(condition="i != j")
        parts = [kernels, lateral]
    kernels.connect(i=pre, j=post)
    kernels.w = weights
    for part in parts:
        part.pre.delay = 1 * b2.ms
    spikes = b2.SpikeMonitor(output, record=False)
    clock = 'std::cout << "clock " << std::clock() << std::endl;'
    b2.device.insert_code("before_network_run", clock)
    b2.device.insert_code("after_network_run", clock)
    b2.Network(source, output, *parts, spikes).run(job.total * b2.ms)
    b2.device.build(directory=str(job.built), compile=True, run=False)
    b2.device.run(with_output=False)
    lines = (Path(b2.device.results_dir) / "stdout.txt").read_text().splitlines()
    begin, end = (int(line.split()[1]) for line in lines if line.startswith("clock "))
    return (end - begin) / 1e6, int(spikes.num_spikes)


# ---------------------------------------------------------------- torch and its libraries: convolutions only


def dense(job, steps_of, batch=BATCH):
    """Run ``steps_of(layer, scale)(frames (steps, batch, 1, side, side))``, which returns output spikes.

    `layer` is torch's convolution; an input's charge lifts a membrane by `scale` times its weight, in thresholds.
    """
    import torch

    torch.set_num_threads(1)
    maps, _, kernel, _ = job.weights.shape
    with torch.inference_mode():
        layer = torch.nn.Conv2d(1, maps, kernel, bias=False)
        layer.weight.copy_(torch.from_numpy(job.weights))
        forward, frames = steps_of(layer), torch.from_numpy(raster(job))
        parts = [part.transpose(0, 1).contiguous() for part in frames.split(batch)]
        forward(parts[0])
        return timed(lambda: sum(int(forward(part).sum()) for part in parts))


def scaled(layer, factor):
    """The layer with its weights times `factor`."""
    layer.weight.mul_(factor)
    return layer


def charge(job):
    """Thresholds by which an input of weight 1 lifts a membrane without leak."""
    return job.tau_e / job.cm / job.threshold


def torch_by_hand(job):
    """The same neurons in torch: leak, synaptic current, one step of refractory time."""
    import torch

    keeps, decays = np.exp(-1 / job.tau_m), np.exp(-1 / job.tau_e)

    def steps_of(layer):
        scaled(layer, job.tau_e * (1 - decays) * job.tau_m / job.cm * (1 - keeps) / job.threshold)

        def forward(frames):
            inputs = layer(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
            v, current = torch.zeros_like(inputs[0]), torch.zeros_like(inputs[0])
            fired, counts = torch.zeros_like(v, dtype=torch.bool), torch.zeros_like(v)
            for now in inputs:
                current.add_(now)
                v.mul_(keeps).add_(current).masked_fill_(fired, 0.0)
                current.mul_(decays)
                fired = v >= 1.0
                v.masked_fill_(fired, 0.0)
                counts.add_(fired)
            return counts

        return forward

    return dense(job, steps_of)


def torch_plain(job):
    """The plainest leaky neuron in torch: no current, no refractory time."""
    import torch

    def steps_of(layer):
        scaled(layer, charge(job))

        def forward(frames):
            inputs = layer(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
            v, counts = torch.zeros_like(inputs[0]), torch.zeros_like(inputs[0])
            for now in inputs:
                v.mul_(np.exp(-1 / job.tau_m)).add_(now)
                fired = v >= 1.0
                v.masked_fill_(fired, 0.0)
                counts.add_(fired)
            return counts

        return forward

    return dense(job, steps_of)


def norse(job):
    """Norse's LIFCell, which has a synaptic current, behind a convolution, step by step."""
    import torch
    from norse.torch import LIFCell, LIFParameters, SequentialState

    def steps_of(layer):
        scaled(layer, charge(job) * job.tau_m / job.tau_e)            # its current counts in thresholds
        cell = LIFCell(LIFParameters(tau_syn_inv=torch.tensor(1000 / job.tau_e),
                                     tau_mem_inv=torch.tensor(1000 / job.tau_m)))
        network = SequentialState(layer, cell)

        def forward(frames):
            state, spikes = None, []
            for frame in frames:
                fired, state = network(frame, state)
                spikes.append(fired)
            return torch.stack(spikes)

        return forward

    return dense(job, steps_of)


def snntorch(job):
    """snnTorch's Leaky behind a convolution, step by step."""
    import snntorch
    import torch

    def steps_of(layer):
        scaled(layer, charge(job))
        cell = snntorch.Leaky(beta=float(np.exp(-1 / job.tau_m)), threshold=1.0, reset_mechanism="zero")

        def forward(frames):
            membrane, spikes = cell.init_leaky(), []
            for frame in frames:
                fired, membrane = cell(layer(frame), membrane)
                spikes.append(fired)
            return torch.stack(spikes)

        return forward

    return dense(job, steps_of)


def spikingjelly(job):
    """The LIFNode of spikingjelly in its multi-step mode."""
    import torch
    from spikingjelly.activation_based import functional, neuron
    from spikingjelly.activation_based import layer as layers

    def steps_of(layer):
        convolution = layers.Conv2d(1, layer.out_channels, layer.kernel_size, bias=False, step_mode="m")
        convolution.weight.copy_(scaled(layer, charge(job)).weight)
        cell = neuron.LIFNode(tau=1 / (1 - np.exp(-1 / job.tau_m)), decay_input=False, v_threshold=1.0, v_reset=0.0,
                              step_mode="m")
        network = torch.nn.Sequential(convolution, cell).eval()

        def forward(frames):
            functional.reset_net(network)
            return network(frames)

        return forward

    return dense(job, steps_of)


def sinabs(job):
    """The LIFSqueeze of sinabs behind a convolution."""
    import sinabs.layers
    import torch
    from sinabs.activation import MembraneReset, SingleSpike

    def steps_of(layer):
        network = torch.nn.Sequential(scaled(layer, charge(job)), sinabs.layers.LIFSqueeze(
            num_timesteps=job.steps, tau_mem=job.tau_m, spike_threshold=1.0, spike_fn=SingleSpike,
            reset_fn=MembraneReset(), norm_input=False))

        def forward(frames):
            network[1].reset_states()
            return network(frames.transpose(0, 1).flatten(0, 1))

        return forward

    return dense(job, steps_of)


def bindsnet(job):
    """BindsNET: LIFNodes; a Conv2dConnection in batches, or PostPre and a recurrent connection in one long run."""
    import torch
    from bindsnet.learning import PostPre
    from bindsnet.network import Network
    from bindsnet.network.monitors import Monitor
    from bindsnet.network.nodes import Input, LIFNodes
    from bindsnet.network.topology import Connection, Conv2dConnection

    torch.set_num_threads(1)
    cells = {"thresh": job.threshold, "rest": 0.0, "reset": 0.0, "refrac": int(job.refractory), "tc_decay": job.tau_m}
    lift = job.tau_e / job.cm
    if job.convolves:
        maps, _, kernel, _ = job.weights.shape
        out = job.side - kernel + 1
        network, steps = Network(dt=1.0, batch_size=BATCH, learning=False), job.steps
        source, output = Input(shape=(1, job.side, job.side)), LIFNodes(shape=(maps, out, out), **cells)
        connections = {("X", "Y"): Conv2dConnection(source, output, kernel_size=kernel,
                                                    w=torch.from_numpy(job.weights * lift).float())}
        parts = [part.transpose(0, 1).contiguous() for part in torch.from_numpy(raster(job)).split(BATCH)]
    else:
        network, steps = Network(dt=1.0), job.total
        source = Input(n=job.inputs, traces=True, traces_additive=True, tc_trace=job.tau_plus)
        output = LIFNodes(n=job.outputs, traces=True, traces_additive=True, tc_trace=job.tau_minus, **cells)
        # The lift is in the threshold, so that weights stay in the rule's own range.
        output.thresh.div_(lift)
        lateral = -job.inhibition * job.tau_i / job.tau_e * (1 - torch.eye(job.outputs))
        connections = {("X", "Y"): Connection(source, output, w=torch.from_numpy(job.weights).float(), wmin=0.0,
                                              wmax=job.w_max, update_rule=PostPre, nu=(job.a_minus, job.a_plus)),
                       ("Y", "Y"): Connection(output, output, w=lateral)}
        shown = np.zeros((job.total, 1, job.inputs), bool)
        shown[job.times, 0, job.neuron] = True
        parts = [torch.from_numpy(shown)]
    network.add_layer(source, "X")
    network.add_layer(output, "Y")
    for (pre, post), connection in connections.items():
        network.add_connection(connection, pre, post)
    monitor = Monitor(output, state_vars=("s",), time=steps)
    network.add_monitor(monitor, "Y")

    def run():
        fired = 0
        for part in parts:
            network.run(inputs={"X": part}, time=steps)
            fired += int(monitor.get("s").sum())
            network.reset_state_variables()
        return fired

    with torch.no_grad():
        return timed(run)


def spyketorch(job):
    """SpykeTorch: a tensor an image, in which a spike stays 1 from its step on; a spike of a neuron, then silence."""
    import torch
    from SpykeTorch import functional, snn

    torch.set_num_threads(1)
    waves = torch.from_numpy(np.minimum(raster(job).cumsum(axis=1), 1).astype(np.uint8))
    layer = snn.Convolution(*job.weights.shape[1::-1], job.weights.shape[2:])
    layer.load_weight(torch.from_numpy(job.weights).float())

    def fired(wave):
        potentials = layer(wave.float())
        functional.fire_(potentials, 1 / charge(job))
        return int(potentials[-1].sum())

    with torch.inference_mode():
        fired(waves[0])
        return timed(lambda: sum(map(fired, waves)))


TORCH = "pip install torch"
ALONE = "state between images, lists of spikes"
PEERS = {
    "nest": Peer(("pyNN", "nest"), "pip install PyNN nest-simulator", {"stdp": 20_000, "conv": 96},
                 "nothing less, and in doubles"),
    "genn": Peer(("pygenn",), "clone genn-team/genn and pip install the clone (needs libffi and pkg-config)",
                 {"stdp": 20_000, "conv": 1_000}, "all pairs of spikes in STDP (the nearest only)"),
    "brian2": Peer(("brian2",), "pip install Brian2 'numpy<2.4'", {"stdp": 20_000, "conv": 96},
                   "nothing less, and in doubles"),
    "torch": Peer(("torch",), TORCH, {"conv": 512}, ALONE),
    "torch-plain": Peer(("torch",), TORCH, {"conv": 512}, f"synaptic current, refractory time, {ALONE}"),
    "norse": Peer(("norse",), "pip install norse", {"conv": 256}, f"refractory time, {ALONE}"),
    "snntorch": Peer(("snntorch",), "pip install snntorch", {"conv": 128},
                     f"synaptic current, refractory time, {ALONE}"),
    "spikingjelly": Peer(("spikingjelly",), "pip install spikingjelly", {"conv": 128},
                         f"synaptic current, refractory time, {ALONE}"),
    "sinabs": Peer(("sinabs",), "pip install sinabs", {"conv": 128},
                   f"synaptic current, refractory time, {ALONE}"),
    "bindsnet": Peer(("bindsnet.network",), "pip install bindsnet", {"stdp": 400, "conv": 96},
                     f"synaptic current; in conv-K also {ALONE}"),
    "spyketorch": Peer(("SpykeTorch.snn",), "clone miladmozafari/SpykeTorch and pip install the clone", {"conv": 1_000},
                       f"leak, synaptic current, more than one spike of a neuron, {ALONE}"),
}
RUN = {"nest": nest, "genn": genn, "brian2": brian2, "torch": torch_by_hand, "torch-plain": torch_plain, "norse": norse,
       "snntorch": snntorch, "spikingjelly": spikingjelly, "sinabs": sinabs, "bindsnet": bindsnet,
       "spyketorch": spyketorch}


if __name__ == "__main__":
    seconds, spikes = RUN[sys.argv[1]](load(sys.argv[2]))
    print(json.dumps({"seconds": seconds, "spikes": spikes}))
