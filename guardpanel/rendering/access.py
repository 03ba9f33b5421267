"""Who may come: address lists and bans, in the order of docs/access.md."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

from guardpanel.models import AddressList
from guardpanel.models.access.address_list import ListKind
from guardpanel.models.access.reference import EMPTY
from guardpanel.rendering.address_list import AddressListState
from guardpanel.rendering.bound_paths import as_read, fold, is_ambiguous, with_slash
from guardpanel.rendering.paths import UNESCAPED, spelled_letters
from guardpanel.rendering.state import DesiredState

LISTS_MAP = "lists.map"
"Which lists apply to a virtual host, of those that do not apply to all: `17 :1:4:`."

PATHS_MAP = "list_paths.map"
"""Of lists for some paths: as these are read (`3:/café/ 1`, `3:/admin 1` of `/admin*`), and of allow lists as they are written
(`3=/Caf%C3%A9/ 1`). A path that servers read in several ways (`..`) is of each list that rejects, and of no allow list."""

ODD = ".."
"What `_read_path.cfg.j2` makes of such a path."

LONGEST_RETRY_SECONDS = 366 * 86_400
"Of a longer ban, visitors are not told when to try again."


class ListStep(NamedTuple):
    """A list where HAProxy asks it."""

    id: int
    is_everywhere: bool
    file: str
    has_paths: bool
    is_only: bool
    "Whether it rejects those that it does not have."


def parameters(state: DesiredState) -> dict[str, Any]:
    """What the templates of these steps need."""
    by_kind = {
        kind: [_step(listed, state) for listed in state.address_lists if listed.kind is kind] for kind in ListKind
    }
    return {
        "allow_lists": by_kind[ListKind.ALLOW],
        "rejecting_lists": by_kind[ListKind.DENY] + by_kind[ListKind.ONLY],
        "some_lists": bool(_some(state)),
        "list_paths": bool(_paths(state)),
        "list_letters": spelled_letters(_paths(state)),
        "longest_retry": LONGEST_RETRY_SECONDS,
    }


def files(state: DesiredState) -> dict[str, str]:
    """Part of the configuration."""
    maps = {}
    if some := _some(state):
        maps[LISTS_MAP] = "".join(f"{number} :{':'.join(ids)}:\n" for number, ids in sorted(some.items()))
    if _paths(state):
        maps[PATHS_MAP] = "".join(f"{key} 1\n" for listed in state.address_lists for key in sorted(_keys(listed)))
    return maps


def list_files(state: DesiredState) -> dict[str, bytes]:
    """Entries, which change without the configuration."""
    maps = {EMPTY.digest: b"", **state.facts.list_maps}
    return {listed.file: maps[listed.digest] for listed in state.address_lists if not listed.is_fed}


def outside(state: DesiredState) -> tuple[str, ...]:
    """Files that HAProxy needs and no release has: without them it does not start."""
    return tuple(_file(listed, state) for listed in state.address_lists if listed.is_fed)


def _step(listed: AddressListState, state: DesiredState) -> ListStep:
    is_only = listed.kind is ListKind.ONLY
    return ListStep(listed.id, listed.is_everywhere, _file(listed, state), bool(listed.paths), is_only)


def _paths(state: DesiredState) -> list[str]:
    return [path for listed in state.address_lists for path in listed.paths]


def _keys(listed: AddressListState) -> Iterator[str]:
    """Of the map of paths. Who is on an allow list has to ask for a path as it is written there."""
    for path in listed.paths:
        yield f"{listed.id}:{_beginning(fold(path))}"
        if listed.kind is ListKind.ALLOW:
            yield f"{listed.id}={_written(path)}"
    if listed.paths and listed.kind is not ListKind.ALLOW:
        yield f"{listed.id}:{ODD}"


def is_at(listed: AddressList, path: str) -> bool:
    """Whether a list for some paths holds for a request: what `_keys` has HAProxy find."""
    rejects = listed.kind is not ListKind.ALLOW
    path = "/" if path == "*" and rejects else path
    if is_ambiguous(path):
        return rejects
    is_there = as_read(path).startswith(tuple(_beginning(fold(each)) for each in listed.paths))
    return is_there and (rejects or f"{path}/".startswith(tuple(map(_written, listed.paths))))


def _beginning(path: str) -> str:
    """What a request's path, with a final slash, begins with: `/admin/`, or `/admin` of `/admin*`."""
    return path.removesuffix("*") if path.endswith("*") else with_slash(path)


def _written(path: str) -> str:
    return quote(_beginning(path), safe=UNESCAPED)


def _file(listed: AddressListState, state: DesiredState) -> str:
    return f"{state.facts.feeds_dir}/{listed.id}.map" if listed.is_fed else listed.file


def _some(state: DesiredState) -> dict[int, list[str]]:
    """By virtual host: the lists that do not apply to all."""
    enabled = {host.id for host in state.virtual_hosts}
    by_host: dict[int, list[str]] = defaultdict(list)
    for listed in state.address_lists:
        for number in () if listed.is_everywhere else listed.virtual_host_ids:
            if number in enabled:
                by_host[number].append(str(listed.id))
    return by_host
