"""Streams of events and changes, read over a socket from the panel's own HTTP server."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self

import httpx2
import pytest
import typer
import uvicorn
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.api import streaming
from guardpanel.api import streams as api_streams
from guardpanel.cli.server import Server
from guardpanel.models import Deployment
from guardpanel.models.revision import Outcome
from guardpanel.panel import Panel
from guardpanel.services import streams
from guardpanel.services.saving import revisions
from tests.conftest import ADA, LOGINS, take_token
from tests.documented import must_be_documented
from tests.events import a_log_line, an_event_of_now, store
from tests.factories import a_vhost
from tests.ports import free_port

if TYPE_CHECKING:
    from fastapi import FastAPI

pytestmark = pytest.mark.anyio

EVENTS, CHANGES, VHOSTS = "/api/v1/events/stream", "/api/v1/changes/stream", "/api/v1/vhosts"
Client = httpx2.AsyncClient


class Serving(Server):
    """On the loop of the test, which has started the app."""

    def __init__(self, app: "FastAPI", words: str = "") -> None:
        self.port = free_port()
        super().__init__(uvicorn.Config(app, port=self.port, lifespan="off", log_level="error"), words)

    async def __aenter__(self) -> Self:
        self.task = asyncio.create_task(self._serve())
        while not self.started:
            await asyncio.sleep(0.001)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.should_exit = True
        await self.task

    def client(self) -> Client:
        hooks = {"response": [must_be_documented]}
        return Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30, event_hooks=hooks)


@pytest.fixture
async def server(app: "FastAPI") -> AsyncIterator[Serving]:
    async with Serving(app) as server:
        yield server


@pytest.fixture
async def client(server: Serving) -> AsyncIterator[Client]:
    """Ada's program."""
    async with server.client() as client:
        client.headers["authorization"] = f"Bearer {LOGINS[ADA][1].access}"
        yield client


class Stream:
    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self.lines = response.aiter_lines()

    async def message(self) -> dict[str, str]:
        """The next one: its fields, with a comment under an empty name. Empty at the end of the stream."""
        fields: dict[str, str] = {}
        async for line in self.lines:
            if not line:
                break
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        return fields

    async def data(self) -> dict[str, Any]:
        return dict(json.loads((await self.message())["data"]))


@asynccontextmanager
async def opened(client: Client, path: str, last: str = "", **query: str) -> AsyncIterator[Stream]:
    """A stream that has begun."""
    headers = {"last-event-id": last} if last else {}
    async with client.stream("GET", path, params=query, headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        stream = Stream(response)
        assert await stream.message() == {"retry": "2000"}
        yield stream


async def test_events_are_sent_as_they_arrive_and_again_when_more_is_known(client: Client, panel: Panel) -> None:
    before, event, other = an_event_of_now(), an_event_of_now(), an_event_of_now(method="POST")
    store(panel.settings.events_database, [before])
    async with opened(client, EVENTS, method="GET") as stream:
        store(panel.settings.events_database, [other, event])
        first = await stream.data()
        store(panel.settings.events_database, [], [a_log_line(event, virtual_host="7")])
        again = await stream.data()

    assert [sent["request_id"] for sent in (first, again)] == [event["id"]] * 2
    assert [sent["virtual_host_id"] for sent in (first, again)] == [None, 7]


async def test_events_go_on_after_the_last_one_and_none_is_lost(client: Client, panel: Panel) -> None:
    late, first, second = an_event_of_now(), an_event_of_now(), an_event_of_now()
    async with opened(client, EVENTS) as stream:
        store(panel.settings.events_database, [first])
        last = (await stream.message())["id"]
    store(panel.settings.events_database, [late, second])

    async with opened(client, EVENTS, last) as stream:
        sent = [(await stream.data())["request_id"] for _ in range(3)]
    async with opened(client, EVENTS, since=second["time"]) as stream:
        alone = (await stream.data())["request_id"]

    assert sent == [late["id"], first["id"], second["id"]]
    assert alone == second["id"]


async def test_changes_are_sent_with_their_outcome_and_go_on_after_the_last_one(client: Client) -> None:
    async with opened(client, CHANGES) as stream:
        await client.post(VHOSTS, json=a_vhost("a.example"))
        message = await stream.message()
        while "id" not in message:
            message = await stream.message()
    await client.post(VHOSTS, json=a_vhost("b.example"))

    async with opened(client, CHANGES, message["id"]) as stream:
        second = await stream.data()

    first = json.loads(message["data"])
    assert (first["id"], first["outcome"], first["row"]) == (int(message["id"]), "live", "virtual_host:1")
    assert (second["id"], second["outcome"], second["row"]) == (first["id"] + 1, "live", "virtual_host:2")


async def test_changes_that_are_more_than_are_read_at_once_all_come(client: Client, panel: Panel) -> None:
    number = revisions.AT_ONCE * 2 + 1
    async with panel.database.write() as session:
        session.add_all(Deployment(outcome=Outcome.LIVE, author="Ada", summary="Saved") for _ in range(number))

    async with opened(client, CHANGES, "0") as stream:
        sent = [int((await stream.message()).get("id", 0)) for _ in range(number)]

    assert sent == list(range(1, number + 1))


@pytest.mark.parametrize("path", [EVENTS, CHANGES])
async def test_a_stream_ends_with_its_login_and_with_its_token(client: Client, server: Serving, path: str) -> None:
    token = (await client.post("/api/v1/tokens", json={"name": "tail"})).json()
    async with server.client() as person, server.client() as script:
        await take_token(person, ADA)
        script.headers["authorization"] = f"Bearer {token['token']}"
        async with opened(person, path) as hers, opened(script, path) as its:
            await person.post("/api/v1/auth/logout")
            await client.delete(f"/api/v1/tokens/{token['id']}")
            ends = [await hers.message(), await its.message()]
        answers = [await each.get(path) for each in (person, script)]

    assert ends == [{}, {}]
    assert [answer.status_code for answer in answers] == [401, 401]


async def test_a_stream_ends_with_a_token_that_was_revoked_while_it_began(
    client: Client, server: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = (await client.post("/api/v1/tokens", json={"name": "tail"})).json()
    last_deployment = revisions.last_deployment

    async def revoked_meanwhile(session: AsyncSession) -> Deployment | None:
        assert (await client.delete(f"/api/v1/tokens/{token['id']}")).status_code == 204
        return await last_deployment(session)

    monkeypatch.setattr(streaming, "KEEP_ALIVE_SECONDS", 0.0)
    its_own = SimpleNamespace(**{**vars(revisions), "last_deployment": revoked_meanwhile})
    monkeypatch.setattr(api_streams, "revisions", its_own)  # the panel's tasks ask for it, too
    async with server.client() as script:
        script.headers["authorization"] = f"Bearer {token['token']}"
        async with opened(script, CHANGES) as stream:
            assert await stream.message() == {}


async def test_an_account_has_only_so_many_streams_until_it_closes_one(
    client: Client, panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MOST", 2)
    async with AsyncExitStack() as stack:
        for path in (EVENTS, CHANGES):
            await stack.enter_async_context(opened(client, path))
        refused = await client.get(EVENTS)
    while panel.streams._open[ADA]:
        await asyncio.sleep(0.001)

    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_streams")
    assert refused.headers["retry-after"] == "60"
    async with opened(client, EVENTS):
        pass


async def test_a_silent_stream_is_kept_alive_and_ends_with_the_panel(
    client: Client, server: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "KEEP_ALIVE_SECONDS", 0.0)
    async with opened(client, CHANGES) as stream:
        comment = await stream.message()
        server.should_exit = True
        while last := await stream.message():
            assert last == comment

    assert comment == {"": "nothing new"}
    await server.task


async def test_what_can_not_be_followed_is_refused_before_the_stream_begins(client: Client) -> None:
    answers = [
        await client.get(EVENTS, params={"client": "nowhere"}), await client.get(EVENTS, params={"q": ""}),
        await client.get(CHANGES, headers={"last-event-id": "x"}), await client.get(EVENTS, headers={"authorization": ""}),
    ]  # fmt: skip

    assert [answer.status_code for answer in answers] == [422, 422, 422, 401]


async def test_links_to_the_panel_are_printed_once_its_port_answers(
    app: "FastAPI", monkeypatch: pytest.MonkeyPatch
) -> None:
    server, printed = Serving(app, "http://127.0.0.1/setup/token"), list[str]()

    def echo(words: str) -> None:
        with socket.create_connection(("127.0.0.1", server.port), timeout=5):
            printed.append(words)

    monkeypatch.setattr(typer, "echo", echo)
    async with server:
        pass

    assert printed == ["http://127.0.0.1/setup/token"]
