"""What every answer has, and what no request may do."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from guardpanel.app import create_app
from guardpanel.middleware import CONTENT_SECURITY_POLICY, LARGEST_BODY
from guardpanel.panel import Panel
from guardpanel.settings import Settings
from tests.conftest import running, someone
from tests.factories import a_virtual_host
from tests.fakes import FAKES, FakeEngines
from tests.faults import Faults
from tests.html import read

pytestmark = pytest.mark.anyio

PUBLIC = {
    ("GET", "/login"),
    ("POST", "/login"),
    ("GET", "/setup/{token}"),
    ("POST", "/setup/{token}"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/static/{digest}/{path:path}"),
    ("HEAD", "/static/{digest}/{path:path}"),
    ("POST", "/api/v1/auth/login"),
    ("POST", "/api/v1/auth/refresh"),
    ("POST", "/api/v1/auth/logout"),
}

VIEWERS_MAY = {
    ("POST", "/logout"),
    ("POST", "/theme"),
    ("POST", "/virtual-hosts/{virtual_host_id}/trials"),
    ("POST", "/api/v1/vhosts/{virtual_host_id}/test-requests"),
}
"What a viewer may send beside the public ones: it changes nothing of what runs."


def routes() -> Iterator[tuple[str, str]]:
    for route in iter_route_contexts(create_app(Settings(data_dir="/nowhere")).routes):
        for method in sorted(route.methods or ()):
            yield method, str(route.path)


GUARDED = [route for route in routes() if route not in PUBLIC]
WRITES = [route for route in GUARDED if route[0] not in {"GET", "HEAD"} and route not in VIEWERS_MAY]


def url(path: str) -> str:
    return re.sub(r"\{[^}]+\}", "1", path)


def test_the_walk_finds_the_routes() -> None:
    assert {("GET", "/"), ("POST", "/policies/{policy_id}"), ("PATCH", "/api/v1/vhosts/{virtual_host_id}")} <= set(
        GUARDED
    )
    assert set(routes()) >= PUBLIC | VIEWERS_MAY
    assert len(WRITES) >= 10


@pytest.mark.changes_nothing
async def test_every_address_refuses_who_is_not_logged_in(nobody: httpx2.AsyncClient) -> None:
    answers = {(method, path): await nobody.request(method, url(path)) for method, path in GUARDED}

    assert not {route: answer.text for route, answer in answers.items() if not asks_to_log_in(route[1], answer)}


def asks_to_log_in(path: str, answer: httpx2.Response) -> bool:
    if path.startswith("/api/"):
        is_bearer = answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
        return is_bearer and bool(answer.json()["detail"])
    return answer.status_code == 303 and answer.headers["location"].startswith("/login")


@pytest.mark.changes_nothing
async def test_no_write_is_open_to_a_viewer(vera: httpx2.AsyncClient, vera_api: httpx2.AsyncClient) -> None:
    requests = [(method, path, vera_api if path.startswith("/api/") else vera) for method, path in WRITES]
    answers = {(method, path): await person.request(method, url(path)) for method, path, person in requests}

    open_to_her = {
        route: answer.text
        for route, answer in answers.items()
        if answer.status_code != 403 or "view-only access" not in answer.text
    }
    assert not open_to_her


@pytest.mark.changes_nothing
async def test_a_session_cookie_is_no_key_to_the_api(ada: httpx2.AsyncClient) -> None:
    assert (await ada.get("/api/v1/policies")).status_code == 401
    assert (await ada.get("/api/v1/policies", headers={"host": "x/?"})).status_code == 401


@pytest.mark.changes_nothing
async def test_a_token_is_no_key_to_the_pages(ada_api: httpx2.AsyncClient) -> None:
    assert (await ada_api.get("/policies")).status_code == 303


@pytest.mark.parametrize(
    "path", ["/", "/login", "/nothing", "/healthz", "/api/v1/policies", "/api/v1/nothing", "/policies/77"]
)
@pytest.mark.changes_nothing
async def test_every_answer_has_its_headers(ada: httpx2.AsyncClient, path: str) -> None:
    answer = await ada.get(path)

    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cache-control"] == "no-store"
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])


@pytest.mark.changes_nothing
async def test_pages_can_be_told_from_their_parts(ada: httpx2.AsyncClient) -> None:
    assert (await ada.get("/")).headers["vary"] == "HX-Request-Type"


@pytest.mark.changes_nothing
async def test_static_files_are_kept_for_ever_under_their_hash(ada: httpx2.AsyncClient) -> None:
    files = re.findall(r'(?:href|src)="(/static/[^"#]+)"', (await ada.get("/")).text)

    assert files
    for path in files:
        answer = await ada.get(path)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        kinds = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
        assert answer.headers["content-type"].startswith(kinds[path.rsplit(".", 1)[1]])


@pytest.mark.parametrize(
    "path",
    [
        "/static/00000000/../app.py",
        "/static/00000000/..%2fapp.py",
        "/static/x//etc/passwd",
        "/static/x/css",
        "/static/x/",
    ],
)
@pytest.mark.changes_nothing
async def test_nothing_else_is_static(nobody: httpx2.AsyncClient, path: str) -> None:
    assert (await nobody.get(path)).status_code in {307, 404}


@pytest.mark.changes_nothing
async def test_an_old_hash_is_not_kept(nobody: httpx2.AsyncClient) -> None:
    assert (await nobody.get("/static/00000000/css/base.css")).headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "headers",
    [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "https://evil.example"}, {"origin": "null"},
     {"origin": "http://panel.test:81"}, {"sec-fetch-site": "cross-site", "origin": "http://panel.test"},
     {"sec-fetch-site": "cross-site", "authorization": "Basic YTpi"}],
)  # fmt: skip
@pytest.mark.changes_nothing
async def test_another_site_cannot_send_our_forms(ada: httpx2.AsyncClient, headers: dict[str, str]) -> None:
    answer = await ada.post("/virtual-hosts", data=a_virtual_host(), headers=headers)
    api = await ada.post("/api/v1/auth/refresh", headers=headers)

    assert answer.status_code == 403
    assert "Cross-site request rejected" in read(answer.text).text
    assert api.status_code == 403
    assert "Cross-site request rejected" in api.json()["detail"]
    assert (await ada.get("/virtual-hosts/1")).status_code == 404


@pytest.mark.parametrize(
    "headers",
    [{}, {"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}, {"origin": "http://panel.test"}, {"origin": "HTTP://PANEL.TEST/"},
     {"origin": "http://panel.test", "sec-fetch-site": "same-origin"}],
)  # fmt: skip
async def test_our_own_forms_are_taken(ada: httpx2.AsyncClient, headers: dict[str, str]) -> None:
    assert (await ada.post("/virtual-hosts", data=a_virtual_host(), headers=headers)).status_code == 303


async def test_a_program_with_a_token_may_come_from_anywhere(ada_api: httpx2.AsyncClient) -> None:
    answer = await ada_api.post("/api/v1/policies", json={"name": "A"}, headers={"sec-fetch-site": "cross-site"})

    assert answer.status_code == 201


@pytest.fixture
async def behind_proxy(settings: Settings, data_dir: object) -> AsyncIterator[FastAPI]:
    trusting = settings.model_copy(update={"trusted_origins": "https://panel.example, https://other.example/"})
    async with running(create_app(trusting, parts=FAKES)) as app:
        yield app


async def test_a_trusted_origin_may_differ_from_the_host(behind_proxy: FastAPI) -> None:
    async with someone(behind_proxy) as client:
        for origin in ("https://panel.example", "https://other.example"):
            assert (await client.post("/login", data={}, headers={"origin": origin})).status_code == 401
        assert (await client.post("/login", data={}, headers={"origin": "https://no.example"})).status_code == 403


async def in_pieces(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 4096 + 1):
        yield b"a" * 4096


@pytest.mark.parametrize(
    ("path", "kind"), [("/login", "application/x-www-form-urlencoded"), ("/api/v1/auth/login", "application/json")]
)
async def test_a_large_body_is_413_however_it_comes(nobody: httpx2.AsyncClient, path: str, kind: str) -> None:
    headers = {"content-type": kind}
    whole = await nobody.post(path, content=b"a" * (LARGEST_BODY + 1), headers=headers)
    chunked = await nobody.post(path, content=in_pieces(LARGEST_BODY), headers=headers)

    for answer in (whole, chunked):
        assert answer.status_code == 413
        assert "256 KiB" in answer.text
        assert answer.headers["x-request-id"]
        if path.startswith("/api/"):
            assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("length", ["-1", "1e3", "٣", "99999999999999999999"])
async def test_invalid_content_length_returns_413(nobody: httpx2.AsyncClient, length: str) -> None:
    answer = await nobody.post("/login", content=b"", headers=[(b"content-length", length.encode())])

    assert answer.status_code == 413


async def test_a_method_that_an_address_does_not_take_names_those_that_it_does(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient
) -> None:
    page, api = await ada.put("/policies/1"), await ada_api.put("/api/v1/policies/1")

    assert (page.status_code, page.headers["allow"]) == (405, "GET, POST")
    assert (api.status_code, api.headers["allow"]) == (405, "DELETE, GET, PATCH")
    assert api.json()["code"] == "method_not_allowed"


async def test_a_fault_of_ours_says_nothing_of_the_inside(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, panel: Panel, caplog: pytest.LogCaptureFixture, faults: Faults
) -> None:
    async def broken() -> None:
        raise RuntimeError("the inside: /etc/secret")

    faults.expect()  # a look at the engines may fall into it
    panel.engines.status = broken  # type: ignore[assignment,method-assign]
    page, api = await ada.get("/"), await ada_api.get("/api/v1/runtime/status")

    for answer in (page, api):
        assert answer.status_code == 500
        assert "secret" not in answer.text
        assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        assert f"request {answer.headers['x-request-id']} failed" in caplog.text
        assert f"Search guardpanel’s log for request {answer.headers['x-request-id']}." in answer.text
    assert "Something went wrong" in read(page.text).text
    assert "Log in" not in read(page.text).text  # it is not known who asks
    assert api.json()["code"] == "internal_error"
    assert "/etc/secret" in caplog.text


@pytest.mark.changes_nothing
async def test_unknown_url_returns_404_with_a_link(ada: httpx2.AsyncClient, nobody: httpx2.AsyncClient) -> None:
    known, unknown = await ada.get("/nothing"), await nobody.get("/nothing")

    assert known.status_code == unknown.status_code == 404
    assert read(known.text).find("a", href="/")
    assert "evision" not in unknown.text


@pytest.mark.parametrize(
    "path", ["/policies/abc", "/policies/0", "/virtual-hosts/1.5", "/virtual-hosts/99999999999999999999999"]
)
@pytest.mark.changes_nothing
async def test_invalid_id_returns_404(ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, path: str) -> None:
    assert (await ada.get(path)).status_code == 404
    assert (await ada_api.get("/api/v1" + path.replace("virtual-hosts", "vhosts"))).status_code == 404


@pytest.mark.parametrize("drifted", [False, True])
async def test_many_pages_at_once_do_not_wait_for_each_other(
    ada: httpx2.AsyncClient, engines: FakeEngines, drifted: bool
) -> None:
    assert engines.running is not None
    if drifted:  # Then each looks twice.
        engines.running = replace(engines.running, checksum="another")
    async with asyncio.timeout(60):
        answers = await asyncio.gather(
            *(ada.get(path) for path in ("/policies", "/nothing", "/policies/9") for _ in range(15))
        )

    assert {answer.status_code for answer in answers} == {200, 404}
