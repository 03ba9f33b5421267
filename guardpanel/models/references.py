"""Columns that refer to another row, or to none."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from guardpanel.field_codes import FieldCode
from guardpanel.models.refusing import refuse


def blank_is_none(value: object) -> object:
    return None if value == "" else value


def an_id(number: int | None) -> int | None:
    """An id that exceeds SQLite's integers refers to nothing."""
    if number is not None and not 0 < number < 2**63:
        raise refuse("Not found. It may have been deleted.", FieldCode.NOT_FOUND)
    return number


OptionalId = Annotated[int | None, BeforeValidator(blank_is_none), AfterValidator(an_id)]
