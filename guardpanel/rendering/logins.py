"""Basic authentication: which virtual hosts and paths need a login, and HAProxy's map of them.

HAProxy hashes what a client sends with a key and looks for it: a few microseconds, where a hash made for passwords would stop all
requests of its thread for milliseconds. So the hashes are as secret as private keys: they are sealed in the database, and their
maps are readable for HAProxy's user alone.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection
from typing import NamedTuple

from guardpanel.models.path_binding import BoundPath
from guardpanel.rendering.bound_paths import fold, outer_paths
from guardpanel.rendering.state import DesiredState, PathState
from guardpanel.rendering.tokens import Token
from guardpanel.sealing import login_key


class LoginState(NamedTuple):
    """What a virtual host's section needs."""

    check: Token
    "What HAProxy computes of a request: the user's name."
    paths: tuple[str, ...]
    "Keys of the path bindings that need a login. Empty: all of the virtual host does."


def needing(state: DesiredState) -> dict[int, tuple[str, ...]]:
    """By virtual host: the keys of its path bindings that need a login, none for all of it."""
    needed = {host.id: () for host in state.virtual_hosts if host.requires_login}
    around = {
        (path.virtual_host_id, fold(path.path).removesuffix("/"))
        for path in state.paths
        if path.requires_login and path.path_match is BoundPath.BELOW
    }
    keys = defaultdict(list)
    for path, bound in state.bound_paths:
        if path.virtual_host_id not in needed and needs_login(path, around):
            keys[path.virtual_host_id].append(bound.key)
    return {**needed, **{number: tuple(own) for number, own in keys.items()}}


def needs_login(path: PathState, around: Collection[tuple[int, str]]) -> bool:
    """Or a path around it does: a binding within asks for no less."""
    return path.requires_login or any((path.virtual_host_id, outer) in around for outer in outer_paths(fold(path.path)))


def map_of(state: DesiredState, number: int) -> tuple[str, str]:
    """Its path and text. The name has a hash of it: with other passwords, the configuration is another one, too."""
    text = state.logins.get(number, "")
    return f"logins/{number}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.map", text


def of_hosts(state: DesiredState) -> dict[int, LoginState]:
    encoded = login_key(state.facts.secret)
    checks = {number: (map_of(state, number)[0], paths) for number, paths in needing(state).items()}
    return {
        number: LoginState(
            Token(f"'req.fhdr(authorization),word(2,\" \"),hmac(sha256,{encoded}),hex,lower,map_str({path})'"), paths
        )
        for number, (path, paths) in checks.items()
    }


def secrets(state: DesiredState) -> dict[str, bytes]:
    """The maps."""
    maps = (map_of(state, number) for number in needing(state))
    return {path: text.encode() for path, text in maps}
