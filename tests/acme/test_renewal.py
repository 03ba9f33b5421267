"""When certificates are renewed, and failed orders tried again."""

from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from acme import messages

from guardpanel.acme.faults import BY_CODE, Fault, FaultKind, fault_of, fault_of_problem, retry_time
from guardpanel.acme.renewal import moment_within, renewal_moment, retry_moment

NOW = datetime(2026, 11, 29, 7, tzinfo=UTC)
DAY = timedelta(days=1)
PREFIX = "urn:ietf:params:acme:error:"


def test_a_long_life_is_renewed_at_two_thirds_and_a_short_one_at_half() -> None:
    for days, part in ((90, 2 / 3), (45, 2 / 3), (6, 1 / 2)):
        moments = {renewal_moment(NOW, NOW + days * DAY, f"certificate {number}") for number in range(200)}
        assert all(abs((moment - NOW) / (days * DAY) - part) <= 0.05 for moment in moments)
        assert len(moments) == 200

    assert renewal_moment(NOW, NOW + DAY, "17") == renewal_moment(NOW, NOW + DAY, "17")
    assert all(NOW <= moment_within(NOW, NOW + DAY, f"{number}") <= NOW + DAY for number in range(50))


def test_failures_back_off_to_a_day_and_never_before_the_authoritys_time() -> None:
    def hours(kind: FaultKind, tries: int, retry_at: datetime | None = None) -> float:
        moment = retry_moment(Fault(kind, "", retry_at=retry_at), tries, NOW, "17")
        assert moment is not None
        return (moment - NOW) / timedelta(hours=1)

    assert [round(hours(FaultKind.UNREACHABLE, tries) * 60) for tries in (1, 2, 3)] == [1, 5, 15]
    for tries, wanted in ((1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 24), (500, 24)):
        assert 0.8 * wanted <= hours(FaultKind.VALIDATION, tries) <= 1.2 * wanted
    for left, wanted in ((30, 24), (4, 12), (1, 3), (0.1, 1), (-1, 24)):
        in_use = retry_moment(Fault(FaultKind.VALIDATION, ""), 9, NOW, "17", NOW + left * DAY)
        assert in_use is not None and 0.8 * wanted <= (in_use - NOW) / timedelta(hours=1) <= 1.2 * wanted
    assert hours(FaultKind.RATE_LIMITED, 1, NOW + 3 * DAY) == 72
    assert hours(FaultKind.UNREACHABLE, 1, NOW + DAY) == 24
    for kind in (FaultKind.REJECTED, FaultKind.PROFILE, FaultKind.BINDING, FaultKind.CLOSED_ACCOUNT):
        assert retry_moment(Fault(kind, ""), 1, NOW, "17") is None


def test_a_rate_limit_says_its_time_in_the_header_or_in_the_sentence() -> None:
    def answer(value: str) -> requests.Response:
        response = requests.Response()
        response.headers["Retry-After"] = value
        return response

    assert retry_time(answer("120"), NOW) == NOW + timedelta(minutes=2)
    assert retry_time(answer("Sun, 29 Nov 2026 09:00:00 GMT"), NOW) == NOW + timedelta(hours=2)
    assert retry_time(answer("soon"), NOW) is None and retry_time(None, NOW) is None

    words = "too many certificates (5) already issued for this exact set of names, retry after 2026-12-01 10:11:12 UTC: see …"
    limited = fault_of_problem(problem("rateLimited", detail=words), 429, NOW)
    assert limited.kind is FaultKind.RATE_LIMITED
    assert limited.retry_at == datetime(2026, 12, 1, 10, 11, 12, tzinfo=UTC)
    assert limited.detail == words


def test_every_type_of_problem_has_a_sentence_and_unknown_ones_the_authoritys() -> None:
    for code, (kind, message) in BY_CODE.items():
        fault = fault_of_problem(problem(code, detail="why"))
        assert (fault.kind, fault.message, fault.detail) == (kind, message, "why")
        assert message.endswith(".")

    newer = fault_of_problem(problem("ofTomorrow", detail="why"))
    assert newer.kind is FaultKind.OTHER and newer.detail == "why"
    parts = [
        {"type": f"{PREFIX}caa", "detail": f"CAA of {name}", "identifier": {"type": "dns", "value": name}}
        for name in ("a.test", "b.test")
    ]
    compound = fault_of_problem(problem("compound", subproblems=parts))
    assert compound.kind is FaultKind.REJECTED
    assert compound.detail == "a.test: CAA of a.test\nb.test: CAA of b.test"


def problem(code: str, **content: Any) -> messages.Error:
    read: messages.Error = messages.Error.from_json({"type": f"{PREFIX}{code}", **content})
    return read


def test_an_authority_that_demands_agreement_says_where() -> None:
    """RFC 8555 §7.3.3. It does not help to ask again at once."""
    answer = requests.Response()
    answer.status_code = 403
    answer._content = b'{"instance": "https://ca.test/agree?t=1"}'
    answer.headers["Link"] = '<https://ca.test/terms>;rel="terms-of-service", <https://ca.test/dir>;rel="index"'
    error = problem("userActionRequired", detail="Terms have changed.")

    fault = fault_of(error, answer, NOW)
    answer._content = b"<html>"
    other = fault_of(error, answer, NOW)

    assert fault.kind is FaultKind.REJECTED and "agreement to new terms of service" in fault.message
    assert fault.detail.splitlines() == [
        "Terms have changed.", "What to do: https://ca.test/agree?t=1", "Its terms: https://ca.test/terms",
    ]  # fmt: skip
    assert other.detail.splitlines() == ["Terms have changed.", "Its terms: https://ca.test/terms"]
