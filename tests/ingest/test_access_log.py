"""HAProxy's log: each line once, also while it is rotated under the reader."""

import os
import threading
from pathlib import Path

import pytest

from guardpanel.engines.processes import rotation
from guardpanel.events.archives import archives
from guardpanel.ingest.access_log import AccessLog, Position
from tests.events import a_log_line, a_passed_line
from tests.ingest.reading import Ground

PAGE = 4096


def rotate(ground: Ground) -> None:
    rotation.rotate_access_log(ground.settings.access_log, largest=0)


def on_disk(path: Path) -> int:
    return path.stat().st_blocks * 512


def test_lines_are_read_where_they_were_left(ground: Ground) -> None:
    lines = [a_log_line() for _ in range(3)]

    for line in lines:
        ground.log(line, a_passed_line())
        ground.read_all()

    assert ground.requests() == [line["id"] for line in lines]
    assert ground.counters == {"events": 3, "ordinary": 3}


def test_half_a_line_waits(ground: Ground) -> None:
    ground.log(b'{"time":')
    ground.read_all()
    assert ground.requests() == []
    assert "bad" not in ground.counters


def test_rotation_gives_the_disk_back_and_keeps_the_lines(ground: Ground) -> None:
    log = ground.settings.access_log
    ground.log(*(a_log_line() for _ in range(1_000)))
    whole, size = log.read_bytes(), log.stat().st_size

    rotate(ground)

    ((start, archived),) = archives(log)
    assert (start, archived.read_bytes()) == (0, whole)
    assert log.stat().st_size == size
    assert on_disk(log) <= PAGE


def test_small_logs_are_left_alone(ground: Ground) -> None:
    ground.log(a_log_line())
    rotation.rotate_access_log(ground.settings.access_log)
    assert archives(ground.settings.access_log) == []


def test_blocks_are_given_back_a_few_at_a_time(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "PUNCHED_AT_ONCE", 2 * PAGE)
    punched: list[int] = []
    punch = rotation._punch

    def count(file: int, at: int, size: int) -> None:
        punched.append(size)
        punch(file, at, size)

    monkeypatch.setattr(rotation, "_punch", count)
    lines = [a_log_line() for _ in range(120)]
    for at in range(0, 120, 40):
        ground.log(*lines[at : at + 40])
        rotate(ground)
        assert on_disk(ground.settings.access_log) <= PAGE

    ground.read_all()

    assert ground.requests() == [line["id"] for line in lines]
    assert len(punched) > 9
    assert max(punched) == 2 * PAGE


def test_who_comes_late_reads_the_archive(ground: Ground) -> None:
    lines = [a_log_line() for _ in range(60)]
    for at in range(0, 60, 20):
        ground.log(*lines[at : at + 20])
        if at:
            rotate(ground)

    ground.read_all()

    assert ground.requests() == [line["id"] for line in lines]
    assert ground.counters == {"events": 60}


def test_reading_resumes_in_the_middle_of_an_archive(ground: Ground) -> None:
    lines = [a_log_line() for _ in range(60)]
    ground.log(*lines[:20])
    ground.read_all()
    ground.log(*lines[20:40])
    rotate(ground)
    ground.log(*lines[40:])

    ground.read_all()

    assert ground.requests() == [line["id"] for line in lines]
    assert ground.counters == {"events": 60}


def test_what_was_rotated_away_unread_is_counted(ground: Ground) -> None:
    sizes = []
    for _ in range(rotation.LOGS_KEPT + 2):
        ground.log(*(a_log_line() for _ in range(10)))
        sizes.append(ground.settings.access_log.stat().st_size)
        rotate(ground)
    ground.log(last := a_log_line())

    ground.read_all()

    assert ground.requests()[-1] == last["id"]
    assert ground.counters == {"events": 10 * rotation.LOGS_KEPT + 1, "lost_bytes": sizes[1]}


def test_half_a_line_stays_in_the_log(ground: Ground) -> None:
    ground.log(whole := a_log_line(), b'{"time":17')

    rotate(ground)
    ground.log(b',"x":1}\n', last := a_log_line())
    ground.read_all()

    assert ground.requests() == [whole["id"], last["id"]]
    assert ground.counters == {"events": 2, "bad": 1}


def test_another_file_is_read_from_its_beginning(ground: Ground) -> None:
    ground.log(a_log_line())
    ground.read_all()
    ground.settings.access_log.rename(ground.settings.log_dir / "old")
    ground.log(other := a_log_line())

    ground.read_all()

    assert other["id"] in ground.requests()


def test_without_holes_it_is_emptied(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(rotation, "_punch", refuse)
    log = ground.settings.access_log
    ground.log(*(a_log_line() for _ in range(10)))
    ground.read_all()
    ground.log(*(a_log_line() for _ in range(10)))
    whole = log.read_bytes()

    rotate(ground)
    ground.log(last := a_log_line())
    ground.read_all()

    assert (ground.settings.log_dir / "access.json.1").read_bytes() == whole
    assert archives(log) == []
    assert ground.requests()[-1] == last["id"]
    assert ground.counters == {"events": 11, "lost_bytes": len(whole) // 2}


def test_a_file_that_grew_too_long_starts_over(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotation, "LONGEST_FILE", 10_000)
    ground.log(*(a_log_line() for _ in range(10)))
    rotate(ground)
    ground.log(*(a_log_line() for _ in range(10)))
    rotate(ground)

    assert ground.settings.access_log.stat().st_size == 0
    assert archives(ground.settings.access_log) == []


def test_no_line_is_lost_to_a_rotation_while_it_is_written_and_read(ground: Ground) -> None:
    log, lines = ground.settings.access_log, 30_000
    writing = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    ended = threading.Event()

    def write() -> None:
        for at in range(lines):
            os.write(writing, b"%d %s\n" % (at, b"x" * (at % 200)))
        ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    reader, read = AccessLog(log, Position()), []
    while True:
        done = ended.is_set()
        batch = reader.read()
        assert not batch.counted
        if batch.position == reader.position and done:
            break
        read += batch.lines
        reader.position = batch.position
        rotate(ground)
    writer.join()
    os.close(writing)

    assert [int(line.split()[0]) for line in read] == list(range(lines))
    assert on_disk(log) < 1_000_000
