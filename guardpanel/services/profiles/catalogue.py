"""The application profiles that come with guardpanel, read from `guardpanel/profiles`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field

from guardpanel.models.policies.path_condition import PathMatch
from guardpanel.models.rules.rule_exclusion import RuleExclusionFields
from guardpanel.shipped import profiles_directory


class ProfileFile(BaseModel):
    """A file, as it is written."""

    model_config = ConfigDict(extra="forbid")

    name: str
    version: int = Field(ge=1, description="Grows with each change of the exclusions.")
    crs_version: str = Field(
        description="Of the rule set under which its recorded requests passed (tests/live/profiles)."
    )
    about: str
    prices: list[str] = Field(description="What is no longer blocked, a sentence each.")
    exclusions: list[RuleExclusionFields]


@dataclass(frozen=True)
class Profile:
    key: str
    name: str
    version: int
    crs_version: str
    "With which it was verified."
    about: str
    prices: tuple[str, ...]
    exclusions: tuple[RuleExclusionFields, ...]
    "With paths as if the application were the whole site."

    def below(self, prefix: str) -> list[RuleExclusionFields]:
        """For an application below `/blog`; empty: the whole site."""
        return [_moved(fields, prefix) for fields in self.exclusions] if prefix else list(self.exclusions)


@cache
def profiles() -> Mapping[str, Profile]:
    """By key, in the order of their names."""
    files = {path.stem: ProfileFile.model_validate(yaml.safe_load(path.read_text("utf-8"))) for path in _files()}
    every = [
        Profile(key, file.name, file.version, file.crs_version, file.about, tuple(file.prices), tuple(file.exclusions))
        for key, file in files.items()
    ]
    return {profile.key: profile for profile in sorted(every, key=lambda profile: profile.name.lower())}


def _files() -> list[Path]:
    return sorted(profiles_directory().glob("*.yaml"))


def _moved(fields: RuleExclusionFields, prefix: str) -> RuleExclusionFields:
    match fields.path_match:
        case PathMatch.ANY:
            changed = {"path_match": PathMatch.BELOW, "path": prefix}
        case PathMatch.PATTERN:
            changed = {"path": re.escape(prefix) + fields.path}
        case _:
            changed = {"path": prefix + fields.path}
    return RuleExclusionFields.model_validate({**fields.model_dump(), **changed})
