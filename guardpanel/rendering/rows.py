"""What a state is made from."""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, get_args, get_origin

from pydantic import BaseModel

Row = Mapping[str, Any]
Rows = Mapping[str, Sequence[Row]]
"By table: `virtualhost`, `hostname`, `server`, `policy`, `traffic`."


def from_stored(model: type[BaseModel]) -> dict[str, Callable[[Any], Any]]:
    """What makes of each field's stored value the value: flags are stored as 0 and 1, choices as text; a list does not
    change any more."""
    return {name: _converter(info.annotation) for name, info in model.model_fields.items()}


def _converter(annotation: Any) -> Callable[[Any], Any]:
    if get_origin(annotation) is list:
        return tuple
    kinds = [kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type)]
    if bool in kinds:
        return bool
    choices = next((kind for kind in kinds if issubclass(kind, Enum)), None)
    if choices is None:
        return _same
    return (lambda value: choices(value) if value is not None else None) if type(None) in kinds else choices


def _same(value: Any) -> Any:
    return value
