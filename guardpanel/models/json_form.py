"""Values that JSON may have in another form than a web form."""

from dataclasses import dataclass

from pydantic import BeforeValidator


@dataclass(frozen=True)
class JsonForm(BeforeValidator):
    """Reads the other form, such as numbers for texts. Bodies of the API have it, too."""
