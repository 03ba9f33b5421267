"""Entries of maps that change in the running HAProxy, without a reload: one by one if they are few, else all in a transaction.

Entries are counted before and after: somebody else may have changed the map, and HAProxy ends a payload at a line that it does
not understand. No request sees half of a transaction (`prepare map` and `commit map`, Management Guide §9.3).
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from itertools import islice

from guardpanel.engines.haproxy.map_commands import Line, MapCommands, MapState, canonical
from guardpanel.engines.runtime.swapping import NotSwapped

ONE_BY_ONE = 20
"Changes. More of them take longer than a transaction of a short list."

PROVED = 5
"Changed entries of a transaction that HAProxy is asked for afterwards."


@dataclass(frozen=True)
class MapChange:
    gone: Mapping[str, str]
    new: Mapping[str, str]
    "Networks with their values, also those whose value differs."
    after: Mapping[str, str]

    @classmethod
    def between(cls, before: bytes, after: bytes) -> "MapChange":
        """Mostly a few lines of hundreds of thousands: those around them are neither read nor compared one by one."""
        start = before.rfind(b"\n", 0, _alike(before, after)) + 1
        was, now = before[start:], after[start:]
        end = was.find(b"\n", len(was) - _alike(was[::-1], now[::-1])) + 1 or len(was)
        was, now = was[:end], now[: len(now) - len(was) + end]
        removed, added = parsed(was), parsed(now)
        gone = {network: value for network, value in removed.items() if network not in added}
        new = {network: value for network, value in added.items() if removed.get(network) != value}
        return cls(gone, new, parsed(after))

    @property
    def size(self) -> int:
        return len(self.gone) + len(self.new)


def _alike(left: bytes, right: bytes) -> int:
    """The number of bytes at the beginning that are equal."""
    least, most = 0, min(len(left), len(right))
    while least < most:
        middle = (least + most + 1) // 2
        if left[least:middle] == right[least:middle]:
            least = middle
        else:
            most = middle - 1
    return least


def parsed(content: bytes) -> dict[str, str]:
    """Values by network, neither of which has a space. There may be hundreds of thousands. Raises ValueError otherwise."""
    words = content.decode().split()
    return dict(zip(words[::2], words[1::2], strict=True))


class MapSwapper:
    def __init__(self, cli: MapCommands) -> None:
        self.cli = cli

    async def swap(self, file: str, before: bytes, after: bytes) -> None:
        """Change the newest worker's map of this file. Raises NotSwapped if it is not what it was, or not what it should be
        afterwards, and EngineUnavailable."""
        change = await asyncio.to_thread(MapChange.between, before, after)
        state = await self._state(file)
        if change.size <= ONE_BY_ONE and state.entries == before.count(b"\n"):
            await self._change(state.number, change)
        else:
            await self._replace(file, state, change)
        await self._prove(file, change)

    async def _state(self, file: str) -> MapState:
        state = (await self.cli.map_states()).get(file)
        if state is None:
            raise NotSwapped(f"HAProxy has no map {file}.")
        return state

    async def _change(self, number: int, change: MapChange) -> None:
        for network in change.gone:
            await self.cli.take_out_of_map(number, network)
        for network, value in change.new.items():
            answer = await self.cli.look_up(number, _first(network))
            await self.cli.put_in_map(number, network, value, is_there=answer is not None and answer[0] == network)

    async def _replace(self, file: str, state: MapState, change: MapChange) -> None:
        version = await self.cli.prepare_map(state.number)
        await self.cli.fill_map(state.number, version, list(change.after.items()))
        both = (await self._state(file)).entries
        if both != state.entries + len(change.after):
            raise NotSwapped(f"HAProxy counts {both:,} entries of {file}, not {state.entries + len(change.after):,}.")
        await self.cli.commit_map(state.number, version)

    async def _prove(self, file: str, change: MapChange) -> None:
        state = await self._state(file)
        if state.entries != len(change.after):
            raise NotSwapped(f"HAProxy has {state.entries:,} entries of {file}, not {len(change.after):,}.")
        some = [*islice(change.new, PROVED), *islice(change.gone, PROVED)]
        for network in some if change.size > ONE_BY_ONE else [*change.new, *change.gone]:
            wanted, answered = (
                deciding(change.after, _first(network)),
                await self.cli.look_up(state.number, _first(network)),
            )
            if answered != wanted:
                raise NotSwapped(f"HAProxy does not have {network} of {file} as it is in the file.")


def deciding(entries: Mapping[str, str], address: str) -> Line | None:
    """The entry with the longest prefix that contains an address, as HAProxy's maps decide."""
    for network in _around(address):
        if network in entries:
            return network, entries[network]
    return None


def _around(address: str) -> Iterable[str]:
    """All networks that contain an address, narrowest first."""
    whole = ip_address(address)
    return (canonical(str(ip_network((whole, prefix), strict=False))) for prefix in range(whole.max_prefixlen, -1, -1))


def _first(network: str) -> str:
    return network.partition("/")[0]
