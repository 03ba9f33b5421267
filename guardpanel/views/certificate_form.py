"""The form of a certificate. Private keys are never written into a page: a rejected form carries them sealed."""

import base64
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.datastructures import UploadFile

from guardpanel.certificates.choosing import state_of
from guardpanel.models import Certificate
from guardpanel.models.certificates.certificate import LARGEST, CertificateFields, Source
from guardpanel.models.certificates.issuing import AUTHORITIES, LETS_ENCRYPT, known_authority
from guardpanel.sealing import KeyLost, Seal
from guardpanel.services import certificate_uses, certificates
from guardpanel.views.context import Context
from guardpanel.views.editing import Editing
from guardpanel.views.forms import MOST_FIELDS, Form

MOST_FILES = 5
HELD = "held"
SECRET = ("private_key", "file", "password", "eab_key")
"Fields that no page contains."

KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----|\Z)", re.DOTALL
)

MINUTES = 30
"For which a rejected form keeps what was sent."

SOURCES = (Source.UPLOAD, Source.ACME, Source.LOCAL_CA, Source.SELF_SIGNED)


class CertificateForm(Form):
    """`held`: the secrets that were sent with it, sealed, for when it is sent again."""

    held = ""

    @property
    def source(self) -> Source:
        return Source(self.value("source")) if self.value("source") in set(Source) else Source.UPLOAD


class CertificateEditing(Editing[Certificate, CertificateFields]):
    async def new_form(self, ctx: Context) -> Form:
        """For the source and the names in the URL."""
        query = ctx.request.query_params
        names = [name[:255] for name in query.getlist("names") if name.strip()]
        usual = {"key_type": ["ecdsa"], "authority": [known_authority(LETS_ENCRYPT)], "challenge": ["http-01"]}
        typed = {"source": [query.get("source", Source.UPLOAD)], "names": names, **usual}
        form = CertificateForm(typed, model=self.noun.input)
        form.typed["source"] = [form.source.value]
        if names and form.source is not Source.UPLOAD:
            form.typed["name"] = [names[0]]
        return form

    def form_of(self, ctx: Context, row: Certificate) -> Form:
        made = super().form_of(ctx, row)
        return CertificateForm(made.typed, model=self.noun.input)

    def typed(self, row: Certificate) -> dict[str, list[str]]:
        """Authorities by name."""
        names = {name: [_named(getattr(row, name))] for name in ("authority", "staging_authority")}
        return {**names, "other_authorities": [_named(url) for url in row.other_authorities]}

    async def read_form(self, ctx: Context) -> Form:
        async with ctx.request.form(max_files=MOST_FILES, max_fields=MOST_FIELDS) as sent:
            files = [part for part in sent.getlist("file") if isinstance(part, UploadFile) and part.filename]
            encoded = [base64.b64encode(await file.read(LARGEST + 1)).decode() for file in files]
            form = await CertificateForm.read(ctx.request, self.noun.input)
        form.typed["file"] = ["\n".join(encoded)]
        keys = KEY.findall(form.value("certificate"))
        if keys:
            form.typed["certificate"] = [KEY.sub("", form.value("certificate"))]
            form.typed["private_key"] = ["\n".join([form.value("private_key"), *keys])]
        place = f"form of {ctx.request.state.viewer.email}"
        take_held(form, ctx.changes.seal, place)
        hold(form, ctx.changes.seal, place)
        return form

    async def beside_form(self, ctx: Context) -> Mapping[str, Any]:  # noqa: ARG002
        return {"sources": SOURCES, "secret_fields": SECRET, "Source": Source, "authorities": AUTHORITIES}

    async def beside_delete(self, ctx: Context, row: Certificate) -> Mapping[str, Any]:
        used = await certificates.used_by(ctx.session, [row])
        chosen_for = await certificate_uses.chosen_for(ctx.session, row.id or 0)
        beside = {"used": used.get(row.id or 0, []), "state": state_of(row.content, datetime.now(UTC))}
        return {**beside, "chosen_for": chosen_for, "is_kept": bool(chosen_for)}


def _named(url: str) -> str:
    return known_authority(url) or url


def take_held(form: CertificateForm, seal: Seal, place: str) -> None:
    """What was sent before, unless it was sent anew."""
    held = _opened(form.value(HELD), seal, place)
    if not any(form.value(name).strip() for name in ("private_key", "file")):
        form.typed |= {name: [held[name]] for name in ("private_key", "file") if held.get(name)}
    for name in ("password", "eab_key"):
        if not form.value(name) and held.get(name):
            form.typed[name] = [held[name]]


def hold(form: CertificateForm, seal: Seal, place: str) -> None:
    secrets = {name: form.value(name) for name in SECRET if form.value(name).strip()}
    if secrets:
        secrets["until"] = str(datetime.now(UTC).timestamp() + MINUTES * 60)
        form.held = base64.b64encode(seal.seal(json.dumps(secrets).encode(), place)).decode()


def _opened(held: str, seal: Seal, place: str) -> dict[str, str]:
    try:
        secrets: dict[str, str] = json.loads(seal.open(base64.b64decode(held), place))
    except (KeyLost, ValueError):
        return {}
    return secrets if float(secrets["until"]) > datetime.now(UTC).timestamp() else {}
