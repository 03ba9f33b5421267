"""Redirects that lead back to themselves (`invariants.py` has the other rules across rows). What other sites do is unknown."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple, Self
from urllib.parse import quote, unquote, urljoin, urlsplit

from guardpanel.models.delivery.redirect import Redirect
from guardpanel.models.noun import Key
from guardpanel.models.path_binding import BoundPath
from guardpanel.rendering import EngineFacts, Rows
from guardpanel.rendering.bound_paths import BoundPaths, as_read
from guardpanel.services.saving.proposal import Proposal, Row, Violation

MOST_HOPS = 20
"Browsers give up after as many."

MOST_NAMED = 5

BELOW = "/…"
"Stands for whatever is below a path."


def redirects_end(proposal: Proposal) -> Iterator[Violation]:
    sites = Sites(proposal.rows, proposal.facts)
    circles = [(rule, circle) for rule in sites.rules.values() if (circle := sites.circle(rule))]
    own = [(rule, circle) for rule, circle in circles if rule.key in proposal.touched]
    for rule, circle in own:
        words = f"Visitors would be redirected in a circle: {circle.words}"
        yield from proposal.at(rule.key, "redirect_to", words)
    if circles and not own:
        yield from _closed_elsewhere(proposal, circles)


def _closed_elsewhere(proposal: Proposal, circles: Iterable[tuple["Rule", "Circle"]]) -> Iterator[Violation]:
    """By what the change touched. One redirect is named, since thousands may lead there."""
    earlier = Sites(proposal.before, proposal.facts)
    was = earlier.rules
    new = ((rule, circle) for rule, circle in circles if rule.key in was and not earlier.circle(was[rule.key]))
    if (first := next(new, None)) is None:
        return
    rule, circle = first
    words = f"Visitors of {rule.path or '/'} would be redirected in a circle: {circle.words}"
    for key in circle.keys:
        yield from proposal.at(key, "redirect_to", words)
    for number in circle.virtual_hosts:
        yield from proposal.at(("virtual_host", number), "hostnames", words)
    left = {("path_binding", each["id"]) for each in proposal.rows["pathbinding"]}
    for key in proposal.touched - left:
        if key[0] == "path_binding":
            yield Violation(*key, proposal.name(key, proposal.before), "", words)


class Rule(NamedTuple):
    """A redirect, of a path or of a whole virtual host."""

    key: Key
    virtual_host: int
    path: str
    "Empty: everything."
    match: BoundPath
    to: str
    keeps_rest: bool

    @classmethod
    def of_path(cls, row: Row) -> Self:
        key, match = ("path_binding", row["id"]), BoundPath(row["path_match"])
        return cls(key, row["virtual_host_id"], row["path"], match, row["redirect_to"], row["redirect_rest"])

    @classmethod
    def of_host(cls, row: Row) -> Self:
        key = "virtual_host", row["id"]
        return cls(key, row["id"], "", BoundPath.BELOW, row["redirect_to"], row["redirect_rest"])


class Stop(NamedTuple):
    """What a browser asks for. `site` is empty while no redirect has named one."""

    virtual_host: int
    path: str
    site: str = ""

    @classmethod
    def of(cls, rule: Rule, below: str) -> Self:
        return cls(rule.virtual_host, quote(rule.path.removesuffix("/") + below, safe="/") or "/")

    @property
    def words(self) -> str:
        return self.site + unquote(self.path)


class Circle(NamedTuple):
    stops: Sequence[Stop]
    keys: Sequence[Key]

    @property
    def virtual_hosts(self) -> Sequence[int]:
        return sorted({stop.virtual_host for stop in self.stops})

    @property
    def words(self) -> str:
        """`/a → /b → /a`. With further paths each time: `/a → /b → /a/x → …`"""
        named = [stop.words for stop in self.stops[:MOST_NAMED]]
        is_whole = len(self.stops) <= MOST_NAMED and _is_among(self.stops[-1], self.stops[:-1])
        return " → ".join(named if is_whole else [*named, "…"])


class Sites:
    """Which redirect answers where."""

    def __init__(self, rows: Rows, facts: EngineFacts) -> None:
        self.rows, self.facts = rows, facts

    def circle(self, rule: Rule) -> Circle | None:
        """Where the redirect leads to if it never ends. Paths below its own may be bound otherwise than its own."""
        begins = ["", *([BELOW] if rule.match is BoundPath.BELOW else [])]
        return next((circle for below in begins if (circle := self._followed(Stop.of(rule, below)))), None)

    def _followed(self, stop: Stop | None) -> Circle | None:
        stops: list[Stop] = []
        keys: list[Key] = []
        while stop is not None and (rule := self._bound(stop)) is not None:
            stops.append(stop)
            if rule.key in keys and (_is_among(stop, stops[:-1]) or len(stops) > MOST_HOPS):
                return Circle(stops[: _first_again(keys, rule.key) + 1], keys)
            keys.append(rule.key)
            stop = self._next(stop, rule)
        return None

    def _bound(self, stop: Stop) -> Rule | None:
        paths = self._paths.get(stop.virtual_host)
        number = paths.at(stop.path) if paths else None
        return self.rules.get(("virtual_host", stop.virtual_host) if number is None else ("path_binding", number))

    def _next(self, stop: Stop, rule: Rule) -> Stop | None:
        """None where nobody knows what answers."""
        location = rule.to
        if rule.keeps_rest:
            parts = stop.path.split("/")[rule.path.count("/") + 1 :]
            location = location.removesuffix("/") + "".join(f"/{part}" for part in parts) or "/"
        target = urlsplit(urljoin(f"//{stop.site}{stop.path}", location))
        if location.startswith("/"):
            return stop._replace(path=target.path)
        number = self._host_of(target.hostname or "")
        if number is None or not self._is_served(number, target.scheme, target.port):
            return None
        return Stop(number, target.path or "/", target.netloc)

    def _host_of(self, name: str) -> int | None:
        wildcard = f"*.{name.partition('.')[2]}"
        return self._names.get(name, self._names.get(wildcard))

    def _is_served(self, number: int, scheme: str, port: int | None) -> bool:
        """By HAProxy, as far as is known: the default ports may be mapped to others."""
        if not self._hosts[number]["enabled"]:
            return False
        if scheme == "https":
            has_https = bool(self._hosts[number]["https"] and self.facts.https_binds)
            return has_https and port in {None, 443, *(bound for _, bound in self.facts.https_binds)}
        return port in {None, 80, *(bound for _, bound in self.facts.http_binds)}

    @cached_property
    def _hosts(self) -> Mapping[int, Row]:
        return {row["id"]: row for row in self.rows["virtualhost"]}

    @cached_property
    def _names(self) -> Mapping[str, int]:
        return {row["name"]: row["virtual_host_id"] for row in self.rows["hostname"]}

    @cached_property
    def rules(self) -> Mapping[Key, Rule]:
        each = [Rule.of_path(row) for row in self.rows["pathbinding"] if row["redirect"] != Redirect.NO]
        each += [Rule.of_host(row) for row in self.rows["virtualhost"] if row["redirect"] != Redirect.NO]
        return {rule.key: rule for rule in each}

    @cached_property
    def _paths(self) -> Mapping[int, BoundPaths[int]]:
        by_host: dict[int, list[Row]] = defaultdict(list)
        for row in self.rows["pathbinding"]:
            by_host[row["virtual_host_id"]].append(row)
        return {
            number: BoundPaths((row["path"], BoundPath(row["path_match"]), row["id"]) for row in rows)
            for number, rows in by_host.items()
        }


def _is_among(stop: Stop, stops: Sequence[Stop]) -> bool:
    place = stop.virtual_host, as_read(stop.path)
    return any(place == (other.virtual_host, as_read(other.path)) for other in stops)


def _first_again(keys: Sequence[Key], key: Key) -> int:
    """Where the first redirect comes a second time: the stops until there are the circle."""
    visited: set[Key] = set()
    for at, each in enumerate([*keys, key]):
        if each in visited:
            return at
        visited.add(each)
    raise AssertionError
