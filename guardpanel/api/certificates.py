"""Certificates as JSON. Private keys are taken and never returned."""

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, Field

from guardpanel.api import nouns
from guardpanel.api.nouns import ListQuery
from guardpanel.api.shapes import Dialect, Row
from guardpanel.certificates.choosing import state_of
from guardpanel.dependencies import SessionDep
from guardpanel.models.certificates.certificate import NOUN, Source
from guardpanel.services import certificates


class CertificateRow(Row):
    """With what is served. Null without a content: it has to be uploaded again."""

    state: str = Field(description="`valid`, `expiring`, `expired`, `revoked`, `not_yet`, `missing`, or `no_key`.")
    covers: list[str] = Field(description="The names in the certificate.")
    issuer: str | None
    serial: str | None = Field(description="Hexadecimal.")
    fingerprint: str | None = Field(description="SHA-256 of the certificate, hexadecimal.")
    not_before: datetime | None
    not_after: datetime | None


class WholeCertificate(BaseModel):
    chain: str | None = Field(description="PEM: the certificate, then its intermediates.")
    notices: list[str] = Field(description="What is remarkable about it.")


class CertificateDialect(Dialect):
    answer = CertificateRow
    whole = WholeCertificate

    def out(self, row: Any) -> dict[str, Any]:
        content = row.content
        names = ("issuer", "serial", "fingerprint", "not_before", "not_after")
        return {
            "state": state_of(content, datetime.now(UTC)).key,
            "covers": content.names if content else [],
            **{name: getattr(content, name) if content else None for name in names},
        }

    async def out_whole(self, session: SessionDep, row: Any) -> dict[str, Any]:  # noqa: ARG002
        content = row.content
        return {"chain": content.chain if content else None, "notices": content.notices if content else []}


class CertificateQuery(ListQuery):
    source: Source | None = None


router = nouns.rows(
    NOUN, certificates, CertificateDialect(), query=CertificateQuery, looks_in="names, hostnames, issuers, and serials"
)
