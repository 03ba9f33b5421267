"""Restore: any earlier state, or one thing of it, comes back whole, or is refused in words and nothing changes."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from guardpanel.errors import ConfigRejected, Conflict, NotFound, Problem
from guardpanel.services import policies, virtual_hosts
from guardpanel.services.history import history
from guardpanel.services.saving import revisions, snapshots
from guardpanel.services.saving.change import SaveResult
from guardpanel.services.saving.changes import Changes
from tests.examples import share
from tests.fakes import FakeEngines
from tests.services.history.saves import ADA, VERA, add_host, newest, number_of, page, summaries
from tests.services.saved import files, host_fields, policy_fields, rows, saving

pytestmark = pytest.mark.anyio


async def test_restoring_brings_back_what_was_deleted_with_its_ids(changes: Changes) -> None:
    strict = await policies.create(changes, ADA, policy_fields("Strict", enforcement_mode="block"))
    host = await add_host(changes, "shop.example", "www.shop.example", policy_id=strict.value.id)
    then, bytes_then = await rows(changes), files(changes)
    await virtual_hosts.delete(changes, ADA, number_of(host))
    await policies.delete(changes, ADA, strict.value.id or 0)
    await policies.create(changes, ADA, policy_fields("Strict"))
    await add_host(changes, "shop.example")

    await history.restore(changes, ADA, host.change_id)

    assert (await rows(changes), files(changes)) == (then, bytes_then)
    assert (await summaries(changes))[0] == f"Restored revision {host.revision}"


async def test_a_policy_of_the_same_name_is_not_taken_for_the_one_of_then(changes: Changes) -> None:
    first = await policies.create(changes, ADA, policy_fields("Strict"))
    host = await add_host(changes, "shop.example", policy_id=first.value.id)
    then = await rows(changes)
    await virtual_hosts.update(changes, ADA, number_of(host), host_fields("shop.example", policy_id=1))
    await policies.delete(changes, ADA, first.value.id or 0)
    second = await policies.create(changes, ADA, policy_fields("Strict"))
    await virtual_hosts.update(changes, ADA, number_of(host), host_fields("shop.example", policy_id=second.value.id))

    await history.restore(changes, ADA, host.change_id)

    assert await rows(changes) == then


async def test_one_thing_alone_is_restored(changes: Changes) -> None:
    host = await add_host(changes, "shop.example", notes="then")
    await virtual_hosts.update(changes, ADA, number_of(host), host_fields("shop.example", "b.example", notes="now"))
    await add_host(changes, "blog.example")

    await history.restore(changes, ADA, host.change_id, ("virtual_host", number_of(host)))

    restored = await rows(changes)
    assert [row["notes"] for row in restored["virtualhost"]] == ["then", ""]
    assert [row["name"] for row in restored["hostname"]] == ["shop.example", "blog.example"]
    assert (await summaries(changes))[0] == f"shop.example: restored revision {host.revision}"


async def test_one_thing_that_was_not_there_then_is_removed(changes: Changes) -> None:
    first = await add_host(changes, "shop.example")
    second = await add_host(changes, "blog.example")

    await history.restore(changes, ADA, first.change_id, ("virtual_host", number_of(second)))

    assert [row["name"] for row in (await rows(changes))["virtualhost"]] == ["shop.example"]


async def test_rows_of_names_and_servers_that_others_have_now_get_new_ids(changes: Changes) -> None:
    first = await add_host(
        changes, "a.example", "b.example", servers=[{"address": "10.0.0.1:1"}, {"address": "10.0.0.2:2"}]
    )
    await history.undo(changes, ADA, first.change_id)
    other = await add_host(changes, "c.example")
    before = await rows(changes)

    await history.restore(changes, ADA, first.change_id, ("virtual_host", number_of(first)))

    restored = await rows(changes)
    for table in ("hostname", "server"):
        assert [row for row in restored[table] if row["virtual_host_id"] == number_of(other)] == before[table]
        assert len({row["id"] for row in restored[table]}) == len(restored[table]) == 3


Prepare = Callable[[Changes], Awaitable[tuple[int, tuple[str, int]]]]


async def hostname_moved(changes: Changes) -> tuple[int, tuple[str, int]]:
    first = await add_host(changes, "shop.example", "www.shop.example")
    await virtual_hosts.update(changes, ADA, number_of(first), host_fields("shop.example"))
    await add_host(changes, "www.shop.example")
    return first.change_id, ("virtual_host", number_of(first))


async def policy_deleted(changes: Changes) -> tuple[int, tuple[str, int]]:
    strict = await policies.create(changes, ADA, policy_fields("Strict"))
    host = await add_host(changes, "shop.example", policy_id=strict.value.id)
    await virtual_hosts.update(changes, ADA, number_of(host), host_fields("shop.example"))
    await policies.delete(changes, ADA, strict.value.id or 0)
    return host.change_id, ("virtual_host", number_of(host))


async def policy_in_use(changes: Changes) -> tuple[int, tuple[str, int]]:
    first = await add_host(changes, "blog.example")
    strict = await policies.create(changes, ADA, policy_fields("Strict"))
    await add_host(changes, "shop.example", policy_id=strict.value.id)
    return first.change_id, ("policy", strict.value.id or 0)


async def name_taken(changes: Changes) -> tuple[int, tuple[str, int]]:
    strict = await policies.create(changes, ADA, policy_fields("Strict"))
    await policies.update(changes, ADA, strict.value.id or 0, policy_fields("Stricter"))
    await policies.create(changes, ADA, policy_fields("strict"))
    return strict.change_id, ("policy", strict.value.id or 0)


@pytest.mark.parametrize(
    ("prepare", "words"),
    [(hostname_moved, "Virtual host shop.example: A virtual host for www.shop.example already exists."),
     (policy_deleted, "Virtual host shop.example: Policy not found. It may have been deleted."),
     (policy_in_use, "Strict is used by shop.example. Assign it another policy first."), (name_taken, "Policy Strict: A policy named strict already exists.")],
)  # fmt: skip
async def test_what_does_not_fit_any_more_is_refused_in_words(changes: Changes, prepare: Prepare, words: str) -> None:
    change_id, thing = await prepare(changes)
    before, bytes_before = await rows(changes), files(changes)

    with pytest.raises(Conflict) as refused:
        await history.restore(changes, ADA, change_id, thing)

    assert words in refused.value.message
    assert (await rows(changes), files(changes)) == (before, bytes_before)
    await history.restore(changes, ADA, change_id)  # everything together does fit


async def test_a_server_where_haproxy_listens_now_is_refused(changes: Changes, monkeypatch: pytest.MonkeyPatch) -> None:
    host = await add_host(changes, "shop.example", servers=[{"address": "127.0.0.1:9000"}])
    await virtual_hosts.delete(changes, ADA, number_of(host))
    changes.renderer.facts = replace(changes.renderer.facts, http_binds=(("127.0.0.1", 9000),))

    with pytest.raises(Conflict, match=r"Virtual host shop\.example: HAProxy itself listens on 127\.0\.0\.1:9000"):
        await history.restore(changes, ADA, host.change_id)


async def test_what_never_went_live_or_is_there_already_cannot_be_restored(changes: Changes) -> None:
    host = await add_host(changes, "shop.example")
    assert isinstance(changes.engines, FakeEngines)
    changes.engines.reject("balance", "no", noun="virtual_host", noun_id=1)
    with pytest.raises(ConfigRejected):
        await virtual_hosts.delete(changes, ADA, number_of(host))
    refused = (await page(changes))[0]
    changes.engines.rejection = None

    with pytest.raises(NotFound, match="never went live"):
        await history.restore(changes, ADA, refused.id or 0)
    with pytest.raises(Conflict, match="Nothing to restore"):
        await history.restore(changes, ADA, host.change_id)
    for thing in (("virtual_host", 99), ("user", 1), ("policy", -1)):
        with pytest.raises(NotFound):
            await history.restore(changes, ADA, host.change_id, thing)


async def test_a_refused_change_keeps_what_it_would_have_done(changes: Changes) -> None:
    host = await add_host(changes, "shop.example")
    assert isinstance(changes.engines, FakeEngines)
    changes.engines.reject("balance", "no", noun="virtual_host", noun_id=1)
    with pytest.raises(ConfigRejected):
        await virtual_hosts.update(changes, ADA, number_of(host), host_fields("new.example"))

    async with changes.database.read() as session:
        refused = await revisions.find(session, (await page(changes))[0].id or 0)
        state = await history.after(session, refused)

    assert state is not None
    assert state.revision is None
    assert "new.example" in snapshots.unpacked(state.rows)


async def test_a_restore_is_found_under_everything_that_it_touched(changes: Changes) -> None:
    strict = await policies.create(changes, ADA, policy_fields("Strict"))
    first = await add_host(changes, "shop.example")
    second = await add_host(changes, "blog.example")

    await history.restore(changes, VERA, strict.change_id)

    for number in (number_of(first), number_of(second)):
        assert (await page(changes, noun="virtual_host", noun_id=number))[0].author == "vera"
    assert [change.author for change in await page(changes, noun="policy", noun_id=strict.value.id)] == ["ada"]


NAMES = ("a.example", "b.example", "c.example")


@st.composite
def save_steps(draw: st.DrawFn) -> list[tuple[str, int, int]]:
    """(what, which, how) of each save; what does not fit at that moment is refused like any other input."""
    kinds = st.sampled_from(
        ["add", "edit", "delete", "add policy", "edit policy", "delete policy", "undo", "restore", "one"]
    )
    return draw(st.lists(st.tuples(kinds, st.integers(0, 3), st.integers(0, 5)), min_size=2, max_size=10))


async def save(changes: Changes, step: tuple[str, int, int], made: list[int]) -> SaveResult[object]:
    what, which, how = step
    names = NAMES[which % 3 : which % 3 + 1 + how % 2]
    chosen = 1 + how % 3
    match what:
        case "add":
            return await virtual_hosts.create(changes, ADA, host_fields(*names, policy_id=chosen, notes=f"{how}"))
        case "edit":
            fields = host_fields(*names, policy_id=chosen, enabled=how != 0, enforcement_mode=["", "block"][how % 2])
            return await virtual_hosts.update(changes, ADA, which + 1, fields)
        case "delete":
            return await virtual_hosts.delete(changes, ADA, which + 1)
        case "add policy":
            return await policies.create(changes, ADA, policy_fields(f"P{which}"))
        case "edit policy":
            fields_of_policy = policy_fields(f"P{which}", inbound_anomaly_threshold=5 + how)
            return await policies.update(changes, ADA, which + 1, fields_of_policy)
        case "delete policy":
            return await policies.delete(changes, ADA, which + 1)
        case "undo":
            return await history.undo(changes, ADA, await newest(changes))
        case "restore":
            return await history.restore(changes, ADA, made[which % len(made)])
        case _:
            thing = ("virtual_host" if how % 2 else "policy", which + 1)
            return await history.restore(changes, ADA, made[how % len(made)], thing)


async def any_saves_then_restore(template: Path, steps: list[tuple[str, int, int]], wanted: int) -> None:
    async with saving(template) as changes:
        made = [1]
        kept = {1: (await rows(changes), files(changes))}
        for step in steps:
            before = await rows(changes), files(changes)
            try:
                made.append((await save(changes, step, made)).change_id)
            except Problem:
                assert (await rows(changes), files(changes)) == before, step
            kept[made[-1]] = await rows(changes), files(changes)
        change_id = made[wanted % len(made)]

        with contextlib.suppress(Conflict):  # everything is as it was then already
            await history.restore(changes, ADA, change_id)

        assert (await rows(changes), files(changes)) == kept[change_id]


@given(steps=save_steps(), wanted=st.integers(0, 10))
@example(steps=[("add", 0, 0), ("delete", 0, 0), ("add", 0, 1), ("restore", 1, 0)], wanted=1)
@settings(max_examples=share(0.25), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_saves_and_then_a_restore_give_the_rows_and_bytes_of_then(
    template: Path, steps: list[tuple[str, int, int]], wanted: int
) -> None:
    asyncio.run(any_saves_then_restore(template, steps, wanted))
