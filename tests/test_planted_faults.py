"""A fault of a kind that nobody foresaw, in each background task: it is logged with its stack, told, and begun again.

The tasks are those that a panel under `guardpanel up` begins, and every name in the code: who adds one plants a fault here.
"""

import ast
import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

import guardpanel
from guardpanel import malloc
from guardpanel.background import Background
from guardpanel.engines import Deployer, deployer, supervisor
from guardpanel.engines.releases import Releases
from guardpanel.engines.tls import panel_certificate
from guardpanel.engines.tls.panel_tls import PanelTls
from guardpanel.models import AddressList, Feed, Session
from guardpanel.panel import Panel
from guardpanel.services import exclusion_ends
from guardpanel.services.access import automatic_bans
from guardpanel.services.access.crowdsec import Stream
from guardpanel.services.https import certificate_renewals
from guardpanel.services.issuing import plans
from guardpanel.services.issuing.issuer import Issuer
from guardpanel.services.truth import readiness, startup
from guardpanel.settings import Settings
from tests.fakes import FAKES
from tests.faults import Faults

pytestmark = pytest.mark.anyio

LEAST = 2
"Failures of each that are waited for."


class Unforeseen(Exception):
    """Of no kind that the code knows."""


class Planted:
    """Faults by the name of the task: each raises until it is mended, then the place does what it did."""

    def __init__(self, places: dict[str, tuple[object, str]], patch: pytest.MonkeyPatch) -> None:
        self.names = set(places)
        self.left = set(places)
        for name, (owner, attribute) in places.items():
            patch.setattr(owner, attribute, self._raising(name, getattr(owner, attribute)))

    def _raising(self, name: str, otherwise: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            if name in self.left:
                raise Unforeseen(name)
            return otherwise(*arguments, **named)

        return call


@pytest.fixture
async def panel(settings: Settings, data_dir: Path) -> AsyncIterator[Panel]:
    """As `guardpanel up` makes it, with children that only sleep; not begun yet."""
    background = Background(lambda seconds: asyncio.sleep(min(seconds, 0.01)))
    hurried = replace(FAKES, background=lambda: background, issuer=Issuer)
    tls = PanelTls(settings, panel_certificate.read(settings, datetime.now(UTC)))
    made = await Panel.open(settings, supervise=True, parts=hurried, tls=tls)
    assert made.supervisor is not None
    for child in made.supervisor.children:
        child.command, child.may_start, child.before = lambda: ["sleep", "100"], lambda: True, lambda: None
        child.log.touch()
    settings.access_log.touch()
    yield made
    await made.close()


@pytest.fixture
def planted(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> Planted:
    """Each fault where the task does its work, not around it."""
    kept, sessions = panel.supervisor, SimpleNamespace(write=panel.database.write)
    assert kept is not None
    monkeypatch.setattr(panel.accounts.sessions, "database", sessions)
    monkeypatch.setattr(supervisor, "LARGEST_LOG", -1)
    monkeypatch.setattr(deployer, "TIDY_EVERY_SECONDS", 0.01)
    return Planted(
        {
            "supervision of WAF agent": (kept.agent, "command"),
            "supervision of HAProxy": (kept.haproxy, "command"),
            "supervision of Ingest": (kept.ingest, "command"),
            "master socket": (supervisor, "has_lost"),
            "log rotation": (supervisor, "rotate"),
            "access log rotation": (supervisor, "rotate_access_log"),
            "start": (startup, "bring_up"),
            "event ingest check": (panel.ingest_watch, "ask"),
            "blocking check": (panel.events, "unblocked"),
            "reconcile": (panel.engines, "inspect"),
            "server names": (panel.engines, "follow_names"),
            "memory": (malloc, "give_back"),
            "bans": (panel.bans.map, "write"),
            "automatic bans": (automatic_bans, "_rules"),
            "feeds": (panel.feeds, "_due"),
            "feed downloads": (panel.feeds, "download"),
            "revocation lists": (panel.revocation_lists, "_due"),
            "feed maps": (panel.feeds, "_fed"),
            "CrowdSec": (panel.feeds.crowdsec, "_fed"),
            "CrowdSec questions": (panel.feeds.crowdsec, "_take"),
            "countries": (panel.geo.sources[0], "look"),
            "country downloads": (panel.geo_downloads, "download_due"),
            "rule exclusions": (exclusion_ends, "ending"),
            "certificates": (certificate_renewals, "renew"),
            "panel certificate": (panel.tls, "refresh"),
            "certificate orders": (plans, "certificates"),
            "retention": (Releases, "numbers"),
            "sweep": (panel.backups, "sweep"),
            "sessions": (sessions, "write"),
            "old applications": (Deployer, "drop_unused"),
        },
        monkeypatch,
    )


async def test_background_tasks_survive_unexpected_errors(panel: Panel, planted: Planted, faults: Faults) -> None:
    faults.expect()
    panel.start()
    panel.accounts.sessions.note_seen(
        Session(id=1, user_id=1, secret_hash="", kind="", seen_at=datetime.min.replace(tzinfo=UTC))
    )
    engines = Deployer(panel.settings, "secret", panel.background)
    engines.tidy()
    panel.background.once("feed downloads", partial(panel.feeds._download, 1))
    row, stream = AddressList(id=1, name="Gone"), Stream((datetime.now(UTC), "", None))
    ask = partial(
        panel.feeds.crowdsec._ask,
        row,
        Feed(address_list_id=1, list_created_at=row.created_at),
        stream,
        panel.feeds.reach,
    )
    panel.background.once("CrowdSec questions", ask)

    results: dict[str, tuple[int, str, str]] = {}
    async with asyncio.timeout(60):
        while planted.left:
            for health in panel.background.failing:
                if health.failures >= LEAST and health.name in planted.left:
                    parts = await readiness.parts(panel.changes, starting=False, problem=None)
                    results[health.name] = (health.restarts, health.fault, parts["background"])
                    planted.left.discard(health.name)
            await asyncio.sleep(0.005)
        while panel.background.failing:
            await asyncio.sleep(0.005)
    await engines.close()

    assert {health.name for health in panel.background.health} == planted.names
    logged = [logging.Formatter().format(record) for record in faults.records]
    for name, (restarts, kind, words) in results.items():
        assert restarts >= LEAST
        assert kind == "Unforeseen"
        assert f"{name}: failed " in words
        first = next(text for text in logged if text.startswith(f"background task {name} failed (1 in a row)"))
        assert f"Unforeseen: {name}" in first
        assert "Traceback" in first


async def test_every_background_task_in_the_code_has_a_planted_fault(planted: Planted) -> None:
    named = {name for path in Path(guardpanel.__file__).parent.rglob("*.py") for name in begun_in(path)}

    assert len(named) >= 11
    assert {name for name in named if not any(known.startswith(name) for known in planted.names)} == set()


def begun_in(path: Path) -> Iterator[str]:
    """The names of what is kept, or done once, in the background; of those that are put together, their beginnings."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and node.args and called(node.func) in {"keep", "once"}:
            match node.args[0]:
                case ast.Constant(value=str(name)) | ast.JoinedStr(values=[ast.Constant(value=str(name)), *_]):
                    yield name


def called(function: ast.expr) -> str:
    match function:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case _:
            return ""
