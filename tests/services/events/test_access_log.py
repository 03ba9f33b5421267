"""The last lines of a virtual host's access log: the right ones, newest first, whatever their number and wherever they are."""

import json
from pathlib import Path
from typing import Any

import pytest

from guardpanel.engines.processes import rotation
from guardpanel.events.words import Reason, Verdict
from guardpanel.services.events import access_log
from guardpanel.services.events.access_log import LogFilter, LogPage, read_back
from tests.events import a_failed_line, a_log_line, a_passed_line, a_request_id, an_unreadable_line, as_line


def written(log: Path, *lines: dict[str, Any] | bytes) -> None:
    with log.open("ab") as file:
        for line in lines:
            file.write(line if isinstance(line, bytes) else as_line(line) + b"\n")


def passed(number: int, **others: Any) -> dict[str, Any]:
    return a_passed_line(**{"id": a_request_id(number), "path": f"/{number}", **others})


def numbers(page: LogPage) -> list[int]:
    return [int(line.request_id.rpartition("-")[2]) for line in page.lines]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "access.json"


ONE = LogFilter(1)


def test_lines_of_one_virtual_host_newest_first(log: Path) -> None:
    trick = {"path": '/?"virtual_host":"1"', "virtual_host": "2"}
    written(
        log, passed(1), passed(2, virtual_host="11"), passed(3, panel="1"), passed(4, **trick), b"not JSON\n", b"\xff\x00\n",
        b'{"virtual_host":"1","panel":"-"}\n', b'{"virtual_host":"1","panel":"-","id":7,"time":"x","path":[]}\n', passed(5),
        as_line(passed(6)),
    )  # fmt: skip
    page = read_back(log, ONE)
    assert numbers(page) == [5, 1], "the last one is not whole yet"
    assert (page.before, page.end) == (None, log.read_bytes().rindex(b"\n") + 1)
    assert read_back(log.with_name("none"), ONE) == LogPage([], 0, None)


def test_pages_follow_each_other_and_newer_lines_are_noticed(log: Path) -> None:
    written(log, *(passed(number) for number in range(10)))
    page = read_back(log, ONE, limit=4)
    assert numbers(page) == [9, 8, 7, 6]
    written(log, passed(10, virtual_host="2"))
    assert read_back(log, ONE, since=page.end, limit=1).lines == []
    written(log, passed(11))
    assert numbers(read_back(log, ONE, since=page.end)) == [11]
    pages = [page]
    while pages[-1].before is not None:
        pages.append(read_back(log, ONE, before=pages[-1].before, limit=4))
    assert [number for page in pages for number in numbers(page)] == list(range(9, -1, -1))


@pytest.mark.parametrize("chunk", [1_500, 2_000, 4_096, 1024 * 1024])
def test_no_line_is_lost_between_chunks_or_across_rotations(
    chunk: int, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_log, "CHUNK", chunk)
    for number in range(60):
        written(log, passed(number, path="/" + "x" * (number * 7)))
        if number in {20, 40}:
            rotation.rotate_access_log(log, largest=0)
    assert len(list(log.parent.iterdir())) == 3
    assert numbers(read_back(log, ONE)) == list(range(59, -1, -1))


def test_a_search_is_bounded_and_goes_on_where_it_stopped(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "CHUNK", 2_000)
    monkeypatch.setattr(access_log, "MOST_BYTES", 6_000)
    written(log, passed(0), *(passed(number, virtual_host="2") for number in range(1, 40)))
    page, looks = read_back(log, ONE), 1
    while not page.lines:
        assert page.before
        page, looks = read_back(log, ONE, before=page.before), looks + 1
    assert (numbers(page), page.before) == ([0], None)
    assert looks > 3


LINES = (
    passed(0, method="POST", status=302, client="198.51.100.7", path="https://shop.example/login?token=secret"),
    a_log_line(id=a_request_id(1), path="/list?id=1", client="2001:db8::7"),
    a_failed_line(id=a_request_id(2), path="/\u202ex"),
    {**an_unreadable_line(), "id": a_request_id(3), "virtual_host": "1"},
    passed(4, status=-1, ended="CD--"),
)

FOUND: dict[str, tuple[dict[str, Any], list[int]]] = {
    "status": ({"status": "3"}, [0]), "no status": ({"status": "-"}, [4]), "method": ({"method": "POST"}, [0]),
    "prefix": ({"path": "/lo"}, [0]), "part": ({"path": "OGI"}, [0]), "not the query": ({"path": "secret"}, []),
    "client": ({"client": "198.51.100.7"}, [0]), "network": ({"client": "2001:db8::/32"}, [1]), "passed": ({"verdict": "passed"}, [4, 0]),
    "verdict": ({"verdict": "blocked"}, [1]), "undelivered": ({"verdict": "undelivered"}, [3, 2]),
    "all of them": ({"status": "3", "method": "POST", "verdict": "passed", "path": "/", "client": "198.51.0.0/16"}, [0]),
}  # fmt: skip


@pytest.mark.parametrize("kind", FOUND)
def test_each_filter_counts(kind: str, log: Path) -> None:
    filters, expected = FOUND[kind]
    written(log, *LINES)
    assert numbers(read_back(log, LogFilter(1, **filters))) == expected


def test_what_is_shown_is_safe_and_has_no_secret(log: Path) -> None:
    written(log, *LINES)
    _, unread, failed, blocked, first = read_back(log, ONE).lines
    assert (first.path, first.has_query, first.verdict, first.bytes) == ("/login", True, None, 2_000)
    assert (blocked.verdict, blocked.reason, blocked.status) == (Verdict.BLOCKED, None, 403)
    assert (failed.path, failed.verdict, failed.reason) == ("/\\u202ex", Verdict.UNDELIVERED, Reason.NO_SERVER)
    assert (unread.method, unread.path, unread.reason) == ("", "", Reason.MALFORMED)
    assert "secret" not in json.dumps([str(line) for line in read_back(log, ONE).lines])
