"""The database keeps what was acknowledged, in the order it happened, and refuses what it does not know."""

from dataclasses import replace
from pathlib import Path

import pytest

from app.web.store import (
    Database,
    LabStore,
    Reply,
    ResultStore,
    StoreError,
    StudentStore,
    data_directory,
    open_database,
)
from app.web.store.labs import Beginning, LabRow
from app.workers.record import ProgramText, Stand
from app.workers.stops import StopRecord

# What makes version 1 of a database out of version 2: programs held their images themselves.
DOWNGRADE = (
    "CREATE TABLE old (lab VARCHAR REFERENCES lab (id), name VARCHAR, source TEXT, elf BLOB)",
    "INSERT INTO old SELECT lab, name, source, data FROM program LEFT JOIN image ON image = digest",
    "DROP TABLE program",
    "DROP TABLE image",
    "ALTER TABLE old RENAME TO program",
    "PRAGMA user_version=1",
)


@pytest.fixture
def student(database: Database) -> str:
    return StudentStore(database, lambda: 1000.0).create_guest()[0]


def start(seed: int = 1) -> Beginning:
    programs = (ProgramText("h.s", source="nop\n"), ProgramText("k.elf", elf=b"\x7fELF\0"))
    return Beginning("l", "v1", seed, {"vms": []}, programs)


@pytest.fixture
def row(labs: LabStore, student: str) -> LabRow:
    return labs.create(student, start())


def test_commits_are_synced_to_disk(database: Database) -> None:
    with database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2  # FULL


def test_a_lab_is_loaded_as_it_was_begun(labs: LabStore, row: LabRow) -> None:
    record = labs.load(row.id)
    assert record is not None
    assert (record.seed, record.config, record.position, record.log) == (1, {"vms": []}, 0, ())
    assert set(record.programs) == set(start().programs)


def test_an_image_is_kept_once_however_many_labs_hold_it(database: Database, labs: LabStore) -> None:
    for _ in range(3):
        labs.create(StudentStore(database, lambda: 1000.0).create_guest()[0], start())
    assert images_kept(database) == 1


def test_an_image_that_no_lab_holds_any_more_is_dropped(
    database: Database, labs: LabStore, row: LabRow
) -> None:
    newer = replace(start(), programs=(ProgramText("k.elf", elf=b"\x7fELF\1"),))
    labs.restart(row.id, newer, None)
    assert images_kept(database) == 1
    record = labs.load(row.id)
    assert record is not None
    assert record.programs == newer.programs


def test_a_database_of_version_1_keeps_its_programs(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    labs = LabStore(database, lambda: 1000.0)
    row = labs.create(StudentStore(database, lambda: 1000.0).create_guest()[0], start())
    with database.write() as connection:
        for statement in DOWNGRADE:
            connection.exec_driver_sql(statement)
    database.close()
    database = open_database(tmp_path)
    record = LabStore(database, lambda: 1000.0).load(row.id)
    database.close()
    assert record is not None
    assert set(record.programs) == set(start().programs)


def images_kept(database: Database) -> int:
    with database.read() as connection:
        return connection.exec_driver_sql("SELECT count(*) FROM image").scalar_one()


def test_a_student_has_one_lab_per_lesson(labs: LabStore, student: str, row: LabRow) -> None:
    assert labs.create(student, start(seed=2)) == row


def test_actions_come_back_in_order(labs: LabStore, row: LabRow) -> None:
    for position in (5, 5, 9):
        labs.append(row, position, {"verb": "start", "n": position}, lambda _: None)
    record = labs.load(row.id)
    assert record is not None
    assert [(entry["seq"], entry["position"]) for entry in record.log] == [(1, 5), (2, 5), (3, 9)]


def test_an_action_and_its_reply_are_committed_together_or_not_at_all(labs: LabStore, row: LabRow) -> None:
    reply = Reply("r", "digest", {"seq": 1})
    labs.append(row, 5, {"verb": "start"}, lambda _: reply)
    assert labs.reply_to(row.id, "r") == reply
    with pytest.raises(Exception, match="UNIQUE"):
        labs.append(row, 6, {"verb": "start"}, lambda _: reply)
    record = labs.load(row.id)
    assert record is not None
    assert len(record.log) == 1


def test_old_replies_are_forgotten_and_new_ones_kept(database: Database, row: LabRow) -> None:
    now = 1000.0
    labs = LabStore(database, lambda: now)
    labs.keep_reply(row.id, Reply("old", "d", {}))
    now = 2000.0
    labs.keep_reply(row.id, Reply("new", "d", {}))
    labs.forget_replies(older_than=500)
    assert labs.reply_to(row.id, "old") is None
    assert labs.reply_to(row.id, "new") is not None


def test_a_restart_empties_the_log_but_for_the_answers(labs: LabStore, row: LabRow) -> None:
    labs.append(row, 5, {"verb": "start"}, lambda _: None)
    labs.append(row, 7, {"verb": "answer", "question": "q", "value": 3}, lambda _: None)
    labs.restart(row.id, start(), None)
    record = labs.load(row.id)
    assert record is not None
    answer = {"verb": "answer", "question": "q", "value": 3}
    assert (record.generation, record.position) == (2, 0)
    assert record.log == ({"seq": 1, "position": 0, "action": answer},)
    assert labs.answers(row.id) == {"q": 3}


def test_a_position_from_before_a_restart_is_ignored(labs: LabStore, row: LabRow) -> None:
    labs.save_positions({(row.id, 1): Stand(44, 0, 44, 0)})
    labs.restart(row.id, start(), None)
    labs.save_positions({(row.id, 1): Stand(99, 0, 99, 0)})
    record = labs.load(row.id)
    assert record is not None
    assert record.position == 0


def test_progress_is_the_best_check(database: Database, student: str, row: LabRow) -> None:
    results = ResultStore(database, lambda: 1000.0)
    assert results.progress(student) == {"l": None}
    for passed in (1, 3, 2):
        results.save(row, 0, passed, 4, {"passed": passed})
    best = results.progress(student)["l"]
    assert best is not None
    assert (best.passed, best.total) == (3, 4)
    assert results.last(row.id) == {"passed": 2}


def test_sessions_expire_and_forged_tokens_are_nobodys(database: Database) -> None:
    now = 0.0
    students = StudentStore(database, lambda: now)
    student, token = students.create_guest()
    assert students.student_of(token) == student
    assert students.student_of(token + "x") is None
    now = 200 * 24 * 3600.0
    assert students.student_of(token) is None


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    with database.write() as connection:
        connection.exec_driver_sql("PRAGMA user_version=99")
    database.close()
    with pytest.raises(StoreError, match="version 99"):
        open_database(tmp_path)


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file.*--data"):
        open_database(tmp_path / "file")


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "vmlab.sqlite3").write_text("hello, I am not a database at all" * 100)
    with pytest.raises(StoreError, match="not a database"):
        open_database(tmp_path)


def test_the_data_directory_is_the_given_one_then_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VMLAB_DATA", "/somewhere")
    assert data_directory("/given") == Path("/given")
    assert data_directory() == Path("/somewhere")


def test_stops_stay_with_the_lab_over_a_new_beginning(labs: LabStore, row: LabRow) -> None:
    stops: list[StopRecord] = [{"id": 1, "enabled": True, "hits": 2, "condition": {"kind": "exit"}}]
    labs.save_stops(row.id, stops)
    labs.restart(row.id, start(), None)
    record = labs.load(row.id)
    assert record is not None
    assert record.mode.get("stops") == stops
