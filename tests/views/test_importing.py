"""Import of a haproxy.cfg in the browser: nothing is saved before it was shown and confirmed."""

import httpx2
import pytest

from guardpanel.services.importing.source import LARGEST
from tests.html import read

pytestmark = pytest.mark.anyio

HOME = "/system/import"

TEXT = """\
defaults
  mode http
frontend web
  bind :80
  acl old hdr(host) -i old.example
  use_backend app if old
  http-response set-header X-<b>bold</b> %[src]
backend app
  server a 127.0.0.1:3000
  errorfile 503 /x
"""


async def test_a_configuration_is_read_shown_and_saved(ada: httpx2.AsyncClient) -> None:
    shown_page = await ada.post(HOME, files={"file": ("haproxy.cfg", TEXT.encode())})
    page = read(shown_page.text)
    hosts_before = read((await ada.get("/virtual-hosts")).text).text

    assert shown_page.status_code == 200
    assert "10 lines: 5 imported, 2 kept as notes, 3 not taken." in page.text
    assert "Added virtual host old.example" in page.text
    assert "servers of old.example" in page.text
    assert "<b>bold" not in shown_page.text
    assert "old.example" not in hosts_before

    site = page.value("site")
    saved = await ada.post(f"{HOME}/apply", data={"site": site.replace("old.example", "new.example")})

    assert saved.headers["location"] == "/virtual-hosts"
    assert "new.example" in read((await ada.get("/virtual-hosts")).text).text
    assert "10: errorfile 503 /x" in (await ada.get("/virtual-hosts/1")).text


@pytest.mark.changes_nothing
@pytest.mark.parametrize(
    ("text", "message"),
    [("<html>", "no section"), ("frontend a\0", "NUL byte"), ("frontend a\n" + "#" * LARGEST, "At most 2 MiB")],
)
async def test_what_is_no_configuration_is_refused_at_the_file(
    ada: httpx2.AsyncClient, text: str, message: str
) -> None:
    answer = await ada.post(HOME, files={"file": ("x", text.encode())})

    assert answer.status_code == 422
    assert message in read(answer.text).text


@pytest.mark.changes_nothing
async def test_what_was_typed_stays_and_files_are_named_to_be_chosen_again(ada: httpx2.AsyncClient) -> None:
    typed = await ada.post(HOME, data={"text": "no <section> here"}, files={"maps": ("hosts.map", b"a b")})
    chosen = await ada.post(HOME, files={"file": ("old.cfg", b"no section"), "maps": ("hosts.map", b"a b")})
    nothing = read((await ada.post(HOME, data={"text": " "})).text)

    page = read(typed.text)
    assert typed.status_code == 422
    assert (page.value("text"), page.error_at("text")) == ("no <section> here", True)
    assert "Choose hosts.map again" in page.text
    assert "<title>Error: Import" in typed.text.replace("\n", "")
    page = read(chosen.text)
    assert page.error_at("file")
    assert "Choose old.cfg again" in page.text
    assert "Choose a file, or paste its text." in nothing.text


@pytest.mark.changes_nothing
async def test_an_edited_site_file_is_checked_by_its_lines(ada: httpx2.AsyncClient) -> None:
    for verb in ("check", "apply"):
        answer = await ada.post(f"{HOME}/{verb}", data={"site": "virtual_hosts:\n- hostnames: [bad name]\n"})

        assert answer.status_code == 422
        assert "Line 2: virtual_hosts.0.hostnames" in read(answer.text).text
        assert "bad name" in answer.text


@pytest.mark.changes_nothing
async def test_viewers_do_not_import(vera: httpx2.AsyncClient) -> None:
    assert (await vera.get(HOME)).status_code == 403
    assert (await vera.post(HOME, files={"file": ("haproxy.cfg", TEXT.encode())})).status_code == 403


async def test_a_list_is_read_whole_or_refused(ada: httpx2.AsyncClient) -> None:
    answer = await ada.post(
        HOME, data={"text": TEXT}, files={"maps": ("names.lst", b"a.example\n" * (LARGEST // 10 + 1))}
    )

    assert answer.status_code == 422
    assert "names.lst: at most 2 MiB." in read(answer.text).text


@pytest.mark.parametrize("part", ["text", "files", "hostnames"])
@pytest.mark.changes_nothing
async def test_half_characters_in_json_are_refused(ada_api: httpx2.AsyncClient, part: str) -> None:
    half = "\\ud800"
    body = f'{{"text": "{half}"}}' if part == "text" else f'{{"text": "frontend a", "{part}": {{"a": "{half}"}}}}'
    answer = await ada_api.post(
        "/api/v1/configuration/import", content=body, headers={"content-type": "application/json"}
    )

    assert answer.status_code == 422
    assert "This is not UTF-8." in answer.text
