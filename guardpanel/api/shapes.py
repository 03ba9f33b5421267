"""The bodies and responses of a noun: its model's fields, with their titles and hints. A dialect (`api/react`) adds another
client's keys and names."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Annotated, Any, ClassVar, get_args, get_origin

from pydantic import BaseModel, Field, create_model
from pydantic.fields import FieldInfo

from guardpanel.api.paging import Paged
from guardpanel.api.saves import Body, DeploymentOut
from guardpanel.dependencies import SessionDep
from guardpanel.models.json_form import JsonForm
from guardpanel.models.noun import Noun


class Versioned(BaseModel):
    version: int = Field(description="Number of edits; also the ETag.")
    updated_at: datetime


class Row(Versioned):
    id: int
    created_at: datetime


class Dialect:
    """Another client's keys in addition to our fields. The base class has our fields only."""

    body: ClassVar[type[Body]] = Body
    "Its keys of a write."
    answer: ClassVar[type[BaseModel]] = Row
    "Its keys of a response."
    whole: ClassVar[type[BaseModel]] = BaseModel
    "Further keys of a response with a single row."
    bare: ClassVar[bool] = False
    "Its list is an array of all rows, without pages."
    renamed: ClassVar[Mapping[str, str]] = {}
    "Its names for our fields, which replace ours."

    def take(self, body: BaseModel, row: Any, now: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:  # noqa: ARG002
        """The new values of our fields, and the names that this body uses for them. `now`: the fields of `row`. Both are empty
        for a new row."""
        return {**now, **body.model_dump(exclude_unset=True)}, {}

    async def settle(self, session: SessionDep, row: Any, data: dict[str, Any]) -> None:
        """Complete the new values by what other rows say. `row`: as for `take`."""

    def out(self, row: Any) -> dict[str, Any]:  # noqa: ARG002
        """The keys of `answer` that are not our fields or differ from them."""
        return {}

    async def out_of_rows(self, session: SessionDep, rows: Sequence[Any]) -> list[dict[str, Any]]:  # noqa: ARG002
        """The keys of `answer` that other rows decide, of each row."""
        return [{} for _ in rows]

    async def out_whole(self, session: SessionDep, row: Any) -> dict[str, Any]:  # noqa: ARG002
        """The keys of `whole`."""
        return {}


class Shapes:
    """The bodies and responses of one noun."""

    def __init__(self, noun: Noun, dialect: Dialect, answer: type[BaseModel]) -> None:
        self.stem = noun.table.__name__
        renamed = set(dialect.renamed.values())
        fields = {name: info for name, info in noun.fields.model_fields.items() if name not in renamed}
        sent = {name: info for name, info in noun.input.model_fields.items() if name not in renamed}
        self.body = self._body(dialect.body, sent)
        self.out = self._with(answer, "Out", {name: (info.annotation, _words(info)) for name, info in fields.items()})
        self.read = self.out if dialect.whole is BaseModel else self._with((dialect.whole, self.out), "Read", {})
        self.saved = self._with(self.out, "Saved", {"deployment": (DeploymentOut, ...)})
        items: Any = list[self.out]  # type: ignore[name-defined]
        self.page = self._with(Paged, "Page", {"items": (items, ...)})
        self._own = tuple(name for name in self.out.model_fields if name in fields)
        self._of_row = tuple(name for name in Row.model_fields if name in answer.model_fields)
        self._read = attrgetter(*self._of_row)

    def own_of(self, values: Mapping[str, Any], row: Any) -> dict[str, Any]:
        """A response with our names. `values`: the row's fields."""
        own = {name: values[name] for name in self._own}
        return own | dict(zip(self._of_row, self._read(row), strict=True))

    def _body(self, base: type[Body], fields: Mapping[str, FieldInfo]) -> Any:
        """All keys of a write, unvalidated: the model validates the values."""
        may_be_named = {
            name: (_with_forms(_sent(info.annotation) | None, info), _words(info, default=None))
            for name, info in fields.items()
        }
        body = self._with(base, "In", may_be_named)
        body.NULLABLE = base.NULLABLE | _nullable(fields)
        return body

    def _with(self, base: Any, suffix: str, fields: dict[str, Any]) -> Any:
        """A model with the fields of the base, plus those of `fields` that the base lacks."""
        own = (
            {}
            if isinstance(base, tuple)
            else {name: field for name, field in fields.items() if name not in base.model_fields}
        )
        words = None if isinstance(base, tuple) else base.__doc__
        return create_model(self.stem + suffix, __base__=base, __doc__=words, **own)


def _nullable(fields: Mapping[str, FieldInfo]) -> frozenset[str]:
    return frozenset(name for name, info in fields.items() if type(None) in get_args(info.annotation))


def _words(info: FieldInfo, **default: Any) -> Any:
    return Field(title=info.title, description=info.description, **default)


def _sent(annotation: Any) -> Any:
    (row,) = get_args(annotation) if get_origin(annotation) is list else (None,)
    if not (isinstance(row, type) and issubclass(row, BaseModel)):
        return annotation
    fields = {name: (info.annotation, _words(info, **_default(info))) for name, info in row.model_fields.items()}
    item: Any = create_model(f"{row.__name__.removesuffix('Fields')}In", __base__=Body, **fields)  # type: ignore[call-overload]
    item.NULLABLE = _nullable(row.model_fields)
    return list[item]


def _with_forms(annotation: Any, info: FieldInfo) -> Any:
    """With the other forms that it may have."""
    for form in info.metadata:
        if isinstance(form, JsonForm):
            annotation = Annotated[annotation, form]
    return annotation


def _default(info: FieldInfo) -> dict[str, Any]:
    if info.is_required():
        return {}
    return {"default_factory": info.default_factory} if info.default_factory else {"default": info.default}
