"""The configuration written as YAML: each row by name, with what differs from the defaults, which comments name. No secrets, no
ids, no dates: equal configurations give equal bytes."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.models import NOUNS
from guardpanel.models.meta import About, about
from guardpanel.models.noun import KEPT, Noun
from guardpanel.readable_yaml import written
from guardpanel.services.site_file.keys import (
    DEFAULTS,
    FORMAT,
    FORMAT_KEY,
    Values,
    defaults,
    key_of,
    labels,
    part_models,
    sections,
)
from guardpanel.services.site_file.rows import FileRow, stored

HEAD = f"""\
# Configuration of guardpanel, by name. A key that is left out has its default, which the comments name.
# Secrets are not in it. “{KEPT}” says where there is one.
#
#   guardpanel plan FILE     what would change
#   guardpanel apply FILE    make it live, as one change
"""


async def export(session: AsyncSession) -> str:
    by_noun = {noun.key: await stored(session, noun) for noun in NOUNS.values()}
    return await asyncio.to_thread(text_of, by_noun)


def text_of(by_noun: Mapping[str, list[FileRow]]) -> str:
    return "\n".join([HEAD, *_Writing(by_noun).parts()])


class _Writing:
    def __init__(self, by_noun: Mapping[str, list[FileRow]]) -> None:
        self._labels = {key: labels((row.id, row.name) for row in rows) for key, rows in by_noun.items()}
        self._rows: dict[tuple[str, int | None], list[FileRow]] = defaultdict(list)
        for key, rows in by_noun.items():
            for row in rows:
                self._rows[key, row.parent_id].append(row)

    def parts(self) -> Iterator[str]:
        yield written({FORMAT_KEY: FORMAT})
        for section, noun in sections().items():
            items = [self._item(noun, row) for row in self._rows[noun.key, None]]
            text = written({section: items[0] if noun.only_name else items}, ascii_only=False)
            yield "\n".join(_comments(noun)) + f"\n{text}"

    def _item(self, noun: Noun, row: FileRow) -> Values:
        item = {
            key_of(noun, field): self._value(noun, field, value)
            for field, value in sorted(row.values.items(), key=lambda each: _rank(noun, each[0]))
            if value != DEFAULTS[noun.key].get(field, ...)
        }
        for section, child in sections(noun.key).items():
            if rows := self._rows[child.key, row.id]:
                item[section] = [self._item(child, each) for each in rows]
        return item

    def _value(self, noun: Noun, field: str, value: Any) -> Any:
        if field in noun.references:
            called = self._labels[noun.references[field]]
            return [called[each] for each in value] if isinstance(value, list) else called[value]
        model = part_models(noun).get(field)
        return [without_defaults(model, each) for each in value] if model else value


def _rank(noun: Noun, field: str) -> tuple[bool, bool]:
    """The name first, then what each row has."""
    return field != "name", field in DEFAULTS[noun.key]


def without_defaults(model: type[BaseModel], item: Values) -> Values:
    known = defaults(model)
    return {name: value for name, value in item.items() if value != known.get(name, ...)}


def _comments(noun: Noun) -> Iterator[str]:
    """What the section is, and the defaults of its keys, with those of what it contains."""
    yield f"# {noun.what}"
    yield from _keys(noun, 1)


def _keys(noun: Noun, depth: int) -> Iterator[str]:
    yield from _defaults(
        {key_of(noun, name): field for name, field in about(noun.fields).items()}, _by_key(noun), depth
    )
    for name, model in part_models(noun).items():
        yield f"#{'  ' * depth} {name}:"
        yield from _defaults(about(model), defaults(model), depth + 1)
    for key, child in sections(noun.key).items():
        yield f"#{'  ' * depth} {key}:  # {child.what}"
        yield from _keys(child, depth + 1)


def _by_key(noun: Noun) -> Values:
    return {key_of(noun, name): value for name, value in DEFAULTS[noun.key].items()}


def _defaults(fields: Mapping[str, About], values: Values, depth: int) -> Iterator[str]:
    for key, field in fields.items():
        if key not in values or field.kind == "rows":
            continue
        words = ", ".join(choice.value for choice in field.choices) or field.unit
        line = f"{key}: {_flow(values[key])}"
        yield f"#{'  ' * depth} {line:<34} # {field.title}{f' ({words})' if words else ''}"


def _flow(value: Any) -> str:
    return written([value], ascii_only=False, flow=True).strip()[1:-1]
