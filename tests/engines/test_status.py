"""What is said of HAProxy, from what its processes answer."""

from guardpanel.engines.haproxy.status import uninspected


def test_requests_without_a_verdict_are_added_up_by_policy_wherever_they_are_counted() -> None:
    tables = [
        "# table: uninspected, type: integer, size:10240, used:1\n0x7f1: key=2 use=0 exp=0 shard=0 gpc0=5\n",
        (
            "# table: large_bodies, type: integer, size:10240, used:3\n"
            "0x7f2: key=1 use=4 exp=0 gpc0=0 conn_cur=4\n0x7f3: key=2 use=0 exp=0 gpc0=1 conn_cur=0\n"
        ),
        "No such table\n",
    ]

    assert uninspected(tables) == {2: 6}
