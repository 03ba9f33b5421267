"""Account commands, for the machine that runs the panel."""

from typing import TYPE_CHECKING, Annotated

import typer

from guardpanel.cli.running import database_of, line_from_stdin, run_or_say, settings_or_say

if TYPE_CHECKING:
    from guardpanel.settings import Settings

app = typer.Typer()
user = typer.Typer(help="Accounts.", no_args_is_help=True)
app.add_typer(user, name="user")


@user.command("create")
def user_create(
    email: str,
    role: Annotated[str, typer.Option(help="admin or viewer")] = "viewer",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    name: Annotated[str, typer.Option(help="Full name.")] = "",
) -> None:
    """Create an account. The panel may be running."""
    from sqlalchemy.exc import OperationalError

    from guardpanel.models.user import AccountFields, Role, User
    from guardpanel.services.accounts.accounts import Accounts
    from guardpanel.services.input import validated

    if role not in set(Role):
        raise typer.BadParameter("admin or viewer", param_hint="--role")
    password = line_from_stdin() if password_stdin else typer.prompt("Password", hide_input=True)

    async def create(settings: "Settings") -> User:
        fields = validated(AccountFields, {"email": email, "full_name": name, "password": password})
        database = database_of(settings)
        try:
            await database.migrate()
            return await Accounts(database).create(fields, Role(role))
        finally:
            await database.close()

    try:
        made = run_or_say(create(settings_or_say()))
    except OperationalError as error:
        typer.echo(f"Cannot write to the database: {error.orig}. Try again.", err=True)
        raise typer.Exit(1) from error
    typer.echo(f"Created {made.email} ({made.role}).")
