"""How much of a policy's client limits an address has used up, as HAProxy answers it."""

from typing import Any

import pytest

from guardpanel.engines.haproxy.map_commands import MapCommands
from guardpanel.models import Policy
from guardpanel.models.policies.policy import PolicyFields
from guardpanel.panel import Panel
from guardpanel.services.access.limit_checks import used

pytestmark = pytest.mark.anyio

TABLE = "# table: requests_per_10, type: string, size:102400, used:1\n"


class Answers(MapCommands):
    """A HAProxy's CLI that answers this of each table."""

    def __init__(self, answer: str) -> None:
        self.answer = answer
        self.commands: list[str] = []

    async def _ask(self, command: str, patience: float = 0.0, *, again_after_silence: bool = True) -> str:
        self.commands.append(command)
        return self.answer


async def ask(panel: Panel, cli: MapCommands, address: str, **others: Any) -> list[tuple[str, int, int, int, bool]]:
    fields = PolicyFields.model_validate(
        {"name": "Limited", "client_limits": True, "rate_limit_requests": 4, "requests_at_once": 2, **others}
    )
    async with panel.database.write() as session:
        session.add(Policy(**fields.model_dump()))
        await session.flush()
        return [
            (limit.policy.name, limit.requests, limit.at_once, limit.errors, limit.is_over)
            for limit in await used(session, cli, address)
        ]


@pytest.mark.parametrize(
    ("rate", "at_once", "errors", "is_over"), [(3, 1, 6, False), (4, 0, 0, True), (1, 2, 0, True), (1, 1, 7, True)]
)
async def test_what_haproxy_has_counted(panel: Panel, rate: int, at_once: int, errors: int, is_over: bool) -> None:
    key = "2:2001:db8:0:1::"
    entry = f"0x55d: key={key} use=0 exp=19000 shard=0 http_req_rate(10000)={rate} conn_cur={at_once} http_err_rate(10000)={errors}\n\n"
    cli = Answers(TABLE + entry)

    assert await ask(panel, cli, "2001:db8:0:1::7", errors_per_period=7) == [
        ("Limited", rate, at_once, errors, is_over)
    ]

    assert cli.commands == [f"@1 show table requests_per_10 key {key}"]


async def test_where_networks_count_it_is_that_of_the_address(panel: Panel) -> None:
    cli = Answers(TABLE)

    await ask(panel, cli, "2001:db8:0:1::7", limit_by="network")
    await ask(panel, cli, "203.0.113.9", limit_by="network", name="More")

    assert cli.commands[0] == "@1 show table requests_per_10 key 2:2001:db8::"
    assert cli.commands[-1] == "@1 show table requests_per_10 key 3:203.0.113.0"


async def test_what_clients_send_is_not_asked_for(panel: Panel) -> None:
    cli = Answers(TABLE)

    assert await ask(panel, cli, "203.0.113.9", limit_by="header", limit_by_name="X-API-Key") == []

    assert cli.commands == []


@pytest.mark.parametrize("answer", [TABLE + "\n", "No such table\n", ""])
async def test_nothing_was_counted(panel: Panel, answer: str) -> None:
    assert await ask(panel, Answers(answer), "203.0.113.7") == []
