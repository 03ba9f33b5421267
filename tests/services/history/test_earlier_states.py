"""States that an earlier guardpanel kept are compared and restored."""

import json

import pytest
from sqlmodel import select

from guardpanel.errors import Stale
from guardpanel.models import Revision
from guardpanel.models.policies.policy_lists import MASKED_FIELDS
from guardpanel.models.traffic import ClientIpSource, TrafficFields
from guardpanel.services import policies, traffic, virtual_hosts
from guardpanel.services.history import history
from guardpanel.services.saving import differences, snapshots
from guardpanel.services.saving.changes import Changes
from tests.services.history.saves import ADA, VERA, add_host, number_of, summaries
from tests.services.saved import files, host_fields, policy_fields, rows

pytestmark = pytest.mark.anyio


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
