"""Which rules judge a request in a state of the configuration: those of its virtual host, or of the longest path bound there."""

from collections import defaultdict
from collections.abc import Mapping

from guardpanel.bundle import Application
from guardpanel.models.delivery.redirect import Redirect
from guardpanel.models.policies.enforcement import EnforcementMode
from guardpanel.rendering import DesiredState
from guardpanel.rendering.bound_paths import BoundPaths
from guardpanel.rendering.coraza import application, effective
from guardpanel.rendering.state import PathState
from guardpanel.rendering.virtual_host import VirtualHostState


class Judging:
    """Requests by the id of their virtual host and their path. Disabled virtual hosts get none."""

    def __init__(self, state: DesiredState) -> None:
        self._state = state
        self._hosts = {host.id: _judged(host, host) for host in state.virtual_hosts}
        self._owners: dict[str, int | None] = dict.fromkeys(state.names_off)
        self._owners |= {name: host.id for host in state.virtual_hosts for name in host.hostnames}
        self._bound = defaultdict(list)
        for path, at_path in state.bound_paths:
            self._bound[path.virtual_host_id].append((path.path, path.path_match, (_judged(path, at_path.host),)))
        self._paths = {host_id: BoundPaths(paths) for host_id, paths in self._bound.items()}

    def owner_of(self, hostname: str) -> int | None:
        """By its name, or else by a wildcard for one label."""
        return self._owners.get(hostname, self._owners.get(f"*.{hostname.partition('.')[2]}"))

    def directives_at(self, host_id: int, path: str) -> str:
        """Empty: nothing inspects it."""
        host = self._hosts.get(host_id)
        bound = self._paths[host_id].at(path) if host_id in self._paths else None
        inspects = self._application_of(bound[0] if bound else host)
        return inspects.directives if inspects else ""

    def affected_in(self, after: "Judging") -> list[int]:
        """Virtual hosts whose requests other rules would judge: all, those of a path, or those of a hostname that another one
        gets. Not those that would be disabled or deleted."""
        rules, later = self._rules(), after._rules()
        owners = {(self.owner_of(name), after.owner_of(name)) for name in {*self._owners, *after._owners}}
        pairs = ((now, then) for now, then in owners if now in rules and then in later)
        return sorted({now for now, then in pairs if now and then and rules[now] != later[then]})

    def directives_after(self, after: "Judging", host_id: int, hostname: str, path: str) -> tuple[str, str]:
        """Those of this state, and of that one, where another virtual host may have the hostname."""
        then = after.owner_of(hostname) if self.owner_of(hostname) == host_id else None
        return self.directives_at(host_id, path), after.directives_at(then or host_id, path)

    def _rules(self) -> Mapping[int, frozenset[tuple[str, str, str]]]:
        """What inspects the requests of each virtual host: names of applications, with the paths that they are bound to."""
        rules = {}
        for host in self._state.virtual_hosts:
            places = [("", "", (self._hosts[host.id],)), *self._bound[host.id]]
            rules[host.id] = frozenset((path, match, self._name_of(bound)) for path, match, (bound,) in places)
        return rules

    def _name_of(self, host: VirtualHostState | None) -> str:
        inspects = self._application_of(host)
        return inspects.name if inspects else ""

    def _application_of(self, host: VirtualHostState | None) -> Application | None:
        key = effective(self._state, host) if host else None
        if key is None or key[1] is EnforcementMode.OFF:
            return None
        policy_id, mode, own = key
        tuning = self._state.tuning.of(policy_id, own)
        return application(self._state.policies[policy_id], mode, tuning, foreign=self._state.facts.small_frames)


def _judged(place: VirtualHostState | PathState, host: VirtualHostState) -> VirtualHostState | None:
    """None of what is redirected."""
    return host if place.redirect is Redirect.NO else None
