"""Which requests HAProxy marks, and with which statuses that count towards a ban: no other spelling of a path dodges the count."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.live.origins import Origin
from tests.live.stack import Stack
from tests.rows import rows

BLOCK = {"enforcement_mode": "block", "automatic_bans": True, "login_paths": ["/login", "/api/Über"]}

POLICIES: dict[str, dict[str, Any]] = {
    "Shop": BLOCK,
    "Blog": {**BLOCK, "login_paths": ["/wp-login.php"], "login_statuses": ["200"]},
    "Errors": {**BLOCK, "error_statuses": ["404", "401"]},
    "Nothing": {"enforcement_mode": "block", "automatic_bans": True, "login_paths": []},
    "Watches": {**BLOCK, "enforcement_mode": "detect_only"},
    "Nobody": {**BLOCK, "automatic_bans": False},
}

FAILED, NONE = "401,403", "-"

BASIC = {"authorization": "Basic YTpi"}

SPELLINGS = [
    "/login", "/login/", "/login?next=/", "/login/step2", "/LOGIN", "/%6Cogin", "//login", "/./login", "/login;a=1", "/;a/login", "/login./", "/login%20/",
    "/api/%C3%BCber", "/api/%C3%9Cber/x", "/API/u%CC%88ber", "/api%2F%C3%9Cber", "/api%5C%C3%9Cber",
]  # fmt: skip

TOO_MANY_WAYS = [
    "/x/../login",
    "/a/b/../../login",
    "/x/%2e%2e/login",
    "/x/..%2flogin",
    "/%256Cogin",
    "/login%00",
    "/login::$DATA",
    "/%zzlogin",
    "/login%C0%AF",
]

OTHERS = ["/", "/logins", "/my/login", "/api/uber", "/?/login", "/%3F/login"]


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin) -> Iterator[Stack]:
    common = {"servers": [{"address": server.address}], "health_check": False}
    hosts = {f"{name.lower()}.test": {**common, "policy": name} for name in POLICIES}
    given = rows(POLICIES, hosts)
    with Stack(haproxy, given) as running:
        running.again(given)
        yield running


def marked(stack: Stack, target: str, host: str = "shop.test", method: str = "POST", **headers: str) -> str:
    """Statuses that count, as the line of such a request has them."""
    return str(stack.logged(stack.request(method, host, target, headers))["strikes"])


@pytest.mark.parametrize("target", [*SPELLINGS, *TOO_MANY_WAYS])
def test_every_spelling_of_a_path_is_a_log_in(stack: Stack, target: str) -> None:
    assert marked(stack, target) == FAILED


@pytest.mark.parametrize("target", OTHERS)
def test_other_paths_are_none(stack: Stack, target: str) -> None:
    assert marked(stack, target) == NONE


def test_passwords_are_sent_in_a_body_or_in_a_header(stack: Stack) -> None:
    assert [marked(stack, "/login", method=method) for method in ("POST", "PUT", "PATCH")] == [FAILED] * 3
    assert [marked(stack, "/login", method=method) for method in ("GET", "HEAD", "DELETE")] == [NONE] * 3
    assert marked(stack, "/login", method="GET", **BASIC) == FAILED


def test_each_policy_has_paths_and_statuses_of_its_own_and_counts_in_block_alone(stack: Stack) -> None:
    assert marked(stack, "/wp-login.php", "blog.test") == "200"
    assert marked(stack, "/login", "blog.test") == NONE
    assert [marked(stack, "/login", host) for host in ("watches.test", "nobody.test", "nothing.test")] == [NONE] * 3


def test_errors_count_whatever_was_asked_for(stack: Stack) -> None:
    assert [marked(stack, path, "errors.test", "GET") for path in ("/", "/login", "/x/../y", "/%zz")] == ["404,401"] * 4
    assert marked(stack, "/login", "errors.test") == "404,401,403"
