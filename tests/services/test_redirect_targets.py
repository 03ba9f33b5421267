"""A hostname that others redirect to is not taken away before that is confirmed, with who redirects there."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from guardpanel.errors import NeedsConfirmation
from guardpanel.models import VirtualHost
from guardpanel.models.path_binding import PathBindingFields
from guardpanel.services import path_bindings, virtual_hosts
from guardpanel.services.saving.changes import Changes
from tests.services.saved import host_fields, saving
from tests.services.site_file.files import ADA, apply

pytestmark = pytest.mark.anyio

LOST = "old.example and other.example (/shop) redirect to www.shop.example, which no enabled virtual host would have."


@pytest.fixture
async def changes(template: Path) -> AsyncIterator[Changes]:
    """shop.example is 1. What redirects elsewhere, or would not be followed, is never named."""
    async with saving(template) as made:
        await virtual_hosts.create(made, ADA, host_fields("shop.example", "www.shop.example"))
        await add(made, "old.example", "http://WWW.shop.example/b")
        other = await virtual_hosts.create(made, ADA, host_fields("other.example"))
        bound = {"path": "/shop", "redirect": "301", "redirect_to": "http://www.shop.example:8080/"}
        await path_bindings.ROWS.under(other.value.id or 0).create(made, ADA, PathBindingFields.model_validate(bound))
        await add(made, "off.example", "http://www.shop.example", enabled=False)
        await add(made, "port.example", "http://www.shop.example:9/")
        await add(made, "away.example", "http://elsewhere.example/")
        yield made


async def add(changes: Changes, name: str, target: str, **others: Any) -> None:
    moved = {"redirect": "301", "redirect_to": target, "servers": [], **others}
    await virtual_hosts.create(changes, ADA, host_fields(name, **moved))


async def asks(changes: Changes, *names: str, **others: Any) -> tuple[str, list[str]]:
    """What saving shop.example so asks, and at which field."""
    try:
        await virtual_hosts.update(changes, ADA, 1, host_fields(*names, **others))
    except NeedsConfirmation as asked:
        return asked.message, [*asked.errors]
    return "", []


async def test_a_hostname_that_is_removed_or_disabled(changes: Changes) -> None:
    assert await asks(changes, "shop.example") == (LOST, ["hostnames"])
    assert await asks(changes, "shop.example", "www.shop.example", enabled=False) == (LOST, ["enabled"])
    assert await asks(changes, "www.shop.example") == ("", [])
    assert await asks(changes, "*.shop.example") == ("", [])
    assert await asks(changes, "new.example") == (LOST, ["hostnames"])
    meant = host_fields("new.example").model_dump() | {"save_anyway": True}
    confirmed = await virtual_hosts.ROWS.read(meant)
    await virtual_hosts.update(changes, ADA, 1, confirmed)
    assert await asks(changes, "last.example") == ("", [])


async def test_what_redirects_to_itself(changes: Changes) -> None:
    """Its own path is named once its hostname goes, and is deleted with it."""
    bound = PathBindingFields.model_validate({"path": "/a", "redirect": "301", "redirect_to": "http://shop.example/b"})
    await path_bindings.ROWS.under(1).create(changes, ADA, bound)

    assert (await asks(changes, "www.shop.example"))[0].startswith("shop.example (/a) redirects to shop.example, ")
    with pytest.raises(NeedsConfirmation) as asked:
        await virtual_hosts.delete(changes, ADA, 1)
    assert asked.value.message == LOST
    await virtual_hosts.delete(changes, replace(ADA, confirmed=True), 1)


async def test_its_own_redirect_counts_as_it_is_saved(changes: Changes) -> None:
    """Not as it was stored: that one goes together with the hostname."""
    names, here = ("new.example", "away.example", "moved.example"), "http://moved.example/"
    await add(changes, names[0], here)
    async with changes.database.read() as session:
        number = (await session.exec(select(VirtualHost.id).where(VirtualHost.name == names[0]))).one() or 0

    async def save(*names: str, target: str) -> None:
        moved = {"redirect": "301", "redirect_to": target, "servers": []}
        await virtual_hosts.update(changes, ADA, number, host_fields(*names, **moved))

    await save("new.example", "moved.example", target="http://elsewhere.example/a")
    await save("new.example", "moved.example", target="http://elsewhere.example/b")
    with pytest.raises(NeedsConfirmation, match=r"new\.example redirects to moved\.example, which"):
        await save("new.example", target=here)
    await save("new.example", target="http://elsewhere.example/b")


async def test_a_file_is_asked_about_what_is_left_at_its_end(changes: Changes) -> None:
    servers = "  servers:\n  - address: 127.0.0.1:3000\n"
    moving = (
        f"virtual_hosts:\n- hostnames: [shop.example]\n{servers}- name: new\n  hostnames: [www.shop.example]\n{servers}"
    )
    assert await apply(changes, moving) is not None
    lost = f"virtual_hosts:\n- name: new\n  hostnames: [new.example]\n{servers}"

    with pytest.raises(NeedsConfirmation) as asked:
        await apply(changes, lost)
    assert (asked.value.message, [*asked.value.errors]) == (LOST, ["virtual_hosts"])
    assert await apply(changes, lost, save_anyway=True) is not None


async def test_pruning_a_target_and_who_redirects_there_asks_nothing(changes: Changes) -> None:
    kept = "virtual_hosts:\n- hostnames: [away.example]\n  redirect: 301\n  redirect_to: http://elsewhere.example/\n"

    assert await apply(changes, kept, prune=True) is not None
