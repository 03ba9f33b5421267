"""What a path of a virtual host gets of delivery that its other paths do not: each effect on a real request, and after a reload."""

import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from guardpanel.engines import http
from guardpanel.models.path_binding import PathBindingFields
from guardpanel.services import path_bindings, server_states, virtual_hosts
from guardpanel.services.saving.changes import SaveRequest
from guardpanel.services.server_states import State
from tests.live.origins import Origin, origin
from tests.live.saves import Installation, a_virtual_host, installation_of, until
from tests.live.stack import DEADLINE, Stack
from tests.live.test_server_names import restarted
from tests.ports import free_port
from tests.rows import rows

CSS = b"HTTP/1.1 200 OK\r\nContent-Type: text/css\r\nContent-Length: 2000\r\nConnection: close\r\n\r\n" + b"a" * 2000
TOUCHED = ("strict-transport-security", "x-content-type-options", "access-control-allow-origin", "content-encoding")

PATHS: list[dict[str, Any]] = [
    {"path": "/api", "server_path": "/v2", "server_host": "api.internal", "security_headers": "always"},
    {"path": "/api/login", "policy": "Site", "server_path": "/sign%20in"},
    {"path": "/strip", "server_path": "/"},
    {"path": "/Café/menu", "server_path": "/m"},
    {"path": "/one", "path_match": "exact", "server_path": "/only%25me"},
    {"path": "/slow", "server_timeout": 1},
    {"path": "/open", "own_cors": True, "cors_origins": ["*"]},
    {"path": "/css", "own_compression": True, "compression": True, "compression_types": ["text/css"]},
    {"path": "/css/plain", "own_compression": True},
    {"path": "/seen", "enforcement_mode": "detect_only", "policy": "Site"},
    {"path": "/named", "own_headers": [
        {"header": "X-Site", "value": "path 100%"}, {"action": "add", "header": "X-Of", "value": "path {hostname}"},
        {"direction": "request", "header": "X-For", "value": "path"}, {"direction": "request", "action": "remove", "header": "Cookie"}]},
    {"path": "/away", "virtual_host_id": 2, "server_path": "/elsewhere"},
]  # fmt: skip

RULES = [
    {"header": "X-Site", "value": "site"},
    {"action": "add", "header": "X-Of", "value": "site"},
    {"direction": "request", "header": "X-For", "value": "site"},
]
"Of the virtual host."


@pytest.fixture(scope="module")
def other() -> Iterator[Origin]:
    with origin() as running:
        yield running


@pytest.fixture(scope="module")
def server() -> Iterator[Origin]:
    """Of its own: other tests have theirs answer some of these paths otherwise."""
    with origin() as running:
        yield running


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin, other: Origin) -> Iterator[Stack]:
    common: dict[str, Any] = {
        "servers": [{"address": server.address}],
        "health_check": False,
        "policy": "Site",
        "https": True,
    }
    hosts = {"site.test": common, "front.test": {**common, "server_path": "/app%20x"}, "plain.test": common}
    hosts["bare.test"] = {**hosts["front.test"], "enforcement_mode": "off"}
    elsewhere = {"path": "/other", "own_servers": [f"http://{other.address}"]}
    given = rows({"Site": {"enforcement_mode": "block"}}, hosts, paths=[*PATHS, elsewhere], header_rules=RULES)
    with Stack(haproxy, given, agent_seconds=60) as running:
        running.again(given)
        yield running


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        ("/x", "/x"),
        ("/api", "/v2"),
        ("/api/", "/v2/"),
        ("/api?a=1&b=%2F", "/v2?a=1&b=%2F"),
        ("/API/A%20b/c?q", "/v2/A%20b/c?q"),
        ("/apis", "/apis"),
        ("/%61pi/x", "/v2/x"),
        ("/api%2Fx", "/v2/x"),
        ("/api;v=1/x;y", "/v2/x"),
        ("//api//x", "/v2/x"),
        ("/api./x", "/v2/x"),
        ("/api/a%2Fb;v=1//c", "/v2/a%2Fb;v=1//c"),
        ("/api//evil.test", "/v2/evil.test"),
        ("/api\\x", "/v2/x"),
        ("/api/100%25", "/v2/100%25"),
        ("/api/%2525[ab]%7b", "/v2/%2525[ab]%7b"),
        ("/api/login", "/sign%20in"),
        ("/api%2flogin/x", "/sign%20in/x"),
        ("/strip", "/"),
        ("/strip/", "/"),
        ("/strip/a/b?c", "/a/b?c"),
        ("/strip//evil.test/x", "/evil.test/x"),
        ("/strip%2f%2fevil.test", "/evil.test"),
        ("/strip/\\evil.test", "/evil.test"),
        ("/caf%C3%A9/menu/1", "/m/1"),
        ("/CAFE%CC%81/menu", "/m"),
        ("/one?x=1", "/only%25me?x=1"),
        ("//one", "/only%25me"),
        ("/one/x", "/one/x"),
    ],
)
def test_servers_get_another_path(channel: Stack, target: str, sent: str) -> None:
    answer = channel.get("site.test", target)

    assert (answer.status, answer.seen["target"]) == (200, sent)


@pytest.mark.parametrize("target", ["/api/../x", "/api/%2e%2e/x", "/api/..;/x", "/strip/..%2f..", "/api/x%00"])
def test_no_step_leaves_the_path_that_servers_get(channel: Stack, target: str) -> None:
    assert channel.get("site.test", target).status == 400


def test_a_virtual_hosts_path_is_put_in_front(channel: Stack) -> None:
    targets = {"/": "/app%20x/", "/a?b=/c": "/app%20x/a?b=/c", "/%61//b": "/app%20x/%61//b", "/away/x": "/elsewhere/x"}

    assert {target: channel.get("front.test", target).seen["target"] for target in targets} == targets
    assert [channel.get("front.test", step).status for step in ("/../x", "/a/%2e%2e/x")] == [400, 400]
    assert channel.get("plain.test", "/a//./b").seen["target"] == "/a//./b"


def test_what_is_asked_of_the_server_itself_has_no_path(stack: Stack) -> None:
    assert stack.request("OPTIONS", "bare.test", "*").seen["target"] == "*"


def test_the_waf_inspects_the_path_that_was_sent(channel: Stack) -> None:
    attack = "/?q=1%27%20OR%20%271%27%3D%271"

    assert [channel.get("site.test", path + attack).status for path in ("/api", "/strip", "/seen", "/")] == [
        403,
        403,
        200,
        403,
    ]


def test_other_servers_answer_on_the_path_alone(channel: Stack, server: Origin, other: Origin) -> None:
    spellings = ["/other", "/other/x", "/%6fther/x", "//OTHER;a/y", "/other%2fz"]
    before, there = len(server.begun), len(other.begun)

    assert {channel.get("site.test", target).seen["target"] for target in spellings} == set(spellings)
    assert (len(server.begun) - before, len(other.begun) - there) == (0, len(spellings))
    channel.get("site.test", "/others")
    assert len(server.begun) - before == 1


def test_host_and_security_headers_are_the_paths(channel: Stack) -> None:
    api, rest = channel.get("site.test", "/api/x"), channel.get("site.test", "/x")

    assert [answer.seen_headers["host"] for answer in (api, rest)] == ["api.internal", "site.test"]
    assert ["x-content-type-options" in answer.headers for answer in (api, rest)] == [True, False]


def test_header_rules_of_a_path_come_after_the_virtual_hosts(channel: Stack) -> None:
    sent = {"cookie": "a=b", "x-for": "visitor"}
    named, spelled, rest = (channel.get("site.test", path, sent) for path in ("/named/x", "/n%61med", "/names"))

    assert (rest.headers["x-site"], rest.headers["x-of"]) == ("site", "site")
    assert (rest.seen_headers["x-for"], rest.seen_headers["cookie"]) == ("site", "a=b")
    for answer in (named, spelled):
        assert (answer.headers["x-site"], answer.headers["x-of"]) == ("path 100%", "path site.test")
        assert (answer.seen_headers["x-for"], "cookie" in answer.seen_headers) == ("path", False)


def test_a_path_has_its_own_server_timeout(channel: Stack, server: Origin) -> None:
    until = threading.Event()
    server.answers["/slow/x"] = [until, CSS]

    assert channel.get("site.test", "/slow/x").status == 504
    until.set()


def test_a_path_has_its_own_cors_and_compression(channel: Stack, server: Origin) -> None:
    server.answers |= {path: [CSS] for path in ("/css/x", "/css/plain/x", "/rest.css")}

    def headers(target: str) -> set[str]:
        answer = channel.get("site.test", target, {"accept-encoding": "gzip", "origin": "https://app.test"})
        return set(TOUCHED) & set(answer.headers)

    assert headers("/open/x") == {"access-control-allow-origin"}
    assert headers("/css/x") == {"content-encoding"}
    assert headers("/css/plain/x") == headers("/rest.css") == set()


async def served(running: Installation, target: str) -> int:
    headers = {"host": "shop.example", "user-agent": "Mozilla/5.0", "accept": "*/*"}
    return (await http.ask(running.settings.http_binds[0], "GET", target, headers=headers, timeout=DEADLINE)).status


@pytest.mark.anyio
async def test_a_paths_servers_are_as_up_as_the_virtual_hosts(haproxy: str, server: Origin, other: Origin) -> None:
    """One is down, and stays so for the path: when it is bound, when its server is drained, after a reload and a restart."""
    ada = SaveRequest("ada@example.org")
    # A check takes longer than its second by chance, on a machine that stalls: the first stays up then.
    servers: list[dict[str, object]] = [
        {"address": server.address, "health_check_fall": 100}, {"address": f"127.0.0.1:{free_port()}"},
    ]  # fmt: skip
    checked = {"policy_id": None, "health_check_interval": 1, "health_check_fall": 1, "retries": 0}
    async with installation_of(haproxy) as running:

        async def saved(**first: object) -> None:
            fields = a_virtual_host(0, servers=[servers[0] | first, servers[1]], **checked)
            assert (await virtual_hosts.update(running.changes, ada, 1, fields)).is_new

        async def states(section: str) -> list[str]:
            return [server.state for server in await running.engines.servers_of(section)]

        fields = a_virtual_host(0, servers=servers, **checked)
        await virtual_hosts.create(running.changes, ada, fields)
        await until(lambda: is_down(running, "be_1", 1), "one to be down")
        bound = PathBindingFields(path="/api", server_path="/v2")
        await path_bindings.ROWS.under(1).create(running.changes, ada, bound)
        for again in (running.engines.reload_again, None):
            assert await states("be_1.1") == ["UP", "DOWN"]
            assert {await served(running, "/api/x") for _ in range(6)} == {200}
            if again:
                await again()
        assert await running.look() == []
        first, _ = await running.engines.servers_of("be_1.1")
        assert first.load is not None
        assert (first.load.requests >= 6, first.load.bytes_from > 0, first.load.connections, first.load.weight) == (
            True,
            True,
            0,
            100,
        )
        assert [(server.load and server.load.requests) for server in await running.engines.servers_of("be_1")] == [0, 0]
        _, second = await running.engines.servers_of("be_1")
        assert second.load is not None
        assert second.load.seconds_down >= 0

        workers = (await running.engines.cli.processes()).workers
        await saved(draining=True)
        assert (await running.engines.cli.processes()).workers == workers
        for restarts in (True, False):
            assert await served(running, "/api/x") == 503
            assert await running.look() == []
            if restarts:
                await restart(running)
        await saved(enabled=False)
        await restart(running)
        assert (await states("be_1.1"))[0] == "MAINT"
        await saved()
        assert (await states("be_1.1"), await served(running, "/api/x")) == (["UP", "DOWN"], 200)

        await _a_paths_own_servers(running, server, other)


async def _a_paths_own_servers(running: Installation, server: Origin, other: Origin) -> None:
    """Taken out and back without a reload, and so after a reload and a restart."""
    ada, first, second = SaveRequest("ada@example.org"), f"http://{other.address}", f"http://{server.address}"
    own = PathBindingFields(path="/own", own_servers=[first, f"{second} draining"])
    await path_bindings.ROWS.under(1).create(running.changes, ada, own)

    def visits(origin: Origin) -> int:
        """Checks come as well, each second."""
        return origin.received.count("GET /own HTTP/1.1")

    async def at_which() -> list[int]:
        before = visits(other), visits(server)
        assert {await served(running, "/own") for _ in range(4)} == {200}
        return [visits(origin) - count for origin, count in zip((other, server), before, strict=True)]

    async def choose(url: str, state: State) -> None:
        await server_states.choose_of_path(running.changes, ada, 1, 2, url, state)

    assert await at_which() == [4, 0]
    workers = (await running.engines.cli.processes()).workers
    await choose(second, State.READY)
    await choose(first, State.DISABLED)
    assert (await running.engines.cli.processes()).workers == workers
    for again in (running.engines.reload_again, lambda: restart(running), None):
        assert await at_which() == [0, 4]
        assert (await running.engines.servers_of("be_1.2"))[0].state == "MAINT"
        assert await running.look() == []
        if again:
            await again()

    await running.engines.cli._ask("@1 set server be_1.2/p2 state maint")
    running.engines.answers.forget()
    [words] = await running.look()
    assert words.startswith(f"{second} of ") and "/own/…, was set to MAINT" in words


async def restart(running: Installation) -> None:
    """HAProxy alone."""
    master = running.supervisor.haproxy.pid
    os.kill(master or 0, signal.SIGKILL)
    await until(lambda: restarted(running, master), "HAProxy is started again")
    await running.engines.must_answer(60)
    running.engines.answers.forget()
    await until(lambda: is_down(running, "be_1", 1), "the second server to be down")


async def is_down(running: Installation, section: str, at: int) -> bool:
    servers = await running.engines.servers_of(section)
    return len(servers) > at and servers[at].state == "DOWN"
