"""The scripts that run sPyNNaker's own tests, and examples, on some that are none of sPyNNaker's."""

import json

import pytest

SUITE = '''
import os, pytest, unittest
from pathlib import Path
from helper import word

class Old(unittest.TestCase):
    def test_passes_without_its_board(self):
        assert "machine_name" in Path(os.path.expanduser("~/.spynnaker.cfg")).read_text()
        Path(__file__).with_name("report").write_text(word)

    def test_passes_by_leaving_out(self):
        raise SystemExit(1)

    def test_not_asked_for(self):
        raise SystemExit(1)

@pytest.mark.parametrize("number", [1])
def test_passes_with_its_boards(number, spinnaker_board):
    assert len(spinnaker_board.hosts) == 3
'''


@pytest.fixture
def suite(benchmark_named):
    """The script as a module."""
    return benchmark_named("spynnaker_suite")


def test_tests_run_on_a_board_each_and_in_a_copy(suite, tmp_path, capsys):
    (tmp_path / "tests").mkdir()
    (tmp_path / "more").mkdir()
    (tmp_path / "more/helper.py").write_text('word = "nothing"')
    (tmp_path / "tests/test_old.py").write_text(SUITE)
    (tmp_path / "tests/test_broken.py").write_text("import nowhere")
    (tmp_path / "skips").write_text("# of what is not there\n\nby_leaving: needs Java: 17\n")
    code = suite.main([str(tmp_path / "tests"), "--path", str(tmp_path / "more"), "--only", "passes", "--boards", "3",
                       "--skip", str(tmp_path / "skips"), "--output", str(tmp_path / "all.json")])
    assert code == 1 and not (tmp_path / "tests/report").exists()
    outcomes = json.loads((tmp_path / "all.json").read_text())
    assert {one["test"].rpartition("::")[2]: one["outcome"] for one in outcomes} == {
        "tests/test_broken.py": "cannot be imported", "test_passes_without_its_board": "passed",
        "test_passes_by_leaving_out": "left out", "test_passes_with_its_boards[1]": "passed"}
    assert [one["reason"] for one in outcomes if one["outcome"] == "left out"] == ["needs Java: 17"]
    first, *others = capsys.readouterr().out.splitlines()
    assert first == "2 passed, 1 cannot be imported, 1 left out, of 4"
    assert any(line.startswith("no board") and "passes_without_its_board" in line for line in others)


@pytest.mark.parametrize("line", ["test_x", "test_x: ", ": needs Java", "test_x:needs Java"])
def test_a_test_is_not_left_out_without_a_reason(suite, line):
    assert suite.left_out("") == suite.left_out("# a: b\n \n") == {}
    with pytest.raises(SystemExit, match=f"--skip: line 2: no name and reason .*: {line.strip()}"):
        suite.left_out(f"test_y: time\n{line}\n")


@pytest.mark.parametrize("inside, outcome, reason", [
    ('<failure message="AssertionError: 1 != 2&#10;&#10;more">long</failure>', "failed", "AssertionError: 1 != 2 more"),
    ('<error message="SetupError">long</error>', "error", "SetupError"), ("", "passed", ""),
    ('<skipped message="needs Java"/>', "skipped", "needs Java")])
@pytest.mark.parametrize("told, simulated", [('<property name="simulated_ms" value="50"/>', 50), ("", 0)])
def test_a_report_is_read(suite, tmp_path, inside, outcome, reason, told, simulated):
    report = tmp_path / "told.xml"
    report.write_text(f"<testsuite><testcase><properties>{told}</properties>{inside}</testcase></testsuite>")
    found = suite.read("test_x", report, tmp_path / "nowhere", 1.5)
    assert found == suite.Outcome("test_x", outcome, 1.5, simulated, reason)


def test_a_test_has_so_long_and_no_longer(suite, tmp_path):
    name = "tests/test_old.py::Old::test_passes"
    found = suite.run(name, tmp_path / "tests", [], 0.05)
    assert found == suite.Outcome(name, "timed out", 0.05, reason="not over after 0.05 s")


def test_files_of_a_test_that_had_no_time_are_not_left_to_others(suite, tmp_path, monkeypatch):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/kept").write_text("")
    seen = []

    def run(test, folder, *_):
        seen.append(sorted(path.name for path in folder.iterdir()))
        (folder / test).write_text("half")
        return suite.Outcome(test, suite.TIMED_OUT if test == "b" else suite.PASSED, 1.0)
    monkeypatch.setattr(suite, "run", run)
    monkeypatch.setattr(suite, "collected", lambda *_: (["a", "b", "c"], []))
    assert suite.main([str(tmp_path / "tests")]) == 1
    assert seen == [["kept"], ["a", "kept"], ["kept"]]


def test_a_test_that_is_not_there_has_not_passed(suite, tmp_path):
    found = suite.run("tests/nowhere.py::test", tmp_path / "tests", [], 300, kept=tmp_path)
    assert found.outcome == "crashed" and "nowhere.py" in found.reason
    assert "nowhere.py" in (tmp_path / "tests_nowhere.py_test").read_text()


@pytest.fixture
def examples(benchmark_named):
    """The script that runs scripts, as a module."""
    return benchmark_named("example_scripts")


def test_scripts_run_in_a_copy_and_tell_their_figures_and_what_went_wrong(examples, tmp_path, capsys):
    checkout, figures = tmp_path / "checkout", tmp_path / "figures"
    (checkout / "learning/deep").mkdir(parents=True)
    (checkout / "elsewhere.py").write_text("")
    (checkout / "learning/__init__.py").write_text("word = 'nothing'")
    (checkout / "learning/deep/one.py").write_text(
        "from pathlib import Path\nfrom matplotlib import pyplot\nfrom learning import word\n"
        "assert 'machine_name' in Path.home().joinpath('.spynnaker.cfg').read_text()\nPath('left').write_text(word)\n"
        "pyplot.plot([1, 2])\npyplot.show()\nraise ValueError('one thing')\n")
    assert examples.scripts(checkout, examples.FOLDERS) == ["learning/deep/one.py"]
    assert examples.main([str(checkout), "--figures", str(figures), "--output", str(tmp_path / "all.json")]) == 1
    assert [path.name for path in figures.iterdir()] == ["one-0.png"] and not (checkout / "learning/deep/left").exists()
    (found,) = json.loads((tmp_path / "all.json").read_text())
    assert (found["outcome"], found["simulated"], found["reason"]) == ("failed", 0, "ValueError: one thing")
    assert capsys.readouterr().out.startswith("1 failed, of 1\n")


def test_a_script_has_so_long_and_no_longer(examples, tmp_path):
    (tmp_path / "endless.py").write_text("while True: pass")
    found = examples.run("endless.py", tmp_path, tmp_path, 0.05)
    assert (found.outcome, found.reason) == ("timed out", "not over after 0.05 s")
