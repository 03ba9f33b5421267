"""The loop: both or neither of rows and places, whatever breaks in between."""

import os
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from guardpanel.engines.processes.proc import is_process, listener_of
from guardpanel.errors import Busy, StorageFailed
from guardpanel.events import schema
from guardpanel.ingest import batches, run
from guardpanel.ingest.run import Ingest
from guardpanel.ingest.store import Store
from guardpanel.lock import only_ingest
from tests.events import a_log_line, an_event, an_event_of_now
from tests.ingest.reading import FIRST, SECOND, Ground
from tests.panel import ROOT


class Cut(Exception):
    """As a kill: nothing after it happens."""


@pytest.mark.parametrize("at", ["_known", "_learn", "_insert", "_complete"])
def test_a_batch_that_is_cut_off_is_read_again(ground: Ground, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    first, second = an_event(), an_event()
    ground.write(FIRST, first)
    ground.read_all()
    ground.write(FIRST, second)
    ground.log(a_log_line(first), a_log_line(second))

    def cut(*_: object) -> None:
        raise Cut

    with monkeypatch.context() as patched, ground.ingest() as ingest:
        patched.setattr(Store, at, cut)
        with pytest.raises(Cut):
            ingest.step()
    left = ground.requests()
    ground.read_all()

    assert left == [first["id"]]
    assert ground.requests() == [first["id"], second["id"]]
    assert ground.counters == {"events": 2}
    assert all(all(ground.lines(event["id"])) for event in (first, second))


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (sqlite3.OperationalError("database or disk is full"), "database or disk is full"),
        (KeyError("secret"), "KeyError; the ingest’s log has the stack"),
    ],
)
def test_what_cannot_be_stored_is_tried_again_and_told_with_its_stack(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception, problem: str
) -> None:
    monkeypatch.setattr(run, "AFTER_FAILURE_SECONDS", 0.01)
    ground.write(FIRST, event := an_event_of_now())
    refusals, ending, problems = iter([True, True]), threading.Event(), set[object]()
    insert = Store._insert

    def full(self: Store, *arguments: object) -> None:
        problems.add(ingest.describe()["problem"])
        if next(refusals, False):
            raise error
        insert(self, *arguments)  # type: ignore[arg-type]
        ending.set()

    monkeypatch.setattr(Store, "_insert", full)
    with ground.ingest() as ingest:
        ingest.keep_reading(ending)

    assert ground.requests() == [event["id"]]
    assert ground.counters == {"events": 1}
    assert problems == {None, f"Events can’t be stored: {problem}."}
    assert "in full" in caplog.text


def test_batches_that_are_stored_together_are_undone_together(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "AFTER_FAILURE_SECONDS", 0.01)
    monkeypatch.setattr(batches, "BATCH", 2)
    events = [an_event_of_now() for _ in range(7)]
    ground.write(FIRST, *events[:3])
    ground.write(SECOND, *events[3:])
    refusals, ending, left = iter([False, False, True]), threading.Event(), []
    insert = Store._insert

    def full(self: Store, *arguments: object) -> None:
        if next(refusals, False):
            left.append((ground.requests(), ingest.describe()["lag_bytes"]))
            raise sqlite3.OperationalError("database or disk is full")
        insert(self, *arguments)  # type: ignore[arg-type]
        if self.connection.execute("SELECT count(*) FROM event").fetchone() == (len(events),):
            ending.set()

    monkeypatch.setattr(Store, "_insert", full)
    with ground.ingest() as ingest:
        waiting = ingest.describe()["lag_bytes"]
        ingest.keep_reading(ending)

    assert left == [([], waiting)]
    assert ground.requests() == [event["id"] for event in events]
    assert ground.counters == {"events": 7}


def test_a_stopping_ingest_leaves_waiting_lines(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH", 1)
    first, second = an_event(), an_event()
    ground.write(FIRST, first, second)
    noticed = threading.Event()
    noticed.set()
    with ground.ingest() as ingest:
        ingest.step(noticed)

    assert ground.requests() == [first["id"]]


def test_numbers_of_texts_that_were_undone_are_not_kept(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    ground.write(FIRST, an_event(uri="/a", client="192.0.2.1", host="a.example"))
    with ground.ingest() as ingest:
        with monkeypatch.context() as patched:
            patched.setattr(Store, "_insert", lambda *_: ingest.connection.execute("no such words"))
            with pytest.raises(sqlite3.OperationalError):
                ingest.step()
        ingest._give_way(sqlite3.OperationalError("full"))
        problem = ingest.describe()["problem"]
        ground.write(SECOND, an_event(uri="/b", client="192.0.2.2", host="b.example"))
        while ingest.step():
            pass

    assert problem == "Events can’t be stored: full."
    assert ground.ask("SELECT path.text, host.text FROM event JOIN path ON path.id = path JOIN host ON host.id = host ORDER BY event.id") == [
        ("/a", "a.example"), ("/b", "b.example"),
    ]  # fmt: skip


def test_the_file_of_a_newer_guardpanel_is_left_alone(ground: Ground) -> None:
    ground.read_all()
    with sqlite3.connect(ground.settings.events_database) as connection:
        connection.execute(f"PRAGMA user_version = {len(schema.VERSIONS) + 1}")
    connection.close()

    with pytest.raises(StorageFailed, match="newer guardpanel"):
        ground.read_all()


def test_a_file_that_is_removed_ends_it(ground: Ground) -> None:
    with ground.ingest() as ingest:
        ground.settings.events_database.unlink()
        with pytest.raises(StorageFailed, match="removed"):
            ingest.keep_reading(threading.Event())


def test_there_is_one(ground: Ground) -> None:
    with only_ingest(ground.settings.ingest_lock), pytest.raises(Busy):
        run.run(ground.settings)


def test_it_says_how_far_behind_it_is(ground: Ground) -> None:
    with ground.ingest() as ingest:
        before = ingest.describe()
        ground.write(FIRST, an_event())
        ground.log(a_log_line())
        behind = ingest.describe()
        while ingest.step():
            pass
        after = ingest.describe()

    assert (before["lag_bytes"], before["lag_seconds"]) == (0, 0.0)
    assert (
        behind["lag_bytes"]
        == (ground.settings.events_dir / FIRST).stat().st_size + ground.settings.access_log.stat().st_size
    )
    assert (after["lag_bytes"], after["lag_seconds"], after["problem"]) == (0, 0.0, None)


def start(folder: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    environment = {"PATH": os.environ["PATH"], "GUARDPANEL_DATA_DIR": str(folder), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-m", "guardpanel", "ingest", *arguments], env=environment, cwd=folder)


def wait_for_socket(ground: Ground) -> int:
    ends = time.monotonic() + 60
    while (pid := listener_of(ground.settings.ingest_socket)) is None:
        assert time.monotonic() < ends
        time.sleep(0.02)
    return pid


def test_the_command_runs_alone_and_stops_on_request(ground: Ground) -> None:
    ground.write(FIRST, event := an_event_of_now())
    process = start(ground.settings.data_dir)
    try:
        pid = wait_for_socket(ground)
        ends = time.monotonic() + 60
        while not ground.requests():
            assert time.monotonic() < ends
            time.sleep(0.02)
        process.terminate()
        code = process.wait(60)
    finally:
        process.kill()

    assert pid == process.pid
    assert code == 0
    assert ground.requests() == [event["id"]]
    assert listener_of(ground.settings.ingest_socket) is None


def test_it_ends_with_the_process_that_started_it(ground: Ground) -> None:
    words = "import os, subprocess, sys, time; subprocess.Popen([sys.executable, '-m', 'guardpanel', 'ingest', '--parent', str(os.getpid())]); time.sleep(60)"
    environment = {
        "PATH": os.environ["PATH"],
        "GUARDPANEL_DATA_DIR": str(ground.settings.data_dir),
        "PYTHONPATH": str(ROOT),
    }
    parent = subprocess.Popen([sys.executable, "-c", words], env=environment, cwd=ground.settings.data_dir)
    try:
        pid = wait_for_socket(ground)
    finally:
        parent.kill()
        parent.wait()

    ends = time.monotonic() + 60
    while is_process(pid):
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_a_hanging_loop_is_reported(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its socket is answered beside it: a disk that takes no write and refuses none ends no step."""
    clock, ending, reports = [1_000.0], threading.Event(), []
    monkeypatch.setattr(run, "monotonic", lambda: clock[0])

    def hang(_self: Ingest, _ending: object) -> bool:
        for passed in (60, 61):
            clock[0] = 1_000.0 + passed
            reports.append(ingest.describe()["problem"])
        ending.set()
        return True

    monkeypatch.setattr(Ingest, "step", hang)
    with ground.ingest() as ingest:
        ingest.keep_reading(ending)
        reports.append(ingest.describe()["problem"])

    assert reports == [None, "Event ingest has made no progress for 61 s.", None]
