"""The records of the package: one that was handed over cannot be changed, those of arrays are equal if they are one."""

import dataclasses
import importlib
import inspect
import pkgutil

import numpy as np
import pytest

import spikingconvnet

MUTABLE = {"emulator.cpu.Space", "emulator.tags.Tag", "emulator.profile.Function", "emulator.timed_core.Bank",
           "board.partition.Vertex",       # what is filled step by step
           "exchange.exporting._Export", "exchange.verdicts.Ledger", "exchange.wiring.Wiring"}
NEED_MORE = ("gradients", "__main__", "recipes", "emulator.cpu", "native", "spinnaker", "nest", "brian2")


def records():
    """Dataclasses of the package: dict of name to class."""
    found = {}
    for module in pkgutil.walk_packages(spikingconvnet.__path__, "spikingconvnet."):
        if not any(part in module.name for part in NEED_MORE):
            for value in vars(importlib.import_module(module.name)).values():
                if isinstance(value, type) and "__dataclass_params__" in vars(value) and not inspect.isabstract(value):
                    found[f"{value.__module__}.{value.__name__}".removeprefix("spikingconvnet.")] = value
    return found


RECORDS = records()


def test_the_records_were_found():
    assert {"network.spikes.Spikes", "model.layers.Conv2D", "model.trained.Course",
            "health.verdict.Finding"} < set(RECORDS)


@pytest.mark.parametrize("name", sorted(set(RECORDS) - MUTABLE))
def test_a_record_cannot_be_changed(name):
    made = object.__new__(RECORDS[name])
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.anything = 1


OF_ARRAYS = [name for name, record in sorted(RECORDS.items())
             if any("ndarray" in str(field.type) and "Callable" not in str(field.type)
                    for field in dataclasses.fields(record))]


@pytest.mark.parametrize("name", OF_ARRAYS)
def test_no_record_compares_its_arrays(name):
    assert not RECORDS[name].__dataclass_params__.eq and len(OF_ARRAYS) > 30


@pytest.mark.parametrize("name", ["model.trained.Course", "model.trained.Trained",
                                  "model.trained.TrainedLayer", "experiment.readout.Readout",
                                  "experiment.readout.Score", "backends.base.Recording", "backends.base.Weights",
                                  "network.connectivity.ConnectionList", "network.connectivity.DenseConnections",
                                  "network.connectivity.ConvConnections", "network.netlist.Network",
                                  "network.netlist.Population"])
def test_records_of_arrays_are_equal_if_they_are_one(name):
    """Arrays have no single truth, so that a comparison field by field would fail or mislead."""
    first, second = (object.__new__(RECORDS[name]) for _ in range(2))
    for field in dataclasses.fields(RECORDS[name]):
        for made in (first, second):
            object.__setattr__(made, field.name, np.zeros(2))
    assert first == first and first != second and len({first, second}) == 2
