"""What every write has in common: the row version that it names, the names of its fields, and its deployment."""

import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from fastapi import Depends, Header, Query, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from guardpanel.dependencies import Editor
from guardpanel.errors import FieldError, Invalid, Problem, Stale
from guardpanel.models.types import kind_of, refuse
from guardpanel.services.saving.changes import Asked, Saved

T = TypeVar("T")

TRIES = 5

NEVER = 0
"The version of no row: what an If-Match means that was never given out."


class Body(BaseModel):
    """What a write may name. Each key is acted on or refused, never ignored: a key that is not known, and null where it
    means nothing."""

    model_config = ConfigDict(extra="forbid")

    NULLABLE: ClassVar[frozenset[str]] = frozenset()
    "Keys for which null says something."

    @field_validator("*", mode="before")
    @classmethod
    def null_means_something(cls, value: object, info: ValidationInfo) -> object:
        if value is None and info.field_name not in cls.NULLABLE:
            raise refuse("Enter a value, or omit this.")
        return value

    @field_validator("*", mode="before")
    @classmethod
    def of_its_kind(cls, value: object, info: ValidationInfo) -> object:
        """JSON tells numbers, texts and truth apart: none is taken for another."""
        kind = kind_of(cls, info)
        if kind is int and isinstance(value, bool | str):
            raise refuse("Enter a whole number, without quotes.")
        if kind is bool and not isinstance(value, bool | None):
            raise refuse("Enter true or false, without quotes.")
        return value


class StepOut(BaseModel):
    name: str
    seconds: float


class DeploymentOut(BaseModel):
    """How the save became live."""

    status: Literal["live", "unchanged"] = Field(description="`unchanged`: the engines' configuration did not change.")
    revision: int = Field(description="The live revision.")
    seconds: float
    message: str
    steps: list[StepOut]

    @classmethod
    def of(cls, saved: Saved[Any]) -> "DeploymentOut":
        return cls(
            status="live" if saved.is_new else "unchanged",
            revision=saved.revision,
            seconds=saved.seconds,
            message=saved.sentence,
            steps=[StepOut(name=step.name, seconds=step.seconds) for step in saved.steps],
        )


def named_version(
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
        return None
    if re.fullmatch(r'(?:W/)?"[^"]*"(?:\s*,\s*(?:W/)?"[^"]*")+', if_match.strip()):
        raise Invalid.at("if-match", "Send one ETag: the one that was read.")
    match = re.fullmatch(r'(?:W/)?"([0-9]{1,9})"', if_match.strip())
    return int(match[1]) if match else NEVER


NamedVersion = Annotated[int | None, Depends(named_version)]


def asked(
    user: Editor,
    overwrite_drift: Annotated[
        bool,
        Query(description="Save even if the configuration was changed outside guardpanel. Overwrites that change."),
    ] = False,
) -> Asked:
    return Asked(user.email, over_drift=overwrite_drift)


AskedDep = Annotated[Asked, Depends(asked)]
"""Whoever may change things, and what they said about it."""


def tag(response: Response, version: int) -> None:
    response.headers["etag"] = f'"{version}"'


async def merging(attempt: Callable[[], Awaitable[Saved[T]]], version: int | None) -> Saved[T]:
    """The save of what was merged into a row as it was read. Whoever names no version gets it merged anew when
    somebody else was faster, so that two writes of different keys both stay."""
    for _ in range(TRIES if version is None else 1):
        try:
            return await attempt()
        except Stale as stale:
            found = stale
    raise found


@contextmanager
def speaking(names: Mapping[str, str]) -> Iterator[None]:
    """Complaints about our fields under the names by which they were sent: longest prefix wins."""
    try:
        yield
    except Problem as problem:
        problem.errors = {_renamed(name, names): error for name, error in problem.errors.items()}
        raise


def _renamed(name: str, names: Mapping[str, str]) -> str:
    for ours in sorted(names, key=len, reverse=True):
        if name == ours or name.startswith(f"{ours}."):
            return names[ours] + name.removeprefix(ours)
    return name


def refuse_unsupported(
    given: dict[str, Any], as_read: Mapping[str, Any], message: str, nothing: tuple[object, ...] = ()
) -> None:
    """Take out the React panel's keys for what guardpanel cannot do yet. Sending back what reads give is no change, nor is
    `nothing`; anything else is refused at its key."""
    errors = {
        name: FieldError(f"Not supported yet. Leave it at {json.dumps(as_read[name])}.")
        for name in as_read
        if name in given and (value := given.pop(name)) != as_read[name] and value not in nothing
    }
    if errors:
        raise Invalid(message, errors)
