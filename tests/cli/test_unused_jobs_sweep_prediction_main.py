"""Small functions of the command line, each by itself: what they say, and at their limits."""

import ast
import logging
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from spikingconvnet.cli import jobs, main, messages, prediction, sweep, unused
from spikingconvnet.compare.explained import Cause
from spikingconvnet.errors import DataError, SettingsError, SimulationFailed, StoreError
from spikingconvnet.experiment.prediction import Answers
from spikingconvnet.experiment.sweep import Row, Trial
from spikingconvnet.gates.address import apart
from spikingconvnet.store.directory import RunDirectory

# ---------------------------------------------------------------- unused


def given(text):
    return {node.targets[0].id: node.value for node in ast.parse(text).body}


@pytest.mark.parametrize("kept, here, found", [
    ("A = 1", "A = 1", []), ("A = 1", "A = 2", ["A: 2 here, 1 in use"]), ("A = 1", "", ["A: only in the one in use"]),
    ("", "B = 1", ["B: only in the file here"]), ("A = f(1, x=2)", "A = f(1, x=3)", ["A.x: 3 here, 2 in use"]),
    ("A = f(1)", "A = f(2, 3)", ["A.0: 2 here, 1 in use", "A.1: only in the file here"]),
    ("A = f(1)", "A = g(1)", ["A: g(1) here, f(1) in use"]), ("A = f(1)", "A = 1", ["A: 1 here, f(1) in use"]),
    ("A = 1", "A = f(1)", ["A: f(1) here, 1 in use"]), ("A = f(g(x=1))", "A = f(g(x=2))", ["A.0.x: 2 here, 1 in use"]),
    ("B = 1; A = 1", "A = 2; B = 2", ["B: 2 here, 1 in use", "A: 2 here, 1 in use"])])
def test_where_two_files_differ(kept, here, found):
    assert list(unused.differences(given(kept), given(here))) == found


def test_long_values_are_cut():
    assert unused._shown(ast.parse("'" + "x" * 38 + "'").body[0].value) == "'" + "x" * 38 + "'"
    assert unused._shown(ast.parse("'" + "x" * 39 + "'").body[0].value) == "'" + "x" * 39 + "..."


def test_files_of_other_languages_and_damaged_ones_are_said_to_be_so(tmp_path):
    one, same, toml, bad = (tmp_path / name for name in ("a.py", "b.py", "c.toml", "d.py"))
    one.write_text("A = 1\nB = A = 2\nx.y = 3\nprint()\n")
    same.write_text("A = 2; B = 2")
    toml.write_text("A = 1\n")
    bad.write_text("A = (")
    assert unused.found(one, same) == []
    assert unused.found(one, toml) == [f"{toml} is TOML", f"{one} is Python"]
    assert unused.found(bad, one) == [f"{one} is Python", f"{bad} cannot be read"]
    assert unused.found(bad, bad) == [f"{bad} cannot be read"] * 2
    assert unused.text(one, same, ["A: 1", "B: 2"], "prog --again") == (
        f"warning: {same} is NOT used: this run goes on with {one}, with which it was loaded; they differ:\n  A: 1\n"
        f"  B: 2\n  to use {same}: prog --again   (loads and trains anew; with another --run-dir both are kept)")


# ---------------------------------------------------------------- prediction


def test_answers_are_rows_and_a_table():
    answers = Answers(np.array([3, 5]), np.array([5, 3]), np.array([[1.0, 2.0], [4.0, 3.0]]))
    rows = prediction._rows(["a", "b"], answers, {5: "five"})
    assert rows == [{"image": "a", "label": "five", "scores": {"3": 1.0, "five": 2.0}},
                    {"image": "b", "label": 3, "scores": {"3": 4.0, "five": 3.0}}]
    assert prediction._as_table(rows) == "image,label,score 3,score five\na,five,1.0,2.0\nb,3,4.0,3.0\n"


@pytest.mark.parametrize("path, right", [("a.csv", True), ("a.JSON", True), ("a.txt", False), ("csv", False)])
def test_labels_go_into_a_csv_or_json_file(path, right):
    if right:
        prediction.check_output(path)
    else:
        with pytest.raises(SettingsError, match=f"--output {path}: must end with .csv or .json"):
            prediction.check_output(path)


def asked(takes_colour=None):
    filter_ = SimpleNamespace() if takes_colour is None else SimpleNamespace(takes_colour=takes_colour)
    return SimpleNamespace(asked=SimpleNamespace(encoder=None, white=None, size=None, image_filter=filter_), store=None)


def test_images_are_read_as_the_network_takes_them(tmp_path, monkeypatch):
    monkeypatch.setattr(prediction.binding, "span", lambda store: None)
    two, one = (np.arange(n * 12, dtype=np.uint8).reshape(n, 2, 2, 3) for n in (2, 1))
    np.save(tmp_path / "a.npy", two)
    np.save(tmp_path / "b.npy", one)
    paths = [str(tmp_path / "a.npy"), str(tmp_path / "b.npy")]
    for colour, shape in ((None, (3, 2, 2)), (False, (3, 2, 2)), (True, (3, 2, 2, 3))):
        names, images = prediction._read(asked(colour), paths)
        assert names == [f"{paths[0]}[0]", f"{paths[0]}[1]", paths[1]] and images.shape == shape
    np.save(tmp_path / "c.npy", np.zeros((1, 2, 3, 3), np.uint8))
    with pytest.raises(DataError, match="c.npy: images of 2x3, but 2x2 in .*a.npy; classify images of"):
        prediction._read(asked(), [paths[0], str(tmp_path / "c.npy")])


# ---------------------------------------------------------------- jobs


def collected(differences=(), images=5, why=None):
    return SimpleNamespace(differences=list(differences), images=images, why=why)


def test_why_a_job_differs_is_told_as_far_as_it_is_known():
    assert jobs._why(collected()) == [] == jobs._why(collected(images=0)) == jobs._why(collected(["x"], 0))
    alone, = jobs._why(collected(["x"]))
    assert alone.startswith("the first step, neuron and cause: ")
    why = {"text": "first", jobs.seen.AGAIN: None}
    assert jobs._why(collected(["x"], why=why)) == ["first"]
    why[jobs.seen.AGAIN] = {"identical": False, "text": "again"}
    assert jobs._why(collected(why=why)) == ["first", "the images around it, shown again with membranes:", "again"]
    why[jobs.seen.AGAIN]["identical"] = True
    assert jobs._why(collected(why=why)) == ["first", "the images around it, shown again: identical, so it is neither a"
                                             " weight nor a parameter nor the wiring"]


def task(**more):
    return jobs._task(Namespace(**{"layer": None, "count": None, "copies": None, "split": "test", "first": None,
                                   "time_scale": None, "packet_buffer": None, **more}))


def test_a_task_is_what_the_options_say():
    one = task()
    assert (one.layer, one.split, one.first, one.count, one.copies, one.time_scale, one.packet_buffer) == (
        None, "test", 0, None, None, 1, None)
    one = task(layer="2", split="validation", first=3, copies=4, time_scale=5, packet_buffer=6)
    assert (one.layer, one.split, one.first, one.copies) == (2, "validation", 3, 4)
    assert (one.time_scale, one.packet_buffer) == (5, 6)
    for options, text in (({"layer": "svm"}, "--layer: must be 1, 2, ..., got 'svm'"), ({"layer": "1", "count": 2},
                          "--count: has nothing to do with --layer"), ({"copies": "auto"}, "--copies auto: which")):
        with pytest.raises(SettingsError, match=text):
            task(**options)


def test_a_job_is_written_into_a_new_python_file(tmp_path):
    (tmp_path / "a.py").touch()
    for name, text in (("a.py", "is there already"), ("a.txt", "must end with .py")):
        with pytest.raises(SettingsError, match=f"{name}: {text}; give the job another name"):
            jobs._check_new(tmp_path / name)
    jobs._write(tmp_path / "b.py", "text")
    assert (tmp_path / "b.py").read_text() == "text"


def test_what_a_queue_has_left_is_told_with_the_next_command(tmp_path):
    one = SimpleNamespace(number=7, state="finished", files=[jobs.RESULTS, "log"], folder=tmp_path)
    assert jobs._fetched(one).startswith(f"7: finished; {jobs.RESULTS}, log in {tmp_path}; then: ")
    one.files = ["log"]
    assert f"in {tmp_path}; no {jobs.RESULTS} among them, so " in jobs._fetched(one)


@pytest.mark.parametrize("files, states, code", [
    ([1, 1], ["finished"] * 2, 0), ([1, 0], ["finished"] * 2, 3), ([1, 1], ["finished", "error"], 3)])
def test_submitted_jobs_are_whole_or_not(monkeypatch, tmp_path, files, states, code):
    monkeypatch.setattr(jobs.queue, "parts_of", lambda path: [path])
    found = [SimpleNamespace(number=k, state=state, files=[jobs.RESULTS] * has, folder=tmp_path)
             for k, (has, state) in enumerate(zip(files, states))]
    hours = []
    monkeypatch.setattr(jobs.queue, "submitted", lambda parts, collab, most: hours.append(most) or found)
    for asked_for in (None, 5):
        result = jobs.submit_(None, Namespace(paths=["job.py"], collab="c", hours=asked_for))
        assert result["exit_code"] == code and len(result["text"].splitlines()) == 2
    assert hours == [jobs.queue.HOURS, 5]


# ---------------------------------------------------------------- sweep


def options(**more):
    return Namespace(**{"seeds": None, "rule": None, "arch": None, "source": None, "backend": "local", "split": "test",
                        "jobs": None, "cluster": None, "set": None, "run_dir": "x", **more})


def test_a_grid_becomes_trials(tmp_path):
    path = tmp_path / "p.py"
    path.write_text("")
    found = sweep._trials({"A": ["1", "2"], "B": ["x"]}, 3, path, options(seeds=2))
    assert [(dict(one.sets), one.seed) for one in found] == [({"A": a, "B": "x"}, seed) for a in "12"
                                                            for seed in (3, 4)]
    assert [one.seed for one in sweep._trials({}, 5, path, options())] == [5]
    assert len(sweep._trials({"A": [str(k) for k in range(100)]}, 0, path, options(seeds=100))) == 10_000
    for grid, text in (({"SEED": ["1"]}, "--set SEED: in a sweep"), ({"A": ["1", "1"]}, "has a value twice"),
                       ({"A": [str(k) for k in range(10_001)]}, "would be 10,001 runs, and at most 10,000")):
        with pytest.raises(SettingsError, match=text):
            sweep._trials(grid, 0, path, options())


def test_a_directory_of_something_else_is_refused(tmp_path):
    store = RunDirectory(tmp_path)
    one, other = (SimpleNamespace(name=name) for name in "ab")
    sweep._claim(store, [one])
    sweep._claim(store, [one, other])
    with pytest.raises(StoreError, match="holds another sweep, of other parameters or values; choose another"):
        sweep._claim(store, [other])
    run = RunDirectory(tmp_path / "run")
    run.file("data/train").parent.mkdir(parents=True)
    run.file("data/train").touch()
    with pytest.raises(StoreError, match="holds a run, of other parameters"):
        sweep._claim(run, [one])


@pytest.mark.parametrize("asked, cluster, found, cores, jobs, threads", [
    (None, None, 3, 8, 1, 8), (2, None, 3, 8, 2, 4), (5, None, 3, 8, 3, 2), (3, None, 3, 2, 3, 1), (4, "x", 3, 8, 1, 4),
    (None, "x", 3, 8, 1, None), (2, None, 3, None, 2, 1)])
def test_cores_are_shared_by_trials(monkeypatch, tmp_path, asked, cluster, found, cores, jobs, threads):
    trials = [Trial((("A", str(k)),), k, f"t{k}") for k in range(found)]
    said = []

    def rows(tasks, n, pool):
        given = [task[0] for task in tasks]
        said.append((n, pool, [(one.jobs, one.set, one.seed, Path(one.run_dir).name) for one in given]))
        for k in (1, 0, *range(2, found)):
            yield Row(trials[k], None if k == 1 else 0.25 * k, 1.0 + k, "broken" if k == 1 else None)

    monkeypatch.setattr(sweep.os, "cpu_count", lambda: cores)
    monkeypatch.setattr(sweep, "_rows", rows)
    monkeypatch.setattr(sweep, "say", said.append)
    result = sweep._all(RunDirectory(tmp_path), Path("p.py"), trials, options(jobs=asked, cluster=cluster))
    assert [row.trial for row in result] == trials
    assert said[0] == (jobs, tmp_path / "shared", [(threads, [f"A={k}"], k, f"t{k}") for k in range(found)])
    assert said[1:] == ["1/3 A=1 seed 1: broken, 2.0 s", "2/3 A=0 seed 0: test accuracy 0.00 %, 1.0 s",
                        "3/3 A=2 seed 2: test accuracy 50.00 %, 3.0 s"]


def test_what_layers_can_make_again_is_deleted(tmp_path):
    kept = [tmp_path / "trials" / "a" / "layers", tmp_path / "shared" / "data", tmp_path / "spikes"]
    gone = [tmp_path / "trials" / "a" / name for name in ("spikes", "features", "answers")] + [
        tmp_path / "shared" / name for name in ("spikes", "locks", "answers")]
    for folder in (*kept, *gone):
        folder.mkdir(parents=True)
    sweep._clear(RunDirectory(tmp_path))
    assert all(folder.is_dir() for folder in kept) and not any(folder.exists() for folder in gone)


# ---------------------------------------------------------------- main and messages


def shown(**more):
    return Namespace(**{"backend": "local", "target": None, "strict": False, "json": False, "mode": "testing", **more})


def test_after_a_failure_of_what_simulates_the_next_command_is_told(monkeypatch):
    monkeypatch.setattr(main, "program", lambda: "prog")
    failed, words = SimulationFailed("x"), ["--mode", "a b"]
    assert main._way_on(ValueError(), shown(), words) == "" == main._way_on(failed, None, words)
    again = "go on with: prog --mode 'a b'"
    doctor = "; look whether it answers with: prog --mode doctor --target "
    assert main._way_on(failed, shown(), words) == f"; {again}"
    assert main._way_on(failed, shown(backend="spinnaker", target="emulated"), words) == f"; {again}"
    assert main._way_on(failed, shown(backend="spinnaker", target="a b"), words) == f"{doctor}'a b'; then {again}"
    assert main._way_on(failed, shown(target="spin5"), words) == f"; {again}"
    secret = apart(["--target", "spalloc:https://me:secret@there"])
    told = main._way_on(failed, shown(backend="spinnaker", target="spin5"), secret)
    assert told.endswith("_PASSWORD)") and "secret" not in told
    assert "(with the login in its address again, or in " in told


@pytest.mark.parametrize("verdict, strict, code", [("clean", True, 0), ("invalid", False, 6), ("invalid", True, 6),
                                                   ("suspect", False, 0), ("suspect", True, 7)])
def test_a_verdict_has_an_exit_code(verdict, strict, code):
    experiment = SimpleNamespace(verdict=lambda: {"verdict": verdict, "more": 1})
    assert main._verdict(experiment, shown(strict=strict)) == {"verdict": verdict, "more": 1, "exit_code": code}
    assert main._verdict(SimpleNamespace(verdict=dict), shown()) == {}


@pytest.mark.parametrize("result, more, out", [
    ({"text": "x"}, {}, "x\n"), ({"text": "x"}, {"json": True}, '{"text": "x"}\n'), ({}, {"mode": "loaddata"}, ""),
    ({"split": "test", "accuracy": 0.12345}, {}, "test accuracy 12.35 %\n"),
    ({"split": "test", "accuracy": 1.0}, {"mode": "demo"}, "test accuracy 100.00 %\n")])
def test_a_result_is_printed(capsys, result, more, out):
    main._print(result, shown(**more))
    assert capsys.readouterr().out == out


def test_an_error_is_one_line_that_names_the_program_once(monkeypatch):
    monkeypatch.setattr(main, "program", lambda: "python main.py")
    text = "do: main.py --mode a; then: python main.py --mode b\x1b"
    assert main._one_line(ValueError(text)).startswith("do: python main.py --mode a; then: python main.py --mode b")


@pytest.mark.parametrize("words, called, found", [
    (["/x/python", "-m", "spikingconvnet"], "/x/spikingconvnet/__main__.py", "/x/python -m spikingconvnet"),
    (["/x/python", "main.py"], "main.py", "/x/python main.py"), (["/x/python", "a b/main.py"], "a b/main.py",
                                                               "/x/python 'a b/main.py'"),
    (["/x/python"], "/nowhere/spiking", "/nowhere/spiking"), (["/x/python"], "", "spikingconvnet"),
    (["/x/python"], "/there/spiking", "spiking"), (["/x/python", "other.py"], "main.py", "main.py")])
def test_the_program_is_named_as_a_shell_takes_it_again(monkeypatch, words, called, found):
    monkeypatch.setattr(messages.sys, "orig_argv", words)
    monkeypatch.setattr(messages.sys, "argv", [called])
    monkeypatch.setattr(messages.shutil, "which", lambda name: "/there/spiking" if name == "spiking" else None)
    assert messages.program() == found


@pytest.mark.parametrize("quiet, verbose, root, own", [
    (False, False, logging.INFO, logging.NOTSET), (True, False, logging.WARNING, logging.NOTSET),
    (False, True, logging.INFO, logging.DEBUG)])
def test_levels_of_what_is_heard_are_as_before_afterwards(quiet, verbose, root, own):
    before = logging.getLogger().level, messages.logger.level, list(logging.getLogger().handlers)
    with messages.heard():
        added = [one for one in logging.getLogger().handlers if one not in before[2]][-1]
        messages.set_level(quiet, verbose)
        assert (logging.getLogger().level, messages.logger.level) == (root, own)
        assert ("ms" in added.formatter._fmt) == verbose
    assert (logging.getLogger().level, messages.logger.level, logging.getLogger().handlers) == before


def test_steps_and_bars_give_back_what_they_are_given():
    assert list(messages.progress([1, 2], "x")) == [1, 2]
    with messages.step("x"):
        messages.say("text")
    assert Cause("data", "x").advice
