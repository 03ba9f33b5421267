"""What is looked at of a group's clients."""

from pathlib import Path

import pytest

from guardpanel.events import schema
from guardpanel.services.events import groups
from guardpanel.services.events.filters import EventFilter
from tests.events import a_log_line, a_rule, an_event, store


def test_a_flood_of_one_client_is_not_read_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many events of one shape a client has, their group and the others are there."""
    monkeypatch.setattr(groups, "LOOKED_THROUGH", 5)
    path = tmp_path / "events.db"
    other = an_event(client="203.0.113.9", rules=[a_rule(941100)], time="2026-01-01T00:00:00Z")
    events = [other, *(an_event(client="203.0.113.9", uri="/flood") for _ in range(5))]
    store(path, events, [a_log_line(event) for event in events])
    connection = schema.open_to_write(path)

    found = groups.find(connection, EventFilter()).groups

    habits = {group.row.requests: [each.events for each in group.habits] for group in found}
    assert habits == {5: [0], 1: [5]}
    connection.close()
