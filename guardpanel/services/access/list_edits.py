"""Edits of an address list's entries: some added, all replaced, some removed."""

from collections.abc import Callable, Sequence

from guardpanel.access import parsing
from guardpanel.access.entries import Entries, with_added, without
from guardpanel.errors import Invalid, NotFound
from guardpanel.field_codes import FieldCode
from guardpanel.models import AddressList
from guardpanel.models.access.address_list import ListKind
from guardpanel.services.access.list_texts import at_entries, read_typed

Edit = Callable[[AddressList, Entries], Entries]


def adding(text: str) -> Edit:
    """The entries of a text beside those that are there. An entry that is there gets the end and the comment that are given."""

    def edit(row: AddressList, before: Entries) -> Entries:
        is_deny = row.kind is ListKind.DENY
        new = read_typed(text, before, is_deny=is_deny)
        if not new.items:
            raise Invalid.at("entries", "Enter at least one address or network.", FieldCode.REQUIRED)
        after = with_added(before, new.items)
        return at_entries(lambda: parsing.must_fit(after, is_deny=is_deny))

    return edit


def replacing(text: str) -> Edit:
    return lambda row, before: read_typed(text, before, is_deny=row.kind is ListKind.DENY)


def removing(networks: Sequence[str]) -> Edit:
    """Raises NotFound for one that is not in the list."""

    def edit(row: AddressList, before: Entries) -> Entries:  # noqa: ARG001
        try:
            canonical = [parsing.network(network) for network in networks]
        except ValueError as error:
            raise Invalid.at("entries", f"{error}.") from None
        if missing := [network for network in canonical if before.find(network) is None]:
            raise NotFound(f"{missing[0]} is not in this list. It may have been removed.")
        return without(before, canonical)

    return edit
