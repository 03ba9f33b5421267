"""Undo: the last change is taken back whole, or is refused in words and nothing changes."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from sqlmodel import col, update

from guardpanel.errors import ConfigRejected, Conflict, NeedsConfirmation, NotFound, Problem, Stale
from guardpanel.models import Policy, VirtualHost
from guardpanel.services import policies, virtual_hosts
from guardpanel.services.history import history
from guardpanel.services.saving.change import SaveRequest, SaveResult
from guardpanel.services.saving.changes import Changes
from tests.fakes import FakeEngines
from tests.services.history.saves import ADA, VERA, add_host, newest, number_of, summaries, version
from tests.services.saved import files, host_fields, policy_fields, rows

pytestmark = pytest.mark.anyio


async def test_undo_puts_back_the_rows_and_the_bytes(changes: Changes) -> None:
    host = await add_host(changes, "shop.example")
    before, bytes_before = await rows(changes), files(changes)
    edited = await virtual_hosts.update(changes, VERA, number_of(host), host_fields("other.example", balance="first"))

    undone = await history.undo(changes, ADA, edited.change_id)

    assert (await rows(changes), files(changes)) == (before, bytes_before)
    assert undone.revision == edited.revision + 1
    assert (await summaries(changes))[0].startswith("Undid: other.example: ")


@pytest.mark.parametrize("of", ["virtual host", "policy"])
async def test_undo_of_adding_and_of_deleting(changes: Changes, of: str) -> None:
    empty = await rows(changes)
    made: SaveResult[VirtualHost | Policy]
    delete: Callable[[Changes, SaveRequest, int], Awaitable[SaveResult[str]]]
    if of == "policy":
        made, delete = await policies.create(changes, ADA, policy_fields("Strict")), policies.delete
    else:
        made, delete = await add_host(changes, "shop.example", "www.shop.example"), virtual_hosts.delete
    full, number = await rows(changes), number_of(made)

    await history.undo(changes, ADA, made.change_id)
    assert await rows(changes) == empty

    again = await history.undo(changes, ADA, await newest(changes))
    assert await rows(changes) == full

    gone = await delete(changes, ADA, number)
    assert gone.change_id > again.change_id
    await history.undo(changes, ADA, gone.change_id)
    assert await rows(changes) == full


async def test_undo_twice_is_redo_and_its_words_do_not_pile_up(changes: Changes) -> None:
    await add_host(changes, "shop.example")
    before = await rows(changes)

    for _ in range(4):
        await history.undo(changes, ADA, await newest(changes))

    assert await rows(changes) == before
    assert (await summaries(changes))[:2] == [
        "Redid: Added virtual host shop.example", "Undid: Added virtual host shop.example"
    ]  # fmt: skip


async def test_a_double_click_on_undo_is_one_undo(changes: Changes) -> None:
    host = await add_host(changes, "shop.example")

    first, second = await asyncio.gather(*(history.undo(changes, ADA, host.change_id) for _ in range(2)))
    late = await history.undo(changes, ADA, host.change_id)

    assert first.change_id == second.change_id == late.change_id == await newest(changes)


async def test_only_the_last_change_can_be_undone(changes: Changes) -> None:
    first = await add_host(changes, "shop.example")
    await add_host(changes, "blog.example")
    before = await rows(changes)

    with pytest.raises(Conflict, match="because something was saved after"):
        await history.undo(changes, ADA, first.change_id)

    assert await rows(changes) == before


async def test_an_undo_long_ago_is_not_told_as_new(changes: Changes) -> None:
    host = await add_host(changes, "shop.example")
    await history.undo(changes, ADA, host.change_id)
    await add_host(changes, "blog.example")

    with pytest.raises(Conflict, match="because something was saved after"):
        await history.undo(changes, ADA, host.change_id)


async def test_the_first_configuration_cannot_be_undone(changes: Changes) -> None:
    with pytest.raises(Conflict, match="nothing to undo"):
        await history.undo(changes, ADA, 1)
    with pytest.raises(NotFound):
        await history.undo(changes, ADA, 99)


async def test_an_undo_that_was_refused_can_be_tried_again(changes: Changes) -> None:
    host = await add_host(changes, "shop.example")
    before, engines = await rows(changes), changes.engines
    assert isinstance(engines, FakeEngines)
    engines.reject("balance", "not today", noun="virtual_host", noun_id=1)

    with pytest.raises(ConfigRejected):
        await history.undo(changes, ADA, host.change_id)
    kept = await rows(changes)
    engines.rejection = None
    await history.undo(changes, ADA, host.change_id)

    assert kept == before
    assert (await rows(changes))["virtualhost"] == []


async def test_an_undo_that_cannot_be_proved_live_changes_nothing(changes: Changes) -> None:
    host = await add_host(changes, "shop.example")
    before, engines = await rows(changes), changes.engines
    assert isinstance(engines, FakeEngines)
    engines.fail("verify")

    with pytest.raises(Problem):
        await history.undo(changes, ADA, host.change_id)
    engines.fail(None)

    assert await rows(changes) == before


async def test_a_save_that_the_engines_do_not_notice_is_undone_too(changes: Changes) -> None:
    host = await add_host(changes, "shop.example")
    before = await rows(changes)
    noted = await virtual_hosts.update(changes, ADA, number_of(host), host_fields("shop.example", notes="Call Vera"))

    undone = await history.undo(changes, ADA, noted.change_id)

    assert (noted.is_new, undone.is_new) == (False, False)
    assert await rows(changes) == before


async def test_a_form_that_was_open_before_a_restore_is_stale(changes: Changes) -> None:
    host = await add_host(changes, "shop.example")
    other = await add_host(changes, "blog.example")
    opened, opened_other = await version(changes, number_of(host)), await version(changes, number_of(other))
    edited = await virtual_hosts.update(changes, ADA, number_of(host), host_fields("shop.example", notes="x"))
    await history.undo(changes, ADA, edited.change_id)

    for count in (opened, opened + 1):
        with pytest.raises(Stale):
            await virtual_hosts.update(changes, VERA, number_of(host), host_fields("shop.example"), count)
    await virtual_hosts.update(changes, VERA, number_of(other), host_fields("blog.example", notes="y"), opened_other)


async def test_undo_asks_before_it_overwrites_what_something_else_wrote(changes: Changes) -> None:
    """Of rows that it changes, whichever they are: undo restores a whole state."""
    await policies.create(changes, ADA, policy_fields("Strict"))
    host = await add_host(changes, "shop.example")
    edited = await virtual_hosts.update(changes, VERA, number_of(host), host_fields("shop.example", balance="first"))
    async with changes.database.write() as session:
        await session.exec(update(Policy).where(col(Policy.name) == "Strict").values(description="by hand"))
        await session.exec(update(VirtualHost).values(maintenance=True))
    before = await rows(changes)

    with pytest.raises(NeedsConfirmation) as asked:
        await history.undo(changes, ADA, edited.change_id)
    assert asked.value.message == (
        "Policy Strict, Virtual host shop.example were changed in the database outside guardpanel. This overwrites it."
    )
    with pytest.raises(NeedsConfirmation, match=r"^Virtual host shop\.example was changed"):
        await history.restore(changes, ADA, host.change_id, ("virtual_host", number_of(host)))
    assert await rows(changes) == before

    await history.undo(changes, replace(ADA, confirmed=True), edited.change_id)
    now = await rows(changes)
    assert ([row["description"] for row in now["policy"]][-1], now["virtualhost"][0]["maintenance"]) == ("", 0)
