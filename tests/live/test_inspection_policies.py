"""What the fields of a policy do to real requests: methods, content types, levels, thresholds, skip lists."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.live.origins import Origin
from tests.live.over_h2 import NO_ANSWER
from tests.live.stack import Stack
from tests.live.wire import head
from tests.rows import SECRET, rows

pytestmark = pytest.mark.one_haproxy

SQL = {"cookie": "session=1' OR '1'='1"}
QUERY = "?q=1%27%20OR%20%271%27%3D%271"

POLICIES: dict[str, dict[str, Any]] = {
    "Website": {"enforcement_mode": "block"},
    "API": {
        "enforcement_mode": "block",
        "allowed_methods": ["GET", "POST", "PUT", "PATCH", "DELETE"],
        "allowed_content_types": ["application/json", "application/merge-patch+json"],
    },
    "Strict": {"enforcement_mode": "block", "blocking_paranoia_level": 4, "detection_paranoia_level": 4},
    "Observant": {"enforcement_mode": "block", "blocking_paranoia_level": 1, "detection_paranoia_level": 4},
    "Patient": {"enforcement_mode": "block", "inbound_anomaly_threshold": 1000},
    "Quiet": {"enforcement_mode": "block", "response_inspection": True, "outbound_anomaly_threshold": 1000},
    "Skips": {"enforcement_mode": "block", "skip_paths": [".css", "/assets/", "/robots.txt", "/.well-known/"]},
}


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin) -> Iterator[Stack]:
    leak = b"You have an error in your SQL syntax; check the manual that corresponds to your MySQL server"
    server.answers["/leak"] = [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(leak) + leak
    ]
    common: dict[str, Any] = {"servers": [{"address": server.address}], "health_check": False, "https": True}
    with Stack(
        haproxy, rows(POLICIES, {f"{name.lower()}.test": {**common, "policy": name} for name in POLICIES})
    ) as running:
        yield running


@pytest.mark.parametrize(
    ("host", "method", "status"),
    [
        ("website.test", "PUT", 200),
        ("website.test", "PROPFIND", 403),
        ("website.test", "OPTIONS", 200),
        ("api.test", "PUT", 200),
        ("api.test", "PATCH", 200),
        ("api.test", "DELETE", 200),
        ("api.test", "OPTIONS", 403),
        ("api.test", "TRACE", 403),
        ("api.test", "get", 403),
        ("api.test", "OPTIONSX", 403),
    ],
)
def test_only_the_policys_methods_pass(channel: Stack, host: str, method: str, status: int) -> None:
    answer = channel.request(
        method, host, "/", {"content-type": "application/json"}, b"{}" if method[0] == "P" else b""
    )

    assert answer.status == status
    assert ("911100" in answer.verdict["rules"]) is (status == 403)


@pytest.mark.parametrize(
    ("host", "kind", "status"),
    [
        ("website.test", "application/json", 200),
        ("website.test", "application/json; charset=utf-8", 200),
        ("website.test", "text/plain", 200),
        ("website.test", "application/merge-patch+json", 403),
        ("website.test", "application/jso", 403),
        ("api.test", "application/merge-patch+json", 200),
        ("api.test", "application/x-www-form-urlencoded", 403),
        ("api.test", "json", 403),
    ],
)
def test_only_the_policys_content_types_pass(channel: Stack, host: str, kind: str, status: int) -> None:
    answer = channel.post(host, b'{"a": 1}', kind)

    assert answer.status == status
    assert ("920420" in answer.verdict["rules"]) is (status == 403)


def test_a_higher_level_finds_more_and_only_the_blocking_level_blocks(stack: Stack) -> None:
    target = "/?q=%22%20%2D%2D%20%60~!%40%23%24%25%5E%26*()%60"  # CRS: rules of level 2 to 4 alone

    loose, strict, observant = (stack.get(host, target) for host in ("website.test", "strict.test", "observant.test"))

    assert strict.status == 403
    assert (loose.status, observant.status) == (200, 200)
    assert loose.verdict["rules"] == ""
    assert len(observant.verdict["rules"].split(",")) > 2
    assert "949110" in strict.verdict["rules"]


def test_a_higher_threshold_lets_more_pass(channel: Stack) -> None:
    passed = channel.get("patient.test", "/" + QUERY)

    assert passed.status == 200
    assert int(passed.verdict["score"]) >= 5
    assert "949110" not in passed.verdict["rules"]
    assert channel.get("quiet.test", "/leak").status == 200
    assert channel.get("quiet.test", "/" + QUERY).status == 403


@pytest.mark.parametrize(
    "target",
    [
        "/site.css",
        "/a/b/site.min.css",
        "/SITE.CSS",
        "/assets/",
        "/assets/app.js",
        "/assets/v1.2/app",
        "/robots.txt",
        "/.well-known/security.txt",
        "/.well-known/acme-challenge/8x_-y",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_a_policy_skips_is_not_inspected(channel: Stack, method: str, target: str) -> None:
    answer = channel.request(method, "skips.test", target, SQL)

    assert answer.status == 200
    assert (answer.verdict["verdict"], answer.verdict["score"]) == ("skipped", "")
    assert channel.request(method, "website.test", target, SQL).status == 403


@pytest.mark.parametrize(
    "target",
    [
        "/index.php/x.css" + QUERY,
        "/index.php/x.css",
        "/site.css" + QUERY,
        "/site.css?",
        "/site.css?x",
        "/assets/../admin",
        "/assets/..",
        "/assets/.git/config",
        "/.well-known",
        "/.well-known/../admin",
        "/.well-known/./x",
        "/.well-known/..",
        "/assets/./x",
        "/assets/%2e%2e/admin",
        "/assets/%2E%2E%2Fadmin",
        "/assets/x%00",
        "/assets/..;/admin",
        "/assets//x",
        "//assets/x",
        "/x/assets/y",
        "/assets",
        "/assetsx",
        "/Assets/x",
        "/admin%2ecss",
        "/admin.css/",
        "/admin/.css",
        "/.css",
        "/admin;.css",
        "/admin\\.css",
        "/admin.css%20",
        "/admin.css%0a",
        "/admin%3f.css",
        "/admin%23.css",
        "/admin&.css",
        "/site.css.php",
        "/sitecss",
        "/assets/\\..\\admin",
        "http://skips.test/assets/../admin",
        "/robots.txt%2f..%2fadmin",
    ],
)
def test_what_a_server_could_read_in_another_way_is_inspected(channel: Stack, target: str) -> None:
    answer = channel.get("skips.test", target, SQL)

    if channel.scheme == "https" and target.startswith("http:"):
        assert answer is NO_ANSWER
    else:
        assert answer.status == 403
        assert answer.verdict["verdict"] == "blocked"


def test_an_address_with_a_fragment_is_inspected_or_refused(channel: Stack) -> None:
    for target in ("/admin#.css", "/admin#/x.css", "/assets/x#/../../admin"):
        assert channel.get("skips.test", target, SQL).status in {400, 403, NO_ANSWER.status}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "get", "GETS"])
def test_other_methods_are_never_skipped(channel: Stack, method: str) -> None:
    assert channel.request(method, "skips.test", "/site.css", SQL).status == 403


def test_a_request_with_a_body_is_never_skipped(stack: Stack) -> None:
    body = b"q=<script>alert(1)</script>"
    common = {
        "user-agent": "m",
        "accept": "*/*",
        "x-gp-test": SECRET,
        "content-type": "application/x-www-form-urlencoded",
    }

    measured = stack.send(head("GET", "skips.test", "/site.css", {**common, "content-length": str(len(body))}), body)
    chunked = stack.send(
        head("GET", "skips.test", "/site.css", {**common, "transfer-encoding": "chunked"}),
        b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body),
    )

    assert (measured.status, chunked.status) == (403, 403)
