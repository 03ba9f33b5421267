"""Where the engines meet, and what they can do: the same for every revision of an installation."""

from dataclasses import dataclass

from guardpanel.models.policy import KIB, LARGEST_BODY_KIB_IN_SMALL_FRAMES
from guardpanel.models.policy_judging import LARGEST_BODY_KIB

LARGEST_HEADERS = 32 * KIB
"Bytes of all request headers together; more gets 431. Leaves room in HAProxy's buffer for the body."

LARGEST_ADDRESS = 8 * KIB
"Bytes of path and query together; more gets 414, for the same reason."


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """Where the engines meet, from the settings: the same for every revision of an installation."""

    http_binds: tuple[tuple[str, int], ...]
    probe_socket: str
    agent_socket: str
    system_ca: str
    "The machine's certificate authorities: a PEM file, or `@system-ca` for HAProxy's built-in default."
    secret: str
    "Known to the panel and HAProxy alone: marks the panel's own requests."
    small_frames: bool = False
    "The agent is a coraza-spoa: where HAProxy's buffers are larger than 64 KiB it refuses every connection."

    server_states: str = ""
    """The file in which a new worker finds what the one before knew of servers; its path is part of the configuration, what is
    in it is not. Empty: there is nobody who writes one."""
    drops_trailers: bool = False
    "HAProxy knows `option http-drop-request-trailers` (3.2): where it does not, requests with trailers are refused."

    runs_lua: bool = False
    "HAProxy was built with Lua: without it, it can see no trailers of a body that passes in parts."

    lua_folder: str = ""
    """Where engines/haproxy.py puts the filter in Lua: its path is absolute, as HAProxy reads it once for each thread,
    the first time from the configuration's folder, and from where it was started then."""

    memory_mib: int = 2048
    "Of the machine or the container, as services/installation.py remembers it."

    open_files: int = 100_000
    "File descriptors that HAProxy may have."

    holds_responses: bool = False
    "HAProxy can wait for a response and go on with what came (2.8): 2.6 then loses those whose server closes."

    @property
    def largest_body(self) -> int:
        """Bytes of a request's body that can be inspected; a policy's limit may say more than that."""
        return KIB * (LARGEST_BODY_KIB_IN_SMALL_FRAMES if self.small_frames else LARGEST_BODY_KIB)
