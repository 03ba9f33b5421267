"""The busiest paths and clients are counted, each line once, and no number of others pushes them out or takes room."""

from datetime import timedelta
from typing import Any

import pytest

from guardpanel.events.busiest import HOUR, LONGEST, MISSED, MOST, Group, Kind, client_name, path_name, weight, whole
from guardpanel.events.traffic import ALL, LENGTH, REQUESTS, UNKNOWN, Count
from guardpanel.ingest import busiest
from guardpanel.ingest.traffic import LOGGED, MOST_AT_ONCE, Counts
from guardpanel.services.events.busiest import Busiest
from guardpanel.services.events.busiest import busiest as listed
from tests.events import NOON, a_passed_line, a_request_id, as_line
from tests.ingest.reading import Ground

AT = int(NOON.timestamp())


def passed(number: int, path: str = "/", **others: Any) -> dict[str, Any]:
    return a_passed_line(**{"id": a_request_id(number), "time": AT + 0.5, "bytes": 100, "path": path, **others})


def stored(ground: Ground, kind: Kind = Kind.PATH, host: int = 1, limit: int = 20) -> Busiest:
    with ground.ingest() as ingest:
        return listed(ingest.connection, kind, host, NOON, limit)


def requests(found: Busiest) -> dict[str, int]:
    return {row.name: row.count.requests for row in found.rows}


def test_paths_are_counted_by_template_and_clients_by_network(ground: Ground) -> None:
    ground.log(
        passed(1, "/orders/17?a=1"), passed(2, "/orders/%31%38", status=404), passed(3, "/", client="2001:db8::1"),
        passed(4, "/", client="2001:db8::2", virtual_host="2"), passed(5, "https://shop.example/", status=500),
        passed(6, "/", verdict="blocked", status=403, rules="942100", server_milliseconds=-1), passed(7, "/", panel="1"),
        passed(8, "/", virtual_host="-", verdict="unknown_host", status=421, client="-"),
    )  # fmt: skip
    ground.read_all()
    ground.read_all()

    paths = stored(ground)
    assert requests(paths) == {"/": 3, "/orders/{number}": 2}
    assert paths.rows[0].count.rejected == 1
    assert paths.rows[1].count.statuses == [0, 0, 1, 0, 1, 0]
    assert paths.rows[1].count.percentile(0.95) == 3
    assert (paths.total.requests, paths.others) == (5, Count())
    assert requests(stored(ground, Kind.CLIENT)) == {"192.0.2.7": 4, "2001:db8::/64": 1}
    everywhere = stored(ground, Kind.CLIENT, ALL)
    assert requests(everywhere) == {"192.0.2.7": 4, "2001:db8::/64": 2}
    assert (everywhere.others.requests, everywhere.others.rejected) == (1, 1), "who is no address is among the others"
    assert requests(stored(ground, Kind.PATH, UNKNOWN)) == {}


def test_a_later_batch_adds_to_the_same_hour(ground: Ground) -> None:
    for number in range(3):
        ground.log(passed(number, time=AT + 700 * number), passed(10 + number, f"/{'x' * number}", time=AT + HOUR))
        ground.read_all()

    assert requests(stored(ground)) == {"/": 4, "/x": 1, "/xx": 1}
    assert len(ground.ask("SELECT 1 FROM busiest WHERE kind = ? AND host = 1", Kind.PATH)) == 2


@pytest.mark.parametrize("batches", [1, 7])
def test_a_scan_takes_no_room_and_hides_no_busy_path(batches: int, ground: Ground) -> None:
    """3,000 paths with a request each, and one path with 5 % of all, evenly among them."""
    for batch in range(batches):
        each = [passed(at, f"/scan-{_letters(at)}", status=404) for at in range(batch, 3_000, batches)]
        ground.log(*(line for at, one in enumerate(each) for line in ([one, passed(at)] if at % 19 == 0 else [one])))
        ground.read_all()

    found = stored(ground)
    assert found.rows[0].name == "/"
    assert found.rows[0].count.requests > 3_000 / 19 * 0.7
    assert found.total.requests == 3_000 + sum(len(range(batch, 3_000, batches)[::19]) for batch in range(batches))
    assert found.others.requests == found.total.requests - sum(requests(found).values())
    ((size,),) = ground.ask("SELECT max(length(names)) FROM busiest")
    assert size < MOST * (LONGEST + LENGTH + 20)
    ((rows,),) = ground.ask("SELECT count(*) FROM busiest")
    assert rows == 4


def _letters(number: int) -> str:
    return "".join("abcdefghij"[int(digit)] for digit in str(number))


def test_a_batch_holds_no_more_names_than_it_can_choose_among() -> None:
    counts = Counts()
    for at in range(2 * MOST_AT_ONCE):
        counts.add(LOGGED.decode(as_line(passed(at, f"/{_letters(at)}"))))
        counts.add(LOGGED.decode(as_line(passed(at, f"/orders/{at}"))))
        counts.bound()
    (paths,) = (group for key, group in counts.groups.items() if key[0] is Kind.PATH)
    assert len(paths.names) <= MOST_AT_ONCE
    assert whole(paths.names["/orders/{number}"])[REQUESTS] == 2 * MOST_AT_ONCE
    assert paths.floor <= 4 * MOST_AT_ONCE / MOST


def a_group(**names: int) -> Group:
    return Group({name: [number, *([0] * (MISSED - 1)), 0] for name, number in names.items()})


def test_a_new_name_begins_with_what_a_dropped_one_may_have_had() -> None:
    group = a_group(a=9, b=5, c=3)
    group.keep(2)
    assert (list(group.names), group.floor) == (["a", "b"], 3)

    group.add(a_group(c=1, d=1))
    group.keep(2)
    assert list(group.names) == ["a", "b"]
    group.add(a_group(c=3))
    assert weight(group.names["c"]) == 3 + group.floor
    group.keep(2)
    assert list(group.names) == ["a", "c"], "it may have had as many as the one that it displaces"

    both = Group()
    both.add(group)
    both.add(Group({"z": [1, *([0] * MISSED)]}, floor=2))
    assert (both.floor, whole(both.names["a"])[MISSED], whole(both.names["z"])[MISSED]) == (
        group.floor + 2,
        2,
        group.floor,
    )


def test_hours_become_days_and_go_after_a_month(ground: Ground) -> None:
    hours = [0, 1, 5, 11, 12, 36]
    ground.log(*(passed(at, time=AT + hour * HOUR) for at, hour in enumerate(hours)))
    ground.read_all()

    with ground.ingest() as ingest:
        for days, begins in ((2, 6), (3, 3), (20, 3), (32, 2), (33, 1), (34, 0)):
            busiest.tidy(ingest.connection, NOON + timedelta(days=days, hours=2))
            assert len(ground.ask("SELECT begins FROM busiest WHERE kind = 1 AND host = 1")) == begins, days
            found = listed(ingest.connection, Kind.PATH, 1, NOON - timedelta(days=1), 20)
            if days < 32:
                assert requests(found) == {"/": len(hours)}


def test_too_many_virtual_hosts_lose_their_oldest_hours(ground: Ground) -> None:
    ground.log(*(passed(at, time=AT + at * HOUR, virtual_host=str(at)) for at in range(1, 9)))
    ground.read_all()

    with ground.ingest() as ingest:
        busiest.tidy(ingest.connection, NOON, most=11)
    assert {row[0] for row in ground.ask("SELECT begins FROM busiest")} == {AT + at * HOUR for at in (7, 8)}


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("/a/../b?x=/y", "/a/../b"), ("https://shop.example/a/7", "/a/{number}"), ("https://shop.example", "/"), ("*", "*"), ("-", "-"),
        ("/%1b%e2%80%ae", "/\\x1b\\u202e"), ("/x://y", "/x:/y"), ("/" + "x" * 9_000, "/…"), ("/x" * 9_000, "/x" * (LONGEST // 2)),
    ],
)  # fmt: skip
def test_a_path_has_one_name_however_it_is_written(uri: str, name: str) -> None:
    assert path_name(uri) == name


def test_what_is_no_address_has_no_name() -> None:
    assert [client_name(text) for text in ("-", "", "<b>", "unix:1", "1.2.3", "::")] == [""] * 6
    assert [client_name(text) for text in ("::ffff:192.0.2.7", "::1", "2001:DB8:0:0::7")] == [
        "192.0.2.7",
        "::/64",
        "2001:db8::/64",
    ]
