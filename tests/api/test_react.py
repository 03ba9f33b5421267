"""What the React panel does, in its order, and what it gets: status, and the text that it shows."""

from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from guardpanel.access.geo_files import GeoKind
from guardpanel.panel import Panel
from tests.events import a_log_line, an_event, store
from tests.factories import a_react_policy, a_vhost
from tests.mmdb import database
from tests.views.test_geo import DATA, take_over

pytestmark = pytest.mark.anyio

POLICY, VHOST = "/api/v1/policies/2", "/api/v1/vhosts/1"

Client = httpx2.AsyncClient


class Turn(NamedTuple):
    method: str
    path: str
    body: dict[str, Any] | None
    status: int
    detail: str = ""


def backends(*own: dict[str, Any]) -> list[dict[str, Any]]:
    standard = a_vhost()["backends"][0]
    return [{**standard, "url": f"http://127.0.0.1:{3000 + at}", **keys} for at, keys in enumerate(own)]


DOUBLES = [
    Turn("POST", "/vhosts", a_vhost(), 201),
    Turn("POST", "/vhosts", a_vhost(), 409,
         "domain: A virtual host for shop.example already exists."),
    Turn("POST", "/vhosts", a_vhost("blog.example"), 201),
    Turn("PATCH", "/vhosts/2", a_vhost("SHOP.example"), 409,
         "domain: A virtual host for shop.example already exists."),
    Turn("PATCH", "/vhosts/2", a_vhost("blog.example"), 200),
    Turn("POST", "/policies", a_react_policy("Strict"), 201),
    Turn("POST", "/policies", a_react_policy("strict"), 409,
         "name: A policy named Strict already exists."),
    Turn("PATCH", "/policies/2", a_react_policy("default"), 409,
         "name: A policy named Default already exists."),
]  # fmt: skip

NO_BACKEND = "An active virtual host needs an active backend. Activate one, or deactivate the virtual host."

ACTIVE_BACKENDS = [
    Turn("POST", "/vhosts", a_vhost(backends=backends({"is_active": False})), 422, NO_BACKEND),
    Turn("POST", "/vhosts", a_vhost(backends=backends({"is_active": False}), is_active=False), 201),
    Turn("PATCH", "/vhosts/1", {"is_active": True}, 422, NO_BACKEND),
    Turn("PATCH", "/vhosts/1", a_vhost(backends=backends({"is_active": False}, {})), 200),
    Turn("PATCH", "/vhosts/1", a_vhost(backends=backends({"is_active": False}, {"is_active": False})), 422, NO_BACKEND),
    Turn("PATCH", "/vhosts/1", {"servers": [{"address": "127.0.0.1:1", "enabled": False}]}, 409, "No server"),
    Turn("PATCH", "/vhosts/1", {"servers": [{"address": "127.0.0.1:1", "enabled": False}], "save_anyway": True}, 200),
    Turn("PATCH", "/vhosts/1", {"description": "As a page saved it"}, 200),
]

WORDS = [
    Turn("POST", "/vhosts", a_vhost("shop .example"), 422,
         "domain: shop .example is not a hostname: a space is not allowed."),
    Turn("POST", "/vhosts", a_vhost(backends=backends({"url": "http://127.0.0.1:0"})), 422,
         "backend 1 url: "),
    Turn("POST", "/vhosts", a_vhost(backends=backends(*({"url": f"http://a b{at}"} for at in range(3)))), 422,
         "backend 1 url: "),
]  # fmt: skip


@pytest.mark.parametrize("turns", [DOUBLES, ACTIVE_BACKENDS, WORDS], ids=["doubles", "active backends", "words"])
async def test_a_conversation(ada_api: Client, turns: list[Turn]) -> None:
    for turn in turns:
        answer = await ada_api.request(turn.method, f"/api/v1{turn.path}", json=turn.body)

        assert answer.status_code == turn.status, (turn, answer.text)
        if turn.detail:
            assert answer.json()["detail"].startswith(turn.detail), answer.json()["detail"]


async def test_blocked_requests_are_those_of_the_waf(ada_api: Client, panel: Panel) -> None:
    events = [an_event() for _ in range(4)]
    verdicts = ["blocked", "unknown_host", "trailers", "banned"]
    lines = [a_log_line(event, verdict=verdict) for event, verdict in zip(events, verdicts, strict=True)]
    store(panel.settings.events_database, events[:1], lines)

    denied = (await ada_api.get("/api/v1/logs?page_size=1&action=deny")).json()["total"]
    all_of_them = (await ada_api.get("/api/v1/logs?page_size=50")).json()["items"]

    assert denied == 2
    assert [item["verdict"] for item in reversed(all_of_them)] == verdicts


async def test_a_policy_that_is_deactivated_in_another_mode_is_off(ada_api: Client) -> None:
    """Its form sends both. Which mode it would have is not stored."""
    await ada_api.post("/api/v1/policies", json=a_react_policy(enforcement_mode="detect_only"))

    off = (await ada_api.patch(POLICY, json=a_react_policy(is_active=False))).json()
    on = (await ada_api.patch(POLICY, json=a_react_policy(is_active=True))).json()

    assert (off["mode"], off["is_active"]) == ("off", False)
    assert (on["mode"], on["is_active"]) == ("block", True)


LIMITS: dict[str, Any] = {"rate_limit_requests": 7, "rate_limit_window_seconds": 30, "max_connections_per_ip": 3}
BANS: dict[str, Any] = {"ban_threshold": 4, "ban_duration_seconds": 900}


async def test_hidden_numbers_of_a_policy_that_are_none_stay_as_they_were(ada_api: Client) -> None:
    """Emptied, or far too large, and then hidden by their switch."""
    on = a_react_policy(ddos_protection_enabled=True, auto_ban_enabled=True, **LIMITS, **BANS)
    assert (await ada_api.post("/api/v1/policies", json=on)).status_code == 201

    beyond = {"rate_limit_requests": 10**11, "rate_limit_window_seconds": 0, "ban_threshold": 0}
    edited: dict[str, Any] = {**LIMITS, **BANS, **beyond, "max_connections_per_ip": 5}
    off = await ada_api.patch(POLICY, json=a_react_policy(**edited))
    without_bans = await ada_api.patch(POLICY, json={**on, "auto_ban_enabled": False, "ban_duration_seconds": 0})
    new = await ada_api.post("/api/v1/policies", json=a_react_policy("Other", **dict.fromkeys(LIMITS | BANS, 0)))

    assert {name: off.json()[name] for name in LIMITS | BANS} == {**LIMITS, **BANS, "max_connections_per_ip": 5}
    assert {name: without_bans.json()[name] for name in LIMITS | BANS} == LIMITS | BANS
    assert new.json()["rate_limit_requests"] == 100


@pytest.mark.changes_nothing
async def test_numbers_that_are_seen_are_refused(ada_api: Client) -> None:
    for name in LIMITS | BANS:
        on = {**a_react_policy(ddos_protection_enabled=True, auto_ban_enabled=True), name: 0}
        assert (await ada_api.post("/api/v1/policies", json=on)).json()["detail"].startswith(f"{name}: ")
        assert (await ada_api.patch("/api/v1/policies/1", json={name: 0})).status_code == 422


async def test_automatic_bans_are_a_part_of_the_protection_unless_they_are_sent(ada_api: Client) -> None:
    """Its form clears one checkbox with the other. Whoever sends one alone means both."""
    on = a_react_policy(ddos_protection_enabled=True, auto_ban_enabled=True, **BANS)
    await ada_api.post("/api/v1/policies", json=on)

    off = (await ada_api.patch(POLICY, json={"ddos_protection_enabled": False, "ban_threshold": 0})).json()
    again = (await ada_api.patch(POLICY, json={"ddos_protection_enabled": True, "auto_ban_enabled": True})).json()
    without_limits = (await ada_api.patch(POLICY, json={**on, "ddos_protection_enabled": False})).json()
    still = (await ada_api.patch(POLICY, json={"ddos_protection_enabled": False, "description": "Bans alone"})).json()
    new = (await ada_api.post("/api/v1/policies", json={**on, "name": "New", "ddos_protection_enabled": False})).json()

    assert (off["auto_ban_enabled"], off["ban_threshold"]) == (False, BANS["ban_threshold"])
    assert again["auto_ban_enabled"] is True
    for row in (without_limits, still, new):
        assert (row["ddos_protection_enabled"], row["auto_ban_enabled"]) == (False, True)


async def test_unknown_countries_that_a_page_let_in_are_not_rejected_once_its_form_turns_the_list_over(
    ada_api: Client, panel: Panel, tmp_path: Path
) -> None:
    """It does not show `--`: what it stands for in an allowlist is its opposite in a blocklist."""
    await take_over(panel, GeoKind.COUNTRY, database(tmp_path / "country.mmdb", DATA))
    allowed = {"country_mode": "allow_only", "countries": ["DE", "--"]}
    await ada_api.post("/api/v1/policies", json=a_react_policy() | allowed)

    edited = (await ada_api.patch(POLICY, json={"geoip_mode": "allowlist", "geoip_countries": ["DE", "AT"]})).json()
    turned = (await ada_api.patch(POLICY, json={"geoip_mode": "blocklist", "geoip_countries": ["FR", "AT"]})).json()

    await ada_api.patch(POLICY, json=allowed)
    off = (await ada_api.patch(POLICY, json={"geoip_mode": "off"})).json()
    await ada_api.patch(POLICY, json=allowed)
    alone = (await ada_api.patch(POLICY, json={"geoip_mode": "blocklist", "save_anyway": True})).json()

    assert edited["countries"] == ["DE", "AT", "--"]
    assert (turned["country_mode"], turned["countries"]) == ("reject", ["FR", "AT"])
    assert (off["country_mode"], off["countries"]) == ("off", ["DE", "--"])
    assert (alone["country_mode"], alone["countries"]) == ("reject", ["DE"])


async def test_disabled_inputs_of_a_check_that_is_off_stay_as_they_were(ada_api: Client) -> None:
    numbers = dict.fromkeys(("health_check_interval_seconds", "health_check_rise", "health_check_fall"), 0)
    off = backends({"health_check_enabled": False, "health_check_path": "up", **numbers})

    new = await ada_api.post("/api/v1/vhosts", json=a_vhost(backends=off))
    one = backends({"health_check_path": "/up", "health_check_rise": 9}, {"health_check_enabled": False, **numbers})
    edited = await ada_api.patch(VHOST, json=a_vhost(backends=one))
    shown = backends({"health_check_path": "up"})

    (check,) = new.json()["backends"]
    assert (check["health_check_enabled"], check["health_check_path"]) == (False, "/")
    assert check["health_check_interval_seconds"] == 5
    assert [backend["health_check_rise"] for backend in edited.json()["backends"]] == [9, 2]
    assert (await ada_api.patch(VHOST, json=a_vhost(backends=shown))).status_code == 422


LEAST: dict[str, dict[str, Any]] = {
    "/policies": {"name": "Least"},
    "/vhosts": {"domain": "least.example", "backend_url": "http://127.0.0.1:3000"},
    "/policies/1/rules": {"rule_id": 942100, "action": "disable"},
    "/policies/1/exclusions": {"rule_id": 941100, "target_type": "args", "target_value": "q"},
    "/policies/1/custom-rules": {
        "rule_id": 9000001, "phase": "request_body", "variables": "ARGS", "operator": "rx", "operator_argument": "x", "actions": "deny",
    },
}  # fmt: skip
"What its own API requires of each. Its forms send the rest as null."
ACTIONS = {"/policies/1/custom-rules": {"actions": "deny,status:403,t:none,log,msg:'Rule 9000001',severity:'CRITICAL'"}}
"With what guardpanel adds."


@pytest.mark.parametrize("path", LEAST)
async def test_what_its_api_does_not_require_can_be_left_out(ada_api: Client, path: str) -> None:
    made = await ada_api.post(f"/api/v1{path}", json=LEAST[path])
    assert made.status_code == 201, made.text

    row = made.json()
    assert {name: row[name] for name in LEAST[path]} == {**LEAST[path], **ACTIONS.get(path, {})}
    assert row.get("scope_path") is row.get("comment") is row.get("description") is None
