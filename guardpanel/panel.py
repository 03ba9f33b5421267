"""The parts of a running panel: `request.app.state.panel`."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from guardpanel import malloc
from guardpanel.background import Background
from guardpanel.database import Database
from guardpanel.engines import Deployer, Engines
from guardpanel.engines.supervisor import Supervisor
from guardpanel.engines.tls.panel_tls import PanelTls
from guardpanel.sealing import Seal
from guardpanel.services import exclusion_ends, installation, panel_watch
from guardpanel.services.access.automatic_bans import AutomaticBans
from guardpanel.services.access.bans import Bans
from guardpanel.services.access.feeds import Feeds
from guardpanel.services.access.geo import Geo
from guardpanel.services.access.geo_downloads import GeoDownloads
from guardpanel.services.accounts.accounts import Accounts
from guardpanel.services.accounts.passwords import Passwords
from guardpanel.services.backups.backups import Backups
from guardpanel.services.events import Events, state
from guardpanel.services.events.watching import IngestWatch
from guardpanel.services.figures import Figures
from guardpanel.services.https import certificate_renewals
from guardpanel.services.https.revocation_lists import RevocationLists
from guardpanel.services.issuing.accounts import own_thumbprint
from guardpanel.services.issuing.checks import Checks, checks_of
from guardpanel.services.issuing.issuer import Issuer
from guardpanel.services.jobs import Jobs
from guardpanel.services.retention import Retention
from guardpanel.services.saving.changes import Changes
from guardpanel.services.streams import Streams
from guardpanel.services.truth import name_following, startup
from guardpanel.services.truth.blocking import BlockingWatch
from guardpanel.services.truth.reconcile import Reconciler
from guardpanel.settings import Settings


@dataclass(frozen=True)
class Parts:
    """What each panel creates, and what tests replace."""

    engines: Callable[[Settings, str, Background], Engines] = Deployer
    passwords: Callable[[], Passwords] = Passwords
    background: Callable[[], Background] = Background
    issuer: Callable[[Changes, Checks], Issuer] = Issuer
    ask_ingest: Callable[[Settings], Awaitable[Mapping[str, Any] | None]] = state.ask


REAL = Parts()


@dataclass
class Panel:
    settings: Settings
    database: Database
    background: Background
    engines: Engines
    changes: Changes
    accounts: Accounts
    figures: Figures
    reconciler: Reconciler
    retention: Retention
    backups: Backups
    events: Events
    ingest_watch: IngestWatch
    issuer: Issuer
    bans: Bans
    feeds: Feeds
    geo: Geo
    supervisor: Supervisor | None = None
    "Only under `guardpanel up`."
    tls: PanelTls | None = None
    "Only if the panel itself serves HTTPS."
    starting: bool = True
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    revocation_lists: RevocationLists = field(init=False)
    geo_downloads: GeoDownloads = field(init=False)
    jobs: Jobs = field(default_factory=Jobs)
    streams: Streams = field(default_factory=Streams)

    def __post_init__(self) -> None:
        self.revocation_lists = RevocationLists(self.changes, self.settings.feed_reach)
        self.geo_downloads = GeoDownloads(self.changes, self.geo, self.settings.feed_reach)

    @classmethod
    async def open(
        cls, settings: Settings, *, supervise: bool, parts: Parts = REAL, tls: PanelTls | None = None
    ) -> "Panel":
        """Migrate the database and assemble the parts. Does not query the engines."""
        for folder in (settings.data_dir, settings.run_dir, settings.log_dir, settings.releases_dir):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        database = Database(settings.database)
        await database.migrate()
        facts = await installation.engine_facts(database, settings)
        seal = await asyncio.to_thread(Seal.at, settings.secret_key)
        facts = replace(facts, acme_thumbprint=await own_thumbprint(database, seal))
        background = parts.background()
        engines = parts.engines(settings, facts.secret, background)
        changes = Changes(database, engines, facts, settings.save_lock, seal, background)
        supervisor = Supervisor(settings, engines, background) if supervise else None
        figures = Figures()
        async with database.read() as session:
            await figures.start(session)
        reconciler = Reconciler(changes, settings.data_dir, repairs=settings.drift == "repair")
        backups = Backups(settings)
        return cls(
            settings=settings,
            database=database,
            background=background,
            engines=engines,
            changes=changes,
            accounts=Accounts(database, parts.passwords(), background),
            figures=figures,
            reconciler=reconciler,
            retention=Retention(changes, settings, backups),
            backups=backups,
            events=Events(settings, database),
            bans=await Bans.opened(database, engines.bans),
            geo=await Geo.opened(settings, engines.bans.cli),
            feeds=await Feeds.opened(changes, engines.feeds, settings.feed_reach),
            issuer=parts.issuer(changes, checks_of(changes, settings)),
            ingest_watch=IngestWatch(changes.watch, partial(parts.ask_ingest, settings)),
            supervisor=supervisor,
            tls=tls,
        )

    @property
    def problem(self) -> str | None:
        """What prevents the configuration from going live."""
        return self.reconciler.problem

    def start(self) -> None:
        """Start the background tasks. The first one deploys the desired state. Pages are served meanwhile."""
        if self.supervisor is not None:
            self.supervisor.start()
        self.ingest_watch.follow(self.background)
        if self.tls is not None:
            panel_watch.follow(self.changes, self.tls)
        self.background.once("start", self._bring_up)

    async def _bring_up(self) -> None:
        try:
            self.reconciler.problem = await startup.bring_up(self.changes)
        finally:
            self.starting = False
        malloc.follow(self.background)
        self.reconciler.start()
        self.retention.start()
        BlockingWatch(self.changes, self.events).follow()
        name_following.follow(self.changes)
        exclusion_ends.follow(self.changes)
        certificate_renewals.follow(self.changes)
        self.issuer.follow()
        self.bans.follow(self.background)
        AutomaticBans(self.changes, self.events, self.bans).follow()
        self.feeds.follow(self.background)
        self.revocation_lists.follow(self.background)
        self.geo.follow(self.background)
        self.geo_downloads.follow(self.background)

    async def close(self) -> None:
        await self.jobs.close()
        await self.engines.close()
        await self.background.close()
        if self.supervisor is not None:
            await self.supervisor.stop()
        await self.events.close()
        await self.database.close()
