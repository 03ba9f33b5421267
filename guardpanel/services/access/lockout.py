"""Whom a ban or a list would reject by accident: the operator who saves it, this machine, and the servers."""

import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from itertools import chain, islice

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.access.entries import Entries, without
from guardpanel.access.spans import Span, span, within
from guardpanel.errors import FieldError, NeedsConfirmation
from guardpanel.models import PathBinding, Server
from guardpanel.models.types import endpoint
from guardpanel.services.saving.changes import Changes

Doors = Mapping[str, str]
"Addresses that should stay open, with what they are: `203.0.113.7` → `your own address`."

LOOPBACK = {"127.0.0.1": "this machine (loopback)", "::1": "this machine (loopback)"}

YOURS = "your own address"

MOST_NAMED = 3


async def doors(changes: Changes, session: AsyncSession, client: str) -> Doors:
    """`client`: the operator's address, as the panel sees it."""
    facts = changes.renderer.facts
    own = {host: "an address of HAProxy" for host, _ in (*facts.http_binds, *facts.https_binds) if _is_one(host)}
    servers = dict.fromkeys(await _servers(session), "a server")
    yours = {yours: YOURS} if (yours := plain_address(client)) else {}
    return {**{host: words for host, words in servers.items() if _is_one(host)}, **own, **LOOPBACK, **yours}


async def _servers(session: AsyncSession) -> set[str]:
    """Hosts of virtual hosts' servers, and of those that paths have instead."""
    stored = (await session.exec(select(Server.address, Server.scheme).distinct())).all()
    has_own = func.json_array_length(PathBinding.own_servers) > 0
    own = (await session.exec(select(col(PathBinding.own_servers)).where(has_own))).all()
    return {
        *(endpoint(address, scheme=scheme).host for address, scheme in stored),
        *(endpoint(line.split()[0]).host for line in chain.from_iterable(own)),
    }


def must_not_lock_out(doors: Doors, networks: Iterable[str], field: str) -> None:
    """Raises NeedsConfirmation (409) with each address that these networks contain."""
    words = " ".join(locked_out(doors, networks))
    if words:
        raise NeedsConfirmation(words, {field: FieldError(words)})


def locked_out(doors: Doors, networks: Iterable[str]) -> Sequence[str]:
    """A sentence for each of the first."""
    return [
        f"{network} {'is' if network == address else f'contains {address},'} {doors[address]}."
        for network, address in islice(_closed(doors, networks), MOST_NAMED)
    ]


def must_not_shut_out(doors: Doors, before: Entries | None, entries: Entries) -> None:
    """Of a list that allows only its entries: raises NeedsConfirmation (409) if these shut somebody out, and those `before` did
    not. None: it rejected nothing there."""
    words = shut_out(doors, entries)
    if words and (before is None or words != shut_out(doors, before)):
        raise NeedsConfirmation(words, {"entries": FieldError(words)})


def shut_out(doors: Doors, entries: Entries) -> str:
    """A sentence. Empty: such a list has the operator's address. Servers and this machine are seldom meant to be in it."""
    now = time.time()
    spans = [span(entry.network) for entry in entries.items if entry.end > now]
    if not spans:
        return "Without entries, it rejects all requests."
    yours = next((address for address, words in doors.items() if words == YOURS), "")
    if yours and not any(area.contains(place) for area in spans for place in _places(yours)):
        return f"Your own address, {yours}, is not in this list: it would get 403."
    return ""


def without_doors(entries: Entries, doors: Doors) -> tuple[Entries, str]:
    """What may be denied without anybody looking, and the sentences of what was left out."""
    networks = [entry.network for entry in entries.items]
    closed = {network for network, _ in _closed(doors, networks)}
    if not closed:
        return entries, ""
    more = f" {len(closed):,} entries in all." if len(closed) > MOST_NAMED else ""
    return without(entries, closed), " ".join(locked_out(doors, networks)) + more


def _closed(doors: Doors, networks: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Networks with each address in them that should stay open."""
    places = sorted((place.first, address) for address in doors for place in _places(address))
    firsts = [first for first, _ in places]
    for network in networks:
        area = span(network)
        at = bisect_left(firsts, area.first)
        while at < len(places) and firsts[at] <= area.last:
            yield network, places[at][1]
            at += 1


def _places(address: str) -> Iterator[Span]:
    """Where HAProxy looks it up: `0.0.0.0/8`, which lists of addresses that nobody has contain, rejects `::1`, too."""
    yield span(address)
    if ipv4 := within(address):
        yield span(ipv4)


def _is_one(text: str) -> bool:
    try:
        return not ip_address(text).is_unspecified
    except ValueError:
        return False


def plain_address(text: str) -> str:
    """An address as HAProxy sees it: without the zone that a link-local one has. Empty if it is none."""
    return _plain(text) if _is_one(text) else ""


def _plain(text: str) -> str:
    address = ip_address(text.partition("%")[0])
    return str(getattr(address, "ipv4_mapped", None) or address)
