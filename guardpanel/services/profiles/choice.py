"""Which profile is applied, and to which part of the site: the input of the form and of the JSON body."""

from typing import Annotated

from pydantic import AfterValidator
from sqlmodel import Field

from guardpanel.models.meta import described
from guardpanel.models.policies.path_condition import plain_path
from guardpanel.models.refusing import refuse
from guardpanel.models.types import Fields, visible
from guardpanel.services.profiles.catalogue import profiles


def known_profile(key: str) -> str:
    if key not in profiles():
        raise refuse(f"Choose a profile: {', '.join(profiles())}.")
    return key


def prefix_of(typed: str) -> str:
    """`/blog` for `/blog/`; empty for the whole site."""
    prefix = visible(typed.strip()).rstrip("/")
    if prefix:
        plain_path(prefix)
        if "//" in prefix:
            raise refuse("Enter the path without empty segments.")
    return prefix


class ProfileChoice(Fields):
    profile: Annotated[str, AfterValidator(known_profile)] = described("Profile")
    path: Annotated[str, Field(max_length=100), AfterValidator(prefix_of)] = described(
        "Path", "", placeholder="/", hint="Where the application is. If empty, the whole site."
    )
