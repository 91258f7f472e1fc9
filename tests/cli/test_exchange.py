"""``--mode export`` of a run directory, and ``--mode import`` of what it writes."""

import json
from functools import partial

import numpy as np
import pytest

import spikingconvnet as scn
from spikingconvnet import backends
from spikingconvnet.cli import exchange
from spikingconvnet.cli import main as cli
from spikingconvnet.health.verdict import Finding, Health
from spikingconvnet.health.watch import Watch

pytestmark = pytest.mark.usefixtures("sketched")

pytest.importorskip("nir")


def test_trained_layers_are_a_file_that_is_the_same_network_again(parameters, tmp_path, capsys):
    words = ["--parameters", str(parameters()), "--run-dir", str(tmp_path / "run")]
    file = tmp_path / "model.nir"
    assert cli.main(["--mode", "loaddata", *words]) == 0
    assert cli.main(["--mode", "export", str(file), *words]) == 5 and not file.exists()
    assert cli.main(["--mode", "training", "--layer", "1", *words]) == 0
    capsys.readouterr()
    assert cli.main(["--mode", "export", str(file), "--json", *words]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["grade"] in ("exact", "rounded") and file.is_file()
    experiment = scn.Experiment(scn.load_settings(parameters()), tmp_path / "run")
    layer, made = experiment.trained(1), scn.exchange.from_nir(file)
    population = next(p for p in made.network.populations if not p.is_source)
    np.testing.assert_array_equal(population.parameter("v_thresh").reshape(len(layer.v_thresh), -1)[:, 0],
                                  layer.v_thresh)
    np.testing.assert_array_equal(made.network.projections[0].connections.kernels, layer.kernels)
    assert cli.main(["--mode", "import", str(file), "--target", "spin3"]) == 0
    assert "exact    input (Input)" in capsys.readouterr().out


@pytest.fixture
def command(capsys):
    """A function that runs one command line: (exit code, stdout, stderr)."""
    return lambda *words: (cli.main([*map(str, words)]), *capsys.readouterr())


def test_a_trained_model_fires_as_a_file_what_it_fires_in_its_run(parameters, tmp_path, command):
    """STDP layer -> NIR -> network; its spikes in, and out as a table: those of the run, image by image."""
    words = ["--parameters", parameters(), "--run-dir", tmp_path / "run"]
    for more in (["loaddata"], ["training", "--layer", 1], ["training", "--layer", "svm"],
                 ["testing", "--record", tmp_path / "run.npz"], ["export", tmp_path / "model.nir"]):
        assert command("--mode", *more, *words)[0] == 0
    table, again = tmp_path / "run.csv", tmp_path / "again.npz"
    assert command("--mode", "export", tmp_path / "run.npz", table)[0] == 0
    there = scn.exchange.load_spikes(table)
    source, layer = there
    assert there[source].n_samples == 60 and there[layer].n_events > 100
    code, out, _ = command("--mode", "import", tmp_path / "model.nir", "--spikes", table, "--record", again)
    assert code == 0 and f"spikes: {source} {there[source].n_events:,}, {layer} {there[layer].n_events:,}" in out
    code, out, _ = command("--mode", "export", again, tmp_path / "again.csv", "--json")
    assert code == 0 and json.loads(out)["spikes"] == {label: one.n_events for label, one in there.items()}
    assert (tmp_path / "again.csv").read_text() == table.read_text()


def small(tmp_path):
    """A file of a network of two inputs and three neurons, in NIR."""
    import nir

    weight = np.array([[3.0, 0.0], [0.0, 3.0], [1.0, 1.0]])
    ones = np.ones(3)
    graph = nir.NIRGraph({"in": nir.Input({"input": np.array([2])}), "w": nir.Linear(weight), "x": nir.LIF(
        0.002 * ones, 2 * ones, 0 * ones, ones), "out": nir.Output({"output": np.array([3])})},
        [("in", "w"), ("w", "x"), ("x", "out")])
    nir.write(tmp_path / "x.nir", graph)
    return tmp_path / "x.nir"


def test_check_takes_what_import_has_kept(tmp_path, command):
    kept, table = tmp_path / "kept.npz", tmp_path / "in.csv"
    told = {}
    for name, more in (("silent", []), ("shown", ["--spikes", table])):
        table.write_text("neuron,time\n" + "".join(f"{t % 2},{t}\n" for t in range(20)))
        code, out, _ = command("--mode", "import", small(tmp_path), "--record", kept, "--json", *more)
        before = json.loads(out)
        assert code == 0
        code, out, _ = command("--mode", "check", kept, "--json", "--target", "spin3", "--packet-buffer", 512)
        told[name] = json.loads(out)
        assert code == 0 and told[name]["target"] == "spin3"
        assert [one["projections"] for one in told[name]["networks"]] == [
            one["projections"] for one in before["networks"]]
        code, out, _ = command("--mode", "check", kept)
        assert code == 0 and out.startswith("kept.npz") and out.splitlines()[-1].startswith("spin5: fits")
        fired = {label: spikes.n_events for label, spikes in exchange.kept(kept).fired.items()}
        assert fired == ({"x": 30} if more else {})
    assert before["fired"] == {"in": 20, "x": 30} and told["silent"] != told["shown"]


@pytest.mark.parametrize("words, code, told", [
    (["check", "KEPT", "--run-dir", "runs/x"], 2, "--run-dir: belongs to --mode loaddata or"),
    (["check", "KEPT", "--backend", "spinnaker"], 2, "not to --mode check FILE"),
    (["check", "KEPT", "KEPT"], 2, "takes no paths or one path"), (["check", "none.npz"], 5, "none.npz"),
    (["check", "NIR"], 5, "neither a run directory nor a recording"),
    (["check", "--spikes", "x.csv"], 2, "--spikes: belongs to --mode import"),
    (["export", "KEPT", "x.csv", "--seed", "1"], 2, "not to --mode export FILE"),
    (["export", "none.npz", "x.csv"], 5, "none.npz"), (["export", "KEPT", "x.txt"], 2, "must end in .csv or"),
    (["import", "NIR", "--backend", "local"], 2, "--backend: needs --spikes"),
    (["import", "NIR", "--spikes", "none.csv"], 4, "none.csv: no such file"),
    (["import", "NIR", "--spikes", "BAD"], 4, "line 2: neuron must be 0 to 1, got 9"),
    (["import", "NIR", "--spikes", "OTHER"], 2, "must be for the Inputs ['in'], got []"),
    (["import", "NIR", "--spikes", "in.txt"], 2, "must end in")])
def test_what_these_modes_do_not_take_is_refused(tmp_path, command, words, code, told):
    files = {"NIR": small(tmp_path), "KEPT": tmp_path / "kept.npz", "BAD": tmp_path / "bad.csv",
             "OTHER": tmp_path / "other.csv"}
    files["BAD"].write_text("neuron,time\n9,1\n")
    scn.exchange.save_spikes(files["OTHER"], {"x": scn.Spikes.empty((3, 1, 1), 1, 5)})
    assert command("--mode", "import", files["NIR"], "--record", files["KEPT"])[0] == 0
    found, _, err = command("--mode", *(files.get(word, word) for word in words))
    assert (found, told in err) == (code, True), err
    assert len(err.splitlines()) == 1


def test_an_imported_network_runs_on_the_emulated_board(tmp_path, command):
    table, kept = tmp_path / "in.csv", {name: tmp_path / f"{name}.npz" for name in ("local", "spinnaker")}
    table.write_text("neuron,time\n" + "".join(f"{t % 2},{t}\n" for t in range(20)))
    for backend, file in kept.items():
        words = ["--mode", "import", small(tmp_path), "--spikes", table, "--backend", backend, "--record", file]
        assert command(*words)[0] == 0
    code, out, _ = command("--mode", "compare", *kept.values())
    assert (code, out.splitlines()[-1]) == (0, "identical")


@pytest.mark.parametrize("verdict, more, code", [
    ("invalid", [], 6), ("invalid", ["--force"], 6), ("suspect", [], 0), ("suspect", ["--strict"], 7),
    ("note", ["--strict"], 0)])
def test_what_a_board_says_of_an_imported_run_is_told(tmp_path, command, monkeypatch, verdict, more, code):
    """Said on its behalf; --force and --strict are refused where no board is asked for."""
    def see(watch, provenance):
        watch._healths.append(Health((Finding("dropped", verdict, "9 packets dropped", "slow down", "nobody", 9),)))

    table, kept = tmp_path / "in.csv", tmp_path / "out.npz"
    table.write_text("neuron,time\n0,1\n")
    words = ["--mode", "import", small(tmp_path), "--spikes", table, "--record", kept]
    monkeypatch.setattr(Watch, "see", see)
    monkeypatch.setattr("spikingconvnet.backends.open", partial(local_instead, backends.open))
    assert command(*words, *more, "--backend", "spinnaker")[0] == code
    assert kept.exists() == (verdict != "invalid" or bool(more))
    if more:
        found, _, err = command(*words, *more)
        assert found == 2 and "belongs to --backend spinnaker" in err


def local_instead(open_network, network, record, backend, **options):
    assert (backend, options) == ("spinnaker", {"target": "emulated"})
    return open_network(network, record)
