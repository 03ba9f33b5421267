"""Data about addresses by upload and by URL: what is used, what is refused at its field, and that the last good data stays."""

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from guardpanel.access import geo_packing
from guardpanel.access.geo_files import GeoKind
from guardpanel.feed_reach import FeedReach
from guardpanel.panel import Panel
from tests.html import read
from tests.mmdb import database, network

pytestmark = pytest.mark.anyio

PLACE, API = "/access/countries", "/api/v1/geo-data"
DATA = {"127.0.0.0/8": "DE", "203.0.113.0/24": "FR", "198.51.100.0/24": "SE"}
LINES = b"127.0.0.0/8 DE\n198.51.100.0/24 SE\n203.0.113.0/24 FR\n"


def in_use(panel: Panel) -> bytes:
    return (panel.settings.geo_dir / "country.map").read_bytes()


async def shown(ada: httpx2.AsyncClient) -> str:
    return read((await ada.get(PLACE)).text).text


async def upload(ada: httpx2.AsyncClient, content: bytes, **fields: str) -> tuple[int, str]:
    """The status, and the page that it leads to."""
    file = {"country_file": ("country.mmdb", content, "application/octet-stream")}
    answer = await ada.post(f"{PLACE}/country/upload", files=file, data=fields)
    return answer.status_code, read(answer.text).text if answer.status_code != 303 else await shown(ada)


async def test_uploaded_data_is_used_and_said_to_be(ada: httpx2.AsyncClient, panel: Panel, tmp_path: Path) -> None:
    path = database(tmp_path / "country.mmdb", DATA)

    status, page = await upload(ada, gzip.compress(path.read_bytes()))
    assert status == 303
    assert "Networks 3" in page
    assert "Comes from uploaded by ada@example.org" in page
    assert "Recent changes Uploaded countries" in page
    assert in_use(panel) == LINES

    for content, words in (
        (b"", "It is empty."),
        (b"<!DOCTYPE html>", "It is not a MaxMind DB file (.mmdb)."),
        (gzip.compress(path.read_bytes())[:-20], "It is damaged."),
        (database(tmp_path / "asn.mmdb", {"127.0.0.0/8": network(64500)}).read_bytes(), "It has no countries."),
    ):
        status, page = await upload(ada, content)
        assert (status, words in page, in_use(panel)) == (422, True, LINES), (words, page)
    assert "uploaded by ada@example.org" in await shown(ada)


@pytest.mark.parametrize(
    ("name", "credit"),
    [
        ("DBIP-Country-Lite", "Credit IP Geolocation by DB-IP (CC BY 4.0)"),
        ("GeoLite2-Country", "Credit This product includes GeoLite Data created by MaxMind (GeoLite EULA)"),
        ("Test-Country", ""),
    ],
)
async def test_without_data_the_page_says_where_it_is_free_and_with_data_whom_to_credit(
    ada: httpx2.AsyncClient, tmp_path: Path, name: str, credit: str
) -> None:
    page = await shown(ada)
    assert "guardpanel comes without this data." in page
    assert "free from DB-IP Lite (CC BY 4.0, no account), ip-location-db (PDDL, no account), GeoLite" in page
    assert "Credit" not in page

    await upload(ada, database(tmp_path / "country.mmdb", DATA, name).read_bytes())
    page = await shown(ada)
    assert credit in page
    assert ("Credit" in page) == bool(credit)


async def test_an_upload_with_less_than_half_of_the_networks_is_asked_about(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, panel: Panel, tmp_path: Path
) -> None:
    await upload(ada, database(tmp_path / "country.mmdb", DATA).read_bytes())
    small = database(tmp_path / "small.mmdb", {"127.0.0.0/8": "SE"}).read_bytes()

    status, page = await upload(ada, small)
    assert status == 409
    assert "It has 1 networks, and the data in use has 3. Select “Save anyway” to use it all the same." in page
    assert in_use(panel) == LINES
    refused = await ada_api.put(f"{API}/country/file", content=small)
    assert (refused.status_code, refused.json()["code"]) == (409, "needs_confirmation")

    assert (await upload(ada, small, save_anyway="on"))[0] == 303
    assert in_use(panel) == b"127.0.0.0/8 SE\n"
    state = (await ada_api.put(f"{API}/country/file?confirm=true", content=small)).json()
    assert (state["networks"], state["database"], state["url"], state["file"]) == (1, "Test-Country", "", "")
    assert state["uploaded_by"] == "ada@example.org"


async def test_what_is_too_large_is_not_even_kept(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(geo_packing, "LARGEST_FILE", 3 << 20)
    words = "It is larger than 3 MiB."
    bomb = gzip.compress(bytes(4 << 20))  # Small itself.

    for content in (bytes(4 << 20), bomb):
        status, page = await upload(ada, content)
        assert (status, words in page) == (422, True)
        answer = await ada_api.put(f"{API}/country/file", content=content)
        (error,) = answer.json()["errors"]
        assert (answer.status_code, error["field"], error["message"]) == (422, "file", words)
    assert sorted(path.name for path in panel.settings.geo_dir.iterdir()) == ["asn.map", "country.map"]


@pytest.fixture
async def source(ada_api: httpx2.AsyncClient, panel: Panel, tmp_path: Path) -> Path:
    """The file of a URL."""
    panel.geo_downloads.reach = FeedReach((), tmp_path)
    path = database(tmp_path / "country.mmdb", DATA)
    saved = await ada_api.patch(API, json={"country_url": f"file://{path}"})
    assert saved.status_code == 200, saved.text
    return path


async def test_data_is_downloaded_when_due_and_the_last_good_one_stays(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, panel: Panel, source: Path
) -> None:
    await panel.geo_downloads.download_due()
    assert in_use(panel) == LINES
    page = await shown(ada)
    assert f"Comes from file://{source}" in page
    assert "Next download in " in page
    first = panel.geo.of(GeoKind.COUNTRY).state

    await panel.geo_downloads.download_due()  # It is not due.
    assert panel.geo.of(GeoKind.COUNTRY).state == first
    answer = await ada.post(f"{PLACE}/country/download")  # It has not changed.
    assert answer.headers["location"] == PLACE
    assert panel.geo.of(GeoKind.COUNTRY).state.etag == first.etag

    source.write_text("<!DOCTYPE html>")
    state = (await ada_api.post(f"{API}/country/download")).json()
    assert (state["failures"], state["problem"]) == (1, "It is not a MaxMind DB file (.mmdb).")
    page = await shown(ada)
    assert "It is not a MaxMind DB file (.mmdb). The last good data still applies." in page
    assert in_use(panel) == LINES

    database(source, {"127.0.0.0/8": "SE"})
    state = (await ada_api.post(f"{API}/country/download")).json()
    assert state["problem"] == "It has 1 networks, and the data in use has 3."
    assert in_use(panel) == LINES
    assert "Download and use it anyway" in await shown(ada)
    state = (await ada_api.post(f"{API}/country/download?confirm=true")).json()
    assert (state["failures"], state["problem"], state["networks"]) == (0, "", 1)
    assert in_use(panel) == b"127.0.0.0/8 SE\n"


async def test_age_is_shown_and_what_may_not_be_asked_is_not(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, panel: Panel, source: Path
) -> None:
    await panel.geo_downloads.download_due()
    country = panel.geo.of(GeoKind.COUNTRY)
    old = {"checked_at": datetime.now(UTC) - timedelta(days=4)}
    await country.note(country.state.model_copy(update=old))
    assert "Last good download" in (page := await shown(ada))
    assert " stale " in page

    await ada_api.patch(API, json={"country_url": "https://127.0.0.1/country.mmdb"})
    await panel.geo_downloads.download_due()  # Another URL is due at once.
    state = (await ada_api.get(f"{API}/country")).json()
    assert state["problem"].startswith("127.0.0.1 is 127.0.0.1, which is not a public address.")
    assert (state["is_stale"], state["networks"]) == (True, 3)


async def test_one_thing_at_a_time_provides_data(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, panel: Panel, source: Path
) -> None:
    """A file of the environment comes first, then a URL, then an upload."""
    status, page = await upload(ada, source.read_bytes())
    assert (status, "This data comes from a URL. Remove the URL first." in page) == (409, True)

    country = panel.geo.of(GeoKind.COUNTRY)
    country.source = source
    refused = await ada_api.post(f"{API}/country/download")
    assert (refused.status_code, refused.json()["detail"]) == (409, "This data does not come from a URL.")
    status, page = await upload(ada, source.read_bytes())
    assert (status, f"This data comes from {source} (GUARDPANEL_GEO_COUNTRY_FILE)." in page) == (409, True)
    await panel.geo_downloads.download_due()
    assert in_use(panel) == b""
    await panel.geo.look()
    assert in_use(panel) == LINES

    country.source = None
    await panel.geo_downloads.download_due()
    assert (await ada_api.get(f"{API}/country")).json()["url"] == f"file://{source}"


@pytest.mark.changes_nothing
@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"country_url": "http://data.example/a.mmdb"}, "country_url", "Enter a URL that starts with https://"),
        (
            {"country_url": "ftp://data.example/a.mmdb"},
            "country_url",
            "Enter a URL that starts with https:// or file:///.",
        ),
        ({"network_url": "https://me:x@data.example/a"}, "network_url", "Remove the user name and password"),
    ],
)
async def test_what_is_no_url_is_refused_at_its_field(
    ada: httpx2.AsyncClient, fields: dict[str, Any], field: str, words: str
) -> None:
    refused = await ada.post(
        PLACE, data={"country_url": "", "network_url": "", "every": "1d", "version": "1", **fields}
    )

    assert refused.status_code == 422
    assert f'id="f-{field}-error"' in refused.text
    page = read(refused.text).text
    assert words in page
    assert "CrowdSec" not in page
