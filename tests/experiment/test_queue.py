"""Jobs in a queue: submitted, watched and fetched, whatever the service says; its token is nowhere."""

import importlib
import json
import logging
import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import service

from spikingconvnet.cli import main as cli
from spikingconvnet.experiment.jobs import queue
from spikingconvnet.experiment.jobs.archive import REPORTS, RESULTS

TOKEN = "eyJhbGciOi.s3cret+token"
SUBMIT = ["--mode", "submit", "job.py", "--queue", "ebrains", "--collab", "mine"]


@pytest.fixture
def there(tmp_path, monkeypatch):
    """A service that finishes every job with three files, its client, and a job in the current directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(queue.TOKEN, TOKEN)
    monkeypatch.setattr(queue, "INTERVAL", 0.0)
    (tmp_path / "far").mkdir()
    for name in (RESULTS, REPORTS, "other.txt"):
        (tmp_path / "far" / name).write_text(name)
    Path("job.py").write_text("print('hello')")
    made = service.Service(lambda number, code, command: (0, f"did {code} as {command}\nwith {TOKEN}", sorted(
        (tmp_path / "far").iterdir())), TOKEN)
    service.installed(monkeypatch, made, tmp_path / ".hbptoken")
    return made


def left(folder):
    """All that is in the files of a folder."""
    return "".join(path.read_text() for path in folder.rglob("*") if path.is_file() and "far" not in path.parts)


def test_a_job_is_submitted_watched_and_fetched_and_the_token_is_nowhere(there, tmp_path, capsys):
    assert cli.main([*SUBMIT, "--hours", "3"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith(f"/jobs/42: finished; {REPORTS}, {RESULTS}, log.txt in job; then: ")
    assert [line for line in said.err.splitlines() if line.startswith("/jobs/42: ")] == [
        "/jobs/42: submitted", "/jobs/42: running", "/jobs/42: finished"]
    job = there.jobs["/jobs/42"]
    assert job["hardware_config"] == {"spynnaker_version": "7.4.1", "timeout": 3} and job["collab"] == "mine"
    assert (job["hardware_platform"], job["command"], job["code"]) == ("SpiNNaker", "run.py {system}", "print('hello')")
    assert {path.name for path in Path("job").iterdir()} == {RESULTS, REPORTS, "log.txt"}
    assert "did print('hello') as run.py {system}\nwith (hidden)" in Path("job/log.txt").read_text()
    assert TOKEN not in left(tmp_path) + said.out + said.err and not (tmp_path / ".hbptoken").exists()


def test_the_same_command_goes_on_watching_and_a_changed_file_is_told(there, capsys):
    there.run = lambda *_: sys.exit(130)        # as if the watch were interrupted
    with pytest.raises(SystemExit):
        cli.main(SUBMIT)
    there.run = lambda *_: (0, "", sorted(Path("far").iterdir()))
    assert cli.main(SUBMIT[:3]) == 0 and len(there.jobs) == 1       # the collab is known
    assert "job.py was submitted before, as /jobs/42" in capsys.readouterr().err
    Path("job.py").write_text("another")
    assert cli.main(SUBMIT) == 5 and "has changed since it was submitted as /jobs/42" in capsys.readouterr().err
    Path("job.submitted.json").write_text("{}")
    assert cli.main(SUBMIT) == 5 and "job.submitted.json: is damaged" in capsys.readouterr().err


def test_a_job_that_fails_ends_with_3_and_what_it_has_left_is_here(there, capsys):
    there.run = lambda *_: (3, "no board", [Path("far", RESULTS)])
    assert cli.main(SUBMIT) == 3
    assert "/jobs/42: error; spikingconvnet-results.zip, log.txt in job" in capsys.readouterr().out
    Path("job.submitted.json").unlink()
    there.run = lambda *_: (1, "pip failed", [])
    assert cli.main(SUBMIT) == 3
    assert "so log.txt says why; to submit it anew delete job.submitted.json" in capsys.readouterr().out
    assert Path("job/log.txt").read_text() == "pip failed"


@pytest.mark.parametrize("path, url", [("/etc/cron.d/reports.zip", "https://data.example.org/a"),
                                       ("../../reports.zip", "https://data.example.org/a"),
                                       ("job/reports.zip", "file:///etc/passwd")])
def test_files_are_kept_under_their_own_names_and_come_over_the_network(there, tmp_path, path, url):
    there.files["https://data.example.org/a"] = b"fetched"
    look = there.look
    there.look = lambda number: {**look(number), "output_data": {"files": [{"path": path, "url": url}]}}
    assert cli.main(SUBMIT) == 3
    found = {one.name for one in Path("job").iterdir()}
    assert found == ({"log.txt"} if url.startswith("file") else {"log.txt", "reports.zip"})


def test_a_service_that_does_not_answer_for_a_while_is_asked_again(there, capsys):
    there.fails = [OSError(f"Error 502 for Bearer {TOKEN}")] * (queue.FAILURES - 1)
    assert cli.main(SUBMIT) == 0
    Path("job.submitted.json").unlink()
    there.fails = [OSError(f"Error 502 for Bearer {TOKEN}")] * queue.FAILURES
    assert cli.main(SUBMIT) == 3
    said = capsys.readouterr().err
    assert "Error 502 for Bearer (hidden); the same command goes on" in said and TOKEN not in said


def test_what_is_missing_is_told_with_what_comes_next(there, monkeypatch, capsys, caplog):
    def refused(words, code, text):
        assert cli.main(words) == code and text in capsys.readouterr().err

    refused(SUBMIT[:3], 2, "--collab: is missing")
    refused(["--mode", "submit", "none.py"], 2, "none.py: is no job; make one with: --mode bundle none.py")
    monkeypatch.setenv(queue.TOKEN, "expired")
    with caplog.at_level(logging.DEBUG):
        refused(SUBMIT, 3, f"does not take the token; it lasts for some hours, so get a new one and set {queue.TOKEN}")
    monkeypatch.delenv(queue.TOKEN)
    refused(SUBMIT, 2, f"needs a token; set {queue.TOKEN} in the environment")
    monkeypatch.setitem(sys.modules, "nmpi", None)
    refused(SUBMIT, 3, "pip install 'spikingconvnet[ebrains]'")
    assert there.jobs == {} and not Path("job.submitted.json").exists()


def test_the_parts_of_a_job_are_all_submitted_before_one_is_waited_for(there, capsys):
    Path("job.py").rename("job-10.py")
    for name in ("job-2.py", "job-other.py", "jobs-1.py"):
        Path(name).write_text("print('another')")
    states = []
    there.run = lambda *_: states.append(len(there.jobs)) or (0, "", sorted(Path("far").iterdir()))
    assert cli.main([*SUBMIT, "--json"]) == 0
    assert [Path(one["folder"]).name for one in json.loads(capsys.readouterr().out)["jobs"]] == ["job-2", "job-10"]
    assert states == [2, 2] and {path.name for path in Path("job-10").iterdir()} == {RESULTS, REPORTS, "log.txt"}


def test_the_imitation_has_the_signatures_of_the_client(there, monkeypatch):
    def plain(text):
        return text.replace('"', "'")

    assert service.signatures(sys.modules["nmpi"].Client) == service.SIGNATURES
    for name in ("nmpi", "nmpi.nmpi_user"):
        monkeypatch.delitem(sys.modules, name)
    if find_spec("nmpi"):               # the real one, where it is installed
        own = importlib.import_module("nmpi.nmpi_user")
        assert service.signatures(own.Client) == service.SIGNATURES
        assert own.TOKENFILE == os.path.expanduser("~/.hbptoken") and callable(own.getpass.getpass)


def test_the_record_of_a_job_holds_what_it_was_and_no_secret(there):
    cli.main(SUBMIT)
    told = json.loads(Path("job.submitted.json").read_text())
    assert set(told) == {"queue", "job", "collab", "file"} and (told["queue"], told["job"]) == ("ebrains", "/jobs/42")
