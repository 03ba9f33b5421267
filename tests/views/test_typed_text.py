"""Whatever somebody types into a field: it is saved as text or refused at that field, shown as typed, and never a fault."""

import html
from collections.abc import Callable

import httpx2
import pytest

from guardpanel.panel import Panel
from tests.corpus import CORPUS
from tests.factories import Form, a_policy, a_virtual_host
from tests.fakes import FakeEngines
from tests.html import read

pytestmark = pytest.mark.anyio

FIELDS: list[tuple[str, Callable[..., Form], str]] = [
    *(("/virtual-hosts/1", a_virtual_host, name) for name in (
        "name", "hostnames", "notes", "health_check_path", "health_check_status", "health_check_host", "tls_name", "tls_ca",
        "servers.0.address", "servers.0.weight", "servers.0.scheme", "health_check_interval", "balance", "tls_verify", "policy_id",
        "enforcement_mode", "version", "save_key",
    )),
    *(("/policies/1", a_policy, name) for name in (
        "name", "description", "allowed_methods", "allowed_content_types", "skip_paths", "masked_fields", "inbound_anomaly_threshold", "enforcement_mode",
        "fail_mode", "over_limit", "blocking_paranoia_level",
    )),
]  # fmt: skip

NOT_SHOWN = {"version", "save_key", "servers.0.scheme", "balance", "tls_verify", "policy_id", "enforcement_mode", "fail_mode", "over_limit",
             "blocking_paranoia_level"}  # fmt: skip
"""Hidden, or a choice among what there is: a value that is none of them is refused, but cannot be shown chosen."""


def as_a_browser_shows(text: str) -> str:
    """What a text field holds after a page was read: NUL is replaced, and line ends are one character."""
    return html.unescape(html.escape(text)).replace("\0", "\ufffd").replace("\r\n", "\n").replace("\r", "\n")


@pytest.mark.parametrize(("path", "form", "name"), FIELDS, ids=[f"{path[1:-2]} {name}" for path, _, name in FIELDS])
async def test_typed_text_is_only_text(
    ada: httpx2.AsyncClient, engines: FakeEngines, panel: Panel, path: str, form: Callable[..., Form], name: str
) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host())
    answer = await ada.post(path, data=form(**{name: "'"}))
    scripts = len(read((await ada.get(path + "/edit")).text).find("script"))

    for typed in CORPUS:
        answer = await ada.post(path, data=form(**{name: typed}))

        assert answer.status_code in {303, 412, 422}, (typed[:100], answer.text[-2000:])
        if answer.status_code == 303:
            shown = await ada.get(path)
            assert shown.status_code == 200, typed[:100]
            page = read(shown.text)
        else:
            page = read(answer.text)
            assert name in NOT_SHOWN or page.find("a", href=f"#f-{name}"), typed[:100]
            if name not in NOT_SHOWN:
                assert as_a_browser_shows(page.value(name)) == as_a_browser_shows(typed), typed[:100]
        assert len(page.find("script")) == scripts, typed[:100]
        assert not page.find("img"), typed[:100]
        assert not [tag for tag, found in page.tags if any(key.startswith("on") for key in found)], typed[:100]


@pytest.mark.parametrize("field", ["email", "password", "next"])
async def test_the_log_in_page_shows_what_was_typed_as_text(
    nobody: httpx2.AsyncClient, panel: Panel, field: str
) -> None:
    for typed in CORPUS:
        panel.accounts.attempts.__init__()  # type: ignore[misc]
        answer = await nobody.post("/login", data={"email": "a", "password": "b", "next": "/", field: typed})
        page = read(answer.text)

        assert answer.status_code == 401, typed[:100]
        assert not page.find("img")
        assert "<script>alert" not in answer.text
        if field == "email":
            assert as_a_browser_shows(page.value("email")) == as_a_browser_shows(typed)


async def test_bytes_that_are_no_text_are_refused_and_no_fault(ada: httpx2.AsyncClient) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    for body in (
        b"name=%ff%fe&hostnames=%c3%28",
        b"\xff\xfe",
        b"&&&=&",
        b"name",
        b"=" * 100,
        b"%00=%00",
        b"a=1&" * 200,
    ):
        answer = await ada.post("/policies", content=body, headers=headers)
        assert answer.status_code == 422, body


async def test_more_fields_than_any_form_has_are_refused(ada: httpx2.AsyncClient) -> None:
    body = "&".join(f"a{n}=" for n in range(4000)).encode()
    headers = {"content-type": "application/x-www-form-urlencoded"}

    assert (await ada.post("/policies", content=body, headers=headers)).status_code == 400


async def test_a_file_is_not_taken(ada: httpx2.AsyncClient) -> None:
    answer = await ada.post("/policies", files={"name": ("a.txt", b"x")})

    assert answer.status_code == 400
