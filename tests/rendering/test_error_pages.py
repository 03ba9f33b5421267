"""What is typed into an error page set is text on the page, whatever it is."""

import base64
import unicodedata
from html.parser import HTMLParser
from typing import Any

import pytest
from pydantic import ValidationError

from guardpanel.bundle import Bundle
from guardpanel.models.error_page import LONGEST_TEXT
from guardpanel.models.logo import LARGEST
from guardpanel.rendering import DesiredState, render
from guardpanel.rendering.error_pages import ErrorPageState, preview
from tests.corpus import share
from tests.factories import A_LOGO
from tests.rows import FACTS, rows

WHOLE: dict[str, Any] = {
    "site_name": "Shop", "logo": A_LOGO, "accent": "#00796b", "text": "Sorry", "contact": "help@shop.example", "is_default": True,
}  # fmt: skip

SERVED = {"servers": [{"address": "192.0.2.1"}]}


class Tags(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.text = ""
        self.links: list[str | None] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "br":
            self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.links += [value for name, value in attrs if name == "href"]
        self.text += "\n" * (tag == "br")

    def handle_data(self, data: str) -> None:
        self.text += data


def made(**fields: Any) -> Bundle:
    given = rows({}, {"shop.example": SERVED}, error_pages=[{**WHOLE, **fields}])
    return render(DesiredState.from_rows(given, FACTS))


def shown(**fields: Any) -> Tags:
    (row,) = rows({}, {}, error_pages=[{**WHOLE, **fields}])["errorpage"]
    return Tags(preview(ErrorPageState.from_row(row), "blocked"))


def lines(bundle: Bundle) -> dict[str, list[str]]:
    """Of each map: the keys. The pages, whole."""
    files = {path: content.decode() for path, content in bundle.files.items()}
    keys = {path: [line.split(" ")[0] for line in text.split("\n")] for path, text in files.items() if "page_" in path}
    return {**keys, **{path: [text] for path, text in files.items() if path.startswith("errors/")}}


HARMLESS, TAGS = lines(made()), shown().tags


TYPED = ["name", "site_name", "accent", "text", "contact", "notes"]


@pytest.mark.parametrize(("number", "name"), [*enumerate(TYPED)])
def test_typed_text_is_refused_or_stays_text(number: int, name: str) -> None:
    for text in share(number, 6):
        try:
            bundle = made(**{name: text})
        except ValidationError:
            continue
        if not text.strip():
            continue
        assert lines(bundle) == HARMLESS, (name, text)
        page = shown(**{name: text})
        assert page.tags == TAGS, (name, text)
        assert all(str(link).startswith(("mailto:", "https://", "http://")) for link in page.links)
        if name in {"site_name", "text"}:
            assert unicodedata.normalize("NFC", text.strip().replace("\r\n", "\n")) in page.text, text


def test_each_line_fits_what_haproxy_reads() -> None:
    largest = base64.b64encode(base64.b64decode(A_LOGO).ljust(LARGEST, b"\0")).decode()
    bundle = made(text='"' * LONGEST_TEXT, logo=largest, contact="https://a.example/" + "&" * 280)

    maps = {path: content for path, content in bundle.files.items() if path.startswith("page_")}
    assert max(len(line) for content in maps.values() for line in content.split(b"\n")) < 16_000
    assert sum(map(len, maps.values())) < 60_000


def test_a_set_that_nobody_uses_changes_nothing() -> None:
    unused = render(
        DesiredState.from_rows(rows({}, {"shop.example": SERVED}, error_pages=[{**WHOLE, "is_default": False}]), FACTS)
    )

    assert unused.checksum == render(DesiredState.from_rows(rows({}, {"shop.example": SERVED}), FACTS)).checksum
