"""A policy's page says how bodies are read, and what is not looked into."""

from dataclasses import replace

import httpx2
import pytest

from guardpanel.panel import Panel
from tests.factories import a_policy
from tests.html import read

pytestmark = pytest.mark.anyio

TYPES = "application/json\nimage/*\napplication/x-log\ntext/plain"


async def test_the_page_says_how_bodies_are_read(ada: httpx2.AsyncClient) -> None:
    made = await ada.post(
        "/policies",
        data=a_policy(allowed_content_types=TYPES, content_type_readings="Application/X-Log=none\ntext/odd=none"),
    )

    page = read((await ada.get(made.headers["location"])).text)

    assert "JSON: application/json" in page.text
    assert "Binary, inspected only if it is text: image/*" in page.text
    assert "Text: text/plain" in page.text
    assert "Bodies of application/x-log are not inspected" in page.text
    assert "text/odd = none" in page.text


async def test_with_coraza_spoa_it_says_what_that_reads(ada: httpx2.AsyncClient, panel: Panel) -> None:
    panel.changes.renderer.facts = replace(panel.changes.renderer.facts, small_frames=True)
    made = await ada.post("/policies", data=a_policy(allowed_content_types=TYPES, body_limit_kib="48"))

    page = read((await ada.get(made.headers["location"])).text)

    assert "JSON: application/json" in page.text
    assert "Form (coraza-spoa has no other parser): image/* application/x-log" in page.text


async def test_an_invalid_parsing_choice_is_shown_as_typed(ada: httpx2.AsyncClient) -> None:
    answer = await ada.post("/policies", data=a_policy(content_type_readings="text/plain = yaml"))

    page = read(answer.text)

    assert answer.status_code == 422
    assert "text/plain = yaml must be a content type, =, and one of" in page.text
    assert page.value("content_type_readings") == "text/plain = yaml"
