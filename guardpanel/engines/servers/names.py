"""Resolves servers' names with this machine's resolver: /etc/hosts, search domains and DNS (getaddrinfo(3)).

HAProxy would ask libc for one name after the other, 20 s each while DNS does not respond, and its own resolvers know neither
/etc/hosts nor search domains. So the panel looks names up: all at once, with one time limit.
"""

import asyncio
import socket
import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import NamedTuple

from pydantic_core import PydanticCustomError

from guardpanel.bundle import Bundle, NamedServer
from guardpanel.errors import ConfigRejected, Finding
from guardpanel.models.types import in_circles, is_ourselves, server_host

RESOLVER = "This machine’s resolver"

LONGEST = 6.0
"Seconds for all names: libc retries after 5 s if a query was lost (resolv.conf(5), `timeout`)."

NO_ANSWER = "no response in time"

NOT_KNOWN = "can’t be resolved because no name server responds. Try again"

NONE_THERE = {socket.EAI_NONAME, socket.EAI_NODATA, socket.EAI_ADDRFAMILY}
"Errors by which the resolver states that there is no address. Others may be temporary."


class Resolution(NamedTuple):
    """The result of a look-up. Without addresses, `problem` is the reason, and `is_none` tells that there certainly is none."""

    addresses: tuple[str, ...] = ()
    problem: str = ""
    is_none: bool = False


Lookup = Callable[[str], Sequence[str]]
"A name's addresses, best first. Raises OSError if there are none."


def addresses(name: str) -> Sequence[str]:
    """In libc's order, but IPv4 first: dual-stack names are common where IPv6 does not work."""
    addresses = [str(entry[4][0]) for entry in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)]
    return sorted(dict.fromkeys(addresses), key=lambda address: ":" in address)


class Names:
    """Looks names up in threads of their own: a resolver that hangs blocks neither a save nor the panel's shutdown."""

    def __init__(self, lookup: Lookup = addresses) -> None:
        self._lookup = lookup
        self._asking: dict[str, asyncio.Future[Resolution]] = {}

    async def find(self, names: Collection[str], longest: float = LONGEST) -> dict[str, Resolution]:
        """Each name's result after at most `longest` seconds for all."""
        lookups = {name: self._asking.get(name) or self._ask(name) for name in names}
        if lookups:
            await asyncio.wait(lookups.values(), timeout=longest)
        silent = Resolution(problem=f"{NO_ANSWER} ({longest:.0f} s)")
        return {name: future.result() if future.done() else silent for name, future in lookups.items()}

    def _ask(self, name: str) -> "asyncio.Future[Resolution]":
        loop = asyncio.get_running_loop()
        future = self._asking[name] = loop.create_future()

        def answer(resolution: Resolution) -> None:
            del self._asking[name]
            future.set_result(resolution)

        def ask() -> None:
            resolution = self._look(name)
            with suppress(RuntimeError):  # The loop is closed: nothing waits any more.
                loop.call_soon_threadsafe(answer, resolution)

        threading.Thread(target=ask, name=f"lookup of {name}", daemon=True).start()
        return future

    def _look(self, name: str) -> Resolution:
        try:
            addresses = self._lookup(name)
        except OSError as error:
            return Resolution(problem=error.strerror or str(error), is_none=error.errno in NONE_THERE)
        except UnicodeError as error:  # A label is too long.
            return Resolution(problem=str(error), is_none=True)
        usable = tuple(address for address in addresses if _is_usable(address))
        if usable:
            return Resolution(usable)
        return Resolution(problem=f"{', '.join(addresses[:3])} can’t be a server", is_none=True)


def _is_usable(address: str) -> bool:
    """A name must not resolve to an address that must not be typed: cloud metadata, multicast."""
    try:
        return server_host(address) == (address, False)
    except PydanticCustomError:
        return False


def must_have_addresses(
    servers: Collection[NamedServer],
    resolutions: dict[str, Resolution],
    bundle: Bundle,
    binds: Collection[tuple[str, int]],
) -> None:
    """Raises ConfigRejected with each server, at its field, that has no address or whose address is HAProxy's own."""
    findings = [_finding(server, words, bundle) for server in servers if (words := _wrong(server, resolutions, binds))]
    if findings:
        output = "\n".join(finding.message for finding in findings)
        raise ConfigRejected(
            "A server name does not resolve to a usable address.", engine=RESOLVER, output=output, findings=findings
        )


def _wrong(
    server: NamedServer, resolutions: dict[str, Resolution], binds: Collection[tuple[str, int]]
) -> tuple[str, str] | None:
    """The resolver's message and ours. None if the server is fine."""
    answer = resolutions[server.host]
    if not answer.addresses:
        message = f"could not resolve address '{server.host}': {answer.problem}"
        what = "does not resolve. Check the spelling" if answer.is_none else NOT_KNOWN
        return message, f"{server.host} {what}, or enter an IP address."
    address = answer.addresses[0]
    if is_ourselves(f"{address}:{server.port}", binds):
        return f"{server.host} is {address}", in_circles(f"{server.host}:{server.port}")
    return None


def _finding(server: NamedServer, words: tuple[str, str], bundle: Bundle) -> Finding:
    origin = server.origin
    line = next((line for line, known in bundle.origins["haproxy.cfg"].items() if known == origin), None)
    return Finding(RESOLVER, words[0], "haproxy.cfg", line, origin.noun, origin.id, origin.field, advice=words[1])
