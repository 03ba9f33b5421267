"""Words about fields and nouns, within sentences."""

import re

import pytest

from guardpanel.models.meta import lowered
from tests.panel import ROOT


@pytest.mark.parametrize(
    ("words", "within"),
    [("Body limit", "body limit"), ("TLS server name", "TLS server name"), ("SecLang", "SecLang"), ("CRS", "CRS")],
)
def test_names_and_acronyms_keep_their_capitals_within_a_sentence(words: str, within: str) -> None:
    assert lowered(words) == within


def test_a_page_lowers_first_letters_alone() -> None:
    """`1 client CA is deleted with it`, not `1 client ca`."""
    templates = [path.read_text("utf-8") for path in (ROOT / "guardpanel" / "templates").rglob("*.html")]

    assert any("|lowered" in text for text in templates)
    assert [text for text in templates if re.search(r"\|\s*lower\b", text)] == []
