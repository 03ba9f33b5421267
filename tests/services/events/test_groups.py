"""What is looked at of a group's clients."""

import sqlite3
from pathlib import Path

import pytest

from guardpanel.events import schema
from guardpanel.services.events import groups
from guardpanel.services.events.filters import EventFilter
from guardpanel.services.events.scan import TimeUp
from tests.events import a_log_line, a_rule, an_event, store


def test_a_flood_of_one_client_is_not_read_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many events of one shape a client has, their group and the others are there."""
    monkeypatch.setattr(groups, "LOOKED_THROUGH", 5)
    path = tmp_path / "events.db"
    other = an_event(client="203.0.113.9", rules=[a_rule(941100)], time="2020-01-01T00:00:00Z")
    events = [other, *(an_event(client="203.0.113.9", uri="/flood") for _ in range(5))]
    store(path, events, [a_log_line(event) for event in events])
    connection = schema.open_to_write(path)

    results = groups.find(connection, EventFilter()).groups

    habits = {group.row.requests: [each.events for each in group.habits] for group in results}
    assert habits == {5: [0], 1: [5]}
    connection.close()


def test_what_was_found_in_time_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine the groups that most addresses met are there, and the rest is said to be missing."""
    path = tmp_path / "events.db"
    events = [an_event(uri=f"/{name}", client=f"203.0.113.{at}") for at, name in enumerate(("a", "a", "b"))]
    store(path, events, [a_log_line(event) for event in events])
    connection = schema.open_to_write(path)
    whole, habits_of_group = groups.find(connection, EventFilter()), groups._group

    def only_first(connection: sqlite3.Connection, row: groups.GroupRow) -> groups.FoundGroup:
        if row.visitors == 1:
            raise TimeUp
        return habits_of_group(connection, row)

    monkeypatch.setattr(groups, "_group", only_first)
    results = groups.find(connection, EventFilter())

    assert (len(whole.groups), whole.is_whole, whole.stopped) == (2, True, False)
    assert results.groups == whole.groups[:1]
    assert (results.total, results.is_whole, results.stopped) == (2, False, True)
    connection.close()


def test_addresses_of_one_network_are_one_client(tmp_path: Path) -> None:
    """A client has all addresses of an IPv6 /64, and an IPv4 address alone."""
    path = tmp_path / "events.db"
    same = [an_event(uri="/one", client=f"2001:db8::{at}") for at in range(1, 5)]
    several = [an_event(uri="/several", client=client) for client in ("192.0.2.1", "192.0.2.2", "2001:db8:0:1::1")]
    store(path, [*same, *several], [a_log_line(event) for event in (*same, *several)])
    connection = schema.open_to_write(path)

    results = groups.find(connection, EventFilter()).groups

    assert [(group.row.visitors, group.row.networks) for group in results] == [(3, 3), (4, 1)]
    connection.close()
