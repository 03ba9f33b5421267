"""Who may come: address lists and bans, in the order of docs/access.md."""

from collections import defaultdict
from typing import Any, NamedTuple

from guardpanel.models.access.address_list import ListKind
from guardpanel.models.access.reference import EMPTY
from guardpanel.rendering.address_list import AddressListState
from guardpanel.rendering.state import DesiredState

LISTS_MAP = "lists.map"
"Which lists apply to a virtual host, of those that do not apply to all: `17 :1:4:`."

LONGEST_RETRY_SECONDS = 366 * 86_400
"Of a longer ban, visitors are not told when to try again."


class ListStep(NamedTuple):
    """A list where HAProxy asks it."""

    id: int
    is_everywhere: bool
    file: str


def parameters(state: DesiredState) -> dict[str, Any]:
    """What the templates of these steps need."""
    by_kind = {
        kind: [_step(listed, state) for listed in state.address_lists if listed.kind is kind]
        for kind in (ListKind.ALLOW, ListKind.DENY)
    }
    return {
        "allow_lists": by_kind[ListKind.ALLOW],
        "deny_lists": by_kind[ListKind.DENY],
        "some_lists": bool(_some(state)),
        "longest_retry": LONGEST_RETRY_SECONDS,
    }


def files(state: DesiredState) -> dict[str, str]:
    """Part of the configuration."""
    some = _some(state)
    return {LISTS_MAP: "".join(f"{number} :{':'.join(ids)}:\n" for number, ids in sorted(some.items()))} if some else {}


def list_files(state: DesiredState) -> dict[str, bytes]:
    """Entries, which change without the configuration."""
    maps = {EMPTY.digest: b"", **state.facts.list_maps}
    return {listed.file: maps[listed.digest] for listed in state.address_lists if not listed.is_fed}


def outside(state: DesiredState) -> tuple[str, ...]:
    """Files that HAProxy needs and no release has: without them it does not start."""
    return tuple(_file(listed, state) for listed in state.address_lists if listed.is_fed)


def _step(listed: AddressListState, state: DesiredState) -> ListStep:
    return ListStep(listed.id, listed.is_everywhere, _file(listed, state))


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
