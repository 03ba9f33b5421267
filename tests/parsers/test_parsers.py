"""What applications are handed, rules have seen: PHP, Python, Node and Go read the same bodies as the agent."""

from collections.abc import Iterator

import pytest

from tests.parsers.bodies import body
from tests.parsers.body import Body
from tests.parsers.corpus import CORPUS
from tests.parsers.lab import Lab, lab

SEED, BODIES = 14, 1_200
"""`make parsers` makes more, by any seed."""


@pytest.fixture(scope="module")
def running() -> Iterator[Lab]:
    with lab() as running_lab:
        yield running_lab


@pytest.mark.parametrize("sent", CORPUS.values(), ids=CORPUS)
def test_no_body_is_read_past_the_agent_again(running: Lab, sent: Body) -> None:
    assert not running.findings(sent)


def test_no_generated_body_is_read_past_the_agent(running: Lab) -> None:
    findings = {number: running.findings(body(SEED, number)) for number in range(BODIES)}

    assert not {number: values for number, values in findings.items() if values}


@pytest.mark.parametrize(
    ("sent", "readers"),
    [
        (Body("application/x-www-form-urlencoded", b"q=zattack"), {"php", "django", "werkzeug", "starlette", "express", "busboy", "go"}),
        (CORPUS["a field in base64"], {"django"}),
        (Body("application/json", b'{"q": "zattack"}'), {"php", "json.loads", "express", "encoding/json"}),
        (Body("text/xml", b"<r>zattack</r>"), {"php", "expat", "fast-xml-parser", "encoding/xml"}),
    ],
    ids=["form", "parts", "json", "xml"],
)  # fmt: skip
def test_every_parser_reads(running: Lab, sent: Body, readers: set[str]) -> None:
    _, handed = running.judged(sent)

    assert readers <= {value.reader for value in handed if value.text == b"zattack"}
