"""The rules that choose how a body is read choose what the policy's page says."""

import re
from itertools import product

import pytest

from guardpanel.models.policies.content_types import READINGS, ReadAs, reading_of
from guardpanel.models.policies.policy import PolicyFields
from guardpanel.models.policies.policy_lists import DATA_TYPES, FILE_TYPES, FORM_TYPES
from guardpanel.rendering.tokens import UnsafeText, content_types
from tests.rendering.test_coraza import made

OWN = ["image/* = none", "application/vnd.a+json = text", "text/x-*log = xml", "application/* = form"]
RULE = re.compile(
    r'^SecRule REQUEST_HEADERS:Content-Type "@rx (.*)" "id:1000[1-9]\d,.*,ctl:requestBody\w+=(\w+)"', re.MULTILINE
)


def chosen(directives: str, header: str) -> str:
    """What the last rule that matches sets; "": none does."""
    last = ""
    for pattern, value in RULE.findall(directives):
        if re.search(pattern, header.lower()):
            last = value
    return last


TYPES = [
    *FORM_TYPES, *DATA_TYPES, *(file.replace("*", "x") for file in FILE_TYPES), "image/svg+xml", "application/vnd.a+json", "application/vnd.b+json",
    "text/x-my-log", "text/xml-external", "multipart/mixed", "application/x-git-upload-pack-request", "application/grpc-web+proto", "a/b",
]  # fmt: skip


@pytest.mark.parametrize("entries", [[], OWN], ids=["by default", "with its own"])
def test_rules_read_a_body_as_the_page_says(entries: list[str]) -> None:
    (application,) = made({"P": {"content_type_readings": entries}}).applications

    for kind, form in product(TYPES, ("{}", " {};charset=utf-8", "{} ; boundary=x", "{},text/plain", "{}\t")):
        expected = reading_of(kind, entries)
        wanted = "URLENCODED" if expected is ReadAs.FORM else expected.upper()
        assert chosen(application.directives, form.format(kind).upper()) == wanted, (kind, form)


def test_narrower_patterns_and_a_policys_own_come_first() -> None:
    assert reading_of("image/png", OWN) is ReadAs.NONE
    assert reading_of("image/svg+xml", OWN) is ReadAs.XML
    assert reading_of("application/vnd.a+json", OWN) is ReadAs.TEXT
    assert reading_of("application/vnd.b+json", OWN) is ReadAs.JSON
    assert reading_of("application/pdf", OWN) is ReadAs.FORM
    assert reading_of("text/x-my-log", OWN) is ReadAs.XML


@pytest.mark.parametrize("header", ["", "json", "/", "application", ";charset=utf-8"])
def test_what_is_no_type_is_left_to_be_read_as_a_form(header: str) -> None:
    (application,) = made({"P": {}}).applications

    assert chosen(application.directives, header) in {"", "BINARY"}


def test_an_unvalidated_pattern_raises() -> None:
    assert content_types(READINGS)
    for kind in ('a/b"', "a/b|c", "a/(b)", "a/b c", "a/b\nc", "*/b", "a/*b*"):
        with pytest.raises(UnsafeText):
            content_types([kind])


def test_a_new_policy_says_nothing_of_its_own() -> None:
    assert PolicyFields(name="P").content_type_readings == []


def test_patterns_alone_leave_nothing_empty_that_the_agent_would_reject() -> None:
    (application,) = made({"P": {"allowed_content_types": ["image/*"]}}).applications

    assert "setvar:'tx.allowed_request_content_type=-'" in application.directives
