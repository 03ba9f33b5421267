"""The pages of error page sets."""

import base64
import re

import httpx2
import pytest

from tests.factories import A_LOGO, a_path_binding, a_virtual_host, an_error_page
from tests.fakes import FakeEngines
from tests.html import read

pytestmark = pytest.mark.anyio

PLACE = "/error-pages"

PICTURE = {"logo_file": ("logo.png", base64.b64decode(A_LOGO), "image/svg+xml")}

URI = f"data:image/png;base64,{A_LOGO}"


def maps(engines: FakeEngines) -> dict[str, str]:
    assert engines.running is not None
    return {path: text.decode() for path, text in engines.running.files.items() if path.startswith("page_")}


async def test_a_set_is_added_shown_used_and_deleted(ada: httpx2.AsyncClient, engines: FakeEngines) -> None:
    made = await ada.post(PLACE, data=an_error_page(), files=PICTURE)
    assert made.headers["location"] == f"{PLACE}/1"
    await ada.post("/virtual-hosts", data=a_virtual_host("shop.example", error_page_id="1"))

    assert maps(engines)["page_hosts.map"] == "1 1\n"
    assert maps(engines)["page_logos_1.map"] == f"1 {A_LOGO}\n"
    page = (await ada.get(f"{PLACE}/1")).text
    assert f'src="{URI}"' in page and "Call us from 9 to 5." in page
    assert 'href="/virtual-hosts/1"' in page
    assert 'href="/error-pages/1"' in (await ada.get("/virtual-hosts/1")).text
    assert "Example Shop" in (await ada.get(PLACE)).text

    kept = await ada.post(f"{PLACE}/1/delete", data={"version": "1"})
    assert kept.status_code == 409 and "shop.example" in kept.text
    await ada.post("/virtual-hosts/1", data=a_virtual_host("shop.example"))
    assert maps(engines) == {}
    gone = await ada.post(f"{PLACE}/1/delete", data={"version": "1"})
    assert gone.headers["location"] == PLACE


async def test_a_path_names_a_set_and_keeps_it(ada: httpx2.AsyncClient, engines: FakeEngines) -> None:
    await ada.post(PLACE, data=an_error_page())
    await ada.post("/virtual-hosts", data=a_virtual_host("shop.example"))
    bound = a_path_binding(enforcement_mode="", error_page_id="1")
    made = await ada.post("/virtual-hosts/1/paths", data=bound)

    assert made.headers["location"] == "/virtual-hosts/1/paths/1"
    assert maps(engines)["page_hosts.map"] == "1.1 1\n"
    assert engines.running is not None
    assert "\nbackend be_1.1" not in engines.running.files["haproxy.cfg"].decode(), "it needs no section of its own"
    assert "Error pages Shop" in read((await ada.get("/virtual-hosts/1/paths/1")).text).text
    assert 'href="/virtual-hosts/1/paths/1"' in (await ada.get(f"{PLACE}/1")).text
    kept = await ada.post(f"{PLACE}/1/delete", data={"version": "1"})
    assert kept.status_code == 409 and 'href="/virtual-hosts/1/paths/1/edit#f-error_page_id"' in kept.text


async def test_a_preview_is_the_page_and_may_do_nothing(ada: httpx2.AsyncClient) -> None:
    await ada.post(PLACE, data=an_error_page(text="<script>alert(1)</script> 100%"), files=PICTURE)

    for name in re.findall(rf'href="{PLACE}/1/preview/([a-z_]+)"', (await ada.get(f"{PLACE}/1")).text):
        shown = await ada.get(f"{PLACE}/1/preview/{name}")

        assert "&lt;script&gt;alert(1)&lt;/script&gt; 100%" in shown.text
        assert f'src="{URI}"' in shown.text and "%[" not in shown.text and "%%" not in shown.text
        policy = shown.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-") and "unsafe" not in policy
    assert (await ada.get(f"{PLACE}/1/preview/nothing")).status_code == 404


async def test_only_one_set_is_the_default(ada: httpx2.AsyncClient) -> None:
    await ada.post(PLACE, data=an_error_page("Ours", is_default="on"))

    refused = await ada.post(PLACE, data=an_error_page("Theirs", is_default="on"))

    assert refused.status_code == 409
    assert "Ours has this already. Turn it off there first." in read(refused.text).text


@pytest.mark.changes_nothing
async def test_a_refused_form_keeps_the_picture(ada: httpx2.AsyncClient) -> None:
    refused = await ada.post(PLACE, data=an_error_page(accent="red"), files=PICTURE)

    assert refused.status_code == 422
    assert "Enter a color such as #00796b." in refused.text
    assert f'name="logo" value="{A_LOGO}"' in refused.text


@pytest.mark.changes_nothing
async def test_a_file_that_is_no_picture_is_told_at_the_logo(ada: httpx2.AsyncClient) -> None:
    file = {"logo_file": ("logo.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/png")}

    refused = await ada.post(PLACE, data=an_error_page(), files=file)

    assert refused.status_code == 422
    assert "Choose a PNG, JPEG or WebP picture." in refused.text


@pytest.mark.changes_nothing
async def test_the_logo_stays_where_another_file_was_refused(ada: httpx2.AsyncClient) -> None:
    file = {"logo_file": ("logo.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/png")}

    refused = await ada.post(PLACE, data=an_error_page(logo=URI), files=file)

    assert refused.status_code == 422
    assert f'name="logo" value="{URI}"' in refused.text
    assert 'name="remove_logo"' in refused.text


@pytest.mark.changes_nothing
async def test_a_photo_comes_back_with_what_was_typed(ada: httpx2.AsyncClient) -> None:
    """Its form may be larger than others, or it would be refused unread."""
    photo = {"logo_file": ("photo.png", base64.b64decode(A_LOGO).ljust(5 * 1024**2, b"\0"), "image/png")}

    refused = await ada.post(PLACE, data=an_error_page(text="Call us from 9 to 5."), files=photo)

    assert refused.status_code == 422
    assert "The picture can have at most 32 KiB." in refused.text and "Call us from 9 to 5." in refused.text


@pytest.mark.changes_nothing
@pytest.mark.parametrize("typed", ["www.shop.example", "javascript:alert(1)"])
async def test_a_contact_is_an_address_or_a_url(ada: httpx2.AsyncClient, typed: str) -> None:
    refused = await ada.post(PLACE, data=an_error_page(contact=typed))

    assert refused.status_code == 422
    assert "Enter an email address or a URL, such as" in read(refused.text).text


@pytest.mark.changes_nothing
async def test_a_contact_shows_nobody_a_password(ada: httpx2.AsyncClient) -> None:
    refused = await ada.post(PLACE, data=an_error_page(contact="https://ada:secret@shop.example/"))

    assert "Enter the URL without a user name and password" in read(refused.text).text


@pytest.mark.parametrize(
    ("typed", "kept"),
    [("mailto:help@shop.example", "help@shop.example"), ("HTTPS://Shop.example/", "https://shop.example/")],
)
async def test_a_contact_may_be_pasted_as_a_link(
    ada: httpx2.AsyncClient, engines: FakeEngines, typed: str, kept: str
) -> None:
    await ada.post(PLACE, data=an_error_page(is_default="on", contact=typed))

    assert f">{kept}</a>" in maps(engines)["page_ends.map"]


async def test_names_are_taken_once(ada: httpx2.AsyncClient) -> None:
    await ada.post(PLACE, data=an_error_page("Ours"))

    refused = await ada.post(PLACE, data=an_error_page("ours"))

    assert "An error page set named Ours already exists." in read(refused.text).text


async def test_a_picture_stays_until_it_is_removed_or_replaced(ada: httpx2.AsyncClient, engines: FakeEngines) -> None:
    await ada.post(PLACE, data=an_error_page(is_default="on"), files=PICTURE)
    await ada.post(f"{PLACE}/1", data=an_error_page(is_default="on", logo=URI, version="1", text="Another"))
    assert "page_logos_1.map" in maps(engines)

    await ada.post(f"{PLACE}/1", data=an_error_page(is_default="on", logo=URI, remove_logo="on", version="2"))

    assert "page_logos_1.map" not in maps(engines)
