"""The last requests, as the page of the traffic settings shows them."""

import json
from typing import Any

from guardpanel.ingest.recent_requests import KEPT, RecentRequests
from tests.events import a_passed_line


def line(**others: Any) -> bytes:
    request = {"peer": "127.0.0.1", "scheme": "http", "forwarded": "-", "proxied": "-", "client": "192.0.2.7", **others}
    return json.dumps(a_passed_line(**request), separators=(",", ":")).encode()


def test_the_last_requests_are_kept_newest_first_without_the_panels_own() -> None:
    recent = RecentRequests()

    recent.see([line(client=f"192.0.2.{number}") for number in range(100)])
    recent.see([line(client="203.0.113.9"), line(client="127.0.0.1", panel="1")])

    clients = [request["client"] for request in recent.describe()["requests"]]
    assert clients == ["203.0.113.9", *(f"192.0.2.{number}" for number in range(99, 100 - KEPT, -1))]


def test_untrusted_headers_are_kept_longer() -> None:
    recent = RecentRequests()
    header = 'x-forwarded-for: 6.6.6.6","proxied":"1'

    recent.see([line(forwarded=header), line(forwarded="x-forwarded-for: 1.1.1.1", proxied="1")])
    recent.see([line()] * 100)

    ignored = recent.describe()["ignored"]
    assert [request["forwarded"] for request in ignored] == [header]


def test_what_a_stranger_sent_can_be_shown_and_is_bounded() -> None:
    recent = RecentRequests()

    recent.see([line(forwarded="x-forwarded-for: \u202e" + "x" * 5000), b'not JSON, but "panel":"-"'])

    (request,) = recent.describe()["requests"]
    assert "\u202e" not in str(request["forwarded"])
    assert len(str(request["forwarded"])) == 500
