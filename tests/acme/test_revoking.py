"""What follows when a certificate is revoked."""

from datetime import timedelta

import pytest

from guardpanel.acme.client import RenewalWindow
from guardpanel.models import Certificate
from guardpanel.models.certificates.issuing import RevocationReason
from guardpanel.panel import Panel
from guardpanel.services.issuing import deeds, plans
from tests.acme.worker import Worker

DAY = timedelta(days=1)


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
    async with panel.database.write() as session:
        (await session.get_one(Certificate, number)).version += 1  # As any edit does.
    await worker.look(DAY)
    assert worker.at().calls["new_order"] == 1
    plan = await worker.plan(number)
    assert (plan.due_at, plan.ask_again_at, plan.why) == (None, None, plans.REVOKED)

    await deeds.order_now(worker.issuer, number, "ada")
    await worker.look()
    assert worker.at().calls["new_order"] == 2
