"""What a population of ours is as a node of NIR, and what of it NIR has no words for and a node's metadata keep.

Numbers are those of ``dynamics``, backwards: of the integers that a board would hold, in mV above the resting potential
and in nA. What a graph says comes first: metadata that do not fit their node, because it was changed, count for
nothing.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from spikingconvnet.board.fixed_point import ACCUM_ONE, accum
from spikingconvnet.board.lowered import LoweredPopulation
from spikingconvnet.board.lowering import lower
from spikingconvnet.errors import SpikingConvNetError
from spikingconvnet.exchange.dynamics import input_scale
from spikingconvnet.exchange.graph import as_text
from spikingconvnet.exchange.verdicts import Refused
from spikingconvnet.network import serialisation
from spikingconvnet.network.arrays import Floats, Shape
from spikingconvnet.network.netlist import Network, Population
from spikingconvnet.network.neurons import OUT_OF_REACH, IFCurrDelta, IFCurrExp, SpikeSourceArray
from spikingconvnet.network.spikes import Spikes

KEY = "spikingconvnet"
Fields = dict[str, Any]


def fields_of(population: Population, timestep: float, step: float, method: str) -> tuple[str, Fields]:
    """Kind and fields of the node that a population of neurons is.

    Parameters
    ----------
    population : Population
    timestep : float
        ms.
    step : float
        The same in the graph's unit of time.
    method : 'euler' or 'exact'

    Returns
    -------
    (str, dict of str to float array (size,))

    Raises
    ------
    Refused
        NIR has no such neuron.
    """
    if not isinstance(population.cell, (IFCurrExp, IFCurrDelta)):
        raise Refused(f"NIR has no {type(population.cell).__name__}", "use IFCurrExp or IFCurrDelta")
    held = lower(Network((population,), (), timestep)).populations[population.label]
    lost = 1.0 - held.membrane_decay / ACCUM_ONE
    if lost.min() <= 0:
        raise Refused(f"its membrane does not move in a step, with tau_m {population.parameter('tau_m').max():g} ms",
                      "give it a shorter tau_m")
    rest = held.v_rest / ACCUM_ONE
    found: Fields = {"r": held.resistance / ACCUM_ONE, "v_leak": np.zeros(population.size)}
    if fires := bool((held.v_thresh < accum(OUT_OF_REACH)).all()):
        found |= {"v_threshold": (held.v_thresh - 1) / ACCUM_ONE - rest, "v_reset": held.v_reset / ACCUM_ONE - rest}
    if isinstance(population.cell, IFCurrDelta):
        found["r"] = found["r"] * input_scale(timestep)
        return "LIF" if fires else "LI", {"tau": _tau(lost, step, method), **found}
    return "CubaLIF" if fires else "CubaLI", {**found, **_synapse(held, step, method),
                                              "tau_mem": _tau(lost, step, method)}


def _synapse(held: LoweredPopulation, step: float, method: str) -> Fields:
    if (held.decay[0] != held.decay[1]).any():
        raise Refused("its tau_syn_E and tau_syn_I differ, and NIR's neurons have one tau_syn", "make them equal")
    share = 1.0 - held.decay[0] / 2.0 ** 32
    return {"tau_syn": _tau(share, step, method), "w_in": held.inject[0] / 2.0 ** 32 / share}


def _tau(share: Floats, step: float, method: str) -> Floats:
    """Time constants with which such a share is lost in a step."""
    if method == "euler":
        return step / share
    return np.asarray(-step / np.log1p(-np.minimum(share, 1 - 1e-16)))


def bias_of(population: Population, timestep: float, fields: Mapping[str, Any]) -> Floats:
    """Constant input of a node that does what `i_offset` does, nA: float array (size,)."""
    i_offset = np.array([accum(one) for one in population.parameter("i_offset")]) / ACCUM_ONE
    return np.asarray(i_offset / (fields["w_in"] if "w_in" in fields else input_scale(timestep)))


def kept(population: Population, lag: int) -> Fields:
    """Metadata of a population: what HDF5 holds of its record, and the steps that it is behind the graph."""
    arrays: list[Any] = []
    if population.is_source:
        about: object = {"shape": list(population.shape), "neurons_per_core": population.neurons_per_core}
    else:
        about = serialisation.encode(population, arrays)
    return {KEY: {"record": json.dumps(about), "lag": lag, "label": population.label,
                  **{f"array {i}": array for i, array in enumerate(arrays)}}}


def _metadata(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    found = fields.get("metadata")
    found = found.get(KEY) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def lag_of(fields: Mapping[str, Any]) -> int | None:
    """Steps that metadata say a node is behind the graph; None if they say nothing that can be."""
    lag = np.asarray(_metadata(fields).get("lag", -1))
    return int(lag) if lag.ndim == 0 and lag.dtype.kind in "iu" and 0 <= lag < 1 << 31 else None


def population_of(kind: str, fields: Mapping[str, Any], bias: Floats, timestep: float, step: float,
                  method: str) -> Population | None:
    """The population that metadata tell of, if the node and what comes to it still are what it was written as."""
    about = _metadata(fields)
    try:
        arrays = [np.asarray(about[name]) for name in (f"array {i}" for i in range(len(about))) if name in about]
        found = serialisation.decode(json.loads(as_text(about.get("record"))), arrays)
        if not isinstance(found, Population) or found.size != bias.size:
            return None
        own_kind, own = fields_of(found, timestep, step, method)
    except (SpikingConvNetError, ValueError, TypeError, KeyError, RecursionError):
        return None
    same = own_kind == kind and all(np.array_equal(np.ravel(np.asarray(fields.get(name))), values)
                                    for name, values in own.items()
                                    if name != "v_leak" and (name in fields or name != "v_reset"))      # nir 1.0.4
    per_bias = own["r"] * own.get("w_in", 1.0)
    drive = np.ravel(fields["v_leak"]) + per_bias * bias
    return found if same and np.allclose(drive, per_bias * bias_of(found, timestep, own), 1e-9, 1e-12) else None


def source_of(label: str, fields: Mapping[str, Any], shape: Shape) -> Population:
    """A silent source of a shape, or of that one of as many neurons which metadata tell of."""
    try:
        about = json.loads(as_text(_metadata(fields).get("record")) or "{}")
        found = Population(label, tuple(about["shape"]), _silent(tuple(about["shape"])),
                           neurons_per_core=about["neurons_per_core"])
    except (SpikingConvNetError, ValueError, TypeError, KeyError, RecursionError):
        return Population(label, shape, _silent(shape))
    return found if found.size == int(np.prod(shape)) else Population(label, shape, _silent(shape))


def _silent(shape: Shape) -> SpikeSourceArray:
    return SpikeSourceArray(Spikes.empty(shape, 1, 1))
