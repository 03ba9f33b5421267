"""What every write has in common: the row version that it names, and the deployment that it answers with."""

import re
from typing import Annotated, Any, Literal

from fastapi import Depends, Header, Response
from pydantic import BaseModel, Field

from guardpanel.errors import Stale
from guardpanel.services.changes import Saved


class StepOut(BaseModel):
    name: str
    seconds: float


class DeploymentOut(BaseModel):
    """How the save became live."""

    status: Literal["live", "unchanged"] = Field(description="`unchanged`: the engines' configuration is the same.")
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
    if_match: Annotated[str | None, Header(description="The ETag that was read; another one now is 412.")] = None,
) -> int | None:
    """The row version of `If-Match: "7"`; None without the header or for `*`."""
    if if_match is None or if_match.strip() == "*":
        return None
    match = re.fullmatch(r'(?:W/)?"(\d{1,9})"', if_match.strip())
    if match is None:
        raise Stale("This If-Match names no version that was ever given out.")
    return int(match[1])


NamedVersion = Annotated[int | None, Depends(named_version)]


def tag(response: Response, version: int) -> None:
    response.headers["etag"] = f'"{version}"'
