"""How sPyNNaker's databases are opened during a run."""

import sqlite3
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest
from spinn_front_end_common.utilities.sqlite_db import SQLiteDB

from spikingconvnet.backends.spinnaker import databases


@pytest.fixture
def opened(monkeypatch):
    """Connections that SQLite has really opened, in order."""
    made, whole = [], databases._Kept.__init__

    def init(connection, *args, **options):
        whole(connection, *args, **options)
        made.append(connection)

    monkeypatch.setattr(databases._Kept, "__init__", init)
    return made


def ask(path, *commands):
    """The first number that the last command gives, of a database as sPyNNaker opens it."""
    with SQLiteDB(str(path)) as database:
        for command in commands:
            database.cursor().execute(command)
        return database.fetchone()[0]


WRITE = "CREATE TABLE IF NOT EXISTS t (n INTEGER)", "INSERT INTO t VALUES (1)"
COUNT = "SELECT COUNT(*) FROM t"


def closed(connection):
    """Whether a connection is closed."""
    with suppress(sqlite3.ProgrammingError):
        connection.total_changes        # noqa: B018 - which asks
        return False
    return True


def test_they_do_not_wait_for_the_disk(tmp_path):
    with databases.kept_open():
        assert ask(tmp_path / "one", "PRAGMA synchronous") == 0
    assert ask(tmp_path / "one", "PRAGMA synchronous") > 0


def test_each_is_opened_once_and_others_see_what_is_written(opened, tmp_path):
    with databases.kept_open():
        for number in range(1, 4):
            assert ask(tmp_path / "one", *WRITE, COUNT) == number
            with sqlite3.connect(tmp_path / "one", timeout=0) as other:         # nothing is locked
                assert other.execute(COUNT).fetchone() == (number,)
                other.execute("CREATE TABLE IF NOT EXISTS u (n INTEGER)")       # a table that it has not known
            assert ask(tmp_path / "one", "SELECT COUNT(*) FROM u") == 0
        assert len(opened) == 1 and not closed(opened[0])
    assert closed(opened[0])


def test_one_inside_another_is_one_of_its_own(opened, tmp_path):
    with databases.kept_open():
        ask(tmp_path / "one", *WRITE, COUNT)
        with SQLiteDB(str(tmp_path / "one")) as outer:
            assert outer.cursor().execute(COUNT).fetchone()[0] == ask(tmp_path / "one", COUNT) == 1
        assert [closed(one) for one in opened] == [True, False]


def test_a_file_in_the_place_of_another_is_opened_itself(tmp_path):
    with databases.kept_open():
        ask(tmp_path / "one", *WRITE, *WRITE, COUNT)
        (tmp_path / "one").unlink()
        assert ask(tmp_path / "one", *WRITE, COUNT) == 1


def test_what_fails_is_undone(tmp_path):
    with databases.kept_open():
        ask(tmp_path / "one", *WRITE, COUNT)
        with pytest.raises(sqlite3.OperationalError):
            ask(tmp_path / "one", *WRITE, "SELECT nothing")
        assert ask(tmp_path / "one", COUNT) == 1


def test_some_wait_not_all(opened, tmp_path):
    with databases.kept_open():
        for number in range(databases.MOST + 3):
            ask(tmp_path / str(number), *WRITE, COUNT)
        assert [closed(one) for one in opened] == [True] * 3 + [False] * databases.MOST


def test_a_cores_regions_are_looked_up_and_are_the_same(tmp_path):
    from spinn_front_end_common.interface import ds

    tables, answers, plans = str(Path(ds.__file__).with_name("dse.sql")), [], []
    asked = "SELECT region_num, pointer, content FROM pointer_content_view WHERE x = 0 AND y = 0 AND p = 1"
    for name, context in (("theirs", nullcontext()), ("ours", databases.kept_open())):
        with context, SQLiteDB(str(tmp_path / name), ddl_file=tables, text_factory=str) as database:
            cursor = database.cursor()
            cursor.execute("INSERT INTO ethernet VALUES (0, 0, '127.0.0.2')")
            cursor.execute("INSERT INTO chip VALUES (0, 0, 0, 0)")
            cursor.executemany("INSERT INTO core VALUES (0, 0, ?, 0, 0, 0)", [(1,), (2,)])
            cursor.executemany("INSERT INTO region(region_num, x, y, p, reference_num, content, size, pointer)"
                               " VALUES (?, 0, 0, ?, ?, ?, 8, ?)",
                               [(1, 1, None, b"one", 64), (2, 1, None, b"one", 64), (1, 2, 7, b"shared", 128)])
            cursor.execute("INSERT INTO reference VALUES (7, 3, 0, 0, 1, 'of core 2')")
            answers.append(sorted(map(tuple, cursor.execute(asked))))
            plans.append(" ".join(row["detail"] for row in cursor.execute(f"EXPLAIN QUERY PLAN {asked}")))
    assert answers[0] == answers[1] == [(1, 64, b"one"), (2, 64, b"one"), (3, 128, None)]
    assert "SCAN region" in plans[0] and "SCAN region" not in plans[1]
