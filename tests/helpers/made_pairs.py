"""Pairs of recordings that differ in one known thing each, of networks as small as they may be. Not a test itself."""

from dataclasses import replace
from functools import cache

import causes
import numpy as np
from faulty import recorded
from random_networks import Recipe, random_network
from test_differences import STEPS, small

from spikingconvnet.backends.local import simulator
from spikingconvnet.compare.explained import with_population, with_projections
from spikingconvnet.compare.recorder import Recorder
from spikingconvnet.network.netlist import Network
from spikingconvnet.network.plasticity import AdditiveWeightDependence, SpikePairRule, STDPMechanism
from spikingconvnet.network.spikes import Spikes

RULE = STDPMechanism(SpikePairRule(15.0, 20.0, 0.02, 0.03), AdditiveWeightDependence(0.0, 3.0))


def wired(network, **change):
    """The network with fields of its connections changed: ``field=function(values)``."""
    return with_projections(network, lambda p: replace(p, connections=replace(p.connections, **{
        name: function(getattr(p.connections, name).copy()) for name, function in change.items()})))


def learning(rule=RULE, **more):
    """Two neurons whose weights learn."""
    network = few(**{"n": 2, "spikes_per_step": 0.35, "v_thresh": 1.0, **more})
    return with_projections(network, lambda p: replace(p, plasticity=rule))


def rule(part, **change):
    return STDPMechanism(**{"timing_dependence": RULE.timing_dependence, "weight_dependence": RULE.weight_dependence,
                            part: replace(getattr(RULE, part), **change)})


def at(place, change):
    """A function that changes one entry of an array."""
    def changed(values):
        values[place] = change(values[place])
        return values
    return changed


def hidden(network, changed):
    """A run of a network, and one of another that says that it is of the first."""
    a, b = causes.recorded(network), causes.recorded(changed)
    kept = {p.label: b.weights[p.label] for p in network.projections if p.learns}
    return replace(a, weights={label: a.weights[label] for label in kept}), replace(
        b, network=network, weights=kept, spikes={**b.spikes, **{p.label: a.spikes[p.label] for p in network.populations
                                                                 if p.is_source}})


def declared(network, changed, **how):
    return causes.recorded(network), causes.recorded(changed, **how)


def faulty(network, fault, first=0, **how):
    return recorded(network, STEPS), recorded(network, STEPS, fault, at=first, **how)


def alone(pair):
    """The same with spikes alone."""
    return tuple(replace(r, neurons={}, membranes={}) for r in pair)


def some(pair, ids=(1, 2)):
    """The same with membranes of some neurons alone."""
    return tuple(replace(r, neurons={"cells": r.neurons["cells"][list(ids)]}, membranes={"cells": {
        name: values[:, list(ids)] for name, values in r.membranes["cells"].items()}}) for r in pair)


def in_parts(network, *thresholds):
    """A run whose thresholds are set: (step, value) each."""
    kept, how = [], {"made_on": "local"}
    ids = {p.label: np.arange(p.size) for p in network.populations if not p.is_source}
    with Recorder(simulator.open(network, ids, jobs=1), network, ids, how, kept.append) as running:
        done = 0
        for step, value in (*thresholds, (STEPS, None)):
            if step > done:
                running.run(step - done)
            done = step
            if value is not None:
                running.set("cells", v_thresh=np.full(network.population("cells").size, value))
        running.recording()
    return kept[0]


def set_before(network, changed, *thresholds):
    """Runs with the same thresholds set, the second of a network that it does not declare."""
    return in_parts(network, *thresholds), replace(in_parts(changed, *thresholds), network=network)


def source(network, change):
    """The network with other spikes of its source: ``change(neurons, steps)`` of the whole timeline."""
    spikes = network.population("in").cell.spikes
    neuron, step = change(spikes.neurons.astype(np.int64), spikes.steps())
    made = Spikes.from_events(step // spikes.n_steps, neuron, step % spikes.n_steps, spikes.shape, spikes.n_samples,
                              spikes.n_steps)
    return with_population(network, "in", cell=replace(network.population("in").cell, spikes=made))


def cells(network, **values):
    return with_population(network, "cells", cell=replace(network.population("cells").cell, **values))


def one_of(network, name, value, neuron=2):
    population = network.population("cells")
    values = np.where(np.arange(population.size) == neuron, value, population.parameter(name))
    return with_population(network, "cells", values={name: values})


@cache
def few(**more):
    return small(**{"n": 4, "spikes_per_step": 1.5, "v_thresh": 3.0, **more})


def restarted(**more):
    return replace(few(**more), reset_every=40)


def on_cores():
    return small(n=12, core=4, spikes_per_step=1.5, v_thresh=3.0)


def alike():
    """All weights and delays are the same, so that packets cannot be told from each other."""
    return wired(few(), weight=lambda w: w * 0 + 1.0, delay=lambda d: d * 0 + 2)


def busy():
    return wired(few(spikes_per_step=5.0, max_expected_summed_weight=0.5), weight=lambda w: w * 4)


def packet(network, event=20):
    spikes = network.population("in").cell.spikes
    return "in", int(spikes.neurons[event]), int(spikes.steps()[event])


def turned(pair, places):
    """The second with neurons that have changed places."""
    a, b = pair
    order = np.arange(b.network.population("cells").size)
    order[list(places)] = list(places)[::-1]
    spikes = b.spikes["cells"].regrouped(b.spikes["cells"].shape, order)
    traces = {"cells": {name: values[:, order] for name, values in b.membranes["cells"].items()}}
    return a, replace(b, spikes={**b.spikes, "cells": spikes}, membranes=traces)


def off_by(pair, name, step, neuron, by, made_on="reference"):
    """The second with one number of a membrane changed."""
    a, b = pair
    values = b.membranes["cells"][name].copy()
    values[step, neuron] += by
    return a, replace(b, membranes={"cells": {**b.membranes["cells"], name: values}}, how={"made_on": made_on})


def learned_off(by, place=0):
    a = b = causes.recorded(learning())
    raw = b.weights["to cells"].copy()
    raw[place] += by
    return a, replace(b, weights={"to cells": raw})


def read(change):
    """Weights that were read differently of the same network."""
    a, b = (recorded(few(), STEPS) for _ in "ab")
    return a, replace(b, weights={"to cells": change(a.weights["to cells"].copy())})


def adaptive(seed):
    network = random_network(Recipe(n_steps=STEPS // 2, drive=2.0, modulated=False, adaptive=True),
                             np.random.default_rng(seed))
    label = next(p.label for p in network.populations if not p.is_source)
    cell = network.population(label).cell
    return hidden(network, with_population(network, label, cell=replace(cell, v_rest=cell.v_rest + 0.5), values={}))


def silenced(pair, neurons):
    a, b = pair
    keep = np.arange(b.network.population("cells").size)
    keep[list(neurons)] = -1
    spikes = b.spikes["cells"]
    return a, replace(b, spikes={**b.spikes, "cells": spikes.regrouped(spikes.shape, keep)})


def still(size, since):
    """A core of `size` neurons whose neurons neither move nor fire from some step on."""
    a = recorded(small(n=2 * size, core=size, spikes_per_step=1.5, v_thresh=3.0), STEPS)
    hit = list(range(size, 2 * size))
    traces = {name: values.copy() for name, values in a.membranes["cells"].items()}
    for values in traces.values():
        values[since:, hit] = values[since, hit]
    spikes = a.spikes["cells"]
    step, neuron = spikes.steps(), spikes.neurons.astype(np.int64)
    keep = (step < since) | ~np.isin(neuron, hit)
    step, neuron = step[keep], neuron[keep]
    made = Spikes.from_events(step // spikes.n_steps, neuron, step % spikes.n_steps, spikes.shape, spikes.n_samples,
                              spikes.n_steps)
    return a, replace(a, spikes={**a.spikes, "cells": made}, membranes={"cells": traces})


def spikes_later(steps, network=None):
    network = network or small(spikes_per_step=3.0)
    return alone(hidden(network, wired(network, delay=lambda d: d + steps)))


OTHER = (("tau_m", 11.0), ("cm", 1.2), ("v_rest", 0.5), ("i_offset", 0.1), ("v_reset", 0.3), ("v", 0.7),
         ("tau_refrac", 2.0), ("v_thresh", 3.4), ("tau_syn_E", 2.5))
PAIRS = {
    **{f"rule {name}": lambda part=part, name=name, value=value: hidden(learning(), learning(rule(
        part, **{name: value}))) for part, name, value in (
            ("timing_dependence", "tau_plus", 13.0), ("timing_dependence", "A_minus", 0.025),
            ("weight_dependence", "w_max", 1.5))},
    "rule alone": lambda: alone(hidden(learning(), learning(rule("timing_dependence", A_plus=0.04)))),
    "rule, some": lambda: some(hidden(learning(), learning(rule("timing_dependence", A_plus=0.04))), (1,)),
    "rule, declared": lambda: declared(learning(), learning(rule("timing_dependence", A_plus=0.04))),
    "first weight": lambda: hidden(learning(), wired(learning(), weight=at(5, lambda w: w * 0.5))),
    "one weight": lambda: hidden(few(), wired(few(), weight=at(9, lambda w: w * 0.5))),
    "one weight of 0": lambda: hidden(few(), wired(few(), weight=at(4, lambda w: w * 0.0))),
    "one weight, declared": lambda: declared(few(), wired(few(), weight=at(9, lambda w: w * 0.5))),
    **{f"weights times {factor}{', learning' * learns}": lambda factor=factor, learns=learns: hidden(*(
        wired(learning() if learns else few(), weight=lambda w, by=by: w * by) for by in (1.0, factor)))
       for factor, learns in ((0.5, False), (2.0, False), (1.3, False), (1.3, True))},
    "weights times 1.3, declared": lambda: declared(few(), wired(few(), weight=lambda w: w * 1.3)),
    "all weights drawn": lambda: hidden(few(), wired(few(), weight=lambda w: w[::-1] * 1.0)),
    **{f"delay of a synapse {by:+d}{', learning' * learns}": lambda by=by, learns=learns: hidden(*(
        wired(learning() if learns else few(), delay=at(6, lambda d, more=more: d + 1 + more)) for more in (0, by)))
       for by, learns in ((1, False), (-1, False), (3, False), (1, True))},
    **{f"delay of all {by:+d}{', learning' * learns}": lambda by=by, learns=learns: hidden(*(
        wired(learning() if learns else few(), delay=lambda d, more=more: d + 1 + more) for more in (0, by)))
       for by in (1, -1, 2) for learns in (False, True)},
    "delays, declared": lambda: declared(few(), wired(few(), delay=at(5, lambda d: d + 2))),
    "receptor": lambda: hidden(few(), with_projections(few(), lambda p: replace(p, receptor="inhibitory"))),
    "receptor, declared": lambda: declared(few(), with_projections(few(), lambda p: replace(p, receptor="inhibitory"))),
    "timestep": lambda: hidden(few(), replace(few(), timestep=0.5)),
    "reset, declared": lambda: declared(few(), restarted()),
    "spike added": lambda: hidden(few(), source(few(), lambda n, t: (np.append(n, 3), np.append(t, 33)))),
    "spike moved": lambda: hidden(few(), source(few(), lambda n, t: (n, at(30, lambda s: s + 3)(t)))),
    "spike earlier": lambda: hidden(few(), source(few(), lambda n, t: (n, at(30, lambda s: s - 2)(t)))),
    "spike gone": lambda: hidden(few(), source(few(), lambda n, t: (np.delete(n, 30), np.delete(t, 30)))),
    "spike added at the end, learning": lambda: hidden(learning(), source(learning(), lambda n, t: (
        np.append(n, 3), np.append(t, 79)))),
    "input, seeds": lambda: (recorded(few(), STEPS, seed=3), recorded(source(few(), lambda n, t: (n[1:], t[1:])), STEPS,
                                                                    seed=4)),
    "input": lambda: declared(few(), source(few(), lambda n, t: (n[1:], t[1:]))),
    "saturation": lambda: faulty(busy(), lambda s: s.never_cut("cells")),
    "saturation, the first": lambda: faulty(busy(), lambda s: s.never_cut("cells"))[::-1],
    **{f"spikes later {by}": lambda by=by: spikes_later(by) for by in (1, 8)},
    "spikes earlier": lambda: spikes_later(2)[::-1], "spikes too late": lambda: spikes_later(9),
    "changed places": lambda: turned((recorded(on_cores(), STEPS),) * 2, (5, 7)),
    "changed places, alone": lambda: alone(turned((recorded(on_cores(), STEPS),) * 2, (5, 7))),
    "changed places on cores": lambda: turned((recorded(on_cores(), STEPS),) * 2, (3, 7)),
    "silent": lambda: silenced((recorded(on_cores(), STEPS),) * 2, [5]),
    "silent core, alone": lambda: alone(silenced((recorded(on_cores(), STEPS),) * 2, [4, 5, 6, 7])),
    "silent, alone": lambda: alone(silenced((recorded(on_cores(), STEPS),) * 2, [5])),
    "thresholds, other": lambda: (in_parts(few(), (20, 2.0)), in_parts(few(), (20, 2.5))),
    "thresholds, later": lambda: (in_parts(few(), (20, 2.0)), in_parts(few(), (21, 2.0))),
    "thresholds, one": lambda: (in_parts(few(), (0, 2.0)), in_parts(few(), (0, 2.0), (11, 2.5))),
    "thresholds, the first": lambda: (in_parts(few(), (0, 2.0), (11, 2.5)), in_parts(few(), (0, 2.0))),
    "thresholds and tau_m": lambda: set_before(few(), cells(few(), tau_m=11.0), (20, 2.0)),
    "thresholds and v_thresh": lambda: set_before(few(), cells(few(), v_thresh=3.5), (40, 2.0)),
    "thresholds and weights": lambda: set_before(few(), wired(few(), weight=lambda w: w * 2), (0, 2.0), (30, 4.0)),
    **{f"restarted, {name}": lambda name=name, value=value: hidden(restarted(), cells(restarted(), **{name: value}))
       for name, value in OTHER},
    **{f"{name} of one": lambda name=name, value=value: hidden(few(), one_of(few(), name, value))
       for name, value in (*OTHER, ("v_thresh", 2.6))},
    "v_thresh never": lambda: hidden(few(), cells(few(), v_thresh=3000.0)),
    "v_thresh of one never": lambda: hidden(few(), one_of(few(), "v_thresh", 3000.0)),
    "restarted, one weight": lambda: hidden(restarted(), wired(restarted(), weight=at(9, lambda w: w * 0.5))),
    "restarted, weights": lambda: hidden(restarted(), wired(restarted(), weight=lambda w: w * 1.4)),
    "restarted, delays": lambda: hidden(restarted(), wired(restarted(), delay=lambda d: d + 1)),
    "restarted, lost": lambda: faulty(restarted(), lambda s: s.drop(*packet(restarted()))),
    **{f"adaptive {seed}": lambda seed=seed: adaptive(seed) for seed in (1, 2)},
    **{f"packet {name}": lambda late=late, make=make: faulty(make(), lambda s: s.repeat(*packet(make()), late))
       for make in (few, alike) for name, late in ((f"{make.__name__} lost", ()), (f"{make.__name__} twice", (0, 0)),
                                                   (f"{make.__name__} late", (1,)), (f"{make.__name__} later", (2,)))},
    "packets on cores": lambda: faulty(on_cores(), lambda s: [s.drop(*packet(on_cores(), e)) for e in (10, 40)]),
    "packet on a core": lambda: faulty(on_cores(), lambda s: s.drop(*packet(on_cores()), 1)),
    "packet, learning": lambda: faulty(learning(), lambda s: s.drop(*packet(learning()))),
    "packet at the end, learning": lambda: faulty(learning(), lambda s: s.drop(*packet(learning(), -1))),
    "packet and a current": lambda: faulty(few(), lambda s: (s.drop(*packet(few())), s.neurons["cells"].synaptic[
        0].__setitem__(2, 12345))),
    **{f"off by {by} in {name} on {made_on}": lambda by=by, name=name, made_on=made_on: off_by(
        (recorded(few(), STEPS),) * 2, name, 30, 2, by, made_on)
       for by in (4, -5) for name in ("v", "gsyn_exc", "gsyn_inh") for made_on in ("reference", "nest")},
    "v off by much": lambda: off_by((recorded(few(), STEPS),) * 2, "v", 30, 2, 1000),
    "rounding some": lambda: some(off_by((recorded(few(), STEPS),) * 2, "v", 30, 2, 3)),
    "rounding others": lambda: some(silenced(off_by((recorded(few(), STEPS),) * 2, "v", 30, 0, 3), [0])),
    "learned off by 2": lambda: learned_off(2), "learned off by 5": lambda: learned_off(5, 1),
    "learned off by 2, alone": lambda: alone(learned_off(2)),
    **{f"read times 2**{power}": lambda power=power: read(lambda w: np.rint((w >> 4) * 2.0 ** power).astype(np.int64))
       for power in (-5, -4, -3)},
    "read otherwise": lambda: read(at(3, lambda w: w + 7)),
    "read, and v": lambda: off_by(read(at(3, lambda w: w + 7)), "v", 30, 2, 1000),
    "two declared": lambda: declared(few(), wired(cells(few(), tau_m=12.0), weight=lambda w: w * 2)),
    "six declared": lambda: declared(few(), cells(few(), tau_m=12.0, cm=1.1, v_rest=0.1, v_reset=0.2, tau_refrac=1.0,
                                                  i_offset=0.1)),
    "declared of some": lambda: declared(few(), with_population(few(), "cells", values={"v_thresh": np.array(
        [3.0, 4.0, 3.0, 5.0])})),
    "declared and more": lambda: (causes.recorded(few()), replace(hidden(few(), wired(
        few(), weight=lambda w: w * 2))[1], network=cells(few(), tau_m=12.0))),
    "declared on nest": lambda: declared(few(), cells(few(), tau_m=12.0), made_on="nest"),
    "summed weight, declared": lambda: declared(few(), few(max_expected_summed_weight=300.0)),
    "summed weight": lambda: hidden(few(), with_population(few(), "cells", max_expected_summed_weight=300.0)),
    **{f"still {size} from {since} on": lambda size=size, since=since: still(size, since) for size, since in (
        (1, 35), (2, 35), (3, 70), (3, 71))},
    "packet on a core, learning": lambda: faulty(learning(n=4, core=2), lambda s: s.drop(*packet(learning(n=4, core=2),
                                                                                                 5), 1)),
    **{f"restarted, refractory {steps}": lambda steps=steps: hidden(restarted(tau_refrac=steps), cells(
        restarted(tau_refrac=steps), tau_m=11.0)) for steps in (3.0, 30.0)},
    **{f"ring buffers for {most}": lambda most=most: hidden(few(), with_population(
        few(), "cells", max_expected_summed_weight=most)) for most in (8.0, 16.0, 64.0)},
    "nothing": lambda: (causes.recorded(few()),) * 2,
    "both from a third": lambda: (off_by((recorded(few(), STEPS),) * 2, "v", 30, 2, 100)[1], off_by(
        (recorded(few(), STEPS),) * 2, "v", 50, 1, 100)[1]),
    "tau_m and weights": lambda: hidden(few(), wired(cells(few(), tau_m=12.0), weight=lambda w: w * 2)),
    "no synapses": lambda: hidden(Network(few().populations, ()), Network(cells(few(), i_offset=1.0).populations, ())),
}
