"""What is wrong with a field, for programs."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

Part = Literal["body", "query", "header"]
"Of a request."


class FieldCode(StrEnum):
    """Stable: clients act on them."""

    REQUIRED = "required"
    UNKNOWN = "unknown"
    WRONG_TYPE = "wrong_type"
    TOO_SMALL = "too_small"
    TOO_LARGE = "too_large"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    NOT_A_CHOICE = "not_a_choice"
    NOT_FOUND = "not_found"
    TAKEN = "taken"
    NEEDS_CONFIRMATION = "needs_confirmation"
    REJECTED_BY_ENGINE = "rejected_by_engine"
    INVALID = "invalid"


CODES: Mapping[FieldCode, str] = {
    FieldCode.REQUIRED: "missing or empty",
    FieldCode.UNKNOWN: "no such key or parameter",
    FieldCode.WRONG_TYPE: "another type, such as text for a number",
    FieldCode.TOO_SMALL: "a number below its limit",
    FieldCode.TOO_LARGE: "a number above its limit",
    FieldCode.TOO_SHORT: "too few characters, bytes or entries",
    FieldCode.TOO_LONG: "too many characters, bytes or entries",
    FieldCode.NOT_A_CHOICE: "none of the values that there are",
    FieldCode.NOT_FOUND: "it refers to a row that does not exist",
    FieldCode.TAKEN: "another row has it",
    FieldCode.NEEDS_CONFIRMATION: "accepted once the warning is confirmed",
    FieldCode.REJECTED_BY_ENGINE: "HAProxy or the WAF agent rejected it, see `engine`",
    FieldCode.INVALID: "anything else, see `message`",
}
