"""Backup and restore in the browser: who may, what is asked first, and what is true afterwards."""

import io
import tarfile
from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import FastAPI
from sqlmodel import col, update

from guardpanel import middleware
from guardpanel.engines import Drift, Place
from guardpanel.lock import only_one
from guardpanel.models import User
from guardpanel.models.user import Role
from guardpanel.panel import Panel
from guardpanel.services.backups import sealing
from tests.conftest import ADA, PASSWORD, VERA, log_in, someone
from tests.factories import a_policy, a_virtual_host
from tests.fakes import FakeEngines
from tests.html import read

pytestmark = pytest.mark.anyio

HOME = "/system/backup"
WORDS = "correct horse battery"


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "COST", 2)


async def download(client: httpx2.AsyncClient, passphrase: str = "") -> bytes:
    answer = await client.post(f"{HOME}/download", data={"passphrase": passphrase, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return answer.content


async def upload(
    client: httpx2.AsyncClient, data: bytes, passphrase: str = "", name: str = "x.tar.gz"
) -> httpx2.Response:
    return await client.post(f"{HOME}/upload", files={"file": (name, data)}, data={"file_passphrase": passphrase})


async def waiting(client: httpx2.AsyncClient, data: bytes, passphrase: str = "") -> str:
    """The address of its confirmation."""
    answer = await upload(client, data, passphrase)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


async def restore(client: httpx2.AsyncClient, place: str, password: str = PASSWORD) -> httpx2.Response:
    return await client.post(f"{place}/restore", data={"password": password})


async def hosts(client: httpx2.AsyncClient) -> str:
    return read((await client.get("/virtual-hosts")).text).text


async def test_the_way_there_and_back(ada: httpx2.AsyncClient, app: FastAPI, panel: Panel) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host("bücher.example"))
    data = await download(ada)
    await ada.post("/virtual-hosts/1/delete", data={"version": "1"})
    await ada.post("/policies", data=a_policy())

    place = await waiting(ada, data)
    question = read((await ada.get(place)).text)
    answer = await restore(ada, place)

    assert "1 virtual host added" in question.text and "1 policy removed" in question.text
    assert ADA in question.text and "logs everyone out" in question.text
    assert "This machine’s history is kept" in question.text
    assert answer.headers["location"] == "/login"
    page = read((await ada.get("/login")).text)
    assert "Restored a backup of" in page.text and "Live in" in page.text
    assert (await ada.get("/")).status_code == 303, "logged out"
    await log_in(ada, ADA)
    assert "bücher.example" in await hosts(ada)
    assert "Restored a backup of" in read((await ada.get("/changes")).text).text
    assert not list(panel.settings.restore_dir.glob("*"))


async def test_a_download_is_not_cached(ada: httpx2.AsyncClient, panel: Panel) -> None:
    answer = await ada.post(f"{HOME}/download", data={"passphrase": "", "password": PASSWORD})

    assert answer.headers["content-disposition"].startswith('attachment; filename="guardpanel-')
    assert answer.headers["content-disposition"].endswith('.tar.gz"')
    assert answer.headers["cache-control"] == "no-store"
    assert int(answer.headers["content-length"]) == len(answer.content)
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
        assert tar.getnames() == ["manifest.json", "guardpanel.db"]
    assert not list(panel.settings.data_dir.glob(".backup-*"))


async def test_with_a_passphrase_it_is_encrypted_and_asked_for(ada: httpx2.AsyncClient) -> None:
    answer = await ada.post(f"{HOME}/download", data={"passphrase": WORDS, "password": PASSWORD})
    without, wrong = await upload(ada, answer.content), await upload(ada, answer.content, "another one")

    assert answer.headers["content-disposition"].endswith('.backup"')
    assert ADA.encode() not in answer.content
    for refused in (without, wrong):
        assert refused.status_code == 422
        assert read(refused.text).error_at("file_passphrase")
        assert WORDS not in refused.text
    assert (await waiting(ada, answer.content, WORDS)).startswith(HOME)


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"passphrase": "short", "password": PASSWORD}, "passphrase"), ({"passphrase": "", "password": "wrong"}, "password"), ({}, "password")],
)  # fmt: skip
async def test_a_download_that_cannot_be_says_why(ada: httpx2.AsyncClient, fields: dict[str, str], field: str) -> None:
    answer = await ada.post(f"{HOME}/download", data=fields)

    assert answer.status_code == 422
    assert read(answer.text).error_at(field)


async def test_a_restore_asks_who_is_there(ada: httpx2.AsyncClient) -> None:
    place = await waiting(ada, await download(ada))

    answer = await restore(ada, place, "wrong")

    assert answer.status_code == 422
    assert read(answer.text).error_at("password")
    assert (await ada.get("/changes")).text.count("Restored a backup") == 0


async def test_passwords_cannot_be_guessed_here_either(ada: httpx2.AsyncClient) -> None:
    answers = [await ada.post(f"{HOME}/download", data={"password": f"guess {n}"}) for n in range(7)]

    assert [answer.status_code for answer in answers[-2:]] == [429, 429]


@pytest.mark.parametrize("data", [b"", b"x", b"\x1f\x8b", b"<script>alert(1)</script>" * 1000])
@pytest.mark.changes_nothing
async def test_what_is_no_backup_is_refused_at_the_field(ada: httpx2.AsyncClient, panel: Panel, data: bytes) -> None:
    answer = await upload(ada, data, name="<b>x</b>")

    assert answer.status_code == 422
    assert read(answer.text).error_at("file")
    assert "<b>x</b>" not in answer.text
    assert not list(panel.settings.restore_dir.glob("*"))


async def test_no_file_is_said_to_be_none(ada: httpx2.AsyncClient) -> None:
    for answer in (await ada.post(f"{HOME}/upload", data={"file": "text"}), await ada.post(f"{HOME}/upload")):
        assert answer.status_code == 422
        assert read(answer.text).error_at("file")


async def test_a_file_that_is_too_large_is_413(ada: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "LARGER_BODIES", {f"{HOME}/upload": 300_000})

    assert (await upload(ada, bytes(280_000))).status_code == 422
    assert (await upload(ada, bytes(400_000))).status_code == 413
    assert (await ada.post(f"{HOME}/download", content=bytes(280_000))).status_code == 413


async def test_an_upload_can_be_deleted(ada: httpx2.AsyncClient, panel: Panel) -> None:
    place = await waiting(ada, await download(ada))

    answer = await ada.post(f"{place}/discard")

    assert answer.headers["location"] == HOME
    assert not list(panel.settings.restore_dir.glob("*"))
    gone = await ada.get(place)
    assert gone.status_code == 404
    assert "Choose the backup file again" in read(gone.text).text


async def test_a_restore_while_another_process_saves_is_409_and_can_be_tried_again(
    ada: httpx2.AsyncClient, panel: Panel
) -> None:
    place = await waiting(ada, await download(ada))

    with only_one(panel.settings.save_lock):
        refused = await restore(ada, place)

    assert refused.status_code == 409
    assert "Another guardpanel process is making a change" in read(refused.text).text
    assert (await ada.get("/")).status_code == 200, "still logged in"
    assert (await restore(ada, place)).status_code == 303


async def test_a_restore_only_overwrites_drift_after_confirmation(ada: httpx2.AsyncClient, panel: Panel) -> None:
    place = await waiting(ada, await download(ada))
    panel.changes.watch.record((Drift(Place.FILES, "hosts.map was changed by hand."),))

    refused = await restore(ada, place)
    panel.changes.watch.record((Drift(Place.FILES, "hosts.map was changed by hand."),))
    question = await ada.post(f"{place}/restore", data={"password": PASSWORD, "over_drift": "on"})

    assert refused.status_code == 409
    page = read(refused.text)
    assert "hosts.map was changed by hand." in page.text
    assert page.find("button", name="over_drift")
    assert question.status_code == 303


async def test_a_rolled_back_restore_is_reported_and_ends_no_session(
    ada: httpx2.AsyncClient, engines: FakeEngines
) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host())
    place = await waiting(ada, await download(ada))
    engines.fail("verify")

    answer = await restore(ada, place)

    assert answer.status_code == 502
    assert "is live again" in read(answer.text).text
    assert (await ada.get("/")).status_code == 200


async def test_a_backup_without_an_administrator_is_not_restored_here(ada: httpx2.AsyncClient, panel: Panel) -> None:
    out = io.BytesIO()
    for role in (Role.VIEWER, Role.ADMIN):
        async with panel.database.write() as session:
            await session.exec(update(User).where(col(User.email) == ADA).values(role=role))
        if role is Role.VIEWER:
            await panel.backups.write(out, "")
    place = await waiting(ada, out.getvalue())

    answer = await restore(ada, place)

    assert answer.status_code == 409
    assert "This backup has no administrator account" in read(answer.text).text


async def test_viewers_have_no_part_in_it(vera: httpx2.AsyncClient) -> None:
    assert (await vera.get(HOME)).status_code == 403
    assert (await vera.get(f"{HOME}/{'0' * 32}")).status_code == 403
    assert HOME not in (await vera.get("/system")).text


async def test_the_system_page_leads_there(ada: httpx2.AsyncClient) -> None:
    assert read((await ada.get("/system")).text).find("a", href=HOME)


@pytest.fixture
async def visitor(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    async with someone(app) as client:
        yield client


async def test_what_is_sent_without_a_log_in_is_not_even_read(visitor: httpx2.AsyncClient) -> None:
    read_so_far = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read_so_far
        while read_so_far < 2_000_000:
            read_so_far += 65536
            yield bytes(65536)

    answer = await visitor.post(
        f"{HOME}/upload", content=endless(), headers={"content-type": "multipart/form-data; boundary=x"}
    )

    assert answer.headers["location"] == "/login"
    assert VERA not in answer.text
