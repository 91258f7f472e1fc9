"""Databases of provenance made by formulas, and every reading of them as it was; texts of failures at their limits."""

import json
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

import recorded
from provenance_database import Story

from spikingconvnet.backends.spinnaker import failures, provenance

GOLDEN = Path(__file__).parents[1] / "golden" / "provenance.json"


class Formula:
    """In the place of a generator of random numbers."""

    def __init__(self):
        self.first = 0

    def integers(self, low, high, n):
        self.first += 7
        return low + (self.first + 31 * np.arange(n)) % (high - low)


def clean():
    return Story(Formula())


def faulty():
    story = Story(Formula(), (10, 25, 60), 2, reinjection=True)
    story.add("combined", "Late spikes", 3, 1).add("neurons", "Timer tick overruns", 2, 2)
    story.add((0, 0), "RunDropped_Multicast_Packets", 40, 1).add((0, 0), "LoadDropped_P2P_Packets", 4)
    story.add((1, 0), "ExtractDropped_FR_Packets", 5, 2).add((1, 0), "RunError status", 9, 1)
    story.add((1, 0), "RunReinjected", 6, 0).add((0, 0), "RunError status", 2, 0)
    story.messages, story.time_scale, story.clipped, story.lost_sequences = ["first", "second", "first"], 3, 8, 2
    story.gaps = {("v", 1): 4, ("gsyn_exc", 1): 2, ("gsyn_exc", 2): 7}
    story.missing_data = {("combined", 1), ("convolution", 2), ("combined", 2)}
    return story


def partly():
    story = Story(Formula(), (7,))
    story.gone = {("combined", 0), ("router", 0)}
    story.gaps = {("v", 0): 1}
    return story


STORIES = {"clean": clean, "faulty": faulty, "partly": partly}
KEPT = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}


def seen(name, path):
    """All readings, table by table."""
    found = provenance.read(STORIES[name]().write(path))
    rows = [
        [one.table, one.item, float(one.value), one.x, one.y, one.p, one.between, one.run, one.times]
        for one in found.readings
    ]
    by_table = {
        table: [" ".join(map(str, row)) for row in rows if row[0] == table] for table in {row[0] for row in rows}
    }
    return [found.messages, [row[:2] for row in rows], dict(sorted(by_table.items()))]


def _digested(view):
    """Tables by their digests."""
    messages, order, tables = view
    return [
        messages,
        recorded.digest(order),
        {table: f"{len(rows)} {recorded.digest(rows)}" for table, rows in tables.items()},
    ]


@pytest.mark.parametrize("name", STORIES)
def test_a_database_is_read_as_it_was(name, tmp_path):
    recorded.compare(_digested(seen(name, tmp_path / "data.sqlite3")), KEPT["stories"][name])


def test_what_cores_have_said_is_told_once_and_by_core(tmp_path):
    folder = tmp_path / "provenance_data" / "app_provenance_data"
    folder.mkdir(parents=True)
    (folder / "iobuf_for_chip_1_2_processor_id_13.txt").write_text("[ERROR] (a.c: 9): no room \n[INFO] (b.c: 1): yes\n")
    (folder / "iobuf_for_chip_0_0_processor_id_4.txt").write_text(
        "[ERROR] (a.c: 9): one\n" * 2 + "[ERROR] (a.c: 1): two\n"
    )
    (folder / "iobuf_for_chip_0_0_processor_id_x.txt").write_text("[ERROR] (a.c: 9): three\n")
    assert provenance.said(tmp_path / "data.sqlite3") == ((0, 0, 4, "one"), (0, 0, 4, "two"), (1, 2, 13, "no room"))


def test_a_database_of_large_pages_is_cut_off_where_its_header_says(tmp_path):
    path = tmp_path / "data.sqlite3"
    for size, told in ((1, 65536), (4096, 4096)):
        path.write_bytes(b"SQLite format 3\0" + size.to_bytes(2, "big") + bytes(10) + (3).to_bytes(4, "big"))
        with pytest.raises(ValueError, match=f"cut off at 32 of {3 * told} bytes"):
            provenance._check_length(path)
        path.write_bytes(path.read_bytes() + bytes(3 * told - 32))
        provenance._check_length(path)


@pytest.mark.parametrize("length", [failures.LONGEST - 1, failures.LONGEST, failures.LONGEST + 1])
def test_a_text_is_cut_behind_its_longest(length):
    text = "x" * length
    wanted = text if length <= failures.LONGEST else text[:-1] + " ..."
    assert failures.in_one_line(ValueError(text + " Stack trace: y")) == f"ValueError: {wanted}"


@pytest.mark.parametrize("count", [1, failures.MOST, failures.MOST + 1, failures.MOST + 3])
def test_the_first_cores_are_told_with_their_states(count):
    class Infos(dict):
        def get_cpu_info(self, *place):
            return self[place]

    infos = Infos(
        {
            (p, 1, 2 * p): SimpleNamespace(
                state=SimpleNamespace(name="WATCHDOG"), run_time_error=SimpleNamespace(name="SVC" if p % 2 else "NONE")
            )
            for p in range(count)
        }
    )
    told = failures.in_one_line(SimpleNamespace(exception=SimpleNamespace(failed_core_states=lambda: infos)))
    parts = [f"core {p},1,{2 * p} is in state WATCHDOG" + " (SVC)" * (p % 2) for p in range(min(count, failures.MOST))]
    assert told == "; ".join(parts) + (f"; and {count - failures.MOST} more" if count > failures.MOST else "")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        recorded.write(GOLDEN, {"stories": {name: _digested(seen(name, Path(folder, name))) for name in STORIES}})
