"""Every network of the catalogue in `models`, run by unmodified sPyNNaker on the emulated board."""

import os
import sys
from pathlib import Path

import patience
import pytest
from models import NETWORKS
from models.catalogue import GROUPS, Check
from models.table import results, rows

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """Everything that the script of the catalogue says, run once."""
    command = [sys.executable, "-m", "spikingconvnet.emulator", "--native", str(HERE / "run_models.py"), *GROUPS]
    return patience.run(command, cwd=tmp_path_factory.mktemp("models"),
                        env={**os.environ, "PYTHONPATH": str(HERE.parents[1])})[0]


def test_the_catalogue_has_thirty_networks_of_every_group():
    assert len(NETWORKS) >= 30
    assert {network.group for network in NETWORKS.values()} == set(GROUPS)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_gives_what_it_must(outcome, name):
    checks = results(outcome).get(name)
    assert checks, outcome[-10000:]
    assert [check for check in checks if not check["passed"]] == []


def test_the_board_had_nothing_to_complain_about(outcome):
    assert [line for line in outcome.splitlines() if line.startswith("board:")] == []


def test_the_table_in_the_docs_has_every_network(outcome):
    page = (HERE.parents[1] / "docs" / "emulated-models.md").read_text()
    missing = [row.split("|")[1] for row in rows(results(outcome)) if row.split("|")[1] not in page]
    assert missing == []


def test_a_check_knows_whether_it_passed():
    assert Check("", 1.0, 1.5, 0.5).passed and not Check("", 1.0, 1.6, 0.5).passed
    assert Check("", [1], [1]).passed and not Check("", True, False).passed
