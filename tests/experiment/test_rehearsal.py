"""The ten steps of docs/jobs.md, done as they are printed there; a training and small networks on the same machine.

It is an emulated board, or that of ``--spinnaker HOST``; the service is an imitation at a port of this machine, which
its own client asks.
"""

import importlib
import io
import re
import shlex
from contextlib import redirect_stderr, redirect_stdout
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
import service
from packaging.requirements import Requirement

from spikingconvnet.backends.spinnaker.machine import machine_section
from spikingconvnet.cli import main as cli
from spikingconvnet.compare import differences
from spikingconvnet.emulator import Board
from spikingconvnet.experiment import settings
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.jobs import conformance, one_network, queue
from spikingconvnet.experiment.jobs.archive import REPORTS, RESULTS
from spikingconvnet.experiment.jobs.bundle import bundle
from spikingconvnet.experiment.jobs.collect import collect
from spikingconvnet.experiment.jobs.sent import Task

PAGE = Path(__file__).parents[2] / "docs/jobs.md"
STEPS = {int(number): (re.findall("`main.py (.*?)`", done), re.findall("`(.*?)`", prints)) for number, done, prints in
         re.findall(r"^\| (\d+) \| (.*?) \| (.*?) ?\|$", PAGE.read_text(), re.MULTILINE)}
FEWER = ("50", "5")         # images, in step 9
TOKEN = "eyJhbGciOi.s3cret"
PARAMETERS = """
from spikingconvnet import *
DATASET = {!r}
N_TRAIN, N_VALIDATION, N_TEST = 40, 10, 20
FILTER = DifferenceOfGaussians(contrast=0.35)
ENCODER = LatencyEncoder()
SLOT = 30
LEARN = STDP(windows=12, chunks=2, min_spikes=5)
MODEL = Sequential((2, 28, 28), Conv2D(2, (5, 4), training=LEARN), Classifier(grid=2, on_board=True))
"""


@pytest.fixture(scope="module")
def machine(request, tmp_path_factory):
    """Text of the section that a service writes into a job's configuration."""
    host = request.config.getoption("--spinnaker")
    if host:
        with machine_section(host) as (text, _):
            yield text
    else:
        with (tmp_path_factory.mktemp("board") / "board.log").open("w") as log, Board(log=log) as board:
            yield board.configuration()


@pytest.fixture(scope="module")
def rehearsed(machine, small_mnist, tmp_path_factory):
    """All steps done: by number, what each has printed and the exit codes; the folder; the service."""
    folder, said = tmp_path_factory.mktemp("desk"), {}
    (folder / "parameters.py").write_text(PARAMETERS.format(str(small_mnist)))

    def run(number, code, command):
        return service.executed(folder.with_name("far") / number.rpartition("/")[2], code, machine, command)

    with pytest.MonkeyPatch.context() as patch:
        importlib.import_module("sketches").instead_of_figures(patch.setattr)
        patch.chdir(folder)
        patch.setenv(queue.TOKEN, TOKEN)
        patch.setattr(queue, "INTERVAL", 0.0)
        made = service.Service(run, TOKEN)
        with service.over_http(patch, made, folder / ".hbptoken"):
            for number, (commands, _) in STEPS.items():
                with redirect_stdout(io.StringIO()) as out, redirect_stderr(out):
                    codes = [cli.main(shlex.split(command.replace(*FEWER))) for command in commands]
                said[number] = out.getvalue(), codes
    return SimpleNamespace(said=said, folder=folder, service=made)


def test_there_are_ten_steps_and_ten_commands_in_them():
    assert list(STEPS) == list(range(1, 11)) and sum(len(commands) for commands, _ in STEPS.values()) == 10


def test_what_the_second_step_installs_is_what_the_tests_run_with():
    (extras,) = re.findall(r'`pip install -e "\.\[(.*?)\]"`', PAGE.read_text())
    wanted = [Requirement(text) for text in metadata.requires("spikingconvnet")]
    asked = [one for one in wanted if any(one.marker and one.marker.evaluate({"extra": extra})
                                          for extra in extras.split(","))]
    assert {one.name for one in asked} >= {"sPyNNaker", "hbp-neuromorphic-platform"}
    assert all(one.specifier.contains(metadata.version(one.name), prereleases=True) for one in asked)


@pytest.mark.parametrize("number", STEPS)
def test_each_step_prints_what_the_page_says(rehearsed, number):
    text, codes = rehearsed.said[number]
    assert not any(codes), text
    for wanted in STEPS[number][1]:
        assert wanted.replace(*FEWER) in text


@pytest.mark.parametrize("name", conformance.networks())
def test_a_board_computes_the_integers_of_the_local_engine(rehearsed, name):
    if not hasattr(rehearsed, "claims"):
        rehearsed.claims = {one.name: one.differs for one in conformance.read(rehearsed.folder / "pack")}
    assert rehearsed.claims[name] == ()


def test_a_job_gives_back_its_results_and_reports_and_nothing_else(rehearsed):
    fetched = {path.name for path in (rehearsed.folder / "job").iterdir()}
    assert fetched == {RESULTS, REPORTS, queue.LOG}
    assert {url.rpartition("/")[2] for url in rehearsed.service.files} == {RESULTS, REPORTS}
    there = [path.read_bytes() for path in rehearsed.folder.rglob("*") if path.is_file()]
    assert not any(TOKEN.encode() in data for data in there) and not (rehearsed.folder / ".hbptoken").exists()


def test_a_training_brings_the_layer_of_the_local_engine(rehearsed, machine, tmp_path):
    desk = rehearsed.folder
    experiment = Experiment(settings.load(desk / "parameters.py"), desk / "runs/default", jobs=1)
    code, log, _ = service.executed(tmp_path / "far", bundle(experiment, Task(layer=1)), machine, queue.COMMAND)
    assert (code, log.count("Traceback")) == (0, 0), log
    experiment.store.file("layers/1").unlink()
    found = collect(experiment, tmp_path / "far")
    assert (found.verdict, found.differences, found.accuracy) == ("valid", [], None)
    assert experiment.layer(1)["how"]["made_on"] == "hardware"      # takes the place that was empty
    assert set(experiment.store.results()["hardware"]) == {"test-5", "layer-1"}


def test_a_network_as_it_is_brings_what_the_local_engine_does(machine, tmp_path):
    network = next(iter(conformance.networks().values()))
    text = one_network.bundled(network, Task(network=True))
    code, log, _ = service.executed(tmp_path / "far", text, machine, queue.COMMAND)
    assert (code, log.count("Traceback")) == (0, 0), log
    theirs, ours = one_network.collected(network, tmp_path / "far")
    assert theirs.how["board"]["verdict"] == "valid" and differences.compare(ours, theirs).identical
