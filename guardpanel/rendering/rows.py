"""The rows from which a state is built."""

from collections.abc import Callable, Container, Mapping, Sequence
from enum import Enum
from operator import itemgetter
from typing import Any, Generic, TypeVar, get_args, get_origin

from pydantic import BaseModel

Row = Mapping[str, Any]
Rows = Mapping[str, Sequence[Row]]
"By table: `virtualhost`, `hostname`, `server`, `policy`, `traffic`."


OURS = frozenset({"name", "notes", "managed_by_file"})
"Fields of nouns that the engines get nothing of: a save that changes only these renders nothing again."


class ColumnReader:
    """Reads a model's fields from a row: flags are stored as 0 and 1, choices as text. Lists become tuples."""

    def __init__(self, model: type[BaseModel], *, without: Container[str] = ()) -> None:
        read = {name: info for name, info in model.model_fields.items() if name not in without}
        self.names = tuple(read)
        self._read = itemgetter(*self.names)
        converters = enumerate(_converter(info.annotation) for info in read.values())
        self._converters = [(place, convert) for place, convert in converters if convert]

    def values(self, row: Row) -> list[Any]:
        """Values in the order of the names. There may be thousands of rows."""
        values = [*self._read(row)]
        for place, convert in self._converters:
            values[place] = convert(values[place])
        return values

    def by_name(self, row: Row) -> dict[str, Any]:
        return dict(zip(self.names, self.values(row), strict=True))


S = TypeVar("S")


class ReadRows(Generic[S]):
    """What was read from a table's rows last. Rows are never changed: the same object is not read again. Threads share it."""

    def __init__(self, read: Callable[[Row], S]) -> None:
        self._read = read
        self._known: Mapping[int, tuple[Row, S]] = {}

    def of(self, rows: Sequence[Row]) -> dict[int, S]:
        """By id, in this order."""
        known, before = {}, self._known
        for row in sorted(rows, key=itemgetter("id")):
            was = before.get(row["id"])
            known[row["id"]] = was if was and was[0] is row else (row, self._read_after(row, was))
        self._known = known
        return {number: read for number, (_, read) in known.items()}

    def _read_after(self, row: Row, was: tuple[Row, S] | None) -> S:
        """What is equal remains the same object."""
        read = self._read(row)
        return was[1] if was and was[1] == read else read


def _converter(annotation: Any) -> Callable[[Any], Any] | None:
    if get_origin(annotation) is list:
        return tuple
    kinds = [kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type)]
    if bool in kinds:
        return bool
    choices = next((kind for kind in kinds if issubclass(kind, Enum)), None)
    if choices is None:
        return None
    by_value: dict[Any, Any] = {choice.value: choice for choice in choices}
    return (by_value | {None: None} if type(None) in kinds else by_value).__getitem__
