"""Which rules judge a request in a state of the configuration: those of its virtual host, or of the longest path bound there."""

from collections import defaultdict
from collections.abc import Mapping

from guardpanel.bundle import Application
from guardpanel.models.path_binding import Redirect
from guardpanel.models.policies.enforcement import EnforcementMode
from guardpanel.rendering import DesiredState
from guardpanel.rendering.bound_paths import BoundPaths
from guardpanel.rendering.coraza import application, effective
from guardpanel.rendering.virtual_host import VirtualHostState


class Judging:
    """Requests by the id of their virtual host and their path. Disabled virtual hosts get none."""

    def __init__(self, state: DesiredState) -> None:
        self._state = state
        self._hosts = {host.id: host for host in state.virtual_hosts}
        self._owners: dict[str, int | None] = dict.fromkeys(state.names_off)
        self._owners |= {name: host.id for host in state.virtual_hosts for name in host.hostnames}
        bound = defaultdict(list)
        for path, at_path in state.bound_paths:
            host = at_path.host if path.redirect is Redirect.NO else None
            bound[path.virtual_host_id].append((path.path, path.path_match, (host,)))
        self._paths = {host_id: BoundPaths(paths) for host_id, paths in bound.items()}

    def owner_of(self, hostname: str) -> int | None:
        """By its name, or else by a wildcard for one label."""
        return self._owners.get(hostname, self._owners.get(f"*.{hostname.partition('.')[2]}"))

    def directives_at(self, host_id: int, path: str) -> str:
        """Empty: nothing inspects it."""
        host = self._hosts.get(host_id)
        bound = self._paths[host_id].at(path) if host_id in self._paths else None
        inspects = self._application_of(bound[0] if bound else host)
        return inspects.directives if inspects else ""

    def applications(self) -> Mapping[int, frozenset[str]]:
        """The names of all that inspect a virtual host's requests."""
        names = defaultdict(set)
        for bound in self._state.bound:
            inspects = self._application_of(bound.host)
            names[bound.host.id].add(inspects.name if inspects else "")
        return {host_id: frozenset(own) for host_id, own in names.items()}

    def _application_of(self, host: VirtualHostState | None) -> Application | None:
        key = effective(self._state, host) if host else None
        if key is None or key[1] is EnforcementMode.OFF:
            return None
        policy_id, mode, own = key
        tuning = self._state.tuning.of(policy_id, own)
        return application(self._state.policies[policy_id], mode, tuning, foreign=self._state.facts.small_frames)
