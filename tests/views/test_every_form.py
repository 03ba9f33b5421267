"""Each form that there is, found by its noun or its route: hostile text is saved as text or refused, and never a fault."""

import re
import uuid
from collections.abc import Iterator

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from guardpanel.models import NOUNS
from guardpanel.models.noun import Noun
from guardpanel.views.answers import TEMPLATES
from tests.corpus import HOSTILE
from tests.html import Read, read

pytestmark = pytest.mark.anyio

Client = httpx2.AsyncClient

TYPED_INTO = {"", "text", "password", "search", "email", "url", "number"}
"Types of inputs that take text."

NOT_TYPED = {"version", "save_key", "parent_version"}

ENDS = {"/logout", "/setup/{token}", "/login"}
"With the session, or only without one."


async def fill(api: Client) -> None:
    """A row of each noun, as documentation has it. What needs a real certificate is left out."""
    for noun in NOUNS.values():
        if not noun.only_name:
            path = noun.api.format(virtual_host_id=1, policy_id=1)
            answer = await api.post(f"/api/v1/{path}", json=dict(noun.example))
            assert answer.status_code in {201, 422}, (noun.key, answer.text)


def form_of(noun: Noun) -> str:
    return f"{noun.url(1)}/edit" if noun.only_name else f"{noun.place(1)}/new"


def typed_fields(page: Read) -> list[str]:
    """Those of the page's form into which anything can be typed."""
    inputs = [
        attributes for tag, attributes in page.tags if tag == "input" and attributes.get("type", "") in TYPED_INTO
    ]
    areas = [attributes for tag, attributes in page.tags if tag == "textarea"]
    names = [attributes.get("name", "") for attributes in (*inputs, *areas)]
    return [name for name in dict.fromkeys(names) if name and name not in NOT_TYPED | {"q", "request"}]


def assert_inert(page: Read, scripts: int, where: str, typed: object) -> None:
    assert len(page.find("script")) == scripts, (where, typed)
    assert not page.find("img", src="x"), (where, typed)
    assert not [tag for tag, attributes in page.tags if any(key.startswith("on") for key in attributes)], (where, typed)


async def test_what_is_typed_into_a_form_is_text_or_refused_at_its_field(ada: Client, ada_api: Client) -> None:
    await fill(ada_api)
    for at, noun in enumerate(NOUNS.values()):
        empty = read((await ada.get(form_of(noun))).text)
        assert typed_fields(empty), noun.key
        for texts in spread(typed_fields(empty), at):
            await send(ada, noun, empty, texts)
        shown = await ada.get(NOUNS[noun.parent].url(1) if noun.within else noun.place())
        assert shown.status_code == 200, noun.key
        assert_inert(read(shown.text), len(read(shown.text).find("script")), noun.key, "all that was saved")


def spread(names: list[str], at: int) -> Iterator[dict[str, str]]:
    """All texts, each in one field or more: as few forms as that takes. `at`: another noun's first field gets another text."""
    for first in range(at, at + len(HOSTILE), len(names)):
        yield {name: HOSTILE[number % len(HOSTILE)] for number, name in enumerate(names, first)}


async def send(ada: Client, noun: Noun, empty: Read, typed: dict[str, str]) -> None:
    """The texts in all fields, then only in those where they were not refused, until they are saved or refused as a whole."""
    left, refused, status = set(typed), {""}, 422
    while left and refused and status == 422:
        form = {**empty.values, **{name: [typed[name]] for name in left}, "save_key": [uuid.uuid4().hex]}
        answer = await ada.post(noun.place(1), data=form)
        status, page = answer.status_code, read(answer.text)
        assert status in {303, 409, 412, 422}, (noun.key, typed, answer.text[-2000:])
        assert_inert(page, len(empty.find("script")) if status != 303 else 0, noun.key, typed)
        refused = {
            name for name in left if any(page.find("a", href=f"#f-{at}") for at in (name, name.partition(".")[0]))
        }
        left -= refused


def posted(app: FastAPI) -> list[str]:
    """Every page that takes a form."""
    paths = {route.path or "" for route in iter_route_contexts(app.routes) if "POST" in (route.methods or ())}
    return sorted(path for path in paths if not path.startswith("/api") and path not in ENDS)


def names_in_templates() -> Iterator[str]:
    for template in TEMPLATES.rglob("*.html"):
        yield from re.findall(r'name="([a-z_]+)"', template.read_text())


async def test_no_form_fails_on_hostile_text(ada: Client, ada_api: Client, app: FastAPI) -> None:
    """Each takes every name that any form sends."""
    await fill(ada_api)
    names = sorted(set(names_in_templates()) - NOT_TYPED)
    assert len(posted(app)) > 50

    for at, path in enumerate(posted(app)):
        typed = HOSTILE[at % len(HOSTILE)]
        answer = await ada.post(re.sub(r"{\w+}", "1", path), data=dict.fromkeys(names, typed))

        assert answer.status_code < 500, (path, typed, answer.text[-2000:])
        assert_inert(read(answer.text), len(read(answer.text).find("script")), path, typed)
        assert "<script>alert" not in answer.text, (path, typed)
