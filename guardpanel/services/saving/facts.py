"""The installation's facts: rows of one table, each created once."""

import json
from dataclasses import asdict, dataclass

from sqlmodel import col, select
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
    row = await session.get(Installation, PROBE_SECRET)
    return row.value if row else None


def secret_in(rows: Rows) -> str | None:
    """The secret in stored rows. None if they contain the configuration only."""
    return next((str(row["value"]) for row in rows.get("installation", ()) if row["name"] == PROBE_SECRET), None)


PROVED = (Phase.PROVING, Phase.PROVEN, Phase.ANSWERED)
"An authority that asks for proofs does so then."


async def own_thumbprints(session: AsyncSession, master_key: str) -> dict[str, str]:
    """By name, of the account's key, for orders that are being proved by HTTP-01 at an authority whose account has a key of its
    own. The older of two goes first. One that waits, as for a rate limit, keeps no other from being proved."""
    is_at = col(AcmeAccount.authority) == col(AcmeOrder.authority)
    query = select(AcmeOrder.names, AcmeAccount.thumbprint).join(AcmeAccount, is_at).order_by(col(AcmeOrder.id).desc())
    is_in_use = col(AcmeAccount.retired_at).is_(None), AcmeAccount.master_key == master_key
    is_proved = col(AcmeOrder.phase).in_(PROVED), AcmeOrder.challenge == "http-01"
    rows = (await session.exec(query.where(*is_in_use, *is_proved, col(AcmeOrder.ended_at).is_(None)))).all()
    return {name: thumbprint for names, thumbprint in rows for name in names}


async def restored(session: AsyncSession) -> RestoredBackup | None:
    row = await session.get(Installation, RESTORED)
    return RestoredBackup(**json.loads(row.value)) if row else None


async def note_restored(session: AsyncSession, backup: RestoredBackup) -> None:
    await session.merge(Installation(name=RESTORED, value=json.dumps(asdict(backup))))


async def forget_restored(session: AsyncSession) -> None:
    row = await session.get(Installation, RESTORED)
    if row is not None:
        await session.delete(row)
