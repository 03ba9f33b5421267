"""Where the engines meet and what they support: the same for every revision of an installation."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from guardpanel.certificates.served import NO_CERTIFICATES, ServedCertificates
from guardpanel.models.policies.policy import KIB, LARGEST_BODY_KIB_IN_SMALL_FRAMES
from guardpanel.models.policies.policy_judging import LARGEST_BODY_KIB

LARGEST_HEADERS = 32 * KIB
"Bytes of all request headers together. More returns 431. Leaves room in HAProxy's buffer for the body."

LARGEST_ADDRESS = 8 * KIB
"Bytes of path and query together. More returns 414, for the same reason."


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """Where the engines meet, from the settings: the same for every revision of an installation."""

    http_binds: tuple[tuple[str, int], ...]
    probe_socket: str
    agent_socket: str
    system_ca: str
    "The machine's certificate authorities: a PEM file, or `@system-ca` for HAProxy's built-in default."
    secret: str
    "A secret of the panel and HAProxy that marks the panel's own requests."
    small_frames: bool = False
    "The agent is coraza-spoa, which rejects every connection if HAProxy's buffers exceed 64 KiB."

    server_states: str = ""
    """The file from which a new worker reads what the previous one knew about servers. Its path is part of the configuration, its
    content is not. Empty: nobody writes one."""
    drops_trailers: bool = False
    "HAProxy supports `option http-drop-request-trailers` (3.2). Otherwise requests with trailers are rejected."

    runs_lua: bool = False
    "HAProxy was built with Lua. Without it, it cannot see trailers of a body that passes in parts, nor delay requests."

    lua_folder: str = ""
    """Where engines/haproxy/haproxy.py puts the Lua code. The path is absolute, since HAProxy reads it once per thread, first
    from the configuration's directory and then from where it was started."""

    memory_mib: int = 2048
    "Of the machine or container, as recorded by services/installation.py."

    open_files: int = 100_000
    "HAProxy's limit of file descriptors."

    https_binds: tuple[tuple[str, int], ...] = ()
    has_tls: bool = True
    "HAProxy was built with OpenSSL. Without it, no virtual host is served over HTTPS."

    no_http3: str = "HAProxy has not been asked."
    "Why it cannot serve HTTP/3. Empty: it can."

    default_certificate: bytes = field(default=b"", repr=False)
    "For handshakes without a name, or with one that no other certificate covers: PEM, with its key."
    acme_thumbprint: str = ""
    "Of the key with which ACME authorities know this installation."
    own_thumbprints: Mapping[str, str] = field(default_factory=dict, hash=False)
    "Of other keys, by the name that an authority is about to ask for."
    proves_by_dns: bool = True
    "DNS-01 is set up. Without it, no authority issues wildcards."

    certificates: ServedCertificates = NO_CERTIFICATES
    "Not part of a snapshot: a restored revision is rendered with the newest contents."

    list_maps: Mapping[str, bytes] = field(default_factory=dict, repr=False, hash=False)
    "HAProxy's files of address lists, by the hash of their entries, which rows name."

    login_digests: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    "HAProxy's hashes of logins, by what is sealed in the rows."

    bans_map: str = ""
    "HAProxy's file of banned networks. It is not part of a release: bans are no configuration. Empty: nobody is banned."

    feeds_dir: str = "/var/lib/guardpanel/feeds"
    "The directory with HAProxy's files of lists that feeds fill, which are not part of a release either."

    geo_dir: str = "/var/lib/guardpanel/geo"
    "The directory with HAProxy's files of countries and networks. They are large, change alone, and are not part of a release."

    has_countries: bool = True
    has_networks: bool = True
    "There is something in them. Without it, no policy can ask."

    holds_responses: bool = False
    "HAProxy can wait for a response and continue with a partial one (2.8). 2.6 loses those whose server closes."

    more_counters: bool = False
    "HAProxy can count a request in more than 3 tables (2.8)."

    moves_servers: bool = False
    "HAProxy can change the address of a server while it runs, and then sends no request to the one before."

    tables_socket: str = ""
    """Where a new worker gets the old one's counts of requests. Its path is part of the configuration. Empty: a reload forgets
    them."""

    def thumbprint_for(self, name: str) -> str:
        """Of the account's key with which HAProxy answers an authority that asks for a name."""
        return self.own_thumbprints.get(name, self.acme_thumbprint)

    @property
    def largest_body(self) -> int:
        """Bytes of a request body that can be inspected. A policy's limit may be higher."""
        return KIB * (LARGEST_BODY_KIB_IN_SMALL_FRAMES if self.small_frames else LARGEST_BODY_KIB)
