"""How much of a policy's client limits an address has used up, as HAProxy answers it."""

from collections.abc import Sequence
from typing import Any

import pytest

from guardpanel.engines.haproxy.map_commands import MapCommands
from guardpanel.errors import EngineUnavailable
from guardpanel.models import Policy
from guardpanel.models.policies.policy import PolicyFields
from guardpanel.panel import Panel
from guardpanel.services.access.limit_checks import MIB, Met, Used, used

pytestmark = pytest.mark.anyio

PATHS = ("2:2001:db8:0:1:::17", "2:2001:db8:0:1:::-4", "2:2001:db8:0:2:::17", "3:2001:db8:0:1:::17", "2:203.0.113.9:5")

TABLE = "# table: requests_per_10, type: string, size:102400, used:1\n"


class Answers(MapCommands):
    """A HAProxy's CLI that answers this of each table."""

    def __init__(self, answer: str) -> None:
        self.answer = answer
        self.commands: list[str] = []

    async def _ask(self, command: str, patience: float = 0.0, *, again_after_silence: bool = True) -> str:
        self.commands.append(command)
        return self.answer


async def ask(panel: Panel, cli: MapCommands, address: str, **others: Any) -> Sequence[Used]:
    fields = PolicyFields.model_validate(
        {"name": "Limited", "client_limits": True, "rate_limit_requests": 4, "requests_at_once": 2, **others}
    )
    async with panel.database.write() as session:
        session.add(Policy(**fields.model_dump()))
        await session.flush()
        return await used(session, cli, address)


@pytest.mark.parametrize(
    ("counts", "is_over"),
    [
        ((3, 1, 6, MIB - 1), False),
        ((4, 0, 0, 0), True),
        ((1, 2, 0, 0), True),
        ((1, 1, 7, 0), True),
        ((1, 1, 0, MIB), True),
    ],
)
async def test_what_haproxy_has_counted(panel: Panel, counts: tuple[int, ...], is_over: bool) -> None:
    key, names = (
        "2:2001:db8:0:1::",
        ("http_req_rate(10000)", "conn_cur", "http_err_rate(10000)", "bytes_out_rate(10000)"),
    )
    counted = " ".join(f"{name}={count}" for name, count in zip(names, counts, strict=True))
    cli = Answers(f"{TABLE}0x55d: key={key} use=0 exp=19000 shard=0 {counted}\n\n")

    (limit,) = await ask(panel, cli, "2001:db8:0:1::7", errors_per_period=7, mib_per_period=1)

    assert (limit.requests, limit.at_once, limit.errors, limit.sent) == counts
    assert (limit.policy.name, limit.mib, limit.is_over) == ("Limited", counts[-1] // MIB, is_over)
    assert cli.commands == [f"@1 show table requests_per_10 key {key}"]


async def test_where_networks_count_it_is_that_of_the_address(panel: Panel) -> None:
    cli = Answers(TABLE)

    await ask(panel, cli, "2001:db8:0:1::7", limit_by="network")
    await ask(panel, cli, "203.0.113.9", limit_by="network", name="More")

    assert cli.commands[0] == "@1 show table requests_per_10 key 2:2001:db8::"
    assert cli.commands[-1] == "@1 show table requests_per_10 key 3:203.0.113.0"


async def test_without_what_counts_the_client_does(panel: Panel) -> None:
    cli = Answers(f"{TABLE}0x55d: key=2:203.0.113.9 use=0 exp=1 http_req_rate(10000)=4 conn_cur=0\n\n")

    (limit,) = await ask(panel, cli, "203.0.113.9", limit_by="header", limit_by_name="X-API-Key")

    assert (limit.of, limit.is_over) == ("without X-API-Key", True)


async def test_of_the_paths_of_a_client_those_over_a_limit(panel: Panel) -> None:
    lines = [f"0x5{at}: key={key} use=0 exp=1 http_req_rate(10000)=9 conn_cur=0" for at, key in enumerate(PATHS)]
    cli = Answers("\n".join([TABLE.strip(), *lines, "", ""]))

    limits = await ask(panel, cli, "2001:db8:0:1::7", limit_by="path", errors_per_period=7)

    assert [(limit.key, limit.of) for limit in limits] == [(PATHS[0], "of one path"), (PATHS[1], "of one path")]
    names = ("http_req_rate ge 4", "conn_cur ge 2", "http_err_rate ge 7")
    assert cli.commands == [f"@1 show table requests_per_10 data.{name}" for name in names]


async def test_what_a_request_met_is_shown_beside_its_client(panel: Panel) -> None:
    key = "2:by-17"
    cli = Answers(f"{TABLE}0x55d: key={key} use=0 exp=1 http_req_rate(10000)=4 conn_cur=0\n\n")
    async with panel.database.write() as session:
        limits = {"client_limits": True, "limit_by": "cookie", "limit_by_name": "session"}
        session.add(Policy(**PolicyFields.model_validate({"name": "Limited", **limits}).model_dump()))
        await session.flush()
        (limit,) = await used(session, cli, "203.0.113.9", Met(2, key))
        assert await used(session, cli, "203.0.113.9", Met(3, key)) == []

    assert (limit.key, limit.of) == (key, "with the session of this request")


async def test_a_table_that_refuses_to_forget_is_an_error(panel: Panel) -> None:
    key = "2:203.0.113.9"
    cli = Answers(f"{TABLE}0x55d: key={key} use=1 exp=1 http_req_rate(10000)=4 conn_cur=1\n\n")

    with pytest.raises(EngineUnavailable, match=f"HAProxy still has what it counted of {key}."):
        await cli.forget_rates("requests_per_10", key)

    assert cli.commands[1] == f"@1 set table requests_per_10 key {key} data.http_req_rate 0"


class KeepsAsking(MapCommands):
    """A HAProxy of which a client requests something after each command."""

    def __init__(self, counted: int, *, forgets: bool = True) -> None:
        self.counted, self.forgets = counted, forgets
        self.sets = 0

    async def _ask(self, command: str, patience: float = 0.0, *, again_after_silence: bool = True) -> str:
        is_set = " set table " in command
        self.sets += is_set
        counted, self.counted = self.counted, 1 if is_set and self.forgets else self.counted + 1
        return "" if is_set else f"{TABLE}0x55d: key=2:203.0.113.9 use=1 exp=1 http_req_rate(10000)={counted}\n\n"


@pytest.mark.parametrize(("counted", "sets"), [(0, 0), (1, 2), (2, 1), (4, 1)])
async def test_counts_of_a_client_that_keeps_asking_are_forgotten(counted: int, sets: int) -> None:
    cli = KeepsAsking(counted)

    await cli.forget_rates("requests_per_10", "2:203.0.113.9")

    assert cli.sets == sets


async def test_a_table_that_forgets_nothing_is_an_error_after_some_tries() -> None:
    cli = KeepsAsking(4, forgets=False)

    with pytest.raises(EngineUnavailable, match="or has counted as much again"):
        await cli.forget_rates("requests_per_10", "2:203.0.113.9")

    assert cli.sets == 5


@pytest.mark.parametrize("answer", [TABLE + "\n", "No such table\n", ""])
async def test_nothing_was_counted(panel: Panel, answer: str) -> None:
    assert await ask(panel, Answers(answer), "203.0.113.7") == []
