"""Hostnames as DNS has them: lower-case A-labels (IDNA 2008 with UTS 46 mapping). Names with underscores are no hostnames by
RFC 1123 §2.1, and used as such all the same."""

import re
from typing import Final

import idna

LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
HOSTNAME: Final = re.compile(rf"{LABEL}(?:\.{LABEL})*")
DOTS: Final = re.compile("[.\u3002\uff0e\uff61]")
"What separates labels in some scripts (UTS 46 §2.3)."


def ascii_name(name: str) -> str:
    """Raises idna.IDNAError. Underscores are only taken in a label of ASCII: idna looks at it with a letter in their place."""
    labels = DOTS.split(name)
    letters = (label.replace("_", "x") if is_underscored(label) else label for label in labels)
    encoded = idna.encode(".".join(letters), uts46=True, std3_rules=True).decode("ascii").lower()
    return ".".join(
        label.lower() if is_underscored(label) else letters
        for label, letters in zip(labels, encoded.split("."), strict=True)
    )


def is_underscored(label: str) -> bool:
    return "_" in label and label.isascii() and not label.lower().startswith("xn--")
