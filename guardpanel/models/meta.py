"""What people read of a field: title, hint, unit and choices stand once, beside its type and limits.

Forms, summaries of errors, history, merged forms and `openapi.json` read them here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from types import NoneType
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from sqlmodel import Field

Kind = Literal["line", "text", "number", "flag", "choice", "lines", "rows"]

LONGEST_LINE = 1_000
"Characters; a text that may be longer is typed into an area."


class Choice(StrEnum):
    """One of a few values, with its word and, where that is not all, what it means: `CLOSED = "closed", "Closed", "…"`."""

    _value_: str
    word: str
    hint: str

    def __new__(cls, value: str, word: str = "", hint: str = "") -> Self:
        member = str.__new__(cls, value)
        member._value_, member.word, member.hint = value, word, hint
        return member

    __hash__ = str.__hash__


def described(
    title: str,
    default: Any = PydanticUndefined,
    *,
    short: str = "",
    hint: str = "",
    unit: str = "",
    placeholder: str = "",
    unset: str = "",
    **limits: Any,
) -> Any:
    """A field of a model, as SQLModel's `Field`, with what people read of it.

    `title` is its one label (sentence case; it also stands within a sentence), `short` the same for narrow columns. `unit`
    follows the input. `unset`: what None means. In `openapi.json` the hint is the description.
    """
    words = {"x-short": short, "x-unit": unit, "x-placeholder": placeholder, "x-unset": unset}
    extra = {name: text for name, text in words.items() if text}
    return Field(
        default,
        title=title,
        description=hint or None,
        schema_extra={"json_schema_extra": extra} if extra else None,
        **limits,
    )


@dataclass(frozen=True)
class About:
    name: str
    title: str
    kind: Kind
    hint: str = ""
    short: str = ""
    unit: str = ""
    placeholder: str = ""
    unset: str = ""
    choices: tuple[Choice, ...] = ()
    rows: Mapping[str, "About"] = field(default_factory=dict)
    "Of a list of rows: the fields of one."

    @property
    def in_sentence(self) -> str:
        """The title within a sentence: `body limit`, `TLS server name`."""
        return lowered(self.title)

    @property
    def item(self) -> str:
        """One item of a list within a sentence: `hostname`, `trusted proxy`."""
        words = self.in_sentence
        return f"{words[:-3]}y" if words.endswith("ies") else words.removesuffix("s")

    @property
    def options(self) -> list[tuple[str, str]]:
        """Values with their words, for one to be chosen."""
        return [("", self.unset)] * bool(self.unset) + [(choice.value, choice.word) for choice in self.choices]

    @property
    def explained(self) -> list[tuple[str, str, str]]:
        """Values with their words and what they mean."""
        return [(choice.value, choice.word, choice.hint) for choice in self.choices]

    @property
    def is_explained(self) -> bool:
        return any(choice.hint for choice in self.choices)

    def text(self, value: object) -> str:
        """A stored value of a line, number, flag or choice, in words."""
        if value is None:
            return self.unset
        if self.kind == "flag":
            return "yes" if value else "no"
        return next((choice.word for choice in self.choices if choice == value), str(value))


@cache
def about(model: type[BaseModel]) -> Mapping[str, About]:
    """Of every field of an input type, in order."""
    return {name: _about(name, info) for name, info in model.model_fields.items()}


def about_field(model: type[BaseModel], path: str) -> About | None:
    """Of one field, or of one of a row: `servers.0.address`; an item of a list is its list (`hostnames.3`)."""
    name, _, rest = path.partition(".")
    field = about(model).get(name)
    part = rest.rpartition(".")[2]
    return field.rows.get(part, field) if field and part else field


def label(model: type[BaseModel] | None, path: str) -> str:
    """What a field is called: `Body limit`, `Server 2 address`; by its own name where no model knows it."""
    name, _, rest = path.partition(".")
    number, _, part = rest.partition(".")
    field = about(model).get(name) if model else None
    if field is None:
        return path.replace("_", " ").capitalize()
    if part and part in field.rows:
        item = field.item
        return f"{item[:1].upper()}{item[1:]} {int(number) + 1} {field.rows[part].in_sentence}"
    return field.title


def lowered(words: str) -> str:
    """Without the capital of a sentence; names and acronyms keep theirs."""
    first = words.split(" ", 1)[0]
    return words if any(map(str.isupper, first[1:])) else words[:1].lower() + words[1:]


def _about(name: str, info: FieldInfo) -> About:
    types = [
        one for one in (info.annotation, *get_args(info.annotation)) if isinstance(one, type) and one is not NoneType
    ]
    row = next((one for one in types if issubclass(one, BaseModel)), None)
    choices = next((tuple(one) for one in types if issubclass(one, Choice)), ())
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    return About(
        name,
        info.title or "",
        _kind(info, types, has_rows=row is not None),
        info.description or "",
        short=str(extra.get("x-short", info.title or "")),
        unit=str(extra.get("x-unit", "")),
        placeholder=str(extra.get("x-placeholder", "")),
        unset=str(extra.get("x-unset", "")),
        choices=choices,
        rows=about(row) if row else {},
    )


def _kind(info: FieldInfo, types: list[type], *, has_rows: bool) -> Kind:
    if has_rows:
        return "rows"
    if list in types or getattr(info.annotation, "__origin__", None) is list:
        return "lines"
    if bool in types:
        return "flag"
    if any(issubclass(one, Choice) for one in types):
        return "choice"
    if int in types:
        return "number"
    longest = max((getattr(one, "max_length", None) or 0 for one in info.metadata), default=0)
    return "text" if longest > LONGEST_LINE else "line"
