"""When neurons of a graph compute: lags against longest paths found by trying all of them."""

import itertools

import numpy as np
import pytest

from spikingconvnet.exchange.timing import timing


def drawn(rng, loops):
    """Neurons and edges (pre, post, steps); without loops every edge leads to a later neuron."""
    names = "abcdef"[:int(rng.integers(2, 7))]
    pairs = [(a, b) for i, a in enumerate(names) for j, b in enumerate(names) if loops or i < j]
    chosen = rng.permutation(len(pairs))[:int(rng.integers(1, 9))]
    return names, [(*pairs[k], int(rng.choice([0, 0, 1, 3]))) for k in chosen]


def lags(names, edges):
    """The smallest that leave every edge a step, of all that there are."""
    for total in itertools.product(range(len(names)), repeat=len(names)):
        lag = dict(zip(names, total))
        if all(lag[b] - lag[a] + steps >= 1 for a, b, steps in edges):
            yield lag


@pytest.mark.parametrize("seed", range(40))
def test_lags_are_the_smallest_with_which_every_connection_has_a_step(seed):
    names, edges = drawn(np.random.default_rng(seed), loops=False)
    found, every = timing(names, edges), list(lags(names, edges))
    assert found.lag == {name: min(lag[name] for lag in every) for name in names}
    assert not found.loops and not found.late
    for edge in edges:
        a, b, steps = edge
        assert found.delay(edge) == found.lag[b] - found.lag[a] + steps >= 1


@pytest.mark.parametrize("seed", range(60))
def test_with_loops_every_connection_has_a_step_and_what_is_late_is_told(seed):
    names, edges = drawn(np.random.default_rng(seed), loops=True)
    found = timing(names, edges)
    none = [(a, b) for a, b, steps in edges if steps == 0 and (a, b, 0) not in found.loops]
    assert all(edge in edges and edge[2] == 0 for edge in found.loops)
    assert not on_loop(names, none)                                 # what is left without a delay is no loop
    for edge in edges:
        a, b, steps = edge
        meant = found.lag[b] - found.lag[a] + max(steps, int(edge in found.loops))
        assert found.delay(edge) == max(1, meant)
        assert found.late.get(edge, 0) == max(0, 1 - meant)
    if any(True for _ in lags(names, [(a, b, max(s, int((a, b, s) in found.loops))) for a, b, s in edges])):
        assert not found.late


def on_loop(names, pairs):
    reached = {name: {b for a, b in pairs if a == name} for name in names}
    for _ in names:
        reached = {a: bs | {c for b in bs for c in reached[b]} for a, bs in reached.items()}
    return any(a in bs for a, bs in reached.items())


def test_the_edge_that_closes_a_loop_is_the_one_that_the_walk_comes_to_last():
    assert timing("abc", [("a", "b", 0), ("b", "c", 0), ("c", "a", 0)]).loops == {("c", "a", 0)}
    assert timing("cab", [("a", "b", 0), ("b", "c", 0), ("c", "a", 0)]).loops == {("b", "c", 0)}
    assert timing("abc", [("a", "b", 0), ("a", "c", 0), ("b", "c", 0)]).loops == set()
    assert timing("a", [("a", "a", 0)]).late == {} and timing("a", [("a", "a", 2)]).delay(("a", "a", 2)) == 2


def test_a_loop_of_two_is_late_by_what_its_connections_take():
    edges = [("a", "b", 0), ("b", "c", 0), ("c", "b", 0)]
    found = timing("abc", edges)
    assert found.lag == {"a": 0, "b": 1, "c": 2} and found.loops == {("c", "b", 0)} and found.late == {("c", "b", 0): 1}
    waits = [("a", "b", 0), ("b", "c", 0), ("c", "b", 2)]
    assert timing("abc", waits).late == {} and timing("abc", waits).delay(("c", "b", 2)) == 1


def test_given_lags_are_taken_if_they_fit():
    edges = [("a", "b", 0), ("a", "c", 1)]
    assert timing("abc", edges, {"a": 1, "b": 5, "c": 1}).lag == {"a": 1, "b": 5, "c": 1}
    for wrong in ({"a": 1, "b": 1, "c": 1}, {"a": 0, "b": 1}, {"a": 0, "b": 1, "c": 0, "d": 0}):
        assert timing("abc", edges, wrong).lag == {"a": 0, "b": 1, "c": 0}
