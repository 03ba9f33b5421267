"""Virtual hosts out of frontends: hostnames that are served alike, with the servers of their backend and of their paths."""

import re
from collections.abc import Iterator

from guardpanel.models.hostname import MOST_HOSTNAMES
from guardpanel.services.importing import pools, redirects
from guardpanel.services.importing.conditions import REST
from guardpanel.services.importing.hosts import Host, Row, refusal
from guardpanel.services.importing.outcomes import Line, printable
from guardpanel.services.importing.pool import Pool
from guardpanel.services.importing.proxies import RULES, Context, effective, inherited, main_first, rules
from guardpanel.services.importing.redirects import Redirection
from guardpanel.services.importing.routes import Route, deciding, routes, signature, whole_redirects
from guardpanel.services.importing.source import Section

PLACEHOLDER = ".invalid"
"The domain of hostnames that are none (RFC 2606): of what a frontend serves by its port alone."

MOST_HOSTS = 1_000

UNKNOWN_BACKEND = "It names no backend of this file that has servers."


class Building:
    def __init__(self, context: Context) -> None:
        self._context, self._ledger = context, context.ledger
        self.hosts: list[Host] = []
        self._names: set[str] = set()
        self._of_frontend: dict[int, list[Host]] = {}
        self._rows: list[tuple[Row, Host, Section]] = []
        self._by_hostname: dict[str, Host] = {}
        self._answers_unknown = False

    def build(self, frontends: list[Section]) -> None:
        for section in main_first(frontends):
            self._of_frontend[section.head.number] = []
            self._build(section)
        for section in main_first(frontends) if not self.hosts else ():
            self._build(section, is_alone=True)

    def _build(self, section: Section, *, is_alone: bool = False) -> None:
        groups: dict[object, list[Route]] = {}
        index = deciding(self._context, section)
        for route in routes(self._context, section, is_alone=is_alone):
            groups.setdefault(signature(index, route), []).append(route)
        for group in groups.values():
            self._add(section, group)

    def of_frontend(self, section: Section) -> list[Host]:
        """Its virtual hosts. Those of all others, if it has none: it redirects them, for example."""
        return self.own(section) or self.hosts

    def own(self, section: Section) -> list[Host]:
        return self._of_frontend.get(section.head.number, [])

    def with_backend(self, section: Section) -> list[Host]:
        return [host for _, host, backend in self._rows if backend is section]

    def backend_rules(self) -> Iterator[tuple[Line, Row, Host, Section]]:
        for row, host, section in self._rows:
            if host not in self.own(section):
                yield from ((line, row, host, section) for line in rules(section) if line.keyword in RULES - {"acl"})

    def _add(self, section: Section, group: list[Route]) -> None:
        """A virtual host of these hostnames, unless another frontend has it already."""
        fresh: list[Route] = []
        met: dict[str, tuple[Host, Route]] = {}
        for route in group:
            if (host := self._known(route)) is None:
                fresh.append(route)
            else:
                met.setdefault(host.host, (host, route))
        for host, route in met.values():
            self._meet(section, host, route)
        for first in range(0, len(fresh), MOST_HOSTNAMES):
            if len(self.hosts) < MOST_HOSTS:
                self._make(section, fresh[first : first + MOST_HOSTNAMES])
        for line in [route.line for route in fresh if route.line] if len(self.hosts) == MOST_HOSTS else ():
            self._ledger.left(line, f"At most {MOST_HOSTS:,} virtual hosts are imported at once.")

    def _known(self, route: Route) -> Host | None:
        if route.hostname != REST:
            return self._by_hostname.get(route.hostname)
        return next((host for host in self.hosts if host.hostname == REST and _is_as(host, route)), None)

    def _meet(self, section: Section, host: Host, route: Route) -> None:
        _close_unread(host, section)
        if not _is_as(host, route):
            _note_other(host, route)
            return
        self._of_frontend[section.head.number].append(host)
        self._record(section, host, route)
        for line, how, path, _ in route.paths:
            if host.path(how, path) is None:
                host.note(line, "Another frontend has no such path.")
            else:
                host.became(line, f"path {path}")

    def _make(self, section: Section, group: list[Route]) -> None:
        route, backend = group[0], self._context.backend(group[0].backend)
        names = self._hostnames(section, group)
        host = Host("virtual_host", "", self._ledger, backend=route.backend, hostname=route.hostname, hostnames=names)
        host.host, host.has_tls = self._name(section, host), self._context.has_tls
        pool = pools.fill(host, effective(backend, self._ledger) if backend else [])
        if backend is not None and backend is not section:
            self._redirect_of_backend(host, backend, group)
        if not (pool.servers or route.redirect or host.redirects):
            self._without_servers(host, group)
            return
        if pool.servers:
            pools.of_host(pool, host)
        self._open_or_close(section, host, backend or section)
        self.hosts.append(host)
        self._names.add(host.host)
        self._rows.append((host, host, backend or section))
        self._by_hostname |= {each.hostname: host for each in group if each.hostname != REST}
        self._of_frontend[section.head.number].append(host)
        for each in group:
            self._record(section, host, each)
        self._bind_paths(host, route, pool)

    def _redirect_of_backend(self, host: Host, backend: Section, group: list[Route]) -> None:
        """All that reaches the backend is redirected by it."""
        for rule in whole_redirects(self._context, backend):
            is_always = all(rule.condition.of_host(each.hostname).is_always for each in group)
            if is_always and rule.redirect and not redirects.leads_home(host, rule.redirect):
                _redirect(host, backend, rule.line, rule.redirect)
                return

    def _open_or_close(self, section: Section, host: Host, backend: Section) -> None:
        """What other listeners kept apart, or what could not be read, is not open before it was looked at."""
        is_apart = host.hostname == REST and self._answers_unknown and section.name not in self._context.hostnames
        if host.hostname == REST and not self._answers_unknown:
            self._answers_unknown = host.values["answers_unknown"] = True
        if is_apart:
            host.values["enabled"] = False
        for line in section.lines if is_apart else ():
            if line.keyword == "bind":
                host.note(line, "Another frontend serves unknown hostnames: this one needs a hostname.")
        _close_unread(host, section, backend)
        for line in [*inherited(section), *section.lines, *(backend.lines if backend is not section else ())]:
            if line.words == ("disabled",):
                host.close(line, "It is disabled in HAProxy.")

    def _without_servers(self, host: Host, group: list[Route]) -> None:
        """What was noted on it goes with it."""
        self._ledger.forget_host(host.host, "No imported virtual host uses it.")
        for route in group:
            if route.line:
                self._ledger.left(route.line, UNKNOWN_BACKEND)

    def _record(self, section: Section, host: Host, route: Route) -> None:
        if route.line is not None and route.redirect is not None:
            _redirect(host, section, route.line, route.redirect)
        elif route.line is not None:
            host.became(route.line, "servers")
        for line, why in route.notes:
            host.close(line, f"It chooses servers. {why}")

    def _hostnames(self, section: Section, group: list[Route]) -> list[str]:
        names = [route.hostname for route in group if route.hostname != REST]
        if names:
            return names
        label = re.sub(r"[^a-z0-9]+", "-", section.name.lower()).strip("-")[:60] or "default"
        return [self._context.hostnames.get(section.name, f"{label}{PLACEHOLDER}")]

    def _name(self, section: Section, host: Host) -> str:
        name = printable(section.name)[:100] if host.hostname == REST else host.hostnames[0][:100]
        name = name if name and not refusal("virtual_host", {"name": name}) else host.hostnames[0]
        if name not in self._names:
            return name
        return next(each for count in range(2, MOST_HOSTS + 2) if (each := f"{name} {count}") not in self._names)

    def _bind_paths(self, host: Host, route: Route, pool: Pool) -> None:
        for line, how, path, name in route.paths:
            backend = self._context.backend(name)
            if name == host.backend:
                host.became(line, "servers")
            elif backend is None:
                host.note(line, UNKNOWN_BACKEND)
            else:
                row = Row("path_binding", host.host, self._ledger, {"path_match": how, "path": path}, f"path {path}")
                self._bind_path(host, row, line, route.remarks[how, path], backend, pool)

    def _bind_path(self, host: Host, row: Row, line: Line, remark: str, backend: Section, host_pool: Pool) -> None:
        own = {each.number for each in host_pool.lines}
        pool = pools.fill(row, [each for each in effective(backend, self._ledger) if each.number not in own])
        row.values["own_servers"] = pools.of_path(pool)
        if not pool.servers or (why := refusal("path_binding", row.values)):
            host.note(line, UNKNOWN_BACKEND if not pool.servers else why)
            return
        host.paths.append(row.values)
        self._rows.append((row, host, backend))
        _close_unread(host, backend)
        row.became(line, f"servers{remark}")
        checks = any(values.get("health_check") for _, _, values in pool.servers)
        if host.values.get("health_check") and (host_pool.has("option httpchk") or not checks):
            host.note(line, f"The servers of {row.values['path']} are checked as the virtual host’s are.")


def _close_unread(host: Host, *sections: Section) -> None:
    """Lines that could not be read may be rules against visitors."""
    for section in sections:
        for line, why in [pair for each in (*section.chain, section) for pair in each.unread]:
            host.close(line, why)


def _redirect(host: Host, section: Section, line: Line, redirect: Redirection) -> None:
    """By this line of the section, whose later redirects have nothing left."""
    in_order = [each.number for each in redirects.in_order(rules(section))]
    host.values |= redirect.of_host
    host.redirects.add(line.number)
    host.overtaken |= set(in_order[in_order.index(line.number) + 1 :])
    host.became(line, "redirect")


def _is_as(host: Host, route: Route) -> bool:
    """Whether the virtual host serves its hostnames like this."""
    return host.backend == route.backend and (
        not route.redirect or host.values.items() >= route.redirect.of_host.items()
    )


def _note_other(host: Host, route: Route) -> None:
    """What another frontend does otherwise with the same hostnames."""
    if route.line is None:
        return
    if route.redirect:
        host.close(route.line, redirects.WHOLE_HOST)
    else:
        own = f"has it, with the servers of {host.backend[:60]}" if host.backend else "redirects it"
        host.note(route.line, f"Another frontend {own}.")
