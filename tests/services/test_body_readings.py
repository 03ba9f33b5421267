"""What a body reading does in words, and which would do nothing."""

from dataclasses import replace
from typing import Any

import pytest

from guardpanel.errors import Invalid
from guardpanel.models.policies.body_reading import BodyReadingFields
from guardpanel.services.body_readings import ROWS, must_have_effect, prices, reach
from tests.rows import FACTS


def a_reading(**fields: Any) -> BodyReadingFields:
    return BodyReadingFields.model_validate({"path": "/event", "read_as": "json", **fields})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"methods": ["POST"], "content_types": ["text/plain"]},
            "Bodies of POST requests to /event with content type text/plain are read as JSON.",
        ),
        (
            {"path_match": "below", "read_as": "none", "content_types": ["image/*", "text/css"]},
            "Bodies of requests to /event and everything below with content type image/* or text/css are not inspected.",
        ),
    ],
)
def test_a_sentence_says_what_it_does(fields: dict[str, Any], words: str) -> None:
    assert reach(a_reading(**fields)) == f"{words} All other bodies are read as before."


def test_what_is_lost_is_said() -> None:
    assert "any attack in them passes" in prices(a_reading(read_as="none"))[0]
    assert prices(a_reading(read_as="json")) == ["Bodies that are something else get 400, or are only detected."]
    assert prices(a_reading(read_as="form")) == []


@pytest.mark.parametrize(
    ("fields", "policy"),
    [
        ({"content_types": ["application/json"]}, []),
        ({"content_types": ["application/json", "application/x-own+json"]}, []),
        ({"content_types": ["text/x-own"]}, ["text/x-own = json"]),
        ({"content_types": ["image/*"], "read_as": "binary"}, []),
        ({"content_types": ["multipart/form-data"], "read_as": "multipart"}, []),
    ],
)
def test_what_changes_nothing_is_refused(fields: dict[str, Any], policy: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        must_have_effect(a_reading(**fields), policy)

    assert "already read as" in refused.value.errors["read_as"].message


@pytest.mark.parametrize(
    ("fields", "policy"),
    [
        ({}, []),
        ({"content_types": ["text/plain"]}, []),
        ({"content_types": ["text/plain", "application/json"]}, []),
        ({"content_types": ["application/json"]}, ["application/json = text"]),
    ],
)
def test_what_changes_something_is_taken(fields: dict[str, Any], policy: list[str]) -> None:
    must_have_effect(a_reading(**fields), policy)


def test_coraza_spoa_reads_less() -> None:
    facts = replace(FACTS, small_frames=True)

    ROWS.must_fit(a_reading(read_as="json"), facts)
    with pytest.raises(Invalid, match="coraza-spoa can’t read a body as one text value"):
        ROWS.must_fit(a_reading(read_as="text"), facts)
