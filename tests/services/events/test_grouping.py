"""Events that have the same cause are one group, whatever ids are in their addresses and fields."""

import unicodedata
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardpanel.events.folding import LONGEST, field_template, path_template
from guardpanel.events.grouping import Fired, GroupKey, cause_of, shape_of
from tests.corpus import CORPUS

UUID = "0b5c1c64-8f3e-4a0f-9d7b-2a9f7d0c1e55"

PARTS = st.one_of(
    st.sampled_from(["orders", "v2", "17", "007", UUID, UUID.upper(), "2026-11-26", "deadbeef01", "a" * 40, "%2F", "%25", "%"]),
    st.sampled_from(["01ARZ3NDEKTSV4RRFFQ69G5FAV", "dBjftJeZ4CVPmB92K27uhbUJU1p1r", "[0]", ".3.", "…", "{number}", "\\x1b", "//"]),
    st.text(alphabet=st.characters(codec=None), max_size=12),
    st.text(alphabet="%0123456789abcdefABCDEF-_./[]", max_size=40),
)  # fmt: skip
PATHS = st.lists(PARTS, max_size=60).map(lambda parts: "/" + "/".join(parts))


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/", "/"),
        ("/orders/17", "/orders/{number}"),
        ("/orders/17/items/3.json", "/orders/{number}/items/{number}.json"),
        ("/wp-json/wp/v2/posts", "/wp-json/wp/v2/posts"),
        ("/item-42-large", "/item-{number}-large"),
        (f"/users/{UUID}/avatar", "/users/{uuid}/avatar"),
        ("/blog/2026-11-26/news", "/blog/{date}/news"),
        ("/blobs/sha256:" + "9f86d081" * 8, "/blobs/sha256:{hash}"),
        ("/app.3f9c2ab1.js", "/app.{hash}.js"),
        ("/decade/facade", "/decade/facade"),
        ("/s/dBjftJeZ4CVPmB92K27uhbUJU1p1r", "/s/{token}"),
        ("/e/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/e/{token}"),
        ("/c/cjld2cjxh0000qzrmn831i7rn", "/c/{token}"),
        ("/iphone15promaxcase2023sale", "/iphone15promaxcase2023sale"),
        ("/a-rather-long-title-of-a-page", "/a-rather-long-title-of-a-page"),
        ("/cart;jsessionid=0A1B2C3D4E5F6071", "/cart;jsessionid={hash}"),
        ("/caf%C3%A9//%31%37", "/café/{number}"),
        ("/a%2Fb%20c%2541", "/a%2Fb c%2541"),
        ("/%e0%ff%0a", r"/\xe0\xff\x0a"),
    ],
)
def test_ids_in_a_path_are_folded(path: str, template: str) -> None:
    assert path_template(path) == template


@pytest.mark.parametrize(
    ("key", "template"),
    [
        ("content", "content"),
        ("json.items.0.text", "json.items.*.text"),
        ("items[3][name]", "items[*][name]"),
        (f"field_{UUID}", "field_*"),
        ("address1", "address*"),
        ("a%20b", "a%20b"),
    ],
)
def test_indices_in_a_field_are_folded(key: str, template: str) -> None:
    assert field_template(key) == template


@given(PATHS)
def test_folding_again_changes_nothing(path: str) -> None:
    template, field = path_template(path), field_template(path)

    assert path_template(template) == template
    assert field_template(field) == field


@given(PATHS)
def test_a_template_is_short_and_hides_nothing(path: str) -> None:
    for template in (path_template(path), field_template(path)):
        assert len(template) <= LONGEST
        assert not {unicodedata.category(character) for character in template} & {
            "Cc",
            "Cf",
            "Cs",
            "Co",
            "Cn",
            "Zl",
            "Zp",
        }


@pytest.mark.parametrize("sent", CORPUS)
def test_hostile_text_is_inert(sent: str) -> None:
    assert all(part.isprintable() for part in path_template(sent) + field_template(sent))


@given(st.lists(st.text(alphabet="abz019-._~", min_size=1, max_size=6), min_size=1, max_size=6), st.data())
def test_two_spellings_of_a_path_agree(segments: list[str], data: st.DataObject) -> None:
    path = "/" + "/".join(segments)
    escaped = "".join(
        "".join(f"%{byte:02{data.draw(st.sampled_from('xX'))}}" for byte in piece.encode())
        if piece != "/" and data.draw(st.booleans())
        else piece
        for piece in path
    )

    assert path_template(escaped) == path_template(path)
    assert path_template(quote(path)) == path_template(path)
    assert path_template(path.replace("/", "//")) == path_template(path)


def a_shape(method: str = "POST", path: str = "/posts/1", level: int | None = 1, **fields: Any) -> str:
    """Of rules by `r941100=("ARGS", "content")`; `at2` behind them is their paranoia level."""
    fired = [
        Fired(int(name[1:7]), 2 if name.endswith("at2") else 1, (places,) if places else ())
        for name, places in fields.items()
    ]
    cause = cause_of(fired, level)
    return str(GroupKey(None, shape_of(method, path, cause).number)) if cause else ""


def test_a_group_is_a_method_a_path_rules_and_fields() -> None:
    content = ("ARGS", "content")
    group = a_shape(r941100=content, r941160=content)

    assert (
        a_shape(path="/posts/2", r941160=content, r941100=("ARGS_POST", "content"), r949110=None, r901340=None) == group
    )
    assert a_shape(method="PUT", r941100=content, r941160=content) != group
    assert a_shape(path="/pages/1", r941100=content, r941160=content) != group
    assert a_shape(r941100=content) != group
    assert a_shape(r941100=content, r941160=("ARGS", "title")) != group


def test_rules_that_are_only_logged_do_not_tell_groups_apart() -> None:
    content = ("ARGS", "content")

    assert a_shape(r941100=content, r942130at2=content) == a_shape(r941100=content)
    assert a_shape(level=2, r941100=content, r942130at2=content) != a_shape(r941100=content)
    assert a_shape(r942130at2=content) != ""


def test_rules_that_only_report_make_no_group() -> None:
    assert a_shape(r949110=None, r980170=None, r901340=None) == ""


def test_a_key_that_is_stored_stays_what_it_is() -> None:
    assert a_shape(r941100=("ARGS", "content")) == "0-3bc00e3f39a45e24"


@pytest.mark.parametrize(
    "text", ["", "17", "17-", "17-xyz", "017-0123456789abcdef", "-1-0123456789abcdef", "٣-0123456789abcdef"]
)
def test_an_invalid_group_key_is_rejected(text: str) -> None:
    assert GroupKey.read(text) is None


def test_a_key_reads_as_it_was_written() -> None:
    for key in (GroupKey(17, 0x0123456789ABCDEF), GroupKey(None, 1)):
        assert GroupKey.read(str(key)) == key


def test_headers_that_are_not_restricted_do_not_tell_groups_apart() -> None:
    def group(*headers: str) -> str:
        """920450 matches the name of every header, and copies it, before it looks for restricted ones."""
        matches = [("REQUEST_HEADERS_NAMES", header) for header in (*headers, "x-http-method-override")]
        cause = cause_of([Fired(920450, 1, [*matches, ("TX", "header_name_920450_x-http-method-override")])], 1)
        assert cause and cause.fields == ("REQUEST_HEADERS_NAMES:x-http-method-override",)
        return str(GroupKey(None, shape_of("PUT", "/posts/1", cause).number))

    assert group("host", "accept") == group("host", "dnt", "accept-language")
