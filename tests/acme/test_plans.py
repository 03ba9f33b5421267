"""What an edit, another content, and the authority's suggestions do to the plan of a certificate."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from guardpanel.acme.client import Authority, RenewalWindow
from guardpanel.acme.faults import AuthorityFault, Fault, FaultKind
from guardpanel.acme.keys import account_key, new_key, new_rsa_key, signing_request
from guardpanel.models import AcmeOrder, AcmePlan, Certificate, CertificateContent
from guardpanel.models.certificates.certificate import KeyType, Source
from guardpanel.services.issuing import plans
from guardpanel.services.issuing.orders import History, stored_fault

NOW = datetime(2026, 11, 29, 7, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NAMES = ["shop.example"]
CSRS = {KeyType.ECDSA: signing_request(new_key(), NAMES), KeyType.RSA: signing_request(new_rsa_key(), NAMES)}
STAGING = "https://staging.test/dir"


def certificate(**others: Any) -> Certificate:
    fields: dict[str, Any] = {
        "id": 1,
        "name": "Shop",
        "source": Source.ACME,
        "names": NAMES,
        "authority": STAGING,
        "version": 2,
    }
    return Certificate(**fields | others)


def order(**others: Any) -> AcmeOrder:
    fields: dict[str, Any] = {
        "id": 1,
        "certificate_id": 1,
        "authority": STAGING,
        "names": NAMES,
        "challenge": "http-01",
    }
    return AcmeOrder(**fields | {"csr": CSRS[KeyType.ECDSA], "phase": "clean", "is_issued": True} | others)


def content(**others: Any) -> CertificateContent:
    fields: dict[str, Any] = {
        "names": NAMES,
        "source": "acme",
        "fingerprint": "f",
        "not_before": NOW,
        "not_after": NOW + 90 * DAY,
    }
    return CertificateContent(**fields | {"added_at": NOW} | others)


@pytest.mark.parametrize(
    ("edited", "why"),
    [
        ({"authority": "https://production.test/dir"}, "Its authority was changed."),
        ({"names": ["shop.example", "www.shop.example"]}, "Its names were changed."),
        ({"profile": "shortlived"}, "Its profile was changed."),
        ({"key_type": KeyType.RSA}, "Its key type was changed."),
    ],
)
def test_whatever_is_ordered_otherwise_is_due_at_once(edited: dict[str, Any], why: str) -> None:
    plan, done = AcmePlan(certificate_id=1, certificate_version=1, fingerprint="f", due_at=NOW + 60 * DAY), order()
    plans.update(plan, certificate(**edited), content(), History(done, done), NOW)
    assert (plan.due_at, plan.why) == (NOW, why)


def test_a_content_from_elsewhere_is_due_and_a_name_that_the_authority_adds_is_not() -> None:
    plan = AcmePlan(certificate_id=1)
    plans.update(plan, certificate(), content(source="self_signed"), History(), NOW)
    assert (plan.due_at, plan.why) == (NOW, "The authority did not issue it yet.")

    plan, done = AcmePlan(certificate_id=1), order()
    plans.update(plan, certificate(), content(names=[*NAMES, "www.shop.example"]), History(done, done), NOW)
    assert plan.due_at is not None and plan.due_at > NOW + 50 * DAY


def test_no_order_follows_another_within_an_hour_unless_somebody_asks() -> None:
    old, done = content(not_before=NOW - 80 * DAY, not_after=NOW + 10 * DAY), order()
    plan = AcmePlan(certificate_id=1)
    plans.update(plan, certificate(), old, History(done, done), NOW)
    assert plan.due_at == NOW + HOUR
    window = RenewalWindow(NOW - 2 * DAY, NOW - DAY, "", NOW)
    plans.suggest(plan, window, old, NOW)
    assert plan.due_at == NOW + HOUR and plan.ask_again_at == NOW + plans.LEAST_PAUSE

    plan.due_at, plan.why = NOW, f"{plans.ASKED_FOR} ada."
    plans.suggest(plan, window, old, NOW)
    assert (plan.due_at, plan.why) == (NOW, "Asked for by ada.")


def test_a_note_orders_nothing_sooner_and_what_was_refused_for_good_is_tried_after_any_edit() -> None:
    for kind, later in ((FaultKind.RATE_LIMITED, True), (FaultKind.VALIDATION, True), (FaultKind.BINDING, False)):
        failed = order(is_issued=False, fault=stored_fault(Fault(kind, "No.")))
        plan = AcmePlan(certificate_id=1, certificate_version=1, failures=3, due_at=NOW + 8 * HOUR)
        plans.update(
            plan, certificate(notes="new"), None, History(failed, authorities=frozenset({failed.authority})), NOW
        )
        assert (plan.due_at, plan.failures) == ((NOW + 8 * HOUR, 3) if later else (NOW, 0)), kind
        assert plans.is_current(plan, certificate(), None)


def test_an_answer_that_is_no_json_is_a_fault_of_the_authority(monkeypatch: pytest.MonkeyPatch) -> None:
    authority, answer = Authority("https://authority.test/dir", account_key(new_key())), requests.Response()
    answer.status_code, answer._content = 200, b"<h1>Maintenance</h1>"
    monkeypatch.setattr(authority, "_client", object())
    monkeypatch.setattr(authority, "_read", lambda _url: answer)
    for ask in (authority.order, authority.authorization):
        with pytest.raises(AuthorityFault) as refused:
            ask("https://authority.test/1")
        assert refused.value.fault.kind is FaultKind.UNREACHABLE
