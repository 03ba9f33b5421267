"""What passes through `changes.py`: the request, the change, and its outcome."""

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from guardpanel.bundle import Bundle
from guardpanel.engines.releases import Release
from guardpanel.errors import Step
from guardpanel.models import Revision
from guardpanel.rendering import EngineFacts
from guardpanel.services.saving.snapshots import Snapshot

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class ReadRow:
    """A row as it was read for a change, and the database's version before that (`Database.version`)."""

    row: Any
    version: int

    def at(self, version: int) -> Any:
        """None if something was written since."""
        return self.row if version == self.version else None


@dataclass(frozen=True)
class SaveRequest:
    """Who saves, and the options of the save."""

    who: str
    key: str = ""
    "Created by the form: a repeated key is the same save, and its progress can be queried."
    content: str = ""
    "A digest of everything else that was sent: the same key with other content is another save."
    over_drift: bool = False
    "The operator confirmed that this save overwrites what was changed outside guardpanel."
    confirmed: bool = False
    "The operator confirmed the warning about what this deletes, undoes or restores. Fields have a `save_anyway` of their own."
    idempotent: int | None = None
    "The number of the request's idempotency key."
    client: str = ""
    "The operator's address, which should not be locked out."
    read: ReadRow | None = None
    "The row that is changed. It is not read again if nothing was written since."


@dataclass
class Change:
    """Who changes what, with a summary. `noun_id` may only become known during the change."""

    request: SaveRequest
    summary: str
    noun: str = ""
    noun_id: int | None = None
    touched: list[str] = field(default_factory=list)
    "All rows that a restore changed, as `virtual_host:17`."
    added: list[str] = field(default_factory=list)
    "Rows that it adds beside the one that it is about, as `rule_exclusion:17`: their history includes it."
    within: str = ""
    "The parent row, as `policy:3`: its history includes the changes of its children."
    applied_file: str = ""
    "The name of the site file that it applies."
    quiet: bool = False
    "Nobody requested it: it waits for engines that are starting, and is not recorded if nothing changes for them."
    again: bool = False
    "Deploy even if the configuration equals the live one, since something else runs."
    overwrites: bool = False
    "Something else runs, and the operator confirmed that it is overwritten: a swap would leave what it does not touch."
    of_backup: bool = False
    """A restored backup. It replaces accounts and the installation's facts, so its rollback restores those, too. It always gets
    its own revision, since the live one may be another machine's."""
    attempted: bytes | None = None
    "The rows that a rejected change would have produced, packed."

    @property
    def reloads(self) -> bool:
        """Whether HAProxy is reloaded in any case."""
        return self.again or self.overwrites

    @property
    def is_restore(self) -> bool:
        """Rows from an earlier time or another machine: there is no form whose fields could be named."""
        return self.of_backup or bool(self.touched)


@dataclass(frozen=True)
class SaveResult(Generic[T_co]):
    """A successful save: its value, and what is live now."""

    value: T_co
    revision: int
    seconds: float
    is_new: bool
    "False: the engines' configuration is unchanged, and nothing was reloaded."
    steps: tuple[Step, ...] = ()
    change_id: int = 0
    "The attempt's id among the changes."

    @property
    def was_swapped(self) -> bool:
        """HAProxy got new certificates without a reload."""
        return {"swap", "reload"} & {step.name for step in self.steps} == {"swap"}

    @property
    def sentence(self) -> str:
        if self.is_new:
            way = ", swapped without a reload" if self.was_swapped else ""
            return f"Live in {self.seconds:.1f} s as revision {self.revision}{way}"
        return f"Saved. No configuration change; revision {self.revision} is still live"


@dataclass(frozen=True)
class UnchangedSave:
    """A committed change. The live revision has the same bytes."""

    deployment_id: int
    revision: int


@dataclass(frozen=True)
class PreparedSave:
    """A committed change that waits to be deployed. `previous` is what was live before it."""

    deployment_id: int
    revision: int
    release: Release
    bundle: Bundle
    before: Snapshot
    previous: Revision | None
    changed: frozenset[str] = frozenset()
    again: bool = False
    facts_before: EngineFacts | None = None
    "With the certificates of what was live before it."
