"""Errors of choices, with the labels that forms show. JSON and configuration files get the values that they write."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel

from guardpanel.errors import FieldError, Invalid
from guardpanel.field_codes import FieldCode
from guardpanel.models.meta import about_field
from guardpanel.services.input import validated

M = TypeVar("M", bound=BaseModel)


def validated_form(model: type[M], data: Mapping[str, Any]) -> M:
    """The input type. Raises Invalid with a message for each field."""
    try:
        return validated(model, data)
    except Invalid as invalid:
        raise Invalid.of({name: _labeled(model, name, error) for name, error in invalid.errors.items()}) from invalid


def _labeled(model: type[BaseModel], name: str, error: FieldError) -> FieldError:
    if error.code is not FieldCode.NOT_A_CHOICE:
        return error
    field = about_field(model, name)
    labels = [choice.word for choice in field.choices] if field else []
    words = (
        f"Choose {', '.join(labels[:-1])} or {labels[-1]}." if len(labels) > 1 else "Choose an option from the list."
    )
    return replace(error, message=words)
