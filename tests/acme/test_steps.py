"""What becomes of an order when a step of it fails, whatever fails; and of one that is canceled."""

import asyncio
from datetime import timedelta
from typing import Any, NoReturn

import pytest

from guardpanel.acme.faults import FaultKind
from guardpanel.acme.order import Phase, Record
from guardpanel.errors import Conflict, EngineUnavailable, NotFound, StorageFailed
from guardpanel.models import Certificate
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.panel import Panel
from guardpanel.sealing import Seal
from guardpanel.services import virtual_hosts
from guardpanel.services.issuing import deeds, orders
from guardpanel.services.issuing.steps import CHANGED, OTHER_MASTER_KEY
from guardpanel.services.saving.changes import SaveRequest
from tests.acme.worker import FIRST, Worker, refusal
from tests.conftest import Person
from tests.fakes import FakeEngines
from tests.faults import Faults

pytestmark = pytest.mark.anyio

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def worker(panel: Panel) -> Worker:
    return Worker(panel)


async def test_an_order_reports_what_the_authority_made_of_the_email_address_once(worker: Worker) -> None:
    worker.contact_words = "The authority rejected these email addresses: a@example.com."
    number = await worker.add()
    worker.at().fail("update_contacts", refusal(FaultKind.UNREACHABLE))

    await worker.look()
    assert await worker.content(number) is None
    await worker.look(5 * MINUTE)

    assert (await worker.words(number)).count(worker.contact_words) == 1
    assert worker.at().calls["update_contacts"] == 2
    assert await worker.content(number)


@pytest.mark.parametrize("method", ["authority", "new_order", "order", "finalize", "chains"])
async def test_an_order_survives_whatever_a_step_raises_and_goes_on_later(
    worker: Worker, faults: Faults, method: str
) -> None:
    faults.expect()
    number = await worker.add()
    worker.at().fail(method, ZeroDivisionError("secret"), KeyError("secret"))

    await worker.look()
    log = await worker.log(number)
    assert log.state == "open" and log.steps[-1].is_bad
    assert log.steps[-1].words == "The step failed unexpectedly (ZeroDivisionError). The panel’s log has the details."
    assert not log.steps[-1].detail
    await worker.look(MINUTE)
    assert (await worker.words(number))[-1].startswith("The step failed unexpectedly (KeyError)")
    assert await worker.content(number) is None
    await worker.look(5 * MINUTE)

    assert await worker.content(number), await worker.words(number)
    assert len(await worker.logs(number)) == 1
    assert worker.at().calls["new_order"] <= 3
    assert worker.at().calls["finalize"] == (3 if method == "finalize" else 1)


async def test_a_disk_that_is_full_has_one_order_made_however_often_it_is_tried(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer with the order's address can't be stored, nor can that it failed. The worker begins again within a minute."""
    number, database = await worker.add(), worker.panel.database
    await worker.issuer._plan()

    def fail() -> NoReturn:
        raise StorageFailed("The database cannot be written: database or disk is full.")

    new_order = worker.at().new_order

    def last(*asked: Any) -> str:
        monkeypatch.setattr(database, "write", fail)
        return new_order(*asked)

    monkeypatch.setattr(worker.at(), "new_order", last)
    for _ in range(4):
        with pytest.raises(StorageFailed):
            await worker.look()
    assert worker.at().calls["new_order"] == 1

    monkeypatch.undo()
    await worker.look()
    assert await worker.content(number)
    assert worker.at().calls["new_order"] == 2


async def test_a_step_that_this_machine_stops_says_why(worker: Worker) -> None:
    number = await worker.add()
    worker.at().fail("authority", StorageFailed("The database cannot be written: database or disk is full."))

    await worker.look()

    assert (await worker.words(number))[-1] == "The database cannot be written: database or disk is full."


async def test_an_order_waits_for_the_save_of_its_certificate_to_be_live(worker: Worker) -> None:
    """Its row can be read before HAProxy has it. HAProxy would not answer challenges yet, and the order would wait a minute."""
    number, changes = await worker.add(), worker.panel.changes
    async with changes.turn(), asyncio.timeout(60):
        looking = asyncio.create_task(worker.look())
        while not changes._turn._waiters:
            await asyncio.sleep(0)
        assert not worker.at().calls and not looking.done()
    await looking

    assert await worker.content(number)
    assert not [step for step in (await worker.log(number)).steps if step.is_bad]


async def test_nothing_is_ordered_for_a_certificate_whose_save_is_rolled_back(worker: Worker) -> None:
    number, changes = await worker.add(), worker.panel.changes
    async with changes.turn(), asyncio.timeout(60):
        looking = asyncio.create_task(worker.look())
        while not changes._turn._waiters:
            await asyncio.sleep(0)
        async with worker.panel.database.write() as session:
            await session.delete(await session.get_one(Certificate, number))
    await looking

    assert not worker.at().calls["new_order"]
    log = await worker.log(number)
    assert (log.state, log.steps[-1].words) == ("failed", CHANGED)


@pytest.mark.parametrize(
    ("kind", "failed_for_good"),
    [
        (FaultKind.VALIDATION, False), (FaultKind.RATE_LIMITED, False), (FaultKind.LOST_ORDER, False),
        (FaultKind.REJECTED, True), (FaultKind.PROFILE, True), (FaultKind.BINDING, True), (FaultKind.CLOSED_ACCOUNT, True),
    ],
)  # fmt: skip
async def test_a_refusal_ends_the_order_and_the_plan_says_what_is_next(
    worker: Worker, kind: FaultKind, failed_for_good: bool
) -> None:
    number = await worker.add()
    worker.at().fail("order", refusal(kind, "No.", detail="The authority’s words."))

    await worker.look()

    log, plan = await worker.log(number), await worker.plan(number)
    assert (log.state, log.is_open, log.order.sealed_key) == ("failed", False, None)
    assert (log.steps[-1].words, log.steps[-1].detail) == ("No.", "The authority’s words.")
    assert plan.failures == 1 and plan.why.startswith("The last order failed.")
    assert (plan.due_at is None) is failed_for_good
    await worker.look(timedelta(days=2))
    assert bool(await worker.content(number)) is not failed_for_good


async def test_a_renewal_is_tried_more_often_the_nearer_the_end_of_what_is_in_use(worker: Worker) -> None:
    number = await worker.add()
    await worker.look()
    content = await worker.content(number)
    assert content is not None
    worker.at().fail("finalize", *[refusal(FaultKind.VALIDATION)] * 5)

    await worker.look(content.not_after - worker.now() - timedelta(days=2))
    for _ in range(4):
        await worker.until_due(number)

    plan = await worker.plan(number)
    assert plan.failures == 5 and plan.due_at is not None
    assert plan.due_at - worker.now() < timedelta(hours=8), "not after 16 hours"


async def test_an_account_that_is_forgotten_is_registered_once_and_a_replaced_one_not_named(worker: Worker) -> None:
    number = await worker.add()
    worker.at().fail("new_order", refusal(FaultKind.UNKNOWN_ACCOUNT), refusal(FaultKind.UNKNOWN_ACCOUNT))

    await worker.look()
    assert (worker.at().calls["forget"], worker.at().calls["new_order"]) == (2, 2)
    assert (await worker.log(number)).state == "open"
    await worker.look(5 * MINUTE)
    assert await worker.content(number)

    await deeds.order_now(worker.issuer, number, "ada")
    worker.at().fail("new_order", refusal(FaultKind.REPLACED), refusal(FaultKind.REPLACED))
    await worker.issuer._plan()
    async with worker.panel.database.write() as session:
        row = (await orders.open_orders(session))[0]
        row.replaces = "a.b"
    await worker.look()
    log = await worker.log(number)
    assert log.order.replaces == "" and log.state == "open"
    assert worker.at().calls["new_order"] == 3 + 2


@pytest.mark.parametrize(
    "kind", [FaultKind.REJECTED, FaultKind.VALIDATION, FaultKind.BINDING, FaultKind.LOST_ORDER, FaultKind.OTHER]
)
async def test_a_renewal_whose_predecessor_is_rejected_is_ordered_without_it(worker: Worker, kind: FaultKind) -> None:
    number = await worker.add()
    await worker.issuer._plan()
    async with worker.panel.database.write() as session:
        (await orders.open_orders(session))[0].replaces = "a.b"
    worker.at().fail("new_order", refusal(kind))

    await worker.look()

    assert await worker.content(number)
    assert worker.at().calls["new_order"] == 2


async def test_what_was_issued_for_other_names_or_another_key_never_goes_live(worker: Worker) -> None:
    number = await worker.add("shop.example", "www.shop.example")
    worker.at().names = ["shop.example"]

    await worker.look()

    log = await worker.log(number)
    assert log.state == "failed" and await worker.content(number) is None
    assert log.steps[-1].words == "What was issued can’t be used. It is not for www.shop.example."
    worker.at().names = None
    await worker.until_due(number)
    assert await worker.content(number)


async def test_a_delivery_that_fails_is_tried_again_and_nothing_is_ordered_twice(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = await worker.add()

    async def refuse(*_: object, **__: object) -> None:
        raise EngineUnavailable("HAProxy is not responding.")

    with monkeypatch.context() as patched:
        patched.setattr(worker.panel.engines, "must_answer", refuse)
        await worker.look()
        for _ in range(6):
            await worker.look(timedelta(days=2))  # It does not get too old.
    assert (await worker.words(number))[-1] == "Not in use yet. HAProxy is not responding."

    await worker.look(timedelta(minutes=15))

    assert await worker.content(number)
    assert worker.at().calls["new_order"] == 1


async def test_a_delivery_that_could_not_be_recorded_as_live_is_not_reported_as_in_use(
    worker: Worker, engines: FakeEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its certificate can be read, but HAProxy may have another one by the time that the disk can be written."""
    host = {"hostnames": ["shop.example"], "servers": [{"address": "127.0.0.1:3000"}], "https": True}
    await virtual_hosts.create(worker.panel.changes, SaveRequest("ada"), VirtualHostFields.model_validate(host))
    number = await worker.add()

    async def full(*_: object, **__: object) -> NoReturn:
        raise StorageFailed("The database cannot be written: database or disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(worker.panel.changes.deployments, "_conclude", full)
        await worker.look()
    engines.fail("verify")
    await worker.look(MINUTE)
    assert await worker.content(number) is None
    assert (await worker.log(number)).state == "open"

    engines.fail(None)
    await worker.look(5 * MINUTE)
    await worker.panel.reconciler.tick()
    assert await worker.content(number)
    assert worker.at().calls["new_order"] == 1


async def test_an_order_whose_key_another_master_key_sealed_is_made_again(worker: Worker) -> None:
    number = await worker.add()
    await worker.issuer._plan()
    async with worker.panel.database.write() as session:
        row = (await orders.open_orders(session))[0]
        row.sealed_key = Seal(b"x" * 32).seal(b"key", row.place)

    await worker.look()
    assert (await worker.words(number))[-1] == OTHER_MASTER_KEY
    assert not worker.at().calls["new_order"]

    await worker.until_due(number)
    assert await worker.content(number)


async def test_a_canceled_order_is_given_up_everywhere_and_not_repeated(worker: Worker) -> None:
    number, record = await worker.add(), Record("_acme-challenge.shop.example", "proof")
    worker.records.add([record])
    await worker.issuer._plan()
    async with worker.panel.database.write() as session:
        row = (await orders.open_orders(session))[0]
        row.phase, row.url = Phase.PROVING, "https://first.test/dir/order/1"
        row.records = [{"name": record.name, "value": record.value}]

    await deeds.cancel(worker.issuer, number, row.id or 0, "ada@example.org")
    log = await worker.log(number)
    assert (log.state, log.is_open, log.order.sealed_key) == ("canceled", True, None)
    await worker.look()

    log = await worker.log(number)
    assert (log.state, log.is_open) == ("canceled", False)
    assert log.steps[-1].words == "Canceled by ada@example.org."
    assert worker.at().calls["relinquish"] == 1 and not worker.records.present
    await worker.look(timedelta(days=20))
    assert len(await worker.logs(number)) == 1
    plan = await worker.plan(number)
    assert (plan.failures, plan.why) == (0, "Canceled by ada@example.org. Order it to try again.")

    for given, problem in (((number, row.id), Conflict), ((number, 4711), NotFound), ((4711, row.id), NotFound)):
        with pytest.raises(problem):
            await deeds.cancel(worker.issuer, given[0], given[1] or 0, "ada")
    await deeds.order_now(worker.issuer, number, "ada")
    await worker.look()
    assert await worker.content(number)


async def test_a_step_that_ends_after_the_cancellation_changes_nothing(worker: Worker) -> None:
    for method in ("finalize", "order"):
        number = await worker.add(f"{method}.example", name=method)
        worker.at().fail(method, refusal(FaultKind.VALIDATION)) if method == "order" else None
        await worker.issuer._plan()
        row = next(iter((await worker.issuer._ready()).values()))
        row.phase, row.url = Phase.ORDERED, worker.at().new_order(["x"])
        await deeds.cancel(worker.issuer, number, row.id or 0, "ada")

        await worker.issuer.steps.advance(row)

        log = await worker.log(number)
        assert (log.state, log.steps[-1].words) == ("canceled", "Canceled by ada.")
        await worker.look()
        assert await worker.content(number) is None


async def test_the_authority_is_told_of_an_order_that_is_canceled_while_it_is_asked_for_it(worker: Worker) -> None:
    number = await worker.add()
    await worker.issuer._plan()
    row = next(iter((await worker.issuer._ready()).values()))
    await deeds.cancel(worker.issuer, number, row.id or 0, "ada")

    await worker.issuer.steps.advance(row)  # What had begun before.
    await worker.look()

    log = await worker.log(number)
    assert (log.state, log.is_open, worker.at().calls["new_order"]) == ("canceled", False, 1)
    assert log.order.url in worker.at().orders and worker.at().calls["relinquish"] == 1


async def test_a_renewal_that_is_canceled_is_tried_a_day_later(worker: Worker) -> None:
    number = await worker.add()
    await worker.look()
    first = await worker.content(number)
    await deeds.order_now(worker.issuer, number, "ada")
    await worker.issuer._plan()
    row = (await worker.log(number)).order

    await deeds.cancel(worker.issuer, number, row.id or 0, "ada")
    await worker.look(timedelta(hours=23))
    second = await worker.content(number)
    await worker.look(timedelta(hours=2))

    third = await worker.content(number)
    assert first is not None and second is not None and third is not None
    assert first.serial == second.serial != third.serial


async def test_only_an_open_order_has_a_button_to_cancel_it_and_its_reason_is_no_step(
    worker: Worker, ada: Person, vera: Person, vera_api: Person, ada_api: Person
) -> None:
    number = await worker.add()
    await worker.issuer._plan()
    row = (await worker.log(number)).order
    path = f"/certificates/{number}/orders/{row.id}"

    page = (await ada.get(f"/certificates/{number}")).text
    assert "Cancel order" in page and "Reason: It was not issued yet." in page
    assert "Looking at what the authority would find, then ordering." in page and "step-done" not in page
    assert "Cancel order" not in (await vera.get(f"/certificates/{number}")).text
    assert (await vera.post(f"{path}/cancel")).status_code == 403
    assert (await vera_api.post(f"/api/v1{path}/cancellation")).status_code == 403
    assert (await ada.post(f"{path}/cancel")).headers["location"] == f"/certificates/{number}#orders"

    page = (await ada.get(f"/certificates/{number}")).text
    assert "Cancel order" not in page and "Canceled by ada@example.org." in page
    assert (await ada_api.post(f"/api/v1{path}/cancellation")).json()["detail"] == "The order is over already."
    (out,) = (await ada_api.get(f"/api/v1/certificates/{number}/orders")).json()["orders"]
    assert out["state"] == "canceled"


@pytest.mark.parametrize(
    "kind", ["urn:ietf:params:acme:error:externalAccountRequired", "urn:ietf:params:acme:error:unauthorized"]
)
async def test_only_an_account_that_the_authority_closed_or_rejected_can_be_registered_anew(
    worker: Worker, ada: Person, ada_api: Person, kind: str
) -> None:
    """And what failed by it is ordered, whichever certificate’s page it is done on."""
    numbers = [await worker.add("a.example"), await worker.add("b.example", name="Other")]
    url = f"/api/v1/certificates/{numbers[0]}/account"
    assert (await ada_api.post(url)).status_code == 409
    fault = refusal(FaultKind.BINDING, type=kind)
    worker.at().fail("new_order", fault, fault)
    await worker.look()

    can = kind.endswith("unauthorized")
    assert ("Register new account at" in (await ada.get(f"/certificates/{numbers[0]}")).text) is can
    known = (await ada_api.get(f"/api/v1/certificates/{numbers[0]}/orders")).json()
    assert known["account_closed_at"] == (FIRST if can else "")
    assert (await ada_api.post(url)).status_code == (202 if can else 409)
    assert [(await worker.plan(number)).why.startswith("Asked for by") for number in numbers] == [can, can]
    assert "Register new account at" not in (await ada.get(f"/certificates/{numbers[1]}")).text
