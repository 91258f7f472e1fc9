"""``--mode export`` of a run directory, and ``--mode import`` of what it writes."""

import json

import numpy as np
import pytest

import spikingconvnet as scn
from spikingconvnet.cli import main as cli

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
    layer, made = experiment.trained(1), scn.from_nir(file)
    population = next(p for p in made.network.populations if not p.is_source)
    np.testing.assert_array_equal(population.parameter("v_thresh").reshape(len(layer.v_thresh), -1)[:, 0],
                                  layer.v_thresh)
    np.testing.assert_array_equal(made.network.projections[0].connections.kernels, layer.kernels)
    assert cli.main(["--mode", "import", str(file), "--target", "spin3"]) == 0
    assert "exact    input (Input)" in capsys.readouterr().out
