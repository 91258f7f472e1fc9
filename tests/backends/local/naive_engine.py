"""Slow twin of the local engine: SpiNNaker's arithmetic in Python's own integers, one neuron and one synapse at a time.

IF_curr_exp and IF_curr_delta, static synapses and the additive spike pair rule, at a time step of 1 ms. It imports
nothing from the package and was written from a description of sPyNNaker 7.4.1's binaries, not from the package's code,
so an error has to be made twice to go unseen. Real numbers exist only as Decimal and Fraction, while parameters become
integers.

Not modelled: delays beyond the ring buffer of a large population, the choice of shifts (they are given), lateness,
several cores per population.
"""

from decimal import ROUND_FLOOR, Decimal, getcontext
from fractions import Fraction

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


def exponential_table(tau):
    """floor(2048 e**(-i / tau)), as long as it is above zero, rounded up to an even length."""
    tau = Decimal(str(tau))
    length = Decimal(2048).ln() * tau
    pairs = int(length // 2) + (1 if length % 2 > 0 else 0)
    return [int(((-i / tau).exp() * 2048).to_integral_value(ROUND_FLOOR)) for i in range(2 * pairs)]


def look_up(table, interval):
    index = interval % (1 << 32)
    return table[index] if index < len(table) else 0


def membrane_constants(tau_m, cm):
    """(R, exp(-1 ms / tau_m)) as accums."""
    return accum_quotient(accum(tau_m), accum(cm)), exp_accum(-accum_quotient(ONE, accum(tau_m)))


def synapse_constants(tau):
    """(decay, injection) multipliers of a synaptic current, as unsigned 0.32 fractions."""
    decay = exp_fraction(-accum_quotient(ONE, accum(tau)))
    injection = ((accum_quotient(accum(tau), ONE) * (0xffffffff - decay)) >> 15) % (1 << 32)
    return decay, injection


def refractory_steps(tau_refrac):
    quotient = accum_quotient(accum(tau_refrac), ONE)
    return (quotient >> 15) + (1 if quotient & (ONE - 1) else 0)


def ring_weight(weight, shift):
    """|weight| (nA) as a ring-buffer integer, ties to even, 16 bits kept."""
    return round(abs(Fraction(weight)) * (1 << 15) / (1 << shift)) & 0xffff


class Neuron:
    """One LIF neuron; `parameters` maps PyNN's names to numbers and says `kind`: "exp" or "delta"."""

    def __init__(self, kind, parameters):
        self.resistance, self.membrane_decay = membrane_constants(parameters["tau_m"], parameters["cm"])
        self.v_rest, self.v_reset = accum(parameters["v_rest"]), accum(parameters["v_reset"])
        self.v_thresh, self.i_offset = accum(parameters["v_thresh"]), accum(parameters["i_offset"])
        self.refractory = refractory_steps(parameters["tau_refrac"])
        self.synapses = None
        if kind == "exp":
            self.synapses = [synapse_constants(parameters[name]) for name in ("tau_syn_E", "tau_syn_I")]
        self.v, self.timer, self.currents = accum(parameters["v"]), 0, [0, 0]

    def receive(self, receptor, slot, shift):
        if slot > 0:
            charge = wrap_signed(slot << shift, 32)
            if self.synapses is not None:
                charge = decayed(charge, self.synapses[receptor][1])
            self.currents[receptor] = wrap_signed(self.currents[receptor] + charge, 32)

    def advance(self):
        """One millisecond; whether the neuron fires."""
        if self.timer <= 0:
            current = wrap_signed(self.currents[0] - self.currents[1] + self.i_offset, 32)
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


class PairRule:
    """SpikePairRule with AdditiveWeightDependence on the synapses of one projection."""

    def __init__(self, rule, n_post, shift):
        self.plus, self.minus = exponential_table(rule["tau_plus"]), exponential_table(rule["tau_minus"])
        self.a_plus, self.a_minus = accum(rule["A_plus"]), accum(rule["A_minus"])
        self.w_min, self.w_max = accum(rule["w_min"]), accum(rule["w_max"])
        self.shift = shift
        self.histories = [[(0, 0)] for _ in range(n_post)]              # of (time, trace)
        self.rows = {}                                                  # pre: (last time, last trace)

    def post_spike(self, post, t):
        history = self.histories[post]
        time, trace = history[-1]
        history.append((t, wrap_signed(trace_product(trace, look_up(self.minus, t - time)) + UNIT_TRACE, 16)))
        if len(history) > HISTORY_LENGTH:
            del history[1]

    def updated_weight(self, weight, pre, post, t, delay):
        last_time, last_trace = self.rows.get(pre, (0, 0))
        begin, end = max(last_time - delay, 0), max(t - delay, 0)
        previous, events = self._window(self.histories[post], begin, end)
        w = weight << self.shift
        for event in events:
            interval = event[0] + delay - last_time
            if interval != 0:
                gain = trace_product(last_trace, look_up(self.plus, interval))
                w = min(wrap_signed(w + accum_product(self.a_plus, gain << 4), 32), self.w_max)
            previous = event
        if previous is not None:
            loss = trace_product(previous[1], look_up(self.minus, t - delay - previous[0]))
            w = max(wrap_signed(w - accum_product(self.a_minus, loss << 4), 32), self.w_min)
        return (w >> self.shift) & 0xffff

    @staticmethod
    def _window(history, begin, end):
        """The spike before the window (None if it ran off the list) and those inside it, newest looked at first."""
        k = stop = first = len(history)
        newest = True
        while newest or (k != 0 and history[k][0] > begin):
            if not newest and history[k][0] > end:
                stop = k
            newest = False
            first = k
            k -= 1
        return (history[k] if k != 0 else None), history[first:stop]

    def pre_spike(self, pre, t):
        time, trace = self.rows.get(pre, (0, 0))
        self.rows[pre] = t, wrap_signed(trace_product(trace, look_up(self.plus, t - time)) + UNIT_TRACE, 16)


class Synapses:
    """The rows of one projection and the ring buffer they write to."""

    def __init__(self, projection, n_post, shift, slots):
        self.receptor, self.slots = projection["receptor"], slots
        self.rows = {}
        self.order = []
        for pre, post, weight, delay in projection["synapses"]:
            synapse = [post, ring_weight(weight, shift), delay & (slots - 1)]
            self.rows.setdefault(pre, []).append(synapse)
            self.order.append(synapse)
        rule = projection.get("stdp")
        self.rule = None if rule is None else PairRule(rule, n_post, shift)

    def deliver(self, pre, t, ring):
        """The row of one spike of neuron `pre`; the number of slots that overflowed."""
        saturated = 0
        for synapse in self.rows.get(pre, ()):
            post, weight, delay = synapse
            if self.rule is not None:
                synapse[1] = weight = self.rule.updated_weight(weight, pre, post, t, delay)
                if delay == 0:                              # a plastic synapse with the longest delay is silent
                    continue
            slot = ring[(t + delay) & (self.slots - 1)][self.receptor]
            slot[post] += weight
            if slot[post] > SLOT_LIMIT:
                slot[post], saturated = SLOT_LIMIT, saturated + 1
        if self.rule is not None and pre in self.rows:
            self.rule.pre_spike(pre, t)
        return saturated


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
        {"kind": "exp" or "delta", "neurons": [parameters of each neuron], "shifts": (excitatory, inhibitory)}.
    projections : list of dict
        {"pre", "post": places in `populations`, "receptor": 0 or 1, "synapses": [(pre, post, weight in nA, delay in
        steps)], "stdp": None or a dict of tau_plus, tau_minus, A_plus, A_minus, w_min, w_max}.

    After `run`, per population: `v`, `exc`, `inh` are lists of one list per step (raw accums, V before the step's
    update, currents after the step's input), `spikes` is a list of (step, neuron), `saturated` counts overflows.
    """

    def __init__(self, populations, projections):
        count = len(populations)
        self.sources = {i: population["spikes"] for i, population in enumerate(populations) if "spikes" in population}
        self.neurons = {i: [Neuron(population["kind"], p) for p in population["neurons"]]
                        for i, population in enumerate(populations) if i not in self.sources}
        self.shifts = {i: populations[i]["shifts"] for i in self.neurons}
        self.slots = {i: ring_slots([s[3] for p in projections if p["post"] == i for s in p["synapses"]])
                      for i in self.neurons}
        self.rings = {i: [[[0] * len(cells) for _ in range(2)] for _ in range(self.slots[i])]
                      for i, cells in self.neurons.items()}
        self.projections = [(p["pre"], p["post"],
                             Synapses(p, len(self.neurons[p["post"]]), self.shifts[p["post"]][p["receptor"]],
                                      self.slots[p["post"]])) for p in projections]
        self.v, self.exc, self.inh, self.spikes = ([[] for _ in range(count)] for _ in range(4))
        self.saturated = [0] * count
        self.t = 0

    def run(self, steps):
        for _ in range(steps):
            self._step()
        return self

    def weights(self, index):
        """Raw weights of a projection, in the order its synapses were given."""
        return [synapse[1] for synapse in self.projections[index][2].order]

    def _step(self):
        t = self.t
        fired = {i: [n for n, steps in enumerate(trains) for step in steps if step == t]
                 for i, trains in self.sources.items()}
        for i, cells in self.neurons.items():
            fired[i] = self._advance(i, cells, t)
        for i in sorted(fired):
            self.spikes[i] += [(t, n) for n in fired[i]]
        for _, post, synapses in self.projections:
            if synapses.rule is not None and post in fired:
                for n in fired[post]:
                    synapses.rule.post_spike(n, t)
        for pre, post, synapses in self.projections:
            for n in fired[pre]:
                self.saturated[post] += synapses.deliver(n, t, self.rings[post])
        self.t += 1

    def _advance(self, i, cells, t):
        for receptor, slot in enumerate(self.rings[i][t & (self.slots[i] - 1)]):
            for n, cell in enumerate(cells):
                cell.receive(receptor, slot[n], self.shifts[i][receptor])
                slot[n] = 0
        self.v[i].append([cell.v for cell in cells])
        self.exc[i].append([cell.currents[0] for cell in cells])
        self.inh[i].append([cell.currents[1] for cell in cells])
        return [n for n, cell in enumerate(cells) if cell.advance()]
