"""Times and texts as HAProxy writes them."""

import re
from math import ceil

UNITS = {"us": 1e-6, "ms": 1e-3, "": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86_400}

TIME = re.compile(r"([0-9]{1,20})(?:(us|ms|[smhd]).*)?")
"HAProxy reads no further than the unit: `15min` are 15 minutes."

LONGEST = 2**31 / 1000
"Seconds that HAProxy refuses as a time."

SAMPLES = {
    "src": "{client_ip}",
    "unique-id": "{request_id}",
    "req.hdr(host)": "{hostname}",
    "hdr(host)": "{hostname}",
    "req.fhdr(host)": "{hostname}",
}

ALIASES = {"%ci": "{client_ip}", "%ID": "{request_id}", "%%": "%"}

PART = re.compile(r"%\[([^\]]+)\]|(%%|%[A-Za-z]+|%)|(\{[a-z_]+\})")


def seconds(text: str) -> float | None:
    """HAProxy counts in ms where no unit is given."""
    match = TIME.fullmatch(text)
    exact = int(match[1]) * UNITS[match[2] or ""] if match else LONGEST
    return exact if exact < LONGEST else None


def whole_seconds(text: str) -> int | None:
    """Rounded up: guardpanel counts in seconds."""
    exact = seconds(text)
    return None if exact is None else ceil(round(exact, 6))


def refused(text: str) -> str:
    """Why HAProxy does not start with it as a time. Empty: it does."""
    return f"HAProxy refuses {text[:40]}: no time, or more than 24 days." if seconds(text) is None else ""


def with_variables(text: str) -> str | None:
    """A log-format text with guardpanel's variables. None: it has others."""
    is_known = True

    def replaced(match: re.Match[str]) -> str:
        nonlocal is_known
        sample, alias, braces = match.groups()
        value = SAMPLES.get(sample.lower().removesuffix(",lower")) if sample else ALIASES.get(alias or "")
        is_known = is_known and value is not None and not braces
        return value or ""

    text = PART.sub(replaced, text)
    return text if is_known else None
