"""Bans and entries of deny lists, as they arrive: by hand one by one, by automatic bans several at once, by paste dozens, and by
downloads of a feed."""

import random
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from guardpanel.errors import StorageFailed
from guardpanel.models import Ban
from guardpanel.models.access.address_list import AddressListInput
from guardpanel.models.access.ban import AUTOMATIC, BanFields, BanLength
from guardpanel.models.access.feed import FilledFrom
from guardpanel.panel import Panel
from guardpanel.services import address_lists
from guardpanel.services.access import list_edits
from tests.crash.world import ADA, Bans, Deed, Denied, World

LISTED, FED = "Kept out", "Fed"
"The deny lists that are always there: one of entries by hand, one that a feed fills."

SOURCE = "feed.txt"
"What the feed downloads, in the data directory."

MANY_BANS, MANY_ENTRIES = 6, 40
"From here on, they are taken out again."

MANY_FED = 5
"So many that each look at HAProxy's map asks for all of them."

PASTED = 30
"More than HAProxy gets one by one."

NONE = Bans(0, 0)


def new_list(world: World) -> Deed:
    fields = AddressListInput(name=LISTED, entries="127.80.0.1")
    after = replace(world, lists={LISTED: Denied(0, ("127.80.0.1",))})
    return Deed("list", "a deny list", after, lambda panel: address_lists.create(panel.changes, ADA, fields))


def ban(world: World, chance: random.Random) -> Deed:
    """One by hand, another end for one, a few by a policy, or one is lifted."""
    active = sorted(network for network, bans in world.bans.items() if bans.active)
    kind = chance.random()
    if active and (kind < 0.25 or len(active) >= MANY_BANS):
        return _lift(world, chance.choice(active))
    if kind < 0.5:
        return _automatic(world, [_new(chance, "127.71", active) for _ in range(3)])
    network = chance.choice(active) if active and kind < 0.6 else _new(chance, "127.70", active)
    bans = world.bans.get(network, NONE)
    after = _with(world, {network: Bans(1, bans.ended + bans.active)})
    fields = BanFields(network=network, length=BanLength.DAY)
    return Deed(
        "ban", f"ban {network}", after, lambda panel: panel.bans.add(panel.changes, fields, who="ada", client="")
    )


def _lift(world: World, network: str) -> Deed:
    after = _with(world, {network: Bans(0, world.bans[network].ended + 1)})
    return Deed("ban", f"lift {network}", after, lambda panel: panel.bans.lift_network(network, who="ada"))


def _automatic(world: World, networks: list[str]) -> Deed:
    after = _with(world, {network: Bans(1, world.bans.get(network, NONE).ended) for network in networks})
    bans = [Ban(network=network, origin=AUTOMATIC) for network in networks]
    return Deed("ban", f"ban {', '.join(networks)}", after, lambda panel: panel.bans.add_new(bans))


def _with(world: World, bans: dict[str, Bans]) -> World:
    return replace(world, bans={**world.bans, **bans})


def entries(world: World, chance: random.Random) -> Deed:
    """One or dozens are added, or some removed."""
    listed = world.lists[LISTED]
    if len(listed.networks) >= MANY_ENTRIES or (len(listed.networks) > 1 and chance.random() < 0.3):
        gone = chance.sample(listed.networks, chance.choice([1, len(listed.networks) - 1]))
        return _edited(world, set(listed.networks) - set(gone), list_edits.removing(gone))
    new = {_new(chance, "127.80", listed.networks) for _ in range(chance.choice([1, PASTED]))}
    return _edited(world, {*listed.networks, *new}, list_edits.adding("\n".join(sorted(new))))


def _edited(world: World, networks: set[str], edit: list_edits.Edit) -> Deed:
    listed = world.lists[LISTED]
    after = replace(world, lists={**world.lists, LISTED: replace(listed, networks=in_order(networks))})
    words = f"from {len(listed.networks)} to {len(networks)} entries"
    return Deed("entries", words, after, lambda panel: address_lists.ROWS.edit(panel.changes, ADA, listed.id, edit))


def new_feed(world: World) -> Deed:
    """With its first download, which is accepted."""
    networks = ("127.81.0.1",)

    async def begin(panel: Panel) -> None:
        fields = AddressListInput(name=FED, filled_from=FilledFrom.URL, feed_url=f"file://{_publish(panel, networks)}")
        number = (await address_lists.create(panel.changes, ADA, fields)).value.id or 0
        await panel.feeds.download(number)
        await panel.feeds.accept(number, who="ada")

    after = replace(world, lists={**world.lists, FED: Denied(0, networks)})
    return Deed("fed", "a list that a feed fills", after, begin)


def feed(world: World, chance: random.Random) -> Deed:
    """A download with some entries more, others, or fewer: at least half of them, or it would wait until somebody accepts it."""
    listed = world.lists[FED]
    before = listed.networks
    most_gone = len(before) // 2
    gone = set(chance.sample(before, most_gone if len(before) >= MANY_FED else chance.randint(0, most_gone)))
    new = {_new(chance, "127.81", before) for _ in range(0 if len(before) >= MANY_FED else chance.randint(not gone, 2))}
    networks = in_order({*before, *new} - gone)

    async def download(panel: Panel) -> None:
        _publish(panel, networks)
        if problem := (await panel.feeds.download(listed.id)).problem:
            raise StorageFailed(problem)

    after = replace(world, lists={**world.lists, FED: replace(listed, networks=networks)})
    return Deed("feed", f"a download of {len(networks)} entries in place of {len(before)}", after, download)


def _publish(panel: Panel, networks: Iterable[str]) -> Path:
    source = panel.settings.data_dir / SOURCE
    try:
        source.write_text("".join(f"{network}\n" for network in networks))
    except OSError as error:  # It is on the disk that fails, but not the panel's.
        raise StorageFailed("The server of the feed has no disk.") from error
    return source


def in_order(networks: Iterable[str]) -> tuple[str, ...]:
    """By address."""
    return tuple(sorted(networks, key=lambda network: [int(part) for part in network.split(".")]))


def _new(chance: random.Random, beginning: str, but: Iterable[str]) -> str:
    """An address of this machine that is none of these."""
    while (address := f"{beginning}.{chance.randrange(1, 255)}.{chance.randrange(1, 255)}") in but:
        pass
    return address
