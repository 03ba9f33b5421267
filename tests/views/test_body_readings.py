"""The pages of body readings."""

import httpx2
import pytest

from tests.factories import a_body_reading
from tests.fakes import FakeEngines
from tests.html import read

pytestmark = pytest.mark.anyio

PLACE = "/policies/1/body-readings"


def directives(engines: FakeEngines) -> str:
    assert engines.running is not None
    return engines.running.files["coraza.yaml"].decode()


async def test_one_is_added_shown_edited_and_deleted(ada: httpx2.AsyncClient, engines: FakeEngines) -> None:
    form = read((await ada.get(f"{PLACE}/new?path=/api/event&content_types=text/plain&content_types=text/css")).text)
    assert form.value("path") == "/api/event"
    assert form.value("content_types") == "text/plain\ntext/css"

    made = await ada.post(PLACE, data=a_body_reading(reason="Plausible"))
    assert made.headers["location"] == f"{PLACE}/1"
    page = (await ada.get(f"{PLACE}/1")).text
    assert "Bodies of POST requests to /api/event with content type text/plain are read as JSON." in page
    assert "requestBodyProcessor=JSON" in page
    assert f'href="{PLACE}/1"' in (await ada.get("/policies/1")).text
    assert f'href="{PLACE}/1"' in (await ada.get("/search?q=plausible")).text
    assert "id:105000" in directives(engines)

    edited = await ada.post(f"{PLACE}/1", data=a_body_reading(read_as="none", version="1"))
    assert edited.headers["location"] == f"{PLACE}/1"
    changes = read((await ada.get("/changes")).text).text
    assert "Default: added body reading POST /api/event text/plain: JSON" in changes
    assert "Default: POST /api/event text/plain: Not inspected: read as JSON → not inspected" in changes

    gone = await ada.post(f"{PLACE}/1/delete", data={"version": "2"})
    assert gone.headers["location"] == "/policies/1"
    assert "id:105000" not in directives(engines)


@pytest.mark.parametrize(
    ("field", "typed", "words"),
    [
        ("path", {"path": ""}, "Start the path with /."),
        ("path", {"path": "/a?b"}, "Enter the path without its query."),
        ("path", {"path_match": "pattern", "path": "(?=x)"}, "the engine can’t look ahead or behind"),
        ("methods", {"methods": "PO ST"}, "is not an HTTP method"),
        ("content_types", {"content_types": "text"}, "is not a content type"),
        ("content_types", {"path_match": "any", "methods": ""}, "set the content type readings of the policy"),
        ("read_as", {"content_types": "application/json"}, "application/json is already read as JSON in this policy."),
        ("read_as", {"read_as": "multipart"}, "Only multipart/… types can be read as multipart forms."),
        ("read_as", {"read_as": ""}, "Choose "),
    ],
)
@pytest.mark.changes_nothing
async def test_an_ineffective_or_invalid_reading_is_rejected(
    ada: httpx2.AsyncClient, field: str, typed: dict[str, str], words: str
) -> None:
    answer = await ada.post(PLACE, data=a_body_reading(**typed))

    assert answer.status_code == 422
    assert f'id="f-{field}-error"' in answer.text
    assert words in read(answer.text).text


async def test_requests_are_read_in_one_way(ada: httpx2.AsyncClient) -> None:
    await ada.post(PLACE, data=a_body_reading(methods="POST\nPUT"))

    double = await ada.post(PLACE, data=a_body_reading(methods="PUT\nPOST", read_as="none"))
    other = await ada.post(PLACE, data=a_body_reading(methods="PUT"))

    assert double.status_code == 409
    assert "POST/PUT /api/event text/plain: JSON is for the same requests." in read(double.text).text
    assert other.status_code == 303
