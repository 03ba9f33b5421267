"""Which path of a virtual host gets which policy: maps from canonical paths to what is bound to them.

HAProxy decodes the path of a request and looks for the longest binding with which it begins (map_beg, in any order of the file).
Keys are as HAProxy makes paths there (`bound_paths.py`), with a final slash: `/login` also is `/login/`, but not `/login2`.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple
from urllib.parse import quote

from guardpanel.models.delivery.redirect import Redirect
from guardpanel.models.path_binding import BoundPath
from guardpanel.models.policies.enforcement import EnforcementMode
from guardpanel.rendering.bound_paths import fold, outer_paths, spellings, with_slash
from guardpanel.rendering.rest import Rest
from guardpanel.rendering.state import DesiredState, PathState
from guardpanel.rendering.tokens import Token
from guardpanel.rendering.virtual_host import VirtualHostState

HOSTS_MAP, BELOW_MAP, EXACT_MAP = "path_hosts.map", "paths.map", "paths_exact.map"
REDIRECTS_MAP = "redirects.map"
STRONG_BELOW_MAP, STRONG_EXACT_MAP = "paths_strong.map", "paths_strong_exact.map"
WRITTEN_BELOW_MAP, WRITTEN_EXACT_MAP = "paths_written.map", "paths_written_exact.map"

UNESCAPED = "/!$&()*+,:=@-._~"
"What clients leave as it is in a path (RFC 3986 §3.3)."

LETTERS_A_LINE = 10

ALL_OF_IT = "-"

WEAK = "weak"
"Marks what inspects less than what is around it: it only gets requests whose path is written as such."

STRICTNESS = (EnforcementMode.OFF, EnforcementMode.DETECT_ONLY, EnforcementMode.BLOCK)


class Entry(NamedTuple):
    """Of a map, without its key's beginning."""

    virtual_host_id: int
    path: str
    value: str
    is_exact: bool
    is_weak: bool

    @property
    def line(self) -> str:
        """As decoded: `17:/café/ 17.4`."""
        return f"{self.virtual_host_id}:{with_slash(fold(self.path))} {self.value}{f':{WEAK}' * self.is_weak}\n"

    @property
    def written_line(self) -> str:
        """As written in a request: `17:/caf%c3%a9/ 17.4`. One that is exact has no other spelling: `17:/café 17.4`"""
        path = quote(self.path, safe=UNESCAPED).lower()
        return f"{self.virtual_host_id}:{path if self.is_exact else with_slash(path)} {self.value}{f':{WEAK}' * self.is_weak}\n"


def entries(state: DesiredState) -> list[Entry]:
    """Weak is what is less strict than the virtual host, or than a path around it."""
    around = {(host.id, ""): strictness(state, host) for host in state.virtual_hosts} if state.paths else {}
    for path, bound in state.bound_paths:
        if path.path_match is BoundPath.BELOW:
            around[path.virtual_host_id, fold(path.path)] = strictness(state, bound.host)
    return [
        Entry(
            path.virtual_host_id,
            path.path,
            bound.key,
            path.path_match is BoundPath.EXACT,
            any(
                around.get((path.virtual_host_id, outer), 0) > strictness(state, bound.host)
                for outer in outer_paths(fold(path.path))
            ),
        )
        for path, bound in state.bound_paths
    ]


def strictness(state: DesiredState, host: VirtualHostState) -> int:
    return STRICTNESS.index(state.effective(host)[1])


class RedirectRule(NamedTuple):
    """What is redirected, by what it is bound to."""

    key: str
    code: Redirect
    parts: int | None
    "Of a request's path, which the target replaces. None: all of it, and the query."
    target: str

    @property
    def line(self) -> str:
        """`17.4 301;1;https://new.example`: status, parts that are replaced, target."""
        parts = ALL_OF_IT if self.parts is None else self.parts
        return f"{self.key} {self.code};{parts};{self.target.removesuffix('/') if self.parts is not None else self.target}\n"


def redirects(state: DesiredState) -> list[RedirectRule]:
    """Of virtual hosts, which keep all of a path, and of paths."""
    bound: list[tuple[str, VirtualHostState | PathState, int]] = [
        *((str(host.id), host, 0) for host in state.virtual_hosts),
        *((bound.key, path, path.path.count("/")) for path, bound in state.bound_paths),
    ]
    return [
        RedirectRule(key, each.redirect, parts if each.redirect_rest else None, each.redirect_to)
        for key, each, parts in bound
        if each.redirect is not Redirect.NO
    ]


def spelled_letters(paths: Iterable[str]) -> list[Token]:
    """Converters that fold these paths' letters beyond ASCII, several to a line."""
    spelled = spellings(paths)
    each = [f"regsub('{'|'.join(others)}','{letter}',g)" for letter, others in spelled.items()]
    return [Token(",".join(each[first : first + LETTERS_A_LINE])) for first in range(0, len(each), LETTERS_A_LINE)]


def parameters(state: DesiredState) -> dict[str, Any]:
    """What the config templates need."""
    bound, rules = entries(state), redirects(state)
    return {
        "paths": bool(reading(state)),
        "redirect_codes": sorted({int(rule.code) for rule in rules}),
        "redirect_rests": [Rest(parts) for parts in sorted({rule.parts for rule in rules if rule.parts})],
        "redirects_whole": any(rule.parts == 0 for rule in rules),
        "spelled_letters": spelled_letters(path.path for path in state.paths),
        "login_paths": any(path.requires_login for path in state.paths),
        "weak_paths": any(entry.is_weak for entry in bound),
        "path_pages": have_pages(state),
        "early_rule": Token("tcp-request content"),
        "rule": Token("http-request"),
    }


def have_pages(state: DesiredState) -> bool:
    """Whether a path has error pages of its own."""
    return any(name == "error_page_id" for path in state.paths for name, _ in path.differences)


def reading(state: DesiredState) -> list[int]:
    """Virtual hosts whose requests' paths are read: those with bindings, and those that put a path in front, which no step up may
    leave."""
    return sorted(
        {path.virtual_host_id for path in state.paths} | {host.id for host in state.virtual_hosts if host.server_path}
    )


def files(state: DesiredState) -> dict[str, str]:
    bound = sorted(entries(state))
    maps = {REDIRECTS_MAP: "".join(rule.line for rule in rules)} if (rules := redirects(state)) else {}
    if not (hosts := reading(state)):
        return maps
    maps |= {
        HOSTS_MAP: "".join(f"{number} 1\n" for number in hosts),
        BELOW_MAP: "".join(entry.line for entry in bound if not entry.is_exact),
        EXACT_MAP: "".join(entry.line for entry in bound if entry.is_exact),
    }
    if any(entry.is_weak for entry in bound):
        maps[STRONG_BELOW_MAP] = "".join(entry.line for entry in bound if not entry.is_exact and not entry.is_weak)
        maps[STRONG_EXACT_MAP] = "".join(entry.line for entry in bound if entry.is_exact and not entry.is_weak)
        maps[WRITTEN_BELOW_MAP] = "".join(entry.written_line for entry in bound if not entry.is_exact)
        maps[WRITTEN_EXACT_MAP] = "".join(entry.written_line for entry in bound if entry.is_exact)
    return maps
