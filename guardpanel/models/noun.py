"""A noun: how something that operators save is stored, labeled and found.

Each noun's module declares `NOUN`, and `guardpanel.models.NOUNS` lists them all. Whatever applies to every noun (snapshots,
differences, history, backups, search, menus, routes) iterates that list and names no noun.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Table
from sqlmodel import SQLModel

from guardpanel.models.meta import lowered

Key = tuple[str, int]
"A noun's key and a row's id."

KEPT = "(kept in guardpanel)"
"What a file of the configuration has in place of a secret. Applied, the secret stays as it is."


@dataclass(frozen=True)
class Part:
    """A list field whose items are more than text: rows of their own table, or of a JSON column."""

    field: str
    in_words: Callable[[Any], str]
    "Describes an item, as it is stored."
    table: type[SQLModel] | None = None
    "The table of the items, with a `position`. None: the items are stored in the noun's own column."
    owner: str = ""
    "The column that refers to the noun's row."
    known_by: str = ""
    "The field that identifies an item while others change."
    value: str = ""
    "The only column of an item. Empty: an item is the row without id, owner and position."

    @property
    def table_name(self) -> str:
        return str(self.table.__tablename__) if self.table else ""

    def item(self, row: Mapping[str, Any]) -> Any:
        """A table row as an item of the field."""
        if self.value:
            return row[self.value]
        return {name: value for name, value in row.items() if name not in {"id", "position", self.owner}}


@dataclass(frozen=True)
class Menu:
    """A sidebar entry. `place` orders entries. `g` and then `key` is its shortcut."""

    place: int
    icon: str
    key: str


ONLY = 1
"The id of a noun with a single row."


@dataclass(frozen=True)
class Noun:
    key: str
    "Its name in changes, in origins of rendered lines and in URLs."
    module: str
    "The name of its modules in `services`, `views` and `api`, and of its templates."
    word: str
    plural: str
    table: type[SQLModel]
    fields: type[SQLModel]
    "What an operator sets: the input of the form and the JSON body."
    path: str
    "The path of its pages. With a parent, it contains the parent's id: `/policies/{policy_id}/exclusions`."
    api: str
    "The path in `/api/v1`: `policies/{policy_id}/exclusions`."
    what: str
    "A one-sentence description."
    example: Mapping[str, Any]
    "A valid body for JSON, which documentation shows."
    parts: tuple[Part, ...] = ()
    references: Mapping[str, str] = field(default_factory=dict)
    "Columns that refer to another noun, with that noun's key. NOUNS lists that noun first."
    within: str = ""
    "The one of these columns, not a field, that names the parent row: a row is shown there and deleted with it."
    has_own_names: bool = False
    "Names are unique, ignoring case."
    menu: Menu | None = None
    only_name: str = ""
    "For a noun with a single row, whose id is 1: its name."
    known_as: str = ""
    "Search terms that find such a noun."
    beside_name: Callable[[Any], str] = lambda _: ""
    "What search shows after a row's name."
    sent: type[SQLModel] | None = None
    "`fields` plus what is taken and never shown again. Only forms and JSON bodies know it: it is not a part of the row."
    apart: tuple[str, ...] = ()
    "Fields of `sent` that are stored apart from the row, and that a file of the configuration can have."
    secret: str = ""
    "The column with a secret, which no earlier state brings back for a row of the same name: it may have been replaced since."

    @property
    def table_name(self) -> str:
        return str(self.table.__tablename__)

    @property
    def tables(self) -> tuple[Table, ...]:
        """Its table and those of its parts, in an order in which rows can be inserted."""
        names = (self.table_name, *(part.table_name for part in self.parts if part.table))
        return tuple(SQLModel.metadata.tables[name] for name in names)

    @property
    def input(self) -> type[SQLModel]:
        """What the form and the JSON body are read into."""
        return self.sent or self.fields

    @property
    def is_all_shown(self) -> bool:
        """Whether its form sends nothing but its fields and the confirmation of a save: no file, nothing that is kept secret."""
        more = set(self.input.model_fields) - set(self.fields.model_fields)
        return self.sent is None or more == {"save_anyway"}

    def name(self, row: Mapping[str, Any]) -> str:
        return self.only_name or str(row["name"])

    def title(self, name: str) -> str:
        """`Policy Strict`"""
        return self.only_name or f"{self.word} {name}"

    @property
    def in_sentence(self) -> str:
        """`virtual host`, `client CA`"""
        return lowered(self.word)

    @property
    def with_article(self) -> str:
        """`a virtual host`, `an error page set`"""
        return f"{'an' if self.in_sentence[0] in 'aeio' else 'a'} {self.in_sentence}"

    def counted(self, number: int) -> str:
        """Singular or plural."""
        return self.only_name or (self.word if number == 1 else self.plural)

    @property
    def parent(self) -> str:
        """The key of the parent noun."""
        return self.references[self.within] if self.within else ""

    @property
    def tag(self) -> str:
        """The OpenAPI tag of its operations."""
        return self.plural.lower() if self.within else self.api

    def place(self, parent_id: int | None = None) -> str:
        """The URL of the list, to which new rows are posted."""
        return self.path.format(**{self.within: parent_id})

    def url(self, noun_id: int, parent_id: int | None = None) -> str:
        return self.path if self.only_name else f"{self.place(parent_id)}/{noun_id}"

    def url_of(self, row: Any) -> str:
        return self.url(row.id, getattr(row, self.within) if self.within else None)
