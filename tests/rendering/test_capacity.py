"""How much happens at a time, by the memory that there is and by what an operator says."""

from dataclasses import replace
from typing import Any

import pytest

from guardpanel.rendering import DesiredState, render
from guardpanel.rendering.capacity import Capacity, capacity
from guardpanel.rendering.haproxy import room
from tests.rows import FACTS, rows

HOST = {"servers": [{"address": "192.0.2.1"}], "policy": "Uploads"}


def state(memory_mib: int = 2048, open_files: int = 100_000, limit: int = 128, **traffic: Any) -> DesiredState:
    facts = replace(FACTS, memory_mib=memory_mib, open_files=open_files)
    return DesiredState.from_rows(rows({"Uploads": {"body_limit_kib": limit}}, {"a.test": HOST}, traffic), facts)


def made(**given: Any) -> Capacity:
    wanted = state(**given)
    return capacity(wanted, room(wanted).buffer)


@pytest.mark.parametrize(
    ("memory_mib", "open_files", "connections"),
    [
        (64, 100_000, 200),
        (1024, 100_000, 2048),
        (2048, 100_000, 4096),
        (65_536, 1 << 60, 20_000),
        (65_536, 20_000, 4366),
    ],
)
def test_connections_follow_the_memory_as_far_as_there_are_files(
    memory_mib: int, open_files: int, connections: int
) -> None:
    assert made(memory_mib=memory_mib, open_files=open_files).connections == connections


def test_what_stalls_takes_no_more_than_its_share_of_the_memory() -> None:
    """One client, and all large bodies: a quarter each, at three buffers of 4 MiB for each request."""
    most = made(limit=4096)

    assert most.requests_per_client * 3 * 4144 // 1024 <= 512
    assert most.large_bodies * 3 * 4144 // 1024 <= 512
    assert most.large_bodies_per_client < most.large_bodies


def test_an_operator_may_say_otherwise() -> None:
    limited = made(max_connections=20, max_requests_per_client=7)

    assert (limited.connections, limited.requests_per_client) == (20, 7)


def test_what_was_asked_for_where_there_were_more_files_keeps_no_haproxy_from_starting() -> None:
    """A backup may come from a larger machine."""
    assert made(max_connections=20_000, open_files=5_000).connections == made(open_files=5_000).connections


def test_large_bodies_are_counted_only_where_a_policy_takes_them() -> None:
    small, large = (render(state(limit=limit)).files["haproxy.cfg"].decode() for limit in (128, 129))

    assert made(limit=128).large_bodies == 0
    assert (made(limit=208).large_answers, made(limit=4096).large_answers) == (0, made(limit=4096).large_bodies)
    assert "large_bodies" not in small
    assert "int(1),table_conn_cur(large_bodies)" in large


def test_only_large_buffers_are_passed_by() -> None:
    small, large = (render(state(limit=limit)).files["haproxy.cfg"].decode() for limit in (128, 4096))

    assert "option splice-auto" in small
    assert "option splice-response" in large
    assert "option splice-request" in large
