"""A policy that inspects 4 MiB, beside one that inspects 16 KiB."""

from collections.abc import Iterator

import pytest

from tests.live.bodies import ATTACK, KIB, LIMIT, UPLOAD, form, hosts, sent, upload, ways, whole
from tests.live.origins import Origin
from tests.live.stack import Stack
from tests.rows import rows

LARGE = 4096 * KIB


pytestmark = pytest.mark.pairwise


@pytest.fixture(scope="module")
def large(haproxy: str, server: Origin) -> Iterator[Stack]:
    """One policy inspects 4 MiB."""
    policies = {
        "Large": {"enforcement_mode": "block", "body_limit_kib": LARGE // KIB},
        "Small": {"enforcement_mode": "block", "body_limit_kib": LIMIT // KIB},
    }
    with Stack(haproxy, rows(policies, hosts(server, *policies))) as running:
        yield running


@ways
def test_four_mebibytes_are_inspected_to_the_last_byte(large: Stack, way: str) -> None:
    harmless, attack = upload(LARGE), upload(LARGE, ATTACK)
    assert len(harmless) == len(attack) == LARGE

    passed, blocked = (
        sent(large, "large.test", harmless, way, UPLOAD),
        sent(large, "large.test", attack, way, UPLOAD),
    )

    assert (passed.verdict["error"], passed.verdict["score"]) == ("", "0")
    assert whole(passed, harmless)
    assert blocked.status == 403
    assert "941100" in blocked.verdict["rules"].split(",")


@ways
def test_above_four_mebibytes_it_is_refused(large: Stack, way: str) -> None:
    assert sent(large, "large.test", upload(LARGE + 1), way, UPLOAD).status == 413


@ways
def test_large_buffers_leave_small_limits_alone(large: Stack, way: str) -> None:
    assert sent(large, "small.test", form(LIMIT, ATTACK), way).status == 403
    assert sent(large, "small.test", form(LIMIT + 1), way).status == 413
