"""Feeds: where the entries of an address list come from if nobody enters them, and the state of each.

A list says in its own fields what fills it. What was downloaded when, and what became of it, is operational state: no revision
has it, and none is made for it. The row stays when its list is deleted, so that an undo brings the entries back.
"""

import re
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import PurePosixPath
from typing import Annotated
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import AfterValidator
from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from guardpanel.models.access.reference import EMPTY, Reference
from guardpanel.models.meta import Choice
from guardpanel.models.refusing import refuse
from guardpanel.models.types import hostname, visible

LONGEST_URL = 1000


class FilledFrom(Choice):
    """What fills an address list."""

    HAND = "hand", "By hand"
    URL = "url", "A URL", "Downloaded regularly. You accept the first download before it applies."
    CROWDSEC = "crowdsec", "CrowdSec", "Addresses that CrowdSec bans, within 10 s, until it lifts the ban."


class FeedInterval(Choice):
    QUARTER = "15m", "15 minutes"
    HOUR = "1h", "1 hour"
    SIX_HOURS = "6h", "6 hours"
    DAY = "1d", "1 day"
    WEEK = "7d", "7 days"

    @property
    def length(self) -> timedelta:
        return INTERVALS[self]


INTERVALS = {
    FeedInterval.QUARTER: timedelta(minutes=15),
    FeedInterval.HOUR: timedelta(hours=1),
    FeedInterval.SIX_HOURS: timedelta(hours=6),
    FeedInterval.DAY: timedelta(days=1),
    FeedInterval.WEEK: timedelta(days=7),
}

FOLLOWED = timedelta(minutes=1)
"How often the state of what is asked all the time is stored."

STALE_AFTER = 3
"Intervals without a successful download."


class Feed(SQLModel, table=True):
    """The state of the feed of a list."""

    __table_args__ = (UniqueConstraint("address_list_id", "list_created_at"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, primary_key=True)
    address_list_id: int
    list_created_at: datetime
    "A restored backup may give a list the id of another one that was here."
    url: str = Field(default="", max_length=LONGEST_URL)
    "Where `etag` and `last_modified`, and what waits, came from."
    accepted_url: str = Field(default="", max_length=LONGEST_URL)
    "Where somebody has accepted the first download from."
    content: str = Field(default=EMPTY.text, max_length=100)
    "What applies: the last download that was good."
    waiting: str = Field(default="", max_length=100)
    "What was downloaded and has to be accepted before it applies. Empty: nothing."
    waiting_because: str = Field(default="", max_length=500)
    etag: str = Field(default="", max_length=500)
    last_modified: str = Field(default="", max_length=100)
    tried_at: datetime | None = None
    checked_at: datetime | None = None
    "When a download, or the answer that nothing changed, was last good."
    changed_at: datetime | None = None
    "When other entries began to apply."
    accepted_by: str = Field(default="", max_length=320)
    failures: int = 0
    "In a row."
    problem: str = Field(default="", max_length=5000)
    "Why the last try failed."
    lines: int = 0
    "Of the last download that was good."
    doubles: int = 0
    covered: int = 0
    "Entries of it within others that last as long: left out, as doubles are."
    left_out: str = Field(default="", max_length=1000)
    "What of it would lock servers or this machine out, in sentences."
    sealed_key: bytes | None = None
    "CrowdSec's."
    key_url: str = Field(default="", max_length=LONGEST_URL)
    "To which it may be sent: whoever changes the list's URL has to know the key."

    @property
    def key_place(self) -> str:
        return key_place(self.address_list_id, self.key_url)

    @property
    def reference(self) -> Reference:
        return Reference.read(self.content)

    @property
    def waiting_reference(self) -> Reference | None:
        return Reference.read(self.waiting) if self.waiting else None

    def is_stale(self, interval: timedelta, now: datetime) -> bool:
        """Whether it has been too long since a download was good. Not before the first one was due."""
        last = self.checked_at
        return self.failures > 0 if last is None else now - last > interval * STALE_AFTER


def key_place(list_id: object, url: object) -> str:
    """Where a key is sealed. It opens for no other list or URL, and does in a restored backup."""
    return f"feed:{list_id}:{url}"


def feed_url(text: str) -> str:
    """`https://lists.example/drop.txt` or `file:///srv/lists/drop.txt`, in canonical form."""
    url = source_url(text, STARTS)
    if url.startswith("http:"):
        raise refuse(STARTS)
    return url


STARTS = "Enter a URL that starts with https:// or file:///."


def crowdsec_url(text: str) -> str:
    """`http://127.0.0.1:8080/`: of its local API, as it is in `local_api_credentials.yaml`."""
    url = source_url(text)
    if url.startswith("file:") or "?" in url:
        raise refuse("Enter the URL of CrowdSec’s local API, for example http://127.0.0.1:8080/.")
    return url if url.endswith("/") or not url else f"{url}/"


def list_url(text: str) -> str:
    """Of either, as long as the source is not known."""
    return source_url(text, f"{STARTS} Only CrowdSec’s may start with http://.")


def source_url(text: str, otherwise: str = "Enter a URL that starts with https://, http:// or file:///.") -> str:
    """Of any source, in canonical form. `otherwise`: the message for another scheme."""
    text = visible(text.strip())
    if not text:
        return ""
    if not re.fullmatch(r"[\x21-\x7e]+", text):
        raise refuse("Write blanks and letters beyond ASCII as they are in URLs, for example %20.")
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 it is parsed when it is read
    except ValueError:
        raise refuse("This is not a URL, for example https://lists.example/drop.txt.") from None
    if parts.fragment or "#" in text:
        raise refuse("Remove the part after #: servers never see it.")
    if parts.scheme == "file":
        return _file(parts)
    if parts.scheme not in PORTS:
        raise refuse(otherwise)
    return _web(parts)


PORTS = {"https": 443, "http": 80}


def _web(parts: SplitResult) -> str:
    if parts.username is not None or parts.password is not None:
        raise refuse("Remove the user name and password: this URL is shown to all who can log in.")
    if not parts.hostname:
        raise refuse("The URL has no hostname.")
    host = _host(parts.hostname)
    port = f":{parts.port}" if parts.port not in {None, PORTS[parts.scheme]} else ""
    return f"{parts.scheme}://{host}{port}{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"


def _host(text: str) -> str:
    try:
        address = ip_address(text)
    except ValueError:
        name = hostname(text)
        if name.startswith("*."):
            raise refuse("The URL has a wildcard instead of a hostname.") from None
        if re.fullmatch(r"[0-9.]+", name):
            raise refuse(f"{name} is not an IP address.") from None
        return name
    if "%" in text:
        raise refuse("Enter the address without a zone (%).")
    return f"[{address}]" if address.version == 6 else str(address)


def _file(parts: SplitResult) -> str:
    path = unquote(parts.path)
    if parts.netloc or parts.query or not path.startswith("/") or "\0" in path or ".." in PurePosixPath(path).parts:
        raise refuse("Enter the whole path of a file, for example file:///srv/lists/drop.txt.")
    return f"file://{parts.path}"


FeedUrl = Annotated[str, AfterValidator(list_url)]


def crowdsec_key(text: str | None) -> str:
    """As `cscli bouncers add` prints it."""
    key = visible((text or "").strip())
    if not re.fullmatch(r"[\x21-\x7e]*", key):
        raise refuse("This is not a key: it has blanks, or letters beyond ASCII.")
    return key


FeedKey = Annotated[str | None, AfterValidator(crowdsec_key)]
