"""Preflight: what would keep an authority from issuing, said before it is asked."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from guardpanel.acme.faults import AuthorityFault, Fault, FaultKind
from guardpanel.acme.order import HTTP_01, Order
from guardpanel.acme.preflight import THIS_MACHINES, Finding, Network, findings, first_findings
from guardpanel.services.issuing.accounts import Accounts
from guardpanel.services.issuing.proofs import Proving
from guardpanel.services.saving.changes import Changes
from guardpanel.settings import Settings

NOT_ASKED = "The authority was not asked, since it would not find what it needs. To ask it nevertheless, order now."


def checks_of(changes: Changes, settings: Settings) -> "Checks":
    """For this installation's settings."""
    accounts = Accounts(changes.database, changes.seal, settings.acme_ca_file)
    return Checks(accounts, Proving(settings, changes.engines, changes.renderer.thumbprint_for))


@dataclass(frozen=True)
class Checks:
    accounts: Accounts
    proving: Proving
    network: Network = THIS_MACHINES

    async def findings(self, order: Order, authority: str) -> list[Finding]:
        """Everything that would go wrong. Raises AuthorityFault if the authority does not answer."""
        if order.challenge == HTTP_01:
            own = await self.proving.faults_of_own(order.names)
            if own:
                return [Finding(name, words, is_certain=True) for name, words in own.items()]
        else:
            self.proving.by_dns()
        terms = await asyncio.to_thread((await self.accounts.reader(authority)).terms)
        if order.profile and order.profile not in terms.profiles:
            offered = ", ".join(terms.profiles) or "none"
            words = f"The authority does not offer the profile {order.profile}. It offers: {offered}."
            raise AuthorityFault(Fault(FaultKind.PROFILE, words))
        look = partial(
            findings,
            order.names,
            by_http=order.challenge == HTTP_01,
            thumbprint_for=self.proving.thumbprint_for,
            caa_names=terms.caa_names,
            network=self.network,
        )
        return await asyncio.to_thread(look)

    async def first_look(self, names: Sequence[str], authority: str, *, by_dns: bool) -> list[Finding]:
        """Before HAProxy serves the names. Raises AuthorityFault if the authority does not answer, or DNS-01 is not set up."""
        if by_dns:
            self.proving.by_dns()
        terms = await asyncio.to_thread((await self.accounts.reader(authority)).terms)
        return await asyncio.to_thread(
            first_findings, names, by_dns=by_dns, caa_names=terms.caa_names, network=self.network
        )

    async def must_pass(self, order: Order, authority: str) -> None:
        """Raises AuthorityFault with all findings."""
        findings = await self.findings(order, authority)
        if findings:
            detail = "\n".join(f"{finding.name}: {finding.words}" for finding in findings)
            raise AuthorityFault(Fault(FaultKind.PROOF, NOT_ASKED, detail))
