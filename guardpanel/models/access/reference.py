"""How rows name the contents of address lists: by number and hash."""

import re
from typing import NamedTuple


class Reference(NamedTuple):
    """What a row says of its entries."""

    total: int
    digest: str
    "Of their canonical text (access/entries.py), in hexadecimal."

    @property
    def text(self) -> str:
        return f"{self.total:,} {'entry' if self.total == 1 else 'entries'} ({self.digest})"

    @classmethod
    def read(cls, text: str) -> "Reference":
        """Raises ValueError for any other text."""
        match = REFERENCE.fullmatch(text)
        if match is None:
            raise ValueError(text)
        return cls(int(match[1].replace(",", "")), match[2])


REFERENCE = re.compile(r"(\d{1,3}(?:,\d{3}){0,2}) entr(?:y|ies) \(([0-9a-f]{64})\)", re.ASCII)

EMPTY = Reference(0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
"Of no entries."
