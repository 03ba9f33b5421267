"""Which path servers get: how HAProxy makes it of the one that a visitor asked for."""

from typing import NamedTuple

from guardpanel.models.path_binding import BoundPath
from guardpanel.rendering.rest import Rest
from guardpanel.rendering.state import PathState
from guardpanel.rendering.tokens import Token, then_variable
from guardpanel.rendering.virtual_host import VirtualHostState


class ServerPath(NamedTuple):
    """What a section does with the path of its requests."""

    path: str
    "In place of what is replaced. Empty: what follows stands alone."
    is_whole: bool
    "Whether nothing follows."
    rest: Rest | None
    "What follows, if not all of the path does."

    @property
    def with_rest(self) -> Token:
        return then_variable(self.path, "txn.gp.rest")


def server_path(host: VirtualHostState, path: PathState | None) -> ServerPath | None:
    """A path's own replaces what it binds; a virtual host's is put in front. `host` has the path's, if that has one."""
    is_own = path is not None and "server_path" in dict(path.differences)
    target = host.server_path.removesuffix("/")
    if path is None or not is_own:
        return ServerPath(target, is_whole=False, rest=None) if target else None
    if path.path_match is BoundPath.EXACT:
        return ServerPath(host.server_path, is_whole=True, rest=None)
    return ServerPath(target, is_whole=False, rest=Rest(path.path.count("/")))
