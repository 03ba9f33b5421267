"""The pages of path bindings."""

import httpx2
import pytest

from guardpanel.settings import Settings
from tests.factories import a_path_binding, a_policy, a_virtual_host
from tests.fakes import FakeEngines
from tests.html import read

pytestmark = pytest.mark.anyio

PLACE = "/virtual-hosts/1/paths"
BINDING = "/api/v1/vhosts/1/policy-bindings/1"
MOVED = {"enforcement_mode": "", "redirect": "301"}


def file(engines: FakeEngines, name: str) -> str:
    assert engines.running is not None
    return engines.running.files.get(name, b"").decode()


async def test_one_is_added_shown_edited_and_deleted(ada: httpx2.AsyncClient, engines: FakeEngines) -> None:
    await ada.post("/policies", data=a_policy("Strict"))
    await ada.post("/virtual-hosts", data=a_virtual_host("shop.example", policy_id="1"))
    made = await ada.post(
        PLACE, data=a_path_binding(path="/login/", policy_id="2", enforcement_mode="block", notes="Ask Ada")
    )
    assert made.headers["location"] == f"{PLACE}/1"
    page = read((await ada.get(f"{PLACE}/1")).text).text
    assert "Requests for /login and everything below are inspected, and attacks blocked, by policy Strict." in page
    assert file(engines, "paths.map") == "1:/login/ 1.1\n"
    assert "1.1 be_1;p" in file(engines, "vhosts.map")

    assert f'href="{PLACE}/1"' in (await ada.get("/virtual-hosts/1")).text
    assert f'href="{PLACE}/1"' in (await ada.get("/search?q=login")).text
    policy = read((await ada.get("/policies/2")).text).text
    assert "shop.example /login/…" in policy
    assert "/login of shop.example has a mode of its own, which overrides this one." in policy
    kept = read((await ada.get("/policies/2/delete")).text).text
    assert "1 virtual host" in kept
    assert "shop.example /login/…" in kept

    await ada.post(f"{PLACE}/1", data=a_path_binding(path="/login", policy_id="", enforcement_mode="off", version="1"))
    assert "Any attack on these paths passes." in read((await ada.get(f"{PLACE}/1")).text).text
    assert file(engines, "vhosts.map").endswith("1.1 be_1;-;0;pass;open;0;0;pass;-;0;0\n")
    changes = read((await ada.get("/changes")).text).text
    assert "shop.example: added path binding /login/…" in changes

    gone = await ada.post(f"{PLACE}/1/delete", data={"version": "2"})
    assert gone.headers["location"] == "/virtual-hosts/1"
    assert file(engines, "paths.map") == ""


@pytest.mark.changes_nothing
@pytest.mark.parametrize(
    ("field", "typed", "words"),
    [
        ("path", {"path": ""}, "Enter a path, such as /login."),
        ("path", {"path": "login"}, "Start the path with /."),
        ("path", {"path": "/a?b"}, "Enter the path without its query."),
        ("path", {"path": "/a%20b"}, "Enter the path decoded"),
        ("path", {"path": "/a b"}, "Enter the path without spaces."),
        ("path", {"path": "/a;b"}, "Enter the path without ;."),
        ("path", {"path": "/a//b"}, "Enter the path without //."),
        ("path", {"path": "/a\\b"}, "Enter the path without \\."),
        ("path", {"path": "/../b"}, "without . and .. segments"),
        (
            "path",
            {"path": "/admin/*"},
            "Remove the * at the end: there are no wildcards. A path can include everything below it.",
        ),
        ("path", {"path": "/a./b"}, "No part of the path may end in a dot."),
        ("path", {"path": "/"}, "Everything below / is the virtual host itself."),
        ("path", {"path": "/" + "é" * 120}, "At most 200 bytes."),
        ("redirect_to", {**MOVED, "redirect_to": "https://ada:secret@a.example/x"}, "without a user name and password"),
        ("own_servers", {"own_servers": "10.0.0.1:80 wieght=5"}, "wieght=5 means nothing here. Known are weight=50"),
        (
            "own_servers",
            {"own_servers": "10.0.0.1:80 weight=257"},
            "Enter a whole number of at most 256 after weight=.",
        ),
        ("own_servers", {"own_servers": "10.0.0.1:80/x"}, "Enter only the address and port, without a path."),
        (
            "own_servers",
            {"own_servers": "http://u:p@10.0.0.1"},
            "Enter only the address and port, without a user name and password.",
        ),
        ("server_path", {"server_path": "v2"}, "Start the path with /."),
        ("server_path", {"server_path": "//evil.example"}, "without //, . and .. segments."),
        ("server_path", {"server_path": "/a/%2E%2e"}, "without //, . and .. segments."),
        ("server_path", {"server_path": "/a%2fb"}, "without //, . and .. segments."),
        ("server_path", {"server_path": "/a?b"}, "letters, digits and the signs of URLs"),
        ("server_timeout", {"server_timeout": "0"}, "At least 1."),
        (
            "cors_credentials",
            {"own_cors": "on", "cors_origins": "*", "cors_credentials": "on"},
            "name the allowed origins",
        ),
        ("enforcement_mode", {"enforcement_mode": ""}, "Choose a policy, a mode, a redirect, a login, or delivery."),
        (
            "requires_login",
            {**MOVED, "redirect_to": "/new", "requires_login": "on"},
            "Redirects are sent without asking for a login.",
        ),
        ("redirect_to", {**MOVED, "redirect_to": ""}, "Enter a URL or a path to redirect to."),
        ("redirect_to", {**MOVED, "redirect_to": "//evil.example"}, "Start with https:// and a hostname"),
        ("redirect_to", {**MOVED, "redirect_to": "new"}, "Start with https:// and a hostname"),
        ("redirect_to", {**MOVED, "redirect_to": "javascript:alert(1)"}, "Start with https:// and a hostname"),
        ("redirect_to", {**MOVED, "redirect_to": "/\\evil.example"}, "letters, digits and the signs of URLs"),
        ("redirect_to", {**MOVED, "redirect_to": "https://a@evil.example/"}, "without a user name"),
        (
            "redirect_to",
            {**MOVED, "redirect_to": "https://new.example:99999/"},
            "The port must be between 1 and 65535.",
        ),
        ("redirect_to", {**MOVED, "redirect_to": "/a\r\nSet-Cookie: a=b"}, "invisible character"),
        ("redirect_to", {**MOVED, "redirect_to": "/caf\u00e9"}, "encoded"),
        ("redirect_to", {**MOVED, "redirect_to": "/100%"}, "encoded"),
        ("redirect_to", {**MOVED, "redirect_to": "http://"}, "Start with https:// and a hostname"),
        ("redirect_to", {**MOVED, "redirect_to": "/new#top"}, "Leave out # and what follows it."),
        ("redirect_to", {**MOVED, "redirect_to": "/" + 1000 * "a"}, "At most 1,000 characters."),
        ("redirect_to", {**MOVED, "redirect_to": "/API/v2"}, "redirected in a circle: /api → /API/v2 → …"),
        ("redirect_to", {**MOVED, "redirect_to": "http://shop.example/api"}, "in a circle: /api → shop.example/api"),
        (
            "redirect_rest",
            {**MOVED, "redirect_to": "/new?x=1", "redirect_rest": "on"},
            "The target has a query already.",
        ),
        ("policy_id", {"policy_id": "77"}, "Policy not found."),
    ],
)
async def test_what_cannot_be_bound_is_rejected(
    ada: httpx2.AsyncClient, field: str, typed: dict[str, str], words: str
) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host("shop.example"))
    answer = await ada.post(PLACE, data=a_path_binding(**typed))

    assert answer.status_code == 422
    assert f'id="f-{field}-error"' in answer.text
    assert words in read(answer.text).text


async def test_a_path_is_bound_once(ada: httpx2.AsyncClient) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host("shop.example"))
    await ada.post(PLACE, data=a_path_binding(path="/Login"))

    double = await ada.post(PLACE, data=a_path_binding(path="/login/"))
    exact = await ada.post(PLACE, data=a_path_binding(path="/login", path_match="exact"))

    assert double.status_code == 409
    assert "/Login/… is bound already." in read(double.text).text
    assert exact.status_code == 303


async def test_paths_go_with_their_virtual_host_and_come_back_with_it(
    ada: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host("shop.example"))
    await ada.post(PLACE, data=a_path_binding())
    assert "1 path binding" in read((await ada.get("/virtual-hosts/1/delete")).text).text
    await ada.post("/virtual-hosts/1/delete", data={"version": "1"})
    assert file(engines, "paths.map") == ""

    last = (await ada.get("/changes")).text
    number = max(int(part.split('"')[0]) for part in last.split("/changes/")[1:] if part.split('"')[0].isdigit())
    await ada.post(f"/changes/{number}/undo")
    assert file(engines, "paths.map").startswith("1:/api/ ")


async def test_delivery_of_its_own_is_on_its_page_and_in_haproxys_file(
    ada: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host("shop.example"))
    own = {"enforcement_mode": "", "own_servers": "10.0.0.7:3000", "server_path": "/v2", "server_timeout": "300"}
    await ada.post(PLACE, data=a_path_binding(**own, own_cors="on"))

    page = read((await ada.get(f"{PLACE}/1")).text).text
    for words in ("http://10.0.0.7:3000", "Path sent to servers /v2", "Server timeout 300 s", "Allowed origins none"):
        assert words in page
    assert "Retries" not in page
    assert "server p1 10.0.0.7:3000 check" not in file(engines, "haproxy.cfg")
    assert "backend be_1.1\n" in file(engines, "haproxy.cfg")
    assert "delivery" in read((await ada.get("/virtual-hosts/1")).text).text
    form = read((await ada.get(f"{PLACE}/1/edit")).text)
    assert (form.values["own_servers"], form.values["server_timeout"], form.values["retries"]) == (
        ["http://10.0.0.7:3000"],
        ["300"],
        [""],
    )


async def test_a_paths_own_server_is_taken_out_and_back(ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient) -> None:
    typed = "10.0.0.7 Weight=50 connections=20  backup\n10.0.0.8:81 weight=100 draining\n10.0.0.7:80"
    await ada.post("/virtual-hosts", data=a_virtual_host("shop.example"))
    assert (await ada.post(PLACE, data=a_path_binding(enforcement_mode="", own_servers=typed))).status_code == 303

    async def lines() -> list[str]:
        return list((await ada_api.get(BINDING)).json()["own_servers"])

    first, second = "http://10.0.0.7:80 weight=50 connections=20 backup", "http://10.0.0.8:81"
    assert await lines() == [first, f"{second} draining"]
    out = {"server": "http://10.0.0.7:80", "state": "disabled"}
    asked = await ada_api.put(f"{BINDING}/servers/state", json=out)
    assert (asked.status_code, asked.json()["code"]) == (409, "needs_confirmation")
    await ada.post(f"{PLACE}/1/servers", data=out)
    assert (
        "No server would take requests: visitors get 503. Edit the path binding" in (await ada.get(f"{PLACE}/1")).text
    )

    back = await ada_api.put(f"{BINDING}/servers/state", json={"server": second, "state": "ready"})
    assert back.status_code == 200, back.text
    assert (await ada.post(f"{PLACE}/1/servers", data=out)).headers["location"] == f"{PLACE}/1"
    assert await lines() == [f"{first} disabled", second]
    page = read((await ada.get(f"{PLACE}/1")).text).text
    assert "http://10.0.0.7:80 backup Disabled" in page

    for wrong in ({"server": "http://10.0.0.9:80", "state": "ready"}, {"server": second, "state": "gone"}):
        answer = await ada_api.put(f"{BINDING}/servers/state", json=wrong)
        assert answer.status_code == (404 if wrong["state"] == "ready" else 422)
    assert await lines() == [f"{first} disabled", second]


async def test_haproxy_itself_is_no_server_of_a_path(ada: httpx2.AsyncClient, settings: Settings) -> None:
    host, port = settings.http_binds[0]
    await ada.post("/virtual-hosts", data=a_virtual_host("shop.example"))
    answer = await ada.post(PLACE, data=a_path_binding(own_servers=f"10.0.0.7:80\n{host}:{port}"))

    assert answer.status_code == 422
    assert "HAProxy itself listens on" in read(answer.text).text


async def test_a_wrong_field_is_not_also_called_no_difference(ada: httpx2.AsyncClient) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host("shop.example"))
    answer = await ada.post(PLACE, data=a_path_binding(enforcement_mode="", server_path="v2"))

    assert ('id="f-server_path-error"' in answer.text, 'id="f-enforcement_mode-error"' in answer.text) == (True, False)


async def test_a_path_leads_to_what_else_protects_it(ada: httpx2.AsyncClient) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host("shop.example"))
    assert 'href="/virtual-hosts/1/logins/new">add one' in (await ada.get(f"{PLACE}/new")).text
    await ada.post(PLACE, data=a_path_binding(path="/admin", policy_id="1"))
    link = "/access/lists/new?kind=only&applies_to=virtual_hosts&virtual_host_ids=1&paths=/admin"
    assert read((await ada.get(f"{PLACE}/1")).text).find("a", href=link)

    form = read((await ada.get(link)).text)

    assert (form.value("kind"), form.value("applies_to"), form.value("paths")) == ("only", "virtual_hosts", "/admin")
    assert form.find("input", name="virtual_host_ids", value="1")[0].get("checked") == ""
