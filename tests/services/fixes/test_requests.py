"""The request of an event is what was sent, and what is not known of it is said."""

import json
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardpanel.services.fixes.cut import close_json, close_xml
from guardpanel.services.fixes.requests import request_of
from tests.events import an_event, as_line

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, min_size=1, max_size=4), st.data())
def test_json_cut_anywhere_is_closed_to_json(document: dict[str, object], data: st.DataObject) -> None:
    whole = json.dumps(document, ensure_ascii=data.draw(st.booleans())).encode()
    cut = whole[: data.draw(st.integers(1, len(whole)))]

    json.loads(close_json(cut))


def test_closed_json_keeps_what_was_there() -> None:
    assert json.loads(close_json(b'{"a": [1, {"b": "x", "c": "unfin')) == {"a": [1, {"b": "x", "c": "unfin"}]}


XML = (
    '<?xml version="1.0"?><!-- <a> --><e:a xmlns:e="u" x="a>b" y=\'"\'><b>ö &amp; &#x41;</b><c/>'
    "<d><![CDATA[<x> ]] ö]]></d ><!-- </d> --><f>1</f></e:a>"
).encode()


@pytest.mark.parametrize("length", range(XML.index(b"<b>"), len(XML) + 1))
def test_xml_cut_anywhere_is_closed_to_xml(length: int) -> None:
    assert ET.fromstring(close_xml(XML[:length])).tag == "{u}a"


def test_closed_xml_keeps_what_was_there() -> None:
    assert close_xml(b"<a><b>one</b><c x='1'>tw") == b"<a><b>one</b><c x='1'>tw</c></a>"
    assert close_xml(b"<a><![CDATA[<b>") == b"<a><![CDATA[<b>]]></a>"
    assert close_xml(b"<a><b>one &am") == b"<a><b>one </b></a>"


@pytest.mark.parametrize("piece", [b"a", b'b="c" ', b"b='", b" ", b"<a>", b"<!--", b"&", b"</a>"])
def test_a_tag_without_an_end_is_read_once(piece: bytes) -> None:
    """Hours, if each letter was an end of its name that is tried. Attackers choose it, and a group has a thousand such events."""
    beginning = b"<a " if piece.startswith(b"b") else b"<"

    assert len(close_xml(beginning + piece * 200_000)) <= 4 * len(piece) * 200_000


def test_xml_is_readable_whatever_was_masked_in_it() -> None:
    headers = [["content-type", "application/soap+xml"]]
    body = "<a password=[masked] b='1'><token>[masked]</token><c pin=[masked]/></a>"
    request = request_of(as_line(an_event(method="POST", headers=headers, body=body)))

    assert request.body == b'<a password="masked0" b=\'1\'><token>masked0</token><c pin="masked0"/></a>'


def test_a_whole_request_has_no_gaps() -> None:
    headers = [["host", "shop.example"], ["content-type", "application/x-www-form-urlencoded"], ["content-length", "3"]]
    request = request_of(
        as_line(an_event(method="POST", uri="/a%20b?x=1", headers=headers, body="q=\udcff", body_bytes=3))
    )

    assert (request.path, request.query, request.body, request.gaps) == ("/a b", [("x", "1")], b"q=\xff", ())
    assert request.question()["body"] == "cT3/"


def test_harmless_values_stand_in_for_masked_ones_and_that_is_said() -> None:
    headers = [["cookie", "[masked]"], ["content-type", "application/json"], ["content-length", "9"]]
    body = '{"password":"[masked]","cvc":[masked],"a":["[masked]"]}'
    request = request_of(as_line(an_event(method="POST", uri="/?token=[masked]", headers=headers, body=body)))

    assert json.loads(request.body) == {"password": "masked0", "cvc": 0, "a": ["masked0"]}
    assert dict(request.headers)["content-length"] == str(len(request.body))
    assert request.uri == "/?token=masked0"
    assert request.gaps == ("Masked values in the URL, body and header cookie are replaced with harmless ones.",)


def test_what_is_masked_in_a_path_stays_unknown() -> None:
    """A user's name may be both in a cookie and in the path."""
    request = request_of(as_line(an_event(method="PUT", uri="/dav/[masked]/My%20photos/a.jpg?x=[masked]")))

    assert (request.uri, request.path) == ("/dav/masked0/My%20photos/a.jpg?x=masked0", "/dav/masked0/My photos/a.jpg")
    assert request.known_path == "/dav/[masked]/My photos/a.jpg"


def test_json_is_readable_whatever_was_masked_in_it() -> None:
    headers = [["content-type", "application/json"]]
    body = '{"a": [masked][masked], "b": [[masked], "[masked]x"]}'
    request = request_of(as_line(an_event(method="POST", headers=headers, body=body)))

    assert json.loads(request.body) == {"a": 0, "b": [0, "masked0x"]}


def test_a_cut_body_is_closed_and_that_is_said() -> None:
    headers = [["content-type", 'multipart/form-data; boundary="xx"']]
    body = "--xx\r\ncontent-disposition: form-data; name=a\r\n\r\nlong"
    request = request_of(as_line(an_event(method="POST", headers=headers, body=body, body_bytes=9000, body_cut=True)))

    assert request.body.endswith(b"long\r\n--xx--\r\n")
    assert request.gaps == ("The event has 52 of the body’s 9,000 bytes. The rest is not judged.",)
