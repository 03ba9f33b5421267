"""What a file calls things: sections, keys, and rows that others refer to. Written once for all nouns."""

from collections import Counter
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import PydanticUndefined, to_jsonable_python

from guardpanel.models import NOUNS
from guardpanel.models.noun import Noun
from guardpanel.services.crud import Crud

FORMAT_KEY, FORMAT = "format", 1

Values = dict[str, Any]
"Of a row, by field, as JSON has them."


def operations(noun: Noun) -> Crud[Any, Any]:
    """The noun's service."""
    rows: Crud[Any, Any] = import_module(f"guardpanel.services.{noun.module}").ROWS
    return rows


def sections(parent: str = "") -> dict[str, Noun]:
    """The nouns at the top of a file, or within a row of this one, by key."""
    return {noun.module: noun for noun in NOUNS.values() if noun.parent == parent}


def key_of(noun: Noun, field: str) -> str:
    """`policy` for a column with a policy's id, and its plural for a list of ids. Others are called as they are."""
    if field not in noun.references:
        return field
    return f"{field.removesuffix('_ids')}s" if field.endswith("_ids") else field.removesuffix("_id")


def keys(noun: Noun) -> dict[str, str]:
    """The field of each key."""
    return {key_of(noun, field): field for field in (*noun.fields.model_fields, *noun.apart)}


def defaults(model: type[BaseModel]) -> Values:
    """Of the fields that may be left out."""
    values = {
        name: info.get_default(call_default_factory=True, validated_data={})
        for name, info in model.model_fields.items()
    }
    known = {name: value for name, value in values.items() if value is not PydanticUndefined}
    return dict(to_jsonable_python(known))


DEFAULTS = {noun.key: defaults(noun.fields) for noun in NOUNS.values()}


def part_models(noun: Noun) -> dict[str, type[BaseModel]]:
    """The model of a list's items, for lists whose items have fields."""
    return {
        part.field: get_args(noun.fields.model_fields[part.field].annotation)[0]
        for part in noun.parts
        if not part.value
    }


def labels(names: Iterable[tuple[int, str]]) -> Mapping[int, str]:
    """What a file calls rows, by id: their names. Rows of the same name are counted: `Shop #1`."""
    rows = list(names)
    times = Counter(name for _, name in rows)
    used = {name for name, count in times.items() if count == 1}
    called: dict[int, str] = {}
    for row_id, name in rows:
        number = 1
        while times[name] > 1 and (label := f"{name} #{number}") in used:
            number += 1
        called[row_id] = label if times[name] > 1 else name
        used.add(called[row_id])
    return called
