"""The rows that a file refers to, by what it calls them."""

from collections import Counter
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.errors import FieldError, Invalid
from guardpanel.field_codes import FieldCode
from guardpanel.models import NOUNS
from guardpanel.models.noun import Noun
from guardpanel.services.site_file.entries import Document
from guardpanel.services.site_file.keys import labels
from guardpanel.services.site_file.rows import stored

MOST_COMPARED = 20


class References:
    """Read anew once a noun's rows have changed."""

    def __init__(self, session: AsyncSession, document: Document) -> None:
        self._session, self._document = session, document
        self._ids: dict[str, Mapping[str, int]] = {}
        self._missing: dict[str, tuple[str, str]] = {}
        "Noun and name, by the words that no row has this name."
        self._completed: dict[str, str] = {}

    def forget(self, noun: Noun) -> None:
        self._ids.pop(noun.key, None)

    async def resolve(self, noun: Noun, raw: Mapping[str, Any]) -> dict[str, Any]:
        """With ids. Raises Invalid (422) at each field that names no row."""
        data, errors = dict(raw), {}
        for name in (name for name in noun.references if name in raw):
            ids = await self._ids_of(noun.references[name])
            try:
                data[name] = _resolved(NOUNS[noun.references[name]], ids, raw[name], are_many=name.endswith("_ids"))
            except _NoRowError as error:
                errors[name] = error.error
                if error.name:
                    self._missing[error.error.message] = noun.references[name], error.name
        if errors:
            raise Invalid.of(errors)
        return data

    def completed(self, words: str) -> str:
        """With the name that could be meant. For the first few alone, since each takes as long as there are names."""
        if words in self._missing and words not in self._completed and len(self._completed) < MOST_COMPARED:
            key, name = self._missing[words]
            similar = get_close_matches(name, self._ids.get(key, ()), 1)
            self._completed[words] = f"{words} Did you mean {similar[0]}?" if similar else words
        return self._completed.get(words, words)

    async def _ids_of(self, key: str) -> Mapping[str, int]:
        if key not in self._ids:
            rows = [(row.id, row.name) for row in await stored(self._session, NOUNS[key])]
            in_order = self._as_in_file(key, rows)
            self._ids[key] = {label: row_id for row_id, label in labels(in_order).items() if row_id > 0}
        return self._ids[key]

    def _as_in_file(self, key: str, rows: list[tuple[int, str]]) -> list[tuple[int, str]]:
        """Of several with the same name, those of the file come first, in its order: `Shop #1` is its first, whichever was added
        first here. Ids of rows that are to be added are negative."""
        entries = self._document.entries[key]
        times = Counter(entry.name for entry in entries)
        own = {entry.row_id or -number: entry.name for number, entry in enumerate(entries, 1) if times[entry.name] > 1}
        return [*own.items(), *(row for row in rows if row[0] not in own)]


class _NoRowError(Exception):
    """What a file calls a row names none. `name`: one that is only not there."""

    def __init__(self, message: str, code: FieldCode, name: str = "") -> None:
        super().__init__(message)
        self.error, self.name = FieldError(message, code=code), name


def _resolved(noun: Noun, ids: Mapping[str, int], value: Any, *, are_many: bool) -> Any:
    """Its id, or the ids of a list. None, as in JSON: no row, or what the field rejects."""
    if are_many and isinstance(value, list):
        return [_id(noun, ids, each) for each in value]
    if value is None or (value == "" and not are_many):
        return None
    if are_many:
        raise _NoRowError("Enter a list of names, such as [Shop].", FieldCode.WRONG_TYPE)
    return _id(noun, ids, value)


def _id(noun: Noun, ids: Mapping[str, int], name: Any) -> int:
    if not isinstance(name, str) or not name:
        raise _NoRowError(f"Enter the name of {noun.with_article}.", FieldCode.WRONG_TYPE)
    if name in ids:
        return ids[name]
    same = [label for label in ids if label.lower() == name.lower()]
    if len(same) == 1:
        return ids[same[0]]
    if several := [label for label in ids if label.startswith(f"{name} #")]:
        raise _NoRowError(f"Several are named {name}. Write {' or '.join(several)}.", FieldCode.INVALID)
    raise _NoRowError(f"{noun.word} {name[:100]} not found.", FieldCode.NOT_FOUND, name)
