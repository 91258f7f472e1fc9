"""Slow twin of the local engine: SpiNNaker's arithmetic in Python's own integers, one neuron and one synapse at a time.

IF_curr_exp and IF_curr_delta, static synapses and seven kinds of STDP, at any time step. It imports nothing from
the package and was written from a description of sPyNNaker 7.4.1's binaries, not from the package's code, so an error
has to be made twice to go unseen. Real numbers exist only as Decimal and Fraction, while parameters become integers.

Populations may be "split": their synapses hear of a spike when its packet comes back, after everybody else's packets.

Not modelled: delays beyond the ring buffer of a large population, the choice of shifts (they are given), lateness,
several cores per population.
"""

from decimal import ROUND_FLOOR, Decimal, getcontext
from fractions import Fraction
from functools import cache

getcontext().prec = 50

ONE = 1 << 15                       # 1.0 as an accum (s16.15)
UNIT_TRACE = 1 << 11                # 1.0 as a 4.11 number
SLOT_LIMIT = 0xffff                 # a ring-buffer slot is 16 bits
HISTORY_LENGTH = 16                 # entry 0 is a placeholder that never leaves

WHOLE_POWERS = (                    # round(e**(i - 13) * 2**32)
    9708, 26389, 71733, 194991, 530041, 1440801, 3916503, 10646160, 28939262, 78665070, 213833830, 581260615,
    1580030169, 4294967296, 11674931555, 31735754293, 86266724208, 234497268814, 637429664642, 1732713474316,
    4710003551159, 12803117065094, 34802480465680, 94602950235157, 257157480542844, 699026506411923)
SIXTEENTHS = (                      # (1 - e**(-i / 16)) * 2**32
    0, 260218914, 504671961, 734314346, 950043403, 1152702096, 1343082321, 1521927990, 1689937949, 1847768698,
    1996036966, 2135322113, 2266168400, 2389087112, 2504558555, 2613033936)
SERIES = (5294, 4293434720, 2081624032)


def wrap_signed(value, bits):
    half = 1 << (bits - 1)
    return (value + half) % (1 << bits) - half


def accum(value):
    """Raw s16.15 of a decimal number, half to even on its shortest decimal form."""
    return int((Decimal(str(value)) * ONE).to_integral_value())


def accum_product(a, b):
    return wrap_signed((a * b) >> 15, 32)


def accum_quotient(a, b):
    return wrap_signed((a << 15) // b, 32)


def decayed(value, multiplier):
    """`value` times an unsigned 0.32 fraction, rounded down."""
    return wrap_signed((value * multiplier) >> 32, 32)


def trace_product(a, b):
    return (wrap_signed(a, 16) * wrap_signed(b, 16)) >> 11


def _rounded_high_word(x):
    return (x >> 32) + (1 if x & 0xffffffff >= 0x7fffffff else 0)


def _scaled(x, y):
    return _rounded_high_word((x & 0xffffffff) * y) + (x >> 32) * y


def _exp_0_32(raw):
    """e**(raw / 2**15) times 2**32, as the chip's library computes it."""
    whole, part = raw >> 15, raw & (ONE - 1)
    if part == 0:
        return WHOLE_POWERS[13 + whole]
    part = ONE - part                                       # e**(whole + 1) times e**-(part / 2**15)
    result = WHOLE_POWERS[13 + whole + 1]
    result -= _scaled(result, SIXTEENTHS[part >> 11])
    rest = (part & 0x7ff) << 17
    inner = (SERIES[1] - ((SERIES[2] * rest) >> 32)) & 0xffffffff
    series = (((inner * rest) >> 32) + SERIES[0]) & 0xffffffff
    return result - _scaled(result, series)


def exp_accum(raw):
    """e**x as an accum, for x a raw accum (expk)."""
    if raw > 363408:
        return 0x7fffffff
    if raw < -340695:
        return 0
    return wrap_signed(_exp_0_32(raw) >> 17, 32)


def exp_fraction(raw):
    """e**x as an unsigned 0.32 fraction, for x a raw accum (expulr)."""
    if raw > 363408:
        return 0x7fffffff
    if raw < -340695:
        return 0
    return _exp_0_32(raw) & 0xffffffff


@cache
def exponential_table(tau, step=1, shift=0):
    """floor(2048 e**(-(i << shift) step / tau)), as long as it is above zero, rounded up to an even length."""
    tau = Decimal(str(tau)) / Decimal(str(step))
    length = Decimal(2048).ln() * tau / (1 << shift)
    pairs = int(length // 2) + (1 if length % 2 > 0 else 0)
    return [int(((-(i << shift) / tau).exp() * 2048).to_integral_value(ROUND_FLOOR)) for i in range(2 * pairs)]


def tables(rule, names, shift=0):
    """Tables of some time constants of a rule."""
    return [exponential_table(rule[name], rule["step"], shift) for name in names]


def look_up(table, interval, shift=0):
    index = (interval % (1 << 32)) >> shift
    return table[index] if index < len(table) else 0


def membrane_constants(tau_m, cm, step=1):
    """(R, exp(-step / tau_m)) as accums."""
    return accum_quotient(accum(tau_m), accum(cm)), exp_accum(-accum_quotient(accum(step), accum(tau_m)))


def synapse_constants(tau, step=1):
    """(decay, injection) multipliers of a synaptic current, as unsigned 0.32 fractions."""
    decay = exp_fraction(-accum_quotient(accum(step), accum(tau)))
    injection = ((accum_quotient(accum(tau), accum(step)) * (0xffffffff - decay)) >> 15) % (1 << 32)
    return decay, injection


def refractory_steps(tau_refrac, step=1):
    quotient = accum_quotient(accum(tau_refrac), accum(step))
    return (quotient >> 15) + (1 if quotient & (ONE - 1) else 0)


def ring_weight(weight, shift):
    """|weight| (nA) as a ring-buffer integer, ties to even, 16 bits kept."""
    return round(abs(Fraction(weight)) * (1 << 15) / (1 << shift)) & 0xffff


class Neuron:
    """One LIF neuron of a `kind`, "exp" or "delta"; `parameters` maps PyNN's names to numbers, `step` is in ms."""

    def __init__(self, kind, parameters, step):
        self.resistance, self.membrane_decay = membrane_constants(parameters["tau_m"], parameters["cm"], step)
        self.v_rest, self.v_reset = accum(parameters["v_rest"]), accum(parameters["v_reset"])
        self.v_thresh, self.i_offset = accum(parameters["v_thresh"]), accum(parameters["i_offset"])
        self.refractory = refractory_steps(parameters["tau_refrac"], step)
        self.synapses, self.gain = None, accum_quotient(ONE, accum(step))       # a weight is a charge of 1 ms
        if kind == "exp":
            self.gain = ONE
            self.synapses = [synapse_constants(parameters[name], step) for name in ("tau_syn_E", "tau_syn_I")]
        self.v, self.timer, self.currents = accum(parameters["v"]), 0, [0, 0]

    def receive(self, receptor, slot, shift):
        if slot > 0:
            charge = wrap_signed(slot << shift, 32)
            if self.synapses is not None:
                charge = decayed(charge, self.synapses[receptor][1])
            self.currents[receptor] = wrap_signed(self.currents[receptor] + charge, 32)

    def advance(self):
        """One step; whether the neuron fires."""
        if self.timer <= 0:
            inward, outward = (accum_product(current, self.gain) for current in self.currents)
            current = wrap_signed(inward - outward + self.i_offset, 32)
            target = wrap_signed(accum_product(current, self.resistance) + self.v_rest, 32)
            distance = wrap_signed(target - self.v, 32)
            self.v = wrap_signed(target - accum_product(self.membrane_decay, distance), 32)
        else:
            self.timer -= 1
        fires = self.v >= self.v_thresh
        if fires:
            self.v, self.timer = self.v_reset, self.refractory
        for receptor in (0, 1):
            decay = 0 if self.synapses is None else self.synapses[receptor][0]
            self.currents[receptor] = decayed(self.currents[receptor], decay)
        return fires


class PlasticRows:
    """What the rules have in common: the spikes they remember and the window between two presynaptic ones.

    A spike is (time, traces); `shift` is that of the ring buffer. Rules say how traces grow and what a weight does.
    """

    no_traces = (0,)

    def __init__(self, rule, n_post, shift):
        self.w_min, self.w_max = accum(rule["w_min"]), accum(rule["w_max"])
        self.shift = shift
        self.back = rule.get("backprop_delay", True)                    # whether postsynaptic spikes come by the delay
        self.histories = [[(0, self.no_traces)] for _ in range(n_post)]
        self.rows = {}                                                  # pre: its last spike

    def post_spike(self, post, t):
        history = self.histories[post]
        history.append((t, self.post_traces(history[-1], t)))
        if len(history) > HISTORY_LENGTH:
            del history[1]

    def pre_spike(self, pre, t):
        self.rows[pre] = t, self.pre_traces(self.rows.get(pre, (0, self.no_traces)), t)

    def update(self, synapse, pre, t):
        """Change a synapse [post, weight, delay, eligibility] before the spike of `pre` is delivered."""
        post, weight, delay, _ = synapse
        synapse[1] = self.updated_weight(weight, pre, post, t, delay if self.back else 0)

    def updated_weight(self, weight, pre, post, t, delay):
        last = self.rows.get(pre, (0, self.no_traces))
        begin = last[0] - delay if last[0] >= delay else 0
        end = t - delay if t >= delay else 0
        previous, valid, events = self._window(self.histories[post], begin, end)
        w = wrap_signed(weight << self.shift, 32)
        for event in events:
            w = self.after_post(w, last, previous, event, delay)
            previous, valid = event, True
        if valid:
            w = self.after_pre(w, last, previous, t, delay)
        return (w >> self.shift) & 0xffff

    @staticmethod
    def _window(history, begin, end):
        """The spike before the window, whether it is a real one, and those inside it; newest looked at first."""
        k = stop = first = len(history)
        newest = True
        while newest or (k != 0 and history[k][0] > begin):
            if not newest and history[k][0] > end:
                stop = k
            newest = False
            first = k
            k -= 1
        return history[k], k != 0, history[first:stop]

    def additive_gain(self, w, amount, trace):
        return min(wrap_signed(w + accum_product(amount, trace << 4), 32), self.w_max)

    def additive_loss(self, w, amount, trace):
        return max(wrap_signed(w - accum_product(amount, trace << 4), 32), self.w_min)


class PairRule(PlasticRows):
    """SpikePairRule with AdditiveWeightDependence."""

    def __init__(self, rule, n_post, shift):
        super().__init__(rule, n_post, shift)
        self.plus, self.minus = tables(rule, ("tau_plus", "tau_minus"))
        self.a_plus, self.a_minus = accum(rule["A_plus"]), accum(rule["A_minus"])

    def post_traces(self, last, t):
        return (wrap_signed(trace_product(last[1][0], look_up(self.minus, t - last[0])) + UNIT_TRACE, 16),)

    def pre_traces(self, last, t):
        return (wrap_signed(trace_product(last[1][0], look_up(self.plus, t - last[0])) + UNIT_TRACE, 16),)

    def after_post(self, w, last, previous, event, delay):
        interval = event[0] + delay - last[0]
        if interval != 0:
            w = self.potentiate(w, trace_product(last[1][0], look_up(self.plus, interval)))
        return w

    def after_pre(self, w, last, previous, t, delay):
        return self.depress(w, trace_product(previous[1][0], look_up(self.minus, t - delay - previous[0])))

    def potentiate(self, w, trace):
        return self.additive_gain(w, self.a_plus, trace)

    def depress(self, w, trace):
        return self.additive_loss(w, self.a_minus, trace)


class MultiplicativePairRule(PairRule):
    """SpikePairRule with MultiplicativeWeightDependence."""

    def potentiate(self, w, trace):
        room = wrap_signed(self.w_max - w, 32)
        return wrap_signed(w + accum_product(accum_product(room, self.a_plus), trace << 4), 32)

    def depress(self, w, trace):
        room = wrap_signed(w - self.w_min, 32)
        return wrap_signed(w - accum_product(accum_product(room, self.a_minus), trace << 4), 32)


class NearestPairRule(PairRule):
    """SpikeNearestPairRule with AdditiveWeightDependence: times alone count, no traces."""

    def after_post(self, w, last, previous, event, delay):
        arrival = event[0] + delay
        interval, since_previous = arrival - last[0], arrival - previous[0]
        if interval != 0:
            w = self.potentiate(w, look_up(self.plus, interval) if interval <= since_previous else 0)
        return w

    def after_pre(self, w, last, previous, t, delay):
        return self.depress(w, look_up(self.minus, t - delay - previous[0]))


class NearestMultiplicativePairRule(NearestPairRule, MultiplicativePairRule):
    """SpikeNearestPairRule with MultiplicativeWeightDependence."""


class VogelsRule(PlasticRows):
    """TimingDependenceVogels2011 with the additive weight dependence, whose lower bound it never meets."""

    def __init__(self, rule, n_post, shift):
        super().__init__(rule, n_post, shift)
        self.table, = tables(rule, ("tau",))
        self.alpha, self.amount = round(Fraction(rule["alpha"]) * UNIT_TRACE), accum(rule["A_plus"])

    def post_traces(self, last, t):
        return (wrap_signed(trace_product(last[1][0], look_up(self.table, t - last[0])) + UNIT_TRACE, 16),)

    pre_traces = post_traces

    def after_post(self, w, last, previous, event, delay):
        trace = trace_product(last[1][0], look_up(self.table, event[0] + delay - last[0]))
        return self.additive_gain(w, self.amount, trace)

    def after_pre(self, w, last, previous, t, delay):
        trace = trace_product(previous[1][0], look_up(self.table, t - delay - previous[0]))
        return self.additive_gain(w, self.amount, trace - self.alpha)


class TripletRule(PlasticRows):
    """PfisterSpikeTriplet with the additive weight dependence of two terms."""

    no_traces = (0, 0)

    def __init__(self, rule, n_post, shift):
        super().__init__(rule, n_post, shift)
        self.plus, self.minus = tables(rule, ("tau_plus", "tau_minus"))
        self.x, self.y = tables(rule, ("tau_x", "tau_y"), 2)
        self.a2_plus, self.a2_minus, self.a3_plus, self.a3_minus = (
            accum(rule[name] * rule["w_max"]) for name in ("A_plus", "A_minus", "A3_plus", "A3_minus"))

    @staticmethod
    def _traces(last, t, fast, slow):
        interval = t - last[0]
        first = wrap_signed(trace_product(last[1][0], look_up(fast, interval)) + UNIT_TRACE, 16)
        second = 0
        if last[0] != 0:
            second = trace_product(last[1][1] + UNIT_TRACE, look_up(slow, interval, 2))
        return first, second

    def post_traces(self, last, t):
        return self._traces(last, t, self.minus, self.y)

    def pre_traces(self, last, t):
        return self._traces(last, t, self.plus, self.x)

    def after_post(self, w, last, previous, event, delay):
        interval = event[0] + delay - last[0]
        if interval != 0:
            pair = trace_product(last[1][0], look_up(self.plus, interval))
            triplet = trace_product(pair, event[1][1])
            w += accum_product(self.a2_plus, pair << 4) + accum_product(self.a3_plus, triplet << 4)
            w = min(wrap_signed(w, 32), self.w_max)
        return w

    def after_pre(self, w, last, previous, t, delay):
        pair = trace_product(previous[1][0], look_up(self.minus, t - delay - previous[0]))
        triplet = trace_product(pair, self.pre_traces(last, t)[1])
        w -= accum_product(self.a2_minus, pair << 4) + accum_product(self.a3_minus, triplet << 4)
        return max(wrap_signed(w, 32), self.w_min)


class Modulated:
    """Mixed into a rule: it acts on an eligibility, which dopamine turns into weight.

    `marks` holds a word of 32 bits for each neuron.
    """

    no_traces = (0, 0)                                                  # the second one is dopamine after a spike

    def __init__(self, rule, n_post, shift):
        super().__init__(rule, n_post, shift)
        (self.table_c,), (self.table_d,) = tables(rule, ("tau_c",), 4), tables(rule, ("tau_d",), 2)
        self.constant = accum(1 / (-(1 / rule["tau_c"] + 1 / rule["tau_d"])))
        self.lowest, self.highest = accum(rule["weight_min"]), accum(rule["weight_max"])
        self.marks = [0] * n_post

    def post_traces(self, last, t):
        trace, = super().post_traces(last, t)
        return trace, self.dopamine(last, t)

    def dopamine(self, last, t):
        return wrap_signed(trace_product(last[1][1], look_up(self.table_d, t - last[0], 2)), 16)

    def post_spike(self, post, t):
        self._append(post, (t, self.post_traces(self.histories[post][-1], t)), 0)

    def modulate(self, post, t, amount):
        last = self.histories[post][-1]
        trace = wrap_signed(trace_product(last[1][0], look_up(self.minus, t - last[0])), 16)
        self._append(post, (t, (trace, wrap_signed(self.dopamine(last, t) + amount, 16))), 1)

    def _append(self, post, event, mark):
        history = self.histories[post]
        if len(history) == HISTORY_LENGTH:
            del history[1]
            self.marks[post] >>= 1
        bit = 1 << len(history)
        self.marks[post] = (self.marks[post] | bit) if mark else (self.marks[post] & ~bit)
        history.append(event)

    def update(self, synapse, pre, t):
        post, weight, delay, eligibility = synapse
        delay = delay if self.back else 0
        last, history = self.rows.get(pre, (0, self.no_traces)), self.histories[post]
        begin = last[0] - delay if last[0] >= delay else 0
        previous, valid, events = self._window(history, begin, t - delay if t >= delay else 0)
        w, e = (wrap_signed(x << self.shift, 32) for x in (weight, eligibility))
        corrected, dopamine = last[0], self.dopamine(previous, last[0]) if valid else 0
        for place, event in enumerate(events, len(history) - len(events)):
            arrival = event[0] + delay
            w, e = self.released(w, e, dopamine, arrival - corrected)
            if not self.marks[post] >> place & 1:
                e = self.after_post(e, last, previous, event, delay)
            dopamine, corrected, previous, valid = event[1][1], arrival, event, True
        if valid:
            w, e = self.released(w, e, dopamine, t - corrected)
            e = self.after_pre(e, last, previous, t, delay)
        w = min(max(w, self.lowest), self.highest)
        synapse[1], synapse[3] = (w >> self.shift) & 0xffff, (e >> self.shift) & 0xffff

    def released(self, w, e, dopamine, interval):
        decay_c, decay_d = look_up(self.table_c, interval, 4), look_up(self.table_d, interval, 2)
        if dopamine != 0:
            both = wrap_signed(trace_product(decay_c, decay_d) - UNIT_TRACE, 16)
            gain = accum_product(accum_product(e, self.constant), dopamine << 4)
            w = wrap_signed(w + accum_product(gain, both << 4), 32)
        return w, accum_product(e, decay_c << 4)


class ModulatedPairRule(Modulated, PairRule):
    pass


class ModulatedMultiplicativePairRule(Modulated, MultiplicativePairRule):
    pass


class ModulatedVogelsRule(Modulated, VogelsRule):
    def __init__(self, rule, n_post, shift):
        super().__init__(rule, n_post, shift)
        self.minus = self.table


RULES = {"pair additive": PairRule, "pair multiplicative": MultiplicativePairRule, "nearest": NearestPairRule,
         "nearest multiplicative": NearestMultiplicativePairRule,
         "vogels": VogelsRule, "triplet": TripletRule, "modulated pair additive": ModulatedPairRule,
         "modulated pair multiplicative": ModulatedMultiplicativePairRule, "modulated vogels": ModulatedVogelsRule}


class Synapses:
    """The rows of one projection and the ring buffer they write to."""

    def __init__(self, projection, n_post, shift, slots):
        self.receptor, self.slots = projection["receptor"], slots
        self.rows = {}
        self.order = []
        for pre, post, weight, delay in projection["synapses"]:
            synapse = [post, ring_weight(weight, shift), delay & (slots - 1), 0]
            self.rows.setdefault(pre, []).append(synapse)
            self.order.append(synapse)
        rule = projection.get("stdp")
        self.rule = None if rule is None else RULES[rule["kind"]](rule, n_post, shift)

    def has_row(self, pre):
        """Whether a board has something to fetch; a plastic row at least holds a trace."""
        return self.rule is not None or pre in self.rows

    def deliver(self, pre, t, ring):
        """The row of one spike of neuron `pre`; the number of slots that overflowed."""
        saturated = 0
        for synapse in self.rows.get(pre, ()):
            delay = synapse[2]
            if self.rule is not None:
                self.rule.update(synapse, pre, t)
                if delay == 0:                              # a plastic synapse with the longest delay is silent
                    continue
            post, weight = synapse[:2]
            slot = ring[(t + delay) & (self.slots - 1)][self.receptor]
            slot[post] += weight
            if slot[post] > SLOT_LIMIT:
                slot[post], saturated = SLOT_LIMIT, saturated + 1
        if self.rule is not None and pre in self.rows:
            self.rule.pre_spike(pre, t)
        return saturated


class Modulators:
    """Rewards (`sign` 1) or punishments (-1) of one projection for the rules of its postsynaptic neurons."""

    rule = None

    def __init__(self, projection):
        self.sign, self.order = projection["modulates"], []
        for pre, post, amount, _ in projection["synapses"]:
            self.order.append([pre, round(abs(Fraction(amount)) * UNIT_TRACE) & 0xffff, post])

    def has_row(self, pre):
        return any(source == pre for source, _, _ in self.order)

    def deliver(self, pre, t, rules):
        for source, amount, post in self.order:
            for rule in rules if source == pre else ():
                rule.modulate(post, t, self.sign * amount)


def ring_slots(delays):
    longest = max(delays, default=1)
    slots = 2                                               # bits(1) = 1
    while slots < longest:
        slots *= 2
    return slots


class NaiveEngine:
    """A whole network.

    Parameters
    ----------
    populations : list of dict
        A source: {"spikes": [steps of each neuron]}, a step standing twice being two spikes. A neuron population:
        {"kind": "exp" or "delta", "neurons": [parameters of each neuron], "shifts": (excitatory, inhibitory),
        "split": whether synapses have a core of their own}.
    projections : list of dict
        {"pre", "post": places in `populations`, "receptor": 0 or 1, "synapses": [(pre, post, weight in nA, delay in
        steps)], "stdp": None or a dict of w_min, w_max, the parameters of a rule, its `kind`, a key of `RULES`, and
        whether it has a `backprop_delay`}. A reward or punishment has "modulates": 1 or -1 in place of "receptor" and
        "stdp".
    reset_every : int
        Steps after which neurons and what is on its way to them are as at the start again; 0 for never.
    step : float
        ms; rules have it, too.

    After `run`, per population: `v`, `exc`, `inh` are lists of one list per step (raw accums, V before the step's
    update, currents after the step's input), `spikes` is a list of (step, neuron), `saturated` counts overflows.
    """

    def __init__(self, populations, projections, reset_every=0, step=1.0):
        count, self.populations, self.reset_every, self.step = len(populations), populations, reset_every, step
        self.sources = {i: population["spikes"] for i, population in enumerate(populations) if "spikes" in population}
        self.neurons = self._new_neurons()
        self.shifts = {i: populations[i]["shifts"] for i in self.neurons}
        self.split = {i for i in self.neurons if populations[i].get("split")}
        self.slots = {i: ring_slots([s[3] for p in projections if p["post"] == i for s in p["synapses"]])
                      for i in self.neurons}
        self.rings = self._new_rings()
        self.projections = [(p["pre"], p["post"], self._synapses(p)) for p in projections]
        self.v, self.exc, self.inh, self.spikes = ([[] for _ in range(count)] for _ in range(4))
        self.saturated = [0] * count
        self.t = 0

    def _new_neurons(self):
        return {i: [Neuron(population["kind"], p, self.step) for p in population["neurons"]]
                for i, population in enumerate(self.populations) if i not in self.sources}

    def _new_rings(self):
        return {i: [[[0] * len(cells) for _ in range(2)] for _ in range(self.slots[i])]
                for i, cells in self.neurons.items()}

    def _synapses(self, p):
        if "modulates" in p:
            return Modulators(p)
        return Synapses(p, len(self.neurons[p["post"]]), self.shifts[p["post"]][p["receptor"]], self.slots[p["post"]])

    def run(self, steps):
        for _ in range(steps):
            self._step()
        return self

    def weights(self, index):
        """Raw weights of a projection, in the order its synapses were given."""
        return [synapse[1] for synapse in self.projections[index][2].order]

    def _step(self):
        t = self.t
        if self.reset_every and t > 0 and t % self.reset_every == 0:
            self.neurons, self.rings = self._new_neurons(), self._new_rings()
        fired = {i: [n for n, steps in enumerate(trains) for step in steps if step == t]
                 for i, trains in self.sources.items()}
        for i, cells in self.neurons.items():
            fired[i] = self._advance(i, cells, t)
        for i in sorted(fired):
            self.spikes[i] += [(t, n) for n in fired[i]]
        for i in self.neurons.keys() - self.split:
            for n in fired[i]:
                self._remember(i, n, t)
        for pre, post, synapses in self.projections:
            comes_back = pre == post and pre in self.split and synapses.rule is not None
            for n in fired[pre] if isinstance(synapses, Synapses) and not comes_back else ():
                self.saturated[post] += synapses.deliver(n, t, self.rings[post])
        for pre, post, synapses in self.projections:
            for n in fired[pre] if isinstance(synapses, Modulators) else ():
                rules = [other.rule for _, target, other in self.projections if target == post and other.rule]
                synapses.deliver(n, t, rules)
        for i in self.split:
            for n in fired[i]:
                self._come_back(i, n, t)
        self.t += 1

    def _remember(self, i, n, t):
        for _, post, synapses in self.projections:
            if post == i and synapses.rule is not None:
                synapses.rule.post_spike(n, t)

    def _come_back(self, i, n, t):
        """A spike of a split population: one event, or one before each of the rows that it finds on its own core."""
        loops = [synapses for pre, post, synapses in self.projections if pre == post == i and synapses.order]
        if not loops:
            self._remember(i, n, t)
        elif any(synapses.has_row(n) for synapses in loops):
            for synapses in sorted(loops, key=lambda loop: isinstance(loop, Modulators)):
                self._remember(i, n, t)
                if synapses.rule is not None:
                    self.saturated[i] += synapses.deliver(n, t, self.rings[i])

    def _advance(self, i, cells, t):
        for receptor, slot in enumerate(self.rings[i][t & (self.slots[i] - 1)]):
            for n, cell in enumerate(cells):
                cell.receive(receptor, slot[n], self.shifts[i][receptor])
                slot[n] = 0
        self.v[i].append([cell.v for cell in cells])
        self.exc[i].append([cell.currents[0] for cell in cells])
        self.inh[i].append([cell.currents[1] for cell in cells])
        return [n for n, cell in enumerate(cells) if cell.advance()]
