"""Redirects that lead back to themselves (`invariants.py` has the other rules across rows). What other sites do is unknown."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple, Self
from urllib.parse import quote, unquote, urljoin, urlsplit

from guardpanel.models.path_binding import BoundPath, Redirect
from guardpanel.rendering import EngineFacts, Rows
from guardpanel.rendering.bound_paths import BoundPaths, as_read
from guardpanel.services.saving.proposal import Proposal, Row, Violation

MOST_HOPS = 20
"Browsers give up after as many."

MOST_NAMED = 5

BELOW = "/…"
"Stands for whatever is below a path."


def redirects_end(proposal: Proposal) -> Iterator[Violation]:
    redirecting = [row for row in proposal.rows["pathbinding"] if row["redirect"] != Redirect.NO]
    sites = Sites(proposal.rows, proposal.facts)
    circles = [(row, circle) for row in redirecting if (circle := sites.circle(row))]
    own = [(row, circle) for row, circle in circles if ("path_binding", row["id"]) in proposal.touched]
    for row, circle in own:
        words = f"Visitors would be redirected in a circle: {circle.words}"
        yield from proposal.at(("path_binding", row["id"]), "redirect_to", words)
    if circles and not own:
        yield from _closed_elsewhere(proposal, circles)


def _closed_elsewhere(proposal: Proposal, circles: Iterable[tuple[Row, "Circle"]]) -> Iterator[Violation]:
    """By what the change touched. One redirect is named, since thousands may lead there."""
    earlier = Sites(proposal.before, proposal.facts)
    was = {row["id"]: row for row in proposal.before["pathbinding"]}
    new = ((row, circle) for row, circle in circles if row["id"] in was and not earlier.circle(was[row["id"]]))
    if (first := next(new, None)) is None:
        return
    row, circle = first
    words = f"Visitors of {row['path']} would be redirected in a circle: {circle.words}"
    for number in circle.bindings:
        yield from proposal.at(("path_binding", number), "redirect_to", words)
    for number in circle.virtual_hosts:
        yield from proposal.at(("virtual_host", number), "hostnames", words)
    left = {("path_binding", each["id"]) for each in proposal.rows["pathbinding"]}
    for key in proposal.touched - left:
        if key[0] == "path_binding":
            yield Violation(*key, proposal.name(key, proposal.before), "", words)


class Stop(NamedTuple):
    """What a browser asks for. `site` is empty while no redirect has named one."""

    virtual_host: int
    path: str
    site: str = ""

    @classmethod
    def of(cls, row: Row, below: str) -> Self:
        return cls(row["virtual_host_id"], quote(row["path"].removesuffix("/") + below, safe="/") or "/")

    @property
    def words(self) -> str:
        return self.site + unquote(self.path)


class Circle(NamedTuple):
    stops: Sequence[Stop]
    bindings: Sequence[int]

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

    def circle(self, row: Row) -> Circle | None:
        """Where the redirect leads to if it never ends. Paths below its own may be bound otherwise than its own."""
        begins = ["", *([BELOW] if row["path_match"] == BoundPath.BELOW else [])]
        return next((circle for below in begins if (circle := self._followed(Stop.of(row, below)))), None)

    def _followed(self, stop: Stop | None) -> Circle | None:
        stops: list[Stop] = []
        bindings: list[int] = []
        while stop is not None and (row := self._bound(stop)) is not None:
            stops.append(stop)
            if row["id"] in bindings and (_is_among(stop, stops[:-1]) or len(stops) > MOST_HOPS):
                return Circle(stops[: _first_again(bindings, row["id"]) + 1], bindings)
            bindings.append(row["id"])
            stop = self._next(stop, row)
        return None

    def _bound(self, stop: Stop) -> Row | None:
        paths = self._paths.get(stop.virtual_host)
        row = paths.at(stop.path) if paths else None
        return row if row and row["redirect"] != Redirect.NO else None

    def _next(self, stop: Stop, row: Row) -> Stop | None:
        """None where nobody knows what answers."""
        location = row["redirect_to"]
        if row["redirect_rest"]:
            parts = stop.path.split("/")[row["path"].count("/") + 1 :]
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
    def _paths(self) -> Mapping[int, BoundPaths[Row]]:
        by_host: dict[int, list[Row]] = defaultdict(list)
        for row in self.rows["pathbinding"]:
            by_host[row["virtual_host_id"]].append(row)
        return {
            number: BoundPaths((row["path"], BoundPath(row["path_match"]), row) for row in rows)
            for number, rows in by_host.items()
        }


def _is_among(stop: Stop, stops: Sequence[Stop]) -> bool:
    place = stop.virtual_host, as_read(stop.path)
    return any(place == (other.virtual_host, as_read(other.path)) for other in stops)


def _first_again(bindings: Sequence[int], number: int) -> int:
    """Where the first binding comes a second time: the stops until there are the circle."""
    visited: set[int] = set()
    for at, each in enumerate([*bindings, number]):
        if each in visited:
            return at
        visited.add(each)
    raise AssertionError
