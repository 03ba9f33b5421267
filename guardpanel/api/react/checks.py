"""Health checks as the React panel has them: repeated in each backend. Here they are the virtual host's, and a server's own where
that differs. The path is always the virtual host's."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from guardpanel.api.react.keys import fits
from guardpanel.errors import FieldError, Invalid
from guardpanel.models.server import Server
from guardpanel.models.virtual_host import VirtualHost, VirtualHostColumns

ENABLED, PATH = "health_check_enabled", "health_check_path"

NUMBERS = {
    "health_check_interval_seconds": "health_check_interval",
    "health_check_rise": "health_check_rise",
    "health_check_fall": "health_check_fall",
}

CHECKS = {ENABLED: "health_check", PATH: "health_check_path", **NUMBERS}
"Its keys of a backend, and the virtual host's fields."

ONE_PATH = "Backends that are checked share one path (health_check_path). Make it the same for all of them."


class Pair(NamedTuple):
    """A backend that was sent, the server that is made of it, and the row that this was before."""

    backend: Mapping[str, Any]
    server: dict[str, Any]
    row: Server | None

    def own(self, ours: str) -> Any:
        return getattr(self.row, ours) if self.row else None


def checks_of(host: VirtualHost, row: Server) -> dict[str, Any]:
    """The keys of a backend."""
    numbers = {theirs: getattr(row, ours) or getattr(host, ours) for theirs, ours in NUMBERS.items()}
    return {ENABLED: host.health_check and row.health_check, PATH: host.health_check_path, **numbers}


def without_disabled(backend: dict[str, Any]) -> dict[str, Any]:
    """Where the check is off, without what can’t be its path or number: the form then disables these inputs, but sends them."""
    if backend.get(ENABLED) is not False:
        return backend
    beyond = {theirs for theirs, ours in CHECKS.items() if not fits(VirtualHostColumns, ours, backend.get(theirs))}
    return {name: value for name, value in backend.items() if name not in beyond}


def take_checks(pairs: Sequence[Pair], sent: dict[str, Any], now: Mapping[str, Any]) -> None:
    """Set the virtual host's check (in `sent`) and the servers' own. Values that are as they were read are ignored."""
    checked = _take_enabled(pairs, sent, now)
    _take_path(pairs, checked, sent, now)
    for theirs, ours in NUMBERS.items():
        _take_number(pairs, theirs, ours, sent, now)


def _take_enabled(pairs: Sequence[Pair], sent: dict[str, Any], now: Mapping[str, Any]) -> list[bool]:
    """Whether each is checked. The virtual host's switch is on if any is."""
    is_on = now.get("health_check", True)
    own = [pair.row.health_check if pair.row else True for pair in pairs]
    flags = [
        pair.backend[ENABLED]
        if ENABLED in pair.backend and not (pair.row and pair.backend[ENABLED] == (is_on and flag))
        else None
        for pair, flag in zip(pairs, own, strict=True)
    ]
    if sent.get("health_check") is False and True in flags:
        raise Invalid.at(
            f"backends.{flags.index(True)}.{ENABLED}", f"{ENABLED} contradicts health_check. Send one of them."
        )
    is_on = sent.get("health_check", is_on)
    checked = [is_on and flag if word is None else word for word, flag in zip(flags, own, strict=True)]
    if flags != [None] * len(flags):
        is_on = sent.setdefault("health_check", any(checked))
    for pair, flag, is_checked in zip(pairs, own, checked, strict=True):
        pair.server["health_check"] = is_checked if is_on else flag
    return checked


def _take_path(pairs: Sequence[Pair], checked: Sequence[bool], sent: dict[str, Any], now: Mapping[str, Any]) -> None:
    """That of the servers that are checked and enabled. If there are none, of the first."""
    paths = {
        at: pair.backend[PATH]
        for at, pair in enumerate(pairs)
        if PATH in pair.backend and not (PATH in sent and pair.backend[PATH] == now.get(PATH))
    }
    acting = [flag and pair.server.get("enabled", True) for pair, flag in zip(pairs, checked, strict=True)]
    counted = {at: path for at, path in paths.items() if acting[at]} if any(acting) else dict([*paths.items()][:1])
    if not counted:
        return
    path = sent.setdefault(PATH, next(iter(counted.values())))
    if wrong := [at for at, other in counted.items() if other != path]:
        raise Invalid(ONE_PATH, {f"backends.{at}.{PATH}": FieldError(ONE_PATH) for at in wrong})


def _take_number(pairs: Sequence[Pair], theirs: str, ours: str, sent: dict[str, Any], now: Mapping[str, Any]) -> None:
    """The virtual host's is what all have, or else as it was; of a new one, what the first has."""
    before = now.get(ours, VirtualHostColumns.model_fields[ours].default)
    of_all = sent.get(ours, before)
    values = []
    for pair in pairs:
        own = pair.own(ours)
        is_as_read = pair.row and pair.backend.get(theirs) == (own or before)
        own = own if is_as_read else pair.backend.get(theirs, own)
        values.append(of_all if own is None else own)
    if ours not in sent:
        of_all = sent[ours] = values[0] if values and (not now or len(set(values)) == 1) else before
    for pair, value in zip(pairs, values, strict=True):
        pair.server[ours] = None if value == of_all else value
