"""From typed values to a validated input type, with clear messages for every error."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from guardpanel.errors import FieldError, Invalid
from guardpanel.field_codes import FieldCode

M = TypeVar("M", bound=BaseModel)

EMPTY: tuple[object, ...] = (None, "", [])

CODES = {
    "missing": FieldCode.REQUIRED,
    "extra_forbidden": FieldCode.UNKNOWN,
    **dict.fromkeys(("int_from_float", "finite_number", "date_from_datetime_inexact"), FieldCode.WRONG_TYPE),
    **dict.fromkeys(("enum", "literal_error"), FieldCode.NOT_A_CHOICE),
    **dict.fromkeys(("greater_than", "greater_than_equal"), FieldCode.TOO_SMALL),
    **dict.fromkeys(("less_than", "less_than_equal"), FieldCode.TOO_LARGE),
    **dict.fromkeys(("too_short", "string_too_short", "bytes_too_short"), FieldCode.TOO_SHORT),
    **dict.fromkeys(("too_long", "string_too_long", "bytes_too_long"), FieldCode.TOO_LONG),
}
"By pydantic's type of error."

TYPES = ("_type", "_parsing", "_parsing_size", "_attributes_type")
"Ends of its other types of errors for a value of another type."


def validated(model: type[M], data: Mapping[str, Any]) -> M:
    """The model. Raises Invalid with a message for each field by its dotted name."""
    try:
        return model.model_validate(dict(data))
    except ValidationError as error:
        raise Invalid.of(messages(error)) from error


def as_kept(model: type[M], row: Mapping[str, Any]) -> M | None:
    """The fields of a row that an earlier version may have stored. None if this version rejects them."""
    try:
        return model.model_validate({name: row[name] for name in model.model_fields if name in row})
    except ValidationError:
        return None


def messages(error: ValidationError) -> dict[str, FieldError]:
    """The first error of each field, as a message for operators. The input itself is never echoed as markup."""
    errors: dict[str, FieldError] = {}
    for detail in error.errors(include_url=False):
        name = ".".join(str(part) for part in detail["loc"] if not str(part).startswith("function-"))
        errors.setdefault(name, field_error(dict(detail)))
    return errors


def field_error(detail: dict[str, Any]) -> FieldError:
    """The message and code of one of pydantic's errors."""
    return FieldError(words(detail), code=code_of(detail))


def code_of(error: dict[str, Any]) -> FieldCode:
    kind = error["type"]
    if kind == "refused":
        code = FieldCode(error["ctx"]["code"])
        return FieldCode.REQUIRED if code is FieldCode.INVALID and error.get("input") in EMPTY else code
    return CODES.get(kind) or (FieldCode.WRONG_TYPE if kind.endswith(TYPES) else FieldCode.INVALID)


WHOLE_NUMBER = ("int_parsing", "int_type", "int_from_float", "int_parsing_size", "finite_number")
DATE = ("date_parsing", "date_type", "date_from_datetime_parsing", "date_from_datetime_inexact")
TIME = ("datetime_parsing", "datetime_type", "datetime_from_date_parsing", "datetime_object_invalid")

SENTENCES = {
    "missing": "Required.",
    **dict.fromkeys(WHOLE_NUMBER, "Enter a whole number."),
    **dict.fromkeys(DATE, "Enter a date, for example 2026-12-31."),
    **dict.fromkeys(TIME, "Enter a date and time, for example 2026-12-31 18:00."),
    **dict.fromkeys(("float_parsing", "float_type"), "Enter a number."),
    **dict.fromkeys(("bool_parsing", "bool_type"), "Enter true or false."),
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), "Enter keys with values."),
    "extra_forbidden": "Unknown field.",
    "string_type": "Enter text.",
    "list_type": "Enter a list.",
    "string_unicode": "Remove the character that is only half there, such as \\ud83d without its second half.",
}
"By pydantic's type of error, where it says all."


def words(error: dict[str, Any]) -> str:
    facts, value = error.get("ctx") or {}, error.get("input")
    match error["type"]:
        case "refused":
            return str(facts["words"])
        case "greater_than_equal":
            return f"At least {facts['ge']:,}."
        case "less_than_equal":
            return f"At most {facts['le']:,}."
        case "string_too_long":
            return f"At most {facts['max_length']:,} characters; this has {len(str(value)):,}."
        case "too_long":
            return f"At most {facts['max_length']:,} entries; this has {facts['actual_length']:,}."
        case "too_short":
            return f"Enter at least {facts['min_length']:,}."
        case "enum" | "literal_error":
            return f"Choose one of {facts['expected']}."
        case kind:
            return SENTENCES.get(kind) or f"{error['msg']}."
