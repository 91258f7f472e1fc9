"""The verdict on real runs: sPyNNaker and its binaries on an emulated board, with faults on demand."""

import json
import re
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from spikingconvnet.backends.local import simulator
from spikingconvnet.backends.spinnaker import simulator as spinnaker
from spikingconvnet.emulator import Board, Faults
from spikingconvnet.errors import BackendError, IncompleteRecording, SimulationFailed
from spikingconvnet.experiment.report import boards, page
from spikingconvnet.health.verdict import judge
from spikingconvnet.network.connectivity import ConvConnections, DenseConnections
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrExp, SpikeSourceArray
from spikingconvnet.network.spikes import Spikes

STEPS = 40
CELL = IFCurrExp(v_rest=0.0, v_reset=0.0, v=0.0, v_thresh=4.0, tau_refrac=2.0)


def network(weight=1.0, limit=None):
    """Six sources that fire in every second step, onto 300 neurons (two cores) and onto a convolution."""
    spikes = Spikes((1, 3, 2), STEPS, np.repeat(np.arange(0, 6 * STEPS // 2 + 1, 6), 2)[:STEPS + 1],
                    np.tile(np.arange(6, dtype=np.uint16), STEPS // 2))
    maps = ConvConnections(np.full((1, 1, 3, 1), weight / 10), (1, 3, 2))
    return Network(
        (Population("in", spikes.shape, SpikeSourceArray(spikes)),
         Population("out", (1, 1, 300), CELL, max_expected_summed_weight=limit),
         Population("maps", maps.post_shape, CELL, per_channel=True)),
        (Projection("dense", "in", "out", DenseConnections(np.full((6, 300), weight), rounding="machine")),
         Projection("conv", "in", "maps", maps)))


@contextmanager
def board(tmp_path, timed=False, **faults):
    with (tmp_path / "board.log").open("w") as log, Board(log=log, timed=timed, faults=Faults(**faults)) as made:
        yield made


def runs(made, tmp_path, chunks=(STEPS,), net=None, **options):
    """Recording of the network on a board."""
    with spinnaker.open(net or network(), target=made, directory=tmp_path / "run", **options) as simulation:
        for steps in chunks:
            simulation.run(steps)
        return simulation.recording()


def on_page(health):
    """What the page of a run shows of runs that were judged so: findings by name, and chips."""
    held = SimpleNamespace(layers=[{"how": {"made_on": "emulated", "board": health.as_dict()}}], entries={},
                           command=str)
    told = page.rendered({"runs": [{"about": {"name": "run"},
                                    "board": boards.board(held, None, SimpleNamespace(stages=()))}]})
    shown = json.loads(re.search(rb'id="data">(.*?)</script>', told, re.DOTALL)[1])["runs"][0]["board"]
    assert shown["verdicts"][0]["verdict"] == health.verdict
    return {one["name"]: one for one in shown["verdicts"][0]["findings"]}, shown["places"][0]["chips"]


def names(health):
    return {finding.name for finding in health.findings if finding.severity != "note"}


def test_clean_runs_are_valid_in_one_piece_and_in_several(tmp_path):
    with board(tmp_path) as made:
        for chunks in ((STEPS,), (1, 15, 24)):
            health = judge(runs(made, tmp_path, chunks, time_scale=2).provenance)
            assert (health.verdict, health.runs, health.cores) == ("valid", len(chunks), 4), health.findings


def test_inputs_that_do_not_fit_are_found_where_the_local_backend_finds_them(tmp_path):
    cut = network(weight=1.2, limit=0.5)
    with board(tmp_path) as made:
        recording = runs(made, tmp_path, net=cut)
    with simulator.open(cut) as simulation:
        simulation.run(STEPS)
        local = simulation.recording()
    assert local.saturated["out"] > 0 and local.spikes["out"] == recording.spikes["out"]
    health = judge(recording.provenance)
    assert names(health) == {"saturated"} and health.verdict == "suspect"
    assert "max_expected_summed_weight" in health.findings[0].fix
    assert all("(out, neurons " in place for place in health.findings[0].where)


def test_a_board_with_dead_cores_is_as_good_as_another(tmp_path):
    with board(tmp_path, dead_cores=((0, 0, 1), (0, 0, 3)), dead_chips=((1, 1),)) as made:
        assert judge(runs(made, tmp_path).provenance).verdict == "valid"


def test_dropped_packets_make_a_run_invalid(tmp_path):
    with board(tmp_path, dropped_packets=0.2, seed=1) as made:
        health = judge(runs(made, tmp_path, (20, 20)).provenance)
    shown, (chip,) = on_page(health)
    assert names(health) == {"dropped_packets"} and health.verdict == "invalid"
    finding = health.findings[0]
    assert finding.where == ("router 0,0",) and finding.steps == (0, 20) and 5 < finding.value < 60
    assert finding.fix == "--time-scale 2, or spread the input over more steps"
    assert chip["router"]["dropped"] == finding.value == shown["dropped_packets"]["value"]


def test_dropped_packets_on_a_board_in_time_make_a_run_invalid_at_their_router(tmp_path):
    with board(tmp_path, timed=True, dropped_packets=0.2, dead_cores=((0, 0, 3),), seed=1) as made:
        health = judge(runs(made, tmp_path, time_scale=2).provenance)
    assert health.verdict == "invalid" and names(health) == {"dropped_packets"}
    assert health.findings[0].where == ("router 0,0",) and 5 < health.findings[0].value < 60


def test_packets_that_come_late_make_a_run_invalid(tmp_path):
    with board(tmp_path, late_packets=(0.3, 1.0)) as made:
        health = judge(runs(made, tmp_path, (10, 30)).provenance)
    shown, (chip,) = on_page(health)
    found = {(finding.name, finding.severity): finding for finding in health.findings}
    assert set(found) == {("late_spikes", "suspect"), ("skipped_synapses", "invalid")}
    assert found["skipped_synapses", "invalid"].places == 2                                     # with a delay of 1
    late = {core["population"] for core in chip["cores"] if core["counts"].get("late")}
    assert late == {"out"} and {"late_spikes", "skipped_synapses"} <= set(shown)       # a convolution does not count it


def test_a_core_that_is_too_slow_is_found_and_the_fix_helps(tmp_path):
    with board(tmp_path, slow_cores=((0, 0, 2, 20.0),)) as made:
        health = judge(runs(made, tmp_path).provenance)
        slower = judge(runs(made, tmp_path, time_scale=16).provenance)
    assert {"background_queue", "backgrounds_queued"} <= names(health) and health.verdict == "invalid"
    assert {finding.where for finding in health.findings} == {("core 0,0,2 (out, neurons 0 to 255)",)}
    assert all("--time-scale 2" in finding.fix for finding in health.findings)
    assert slower.verdict == "valid", slower.findings


@pytest.mark.parametrize("every, lacks", [(0, "40 of 40"), (STEPS // 2, "[0-9]+ of 32")])
def test_membranes_that_a_slow_core_did_not_record_are_not_given_and_the_verdict_is(every, lacks, tmp_path):
    """In one run, and of images that start at rest; the cores of the population have recorded different steps."""
    resets = replace(network(), reset_every=every)
    with board(tmp_path, slow_cores=((0, 0, 2, 20.0),)) as made:
        with pytest.raises(IncompleteRecording, match=rf"lacks {lacks} steps of core 0,0,2 \(out, neurons 0 to 255\)"
                           ) as caught:
            runs(made, tmp_path, net=resets, record=("out",))
    health = judge(caught.value.provenance)
    found = {finding.name: finding for finding in health.findings}
    assert health.verdict == "invalid" and found["recording_gaps"].where == ("core 0,0,2 (out, neurons 0 to 255)",)
    assert "failed" not in found and {"background_queue", "backgrounds_queued", "late_packets"} & set(found)
    assert list((tmp_path / "run").glob("reports/*/run_1/**/data*.sqlite3"))


def test_what_fails_after_a_run_tells_what_the_machine_has_said(tmp_path, monkeypatch):
    """Weights and recordings that sPyNNaker cannot read, whatever the reason."""
    with board(tmp_path) as made, spinnaker.open(network(), target=made, directory=tmp_path / "run") as simulation:
        simulation.run(10)

        def unreadable(*_):
            raise IndexError("index 10 is out of bounds")

        for name, read in (("_listed", lambda: simulation.weights("dense")), ("_data", simulation.recording)):
            with monkeypatch.context() as patch, pytest.raises(SimulationFailed, match="IndexError: index") as caught:
                patch.setattr(simulation, name, unreadable)
                read()
            assert caught.value.provenance.cores and judge(caught.value.provenance).findings[0].name == "failed"


def test_a_core_that_crashes_is_named_with_what_it_held(tmp_path):
    with board(tmp_path, crashes=((0, 0, 2, 15),)) as made:
        with pytest.raises(BackendError) as caught:
            runs(made, tmp_path, (10, 30))
    health = judge(caught.value.provenance)
    assert {"failed", "core_states"} <= names(health) and health.verdict == "invalid"
    assert any("core 0,0,2 (out, neurons 0 to 255)" in place and "RUN_TIME_EXCEPTION" in place
               for finding in health.findings for place in finding.where)
    assert list((tmp_path / "run").glob("reports/*/run_1/data.sqlite3"))        # kept to be looked at


def test_of_a_run_that_has_ended_well_no_database_is_left(tmp_path):
    with board(tmp_path) as made:
        runs(made, tmp_path, (5,))
    assert (tmp_path / "run" / "reports").exists()
    assert not list((tmp_path / "run").glob("reports/*/run_1/data.sqlite3"))
