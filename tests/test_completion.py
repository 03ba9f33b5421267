"""Completion in a shell: the words that the command gives to the script which typer installs."""

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from guardpanel.cli import main
from guardpanel.database import Database
from guardpanel.models import Ban, Policy, VirtualHost
from guardpanel.settings import Settings
from tests.contracts.operations import DOCUMENT, ROOT


@pytest.fixture
async def database(data_dir: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GUARDPANEL_DATA_DIR", str(data_dir))
    now, database = datetime.now(UTC), Database(settings.database)
    rows = [
        Policy(name="Strict rules"), Policy(name="Strange"), VirtualHost(name="shop.example"),
        Ban(network="203.0.113.7"), Ban(network="203.0.113.8", ends_at=now + timedelta(hours=1)),
        Ban(network="203.0.113.9", ends_at=now - timedelta(hours=1)), Ban(network="203.0.113.10", lifted_at=now),
    ]  # fmt: skip
    async with database.write() as session:
        session.add_all(rows)
    await database.close()
    return data_dir / "guardpanel.db"


def words(typed: str, shell: str = "bash") -> list[str]:
    """What is offered for the last word, which may be empty."""
    asked_by = {
        "bash": {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))},
        "zsh": {"_TYPER_COMPLETE_ARGS": typed},
    }
    done = CliRunner().invoke(
        main, [], prog_name="guardpanel", env={"_GUARDPANEL_COMPLETE": f"complete_{shell}", **asked_by[shell]}
    )
    return [word for word in done.output.splitlines() if word]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("guardpanel pol", ["policy"]),
        ("guardpanel ban ", ["add", "list", "remove"]),
        ("guardpanel ban add --rea", ["--reason"]),
        ("guardpanel policy export Str", [r"Strange", r"Strict\ rules"]),
        ("guardpanel policy export Stri", [r"Strict\ rules"]),
        ("guardpanel vhost export ", ["shop.example"]),
        ("guardpanel ban remove 203", ["203.0.113.7", "203.0.113.8"]),
    ],
)
@pytest.mark.usefixtures("database")
async def test_verbs_and_names_are_completed(typed: str, offered: list[str]) -> None:
    assert sorted(words(typed)) == offered


@pytest.mark.anyio
@pytest.mark.usefixtures("database")
async def test_another_shell_gets_names_as_they_are() -> None:
    assert '"Strict rules"' in words("guardpanel policy export Stri", "zsh")[0]


@pytest.mark.anyio
async def test_nothing_is_offered_where_no_database_can_be_read(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("DROP TABLE policy")
    unreadable = words("guardpanel policy export ")
    monkeypatch.setenv("GUARDPANEL_DATA_DIR", "/nowhere")

    assert (unreadable, words("guardpanel policy export ")) == ([], [])


@pytest.mark.anyio
async def test_the_data_directory_may_have_any_name(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = shutil.copytree(database.parent, tmp_path / "panel #1")
    monkeypatch.setenv("GUARDPANEL_DATA_DIR", str(place))

    assert words("guardpanel vhost export ") == ["shop.example"]


def test_commands_call_no_deprecated_operation() -> None:
    deprecated = {
        path.split("{", maxsplit=1)[0]
        for path, operations in DOCUMENT["paths"].items()
        if any(operation.get("deprecated") for operation in operations.values())
    }
    text = "".join(file.read_text() for file in (ROOT / "guardpanel" / "cli").glob("*.py"))

    assert len(deprecated) >= 2
    assert [path for path in deprecated if path in text] == []
