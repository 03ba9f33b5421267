"""A virtual host with one of everything besides the WAF that decides about its visitors, and what each of them gets by it."""

import base64
import socket
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import httpx2

from tests.live.wire import head
from tests.mmdb import database
from tests.panel import Panel
from tests.web import bearer

HOST, FEED = "guards.example", "guards.txt"
NEIGHBOR, LISTED, FED, BANNED, FOREIGN, OFFICE = (f"127.9{at}.0.1" for at in range(6))
"Clients. Of this machine's addresses, only 127.0.0.1 is never banned."

PASSWORD = "correct horse"
ATTACK = "/?q=1%27%20OR%20%271%27%3D%271"
MOST = 3
"Requests of a client to the limited path."


class Guard(NamedTuple):
    what: str
    status: int
    has: str
    "In the response, in lower case."
    target: str = "/"
    client: str = NEIGHBOR
    login: str = ""


GUARDS = [
    Guard("header rule", 200, "\r\nx-guarded: yes\r\n"),
    Guard("deny list", 403, "", client=LISTED),
    Guard("allow-only list", 403, "", "/%6fffice/x"),
    Guard("allow-only list", 200, "hello from", "/office/x", client=OFFICE),
    Guard("feed", 403, "", client=FED),
    Guard("ban", 403, "", client=BANNED),
    Guard("country", 403, "", client=FOREIGN),
    Guard("error page", 403, "guarded shop", ATTACK),
    Guard("path", 200, "hello from", f"/unguarded{ATTACK}"),
    Guard("redirect", 308, "\r\nlocation: /new/a?b=c\r\n", "/old/a?b=c"),
    Guard("login", 401, "\r\nwww-authenticate: basic", "/private"),
    Guard("login", 401, "", "/private", login="ada:wrong"),
    Guard("login", 200, "hello from", "/private", login=f"ada:{PASSWORD}"),
]


class Guarded:
    def __init__(self, panel: Panel, origin_port: int, feeds: Path) -> None:
        """`feeds`: the folder below which the panel reads feeds (GUARDPANEL_FEED_FILES)."""
        self.panel = panel
        self.rounds = 0
        with bearer(panel) as api:
            self._everywhere(api, feeds)
            page = _made(api, "/error-pages", {"name": "Guards", "site_name": "Guarded Shop"})
            off = {"enforcement_mode": "block", "country_mode": "reject", "countries": ["FR"]}
            policy = _made(api, "/policies", {"name": "Guards", **off})
            limits = {"ddos_protection_enabled": True, "rate_limit_requests": MOST, "rate_limit_window_seconds": 3600}
            few = _made(api, "/policies", {"name": "Few", "enforcement_mode": "block", **limits})
            servers = [{"address": f"127.0.0.1:{origin_port}"}]
            fields = {"hostnames": [HOST], "policy_id": policy, "error_page_id": page, "servers": servers}
            number = _made(api, "/vhosts", fields)
            host, here = f"/vhosts/{number}", {"applies_to": "virtual_hosts", "virtual_host_ids": [number]}
            alone = {"name": "Guards alone", "kind": "only", "paths": ["/office"], "entries": OFFICE}
            _made(api, "/address-lists", {**alone, **here, "save_anyway": True})
            _made(api, f"{host}/header-rules", {"header": "X-Guarded", "value": "yes"})
            _made(api, f"{host}/logins", {"name": "ada", "password": PASSWORD})
            for path in (
                {"path": "/unguarded", "enforcement_mode": "off", "save_anyway": True},
                {"path": "/old", "redirect": "308", "redirect_to": "/new"},
                {"path": "/private", "requires_login": True},
                {"path": "/few", "policy_id": few},
            ):
                _made(api, f"{host}/policy-bindings", path)

    def _everywhere(self, api: httpx2.Client, feeds: Path) -> None:
        """What is no row of the virtual host's: lists, a ban, and data of countries."""
        _made(api, "/address-lists", {"name": "Guards by hand", "entries": LISTED})
        source = feeds / FEED
        source.write_text(f"{FED}\n")
        fed = {"name": "Guards by feed", "filled_from": "url", "feed_url": f"file://{source}"}
        place = f"/address-lists/{_made(api, '/address-lists', fed)}/feed"
        _done(api.post(f"{place}/download"))
        _done(api.post(f"{place}/accept"))
        assert _done(api.post("/bans", json={"network": BANNED, "length": "1d"}))["is_live"]
        countries = database(feeds / "guards.mmdb", {f"{FOREIGN}/32": "FR", f"{NEIGHBOR}/32": "DE"})
        _done(api.put("/geo-data/country/file", content=countries.read_bytes()))

    def wrong(self) -> list[tuple[str, int, str]]:
        """What does not hold, with what its visitor got. Each round has a client of its own use up the limit."""
        self.rounds += 1
        visitor = f"127.99.0.{self.rounds}"
        limit = [Guard("limit", 200 if at < MOST else 429, "", "/few", visitor) for at in range(MOST + 1)]
        answers = [(guard, self._answer(guard)) for guard in (*GUARDS, *limit)]
        return [
            (guard.what, _status(answer), answer[:400])
            for guard, answer in answers
            if _status(answer) != guard.status or guard.has not in answer
        ]

    def _answer(self, guard: Guard) -> str:
        """In lower case."""
        headers = {"user-agent": "Mozilla/5.0", "accept": "*/*", "connection": "close"}
        if guard.login:
            headers["authorization"] = f"Basic {base64.b64encode(guard.login.encode()).decode()}"
        place = ("127.0.0.1", self.panel.proxy_port)
        with closing(socket.create_connection(place, 60, source_address=(guard.client, 0))) as connection:
            connection.sendall(head("GET", HOST, guard.target, headers))
            return connection.makefile("rb").read().decode("latin-1").lower()


def _made(api: httpx2.Client, path: str, body: dict[str, Any]) -> int:
    return int(_done(api.post(path, json=body))["id"])


def _done(answer: httpx2.Response) -> dict[str, Any]:
    assert answer.status_code in {200, 201}, answer.text
    done: dict[str, Any] = answer.json()
    return done


def _status(answer: str) -> int:
    return int(answer.split(" ", 2)[1])
