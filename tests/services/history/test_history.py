"""Undo and restore: any earlier state comes back whole, or is refused in words and nothing changes."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlmodel import select

from guardpanel.errors import ConfigRejected, Conflict, NotFound, Problem, Stale
from guardpanel.models import Deployment, Policy, Revision, VirtualHost
from guardpanel.models.policies.policy_lists import MASKED_FIELDS
from guardpanel.models.traffic import ClientIpSource, TrafficFields
from guardpanel.services import policies, traffic, virtual_hosts
from guardpanel.services.history import history
from guardpanel.services.saving import differences, revisions, snapshots
from guardpanel.services.saving.change import SaveRequest, SaveResult
from guardpanel.services.saving.changes import Changes
from tests.examples import share
from tests.fakes import FakeEngines
from tests.services.saved import files, host_fields, policy_fields, rows, saving

pytestmark = pytest.mark.anyio

ADA, VERA = SaveRequest("ada"), SaveRequest("vera")


@pytest.fixture
async def changes(template: Path) -> AsyncIterator[Changes]:
    async with saving(template) as made:
        yield made


async def add_host(changes: Changes, *names: str, **others: object) -> SaveResult[VirtualHost]:
    return await virtual_hosts.create(changes, ADA, host_fields(*names, **others))


def number_of(saved: SaveResult[VirtualHost | Policy]) -> int:
    assert saved.value.id is not None
    return saved.value.id


async def test_undo_puts_back_the_rows_and_the_bytes(changes: Changes) -> None:
    host = await add_host(changes, "shop.example")
    before, bytes_before = await rows(changes), files(changes)
    edited = await virtual_hosts.update(changes, VERA, number_of(host), host_fields("other.example", balance="first"))

    undone = await history.undo(changes, ADA, edited.change_id)

    assert (await rows(changes), files(changes)) == (before, bytes_before)
    assert undone.revision == edited.revision + 1
    assert (await summaries(changes))[0].startswith("Undid: other.example: ")


async def test_a_state_with_values_that_are_refused_by_now_comes_back_without_them(changes: Changes) -> None:
    policy = await policies.create(changes, ADA, policy_fields("Strict", skip_paths=["/assets/"]))
    await edit_snapshots(changes, '"/assets/"', '"/assets/", "/assets/./x"')
    await policies.update(changes, ADA, number_of(policy), policy_fields("Strict", skip_paths=["/other/"]))

    await history.restore(changes, ADA, policy.change_id, ("policy", number_of(policy)))

    assert (await rows(changes))["policy"][1]["skip_paths"] == ["/assets/"]
    assert (await summaries(changes))[0].endswith(
        ", without values that are no longer accepted (Strict: skipped paths /assets/./x)"
    )


async def edit_snapshots(changes: Changes, before: str, after: str) -> None:
    """As an earlier version would have kept them."""
    async with changes.database.write() as session:
        for revision in (await session.exec(select(Revision))).all():
            kept = snapshots.unpacked(revision.snapshot)
            revision.snapshot = snapshots.packed(kept.replace(before, after))
            session.add(revision)


async def test_a_state_from_before_the_traffic_settings_has_none_set(changes: Changes) -> None:
    """What was kept then can be compared with what is now, rendered and restored."""
    before = (await add_host(changes, "shop.example")).change_id
    rows_before, files_before = await rows(changes), files(changes)
    async with changes.database.write() as session:
        for revision in (await session.exec(select(Revision))).all():
            kept = json.loads(snapshots.unpacked(revision.snapshot))
            del kept["traffic"]
            revision.snapshot = snapshots.packed(json.dumps(kept))
            session.add(revision)
    fields = TrafficFields(
        client_ip_source=ClientIpSource.X_FORWARDED_FOR, trusted_networks=["10.0.0.0/8"], forwarded_hops=2
    )
    set_ = await traffic.update(changes, VERA, fields)

    await history.restore(changes, ADA, before)

    assert (await rows(changes), files(changes)) == (rows_before, files_before)
    with pytest.raises(Stale):
        await traffic.update(changes, VERA, fields, set_.value.version)
    changed = await traffic.update(changes, VERA, fields)
    only = await history.restore(changes, ADA, before, ("traffic", 1))
    assert only.value == ("traffic", 1)
    assert (await summaries(changes))[0].startswith("Traffic settings: restored revision")
    assert (await rows(changes), files(changes)) == (rows_before, files_before)
    assert changed.revision < only.revision


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

    for seen in (opened, opened + 1):
        with pytest.raises(Stale):
            await virtual_hosts.update(changes, VERA, number_of(host), host_fields("shop.example"), seen)
    await virtual_hosts.update(changes, VERA, number_of(other), host_fields("blog.example", notes="y"), opened_other)


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

    found = await rows(changes)
    assert [row["notes"] for row in found["virtualhost"]] == ["then", ""]
    assert [row["name"] for row in found["hostname"]] == ["shop.example", "blog.example"]
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

    found = await rows(changes)
    for table in ("hostname", "server"):
        assert [row for row in found[table] if row["virtual_host_id"] == number_of(other)] == before[table]
        assert len({row["id"] for row in found[table]}) == len(found[table]) == 3


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
    assert [one.author for one in await page(changes, noun="policy", noun_id=strict.value.id)] == ["ada"]


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


async def newest(changes: Changes) -> int:
    async with changes.database.read() as session:
        return await history.newest(session) or 0


async def page(changes: Changes, **conditions: object) -> list[Deployment]:
    async with changes.database.read() as session:
        return (await revisions.page(session, **conditions)).items  # type: ignore[arg-type]


async def summaries(changes: Changes) -> list[str]:
    return [change.summary for change in await page(changes)]


async def version(changes: Changes, number: int) -> int:
    async with changes.database.read() as session:
        return (await virtual_hosts.find(session, number)).version


LATER = {
    "policy": {
        "masked_fields", "argument_limit", "json_value_limit", "file_inspection", "content_type_readings", "upload_seconds",
        "upload_rate_kib", "response_seconds", "streamed_responses",
    },
    "traffic": {"max_connections", "max_requests_per_client"},
}  # fmt: skip
"Columns that came after the first snapshots were taken."


def without_later_columns(packed: bytes) -> bytes:
    """A snapshot as a guardpanel took it whose policies did not have these fields yet."""
    state = json.loads(snapshots.unpacked(packed))
    for table, later in LATER.items():
        kept = [at for at, name in enumerate(state[table]["columns"]) if name not in later]
        for key in ("columns", "rows"):
            rows = [state[table]["columns"]] if key == "columns" else state[table]["rows"]
            cut = [[row[at] for at in kept] for row in rows]
            state[table][key] = cut[0] if key == "columns" else cut
    return snapshots.packed(json.dumps(state))


async def test_a_state_from_before_a_field_was_there_is_compared_and_restored(changes: Changes) -> None:
    host = await add_host(changes, "shop.example")
    then = await rows(changes)
    async with changes.database.write() as session:
        for revision in (await session.exec(select(Revision))).all():
            revision.snapshot = without_later_columns(revision.snapshot)
    fields = policies.DEFAULT.model_copy(update={"masked_fields": ["pin"]})
    edited = await policies.update(changes, ADA, 1, fields)
    async with changes.database.read() as session:
        states = [(await history.at_revision(session, number)).rows for number in (host.revision, edited.revision)]
    ((difference,), _) = differences.first_between(*snapshots.differing(*map(snapshots.unpacked, states)), None)

    await history.undo(changes, ADA, edited.change_id)
    undone = await rows(changes)
    await virtual_hosts.update(changes, ADA, number_of(host), host_fields("other.example"))
    await history.restore(changes, ADA, host.change_id)

    assert [field.name for field in difference.fields] == ["masked_fields"]
    assert undone["policy"][0]["masked_fields"] == MASKED_FIELDS
    assert await rows(changes) == then
