"""Whose recorded requests and events a planned state would judge by other rules."""

from typing import Any

import pytest

from guardpanel.rendering import DesiredState
from guardpanel.services.trials.judging import Judging
from tests.rows import FACTS, rows

POLICIES: dict[str, dict[str, Any]] = {"Strict": {}, "Lax": {"inbound_anomaly_threshold": 50}}
STRICT, LAX = 1, 2


def judging(paths: dict[str, int] | None = None, **hosts: str) -> Judging:
    """Virtual hosts by the hostnames below `.test` and their policies, the first with these paths."""
    named = {
        " ".join(f"{name}.test" for name in names.split("_")): {
            "policy": policy,
            "servers": [{"address": "127.0.0.1:80"}],
        }
        for names, policy in hosts.items()
    }
    bound = [{"host": 1, "path": path, "policy_id": policy} for path, policy in (paths or {}).items()]
    return Judging(DesiredState.from_rows(rows(POLICIES, named, paths=bound), FACTS))


@pytest.mark.parametrize(
    ("before", "after", "affected"),
    [
        (judging({"/a": STRICT, "/b": LAX}, a="Lax"), judging({"/a": LAX, "/b": STRICT}, a="Lax"), "/a"),
        (judging({"/b": STRICT}, a="Lax"), judging({"/a": STRICT}, a="Lax"), "/a"),
        (judging(a="Lax", b="Strict"), judging(b="Lax", a="Strict"), "/"),
        (judging(a="Lax", b="Strict"), judging(a="Lax", b="Lax"), ""),
        (judging(a_c="Lax", b="Lax"), judging(c="Lax", a_b="Lax"), ""),
    ],
)
def test_requests_are_affected_by_what_judges_them_where_they_go(
    before: Judging, after: Judging, affected: str
) -> None:
    """`affected`: a path of a.test. Empty: none."""
    now, then = before.directives_after(after, 1, "a.test", affected or "/")

    assert (1 in before.affected_in(after)) is bool(affected)
    assert (now != then) is bool(affected)
