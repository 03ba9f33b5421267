"""A panel that orders certificates, as a forked child: for `order_kills`, which kills it, and `order_faults`, which fails its disk."""

import asyncio
import itertools
import traceback
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from guardpanel.acme.dns_updates import only_itself
from guardpanel.acme.preflight import Network
from guardpanel.errors import Problem
from guardpanel.models.certificates.certificate import CertificateInput
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.panel import Panel, Parts
from guardpanel.services import certificates, virtual_hosts
from guardpanel.services.issuing import deeds, orders
from guardpanel.services.issuing.checks import Checks
from guardpanel.services.issuing.issuer import Issuer
from guardpanel.services.saving.changes import Changes
from guardpanel.services.truth import startup
from guardpanel.settings import Settings
from tests.acme.authority import ZONE
from tests.crash.ground import ENDED, SAVING, UP
from tests.crash.oracle import opened
from tests.crash.syscalls import Shared
from tests.crash.world import ADA

STUMBLED = "stumbled"
"What the panel says when its worker failed: `message`, and whether that is a `problem` or only an exception."

BY_HTTP, BY_DNS = f"http.{ZONE}", f"dns.{ZONE}"
"Hostnames, and the names of their certificates."

KINDS = {"issue": BY_HTTP, "renew": BY_HTTP, "prove": BY_DNS}
"""With the certificate that is ordered. `issue`: one that has none yet, by HTTP-01. `renew`: one that is in use, by HTTP-01. `prove`:
the same by DNS-01."""


class Clock:
    """The time of day, and how long the next try of an order would have been waited for."""

    ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


def issuer_of(clock: Clock, port: int, changes: Changes, checks: Checks) -> Issuer:
    """All names are this machine's, and Knot alone has their zone."""
    network = Network(lambda _: ["127.0.0.1"], lambda _: [], port)
    proving = replace(checks.proving, servers_of=only_itself)
    return Issuer(changes, replace(checks, network=network, proving=proving), clock)


async def live(shared: Shared, settings: Settings, origin: int, url: str) -> None:
    """A panel's life: it goes on with what is open, and orders what it is told to."""
    clock = Clock()
    parts = Parts(issuer=partial(issuer_of, clock, settings.http_binds[0][1]))
    panel = await Panel.open(settings, supervise=False, parts=parts)
    panel.reconciler.problem = await startup.bring_up(panel.changes)
    await panel.reconciler.tick()
    await go_on(panel, clock, shared)
    shared.tell(UP, failed=panel.reconciler.problem)
    watching = panel.reconciler.start()  # It settles what could not be recorded.
    for at in itertools.count():
        while (order := shared.ordered()) is None:
            await asyncio.sleep(0.002)
        await panel.issuer.accounts.forget(url)  # So that registering it is among the steps.
        await order_certificate(panel, order["kind"], origin, url)
        shared.tell(f"{SAVING} {at}")
        await go_on(panel, clock, shared)
        assert not watching.done(), "the panel has stopped looking at what runs"
        shared.tell(f"{ENDED} {at}")


async def go_on(panel: Panel, clock: Clock, shared: Shared) -> None:
    """Until no order is open. A worker that fails begins again, as `Issuer.follow` does it."""
    last = ""
    while True:
        try:
            await panel.issuer.look()
            async with panel.database.read() as session:
                waits = [row.next_step_at for row in await orders.open_orders(session)]
        except Exception as error:  # noqa: BLE001 told to the harness
            if repr(error) != last:
                traceback.print_exc()
                is_problem = isinstance(error, Problem)
                shared.tell(STUMBLED, message=str(error) if is_problem else repr(error), problem=is_problem)
            last = repr(error)
            await asyncio.sleep(0.01)
            continue
        if not waits:
            return
        clock.ahead += max(timedelta(0), min(waits) - clock()) + timedelta(milliseconds=1)


async def order_certificate(panel: Panel, kind: str, origin: int, url: str) -> None:
    known = certificate_ids(panel.settings.data_dir)
    if kind == "begin":
        for name in (BY_HTTP, BY_DNS):
            servers = [{"address": f"127.0.0.1:{origin}"}]
            host = {"hostnames": [name], "servers": servers, "https": True, "health_check": False}
            await virtual_hosts.create(panel.changes, ADA, VirtualHostFields.model_validate(host))
        await certificates.create(panel.changes, ADA, certificate(BY_DNS, url, "dns-01"))
    elif kind == "issue":
        if BY_HTTP in known:
            await certificates.delete(panel.changes, ADA, known[BY_HTTP])
        await certificates.create(panel.changes, ADA, certificate(BY_HTTP, url, "http-01"))
    else:
        await deeds.order_now(panel.issuer, known[KINDS[kind]], "ada")


def certificate(name: str, url: str, challenge: str) -> CertificateInput:
    given = {"name": name, "source": "acme", "names": [name], "authority": url, "challenge": challenge}
    return CertificateInput.model_validate({**given, "profile": "default"})


def certificate_ids(folder: Path) -> dict[str, int]:
    with opened(folder) as database:
        return {row["name"]: row["id"] for row in database.execute("SELECT id, name FROM certificate")}
