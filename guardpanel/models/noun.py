"""What a noun is: how what an operator saves is stored, called and found.

Each noun's module declares its own as `NOUN`; `guardpanel.models.NOUNS` has them all. What goes through every noun
(snapshots, differences, history, backups, search, menus, routes) iterates that and names none.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Table
from sqlmodel import SQLModel

Key = tuple[str, int]
"A noun's key and the id of one."


@dataclass(frozen=True)
class Part:
    """A list among a noun's fields whose items are more than text: rows of a table of their own, or of a JSON column."""

    field: str
    in_words: Callable[[Any], str]
    "Says one item, as it is stored."
    table: type[SQLModel] | None = None
    "Has `position`, the place in the list; None: the items are in the noun's own column."
    owner: str = ""
    "The column that names the noun's row."
    known_by: str = ""
    "The field by which an item is the same one, whatever else of it changes."
    value: str = ""
    "The column that is all of an item; empty: an item is the row without id, owner and position."

    @property
    def table_name(self) -> str:
        return str(self.table.__tablename__) if self.table else ""

    def item(self, row: Mapping[str, Any]) -> Any:
        """A row of the table as an item of the field."""
        if self.value:
            return row[self.value]
        return {name: value for name, value in row.items() if name not in {"id", "position", self.owner}}


@dataclass(frozen=True)
class Menu:
    """An entry of the sidebar. `place` orders entries; `key` after `g` is its shortcut."""

    place: int
    icon: str
    key: str


@dataclass(frozen=True)
class Noun:
    key: str
    "Its name in changes, origins of rendered lines and addresses."
    module: str
    "The name of its modules in `services`, `views` and `api`, and of its templates."
    word: str
    plural: str
    table: type[SQLModel]
    fields: type[SQLModel]
    "What an operator sets: the input of form and JSON body."
    path: str
    "Of its pages. Where it is within another noun's row, that row's id stands there: `/policies/{policy_id}/exclusions`."
    api: str
    "The same in `/api/v1`: `policies/{policy_id}/exclusions`."
    what: str
    "One sentence of what it is."
    parts: tuple[Part, ...] = ()
    references: Mapping[str, str] = field(default_factory=dict)
    "Columns that hold another noun's id, with its key. That noun stands before this one among all."
    within: str = ""
    "Of these the column, no field, that names the row within which it is: shown there, and deleted with that."
    has_own_names: bool = False
    "No two have the same name, whatever its case."
    menu: Menu | None = None
    only_name: str = ""
    "Of a noun with one row, whose id is 1: how that is called."
    known_as: str = ""
    "Words by which such a noun is found."
    beside_name: Callable[[Any], str] = lambda _: ""
    "What search shows after the name of a row."

    @property
    def table_name(self) -> str:
        return str(self.table.__tablename__)

    @property
    def tables(self) -> tuple[Table, ...]:
        """Its own and those of its parts, in the order in which rows can be inserted."""
        names = (self.table_name, *(part.table_name for part in self.parts if part.table))
        return tuple(SQLModel.metadata.tables[name] for name in names)

    def name(self, row: Mapping[str, Any]) -> str:
        return self.only_name or str(row["name"])

    def title(self, name: str) -> str:
        """`Policy Strict`"""
        return self.only_name or f"{self.word} {name}"

    def counted(self, number: int) -> str:
        """The word for so many of them."""
        return self.only_name or (self.word if number == 1 else self.plural)

    @property
    def parent(self) -> str:
        """The key of the noun within whose rows it is."""
        return self.references[self.within] if self.within else ""

    @property
    def tag(self) -> str:
        """What its operations are listed under."""
        return self.plural.lower() if self.within else self.api

    def place(self, parent_id: int | None = None) -> str:
        """The address of their list, and where a new one is sent to."""
        return self.path.format(**{self.within: parent_id})

    def url(self, noun_id: int, parent_id: int | None = None) -> str:
        return self.path if self.only_name else f"{self.place(parent_id)}/{noun_id}"

    def url_of(self, row: Any) -> str:
        return self.url(row.id, getattr(row, self.within) if self.within else None)
