"""Pages that no URL leads to: each is reached by what leads an operator there, and left as it was."""

import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
import traceback
from collections.abc import Callable, Iterator

import httpx2
from playwright.sync_api import Page

from tests.panel import Panel
from tests.pictures.camera import Camera
from tests.web import PASSWORD, Person, bearer

State = Callable[[Camera, Panel], None]

GO_LIVE = re.compile("go live")

HAPROXY = """\
global
  maxconn 20000
defaults
  mode http
  option httplog
  timeout connect 5s
  timeout server 50s
frontend www
  bind :80
  bind :443 ssl crt /etc/haproxy/certs/ alpn h2,http/1.1
  http-request redirect scheme https code 301 unless { ssl_fc }
  acl shop hdr(host) -i imported.example www.imported.example
  acl office src 192.0.2.0/24 198.51.100.7
  http-request deny if { path_beg /a/very/long/path/of/an/application/that/is/for/the/office/only } !office
  stick-table type ip size 100k expire 30s store http_req_rate(10s)
  http-request track-sc0 src
  http-request deny deny_status 429 if { sc_http_req_rate(0) gt 100 }
  use_backend static if shop { path_beg /static/ }
  use_backend %[req.hdr(host),lower,map(/etc/haproxy/hosts.map,default)] if !shop
  default_backend app
backend app
  balance roundrobin
  cookie SRV insert indirect nocache
  option httpchk GET /health
  server s1 10.0.0.1:8080 check cookie s1 weight 10
backend static
  server s2 10.0.0.5:80 check
"""


def photograph_states(camera: Camera, panel: Panel, chosen: re.Pattern[str]) -> None:
    """What cannot be reached is printed, and the next one is tried."""
    for state in STATES:
        if chosen.fullmatch(state.__name__.replace("_", "-")):
            try:
                state(camera, panel)
            except Exception:  # noqa: BLE001 each is of its own
                camera.note([f"== {state.__name__}: not reached", traceback.format_exc()])


def open_page(camera: Camera, path: str) -> Page:
    camera.page.set_viewport_size({"width": 1440, "height": 900})
    camera.page.goto(camera.url + path)
    return camera.page


def form_rejected_by_engine(camera: Camera, panel: Panel) -> None:
    page = open_page(camera, "/virtual-hosts/2/edit")
    page.get_by_label("Server 1 address").fill("nowhere.invalid:80")
    camera.submit("form-rejected-by-engine")


def form_invalid(camera: Camera, panel: Panel) -> None:
    page = open_page(camera, "/policies/2/edit")
    page.locator("#f-name").fill("")
    page.get_by_label("Inbound anomaly threshold").fill("many")
    camera.submit("form-invalid")


def form_invalid_everywhere(camera: Camera, panel: Panel) -> None:
    """Every text field of each noun's new form gets what it cannot take."""
    for name, path in (
        ("virtual-host", "/virtual-hosts/new"), ("path", "/virtual-hosts/1/paths/new"), ("header-rule", "/virtual-hosts/1/headers/new"),
        ("override", "/policies/2/rules/new"), ("exclusion", "/policies/2/exclusions/new"), ("certificate", "/certificates/new"),
        ("custom-rule", "/policies/2/custom-rules/new"), ("body-reading", "/policies/2/body-readings/new"),
        ("client-ca", "/client-cas/new"), ("address-list", "/access/lists/new"), ("traffic", "/system/traffic/edit"),
    ):  # fmt: skip
        page = open_page(camera, path)
        page.evaluate(
            """() => { for (const field of document.querySelectorAll("main form.form :is(input[type=text], textarea)"))
                if (!field.name.startsWith("version")) field.value = "\\u00a7 !! not valid"; }"""
        )
        camera.submit(f"form-invalid-{name}")


def confirmation(camera: Camera, panel: Panel) -> None:
    """The last server is taken out."""
    page = open_page(camera, "/virtual-hosts/2/edit")
    page.locator("[name='servers.0.enabled']").evaluate("box => { box.checked = false }")
    camera.submit("confirmation")


def merged_form(camera: Camera, panel: Panel) -> None:
    page = open_page(camera, "/virtual-hosts/2/edit")
    page.locator("#f-notes").evaluate("field => { field.value = 'Moves to the new CMS in autumn.' }")
    with bearer(panel) as api:
        api.patch("/vhosts/10", json={"description": "Moves to the new CMS in summer.", "health_check_interval": 7})
    camera.submit("merged-form")


def form_of_deleted_row(camera: Camera, panel: Panel) -> None:
    with bearer(panel) as api:
        number = api.post("/address-lists", json={"name": "Short-lived", "entries": "192.0.2.99"}).json()["id"]
        page = open_page(camera, f"/access/lists/{number}/edit")
        page.locator("#f-notes").evaluate("field => { field.value = 'Typed before it was deleted.' }")
        api.delete(f"/address-lists/{number}")
    camera.submit("form-of-deleted-row")


def saved(camera: Camera, panel: Panel) -> None:
    """With the toast, and the page of its progress."""
    page = open_page(camera, "/policies/4/edit")
    key = page.locator("[name=save_key]").first.input_value()
    page.get_by_label("Description").fill("Nobody dares to touch them, and nobody has to.")
    page.get_by_role("button", name=GO_LIVE).click()
    page.locator(".toast").hover()
    camera.shoot("saved", "the toast after a save", whole=False)
    camera.take("save-ended", f"/saves/{key}/progress")


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def agent(panel: Panel) -> int:
    transport = httpx2.HTTPTransport(uds=str(panel.data / "run" / "agent-control.sock"))
    with httpx2.Client(transport=transport) as client:
        return int(json.loads(client.get("http://agent/v1/status").text)["pid"])


def saving(camera: Camera, panel: Panel) -> None:
    """The steps of a save, while the agent does not respond. The save ends after it does."""
    page = open_page(camera, "/policies/2/edit")
    page.get_by_label("Inbound anomaly threshold").fill("6")
    page.evaluate("window.scrollTo(0, 0)")
    camera.shoot("unsaved", "a form with a change", whole=False)
    page.set_viewport_size({"width": 1440, "height": 900})
    with stopped(agent(panel)):
        page.get_by_role("button", name=GO_LIVE).click()
        page.locator("[data-steps] li").first.wait_for()
        page.wait_for_timeout(1500)
        camera.shoot("saving", "the steps of a save", whole=False)
        open_page(camera, "/virtual-hosts")
        page.locator("#banner .banner").wait_for()
        camera.shoot("agent-not-responding", "the agent is stopped")


def form_without_agent(camera: Camera, panel: Panel) -> None:
    """What comes back of a save while the agent does not respond."""
    open_page(camera, "/policies/2/edit").get_by_label("Inbound anomaly threshold").fill("7")
    with stopped(agent(panel)):
        camera.submit("form-without-agent")


def command(panel: Panel, text: str) -> None:
    with socket.socket(socket.AF_UNIX) as master:
        master.connect(str(panel.data / "run" / "haproxy-master.sock"))
        master.sendall(f"{text}\n".encode())
        master.shutdown(socket.SHUT_WR)
        while master.recv(4096):
            pass


def drift(camera: Camera, panel: Panel) -> None:
    command(panel, "@1 set map hosts.map blog.example 77")
    page = open_page(camera, "/system/drift")
    for _ in range(120):
        if page.locator("#banner .banner").count():
            break
        page.wait_for_timeout(1000)
        page.reload()
    camera.shoot("drift", "a map was changed by hand")
    camera.take("drift-dashboard", "/")
    camera.take("drift-system", "/system")
    open_page(camera, "/policies/4/edit").get_by_label("Description").fill("Typed while HAProxy had drifted.")
    camera.submit("drift-asked")
    open_page(camera, "/system/drift").get_by_role("button", name=re.compile("Redeploy")).last.click()
    page.get_by_role("heading", name="No drift").wait_for()


def restored_alone(camera: Camera, panel: Panel) -> None:
    """*Delete only this* was pressed for what is in use."""
    page = open_page(camera, "/changes/2/restore")
    page.get_by_role("button", name="Delete only Shop", exact=True).first.click()
    page.locator("[data-refusal], .toast").first.wait_for()
    camera.shoot("restored-alone", "one thing of a restore")


def backup_confirmation(camera: Camera, panel: Panel) -> None:
    with Person(panel) as ada:
        answer = ada.client.post("/system/backup/download", data={"passphrase": "", "password": PASSWORD})
    file = camera.out / "backup.tar.gz"
    file.write_bytes(answer.content)
    with bearer(panel) as api:
        api.patch("/vhosts/10", json={"description": "Changed since the backup."})
    page = open_page(camera, "/system/backup")
    page.get_by_label("Backup file").set_input_files(file)
    page.get_by_role("button", name="Check backup").click()
    page.get_by_role("heading", name="Restore this backup?").wait_for()
    camera.shoot("backup-confirmation", "a backup that was uploaded")


def token_shown(camera: Camera, panel: Panel) -> None:
    page = open_page(camera, "/system/tokens")
    for name in ("Deployments of the shop", "Nightly export"):
        page.locator("#f-name").fill(name)
        page.get_by_role("button", name="Create token").click()
        page.get_by_text(f"Copy the token of {name} now").wait_for()
    camera.shoot("token-shown", "a token was created")
    camera.take("tokens-several", "/system/tokens")
    page.locator("#f-name").evaluate("field => { field.value = 'x'.repeat(200) }")
    camera.submit("form-invalid-token")


def import_read(camera: Camera, panel: Panel) -> None:
    page = open_page(camera, "/system/import")
    page.locator("textarea").first.fill(HAPROXY)
    page.get_by_role("button", name=re.compile("Read|Import|Check")).first.click()
    page.get_by_text("imported,").first.wait_for()
    camera.shoot("import-read", "a haproxy.cfg was read")


def trials(camera: Camera, panel: Panel) -> None:
    page = open_page(camera, "/virtual-hosts/1")
    page.locator("#trials button").last.click()
    page.locator("#trials .result").wait_for()
    camera.shoot("trial", "a test attack was sent")


def tried(camera: Camera, panel: Panel) -> None:
    """Requests that were tried under a policy and under a draft."""
    attack = "GET /products?id=1%27%20OR%20%271%27=%271 HTTP/1.1\nHost: shop.example\nUser-Agent: Mozilla/5.0\n\n"
    for name, path in (("policy-tested", "/policies/2/test"), ("custom-rule-tried", "/policies/2/custom-rules/1/edit")):
        page = open_page(camera, path)
        page.locator("#f-request").fill(attack)
        page.get_by_role("button", name=re.compile("Test request")).click()
        page.locator("#tried > *").first.wait_for()
        camera.shoot(name, "a request was tried")


def menus(camera: Camera, panel: Panel) -> None:
    """What floats."""
    for name, path, selector in (
        ("menu-filter", "/virtual-hosts", ".filter summary"), ("menu-events-filter", "/events?time=7d", ".filters details:has(.wide) summary"),
        ("menu-row", "/virtual-hosts", "tbody .c-actions summary"), ("menu-more", "/virtual-hosts/1", ".page-head .actions summary"),
        ("menu-server", "/virtual-hosts/1", "tbody .c-actions summary"),
    ):  # fmt: skip
        page = open_page(camera, path)
        page.locator(selector).first.evaluate("summary => { summary.parentElement.open = true }")
        camera.shoot(name, "a menu is open", whole=False)
    page = open_page(camera, "/")
    page.locator(".side .user summary").click()
    camera.shoot("menu-user", "the user's menu", whole=False)
    page = open_page(camera, "/")
    page.evaluate("document.querySelector('#shortcuts').showModal()")
    camera.shoot("shortcuts", "the dialog of shortcuts", whole=False)
    page = open_page(camera, "/")
    page.set_viewport_size({"width": 390, "height": 844})
    page.locator("[data-open-menu]").click()
    camera.shoot("menu-main", "the menu of narrow windows", whole=False)


def everything_open(camera: Camera, panel: Panel) -> None:
    """Each folded part of the long forms and pages."""
    for name, path in (
        ("virtual-host-new", "/virtual-hosts/new"), ("virtual-host-edit", "/virtual-hosts/1/edit"), ("policy-edit", "/policies/2/edit"),
        ("certificate-new", "/certificates/new"), ("exclusion-new", "/policies/2/exclusions/new"), ("traffic-edit", "/system/traffic/edit"),
        ("virtual-host", "/virtual-hosts/1"), ("certificate-ordered", "/certificates/3"), ("address-list-new", "/access/lists/new"),
        ("policy", "/policies/2"), ("virtual-host-traffic", "/virtual-hosts/1/traffic"),
    ):  # fmt: skip
        page = open_page(camera, path)
        page.evaluate(
            "for (const part of document.querySelectorAll('main details:not([data-popover])')) part.open = true"
        )
        camera.shoot(f"{name}-open", "all that is folded is open")


def errors(camera: Camera, panel: Panel) -> None:
    with sqlite3.connect(panel.data / "guardpanel.db", timeout=60) as database:
        database.execute("ALTER TABLE clientca RENAME TO clientca_away")
    try:
        camera.take("error-500", "/client-cas")
    finally:
        with sqlite3.connect(panel.data / "guardpanel.db", timeout=60) as database:
            database.execute("ALTER TABLE clientca_away RENAME TO clientca")
    page = open_page(camera, "/policies/new")
    page.route("**/policies", lambda route: route.continue_(headers={**route.request.headers, "origin": "https://elsewhere.example",
                                                                     "sec-fetch-site": "cross-site"}))  # fmt: skip
    camera.submit("error-403-origin")
    page.unroute("**/policies")


STATES: tuple[State, ...] = (
    form_rejected_by_engine, form_invalid, form_invalid_everywhere, confirmation, merged_form, form_of_deleted_row, saved, saving,
    form_without_agent, drift, restored_alone, backup_confirmation, token_shown, import_read, trials, tried, menus, everything_open, errors,
)  # fmt: skip
