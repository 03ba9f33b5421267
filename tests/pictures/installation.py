"""A real installation with something of everything, as an operator has it after some weeks."""

import json
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2

from guardpanel.events import schema
from guardpanel.events.traffic import FINE
from guardpanel.ingest import agent_line, busiest, proxy_line
from guardpanel.ingest.store import Store
from guardpanel.ingest.traffic import LOGGED, Counts
from guardpanel.ingest.traffic import store as store_counts
from tests.certificates.test_client_cas import lists, whole
from tests.events import BY_SCORE, a_log_line, a_passed_line, a_request_id_of, a_rule, an_event, as_line
from tests.panel import Panel
from tests.web import Person, a_host

POLICIES: list[dict[str, Any]] = [
    {
        "name": "Shop",
        "description": "Checkout and catalog. Asked for by the shop team.",
        "enforcement_mode": "block",
        "detection_paranoia_level": 2,
        "ddos_protection_enabled": True,
        "auto_ban_enabled": True,
        "record_one_in": 1,
        "masked_fields": ["password", "card_number"],
    },
    {
        "name": "Uploads",
        "enforcement_mode": "block",
        "body_limit_kib": 1024,
        "over_limit": "inspect_beginning",
        "response_inspection": True,
    },
    {"name": "Legacy applications that nobody dares to touch", "enforcement_mode": "detect_only", "fail_mode": "open"},
    {"name": "Static files", "enforcement_mode": "off"},
    {"name": "Before the migration", "enforcement_mode": "block"},
]

LONG = "a-very-long-name-of-a-customer-that-nobody-shortened.tenants.platform.example"

HOSTS: list[dict[str, Any]] = [
    {
        "hostnames": ["shop.example", "www.shop.example", "checkout.shop.example"],
        "servers": 3,
        "policy": 2,
    },
    {"hostnames": ["blog.example"], "servers": 1, "policy": 1, "description": "Moves to the new CMS in spring."},
    {"hostnames": ["wiki.example"], "servers": 1, "policy": 1, "enforcement_mode": "block", "maintenance": True},
    {"hostnames": ["bücher.example", "buecher.example"], "servers": 2, "policy": 2, "balance": "leastconn"},
    {"hostnames": ["*.tenants.example"], "servers": 1, "policy": 3},
    {"hostnames": [LONG], "servers": 1, "policy": 4},
    {"hostnames": ["legacy.example"], "servers": 0, "policy": 4, "down": True},
    {"hostnames": ["old.example"], "servers": 1, "policy": 1, "is_active": False},
    {"hostnames": ["empty.example"], "servers": 1, "policy": 1, "out": True},
    {"hostnames": ["static.example", *(f"cdn{n}.static.example" for n in range(1, 9))], "servers": 1, "policy": 5},
    {
        "hostnames": ["api.example"],
        "servers": 2,
        "policy": 3,
        "compression": True,
        "security_headers": "unless_set",
        "managed_by_file": "site.yaml",
    },
]

CHILDREN: list[tuple[str, dict[str, Any]]] = [
    ("/vhosts/1/policy-bindings", {"path": "/blog", "redirect": "301", "redirect_to": "https://blog.example/archive"}),
    ("/vhosts/1/policy-bindings", {
        "path": "/admin", "policy_id": 3, "enforcement_mode": "block", "notes": "Staff only", "own_headers": [
            {"header": "Cache-Control", "value": "no-store, private"}, {"direction": "request", "action": "remove", "header": "X-Debug"}]}),
    ("/vhosts/1/policy-bindings", {"path_match": "exact", "path": "/upload/very/long/path/to/an/old/endpoint.php", "policy_id": 3}),
    ("/vhosts/1/header-rules", {"header": "X-Robots-Tag", "value": "noindex, nofollow"}),
    ("/vhosts/1/header-rules", {"direction": "request", "header": "X-Request-Start", "action": "remove"}),
    ("/vhosts/1/header-rules", {
        "header": "Content-Security-Policy",
        "value": "default-src 'self'; img-src 'self' https://images.shop.example data:; frame-ancestors 'none'"}),
    ("/vhosts/1/logins", {"name": "ada", "password": "correct horse battery", "notes": "Until the intranet has its own"}),
    ("/error-pages", {
        "name": "Shop", "is_default": True, "site_name": "Example Shop", "accent": "#00796b", "contact": "help@shop.example",
        "text": "Our support is there from 9 to 17 h, Monday to Friday."}),
    ("/policies/2/exclusions", {
        "rules": ["941100", "941160"], "target": "argument", "target_name": "content", "path": "/admin/posts",
        "reason": "Editors paste markup", "owner": "vera@example.org", "ends_on": "2027-03-31"}),
    ("/policies/2/exclusions", {"rules": ["942100", "942140", "942270"], "target": "json", "target_name": "items.*.text", "path_match": "any"}),
    ("/policies/2/exclusions", {"rules": ["920420"], "target": "request", "path_match": "below", "path": "/api", "enabled": False}),
    ("/policies/2/rules", {"rule": "942200", "action": "disable", "reason": "False positives with names", "owner": "ada@example.org"}),
    ("/policies/2/rules", {"rule": "920350", "action": "disable"}),
    ("/policies/2/custom-rules", {"seclang": "SecRule ARGS:q \"@rx ^x\" \"id:9000001,phase:2,deny,status:403,log,msg:'Old login page'\""}),
    ("/policies/2/custom-rules", {
        "rule_id": 9000002, "name": "Scanner by its user agent", "phase": "request_headers", "variables": "REQUEST_HEADERS:User-Agent",
        "operator": "pm", "operator_argument": "nikto sqlmap masscan", "action": "score", "points": 5}),
    ("/policies/2/body-readings", {"path": "/api/webhook", "content_types": ["text/plain"], "read_as": "json", "reason": "Sent so"}),
    ("/vhosts/2/profiles", {"profile": "wordpress", "path": "/"}),
    ("/address-lists", {
        "name": "Scanners", "kind": "deny", "applies_to": "everywhere", "notes": "From the abuse desk",
        "entries": "203.0.113.0/24 # all of them\n198.51.100.7 until 2096-10-02\n2001:db8:bad::/48"}),
    ("/address-lists", {"name": "Office", "kind": "allow", "applies_to": "everywhere", "entries": "192.0.2.0/28"}),
    ("/address-lists", {
        "name": "Drop list of the hosting provider", "kind": "deny", "applies_to": "everywhere", "filled_from": "url",
        "feed_url": "file://{folder}/feed.txt", "feed_every": "1d"}),
    ("/address-lists", {
        "name": "Feed that is gone", "kind": "deny", "applies_to": "everywhere", "filled_from": "url",
        "feed_url": "file://{folder}/gone.txt", "feed_every": "1h"}),
    ("/address-lists", {
        "name": "CrowdSec", "kind": "deny", "applies_to": "everywhere", "filled_from": "crowdsec",
        "feed_url": "http://127.0.0.1:1/", "feed_key": "837be58e22a28738066de1be8f53636b"}),
    ("/bans", {"network": "203.0.113.9", "length": "forever", "reason": "Scans"}),
    ("/bans", {"network": "2001:db8:85a3::8a2e:370:7334", "length": "7d", "reason": "Password guessing on /login, reported by support"}),
    ("/certificates", {"name": "Shop", "source": "self_signed", "key_type": "ecdsa", "names": ["shop.example", "www.shop.example"]}),
    ("/certificates", {"name": "Tenants", "source": "local_ca", "key_type": "ecdsa", "names": ["*.tenants.example"]}),
    ("/certificates", {
        "name": "Ordered", "source": "acme", "key_type": "ecdsa", "names": ["nowhere.invalid"], "authority": "https://127.0.0.1:1/"}),
    (
        "/client-cas",
        {
            "name": "Staff",
            "certificates": whole(),
            "revocation_lists": lists(),
            "revocation_list_urls": ["file:///srv/pki/all.crl"],
        },
    ),
]  # fmt: skip

SHAPES = [
    ("/products", "id=1%27%20OR%20%271%27=%271", 942100, "SQL Injection Attack Detected via libinjection", "ARGS", "id", "1' or '1'='1"),
    ("/search", "q=%3Cscript%3Ealert(1)%3C/script%3E", 941100, "XSS Attack Detected via libinjection", "ARGS", "q",
     "<script>alert(1)</script>"),
    ("/download.php", "file=../../../../etc/passwd", 930120, "OS File Access Attempt", "ARGS", "file", "../../../../etc/passwd"),
    ("/wp-login.php", "", 913100, "Found User-Agent associated with security scanner", "REQUEST_HEADERS", "User-Agent", "sqlmap/1.8"),
    ("/admin/posts", "", 941160, "NoScript XSS InjectionChecker: HTML Injection", "ARGS", "content", "<p>Autumn sale</p>"),
    ("/cgi-bin/test.cgi", "cmd=cat%20/etc/shadow", 932160, "Remote Command Execution: Unix Shell Code Found", "ARGS", "cmd",
     "cat /etc/shadow"),
]  # fmt: skip
CLIENTS = [
    "203.0.113.41",
    "198.51.100.23",
    "198.51.100.200",
    "192.0.2.77",
    "2001:db8:85a3::8a2e:370:7334",
    "203.0.113.9",
]


class Setting:
    """Fills a panel over its JSON API."""

    def __init__(self, panel: Panel, api: httpx2.Client, ada: Person, origin: int) -> None:
        self.panel, self.api, self.ada, self.origin = panel, api, ada, origin

    def add(self, path: str, fields: dict[str, Any]) -> None:
        fields = json.loads(json.dumps(fields).replace("{folder}", str(self.panel.data.parent)))
        answer = self.api.post(path, json=fields)
        assert answer.status_code in {200, 201, 202}, (path, fields, answer.text)

    def change(self, path: str, fields: dict[str, Any]) -> None:
        answer = self.api.patch(path, json=fields)
        assert answer.status_code == 200, answer.text

    def fill(self) -> None:
        networks = {"client_ip_source": "x_forwarded_for", "trusted_networks": ["127.0.0.0/8"]}
        self.change("/traffic", networks)
        for fields in POLICIES:
            self.add("/policies", fields)
        for fields in HOSTS:
            if fields.get("out"):
                self.add_without_server(fields["hostnames"][0])
            else:
                self.add("/vhosts", self.host(dict(fields)))
        for path, fields in CHILDREN:
            self.add(path, fields)
        for vhost, certificate in ((1, 1), (5, 2)):
            https = {"ssl_enabled": True, "certificate_id": certificate, "hsts_seconds": 31536000, "save_anyway": True}
            self.change(f"/vhosts/{vhost}", https)
        self.api.patch("/vhosts/2", json={"servers": [{"address": "nowhere.invalid:80"}]})  # is refused

    def add_without_server(self, hostname: str) -> None:
        """As only the form can: its server is taken out, and that was asked about."""
        fields = a_host(self.origin, hostnames=hostname, save_anyway="on")
        del fields["servers.0.enabled"]
        answer = self.ada.post("/virtual-hosts", fields)
        assert answer.status == 200, answer.text

    def host(self, fields: dict[str, Any]) -> dict[str, Any]:
        count, down = fields.pop("servers"), fields.pop("down", False)
        servers: list[dict[str, Any]] = [{"address": f"127.0.0.1:{self.origin}"} for _ in range(count)]
        for at, server in enumerate(servers[1:], 1):
            server |= {"address": f"localhost:{self.origin}", "weight": 50, **({"backup": True} if at == 2 else {})}
        if down:
            servers = [{"address": "127.0.0.1:1"}, {"address": "127.0.0.1:2"}]
            fields |= {"health_check_interval": 1}
        policy = fields.pop("policy")
        return {**fields, "policy_id": policy, "servers": servers}


def visit(panel: Panel, chance: random.Random) -> None:
    """Visitors of the last minutes, of whom some attack."""
    with httpx2.Client(base_url=panel.proxy, timeout=60) as client:
        for number in range(60):
            path, query, *_ = chance.choice(SHAPES) if number % 3 == 0 else (f"/products/{number}", "page=2")
            host = chance.choice(
                ["shop.example", "shop.example", "blog.example", "api.example", "legacy.example", "unknown.example"]
            )
            headers = {"host": host, "x-forwarded-for": chance.choice(CLIENTS), "user-agent": "Mozilla/5.0"}
            client.get(f"{path}?{query}", headers=headers)
        for text in (
            "<p>Autumn sale</p><script>x()</script>",
            "<img src=x onerror=alert(1)>",
            "<b>Hi</b> <a href=javascript:x>y</a>",
        ):
            for _ in range(3):
                headers = {"host": "shop.example", "x-forwarded-for": "192.0.2.77", "user-agent": "Mozilla/5.0"}
                client.post("/admin/posts", data={"title": "News", "content": text}, headers=headers)


def fill_past(path: Path, chance: random.Random) -> None:
    """Events and counted requests of the last week."""
    now, began = datetime.now(UTC), datetime.now(UTC) - timedelta(days=6)
    connection = schema.open_to_write(path)
    made = list(_events(began, now, chance))
    connection.execute("BEGIN IMMEDIATE")
    read = [line for _, entry in made if (line := proxy_line.read(as_line(entry)))]
    Store(connection).add([agent_line.read(as_line(event), "") for event, _ in made], read)
    counts = Counts()
    for visit in _visits(now, chance):
        counts.add(LOGGED.decode(visit))
    store_counts(connection, counts.rows)
    busiest.store(connection, counts.groups)
    connection.execute("COMMIT")
    connection.close()


def _events(began: datetime, now: datetime, chance: random.Random) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for at in range(240):
        moment = began + (now - timedelta(minutes=30) - began) * (at / 240)
        path, query, rule, message, variable, key, value = SHAPES[int(len(SHAPES) * chance.random() ** 1.5)]
        blocked, host = (
            chance.random() < 0.7,
            chance.choice([("shop.example", 1, 2), ("blog.example", 2, 1), ("api.example", 11, 3)]),
        )
        fired = a_rule(rule, message=message, data=f"Matched Data: {value} found within {variable}:{key}: {value}",
                       matches=[{"variable": variable, "key": key, "value": value, "bytes": len(value)}])  # fmt: skip
        event = an_event(
            time=moment.isoformat(timespec="microseconds").replace("+00:00", "Z"), id=a_request_id_of(moment, chance.getrandbits(74)),
            client=chance.choice(CLIENTS), method=chance.choice(["GET", "POST"]), host=host[0], uri=f"{path}?{query}",
            rules=[fired, BY_SCORE], verdict="blocked" if blocked else "detected",
        )  # fmt: skip
        odd = chance.choice(["", "", "", "", "", "", "", "", "unjudged", "over_limit"])
        yield event, a_log_line(event, virtual_host=str(host[1]), policy=str(host[2]), status=403 if blocked else 200,
                                verdict=odd or ("blocked" if blocked else "-"))  # fmt: skip


def _visits(now: datetime, chance: random.Random) -> Iterator[bytes]:
    """Lines of HAProxy's log: a day with a night in it."""
    for step in range(288):
        moment = now - timedelta(seconds=FINE.seconds * (step + 1))
        busy = 1 if moment.hour < 6 else 4
        for _ in range(chance.randint(busy, 5 * busy)):
            host = chance.choice(["1", "1", "2", "11"])
            event = an_event(time=moment.isoformat(timespec="microseconds").replace("+00:00", "Z"))
            line = a_passed_line(event, virtual_host=host, status=chance.choice([200] * 20 + [304] * 5 + [404] * 2 + [502]),
                                 bytes=chance.randint(500, 90_000), server_milliseconds=int(3 + 300 * chance.random() ** 4))  # fmt: skip
            yield json.dumps(line, separators=(",", ":")).encode()


def wait_for_events(api: httpx2.Client) -> list[dict[str, Any]]:
    """The newest events, once the ingest has read those of now."""
    for _ in range(300):
        items: list[dict[str, Any]] = api.get("/logs", params={"path": "/admin/posts"}).json()["items"]
        if items:
            return items
        time.sleep(1)
    return []
