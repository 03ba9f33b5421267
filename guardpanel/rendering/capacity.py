"""How much may happen concurrently, so that HAProxy's memory stays within its share whatever visitors do.

Stalled requests take memory: a buffer costs nothing until bytes touch it, and then as much as they fill, up to its size. A
connection that reads slowly can fill three (what the server sent, what is in transit, what waits for the visitor). Buffers of all
virtual hosts are as large as the largest body that a policy inspects.
"""

from typing import NamedTuple

from guardpanel.models.policies.policy import KIB
from guardpanel.rendering.facts import EngineFacts
from guardpanel.rendering.state import DesiredState

MIB = 1024 * KIB

LARGE_BUFFER = 256 * KIB
"Bytes from which data that only passes through is spliced past the buffers."

LARGE_BODY = 128 * KIB
"Bytes. Larger bodies are inspected as memory permits."

BUFFERS_EACH = 3

CONNECTION = 128 * KIB
"Bytes that a connection may take besides its requests."

RESERVE = 128
"Connections in addition to those of visitors: for the panel and its probes, and for rejecting excess ones."

FEWEST, MOST = 200, 20_000

FEWEST_PER_CLIENT = 6
"A browser's connections per host."

FILES_BESIDE = 1_000
"File descriptors besides those of visitors: health checks, the agent, sockets."

FILES_EACH = 4
"File descriptors per connection at most: its own, its server's and two of a pipe."


class Capacity(NamedTuple):
    """Maximum concurrent numbers."""

    connections: int
    "Visitors' connections."
    requests_per_client: int
    "Requests in progress."
    large_bodies: int
    "Large bodies in inspection. 0: no policy accepts any."
    large_bodies_per_client: int
    large_answers: int
    "Large responses in transit that cannot be spliced, and large bodies per client. 0: buffers are too small to matter."
    stalled_kib: int
    "Bytes that a stalled request can take."
    delayed: int
    "Requests over a client limit that wait for room."


def by_files(facts: EngineFacts) -> int:
    """The number of connections for which there are file descriptors."""
    return max(FEWEST, (facts.open_files - FILES_BESIDE) // FILES_EACH - 3 * RESERVE)


def by_memory(facts: EngineFacts) -> int:
    """Those that take a quarter of the memory, limited by file descriptors."""
    return max(FEWEST, min(MOST, facts.memory_mib * MIB // 4 // CONNECTION, by_files(facts)))


def most_stalled(memory_mib: int, buffer: int) -> int:
    """The number of requests with full buffers that take a quarter of the memory."""
    return memory_mib * MIB // 4 // (BUFFERS_EACH * buffer)


def capacity(state: DesiredState, buffer: int) -> Capacity:
    traffic, stalled = state.traffic, most_stalled(state.facts.memory_mib, buffer)
    connections = min(traffic.max_connections, by_files(state.facts)) or by_memory(state.facts)
    per_client = traffic.max_requests_per_client or min(max(connections // 4, FEWEST_PER_CLIENT), max(32, stalled))
    bodies = max(8, stalled) if state.body_limit > LARGE_BODY else 0
    answers = bodies if buffer > LARGE_BUFFER else 0
    return Capacity(
        connections, per_client, bodies, max(4, bodies // 4), answers, BUFFERS_EACH * buffer // KIB, connections // 10
    )
