"""What is a finding: the oracle complains, and not of everything."""

import pytest

from tests.parsers.agent import Judged
from tests.parsers.bodies import body
from tests.parsers.body import Body, Value
from tests.parsers.oracle import unseen
from tests.parsers.reduce import reduced

FIELD = Value("php", "field", ("q", "x"), b"1' or 1=1")


@pytest.mark.parametrize(
    "values",
    [
        (),
        (("ARGS", "q[x]", b"1"),),
        (("ARGS", "other", b"1' or 1=1"),),
        (("FILES", "", b"1' or 1=1"),),
        (("REQUEST_XML", "/*", b"1' or 1=1"),),
    ],
    ids=["nothing", "its beginning", "under another name", "as a file's name", "as XML"],
)
def test_a_value_that_no_rule_sees_as_what_it_is_is_a_finding(values: tuple[tuple[str, str, bytes], ...]) -> None:
    assert unseen(Judged(0, values), [FIELD]) == [FIELD]


@pytest.mark.parametrize(
    "value",
    [
        ("ARGS", "q[x]", b"1' or 1=1"),
        ("ARGS", "json.q.x", b"1' or 1=1"),
        ("ARGS", "q[x]", b"a 1' or 1=1 z"),
        ("ARGS", "q[x]", b"1%27+or 1=1"),
        ("ARGS", "q[x]", b"1&#39; or 1=1"),
        ("ARGS", "q[x]", b"1\\u0027 or\r\n1=1"),
        ("ARGS", "", b"1' or 1=1"),
    ],
    ids=["alike", "as JSON", "with more around it", "in escapes", "in HTML's", "in JavaScript's", "without a name"],
)
def test_a_value_that_rules_see_decoded_is_not_missed(value: tuple[str, str, bytes]) -> None:
    assert not unseen(Judged(0, (value,)), [FIELD])


def test_nor_is_any_value_of_a_body_that_is_refused() -> None:
    assert not unseen(Judged(200002, ()), [FIELD])


def test_a_seed_and_a_number_make_one_body() -> None:
    assert body(1, 2) == body(1, 2) != body(1, 3) != body(2, 3)
    assert len({body(1, number).content for number in range(200)}) > 190


def test_a_body_is_made_as_short_as_it_still_is_a_finding() -> None:
    shortest = reduced(Body("", b"xxaxxxxbxx"), lambda sent: b"a" in sent.content and b"b" in sent.content)

    assert shortest.content == b"ab"
