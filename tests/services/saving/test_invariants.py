"""Rules across rows: each breach is named once, by what the change touched, and in the same words for whoever asks."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from guardpanel.certificates.served import ServedCertificate, ServedCertificates
from guardpanel.models.certificates.certificate import Source
from guardpanel.models.policies.policy import KIB
from guardpanel.rendering import EngineFacts, Rows
from guardpanel.rendering.capacity import by_files
from guardpanel.rendering.limits import MOST_PERIODS
from guardpanel.services.saving.change import Change, SaveRequest
from guardpanel.services.saving.invariants import violations
from guardpanel.services.saving.proposal import Proposal, Violation
from guardpanel.services.saving.refusals import of_rules
from tests.rows import FACTS, rows

SERVER = {"servers": [{"address": "10.0.0.5:3000"}]}
FOREIGN = replace(FACTS, small_frames=True)
NOTHING = rows({}, {})


def broken_rules(before: Rows, after: Rows, facts: EngineFacts = FACTS) -> list[tuple[str, int, str, str]]:
    broken = violations(Proposal(after, facts, lambda: before))
    return [(violation.noun, violation.noun_id, violation.field, violation.message) for violation in broken]


def with_policy(host: dict[str, Any], policy_id: int) -> dict[str, Any]:
    return {**host, "policy_id": policy_id}


def hosts_without(policy_id: int) -> Rows:
    made = rows({}, {"shop.example": SERVER, "blog.example": SERVER})
    return {**made, "virtualhost": [with_policy(dict(host), policy_id) for host in made["virtualhost"]]}


def test_rows_that_hold_together_ask_nothing_of_what_was_before() -> None:
    def never() -> Rows:
        raise AssertionError

    after = rows({"Strict": {}, "Lax": {}}, {"shop.example": {"policy": "Strict", **SERVER}, "b.example": SERVER})

    assert violations(Proposal(after, FACTS, never)) == []


def test_a_policy_has_a_name_of_its_own_whatever_its_case() -> None:
    before, after = rows({"Strict": {}}, {}), rows({"Strict": {}, "strict": {}}, {})

    assert broken_rules(before, after) == [("policy", 2, "name", "A policy named Strict already exists.")]


@pytest.mark.parametrize("edited", ["shop.example", "blog.example"])
def test_a_hostname_has_one_owner_and_the_change_is_blamed(edited: str) -> None:
    taken = {"shop.example": "shop.example bücher.example", "blog.example": "blog.example bücher.example"}
    after = rows({}, {names: {**SERVER, "name": host} for host, names in taken.items()})
    before = rows({}, {(host if host == edited else names): {**SERVER, "name": host} for host, names in taken.items()})
    number, other = (1, "blog.example") if edited == "shop.example" else (2, "shop.example")

    assert broken_rules(before, after) == [
        ("virtual_host", number, "hostnames", f"bücher.example is already used by {other}.")
    ]


def test_a_policy_that_is_not_there_is_said_at_its_field() -> None:
    before = rows({}, {"shop.example": SERVER, "blog.example": SERVER})
    after = {**hosts_without(7), "virtualhost": [hosts_without(7)["virtualhost"][0], before["virtualhost"][1]]}

    words = "Policy not found. It may have been deleted."
    assert broken_rules(before, after) == [("virtual_host", 1, "policy_id", words)]


def test_a_policy_in_use_is_not_deleted_and_its_users_are_named() -> None:
    users = {"shop.example": {"policy": "Strict", **SERVER}, "blog.example": {"policy": "Strict", **SERVER}}

    words = "Strict is used by blog.example, shop.example. Assign them another policy first."
    assert broken_rules(rows({"Strict": {}}, users), hosts_without(1)) == [("policy", 1, "", words)]


def test_a_path_that_uses_a_policy_is_named_with_its_virtual_host() -> None:
    bound = {"path": "/login", "policy": "Strict"}
    made = rows({"Strict": {}}, {"shop.example": SERVER}, paths=[bound])
    before = {**made, "pathbinding": [{**made["pathbinding"][0], "name": "/login/…"}]}

    words = "Strict is used by /login/… of shop.example. Assign it another policy first."
    assert broken_rules(before, {**before, "policy": []}) == [("policy", 1, "", words)]


def test_of_many_users_five_are_named() -> None:
    users = {f"h{at}.example": {"policy": "Strict", **SERVER} for at in range(8)}
    before = rows({"Strict": {}}, users)

    ((_, _, _, words),) = broken_rules(before, {**before, "policy": []})

    assert "h0.example, h1.example, h2.example, h3.example, h4.example and 3 more" in words


def test_no_server_is_haproxy_itself() -> None:
    after = rows({}, {"shop.example": {"servers": [{"address": "10.0.0.5:8080"}, {"address": "127.0.0.1:8080"}]}})

    words = "HAProxy itself listens on 127.0.0.1:8080. Using it would create a loop."
    assert broken_rules(NOTHING, after) == [("virtual_host", 1, "servers.1.address", words)]


def test_a_body_fits_the_agent() -> None:
    after = rows({"Strict": {"body_limit_kib": 49, "over_limit": "inspect_beginning"}}, {})

    assert broken_rules(NOTHING, after) == []
    assert [field for _, _, field, _ in broken_rules(NOTHING, after, FOREIGN)] == ["body_limit_kib", "over_limit"]
    assert f"up to {FOREIGN.largest_body // KIB} KiB" in broken_rules(NOTHING, after, FOREIGN)[0][3]


def test_there_are_files_for_so_many_connections() -> None:
    few = replace(FACTS, open_files=10_000)
    after = rows({}, {}, {"max_connections": by_files(few) + 1})

    ((noun, _, field, words),) = broken_rules(NOTHING, after, few)

    assert (noun, field) == ("traffic", "max_connections")
    assert words.startswith(f"At most {by_files(few):,} here")


def test_an_older_violation_does_not_prevent_other_saves() -> None:
    old = {"servers": [{"address": "127.0.0.1:8080"}]}
    before = rows({"Large": {"body_limit_kib": 1024}}, {"old.example": old})
    after = rows({"Large": {"body_limit_kib": 1024}}, {"old.example": old, "new.example": SERVER})

    assert broken_rules(before, after, FOREIGN) == []

    edited = rows({"Large": {"body_limit_kib": 1024}}, {"old.example": {**old, "notes": "edited"}})
    assert [key[:2] for key in broken_rules(before, edited, FOREIGN)] == [("virtual_host", 1)]


TAKEN = Violation("virtual_host", 3, "shop.example", "hostnames", "a.example belongs to b.example.")
ALSO = Violation("virtual_host", 3, "shop.example", "hostnames", "c.example belongs to d.example.")
IN_USE = Violation("policy", 1, "Strict", "", "Strict is used by shop.example.")


def test_violations_are_shown_at_the_fields_of_the_form() -> None:
    refused = of_rules([TAKEN, ALSO], Change(SaveRequest("ada"), "", "virtual_host", 3))

    assert refused.status == 422
    words = {name: error.message for name, error in refused.errors.items()}
    assert words == {"hostnames": "a.example belongs to b.example. c.example belongs to d.example."}


@pytest.mark.parametrize("change", [
    Change(SaveRequest("ada"), "", "virtual_host", 3, touched=["virtual_host:3"]), Change(SaveRequest("ada"), "", of_backup=True),
])  # fmt: skip
def test_violations_without_a_form_become_sentences(change: Change) -> None:
    refused = of_rules([TAKEN, IN_USE, ALSO, ALSO, ALSO], change)

    assert refused.status == 409
    assert refused.message == (
        "Virtual host shop.example: a.example belongs to b.example. Strict is used by shop.example. "
        "Virtual host shop.example: c.example belongs to d.example. And 2 more."
    )


def served(number: int, *names: str) -> EngineFacts:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    certificate = ServedCertificate(number, Source.UPLOAD, names, moment, moment, b"")
    return replace(FACTS, certificates=ServedCertificates((certificate,), moment))


def with_certificate(**host: object) -> Rows:
    shop = {"shop.example": {**SERVER, "certificate_id": 1, **host}}
    return rows({}, shop, certificates=[{"name": "shop"}])


def test_a_chosen_certificate_exists_and_covers_a_hostname() -> None:
    gone = {**with_certificate(), "certificate": []}
    words = "It covers a.example, b.example, c.example and 1 more, and none of the hostnames. Choose another one, or automatic."
    others = served(1, "a.example", "b.example", "c.example", "d.example")

    assert broken_rules(NOTHING, with_certificate(), served(1, "*.example")) == []
    assert broken_rules(NOTHING, with_certificate()) == [], "nothing is known of it yet"
    assert broken_rules(NOTHING, with_certificate(), others) == [("virtual_host", 1, "certificate_id", words)]
    assert broken_rules(NOTHING, gone) == [
        ("virtual_host", 1, "certificate_id", "Certificate not found. It may have been deleted.")
    ]
    used = "shop is used by shop.example. Assign it another certificate first."
    assert broken_rules(with_certificate(), gone) == [("certificate", 1, "", used)]


def test_a_certificate_that_is_being_ordered_can_be_chosen() -> None:
    def ordered(name: str) -> Rows:
        shop = {"shop.example": {**SERVER, "certificate_id": 1}}
        return rows({}, shop, certificates=[{"name": "shop", "source": "acme", "names": [name]}])

    assert broken_rules(NOTHING, ordered("shop.example")) == []
    assert [field for _, _, field, _ in broken_rules(NOTHING, ordered("other.example"))] == ["certificate_id"]


def test_a_certificate_keeps_a_name_of_who_has_chosen_it() -> None:
    """Nor does the present one with the earlier names count: it is replaced once the new one is issued."""

    def ordered(*names: str) -> Rows:
        shop = {"shop.example": {**SERVER, "certificate_id": 1}}
        return rows({}, shop, certificates=[{"name": "shop", "source": "acme", "names": [*names]}])

    before, present = ordered("shop.example", "www.example"), served(1, "shop.example", "www.example")
    words = "shop.example has chosen this certificate. Cover one of its hostnames, or assign it another one first."

    assert broken_rules(before, ordered("shop.example", "new.example"), present) == []
    assert broken_rules(before, ordered("new.example"), present) == [("certificate", 1, "names", words)]


def test_the_default_certificate_is_served_to_somebody() -> None:
    def settings(**traffic: object) -> Rows:
        return rows({}, {}, traffic, certificates=[{"name": "shop"}])

    strict = settings(strict_sni=True, default_certificate_id=1)

    assert broken_rules(NOTHING, settings(default_certificate_id=1)) == []
    assert [field for _, _, field, _ in broken_rules(NOTHING, strict)] == ["default_certificate_id"]
    assert broken_rules(
        settings(default_certificate_id=1), {**settings(default_certificate_id=1), "certificate": []}
    ) == [("certificate", 1, "", "shop is used by Traffic settings. Assign it another certificate first.")]


def test_http_3_is_turned_on_only_where_haproxy_serves_it() -> None:
    wanted, cannot = rows({}, {}, {"http3": True}), replace(FACTS, no_http3="This HAProxy was built without QUIC.")

    assert broken_rules(NOTHING, wanted, replace(FACTS, no_http3="")) == []
    assert broken_rules(NOTHING, wanted, cannot) == [("traffic", 1, "http3", f"{cannot.no_http3} Leave this off.")]


@pytest.mark.parametrize(
    ("host", "facts", "field", "words"),
    [
        ({"https": False}, FACTS, "client_certificates", "Visitors present certificates over HTTPS only."),
        ({"client_ca_id": None}, FACTS, "client_ca_id", "Choose the client CA whose certificates are accepted."),
        ({"client_ca_id": 2}, FACTS, "client_ca_id", "Client CA not found."),
        (
            {"client_certificate_headers": True},
            FOREIGN,
            "client_certificate_headers",
            "With coraza-spoa, there is no room",
        ),
        ({"hostnames": "192.0.2.1"}, FACTS, "hostnames", "Clients send no TLS name for 192.0.2.1"),
    ],
)
@pytest.mark.parametrize("mode", ["optional", "required"])
def test_client_certificates_can_be_asked_for(
    mode: str, host: dict[str, Any], facts: EngineFacts, field: str, words: str
) -> None:
    usual = {**SERVER, "https": True, "client_certificates": mode, "client_ca_id": 1}
    name = host.get("hostnames", "shop.example")
    host = {key: value for key, value in host.items() if key != "hostnames"}
    staff = [{"name": "Staff", "certificates": "x"}]
    facts = replace(facts, https_binds=(("127.0.0.1", 8443),))

    assert broken_rules(NOTHING, rows({}, {"shop.example": usual}, client_cas=staff), facts) == []
    broken = broken_rules(NOTHING, rows({}, {name: usual | host}, client_cas=staff), facts)

    assert [(key, at) for _, key, at, _ in broken] == [(1, field)]
    assert broken[0][3].startswith(words)


def test_a_client_ca_in_use_stays() -> None:
    host = {"shop.example": {**SERVER, "https": True, "client_certificates": "optional", "client_ca_id": 1}}
    before = rows({}, host, client_cas=[{"name": "Staff", "certificates": "x"}])

    used = "Staff is used by shop.example. Assign it another client CA first."
    assert ("client_ca", 1, "", used) in broken_rules(before, {**before, "clientca": []})


def limited(*periods: int) -> Rows:
    each = {"client_limits": True}
    return rows({f"P{seconds}": {**each, "rate_limit_window_seconds": seconds} for seconds in periods}, {})


def test_policies_use_few_periods_and_the_change_is_blamed() -> None:
    few = tuple(range(1, MOST_PERIODS + 1))
    words = (
        "Policies would use 9 different periods (1, 2, 3, 4, 5, 6, 7, 8, 60 s). At most 8 are possible. "
        "Use one of another policy."
    )

    assert broken_rules(rows({}, {}), limited(*few)) == []
    assert broken_rules(limited(*few), limited(*few, 60)) == [("policy", 9, "rate_limit_window_seconds", words)]
    assert (
        broken_rules(limited(*few), {**limited(*few, 60), "policy": [*limited(*few)["policy"], without_limits(60)]})
        == []
    )


def without_limits(seconds: int) -> dict[str, Any]:
    return {**limited(seconds)["policy"][0], "id": 9, "client_limits": False}
