"""What people read about a field: title, hint, unit and choices are declared once, next to its type and limits.

Forms, error summaries, history, merge pages and `openapi.json` read them here.
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
"Characters. Longer texts get a textarea."

MEASURES = ("s", "bytes", "KiB", "KiB/s", "MiB")
"Units that follow a number wherever it is printed."

DAY = 86_400


class Choice(StrEnum):
    """A choice with its label and, if the label does not explain itself, a hint: `CLOSED = "closed", "Closed", "…"`."""

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
    zero: str = "",
    **limits: Any,
) -> Any:
    """A model field, like SQLModel's `Field`, plus what people read about it.

    `title` is its label (sentence case; also used within sentences), `short` the label for narrow columns. `unit` follows the
    input. `unset` is what None means, `zero` what 0 does. The hint is the description in `openapi.json`.
    """
    words = {"x-short": short, "x-unit": unit, "x-placeholder": placeholder, "x-unset": unset, "x-zero": zero}
    extra = {name: text for name, text in words.items() if text}
    return Field(
        default,
        title=title,
        description=hint or None,
        # A field that is left out is judged as one that is sent: whether there may be none of it depends on the others.
        schema_extra={"validate_default": True} | ({"json_schema_extra": extra} if extra else {}),
        **limits,
    )


LIMITS = ("ge", "le", "max_length")


def inherited(model: type[BaseModel], name: str, default: Any = None, *, unset: str = "", **limits: Any) -> Any:
    """A field like another model's, with its words and limits, which may be left out."""
    known = about(model)[name]
    for rule in model.model_fields[name].metadata:
        limits |= {limit: value for limit in LIMITS if (value := getattr(rule, limit, None)) is not None}
    words = {"hint": known.hint, "unit": known.unit, "placeholder": known.placeholder}
    return described(known.title, default, unset=unset, **words, **limits)


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
    zero: str = ""
    choices: tuple[Choice, ...] = ()
    rows: Mapping[str, "About"] = field(default_factory=dict)
    "For a list of rows: the fields of a row."

    @property
    def in_sentence(self) -> str:
        """The title as it appears within a sentence: `body limit`, `TLS server name`."""
        return lowered(self.title)

    @property
    def item(self) -> str:
        """The word for one item of a list, within a sentence: `hostname`, `trusted proxy`."""
        words = self.in_sentence
        return f"{words[:-3]}y" if words.endswith("ies") else words.removesuffix("s")

    @property
    def options(self) -> list[tuple[str, str]]:
        """Values and labels of the choices."""
        return [("", self.unset)] * bool(self.unset) + [(choice.value, choice.word) for choice in self.choices]

    @property
    def explained(self) -> list[tuple[str, str, str]]:
        """Values, labels and hints of the choices."""
        return [(choice.value, choice.word, choice.hint) for choice in self.choices]

    @property
    def is_explained(self) -> bool:
        return any(choice.hint for choice in self.choices)

    def text(self, value: object) -> str:
        """A stored line, number, flag or choice, as people read it."""
        if value is None:
            return self.unset
        if self.kind == "flag":
            return "yes" if value else "no"
        if isinstance(value, int) and (self.zero or self.unit):
            return self._amount(value)
        return next((choice.word for choice in self.choices if choice == value), str(value))

    def _amount(self, value: int) -> str:
        """`off`, `1,024 KiB`, `31,536,000 s (365 days)`. Numbers of things, such as failed checks, without their unit."""
        if self.zero and not value:
            return self.zero
        days = f" ({value // DAY:,} days)" if self.unit == "s" and value > DAY and value % DAY == 0 else ""
        digits = f"{value:,}" if self.unit else str(value)
        return f"{digits} {self.unit if self.unit in MEASURES else ''}".rstrip() + days


@cache
def about(model: type[BaseModel]) -> Mapping[str, About]:
    """All fields of an input type, in order."""
    return {name: _about(name, info) for name, info in model.model_fields.items()}


def about_field(model: type[BaseModel], path: str) -> About | None:
    """A field, or a field of a row (`servers.0.address`). For an item of a list, the list (`hostnames.3`)."""
    name, _, rest = path.partition(".")
    field = about(model).get(name)
    part = rest.rpartition(".")[2]
    return field.rows.get(part, field) if field and part else field


def label(model: type[BaseModel] | None, path: str) -> str:
    """The field's label: `Body limit`, `Server 2 address`. A field that no model declares is returned as it is."""
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
    """With a lower-case first letter, except for names and acronyms."""
    first = words.split(" ", 1)[0]
    return words if any(map(str.isupper, first[1:])) else words[:1].lower() + words[1:]


def _about(name: str, info: FieldInfo) -> About:
    types = [
        kind
        for kind in (info.annotation, *get_args(info.annotation))
        if isinstance(kind, type) and kind is not NoneType
    ]
    row = next((kind for kind in types if issubclass(kind, BaseModel)), None)
    choices = next((tuple(kind) for kind in types if issubclass(kind, Choice)), ())
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
        zero=str(extra.get("x-zero", "")),
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
    if any(issubclass(kind, Choice) for kind in types):
        return "choice"
    if int in types:
        return "number"
    longest = max((getattr(constraint, "max_length", None) or 0 for constraint in info.metadata), default=0)
    return "text" if longest > LONGEST_LINE else "line"
