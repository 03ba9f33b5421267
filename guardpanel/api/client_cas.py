"""Client CAs as JSON."""

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Field

from guardpanel.api import nouns
from guardpanel.api.shapes import Dialect, Row
from guardpanel.certificates.client_authority_state import state_of
from guardpanel.dependencies import SessionDep
from guardpanel.models.certificates.client_ca import NOUN
from guardpanel.services import client_cas


class AuthorityOut(BaseModel):
    subject: str
    fingerprint: str = Field(description="SHA-256 of the certificate, hexadecimal.")
    is_root: bool
    not_after: datetime
    has_list: bool = Field(description="Whether its revocation list is among `revocation_lists`.")
    revoked: int = Field(description="Certificates in that list.")
    next_update: datetime | None = Field(description="Null: there is no list, or it has no end.")


class ClientCaRow(Row):
    state: str = Field(
        description="`valid`, `expiring`, `expired`, `expired_in_part`, `not_yet`, `crl_ending`, `crl_ended` (every client "
        "certificate is rejected), or `unreadable`."
    )


class WholeClientCa(BaseModel):
    authorities: list[AuthorityOut] = Field(description="What is in `certificates`.")


class ClientCaDialect(Dialect):
    answer = ClientCaRow
    whole = WholeClientCa

    def out(self, row: Any) -> dict[str, Any]:
        return {"state": state_of(client_cas.authorities_of(row), datetime.now(UTC)).key}

    async def out_whole(self, session: SessionDep, row: Any) -> dict[str, Any]:  # noqa: ARG002
        names = AuthorityOut.model_fields
        its = client_cas.authorities_of(row)
        return {"authorities": [{name: getattr(authority, name) for name in names} for authority in its]}


router = nouns.rows(NOUN, client_cas, ClientCaDialect(), looks_in="names and notes")
