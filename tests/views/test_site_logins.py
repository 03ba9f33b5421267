"""The pages of logins, and that a password is in none of them."""

import httpx2
import pytest

from guardpanel.panel import Panel
from guardpanel.rendering.login_maps import digest
from guardpanel.sealing import login_key
from tests.factories import a_login, a_path_binding, a_virtual_host
from tests.fakes import FakeEngines
from tests.html import read

pytestmark = pytest.mark.anyio

PLACE, API = "/virtual-hosts/1/logins", "/api/v1/vhosts/1/logins"

PASSWORD = "correct horse"


def login_map(engines: FakeEngines) -> str:
    assert engines.running is not None
    return "".join(text.decode() for path, text in engines.running.secrets.items() if path.startswith("logins/"))


def config(engines: FakeEngines) -> str:
    assert engines.running is not None
    return engines.running.files["haproxy.cfg"].decode()


async def test_one_is_added_asked_for_changed_and_deleted(ada: httpx2.AsyncClient, engines: FakeEngines) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host("shop.example"))
    made = await ada.post(PLACE, data=a_login(notes="Ask Bob"))
    assert made.headers["location"] == f"{PLACE}/1"
    assert "Visitors are not asked for them yet" in read((await ada.get("/virtual-hosts/1")).text).text
    assert login_map(engines) == ""

    await ada.post("/virtual-hosts/1", data=a_virtual_host("shop.example", requires_login="on"))
    secret = login_map(engines).split()[0]
    assert login_map(engines) == f"{secret} ada\n" and len(secret) == 64
    page = read((await ada.get("/virtual-hosts/1")).text).text
    assert "Requires login yes" in page and "Nobody is asked" not in page

    before = config(engines)
    await ada.post(f"{PLACE}/1", data=a_login(password="battery staple", version="1"))
    assert login_map(engines).split()[0] != secret and config(engines) != before
    assert "another password" in read((await ada.get("/changes")).text).text
    changed = login_map(engines)
    await ada.post(f"{PLACE}/1", data=a_login(password="", notes="Another note", version="2"))
    assert login_map(engines) == changed

    gone = await ada.post(f"{PLACE}/1/delete", data={"version": "3"})
    assert gone.headers["location"] == "/virtual-hosts/1"
    assert login_map(engines) == ""


@pytest.mark.changes_nothing
@pytest.mark.parametrize(
    ("field", "typed", "words"),
    [
        ("name", {"name": ""}, "Enter a user name."),
        ("name", {"name": "a:b"}, "without a colon"),
        ("name", {"name": "x" * 65}, "At most 64 characters."),
        ("name", {"name": "a\x1bb"}, "invisible character"),
        ("password", {"password": ""}, "Enter a password."),
        ("password", {"password": "short"}, "Enter 8 to 200 characters."),
        ("password", {"password": "x" * 201}, "Enter 8 to 200 characters."),
        ("password", {"password": "line\nbreak"}, "invisible character"),
    ],
)
async def test_bad_input_comes_back_at_its_field(
    ada: httpx2.AsyncClient, field: str, typed: dict[str, str], words: str
) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host("shop.example"))

    refused = await ada.post(PLACE, data=a_login() | typed)

    assert refused.status_code == 422
    page = read(refused.text)
    assert page.error_at(field) and words in page.text
    assert PASSWORD not in refused.text


async def test_a_name_is_taken_once_and_changes_with_its_password(ada: httpx2.AsyncClient) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host("shop.example"))
    await ada.post(PLACE, data=a_login())

    double = await ada.post(PLACE, data=a_login())
    renamed = await ada.post(f"{PLACE}/1", data=a_login("bob", password="", version="1"))

    assert double.status_code == 409 and "There is ada already." in read(double.text).text
    assert renamed.status_code == 422 and "With another user name, enter the password, too" in read(renamed.text).text


async def test_without_a_login_none_is_required(ada: httpx2.AsyncClient) -> None:
    refused = await ada.post("/virtual-hosts", data=a_virtual_host("shop.example", requires_login="on"))
    await ada.post("/virtual-hosts", data=a_virtual_host("shop.example"))
    path = await ada.post(
        "/virtual-hosts/1/paths", data=a_path_binding(path="/admin", requires_login="on", enforcement_mode="")
    )

    for answer in (refused, path):
        assert answer.status_code == 422
        assert "Add a login to the virtual host first" in read(answer.text).text


async def test_no_answer_has_a_password_or_its_hash(
    ada: httpx2.AsyncClient, ada_api: httpx2.AsyncClient, engines: FakeEngines, panel: Panel
) -> None:
    await ada.post("/virtual-hosts", data=a_virtual_host("shop.example"))
    made = await ada_api.post(API, json={"name": "ada", "password": PASSWORD})
    await ada.post("/virtual-hosts/1", data=a_virtual_host("shop.example", requires_login="on"))
    hashed = login_map(engines).split()[0]

    pages = [
        f"{PLACE}/1",
        f"{PLACE}/1/edit",
        "/virtual-hosts/1",
        "/changes/1",
        "/changes/2",
        "/changes/3",
        "/changes/3?files=haproxy",
    ]
    texts = [(await ada.get(page)).text for page in pages]
    texts += [made.text, (await ada_api.get(API)).text, (await ada_api.get(f"{API}/1")).text, config(engines)]
    key = login_key(panel.changes.renderer.facts.secret)
    assert key in config(engines)
    for text in texts[:-1]:
        assert key not in text
    for text in texts:
        assert PASSWORD not in text and hashed not in text and "sealed" not in text


def test_the_hash_is_of_name_and_password_under_the_installations_key() -> None:
    hashes = {
        digest("a", "ada", PASSWORD),
        digest("b", "ada", PASSWORD),
        digest("a", "bob", PASSWORD),
        digest("a", "ada", "another"),
    }

    assert len(hashes) == 4
    assert all(len(each) == 64 for each in hashes)
