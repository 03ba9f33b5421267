"""A data directory that was moved or copied: the engines' files name places in the former one.

HAProxy and the agent don't start with them, or would use what is the copy's original. So they are put aside before an engine
starts, and the first save, which renders all files, goes live as on a new machine.
"""

import os
from contextlib import suppress
from pathlib import Path

from guardpanel.engines.files import write_atomically
from guardpanel.engines.processes.proc import listener_of
from guardpanel.errors import StorageFailed
from guardpanel.settings import Settings


def leave_former_place(settings: Settings) -> Path | None:
    """While no other panel runs here. Returns where the data directory was, if that is elsewhere. Raises StorageFailed (507)."""
    try:
        return _leave(settings)
    except OSError as error:
        raise StorageFailed(f"The data directory can’t be written: {error.strerror or error}.") from error


def _leave(settings: Settings) -> Path | None:
    """The new place is noted last: a crash repeats this."""
    note, place, former = settings.place_note, os.fsencode(settings.data_dir), b""
    with suppress(FileNotFoundError):
        former = note.read_bytes()
    if former == place:
        return None
    if former and listener_of(settings.master_socket) is None:
        (settings.data_dir / "current").unlink(missing_ok=True)
        settings.agent_configuration.unlink(missing_ok=True)
    note.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomically(note, place)
    return Path(os.fsdecode(former)) if former else None
