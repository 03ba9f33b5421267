"""An authority's client, over the `acme` library, which signs requests and reads answers.

What it lacks is here: `Retry-After` of an error, more than one retry of a rejected nonce, `replaces` of an order (RFC 9773), and
polling without sleep. All methods block: they run in a thread. Each raises AuthorityFault.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from cryptography import x509

from guardpanel.acme.faults import AuthorityFault, Fault, FaultKind, fault_of, retry_time
from guardpanel.acme.keys import renewal_id
from guardpanel.acme.names import is_address
from guardpanel.later import Later

if TYPE_CHECKING:
    import josepy.errors
    import josepy.jwk
    import requests
    from acme import challenges, errors, messages
    from acme import client as library

    from guardpanel.acme import network
else:
    josepy, requests = Later("josepy"), Later("requests")
    challenges, errors, messages = Later("acme.challenges"), Later("acme.errors"), Later("acme.messages")
    library, network = Later("acme.client"), Later("guardpanel.acme.network")

ASK_AGAIN_SECONDS = 1.0
"Until an authority is asked again for a result, unless it says when."

RENEWAL_INFO_SECONDS = 6 * 3600
"Until renewal information is asked for again, unless the authority says when (RFC 9773 §4.3.2)."


@dataclass(frozen=True)
class Terms:
    """What an authority's directory says."""

    profiles: dict[str, str]
    "Names of profiles, with their descriptions."
    needs_binding: bool
    terms_of_service: str
    caa_names: tuple[str, ...]
    has_renewal_info: bool


@dataclass(frozen=True)
class Binding:
    """An external account (RFC 8555 §7.3.4). `key` is base64url, as authorities give it."""

    key_id: str
    key: str = field(repr=False)


@dataclass(frozen=True)
class RenewalWindow:
    start: datetime
    end: datetime
    explanation: str
    "A URL. Empty if the authority gives none."
    ask_again_at: datetime


class Authority:
    """`account_url` is empty until `register` returned it. `ca_file`: PEM certificates to trust, else the system's."""

    def __init__(
        self,
        url: str,
        key: "josepy.jwk.JWK",
        account_url: str = "",
        ca_file: str = "",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.url = url
        self.key = key
        self.now = now
        self.network = network.Network(key, ca_file)
        self._account_url = account_url
        self._client: library.ClientV2 | None = None

    @property
    def account_url(self) -> str:
        return self._account_url

    @contextmanager
    def _asking(self) -> "Iterator[library.ClientV2]":
        try:
            if self._client is None:
                self._client = library.ClientV2(library.ClientV2.get_directory(self.url, self.network), self.network)
            if self._account_url and self.network.account is None:
                self.network.account = _account(self._account_url)
            yield self._client
        except (errors.Error, josepy.errors.Error, requests.RequestException) as error:
            raise AuthorityFault(fault_of(error, self.network.last, self.now())) from error
        except (KeyError, ValueError, TypeError, AttributeError) as error:  # It is JSON, but not an ACME server's.
            raise AuthorityFault(fault_of(errors.ClientError(), self.network.last, self.now())) from error

    def terms(self) -> Terms:
        with self._asking() as client:
            meta = client.directory.meta
            return Terms(
                profiles=dict(meta.profiles or {}),
                needs_binding=bool(meta.external_account_required),
                terms_of_service=str(meta.terms_of_service or ""),
                caa_names=tuple(meta.caa_identities or ()),
                has_renewal_info="renewalInfo" in client.directory.to_partial_json(),
            )

    def register(self, email: str, binding: Binding | None = None) -> str:
        """The account's URL. Agrees to the terms of service. The same key gets the same account."""
        with self._asking() as client:
            self.network.account = None
            bound = None
            if binding is not None:
                public = self.key.public_key()
                bound = messages.ExternalAccountBinding.from_data(public, binding.key_id, binding.key, client.directory)
            registration = messages.NewRegistration.from_data(
                email=email or None, terms_of_service_agreed=True, external_account_binding=bound
            )
            try:
                self._account_url = str(client.new_account(registration).uri)
            except errors.ConflictError as known:
                self._account_url = str(known.location)
            self.network.account = _account(self._account_url)
            return self._account_url

    def update_contacts(self, emails: Sequence[str]) -> None:
        """Replace the account's email addresses (RFC 8555 §7.3.2)."""
        with self._asking() as client:
            contact = tuple(messages.Registration.email_prefix + email for email in emails)
            update = messages.UpdateRegistration(contact=contact)
            self.network.post(self._account_url, update, new_nonce_url=self._nonces(client))

    def new_order(self, names: Sequence[str], profile: str = "", replaces: str = "") -> str:
        """The order's URL."""
        with self._asking() as client:
            order = network.ReplacingOrder(
                identifiers=[_identifier(name) for name in names], profile=profile or None, replaces=replaces or None
            )
            response = self.network.post(client.directory["newOrder"], order, new_nonce_url=self._nonces(client))
            return response.headers["Location"]

    def order(self, url: str) -> "messages.Order":
        with self._asking():
            order: messages.Order = messages.Order.from_json(self._read(url).json())
            return order

    def authorization(self, url: str) -> "messages.Authorization":
        with self._asking():
            authorization: messages.Authorization = messages.Authorization.from_json(self._read(url).json())
            return authorization

    def answer(self, challenge: "messages.ChallengeBody") -> None:
        """Say that the challenge's proof is in its place."""
        with self._asking() as client:
            client.answer_challenge(challenge, challenge.response(self.key))

    def relinquish(self, order_url: str) -> None:
        """Give up an order: its proofs that are still open are closed (RFC 8555 §7.5.2), and no longer counted."""
        with self._asking() as client:
            for url in self.order(order_url).authorizations:
                if self.authorization(url).status == messages.STATUS_PENDING:
                    update = messages.UpdateAuthorization(status="deactivated")
                    self.network.post(url, update, new_nonce_url=self._nonces(client))

    def txt_value(self, challenge: "messages.ChallengeBody") -> str:
        """Content of the TXT record that proves a name by DNS-01."""
        return str(challenge.chall.validation(self.key))

    def finalize(self, order: "messages.Order", csr: bytes) -> None:
        with self._asking() as client:
            request = messages.CertificateRequest(csr=x509.load_pem_x509_csr(csr))
            self.network.post(order.finalize, request, new_nonce_url=self._nonces(client))

    def chains(self, url: str, *, with_others: bool = False) -> list[str]:
        """The certificate and its intermediates, PEM: the authority's choice, and its alternatives."""
        first = self._read(url)
        with self._asking():  # Links that can't be read are the authority's fault, too.
            links = requests.utils.parse_header_links(first.headers.get("Link", "")) if with_others else []
            others = [urljoin(url, link["url"]) for link in links if link.get("rel") == "alternate"]
            return [first.text, *(self._read(other).text for other in others)]

    def revoke(self, pem: bytes, reason: int) -> None:
        """`reason` is RFC 5280's (§5.3.1): 0 unspecified, 1 key compromised, 4 superseded, 5 no longer used."""
        with self._asking() as client:
            try:
                client.revoke(x509.load_pem_x509_certificate(pem), reason)
            except messages.Error as error:
                if error.code != "alreadyRevoked":
                    raise

    def renewal_window(self, pem: bytes) -> RenewalWindow | None:
        """When the authority suggests to renew (RFC 9773). None if it does not say."""
        name = renewal_id(pem)
        with self._asking() as client:
            base = client.directory.to_partial_json().get("renewalInfo")
            if not name or not base:
                return None
            response = self.network.get(f"{str(base).rstrip('/')}/{name}", content_type="application/json")
            content = response.json()
            window = content["suggestedWindow"]
            start, end = datetime.fromisoformat(window["start"]), datetime.fromisoformat(window["end"])
            asked_again = retry_time(response, self.now()) or self.now() + timedelta(seconds=RENEWAL_INFO_SECONDS)
            return RenewalWindow(start, max(start, end), str(content.get("explanationURL") or ""), asked_again)

    def seconds_to_wait(self) -> float:
        """Until the last thing asked for is asked for again."""
        moment = retry_time(self.network.last, self.now())
        return ASK_AGAIN_SECONDS if moment is None else max(0.2, (moment - self.now()).total_seconds())

    def _read(self, url: str) -> "requests.Response":
        """POST-as-GET (RFC 8555 §6.3)."""
        with self._asking() as client:
            return self.network.post(url, None, new_nonce_url=self._nonces(client))

    def _nonces(self, client: "library.ClientV2") -> str:
        return str(client.directory["newNonce"])


def challenge_of(authorization: "messages.Authorization", kind: str) -> "messages.ChallengeBody":
    """`kind`: `http-01` or `dns-01`. Raises AuthorityFault if the authority does not offer it for this name."""
    wanted = {"http-01": challenges.HTTP01, "dns-01": challenges.DNS01}[kind]
    for challenge in authorization.challenges:
        if isinstance(challenge.chall, wanted):
            return challenge
    name = f"{'*.' if authorization.wildcard else ''}{authorization.identifier.value}"
    raise AuthorityFault(
        Fault(FaultKind.REJECTED, f"The authority does not offer {kind.upper()} for {name}. Choose another challenge.")
    )


def _identifier(name: str) -> "messages.Identifier":
    kind = messages.IDENTIFIER_IP if is_address(name) else messages.IDENTIFIER_FQDN
    return messages.Identifier(typ=kind, value=name)


def _account(url: str) -> "messages.RegistrationResource":
    return messages.RegistrationResource(body=messages.Registration(), uri=url)
