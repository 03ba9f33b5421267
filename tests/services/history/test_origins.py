"""Who put something into a row, and when: entries of a list that come, go and come again, also by undo and restore."""

from pathlib import Path

import pytest
from sqlmodel import col, select, update

from guardpanel.models import AddressList, AddressListContent, Policy
from guardpanel.models.access.address_list import AddressListInput
from guardpanel.models.policies.policy import PolicyFields
from guardpanel.models.policies.policy_geo import GeoMode
from guardpanel.rendering.geo import COUNTRIES
from guardpanel.services import address_lists, policies
from guardpanel.services.access import origins
from guardpanel.services.access.geo_checks import Place, rejecting
from guardpanel.services.access.list_edits import Edit, adding, removing, replacing
from guardpanel.services.history import history
from guardpanel.services.history import origins as earlier
from guardpanel.services.saving.changes import Changes, SaveRequest
from tests.services.saved import saving
from tests.services.test_geo_checks import FRENCH

pytestmark = pytest.mark.anyio

ADA, EVE, BOB = (SaveRequest(f"{who}@example.org", client="100.64.0.1") for who in ("ada", "eve", "bob"))

ENTRY, OTHER = "203.0.113.7", "198.51.100.0/24"


async def edit(changes: Changes, who: SaveRequest, change: Edit) -> None:
    await address_lists.ROWS.edit(changes, who, 1, change)


async def origin(changes: Changes, network: str = ENTRY) -> tuple[str, int | None] | None:
    async with changes.database.read() as session:
        row = await session.get(AddressList, 1)
        assert row is not None
        entry = await origins.of_entry(session, row, network)
    return (entry.who.partition("@")[0], entry.change_id) if entry else None


async def a_list(changes: Changes) -> None:
    """Change 2, by Ada. The first one is what the panel begins with."""
    fields = AddressListInput.model_validate({"name": "Scanners", "kind": "deny", "entries": OTHER})
    await address_lists.create(changes, ADA, fields)


async def test_an_entry_is_of_who_added_it_last(template: Path) -> None:
    async with saving(template) as changes:
        await a_list(changes)
        await edit(changes, EVE, adding(ENTRY))
        assert await origin(changes, OTHER) == ("ada", 2)
        assert await origin(changes) == ("eve", 3)

        await edit(changes, BOB, adding(f"{ENTRY}  # other words"))
        await edit(changes, BOB, replacing(f"{ENTRY}\n203.0.112.0/24"))
        assert await origin(changes) == ("eve", 3)

        await edit(changes, ADA, removing([ENTRY]))
        await edit(changes, BOB, adding(ENTRY))
        assert await origin(changes) == ("bob", 7)

        await history.undo(changes, EVE, 7)
        await history.undo(changes, EVE, 8)
        assert await origin(changes) == ("eve", 9)
        await history.restore(changes, ADA, 2)
        assert await origin(changes, OTHER) == ("ada", 10)
        await edit(changes, BOB, adding("10.0.0.0/9"))
        assert await origin(changes, OTHER) == ("ada", 10)


async def test_of_a_long_list_only_changes_are_stored_and_looked_at(template: Path) -> None:
    many = "\n".join(f"10.{at // 250}.{at % 250}.0" for at in range(1000))
    async with saving(template) as changes:
        fields = AddressListInput.model_validate({"name": "Scanners", "kind": "deny", "entries": many})
        await address_lists.create(changes, ADA, fields)
        await edit(changes, EVE, adding(ENTRY))
        await edit(changes, BOB, removing(["10.0.0.0"]))
        assert await origin(changes) == ("eve", 3)
        assert await origin(changes, "10.3.249.0") == ("ada", 2)

        await edit(changes, BOB, adding("10.0.0.0"))
        assert await origin(changes, "10.0.0.0") == ("bob", 5)
        async with changes.database.read() as session:
            stored = (await session.exec(select(AddressListContent.since))).all()
    assert sorted(bool(since) for since in stored) == [False, True, True]


async def test_damaged_entries_of_an_earlier_state_are_not_stored_any_more(template: Path) -> None:
    async with saving(template) as changes:
        await a_list(changes)
        await edit(changes, EVE, adding(ENTRY))
        await edit(changes, BOB, adding("192.0.2.1"))
        async with changes.database.write() as session:
            row = await session.get(AddressList, 1)
            assert row is not None
            earlier_ones = col(AddressListContent.digest) != row.reference.digest
            await session.exec(update(AddressListContent).where(earlier_ones).values(packed=b"damaged"))

        assert await origin(changes) is None


async def test_what_is_further_back_than_looked_is_of_nobody_known(
    template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with saving(template) as changes:
        await a_list(changes)
        for number in range(3):
            await edit(changes, EVE, adding(f"192.0.2.{number}"))
        monkeypatch.setattr(earlier, "MOST", 2)

        assert await origin(changes, OTHER) is None
        assert await origin(changes, "192.0.2.1") == ("eve", 4)


async def test_a_country_is_rejected_since_the_policy_names_it(template: Path) -> None:
    def fields(*countries: str) -> PolicyFields:
        given = {"name": "P", "enforcement_mode": "block", "countries": countries}
        return PolicyFields.model_validate({**given, "country_mode": GeoMode.REJECT if countries else GeoMode.OFF})

    async with saving(template) as changes:
        directory = Path(changes.renderer.facts.geo_dir)
        directory.mkdir()
        (directory / COUNTRIES).write_text("192.0.2.0/24 FR\n")
        await policies.create(changes, ADA, fields())
        policy = Policy(id=2).replace(fields("FR"))
        (kind, (network, value)) = next(iter(FRENCH.entries.items()))
        place = Place(policy, kind, value, network, ())
        for who, countries in ((ADA, ["DE"]), (EVE, ["DE", "FR"]), (BOB, ["FR"])):
            await policies.update(changes, who, 2, fields(*countries))

        async with changes.database.read() as session:
            origin = await origins.of_place(session, place)
            assert await rejecting(session, FRENCH) == []  # No virtual host has it.
    assert origin is not None
    assert (origin.who, origin.change_id) == (EVE.who, 4)
