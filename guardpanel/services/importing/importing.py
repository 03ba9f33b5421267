"""A haproxy.cfg read whole: a site file, and the outcome of each line. Nothing is saved."""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from guardpanel.readable_yaml import written
from guardpanel.services.importing import source
from guardpanel.services.importing.access import Access, is_tracking, left_tracking
from guardpanel.services.importing.building import Building
from guardpanel.services.importing.conditions import covers, split_rule
from guardpanel.services.importing.hosts import Host, Row, Values
from guardpanel.services.importing.limits import POLICY
from guardpanel.services.importing.outcomes import Kind, Ledger, Line, Outcome, named
from guardpanel.services.importing.pools import SENDS_CLIENT, TIMEOUTS
from guardpanel.services.importing.proxies import (
    RULES,
    Context,
    effective,
    is_denial,
    is_http,
    is_local,
    is_statistics,
    key_of,
    rules,
)
from guardpanel.services.importing.reasons import NOT_HTTP, OWN_PAGES, OWN_TIMES, SECTIONS, SETTING, reason
from guardpanel.services.importing.redirects import HTTPS_NOTE
from guardpanel.services.importing.rules import Ruling, apply
from guardpanel.services.importing.source import LISTENING, PROXIES, Section
from guardpanel.services.site_file.keys import FORMAT, FORMAT_KEY

KINDS: tuple[Kind, ...] = ("became", "note", "left")


@dataclass(frozen=True)
class Beside:
    """What a haproxy.cfg does not say itself."""

    files: Mapping[str, str] = field(default_factory=dict)
    "Maps and lists, by the name that the configuration has for them, or what follows its last slash."
    environment: Mapping[str, str] = field(default_factory=dict)
    hostnames: Mapping[str, str] = field(default_factory=dict)
    "Of frontends that serve any hostname, by frontend."


@dataclass(frozen=True)
class Imported:
    outcomes: list[Outcome]
    site: str
    "YAML. Empty: nothing became anything."
    disabled: tuple[str, ...] = ()
    "Virtual hosts that would lose a rule against visitors."

    @property
    def counts(self) -> dict[Kind, int]:
        return {kind: sum(outcome.kind == kind for outcome in self.outcomes) for kind in KINDS}

    @property
    def sentence(self) -> str:
        became, notes, left = (f"{self.counts[kind]:,}" for kind in KINDS)
        total = len(self.outcomes)
        words = (
            f"{total:,} line{'' if total == 1 else 's'}: {became} imported, {notes} kept as notes, {left} not taken."
        )
        return f"{words} Disabled until you enable them: {named(self.disabled)}." if self.disabled else words


async def imported_in_thread(content: bytes, beside: Beside) -> Imported:
    """Reading ends if this is canceled."""
    unwanted = threading.Event()
    try:
        return await asyncio.to_thread(import_configuration, content, beside, unwanted)
    finally:
        unwanted.set()


def import_configuration(content: bytes, beside: Beside, unwanted: threading.Event | None = None) -> Imported:
    """Raises Invalid (422) if this is not a haproxy.cfg, and Unwanted if it is not waited for any more."""
    read = source.read(source.text_of(content), beside.environment, Ledger(unwanted))
    return _Importing(Context(read, beside.files, beside.hostnames)).run()


class _Importing:
    def __init__(self, context: Context) -> None:
        self._context, self._ledger = context, context.ledger
        self._building, self._access = Building(context), Access()
        self._applied: set[tuple[int, str]] = set()
        "Rules by line and virtual host: those of defaults count for frontend and backend."
        self._http = {id(each) for each in context.source.sections if is_http(each)}
        self._statistics = {
            id(each) for each in context.source.sections if each.kind in LISTENING and is_statistics(each)
        }

    def run(self) -> Imported:
        sections = self._context.source.sections
        listening = [each for each in sections if each.kind in LISTENING and id(each) in self._http]
        frontends = [each for each in listening if id(each) not in self._statistics]
        self._building.build(frontends)
        for section in frontends:
            self._read_frontend(section)
        for line, row, host, section in self._building.backend_rules():
            if (line.number, host.host) not in self._applied:
                self._apply(section, line, row, host)
        for section in sections:
            self._finish(section)
        outcomes = self._outcomes()
        disabled = tuple(host.host for host in self._building.hosts if host.values.get("enabled") is False)
        return Imported(outcomes, self._site(), disabled)

    def _read_frontend(self, section: Section) -> None:
        hosts = self._building.of_frontend(section)
        for line in rules(section):
            if line.keyword == "bind":
                self._bind(line, self._building.own(section), is_local=is_local(section))
            elif line.keyword in RULES - {"acl"}:
                self._rule(section, line, hosts)
            elif line.keyword not in {"use_backend", "default_backend", "acl"} and section.kind == "frontend":
                self._other(line, hosts)
        for line in effective(section, self._ledger):
            if line.keyword == "option" and line.words[1:2] == ("forwardfor",) and hosts:
                self._ledger.became(line, SENDS_CLIENT)

    def _bind(self, line: Line, hosts: list[Host], *, is_local: bool) -> None:
        self._ledger.left(line, SETTING)
        for host in hosts:
            if "verify" in line.words:
                host.close(line, f"Set who may present client certificates. {HTTPS_NOTE}")
            elif "ssl" in line.words:
                host.note(line, HTTPS_NOTE)
            elif "accept-proxy" in line.words:
                host.note(line, "Set the PROXY protocol on the page Traffic.")
            elif is_local:
                host.close(line, "It listens for this machine alone.")

    def _rule(self, section: Section, line: Line, hosts: list[Host]) -> None:
        needed = self._context.condition(section, line).needed_hosts
        for host in [host for host in hosts if needed is None or covers(needed, host.hostname)]:
            self._ledger.spend(1)
            self._applied.add((line.number, host.host))
            self._apply(section, line, host, host)

    def _apply(self, section: Section, line: Line, row: Row, host: Host) -> None:
        condition = self._context.condition(section, line).of_host(host.hostname)
        if condition.is_never:
            return
        if is_denial(line):
            has_others = section.kind != "frontend" and host not in self._building.own(section) and row is host
            is_of_all = not (has_others and any("own_servers" in path for path in host.paths))
            ruling = Ruling(row, host, line, split_rule(line.words)[0], condition)
            self._access.deny(self._context, section, ruling, is_of_all=is_of_all)
        elif is_tracking(line):
            left_tracking(self._ledger, line)
        else:
            apply(row, host, line, condition)

    def _other(self, line: Line, hosts: list[Host]) -> None:
        if key_of(line) == "option forwardfor":
            for host in hosts:
                host.became(line, SENDS_CLIENT)
        elif why := "It has no effect in a frontend." if key_of(line) in TIMEOUTS else reason(line):
            self._ledger.left(line, why)
        elif not self._ledger.is_known(line):
            for host in hosts:
                host.note(line)

    def _finish(self, section: Section) -> None:
        """Outcomes for what has none yet: heads, ACLs, and what no virtual host uses."""
        for line in section.lines:
            if line.keyword == "acl":
                self._acl(line)
            else:
                self._ledger.left(line, self._why_left(section, line))
        kinds = {self._ledger.kind(line) for line in section.lines}
        if section.kind in PROXIES | {"defaults"} and kinds & {"became", "note"}:
            self._ledger.became(section.head, self._what(section))
        self._ledger.left(section.head, self._why_left(section, section.head))

    def _what(self, section: Section) -> str:
        if section.kind == "defaults":
            return "settings of virtual hosts"
        own = (
            self._building.of_frontend(section) if section.kind == "frontend" else self._building.with_backend(section)
        )
        return ("virtual hosts " if section.kind == "frontend" else "servers of ") + named(host.host for host in own)

    def _why_left(self, section: Section, line: Line) -> str:
        if section.kind in SECTIONS:
            return SECTIONS[section.kind]
        if section.kind in PROXIES and id(section) not in self._http:
            return NOT_HTTP
        if id(section) in self._statistics:
            return OWN_PAGES
        unused = f"No imported virtual host uses this {section.kind}."
        if line.keyword in {"use_backend", "default_backend"} and self._building.of_frontend(section):
            unused = "Earlier lines decide for each imported virtual host."
        if section.kind == "defaults":
            unused = (
                "Nothing of this section was imported." if line is section.head else "No imported virtual host uses it."
            )
        return (reason(line) if line is not section.head else "") or (OWN_TIMES if line.is_no else unused)

    def _acl(self, line: Line) -> None:
        """It shares what became of the rules that use it."""
        users = list(self._context.users.get(line.number, {}).values())
        for user in users:
            if self._ledger.kind(user) == "became":
                self._ledger.became(line, f"part of line {user.number}")
            for host in self._ledger.hosts_of_note(user):
                self._ledger.note(line, host, f"With line {user.number}")
        self._ledger.left(line, f"Only line {users[0].number} uses it." if users else "No rule uses it.")

    def _outcomes(self) -> list[Outcome]:
        texts = self._context.source.texts
        notes: dict[str, list[Line]] = {}
        for line in (Line(number, text) for number, text in texts.items()):
            for host in dict.fromkeys(self._ledger.hosts_of_note(line)):
                notes.setdefault(host, []).append(line)
        self._items = [host.item(notes.get(host.host, [])) for host in self._building.hosts]
        return self._ledger.outcomes(texts)

    def _site(self) -> str:
        items = self._items
        for item in items:
            item["policy"] = item["policy"] or POLICY
        used = dict.fromkeys(item["policy"] for item in items)
        policies = [self._access.policy(name) for name in used]
        return "\n".join(_sections(policies, items, self._access.lists)) if items else ""


def _sections(policies: list[Values], hosts: list[Values], lists: list[Values]) -> Iterator[str]:
    yield written({FORMAT_KEY: FORMAT})
    yield written({"policies": policies}, ascii_only=False)
    yield written({"virtual_hosts": hosts}, ascii_only=False)
    if lists:
        yield written({"address_lists": lists}, ascii_only=False)
