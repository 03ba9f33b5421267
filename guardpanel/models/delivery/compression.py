"""Compression of responses by HAProxy."""

import re
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo, field_validator
from sqlalchemy import JSON
from sqlmodel import Field

from guardpanel.models.meta import described
from guardpanel.models.refusing import refuse
from guardpanel.models.types import Fields, Lines, visible

COMPRESSED = [
    "application/javascript",
    "application/manifest+json",
    "application/wasm",
    "image/svg+xml",
    "text/css",
    "text/javascript",
]
"What seldom repeats anything of a visitor's."

DYNAMIC = frozenset(
    {"application/json", "application/xhtml+xml", "application/xml", "text/html", "text/plain", "text/xml"}
)
"What may hold a secret next to what a visitor sent (BREACH)."

CONTENT_TYPE = re.compile(r"[a-z0-9][a-z0-9.+_-]{0,60}/[a-z0-9][a-z0-9.+_-]{0,100}")


def compressed_types(types: list[str]) -> list[str]:
    known = list(dict.fromkeys(visible(each.strip()).lower() for each in types))
    for each in known:
        if not CONTENT_TYPE.fullmatch(each):
            raise refuse(f"{each[:40]} is not a content type. Enter one such as text/css.")
    return known


ContentTypes = Annotated[Lines, AfterValidator(compressed_types), Field(max_length=40)]


class CompressionColumns(Fields):
    """The fields that form, JSON and table share."""

    compression: bool = described(
        "Compression",
        False,
        hint="With gzip, for browsers that accept it. Servers are then asked for uncompressed responses.",
    )
    compression_types: ContentTypes = described(
        "Compressed types",
        default_factory=COMPRESSED.copy,
        sa_type=JSON,
        hint="Content types, one per line. Attackers can guess secrets in compressed pages that also repeat what a visitor sent "
        "(BREACH). Add text/html or application/json only if there are none.",
    )

    @property
    def exposed_types(self) -> list[str]:
        """Compressed types that may hold secrets."""
        return [each for each in self.compression_types if each in DYNAMIC] if self.compression else []

    @field_validator("compression_types")
    @classmethod
    def something_is_compressed(cls, types: list[str], info: ValidationInfo) -> list[str]:
        if info.data.get("compression") and not types:
            raise refuse("Enter a content type, or turn compression off.")
        return types
