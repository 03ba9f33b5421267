"""A guardpanel without pages, with engines that do as they are told: for tests of what saves do to the rows."""

import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from guardpanel.database import Database
from guardpanel.models.policies.policy import PolicyFields
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.rendering import Rows
from guardpanel.sealing import Seal
from guardpanel.services import installation
from guardpanel.services.saving import snapshots
from guardpanel.services.saving.changes import Changes
from guardpanel.services.truth import startup
from guardpanel.settings import Settings
from tests.fakes import FakeEngines


@contextlib.asynccontextmanager
async def saving(template: Path, **abilities: Any) -> AsyncIterator[Changes]:
    """Brought up on a copy of the database `template`, with its first revision live. `abilities`: facts about the engines."""
    folder = Path(tempfile.mkdtemp(prefix="gp"))
    shutil.copy(template, folder / "guardpanel.db")
    settings = Settings(data_dir=folder, http_bind="127.0.0.1:8080")
    database = Database(settings.database)
    facts = replace(await installation.engine_facts(database, settings), **abilities)
    changes = Changes(
        database, FakeEngines(settings, facts.secret), facts, folder / "lock", Seal.at(settings.secret_key)
    )
    try:
        assert await startup.bring_up(changes) is None
        yield changes
    finally:
        await database.close()
        shutil.rmtree(folder)


async def rows(changes: Changes) -> Rows:
    """Everything that is configured, without the counters and clocks of its rows."""
    async with changes.database.read() as session:
        rows = snapshots.rows(await snapshots.take(session))
    counters = {"version", "created_at", "updated_at"}
    return {
        table: sorted(
            ({key: value for key, value in row.items() if key not in counters} for row in kept),
            key=lambda row: row["id"],
        )
        for table, kept in rows.items()
    }


def files(changes: Changes) -> dict[str, bytes]:
    """What the engines got last."""
    assert isinstance(changes.engines, FakeEngines) and changes.engines.running
    return dict(changes.engines.running.files)


def host_fields(*hostnames: str, **others: Any) -> VirtualHostFields:
    return VirtualHostFields.model_validate(
        {"hostnames": list(hostnames), "servers": [{"address": "127.0.0.1:3000"}], "policy_id": 1, **others}
    )


def policy_fields(name: str, **others: Any) -> PolicyFields:
    return PolicyFields.model_validate({"name": name, **others})
