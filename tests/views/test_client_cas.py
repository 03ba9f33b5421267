"""The pages of client CAs."""

from pathlib import Path

import httpx2
import pytest

from guardpanel.feed_reach import FeedReach
from guardpanel.models import ClientCa
from guardpanel.panel import Panel
from guardpanel.services import client_cas
from guardpanel.services.https.revocation_lists import RevocationLists
from tests.certificates.made import DAY, NOW, Made, intermediate, root
from tests.certificates.test_client_cas import lists, whole
from tests.factories import a_client_ca, a_virtual_host
from tests.html import read

pytestmark = pytest.mark.anyio

PLACE = "/client-cas"


async def test_one_is_added_shown_edited_found_and_deleted(ada: httpx2.AsyncClient) -> None:
    made = await ada.post(PLACE, data=a_client_ca(whole(), notes="Cards of the staff"))
    assert made.headers["location"] == f"{PLACE}/1"
    for page in (PLACE, f"{PLACE}/1"):
        assert "Example Root" in read((await ada.get(page)).text).text
    assert f'href="{PLACE}/1"' in (await ada.get("/search?q=Staff")).text

    edited = await ada.post(f"{PLACE}/1", data=a_client_ca(whole(), revocation_lists=lists()))

    assert edited.headers["location"] == f"{PLACE}/1"
    assert "Staff: revocation lists" in read((await ada.get("/changes")).text).text
    assert (await ada.post(f"{PLACE}/1/delete", data={"version": "2"})).headers["location"] == PLACE


async def test_files_become_the_text_of_the_form(ada: httpx2.AsyncClient) -> None:
    files = [("file", ("ca.p7b", root().pkcs7([intermediate()]))), ("file", ("ca.crl", lists().encode()))]

    rejected = await ada.post(PLACE, data=a_client_ca("", called=""), files=files)
    form = read(rejected.text)
    accepted = await ada.post(PLACE, data=a_client_ca("typed"), files=files)

    assert rejected.status_code == 422
    assert form.value("revocation_lists").strip() == lists().strip()
    assert form.value("certificates").count("BEGIN CERTIFICATE") == 2
    assert accepted.status_code == 303, read(accepted.text).text


@pytest.mark.parametrize("in_file", [False, True])
async def test_no_page_shows_a_private_key_that_was_sent(ada: httpx2.AsyncClient, in_file: bool) -> None:
    secret: Made = root()
    text = whole() + secret.key_pem
    files = [("file", ("ca.pem", text.encode()))] if in_file else []

    rejected = await ada.post(PLACE, data=a_client_ca("" if in_file else text), files=files)

    field = "file" if in_file else "certificates"
    assert rejected.status_code == 422
    assert "This contains a private key." in read(rejected.text).text
    assert f'id="f-{field}-error"' in rejected.text
    assert secret.key_pem.splitlines()[1] not in rejected.text


async def test_the_page_reports_what_became_of_the_downloads(
    ada: httpx2.AsyncClient, panel: Panel, tmp_path: Path
) -> None:
    file = tmp_path / "all.crl"
    await ada.post(PLACE, data=a_client_ca(whole(), revocation_list_urls=f"file://{file}"))

    async def page() -> str:
        return read((await ada.get(f"{PLACE}/1")).text).text

    assert "will be downloaded in a few seconds" in await page()
    await panel.revocation_lists.look()
    assert "Download failed" in await page() and "GUARDPANEL_FEED_FILES names no directory" in await page()
    assert "Until then, revoked certificates are accepted." in await page()
    file.write_text(lists())
    panel.revocation_lists = RevocationLists(panel.changes, FeedReach(files=tmp_path))
    await panel.revocation_lists.download(1)
    assert "Revocation lists downloaded" in await page() and f"file://{file}" in await page()
    assert "Staff: revocation lists" in read((await ada.get("/changes")).text).text


async def test_lists_are_downloaded_on_request(
    ada: httpx2.AsyncClient, vera: httpx2.AsyncClient, panel: Panel, tmp_path: Path
) -> None:
    file, one = tmp_path / "all.crl", f"{PLACE}/1"
    panel.revocation_lists = RevocationLists(panel.changes, FeedReach(files=tmp_path))
    await ada.post(PLACE, data=a_client_ca(whole(), revocation_list_urls=f"file://{file}"))

    failed = await ada.post(f"{one}/revocation-lists/download")
    assert failed.status_code == 303 and "Download failed" in (await ada.get(one)).text
    file.write_text(lists())
    assert (await vera.post(f"{one}/revocation-lists/download")).status_code == 403
    await ada.post(f"{one}/revocation-lists/download")

    page = (await ada.get(one)).text
    assert "Revocation lists downloaded" in page and f'action="{one}/revocation-lists/download"' in page
    assert "Download now" not in (await vera.get(one)).text
    async with panel.database.read() as session:
        assert (await client_cas.find(session, 1)).revocation_lists == lists()


async def test_downloads_over_json(ada_api: httpx2.AsyncClient, panel: Panel, tmp_path: Path) -> None:
    file, one = tmp_path / "all.crl", "/api/v1/client-cas/1/revocation-lists"
    panel.revocation_lists = RevocationLists(panel.changes, FeedReach(files=tmp_path))
    body = {"name": "Staff", "certificates": whole()}
    await ada_api.post("/api/v1/client-cas", json=body)
    assert [(await ada_api.get(one)).status_code, (await ada_api.post(f"{one}/download")).status_code] == [409, 409]
    await ada_api.patch("/api/v1/client-cas/1", json={"revocation_list_urls": [f"file://{file}"]})
    assert (await ada_api.get(one)).json()["tried_at"] is None

    failed = (await ada_api.post(f"{one}/download")).json()
    file.write_text(lists())
    good = (await ada_api.post(f"{one}/download")).json()

    assert (failed["failures"], failed["is_stale"], failed["checked_at"]) == (1, True, None)
    assert "The file can’t be read" in failed["problem"]
    assert (good["failures"], good["problem"], good["checked_at"]) == (0, "", good["tried_at"])
    assert (await ada_api.get(one)).json() == good
    assert (await ada_api.get("/api/v1/client-cas/1")).json()["revocation_lists"] == lists()
    assert (await ada_api.post("/api/v1/client-cas/2/revocation-lists/download")).status_code == 404


async def test_an_ended_list_is_said_wherever_its_virtual_host_is(ada: httpx2.AsyncClient, panel: Panel) -> None:
    await ada.post(PLACE, data=a_client_ca(whole(), revocation_lists=lists()))
    asking = {"https": "on", "client_certificates": "required", "client_ca_id": "1"}
    added = await ada.post("/virtual-hosts", data=a_virtual_host(**asking))
    assert added.status_code == 303, read(added.text).text
    async with panel.database.write() as session:
        row = await session.get(ClientCa, 1)
        assert row is not None
        row.revocation_lists = lists(days=(-30, -1.5))
        session.add(row)

    for page, words in {
        "/": "HAProxy rejects every client certificate of its CA.",
        PLACE: "CRL ended 1 day ago",
        f"{PLACE}/1": "HAProxy rejects every client certificate of this CA",
        "/virtual-hosts/1": "required, Staff CRL ended 1 day ago Every client certificate is rejected.",
    }.items():
        assert words in read((await ada.get(page)).text).text, page
    gauge = 'guardpanel_client_ca_not_after_timestamp_seconds{client_ca="Staff",id="1"}'
    values = [line.split()[-1] for line in (await ada.get("/metrics")).text.splitlines() if line.startswith(gauge)]
    assert [float(value) for value in values] == [(NOW - 1.5 * DAY).timestamp()]
    assert "Staff is in use" in read((await ada.get(f"{PLACE}/1/delete")).text).text
