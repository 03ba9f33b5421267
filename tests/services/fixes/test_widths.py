"""What a rung is made of: the fields that a rule is blamed for, and patterns for what differs between requests."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardpanel.engines.waf.evaluation import EvaluatedRule, Match
from guardpanel.events.folding import field_template, path_template
from guardpanel.models.patterns import pattern
from guardpanel.models.policies.path_condition import PathMatch
from guardpanel.models.rules.rule_exclusion import Target
from guardpanel.services.fixes.blame import Blame, Field, blame
from guardpanel.services.fixes.drafts import Draft
from guardpanel.services.fixes.folding import escaped, json_name, name_pattern, path_pattern
from guardpanel.services.fixes.functions import condition
from guardpanel.services.fixes.requests import Request
from guardpanel.services.fixes.widths import Width, directory, exclusions
from tests.corpus import CORPUS


def a_rule(number: int, *matches: Match, tags: tuple[str, ...] = ("attack-xss",)) -> EvaluatedRule:
    return EvaluatedRule(number, 2, 1, "", "", tags, matches)


def a_request(method: str = "POST", uri: str = "/posts", body: bytes = b"", kind: str = "") -> Request:
    headers = (("content-type", kind),) if kind else ()
    return Request("192.0.2.7", method, uri, "1.1", headers, body)


CONTENT = Blame(a_rule(941100), (Field(Target.ARGUMENT, "content"),))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/posts/2176", r"/posts/\d+"),
        ("/v2/users/7c9e6679-7425-40de-944b-e07fc1f90ae7/x", "/v2/users/[0-9A-Fa-f-]{36}/x"),
        ("/o/5f2b6c1d9e.json", r"/o/[0-9A-Fa-f]{8,}\.json"),
        ("/o/5F2b6c1D9e", "/o/[0-9A-Fa-f]{8,}"),
        ("/files/AbC123dEf456GhI789jKl", "/files/[A-Za-z0-9_-]{20,}"),
        ("/blog/2026-11-26T10:20:30Z/7", r"/blog/\d{4}-\d\d-\d\d[0-9TZ:.]*/\d+"),
        ("/a-rather-long-title-of-page-2", r"/a-rather-long-title-of-page-\d+"),
        ("/wp-json/posts", ""),
        ("/oauth2/token", ""),
    ],
)
def test_what_varies_in_a_path_becomes_a_pattern(path: str, expected: str) -> None:
    assert path_pattern(path) == expected
    if expected:
        assert re.fullmatch(pattern(expected), path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("rows[12][text]", r"rows\[\d+\]\[text\]"), ("item_3", r"item_\d+"), ("content", ""), ("address1", r"address\d+")],
)
def test_what_varies_in_a_name_becomes_a_pattern(name: str, expected: str) -> None:
    assert name_pattern(name) == expected


ID_KINDS = [
    st.integers(0, 10**7).map(str),
    st.dates().map(str),
    st.datetimes().map(lambda moment: f"{moment:%Y-%m-%dT%H:%M:%SZ}"),
    st.uuids().map(str),
    st.text("0123456789abcdef", min_size=8, max_size=40).map("a1{}".format),
    st.text("0123456789abcdef", min_size=8, max_size=40).map("A1b{}".format),
    st.text("abcXYZ019_-", min_size=10, max_size=30).map("aB3dE6gH9jK{}z".format),
]
"Two of the same kind are two requests of one group."

PLACES = st.lists(
    st.one_of(
        st.sampled_from(["orders", "v2", "a.b", "item-", "(x)", "_", "é", "%41"]).map(lambda word: (word, word)),
        *(st.tuples(kind, kind) for kind in ID_KINDS),
    ),
    min_size=1,
    max_size=6,
)


@given(PLACES, st.sampled_from(["/", "/a_", "/x.", "/new-"]))
def test_the_pattern_of_a_path_matches_its_whole_group(places: list[tuple[str, str]], separator: str) -> None:
    path, other = (separator + separator.join(pair[side] for pair in places) for side in (0, 1))

    if path_template(path) == path_template(other):
        assert re.fullmatch(path_pattern(path) or escaped(path), other)
    assert bool(path_pattern(path)) == ("{" in path_template(path))


@given(PLACES)
def test_the_pattern_of_a_name_matches_the_fields_of_its_group(places: list[tuple[str, str]]) -> None:
    name, other = ("[".join(pair[side] for pair in places) for side in (0, 1))

    if field_template(name) == field_template(other):
        assert re.fullmatch(name_pattern(name) or escaped(name), other)
    assert bool(name_pattern(name)) == ("*" in field_template(name))


def test_an_index_of_a_json_list_becomes_a_star() -> None:
    assert (json_name("items.0.text"), json_name("items.0.text_2")) == ("items.*.text", "")


@given(st.text())
def test_an_escaped_text_matches_itself_and_nothing_else(text: str) -> None:
    assert re.fullmatch(escaped(text), text)
    assert not re.fullmatch(escaped(text), text + "x")


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_a_folded_path_matches_the_path_that_it_is_from(text: str) -> None:
    if folded := path_pattern(f"/{text}"):
        assert re.fullmatch(folded, f"/{text}")


def test_a_chain_is_blamed_at_the_link_that_matched_least() -> None:
    headers = [Match("REQUEST_HEADERS_NAMES", name, name, 0) for name in ("Host", "Accept", "X-HTTP-Method-Override")]
    culprit = Match("TX", "header_name_920450_x-http-method-override", "", 1)

    assert blame(a_rule(920450, *headers, culprit)).fields == (Field(Target.HEADER_NAME, "x-http-method-override"),)


def test_the_order_in_which_the_engine_names_fields_does_not_matter() -> None:
    matches = [Match("ARGS_NAMES", name, name, 0) for name in ("$filter", "$top", "$expand")]

    assert blame(a_rule(942290, *matches)).fields == blame(a_rule(942290, *reversed(matches))).fields


def test_a_rule_on_something_without_a_name_is_blamed_as_a_whole() -> None:
    assert blame(a_rule(911100, Match("REQUEST_METHOD", "", "PUT", 0))).fields == ()
    assert (
        blame(a_rule(920640, Match("REQUEST_HEADERS", "content-type", "0", 0)), lambda _rule, _field: False).fields
        == ()
    )
    (row,) = exclusions(Width.FIELD, [Blame(a_rule(911100), ())], a_request(), None).exclusions
    assert (row.target, row.rules, row.path) == (Target.REQUEST, ["911100"], "/posts")


def test_rules_on_one_field_are_one_exclusion() -> None:
    both = [CONTENT, Blame(a_rule(941110), CONTENT.fields)]
    (row,) = exclusions(Width.FIELD, both, a_request(), 7).exclusions
    assert (row.rules, row.target_name, row.methods, row.virtual_host_id) == (
        ["941100", "941110"],
        "content",
        ["POST"],
        7,
    )


def test_each_width_says_where() -> None:
    request = a_request(uri="/posts/7?action=save")
    rows = {width: exclusions(width, [CONTENT], request, None).exclusions[0] for width in (
        Width.CONDITION, Width.PATH_PATTERN, Width.FAMILY, Width.REQUEST, Width.EVERYWHERE)}  # fmt: skip

    assert rows[Width.CONDITION].only_if == ["action=save"]
    assert rows[Width.PATH_PATTERN].path == r"/posts/\d+"
    assert rows[Width.FAMILY].rules == ["attack-xss"]
    assert rows[Width.REQUEST].target is Target.REQUEST
    assert (rows[Width.EVERYWHERE].path_match, rows[Width.EVERYWHERE].methods) == (PathMatch.ANY, [])


@pytest.mark.parametrize(
    ("path", "above"),
    [
        ("/posts/my-trip", "/posts"), ("/blog/my-trip/", "/blog"), ("/orders/17/items/3", "/orders"), ("/img/123.png", "/img"),
        ("/o/ORD-2024-1", "/o"), ("/dav/[masked]/a/7", "/dav"), ("/a b/c/x", "/a b/c"), ("/posts", ""), ("/posts/", ""), ("/17/x", ""),
        ("/", ""), ("/a/../b", ""), ("/a/b\udce9/c", ""),
    ],
)  # fmt: skip
def test_the_directory_above_a_path_is_the_one_that_holds_those_like_it(path: str, above: str) -> None:
    """That of the whole site would be every path."""
    assert directory(path) == above


def test_a_width_that_the_request_gives_no_reason_for_is_empty() -> None:
    for width in (Width.CONDITION, Width.PATH_PATTERN, Width.PATTERNS):
        assert exclusions(width, [CONTENT], a_request(), None) == Draft()


def test_a_repeated_argument_is_not_a_condition() -> None:
    kind = "application/x-www-form-urlencoded"
    assert condition(a_request(uri="/x?action=a", body=b"action=b", kind=kind)) == ""
    assert condition(a_request(uri="/x?action=%0a", kind=kind)) == ""
    assert condition(a_request(uri="/x", body=b"Action=save&y=1", kind=kind)) == "Action=save"


def test_a_field_of_a_multipart_form_is_a_condition_and_a_file_is_none() -> None:
    kind = "multipart/form-data; boundary=b"
    part = b'--b\r\nContent-Disposition: form-data; name="action"%s\r\n\r\nsave\r\n'
    end = b"--b--\r\n"

    assert condition(a_request(body=part % b"" + end, kind=kind)) == "action=save"
    assert condition(a_request(body=part % b"" + part % b"" + end, kind=kind)) == ""
    assert condition(a_request(body=part % b'; filename="a"' + end, kind=kind)) == ""
    assert condition(a_request(body=part % b"" + end, kind="multipart/form-data")) == ""


@pytest.mark.parametrize("text", CORPUS)
def test_hostile_names_and_paths_are_refused_or_become_what_can_be_saved(text: str) -> None:
    hostile = Blame(a_rule(941100), (Field(Target.ARGUMENT, text or "x"),))
    for width in Width:
        try:
            draft = exclusions(width, [hostile], Request("", "POST", f"/{text}", "1.1", ()), None)
        except ValueError:
            continue
        assert all(fields.rules for fields in draft.exclusions)


MASKED_PATH = replace(a_request(uri="/dav/masked0/a.b/12"), masked_uri="/dav/[masked]/a.b/12")
"What stands in for a secret is in no path of the application."


@pytest.mark.parametrize(
    ("width", "path"), [(Width.FIELD, r"/dav/[^/]+/a\.b/12"), (Width.PATH_PATTERN, r"/dav/[^/]+/a\.b/\d+")]
)
def test_any_text_fits_where_a_path_is_masked(width: Width, path: str) -> None:
    (row,) = exclusions(width, [CONTENT], MASKED_PATH, None).exclusions

    assert (row.path_match, row.path) == (PathMatch.PATTERN, path)


@pytest.mark.parametrize(
    ("field", "pattern_of_names"),
    [
        (Field(Target.ARGUMENT, "user[masked0].x"), r"user\[.+\]\.x"),
        (Field(Target.JSON, "users.masked0.7"), r"json\.users\..+\.\d+"),
    ],
)
def test_any_text_fits_where_a_name_is_masked(field: Field, pattern_of_names: str) -> None:
    (row,) = exclusions(Width.FIELD, [Blame(a_rule(941100), (field,))], a_request(), None).exclusions

    assert (row.target, row.name_is_pattern, row.target_name) == (Target.ARGUMENT, True, pattern_of_names)


def test_a_member_of_a_json_document_is_a_condition() -> None:
    kind = "application/json; charset=utf-8"
    assert condition(a_request(body=b'{"id":1,"Method":"a.b","params":["x"]}', kind=kind)) == "json.Method=a.b"
    assert condition(a_request(body=b'{"operationName":null,"query":"{a}"}', kind=kind)) == ""
    assert condition(a_request(body=b'[{"method":"a.b"}]', kind=kind)) == ""
    assert condition(a_request(body=b'{"params":{"method":"a.b"}}', kind=kind)) == ""


def test_the_last_argument_of_a_cut_body_is_no_condition() -> None:
    for body, kind in (
        (b"x=1&action=sav", "application/x-www-form-urlencoded"),
        (b'{"a":1,"method":"sav"}', "application/json"),
    ):
        request = a_request(body=body, kind=kind)
        assert (bool(condition(request)), condition(replace(request, is_cut=True))) == (True, "")


@pytest.mark.parametrize("count", [10, 11])
def test_many_fields_that_differ_in_their_number_are_one_pattern(count: int) -> None:
    fields = tuple(Field(Target.JSON, f"rows.{number}.note") for number in range(count))
    draft = exclusions(Width.FAMILY, [Blame(a_rule(941100), fields)], a_request(), None)
    alone = exclusions(Width.FIELD, [Blame(a_rule(941100), fields)], a_request(), None)

    assert len(alone.rows) == (10 if count == 10 else 0)
    names = [row.target_name for row in draft.exclusions]
    assert names == ([field.name for field in fields] if count == 10 else ["rows.*.note"])


def test_a_masked_value_is_no_condition() -> None:
    assert condition(a_request(uri="/x?action=masked0")) == ""
