"""Who may come: the order of allow list, ban, deny list, country, limit and WAF as one table, and where and how long each counts."""

import json
import socket
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import pytest

from guardpanel.access.entries import FOREVER
from tests.live.origins import Origin
from tests.live.stack import DEADLINE, Stack, wait_until
from tests.live.wire import Response, head
from tests.rows import maps_of, rows

ATTACK, CLEAN = "/?q=1%27%20OR%20%271%27%3D%271", "/"

PAST, FUTURE = 1_000_000_000, 4_000_000_000


class Chosen(NamedTuple):
    """Of a client: what contains its address."""

    allowed: bool
    banned: bool
    denied: bool
    foreign: bool
    limited: bool
    attacks: bool

    @property
    def address(self) -> str:
        """Each address of 127.0.0.0/8 is this machine's."""
        listed = self.allowed * 1 + self.banned * 2 + self.denied * 4
        return f"127.{10 + listed}.{self.limited + 2 * self.foreign}.{1 + self.attacks}"

    @property
    def expected(self) -> tuple[int, str]:
        """Status and verdict, as docs/access.md has them."""
        if self.banned and not self.allowed:
            return 403, "banned"
        if self.denied and not self.allowed:
            return 403, "denied"
        if self.foreign and not self.allowed:
            return 403, "country"
        if self.limited and not self.allowed:
            return 429, "limited"
        return (403, "blocked") if self.attacks else (200, "-")


TABLE = [Chosen(*row) for row in product((False, True), repeat=6)]


def networks(name: str) -> list[str]:
    return sorted({f"{chosen.address.rsplit('.', 2)[0]}.0.0/16" for chosen in TABLE if getattr(chosen, name)})


LISTS: list[dict[str, Any]] = [
    {"name": "Office", "kind": "allow", "entries": networks("allowed")},
    {"name": "Scanners", "entries": [*networks("denied"), "127.30.0.1 until 2001-09-09", "127.30.0.2 until 2096-10-02"]},
    {"name": "Not the blog", "applies_to": "virtual_hosts", "virtual_host_ids": [2], "entries": ["127.40.0.0/16"]},
    {"name": "Friends of the blog", "kind": "allow", "applies_to": "virtual_hosts", "virtual_host_ids": [2],
     "entries": ["127.40.7.0/24", "127.50.0.1"]},
    {"name": "Nobody yet", "entries": []},
]  # fmt: skip

COUNTRIES = "".join(f"127.{second}.0.0/16 DE\n127.{second}.2.0/23 AQ\n" for second in range(10, 71))

BANS = "".join(f"{network} {FUTURE}\n" for network in networks("banned"))
BANS += f"127.50.0.1 {FOREVER}\n127.50.0.2 {PAST}\n127.50.1.0/24 {FOREVER}\n"


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin) -> Iterator[Stack]:
    host = {"servers": [{"address": server.address}], "health_check": False, "policy": "Block"}
    asks: dict[str, Any] = {"enforcement_mode": "block", "country_mode": "reject", "countries": ["AQ"]}
    once = {"client_limits": True, "rate_limit_requests": 1, "rate_limit_window_seconds": 3600}
    policies = {"Block": asks, "Once": {**asks, **once}}
    hosts = {"shop.test": host, "blog.test": host, "once.test": {**host, "policy": "Once"}}
    given = rows(policies, hosts, address_lists=LISTS)
    with Stack(haproxy, given, list_maps=maps_of(LISTS), bans=BANS, countries=COUNTRIES) as running:
        yield running


def ask(stack: Stack, peer: str, target: str = CLEAN, host: str = "shop.test") -> Response:
    """As a visitor with this address."""
    request = head("GET", host, target, {"user-agent": "Mozilla/5.0", "accept": "*/*"})
    with socket.create_connection(stack.address, DEADLINE, source_address=(peer, 0)) as connection:
        connection.sendall(request)
        return stack.answer(connection, request)


FIRST = "/first"
"The path of a request that is only there to be counted. Threads write their lines in either order."


def logged(stack: Stack, peer: str) -> dict[str, Any]:
    """The line about this address, but for its first request."""

    def lines() -> list[dict[str, Any]]:
        text = (stack.folder / "access.json").read_text()
        every = [json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]
        return [line for line in every if line["client"] == peer and line["path"] != FIRST]

    wait_until(lambda: len(lines()) == 1, "HAProxy writes its log")
    return lines()[0]


@pytest.mark.parametrize("chosen", TABLE, ids=lambda chosen: "".join("-+"[bit] for bit in chosen))
def test_the_order_is_allow_ban_deny_country_limit_waf(stack: Stack, chosen: Chosen) -> None:
    host = "once.test" if chosen.limited else "shop.test"
    if chosen.limited:
        ask(stack, chosen.address, FIRST, host)

    answer = ask(stack, chosen.address, ATTACK if chosen.attacks else CLEAN, host)
    line = logged(stack, chosen.address)

    assert (answer.status, line["verdict"]) == chosen.expected
    assert line["list"] == ("2" if chosen.expected[1] == "denied" else "-")
    is_asked = chosen.expected[1] in {"country", "limited", "blocked", "-"} and not chosen.allowed
    assert line["country"] == (("AQ" if chosen.foreign else "DE") if is_asked else "-")
    assert line["limit"] == ("rate" if chosen.expected[1] == "limited" else "-")
    if answer.status != 200:
        assert line["id"].encode() in answer.body
    # A ban that is longer than a year: nobody is told to come back.
    assert ("retry-after" in answer.headers) is (chosen.expected[1] == "limited")


@pytest.mark.parametrize(
    ("peer", "host", "status"),
    [
        ("127.30.0.1", "shop.test", 200),  # It has ended.
        ("127.30.0.2", "shop.test", 403),  # It has not.
        ("127.40.0.9", "shop.test", 200),  # Another virtual host's.
        ("127.40.0.9", "blog.test", 403),
        ("127.40.7.9", "blog.test", 200),  # Allowed there.
        ("127.50.0.1", "blog.test", 200),  # Banned, and allowed there alone.
        ("127.50.0.1", "shop.test", 403),
        ("127.50.0.2", "shop.test", 200),
        ("127.50.1.77", "shop.test", 403),
        ("127.60.0.1", "shop.test", 200),
        ("127.40.0.9", "other.test", 421),  # What nobody serves is asked about nowhere.
    ],
)
def test_entries_count_where_and_as_long_as_they_say(stack: Stack, peer: str, host: str, status: int) -> None:
    assert ask(stack, peer, host=host).status == status


def test_a_banned_client_is_told_for_how_long(stack: Stack) -> None:
    ends_at = int(stack.command("@1 show info").split("Start_time_sec: ")[1].split()[0]) + 100_000
    stack.command(f"@1 add map {stack.folder}/bans.map 127.70.0.1 {ends_at}")

    answer = ask(stack, "127.70.0.1")

    assert answer.status == 403
    assert 0 < int(answer.headers["retry-after"]) <= 100_000


def test_the_panel_is_never_rejected(stack: Stack) -> None:
    """Its proofs and test attacks come from this machine, which somebody may ban."""
    stack.command(f"@1 add map {stack.folder}/bans.map 127.0.0.1 {FOREVER}")
    try:
        assert ask(stack, "127.0.0.1").status == 403
        assert stack.get("shop.test", "/").status == 200
        assert stack.get("shop.test", ATTACK).verdict["verdict"] == "blocked"
    finally:
        stack.command(f"@1 del map {stack.folder}/bans.map 127.0.0.1")
