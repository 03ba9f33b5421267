"""Virtual hosts by what people call them."""

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.models import Hostname, VirtualHost
from guardpanel.models.types import hostname


async def number_of(session: AsyncSession, text: str) -> int | None:
    """The virtual host with this name or hostname."""
    named = select(VirtualHost.id).where(func.lower(VirtualHost.name) == text.strip().lower())
    virtual_host_id = (await session.exec(named)).first()
    if virtual_host_id is None:
        hostname = select(Hostname.virtual_host_id).where(Hostname.name == _canonical(text))
        virtual_host_id = (await session.exec(hostname)).first()
    return virtual_host_id


async def name_of(session: AsyncSession, text: str) -> str:
    """The name of the virtual host that was given by number or one of its names. A message if there is none."""
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        return text
    names = await session.exec(select(VirtualHost.name).where(col(VirtualHost.id) == int(text)))
    return names.first() or f"deleted (ID {text})"


async def some_names(session: AsyncSession, limit: int) -> list[str]:
    """The first by name."""
    return list(
        (await session.exec(select(VirtualHost.name).order_by(func.lower(VirtualHost.name)).limit(limit))).all()
    )


def _canonical(text: str) -> str:
    """A hostname as it is stored. Anything else matches nothing."""
    try:
        return hostname(text)
    except ValueError:
        return text
