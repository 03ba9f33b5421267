"""Address lists: named networks whose requests are exempt from bans and deny lists (allow), are rejected (deny), or are the only
ones that are not (only).

The entries are in `address_list_content.py`; a row names them by their hash, so that revisions stay small.
"""

from datetime import timedelta
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, ValidationInfo, field_validator
from sqlalchemy import JSON
from sqlmodel import Field

from guardpanel.models.access.feed import (
    FOLLOWED,
    LONGEST_URL,
    FeedInterval,
    FeedKey,
    FeedUrl,
    FilledFrom,
    crowdsec_url,
    feed_url,
)
from guardpanel.models.access.reference import EMPTY, REFERENCE, Reference
from guardpanel.models.meta import Choice, described
from guardpanel.models.noun import Noun
from guardpanel.models.policies.path_condition import begun_paths
from guardpanel.models.references import an_id
from guardpanel.models.refusing import refuse
from guardpanel.models.types import Fields, Lines, Name, Notes, stored
from guardpanel.models.versioned_row import VersionedRow

LARGEST_TEXT = 20 * 1024 * 1024
"Bytes of a pasted or uploaded list."

MOST_HOSTS, MOST_PATHS = 500, 100


class ListKind(Choice):
    DENY = "deny", "Deny", "Requests from these addresses get 403."
    ALLOW = "allow", "Allow", "Never banned or denied. The WAF still inspects their requests."
    ONLY = "only", "Allow only", "Requests from all other addresses get 403. Bans and limits apply to these, too."


class AppliesTo(Choice):
    EVERYWHERE = "everywhere", "All virtual hosts"
    SOME = "virtual_hosts", "Some virtual hosts"


def known_reference(text: str) -> str:
    if not REFERENCE.fullmatch(text):
        raise refuse("Not a reference to entries. Send them as `entries`, or leave this as it was read.")
    return text


def known_ids(ids: list[int]) -> list[int]:
    return sorted({number for number in map(an_id, ids) if number is not None})


def chosen_ids(value: object) -> object:
    """As a form sends them: one or several, and an empty one if none is."""
    values = [value] if isinstance(value, str) else value
    return [number for number in values if number != ""] if isinstance(values, list) else values


Ids = Annotated[list[int], BeforeValidator(chosen_ids), AfterValidator(known_ids), Field(max_length=MOST_HOSTS)]


Paths = Annotated[Lines, AfterValidator(begun_paths), Field(max_length=MOST_PATHS)]


class AddressListColumns(Fields):
    """The fields that form, JSON and table share."""

    name: Name = described("Name", max_length=100)
    kind: ListKind = described("Kind", ListKind.DENY, sa_type=stored(ListKind))
    applies_to: AppliesTo = described("Applies to", AppliesTo.EVERYWHERE, sa_type=stored(AppliesTo))
    virtual_host_ids: Ids = described("Virtual hosts", default_factory=list, sa_type=JSON, unset="none")
    paths: Paths = described(
        "Paths",
        default_factory=list,
        sa_type=JSON,
        placeholder="/admin",
        hint="One per line, each with everything below. With /admin*, also /admin.php. Defaults to all paths.",
    )
    content: Annotated[str, AfterValidator(known_reference)] = described(
        "Entries", EMPTY.text, max_length=100, hint="Their number and hash."
    )
    filled_from: FilledFrom = described("Entries come from", FilledFrom.HAND, sa_type=stored(FilledFrom))
    feed_url: FeedUrl = described(
        "URL",
        "",
        max_length=LONGEST_URL,
        placeholder="https://lists.example/drop.txt",
        hint="Of the list, or of CrowdSec’s local API: http://127.0.0.1:8080/.",
    )
    feed_every: FeedInterval = described("Download every", FeedInterval.HOUR, sa_type=stored(FeedInterval))
    notes: Notes = described("Notes", "")


class AddressListFields(AddressListColumns):
    """What an operator sets, besides the entries themselves (`AddressListInput`)."""

    @field_validator("virtual_host_ids")
    @classmethod
    def hosts_where_asked_for(cls, ids: list[int], info: ValidationInfo) -> list[int]:
        if info.data.get("applies_to") is AppliesTo.SOME and not ids:
            raise refuse("Choose at least one virtual host, or apply the list to all.")
        return ids if info.data.get("applies_to") is AppliesTo.SOME else []

    @field_validator("filled_from")
    @classmethod
    def bans_are_denied(cls, source: FilledFrom, info: ValidationInfo) -> FilledFrom:
        if source is FilledFrom.CROWDSEC and info.data.get("kind") in {ListKind.ALLOW, ListKind.ONLY}:
            raise refuse("CrowdSec says whom to ban. Choose Deny above.")
        return source

    @field_validator("feed_url")
    @classmethod
    def url_where_asked_for(cls, url: str, info: ValidationInfo) -> str:
        source = info.data.get("filled_from")
        if source is FilledFrom.URL and not url:
            raise refuse("Enter the URL of the list.")
        if source is FilledFrom.CROWDSEC and not url:
            raise refuse("Enter the URL of CrowdSec’s local API, for example http://127.0.0.1:8080/.")
        read = {FilledFrom.URL: feed_url, FilledFrom.CROWDSEC: crowdsec_url}.get(source) if source else None
        return read(url) if read else ""


class AddressListInput(AddressListFields):
    """Plus the entries as text, which become a content."""

    entries: str | None = described(
        "Entries",
        "",
        max_length=LARGEST_TEXT,
        hint="One address, network (10.0.0.0/8), or range (a-b) per line. Comments start with #, ;, or //. Of CSV, the first "
        "column.",
        placeholder="203.0.113.0/24  # reason",
    )
    feed_key: FeedKey = described(
        "CrowdSec key",
        "",
        repr=False,
        max_length=500,
        hint="What “cscli bouncers add guardpanel” prints. It is stored encrypted. An edit without it keeps it.",
    )
    save_anyway: bool | None = described("Save anyway", default=False, hint="Accept what the warnings say.")

    @field_validator("feed_key")
    @classmethod
    def key_where_asked_for(cls, key: str | None, info: ValidationInfo) -> str | None:
        if key and info.data.get("filled_from") not in {FilledFrom.CROWDSEC, None}:
            raise refuse("Only CrowdSec has a key.")
        return key


class AddressList(AddressListColumns, VersionedRow, table=True):
    """A row."""

    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, primary_key=True)

    def replace(self, fields: AddressListFields) -> Self:
        for name in AddressListColumns.model_fields:
            setattr(self, name, getattr(fields, name))
        return self

    @property
    def reference(self) -> Reference:
        """Of the entries that were entered. Those of a feed are in its state."""
        return Reference.read(self.content)

    @property
    def is_fed(self) -> bool:
        return self.filled_from is not FilledFrom.HAND

    @property
    def is_followed(self) -> bool:
        """All the time, rather than downloaded by schedule."""
        return self.filled_from is FilledFrom.CROWDSEC

    @property
    def feed_interval(self) -> timedelta:
        """After three of them without a good answer, the feed is stale."""
        return FOLLOWED if self.is_followed else self.feed_every.length


SOURCES = {FilledFrom.HAND: "", FilledFrom.URL: "from a URL", FilledFrom.CROWDSEC: "from CrowdSec"}


def _beside(row: Any) -> str:
    return f"{row.kind.word}, {SOURCES[row.filled_from] or row.content.partition(' (')[0]}"


NOUN = Noun(
    "address_list",
    "address_lists",
    "Address list",
    "Address lists",
    AddressList,
    AddressListFields,
    "/access/lists",
    "address-lists",
    "Networks that are never banned, always rejected, or the only ones that are not.",
    {"name": "Scanners", "kind": "deny", "entries": "203.0.113.0/24"},
    references={"virtual_host_ids": "virtual_host"},
    has_own_names=True,
    beside_name=_beside,
    sent=AddressListInput,
    apart=("entries", "feed_key"),
)
