"""The test-suite's own rules: progress is watched and not the clock, and under CI nothing is skipped unseen."""

import os
import subprocess
import sys
from pathlib import Path

import patience
import pytest

SKIPPING = {
    "test": "import pytest\ndef test_it():\n    pytest.skip('no such thing')\n",
    "file": "import pytest\npytest.importorskip('no_such_thing', reason='no such file')\n",
}


def started(code):
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_a_process_that_stands_still_is_killed_and_named(monkeypatch):
    monkeypatch.setattr(patience, "STILL", 0.5)
    process = started("import time\nwhile True: time.sleep(0.1)")
    with pytest.raises(AssertionError, match="time.sleep.*of CPU in 0.5 s; killed"):
        patience.communicate(process)
    assert process.wait() < 0


def test_a_process_whose_child_works_is_waited_for(monkeypatch):
    """Whatever its own share of the machine is: the measure is made small instead of the machine fast."""
    monkeypatch.setattr(patience, "STILL", 0.5)
    monkeypatch.setattr(patience, "MOVING", 1e-9)
    work = "import time; end = time.process_time() + 2\nwhile time.process_time() < end: pass\nprint('done')"
    assert patience.communicate(started(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {work!r}])")
                                )[0] == "done\n"


def test_waiting_for_a_condition_ends_with_the_process(tmp_path):
    path = tmp_path / "made"
    assert patience.wait_until(path.exists, started(f"open({str(path)!r}, 'w'); input()"))
    assert not patience.wait_until((tmp_path / "other").exists, started("pass"))


@pytest.mark.parametrize("options", [[], ["-n", "1"]], ids=["here", "worker"])
def test_under_ci_a_skip_that_is_not_listed_fails(tmp_path, options):
    """Of one test and of a whole file, each said with its own reason; without CI none fails."""
    for kind, text in SKIPPING.items():
        (tmp_path / f"test_{kind}.py").write_text(text + "\ndef test_other():\n    pass\n")
    (tmp_path / "test_passing.py").write_text("def test_it():\n    pass\n")
    (tmp_path / "pytest.ini").touch()
    environment = {name: value for name, value in os.environ.items() if name != "CI" and "PYTEST" not in name}
    environment["PYTHONPATH"] = str(Path(__file__).parent)
    command = [sys.executable, "-m", "pytest", "-p", "conftest", *options, str(tmp_path)]
    assert patience.run(command, cwd=tmp_path, env=environment)[1] == 0
    text, code = patience.run(command, cwd=tmp_path, env={**environment, "CI": "1"})
    said = "not listed as a skip in tests/conftest.py: no such "
    assert code == 1 and said + "thing" in text and said + "file" in text
