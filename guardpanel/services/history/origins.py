"""Who gave a row what it has, and when: the change since which each stored state of it has that."""

import asyncio
from collections.abc import Awaitable, Callable

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.models import NOUNS, Deployment
from guardpanel.models.noun import Key
from guardpanel.models.revision import Outcome
from guardpanel.rendering.rows import Row
from guardpanel.services.history import history
from guardpanel.services.saving import revisions, snapshots
from guardpanel.services.saving.parsed_rows import row_of

MOST = 50
"Changes of a row to look back. Each state is unpacked, which takes 10 ms with a thousand virtual hosts."

Holds = Callable[[Row], Awaitable[bool]]


async def origin(session: AsyncSession, key: Key, holds: Holds) -> Deployment | None:
    """None: it is further back than what is stored, or than MOST changes of this row."""
    listed = await revisions.page(session, noun=key[0], noun_id=key[1], outcome=Outcome.LIVE, limit=MOST)
    first: Deployment | None = None
    for light in listed.items:
        change = await revisions.find(session, light.id or 0)
        state = await _holds_after(session, change, key, holds)
        if not state:
            return first if state is False else None
        first = change
    before = await history.predecessor(session, first) if first else None
    return None if before and await _holds_after(session, before, key, holds) is not False else first


async def _holds_after(session: AsyncSession, change: Deployment, key: Key, holds: Holds) -> bool | None:
    """None: its state is not stored."""
    state = await history.after(session, change)
    if state is None:
        return None
    row = await asyncio.to_thread(_row, state.rows, key)
    return row is not None and await holds(row)


def _row(packed: bytes, key: Key) -> Row | None:
    table = NOUNS[key[0]].table_name
    row = row_of(snapshots.unpacked(packed), table, key[1])
    return None if row is None else {**snapshots.DEFAULTS[table], **row}
