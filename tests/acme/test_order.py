"""Orders against pebble: proofs by HTTP and DNS, each kind of refusal, and a process that dies after any step."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from requests.adapters import HTTPAdapter

from guardpanel.acme.chains import root_name
from guardpanel.acme.client import Authority, Binding
from guardpanel.acme.dns_updates import DnsServer, DnsUpdates, TsigKey, only_itself, read_key
from guardpanel.acme.faults import AuthorityFault, FaultKind
from guardpanel.acme.hook import Hook
from guardpanel.acme.keys import account_key, new_key, renewal_id, signing_request
from guardpanel.acme.network import NONCE_TRIES, Network
from guardpanel.acme.order import Order, Phase, Proofs, Record, step
from tests.acme.authority import EAB_KEY, EAB_KEY_ID, KEY_NAME, SECRET, Knot, Pebble

CERTIFICATE_KEY = new_key()


class NoProofs:
    """HTTP-01: the web server answers by itself."""

    def add(self, records: Sequence[Record]) -> None:
        assert not records

    def lagging(self, records: Sequence[Record]) -> str:
        return ""

    def remove(self, records: Sequence[Record]) -> None:
        assert not records


@pytest.fixture(scope="module")
def authority(pebble: Pebble, key: bytes) -> Authority:
    known = client(pebble, key)
    known.register("ada@example.org")
    return known


def client(pebble: Pebble, key: bytes, account_url: str = "") -> Authority:
    return Authority(pebble.url, account_key(key), account_url, str(pebble.ca_file))


def order(*names: str, challenge: str = "http-01", profile: str = "default", replaces: str = "") -> Order:
    return Order(names, challenge, signing_request(CERTIFICATE_KEY, names), profile, replaces)


def finished(order: Order, authority: Authority, proofs: Proofs) -> Order:
    for _ in range(200):
        if order.is_over:
            return order
        order = step(order, authority, proofs)
    raise AssertionError(f"never over: {order}")


def leaf(order: Order) -> x509.Certificate:
    return x509.load_pem_x509_certificate(order.chain.encode())


def names_in(certificate: x509.Certificate) -> set[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))}


def fault(call: object, *arguments: object) -> AuthorityFault:
    with pytest.raises(AuthorityFault) as refused:
        call(*arguments)  # type: ignore[operator]
    return refused.value


def test_several_names_and_an_address_are_proved_by_http(authority: Authority) -> None:
    done = finished(order("a.acme.test", "b.acme.test", "127.0.0.1"), authority, NoProofs())

    assert done.fault is None
    assert names_in(leaf(done)) == {"a.acme.test", "b.acme.test", "127.0.0.1"}
    own = serialization.load_pem_private_key(CERTIFICATE_KEY, None)
    assert leaf(done).public_key() == own.public_key()
    assert done.chain.count("BEGIN CERTIFICATE") == 2
    assert authority.register("ada@example.org") == authority.register("vera@example.org")


def test_a_wildcard_and_its_parent_are_proved_by_dns_and_no_record_stays(authority: Authority, knot: Knot) -> None:
    proofs = DnsUpdates(knot.server(), only_itself)
    foreign = Record("_acme-challenge.acme.test", "somebody else's")
    proofs.add([foreign])

    waiting = order("acme.test", "*.acme.test", challenge="dns-01", profile="shortlived")
    while waiting.phase is not Phase.PROVEN:
        waiting = step(waiting, authority, proofs)
    served = knot.texts(foreign.name)
    done = finished(waiting, authority, proofs)

    assert len(waiting.records) == 2
    assert served == {foreign.value, *(record.value for record in waiting.records)}
    assert knot.texts(foreign.name) == {foreign.value}
    assert names_in(leaf(done)) == {"acme.test", "*.acme.test"}
    life = leaf(done).not_valid_after_utc - leaf(done).not_valid_before_utc
    assert timedelta(days=5) < life < timedelta(days=7)


def test_a_process_that_dies_after_any_step_resumes_the_same_order(
    authority: Authority, pebble: Pebble, key: bytes, knot: Knot
) -> None:
    account_url, before, proofs = authority.register(""), pebble.orders(), DnsUpdates(knot.server(), only_itself)

    at, phases = order("resumed.acme.test", challenge="dns-01"), []
    while not at.is_over:
        phases.append(at.phase)
        again = step(at, client(pebble, key, account_url), proofs)  # killed before it is stored …
        if at.phase is not Phase.NEW:  # … which leaves an order that nobody knows
            again = step(at, client(pebble, key, account_url), proofs)
        at = again

    assert {Phase.ORDERED, Phase.PROVING, Phase.PROVEN, Phase.ISSUED} <= set(phases)
    assert pebble.orders() - before == 1
    assert at.is_issued
    assert not knot.texts("_acme-challenge.resumed.acme.test")


class Failing(HTTPAdapter):
    """One of the requests of an order fails, by its number: at the authority, or on the way back."""

    def __init__(self, number: int, *, is_answer_lost: bool) -> None:
        super().__init__()
        self.left, self.is_answer_lost, self.has_failed = number, is_answer_lost, False

    def send(self, request: requests.PreparedRequest, *rest: Any, **others: Any) -> requests.Response:
        self.left -= request.method == "POST"
        if self.left or self.has_failed or request.method != "POST":
            return super().send(request, *rest, **others)
        self.has_failed = True
        if self.is_answer_lost:
            super().send(request, *rest, **others)
            raise requests.ConnectionError(request=request)
        answer = requests.Response()
        answer.status_code, answer.request, answer.url = 500, request, str(request.url)
        answer._content = b'{"type": "urn:ietf:params:acme:error:serverInternal", "detail": "The database is down."}'
        answer.headers.update({"Replay-Nonce": "bm9uY2U", "Content-Type": "application/problem+json"})
        return answer


@pytest.mark.parametrize("is_answer_lost", [False, True])
def test_whichever_request_fails_the_same_order_goes_on(
    authority: Authority, pebble: Pebble, key: bytes, *, is_answer_lost: bool
) -> None:
    account_url = authority.register("")
    for number in range(1, 30):
        at, before, faults = order(f"n{number}-{is_answer_lost:d}.acme.test"), pebble.orders(), []
        acme = client(pebble, key, account_url)
        acme.network.session.mount("https://", failing := Failing(number, is_answer_lost=is_answer_lost))
        for _ in range(200):
            if at.is_over:
                break
            try:
                at = step(at, acme, NoProofs())
            except AuthorityFault as refused:
                faults.append(refused.fault)
        assert at.is_issued and at.fault is None, (number, at)
        if not failing.has_failed:
            break
        assert [fault.kind for fault in faults] == [FaultKind.UNREACHABLE], (number, faults)
        assert is_answer_lost or faults[0].detail == "The database is down."
        is_order_lost = is_answer_lost and number == 1  # Nobody knows it: the authority lets it expire.
        assert pebble.orders() - before == 1 + is_order_lost, number
    assert number > 6 and not failing.has_failed


def test_the_authoritys_words_say_why_a_name_was_not_proved(authority: Authority, knot: Knot) -> None:
    done = finished(order("unproven.acme.test", "fine.acme.test"), authority, NoProofs())

    assert done.fault is not None and done.fault.kind is FaultKind.VALIDATION
    assert done.fault.detail.startswith("unproven.acme.test: ") and "421" in done.fault.detail
    assert "fine.acme.test" not in done.fault.detail
    assert not done.is_issued

    wrong = finished(order("wild.acme.test", challenge="dns-01"), authority, Forgetful(knot))
    assert wrong.fault is not None and wrong.fault.kind is FaultKind.VALIDATION
    assert "No TXT records found for DNS challenge" in wrong.fault.detail


class Forgetful(DnsUpdates):
    """A server that never publishes what it takes."""

    def __init__(self, knot: Knot) -> None:
        super().__init__(knot.server(), only_itself)

    def add(self, records: Sequence[Record]) -> None:
        pass

    def lagging(self, records: Sequence[Record]) -> str:
        return ""


def test_a_wildcard_is_never_proved_by_http(authority: Authority) -> None:
    """A name that no other test proves: pebble may take an earlier proof for it (authority.py)."""
    refused = fault(finished, order("*.never.acme.test"), authority, NoProofs()).fault
    assert refused.message == "The authority does not offer HTTP-01 for *.never.acme.test. Choose another challenge."


def test_each_fault_of_a_dns_server_has_its_words(knot: Knot) -> None:
    def words(server: DnsServer, name: str = "x.acme.test") -> str:
        return fault(DnsUpdates(server, only_itself).add, [Record(f"_acme-challenge.{name}", "value")]).fault.message

    assert "secret differs" in words(knot.server(key=TsigKey(KEY_NAME, "c29tZXRoaW5nIGVsc2U=")))
    assert "does not know the key" in words(knot.server(key=TsigKey("stranger", SECRET)))
    assert "no zone for _acme-challenge.elsewhere.test" in words(knot.server(), "elsewhere.test")
    assert "can’t be reached" in words(DnsServer("127.0.0.1", 1)) or "did not answer" in words(
        DnsServer("127.0.0.1", 1)
    )
    assert "key is not valid" in words(knot.server(key=TsigKey(KEY_NAME, "A")))
    assert "rejected the update: NOTAUTH" in words(knot.server(key=None))


def test_a_key_file_is_read_as_the_name_servers_tools_write_it() -> None:
    block = 'key "acme." {\n\talgorithm hmac-sha512;\n\tsecret "c2VjcmV0";\n};\n'
    assert read_key(block) == TsigKey("acme.", "c2VjcmV0", "hmac-sha512")
    assert read_key("# hmac-sha256:acme:c2VjcmV0\nkey:\n  - id: acme\n") == TsigKey("acme", "c2VjcmV0")
    for text in ("", "key acme {}", "secret", block.replace("secret", "seekret")):
        with pytest.raises(ValueError, match="no key in it"):
            read_key(text)


def test_a_hook_adds_and_removes_records(tmp_path: Path) -> None:
    folder = tmp_path
    script = folder / "hook with space"
    script.write_text(
        f'#!/bin/sh\necho "$1 $2 $3" >>{folder}/log\n[ "$3" != bad ] || {{ echo no such zone; exit 3; }}\n'
    )
    script.chmod(0o755)
    hook = Hook([str(script)])

    hook.add([Record("_acme-challenge.a.test", "x; rm -rf /")])
    hook.remove([Record("_acme-challenge.a.test", "x; rm -rf /")])

    assert (folder / "log").read_text() == (
        "add _acme-challenge.a.test x; rm -rf /\nremove _acme-challenge.a.test x; rm -rf /\n"
    )
    refused = fault(hook.add, [Record("_acme-challenge.a.test", "bad")]).fault
    assert "ended with 3" in refused.message and refused.detail == "no such zone"
    missing = fault(Hook(["/nowhere"]).add, [Record("a", "b")]).fault
    assert (missing.message, missing.detail) == ("The DNS hook can’t be run.", "/nowhere: there is no such file.")


def test_a_suggested_renewal_replaces_and_a_second_one_is_refused(authority: Authority, pebble: Pebble) -> None:
    first = finished(order("renewed.acme.test"), authority, NoProofs())
    start = datetime(2027, 1, 1, tzinfo=UTC)
    pebble.suggest_renewal(first.chain, start, start + timedelta(days=2))

    window = authority.renewal_window(first.chain.encode())
    assert window is not None
    assert (window.start, window.end) == (start, start + timedelta(days=2))
    assert window.explanation == "https://authority.test/why"
    assert window.ask_again_at > datetime.now(UTC)

    name = renewal_id(first.chain.encode())
    second = finished(order("renewed.acme.test", replaces=name), authority, NoProofs())
    assert leaf(second).serial_number != leaf(first).serial_number
    with pytest.raises(AuthorityFault) as refused:
        finished(order("renewed.acme.test", replaces=name), authority, NoProofs())
    assert refused.value.fault.kind is FaultKind.REPLACED


def test_revoking_twice_is_once(authority: Authority, pebble: Pebble) -> None:
    done = finished(order("revoked.acme.test"), authority, NoProofs())

    authority.revoke(done.chain.encode(), 4)
    authority.revoke(done.chain.encode(), 4)

    assert "Revoked" in pebble.management(f"/cert-status-by-serial/{leaf(done).serial_number:x}")


def test_an_order_that_is_given_up_waits_for_no_proof_any_more(authority: Authority) -> None:
    ordered = step(order("given-up.acme.test", "given-up-too.acme.test"), authority, NoProofs())

    authority.relinquish(ordered.url)
    authority.relinquish(ordered.url)

    states = {authority.authorization(url).status.name for url in authority.order(ordered.url).authorizations}
    assert states == {"deactivated"}
    assert step(ordered, authority, NoProofs()).phase is Phase.FAILED


def test_the_accounts_email_addresses_are_replaced(authority: Authority) -> None:
    def contacts() -> list[str]:
        return list(authority._read(authority.account_url).json().get("contact") or [])

    authority.update_contacts(["ada@acme.test", "vera@acme.test"])
    assert contacts() == ["mailto:ada@acme.test", "mailto:vera@acme.test"]
    assert fault(authority.update_contacts, ["not an address"]).fault.kind is FaultKind.REJECTED
    assert contacts() == ["mailto:ada@acme.test", "mailto:vera@acme.test"]
    authority.update_contacts([])
    assert contacts() == []


def test_what_a_directory_offers_and_an_unknown_profile(authority: Authority) -> None:
    terms = authority.terms()

    assert terms.profiles["shortlived"] == "Six days"
    assert terms.has_renewal_info and not terms.needs_binding
    refused = fault(step, order("p.acme.test", profile="tall"), authority, NoProofs()).fault
    assert refused.kind is FaultKind.PROFILE


def test_what_answers_but_is_no_authority_is_said_so(web: int, key: bytes) -> None:
    for url, kind in (
        (f"http://127.0.0.1:{web}/dir", FaultKind.UNREACHABLE),
        ("http://127.0.0.1:1/dir", FaultKind.UNREACHABLE),
    ):
        refused = fault(Authority(url, account_key(key)).terms).fault
        assert refused.kind is kind and refused.message


@pytest.fixture(scope="module")
def strict(web: int, knot: Knot) -> Iterator[Pebble]:
    """Demands an external account."""
    demands = {
        "externalAccountBindingRequired": True,
        "externalAccountMACKeys": {EAB_KEY_ID: EAB_KEY},
        "domainBlocklist": ["blocked.acme.test"],
    }
    with Pebble(web, knot.port, settings=demands, PEBBLE_ALTERNATE_ROOTS="2") as server:
        yield server


class StaleNonces(Network):
    """Four of five are not the authority's."""

    used = 0

    def _get_nonce(self, url: str, new_nonce_url: str) -> str:
        self.used += 1
        nonce = super()._get_nonce(url, new_nonce_url)
        return nonce if self.used % NONCE_TRIES == 0 else nonce[::-1]


def test_an_external_account_is_asked_for_and_bad_nonces_are_tried_again(strict: Pebble, key: bytes) -> None:
    authority = client(strict, key)
    assert fault(authority.register, "", None).fault.kind is FaultKind.BINDING
    assert fault(authority.register, "", Binding("kid-2", EAB_KEY)).fault.kind is FaultKind.BINDING
    authority.register("ada@example.org", Binding(EAB_KEY_ID, EAB_KEY))

    authority.network = stale = StaleNonces(authority.key, str(strict.ca_file))
    authority._client = None
    issued = finished(order("eab.acme.test"), authority, NoProofs())
    assert issued.is_issued
    assert stale.used > 20
    other_root = root_name(strict.management("/intermediates/2"))
    assert root_name(issued.chain) != other_root
    preferring = replace(order("eab.acme.test"), preferred_chain=other_root.upper())
    assert root_name(finished(preferring, authority, NoProofs()).chain) == other_root

    blocked = fault(step, order("blocked.acme.test"), authority, NoProofs()).fault
    assert blocked.kind is FaultKind.REJECTED and "blocked.acme.test" in blocked.detail

    account_url = authority.register("")
    strict.stop()
    assert fault(step, order("eab.acme.test"), authority, NoProofs()).fault.kind is FaultKind.UNREACHABLE
    strict.start()  # It has forgotten everybody.
    forgotten = client(strict, key, account_url)
    assert fault(step, order("eab.acme.test"), forgotten, NoProofs()).fault.kind is FaultKind.UNKNOWN_ACCOUNT
    lost = replace(order("eab.acme.test"), phase=Phase.ANSWERED, url=f"{strict.url.removesuffix('dir')}my-order/none")
    assert fault(step, lost, forgotten, NoProofs()).fault.kind is FaultKind.LOST_ORDER
