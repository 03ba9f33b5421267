"""What an ACL's expression looks at: hostnames, paths, client addresses, the scheme, or something else."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from ipaddress import ip_network
from typing import Any, NamedTuple

from guardpanel.services.importing.hostnames import names_of
from guardpanel.services.importing.outcomes import OF_NAME, Line

HARMLESS = re.compile(r"(?:,(?:lower|host_only|field\(1,:\)|url_dec|map_str))*")
"Converters that change nothing of what is compared here."

HOST_FETCH = re.compile(r"(?:req\.)?f?hdr(?:_(?P<how>beg|end|dom|dir|sub|reg))?\(host(?:,-?1)?\)", re.IGNORECASE)

SNI_FETCH = re.compile(r"(?:ssl_fc_sni|req\.ssl_sni|req_ssl_sni)(?:_(?P<how>beg|end|dom|sub|reg))?")

PATH_FETCH = re.compile(r"(?:path|url)(?:_(?P<how>beg|end|dir|dom|sub|reg|len))?")

HTTPS = ("ssl_fc",), ("dst_port", "443"), ("hdr(x-forwarded-proto)", "https"), ("req.hdr(x-forwarded-proto)", "https")

HTTP = ("dst_port", "80"), ("hdr(x-forwarded-proto)", "http"), ("req.hdr(x-forwarded-proto)", "http")

SAMPLE = re.compile(r"[^,()]*(?:\([^()]*\))?")

COUNTED = re.compile(
    r"(?P<source>src|sc[0-9]*)_(?P<what>http_req_rate|http_err_rate|conn_cur)(?:\((?P<arguments>[^()]*)\))?"
)

CONNECTIONS = re.compile(r"(?:src|sc[0-9]*)_(?:conn|sess)_(?:rate|cnt)\b.*")

Files = Mapping[str, str]


class Rate(NamedTuple):
    """How much a client may do."""

    what: str
    "`http_req_rate`, `http_err_rate` or `conn_cur`."
    counter: str
    "The number of what a rule tracks. Empty: the client’s address."
    table: str
    "Empty: that of the counter, or of the section."
    limit: int


@dataclass(frozen=True)
class Expression:
    """One criterion: exactly one of its kinds is set, or `other`."""

    hosts: frozenset[str] | None = None
    paths: tuple[tuple[str, str], ...] | None = None
    "How, and the path: `below`, `exact`."
    beginnings: tuple[str, ...] = ()
    "Of these, what others begin with, too, and not only below it: `/admin` of `/admin.php`."
    sources: tuple[str, ...] | None = None
    https: bool | None = None
    rate: Rate | None = None
    is_always: bool = False
    other: str = ""


@dataclass(frozen=True)
class Term:
    """An ACL as a condition uses it: its expressions are alternatives."""

    expressions: tuple[Expression, ...]
    lines: tuple[Line, ...] = ()
    "Of the named ACL."
    negated: bool = False
    named: bool | None = None
    "One of HAProxy's own, such as TRUE."

    @cached_property
    def constant(self) -> bool | None:
        """Whatever the request is."""
        return True if any(expression.is_always for expression in self.expressions) else self.named

    @property
    def other(self) -> str:
        return next((expression.other for expression in self.expressions if expression.other), "")

    @cached_property
    def hosts(self) -> frozenset[str] | None:
        sets = [expression.hosts for expression in self.expressions]
        return frozenset().union(*filter(None, sets)) if sets and None not in sets else None

    @cached_property
    def paths(self) -> tuple[tuple[str, str], ...] | None:
        return _all(expression.paths for expression in self.expressions)

    @property
    def beginnings(self) -> tuple[str, ...]:
        return tuple(path for expression in self.expressions for path in expression.beginnings)

    @cached_property
    def sources(self) -> tuple[str, ...] | None:
        return _all(expression.sources for expression in self.expressions)

    @cached_property
    def https(self) -> bool | None:
        values = {expression.https for expression in self.expressions}
        return values.pop() if len(values) == 1 else None

    @property
    def rates(self) -> tuple[Rate, ...] | None:
        return _all((expression.rate,) if expression.rate else None for expression in self.expressions)


def _all(parts: Iterable[tuple[Any, ...] | None]) -> tuple[Any, ...] | None:
    lists = list(parts)
    if not lists or None in lists:
        return None
    return tuple(each for part in lists for each in part or ())


@dataclass
class _Words:
    """A criterion's flags and patterns."""

    how: str = ""
    patterns: list[str] = field(default_factory=list)
    missing: str = ""
    "A file that was not given."


def expression(words: Iterable[str], files: Files) -> Expression:
    """Of `hdr(host) -i shop.example`."""
    sample, *arguments = words
    read = _flags(arguments, files)
    if read.missing:
        return Expression(other=f"The file {read.missing[:80]} was not given.")
    fetch, converters = _parts(sample)
    if not HARMLESS.fullmatch(f",{converters}" if converters else ""):
        return Expression(other=f"guardpanel can’t compare {sample[:80]}.")
    for pattern, build in KINDS:
        match = pattern.fullmatch(fetch)
        result = build(read.how or (match.groupdict().get("how") or ""), read.patterns) if match else None
        if result is not None:
            return result
    return _scheme(fetch, read.patterns) or _rate(fetch, read.patterns) or _other(sample)


def _parts(sample: str) -> tuple[str, str]:
    """What is fetched, and its converters: `hdr(host,1)`, `lower`."""
    match = SAMPLE.match(sample)
    fetch = match[0] if match else sample
    return fetch, sample[len(fetch) :].removeprefix(",")


def size(words: Iterable[str], files: Files) -> int:
    """Steps that reading it takes: by its patterns, those of its files included, one for each 16 characters."""
    sample, *arguments = words
    each = OF_NAME if HOST_FETCH.fullmatch(_parts(sample)[0]) else 1
    return each * sum(1 + len(file_of(files, word) or "") // 16 for word in arguments)


def _other(sample: str) -> Expression:
    if CONNECTIONS.fullmatch(sample):
        return Expression(other="guardpanel limits requests, and not how often a client connects.")
    return Expression(other=f"guardpanel can’t decide by {sample[:80]}.")


def _flags(arguments: list[str], files: Files) -> _Words:
    read, left = _Words(), list(arguments)
    while left and left[0].startswith("-") and len(left[0]) == 2 and left[0] != "--":
        flag = left.pop(0)
        if flag in {"-f", "-m", "-M", "-u"} and left and flag != "-M":
            value = left.pop(0)
            if flag == "-f" and file_of(files, value) is None:
                read.missing = value
            elif flag == "-f":
                read.patterns += listed(file_of(files, value) or "")
            read.how = value if flag == "-m" else read.how
    if left and left[0] == "--":
        left.pop(0)
    read.patterns += left
    return read


def file_of(files: Files, name: str) -> str | None:
    """By its whole name, or by what follows the last slash."""
    return files.get(name, files.get(name.rpartition("/")[2]))


def listed(text: str) -> list[str]:
    return [row.strip() for row in text.splitlines() if row.strip() and not row.lstrip().startswith("#")]


def _hosts(how: str, patterns: list[str]) -> Expression | None:
    names: set[str] = set()
    for pattern in patterns:
        of_pattern = names_of("" if how == "str" else how, pattern)
        if not of_pattern:
            return Expression(other=f"guardpanel has no hostname for “{pattern[:80]}”.")
        names |= of_pattern
    return Expression(hosts=frozenset(names)) if names else None


def paths_of(how: str, patterns: list[str]) -> Expression | None:
    kind = {"": "exact", "str": "exact", "beg": "below"}.get(how)
    if kind is None or not patterns:
        return Expression(other="guardpanel knows paths by their beginning, or whole.")
    if kind == "below" and "/" in patterns:
        return Expression(is_always=True)
    beginnings = tuple(each for each in patterns if kind == "below" and not each.endswith("/"))
    return Expression(paths=tuple((kind, pattern.rstrip("/") or "/") for pattern in patterns), beginnings=beginnings)


def _sources(how: str, patterns: list[str]) -> Expression | None:
    try:
        networks = tuple(str(ip_network(pattern.split()[0], strict=False)) for pattern in patterns)
    except ValueError:
        return None
    return Expression(sources=networks) if networks and how in {"", "ip"} else None


KINDS: tuple[tuple[re.Pattern[str], Callable[[str, list[str]], Expression | None]], ...] = (
    (HOST_FETCH, _hosts),
    (SNI_FETCH, _hosts),
    (PATH_FETCH, paths_of),
    (re.compile("src"), _sources),
)


def _scheme(fetch: str, patterns: list[str]) -> Expression | None:
    words = (fetch.lower(), *(pattern.lower() for pattern in patterns))
    return Expression(https=True) if words in HTTPS else Expression(https=False) if words in HTTP else None


def _rate(fetch: str, patterns: list[str]) -> Expression | None:
    match = COUNTED.fullmatch(fetch)
    if match is None or len(patterns) != 2 or patterns[0] not in {"gt", "ge"} or not patterns[1].isdecimal():
        return None
    arguments = [part.strip() for part in (match["arguments"] or "").split(",") if part.strip()]
    counter = match["source"].removeprefix("sc") if match["source"] != "src" else ""
    if match["source"] == "sc":
        counter = arguments.pop(0) if arguments else "?"
    limit = int(patterns[1][:9]) - (patterns[0] == "ge")
    return Expression(rate=Rate(match["what"], counter, "".join(arguments[:1]), max(limit, 1)))
