"""When each neuron of a graph computes: every connection on a board takes a step at least, in a graph it takes none.

A graph is evaluated all at once, step by step: a spike reaches the next neurons in its own step, and over a loop in the
next one. On a board neuron ``n`` does the same ``lag(n)`` steps later, and a connection with a delay of ``d`` steps in
the graph takes ``lag(post) - lag(pre) + d`` of them, which has to be 1 or more. So lags are longest paths; paths of
different lengths to one neuron stay together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Edge: TypeAlias = tuple[str, str, int]          # pre, post, steps in the graph


@dataclass(frozen=True)
class Timing:
    """Lags of neurons, and what loops cost.

    Attributes
    ----------
    lag : dict of str to int
        Steps that a neuron is behind the graph; 0 of a source.
    loops : set of (pre, post, 0)
        Edges without a delay that close a loop: in a graph, too, their spikes come in the next step.
    late : dict of (pre, post, steps) to int
        Steps that spikes of a loop come later than they should, because its connections take a step each.
    """

    lag: dict[str, int]
    loops: set[Edge]
    late: dict[Edge, int]

    def delay(self, edge: Edge) -> int:
        """Steps that a connection takes on a board, 1 or more."""
        return _needed(self.lag, self.loops, edge) + self.late.get(edge, 0)


def timing(neurons: Sequence[str], edges: Sequence[Edge], given: Mapping[str, int] | None = None) -> Timing:
    """Lags of neurons.

    Parameters
    ----------
    neurons : list of str
        Sources among them.
    edges : list of (pre, post, steps)
    given : dict of str to int or None
        Lags that are taken if every connection has a step with them.

    Returns
    -------
    Timing

    >>> timing("abc", [("a", "b", 0), ("b", "c", 0), ("a", "c", 0)]).lag
    {'a': 0, 'b': 1, 'c': 2}
    >>> timing("ab", [("a", "b", 0), ("b", "b", 0)]).delay(("b", "b", 0))
    1
    """
    loops = _closing(neurons, [edge for edge in edges if edge[2] == 0])
    if given is not None and set(given) == set(neurons) and _fits(given, loops, edges):
        return Timing(dict(given), loops, {})
    kept = [edge for edge in edges if edge not in loops]
    lag = _longest(neurons, loops, kept)
    if not _fits(lag, loops, kept):
        closing = _closing(neurons, edges)
        lag = _longest(neurons, loops, [edge for edge in edges if edge not in closing])
    late = {edge: 1 - needed for edge in edges if (needed := _needed(lag, loops, edge)) < 1}
    return Timing(lag, loops, late)


def _needed(lag: Mapping[str, int], loops: set[Edge], edge: Edge) -> int:
    """Steps that a connection should take."""
    pre, post, steps = edge
    return lag[post] - lag[pre] + max(steps, int(edge in loops))


def _fits(lag: Mapping[str, int], loops: set[Edge], edges: Sequence[Edge]) -> bool:
    return all(_needed(lag, loops, edge) >= 1 for edge in edges)


def _longest(neurons: Sequence[str], loops: set[Edge], edges: Sequence[Edge]) -> dict[str, int]:
    """The smallest lags with which every edge has a step, if there are any (Bellman 1958, doi 10.1090/qam/102435)."""
    lag = dict.fromkeys(neurons, 0)
    for _ in neurons:
        for edge in edges:
            lag[edge[1]] += max(0, 1 - _needed(lag, loops, edge))
        if _fits(lag, loops, edges):
            break
    return lag


def _closing(neurons: Sequence[str], edges: Sequence[Edge]) -> set[Edge]:
    """Edges that close a loop on a walk along all edges, depth first, in the order of neurons and edges."""
    after: dict[str, list[Edge]] = {name: [] for name in neurons}
    for edge in edges:
        after[edge[0]].append(edge)
    found: set[Edge] = set()
    left: set[str] = set()
    for start in neurons:
        walk = {start: iter(after[start])} if start not in left else {}
        while walk:
            name = next(reversed(walk))
            _, post, _ = edge = next(walk[name], (name, "", 0))
            if not post:
                left.add(name)
                del walk[name]
            elif post in walk:
                found.add(edge)
            elif post not in left:
                walk[post] = iter(after[post])
    return found
