"""What follows when a certificate is revoked."""

from datetime import timedelta

import httpx2
import pytest

from guardpanel.acme.client import RenewalWindow
from guardpanel.models.certificates.issuing import RevocationReason
from guardpanel.panel import Panel
from guardpanel.services.https import certificate_renewals
from guardpanel.services.issuing import deeds, plans
from tests.acme.worker import Worker
from tests.certificates.made import full_chain, leaf
from tests.factories import a_vhost
from tests.fakes import FakeEngines

DAY = timedelta(days=1)


@pytest.mark.anyio
@pytest.mark.parametrize("step", [None, "verify"])
async def test_hostnames_get_another_one_at_once_or_as_soon_as_a_save_succeeds(
    ada_api: httpx2.AsyncClient, panel: Panel, engines: FakeEngines, step: str | None
) -> None:
    worker = Worker(panel)
    number = await worker.add()
    await worker.look()
    body = {"name": "uploaded", "certificate": full_chain("shop.example"), "private_key": leaf("shop.example").key_pem}
    other = (await ada_api.post("/api/v1/certificates", json=body)).json()["id"]
    await ada_api.post("/api/v1/vhosts", json=a_vhost("shop.example", ssl_enabled=True))

    def file() -> str:
        return (panel.engines.releases.link / "crt-list.txt").read_text().splitlines()[-1].split()[0]

    assert file() == f"certs/{number}.pem"
    engines.fail(step)
    await deeds.revoke(worker.issuer, number, "ada", RevocationReason.NO_LONGER_USED)
    assert file() == f"certs/{number if step else other}.pem"
    engines.fail(None)
    await certificate_renewals._look(panel.changes, certificate_renewals.Pauses())

    assert file() == f"certs/{other}.pem"
    assert (await ada_api.get(f"/api/v1/certificates/{number}")).json()["state"] == "revoked"


@pytest.mark.anyio
async def test_no_other_one_is_ordered_for_one_that_is_no_longer_used_until_somebody_asks(panel: Panel) -> None:
    worker = Worker(panel)
    number = await worker.add()
    await worker.look()
    window = RenewalWindow(worker.now() - 2 * DAY, worker.now() - DAY, "", worker.now())
    worker.at().renewal_window = lambda pem: window  # type: ignore[method-assign]

    await deeds.revoke(worker.issuer, number, "ada", RevocationReason.NO_LONGER_USED)
    for _ in range(3):
        await worker.look(30 * DAY)
    await worker.edit(number, notes="x")
    await worker.look(DAY)
    assert worker.at().calls["new_order"] == 1
    plan = await worker.plan(number)
    assert (plan.due_at, plan.ask_again_at, plan.why) == (None, None, plans.REVOKED)

    await deeds.order_now(worker.issuer, number, "ada")
    await worker.look()
    assert worker.at().calls["new_order"] == 2
