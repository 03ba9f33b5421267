"""Rejections of values, with words for operators."""

from pydantic_core import PydanticCustomError

from guardpanel.field_codes import FieldCode


def refuse(message: str, code: FieldCode = FieldCode.INVALID) -> PydanticCustomError:
    """A validation error whose message is shown, with half characters of JSON escaped. `code`: an empty value is `required`."""
    words = message.encode(errors="backslashreplace").decode()
    return PydanticCustomError("refused", "{words}", {"words": words, "code": code})
