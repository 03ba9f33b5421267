"""What every write has in common: the row version it refers to, the names of its fields, and its deployment."""

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from fastapi import Depends, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, ValidationInfo, field_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from guardpanel.dependencies import Editor, Viewer, client_address, token_of
from guardpanel.errors import Invalid, NeedsConfirmation, PreconditionRequired, Problem, Stale
from guardpanel.field_codes import FieldCode
from guardpanel.models.refusing import refuse
from guardpanel.models.whole_numbers import kind_of
from guardpanel.services.saving.changes import SaveRequest, SaveResult

T = TypeVar("T")

TRIES = 5

NEVER = 0
"A version that no row has: an If-Match with a value that we never sent."


def without_null(schema: dict[str, Any]) -> None:
    """Change the schema of something that may be left out, but is not null."""
    if schema.get("default", ...) is None:
        del schema["default"]
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) == 1:
        del schema["anyOf"]
        schema.update({**kinds[0], **schema})
    elif kinds:
        schema["anyOf"] = kinds


class Body(BaseModel):
    """The body of a write. Every key is applied or rejected, never ignored: so are unknown keys, and null without a meaning."""

    model_config = ConfigDict(extra="forbid")

    NULLABLE: ClassVar[frozenset[str]] = frozenset()
    "Keys for which null has a meaning."

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Null only where it has a meaning: that no key was sent is no value."""
        document = handler(schema)
        for name, part in handler.resolve_ref_schema(document).get("properties", {}).items():
            if name not in cls.NULLABLE:
                without_null(part)
        return document

    @field_validator("*", mode="before")
    @classmethod
    def null_means_something(cls, value: object, info: ValidationInfo) -> object:
        if value is None and info.field_name not in cls.NULLABLE:
            raise refuse("Enter a value, or omit this.", FieldCode.REQUIRED)
        return value

    @field_validator("*", mode="before")
    @classmethod
    def of_its_kind(cls, value: object, info: ValidationInfo) -> object:
        """JSON distinguishes numbers, strings and booleans. None is converted to another."""
        kind = kind_of(cls, info)
        if kind is int and isinstance(value, bool | str):
            raise refuse("Enter a whole number, without quotes.", FieldCode.WRONG_TYPE)
        if kind is bool and not isinstance(value, bool | None):
            raise refuse("Enter true or false, without quotes.", FieldCode.WRONG_TYPE)
        return value


class StepOut(BaseModel):
    name: str
    seconds: float


class DeploymentOut(BaseModel):
    """How the save went live."""

    status: Literal["live", "unchanged"] = Field(description="`unchanged`: the engines' configuration did not change.")
    revision: int = Field(description="The live revision.")
    seconds: float
    message: str
    steps: list[StepOut]

    @classmethod
    def of(cls, saved: SaveResult[Any]) -> "DeploymentOut":
        return cls(
            status="live" if saved.is_new else "unchanged",
            revision=saved.revision,
            seconds=saved.seconds,
            message=saved.sentence,
            steps=[StepOut(name=step.name, seconds=step.seconds) for step in saved.steps],
        )


async def named_version(
    request: Request,
    _user: Viewer,
    if_match: Annotated[
        str | None,
        Header(
            description="The ETag that was read. If the row has changed, the response is 412. Without it, PATCH merges the given "
            "keys into the current row, and DELETE deletes the current row."
        ),
    ] = None,
) -> int | None:
    """The row version of `If-Match: "7"`; None without the header or for `*`. Invalid for several: one was read."""
    if if_match is None or if_match.strip() == "*":
        if (token := token_of(request)) and token.requires_if_match:
            raise PreconditionRequired("This API token must send If-Match with the ETag that was read.")
        return None
    if re.fullmatch(r'(?:W/)?"[^"]*"(?:\s*,\s*(?:W/)?"[^"]*")+', if_match.strip()):
        raise Invalid.at("if-match", "Send one ETag: the one that was read.", part="header")
    match = re.fullmatch(r'(?:W/)?"([0-9]{1,9})"', if_match.strip())
    return int(match[1]) if match else NEVER


NamedVersion = Annotated[int | None, Depends(named_version)]


async def save_request(
    request: Request,
    user: Editor,
    overwrite_drift: Annotated[
        bool,
        Query(description="Save even if the configuration was changed outside guardpanel. Overwrites that change."),
    ] = False,
) -> SaveRequest:
    number = request.scope["state"].get("idempotent")
    return SaveRequest(user.email, over_drift=overwrite_drift, client=client_address(request), idempotent=number)


SaveRequestDep = Annotated[SaveRequest, Depends(save_request)]
"The editor, and the options of the save."


def tag(response: Response, version: int) -> None:
    response.headers["etag"] = f'"{version}"'


async def merging(attempt: Callable[[], Awaitable[SaveResult[T]]], version: int | None) -> SaveResult[T]:
    """Save what was merged into a row as it was read. Without a version, it is merged again if someone else saved first, so that
    two writes of different keys both survive."""
    for _ in range(TRIES if version is None else 1):
        try:
            return await attempt()
        except Stale as stale:
            conflict = stale
    raise conflict


@contextmanager
def speaking(names: Mapping[str, str], form: str = "") -> Iterator[None]:
    """Errors of our fields, under the names that were sent: the longest prefix applies. `form`: where people can confirm
    what a client can't."""
    try:
        yield
    except Problem as problem:
        problem.errors = {_renamed(name, names): error for name, error in problem.errors.items()}
        if form and isinstance(problem, NeedsConfirmation):
            problem.form = form
        raise


def _renamed(name: str, names: Mapping[str, str]) -> str:
    for ours in sorted(names, key=len, reverse=True):
        if name == ours or name.startswith(f"{ours}."):
            return names[ours] + name.removeprefix(ours)
    return name
