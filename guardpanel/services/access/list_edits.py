"""Edits of an address list's entries: some added, all replaced, some removed; and what differs then."""

from collections.abc import Callable, Mapping, Sequence

from guardpanel.access import lines, parsing
from guardpanel.access.entries import Entries, with_added, without
from guardpanel.access.parsing import Tell
from guardpanel.errors import Invalid, NotFound
from guardpanel.field_codes import FieldCode
from guardpanel.models import AddressList
from guardpanel.models.access.address_list import ListKind
from guardpanel.models.access.reference import Reference
from guardpanel.services.access.list_texts import at_entries, read_typed

NAMED = 3
"Entries that a summary names at most."

Edit = Callable[[AddressList, Entries, Tell], Entries]


def adding(text: str) -> Edit:
    """The entries of a text beside those that are there. An entry that is there gets the end and the comment that are given."""

    def edit(row: AddressList, before: Entries, tell: Tell) -> Entries:
        is_deny = row.kind is ListKind.DENY
        new = read_typed(text, before, tell, is_deny=is_deny)
        if not new.items:
            raise Invalid.at("entries", "Enter at least one address or network.", FieldCode.REQUIRED)
        after = with_added(before, new.items)
        return at_entries(lambda: parsing.must_fit(after, is_deny=is_deny))

    return edit


def replacing(text: str) -> Edit:
    return lambda row, before, tell: read_typed(text, before, tell, is_deny=row.kind is ListKind.DENY)


def removing(networks: Sequence[str]) -> Edit:
    """Raises NotFound for one that is not in the list."""

    def edit(_row: AddressList, before: Entries, _tell: Tell) -> Entries:
        try:
            canonical = [parsing.network(network) for network in networks]
        except ValueError as error:
            raise Invalid.at("entries", f"{error}.") from None
        if missing := [network for network in canonical if before.find(network) is None]:
            raise NotFound(f"{missing[0]} is not in this list. It may have been removed.")
        return without(before, canonical)

    return edit


def difference(before: Entries, after: Entries) -> tuple[list[str], str, Reference]:
    """The networks that are new or last differently, `entry 192.0.2.7 added` or `1,204 entries added`, and what names all."""
    was, now = (_facts(Entries.read(text)) for text in lines.middle(before.text, after.text))
    new = [network for network, facts in now.items() if was.get(network, ("",))[0] != facts[0]]
    changed = {network for network in now.keys() & was.keys() if now[network] != was[network]}
    parts = (now.keys() - was.keys(), "added"), (changed, "changed"), (was.keys() - now.keys(), "removed")
    return new, ", ".join(_some(networks, verb) for networks, verb in parts if networks), after.reference


def _facts(entries: Entries) -> Mapping[str, tuple[int, str]]:
    """When each entry ends, and its comment."""
    return {network: (ends_at, comment) for network, ends_at, comment in entries.items}


def _some(networks: set[str], verb: str) -> str:
    if len(networks) > NAMED:
        return f"{len(networks):,} entries {verb}"
    return f"{'entry' if len(networks) == 1 else 'entries'} {', '.join(sorted(networks))} {verb}"
