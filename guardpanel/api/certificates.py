"""Certificates as JSON, with what they contained before. Private keys are taken and never returned."""

from datetime import UTC, datetime
from typing import Any

from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field

from guardpanel.api import nouns
from guardpanel.api.nouns import ListQuery
from guardpanel.api.saves import SaveRequestDep
from guardpanel.api.shapes import Dialect, Row
from guardpanel.certificates.choosing import state_of
from guardpanel.dependencies import PanelDep, RowId, SessionDep, Viewer
from guardpanel.models.certificates.certificate import NOUN, Source
from guardpanel.services import certificates
from guardpanel.services.https import earlier_certificates


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


ROWS = nouns.Rows(NOUN, certificates, CertificateDialect())

router = ROWS.router(query=CertificateQuery, looks_in="names, hostnames, issuers, and serials")


class ContentOut(BaseModel):
    """A certificate that was served before."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    names: list[str]
    issuer: str
    serial: str = Field(description="Hexadecimal.")
    fingerprint: str = Field(description="SHA-256 of the certificate, hexadecimal.")
    not_before: datetime
    not_after: datetime
    added_at: datetime
    revoked_at: datetime | None = Field(description="Since when its authority declares it invalid.")
    has_key: bool = Field(description="Whether it can be used again: its key is still stored.")


class ContentList(BaseModel):
    items: list[ContentOut]


@router.post("/{certificate_id}/renewal", response_model=ROWS.shapes.saved)
async def renew_certificate(
    certificate_id: RowId, response: Response, panel: PanelDep, save_request: SaveRequestDep
) -> Any:
    """Make another one with a new key for the same names. 422 unless it is self-signed or of the local CA."""
    return await ROWS.saved(panel, response, await certificates.renew(panel.changes, save_request, certificate_id))


@router.get("/{certificate_id}/contents")
async def list_certificate_contents(certificate_id: RowId, session: SessionDep, _user: Viewer) -> ContentList:
    """What was served before, newest first."""
    row = await certificates.find(session, certificate_id)
    earlier = await earlier_certificates.earlier(session, row)
    return ContentList(items=[ContentOut.model_validate(content) for content in earlier])


@router.post("/{certificate_id}/contents/{content_id}/use", response_model=ROWS.shapes.saved)
async def use_certificate_content(
    certificate_id: RowId, content_id: RowId, response: Response, panel: PanelDep, save_request: SaveRequestDep
) -> Any:
    """Serve it again. 422 if it has expired or was revoked."""
    saved = await earlier_certificates.use_again(panel.changes, save_request, certificate_id, content_id)
    return await ROWS.saved(panel, response, saved)
