"""The arrays of a ``general_stage.GeneralStage``: what its kernels, in C and in numba, are given and change.

The places of numbers in an array are named in ``general_kernels.py`` and ``general_native.c``, alike; a test compares
both with the orders here. Arrays are int32 unless said otherwise; `size` is the number of neurons rounded up to blocks,
and one block more, so that a vector that begins at a neuron ends inside every array.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.board.programs import PROGRAMS
from spikingconvnet.board.rules import MODULATED_KINDS, RULE_KINDS, LoweredRule
from spikingconvnet.network.arrays import AnyInts, Ints, Ints16, Ints32

STRIPES, DOTS = 16, 2   # sums of a support vector machine's score: side by side, and vectors of them
BLOCK = 16              # lanes of the widest vector, so neurons of a block; rows and lines are padded to it
NEURON_FIELDS = ("v_now", "timer", "syn_e", "syn_i", "i_offset", "resistance", "v_rest", "membrane_decay", "v_thresh",
                 "decay_e_mask", "decay_e", "decay_i_mask", "decay_i", "v_reset", "refractory", "input_scale",
                 "offset",      # `i_offset` is less what the own states of kinds of neurons take
                 *(name for row in PROGRAMS.values() for name in row.own))
FIELDS = len(NEURON_FIELDS)
HISTORY = 16            # events kept per neuron, a permanent placeholder included
TRACES = 3              # of an event: its trace, the slower one or dopamine, whether it is a reward or punishment
RULES = (*RULE_KINDS.values(), *MODULATED_KINDS.values())
AMOUNTS = ("w_min", "w_max", "a_plus", "a_minus", "a3_plus", "a3_minus", "alpha", "weight_min", "weight_max", "release")
TABLES = ("lut_plus", "lut_minus", "lut_x", "lut_y", "lut_c", "lut_d")
RUN_FIELDS = ("post", "receptor", "delay", "back", "first", "count")
ROW_FIELDS = ("time", "trace", "slow", "rule")         # the last spike's step and its two traces
# Of each lane of a row of a convolution; `lateral`: what a spike of another map at its place brings.
LANE_FIELDS = ("v_thresh", "shift_e", "shift_i", "i_offset", "v_init", "lateral")
TRACED = ("v", "gsyn_exc", "gsyn_inh")        # what is recorded of a neuron
REACH_FIELDS = ("first", "last", "place")              # of the groups of lanes that a spike in a column reaches
INPUT_FIELDS = ("step", "place", "first", "groups")    # of a spike that reaches a row: when, and which groups of lanes
LEFT, AT_REST, CUT, BUSY = range(4)         # places in the flags of a convolution's row
NEVER = 0               # delay of a plastic run that sPyNNaker 7.4.1 skips, because it stores the delay as 0
CACHE_LINE = 64         # bytes; a vector that lies across two lines costs a sixth of the time of a convolution
SILENT_THRESHOLD = np.iinfo(np.int32).max
FULLEST = 1 << 30       # what a slot of the ring buffer holds at most; it counts as 65535 long before

Scalar = TypeVar("Scalar", bound=np.generic)
Membranes: TypeAlias = dict[str, dict[str, Ints32]]        # population, variable: (steps, recorded neurons)
Events: TypeAlias = tuple[Ints32, Ints32]                  # steps and lanes of spikes, each (events,)
SortedInput: TypeAlias = tuple[Ints, Ints16, Ints16, Ints16]        # as kernels.sort_by_row gives it
# Of a row of a block of maps: weights, v, timer, syn_e, syn_i, ring_e, ring_i, spans, flags, per_lane, trace,
# cell.
Block: TypeAlias = tuple[Ints32, Ints32, Ints32, Ints32, Ints32, Ints32, Ints32, Ints, Ints, Ints32, Ints32, Ints32]
Geometry: TypeAlias = tuple[int, int, int, int, int]       # input rows, column stride, output columns, maps, pieces


class Neurons(NamedTuple):
    """Neurons of a stage.

    Attributes
    ----------
    state : (blocks * FIELDS * BLOCK,)
        Field by field inside a block.
    inject : (2, 3, size)
        Of each receptor the shift of the ring buffer, and the share of an input that a step delivers, as
        ``fixed_point.split`` makes it.
    v_init : (size,)
        Membranes at the start.
    saturated : (size,)
        Slots that were cut.
    ring : (slots, 2, size)
        Weights on their way.
    pending : int64 (slots,)
        Whether a slot holds any.
    own_states : int
        Which of ``programs.OWN_STATES`` there are, a bit each.
    """

    state: Ints32
    inject: Ints32
    v_init: Ints32
    saturated: Ints32
    ring: Ints32
    pending: Ints
    own_states: int


class Static(NamedTuple):
    """Synapses that do not learn, in runs.

    A run are synapses of one presynaptic neuron, receptor and delay to postsynaptic neurons one after another; `back`
    are the steps after which learning sees a postsynaptic spike.

    Attributes
    ----------
    start : int64 (spike ids + 1,)
        First run of each presynaptic neuron.
    runs : (runs, RUN_FIELDS)
    weight : (synapses + BLOCK,)
    """

    start: Ints
    runs: Ints32
    weight: Ints32


class Plastic(NamedTuple):
    """Synapses that learn: rows of one presynaptic neuron and projection, in runs.

    Attributes
    ----------
    start : int64 (spike ids + 1,)
        First row of each presynaptic neuron.
    row_start : int64 (rows + 1,)
        First run of each row.
    row_state : (rows, ROW_FIELDS)
    runs, weight
        See :class:`Static`.
    eligibility : (synapses + BLOCK,)
    """

    start: Ints
    row_start: Ints
    row_state: Ints32
    runs: Ints32
    weight: Ints32
    eligibility: Ints32


class Modulators(NamedTuple):
    """Rewards and punishments.

    Attributes
    ----------
    start : int64 (spike ids + 1,)
        First synapse of each presynaptic neuron.
    post : (synapses,)
    amount : (synapses,)
        4.11; negative for punishments.
    """

    start: Ints
    post: Ints32
    amount: Ints32


class Own(NamedTuple):
    """What the spikes of neurons on split cores start on the core of their synapses, see ``split_cores.py``.

    Attributes
    ----------
    start : int64 (neurons + 1,)
        First event of each neuron's spike; empty if no neurons are on split cores.
    row : (events,)
        Row of :class:`Plastic` that comes after the event, or -1. `Plastic.start` does not know of these rows.
    """

    start: Ints
    row: Ints32


class Rules(NamedTuple):
    """Plasticity rules.

    Attributes
    ----------
    rule_of : (size,)
        Rule of each neuron's synapses, or -1.
    kinds : (rules,)
        Place in `RULES`.
    split : (rules,)
        Whether neurons and synapses have cores of their own, see :class:`Own`.
    amounts : (rules, AMOUNTS)
    tables : (rules, TABLES, steps)
        The last number of each is 0.
    """

    rule_of: Ints32
    kinds: Ints32
    split: Ints32
    amounts: Ints32
    tables: Ints32


class History(NamedTuple):
    """Events of the neurons behind plastic synapses.

    Attributes
    ----------
    times : (size, HISTORY)
    traces : (size, TRACES, HISTORY)
    counts : (size,)
        The placeholder included.
    newest : (2, size)
        Time and trace of the newest event; the time is -1 before the first one.
    """

    times: Ints32
    traces: Ints32
    counts: Ints32
    newest: Ints32


class Record(NamedTuple):
    """Membranes that are recorded.

    Attributes
    ----------
    ids : int64 (neurons,)
    v, gsyn_exc, gsyn_inh : (steps, neurons)
    """

    ids: Ints
    v: Ints32
    gsyn_exc: Ints32
    gsyn_inh: Ints32


class Spiking(NamedTuple):
    """Spikes from outside and where those of the stage are written.

    Attributes
    ----------
    offsets : int64 (steps + 1,)
        First spike of each step.
    ids : (spikes,)
    out_step, out_id : (room,)
    """

    offsets: Ints
    ids: Ints32
    out_step: Ints32
    out_id: Ints32


def aligned(shape: int | tuple[int, ...], dtype: type[Scalar]) -> NDArray[Scalar]:
    """Zeros that begin with a line of the cache."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    buffer = np.zeros(size + CACHE_LINE, np.uint8)
    first = -buffer.ctypes.data % CACHE_LINE
    return buffer[first:first + size].view(dtype).reshape(shape)


def empty_history(size: int) -> History:
    """A History without events."""
    newest = np.zeros((2, size), np.int32)
    newest[0] = -1
    return History(np.zeros((size, HISTORY), np.int32), np.zeros((size, TRACES, HISTORY), np.int32),
                   np.ones(size, np.int32), newest)


def stacked_rules(rules: Sequence[LoweredRule], split: Sequence[bool], rule_of: Ints) -> Rules:
    """Rules as arrays.

    Parameters
    ----------
    rules : list of LoweredRule
    split : list of bool
    rule_of : int array (size,)
    """
    tables = [[getattr(rule, name) for name in TABLES] for rule in rules]
    width = 1 + max([1] + [len(table) for parts in tables for table in parts])
    padded = [[np.pad(table, (0, width - len(table))) for table in parts] for parts in tables]
    amounts = [[getattr(rule, name) for name in AMOUNTS] for rule in rules]
    return Rules(rule_of.astype(np.int32), np.array([RULES.index(rule.kind) for rule in rules], np.int32),
                 np.array(split, np.int32),
                 np.array(amounts, np.int32).reshape(-1, len(AMOUNTS)),
                 np.array(padded, np.int32).reshape(-1, len(TABLES), width))


def filled(row: AnyInts, post: AnyInts, receptor: AnyInts, delay: AnyInts,
           weight: AnyInts) -> tuple[AnyInts, AnyInts, AnyInts, AnyInts, AnyInts]:
    """Synapses of weight 0 in gaps in which they take no more memory than another run.

    So weights of both signs, for one receptor each, become two long runs.

    Parameters
    ----------
    row, post, receptor, delay, weight : int arrays (synapses,)
        Sorted by row, receptor, delay and postsynaptic neuron.

    Returns
    -------
    The same five, longer.
    """
    gap = np.diff(post)
    for key in (row, receptor, delay):
        gap *= key[1:] == key[:-1]
    short = (gap > 1) & (gap <= 1 + len(RUN_FIELDS))
    if not short.any():
        return row, post, receptor, delay, weight
    steps = np.append(np.where(short, gap, 1), 1)
    place = np.cumsum(steps) - steps
    row, post, receptor, delay = (np.repeat(column, steps) for column in (row, post, receptor, delay))
    post += (np.arange(len(post)) - np.repeat(place, steps)).astype(post.dtype)
    weights = np.zeros(len(row), weight.dtype)
    weights[place] = weight
    return row, post, receptor, delay, weights


class Growing:
    """An int32 array that parts are appended to, without a second copy of all of them.

    Parameters
    ----------
    *width : int
        Shape of each row.

    Attributes
    ----------
    values : int32 array (rows, *width)
    """

    def __init__(self, *width: int) -> None:
        self.values: Ints32 = np.zeros((0, *width), np.int32)

    def append(self, part: AnyInts) -> None:
        """Append rows; nothing else may hold `values` meanwhile."""
        n = len(self.values)
        self.values.resize((n + len(part), *self.values.shape[1:]), refcheck=False)
        self.values[n:] = part


def dense_runs(n_pre: int, n_post: int, post: int, receptor: int, delay: int) -> tuple[Ints, Ints32]:
    """What :func:`runs` makes of every presynaptic to every postsynaptic neuron, the first of which is `post`.

    Returns
    -------
    pre : int64 array (runs,)
        Presynaptic neuron of each.
    runs : int32 array (runs, RUN_FIELDS)
    """
    pre = np.arange(n_pre if n_post else 0)
    found = np.empty((len(pre), len(RUN_FIELDS)), np.int32)
    found[:] = post, receptor, delay, delay, 0, n_post
    found[:, RUN_FIELDS.index("first")] = pre * n_post
    return pre, found


def runs(row: AnyInts, post: AnyInts, receptor: AnyInts, delay: AnyInts, back: AnyInts) -> tuple[Ints, Ints32]:
    """Group synapses that are sorted by row into runs.

    Parameters
    ----------
    row, post, receptor, delay, back : int arrays (synapses,)

    Returns
    -------
    first : int64 array (runs,)
        First synapse of each.
    runs : int32 array (runs, RUN_FIELDS)
    """
    fresh = np.ones(len(row), bool)
    fresh[1:] = np.diff(post) != 1
    for key in (row, receptor, delay, back):
        fresh[1:] |= key[1:] != key[:-1]
    first = np.flatnonzero(fresh)
    count = np.diff(np.append(first, len(row)))
    columns = (post[first], receptor[first], delay[first], back[first], first, count)
    return first, np.stack(columns, axis=1).astype(np.int32)
