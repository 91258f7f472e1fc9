"""The gate for parameters: every field of every record refuses what it cannot be, and keeps what it can be as it is."""

import math
from dataclasses import fields, replace
from decimal import Decimal
from fractions import Fraction

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikingconvnet.data.deformation import Deformation
from spikingconvnet.data.encoding import LatencyEncoder, RateEncoder, RegularEncoder
from spikingconvnet.data.filters import Deslanted, DifferenceOfGaussians, Intensity
from spikingconvnet.data.receptive_fields import GaussianReceptiveFields
from spikingconvnet.errors import LONGEST, NetworkError, SettingsError, in_words
from spikingconvnet.experiment.crossvalidation import Scheme
from spikingconvnet.experiment.settings import Settings
from spikingconvnet.gates import fields as gate
from spikingconvnet.gates import sizes
from spikingconvnet.model.layers import AvgPool2D, Conv2D, Dense
from spikingconvnet.model.readouts import Classifier, Membrane, SpikeCount
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.network.board_connectors import BoardConvolution, BoardPoolDense
from spikingconvnet.network.connectivity import ConnectionList, ConvConnections, DenseConnections, LateralInhibition
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrDelta, IFCurrExp, SpikeSourceArray, SpikeSourcePoisson
from spikingconvnet.network.plasticity import (
    AdditiveWeightDependence,
    MultiplicativeWeightDependence,
    Neuromodulation,
    PfisterSpikeTripletRule,
    SpikeNearestPairRule,
    SpikePairRule,
    STDPMechanism,
    Vogels2011Rule,
    WeightDependenceAdditiveTriplet,
)
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.training.chain.bpstdp import BPSTDP
from spikingconvnet.training.chain.convert import Convert
from spikingconvnet.training.chain.descent import Descent
from spikingconvnet.training.chain.ridge import Ridge
from spikingconvnet.training.chain.rstdp import RSTDP
from spikingconvnet.training.chain.softlif import SoftLIF
from spikingconvnet.training.chain.surrogate import Surrogate
from spikingconvnet.training.layerwise.stdp import STDP

ONE = np.ones((1, 1, 1, 1))
MODEL = Sequential((1, 4, 4), Conv2D(2, 3), Classifier())
RECORDS = (
    IFCurrExp(), IFCurrDelta(), SpikeSourcePoisson(), SpikeSourceArray(Spikes.empty((1, 1, 1), 1, 5)), SpikePairRule(),
    SpikeNearestPairRule(), Vogels2011Rule(0.2), PfisterSpikeTripletRule(16.8, 33.7, 101.0, 114.0, 0.1, 0.1),
    AdditiveWeightDependence(), MultiplicativeWeightDependence(), WeightDependenceAdditiveTriplet(), Neuromodulation(),
    STDPMechanism(), STDP(), Conv2D(4, 3), AvgPool2D(2), Dense(3), SpikeCount(), Membrane(), Classifier(),
    LatencyEncoder(), RegularEncoder(), RateEncoder(), GaussianReceptiveFields(low=(0.0,), high=(1.0,)),
    DifferenceOfGaussians(), Deslanted(Intensity()), Deformation(), Ridge(), Convert(), Descent(), SoftLIF(),
    Surrogate(), BPSTDP(), RSTDP(), Scheme(2, 5), ConnectionList([0], [0], [1.0], [1]), DenseConnections([[1.0]]),
    LateralInhibition(3, 1.0), ConvConnections(ONE, (1, 4, 4)), BoardConvolution(ONE[0, 0], (1, 4, 4)),
    BoardPoolDense(ONE[0], (1, 1, 1)), Population("p", (1, 1, 1), IFCurrExp()),
    Projection("q", "p", "p", DenseConnections([[1.0]])), Network((Population("p", (1, 1, 1), IFCurrExp()),), ()),
    Settings("digits", Intensity(), LatencyEncoder(), 20, MODEL))
# Not given by a user, or kept for what it was made of.
UNCHECKED = {("Settings", "arch")}
FIELDS = [pytest.param(record, f.name, id=f"{type(record).__name__}.{f.name}") for record in RECORDS
          for f in fields(record) if (type(record).__name__, f.name) not in UNCHECKED]


class Evil(float):
    """A number that is none: whoever shows or compares it fails."""

    def __repr__(self):
        raise RuntimeError("no repr")

    __lt__ = __gt__ = __le__ = __ge__ = __repr__


STRANGE = (object(), Ellipsis, len, np, 1j, Decimal(1), Fraction(1, 2), math.nan, math.inf, 10 ** 400, 10 ** 5000,
           -10 ** 400, np.zeros(2), np.datetime64("2026-01-01"), {1: 2}, {3}, b"1", (x for x in ()), [object()],
           np.longdouble("nan"), [[1, 2], 3], float, STDP, Evil)
ALLOWED = {     # which of these a field may well be
    "SpikeSourcePoisson.duration": (math.inf,), "Population.values": ({1: 2},), "ConnectionList.weight": (),
    "GaussianReceptiveFields.low": (), "Convert.start": ()}


@pytest.mark.parametrize("record, name", FIELDS)
def test_a_field_refuses_what_is_nothing_of_its_kind_by_its_name(record, name):
    for value in STRANGE:
        if any(value is one for one in ALLOWED.get(f"{type(record).__name__}.{name}", ())):
            continue
        with pytest.raises((SettingsError, NetworkError)) as caught:
            replace(record, **{name: value})
        text = str(caught.value)
        assert ": must be " in text and "\n" not in text and len(text) < LONGEST + 400, (value, text)


@pytest.mark.parametrize("record, name", FIELDS)
def test_a_field_refuses_records_of_another_kind(record, name):
    taken = 0
    for value in (SpikePairRule(), Classifier(), IFCurrExp, STDP()):
        try:
            replace(record, **{name: value})
            taken += 1
        except (SettingsError, NetworkError):
            pass
    assert taken <= (name in ("timing_dependence", "training"))


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_what_passes_is_what_was_given(record):
    """Digests of run directories are made of the text of records."""
    assert repr(replace(record)) == repr(record)


def test_numbers_of_numpy_become_plain_ones():
    given_ones = IFCurrExp(tau_m=np.float64(20.0), cm=np.int64(1), v=np.float32(0.5))
    assert repr(given_ones) == repr(IFCurrExp(tau_m=20.0, cm=1, v=0.5))
    assert repr(Conv2D(np.int32(4), (np.uint8(3), 3))) == repr(Conv2D(4, 3))
    assert repr(STDPMechanism(backprop_delay=np.True_)) == repr(STDPMechanism())


anything = st.one_of(st.integers(), st.floats(), st.booleans(), st.none(), st.text(), st.complex_numbers(),
                     st.decimals(), st.fractions(), st.lists(st.integers(), max_size=3),
                     st.integers(-9, 9).map(np.int8), st.floats(width=16).map(np.float16),
                     st.tuples(st.integers(-2, 70000), st.integers(-2, 70000)))


@given(anything)
def test_a_real_number_is_taken_within_its_limits_alone(value):
    kind = gate.real(gate.above(0), gate.most(1e3))
    right = (isinstance(value, (int, float, np.int8, np.float16)) and not isinstance(value, bool)
             and bool(0 < value <= 1000))
    assert kind.takes(value) == right
    if right:
        found = kind(value, "X", "y")
        assert type(found) in (int, float) and found == value and kind(found, "X", "y") is found
    else:
        with pytest.raises(SettingsError, match=r"^X\.y: must be "):
            kind(value, "X", "y")


@given(anything)
def test_a_whole_number_is_taken_within_its_limits_alone(value):
    kind = gate.whole(0, 100)
    right = isinstance(value, (int, np.int8)) and not isinstance(value, bool) and 0 <= value <= 100
    assert kind.takes(value) == right and (not right or type(kind(value, "X", "y")) is int)


@given(anything)
def test_a_pair_is_one_whole_number_or_two(value):
    whole = gate.whole(1, gate.RANGE)
    pair = isinstance(value, (tuple, list)) and len(value) == 2 and all(map(whole.takes, value))
    right = whole.takes(value) or pair
    assert gate.PAIR.takes(value) == right
    if right:
        assert len(gate.PAIR(value, "X", "y")) == 2 and gate.optional(gate.PAIR).takes(value)


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_a_neuron_that_is_taken_can_be_held_by_a_board(tau, cm):
    from spikingconvnet.board.lowering import lower

    try:
        cell = IFCurrExp(tau_m=tau, tau_syn_E=tau, cm=cm)
        network = Network((Population("p", (1, 1, 1), cell),), ())
    except SettingsError:
        return
    found = lower(network).populations["p"]
    assert 0 <= found.resistance[0] and 0 <= found.membrane_decay[0] <= 32768 and found.decay.min() >= 0


@given(st.floats(1e-300, 1e300), st.sampled_from([0.1, 1.0, 2.0]))
def test_a_table_of_a_rule_that_is_taken_fits_a_core(tau, timestep):
    from spikingconvnet.board.rules import decay_table, lower_rule

    try:
        rule = STDPMechanism(SpikePairRule(tau_minus=tau))
    except SettingsError as error:
        assert tau < gate.FINEST or "of a core" in str(error)
        return
    try:
        assert 0 <= lower_rule(rule, timestep).lut_minus.nbytes // 4 <= 65536
    except NetworkError as error:
        most = float(str(error).split("at most ")[1].split(" ms")[0].replace(",", ""))
        assert most < tau and len(decay_table(most, timestep)) <= gate.LONGEST_TABLE


def test_a_value_is_told_on_one_line_whatever_it_is():
    assert in_words("a\n") == "'a\\n'" and in_words(1.5) == "1.5" and in_words(10 ** 5000) == "int of too many digits"
    assert "\n" not in in_words(np.zeros((30, 30))) and len(in_words("x" * 10 ** 6)) < LONGEST + 10


@pytest.mark.parametrize("more, text", [
    ({"model": Sequential((1, 4, 4), Conv2D(10 ** 8, 3), Classifier())}, "layer 1: Conv2D.filters: must be at most"),
    ({"model": Sequential((1, 4, 4), Dense(10 ** 6), Classifier())}, "layer 1: Dense.units: must be at most"),
    ({"model": Sequential((1, 4, 4), Conv2D(2, 3, training=STDP(windows=30_000_000, chunks=1)), Classifier())},
     "layer 1: STDP.windows: must be at most"),
    ({"slot": 400_000, "n_train": 60_000}, "parameters.SLOT: must be at most"),
    # 10 windows of 98 x 98 positions, each with a membrane and 9 inputs: 4.6 MB a step
    ({"slot": 1000, "n_train": 10, "model": Sequential((1, 100, 100), Conv2D(1, 3), Classifier())},
     "parameters.SLOT: must be at most 867:"),
    ({"slot": 30_000, "encoder": RateEncoder(n_steps=20_000), "n_train": 2_000}, "ENCODER.n_steps: must be at most")])
def test_what_asks_for_too_much_memory_is_refused_with_what_would_fit(monkeypatch, more, text):
    monkeypatch.setattr(sizes, "memory", lambda: 4 * 10 ** 9)
    with pytest.raises(SettingsError, match=f"^{text} .* GB of memory, and 4.0 are there"):
        replace(RECORDS[-1], **more)


def test_the_number_that_is_told_to_fit_does_fit(monkeypatch):
    for there in (4 * 10 ** 9, 10 ** 8):
        monkeypatch.setattr(sizes, "memory", lambda there=there: there)
        with pytest.raises(SettingsError) as caught:
            replace(RECORDS[-1], model=Sequential((1, 4, 4), Dense(10 ** 7), Classifier()))
        most = int(str(caught.value).split("at most ")[1].split(":")[0].replace(",", ""))
        assert replace(RECORDS[-1], model=Sequential((1, 4, 4), Dense(most), Classifier())).slot == 20


def test_memory_is_what_a_limit_leaves(monkeypatch):
    monkeypatch.setattr(psutil.Process, "rlimit", lambda process, kind: (10 ** 9, 10 ** 9))
    assert sizes.memory() == 750_000_000
