"""Texts of address lists, read with messages for whoever sent them."""

import time
from collections.abc import Callable

from pydantic_core import PydanticCustomError

from guardpanel.access import parsing
from guardpanel.access.entries import Entries
from guardpanel.access.parsing import Tell
from guardpanel.errors import Invalid
from guardpanel.field_codes import FieldCode


def read_text(text: str, tell: Tell = parsing.to_nobody, *, is_deny: bool) -> Entries:
    """Raises Invalid at `entries`, with each line that cannot be read."""
    return at_entries(lambda: parsing.parsed(text, is_deny=is_deny, tell=tell))


def read_typed(text: str, before: Entries, tell: Tell, *, is_deny: bool) -> Entries:
    """As `read_text`, and no line may have ended, unless it was there `before`: an export can be sent back."""
    return at_entries(lambda: parsing.parsed(text, is_deny=is_deny, now=time.time(), known=before, tell=tell))


def must_be_fit_to_deny(entries: Entries) -> None:
    """An allow list may have had what a deny list may not."""
    at_entries(lambda: parsing.must_fit(entries, is_deny=True))


def at_entries(read: Callable[[], Entries]) -> Entries:
    try:
        return read()
    except PydanticCustomError as error:
        raise Invalid.at("entries", error.message(), FieldCode((error.context or {})["code"])) from None
