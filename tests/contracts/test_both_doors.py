"""The same save by form, JSON and file: the same rows, the same bytes for the engines, the same words of the change."""

import contextlib
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from guardpanel.app import create_app
from guardpanel.bundle import Bundle
from guardpanel.errors import NothingNew
from guardpanel.models import NOUNS
from guardpanel.models.noun import KEPT
from guardpanel.panel import Panel
from guardpanel.services.saving import revisions, snapshots
from guardpanel.services.saving.change import SaveRequest
from guardpanel.services.site_file import plans
from guardpanel.services.site_file.applying import Options
from guardpanel.services.site_file.exporting import export
from guardpanel.settings import Settings
from tests.certificates.test_client_cas import lists, whole
from tests.conftest import ADA, be_logged_in, have_token, running, someone
from tests.factories import (
    A_LOGO,
    a_body_reading,
    a_client_ca,
    a_custom_rule,
    a_header_rule,
    a_login,
    a_path_binding,
    a_policy,
    a_traffic,
    a_vhost,
    a_virtual_host,
    an_address_list,
    an_error_page,
    an_exclusion,
    an_override,
)
from tests.fakes import FAKES, FakeEngines

pytestmark = pytest.mark.anyio

CLOCK = {"created_at", "updated_at"}

SEALED = {"sealed"}
"Another one each time."


@dataclass
class Save:
    """One save by both doors: (method, path, form) and (method, path, JSON)."""

    name: str
    form: tuple[str, dict[str, Any]]
    json: tuple[str, str, dict[str, Any] | None]


VIRTUAL_HOST = "/virtual-hosts", "/api/v1/vhosts"
POLICY = "/policies", "/api/v1/policies"

SAVES = [
    Save("the least", ("/virtual-hosts", a_virtual_host()), ("POST", "/api/v1/vhosts", a_vhost(policy_id=1))),
    Save(
        "everything of a virtual host",
        ("/virtual-hosts", a_virtual_host(
            "*.shop.example\r\nbücher.example", name="Shop’s own (2)", notes="Two\r\nlines", enforcement_mode="block", balance="source",
            health_check_path="/up?a=1", health_check_interval="9", health_check_rise="4", health_check_fall="5",
            health_check_status="200, 204", health_check_host="up.example", tls_verify="off", tls_name="in.example", maintenance="on", security_headers="unless_set",
            cors_origins="HTTPS://App.example:443/\nhttp://[2001:db8::1]:80", cors_methods="put, Delete", cors_headers="X-Token", cors_credentials="on", cors_max_age="60",
            server_host="App.internal:08080", connect_timeout="7", server_timeout="90", tunnel_timeout="7,200", retries="0", compression="on",
            compression_types="Text/CSS, text/css",
            **{"servers.0.address": "https://10.0.0.5", "servers.0.weight": "7", "servers.1.address": "[2001:db8::1]:81",
               "servers.1.scheme": "http", "servers.1.weight": "100", "servers.1.backup": "on", "servers.1.health_check_interval": "60"},
        )),
        ("POST", "/api/v1/vhosts", {
            "hostnames": ["*.shop.example", "bücher.example"], "name": "Shop’s own (2)", "description": "Two\r\nlines", "enforcement_mode": "block",
            "balance": "source", "health_check_path": "/up?a=1", "health_check_interval": 9, "health_check_rise": 4,
            "health_check_fall": 5, "health_check_status": "200, 204", "health_check_host": "up.example", "tls_verify": "off",
            "tls_name": "in.example", "maintenance": True, "policy_id": 1, "security_headers": "unless_set",
            "cors_origins": ["https://app.example", "http://[2001:DB8::1]"], "cors_methods": ["PUT", "delete"], "cors_headers": ["X-Token"],
            "cors_credentials": True, "cors_max_age": 60, "server_host": "app.internal:8080", "connect_timeout": 7,
            "server_timeout": 90, "tunnel_timeout": 7200, "retries": 0, "compression": True, "compression_types": ["text/css"],
            "backends": [{"url": "https://10.0.0.5", "weight": 7}, {"url": "http://[2001:db8::1]:81", "backup": True, "is_active": False,
                                                                       "health_check_enabled": False, "health_check_interval_seconds": 60}],
        }),
    ),
    Save(
        "an edit",
        ("/virtual-hosts/1", a_virtual_host("old.example", version="1", notes="Edited", health_check=None)),
        ("PATCH", "/api/v1/vhosts/1", {
            "description": "Edited",
            "backends": [{"url": "http://127.0.0.1:3000", "health_check_enabled": False}],
        }),
    ),
    Save("a new name", ("/virtual-hosts/1", a_virtual_host("new.example")), ("PATCH", "/api/v1/vhosts/1", {"domain": "new.example"})),
    Save(
        "nothing new", ("/virtual-hosts/1", a_virtual_host("old.example")), ("PATCH", "/api/v1/vhosts/1", {}),
    ),
    Save("a virtual host less", ("/virtual-hosts/1/delete", {"version": "1"}), ("DELETE", "/api/v1/vhosts/1", None)),
    Save(
        "a policy",
        ("/policies", a_policy("Strict", blocking_paranoia_level="2", detection_paranoia_level="3", response_inspection="on", file_inspection="on", argument_limit="2000", json_value_limit="3000", over_limit="inspect_beginning", upload_seconds="20", streamed_responses="hold_back",
                               content_type_readings="Image/*=NONE\ntext/plain = json", skip_paths=".CSS\n/static/", masked_fields="PIN\n*token*", allowed_methods="get, Put", fail_mode="open")),
        ("POST", "/api/v1/policies", {
            "name": "Strict", "enforcement_mode": "block", "blocking_paranoia_level": 2, "detection_paranoia_level": 3,
            "response_inspection": True, "file_inspection": True, "argument_limit": 2000, "json_value_limit": 3000, "over_limit": "inspect_beginning", "upload_seconds": 20, "streamed_responses": "hold_back", "content_type_readings": ["Image/*=NONE", "text/plain = json"], "skip_paths": [".CSS", "/static/"], "masked_fields": ["PIN", "*token*"], "allowed_methods": ["get", "Put"], "fail_mode": "open",
            "allowed_content_types": ["application/x-www-form-urlencoded", "multipart/form-data", "application/json"],
        }),
    ),
    Save(
        "an edited policy",
        ("/policies/2", a_policy("Used", enforcement_mode="off", inbound_anomaly_threshold="7")),
        ("PATCH", "/api/v1/policies/2", {"is_active": False, "inbound_anomaly_threshold": 7}),
    ),
    Save(
        "the traffic settings",
        ("/system/traffic", a_traffic(client_ip_source="header", client_ip_header="CF-Connecting-IP:",
                                      trusted_networks="10.0.0.0/255.0.0.0\n::ffff:192.0.2.7", **{
                                          "listeners.0.proxy_protocol": "required", "listeners.0.proxy_networks": "10.1.0.0/16, 10.2.0.1",
                                          "listeners.0.scheme": "https"})),
        ("PATCH", "/api/v1/traffic", {
            "client_ip_source": "header", "client_ip_header": "cf-connecting-ip", "trusted_networks": ["10.0.0.0/8", "192.0.2.7"],
            "listeners": [{"address": "127.0.0.1:8080", "proxy_protocol": "required", "proxy_networks": ["10.1.0.0/16", "10.2.0.1"],
                           "scheme": "https"}],
        }),
    ),
    Save("the same traffic settings", ("/system/traffic", a_traffic(version="1")), ("PATCH", "/api/v1/traffic", {})),
    Save(
        "where country data comes from",
        ("/access/countries", {"version": "1", "country_url": " https://DATA.example:443/a.mmdb", "network_url": "", "every": "7d"}),
        ("PATCH", "/api/v1/geo-data", {"country_url": "https://data.example/a.mmdb", "every": "7d"}),
    ),
    Save(
        "a rule exclusion",
        ("/policies/2/exclusions", an_exclusion(
            rules="942100, 942200 - 942299\nattack-xss", target_name=r"item_\d+", name_is_pattern="on", path_match="pattern",
            path=r"/posts/\d{1,3}", methods="post\nPut", only_if="action=a, b\nroute=/sql", reason="Two\r\nlines", owner="Ada",
            ends_on="2027-01-31", enabled=None)),
        ("POST", "/api/v1/policies/2/exclusions", {
            "rules": ["942100", "942200-942299", "attack-xss"], "target": "argument", "target_name": r"item_\d+", "name_is_pattern": True,
            "path_match": "pattern", "path": r"/posts/\d{1,3}", "methods": ["POST", "put"], "only_if": ["action=a, b", "route=/sql"],
            "reason": "Two\nlines", "owner": "Ada", "ends_on": "2027-01-31", "enabled": False,
        }),
    ),
    Save("a rule exclusion by the React panel", (
        "/policies/2/exclusions", an_exclusion(path_match="below", path="/posts", methods="", reason="Editors")),
        ("POST", "/api/v1/policies/2/exclusions", {
            "rule_id": 941100, "target_type": "args", "target_value": "content", "scope_path": "/posts", "comment": "Editors"})),
    Save("an edited rule exclusion", ("/policies/1/exclusions/1", an_exclusion(version="1", owner="ada@example.org", methods="PUT")),
         ("PATCH", "/api/v1/policies/1/exclusions/1", {"methods": ["PUT"]})),
    Save("a rule exclusion less", ("/policies/1/exclusions/1/delete", {"version": "1"}), ("DELETE", "/api/v1/policies/1/exclusions/1", None)),
    Save("a rule override", ("/policies/1/rules", an_override(rule="attack-rfi", reason="No PHP here")),
         ("POST", "/api/v1/policies/1/rules", {"rule": "attack-rfi", "action": "disable", "reason": "No PHP here"})),
    Save("a rule override by the React panel", ("/policies/1/rules", an_override(reason="Static site")),
         ("POST", "/api/v1/policies/1/rules", {"rule_id": 942100, "action": "disable", "comment": "Static site"})),
    Save("a custom rule", ("/policies/1/custom-rules", a_custom_rule(
            variables="ARGS:q\n!args:/^x y/", transformations="Lowercase\nnormalisePath", operator="ip_match",
            operator_argument="10.0.0.1/8, 2001:DB8::1", negated="on", tags="a/b", comment="Two\r\nlines")),
         ("POST", "/api/v1/policies/1/custom-rules", {
             "rule_id": 9000001, "name": "Old login", "variables": "ARGS:q|!args:/^x y/", "transformations": ["Lowercase", "normalisePath"],
             "operator": "ip_match", "operator_argument": "10.0.0.1/8, 2001:DB8::1", "negated": True, "tags": ["a/b"],
             "comment": "Two\nlines"})),
    Save("a custom rule by the React panel", ("/policies/1/custom-rules", a_custom_rule(action="block", status="400", phase="request_headers")),
         ("POST", "/api/v1/policies/1/custom-rules", {
             "rule_id": 9000001, "phase": "request_headers", "variables": "ARGS:q", "operator": "contains", "operator_argument": "needle",
             "actions": "deny,status:400,msg:'Old login'", "comment": None, "is_active": True})),
    Save("a body reading", ("/policies/2/body-readings", a_body_reading(reason="Beacons")),
         ("POST", "/api/v1/policies/2/body-readings", {
             "path": "/api/event", "methods": ["POST"], "content_types": ["text/plain"], "read_as": "json", "reason": "Beacons"})),
    Save("a path binding", ("/virtual-hosts/1/paths", a_path_binding(path="/Caf\u00e9/", policy_id="2", notes="Two\r\nlines")),
         ("POST", "/api/v1/vhosts/1/policy-bindings", {
             "path": "/Caf\u00e9", "policy_id": 2, "enforcement_mode": "detect_only", "notes": "Two\nlines"})),
    Save("a path with delivery of its own", ("/virtual-hosts/1/paths", a_path_binding(
            path="/api", enforcement_mode="", own_servers=" 10.0.0.7:3000\r\nHTTPS://API.lan ", server_path="/v2/", server_timeout="300",
            security_headers="off", own_cors="on", cors_origins="https://app.example", own_compression="on",
            **{"own_headers.0.header": "X-A:", "own_headers.0.value": " {client_ip}%", "own_headers.0.action": "add"})),
         ("POST", "/api/v1/vhosts/1/policy-bindings", {
             "path": "/api", "own_servers": ["http://10.0.0.7:3000", "https://api.lan:443"], "server_path": "/v2", "server_timeout": 300,
             "security_headers": "off", "own_cors": True, "cors_origins": ["https://app.example"], "own_compression": True,
             "own_headers": [{"header": "X-A", "value": "{client_ip}%", "action": "add"}]})),
    Save("a redirect", ("/virtual-hosts/1/paths", a_path_binding(
            path="/old", enforcement_mode="", redirect="308", redirect_to="https://NEW.example:8443/a")),
         ("POST", "/api/v1/vhosts/1/policy-bindings", {"path": "/old", "redirect": "308", "redirect_to": "https://new.example:8443/a"})),
    Save("a virtual host that is redirected", ("/virtual-hosts", a_virtual_host(
            "former.example", redirect="308", redirect_to="https://NEW.example", **{"servers.0.address": ""})),
         ("POST", "/api/v1/vhosts", {
             "hostnames": ["former.example"], "redirect": "308", "redirect_to": "https://new.example", "policy_id": 1})),
    Save("a path binding by the panel before", ("/virtual-hosts/1/paths", a_path_binding(policy_id="1", enforcement_mode="", notes="Old")),
         ("POST", "/api/v1/vhosts/1/policy-bindings", {"path_prefix": "/api", "policy_id": 1, "priority": 0, "comment": "Old"})),
    Save("a header rule", ("/virtual-hosts/1/headers", a_header_rule(
            direction="request", action="add", header="X-Client:", value=" {client_ip}, caf\u0065\u0301 ", position="7", notes="Two\r\nlines")),
         ("POST", "/api/v1/vhosts/1/header-rules", {
             "direction": "request", "action": "add", "header": "X-Client", "value": "{client_ip}, caf\u00e9", "position": 7, "notes": "Two\nlines"})),
    Save("a client CA", ("/client-cas", a_client_ca(whole(), revocation_lists=lists(), notes="Two\r\nlines")),
         ("POST", "/api/v1/client-cas", {
             "name": "Staff", "certificates": whole(), "revocation_lists": lists(), "notes": "Two\nlines"})),
    Save("an error page set", ("/error-pages", an_error_page(accent="07B", logo=A_LOGO, is_default="on", text="Caf\u0065\u0301\r\nTwo")),
         ("POST", "/api/v1/error-pages", {
             "name": "Shop", "is_default": True, "site_name": "Example Shop", "accent": "#0077bb", "text": "Caf\u00e9\nTwo",
             "contact": "help@shop.example", "logo": f"data:image/png;base64,{A_LOGO}"})),
    Save("a certificate", ("/certificates", {"name": "", "source": "self_signed", "names": "Shop.example\nbücher.example", "key_type": "rsa", "notes": "Two\r\nlines"}),
         ("POST", "/api/v1/certificates", {
             "source": "self_signed", "names": ["shop.example", "bücher.example"], "key_type": "rsa", "notes": "Two\nlines"})),
    Save("a login", ("/virtual-hosts/1/logins", a_login(notes="Two\r\nlines")),
         ("POST", "/api/v1/vhosts/1/logins", {"name": "ada", "password": "correct horse", "notes": "Two\nlines"})),
    Save("an address list", ("/access/lists", an_address_list(
            applies_to="virtual_hosts", virtual_host_ids="1", paths="/Admin/\r\n/b\u00fcro", entries="2001:DB8::/32 # Test\r\n203.0.113.7 until 2099-12-31")),
         ("POST", "/api/v1/address-lists", {
             "name": "Scanners", "kind": "deny", "applies_to": "virtual_hosts", "virtual_host_ids": [1], "paths": ["/Admin", "/b\u00fcro"],
             "entries": "203.0.113.7 until 2099-12-31\n2001:db8::/32  # Test"})),
    Save("a policy less", ("/policies/2/delete", {"version": "1"}), ("DELETE", "/api/v1/policies/2", None)),
]  # fmt: skip

REFUSED = [
    Save("no server", ("/virtual-hosts", a_virtual_host(**{"servers.0.address": ""})), ("POST", "/api/v1/vhosts", a_vhost(backends=[{"url": ""}]))),
    Save("a hostname that is taken", ("/virtual-hosts", a_virtual_host("old.example")), ("POST", "/api/v1/vhosts", a_vhost("OLD.example."))),
    Save("port 0", ("/virtual-hosts", a_virtual_host(**{"servers.0.address": "a.test:0"})),
         ("POST", "/api/v1/vhosts", a_vhost(backends=[{"url": "http://a.test:0"}]))),
    Save("a control character", ("/virtual-hosts/1", a_virtual_host("old.example", notes="a\0b")),
         ("PATCH", "/api/v1/vhosts/1", {"description": "a\0b"})),
    Save("level 5", ("/policies/2", a_policy("Used", blocking_paranoia_level="5")), ("PATCH", "/api/v1/policies/2", {"paranoia_level": 5})),
    Save("detection below blocking", ("/policies/2", a_policy("Used", blocking_paranoia_level="3")),
         ("PATCH", "/api/v1/policies/2", {"blocking_paranoia_level": 3})),
    Save("a rule that blocks", ("/policies/1/exclusions", an_exclusion(rules="949110")),
         ("POST", "/api/v1/policies/1/exclusions", {"rules": ["949110"], "path_match": "any"})),
    Save("two overrides of a rule", ("/policies/1/rules", an_override(rule="941100")),
         ("POST", "/api/v1/policies/1/rules", {"rule_id": 941100, "action": "disable"})),
    Save("an override of a rule that blocks", ("/policies/1/rules", an_override(rule="949110")),
         ("POST", "/api/v1/policies/1/rules", {"rule": "949110"})),
    Save("a body in the phase of headers", ("/policies/1/custom-rules", a_custom_rule(variables="REQUEST_BODY", phase="request_headers")),
         ("POST", "/api/v1/policies/1/custom-rules", {"rule_id": 9000001, "name": "Old login", "variables": "REQUEST_BODY",
                                                      "phase": "request_headers", "operator_argument": "needle"})),
    Save("a body reading that changes nothing", ("/policies/1/body-readings", a_body_reading(content_types="application/json")),
         ("POST", "/api/v1/policies/1/body-readings", {"path": "/", "content_types": ["application/json"], "read_as": "json"})),
    Save("a path that is none", ("/policies/1/exclusions", an_exclusion(path="posts")),
         ("POST", "/api/v1/policies/1/exclusions", {"rules": ["941100"], "path": "posts"})),
    Save("a host with another policy", ("/policies/2/exclusions", an_exclusion(virtual_host_id="1")),
         ("POST", "/api/v1/policies/2/exclusions", {"rules": ["941100"], "path": "/", "virtual_host_id": 1})),
    Save("a path binding without an effect", ("/virtual-hosts/1/paths", a_path_binding(enforcement_mode="")),
         ("POST", "/api/v1/vhosts/1/policy-bindings", {"path": "/api"})),
    Save("a path that is none to bind", ("/virtual-hosts/1/paths", a_path_binding(path="api")),
         ("POST", "/api/v1/vhosts/1/policy-bindings", {"path_prefix": "api", "enforcement_mode": "detect_only"})),
    Save("a path that is encoded", ("/virtual-hosts/1/paths", a_path_binding(path="/a%20b")),
         ("POST", "/api/v1/vhosts/1/policy-bindings", {"path": "/a%20b", "enforcement_mode": "detect_only"})),
    Save("a header of guardpanel's own", ("/virtual-hosts/1/headers", a_header_rule(direction="request", header="x_forwarded_for")),
         ("POST", "/api/v1/vhosts/1/header-rules", {"direction": "request", "header": "x_forwarded_for", "value": "noindex"})),
    Save("a header of a path without a name", ("/virtual-hosts/1/paths", a_path_binding(**{"own_headers.0.header": "", "own_headers.0.value": "a"})),
         ("POST", "/api/v1/vhosts/1/policy-bindings", {"path": "/api", "enforcement_mode": "detect_only", "own_headers": [{"header": "", "value": "a"}]})),
    Save("a header without a value", ("/virtual-hosts/1/headers", a_header_rule(value="")),
         ("POST", "/api/v1/vhosts/1/header-rules", {"header": "X-Robots-Tag"})),
    Save("a logo that is none", ("/error-pages", an_error_page(logo="c3Zn")), ("POST", "/api/v1/error-pages", {
         "name": "Shop", "site_name": "Example Shop", "accent": "#00796b", "text": "Call us from 9 to 5.",
         "contact": "help@shop.example", "logo": "c3Zn"})),
    Save("everybody trusted", ("/system/traffic", a_traffic(trusted_networks="0.0.0.0/0")),
         ("PATCH", "/api/v1/traffic", {"trusted_networks": ["0.0.0.0/0"]})),
    Save("nobody trusted", ("/system/traffic", a_traffic(client_ip_source="x_forwarded_for")),
         ("PATCH", "/api/v1/traffic", {"client_ip_source": "x_forwarded_for"})),
    Save("country data over HTTP", ("/access/countries", {"version": "1", "country_url": "http://a.example/", "network_url": "", "every": "1d"}),
         ("PATCH", "/api/v1/geo-data", {"country_url": "http://a.example/"})),
    Save("a listener that there is not", ("/system/traffic", a_traffic(**{"listeners.0.address": "127.0.0.1:1", "listeners.0.scheme": "https"})),
         ("PATCH", "/api/v1/traffic", {"listeners": [{"address": "127.0.0.1:1", "scheme": "https"}]})),
    Save("a stale edit", ("/policies/2", a_policy("Used", version="9")), ("PATCH", "/api/v1/policies/2", {"description": "x"})),
]  # fmt: skip


SILENT = {"nothing new", "the same traffic settings"}
"A file that says what is there is no change at all."


@pytest.fixture(scope="module")
def place() -> Path:
    """One data directory for both doors, one after the other: its path is part of the rendered bytes."""
    return Path(tempfile.mkdtemp(prefix="gp")) / "d"


live: list[Bundle] = []
"What the engines run with these rows."


@asynccontextmanager
async def a_panel(place: Path, template: Path) -> AsyncIterator[tuple[httpx2.AsyncClient, Panel]]:
    """With some rows, which are saved once."""
    filled = place.parent / "filled"
    if not filled.exists():
        place.mkdir()
        shutil.copy(template, place / "guardpanel.db")
        async with started(place) as (client, panel):
            await fill(client)
            live[:] = [running_in(panel)]
        place.rename(filled)
    shutil.copytree(filled, place, symlinks=True)
    try:
        async with started(place) as (client, panel):
            assert isinstance(panel.engines, FakeEngines)
            (panel.engines.running,) = live
            yield client, panel
    finally:
        shutil.rmtree(place)


@asynccontextmanager
async def started(place: Path) -> AsyncIterator[tuple[httpx2.AsyncClient, Panel]]:
    settings = Settings(data_dir=place, listen="127.0.0.1:8000", http_bind="127.0.0.1:8080")
    async with running(create_app(settings, parts=FAKES)) as app, someone(app) as client:
        be_logged_in(client, ADA)
        yield client, app.state.panel


async def fill(client: httpx2.AsyncClient) -> None:
    await client.post("/policies", data=a_policy("Used"))
    await client.post("/virtual-hosts", data=a_virtual_host("old.example"))
    await client.post("/policies/1/exclusions", data=an_exclusion())
    await client.post("/policies/1/rules", data=an_override(rule="941100"))


async def by_form(client: httpx2.AsyncClient, save: Save) -> httpx2.Response:
    path, form = save.form
    return await client.post(path, data=form)


async def by_json(client: httpx2.AsyncClient, save: Save) -> httpx2.Response:
    method, path, body = save.json
    have_token(client, ADA)
    headers = {"if-match": '"9"'} if save.name == "a stale edit" else {}
    return await client.request(method, path, headers=headers, json=body)


async def by_file(panel: Panel, text: str) -> None:
    """Of the state that another door left: what it does not name is deleted."""
    text = text.replace(KEPT, a_login()["password"])
    with contextlib.suppress(NothingNew):
        request, options = SaveRequest(ADA, client="127.0.0.1"), Options(prune=True)
        await plans.apply(panel.changes, request, await plans.document_in(text), options, "site.yaml")


async def exported(panel: Panel) -> str:
    async with panel.database.read() as session:
        return await export(session)


def running_in(panel: Panel) -> Bundle:
    assert isinstance(panel.engines, FakeEngines)
    assert panel.engines.running is not None
    return panel.engines.running


async def state(panel: Panel) -> tuple[dict[str, list[dict[str, Any]]], dict[str, bytes]]:
    """The rows without their clock, and the bytes without the installation's secret."""
    async with panel.database.read() as session:
        rows = snapshots.rows(await snapshots.take(session))
    bundle = running_in(panel)
    secret, checksum = panel.changes.renderer.facts.secret.encode(), bundle.checksum.encode()
    files = {
        name: text.replace(secret, b"SECRET").replace(checksum, b"SUM").replace(checksum[:12], b"SUM")
        for name, text in bundle.files.items()
    }
    return {
        table: [{key: value for key, value in row.items() if key not in CLOCK | SEALED} for row in own]
        for table, own in rows.items()
    }, files


async def last_change(panel: Panel) -> tuple[str, str]:
    async with panel.database.read() as session:
        attempt = await revisions.last_deployment(session)
    assert attempt is not None
    return attempt.summary, attempt.outcome.value


@pytest.mark.parametrize("save", SAVES, ids=lambda save: save.name)
async def test_all_doors_save_the_same(place: Path, template: Path, save: Save) -> None:
    async with a_panel(place, template) as (client, panel):
        page = await by_form(client, save)
        rows, files = await state(panel)
        change, text = await last_change(panel), await exported(panel)
    async with a_panel(place, template) as (client, panel):
        document = await by_json(client, save)
        other_rows, other_files = await state(panel)
        other_change = await last_change(panel)
    async with a_panel(place, template) as (client, panel):
        await by_file(panel, text)
        rows_of_file, files_of_file = await state(panel)
        change_of_file, text_of_file = await last_change(panel), await exported(panel)

    assert page.status_code == 303, page.text
    assert document.status_code in {200, 201, 204}, document.text
    assert rows == other_rows
    assert files == other_files
    assert change == other_change
    assert files == files_of_file
    if save.name not in SILENT:
        assert (rows, change) == (rows_of_file, change_of_file)
    assert text == text_of_file


def test_each_noun_is_saved_by_all_doors() -> None:
    paths = [save.json[1].removeprefix("/api/v1/") for save in SAVES]
    patterns = {noun.key: re.sub(r"\{[a-z_]+\}", "[0-9]+", noun.api) for noun in NOUNS.values()}

    assert [key for key, pattern in patterns.items() if not any(re.fullmatch(pattern, path) for path in paths)] == []


async def test_both_doors_refuse_the_same(place: Path, template: Path) -> None:
    """On one panel, since each leaves it as it was."""
    async with a_panel(place, template) as (client, panel):
        before = await state(panel)
        for save in REFUSED:
            page = await by_form(client, save)
            after_form = await state(panel)
            document = await by_json(client, save)
            after_json = await state(panel)

            assert page.status_code == document.status_code, save.name
            assert page.status_code in {409, 412, 422}, save.name
            assert before == after_form == after_json, save.name
