"""Events as they arrive: what a look costs, and that none is missed."""

import sqlite3

import pytest

from guardpanel.events import schema
from guardpanel.services.events import EventFilter, Events, scan
from guardpanel.services.events.following import Following
from tests.events import a_log_line, an_event, store

pytestmark = pytest.mark.anyio


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was read from the event database."""
    kept: list[str] = []
    opened = schema.open_to_read

    def traced(path: object) -> sqlite3.Connection:
        connection = opened(path)  # type: ignore[arg-type]
        connection.set_trace_callback(kept.append)
        return connection

    monkeypatch.setattr(schema, "open_to_read", traced)
    return kept


async def ids(events: Events, following: Following) -> list[str]:
    return [item.request_id for item in await events.follow(following)]


async def test_a_look_at_an_unchanged_database_reads_no_row(events: Events, statements: list[str]) -> None:
    event, other = an_event(), an_event()
    following = Following(EventFilter(), 0)
    store(events.settings.events_database, [event])
    first = await ids(events, following)
    assert statements

    statements.clear()
    again = [await ids(events, following) for _ in range(5)]
    unchanged = list(statements)
    store(events.settings.events_database, [other])
    store(events.settings.events_database, [], [a_log_line(event, virtual_host="7")])
    later = await ids(events, following)

    assert (first, again, unchanged) == ([event["id"]], [[]] * 5, [])
    assert later == [event["id"], other["id"]]


async def test_what_a_look_had_no_time_for_is_looked_at_again(events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    event = an_event()
    following = Following(EventFilter(path="list"), 0)
    store(events.settings.events_database, [event])
    with monkeypatch.context() as hurried:
        hurried.setattr(scan, "PATIENCE_SECONDS", -1.0)
        hurried.setattr(scan, "STEPS", 1)
        in_vain = await ids(events, following)

    assert (in_vain, await ids(events, following)) == ([], [event["id"]])


async def test_events_of_a_database_that_replaces_a_removed_one_are_read(events: Events) -> None:
    """As after an administrator has deleted it, and the ingest began another one."""
    path = events.settings.events_database
    old, new = an_event(), an_event()
    following = Following(EventFilter(), 0)
    store(path, [old])
    before = await ids(events, following)
    for each in path.parent.glob(f"{path.name}*"):
        each.unlink()
    gone = await ids(events, following)
    store(path, [new])

    assert (before, gone) == ([old["id"]], [])
    assert await ids(events, following) == [new["id"]]
    assert [item.request_id for item in (await events.page(EventFilter())).items] == [new["id"]]
