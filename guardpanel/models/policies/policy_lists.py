"""A policy's lists: valid entries and defaults."""

import re
from typing import Annotated

from pydantic import AfterValidator
from sqlmodel import Field

from guardpanel.models.refusing import refuse
from guardpanel.models.types import Lines, visible

REFUSED_METHODS = {"CONNECT"}
"What HAProxy rejects whatever a policy allows (config_templates/haproxy/_frontend.cfg.j2)."

METHOD = re.compile(r"[A-Z][A-Z0-9-]{0,30}")
SKIP = re.compile(r"\.[a-z0-9]{1,15}|/(?:[A-Za-z0-9_.~-]+/)*[A-Za-z0-9_.~-]*")
SAME_PLACE = re.compile(r"/\.(?:/|$)")
"A dot segment. Such paths are never skipped, since servers normalize them."
MASK = re.compile(r"\*?[a-z0-9_.:/\[\]-]+\*?|\*|@cards")

BETWEEN = ".:/[]"
"Separators between the parts of a name (spoa/event_mask.go). No part begins with one."

MASKED_FIELDS = [
    "authorization", "proxy-authorization", "cookie", "set-cookie", "*password*", "*passwd*", "passphrase", "pass", "pwd",
    "*secret*", "*token*", "*apikey*", "*api_key*", "*api-key*", "cvc", "cvv", "*card_number*", "*cardnumber*", "@cards",
]  # fmt: skip
"What the agent always masks (docs/events.md, spoa/event_mask.go)."


def known_methods(methods: list[str]) -> list[str]:
    unique = list(dict.fromkeys(visible(method.strip()).upper() for method in methods))
    for method in unique:
        if not METHOD.fullmatch(method):
            raise refuse(f"{method[:40]} is not an HTTP method.")
        if method in REFUSED_METHODS:
            raise refuse(f"{method} can’t be allowed: HAProxy rejects it for every site.")
    return unique


def known_skips(entries: list[str]) -> list[str]:
    entries = [visible(entry) for entry in entries]
    unique = list(dict.fromkeys(entry.lower() if entry.startswith(".") else entry for entry in entries))
    for entry in unique:
        if not SKIP.fullmatch(entry) or ".." in entry or entry == "/" or len(entry) > 200:
            raise refuse(f"{entry[:60]} must be a file extension such as .css or a path prefix such as /assets/.")
        if SAME_PLACE.search(entry):
            raise refuse(f"{entry[:60]} never matches: paths with a part that is only a dot are always inspected.")
    return unique


def known_masks(entries: list[str]) -> list[str]:
    unique = list(dict.fromkeys(visible(entry.strip()).lower() for entry in entries))
    for entry in unique:
        if not MASK.fullmatch(entry) or len(entry) > 100:
            raise refuse(
                f"{entry[:60]} is not a valid field name. Use letters, digits, and _ - . : / [ ] (100 at most), "
                "with * as a wildcard at either end, or @cards for card numbers."
            )
        if entry != (plain := entry.lstrip(BETWEEN).rstrip(".:/")):
            raise refuse(f"{entry[:60]} never matches a field. Enter {plain.strip(BETWEEN) or 'its name'}.")
    return unique


Methods = Annotated[Lines, AfterValidator(known_methods), Field(min_length=1, max_length=30)]
Skips = Annotated[Lines, AfterValidator(known_skips), Field(max_length=100)]
Masks = Annotated[Lines, AfterValidator(known_masks), Field(max_length=200)]

WEBSITE_METHODS = ["GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"]
"""What the front ends of ordinary applications send to their servers. Operators know whether they need others, such as WebDAV's.
CRS's own list ends with OPTIONS: PUT alone accounts for half of the ordinary requests that it rejects."""

FORM_TYPES = ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"]
DATA_TYPES = [
    "application/json",
    "text/xml",
    "application/xml",
    "application/soap+xml",
    "application/cloudevents+json",
    "application/csp-report",
    "application/reports+json",
]
"Browsers send the last two themselves, if a site asks for reports (CSP, Reporting API)."

FILE_TYPES = [
    "image/*",
    "audio/*",
    "video/*",
    "application/octet-stream",
    "binary/octet-stream",
    "application/offset+octet-stream",
    "application/pdf",
    "application/zip",
    "application/gzip",
]
"What upload clients send as a whole body: browsers, the AWS SDKs, tus."
