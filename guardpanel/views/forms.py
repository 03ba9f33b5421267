"""Forms: typed text survives every outcome unchanged."""

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Self, TypeVar, get_origin

from fastapi import Request
from pydantic import BaseModel
from starlette.datastructures import QueryParams

from guardpanel.dependencies import client_address
from guardpanel.errors import FieldErrors, Problem, Stale
from guardpanel.models import User
from guardpanel.models.meta import About, about_field
from guardpanel.services.saving.changes import SaveRequest
from guardpanel.views.choices import validated_form
from guardpanel.views.form_keys import counter, digest
from guardpanel.views.form_rows import ROW, is_left_out, new_row, renumbered, row_model, rows_of, texts

M = TypeVar("M", bound=BaseModel)

MOST_FIELDS = 3000


@dataclass(frozen=True)
class ShownError:
    """An error as the field macros draw it."""

    message: str
    engine: str | None
    engine_where: str | None


class Form:
    """Typed values by field name, and their errors. Repeated rows are `servers.0.address`, without gaps."""

    def __init__(
        self,
        typed: Mapping[str, Sequence[str]],
        errors: FieldErrors | None = None,
        model: type[BaseModel] | None = None,
    ) -> None:
        self.model = model
        "The input type, which declares the labels."
        self.typed = {name: list(values) for name, values in typed.items()}
        self.errors: FieldErrors = errors or {}
        self.key = uuid.uuid4().hex
        "New at each rendering: a repeated key is the same save."
        self.content = ""
        "A digest of the URL and everything sent except the key."
        self.client = ""
        "The address that sent it."
        self.is_begun = False
        "Contains a value that the operator did not type and that is not saved yet."
        self.to_choose: frozenset[str] = frozenset()
        "Fields with another value above the form to choose from."

    @classmethod
    def of(cls, fields: BaseModel | None, model: type[BaseModel] | None = None) -> "Form":
        """A form with these fields' values, for them or for a `model` with more fields."""
        typed: dict[str, list[str]] = {}
        for name, value in fields.model_dump().items() if fields else ():
            if isinstance(value, list) and value and isinstance(value[0], dict):
                for at, row in enumerate(value):
                    typed.update({f"{name}.{at}.{key}": texts(value) for key, value in row.items()})
            else:
                typed[name] = texts(value)
        return cls(typed, model=model or (type(fields) if fields else None))

    def filled_in(self, query: QueryParams) -> Self:
        """With the values that the URL has for its fields: links from events fill a new form in."""
        self.typed |= {name: query.getlist(name) for name in (self.model or BaseModel).model_fields if name in query}
        return self

    @classmethod
    async def read(cls, request: Request, model: type[BaseModel] | None = None) -> Self:
        """Read what the browser sent: rows in order, without empty ones."""
        sent = await request.form(max_files=0, max_fields=MOST_FIELDS)
        typed: dict[str, list[str]] = {}
        for name, value in sent.multi_items():
            if isinstance(value, str):
                typed.setdefault(name, []).append(value)
        form = cls(renumbered(typed, model), model=model)
        form.content = digest(request.scope["path"], {**typed, "save_key": []})
        form.client = client_address(request)
        return form

    def about(self, name: str) -> About:
        """The metadata of a field, or of a row's field (`servers.0.weight`)."""
        field = about_field(self.model, name) if self.model else None
        if field is None:
            raise LookupError(f"{name} is not a field of {self.model}")
        return field

    def value(self, name: str) -> str:
        """The typed text. Multiple values are joined as lines. Empty if the field was missing."""
        return "\n".join(self.typed.get(name, []))

    def checked(self, name: str, value: str = "on") -> bool:
        values = self.typed.get(name, [])
        return value in values or (value == "on" and values not in ([], [""]))

    def error(self, name: str) -> ShownError | None:
        """Its error, or that of its first item: a textarea of hostnames shows the error of one of them."""
        own = self.errors.get(name) or next(
            (error for key, error in self.errors.items() if re.fullmatch(re.escape(name) + r"\.\d+", key)), None
        )
        return ShownError(own.message, own.engine, own.where) if own else None

    def has_error(self, *names: str) -> bool:
        return any(key == name or key.startswith(f"{name}.") for key in self.errors for name in names)

    def rows(self, name: str) -> list[int]:
        """The indexes of a repeated row."""
        return sorted({int(match[2]) for key in self.typed if (match := ROW.fullmatch(key)) and match[1] == name})

    def row_error(self, name: str, at: int) -> ShownError | None:
        """The first error of a row, shown below it."""
        error = next((error for key, error in self.errors.items() if key.startswith(f"{name}.{at}.")), None)
        return ShownError(error.message, error.engine, error.where) if error else None

    @property
    def version(self) -> int | None:
        """The version that the form was opened with. None if missing, 0 (no row's version) if not a number."""
        return counter(self.value("version")) if "version" in self.typed else None

    @property
    def opened(self) -> int | None:
        """The version that the typed values started from, regardless of later choices."""
        return counter(self.value("opened")) if "opened" in self.typed else self.version

    @property
    def save_key(self) -> str:
        """The key that came with the form."""
        text = self.value("save_key")
        return text if re.fullmatch(r"[0-9a-f-]{16,64}", text) else ""

    def save_request(self, editor: User) -> SaveRequest:
        """Who saves this form, and the options of the save."""
        return SaveRequest(
            editor.email,
            self.save_key,
            self.content,
            over_drift=self.checked("over_drift"),
            client=self.client,
            confirmed=self.checked("save_anyway"),
        )

    def fields(self, model: type[M]) -> M:
        """The validated input type. Raises Invalid with a message for each field."""
        return validated_form(model, self.data(model))

    def data(self, model: type[BaseModel]) -> dict[str, Any]:
        """What was typed, as the input type takes it."""
        data: dict[str, Any] = {}
        for name, info in model.model_fields.items():
            row = row_model(info.annotation)
            if row is not None:
                rows = (at for at in self.rows(name) if not is_left_out(self.typed, name, at, model))
                data[name] = [self._row(row, name, at) for at in rows]
            elif info.annotation is bool:
                data[name] = self.checked(name)
            elif name in self.typed:
                values = self.typed[name]
                data[name] = values[0] if len(values) == 1 else values
            elif get_origin(info.annotation) is list and info.default_factory is None:
                data[name] = []
        return data

    def _row(self, model: type[BaseModel], name: str, at: int) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key, info in model.model_fields.items():
            full = f"{name}.{at}.{key}"
            if info.annotation is bool:
                data[key] = self.checked(full)
            elif full in self.typed:
                data[key] = self.value(full)
        return data

    def change_rows(self) -> bool:
        """Press an “add” or “remove” button without JavaScript. False if none was pressed."""
        if (name := self.value("add_row")) and rows_of(self.model, name):
            self.typed = self.with_new_row(name, len(self.rows(name))).typed
            return True
        if match := re.fullmatch(r"([a-z_]+)-(\d+)", self.value("remove_row")):
            gone = f"{match[1]}.{match[2]}."
            typed = {key: value for key, value in self.typed.items() if not key.startswith(gone)}
            self.typed = renumbered(typed, self.model)
            return True
        return False

    def with_new_row(self, name: str, at: int | str) -> Self:
        """A copy with one more row, of default values: as it is added, with and without JavaScript."""
        form = copy(self)
        added = new_row(rows_of(self.model, name))
        form.typed = self.typed | {f"{name}.{at}.{key}": values for key, values in added.items()}
        return form

    def chosen(self, name: str) -> str:
        """`theirs`, `mine` or empty: the choice for a field that someone else also changed."""
        choice = self.value(f"take.{name}")
        return "mine" if choice == "theirs" and self._typed_after(name) else choice

    @property
    def is_undecided(self) -> bool:
        """Whether a field was edited after the other value was chosen."""
        return any(
            self._typed_after(name) for name in self._fields_to_choose() if self.value(f"take.{name}") == "theirs"
        )

    def settled(self, theirs: "Form") -> "Form":
        """The form as it would be saved: with the values of `theirs` where those were chosen."""
        if self.is_undecided:
            raise Stale("You edited a field after choosing the other value. Choose again.")
        return self.with_fields_of(theirs, [name for name in self._fields_to_choose() if self.chosen(name) == "theirs"])

    def _fields_to_choose(self) -> list[str]:
        return [name.removeprefix("take.") for name in self.typed if name.startswith("take.")]

    def with_fields_of(self, other: "Form", names: Iterable[str]) -> "Form":
        """A copy with some fields of another form. A field may be a list of rows."""
        gone, fresh = self._under(names), other._under(names)
        kept = {name: values for name, values in self.typed.items() if name not in gone}
        return Form({**kept, **fresh}, model=self.model)

    def mark(self, name: str) -> str:
        """A digest of the field's value when the choice was offered. If it is edited later, the choice is offered again."""
        return digest(name, {key: [self.value(key)] for key in self._under([name])})[:16]

    def _typed_after(self, name: str) -> bool:
        return f"mark.{name}" in self.typed and self.value(f"mark.{name}") != self.mark(name)

    def _under(self, names: Iterable[str]) -> dict[str, list[str]]:
        chosen = set(names)
        rows = {key: match[1] for key in self.typed if (match := ROW.fullmatch(key))}
        return {key: values for key, values in self.typed.items() if rows.get(key, key) in chosen}

    def without_empty_rows(self) -> "Form":
        """As it is read on submit: an added row counts once it has a value."""
        return Form(renumbered(self.typed, self.model), model=self.model)

    def refused(self, problem: Problem) -> "Form":
        self.errors = problem.errors
        return self
