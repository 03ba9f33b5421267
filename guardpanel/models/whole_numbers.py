"""Integers as people type them."""

import re
from typing import get_args

from pydantic import BaseModel, ValidationInfo

from guardpanel.field_codes import FieldCode
from guardpanel.models.meta import MEASURES
from guardpanel.models.refusing import refuse

GROUPED = re.compile(r"[1-9][0-9]{0,2}(?P<between>[, \u00a0\u202f])[0-9]{3}(?:(?P=between)[0-9]{3})*")
"Thousands as pages show them and as some people type them: `1,000`, `1 000`."


def whole_number(typed: str, unit: str = "") -> str:
    """The digits of a typed integer. Rejects ambiguous ones: 1.000 is a thousand to some, one to others."""
    text = typed.strip()
    if GROUPED.fullmatch(text):
        return re.sub(r"[^0-9]", "", text)
    if re.fullmatch(r"[0-9]+[., ][0-9., ]*", text):
        raise refuse("Enter a whole number. Thousands may be separated as in 1,000.", FieldCode.WRONG_TYPE)
    if unit in MEASURES and re.fullmatch(r"[0-9][0-9., ]*[^\W\d_].*", text):
        raise refuse(f"Enter a whole number. The unit is {unit}.", FieldCode.WRONG_TYPE)
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise refuse("Enter a whole number.", FieldCode.WRONG_TYPE)
    return text


def unit_of(model: type[BaseModel], info: ValidationInfo) -> str:
    extra = model.model_fields[info.field_name or ""].json_schema_extra
    return str(extra.get("x-unit", "")) if isinstance(extra, dict) else ""


def kind_of(model: type[BaseModel], info: ValidationInfo) -> type | None:
    """bool or int, if that is the field's type, also if optional."""
    annotation = model.model_fields[info.field_name or ""].annotation
    kinds = {annotation, *get_args(annotation)}
    return next((kind for kind in (bool, int) if kind in kinds), None)
