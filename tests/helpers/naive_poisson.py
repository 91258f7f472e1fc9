"""Slow twin of the Poisson sources: a generator object per core and one function per kind of source, from the document.

It imports nothing from the package. Names and layout are its own on purpose, so that an error has to be made twice.
"""

from fractions import Fraction

from naive_engine import _exp_0_32

WORD = 1 << 32


class Kiss:
    """JKISS64: a congruential generator, a xorshift and a multiply-with-carry, added."""

    def __init__(self, x, y, z, c):
        self.lcg, self.shift, self.carry_low, self.carry = x, y, z, c

    def draw(self):
        self.lcg = (self.lcg * 314527869 + 1234567) % WORD
        self.shift ^= self.shift * 2 ** 5 % WORD
        self.shift ^= self.shift // 2 ** 7
        self.shift ^= self.shift * 2 ** 22 % WORD
        self.carry, self.carry_low = divmod(self.carry_low * 4294584393 + self.carry, WORD)
        return (self.lcg + self.shift + self.carry_low) % WORD


def waiting_time(kiss):
    """Von Neumann: descending runs of uniform numbers; a run of odd length ends it, s16.15."""
    trials = 0
    while True:
        run = [kiss.draw()]
        while True:
            run.append(kiss.draw())
            if run[-1] > run[-2] or (run[-1] == run[-2] and len(run) % 2 == 1):
                break
        if len(run) % 2 == 0:               # it broke on the second, fourth, ... number
            return trials * 2 ** 15 + run[0] // 2 ** 17
        trials += 1


def interval_until_next(kiss, mean):
    thousandths = (1000 * waiting_time(kiss) + 0x4000) // 2 ** 15
    return thousandths * mean % WORD


class Source:
    def __init__(self, rate, start, stop):
        fixed = round(Fraction(rate) * WORD)
        per_tick = (fixed // 2 ** 17) * 0x418937 // WORD
        self.start, self.stop = start, stop
        self.kind = "slow" if per_tick < 327 else "knuth" if per_tick < 327680 else "gauss"
        self.mean = 1000 * WORD // fixed if fixed else 0
        self.floor = (_exp_0_32(-per_tick) // 2 ** 16 % WORD * 2 ** 16 % WORD) if self.kind == "knuth" else None
        self.left = 0


def packets(sources, seed, n_ticks):
    """(tick, source, count) of one core at a time step of 1 ms."""
    kiss, sent = Kiss(*seed), []
    for source in sources:
        if source.kind == "slow":
            source.left = interval_until_next(kiss, source.mean)
    for tick in range(n_ticks):
        for n, source in enumerate(sources):
            count = 0
            if not source.start <= tick < source.stop or (source.kind == "slow" and source.mean == 0):
                continue
            if source.kind == "slow":
                while source.left < 1000:
                    count += 1
                    source.left = (source.left + interval_until_next(kiss, source.mean)) % WORD
                source.left -= 1000
            else:
                chance = kiss.draw() * (WORD - 1) // WORD
                while chance > source.floor:
                    count += 1
                    chance = chance * kiss.draw() // WORD
            if count:
                sent.append((tick, n, count))
    return sent
