"""Small networks that try a board: what they show, and how another board is told; `test_rehearsal` runs them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikingconvnet.cli import main as cli
from spikingconvnet.compare import recorded
from spikingconvnet.errors import StoreError
from spikingconvnet.experiment.jobs import archive, conformance
from spikingconvnet.experiment.jobs.archive import AT_WORK, DONE, FORMAT, RELEASE, RESULTS
from spikingconvnet.experiment.jobs.sent import Task
from spikingconvnet.network.neurons import IFCurrExp

ABOUT = {"format": FORMAT, "task": Task(conformance=True).as_dict(), "bundle": "0", "release": RELEASE,
         "versions": {"spikingconvnet": "0.1.0", "sPyNNaker": RELEASE, "python": "3.11"}}


def brought(folder, found=conformance.local, state=DONE):
    """Results of a job that has recorded every network by ``found(network)``."""
    (folder / "run").mkdir()
    conformance.record_all(folder / "run", found, lambda: None)
    archive.write_archive(folder / "run", folder / RESULTS, ABOUT, state)
    return folder / RESULTS


def test_every_network_does_something_that_it_is_there_for():
    learned = 0
    for names, network in conformance.groups():
        made = conformance.local(network)
        for suffix, name in names.items():
            assert 20 < made.spikes[f"cells{suffix}"].n_events, name
            for one in network.projections:
                if one.learns and one.label.endswith(suffix):
                    still = replace(network, projections=tuple(
                        replace(p, plasticity=None) if p is one else p for p in network.projections
                        if not p.modulates))
                    assert not np.array_equal(conformance.local(still).weights[one.label], made.weights[one.label])
                    learned += 1
    assert learned == 7 and len(conformance.networks()) == 21


def test_what_differs_is_named(tmp_path):
    def other(network):
        """As on a board whose neurons of the first network leak more, and that learns nothing in another one."""
        changed = replace(network, populations=tuple(
            replace(p, cell=replace(p.cell, tau_m=9.0)) if p.label == "cells#0" else p for p in network.populations),
            projections=tuple(replace(p, plasticity=None) if p.label == "p0#12" else p for p in network.projections))
        return replace(conformance.local(changed), network=network)

    found = {claim.name: claim.differs for claim in conformance.read(brought(tmp_path, other)) if not claim.holds}
    assert set(found) == {"IFCurrExp, a list, both receptors", "SpikePairRule, AdditiveWeightDependence"}
    assert "v of cells" in found["IFCurrExp, a list, both receptors"]
    assert "weights of p0" in found["SpikePairRule, AdditiveWeightDependence"]


def test_a_pack_is_one_file_and_its_results_are_checked(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["--mode", "conformance", "pack.py"]) == 0 and Path("pack.py").stat().st_size < 1.2e6
    assert "--mode conformance spikingconvnet-results.zip" in capsys.readouterr().out
    assert cli.main(["--mode", "conformance", "pack.py"]) == 2 and "is there already" in capsys.readouterr().err
    path = brought(tmp_path)
    assert cli.main(["--mode", "conformance", str(path)]) == 0
    assert capsys.readouterr().out.endswith("21 of 21 networks: the integers of the local engine\n")
    (tmp_path / "run/found/1.npz").unlink()
    archive.write_archive(tmp_path / "run", path, ABOUT, AT_WORK)
    with pytest.raises(StoreError, match=r"ended before it was done \(2 files are finished\)"):
        conformance.read(path)
    (tmp_path / "run/found/1.npz").write_bytes(b"no recording")
    archive.write_archive(tmp_path / "run", path, ABOUT, DONE)
    with pytest.raises(StoreError, match="damaged"):
        conformance.read(path)
    assert isinstance(recorded.load(tmp_path / "run/found/0.npz").network.population("cells#0").cell, IFCurrExp)
