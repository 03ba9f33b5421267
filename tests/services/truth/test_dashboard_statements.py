"""The dashboard, and the line of every page, read no more for thousands of virtual hosts than they show."""

import pytest
from sqlmodel import select

from guardpanel.models import Policy, Revision, VirtualHost
from guardpanel.models.policies.enforcement import EnforcementMode
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.panel import Panel
from guardpanel.services.saving import revisions
from guardpanel.services.truth import dashboard, live_line
from tests.services.saving.test_statements import statements

pytestmark = pytest.mark.anyio


async def test_it_reads_the_policies_that_it_shows_and_no_rows_of_a_revision(panel: Panel) -> None:
    await panel.background.close()
    fields = {"hostnames": ["shop.test"], "servers": [{"address": "127.0.0.1:3000"}]}
    async with panel.database.write() as session:
        used, unused = Policy(name="Used"), Policy(name="Unused")
        session.add_all([used, unused])
        await session.flush()
        host = VirtualHostFields.model_validate({**fields, "policy_id": used.id})
        session.add(VirtualHost(name=host.name, hostnames=[], servers=[]).replace(host))

    async with panel.database.read() as session:
        with statements(panel) as sent:
            overview = await dashboard.overview(panel.changes, session, None)
            await live_line.live_line(panel.changes, session)
        read = {row.name for row in session.sync_session.identity_map.values() if isinstance(row, Policy)}

    assert [item.policy and item.policy.name for item in overview.worst] == ["Used"]
    assert read == {"Used"}
    assert overview.live and not [statement for statement in sent if "revision.snapshot" in statement]


async def test_all_virtual_hosts_are_counted_in_one_statement(panel: Panel) -> None:
    await panel.background.close()
    own: dict[str, dict[str, object]] = {
        "a": {},
        "b": {"enabled": False},
        "c": {"maintenance": True},
        "d": REDIRECTED,
        "e": REDIRECTED | {"enabled": False},
    }
    async with panel.database.write() as session:
        for name, others in own.items():
            host = VirtualHostFields.model_validate({"hostnames": [f"{name}.test"], "servers": [SERVER], **others})
            session.add(VirtualHost(name=host.name, hostnames=[], servers=[]).replace(host))

    async with panel.database.read() as session:
        with statements(panel) as sent:
            overview = await dashboard.overview(panel.changes, session, None)

    assert overview.states == {"unknown": 1, "off": 2, "maintenance": 1, "redirects": 1}
    assert overview.modes == {EnforcementMode.OFF: 3} and overview.total == 5
    counted = [statement for statement in sent if "FROM virtualhost" in statement and "LIMIT" not in statement]
    assert len([statement for statement in counted if "clientca" not in statement]) == 1, "\n".join(counted)


REDIRECTED: dict[str, object] = {"redirect": "301", "redirect_to": "https://other.test"}
SERVER = {"address": "127.0.0.1:3000"}


async def test_a_revision_that_was_only_named_has_its_rows_once_they_are_asked_for(panel: Panel) -> None:
    async with panel.database.read() as session:
        named = await revisions.named_live(session)
        whole = await revisions.live(session)
        stored = (await session.exec(select(Revision.snapshot))).all()

    assert named is whole and whole is not None
    assert whole.snapshot in stored
