"""What every command needs: the settings, and a way to run async code and report its outcome."""

import sys
from collections.abc import Coroutine
from typing import TYPE_CHECKING, TypeVar

import typer

if TYPE_CHECKING:
    from guardpanel.database import Database
    from guardpanel.settings import Settings

T = TypeVar("T")


def run(coroutine: Coroutine[object, object, T]) -> T:
    import asyncio

    return asyncio.run(coroutine)


def run_or_say(coroutine: Coroutine[object, object, T]) -> T:
    """Return the result. A problem is printed with the engine's output, and ends the command."""
    from guardpanel.errors import ConfigRejected, Problem

    try:
        return run(coroutine)
    except Problem as problem:
        for line in [error.message for error in problem.errors.values()] or [problem.message]:
            typer.echo(line, err=True)
        if isinstance(problem, ConfigRejected):
            typer.echo(problem.output, err=True)
        raise typer.Exit(1) from problem


def line_from_stdin() -> str:
    return sys.stdin.readline().rstrip("\r\n")


def settings_or_say() -> "Settings":
    from pydantic import ValidationError

    from guardpanel.settings import Settings

    try:
        return Settings()
    except ValidationError as error:
        for detail in error.errors():
            name = f"GUARDPANEL_{str(detail['loc'][0]).upper()}: " if detail["loc"] else ""
            typer.echo(f"guardpanel: {name}{detail['msg'].removeprefix('Value error, ')}", err=True)
        raise typer.Exit(2) from error


def existing_database_of(settings: "Settings") -> "Database":
    """For commands that only read, or need what a panel wrote. Raises NotFound, and creates nothing."""
    must_exist(settings)
    return database_of(settings)


def must_exist(settings: "Settings") -> None:
    """Raises NotFound: a mistyped directory must not look like a new installation."""
    from pathlib import Path

    from sqlalchemy import make_url

    from guardpanel.errors import NotFound

    file = Path(make_url(settings.database).database or "")
    if not file.is_file():
        raise NotFound(f"There is no database at {file}. Set GUARDPANEL_DATA_DIR to what the panel was started with.")


def database_of(settings: "Settings") -> "Database":
    from guardpanel.database import Database

    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Database(settings.database)
