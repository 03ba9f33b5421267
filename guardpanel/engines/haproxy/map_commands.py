"""HAProxy's maps over its CLI: counted, changed by entry or as a whole, and asked for what they would answer. And what a table
has counted of a key, and forgets.

Maps are named by number: their files' names may hold what the CLI reads as something else. Formats as HAProxy 2.6 to 3.4 answer
(Management Guide §9.3, `show map`, `prepare map`, `get map`).
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address, ip_network
from typing import NamedTuple

from guardpanel.errors import EngineUnavailable

CHUNK = 15_000
"Bytes of a payload: with its command it fits the smallest buffer that is rendered."

LISTED = re.compile(r"^(\d+) \((.+)\) pattern loaded from .*entry_cnt=(\d+)", re.MULTILINE)
COUNT = re.compile(r"\b(\w+)(?:\(\d+\))?=(\d+)")
"Of a table's entry: `http_req_rate(10000)=3`."

TABLE = re.compile(r"^# table: (\S+), type: \w+, size:(\d+), used:(\d+)", re.MULTILINE)

TABLE_ENTRY = re.compile(r"^0x\w+: key=(\S+) (.*)$", re.MULTILINE)

TRIES = 5
"To set a client's counts to 0."

ENTRY = re.compile(r'found=yes.*?key="([^"]*)", value="([^"]*)"')

VALUE = re.compile(r"[A-Za-z0-9-]{1,20}")
"What maps of ours have: a time, a country, a network."

Line = tuple[str, str]
"A key, mostly a network, and its value."


class MapState(NamedTuple):
    number: int
    entries: int
    "Of all versions together, while one is prepared."


class TableSize(NamedTuple):
    used: int
    size: int
    "Entries at most."


class MapCommands(ABC):
    @abstractmethod
    async def _ask(self, command: str, patience: float = 0.0, *, again_after_silence: bool = True) -> str: ...

    async def map_states(self, pid: int = 0) -> dict[str, MapState]:
        """Of a worker's maps, by default the newest's, by file as in the configuration."""
        listed = await self._ask(f"{worker(pid)} show map")
        return {file: MapState(int(number), int(entries)) for number, file, entries in LISTED.findall(listed)}

    async def look_up(self, number: int, address: str) -> Line | None:
        """The entry that decides about an address, as this HAProxy finds it."""
        answer = await self._ask(f"@1 get map #{number:d} {plain(address)}")
        match = ENTRY.search(answer)
        if match is None and "found=no" not in answer:
            raise EngineUnavailable(f"HAProxy returned an unexpected response to `get map`: {answer[:200]}")
        return (canonical(match[1]), match[2]) if match else None

    async def counts(self, table: str, key: str) -> dict[str, int]:
        """What a table has counted of a key, by name: `conn_cur`. Empty: nothing, or there is no such table."""
        answer = await self._ask(f"@1 show table {_word(table)} key {_key(key)}")
        return dict(_entries(answer)).get(key, {})

    async def table_sizes(self) -> dict[str, TableSize]:
        """By table, those of peers and of what HAProxy itself counts included."""
        listed = await self._ask("@1 show table")
        return {name: TableSize(int(used), int(size)) for name, size, used in TABLE.findall(listed)}

    async def counts_from(self, table: str, name: str, least: int) -> dict[str, dict[str, int]]:
        """The same of all keys of which it has counted this much, by key."""
        answer = await self._ask(f"@1 show table {_word(table)} data.{_word(name)} ge {least:d}")
        return dict(_entries(answer))

    async def forget_rates(self, table: str, key: str) -> None:
        """What is in progress stays counted: `clear table` would refuse. What comes in between counts again, so a client that
        keeps asking may have as much as before: then it is tried again. Raises EngineUnavailable if it never has less."""
        for _ in range(TRIES):
            counted = await self.counts(table, key)
            before = {name: number for name, number in counted.items() if number and name.endswith("_rate")}
            if not before:
                return
            zeros = " ".join(f"data.{name} 0" for name in before)
            answer = (await self._ask(f"@1 set table {_word(table)} key {_key(key)} {zeros}")).strip()
            if answer:
                raise EngineUnavailable(f"HAProxy still has what it counted of {key}. {answer[:200]}")
            after = await self.counts(table, key)
            if all(after.get(name, 0) < number for name, number in before.items()):
                return
        raise EngineUnavailable(f"HAProxy still has what it counted of {key}, or has counted as much again.")

    async def prepare_map(self, number: int, pid: int = 0) -> int:
        """Begin a new version of it."""
        answer = await self._ask(f"{worker(pid)} prepare map #{number:d}")
        match = re.search(r"New version created: (\d+)", answer)
        if match is None:
            raise EngineUnavailable(f"HAProxy prepared no new version of a map: {answer[:200]}")
        return int(match[1])

    async def fill_map(self, number: int, version: int, lines: Sequence[Line], pid: int = 0) -> None:
        """Raises EngineUnavailable if it does not take one of them."""
        for chunk in _chunks(lines):
            answer = (await self._ask(f"{worker(pid)} add map @{version:d} #{number:d} <<\n{chunk}")).strip()
            if answer:
                raise EngineUnavailable(f"HAProxy did not take an entry of a map: {answer[:200]}")

    async def commit_map(self, number: int, version: int, pid: int = 0) -> None:
        answer = (await self._ask(f"{worker(pid)} commit map @{version:d} #{number:d}")).strip()
        if answer:
            raise EngineUnavailable(f"HAProxy did not take the new version of a map: {answer[:200]}")

    async def put_in_map(self, number: int, network: str, value: str, *, is_there: bool) -> None:
        """A second `add` of a network would be hidden below the first one."""
        if not VALUE.fullmatch(value):
            raise ValueError(value)
        await self._change(f"{'set' if is_there else 'add'} map #{number:d} {canonical(network)} {value}")

    async def take_out_of_map(self, number: int, network: str) -> None:
        await self._change(f"del map #{number:d} {canonical(network)}")

    async def _change(self, command: str) -> None:
        answer = (await self._ask(f"@1 {command}")).strip()
        if answer:
            raise EngineUnavailable(f"HAProxy did not change a map: {answer[:200]}")


def _word(name: str) -> str:
    """Of a table, or of what it counts."""
    if not re.fullmatch(r"[a-z0-9_]{1,64}", name):
        raise ValueError(f"not the name of a table or counter: {name!r}")
    return name


def _key(key: str) -> str:
    if not re.fullmatch(r"[0-9a-z.:-]{1,64}", key):
        raise ValueError(f"not a table's key: {key!r}")
    return key


def _entries(answer: str) -> Iterator[tuple[str, dict[str, int]]]:
    for key, counted in TABLE_ENTRY.findall(answer):
        yield key, {name: int(number) for name, number in COUNT.findall(counted)}


def worker(pid: int) -> str:
    """The prefix of a command for this process, or for the newest worker."""
    return f"@!{pid:d}" if pid else "@1"


def plain(address: str) -> str:
    """Raises ValueError for what is no address, and for one with a zone."""
    return str(ip_address(_without_zone(address)))


def _without_zone(text: str) -> str:
    """Python takes any character for a part of a zone, and `;` begins another command."""
    if "%" in text:
        raise ValueError(f"not an address without a zone: {text!r}")
    return text


def canonical(network: str) -> str:
    """As our files have it: without a prefix that says nothing."""
    whole = ip_network(_without_zone(network))
    return str(whole.network_address) if whole.prefixlen == whole.max_prefixlen else str(whole)


def _chunks(lines: Iterable[Line]) -> Iterator[str]:
    chunk: list[str] = []
    size = 0
    for network, value in lines:
        line = f"{network} {value}\n"
        if size + len(line) > CHUNK:
            yield "".join(chunk)
            chunk, size = [], 0
        chunk.append(line)
        size += len(line)
    if chunk:
        yield "".join(chunk)
