"""Entries of maps that change in the running HAProxy, without a reload: one by one if they are few, else all in a transaction.

Entries are counted before and after: somebody else may have changed the map, and HAProxy ends a payload at a line that it does
not understand. No request sees half of a transaction (`prepare map` and `commit map`, Management Guide §9.3).
"""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import islice

from guardpanel.access import lines
from guardpanel.engines.haproxy.map_commands import MapCommands, MapState
from guardpanel.engines.runtime.map_replacing import lines_of
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
    known: Collection[str]
    "Those of them whose value differs."
    after: bytes
    "The whole file, in order (access/lines.py)."
    before_total: int
    total: int

    @classmethod
    def between(cls, before: bytes, after: bytes) -> "MapChange":
        """Mostly a few lines of hundreds of thousands: the others are not read."""
        was, now = lines.middle(before, after)
        removed, added, total = parsed(was), parsed(now), before.count(b"\n")
        gone = {network: value for network, value in removed.items() if network not in added}
        new = {network: value for network, value in added.items() if removed.get(network) != value}
        return cls(gone, new, removed.keys() & new.keys(), after, total, total - was.count(b"\n") + now.count(b"\n"))

    @property
    def size(self) -> int:
        return len(self.gone) + len(self.new)


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
        if change.size <= ONE_BY_ONE and state.entries == change.before_total:
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
        """What is new comes first: in between, an address that both have must not be in neither."""
        for network, value in change.new.items():
            await self.cli.put_in_map(number, network, value, is_there=network in change.known)
        for network in change.gone:
            await self.cli.take_out_of_map(number, network)

    async def _replace(self, file: str, state: MapState, change: MapChange) -> None:
        version = await self.cli.prepare_map(state.number)
        await self.cli.fill_map(state.number, version, await asyncio.to_thread(lines_of, change.after))
        both = (await self._state(file)).entries
        if both != state.entries + change.total:
            raise NotSwapped(f"HAProxy counts {both:,} entries of {file}, not {state.entries + change.total:,}.")
        await self.cli.commit_map(state.number, version)

    async def _prove(self, file: str, change: MapChange) -> None:
        state = await self._state(file)
        if state.entries != change.total:
            raise NotSwapped(f"HAProxy has {state.entries:,} entries of {file}, not {change.total:,}.")
        some = [*islice(change.new, PROVED), *islice(change.gone, PROVED)]
        for network in some if change.size > ONE_BY_ONE else [*change.new, *change.gone]:
            address = _first(network)
            if await self.cli.look_up(state.number, address) != lines.deciding(change.after, address):
                raise NotSwapped(f"HAProxy does not have {network} of {file} as it is in the file.")


def _first(network: str) -> str:
    return network.partition("/")[0]
