"""Lines in the order of their networks: found, exchanged and compared as if all of them had been read."""

import random
import sys
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from types import FrameType
from typing import Any

import pytest

from guardpanel.access import entries as entries_module
from guardpanel.access import lines, parsing
from guardpanel.access.entries import Entries, Entry, ordered, with_added, with_changes, without
from guardpanel.access.spans import span
from guardpanel.engines.runtime.map_swapping import MapChange
from guardpanel.services.access.list_edits import difference


def network(chance: random.Random) -> str:
    """Few enough that many contain others."""
    if chance.random() < 0.5:
        bits, prefix, first = 32, chance.choice([20, 24, 30, 32]), 10 << 24 | chance.randrange(1 << 14)
        return parsing.network(f"{IPv4Address(first >> (bits - prefix) << (bits - prefix))}/{prefix}")
    bits, prefix, first = 128, chance.choice([32, 100, 118, 128]), 0x20010DB8 << 96 | chance.randrange(1 << 14)
    return parsing.network(f"{IPv6Address(first >> (bits - prefix) << (bits - prefix))}/{prefix}")


def entry(chance: random.Random) -> Entry:
    return Entry(network(chance), chance.choice([0, 1_000, 2_000]), chance.choice(["", "Ada’s", "x"]))


def some_entries(chance: random.Random, most: int) -> Entries:
    return ordered(entry(chance) for _ in range(chance.randrange(most)))


def contained(networks: list[str], address: str) -> str | None:
    """The narrowest that contains it."""
    inner = span(address)
    around = [network for network in networks if span(network).contains(inner)]
    return max(around, key=span) if around else None


@pytest.mark.parametrize("seed", range(5))
def test_the_longest_prefix_is_found_without_reading_the_others(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(100):
        entries = some_entries(chance, 40)
        networks = [entry.network for entry in entries.items]
        for address in (network(chance).partition("/")[0] for _ in range(5)):
            decides = lines.deciding(entries.map, address)
            assert (decides[0] if decides else None) == contained(networks, address)
            assert decides is None or decides[1] == str(entries.find(decides[0]).end)  # type: ignore[union-attr]


def test_an_ipv6_address_in_no_ipv6_network_is_looked_up_as_the_ipv4_one_within_it() -> None:
    """As HAProxy 2.6 to 3.4 do (tests/live/test_address_lists.py)."""
    content = b"0.0.0.0/8 1\n192.0.2.0/24 2\n2002:c000:200:7::/64 3\n2002:cb00:7100::/40 4\n"
    expected = {
        "::1": "1", "::192.0.2.7": "2", "::ffff:192.0.2.7": "2", "2002:c000:200:8::": "2", "2002:c000:200:7::": "3",
        "2002:cb00:7107::1": "4", "64:ff9b::c000:207": "", "::ffff:0:c000:207": "", "::1:0:0": "", "2002:c000:300::": "",
    }  # fmt: skip

    decides = {address: lines.deciding(content, address) for address in expected}

    assert {address: line[1] if line else "" for address, line in decides.items()} == expected


@pytest.mark.parametrize("seed", range(5))
def test_edits_leave_the_texts_that_all_entries_together_have(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries_module, "FEW", 1)
    chance = random.Random(seed)
    for _ in range(40):
        before = entries = some_entries(chance, 60)
        for _ in range(4):
            gone = [one.network for one in chance.sample(entries.items, min(len(entries.items), chance.randrange(3)))]
            entries = with_added(without(entries, gone), some_entries(chance, 4).items)
            whole = Entries(entries.items)
            assert (entries.text, entries.map, entries.reference) == (whole.text, whole.map, whole.reference)
        if entries.since is not None and entries.since.digest == before.reference.digest:
            assert with_changes(before, entries.changes) == entries


def test_entries_of_which_many_change_are_made_of_none() -> None:
    few = ordered(Entry(f"10.0.{at // 250}.{at % 250}") for at in range(1000))

    assert with_added(few, [Entry(f"10.9.0.{at}") for at in range(5)]).since is not None
    assert with_added(few, [Entry(f"10.9.0.{at}") for at in range(50)]).since is None
    edited = few
    for at in range(50):
        edited = with_added(edited, [Entry(f"10.9.0.{at}")])
        assert edited.since is None or len(edited.since.networks) <= len(edited.items) // 100


@pytest.mark.parametrize("seed", range(3))
def test_some_are_taken_in_turns_until_all_were(seed: int) -> None:
    entries = some_entries(random.Random(seed), 60)
    taken: list[str] = []
    at, is_first = 0, True
    while is_first or at:
        networks, at = lines.some(entries.map, at, 7)
        taken, is_first = taken + networks, False

    assert taken == [entry.network for entry in entries.items]
    assert lines.some(b"", 5, 7) == ([], 0)


def steps(do: Callable[[], Any]) -> int:
    """Bytecodes of Python that it takes: as many at each time, however busy the machine is."""
    count = 0

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        do()
    finally:
        sys.settrace(before)
    return count


def one_entry_more(total: int) -> dict[str, int]:
    """What each step of a save takes that handles the entries."""
    entries = ordered(Entry(f"10.{at >> 16}.{at >> 8 & 255}.{at & 255}") for at in range(0, 2 * total, 2))
    more = entries.text, entries.map, entries.reference
    assert all(more)
    after = with_added(entries, [Entry("10.0.0.7")])
    change = MapChange.between(entries.map, after.map)
    assert (change.total, change.size, after.since is not None) == (total + 1, 1, True)
    return {
        "added": steps(lambda: with_added(entries, [Entry("10.0.0.7")]).reference),
        "removed": steps(lambda: without(entries, ["10.0.0.8"]).reference),
        "judged": steps(lambda: parsing.must_fit(after, is_deny=True)),
        "in words": steps(lambda: difference(entries, after)),
        "for HAProxy": steps(lambda: MapChange.between(entries.map, after.map)),
        "proved": steps(lambda: lines.deciding(after.map, "10.0.0.7")),
        "looked at": steps(lambda: lines.some(after.map, 900, 5)),
    }


def test_one_entry_takes_as_many_steps_in_a_list_of_twenty_times_as_many() -> None:
    """But those that halve what is left."""
    short, long = one_entry_more(1_000), one_entry_more(20_000)

    assert {name: long[name] for name in long if long[name] > 2 * short[name]} == {}
