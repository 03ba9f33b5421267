"""The agent's files: each line once, whatever became of the file."""

import os

import pytest

from guardpanel.ingest import run, segments
from tests.events import an_event, as_line
from tests.ingest.reading import FIRST, SECOND, THIRD, Ground


def test_segments_are_read_in_the_order_of_their_names(ground: Ground) -> None:
    events = [an_event() for _ in range(5)]
    ground.write(SECOND, *events[3:])
    ground.write(FIRST, *events[:3])

    ground.read_all()

    assert ground.requests() == [event["id"] for event in events]
    assert ground.counters == {"events": 5}


def test_what_comes_later_is_read_where_it_was_left(ground: Ground) -> None:
    events = [an_event() for _ in range(4)]

    for at in range(4):
        ground.write(FIRST, events[at])
        ground.read_all()

    assert ground.requests() == [event["id"] for event in events]


def test_half_a_line_waits_for_its_other_half(ground: Ground) -> None:
    event = an_event()
    line = as_line(event) + b"\n"
    ground.write(FIRST, line[:100])

    ground.read_all()
    nothing = ground.requests()
    ground.write(FIRST, line[100:])
    ground.read_all()

    assert nothing == []
    assert ground.requests() == [event["id"]]
    assert "torn" not in ground.counters


def test_an_incomplete_last_line_is_counted_when_final(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "QUIET", -1.0)
    before, after = an_event(), an_event()
    ground.write(FIRST, before, as_line(an_event())[:100])

    ground.read_all()
    early = ground.counters
    ground.write(SECOND, after)
    ground.read_all()
    ground.read_all()

    assert early == {"events": 1}
    assert ground.counters == {"events": 2, "torn": 1}
    assert ground.requests() == [before["id"], after["id"]]


def test_two_agents_may_write_at_once(ground: Ground) -> None:
    events = [an_event() for _ in range(4)]

    for at, segment in enumerate((FIRST, SECOND, FIRST, SECOND)):
        ground.write(segment, events[at])
        ground.read_all()

    assert sorted(ground.requests()) == sorted(event["id"] for event in events)


def test_an_agent_on_its_way_out_is_heard_though_its_segment_seemed_to_be_ended(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "QUIET", -1.0)
    ground.write(FIRST, an_event())
    ground.write(SECOND, an_event())
    ground.read_all()
    ended = ground.ask("SELECT ended FROM segment WHERE name = ?", FIRST)

    ground.write(FIRST, late := an_event())
    ground.read_all()

    assert ended == [(1,)]
    assert late["id"] in ground.requests()
    assert ground.counters == {"events": 3}


def test_a_segment_that_went_after_it_was_read_to_its_end_is_no_loss(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "QUIET", -1.0)
    ground.write(FIRST, an_event())
    ground.write(SECOND, an_event())
    ground.read_all()

    (ground.settings.events_dir / FIRST).unlink()
    ground.read_all()

    assert ground.counters == {"events": 2}
    assert ground.ask("SELECT name FROM segment") == [(SECOND,)]


def test_a_segment_that_went_before_it_was_read_is_counted(ground: Ground) -> None:
    for segment in (FIRST, SECOND):
        ground.write(segment, *(an_event() for _ in range(3)))
    ground.read_all()
    ground.write(SECOND, an_event())

    (ground.settings.events_dir / SECOND).unlink()
    ground.write(THIRD, an_event())
    ground.read_all()

    assert ground.counters["lost_segments"] == 1
    assert ground.counters["events"] == 7


def test_a_segment_that_is_removed_while_it_is_read_is_read_to_its_end(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "TOGETHER", 1)
    ground.write(FIRST, *(an_event() for _ in range(4_000)))
    with ground.ingest() as ingest:
        ingest.step()
        left = ingest.segments.waiting

        (ground.settings.events_dir / FIRST).unlink()
        while ingest.step():
            pass

    assert left > 0
    assert ground.counters == {"events": 4_000}


def test_what_a_full_disk_let_through_in_part_may_be_taken_back(ground: Ground) -> None:
    first, taken_back, second = an_event(), an_event(), an_event()
    ground.write(FIRST, first)
    size = (ground.settings.events_dir / FIRST).stat().st_size
    ground.write(FIRST, taken_back)
    ground.read_all()

    os.truncate(ground.settings.events_dir / FIRST, size)
    ground.read_all()
    ground.write(FIRST, second)
    ground.read_all()

    assert second["id"] in ground.requests()


def test_bad_lines_and_other_forms_are_counted_and_left_out(ground: Ground) -> None:
    good = an_event()
    ground.write(
        FIRST, b"{\n", b'{"v":1}\n', b"null\n", b"\xff\xfe\n", b"[1]\n", b'"v"\n', b"\n", an_event(time=7), an_event(rules=[{}]),
        an_event(client=None), an_event(scores=[]), an_event(v=2), an_event(v="1"), an_event(v=None), an_event(verdict="maybe"),
        an_event(time="9999-12-31T23:59:59Z"), an_event(time="2026-11-26T12:00:00"), an_event(uri=["/"]), an_event(status=2**80),
        an_event(rules=[{"id": 2**70}]), an_event(rules=[{"id": True}]), b"[" * 100_000 + b"\n", good,
    )  # fmt: skip

    ground.read_all()

    assert ground.requests() == [good["id"]]
    assert ground.counters == {"events": 1, "unknown_version": 2, "bad": 20}


def test_a_line_without_end_is_left_out(ground: Ground) -> None:
    after = an_event()
    ground.write(FIRST, b"x" * (2 * segments.CHUNK + 10) + b"\n", after)

    ground.read_all()

    assert ground.requests() == [after["id"]]
    assert ground.counters["bad"] == 3


def test_other_files_are_not_touched(ground: Ground) -> None:
    (ground.settings.events_dir / "notes.txt").write_text("mine\n")
    (ground.settings.events_dir / "1.jsonl").write_bytes(as_line(an_event()) + b"\n")

    ground.read_all()

    assert ground.requests() == []


def test_without_a_directory_there_is_nothing_to_read(ground: Ground) -> None:
    ground.settings.events_dir.rmdir()

    ground.read_all()

    assert ground.requests() == []
