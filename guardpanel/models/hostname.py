"""A virtual host's hostnames."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError
from sqlmodel import Field, SQLModel

from guardpanel.models.refusing import refuse
from guardpanel.models.types import Lines, display_name, hostname, lines


class Hostname(SQLModel, table=True):
    """A hostname in canonical form. A leading `*.` stands for one level."""

    __table_args__ = ({"sqlite_autoincrement": True},)

    id: int | None = Field(default=None, primary_key=True)
    virtual_host_id: int | None = Field(
        default=None, foreign_key="virtualhost.id", ondelete="CASCADE", index=True, nullable=False
    )
    position: int
    name: str = Field(max_length=255, index=True)

    @property
    def display_name(self) -> str:
        return display_name(self.name)


def _is_whole_hostname(text: str) -> bool:
    try:
        return "." in hostname(text)
    except PydanticCustomError:
        return False


def known_hostnames(names: list[str]) -> list[str]:
    for name in names:
        if len(name.split()) > 1 and all(map(_is_whole_hostname, name.split())):
            raise refuse("Enter one hostname per line.")
    hostnames = [hostname(name) for name in names]
    for i, name in enumerate(hostnames):
        if name in hostnames[:i]:
            same = "" if names[i].strip() == name else f" (same as {name})"
            raise refuse(f"{names[i].strip()} is listed twice{same}.")
    if not hostnames:
        raise refuse("Enter at least one hostname, for example shop.example.")
    return hostnames


MOST_HOSTNAMES = 500
"Of a virtual host."

Hostnames = Annotated[Lines, AfterValidator(known_hostnames), Field(max_length=MOST_HOSTNAMES)]


UNNAMED = "unnamed"


def named_or_after(data: Mapping[str, Any], hostnames: str) -> object:
    """Its name, or else the first of these hostnames. What is no text stays, for the field to reject."""
    name = data.get("name")
    if name is not None and (not isinstance(name, str) or name.strip()):
        return name
    names = lines(data.get(hostnames))
    first = names[0] if isinstance(names, list) and names else None
    try:
        return display_name(hostname(first))[:100] if isinstance(first, str) else UNNAMED
    except ValueError:
        return UNNAMED
