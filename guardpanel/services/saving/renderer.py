"""From rows to the engines: rendered with this installation's facts, and staged as a release."""

import asyncio
import hashlib
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import bindparam
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.access.contents import LISTED, ListMaps
from guardpanel.bundle import Application, Bundle
from guardpanel.certificates.contents import STORED, CurrentContent, CurrentContents
from guardpanel.certificates.served import ServedCertificate, ServedCertificates
from guardpanel.engines import Engines
from guardpanel.engines.files import content_of
from guardpanel.engines.releases import Release, ReleaseDamaged
from guardpanel.engines.tls.handshakes import first_of
from guardpanel.models import Revision
from guardpanel.rendering import DesiredState, EngineFacts, Rows, geo, render
from guardpanel.sealing import Seal
from guardpanel.services.saving import invariants, refusals, snapshots
from guardpanel.services.saving.change import Change
from guardpanel.services.saving.facts import SECRET, thumbprints, thumbprints_in
from guardpanel.services.saving.login_digests import digests
from guardpanel.services.saving.proposal import Proposal
from guardpanel.services.saving.snapshots import Snapshot

FACTS = select(SECRET, thumbprints(bindparam("master_key")), STORED.scalar_subquery(), LISTED.scalar_subquery())
"What each save asks beside its rows, in one trip to the database."

FACTS_TABLES = frozenset(
    {"installation", "acmeorder", "acmeaccount", "certificate", "certificatecontent", "addresslist"}
)
"Those that it reads."


class StoredFacts(NamedTuple):
    secret: str | None
    proved: str
    stored: str | None
    listed: str


class Renderer:
    def __init__(self, engines: Engines, facts: EngineFacts, seal: Seal, lists: ListMaps) -> None:
        self.contents = CurrentContents(seal)
        self.lists = lists
        self.engines = engines
        self.facts = facts
        self._served: tuple[tuple[CurrentContent, ...], tuple[ServedCertificate, ...]] = (), ()
        "Certificates as they were last read, and what HAProxy gets of them."
        self._live: tuple[int, dict[str, Application]] | None = None
        "The live revision's number, and its applications by name."

    async def rendered(self, snapshot: Snapshot, facts: EngineFacts | None = None) -> Bundle:
        """What the engines get from these rows. Raises NotFound if entries of their address lists are not stored any more."""
        facts = facts or self.facts
        rows = await asyncio.to_thread(snapshots.rows, snapshot)
        references = [row["content"] for row in rows["addresslist"]]
        facts = replace(facts, list_maps=await self.lists.of(references, facts.list_maps))
        return await asyncio.to_thread(_rendered, rows, facts, self.contents.seal)

    async def accepted(self, change: Change, before: Snapshot, after: Snapshot, facts: EngineFacts) -> Bundle:
        """What the engines get from a change. Raises Invalid (422) or Conflict (409) if it breaks a rule across rows."""
        return await asyncio.to_thread(_accepted, change, before, after, facts, self.contents.seal)

    def release(self, bundle: Bundle, number: int, *, sync: bool = True) -> Release:
        """The revision's release, staged again if it is missing or modified."""
        with suppress(ReleaseDamaged):
            release = self.engines.releases.open(number)
            rendered = bundle.checksum, bundle.secrets_digest, bundle.data_digest
            if (release.checksum, release.secrets, release.data) == rendered:
                return release
        return self.engines.stage(bundle, number, sync=sync)

    async def applications_of(self, live: Revision) -> dict[str, Application]:
        """The live revision's applications by name."""
        number = live.id or 0
        if self._live is None or self._live[0] != number:
            self._live = number, _by_name(await self.rendered(snapshots.unpacked(live.snapshot)))
        return self._live[1]

    def remember(self, revision: int, bundle: Bundle) -> None:
        """Record that this is live."""
        self._live = revision, _by_name(bundle)

    async def changed(self, bundle: Bundle, live: Revision | None) -> frozenset[str]:
        """The applications that the live revision lacks. All of them without one."""
        before = await self.applications_of(live) if live is not None else {}
        return frozenset(application.name for application in bundle.applications) - frozenset(before)

    async def facts_in(self, session: AsyncSession) -> EngineFacts:
        """The facts with the installation's secret, certificates, accounts and address lists in this session: a restored backup
        has its own."""
        return await self.facts_of(session, await self.ask(session))

    async def ask(self, session: AsyncSession) -> StoredFacts:
        return StoredFacts(*(await session.exec(FACTS, params={"master_key": self.contents.seal.key_id})).one())

    async def facts_of(self, session: AsyncSession, stored_facts: StoredFacts) -> EngineFacts:
        return replace(
            self.facts,
            secret=stored_facts.secret or self.facts.secret,
            own_thumbprints=thumbprints_in(stored_facts.proved),
            certificates=await self._certificates(session, stored_facts.stored or ""),
            list_maps=await self.lists.current(session, stored_facts.listed),
            has_countries=_is_filled(self.facts.geo_dir, geo.COUNTRIES),
            has_networks=_is_filled(self.facts.geo_dir, geo.NETWORKS),
        )

    async def _certificates(self, session: AsyncSession, stored: str) -> ServedCertificates:
        """Without their key, those of the live release go on being served."""
        current = await self.contents.of(session, stored)
        if current is not self._served[0]:
            self._served = current, await asyncio.to_thread(lambda: tuple(filter(None, map(self._as_served, current))))
        return ServedCertificates(self._served[1], datetime.now(UTC))

    def _as_served(self, content: CurrentContent) -> ServedCertificate | None:
        pem = content.pem or self._released(content)
        if not pem:
            return None
        return ServedCertificate(
            content.certificate_id,
            content.source,
            content.names,
            content.not_before,
            content.not_after,
            pem.rstrip() + b"\n",
            content.revoked_at,
        )

    def _released(self, content: CurrentContent) -> bytes:
        """Compared, since a restored backup may give a certificate the id of another one that is live here. Empty if it is not
        this one."""
        with suppress(OSError, ValueError):
            pem = content_of(self.engines.releases.link / "certs" / f"{content.certificate_id}.pem")
            if hashlib.sha256(first_of(pem)).hexdigest() == content.fingerprint:
                return pem
        return b""

    def thumbprint_for(self, name: str) -> str:
        """Of the account's key with which HAProxy answers an authority that asks for a name."""
        return self.facts.thumbprint_for(name)

    def use(self, facts: EngineFacts) -> None:
        self.facts = facts
        self.engines.verifier.secret = facts.secret


def _is_filled(directory: str, file: str) -> bool:
    path = Path(directory, file)
    return path.is_file() and path.stat().st_size > 0


def _rendered(rows: Rows, facts: EngineFacts, seal: Seal) -> Bundle:
    return render(DesiredState.from_rows(rows, replace(facts, login_digests=digests(rows.get("sitelogin", ()), seal))))


def _accepted(change: Change, before: Snapshot, after: Snapshot, facts: EngineFacts, seal: Seal) -> Bundle:
    rows = snapshots.rows(after)
    if broken := invariants.violations(Proposal(rows, facts, partial(snapshots.rows, before))):
        raise refusals.of_rules(broken, change)
    return _rendered(rows, facts, seal)


def _by_name(bundle: Bundle) -> dict[str, Application]:
    return {application.name: application for application in bundle.applications}
