"""Every call of the React panel, in its order, on a fresh instance: what it sends, the status, the shape of the answer and what it
says. Each function is one of its pages. `react_panel.py` is the panel itself, with its habits."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest
from fastapi import FastAPI
from sqlmodel import update

from guardpanel.access.geo_files import GeoKind
from guardpanel.models import AccessToken
from guardpanel.panel import Panel
from tests.api.react_panel import (
    BAN,
    LOG,
    ME,
    OVERRIDES,
    POLICY,
    POLICY_PAGE,
    RUNTIME,
    VHOST,
    VHOST_PAGE,
    ReactPanel,
    SignedOut,
    paged,
)
from tests.certificates.made import full_chain, leaf
from tests.conftest import ADA, PASSWORD, VERA, someone
from tests.events import a_log_line, a_rule, an_event, store
from tests.factories import a_react_policy, a_vhost
from tests.fakes import FakeEngines
from tests.mmdb import database
from tests.rule_set import rule_set
from tests.views.test_geo import DATA, take_over

pytestmark = pytest.mark.anyio


class Stage(NamedTuple):
    react: ReactPanel
    panel: Panel
    engines: FakeEngines
    app: FastAPI
    folder: Path


ALL, FIFTY = {"page": 1, "per_page": 500}, {"page": 1, "per_page": 50}


async def every_page(react: ReactPanel) -> dict[str, Any]:
    """The navigation bar asks at each opening, and after each change."""
    status: dict[str, Any] = await react.get("/runtime/status", RUNTIME)
    return status


def backend(port: int, **others: Any) -> dict[str, Any]:
    return {**a_vhost()["backends"][0], "url": f"http://127.0.0.1:{port}", **others}


async def sign_in_page(stage: Stage) -> None:
    react = stage.react
    with pytest.raises(SignedOut):
        await react.reload()
    assert await react.refused("POST", "/auth/login", 401, {"email": ADA, "password": "wrong"})
    assert "password" in await react.refused("POST", "/auth/login", 422, {"email": ADA})
    await react.sign_in(ADA, PASSWORD)
    assert (await react.get("/auth/me", ME))["role"] == "admin"


async def dashboard(stage: Stage) -> None:
    react = stage.react
    status = await every_page(react)
    assert await react.get("/runtime/status", RUNTIME) == status
    assert status["deployment_state"] == "deployed"
    assert status["latest_reload"]["config_checksum"] == status["generated_config"]["checksum"]
    none = {"items": [], "total": 0, "page": 1, "per_page": 500, "next_cursor": None}
    assert await react.get("/vhosts", paged(VHOST), **ALL) == none
    assert (await react.get("/policies", paged(POLICY), **ALL))["total"] == 1
    for filters in ({"action": "deny"}, {"severity": "critical"}):
        assert (await react.get("/logs", paged(LOG), page_size=1, **filters))["total"] == 0
    assert (await react.get("/security/banned-ips", {"items": [BAN]}))["items"] == []


async def policies_page(stage: Stage) -> None:
    react = stage.react
    numbers = {"rate_limit_requests": 7, "rate_limit_window_seconds": 30, "max_connections_per_ip": 3, "ban_threshold": 4,
               "ban_duration_seconds": 86_400}  # fmt: skip
    await react.get("/policies", paged(POLICY), **FIFTY)
    await react.get("/vhosts", paged(VHOST), **ALL)
    await react.post("/policies", a_react_policy("Strict", **numbers))
    await every_page(react)
    for double in ("Strict", "strict"):
        said = await react.refused("POST", "/policies", 409, a_react_policy(double))
        assert said == "name: A policy named Strict already exists."
    assert "paranoia_level" in await react.refused("POST", "/policies", 422, a_react_policy("X", paranoia_level=5))
    assert "geoip_mode" in await react.refused("POST", "/policies", 422, a_react_policy("X", geoip_mode="blocklist"))

    (item,) = (await react.get("/policies", paged(POLICY), **FIFTY, q="stri"))["items"]
    assert {name: item[name] for name in numbers} == numbers, "kept while their switches are off"
    form = {name: item[name] for name in (*a_react_policy(), "is_active")}
    limited = {**form, "ddos_protection_enabled": True, "auto_ban_enabled": True, "paranoia_level": 2,
               "geoip_mode": "allowlist", "geoip_countries": ["DE", "PL"]}  # fmt: skip
    assert (await react.refused("PATCH", "/policies/2", 422, limited)).startswith("geoip_mode: guardpanel has no data")
    await take_over(stage.panel, GeoKind.COUNTRY, database(stage.folder / "country.mmdb", DATA))
    saved = await react.patch("/policies/2", limited)
    assert {name: saved[name] for name in limited} == limited
    assert saved["detection_paranoia_level"] == 2, "it knows one level only"
    assert "name" in await react.refused("PATCH", "/policies/2", 409, {**limited, "name": "default"})
    assert await react.refused("PATCH", "/policies/9", 404, limited)
    await react.patch("/policies/2", {**form, "is_active": False})
    assert (await react.get("/policies/2", POLICY_PAGE))["is_active"] is False
    await react.patch("/policies/2", {**form, "is_active": True})
    assert await react.post("/policies", a_react_policy("Gone"))
    assert await react.delete("/policies/3") is None
    assert await react.refused("DELETE", "/policies/3", 404)


async def vhosts_page(stage: Stage) -> None:
    react = stage.react
    for path, shape, pages in (("/vhosts", paged(VHOST), FIFTY), ("/policies", paged(POLICY), ALL)):
        await react.get(path, shape, **pages)
    await bad_hosts(react)
    unlike = [
        backend(3000, health_check_path="/up", health_check_interval_seconds=7),
        backend(3001, health_check_path="/up", health_check_rise=5, health_check_fall=1),
        backend(3002, is_active=False, health_check_path="/else"),
        backend(3003, health_check_enabled=False, health_check_path="/other"),
    ]
    await react.post("/vhosts", a_vhost(backends=unlike))
    await every_page(react)
    (item,) = (await react.get("/vhosts", paged(VHOST), **FIFTY, q="SHOP"))["items"]
    for sent, read in zip(unlike, item["backends"], strict=True):
        assert {name: read[name] for name in sent} == {**sent, "health_check_path": "/up"}
    assert (item["policy_id"], item["backend_url"], item["ssl_provider"]) == (1, "http://127.0.0.1:3000", "none")

    said = await react.refused("POST", "/vhosts", 409, a_vhost("SHOP.example"))
    assert said == "domain: A virtual host for shop.example already exists."
    await react.post("/vhosts", a_vhost("blog.example"))
    assert "shop.example" in await react.refused("PATCH", "/vhosts/2", 409, a_vhost("shop.example"))
    assert await react.refused("PATCH", "/vhosts/9", 404, a_vhost())
    assert (await react.get("/vhosts", paged(VHOST), page=2, per_page=1))["total"] == 2
    assert await react.delete("/vhosts/2") is None
    assert await react.refused("DELETE", "/vhosts/2", 404)


async def bad_hosts(react: ReactPanel) -> None:
    """Refused, in words that make sense in its own form, and nothing is saved."""
    for body, words in (
        (a_vhost("shop .example"), "domain: shop .example is not a hostname: a space is not allowed."),
        (a_vhost(backends=[backend(0)]), "backend 1 url: "),
        (a_vhost(backends=[backend(3000), backend(3001, url="http://a b")]), "backend 2 url: "),
        (a_vhost(backends=[backend(3000), backend(3001, health_check_rise=0)]), "backend 2 health_check_rise: "),
        (
            a_vhost(backends=[backend(3000), backend(3001, health_check_path="/b")]),
            "Backends that are checked share one path (health_check_path).",
        ),
        (a_vhost(backends=[backend(3000, is_active=False)]), "An active virtual host needs an active backend."),
    ):
        said = await react.refused("POST", "/vhosts", 422, body)
        assert said.startswith(words)
        assert "fields below" not in said
    assert (await react.get("/vhosts", paged(VHOST), **ALL))["total"] == 0


async def vhost_form(stage: Stage) -> None:
    """It sends all that it knows, nested too. What it does not know stays as a page set it."""
    react, own = stage.react, {"weight": 7, "backup": True, "resolve_later": True}
    before = (await react.get("/vhosts/1", VHOST_PAGE))["backends"]
    await react.patch("/vhosts/1", {"backends": [before[0], {**before[1], **own}, *before[2:]], "balance": "leastconn"})
    known = [{name: one[name] for name in backend(1)} for one in before]
    edited = [known[0], {**known[1], "url": "http://127.0.0.1:4001", "health_check_interval_seconds": 9}, known[3]]
    form = a_vhost(backends=edited, description="Our shop")

    saved = await react.patch("/vhosts/1", form)

    assert (saved["description"], saved["balance"]) == ("Our shop", "leastconn")
    assert [{name: one[name] for name in backend(1)} for one in saved["backends"]] == [
        {**one, "health_check_path": "/up"} for one in edited
    ]
    assert {name: saved["backends"][1][name] for name in own} == own
    assert saved["backends"][1]["id"] == before[1]["id"]
    files = stage.engines.running.files if stage.engines.running else {}
    assert "inter 9s rise 5 fall 1" in files["haproxy.cfg"].decode()


async def certificates(stage: Stage) -> None:
    """PEM texts are pasted into the form of a virtual host."""
    react = stage.react
    pair = {"ssl_cert": full_chain("shop.example"), "ssl_key": leaf("shop.example").key_pem}
    tls: dict[str, Any] = {"ssl_enabled": True, "ssl_provider": "upload"}
    no_pem = a_vhost(**tls, ssl_cert="-----BEGIN", ssl_key="x")
    assert (await react.refused("PATCH", "/vhosts/1", 422, no_pem)).startswith("This is not a certificate.")
    await react.patch("/vhosts/1", a_vhost(**tls, **pair))
    kept = await react.patch("/vhosts/1", a_vhost(**tls, description="ssl_cert is null: keep it"))
    read = await react.get("/vhosts/1", VHOST_PAGE)
    assert (kept["ssl_provider"], read["ssl_enabled"]) == ("upload", True)
    assert read["ssl_expires_at"] is not None
    assert "PRIVATE KEY" not in str(read)
    off = await react.patch("/vhosts/1", a_vhost())
    assert (off["ssl_enabled"], off["ssl_provider"]) == (False, "none")


async def vhost_page(stage: Stage) -> None:
    react = stage.react
    await react.get("/vhosts/1", VHOST_PAGE)
    await react.get("/policies", paged(POLICY), **ALL)
    assert await react.get("/policies/1/rules", OVERRIDES) == []
    assert await react.refused("GET", "/vhosts/77", 404)
    await react.patch("/vhosts/1", {"policy_id": 2})
    await every_page(react)
    bound = await react.get("/vhosts/1", VHOST_PAGE)
    assert (bound["policy_id"], bound["policy"]["name"], bound["description"]) == (2, "Strict", None)
    assert "shop.example" in await react.refused("DELETE", "/policies/2", 409)
    await react.patch("/vhosts/1", {"policy_id": None})
    assert (await react.get("/vhosts/1", VHOST_PAGE))["policy"]["name"] == "Default"
    assert await react.refused("PATCH", "/vhosts/1", 422, {"policy_id": 77})


async def policy_page(stage: Stage) -> None:
    react, engines = stage.react, stage.engines
    engines.agent.known_rules = rule_set()
    override = {"rule_id": 942100, "action": "disable", "comment": None}
    exclusion = {
        "rule_id": 941100,
        "target_type": "args",
        "target_value": "content",
        "scope_path": "/posts",
        "comment": None,
    }
    rule = {"rule_id": 9000001, "phase": "request_headers", "variables": "REQUEST_URI|ARGS:q", "operator": "rx",
            "operator_argument": r"union\s+select", "actions": "deny,status:403,log,msg:'No unions'", "comment": None,
            "is_active": True}  # fmt: skip
    for place, body, other in (
        ("rules", override, {"comment": "Editors"}),
        ("exclusions", exclusion, {"target_type": "request_headers", "target_value": "User-Agent", "scope_path": None}),
        ("custom-rules", rule, {"phase": "request_body", "operator": "contains", "is_active": False}),
    ):
        nested = {"rules": "rule_overrides", "exclusions": "rule_exclusions", "custom-rules": "custom_rules"}[place]
        made = (await react.post(f"/policies/1/{place}", body))["id"]
        if place != "exclusions":
            assert "rule_id" in await react.refused("POST", f"/policies/1/{place}", 409, body)
        words = "ID of a rule" if place == "rules" else "rule_id"
        assert words in await react.refused("POST", f"/policies/1/{place}", 422, {**body, "rule_id": 5})
        await react.patch(f"/policies/1/{place}/{made}", {**body, **other})
        (shown,) = (await react.get("/policies/1", POLICY_PAGE))[nested]
        assert {name: shown[name] for name in ("rule_id", *other)} == {"rule_id": body["rule_id"], **other}
        await every_page(react)
        assert await react.delete(f"/policies/1/{place}/{made}") is None
        assert await react.refused("DELETE", f"/policies/1/{place}/{made}", 404)
        assert await react.refused("PATCH", f"/policies/1/{place}/{made}", 404, body)
    assert await react.refused("GET", "/policies/77", 404)
    assert await react.refused("GET", "/policies/77/rules", 404)


async def logs_page(stage: Stage) -> None:
    react = stage.react
    fired = an_event(host="shop.example", client="2001:db8::1", method="POST", uri="/x?q=1", rules=[a_rule(942100)])
    verdicts = ["blocked", "unknown_host", "trailers", "banned"]
    events = [fired, *(an_event() for _ in verdicts[1:])]
    fired_none = {"rule": "-", "rules": "-", "score": "0"}
    lines = [
        a_log_line(event, verdict=verdict, **({} if event is fired else fired_none))
        for event, verdict in zip(events, verdicts, strict=True)
    ]
    store(stage.panel.settings.events_database, events[:1], lines)
    at = datetime.fromisoformat(fired["time"])
    around = {"date_from": (at - timedelta(hours=1)).isoformat(), "date_to": (at + timedelta(hours=1)).isoformat()}

    whole = await react.get("/logs", paged(LOG), page=1, page_size=50)
    await react.get("/policies", paged(POLICY), **ALL)
    assert whole["total"] == 4
    assert (await react.get("/logs", paged(LOG), page_size=1, action="deny"))["total"] == 2, "refused by the WAF"
    assert [event["severity"] for event in whole["items"]] == ["info", "info", "info", "critical"], "no badge is empty"
    assert (await react.get("/logs", paged(LOG), page=1, page_size=50, severity="info"))["total"] == 3
    for filters in (
        {"rule_id": 942100}, {"method": "POST"}, {"source_ip": "2001:db8::1"}, {"vhost": "shop.example", "severity": "critical"},
        {"min_score": 1, "rule_id": 942100, **around},
    ):  # fmt: skip
        (found,) = (await react.get("/logs", paged(LOG), page=1, page_size=50, **filters))["items"]
        assert (found["producer_event_id"], found["rule_id"], found["raw_context"] is None) == (
            fired["id"],
            942100,
            False,
        )
    backwards: dict[str, Any] = {"date_from": around["date_to"], "date_to": around["date_from"]}
    assert await react.refused("GET", "/logs", 422, **backwards) == "To must be later than From."
    assert "source_ip" in await react.refused("GET", "/logs", 422, source_ip="nowhere")
    await react.refused("GET", "/logs", 422, page_size=501)


async def banned_addresses_page(stage: Stage) -> None:
    react = stage.react
    await react.post("/bans", {"network": "2001:db8::7", "length": "1h"})
    await react.post("/bans", {"network": "203.0.113.0/24", "length": "forever"})
    items = (await react.get("/security/banned-ips", {"items": [BAN]}))["items"]
    assert [(one["ip"], one["banned"]) for one in items] == [("203.0.113.0/24", True), ("2001:db8::7", True)]
    assert [(one["gpc0"], one["ban_threshold"]) for one in items] == [(0, 0), (0, 0)], "nothing is counted by hand"
    assert items[0]["expires_in_seconds"] > 10**9 > items[1]["expires_in_seconds"], "null is shown as “Expiring”"
    for path in ("2001%3Adb8%3A%3A7", "203.0.113.0%2F24"):
        assert (await react.delete(f"/security/banned-ips/{path}"))["cleared"] is True
    assert await react.refused("DELETE", "/security/banned-ips/nobody", 422)
    assert (await react.get("/security/banned-ips", {"items": [BAN]}))["items"] == []


async def apply(stage: Stage) -> None:
    """Offered as long as what runs is not what was saved."""
    react, engines = stage.react, stage.engines
    engines.running = None
    status = await every_page(react)
    assert status["latest_reload"]["config_checksum"] != status["generated_config"]["checksum"]
    engines.fail("reload")
    assert (await react.refused("POST", "/config/apply", 502)).startswith("It broke at reload.")
    engines.fail(None)
    applied = await react.post("/config/apply", status=200)
    assert applied["message"].endswith(" is live.")
    assert applied["correlation_id"]
    status = await every_page(react)
    assert status["latest_reload"]["config_checksum"] == status["generated_config"]["checksum"]


async def after_a_while(stage: Stage) -> None:
    """Its token has ended. Several calls at once share one refresh; each is repeated."""
    react = stage.react
    async with stage.panel.database.write() as session:
        await session.exec(update(AccessToken).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    before = len(react.calls)
    await asyncio.gather(*(react.get("/vhosts", paged(VHOST), **ALL) for _ in range(3)), every_page(react))
    calls = react.calls[before:]
    assert calls.count(("POST", "/auth/refresh", 200)) == calls.count(("GET", "/auth/me", 200)) == 1
    assert calls.count(("GET", "/vhosts", 401)) == calls.count(("GET", "/vhosts", 200)) == 3
    await react.reload()
    await dashboard_of_a_viewer(stage)


WRITES = [
    ("POST", "/vhosts", a_vhost()), ("PATCH", "/vhosts/1", {"policy_id": 1}), ("DELETE", "/vhosts/1", None),
    ("POST", "/policies", a_react_policy()), ("PATCH", "/policies/1", a_react_policy()), ("DELETE", "/policies/1", None),
    *((method, f"/policies/1/{place}{row}", body)
      for place in ("rules", "exclusions", "custom-rules")
      for method, row, body in (("POST", "", {}), ("PATCH", "/1", {}), ("DELETE", "/1", None))),
    ("GET", "/security/banned-ips", None), ("DELETE", "/security/banned-ips/192.0.2.1", None), ("POST", "/config/apply", None),
]  # fmt: skip


async def dashboard_of_a_viewer(stage: Stage) -> None:
    async with someone(stage.app) as client:
        viewer = ReactPanel(client)
        await viewer.sign_in(VERA, PASSWORD)
        assert (await viewer.get("/auth/me", ME))["role"] == "viewer"
        for path, shape in (("/vhosts", paged(VHOST)), ("/policies", paged(POLICY)), ("/logs", paged(LOG))):
            await viewer.get(path, shape)
        for method, path, body in WRITES:
            assert await viewer.refused(method, path, 403, body)


async def signing_out(stage: Stage) -> None:
    react = stage.react
    await react.delete("/vhosts/1")
    await react.sign_out()
    with pytest.raises(SignedOut):
        await react.reload()
    assert await react.refused("GET", "/auth/me", 401)


PAGES: list[Callable[[Stage], Awaitable[None]]] = [
    sign_in_page, dashboard, policies_page, vhosts_page, vhost_form, certificates, vhost_page, policy_page, logs_page,
    banned_addresses_page, apply, after_a_while, signing_out,
]  # fmt: skip


NESTED = ("rules", "exclusions", "custom-rules")
CONTRACT = {
    *(("POST", f"/auth/{name}") for name in ("login", "refresh", "logout")), ("GET", "/auth/me"),
    *((method, f"/{rows}{row}")
      for rows in ("vhosts", "policies")
      for method, row in (("GET", ""), ("POST", ""), ("GET", "/{}"), ("PATCH", "/{}"), ("DELETE", "/{}"))),
    *((method, f"/policies/{{}}/{place}{row}")
      for place in NESTED for method, row in (("POST", ""), ("PATCH", "/{}"), ("DELETE", "/{}"))),
    ("GET", "/policies/{}/rules"), ("GET", "/logs"), ("GET", "/security/banned-ips"), ("DELETE", "/security/banned-ips/{}"),
    ("GET", "/runtime/status"), ("POST", "/config/apply"),
}  # fmt: skip
"All that it ever calls."


async def test_every_call_in_the_panels_order(
    nobody: httpx2.AsyncClient, panel: Panel, engines: FakeEngines, app: FastAPI, tmp_path: Path
) -> None:
    stage = Stage(ReactPanel(nobody), panel, engines, app, tmp_path)

    for page in PAGES:
        await page(stage)

    went_well = {(method, path) for method, path, status in stage.react.calls if status < 300}
    assert {(method, re.sub(r"(?<=-ips)/.+|/[0-9]+(?=/|$)", "/{}", path)) for method, path in went_well} >= CONTRACT
