"""What travels through `changes.py`: who asks for a save, what it is, how far it is, and what came of it."""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from guardpanel.bundle import Bundle
from guardpanel.engines.releases import Release
from guardpanel.errors import Step
from guardpanel.models import Revision
from guardpanel.services.saving.snapshots import Snapshot

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class SaveRequest:
    """Who asks for a save, and what they sent along."""

    who: str
    key: str = ""
    "Made by the form: the same key twice is one save, and its progress can be asked for."
    content: str = ""
    "A digest of all else that was sent: a key that comes back with something else is another save."
    over_drift: bool = False
    "They know that somebody changed what runs by hand, and that this save overwrites it."


@dataclass
class Change:
    """Who changes what, in words. `noun_id` may become known while the change is made."""

    request: SaveRequest
    summary: str
    noun: str = ""
    noun_id: int | None = None
    touched: list[str] = field(default_factory=list)
    "All that a restore touched, as `virtual_host:17`."
    within: str = ""
    "The row within which it is, as `policy:3`: its own changes are those of what is in it, too."
    quiet: bool = False
    "Nobody asked for it: it waits for engines that are starting, and leaves no trace where nothing changes for them."
    again: bool = False
    "Deploy even if the configuration is the live one: what runs is not."
    of_backup: bool = False
    """A restored backup. It replaces accounts and the installation's facts, so its roll-back puts those back, too; and it
    is a revision of its own even where it equals the live one, which may be another machine's."""
    attempted: bytes | None = None
    "The rows that a refused change would have made, packed."

    @property
    def is_restore(self) -> bool:
        """Rows of an earlier time, or of another machine: there is no form whose fields could be named."""
        return self.of_backup or bool(self.touched)


@dataclass(frozen=True)
class SaveResult(Generic[T_co]):
    """A save that went through: what it made, and what is live now."""

    value: T_co
    revision: int
    seconds: float
    is_new: bool
    "False: the engines' configuration is the same as before, and nothing was reloaded."
    steps: tuple[Step, ...] = ()
    change_id: int = 0
    "Of the attempt, among the changes."

    @property
    def sentence(self) -> str:
        if self.is_new:
            return f"Live in {self.seconds:.1f} s as revision {self.revision}"
        return f"Saved. No configuration change; revision {self.revision} is still live"


@dataclass(frozen=True)
class UnchangedSave:
    """A change that is committed; the live revision has the same bytes."""

    deployment_id: int
    revision: int


@dataclass(frozen=True)
class PreparedSave:
    """A change that is committed and waits to be deployed. `previous` is what was live before it."""

    deployment_id: int
    revision: int
    release: Release
    bundle: Bundle
    before: Snapshot
    previous: Revision | None
    changed: frozenset[str] = frozenset()
    again: bool = False
