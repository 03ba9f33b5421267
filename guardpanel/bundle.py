"""The rendered files of a desired state, and the field that each line came from."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from guardpanel.kept import KeptLast

SERVERS = "servers.txt"
"""The file with what HAProxy takes of servers at run time. Lines `be_17/s1 100 ready 192.0.2.1:80`: backend and server, weight,
`ready` or `maint`, as `set server … state` has it, and the address, if it can change at run time, too."""

BINDINGS, AGENT = "vhosts.map", "coraza.yaml"

JUDGING = frozenset({BINDINGS, AGENT})
"""Files that say how requests are judged: the virtual hosts with their policies, and the agent's applications. The map is
replaced in the running process at one moment, and HAProxy never reads the other."""


KINDS = frozenset({"files", "secrets", "data"})
"Of files, as a release's manifest lists them."

WITHOUT_KEYS = KINDS - {"secrets"}
"""What a save looks at again after a swap, in which HAProxy reads no file with a private key. These were looked at when the
release was staged, in the same save, and are again by the next look for drift, seconds later."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The field that a rendered line came from: noun `virtual_host`, id 17, field `servers.0.address`."""

    noun: str
    id: int
    field: str
    typed_line: int = 0
    "Of the field's text, if the line is one of several that were typed there."


@dataclass(frozen=True, slots=True)
class Application:
    """A rule set of the WAF agent. Its name contains the hash of its text: equal names mean equal rules."""

    name: str
    directives: str
    response_check: bool
    blocks: bool
    "Whether it denies (enforcement mode block) or only detects."
    policy_ids: tuple[int, ...]
    origins: Mapping[int, Origin]
    "By 1-based line of `directives`."


@dataclass(frozen=True)
class Bundle:
    """Files by path relative to a release directory.

    `checksum` is the SHA-256 (hex) of all files without the places that contain it: HAProxy's `description`, the sentinel's name
    and the probe's response, from which live processes report it; without what HAProxy takes of servers at run time; and without
    those that say how requests are judged (JUDGING).

    `secrets` are files with private keys. The checksum does not cover them: new content under the same name needs no reload. They
    are never shown, compared or exported.

    `data` are maps that change more often than the configuration that reads them, and what HAProxy takes of servers at run time
    (SERVERS). The checksum does not cover them either.

    `outside` are maps outside the release, by absolute path. HAProxy does not start without them; what is in them is no
    configuration.
    """

    files: Mapping[str, bytes]
    checksum: str
    applications: tuple[Application, ...]
    origins: Mapping[str, Mapping[int, Origin]]
    "By file and 1-based line."
    named_servers: tuple["NamedServer", ...] = field(default=())
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    data: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    outside: tuple[str, ...] = ()

    @property
    def by_kind(self) -> Mapping[str, Mapping[str, bytes]]:
        """As in a release's manifest, where files that say how requests are judged count as data."""
        judging = {name: content for name, content in self.files.items() if name in JUDGING}
        fixed = {name: content for name, content in self.files.items() if name not in JUDGING}
        return {"files": fixed, "secrets": self.secrets, "data": {**self.data, **judging}}

    @cached_property
    def hashes(self) -> Mapping[str, Mapping[str, str]]:
        """The SHA-256 (hex) of each file, by kind."""
        hashes = {kind: hashes_of(files) for kind, files in self.by_kind.items() if kind != "secrets"}
        return {**hashes, "secrets": HASHES.get(self.secrets, lambda: hashes_of(self.secrets))}

    @cached_property
    def secrets_digest(self) -> str:
        hashes = self.hashes["secrets"]
        return DIGEST.get(hashes, lambda: digest_of(hashes))

    @cached_property
    def data_digest(self) -> str:
        return digest_of(self.hashes["data"])


@dataclass(frozen=True, slots=True)
class NamedServer:
    """A server given by name that must resolve when it is saved (`resolve later` is not ticked)."""

    origin: Origin
    host: str
    port: int


def hashes_of(files: Mapping[str, bytes]) -> Mapping[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}


HASHES, DIGEST = KeptLast[Mapping[str, str]](), KeptLast[str]()
"Of files with private keys: few saves change one, and there may be a thousand."


def digest_of(hashes: Mapping[str, str]) -> str:
    """SHA-256 (hex) over the names and hashes of files. Empty without any."""
    return hashlib.sha256(repr(sorted(hashes.items())).encode()).hexdigest() if hashes else ""
