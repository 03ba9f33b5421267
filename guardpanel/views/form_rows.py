"""Repeated rows of a form: `servers.0.address` is a field of the first row."""

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import get_args, get_origin

from pydantic import BaseModel

from guardpanel.models.meta import about

ROW = re.compile(r"([a-z_]+)\.(\d{1,4})\.([a-z_]+)")

Row = Mapping[str, Sequence[str]]


def row_model(annotation: object) -> type[BaseModel] | None:
    arguments = get_args(annotation)
    if (
        get_origin(annotation) is list
        and arguments
        and isinstance(arguments[0], type)
        and issubclass(arguments[0], BaseModel)
    ):
        return arguments[0]
    return None


def rows_of(model: type[BaseModel] | None, name: str) -> type[BaseModel] | None:
    """The model of a field's rows. None if it has none, or if there is no such field."""
    field = model.model_fields.get(name) if model else None
    return row_model(field.annotation) if field else None


def texts(value: object) -> list[str]:
    """A value as a form sends it."""
    if isinstance(value, list):
        return [str(item) for item in value]
    if isinstance(value, bool):
        return ["on"] if value else []
    if isinstance(value, Enum):
        return [str(value.value)]
    return [""] if value is None else [str(value)]


def new_row(model: type[BaseModel] | None) -> dict[str, list[str]]:
    """What an added row starts with: its fields' defaults, and nothing in what must be typed."""
    fields = model.model_fields if model else {}
    return {key: [""] if info.is_required() else texts(info.default) for key, info in fields.items()}


def renumbered(typed: Row, model: type[BaseModel] | None = None) -> dict[str, list[str]]:
    """Number rows from 0 without gaps, in the order of the page. Drops rows in which nothing was typed, but keeps the last one.
    `model` tells what has a value even then."""
    rows: dict[str, dict[int, dict[str, list[str]]]] = {}
    for name, values in typed.items():
        if match := ROW.fullmatch(name):
            rows.setdefault(match[1], {}).setdefault(int(match[2]), {})[match[3]] = list(values)
    numbered: dict[str, list[str]] = {}
    for name, values in typed.items():
        if not (match := ROW.fullmatch(name)):
            numbered[name] = list(values)
        elif match[1] in rows:
            numbered |= _without_gaps(match[1], rows.pop(match[1]), _untyped(match[1], model))
    return numbered


def is_left_out(typed: Row, name: str, at: int, model: type[BaseModel]) -> bool:
    """Whether nothing was typed in a row of a list that may be empty."""
    start, untyped = f"{name}.{at}.", _untyped(name, model)
    row = {key.removeprefix(start): values for key, values in typed.items() if key.startswith(start)}
    return not model.model_fields[name].is_required() and not _is_typed(row, untyped)


Untyped = Mapping[str, str | None]
"Fields of a row that have a value even if the operator typed none, with that value. None: whichever it is."


def _untyped(name: str, model: type[BaseModel] | None) -> Untyped:
    """Ticks, choices, and what starts with a value."""
    row = rows_of(model, name)
    fields = about(row).values() if row else ()
    starts: Untyped = {key: values[0] for key, values in new_row(row).items() if any(values)}
    return {**starts, **{field.name: None for field in fields if field.kind in {"flag", "choice"}}}


def _without_gaps(name: str, by_index: Mapping[int, Row], untyped: Untyped) -> dict[str, list[str]]:
    rows = [row for _, row in sorted(by_index.items())]
    kept = [row for row in rows if _is_typed(row, untyped)] or rows[:1]
    return {f"{name}.{at}.{key}": [*values] for at, row in enumerate(kept) for key, values in row.items()}


def _is_typed(row: Row, untyped: Untyped) -> bool:
    typed = {key: "".join(values).strip() for key, values in row.items()}
    return any(text and text != untyped.get(key, "") for key, text in typed.items() if untyped.get(key, "") is not None)
