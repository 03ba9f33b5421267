"""Lists of addresses as they are pasted, uploaded and published: every line is read, or named with what is wrong with it.

Formats in use: plain addresses and networks (FireHOL), `network ; comment` (Spamhaus DROP), `address # comment`, ranges (`a-b`),
CSV and tab-separated columns of which the first is the address, and this panel's own exports.
"""

import csv
import re
import socket
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from ipaddress import IPv6Network, ip_address, summarize_address_range

from guardpanel.access.entries import Entries, Entry, ordered
from guardpanel.events.texts import legible
from guardpanel.field_codes import FieldCode
from guardpanel.models.networks import MAPPED, read_network
from guardpanel.models.refusing import refuse

MOST_ENTRIES = 500_000
MOST_LINES = 1_000_000
"With comments and blank ones: each takes memory and time, and 20 MB can have twenty million of them."
LINE_ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
"As `splitlines` has them."
LONGEST_LINE = 1024
"Characters."
MOST_NAMED = 20
"Lines that are named in a rejection."
LONGEST_COMMENT = 200

HEADER = "network,ends,comment"
"The first line of an exported CSV file."
HEADERS = {"ip", "ips", "address", "addresses", "network", "cidr", "ip_address", "ip address", "prefix", "range"}
"First columns of a CSV file's first line."

HTML = re.compile(r"\s*<(?:!doctype|html|head|body|\?xml)", re.IGNORECASE)
COMMENT = re.compile(r"(?:#|;|//)(.*)")
PLAIN = re.compile(r"(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})(?:/32)?\s*", re.ASCII)
UNTIL = re.compile(r"\suntil\s+(\S.*)$")
RANGE = re.compile(r"([0-9A-Fa-f.:]+)\s*[-–]\s*([0-9A-Fa-f.:]+)")

EVERY = "contains every address"
ALL_OTHERS = "To reject all but some addresses, such as on a path, choose Allow only, and enter those."

NONE = Entries(())

Tell = Callable[[int, int], None]
"Takes how many lines are read, and how many there are: at last, as many."

TOLD_EVERY = 5_000
"Lines: some 30 ms."


class BadLine(ValueError):
    """What is wrong with a line, in a sentence."""


def text_of(data: bytes) -> str:
    """An uploaded file. Comments in other encodings than UTF-8 are read as Latin-1."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def to_nobody(_line: int, _total: int) -> None:
    pass


def parsed(text: str, *, is_deny: bool, now: float = 0, known: Entries = NONE, tell: Tell = to_nobody) -> Entries:
    """The entries of a text. Raises PydanticCustomError with a message for the operator, and then takes none of them. `now`:
    the earliest end that makes sense, but for `known` entries."""
    _must_be_a_list(text)
    entries: list[Entry] = []
    wrong: list[str] = []
    wrong_count = 0
    is_export = text.lstrip("\ufeff").startswith(HEADER)
    lines = text.removeprefix("\ufeff").splitlines()
    for number, line in enumerate(lines, 1):
        if number % TOLD_EVERY == 0:
            tell(number, len(lines))
        try:
            if len(line) > LONGEST_LINE:
                raise BadLine(f"longer than {LONGEST_LINE:,} characters ({legible(line[:40])}…)")
            if number > 1 or not _is_header(line):
                of_line = list(_exported(line) if is_export else _entries(line))
                _must_not_have_ended(of_line, now, known)
                entries += of_line
        except ValueError as error:
            wrong_count += 1
            if len(wrong) < MOST_NAMED:
                wrong.append(f"Line {number}: {str(error).rstrip('.')}.")
        if len(entries) > MOST_ENTRIES:
            raise refuse(f"A list can have {MOST_ENTRIES:,} entries at most. Nothing was taken.", FieldCode.TOO_LONG)
    tell(len(lines), len(lines))
    if wrong:
        more = f" And {wrong_count - MOST_NAMED:,} more." if wrong_count > MOST_NAMED else ""
        hint = f" {ALL_OTHERS}" if is_deny and any(line.endswith(f"{EVERY}.") for line in wrong) else ""
        raise refuse("\n".join(wrong) + more + hint)
    return must_fit(ordered(entries), is_deny=is_deny)


def _must_not_have_ended(entries: Iterable[Entry], now: float, known: Entries) -> None:
    for entry in entries:
        if entry.ends_at and entry.ends_at <= now and known.ends.get(entry.network) != entry.ends_at:
            raise BadLine(
                f"{entry.network} would have ended {_moment(entry.ends_at)}. Enter a later end, or remove the line"
            )


def must_fit(entries: Entries, *, is_deny: bool) -> Entries:
    """Raises PydanticCustomError if a list of this kind may not have them."""
    if len(entries.items) > MOST_ENTRIES:
        raise refuse(f"A list can have {MOST_ENTRIES:,} entries at most.", FieldCode.TOO_LONG)
    if is_deny and entries.whole:
        raise refuse(f"These deny every IPv{entries.whole[0]} address. {ALL_OTHERS}")
    return entries


def _must_be_a_list(text: str) -> None:
    if HTML.match(text[:2000]):
        raise refuse("This is a web page (HTML), not a list of addresses. Download the list itself.")
    if "\0" in text[:100_000]:
        raise refuse("This is not a text file. Unpack it first if it is compressed.")
    if sum(map(text.count, LINE_ENDS)) > MOST_LINES:
        raise refuse(f"A list can have {MOST_LINES:,} lines at most. Nothing was taken.", FieldCode.TOO_LONG)


def _is_header(line: str) -> bool:
    return line.split(",", maxsplit=1)[0].strip().strip('"').lower() in HEADERS


def _entries(line: str) -> Iterable[Entry]:
    """Most lines of most lists are IPv4 addresses: those are read the short way."""
    plain = PLAIN.fullmatch(line)
    return (Entry(plain[1]),) if plain and _is_ipv4(plain[1]) else _annotated(line)


def _annotated(line: str) -> Iterator[Entry]:
    match = COMMENT.search(line)
    rest, comment = (line[: match.start()], match[1]) if match else (line, "")
    rest = rest.rstrip()
    rest, until = (rest[: ends.start()], ends[1]) if (ends := UNTIL.search(rest)) else (rest, "")
    first, *others = (column.strip().strip('"').strip() for column in re.split(r"[,\t]", rest.strip()))
    if not first:
        if any(others) or until:
            raise BadLine(f"no address in the first column ({legible(line[:40])})")
        return
    if others and _is_address(others[0]):
        raise BadLine(f"two addresses. Write a range as {legible(first[:45])}-{others[0]}")
    yield from _of(first, _end(until), _plain(comment))


def _exported(line: str) -> Iterator[Entry]:
    """A line of our own CSV."""
    columns = next(csv.reader([line]), [])
    if columns:
        network, ends, comment = (*columns, "", "")[:3]
        yield from _of(network.strip(), _end(ends.strip()), _plain(comment))


def _of(text: str, ends_at: int, comment: str) -> Iterator[Entry]:
    match = RANGE.fullmatch(text)
    if match is None:
        yield Entry(network(text), ends_at, comment)
        return
    try:
        networks = list(summarize_address_range(ip_address(match[1]), ip_address(match[2])))
    except (ValueError, TypeError):
        raise BadLine(
            f"{legible(text[:60])} is not a range. Write the lower address first, both IPv4 or both IPv6"
        ) from None
    yield from (Entry(network(str(part)), ends_at, comment) for part in networks)


def network(text: str) -> str:
    """The canonical form. Raises ValueError with a message."""
    try:
        whole = read_network(text)
    except ValueError as error:
        raise BadLine(legible(str(error))) from None
    if whole.prefixlen == 0:
        raise BadLine(f"{whole} {EVERY}")
    if isinstance(whole, IPv6Network) and whole.supernet_of(MAPPED):
        raise BadLine(f"{whole} contains every IPv4 address, too (::ffff:0:0/96)")
    return str(whole.network_address) if whole.prefixlen == whole.max_prefixlen else str(whole)


def _is_ipv4(text: str) -> bool:
    """Strict: without leading zeros."""
    try:
        socket.inet_pton(socket.AF_INET, text)
    except OSError:
        return False
    return True


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _end(text: str) -> int:
    """0 means never, so what ended before 1970 ends a second later."""
    if not text:
        return 0
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadLine(f"{legible(text[:40])} is not a date or time, for example 2026-12-31T18:00Z") from None
    return max(1, int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()))


def _plain(comment: str) -> str:
    """Without what cannot be seen."""
    return legible(" ".join(comment.split())[:LONGEST_COMMENT])


# Exports


def as_text(entries: Entries) -> str:
    """What `parsed` reads back."""
    return "".join(f"{entry.network}{_until(entry, ' until ')}{_note(entry)}\n" for entry in entries.items)


def as_csv(entries: Entries) -> Iterator[list[str]]:
    """Rows. Cells that a spreadsheet would compute are quoted as text."""
    yield HEADER.split(",")
    for entry in entries.items:
        comment = f"'{entry.comment}" if entry.comment.startswith(("=", "+", "-", "@")) else entry.comment
        yield [entry.network, _until(entry, ""), comment]


def _until(entry: Entry, before: str) -> str:
    return f"{before}{_moment(entry.ends_at)}" if entry.ends_at else ""


def _moment(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _note(entry: Entry) -> str:
    return f"  # {entry.comment}" if entry.comment else ""
