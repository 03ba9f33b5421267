"""A group of events is fixed as long as the change that fixed it is."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.errors import NotFound, RolledBack
from guardpanel.models.rules.custom_rule import CustomRule, CustomRuleFields
from guardpanel.models.rules.rule_exclusion import NOUN, RuleExclusion, RuleExclusionFields
from guardpanel.services import custom_rules, policies, virtual_hosts
from guardpanel.services.fixes import fixed
from guardpanel.services.fixes.fixed import Fix
from guardpanel.services.history import history
from guardpanel.services.saving.change import Change, SaveRequest, SaveResult
from guardpanel.services.saving.changes import Changes
from tests.fakes import FakeEngines
from tests.services.saved import host_fields, policy_fields, saving

pytestmark = pytest.mark.anyio

ADA = SaveRequest("ada")
GROUP, OTHER = "1-0123456789abcdef", "1-fedcba9876543210"


@pytest.fixture
async def changes(template: Path) -> AsyncIterator[Changes]:
    async with saving(template) as made:
        await virtual_hosts.create(made, ADA, host_fields("shop.example"))
        yield made


async def fix(changes: Changes, group: str, path: str = "/posts", policy_id: int = 1) -> SaveResult[None]:
    """A save as *Not an attack* makes it: an exclusion, and what it is for."""

    async def mutate(session: AsyncSession) -> None:
        fields = RuleExclusionFields(rules=["941100"], target_name="content", path=path)
        session.add(RuleExclusion(policy_id=policy_id).replace(fields))
        await fixed.record(session, policy_id, group)

    return await changes.save(Change(ADA, "Fixed", NOUN.key), mutate)


async def fix_of(changes: Changes, group: str = GROUP) -> Fix | None:
    async with changes.database.read() as session:
        return await fixed.of_group(session, group)


async def test_a_fixed_group_names_the_change_and_its_revision(changes: Changes) -> None:
    saved = await fix(changes, GROUP)

    known = await fix_of(changes)

    assert known is not None
    assert (known.change_id, known.revision) == (saved.change_id, saved.revision)
    assert await fix_of(changes, OTHER) is None
    assert await fix_of(changes, "no key") is None


async def test_an_undo_opens_the_group_and_a_redo_fixes_it(changes: Changes) -> None:
    saved = await fix(changes, GROUP)

    undone = await history.undo(changes, ADA, saved.change_id)
    assert await fix_of(changes) is None

    await history.undo(changes, ADA, undone.change_id)
    assert await fix_of(changes) is not None


async def test_a_restore_opens_what_was_fixed_since(changes: Changes) -> None:
    first = await fix(changes, GROUP)
    await fix(changes, OTHER, "/pages")

    await history.restore(changes, ADA, first.change_id)

    assert await fix_of(changes, GROUP) is not None
    assert await fix_of(changes, OTHER) is None


async def test_a_fix_that_does_not_go_live_fixes_nothing(changes: Changes) -> None:
    assert isinstance(changes.engines, FakeEngines)
    changes.engines.fail("verify")

    with pytest.raises(RolledBack):
        await fix(changes, GROUP)

    assert await fix_of(changes) is None


async def test_an_edit_of_the_policy_keeps_what_is_fixed(changes: Changes) -> None:
    await fix(changes, GROUP)

    await policies.update(changes, ADA, 1, policy_fields("Renamed"))

    assert await fix_of(changes) is not None


async def test_a_group_is_fixed_only_under_the_policy_that_its_virtual_host_has(changes: Changes) -> None:
    await fix(changes, GROUP)
    other = await policies.create(changes, ADA, policy_fields("Other"))

    await virtual_hosts.update(changes, ADA, 1, host_fields("shop.example", policy_id=other.value.id))

    assert await fix_of(changes) is None


async def test_the_groups_that_were_fixed_last_are_remembered(
    changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fixed, "MOST", 2)
    third = "1-0000000000000003"

    for at, group in enumerate((GROUP, OTHER, GROUP, third)):
        await fix(changes, group, f"/{at}")

    assert [await fix_of(changes, group) is not None for group in (GROUP, OTHER, third)] == [True, False, True]


@pytest.mark.parametrize("ends", ["enabled", "deleted"])
async def test_a_fix_that_disables_a_custom_rule_is_over_once_that_is_enabled(changes: Changes, ends: str) -> None:
    rules = custom_rules.ROWS.under(1)
    written = 'SecRule ARGS:q "@contains old" "id:9000001,phase:2,deny,status:403,log,msg:\'Old login\'"'
    fields = CustomRuleFields.model_validate({"seclang": written, "enabled": True})
    row = (await rules.create(changes, ADA, fields)).value
    change = Change(ADA, "Fixed", "policy", 1)

    async def mutate(session: AsyncSession) -> None:
        (disabled,) = (await session.exec(select(CustomRule))).all()
        session.add(disabled.replace(fields.model_copy(update={"enabled": False})))
        change.added = [f"custom_rule:{row.id}"]
        await fixed.record(session, 1, GROUP)

    await changes.save(change, mutate)
    known = await fix_of(changes)
    assert known is not None and not known.is_over

    if ends == "enabled":
        await rules.update(changes, ADA, row.id or 0, fields)
    else:
        await rules.delete(changes, ADA, row.id or 0)
    known = await fix_of(changes)
    assert known is not None and known.is_over == (ends == "enabled")


async def test_a_policy_that_is_gone_cannot_be_fixed(changes: Changes) -> None:
    with pytest.raises(NotFound):
        await fix(changes, GROUP, policy_id=99)
