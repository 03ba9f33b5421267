"""Where the proofs of an order's names come from: HAProxy, a DNS server, or a command, as the settings say."""

import secrets
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from guardpanel.acme.dns_updates import DnsServer, DnsUpdates, ServersOf, TsigKey, name_servers, read_key
from guardpanel.acme.faults import AuthorityFault, Fault, FaultKind
from guardpanel.acme.hook import Hook
from guardpanel.acme.lexicon import Lexicon, problem_with
from guardpanel.acme.lexicon_hook import read_options
from guardpanel.acme.names import is_address
from guardpanel.acme.network_words import reason
from guardpanel.acme.order import HTTP_01, Order, Proofs, Record
from guardpanel.dns_settings import NO_DNS
from guardpanel.engines import Engines
from guardpanel.errors import EngineUnavailable, Problem
from guardpanel.settings import Settings

PATH = "/.well-known/acme-challenge/"


class NoRecords:
    """HTTP-01: HAProxy answers by itself (config_templates/haproxy/_acme.cfg.j2)."""

    def add(self, records: Sequence[Record]) -> None:
        pass

    def lagging(self, records: Sequence[Record]) -> str:  # noqa: ARG002 there are none
        return ""

    def remove(self, records: Sequence[Record]) -> None:
        pass


@dataclass(frozen=True)
class Proving:
    settings: Settings
    engines: Engines
    thumbprint_for: Callable[[str], str]
    "Of the account's key with which HAProxy answers for a name."
    servers_of: ServersOf = name_servers

    async def prepare(self, order: Order, thumbprint: str) -> None:
        """Before an authority asks for HTTP-01, HAProxy is asked. Raises AuthorityFault if it does not answer as it should: a
        failed proof would count."""
        if order.challenge != HTTP_01:
            return
        for fault in (await self.faults_of_own(order.names, thumbprint)).values():
            raise AuthorityFault(Fault(FaultKind.PROOF, fault))

    async def faults_of_own(self, names: Sequence[str], thumbprint: str = "") -> dict[str, str]:
        """Why HAProxy would not prove names, by name. One without an answer speaks for all of them. `thumbprint`: of the
        account's key, if it is known."""
        faults = {}
        for name in names:
            try:
                if fault := await self._fault_of_own(name, thumbprint or self.thumbprint_for(name)):
                    faults[name] = fault
            except EngineUnavailable as problem:
                return {**faults, name: problem.message}
        return faults

    async def _fault_of_own(self, name: str, thumbprint: str) -> str:
        """Empty if it does. Raises EngineUnavailable."""
        token, verifier = secrets.token_urlsafe(16), self.engines.verifier
        host = f"[{name}]" if is_address(name) and ":" in name else name
        answer = await verifier.ask(verifier.binds[0], f"{PATH}{token}", {"host": host}, timeout=5.0)
        if answer.status == 200 and answer.body == f"{token}.{thumbprint}".encode():
            return ""
        if answer.status == 200 and answer.body.startswith(f"{token}.".encode()):
            return f"HAProxy answers challenges for {name} with the key of another account, whose order comes first."
        return f"HAProxy does not answer challenges for {name} yet (status {answer.status})."

    def proofs(self, order: Order) -> Proofs:
        """Raises AuthorityFault if the settings do not say how to prove by DNS-01."""
        return NoRecords() if order.challenge == HTTP_01 else self.by_dns()

    def by_dns(self) -> Proofs:
        settings = self.settings
        if settings.dns_hook:
            return Hook(shlex.split(settings.dns_hook))
        if settings.dns_lexicon:
            return Lexicon(settings.dns_lexicon, settings.dns_lexicon_file, servers_of=self.servers_of)
        if not settings.dns_server:
            raise AuthorityFault(Fault(FaultKind.PROOF, NO_DNS))
        try:
            return DnsUpdates(dns_server(settings), self.servers_of)
        except Problem as problem:
            raise AuthorityFault(Fault(FaultKind.PROOF, problem.message)) from problem


def dns_server(settings: Settings) -> DnsServer:
    """Raises Problem if its key can't be read."""
    host, port = settings.dns_place
    return DnsServer(host, port, _key(settings.dns_key_file) if settings.dns_key_file else None)


def _key(file: str) -> TsigKey:
    try:
        return read_key(Path(file).read_text())
    except OSError as error:
        words = reason(error)
    except UnicodeDecodeError:
        words = "it is not text"
    except ValueError as error:
        words = str(error)
    raise Problem(f"GUARDPANEL_DNS_KEY_FILE: {file}: {words}.")


def setup_problems(settings: Settings) -> list[str]:
    """What would keep orders from being made, as far as the settings tell. DNS-01 and authorities alone: sites are served."""
    problems = []
    try:
        if settings.dns_server:
            dns_server(settings)
    except Problem as problem:
        problems.append(problem.message)
    if settings.dns_lexicon and (words := problem_with(settings.dns_lexicon)):
        problems.append(f"GUARDPANEL_DNS_LEXICON: {words}")
    files = {name: getattr(settings, name) for name in ("dns_lexicon_file", "acme_ca_file")}
    faults = {name: _file_problem(name, file) for name, file in files.items()}
    problems += [f"GUARDPANEL_{name.upper()}: {files[name]}: {words}." for name, words in faults.items() if words]
    return problems


def _file_problem(name: str, file: str) -> str:
    try:
        if not file:
            return ""
        if name == "acme_ca_file":
            return (
                ""
                if b"-----BEGIN CERTIFICATE-----" in Path(file).read_bytes()
                else "no certificate in it: expected PEM"
            )
        read_options(file)
    except OSError as error:
        return reason(error)
    except ValueError as error:
        return str(error)
    return ""
