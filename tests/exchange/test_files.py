"""Files: damaged ones are a sentence, old ones are read, and the command line tells and keeps what is in one."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import spikingconvnet as scn
from spikingconvnet.cli import main as cli
from spikingconvnet.compare import recorded
from spikingconvnet.errors import DataError, NetworkError, SpikingConvNetError
from spikingconvnet.exchange.importing import from_nir

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
from naive_nir import Plain

h5py = pytest.importorskip("h5py")


def full(n, value):
    return np.full(n, float(value))


def graph(**nodes):
    found = {"in": {"type": "Input", "shape": np.array([3])},
             "w": {"type": "Linear", "weight": np.eye(3)},
             "x": {"type": "LIF", "tau": full(3, 0.002), "r": full(3, 2), "v_leak": full(3, 0),
                   "v_threshold": full(3, 1), "v_reset": full(3, 0)},
             "out": {"type": "Output", "shape": np.array([3])}} | nodes
    return Plain(found, [("in", "w"), ("w", "x"), ("x", "out")])


def write(path, plain):
    """As ``nir.write``."""
    def below(group, fields):
        for key, value in fields.items():
            if isinstance(value, dict):
                below(group.create_group(key), value)
            elif isinstance(value, list):
                group.create_dataset(key, data=np.array(value, object), dtype=h5py.string_dtype())
            else:
                group.create_dataset(key, data=value)

    with h5py.File(path, "w") as file:
        file["version"] = "1.0.8"
        below(file.create_group("node"), plain.to_dict())
    return path


def test_numbers_that_a_board_has_are_exact(tmp_path):
    made = from_nir(write(tmp_path / "x.nir", graph()))
    assert {v.node: v.grade for v in made.report.verdicts} == dict.fromkeys(("in", "w", "x", "out"), "exact")
    assert made.outputs["out"].population == "x" and made.lags == {"in": 0, "x": 1}


def test_without_v_reset_a_neuron_is_never_exact(tmp_path):
    plain = graph()
    del plain.nodes["x"]["v_reset"]
    verdict = from_nir(write(tmp_path / "x.nir", plain)).report.of("x")
    assert verdict.grade == "rounded" and "1.0.4" in verdict.text


def test_all_that_is_refused_is_told_at_once():
    made = from_nir(graph(w={"type": "Linear", "weight": np.full((3, 3), np.nan)},
                          x=graph().nodes["x"] | {"tau": full(3, 1e-5)}))
    assert [v.node for v in made.report.verdicts if v.grade == "refused"] == ["w", "x"]
    with pytest.raises(NetworkError, match="w .Linear.: its weight.*x .LIF."):
        made.report.require_all()


def test_time_constants_of_less_than_a_step_say_what_helps():
    plain = graph(x=graph().nodes["x"] | {"tau": full(3, 5e-4)})
    assert "method='exact'" in from_nir(plain).report.of("x").change
    assert from_nir(plain, method="exact").report.grade == "rounded"
    assert from_nir(plain, graph_dt=2.5e-4).report.grade == "exact"


def test_a_nested_graph_is_its_nodes():
    inner = {"type": "NIRGraph", "nodes": {
        "i": {"type": "Input", "shape": np.array([3])}, "x": graph().nodes["x"],
        "r": {"type": "Linear", "weight": -np.eye(3)}, "o": {"type": "Output", "shape": np.array([3])}},
        "edges": [("i", "x"), ("x", "r"), ("r", "x"), ("x", "o")]}
    made = from_nir(graph(x=inner))
    assert made.report.grade == "exact" and made.outputs["out"].population == "x/x"
    assert {(p.pre, p.post, p.connections.max_delay) for p in made.network.projections} == {
        ("in", "x/x", 1), ("x/x", "x/x", 1)}


def test_ways_of_different_lengths_arrive_together():
    plain = graph(y=graph().nodes["x"], v={"type": "Linear", "weight": np.eye(3)})
    plain.edges[:] = [("in", "w"), ("w", "x"), ("x", "v"), ("v", "y"), ("w", "y"), ("y", "out")]
    made = from_nir(plain)
    assert made.lags == {"in": 0, "x": 1, "y": 2}
    assert sorted(p.connections.max_delay for p in made.network.projections) == [1, 1, 2]


def test_a_loop_through_two_neurons_says_how_late_it_is():
    plain = graph(y=graph().nodes["x"], back={"type": "Linear", "weight": np.eye(3)})
    plain.edges[:] = [("in", "w"), ("w", "x"), ("x", "y"), ("y", "back"), ("back", "x"), ("y", "out")]
    assert "'y' come 1 steps late" in from_nir(plain).report.of("x").text
    plain.nodes["wait"] = {"type": "Delay", "delay": full(3, 0.002)}
    plain.edges[:] = [("in", "w"), ("w", "x"), ("x", "y"), ("y", "wait"), ("wait", "back"), ("back", "x"), ("y", "out")]
    assert from_nir(plain).report.grade == "exact"


def test_delays_between_steps_are_rounded():
    plain = graph(w={"type": "Delay", "delay": np.array([0.0, 0.0011, 0.0024])})
    made = from_nir(plain)
    assert "0.4 steps" in made.report.of("w").text
    assert sorted(p.connections.max_delay for p in made.network.projections) == [1, 2, 3]


@pytest.mark.parametrize("kind", ["LI", "I", "CubaLI"])
def test_a_membrane_leads_to_outputs_only(kind):
    values = {"tau": 0.01, "tau_mem": 0.01, "tau_syn": 0.01, "r": 1.0, "v_leak": 0.0, "w_in": 1.0}
    node = {"type": kind, **{name: full(3, value) for name, value in values.items()}}
    plain = graph(w=node)
    assert from_nir(plain).report.of("x").grade == "refused"
    plain.edges[:] = [("in", "w"), ("w", "out")]
    del plain.nodes["x"]
    assert from_nir(plain).outputs["out"].what == "v"


def test_damaged_files_are_a_sentence(tmp_path):
    whole = write(tmp_path / "x.nir", graph()).read_bytes()
    rng, seen = np.random.default_rng(0), set()
    for _ in range(300):
        broken = bytearray(whole)
        for at in rng.integers(0, len(whole), rng.integers(1, 30)):
            broken[at] = rng.integers(256)
        path = tmp_path / "broken.nir"
        path.write_bytes(bytes(broken[:rng.integers(1, len(broken))] if rng.random() < 0.3 else broken))
        try:
            seen.add(from_nir(path).report.grade)
        except SpikingConvNetError as error:
            seen.add(type(error))
            assert str(path) in str(error)
    assert DataError in seen and "exact" in seen


def test_packed_arrays_are_read_as_long_as_they_can_be_packed(tmp_path):
    path = write(tmp_path / "x.nir", graph())
    with h5py.File(path, "a") as file:
        del file["node/nodes/w/weight"]
        file["node/nodes/w"].create_dataset("weight", data=np.eye(3), chunks=(3, 3), compression="gzip")
        more = file["node/nodes/w"].create_dataset("more", data=np.zeros(3000), chunks=(3000,), compression="gzip")
        assert more.id.get_storage_size() * 10 < 3000 * 8
    assert from_nir(path).report.grade == "exact"


@pytest.mark.parametrize("spoil", ["link", "object", "huge", "deep", "no node", "text", "virtual", "external"])
def test_what_no_nir_file_holds_is_refused(tmp_path, spoil):
    path = write(tmp_path / "x.nir", graph())
    with h5py.File(path, "a") as file:
        node = file["node/nodes/w"]
        if spoil == "link":
            file["elsewhere"] = h5py.ExternalLink("/etc/hosts", "x")
            node["more"] = h5py.SoftLink("/version")
        elif spoil == "object":
            node.create_dataset("more", data=np.zeros(2, "V4"))
        elif spoil == "huge":
            node.create_dataset("more", shape=(1 << 40,), dtype="f8", chunks=(1 << 10,))
        elif spoil == "deep":
            node["more"] = file["node"]
        elif spoil == "no node":
            del file["node"]
        elif spoil == "virtual":
            layout = h5py.VirtualLayout((3,), "f8")
            layout[:] = h5py.VirtualSource(file["node/nodes/x/tau"])
            node.create_virtual_dataset("more", layout)
        elif spoil == "external":
            node.create_dataset("more", (2,), "f8", external=[(str(tmp_path / "outside"), 0, 16)])
    if spoil == "text":
        path.write_text("no HDF5")
    with pytest.raises(DataError, match="x.nir"):
        from_nir(path)


def test_a_missing_file_or_another_object_is_a_sentence(tmp_path):
    for source in (tmp_path / "none.nir", tmp_path, 3, Plain({}, [])):
        with pytest.raises(DataError):
            made = from_nir(source)
            raise DataError(str(made.network.populations))      # a graph without nodes is a network without any


@pytest.mark.parametrize("words", [{"dt": 0.3}, {"method": "heun"}, {"graph_dt": 0}, {"graph_dt": float("nan")},
                                   {"graph_dt": "1"}])
def test_steps_that_cannot_be_are_refused(words):
    with pytest.raises(scn.SpikingConvNetError, match="from_nir"):
        from_nir(graph(), **words)


def test_the_command_line_tells_and_keeps_a_network(tmp_path, capsys):
    path = write(tmp_path / "x.nir", graph())
    kept = tmp_path / "x.npz"
    assert cli.main(["--mode", "import", str(path), "--record", str(kept), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["grade"] == "exact" and told["lags"] == {"in": 0, "x": 1}
    assert [p.label for p in recorded.load(kept).network.populations] == ["in", "x"]
    assert cli.main(["--mode", "import", str(write(path, graph(x={"type": "RNN"})))]) == 2
    assert "refused  x (RNN)" in capsys.readouterr().out
    assert cli.main(["--mode", "import", str(tmp_path / "none.nir")]) == 4
    assert cli.main(["--mode", "import"]) == 2
