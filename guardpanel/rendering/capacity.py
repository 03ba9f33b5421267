"""How much may happen at a time, so that HAProxy's memory stays within its share whatever visitors do.

Memory follows what stalls: a buffer costs nothing until bytes touch it, and then as much as they fill, up to its size. A
connection that reads slowly can fill three of them (what came from the server, what is on its way, what waits for the
visitor). Buffers of every virtual host are as large as the largest body that a policy inspects.
"""

from typing import NamedTuple

from guardpanel.models.policy import KIB
from guardpanel.rendering.facts import EngineFacts
from guardpanel.rendering.state import DesiredState

MIB = 1024 * KIB

LARGE_BUFFER = 256 * KIB
"From here on, what only passes through is spliced past the buffers."

LARGE_BODY = 128 * KIB
"Bytes. Over that, as many are inspected at a time as there is memory for."

BUFFERS_EACH = 3

RESERVE = 128
"""Connections above the most that visitors have: for the panel and its proofs, and for answering whoever is one too many."""

FEWEST, MOST = 200, 20_000

FEWEST_PER_CLIENT = 6
"A browser's connections to one host."

FILES_BESIDE = 1_000
"File descriptors for everything but visitors: health checks, the agent, sockets."

FILES_EACH = 4
"Of a connection at most: its own, its server's and a pipe's two."


class Capacity(NamedTuple):
    """At a time."""

    connections: int
    "Of visitors."
    requests_per_client: int
    "In progress."
    large_bodies: int
    "In inspection; 0: no policy takes any."
    large_bodies_per_client: int
    large_answers: int
    "On their way that cannot be spliced, and of one client as many as large bodies; 0: buffers are too small to matter."
    stalled_kib: int
    "What a request that stalls can take."


def by_files(facts: EngineFacts) -> int:
    """For how many connections there are file descriptors."""
    return max(FEWEST, (facts.open_files - FILES_BESIDE) // FILES_EACH - 3 * RESERVE)


def by_memory(facts: EngineFacts) -> int:
    """A quarter of the memory at an eighth of a MiB for each, as far as there are file descriptors."""
    return max(FEWEST, min(MOST, facts.memory_mib * MIB // 4 // (MIB // 8), by_files(facts)))


def most_stalled(memory_mib: int, buffer: int) -> int:
    """How many requests that fill their buffers take a quarter of the memory."""
    return memory_mib * MIB // 4 // (BUFFERS_EACH * buffer)


def capacity(state: DesiredState, buffer: int) -> Capacity:
    traffic, stalled = state.traffic, most_stalled(state.facts.memory_mib, buffer)
    connections = min(traffic.max_connections, by_files(state.facts)) or by_memory(state.facts)
    per_client = traffic.max_requests_per_client or min(max(connections // 4, FEWEST_PER_CLIENT), max(32, stalled))
    bodies = max(8, stalled) if state.body_limit > LARGE_BODY else 0
    answers = bodies if buffer > LARGE_BUFFER else 0
    return Capacity(connections, per_client, bodies, max(4, bodies // 4), answers, BUFFERS_EACH * buffer // KIB)
