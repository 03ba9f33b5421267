"""Lists of addresses as they come: each line is read, or named with what is wrong with it."""

import csv
import io
import random
import tracemalloc
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as some
from pydantic_core import PydanticCustomError

from guardpanel.access import parsing
from guardpanel.access.entries import FOREVER, Entries, Entry, ordered, with_added
from guardpanel.access.lines import deciding
from guardpanel.access.spans import span
from guardpanel.engines.runtime.map_swapping import MapChange
from guardpanel.errors import Invalid
from guardpanel.models import AddressList
from guardpanel.models.access.address_list import ListKind
from guardpanel.services.access.list_edits import adding, difference
from tests.corpus import CORPUS

NEW_YEAR = int(datetime(2027, 1, 1, tzinfo=UTC).timestamp())


def read(text: str, *, is_deny: bool = True) -> Entries:
    return parsing.parsed(text, is_deny=is_deny)


def refused(text: str, *, is_deny: bool = True) -> str:
    with pytest.raises(PydanticCustomError) as error:
        read(text, is_deny=is_deny)
    return error.value.message()


@pytest.mark.parametrize(
    ("line", "entries"),
    [
        ("", []),
        ("   # only words", []),
        ("; Spamhaus DROP", []),
        ("// words", []),
        ("192.0.2.7", [Entry("192.0.2.7")]),
        ("192.0.2.7/32", [Entry("192.0.2.7")]),
        ("  192.0.2.0/24\t", [Entry("192.0.2.0/24")]),
        ("192.0.2.0/255.255.255.0", [Entry("192.0.2.0/24")]),
        ("1.10.16.0/20 ; SBL256894", [Entry("1.10.16.0/20", 0, "SBL256894")]),
        ("192.0.2.7 # Ada’s  office", [Entry("192.0.2.7", 0, "Ada’s office")]),
        ("192.0.2.7 // http://x.example", [Entry("192.0.2.7", 0, "http://x.example")]),
        ('"192.0.2.7","spam",12', [Entry("192.0.2.7")]),
        ("192.0.2.7\t10", [Entry("192.0.2.7")]),
        ("2001:DB8::/32", [Entry("2001:db8::/32")]),
        ("::ffff:192.0.2.7", [Entry("192.0.2.7")]),
        ("::ffff:192.0.2.0/120", [Entry("192.0.2.0/24")]),
        ("192.0.2.0-192.0.2.2", [Entry("192.0.2.0/31"), Entry("192.0.2.2")]),
        ("2001:db8:: - 2001:db8::1", [Entry("2001:db8::/127")]),
        ("192.0.2.7 until 2027-01-01  # till then", [Entry("192.0.2.7", NEW_YEAR, "till then")]),
        ("192.0.2.7 until 2027-01-01T01:00+01:00", [Entry("192.0.2.7", NEW_YEAR)]),
        ("192.0.2.7  until  2027-01-01 \t ", [Entry("192.0.2.7", NEW_YEAR)]),
        (" " * 1024, []),
        ("ip,country", []),
    ],
)
def test_a_line_is_read_as_it_is_published(line: str, entries: list[Entry]) -> None:
    assert list(read(line).items) == entries
    assert list(read(f"\ufeff{line}\r\n\r\n").items) == entries


@pytest.mark.parametrize("end", ["1901-01-01", "1970-01-01", "2001-01-01"])
def test_an_end_in_the_past_is_never_taken_for_none(end: str) -> None:
    (entry,) = read(f"192.0.2.7 until {end}").items

    assert 0 < entry.ends_at < NEW_YEAR
    with pytest.raises(PydanticCustomError, match=r"Line 2: .* would have ended"):
        parsing.parsed(f"192.0.2.1\n192.0.2.7 until {end}", is_deny=True, now=NEW_YEAR)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("192.0.2.7/24", "192.0.2.7/24 has host bits set. Enter 192.0.2.0/24."),
        ("192.0.2.07", "192.0.2.07 is not an IP address"),
        ("10/8", "10/8 is not an IP address"),
        ("192.0.2.256", "192.0.2.256 is not an IP address"),
        ("fe80::1%eth0", "has a zone"),
        ("[2001:db8::1]", "is not an IP address"),
        ("shop.example", "Names are not resolved here."),
        ("0.0.0.0/0", "0.0.0.0/0 contains every address."),
        ("::/0", "::/0 contains every address."),
        ("::/16", "::/16 contains every IPv4 address, too"),
        ("192.0.2.9-192.0.2.1", "Write the lower address first"),
        ("192.0.2.1-2001:db8::1", "both IPv4 or both IPv6"),
        ("192.0.2.0,192.0.2.255", "Write a range as 192.0.2.0-192.0.2.255."),
        ("192.0.2.1 192.0.2.2", "is not an IP address"),
        ("192.0.2.7 until soon", "soon is not a date or time"),
        (",comment", "no address in the first column"),
        ("1" * 1025, "longer than 1,024 characters"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_and_nothing_is_taken(line: str, words: str) -> None:
    message = refused(f"192.0.2.1\n{line}\n192.0.2.3")

    assert message.startswith("Line 2: ")
    assert words in message


def test_twenty_lines_are_named_and_the_others_counted() -> None:
    message = refused("\n".join(["x"] * 23))

    assert message.count("Line ") == message.count("\nLine ") + 1 == 20
    assert message.endswith("And 3 more.")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<!DOCTYPE html><html>", "This is a web page (HTML)"),
        ("  <html lang=en>", "This is a web page (HTML)"),
        ("PK\3\4\0\0", "This is not a text file."),
        ("\r" * 600_000 + "\n\x0b" * 300_000, "A list can have 1,000,000 lines at most."),
        ("0.0.0.0/1\n128.0.0.0/1", "These deny every IPv4 address."),
        ("\n".join(f"{at}.0.0.0/8" for at in range(256)), "These deny every IPv4 address."),
    ],
)
def test_what_is_no_list_of_some_addresses_is_refused(text: str, words: str) -> None:
    assert words in refused(text)


def test_no_list_has_more_entries_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """As they are sent, and together with those that are there."""
    monkeypatch.setattr(parsing, "MOST_ENTRIES", 3)
    three = read("192.0.2.1\n192.0.2.3\n192.0.2.5")

    assert refused("192.0.2.1\n" * 4) == "A list can have 3 entries at most. Nothing was taken."
    assert refused("192.0.2.1-192.0.2.14") == "A list can have 3 entries at most. Nothing was taken."
    with pytest.raises(Invalid, match="A list can have 3 entries at most"):
        adding("192.0.2.7")(AddressList(name="Full", kind=ListKind.DENY), three, lambda _line, _total: None)


@pytest.mark.parametrize("line", ["1", "\t", "# 1"])
def test_one_line_of_10_mb_is_named_and_takes_no_more_than_its_copies(line: str) -> None:
    text = f"192.0.2.1\n{line * (10_000_000 // len(line))}\n192.0.2.3"
    tracemalloc.start()
    try:
        message = refused(text)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert message.startswith("Line 2: longer than 1,024 characters")
    assert len(message) < 250
    assert most < 2.5 * len(text)


def test_an_allow_list_may_have_everything() -> None:
    assert len(read("0.0.0.0/1\n128.0.0.0/1", is_deny=False).items) == 2


def taken(text: str) -> tuple[Entries | None, str]:
    """What is read, or why nothing is."""
    try:
        return read(text), ""
    except PydanticCustomError as error:
        return None, error.message()


@pytest.mark.parametrize("text", CORPUS)
def test_hostile_text_stays_text(text: str) -> None:
    """As a line it is named without what cannot be seen; as a comment it is kept without it."""
    for line in (text, f"192.0.2.7 # {text}"):
        entries, words = taken(line)
        assert words.replace("\nLine ", "").isprintable()
        if entries is not None:
            assert entries.text.decode().replace("\n", "").replace("\t", "").isprintable()
            assert Entries.read(entries.text).items == entries.items
            assert entries.map.isascii()


def test_doubles_and_what_others_cover_are_left_out_and_counted() -> None:
    entries = read("10.0.0.0/8\n10.1.0.0/16\n10.1.2.3\n192.0.2.7\n192.0.2.7/32 # again\n2001:db8::1\n2001:db8::/32")

    assert [entry.network for entry in entries.items] == ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"]
    assert (entries.doubles, entries.covered) == (1, 3)
    assert entries.items[1].comment == "again"


networks = some.builds(
    lambda third, prefix: str(parsing.network(f"10.0.{third >> (24 - prefix) << (24 - prefix)}.0/{prefix}")),
    some.integers(0, 3),
    some.integers(22, 24),
)
lists = some.lists(some.builds(Entry, networks, some.sampled_from([0, 100, 200, 300])), max_size=8)


def covering(entries: Iterable[Entry], network: str, now: float) -> list[Entry]:
    """Those in effect that contain this network, widest first."""
    inner = span(network)
    return [entry for entry in entries if entry.end > now and span(entry.network).contains(inner)]


@given(lists, some.sampled_from([50, 150, 250, 350]), some.integers(0, 3))
def test_the_longest_prefix_decides_as_all_entries_together(entries: list[Entry], now: int, third: int) -> None:
    """HAProxy looks one entry up: an address is listed by it if it is by any of those that were given."""
    address = f"10.0.{third}.1"
    entry = deciding(ordered(entries).map, address)

    assert (entry is not None and int(entry[1]) > now) is bool(covering(entries, address, now))


@given(lists, lists)
def test_a_few_are_added_as_if_all_were_sorted_again(before: list[Entry], new: list[Entry]) -> None:
    there, added = ordered(before), ordered(new)
    replaced = {entry.network for entry in added.items}
    kept = [entry for entry in there.items if entry.network not in replaced]

    after = with_added(there, added.items)

    assert after == Entries(ordered([*kept, *added.items]).items)
    assert all(after.find(entry.network) == entry for entry in after.items)
    assert after.find("10.9.0.0/24") is None


def test_every_address_is_noticed_whatever_was_added_last() -> None:
    halves = ordered([Entry(network) for network in ("0.0.0.0/2", "64.0.0.0/2", "::/1", "2001:db8::/32")])

    assert halves.whole == []
    assert with_added(halves, [Entry("128.0.0.0/1")]).whole == [4]
    assert with_added(halves, [Entry("8000::/1")]).whole == [6]


def test_networks_are_ordered_by_address() -> None:
    assert span("10.0.0.0/8") < span("10.0.0.0/16") < span("10.0.0.1") < span("192.0.2.0/24") < span("::1")


def test_exports_are_read_back() -> None:
    entries = read('192.0.2.7 until 2027-01-01 # =cmd, "quoted"\n10.0.0.0/8\n2001:db8::/32 # all')
    out = io.StringIO()
    csv.writer(out).writerows(parsing.as_csv(entries))

    assert read(parsing.as_text(entries)).items == entries.items
    again = read(out.getvalue())
    assert [(item.network, item.ends_at) for item in again.items] == [
        (item.network, item.ends_at) for item in entries.items
    ]
    assert "'=cmd" in out.getvalue()  # No spreadsheet computes it.


def test_a_change_has_what_differs() -> None:
    change = MapChange.between(b"10.0.0.0/8 5\n192.0.2.7 6\n", b"10.0.0.0/8 7\n192.0.2.8 6\n")

    assert (dict(change.gone), dict(change.new)) == ({"192.0.2.7": "6"}, {"10.0.0.0/8": "7", "192.0.2.8": "6"})
    assert FOREVER == 9_999_999_999


def test_only_the_lines_that_differ_are_compared_whatever_they_are() -> None:
    chance = random.Random(17)

    def network() -> str:
        return f"10.0.{chance.randrange(3)}.{chance.randrange(12)}"

    def file(entries: dict[str, str]) -> bytes:
        return "".join(
            f"{network} {value}\n" for network, value in sorted(entries.items(), key=lambda entry: span(entry[0]))
        ).encode()

    for _ in range(2000):
        before = {network(): chance.choice(["1", "11", "21"]) for _ in range(chance.randrange(8))}
        after = before | {network(): chance.choice(["1", "11", "21"]) for _ in range(chance.randrange(3))}
        for gone in chance.sample(sorted(after), min(len(after), chance.randrange(3))):
            del after[gone]

        change = MapChange.between(file(before), file(after))

        assert (change.before_total, change.total) == (len(before), len(after))
        assert change.gone == {name: value for name, value in before.items() if name not in after}
        assert change.new == {name: value for name, value in after.items() if before.get(name) != value}


MANY = tuple(Entry(f"192.0.2.{at}") for at in range(4))


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ([], [Entry("203.0.113.9")], "entry 203.0.113.9 added"),
        (MANY, [Entry("203.0.113.9")], "entry 203.0.113.9 added, 4 entries removed"),
        (MANY[:2], [], "entries 192.0.2.0, 192.0.2.1 removed"),
        ([Entry("192.0.2.7")], [Entry("192.0.2.7", comment="scans")], "entry 192.0.2.7 changed"),
        ([Entry("192.0.2.7", 4_007_836_800)], [Entry("192.0.2.7")], "entry 192.0.2.7 changed"),
        (MANY, MANY, ""),
    ],
)
def test_words_of_an_edit_name_entries_or_their_number(
    before: Sequence[Entry], after: Sequence[Entry], words: str
) -> None:
    assert difference(ordered(before), ordered(after))[1] == words
