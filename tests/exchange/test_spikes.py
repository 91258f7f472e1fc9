"""Spikes in files and as neo's Blocks: what goes out comes back, what others write is read, damage is a sentence."""

import io
import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import spikingconvnet as scn
from spikingconvnet.errors import BackendError, DataError, NetworkError, SettingsError
from spikingconvnet.exchange import from_neo, load_spikes, neo_blocks, save_spikes, spike_files, to_neo

neo = pytest.importorskip("neo")
ROOT = Path(__file__).parents[2]


@st.composite
def spikes(draw, samples=None, steps=None):
    """Of one population, some twice in a step."""
    shape = draw(st.tuples(*(st.integers(1, 4),) * 3))
    samples, steps = samples or draw(st.integers(1, 4)), steps or draw(st.integers(1, 30))
    n = draw(st.integers(0, 60))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    return scn.Spikes.from_events(rng.integers(0, samples, n), rng.integers(0, np.prod(shape), n),
                                  rng.integers(0, steps, n), shape, samples, steps)


LABELS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cf", "Co", "Cn", "Zl", "Zp", "Zs")), min_size=1)
STEPS = st.sampled_from([0.1, 0.2, 0.5, 1.0, 2.0])


@pytest.mark.parametrize("ending", spike_files.ENDINGS)
@given(found=st.dictionaries(LABELS, spikes(), max_size=3), timestep=STEPS)
def test_files_hold_what_was_written(ending, found, timestep, tmp_path_factory):
    path = tmp_path_factory.mktemp("x") / f"x{ending}"
    save_spikes(path, found, timestep)
    assert load_spikes(path) == found


@pytest.mark.parametrize("label", ["a\nb", "a\udcffb", "\x1b[1m", "a\u2028b"])
def test_a_label_that_could_not_be_read_is_not_written(label, tmp_path):
    silent = scn.Spikes.empty((1, 1, 2), 1, 10)
    for ending in spike_files.ENDINGS:
        with pytest.raises(SettingsError, match=r"^spikes\.label: must be a text for one line, got"):
            save_spikes(tmp_path / f"x{ending}", {"good": silent, label: silent})
    with pytest.raises(NetworkError, match=r"^Population\.label: must be a text for one line, got"):
        scn.Population(label, (1, 1, 2), scn.IFCurrExp())
    assert list(tmp_path.iterdir()) == []


def network_of(shown, timestep=1.0, reset=0):
    size = int(np.prod(shown.shape))
    weights = np.random.default_rng(0).uniform(5, 20, (size, 6)).round(2)
    return scn.Network(
        (scn.Population("in", shown.shape, scn.SpikeSourceArray(shown)),
         scn.Population("cells", (1, 2, 3), scn.IFCurrExp())),
        (scn.Projection("all", "in", "cells", scn.DenseConnections(weights)),), timestep, reset)


@given(shown=spikes(), timestep=STEPS, resets=st.booleans(), start=st.sampled_from([0.0, 250.0]))
def test_a_block_holds_what_was_recorded(shown, timestep, resets, start):
    network = network_of(shown, timestep, resets * shown.n_steps)
    recording = scn.run(network, record=["cells"])
    block = recording.to_neo(network, t_start=start)
    assert len(block.segments) == (shown.n_samples if resets else 1)
    assert from_neo(block) == from_neo(block, network) == recording.spikes
    v = np.concatenate([one.magnitude for segment in block.segments for one in segment.analogsignals
                        if one.name == "v"])
    np.testing.assert_array_equal(v, recording.membrane("cells"))


def test_a_block_is_as_pynn_makes_one():
    shown = scn.Spikes.from_events([0] * 6, [0, 1, 2] * 2, [1, 2, 3, 4, 5, 6], (3, 1, 1), 1, 30)
    network = network_of(shown)
    recording = scn.run(network, record={"cells": [4, 1]})
    block = to_neo(recording, network, {"cells": [4, 1]}, t_start=100.0)
    trains, (signal, *_) = block.segments[0].spiketrains, block.segments[0].analogsignals
    assert [train.annotations for train in trains] == [
        {"source_population": "cells", "source_index": i, "source_id": 3 + i, "channel_id": 3 + i} for i in range(6)]
    assert all((train.t_start, train.t_stop, train.units) == (100 * neo_ms(), 130 * neo_ms(), neo_ms())
               for train in trains)
    fired = recording.spikes["cells"].to_lists()
    assert sum(map(len, fired)) and [list(train.magnitude - 100) for train in trains] == fired
    assert (signal.name, str(signal.units), signal.shape, float(signal.t_start)) == ("v", "1.0 mV", (30, 2), 100.0)
    assert float(signal.sampling_period.rescale("ms")) == 1.0
    assert signal.array_annotations["channel_index"].tolist() == [4, 1]
    assert {one.name: str(one.units) for one in block.segments[0].analogsignals} == {
        "v": "1.0 mV", "gsyn_exc": "1.0 nA", "gsyn_inh": "1.0 nA"}
    assert all(one.segment is block.segments[0] for one in trains) and block.segments[0].block is block
    with pytest.raises(SettingsError, match="'cells'"):
        to_neo(recording, network)
    with pytest.raises(NetworkError):
        to_neo(recording, network, ["nobody"])


def neo_ms():
    return neo.SpikeTrain([], 1.0, "ms").units


def test_a_block_of_pynn_is_read():
    sim = pytest.importorskip("pyNN.mock")
    sim.setup(timestep=0.1)
    cells = sim.Population(7, sim.IF_curr_exp(), label="cells")
    cells.record("spikes")
    sim.run(50.0)
    block = cells.get_data()
    trains = block.segments[0].spiketrains
    assert sum(map(len, trains)) > 10
    found = from_neo(block)["cells"]
    assert (found.shape, found.n_samples, found.n_steps) == ((7, 1, 1), 1, 500)
    for times, train in zip(found.to_lists(0.1), trains):
        np.testing.assert_allclose(times, np.ceil(np.round(np.sort(train.magnitude) / 0.1, 6)) * 0.1)


SCRIPT = """
import pyNN.spiNNaker as sim
from spikingconvnet.exchange import from_neo, save_spikes

sim.setup(1.0)
source = sim.Population(3, sim.SpikeSourceArray([[1, 5], [2], [3.4]]), label="in")
cells = sim.Population(4, sim.IF_curr_exp(), label="cells")
sim.Projection(source, cells, sim.AllToAllConnector(), sim.StaticSynapse(weight=30.0, delay=1.0))
source.record("spikes")
cells.record(["spikes", "v"])
for _ in range(2):
    sim.run(32)
    sim.reset()
save_spikes("x.npz", {**from_neo(source.get_data("spikes")), **from_neo(cells.get_data())})
sim.end()
"""


def test_a_block_of_spynnaker_is_read_and_holds_what_the_local_engine_fires(tmp_path):
    """An unmodified script on an emulated board, reset between two runs; 3.4 ms belongs to step 4."""
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run([sys.executable, "-m", "spikingconvnet.emulator", "script.py"], cwd=tmp_path, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    theirs = load_spikes(tmp_path / "x.npz")
    shown = scn.Spikes.from_events([0] * 4 + [1] * 4, [0, 0, 1, 2] * 2, [1, 5, 2, 4] * 2, (3, 1, 1), 2, 32)
    network = scn.Network(
        (scn.Population("in", (3, 1, 1), scn.SpikeSourceArray(shown)),
         scn.Population("cells", (4, 1, 1), scn.IFCurrExp())),
        (scn.Projection("all", "in", "cells", scn.DenseConnections(np.full((3, 4), 30.0))),), reset_every=32)
    ours = scn.run(network).spikes
    assert theirs == {"in": shown, "cells": ours["cells"]} and ours["cells"].n_events > 40
    assert from_neo(to_neo(scn.run(network), network)) == ours


def test_spike_trains_without_a_population_are_numbered():
    block = neo.Block(name="mine")
    for times in ([[1.0, 2.0], []], [[0.0], [3.0]]):
        segment = neo.Segment()
        segment.spiketrains.extend([neo.SpikeTrain(np.array(one) / 1000, t_stop=0.005, units="s") for one in times])
        block.segments.append(segment)
    found = from_neo(block)["mine"]
    assert found == scn.Spikes.from_events([0, 0, 1, 1], [0, 0, 0, 1], [1, 2, 0, 3], (2, 1, 1), 2, 5)
    with pytest.raises(DataError, match=r"takes a neo.Block, got Segment"):
        from_neo(segment)


def test_nix_files_hold_all_of_a_block(tmp_path):
    shown = scn.Spikes.from_events([0, 0], [0, 1], [1, 4], (2, 1, 1), 1, 30)
    block = to_neo(recording := scn.run(network_of(shown), record=["cells"]), network_of(shown))
    if find_spec("nixio") is None:
        with pytest.raises(BackendError, match=r"pip install 'spikingconvnet\[neo\]'"):
            neo_blocks.save_nix(tmp_path / "x.nix", block)
        return
    neo_blocks.save_nix(tmp_path / "x.nix", block)
    assert from_neo(neo.io.NixIO(str(tmp_path / "x.nix"), "ro").read_block()) == recording.spikes


def test_without_neo_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr("spikingconvnet.gates.libraries.find_spec", lambda name: None)
    network = network_of(scn.Spikes.empty((1, 1, 1), 1, 2))
    with pytest.raises(BackendError, match=r"to_neo: .*pip install 'spikingconvnet\[neo\]'"):
        to_neo(scn.run(network), network)


# Files of others.


def test_a_table_of_others_needs_neurons_and_times(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"\xef\xbb\xbftime,neuron\r\n0.5,3\r\n\r\n2.0,1\r\n2.1,1\r\n")       # as Excel writes it
    found = load_spikes(path)
    assert found == {"": scn.Spikes.from_events([0] * 3, [3, 1, 1], [1, 2, 3], (4, 1, 1), 1, 4)}
    assert load_spikes(path, timestep=0.1)[""].steps().tolist() == [5, 20, 21]
    network = network_of(scn.Spikes.empty((2, 3, 1), 1, 1), 0.5)
    expected = scn.Spikes.from_events([0] * 3, [3, 1, 1], [1, 4, 5], (2, 3, 1), 1, 6)
    assert load_spikes(path, network) == {"in": expected}
    np.savez(tmp_path / "x.npz", time=np.array([0.5, 2.0, 2.1]), neuron=np.array([3, 1, 1], np.uint8))
    assert load_spikes(tmp_path / "x.npz") == found


def test_what_a_network_has_no_place_for_is_refused(tmp_path):
    network, path = network_of(scn.Spikes.empty((2, 1, 1), 1, 1)), tmp_path / "x.csv"
    for text, told in (("neuron,time\n2,1\n", "line 2: neuron must be 0 to 1, got 2"),
                       ("population,neuron,time\nelse,0,1\n", "'else' is no population of the network; there are 'in'"),
                       ("population,neuron,time\nin,0,1\n,0,1\n", "its spikes say no population; name one of 'in'")):
        path.write_text(text)
        with pytest.raises(DataError, match=told):
            load_spikes(path, network)
    save_spikes(path, {"in": scn.Spikes.empty((3, 1, 1), 1, 1)})
    with pytest.raises(DataError, match=r"'in' has the shape \(3, 1, 1\), in the network it has \(2, 1, 1\)"):
        load_spikes(path, network)
    with pytest.raises(DataError, match="its steps are of 1 ms, those of the network of 0.5"):
        load_spikes(path, replace(network, timestep=0.5))


TOLD = '# {"timestep": 1.0, "populations": {"a": {"shape": [1, 1, 2], "samples": 2, "steps": 5}}}\n'
HEADER = "population,sample,neuron,time\n"


@pytest.mark.parametrize("text, told", [
    ("", "line 1: the columns must be neuron and time"),
    ("neuron\n1\n", "line 1: the columns must be"),
    ("neuron,time\n1,2\n1\n", "line 3: time must be a number of ms, got ''"),
    ("neuron,time\n1.5,2\n", "line 2: neuron must be a whole number, got '1.5'"),
    ("neuron,time\n-1,2\n", "line 2: neuron must be a whole number"),
    ("neuron,time\n99999999999999,2\n", "line 2: neuron must be a whole number"),
    ("neuron,time\n1,nan\n", "line 2: time must be 0 to"), ("neuron,time\n1,-2\n", "line 2: time must be 0 to"),
    ("neuron,time\n1,1e300\n", "line 2: time must be 0 to"), ("neuron,time\n1,inf\n", "line 2: time must be 0 to"),
    ("neuron,time\n1,soon\n", "line 2: time must be a number of ms, got 'soon'"),
    ("sample,neuron,time\n4000000000,1,1\n9,9,2000000000\n", "GB of memory"),
    (TOLD + HEADER + "a,0,0,1\na,0,2,1\n", "line 4: neuron must be 0 to 1, got 2"),
    (TOLD + HEADER + "a,2,0,1\n", "line 3: sample must be 0 to 1, got 2"),
    (TOLD + HEADER + "a,1,0,4\na,1,0,4.5\n", "line 4: time must be within the 5 steps of its sample, got 4.5"),
    (TOLD.replace("1.0", "0") + HEADER, "line 1: what it tells of itself is damaged (timestep: must be ms"),
    (TOLD.replace('"shape": [1, 1, 2]', '"shape": [1, 2]') + HEADER, "line 1: what it tells of itself is damaged"),
    (TOLD.replace("[1, 1, 2]", "[2000000000, 2000000000, 2000000000]") + HEADER, "at most 2**31 neurons"),
    (TOLD.replace("2, \"steps\": 5", "2147483647, \"steps\": 2147483647") + HEADER, "GB of memory"),
    (TOLD[:40] + "\n" + HEADER, "line 1: what it tells of itself is damaged"),
    ("#" + "[" * 100_000 + "\n" + HEADER, "line 1: what it tells of itself is damaged"),
    (TOLD + HEADER + '"a,0,0,1\n' * 3 + "x" * 200_000, "line 6: field larger than field limit")])
def test_a_damaged_table_names_file_and_line(tmp_path, text, told):
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(DataError) as error:
        load_spikes(path)
    assert str(error.value).startswith(f"{path}: ") and told in str(error.value)


def test_bytes_that_are_no_text_name_their_line(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"neuron,time\n1,2\n\xff,2\n")
    with pytest.raises(DataError, match="line 3: is no text in UTF-8"):
        load_spikes(path)


@pytest.mark.parametrize("arrays, told", [
    ({}, None), ({"neuron": [1]}, "must have neuron and time of one length"),
    ({"neuron": [1], "time": [1.0, 2.0]}, "must have neuron and time of one length"),
    ({"neuron": [1.0], "time": [1.0]}, "neuron is no row of whole numbers"),
    ({"neuron": [[1]], "time": [[1.0]]}, "neuron is no row"), ({"v": [1]}, "v is no row"),
    ({"a/neuron": [-1], "a/time": [1]}, "spike 1: neuron must be 0 to"),
    ({"a/neuron": np.array([2 ** 63], np.uint64), "a/time": [1]}, "spike 1: neuron must be 0 to"),
    ({"neuron": np.array([None]), "time": [1]}, "damaged, or not written by numpy.savez"),
    ({"about": 3, "neuron": [1], "time": [1]}, "damaged, or not written by numpy.savez (about"),
    ({"about": "{}"}, "what it tells of itself is damaged")])
def test_damaged_arrays_name_the_file_and_the_array(tmp_path, arrays, told):
    path = tmp_path / "x.npz"
    np.savez(path, **{name: np.asarray(value) for name, value in arrays.items()})
    if told is None:
        assert load_spikes(path) == {}
        return
    with pytest.raises(DataError) as error:
        load_spikes(path)
    assert str(error.value).startswith(f"{path}: ") and told in str(error.value)


def test_compressed_arrays_say_so(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", neuron=np.arange(3), time=np.arange(3.0))
    with pytest.raises(DataError, match=r"numpy\.savez .*is compressed"):
        load_spikes(tmp_path / "x.npz")


@pytest.mark.parametrize("ending", spike_files.ENDINGS)
def test_fuzzed_files_are_read_or_a_sentence(tmp_path, ending):
    rng, path = np.random.default_rng(0), tmp_path / f"x{ending}"
    shown = scn.Spikes.from_events([0, 1, 1], [0, 3, 2], [1, 2, 3], (2, 2, 1), 2, 5)
    save_spikes(path, {"a": shown, "b": scn.Spikes.empty((1, 1, 1), 2, 5)})
    whole, ends = path.read_bytes(), []
    for _ in range(500):
        broken = bytearray(whole)
        for at in rng.integers(0, len(whole), rng.integers(1, 6)):
            broken[at] = rng.integers(256) if rng.random() < 0.5 else ord(str(rng.choice(list('0123456789,"\n#{}.-e'))))
        path.write_bytes(bytes(broken[:rng.integers(0, len(broken))] if rng.random() < 0.3 else broken))
        try:
            load_spikes(path)
            ends.append("read")
        except DataError as error:
            ends.append("refused")
            place = f"{path}: line " if ending == ".csv" and "GB of memory" not in str(error) else f"{path}: "
            assert str(error).startswith(place)
    assert {"read", "refused"} == set(ends)


@pytest.mark.parametrize("name", ["x.txt", "x", "x.csv.gz"])
def test_other_endings_are_refused(tmp_path, name):
    with pytest.raises(SettingsError, match=r"must end in \.csv or \.npz"):
        save_spikes(tmp_path / name, {})
    with pytest.raises(SettingsError, match=r"must end in \.csv or \.npz"):
        load_spikes(tmp_path / name)


def test_a_missing_file_is_a_sentence(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        load_spikes(tmp_path / "x.csv")


def test_a_block_that_tells_of_other_samples_is_refused():
    shown = scn.Spikes.from_events([0, 1], [0, 0], [1, 4], (1, 1, 1), 2, 5)
    network = network_of(shown)
    block = to_neo(replace(scn.run(network), spikes={"in": shown}), network)
    block.annotate(spikingconvnet=block.annotations["spikingconvnet"].replace('"samples": 2', '"samples": 1'))
    with pytest.raises(DataError, match="shorter or longer than the Block tells"):
        from_neo(block)


def test_a_table_is_what_a_person_reads(tmp_path):
    save_spikes(tmp_path / "x.csv", {"a": scn.Spikes.from_events([0, 1], [1, 0], [3, 4], (1, 1, 2), 2, 5)}, 0.1)
    _, *lines = io.StringIO((tmp_path / "x.csv").read_text())
    assert lines == ["population,sample,neuron,time\n", "a,0,1,0.3\n", "a,1,0,0.4\n"]
