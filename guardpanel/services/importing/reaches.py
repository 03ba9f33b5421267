"""Whom rules by address keep out, and where: `deny if { path_beg /admin/ } !office` as address lists have it."""

from typing import NamedTuple, Self

from guardpanel.services.importing.acls import Term
from guardpanel.services.importing.conditions import Condition, Conjunction
from guardpanel.services.importing.hosts import Values
from guardpanel.services.importing.outcomes import Line

PREFIXES = {"deny": "Denied by", "only": "Let in by"}

OUTCOMES = {"deny": "address list, whose addresses get 403,", "only": "address list, whose addresses alone get no 403,"}


NOBODY = "address list without addresses, so that all get 403,"


class Reach(NamedTuple):
    """What one address list does."""

    kind: str
    networks: tuple[str, ...]
    paths: tuple[str, ...] = ()
    "With everything below, and of `/admin*` with all that begins so. None: all."
    extended: tuple[str, ...] = ()
    "Of the paths: the rule had nothing below these."

    @property
    def fields(self) -> Values:
        return {"kind": self.kind, "paths": list(self.paths)}

    def values(self, line: Line) -> Values:
        name = f"{PREFIXES[self.kind if self.networks else 'deny']} haproxy.cfg, line {line.number}"
        host_fields: Values = {"applies_to": "virtual_hosts", "virtual_hosts": []}
        paths = {"paths": list(self.paths)} if self.paths else {}
        return {"name": name, "kind": self.kind, **host_fields, **paths, "entries": "\n".join(self.networks)}

    @property
    def outcome(self) -> str:
        more = f" also below {', '.join(self.extended)[:60]}," if self.extended else ""
        return f"{OUTCOMES[self.kind] if self.networks else NOBODY}{more}"

    def at(self, binding: Values) -> Self:
        """On this path of a virtual host alone."""
        path = binding["path"]
        return self._replace(paths=(path,), extended=(path,) if binding["path_match"] == "exact" else ())


def reaches_of(condition: Condition) -> list[Reach]:
    """Empty: no lists do what the rule does."""
    each = [_reach(conjunction) for conjunction in condition.alternatives]
    known = [reach for reach in each if reach is not None]
    return [] if condition.unreadable or len(known) < len(each) else _joined(known)


def _reach(conjunction: Conjunction) -> Reach | None:
    """Of addresses that are in one list, or in none of some, on any path or those of one term. Of all, on these alone."""
    paths = [term for term in conjunction if term.paths is not None and not term.negated]
    inside = [term for term in conjunction if term.sources is not None and not term.negated]
    outside = [term for term in conjunction if term.sources is not None and term.negated]
    lists = len(inside) + bool(outside)
    if len(paths + inside + outside) < len(conjunction) or len(paths) > 1 or lists > 1 or not (lists or paths):
        return None
    kind = "deny" if inside else "only"
    networks = tuple(dict.fromkeys(network for term in inside or outside for network in term.sources or ()))
    return _at(Reach(kind, networks), paths[0]) if paths else Reach(kind, networks)


def _at(reach: Reach, term: Term) -> Reach | None:
    below = {path for how, path in term.paths or () if how == "below"}
    exact = dict.fromkeys(path for how, path in term.paths or () if how == "exact" and path not in below)
    paths = tuple(dict.fromkeys(f"{path}*" if path in term.beginnings else path for _, path in term.paths or ()))
    return None if "/" in paths else reach._replace(paths=paths, extended=tuple(exact))


def _joined(reaches: list[Reach]) -> list[Reach]:
    """Who is denied by either of two alternatives for the same paths is denied by one list."""
    joined: dict[object, Reach] = {}
    for reach in reaches:
        key = reach._replace(networks=()) if reach.kind == "deny" else reach
        known = joined.get(key)
        networks = tuple(dict.fromkeys((*(known.networks if known else ()), *reach.networks)))
        joined[key] = reach._replace(networks=networks)
    return list(joined.values())
