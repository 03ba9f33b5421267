"""Which responses count towards a ban: where visitors log in, and what servers say."""

import re
from typing import Annotated

from pydantic import AfterValidator
from sqlmodel import Field

from guardpanel.models.json_form import JsonForm
from guardpanel.models.policies.path_condition import bound_paths
from guardpanel.models.refusing import refuse
from guardpanel.models.types import Lines, visible

FAILED = ["401", "403"]

STATUS = re.compile(r"[2-5][0-9]{2}", re.ASCII)


def known_statuses(entries: list[str]) -> list[str]:
    statuses = list(dict.fromkeys(visible(entry.strip()) for entry in entries))
    for status in statuses:
        if not STATUS.fullmatch(status):
            raise refuse(f"{status[:40]} is not a status of a response. Enter one such as 401.")
    return statuses


def status_texts(value: object) -> object:
    """Numbers as JSON may have them: `[404]`."""
    if not isinstance(value, list):
        return value
    return [str(entry) if isinstance(entry, int) and not isinstance(entry, bool) else entry for entry in value]


LoginPaths = Annotated[Lines, AfterValidator(bound_paths), Field(max_length=50)]
Statuses = Annotated[Lines, JsonForm(status_texts), AfterValidator(known_statuses), Field(max_length=20)]
