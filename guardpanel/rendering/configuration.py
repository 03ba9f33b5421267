"""haproxy.cfg. What surrounds the backends is rendered again if something else than servers changed, and of the backends those of
virtual hosts that changed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import cached_property
from typing import Any, NamedTuple

from guardpanel.bundle import Application, Origin
from guardpanel.certificates.served import NO_CERTIFICATES
from guardpanel.kept import KeptLast
from guardpanel.rendering import coraza, haproxy
from guardpanel.rendering.backends import Backend, Shared, backend, sections
from guardpanel.rendering.haproxy import Frame
from guardpanel.rendering.state import DesiredState
from guardpanel.rendering.virtual_host import VirtualHostState

NO_MARK = "0" * 64
"Placeholder for the checksum while it is computed."


class Surroundings(NamedTuple):
    """What is rendered of a state without its servers."""

    applications: tuple[Application, ...]
    agent: bytes
    texts: Mapping[str, str]
    "HAProxy's files but haproxy.cfg, by path."
    contents: Mapping[str, bytes]
    "The same, encoded."
    frame: Frame
    shared: Shared

    @classmethod
    def of(cls, state: DesiredState) -> "Surroundings":
        names, applications = coraza.applications(state)
        agent, texts = coraza.agent_configuration(state.facts, applications), haproxy.files(state, names)
        contents = {path: text.encode() for path, text in texts.items()}
        return cls(applications, agent, texts, contents, haproxy.frame(state, NO_MARK), Shared.of(state))


class _Host(NamedTuple):
    """A virtual host as it was rendered last."""

    state: VirtualHostState
    bare: VirtualHostState
    "Without its servers."
    backends: Sequence[Backend]


class Configuration(NamedTuple):
    surroundings: Surroundings
    backends: Sequence[Backend]

    @property
    def text(self) -> str:
        return self._around(part.text for part in self.backends)

    @property
    def fixed(self) -> str:
        """Without what HAProxy takes of servers at run time."""
        return self._around(part.fixed for part in self.backends)

    @property
    def weights(self) -> str:
        """What it takes of them."""
        return "".join(part.weights for part in self.backends)

    def _around(self, parts: Iterator[str]) -> str:
        frame = self.surroundings.frame
        return "".join((frame.before, *parts, frame.after))


class Origins(Mapping[int, Origin]):
    """By line of haproxy.cfg. Put together when a line is looked for: few saves are refused."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration

    @cached_property
    def _by_line(self) -> Mapping[int, Origin]:
        frame, origins = self._configuration.surroundings.frame, dict[int, Origin]()
        first = line = frame.before.count("\n")
        for part in self._configuration.backends:
            origins.update((line + at, origin) for at, origin in part.origins)
            line += part.lines
        for at, origin in frame.origins.items():  # In which the backends are one line.
            origins[at if at <= first else at - 1 + line - first] = origin
        return origins

    def __getitem__(self, line: int) -> Origin:
        return self._by_line[line]

    def __iter__(self) -> Iterator[int]:
        return iter(self._by_line)

    def __len__(self) -> int:
        return len(self._by_line)


class Configurations:
    """Of the state that was rendered last. Threads share it."""

    def __init__(self) -> None:
        self._surroundings = KeptLast[Surroundings]()
        self._known: tuple[Surroundings | None, Mapping[int, _Host]] = None, {}

    def of(self, state: DesiredState) -> Configuration:
        before, known = self._known
        hosts = [known.get(host.id) for host in state.virtual_hosts]
        bare = tuple(_bare(host, was) for host, was in zip(state.virtual_hosts, hosts, strict=True))
        surroundings = self._surrounding(state, bare)
        now = [
            was if was and was.state is host and surroundings is before else _rendered(host, its, state, surroundings)
            for host, its, was in zip(state.virtual_hosts, bare, hosts, strict=True)
        ]
        self._known = surroundings, {host.state.id: host for host in now}
        return Configuration(surroundings, [part for host in now for part in host.backends])

    def _surrounding(self, state: DesiredState, bare: tuple[VirtualHostState, ...]) -> Surroundings:
        """Of certificates, only the chosen ones are part of it."""
        facts = replace(state.facts, certificates=NO_CERTIFICATES)
        around = replace(state, virtual_hosts=bare, facts=facts)
        chosen = state.chosen_certificates if state.https_hosts else None
        return self._surroundings.get((_values(around), chosen), lambda: Surroundings.of(around.with_chosen(chosen)))


def _values(state: DesiredState) -> list[Any]:
    return [getattr(state, field.name) for field in fields(state)]


def _bare(host: VirtualHostState, was: _Host | None) -> VirtualHostState:
    """The same object as before, if it is equal: then it takes no time to compare."""
    if was and was.state is host:
        return was.bare
    bare = host._replace(servers=())
    return was.bare if was and was.bare == bare else bare


def _rendered(host: VirtualHostState, bare: VirtualHostState, state: DesiredState, surroundings: Surroundings) -> _Host:
    shared = surroundings.shared
    return _Host(host, bare, [backend(section, shared.common) for section in sections(host, state, shared)])
