"""What differs between two states of the configuration: by field, and in both engines' files."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from guardpanel.bundle import Bundle
from guardpanel.engines.releases import ReleaseDamaged
from guardpanel.models import Deployment
from guardpanel.models.revision import Outcome
from guardpanel.rendering import EngineFacts
from guardpanel.sealing import in_files
from guardpanel.services.history import history
from guardpanel.services.history.history import State
from guardpanel.services.history.text_differences import FileDifferences, between
from guardpanel.services.saving import differences, snapshots
from guardpanel.services.saving.changes import Changes
from guardpanel.services.saving.differences import Difference
from guardpanel.services.saving.snapshots import Snapshot

AGENT = "coraza.yaml"

MOST_NOUNS = 50
"Nouns whose fields are compared. A restore may change thousands."

KNOWN = 8
"Cached comparisons: past states do not change, and the same files are viewed in several ways."

Texts = Mapping[str, bytes]


@dataclass(frozen=True)
class Comparison:
    """`haproxy`: haproxy.cfg, then its maps and other files. `agent`: the agent's configuration."""

    nouns: list[Difference]
    "At most MOST_NOUNS."
    more: int
    "How many more differ."
    haproxy: FileDifferences
    agent: FileDifferences
    rendered_anew: bool
    "One side's files are not stored, and this version or these settings render others than it had."


async def of_change(
    changes: Changes, session: AsyncSession, change: Deployment, against: int | None = None
) -> Comparison | None:
    """What a change did, or how it differs from revision `against`. None if its result is no longer stored."""
    before = await history.at_revision(session, against) if against else None
    own = await history.after(session, change)
    predecessor = None if against else await history.predecessor(session, change)
    if predecessor is not None:
        before = await history.after(session, predecessor)
        own = own if before else None
    await session.commit()  # Comparing takes a while. Release the connection first.
    return await compare(changes, before, own) if own else None


async def of_restore(changes: Changes, session: AsyncSession, change: Deployment) -> Comparison | None:
    """What a restore of the state after a change would do. None if it never went live or is no longer stored."""
    target = await history.after(session, change) if change.outcome is Outcome.LIVE else None
    current = await history.now(session)
    await session.commit()
    return await compare(changes, current, target) if target else None


async def compare(changes: Changes, before: State | None, after: State) -> Comparison:
    """`before` None: everything was added. Uses the files that the engines got, if they are stored."""
    key = before, after, changes.renderer.facts
    if key in _known:
        return _known[key]
    old, new = await _files(changes, before), await _files(changes, after)
    compared = await asyncio.to_thread(_compared, before, after, old, new)
    if not compared.rendered_anew:  # This may end when a release is put back.
        _known[key] = compared
    while len(_known) > KNOWN:
        _known.popitem(last=False)
    return compared


async def compare_draft(changes: Changes, before: State, after: Snapshot, bundle: Bundle) -> Comparison:
    """With a state that is not stored yet."""
    old = await _files(changes, before)
    texts = await asyncio.to_thread(_texts, bundle.files, bundle.checksum, changes.renderer.facts.secret)
    packed = await asyncio.to_thread(snapshots.packed, after)
    return await asyncio.to_thread(_compared, before, State(packed, None, None), old, _Files(texts))


_known: OrderedDict[tuple[State | None, State, EngineFacts], Comparison] = OrderedDict()


@dataclass(frozen=True)
class _Files:
    texts: Texts
    anew: bool = False


async def _files(changes: Changes, state: State | None) -> _Files:
    if state is None:
        return _Files({})
    if state.revision is not None:
        try:
            files = await asyncio.to_thread(changes.engines.releases.files, state.revision)
            return _Files(await asyncio.to_thread(_texts, files, state.checksum or "", changes.renderer.facts.secret))
        except ReleaseDamaged:
            pass  # Not stored or modified: its checksum is known anyway.
    bundle = await changes.renderer.rendered(await asyncio.to_thread(snapshots.unpacked, state.rows))
    texts = await asyncio.to_thread(_texts, bundle.files, bundle.checksum, changes.renderer.facts.secret)
    return _Files(texts, anew=state.checksum not in {None, bundle.checksum})


def _texts(files: Mapping[str, bytes], checksum: str, secret: str) -> Texts:
    """Without the checksum, which is irrelevant, and the secret with what is made of it, which nobody may read. As bytes: one `…`
    makes a text of ten thousand lines twice as large."""
    texts = dict(files)
    for word in filter(None, [*in_files(secret), checksum, checksum[:12]]):
        texts = {name: text.replace(word.encode(), "…".encode()) for name, text in texts.items()}
    return texts


def _compared(before: State | None, after: State, old: _Files, new: _Files) -> Comparison:
    earlier = snapshots.unpacked(before.rows) if before else None
    then, now = snapshots.differing(earlier, snapshots.unpacked(after.rows))
    names = sorted({*old.texts, *new.texts} - {AGENT}, key=lambda name: (name != "haproxy.cfg", name))
    changes, total = differences.first_between(then, now, MOST_NOUNS)
    return Comparison(
        nouns=changes,
        more=total - len(changes),
        haproxy=between(old.texts, new.texts, names),
        agent=between(old.texts, new.texts, [AGENT]),
        rendered_anew=old.anew or new.anew,
    )
