"""Which backend each hostname gets, or where it is redirected: rules of a frontend, decided for one hostname after another."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from guardpanel.rendering.bound_paths import fold
from guardpanel.services.importing import redirects
from guardpanel.services.importing.acls import Expression, Term, file_of, listed, paths_of
from guardpanel.services.importing.conditions import ALWAYS, REST, Condition, wildcard_of
from guardpanel.services.importing.hostnames import names_of
from guardpanel.services.importing.outcomes import OF_NAME, OF_OUTCOME, Ledger, Line
from guardpanel.services.importing.proxies import RULES, Context, is_denial, rules
from guardpanel.services.importing.redirects import Redirection
from guardpanel.services.importing.source import Section

BY_MAP = re.compile(
    r"%\[(?:req\.)?(?P<of>f?hdr\(host\)|path|ssl_fc_sni)(?:,lower|,host_only|,field\(1,:\))*"
    r"(?:,map(?:_(?P<how>str|dom|end|beg))?\((?P<file>[^,)]+)(?:,(?P<default>[^)]*))?\))?\]",
    re.IGNORECASE,
)


NO_BACKEND = "No backend serves all other requests: a virtual host has servers for each path."


@dataclass(frozen=True)
class Rule:
    line: Line
    condition: Condition
    backend: str = ""
    redirect: Redirection | None = None
    "Of everything, where the condition is decided by the hostname."


@dataclass
class Route:
    """What a hostname gets."""

    hostname: str
    backend: str = ""
    redirect: Redirection | None = None
    "Instead of a backend."
    line: Line | None = None
    "That chose it."
    bound: dict[tuple[str, str], tuple[Line, str, str]] = field(default_factory=dict)
    "By how a path is matched, and the path without case: the rule, the path, and its backend."
    remarks: dict[tuple[str, str], str] = field(default_factory=dict)
    "By how a path is matched, and the path: what its rule had, too."
    notes: list[tuple[Line, str]] = field(default_factory=list)
    "Rules that can't be decided, and why."

    @property
    def is_served(self) -> bool:
        return bool(self.backend or self.redirect)

    @property
    def paths(self) -> list[tuple[Line, str, str, str]]:
        """The rule, how the path is matched, the path, and its backend."""
        return [(line, how, path, backend) for (how, _), (line, path, backend) in self.bound.items()]


class Index:
    """The rules that may be so for a hostname, in order: not all of thousands."""

    def __init__(self, rules_in_order: list[Rule], ledger: Ledger) -> None:
        self._rules, self._ledger = rules_in_order, ledger
        self._of_names: dict[str, list[int]] = {}
        self._of_any: list[int] = []
        for place, rule in enumerate(rules_in_order):
            names = rule.condition.needed_hosts
            for name in names or ():
                self._of_names.setdefault(name, []).append(place)
            if names is None:
                self._of_any.append(place)

    def of_host(self, host: str) -> list[Rule]:
        own = () if host == REST else (*self._of_names.get(host, ()), *self._of_names.get(wildcard_of(host), ()))
        places = sorted({*own, *self._of_any})
        self._ledger.spend(1 + len(places))
        return [self._rules[place] for place in places]


def routes(context: Context, section: Section, *, is_alone: bool = False) -> list[Route]:
    """Of all hostnames that a frontend knows, and at last of the rest. Those that get nothing are not among them. `is_alone`: it
    serves what it redirects, since no frontend of the file has anything else."""
    known = [*whole_redirects(context, section), *_rules(context, section)]
    refusals = [(line, context.condition(section, line)) for line in rules(section) if is_denial(line)]
    named = [_named(rule) for rule in known] + [condition.exempt_hosts for _, condition in refusals]
    names: list[str] = list(dict.fromkeys(name for some in named for name in sorted(some)))
    refusing = [line for line, condition in refusals if names and condition.of_host(REST).is_always]
    for line in refusing:
        context.ledger.became(line, "known hostnames: all others get 421")
    index = Index(known, context.ledger)
    all_routes = [_route(index.of_host(name), name, names) for name in names]
    if not refusing:
        rest = [rule for rule in index.of_host(REST) if is_alone or _is_of_rest(rule, context, known, all_routes)]
        all_routes.append(_route(rest, REST, names))
    for route in all_routes:
        lines = [each[0] for each in route.paths] + [each[0] for each in route.notes]
        for line in lines if not route.is_served else ():
            context.ledger.left(line, NO_BACKEND)
    return [route for route in all_routes if route.is_served]


def deciding(context: Context, section: Section) -> Index:
    """The rules that may tell hostnames apart."""
    lines = [line for line in rules(section) if line.keyword in RULES and line.keyword != "acl"]
    conditions = [(line, context.condition(section, line)) for line in lines]
    return Index([Rule(line, each, "") for line, each in conditions if each.tells_hosts_apart], context.ledger)


def signature(index: Index, route: Route) -> object:
    """Hostnames for which it is equal are served alike. `index`: of the deciding rules."""
    left = [(rule.line.number, rule.condition.of_host(route.hostname)) for rule in index.of_host(route.hostname)]
    conditions = tuple((number, condition) for number, condition in left if not condition.is_never)
    paths = tuple((how, path, backend) for _, how, path, backend in route.paths)
    notes = tuple(line.number for line, _ in route.notes)
    return route.backend, route.redirect, paths, notes, conditions, route.hostname == REST


def whole_redirects(context: Context, section: Section) -> Iterator[Rule]:
    """That a virtual host can have, in HAProxy's order."""
    for line in redirects.in_order(rules(section)):
        condition, redirect = context.condition(section, line), redirects.read(line)
        if condition.may_be_decided and not redirect.not_of_host:
            context.ledger.spend(OF_OUTCOME)
            yield Rule(line, condition, redirect=redirect)


def _named(rule: Rule) -> set[str]:
    """The hostnames that it tells apart."""
    if rule.redirect is None:
        return rule.condition.hosts
    exempt = rule.condition.exempt_hosts if rule.condition.of_host(REST).is_always else set()
    return {name for name in rule.condition.hosts if rule.condition.of_host(name).is_always} | exempt


def _is_of_rest(rule: Rule, context: Context, known: list[Rule], of_names: list[Route]) -> bool:
    """A redirect counts where the frontend serves something, and not if it only leads the same hostname to TLS."""
    if rule.redirect is None:
        return True
    serves = bool(of_names) or any(each.backend for each in known)
    served = [route.hostname for route in of_names if route.backend]
    return serves and (rule.redirect.leads_to(served) or not (rule.redirect.is_https and context.has_tls))


def _rules(context: Context, section: Section) -> Iterator[Rule]:
    lines = rules(section)
    for line in lines:
        if line.keyword == "use_backend" and len(line.words) > 1:
            target, condition = line.words[1], context.condition(section, line)
            yield from _by_map(context, line, condition, target) if "%[" in target else [Rule(line, condition, target)]
    if section.kind == "listen" and any(line.keyword in {"server", "server-template"} for line in section.lines):
        yield Rule(section.head, ALWAYS, section.name)
    for line in [line for line in lines if line.keyword == "default_backend" and len(line.words) > 1][-1:]:
        yield Rule(line, ALWAYS, line.words[1])


def _by_map(context: Context, line: Line, condition: Condition, target: str) -> Iterator[Rule]:
    match = BY_MAP.fullmatch(target)
    if match is None or not condition.is_always:
        yield Rule(line, Condition((), "guardpanel can’t choose servers by this."), "")
        return
    text = file_of(context.files, match["file"]) if match["file"] else _own_names(context)
    if text is None:
        yield Rule(line, Condition((), f"The file {match['file'][:80]} was not given."), "")
        return
    rows = listed(text)
    context.ledger.spend(OF_NAME * len(rows))
    for row in rows:
        key, *value = row.split(None, 1)
        expression = _expression(match["of"].lower(), match["how"] or "", key)
        if expression is None:
            yield Rule(line, Condition((), f"guardpanel has no hostname for “{key[:60]}” of the map."), "")
        elif value:
            yield Rule(line, Condition(((Term((expression,)),),)), value[0].strip())
    if match["default"]:
        yield Rule(line, ALWAYS, match["default"])


def _expression(sample: str, how: str, key: str) -> Expression | None:
    if sample == "path":
        return paths_of(how, [key]) if key.startswith("/") else None
    names = names_of("" if how == "str" else how, key)
    return Expression(hosts=frozenset(names)) if names else None


def _own_names(context: Context) -> str:
    """Of a rule that takes the hostname itself for the backend's name."""
    backends = [each.name for each in context.source.sections if each.kind == "backend"]
    return "\n".join(f"{name} {name}" for name in backends if "." in name)


def _route(known: list[Rule], hostname: str, names: Collection[str]) -> Route:
    route = Route(hostname)
    for rule in known:
        condition = rule.condition.of_host(hostname)
        if rule.redirect and (not condition.is_always or rule.redirect.leads_back(hostname, names)):
            continue
        if condition.is_always:
            route.backend, route.redirect, route.line = rule.backend, rule.redirect, rule.line
            break
        if condition.paths is not None:
            for how, path in condition.paths:
                _bind(route, rule, how, path)
        elif not condition.is_never:
            route.notes.append((rule.line, condition.why_not))
    return route


def _bind(route: Route, rule: Rule, how: str, path: str) -> None:
    """HAProxy takes the first rule that fits, guardpanel the longest path: they agree unless an earlier one is shorter."""
    key = fold(path)
    for other in ((how, key), *(("below", above) for above in (key, *_above(key)))):
        if other in route.bound:
            line, taken, _ = route.bound[other]
            if line is not rule.line:
                route.notes.append((rule.line, f"Line {line.number} takes {taken} before."))
            return
    route.bound[how, key] = rule.line, path, rule.backend
    route.remarks[how, path] = rule.condition.narrower(how, path)


def _above(path: str) -> Iterator[str]:
    """The paths that cover it: `/a` and `/` of `/a/b`."""
    while path.strip("/"):
        path = path.rpartition("/")[0] or "/"
        yield path
