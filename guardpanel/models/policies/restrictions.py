"""What a request may not have, whoever sends it: headers, file extensions, charsets and HTTP versions of a policy.

The defaults are those of OWASP CRS 4.25.0 (its rules 901163 to 901171), which a live test compares with the agent's.
"""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator
from sqlmodel import Field

from guardpanel.models.refusing import refuse
from guardpanel.models.types import Lines, visible

HEADERS: Mapping[str, str] = {
    "content-encoding": "A compressed body, which rules can’t read. It is rejected, or passes uninspected.",
    "proxy": "Sets HTTP_PROXY in CGI programs (httpoxy).",
    "lock-token": "WebDAV: names a lock. Needed to unlock files.",
    "content-range": "Part of a file, as upload clients send it. Rules see this part alone.",
    "if": "WebDAV: a condition, such as a lock.",
    "x-http-method-override": "Another method than the request’s. Servers that obey it bypass the allowed methods.",
    "x-http-method": "The same, for other frameworks.",
    "x-method-override": "The same, for other frameworks.",
    "x-middleware-subrequest": "Skips the login check of Next.js before 15.2.3.",
    "expect": "Asks before sending a body. HAProxy answers it. curl and S3 clients send it.",
    "accept-charset": "Sent by no current browser. Checked from paranoia level 2 on.",
}
"What CRS restricts, and why."

CHECKED_FROM_LEVEL_2 = frozenset({"accept-charset"})
"By 920451, which has a list of its own; all others are 920450's."

SENT_BY_ALL = frozenset({
    "host", "user-agent", "accept", "accept-encoding", "accept-language", "connection", "content-type", "content-length",
    "cookie",
})  # fmt: skip
"Restricting one of them blocks ordinary visitors."

EXTENSIONS = [
    ".ani", ".asa", ".asax", ".ascx", ".back", ".backup", ".bak", ".bck", ".bk", ".bkp", ".bat", ".cdx", ".cer", ".cfg",
    ".cmd", ".cnf", ".com", ".compositefont", ".config", ".conf", ".copy", ".crt", ".cs", ".csproj", ".csr", ".dat", ".db",
    ".dbf", ".dist", ".dll", ".dos", ".dpkg-dist", ".drv", ".gadget", ".hta", ".htr", ".htw", ".ida", ".idc", ".idq", ".inc",
    ".inf", ".ini", ".jks", ".jse", ".key", ".licx", ".lnk", ".log", ".mdb", ".msc", ".ocx", ".old", ".pass", ".pdb", ".pfx",
    ".pif", ".pem", ".pol", ".prf", ".printer", ".pwd", ".rdb", ".rdp", ".reg", ".resources", ".resx", ".sav", ".save",
    ".scr", ".sct", ".sh", ".shs", ".sql", ".sqlite", ".sqlite3", ".swap", ".swo", ".swp", ".sys", ".temp", ".tfstate",
    ".tlb", ".tmp", ".vb", ".vbe", ".vbs", ".vbproj", ".vsdisco", ".vxd", ".webinfo", ".ws", ".wsc", ".wsf", ".wsh", ".xsd",
    ".xsx",
]  # fmt: skip
"What CRS restricts: backups, configuration, databases, keys, scripts of servers."

CHARSETS = ["utf-8", "iso-8859-1", "iso-8859-15", "windows-1252"]

READABLE_CHARSETS = frozenset(CHARSETS) | {
    *(f"iso-8859-{part}" for part in (*range(2, 9), 10, 13, 14, 16)),
    *(f"windows-125{page}" for page in range(9)),
    "us-ascii", "utf8", "windows-874", "koi8-r", "koi8-u", "macintosh", "ibm866", "utf-16", "utf-16le", "utf-16be", "utf-32",
}  # fmt: skip
"What the agent can read with certainty (spoa/body_charset.go). Bodies in any other are rejected anyway."

HTTP_VERSIONS = ["1.0", "1.1", "2", "3"]

HEADER = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
EXTENSION = re.compile(r"\.[a-z0-9_-]{1,30}")


def known_headers(names: list[str]) -> list[str]:
    headers = list(dict.fromkeys(visible(name.strip().rstrip(":")).lower() for name in names))
    for header in headers:
        if not HEADER.fullmatch(header):
            raise refuse(f"{header[:60]} is not a header name. Enter one such as content-encoding.")
        if header in SENT_BY_ALL:
            raise refuse(f"{header} can’t be restricted: ordinary visitors send it.")
        if header.startswith("x-gp-"):
            raise refuse(f"{header} never arrives: HAProxy removes it from visitors’ requests.")
    return headers


def known_extensions(entries: list[str]) -> list[str]:
    extensions = list(dict.fromkeys(visible(entry.strip()).lower() for entry in entries))
    for extension in extensions:
        if extension.startswith(".") and "." in extension[1:]:
            last = extension.rpartition(".")[2]
            raise refuse(f"{extension[:60]} never matches: only what follows the last dot counts. Enter .{last[:30]}.")
        if not EXTENSION.fullmatch(extension):
            raise refuse(f"{extension[:60]} is not a file extension. Enter one such as .sql.")
    return extensions


def known_charsets(names: list[str]) -> list[str]:
    charsets = list(dict.fromkeys(visible(name.strip()).lower() for name in names))
    for charset in charsets:
        if charset not in READABLE_CHARSETS:
            raise refuse(
                f"{charset[:40]} can’t be allowed: the WAF agent can’t read it with certainty and rejects such bodies."
            )
    return charsets


def known_versions(numbers: list[str]) -> list[str]:
    typed = {visible(number.strip()).upper().removeprefix("HTTP/") for number in numbers}
    versions = {number.removesuffix(".0") if number in {"2.0", "3.0"} else number for number in typed}
    for version in sorted(versions):
        if version not in HTTP_VERSIONS:
            raise refuse(
                f"{version[:20]} is not an HTTP version. Enter {', '.join(HTTP_VERSIONS[:-1])}, or {HTTP_VERSIONS[-1]}."
            )
    if "1.1" not in versions:
        raise refuse("Keep 1.1: most visitors, and guardpanel’s own test requests, use it.")
    return [version for version in HTTP_VERSIONS if version in versions]


RestrictedHeaders = Annotated[Lines, AfterValidator(known_headers), Field(max_length=50)]
RestrictedExtensions = Annotated[Lines, AfterValidator(known_extensions), Field(max_length=200)]
Charsets = Annotated[Lines, AfterValidator(known_charsets), Field(min_length=1, max_length=40)]
HttpVersions = Annotated[Lines, AfterValidator(known_versions), Field(min_length=1, max_length=4)]
