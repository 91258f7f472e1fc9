"""Plasticity rules as a SpiNNaker board computes them, one synapse at a time in plain Python integers.

A weight changes only when a presynaptic spike arrives. The postsynaptic spikes since the presynaptic spike before,
shifted by the dendritic delay unless the rule says otherwise (`backprop_delay`), are then met one after another, and at
the end the newest of all of them. What a rule does with them is an entry of `_RULES`, named as sPyNNaker names its
binary: the equations of ``network/plasticity.py`` with ``z``, the decayed trace of the other side in 4.11.

Sources (sPyNNaker 7.4.1): ``synapse_dynamics_stdp_mad_impl.c:62`` to 94, ``timing_*_impl.h``, ``weight_*_impl.h``;
where they and the compiled binaries disagree, the binaries. Lines are those of the messages in the .dict files beside
the binaries.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeAlias

from spikingconvnet.board.fixed_point import i32, kmul, m16, s16
from spikingconvnet.board.rules import DOPAMINE_SHIFT, ELIGIBILITY_SHIFT, SLOW_SHIFT, LoweredRule
from spikingconvnet.network.arrays import Ints


class Spike(NamedTuple):
    """A spike as a rule remembers it.

    Attributes
    ----------
    time : step
    trace : 4.11
        With the spike in it.
    slow : 4.11
        The slower trace of triplets, without the spike.
    dopamine : 4.11
        What a postsynaptic neuron has of it after the spike.
    modulates : bool
        Whether the spike is not the neuron's own, but that of a reward or punishment.
    """

    time: int
    trace: int
    slow: int = 0
    dopamine: int = 0
    modulates: bool = False


PLACEHOLDER = Spike(0, 0)       # what stands for the spike before the first one


def look_up(table: Ints, distance: int) -> int:
    """Decay over `distance` steps, ``exp(-distance h / tau)`` in 4.11; 0 beyond the table (``maths.h``)."""
    distance &= 0xffffffff
    return int(table[distance]) if distance < len(table) else 0


def after_pre(rule: LoweredRule, last: Spike, t: int) -> Spike:
    """A presynaptic spike at step `t` that follows `last`; ``timing_pair_impl.h:102``."""
    return _after(last, t, rule.lut_plus, rule.lut_x)


def after_post(rule: LoweredRule, last: Spike, t: int) -> Spike:
    """A postsynaptic spike at step `t` that follows `last`."""
    return _after(last, t, rule.lut_minus, rule.lut_y)._replace(dopamine=_dopamine(rule, last, t))


def after_modulator(rule: LoweredRule, last: Spike, t: int, amount: int) -> Spike:
    """A reward, or punishment of negative `amount` (4.11), at step `t` that follows `last`."""
    trace = s16(m16(last.trace, look_up(rule.lut_minus, t - last.time)))
    return Spike(t, trace, dopamine=s16(_dopamine(rule, last, t) + amount), modulates=True)


def _dopamine(rule: LoweredRule, last: Spike, t: int) -> int:
    return m16(last.dopamine, look_up(rule.lut_d, (t - last.time) >> DOPAMINE_SHIFT))


def _after(last: Spike, t: int, table: Ints, slow_table: Ints) -> Spike:
    distance = t - last.time
    slow = m16(last.slow + 2048, look_up(slow_table, distance >> SLOW_SHIFT)) if last.time else 0
    return Spike(t, s16(m16(last.trace, look_up(table, distance)) + 2048), slow)


def learning_delay(rule: LoweredRule, stored: int) -> int:
    """Steps that a postsynaptic spike takes back to a synapse whose delay the board stores as `stored`."""
    return stored if rule.backprop_delay else 0


def learn(rule: LoweredRule, weight: int, shift: int, history: Sequence[Spike], last: Spike, now: Spike,
          delay: int) -> int:
    """New 16-bit weight of a synapse.

    Parameters
    ----------
    rule : LoweredRule
    weight, shift : int
        The 16-bit weight and the shift that makes an accum of it.
    history : list of Spike
        Postsynaptic spikes behind a placeholder.
    last, now : Spike
        The presynaptic spike before and the one that arrives.
    delay : steps
        See :func:`learning_delay`.
    """
    first, end = window(history, last.time, now.time, delay)
    met = Meeting(history[first - 1:end], first > 1, last, now, delay)
    value = _RULES[rule.kind](rule, i32(weight << shift), met)
    return (value >> shift) & 0xffff


def learn_modulated(rule: LoweredRule, weight: int, eligibility: int, shift: int, history: Sequence[Spike], last: Spike,
                    now: Spike, delay: int) -> tuple[int, int]:
    """New 16-bit weight and eligibility of a synapse under neuromodulation.

    Dopamine turns eligibility into weight from one remembered spike to the next. Which of these are rewards the binary
    reads as many places too late as there are spikes behind the window.
    ``synapse_dynamics_stdp_izhikevich_neuromodulation.c:182`` to 249; the equations are those of ``Neuromodulation``.

    Parameters
    ----------
    eligibility : int
        16 bits.
    rule, weight, shift, history, last, now, delay
        See :func:`learn`.
    """
    potentiate, depress = _MODULATED[rule.kind]
    first, end = window(history, last.time, now.time, delay)
    w, trace, since, previous = i32(weight << shift), i32(eligibility << shift), last.time, history[first - 1]
    dopamine = _dopamine(rule, previous, last.time)         # none in the placeholder
    for spike, looked_at in zip(history[first:end], history[first + len(history) - end:]):
        arrival = spike.time + delay
        w, trace = _release(rule, w, trace, dopamine, arrival - since)
        if not looked_at.modulates:
            trace = potentiate(rule, trace, m16(last.trace, look_up(rule.lut_plus, arrival - last.time)))
        dopamine, since, previous = spike.dopamine, arrival, spike
    if first > 1 or end > first:
        w, trace = _release(rule, w, trace, dopamine, now.time - since)
        trace = depress(rule, trace, m16(previous.trace, look_up(rule.lut_minus, now.time - delay - previous.time)))
    w = min(max(w, rule.weight_min), rule.weight_max)
    return (w >> shift) & 0xffff, (trace >> shift) & 0xffff


def _release(rule: LoweredRule, w: int, trace: int, dopamine: int, distance: int) -> tuple[int, int]:
    """Weight, by the integral of eligibility times dopamine (``get_weight_update``), and eligibility after steps."""
    decay = look_up(rule.lut_c, distance >> ELIGIBILITY_SHIFT)
    both = s16(m16(decay, look_up(rule.lut_d, distance >> DOPAMINE_SHIFT)) - 2048)
    gain = kmul(kmul(kmul(trace, rule.release), dopamine << 4), both << 4)
    return i32(w + gain), kmul(trace, decay << 4)


def window(history: Sequence[Spike], last_time: int, t: int, delay: int) -> tuple[int, int]:
    """Places of the postsynaptic spikes that reach the synapse after step `last_time` and not after step `t`.

    Their distance to `last_time` is above 0. Place 0, the placeholder, is never among them
    (``post_events.h``, ``post_events_get_window_delayed``).
    """
    begin = last_time - delay if last_time >= delay else 0
    end_time = t - delay if t >= delay else 0
    first = len(history)
    while first > 1 and history[first - 1].time > begin:
        first -= 1
    end = len(history)
    while end > first and history[end - 1].time > end_time:
        end -= 1
    return first, end


class Meeting(NamedTuple):
    """Spikes that meet at a synapse when a presynaptic one arrives.

    Attributes
    ----------
    spikes : list of Spike
        The postsynaptic spike before the window, then those inside it.
    real : bool
        Whether the first one is more than the placeholder.
    last, now : Spike
        The presynaptic spike before and the one that arrives.
    delay : steps
        See :func:`learning_delay`.
    """

    spikes: Sequence[Spike]
    real: bool
    last: Spike
    now: Spike
    delay: int

    @property
    def depresses(self) -> bool:
        """Whether there is a postsynaptic spike that the arriving one can meet."""
        return self.real or len(self.spikes) > 1

    def after_last(self, spike: Spike) -> int:
        """Steps from the presynaptic spike before until a postsynaptic one reaches the synapse."""
        return spike.time + self.delay - self.last.time

    def before_now(self) -> int:
        """Steps from the newest postsynaptic spike, as it reaches the synapse, until the one that arrives."""
        return self.now.time - self.delay - self.spikes[-1].time


Change: TypeAlias = Callable[[LoweredRule, int, int], int]      # of a weight (accum) by a trace (4.11): a new weight


def _pair(potentiate: Change, depress: Change, rule: LoweredRule, w: int, met: Meeting) -> int:
    """Every spike meets the trace of all earlier ones of the other side; a coincidence only depresses.

    ``timing_pair_impl.h:131`` (depression) and ``:160`` (potentiation). With Vogels et al. both changes are
    ``A_plus z``, less `alpha` at the presynaptic spike, and the upper bound alone has an effect:
    ``timing_vogels_2011_impl.h:147``, ``:174``.
    """
    for spike in met.spikes[1:]:
        w = potentiate(rule, w, m16(met.last.trace, look_up(rule.lut_plus, met.after_last(spike))))
    if met.depresses:
        w = depress(rule, w, m16(met.spikes[-1].trace, look_up(rule.lut_minus, met.before_now())))
    return w


def _nearest_pair(potentiate: Change, depress: Change, rule: LoweredRule, w: int, met: Meeting) -> int:
    """Times alone count, not traces.

    A spike that follows another one after `last` adds nothing, but is clipped to `w_max` all the same. The time of that
    other one is taken without its delay. ``timing_nearest_pair_impl.h:107`` (depression), ``:138`` to 143.
    """
    for previous, spike in zip(met.spikes, met.spikes[1:]):
        nearest = previous.time <= met.last.time
        w = potentiate(rule, w, look_up(rule.lut_plus, met.after_last(spike)) if nearest else 0)
    if met.depresses:
        w = depress(rule, w, look_up(rule.lut_minus, met.before_now()))
    return w


def _pfister_triplet(rule: LoweredRule, w: int, met: Meeting) -> int:
    """PfisterSpikeTripletRule with its weight dependence; ``timing_pfister_triplet_impl.h:174`` and ``:206``."""
    for spike in met.spikes[1:]:
        pair = m16(met.last.trace, look_up(rule.lut_plus, met.after_last(spike)))
        gain = kmul(rule.a_plus, pair << 4) + kmul(rule.a3_plus, m16(pair, spike.slow) << 4)
        w = min(i32(w + gain), rule.w_max)
    if met.depresses:
        pair = m16(met.spikes[-1].trace, look_up(rule.lut_minus, met.before_now()))
        loss = kmul(rule.a_minus, pair << 4) + kmul(rule.a3_minus, m16(pair, met.now.slow) << 4)
        w = max(i32(w - loss), rule.w_min)
    return w


def _add(rule: LoweredRule, w: int, trace: int) -> int:
    """``min(w + A_plus z, w_max)``; ``weight_additive_one_term_impl.h``."""
    return min(i32(w + kmul(rule.a_plus, trace << 4)), rule.w_max)


def _subtract(rule: LoweredRule, w: int, trace: int) -> int:
    """``max(w - A_minus z, w_min)``."""
    return max(i32(w - kmul(rule.a_minus, trace << 4)), rule.w_min)


def _approach_w_max(rule: LoweredRule, w: int, trace: int) -> int:
    """``w + A_plus (w_max - w) z``; ``weight_multiplicative_impl.h``."""
    return i32(w + kmul(kmul(i32(rule.w_max - w), rule.a_plus), trace << 4))


def _approach_w_min(rule: LoweredRule, w: int, trace: int) -> int:
    """``w - A_minus (w - w_min) z``."""
    return i32(w - kmul(kmul(i32(w - rule.w_min), rule.a_minus), trace << 4))


def _add_below_alpha(rule: LoweredRule, w: int, trace: int) -> int:
    return _add(rule, w, trace - rule.alpha)


_MODULATED = {
    "izhikevich_neuromodulation_pair_additive": (_add, _subtract),
    "izhikevich_neuromodulation_pair_multiplicative": (_approach_w_max, _approach_w_min),
    "izhikevich_neuromodulation_vogels_2011_additive": (_add, _add_below_alpha)}
_RULES: dict[str, Callable[[LoweredRule, int, Meeting], int]] = {
    "pair_additive": partial(_pair, _add, _subtract),
    "pair_multiplicative": partial(_pair, _approach_w_max, _approach_w_min),
    "nearest_pair_additive": partial(_nearest_pair, _add, _subtract),
    "nearest_pair_multiplicative": partial(_nearest_pair, _approach_w_max, _approach_w_min),
    "vogels_2011_additive": partial(_pair, _add, _add_below_alpha),
    "pfister_triplet_additive": _pfister_triplet}
