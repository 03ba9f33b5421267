"""Pasted requests: raw HTTP and curl commands, as what would be sent."""

import pytest

from guardpanel.errors import Invalid
from guardpanel.services.trials.pasted_requests import read_request


def headers(text: str) -> dict[str, str]:
    return {name.lower(): value for name, value in read_request(text, "request").headers}


@pytest.mark.parametrize(
    ("text", "method", "uri", "body"),
    [
        ("GET /a?b=1 HTTP/1.1\nHost: x.test", "GET", "/a?b=1", b""),
        ("POST /a HTTP/1.1\r\nHost: x.test\r\nContent-Length: 99\r\n\r\na=1\r\n", "POST", "/a", b"a=1"),
        ("GET http://x.test/a HTTP/1.1", "GET", "/a", b""),
        ("POST /a HTTP/1.1\nContent-Type: multipart/form-data; boundary=x\n\n--x\n\nv\n--x--\n", "POST", "/a", b"--x\r\n\r\nv\r\n--x--\r\n"),
        ("curl x.test", "GET", "/", b""),
        ("curl 'https://x.test/a?b=c&d#e'", "GET", "/a?b=c&d", b""),
        ("curl -d a=1 -d 'b=2 3' x.test/p", "POST", "/p", b"a=1&b=2 3"),
        ("curl --data-raw '@x' x.test", "POST", "/", b"@x"),
        ("curl --data-urlencode 'q=a b&c' --data-urlencode '=x=y' x.test", "POST", "/", b"q=a+b%26c&x%3Dy"),
        ("curl -G -d q=1 x.test/p?a=2", "GET", "/p?a=2&q=1", b""),
        ("curl -sXPUT --json '{\"a\":1}' x.test", "PUT", "/", b'{"a":1}'),
        ("curl -I x.test", "HEAD", "/", b""),
        ("curl x.test \\\n  -H 'A: b' \\\n  --data $'a\\'\\u00e9\\x41\\n'", "POST", "/", "a'éA\n".encode()),
        ("curl x.test --data $'a=\\ud83d\\ude00'", "POST", "/", "a=😀".encode()),
        ('curl "x.test/$a" --data "say \\"it\\" \\\\ \\n"', "POST", "/$a", b'say "it" \\ \\n'),
    ],
)  # fmt: skip
def test_a_request_is_read_as_it_would_be_sent(text: str, method: str, uri: str, body: bytes) -> None:
    request = read_request(text, "request")

    assert (request.method, request.uri, request.body) == (method, uri, body)


def test_what_haproxy_answers_itself_is_left_out() -> None:
    assert "expect" not in headers("curl -H 'Expect: 100-continue' -d x x.test")
    assert headers("curl -H 'Expect: more' -d x x.test")["expect"] == "more"


def test_curls_headers_are_those_of_its_options() -> None:
    text = (
        "curl -u a:b -b 'c=d' -A mine -e 'http://y.test/' -H 'X-E: f' -H 'X-G;' --compressed -d x https://x.test:8443/"
    )

    assert headers(text) == {
        "host": "x.test:8443", "user-agent": "mine", "accept": "*/*", "content-type": "application/x-www-form-urlencoded",
        "accept-encoding": "deflate, gzip, br, zstd", "authorization": "Basic YTpi", "cookie": "c=d", "referer": "http://y.test/",
        "x-e": "f", "x-g": "", "content-length": "1",
    }  # fmt: skip
    assert headers("curl --json '{}' x.test")["accept"] == "application/json"
    assert headers("curl -H 'content-type: text/plain' -d x x.test")["content-type"] == "text/plain"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Paste a request"),
        ("hello", "Begin with the request line"),
        ("GET / HTTP/1.1\nnonsense", "is not a header"),
        ("POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n0", "without chunks"),
        ("curl", "has no URL"),
        ("curl -F a=@b x.test", "-F is not supported"),
        ("curl -d @file x.test", "can’t read files"),
        ("curl --data-urlencode a@file x.test", "can’t read files"),
        ("curl -b jar.txt x.test", "Name cookies"),
        ("curl --cert x x.test", "--cert is not supported"),
        ("curl 'x.test", "is not closed"),
        ("curl x.test | sh", "Remove |"),
        ("curl x.test -d", "needs a value"),
        ("curl x.test -d $'\\ud83d'", "half a character"),
        ("curl $'x.test/\\ude00'", "half a character"),
    ],
)
def test_what_cannot_be_sent_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_request(text, "request")

    assert words in refused.value.errors["request"].message
