"""A noun's row as its fields: the initial values of a form, a JSON response, and the base of a PATCH."""

from collections.abc import Sequence
from operator import attrgetter, itemgetter
from typing import Any, Generic, TypeVar, get_args

from pydantic import BaseModel

from guardpanel.models.noun import Noun, Part
from guardpanel.rendering import Rows
from guardpanel.services.input import as_kept

F = TypeVar("F", bound=BaseModel)


class RowFields(Generic[F]):
    """Lists show hundreds of rows: a model's metadata is computed once, here."""

    def __init__(self, noun: Noun, model: type[F]) -> None:
        self.noun = noun
        self.model = model
        self._parts = tuple((part.field, part, _Items(noun, part)) for part in noun.parts)
        lists = {part.field for part in noun.parts}
        self._plain = tuple(name for name in model.model_fields if name not in lists)
        self._loaded, self._read = itemgetter(*self._plain), attrgetter(*self._plain)

    def values(self, row: Any) -> dict[str, Any]:
        try:  # Past SQLAlchemy's attributes, which take 20 times as long: what is loaded is there.
            read = self._loaded(row.__dict__)
        except KeyError:
            read = self._read(row)
        values = dict(zip(self._plain, read, strict=True))
        for name, _, items in self._parts:
            values[name] = items.of(getattr(row, name))
        return values

    def of(self, row: Any) -> F:
        return self.model.model_construct(None, **self.values(row))

    def kept(self, rows: Rows, row_id: int) -> F | None:
        """The fields in a stored state. None if the row did not exist, or if this version would reject it."""
        row = next((row for row in rows[self.noun.table_name] if row["id"] == row_id), None)
        if row is None:
            return None
        lists = {name: _kept_items(part, rows, row_id) for name, part, _ in self._parts if part.table}
        return as_kept(self.model, {**row, **lists})


class _Items:
    """A row's list as the fields have it."""

    def __init__(self, noun: Noun, part: Part) -> None:
        self.part = part
        if not part.value:
            (self._model,) = get_args(noun.fields.model_fields[part.field].annotation)
            self._names = tuple(self._model.model_fields)

    def of(self, items: Sequence[Any]) -> list[Any]:
        if self.part.value:
            return [getattr(item, self.part.value) for item in items]
        if self.part.table is None:
            return [self._model.model_validate(item) for item in items]
        return [
            self._model.model_construct(None, **{name: getattr(item, name) for name in self._names}) for item in items
        ]


def _kept_items(part: Part, rows: Rows, owner_id: int) -> list[Any]:
    own = (row for row in rows[part.table_name] if row[part.owner] == owner_id)
    return [part.item(row) for row in sorted(own, key=lambda row: row["position"])]
