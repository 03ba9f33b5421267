"""Who may come: the order of allow list, ban, deny list, country, limit and WAF in each mode as one table, what else comes between
them as another, and where and how long each counts."""

import base64
import json
import re
import socket
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import pytest

from guardpanel.access.entries import FOREVER
from guardpanel.models.access.address_list import AddressList, ListKind
from guardpanel.rendering.access import is_at
from tests.live.origins import Origin
from tests.live.stack import DEADLINE, Stack, wait_until
from tests.live.test_paths import PATHS, SPELLINGS
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
    mode: str = "block"

    @property
    def address(self) -> str:
        """Each address of 127.0.0.0/8 is this machine's."""
        listed = self.allowed * 1 + self.banned * 2 + self.denied * 4
        return f"127.{10 + listed}.{self.limited + 2 * self.foreign + 4 * MODES.index(self.mode)}.{1 + self.attacks}"

    @property
    def host(self) -> str:
        return f"{'once' if self.limited else 'shop'}.{self.mode.replace('_', '-')}.test"

    @property
    def expected(self) -> tuple[int, str]:
        """Status and verdict, as docs/access.md has them."""
        if self.banned and not self.allowed:
            return 403, "banned"
        if self.denied and not self.allowed:
            return 403, "denied"
        if self.mode == "off":
            return 200, "-"
        passes = self.mode == "detect_only"
        if self.foreign and not self.allowed:
            return (200, "geo_passed") if passes else (403, "country")
        if self.limited and not self.allowed:
            return (200, "limited_passed") if passes else (429, "limited")
        if passes:
            return 200, "-"
        return (403, "blocked") if self.attacks else (200, "-")

    @property
    def is_judged(self) -> bool:
        """By its country and its client's limits: nobody on an allow list is, and in Detect only it is logged."""
        return self.mode != "off" and not self.allowed and self.expected[1] not in {"banned", "denied"}


MODES = ("block", "detect_only", "off")
EITHER = (False, True)
TABLE = [Chosen(*row) for row in product(EITHER, EITHER, EITHER, EITHER, EITHER, EITHER, MODES)]


class Listed(NamedTuple):
    """Of a client: which lists have it, by where these apply."""

    allowed: bool
    allowed_on_host: bool
    allowed_on_path: bool
    denied: bool
    denied_on_host: bool
    denied_on_path: bool
    let_in_on_host: bool
    let_in_on_path: bool
    banned: bool

    @property
    def address(self) -> str:
        return f"127.{200 + self.banned}.{sum(bit << at for at, bit in enumerate(self[:8]))}.1"

    def expected(self, target: str) -> tuple[str, str]:
        """Verdict and list, as docs/access.md has them."""
        is_below = target != "/else"
        if self.allowed or self.allowed_on_host or (self.allowed_on_path and target == "/Path/x"):
            return "-", "-"
        if self.banned:
            return "banned", "-"
        rejecting = (
            (self.denied, "denied", "denied"),
            (self.denied_on_host, "denied", "denied_on_host"),
            (self.denied_on_path and is_below, "denied", "denied_on_path"),
            (not self.let_in_on_host, "unlisted", "let_in_on_host"),
            (not self.let_in_on_path and is_below, "unlisted", "let_in_on_path"),
        )
        return next(((verdict, LIST_IDS[name]) for rejects, verdict, name in rejecting if rejects), ("-", "-"))


class Served(NamedTuple):
    """A request of a client to a virtual host that asks for a login, and what comes before that."""

    allowed: bool
    banned: bool
    is_odd: bool
    "Servers read its path in several ways."
    redirected: bool
    foreign: bool
    maintenance: bool
    limited: bool
    attacks: bool
    logs_in: bool

    @property
    def address(self) -> str:
        others = (self.is_odd, self.redirected, self.maintenance, self.limited, self.attacks, self.logs_in)
        number = sum(bit << at for at, bit in enumerate(others))
        return f"127.{100 + self.allowed + 2 * self.banned}.{int(self.foreign)}.{1 + number}"

    @property
    def host(self) -> str:
        return f"{'closed' if self.maintenance else 'staff'}.{'once' if self.limited else 'shop'}.test"

    @property
    def target(self) -> str:
        path = ("/old" if self.redirected else "/a") + ("/%2e%2e/b" if self.is_odd else "")
        return path + (ATTACK[1:] if self.attacks else "")

    @property
    def expected(self) -> tuple[int, str]:
        """Status and verdict, as docs/access.md has them."""
        steps = (
            (self.banned and not self.allowed, (403, "banned")),
            (self.is_odd, (400, "odd_path")),
            (self.redirected, (302, "-")),
            (self.foreign and not self.allowed, (403, "country")),
            (self.maintenance, (503, "maintenance")),
            (self.limited and not self.allowed, (429, "limited")),
            (self.attacks, (403, "blocked")),
            (not self.logs_in, (401, "login_asked")),
        )
        return next((answer for applies, answer in steps if applies), (200, "-"))


def networks(name: str) -> list[str]:
    bit = {"allowed": 1, "banned": 2}.get(name, 0)
    served = [f"127.{100 + number}.0.0/16" for number in range(4) if number & bit]
    return sorted({f"{chosen.address.rsplit('.', 2)[0]}.0.0/16" for chosen in TABLE if getattr(chosen, name)}) + served


LISTS: list[dict[str, Any]] = [
    {"name": "Office", "kind": "allow", "entries": networks("allowed")},
    {"name": "Scanners", "entries": [*networks("denied"), "127.30.0.1 until 2001-09-09", "127.30.0.2 until 2096-10-02"]},
    {"name": "Not the blog", "applies_to": "virtual_hosts", "virtual_host_ids": [2], "entries": ["127.40.0.0/16"]},
    {"name": "Friends of the blog", "kind": "allow", "applies_to": "virtual_hosts", "virtual_host_ids": [2],
     "entries": ["127.40.7.0/24", "127.50.0.1"]},
    {"name": "Nobody yet", "entries": []},
    {"name": "Not the desk", "paths": ["/Desk", "/büro/x"], "entries": ["127.80.0.0/16", "127.81.0.0/16"]},
    {"name": "Hooks", "kind": "allow", "paths": ["/Hooks"], "entries": ["127.81.0.0/16", "127.82.0.0/16"]},
    {"name": "Hooks of the blog", "kind": "allow", "applies_to": "virtual_hosts", "virtual_host_ids": [2], "paths": ["/Hooks"],
     "entries": ["127.83.0.0/16"]},
    {"name": "Hooks of all", "paths": ["/hooks"], "entries": ["127.81.0.0/16", "127.84.0.0/16"]},
    {"name": "Staff", "kind": "only", "applies_to": "virtual_hosts", "virtual_host_ids": [3], "paths": ["/Staff"],
     "entries": ["127.85.0.0/16", "127.86.0.0/16", "127.87.0.0/16 until 2001-09-09"]},
    {"name": "Begun", "kind": "only", "applies_to": "virtual_hosts", "virtual_host_ids": [3], "paths": ["/Begun*", "/wp-*"],
     "entries": ["127.85.0.0/16"]},
    {"name": "Hooks that begin so", "kind": "allow", "applies_to": "virtual_hosts", "virtual_host_ids": [3], "paths": ["/Web*"],
     "entries": ["127.83.0.0/16"]},
]  # fmt: skip

EVERY = [Listed(*row) for row in product(EITHER, repeat=len(Listed._fields))]
KINDS = {"allowed": "allow", "denied": "deny", "let_in": "only"}
ON_HOST = {"applies_to": "virtual_hosts", "virtual_host_ids": [4]}
PLACES: dict[str, dict[str, Any]] = {"": {}, "_on_host": ON_HOST, "_on_path": {**ON_HOST, "paths": ["/Path"]}}
LIST_IDS = {}
for name in Listed._fields[:-1]:
    verb = next(verb for verb in KINDS if name.startswith(verb))
    entries = sorted({f"{listed.address.rpartition('.')[0]}.0/24" for listed in EVERY if getattr(listed, name)})
    place = PLACES[name.removeprefix(verb)]
    LISTS.append({"name": name, "kind": KINDS[verb], "entries": entries, **place})
    LIST_IDS[name] = str(len(LISTS))
GUARDED = [bound["path"] for bound in PATHS if bound.get("policy") == "Admin"]
LISTS.append(
    {
        "name": "Guarded",
        "kind": "only",
        "applies_to": "virtual_hosts",
        "virtual_host_ids": [3],
        "paths": GUARDED,
        "entries": ["127.88.0.0/16"],
    }
)

COUNTRIES = "".join(f"127.{second}.0.0/16 DE\n" for second in range(10, 104))
COUNTRIES += "".join(f"127.{second}.{third}.0/23 AQ\n" for second in range(10, 71) for third in (2, 6, 10))
COUNTRIES += "".join(f"127.{second}.1.0/24 AQ\n" for second in range(100, 104))

LOGIN = {"name": "ada", "password": "correct horse"}

BANS = "".join(f"{network} {FUTURE}\n" for network in networks("banned"))
BANS += f"127.201.0.0/16 {FOREVER}\n"
BANS += f"127.82.0.0/16 {FOREVER}\n127.83.0.0/16 {FOREVER}\n"
BANS += f"127.50.0.1 {FOREVER}\n127.50.0.2 {PAST}\n127.50.1.0/24 {FOREVER}\n"


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin) -> Iterator[Stack]:
    host = {"servers": [{"address": server.address}], "health_check": False, "policy": "Block"}
    asks: dict[str, Any] = {"enforcement_mode": "block", "country_mode": "reject", "countries": ["AQ"]}
    once = {"client_limits": True, "rate_limit_requests": 1, "rate_limit_window_seconds": 3600}
    policies = {"Block": asks, "Once": {**asks, **once}}
    hosts = {"shop.test": host, "blog.test": host, "staff.test": host, "lists.test": host}
    for mode in MODES:
        for name, limits in (("shop", {}), ("once", once)):
            policies[f"{name} {mode}"] = {**asks, **limits, "enforcement_mode": mode}
            hosts[f"{name}.{mode.replace('_', '-')}.test"] = {**host, "policy": f"{name} {mode}"}
    first = len(hosts) + 1
    for maintenance, name in product((False, True), ("shop", "once")):
        fields = {"policy": f"{name} block", "maintenance": maintenance, "requires_login": True}
        hosts[f"{'closed' if maintenance else 'staff'}.{name}.test"] = {**host, **fields}
    numbers = range(first, first + 4)
    paths = [{"virtual_host_id": at, "path": "/old", "redirect": "302", "redirect_to": "/new"} for at in numbers]
    logins = [{**LOGIN, "virtual_host_id": at} for at in numbers]
    given = rows(policies, hosts, address_lists=LISTS, paths=paths, logins=logins)
    with Stack(haproxy, given, list_maps=maps_of(LISTS), bans=BANS, countries=COUNTRIES) as running:
        running.again(given)
        yield running


def ask(stack: Stack, peer: str, target: str = CLEAN, host: str = "shop.test", **headers: str) -> Response:
    """As a visitor with this address."""
    request = head(
        "OPTIONS" if target == "*" else "GET", host, target, {"user-agent": "Mozilla/5.0", "accept": "*/*", **headers}
    )
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


@pytest.mark.parametrize("chosen", TABLE, ids=lambda chosen: "".join("-+"[bit] for bit in chosen[:6]) + chosen.mode)
def test_the_order_is_allow_ban_deny_country_limit_waf(stack: Stack, chosen: Chosen) -> None:
    if chosen.limited:
        ask(stack, chosen.address, FIRST, chosen.host)

    answer = ask(stack, chosen.address, ATTACK if chosen.attacks else CLEAN, chosen.host)
    line = logged(stack, chosen.address)

    assert (answer.status, line["verdict"]) == chosen.expected
    assert line["list"] == ("2" if chosen.expected[1] == "denied" else "-")
    assert line["country"] == (("AQ" if chosen.foreign else "DE") if chosen.is_judged else "-")
    is_counted = chosen.is_judged and chosen.limited and chosen.expected[1] != "country"
    assert line["limit"] == ("rate" if is_counted else "-")
    if answer.status != 200:
        assert line["id"].encode() in answer.body
    # A ban that is longer than a year: nobody is told to come back.
    assert ("retry-after" in answer.headers) is (chosen.expected[1] == "limited")


def test_lists_of_paths_hosts_and_everything_have_one_order(stack: Stack) -> None:
    """The longest scope has no precedence: any allow list wins over any other, and each that rejects is asked."""
    targets = ("/Path/x", "/%50ath/x", "/else")
    expected = {(listed.address, target): listed.expected(target) for listed in EVERY for target in targets}

    answers = {(peer, target): ask(stack, peer, target, "lists.test").status for peer, target in expected}

    def lines() -> dict[tuple[str, str], tuple[str, str]]:
        text = (stack.folder / "access.json").read_text()
        each = [json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]
        return {
            (line["client"], line["path"]): (line["verdict"], line["list"])
            for line in each
            if line["host"] == "lists.test"
        }

    wait_until(lambda: len(lines()) == len(expected), "HAProxy writes its log")
    assert lines() == expected
    assert answers == {place: 200 if verdict == "-" else 403 for place, (verdict, _) in expected.items()}


@pytest.mark.pairwise
@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize("banned", [False, True])
@pytest.mark.parametrize("is_odd", [False, True])
@pytest.mark.parametrize("redirected", [False, True])
@pytest.mark.parametrize("foreign", [False, True])
@pytest.mark.parametrize("maintenance", [False, True])
@pytest.mark.parametrize("limited", [False, True])
@pytest.mark.parametrize("attacks", [False, True])
@pytest.mark.parametrize("logs_in", [False, True])
def test_paths_redirects_maintenance_and_logins_have_their_place(
    stack: Stack,
    allowed: bool,
    banned: bool,
    is_odd: bool,
    redirected: bool,
    foreign: bool,
    maintenance: bool,
    limited: bool,
    attacks: bool,
    logs_in: bool,
) -> None:
    served = Served(allowed, banned, is_odd, redirected, foreign, maintenance, limited, attacks, logs_in)
    if served.limited:  # Counted by policy, and not while there is maintenance.
        ask(stack, served.address, FIRST, "once.block.test")
    login = base64.b64encode(":".join(LOGIN.values()).encode()).decode()
    headers = {"authorization": f"Basic {login}"} if served.logs_in else {}

    answer = ask(stack, served.address, served.target, served.host, **headers)
    line = logged(stack, served.address)

    assert (answer.status, line["verdict"]) == served.expected


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


DESK = {
    "/desk": 403, "/Desk/x": 403, "/DESK/x?y": 403, "/%64esk": 403, "//desk": 403, "/desk;a/x": 403, "/x/..%2fdesk": 403, "/x/../desk": 403,
    "/desk./x": 403, "/desk%2fx": 403, "/desk%": 403, "/desk::$DATA": 403, "/%2564esk": 403, "/B%C3%9CRO/x": 403, "/bu%CC%88ro/x/y": 403, "/desks": 200, "/x/desk": 200, "/": 200, "*": 200,
    "/b%C3%BCro": 200,
}  # fmt: skip
"Whoever is denied at the desk gets in nowhere by another spelling of it."

HOOKS = {
    "/Hooks": 200, "/Hooks/x?y": 200, "/hooks": 403, "/%48ooks": 403, "//Hooks": 403, "/Hooks;a": 403, "/Hooks/../x": 403, "/Hooks%2f..%2fx": 403,
    "/x": 403, "/Hooksx": 403,
}  # fmt: skip
"Who is banned, and allowed there alone."


STAFF = {
    "/staff": 403, "/Staff/x": 403, "/STAFF/x?y": 403, "/%73taff": 403, "//staff": 403, "/staff;a/x": 403, "/x/..%2fstaff": 403, "/x/../staff": 403,
    "/./staff": 403, "/staff./x": 403, "/staff%2fx": 403, "/staff%": 403, "/%2573taff": 403, "/staffs": 200, "/x/staff": 200, "/": 200, "*": 200,
}  # fmt: skip
"Whoever is not on its list gets into the staff's path by no spelling."

BELOW_ADMIN = re.compile("dmin/(open|report)")
"Paths of `test_paths.py` below a guarded one that have other policies."

A_DOT_AT_THE_END = "/upload/."
"Left out, as any at the end of a part: it leads nowhere else."


BEGUN = {
    "/begun": 403, "/Begun/x": 403, "/begun.php": 403, "/BEGUNNER/x?y": 403, "/%62egunx": 403, "//begunx": 403, "/begun;a/x": 403, "/x/..%2fbegunx": 403,
    "*": 200, "/x/../begunx": 403, "/begun%": 403, "/wp-login.php": 403, "/wp-": 403, "/begu": 200, "/wp": 200, "/x/begun": 200, "/": 200,
}  # fmt: skip
"Whoever is not on its list gets to nothing that begins so."


def test_why_reads_paths_that_begin_so_as_haproxy_does() -> None:
    listed = AddressList(name="Begun", kind=ListKind.ONLY, paths=["/Begun*", "/wp-*"])

    assert {target: 403 if is_at(listed, target.partition("?")[0]) else 200 for target in BEGUN} == BEGUN
    assert is_at(AddressList(name="All", kind=ListKind.ONLY, paths=["/"]), "*")


@pytest.mark.parametrize(
    ("peer", "host", "statuses"),
    [
        ("127.60.0.1", "staff.test", BEGUN),
        ("127.85.0.1", "staff.test", dict.fromkeys(["/begun", "/begun.php", "/%62egunx", "/wp-login.php"], 200)),
        (
            "127.83.0.1",
            "staff.test",
            {"/Web": 200, "/Web.php?x": 200, "/Webx/y": 200, "/web": 403, "/%57eb": 403, "/We": 403},
        ),
        (
            "127.85.0.1",
            "staff.test",
            dict.fromkeys(["/staff", "/%73taff", "//staff", "/staff;a/x", "/staffs", "/"], 200),
        ),
        ("127.87.0.1", "staff.test", STAFF),  # Its entry has ended.
        ("127.60.0.1", "staff.test", STAFF),
        ("127.60.0.1", "shop.test", {"/staff": 200}),
        ("127.80.0.1", "shop.test", DESK),
        ("127.80.0.1", "blog.test", DESK),
        ("127.82.0.1", "shop.test", HOOKS),
        ("127.83.0.1", "blog.test", HOOKS),
        ("127.83.0.1", "shop.test", {"/Hooks": 403}),
        (
            "127.81.0.1",
            "shop.test",
            {"/Desk": 403, "/Hooks": 200, "/hooks": 403, "/": 200},
        ),  # Denied there, too: allow wins.
        ("127.84.0.1", "shop.test", {"/Hooks": 403, "/": 200}),
        ("127.60.0.1", "shop.test", {"/desk": 200, "/Hooks": 200}),
    ],
)
def test_lists_of_paths_count_there_however_these_are_spelled(
    stack: Stack, peer: str, host: str, statuses: dict[str, int]
) -> None:
    assert {target: ask(stack, peer, target, host).status for target in statuses} == statuses


@pytest.mark.parametrize("kind", SPELLINGS)
def test_no_spelling_of_a_path_binding_gets_past_a_list_that_allows_only_some_there(stack: Stack, kind: str) -> None:
    """What is read as a guarded path, or in several ways, and what is bound below one."""
    is_guarded = {
        target: target != A_DOT_AT_THE_END and (bound in {"Admin", "400"} or bool(BELOW_ADMIN.search(target)))
        for target, bound in SPELLINGS[kind].items()
    }

    answers = {target: ask(stack, "127.60.0.1", target, "staff.test").status for target in is_guarded}

    assert answers == {target: 403 if guarded else 200 for target, guarded in is_guarded.items()}
    assert [ask(stack, "127.88.0.1", target, "staff.test").status for target in ("/admin", "/%61dmin;a/x")] == [
        200,
        200,
    ]


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
