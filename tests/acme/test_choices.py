"""Who is asked: staging before production after failures, the next authority after more of them, and none over its limits."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from guardpanel.acme.chains import choose_chain
from guardpanel.acme.faults import FaultKind
from guardpanel.acme.limits import LIMITS, Limit, Past, reached
from guardpanel.errors import Conflict
from guardpanel.models import AcmeOrder
from guardpanel.models.certificates.issuing import LETS_ENCRYPT, STAGING
from guardpanel.panel import Panel
from guardpanel.services.issuing import deeds
from tests.acme.worker import FIRST, Worker, refusal
from tests.certificates.made import full_chain, intermediate, leaf
from tests.conftest import Person

SECOND, THIRD, TRIAL = "https://second.test/dir", "https://third.test/dir", "https://staging.test/dir"
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
NOW = datetime(2026, 11, 29, 7, tzinfo=UTC)
UNPROVED = FaultKind.VALIDATION


@pytest.fixture
async def worker(panel: Panel) -> Worker:
    return Worker(panel)


def calls(worker: Worker) -> dict[str, int]:
    """Orders by authority."""
    return {url: known.calls["new_order"] for url, known in worker.authorities.items() if known.calls["new_order"]}


@pytest.mark.anyio
async def test_after_two_failures_staging_is_tried_until_it_passes_and_then_production(worker: Worker) -> None:
    number = await worker.add(staging_authority=TRIAL)
    worker.at().fail("finalize", refusal(UNPROVED), refusal(UNPROVED))
    worker.at(TRIAL).fail("finalize", refusal(UNPROVED), refusal(UNPROVED))

    await worker.look()
    await worker.until_due(number)
    plan = await worker.plan(number)
    assert plan.is_rehearsal and plan.why == "The last order failed. staging.test is tried first."
    assert calls(worker) == {FIRST: 2}

    before = plan.due_at
    for _ in range(2):
        await worker.until_due(number)
    plan = await worker.plan(number)
    assert calls(worker) == {FIRST: 2, TRIAL: 2} and plan.failures == 4
    assert before is not None and plan.due_at is not None and plan.due_at - before > 6 * HOUR

    await worker.until_due(number)
    assert calls(worker) == {FIRST: 3, TRIAL: 3}
    assert await worker.content(number)
    real, trial = (await worker.logs(number))[:2]
    assert (real.state, real.order.authority, real.order.is_rehearsal) == ("issued", FIRST, False)
    assert (trial.state, trial.order.authority, trial.order.is_rehearsal) == ("passed", TRIAL, True)
    assert trial.steps[-1].words == "Staging issued it. It is not put into use." and not trial.order.sealed_key
    assert (await worker.words(number))[0] == "Ordering: Staging issued it."
    plan = await worker.plan(number)
    assert (plan.failures, plan.is_rehearsal, plan.authority) == (0, False, "")


@pytest.mark.anyio
@pytest.mark.parametrize("kind", [FaultKind.UNREACHABLE, FaultKind.RATE_LIMITED, FaultKind.BINDING, FaultKind.PROFILE])
async def test_a_staging_that_is_of_no_use_is_left_out(worker: Worker, kind: FaultKind) -> None:
    number = await worker.add(staging_authority=TRIAL)
    worker.at().fail("finalize", refusal(UNPROVED), refusal(UNPROVED))
    later = worker.now() + 300 * DAY
    worker.at(TRIAL).fail("authority", *[refusal(kind, retry_at=later if kind is FaultKind.RATE_LIMITED else None)] * 9)

    await worker.look()
    await worker.until_due(number)
    for _ in range(9):
        if await worker.content(number):
            break
        await worker.look(DAY)

    assert await worker.content(number), await worker.words(number)
    assert calls(worker) == {FIRST: 3}


@pytest.mark.anyio
async def test_an_order_that_somebody_asks_for_goes_to_production(worker: Worker) -> None:
    number = await worker.add(staging_authority=TRIAL)
    worker.at().fail("finalize", refusal(UNPROVED), refusal(UNPROVED))
    await worker.look()
    await worker.until_due(number)

    await deeds.order_now(worker.issuer, number, "ada")
    await worker.look()

    assert await worker.content(number) and calls(worker) == {FIRST: 3}


@pytest.mark.anyio
async def test_three_failures_an_outage_or_a_refusal_lead_to_the_next_authority_and_round(worker: Worker) -> None:
    number = await worker.add(other_authorities=[SECOND, THIRD])
    worker.at().fail("finalize", refusal(UNPROVED), refusal(UNPROVED), refusal(UNPROVED))
    worker.at(SECOND).fail("authority", *[refusal(FaultKind.UNREACHABLE)] * 4)
    worker.at(THIRD).fail("new_order", refusal(FaultKind.REJECTED))

    await worker.look()
    await worker.until_due(number)
    assert (await worker.plan(number)).authority_failures == 2
    await worker.until_due(number)
    plan = await worker.plan(number)
    assert (plan.authority, plan.why) == (SECOND, "first.test did not issue it. second.test is next.")
    assert plan.due_at is not None and plan.due_at > worker.now() + HOUR

    await worker.until_due(number)
    assert (await worker.log(number)).state == "open"  # The second one is not reached yet.
    for minutes in (1, 5, 15):
        await worker.look(timedelta(minutes=minutes, seconds=1))
    words = [(log.order.authority, log.state, log.steps[0].words) for log in (await worker.logs(number))[:2]]
    assert words == [
        (THIRD, "failed", "Ordering: second.test did not issue it. third.test is next."),
        (SECOND, "failed", "Ordering: first.test did not issue it. second.test is next."),
    ]
    plan = await worker.plan(number)
    assert plan.authority == FIRST and plan.due_at is not None and plan.due_at > worker.now() + 20 * HOUR

    await worker.until_due(number)
    assert await worker.content(number)
    assert calls(worker) == {FIRST: 4, THIRD: 1}


@pytest.mark.anyio
async def test_failures_at_staging_count_and_lead_to_the_next_authority(worker: Worker) -> None:
    number = await worker.add(staging_authority=TRIAL, other_authorities=[SECOND])
    worker.at().fail("finalize", refusal(UNPROVED), refusal(UNPROVED))
    worker.at(TRIAL).fail("finalize", *[refusal(UNPROVED)] * 9)

    await worker.look()
    await worker.until_due(number)
    await worker.until_due(number)
    plan = await worker.plan(number)
    assert calls(worker) == {FIRST: 2, TRIAL: 1}
    assert (plan.authority, plan.why) == (SECOND, "staging.test did not issue it. second.test is next.")

    await worker.until_due(number)
    assert await worker.content(number) and calls(worker) == {FIRST: 2, TRIAL: 1, SECOND: 1}


@pytest.mark.anyio
async def test_an_authority_that_is_added_during_a_limit_is_asked_at_once(worker: Worker) -> None:
    number = await worker.add()
    worker.at().fail("new_order", refusal(FaultKind.RATE_LIMITED, retry_at=worker.now() + 9 * DAY))
    await worker.look()
    await worker.edit(number, notes="x")
    await worker.look(HOUR)
    assert not await worker.content(number) and calls(worker) == {FIRST: 1}

    await worker.edit(number, other_authorities=[SECOND])
    await worker.look()

    assert await worker.content(number) and calls(worker) == {FIRST: 1, SECOND: 1}
    assert (await worker.words(number))[0] == "Ordering: second.test was added."


@pytest.mark.anyio
async def test_an_authority_that_is_added_during_a_limit_that_we_count_is_asked_at_once(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LIMITS, FIRST, (Limit(1, 6 * DAY, "takes 1 order in 6 days", lambda _past, _names: True),))
    number = await worker.add()
    worker.at().fail("finalize", refusal(UNPROVED))
    await worker.look()
    await worker.look(DAY)
    assert (await worker.plan(number)).why == "first.test takes 1 order in 6 days."
    await worker.edit(number, notes="x")
    await worker.look(HOUR)
    assert calls(worker) == {FIRST: 1}

    await worker.edit(number, other_authorities=[SECOND])
    await worker.look()

    assert await worker.content(number) and calls(worker) == {FIRST: 1, SECOND: 1}
    assert (await worker.words(number))[0] == "Ordering: second.test was added."


@pytest.mark.anyio
async def test_a_renewal_begins_with_the_first_one_and_what_another_issued_stays_in_use(worker: Worker) -> None:
    number = await worker.add(other_authorities=[SECOND])
    worker.at().fail("new_order", refusal(FaultKind.CLOSED_ACCOUNT))
    await worker.look()
    await worker.look()
    assert calls(worker) == {FIRST: 1, SECOND: 1}
    assert (await worker.plan(number)).issued_by == SECOND
    assert worker.at(SECOND).calls["renewal_window"] and not worker.at().calls["renewal_window"]

    asked_by_worker = worker.at(SECOND).calls["authority"]
    await deeds.revoke(worker.issuer, number, "ada")
    assert worker.at(SECOND).calls["authority"] == asked_by_worker and worker.at(SECOND).calls["another"] == 1
    assert (worker.at(SECOND).calls["revoke"], worker.at().calls["revoke"]) == (1, 0)
    await worker.look()
    assert calls(worker) == {FIRST: 2, SECOND: 1}


@pytest.mark.anyio
async def test_a_rate_limit_of_one_authority_is_kept_when_its_turn_comes_again(worker: Worker) -> None:
    number = await worker.add(other_authorities=[SECOND])
    worker.at().fail("new_order", refusal(FaultKind.RATE_LIMITED, retry_at=worker.now() + 3 * DAY))
    worker.at(SECOND).fail("new_order", refusal(FaultKind.REJECTED), refusal(FaultKind.REJECTED))

    await worker.look()
    assert calls(worker) == {FIRST: 1, SECOND: 1}
    await worker.until_due(number)
    assert calls(worker) == {FIRST: 1, SECOND: 2}
    await worker.look(timedelta(hours=25))

    assert await worker.content(number) and calls(worker)[FIRST] == 1


@pytest.mark.anyio
async def test_an_order_over_a_known_limit_is_never_made_and_the_page_says_until_when(worker: Worker) -> None:
    number = await worker.add(authority=LETS_ENCRYPT)
    async with worker.panel.database.write() as session:
        for hours in range(5):
            moment = worker.now() - (10 + hours) * HOUR
            session.add(
                AcmeOrder(
                    certificate_id=99, authority=LETS_ENCRYPT, names=["shop.example"], challenge="http-01", phase="clean",
                    is_issued=True, started_at=moment, ended_at=moment,
                )
            )  # fmt: skip

    await worker.look()
    plan = await worker.plan(number)
    assert not calls(worker) and plan.due_at is not None
    assert plan.why == "Let’s Encrypt issues 5 certificates for the same names in 7 days."
    with pytest.raises(
        Conflict, match=r"5 certificates for the same names in 7 days\. The next order is possible from 20"
    ):
        await deeds.order_now(worker.issuer, number, "ada")
    for look in (
        deeds.preflight(worker.issuer, number),
        deeds.first_look(worker.issuer, ["shop.example"], LETS_ENCRYPT),
    ):
        (finding,) = await look
        assert finding.is_certain and "in 7 days. The next order is possible from 20" in finding.words
    await worker.look(7 * DAY - 15 * HOUR)
    assert not calls(worker)

    await worker.look(2 * HOUR)
    assert calls(worker) == {LETS_ENCRYPT: 1}


def past(names: str = "a.example", hours: float = 1, **others: Any) -> Past:
    fields: dict[str, Any] = {"is_issued": True, "is_refused": False, "is_exempt": False}
    return Past(NOW - hours * HOUR, frozenset(names.split()), **fields | others)


@pytest.mark.parametrize(
    ("orders", "until"),
    [
        ([past()] * 4, None),
        ([past("a.example b.example")] * 9, None),
        ([past(hours=hours) for hours in (1, 2, 3, 4, 5, 200)], NOW + 7 * DAY - 5 * HOUR),
        ([past(is_exempt=True)] * 60, None),
        ([past(is_issued=False, hours=2)] * 299, None),
        ([past("z.test", is_issued=False, hours=2)] * 300, NOW + HOUR),
        ([past("z.test", is_issued=False, hours=4)] * 400, None),
        ([past(f"n{number}.example", hours=9) for number in range(50)], None),
        ([past(f"n{number}.a.example", hours=9) for number in range(50)], NOW + 7 * DAY - 9 * HOUR),
        ([past("b.example a.example", 0.5, is_issued=False, is_refused=True)] * 5, NOW + HOUR / 2),
    ],
)
def test_lets_encrypts_limits_count_our_orders(orders: list[Past], until: datetime | None) -> None:
    names = ["a.example"] if orders[0].names != {"n0.a.example"} else ["x.a.example"]
    orders = [order for order in orders if order.names != {"n0.example"}] if until is None else orders
    limit = reached(LETS_ENCRYPT, names, orders, NOW)
    assert (limit.until if limit else None) == until
    assert reached(STAGING, names, orders, NOW) is None
    assert STAGING not in LIMITS


def test_the_chain_of_a_preferred_root_is_chosen_or_the_ones_there_are_named() -> None:
    own = full_chain("shop.example")
    other = leaf("shop.example").pem
    assert choose_chain([own, other], "") == (own, "")
    assert choose_chain([own, other], "example intermediate") == (other, "")
    chain, note = choose_chain([own, other], "Old Root")
    assert (chain, note) == (
        own, "The authority offers no chain from Old Root. It offers: Example Root, Example Intermediate.",
    )  # fmt: skip
    assert intermediate().pem in own


@pytest.mark.anyio
async def test_authorities_are_typed_by_name_and_mistakes_told_at_their_field(ada: Person, ada_api: Person) -> None:
    form = {
        "source": "acme", "name": "Shop", "names": "shop.example", "authority": "Let’s Encrypt", "challenge": "http-01",
        "key_type": "ecdsa", "other_authorities": "zerossl\nhttps://ca.internal/dir", "staging_authority": "",
        "preferred_chain": "ISRG Root X1",
    }  # fmt: skip
    for field, value, words in (
        ("other_authorities", "Lets Encript", "Enter Let’s Encrypt"),
        ("other_authorities", "zerossl\nZeroSSL", "ZeroSSL is listed twice."),
        ("other_authorities", "lets encrypt", "Let’s Encrypt is the first authority. Remove it here."),
        ("staging_authority", "http://plain.test", "https address"),
    ):
        answer = await ada.post("/certificates", data=form | {field: value})
        assert answer.status_code == 422 and words in answer.text, (field, value)
    key = {"eab_key_id": "kid-1", "eab_key": "c2VjcmV0IGtleSBvZiAxNg"}
    answer = await ada.post("/certificates", data=form | key | {"eab_authority": "Google Trust Services"})
    assert answer.status_code == 422 and "Enter one of the authorities above." in answer.text

    answer = await ada.post("/certificates", data=form | key | {"eab_authority": "zerossl"})
    assert answer.status_code == 303, answer.text
    row = (await ada_api.get("/api/v1/certificates/1")).json()
    assert row["other_authorities"] == ["https://acme.zerossl.com/v2/DV90", "https://ca.internal/dir"]
    page = (await ada.get("/certificates/1")).text
    assert "ZeroSSL, ca.internal" in page and "ISRG Root X1" in page
    assert "ZeroSSL\nhttps://ca.internal/dir" in (await ada.get("/certificates/1/edit")).text
