"""Layer-wise STDP: windows of the input, one after another, to one neuron per filter.

The recipe follows Kheradpisheh et al. 2018 (doi 10.1016/j.neunet.2017.12.005) and the 2018 SpikingConvNet, with what a
board can do: lateral inhibition instead of a host that picks the winner, a late volley of the silent inputs that
depresses them, a gate spike that keeps that volley from being learned by everyone, and thresholds that the host moves
between runs (homeostasis).
"""

import logging
import math
from dataclasses import dataclass, is_dataclass, replace

import numpy as np

from spikingconvnet.backends.base import Recording, Simulation, log_warnings
from spikingconvnet.errors import require
from spikingconvnet.gates.fields import (
    FACTOR,
    MOST_SLOT,
    MOST_STEPS,
    PAIR,
    SIZE,
    Kind,
    check_fields,
    part,
    record,
    several,
    spelled,
    whole,
)
from spikingconvnet.gates.schema import Schema
from spikingconvnet.gates.sizes import Asked, require_fits
from spikingconvnet.model.layers import INHIBITION, NEURON
from spikingconvnet.model.learning import Arrays, Keep, LayerRule, OpenNetwork, Progress, Trainee, tell
from spikingconvnet.model.sequential import Stage
from spikingconvnet.model.trained import Course, Trained
from spikingconvnet.network.arrays import Floats, Numbers
from spikingconvnet.network.neurons import IFCurrExp
from spikingconvnet.network.plasticity import STDPMechanism
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.store import schemas
from spikingconvnet.training.layerwise.calibration import FiringShare
from spikingconvnet.training.layerwise.competition import FILTERS, KERNELS, training_network
from spikingconvnet.training.layerwise.course import convergence, diagnostics
from spikingconvnet.training.layerwise.homeostasis import DRIVE_WINDOWS, RATE, Homeostasis
from spikingconvnet.training.layerwise.windows import RandomWindows, with_volley

logger = logging.getLogger(__name__)

__all__ = ["STDP"]

CHECKED_WINDOWS = 200       # about as many windows of a training are looked at before it
STEPS = whole(1, MOST_SLOT)
_PAIR_OF_RATES = several(RATE, "", 2)
_MOVES = part("Homeostasis", "start", "after")
_HOMEOSTASIS = Kind(lambda value: _MOVES.plain(value) if is_dataclass(value) else _PAIR_OF_RATES.plain(value),
                    "(first, last) step size, above 0 and at most 10, or a record as Homeostasis(...)")


@dataclass(frozen=True, repr=False)
class STDP(LayerRule):
    """How a layer learns: windows of its input are shown one after another to one neuron per filter.

    A window takes ``slot`` steps. Its input fires in the first ``pattern_steps``; one static inhibitory spike of weight
    `gate` then silences every neuron, and the inputs that did not fire do so in a *late volley* right after, which
    depresses their synapses to the winner. Lateral inhibition makes one neuron win a window; after each chunk the host
    moves every threshold so that all filters win equally often (homeostasis).
    Settings that cannot be used are a SettingsError.

    Attributes
    ----------
    windows : int
        Windows shown in all.
    chunks : int
        Runs between which thresholds move; `windows` is divided evenly.
    slot : int
        Steps per window, long enough for the inhibition to fade.
    pattern_steps : int
        Steps at the start of the slot in which the window's own spikes are shown.
    min_spikes : int
        Windows with fewer spiking inputs are not shown.
    neuron : IFCurrExp
        Neuron model during training; `v_thresh` is set by calibration.
    mechanism : STDPMechanism
        Timing rule and weight dependence, and whether learning sees the delay of synapses, here one step
        (`backprop_delay`).
    gate, lateral : float
        Weights of the gate spike and of lateral inhibition, nA.
    volley : (int, int)
        Steps after the pattern at which even and odd silent inputs fire.
    homeostasis : (float, float), or a record as Homeostasis
        What moves thresholds; two numbers are the first and last step size of their logarithm.
    initial_winners : float
        Neurons that the calibrated start threshold lets fire per window, on average.
    sampling : record as RandomWindows
        What draws the windows.
    calibration : record as FiringShare
        What makes kernels and thresholds for inference of those learned.
    """

    windows: int = 4000
    chunks: int = 20
    slot: int = 60
    pattern_steps: int = 15
    min_spikes: int = 10
    neuron: IFCurrExp = IFCurrExp(tau_m=10.0, cm=10.0, v_rest=0.0, v_reset=0.0, v_thresh=1.0, v=0.0,
                                  tau_syn_E=2.0, tau_syn_I=3.0, tau_refrac=35.0)
    mechanism: STDPMechanism = STDPMechanism()
    gate: float = 60.0
    lateral: float = 25.0
    volley: tuple[int, int] = (4, 5)
    homeostasis: tuple[float, float] | Homeostasis = (0.3, 0.05)
    initial_winners: float = 4.0
    sampling: RandomWindows = RandomWindows()
    calibration: FiringShare = FiringShare()

    name, simulates = "stdp", True

    def __post_init__(self) -> None:
        check_fields(self, windows=SIZE, chunks=SIZE, slot=STEPS, pattern_steps=STEPS, min_spikes=SIZE, volley=PAIR,
                     neuron=NEURON, mechanism=record(STDPMechanism), gate=INHIBITION, lateral=INHIBITION,
                     homeostasis=_HOMEOSTASIS, initial_winners=FACTOR, sampling=part("RandomWindows", "__call__"),
                     calibration=part("FiringShare", "__call__", "kernels"))
        require(self.windows * self.slot <= MOST_STEPS, "STDP", "windows", self.windows,
                f"at most {MOST_STEPS // self.slot:,} of {self.slot} steps: a board counts steps in 32 bits")
        require(self.windows % self.chunks == 0, "STDP", "windows", self.windows,
                f"a multiple of chunks ({self.chunks})")
        require(self.slot > self.pattern_steps + max(self.volley), "STDP", "slot", self.slot,
                f"longer than pattern and volley ({self.pattern_steps + max(self.volley)})")
        require(min(self.volley) >= 2, "STDP", "volley", self.volley, "after the gate, from 2 on")

    def __repr__(self) -> str:
        return spelled(self, ("sampling", "calibration"))

    def train(self, stage: Stage, spikes: Spikes, rng: np.random.Generator, open_network: OpenNetwork,
              progress: Progress = iter, so_far: Arrays | None = None, keep: Keep | None = None) -> Trained:
        """See ``LayerRule``. ``keep`` is called with the start thresholds and after every chunk but the last.

        It is given ``thresholds`` (finished chunks + 1, filters), the last for the next chunk; ``wins`` and
        ``mean_weight`` as in a Course; ``learned`` (inputs per window, filters), nA.
        """
        windows = with_volley(self, self.sampling(self, stage, spikes, rng))
        initial = random_kernels(self, stage, rng)
        learned, course = learn(self, stage, windows, initial, open_network, progress, so_far, keep)
        return Trained(initial, learned, self.calibration(stage, learned, spikes, open_network),
                       diagnostics(self.mechanism.weight_dependence, learned, course), course)

    def unfinished(self, stage: Stage) -> Schema:
        """See ``LayerRule``."""
        filters, *window = stage.layer.kernel_shape(stage.in_shape)
        return schemas.unfinished(self.chunks, self.windows, filters=filters, inputs=math.prod(window))

    def network(self, stage: Stage, kernels: Floats | None, spikes: Spikes | None, rng: np.random.Generator) -> Trainee:
        """See ``LayerRule``. Some windows are shown, or none without spikes."""
        if spikes is None:
            windows = Spikes.empty(stage.layer.kernel_shape(stage.in_shape)[1:], 1, self.slot)
        else:
            chunks = min(self.chunks, CHECKED_WINDOWS)
            fewer = replace(self, chunks=chunks, windows=chunks * max(1, CHECKED_WINDOWS // chunks))
            windows = with_volley(self, self.sampling(fewer, stage, spikes, rng))
        kernels = random_kernels(self, stage, rng) if kernels is None else kernels
        begin = training_network(self, windows, kernels.reshape(len(kernels), -1).T,
                                 np.full(len(kernels), self.neuron.v_thresh))
        return Trainee(begin, self.slot, self.calibration.kernels(stage.layer, kernels))

    def memory(self, stage: Stage) -> list[Asked]:
        """See ``LayerRule``: each filter's neuron is connected to all others while it learns."""
        filters, seen = stage.layer.filters, math.prod(stage.layer.kernel_shape(stage.in_shape)[1:])
        shown = min(DRIVE_WINDOWS, self.windows) * self.slot
        require_fits(f"layer {stage.number}: STDP", "windows", self.windows,
                     self.windows * (120 * seen + 24 * self.slot))
        return [100 * filters * seen, (100 * filters ** 2, 2), 12 * shown * filters]

    @property
    def moves(self) -> Homeostasis:
        """What moves the thresholds: Homeostasis, or a record like it."""
        return Homeostasis(*self.homeostasis) if isinstance(self.homeostasis, (tuple, list)) else self.homeostasis


def random_kernels(rule: STDP, stage: Stage, rng: np.random.Generator) -> Floats:
    """Uniform start weights between the rule's bounds: float array of the kernels' shape, nA."""
    bounds = rule.mechanism.weight_dependence
    return rng.uniform(bounds.w_min, bounds.w_max, stage.layer.kernel_shape(stage.in_shape))


def learn(rule: STDP, stage: Stage, windows: Spikes, initial: Floats, open_network: OpenNetwork,
          progress: Progress = iter, so_far: Arrays | None = None, keep: Keep | None = None) -> tuple[Floats, Course]:
    """Show all windows: learned kernels like `initial`, and the Course.

    Parameters as ``STDP.train``; `windows` from its `sampling`, with the volley.
    """
    weights = initial.reshape(stage.layer.filters, -1).T
    if so_far is None:
        so_far = {"thresholds": rule.moves.start(rule, windows, weights, open_network)[None],
                  "wins": np.zeros((0, 3), np.int64), "mean_weight": np.zeros(0), "learned": weights}
        if keep:
            keep(**so_far)
    with open_network(training_network(rule, windows, weights, so_far["thresholds"][0])) as simulation:
        goes_on = _show_again(simulation, rule, stage, so_far, progress)
        chunks = progress(range(len(so_far["wins"]), rule.chunks) if goes_on else ())
        for _ in chunks:
            recording, so_far = _chunk(simulation, rule, so_far)
            tell(chunks, convergence=convergence(rule.mechanism.weight_dependence, so_far["learned"]))
            if keep and len(so_far["wins"]) < rule.chunks:      # the last one is kept in the layer, if at all
                keep(**so_far)
    if not goes_on:
        return learn(rule, stage, windows, initial, open_network, progress, None, keep)
    log_warnings(recording, logger)
    return (so_far["learned"].T.reshape(initial.shape),
            Course(so_far["wins"], so_far["thresholds"][:rule.chunks], so_far["mean_weight"]))


def _chunk(simulation: Simulation, rule: STDP, so_far: Arrays) -> tuple[Recording, dict[str, Numbers]]:
    """Show one more chunk and move the thresholds: its Recording, and what is finished now."""
    per_chunk = rule.windows // rule.chunks
    simulation.run(per_chunk * rule.slot)
    recording = simulation.recording()
    fired = recording.spikes[FILTERS]
    learned = simulation.weights(KERNELS).value.reshape(so_far["learned"].shape)
    winners = fired.counts().reshape(per_chunk, -1).sum(axis=1)
    wins = np.bincount(np.minimum(winners, 2), minlength=3)
    moved = rule.moves.after(rule, so_far["thresholds"], fired)
    simulation.set(FILTERS, moved)
    return recording, {"thresholds": np.vstack([so_far["thresholds"], moved]),
                       "wins": np.vstack([so_far["wins"], wins]),
                       "mean_weight": np.append(so_far["mean_weight"], learned.mean()), "learned": learned}


def _show_again(simulation: Simulation, rule: STDP, stage: Stage, so_far: Arrays, progress: Progress) -> bool:
    """Bring a simulation from its start to where an interrupted one had finished its last chunk: whether it got there.

    Weights alone would not do: traces, and potentiation that waits for the next presynaptic spike, cannot be given to
    a board. The same windows under the same thresholds give the same integers again, all of them; a machine on which
    they do not has erred then or now, so that the thresholds that were kept are worth nothing.
    """
    chunks = len(so_far["wins"])
    if not chunks:
        return True
    logger.info("layer %d: %d of %d chunks were finished before; showing them again, then going on", stage.number,
                chunks, rule.chunks)
    for v_thresh in progress(so_far["thresholds"][1:]):
        simulation.run(rule.windows // rule.chunks * rule.slot)
        simulation.set(FILTERS, v_thresh)
    simulation.recording()
    different = np.count_nonzero(simulation.weights(KERNELS).value != so_far["learned"].ravel())
    if different:
        logger.warning("warning: layer %d: %d of %d weights are not those of before the interruption: what simulates"
                       " does not repeat itself exactly; beginning anew", stage.number, different,
                       so_far["learned"].size)
    return not different
