"""The installation's account key, and its accounts at authorities. One key serves all of them, so that one thumbprint answers the
challenges of every name. Only an account that was registered anew has a key of its own."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.acme.client import Authority, Binding
from guardpanel.acme.faults import AuthorityFault, FaultKind
from guardpanel.acme.keys import account_key, new_key, thumbprint
from guardpanel.database import Database
from guardpanel.errors import FieldError, Invalid
from guardpanel.models.certificates.acme import AcmeAccount, AcmeKey
from guardpanel.models.certificates.certificate import Certificate, Source
from guardpanel.models.certificates.issuing import BindingInput, IssuingColumns
from guardpanel.sealing import KeyLost, Seal

ACCOUNT = frozenset({"eab_key_id", "eab_key"})
"Fields that an external account needs."


@dataclass(frozen=True)
class AccountKey:
    pem: bytes
    thumbprint: str
    master_key: str
    "Which master key opens it, as `Seal.key_id`."


async def key_of(session: AsyncSession, seal: Seal) -> AccountKey:
    """The installation's key, made at the first start with a master key. Those of other master keys stay as they are."""
    rows = {row.master_key: row for row in (await session.exec(select(AcmeKey))).all()}
    for row in filter(None, (rows.get(seal.key_id), rows.get(""))):
        with suppress(KeyLost):
            pem = seal.open(row.sealed_key, row.place)
            row.master_key = seal.key_id
            return AccountKey(pem, thumbprint(pem), seal.key_id)
    return await _new_key(session, seal, rows.get(seal.key_id) or AcmeKey(master_key=seal.key_id))


async def _new_key(session: AsyncSession, seal: Seal, row: AcmeKey) -> AccountKey:
    """`row` is a new one, or damaged."""
    pem = new_key()
    session.add(row)
    await session.flush()
    row.sealed_key = seal.seal(pem, row.place)
    return AccountKey(pem, thumbprint(pem), seal.key_id)


async def own_thumbprint(database: Database, seal: Seal) -> str:
    """What HAProxy answers challenges with."""
    async with database.write() as session:
        return (await key_of(session, seal)).thumbprint


class Accounts:
    """`ca_file`: certificates to trust at authorities, else the system's."""

    def __init__(self, database: Database, seal: Seal, ca_file: str) -> None:
        self.database = database
        self.seal = seal
        self.ca_file = ca_file
        self._clients: dict[str, Authority] = {}
        "With their connections, directories and nonces. They are the worker’s, which uses each for one thing at a time."

    async def authority(self, url: str, contact: str = "") -> Authority:
        """The worker’s client of the authority, registered there. Raises AuthorityFault."""
        known = self._clients.get(url)
        if known is None or known.account_url != await self._registered(url):  # Another external account was entered.
            self._clients[url] = await self.another(url, contact)
        return self._clients[url]

    async def _registered(self, url: str) -> str:
        """The account’s URL, as it is known now. Empty: none."""
        async with self.database.read() as session:
            account = await _known_at(session, url, await key_of(session, self.seal))
            return account.url if account else ""

    async def thumbprint_at(self, url: str) -> str:
        """Of the account's key, with which the authority expects challenges to be answered."""
        async with self.database.read() as session:
            key = await key_of(session, self.seal)
            account = await _known_at(session, url, key)
        return account.thumbprint if account else key.thumbprint

    async def reader(self, url: str) -> Authority:
        """A new client for what needs no account. Anybody may ask, while the worker uses its own."""
        async with self.database.read() as session:
            key = await key_of(session, self.seal)
        return Authority(url, account_key(key.pem), ca_file=self.ca_file)

    async def another(self, url: str, contact: str = "") -> Authority:
        """A new client, registered there, for what does not wait for the worker’s. Raises AuthorityFault."""
        async with self.database.write() as session:
            key = await key_of(session, self.seal)
            account = await account_at(session, url, key)
            binding = self._binding(account)
            pem = key.pem if account.sealed_key is None else self.seal.open(account.sealed_key, account.key_place)
        client = Authority(url, account_key(pem), account.url, self.ca_file)
        if not account.url:
            registered = await asyncio.to_thread(partial(client.register, contact, binding))
            await self._note(account.id or 0, registered, [contact] if contact else [])
        return client

    async def update_contacts(self, url: str, client: Authority) -> str:
        """Have the authority know the email addresses of all certificates that name it. Returns what to report: one that it
        rejects holds up no order. Raises AuthorityFault if it must be asked again."""
        async with self.database.read() as session:
            account = await _known_at(session, url, await key_of(session, self.seal))
            contacts = await contacts_at(session, url)
        if account is None or account.contacts == contacts:
            return ""
        listed = ", ".join(contacts) or "none"
        words = f"Email addresses at the authority: {listed}."
        try:
            await asyncio.to_thread(client.update_contacts, contacts)
        except AuthorityFault as refused:
            if refused.fault.kind is not FaultKind.REJECTED:
                raise
            words = f"The authority rejected these email addresses: {listed}. {refused.fault.detail}"
        async with self.database.write() as session:
            (await account_at(session, url, await key_of(session, self.seal))).contacts = contacts
        return words

    async def forget(self, url: str) -> None:
        """The authority does not know the account: it is registered anew."""
        self.drop(url)
        async with self.database.write() as session:
            key = await key_of(session, self.seal)
            (await account_at(session, url, key)).url = ""

    def drop(self, url: str) -> None:
        """Begin anew with the authority: its directory may have changed."""
        self._clients.pop(url, None)

    def _binding(self, account: AcmeAccount) -> Binding | None:
        if account.sealed_binding_key is None:
            return None
        return Binding(account.binding_key_id, self.seal.open(account.sealed_binding_key, account.place).decode())

    async def _note(self, account_id: int, url: str, contacts: list[str]) -> None:
        async with self.database.write() as session:
            account = (await session.exec(select(AcmeAccount).where(AcmeAccount.id == account_id))).one()
            account.url, account.contacts, account.sealed_binding_key = url, contacts, None


async def contacts_at(session: AsyncSession, authority: str) -> list[str]:
    """The email addresses of certificates that this authority may issue."""
    query = select(Certificate).where(col(Certificate.source) == Source.ACME, col(Certificate.contact) != "")
    rows = (await session.exec(query)).all()
    return sorted({row.contact for row in rows if authority in {row.authority, *row.other_authorities}})


async def account_at(session: AsyncSession, authority: str, key: AccountKey) -> AcmeAccount:
    """The account's row, a new one if there is none."""
    account = await _known_at(session, authority, key)
    if account is None:
        account = AcmeAccount(authority=authority, thumbprint=key.thumbprint)
        session.add(account)
        await session.flush()
    return account


async def _known_at(session: AsyncSession, authority: str, key: AccountKey) -> AcmeAccount | None:
    """The one in use."""
    is_ours = or_(AcmeAccount.thumbprint == key.thumbprint, AcmeAccount.master_key == key.master_key)
    query = select(AcmeAccount).where(
        AcmeAccount.authority == authority, col(AcmeAccount.retired_at).is_(None), is_ours
    )
    return (await session.exec(query)).first()


async def was_replaced(session: AsyncSession, authority: str, since: datetime) -> bool:
    """Whether another account took the place of the authority's after this moment."""
    query = select(AcmeAccount.id).where(AcmeAccount.authority == authority, col(AcmeAccount.retired_at) > since)
    return (await session.exec(query)).first() is not None


async def replace_account(session: AsyncSession, seal: Seal, authority: str, now: datetime) -> None:
    """The next order registers another account, with a key of its own. The one before, and its key, stay out of use: authorities
    open none again, and certificates may have come from it."""
    before = await account_at(session, authority, await key_of(session, seal))
    before.retired_at, pem = now, new_key()
    account = AcmeAccount(authority=authority, thumbprint=thumbprint(pem), master_key=seal.key_id)
    session.add(account)
    await session.flush()
    account.sealed_key = seal.seal(pem, account.key_place)


def must_be_whole(sent: BindingInput, *, is_ordered: bool) -> None:
    """Raises Invalid (422) if only a part of an external account was sent, or if no authority is asked."""
    given = {name for name in BindingInput.model_fields if getattr(sent, name)}
    if not given or (is_ordered and given >= ACCOUNT):
        return
    words = (
        "Enter both the key ID and the key." if is_ordered else "Only certificates from an ACME authority have this."
    )
    raise Invalid(words, dict.fromkeys(ACCOUNT if is_ordered else given, FieldError(words)))


def bound_authority(sent: BindingInput, certificate: IssuingColumns) -> str:
    """The authority that the external account is for. Raises Invalid (422) if the certificate does not name it."""
    chosen = sent.eab_authority or certificate.authority
    if chosen not in {certificate.authority, *certificate.other_authorities}:
        raise Invalid.at("eab_authority", "Enter one of the authorities above.")
    return chosen


async def bind(session: AsyncSession, seal: Seal, authority: str, binding: Binding) -> None:
    """Register with this external account: at once if there is no account, else anew."""
    account = await account_at(session, authority, await key_of(session, seal))
    account.binding_key_id, account.url = binding.key_id, ""
    account.sealed_binding_key = seal.seal(binding.key.encode(), account.place)
