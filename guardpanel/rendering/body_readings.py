"""Body readings in SecLang: before the rule set, after what content types say, which they override."""

from collections.abc import Iterable, Mapping
from typing import Any

from guardpanel.models.policies.body_reading import NOUN, BodyReading, BodyReadingColumns
from guardpanel.models.policies.content_types import ReadAs
from guardpanel.models.policies.path_condition import PathMatch
from guardpanel.rendering.conditions import Chain, Link, of_requests, own
from guardpanel.rendering.rows import ColumnReader, Row
from guardpanel.rendering.templates import template
from guardpanel.rendering.tokens import built, content_types, literal, split_origins

OF_FIELDS = ColumnReader(BodyReadingColumns)

FIRST_ID = 105_000

FOREIGN_PROCESSORS: Mapping[ReadAs, str] = {
    ReadAs.FORM: "requestBodyProcessor=URLENCODED",
    ReadAs.MULTIPART: "requestBodyProcessor=MULTIPART",
    ReadAs.JSON: "requestBodyProcessor=JSON",
    ReadAs.XML: "requestBodyProcessor=XML",
    ReadAs.NONE: "requestBodyAccess=Off",
}
"What Coraza has of its own, for a coraza-spoa: it reads all else as a form."

PROCESSORS: Mapping[ReadAs, str] = {
    how: f"requestBodyProcessor={'URLENCODED' if how is ReadAs.FORM else how.upper()}" for how in ReadAs
}
"Those of our agent (spoa/body.go)."

WIDEST_FIRST = [PathMatch.ANY, PathMatch.PATTERN, PathMatch.BELOW, PathMatch.EXACT, PathMatch.AS_SENT]


class BodyReadingState(BodyReadingColumns):
    """All fields of a body reading, as the row has them."""

    id: int
    policy_id: int

    @classmethod
    def of(cls, row: BodyReading) -> "BodyReadingState":
        return cls.from_row(row.model_dump())

    @classmethod
    def from_row(cls, row: Row) -> "BodyReadingState":
        values: dict[str, Any] = OF_FIELDS.by_name(row)
        return cls.model_construct(set(values), id=row["id"], policy_id=row["policy_id"], **values)


def chains(readings: Iterable[BodyReadingState], processors: Mapping[ReadAs, str]) -> list[Chain]:
    """The widest first: of several that fit a request, the last holds."""
    ordered = sorted((reading for reading in readings if reading.read_as in processors), key=narrowness)
    return [_chain(reading, FIRST_ID + at, processors) for at, reading in enumerate(ordered)]


def narrowness(reading: BodyReadingState) -> tuple[int, int, bool, bool, int]:
    """Grows as fewer requests fit: by path, then content type, then method; of equals, the newer one holds."""
    length = len(reading.path) if reading.path_match is PathMatch.BELOW else 0
    return (
        WIDEST_FIRST.index(reading.path_match),
        length,
        bool(reading.content_types),
        bool(reading.methods),
        reading.id,
    )


def _chain(reading: BodyReadingState, rule_id: int, processors: Mapping[ReadAs, str]) -> Chain:
    tests = [*of_requests(reading.path_match, reading.path, reading.methods)]
    if reading.content_types:
        is_of_them = built("@rx (?i){}", content_types(reading.content_types))
        tests.append(Link(own("REQUEST_HEADERS:Content-Type"), is_of_them, "content_types"))
    return Chain(
        NOUN.key,
        reading.id,
        rule_id,
        1,
        tuple(tests),
        (built("ctl:{}", literal(processors[reading.read_as])),),
        "read_as",
    )


def directives(reading: BodyReadingState) -> str:
    """It alone, as a person may read it."""
    text, _ = split_origins(template("coraza/_chains.conf.j2").render(chains=chains([reading], PROCESSORS)))
    return text
