"""Neuron records: PyNN's names, sPyNNaker's defaults, numbers that fit s16.15, nothing else."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from spikingconvnet.errors import SettingsError
from spikingconvnet.network.neurons import (
    IFCurrDelta,
    IFCurrExp,
    SpikeSourceArray,
    SpikeSourcePoisson,
    parameter_names,
    poisson_seeds,
)
from spikingconvnet.network.spikes import Spikes

CELLS = [IFCurrExp, IFCurrDelta]
PYNN_NAMES = {"tau_m", "cm", "v_rest", "v_reset", "v_thresh", "tau_refrac", "i_offset"}      # standardmodels/cells.py


def test_the_names_are_those_of_pynn_and_the_initial_membrane():
    assert set(parameter_names(IFCurrExp())) == PYNN_NAMES | {"tau_syn_E", "tau_syn_I", "v"}
    assert set(parameter_names(IFCurrDelta())) == PYNN_NAMES | {"v"}
    assert (IFCurrExp.synapses, IFCurrDelta.synapses, SpikeSourceArray.synapses) == ("exponential", "delta", None)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 65536, -65536.0, True, "1", None, 1j])
def test_a_parameter_is_a_number_within_s16_15(cell, value):
    for name in parameter_names(cell()):
        with pytest.raises(SettingsError, match=rf"^{cell.__name__}\.{name}: must be a number below 65536"):
            cell(**{name: value})


@pytest.mark.parametrize("cell", CELLS)
def test_time_constants_and_capacitance_are_above_zero(cell):
    for name in {"tau_m", "cm", "tau_syn_E", "tau_syn_I"} & set(parameter_names(cell())):
        for value in (0, 0.0, -1.0):
            with pytest.raises(SettingsError, match=rf"^{cell.__name__}\.{name}: must be above 0"):
                cell(**{name: value})


@pytest.mark.parametrize("cell", CELLS)
def test_no_refractory_time_is_a_time_but_a_negative_one_is_not(cell):
    assert cell(tau_refrac=0).tau_refrac == 0
    with pytest.raises(SettingsError, match="tau_refrac: must be 0 or more"):
        cell(tau_refrac=-0.1)


@pytest.mark.parametrize("cell", CELLS)
def test_a_record_is_frozen_comparable_and_checked_again_when_replaced(cell):
    assert cell() == cell() and hash(cell()) == hash(cell()) and cell(cm=2.0) != cell()
    with pytest.raises(FrozenInstanceError):
        cell().cm = 2.0
    with pytest.raises(SettingsError, match="cm"):
        replace(cell(), cm=-1.0)


def test_zero_is_a_number_everywhere_else():
    cell = IFCurrExp(v_rest=0, v_reset=0, v_thresh=0, i_offset=0, v=0)
    assert (cell.v_rest, cell.v_thresh, cell.v) == (0, 0, 0)


def test_a_numpy_float_is_a_number():
    assert IFCurrExp(v_thresh=np.float64(12.5)).v_thresh == 12.5


def test_a_source_holds_its_spikes():
    spikes = Spikes.empty((2, 1, 3), 2, 4)
    assert SpikeSourceArray(spikes).spikes is spikes


@pytest.mark.parametrize("more, text", [
    ({"rate": -1.0}, "rate: must be 0 or more"), ({"rate": float("inf")}, "rate"), ({"start": float("nan")}, "start"),
    ({"duration": -1.0}, "duration"), ({"neurons_per_core": 0}, "neurons_per_core"),
    ({"core_seeds": ((1, 2, 3),)}, "core_seeds"), ({"core_seeds": ((1, 0, 3, 4),)}, "core_seeds"),
    ({"core_seeds": ((1, 2, 3, 0),)}, "core_seeds"), ({"core_seeds": ((1, 2, 3, 1 << 32),)}, "core_seeds")])
def test_a_poisson_source_that_is_none_is_refused_by_name(more, text):
    with pytest.raises(SettingsError, match=f"^SpikeSourcePoisson.{text}"):
        SpikeSourcePoisson(**more)


def test_a_poisson_source_fires_for_ever_unless_told_otherwise():
    cell = SpikeSourcePoisson(20.0, core_seeds=[np.array([1, 2, 3, 4])])
    assert cell.duration == float("inf") and cell.core_seeds == ((1, 2, 3, 4),)
    assert parameter_names(cell) == ("rate", "start", "duration") and hash(cell) == hash(replace(cell))


def test_seeds_come_from_a_generator():
    first, again = (poisson_seeds(np.random.default_rng(1), 2) for _ in range(2))
    assert first == again and len(first) == 2 and first[0] != first[1] and SpikeSourcePoisson(core_seeds=first)


def test_a_source_of_spikes_is_equal_to_itself_alone_and_can_be_a_key():
    spikes = Spikes((1, 1, 1), 2, np.array([0, 1, 1]), np.zeros(1, np.uint16))
    one, other = SpikeSourceArray(spikes), SpikeSourceArray(spikes)
    assert {one: "one", other: "other"}[one] == "one" and one == one and one != other
