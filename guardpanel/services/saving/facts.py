"""The installation's facts: rows of one table, each created once."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.acme.order import Phase
from guardpanel.models import AcmeAccount, AcmeOrder, Installation
from guardpanel.rendering import Rows

PROBE_SECRET = "probe_secret"  # noqa: S105 the row's name
DEFAULTS_MADE = "defaults_made"
MEMORY = "memory_mib"
SETUP = "setup_token"
RESTORED = "restored"


@dataclass(frozen=True)
class RestoredBackup:
    """A backup that was written to the database while nothing ran. The next start makes it live, with this summary."""

    who: str
    summary: str


async def secret_of(session: AsyncSession) -> str | None:
    """The installation's secret, which marks the panel's own requests."""
    secret: str | None = (await session.exec(select(SECRET))).one()
    return secret


SECRET = select(Installation.value).where(col(Installation.name) == PROBE_SECRET).scalar_subquery()


def secret_in(rows: Rows) -> str | None:
    """The secret in stored rows. None if they contain the configuration only."""
    return next((str(row["value"]) for row in rows.get("installation", ()) if row["name"] == PROBE_SECRET), None)


PROVED = (Phase.PROVING, Phase.PROVEN, Phase.ANSWERED)
"An authority that asks for proofs does so then."


async def own_thumbprints(session: AsyncSession, master_key: str) -> dict[str, str]:
    """By name, of the account's key, for orders that are being proved by HTTP-01 at an authority whose account has a key of its
    own. The older of two goes first. One that waits, as for a rate limit, keeps no other from being proved."""
    return thumbprints_in((await session.exec(select(thumbprints(master_key)))).one())


def thumbprints(master_key: Any) -> Any:
    """The same as JSON in SQL."""
    is_at = col(AcmeAccount.authority) == col(AcmeOrder.authority)
    query = select(AcmeOrder.names, AcmeAccount.thumbprint).join(AcmeAccount, is_at).order_by(col(AcmeOrder.id).desc())
    is_in_use = col(AcmeAccount.retired_at).is_(None), AcmeAccount.master_key == master_key
    is_proved = col(AcmeOrder.phase).in_(PROVED), AcmeOrder.challenge == "http-01"
    rows = query.where(*is_in_use, *is_proved, col(AcmeOrder.ended_at).is_(None)).subquery()
    pair = func.json_array(func.json(rows.c.names), rows.c.thumbprint)
    return select(func.json_group_array(pair)).scalar_subquery()


def thumbprints_in(listed: str) -> dict[str, str]:
    return {name: thumbprint for names, thumbprint in json.loads(listed) for name in names}


async def restored(session: AsyncSession) -> RestoredBackup | None:
    row = await session.get(Installation, RESTORED)
    return RestoredBackup(**json.loads(row.value)) if row else None


async def note_restored(session: AsyncSession, backup: RestoredBackup) -> None:
    await session.merge(Installation(name=RESTORED, value=json.dumps(asdict(backup))))


async def forget_restored(session: AsyncSession) -> None:
    row = await session.get(Installation, RESTORED)
    if row is not None:
        await session.delete(row)
