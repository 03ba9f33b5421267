"""The configuration as a file: exported, planned and applied, by the running panel."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand
from typer.exceptions import TyperException

from guardpanel.cli.output import may_be_unread
from guardpanel.cli.running import existing_database_of, run_or_say, settings_or_say

if TYPE_CHECKING:
    from guardpanel.engines.http import Answer
    from guardpanel.settings import Settings

app = typer.Typer()

NOTHING, CHANGES, REFUSED = 0, 2, 1
"Exit codes of a plan."

ODD, LONGEST_NAME = re.compile(r"[^\w .@/+-]"), 100
"What the list of changes does not show of a file's name."

MOST_RULES = 5
"Of a request, that are printed."

File = Annotated[str, typer.Argument(help="A YAML file, or - for standard input.")]
Prune = Annotated[bool, typer.Option("--prune", help="Delete what the file does not name.")]
Anyway = Annotated[bool, typer.Option("--save-anyway", help="Accept what the warnings say.")]
As = Annotated[
    str,
    typer.Option("--as", metavar="EMAIL", help="The administrator whose change it is. Needed if there are several."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the panel’s response.")]


@app.command()
def export() -> None:
    """Print the configuration as YAML, without secrets. The panel may be running."""
    typer.echo(exported(), nl=False)


def exported() -> str:
    """From the database on this machine."""

    async def write(settings: "Settings") -> str:
        from guardpanel.services.site_file.exporting import export

        database = existing_database_of(settings)
        try:
            await database.migrate()
            async with database.read() as session:
                return await export(session)
        finally:
            await database.close()

    return run_or_say(write(settings_or_say()))


class Planning(TyperCommand):
    """To scripts, 2 says that something would change: a wrong option is a refusal."""

    def make_context(self, *args: Any, **more: Any) -> Any:
        try:
            return super().make_context(*args, **more)
        except TyperException as error:
            error.exit_code = REFUSED
            raise


@app.command(cls=Planning)
def plan(
    file: File,
    prune: Prune = False,
    save_anyway: Anyway = False,
    diff: Annotated[bool, typer.Option("--diff", help="Print what changes in the engines’ files.")] = False,
    replay: Annotated[
        bool, typer.Option("--replay", help="Print which recorded requests and events would get another WAF verdict.")
    ] = False,
    email: As = "",
    as_json: AsJson = False,
) -> None:
    """Show what applying a file would change. Exits with 0 if nothing, 2 if something, 1 if it is refused."""
    _must_have_settings()
    sent = Sent.of(file, prune=prune)
    answer = _answer("plan", sent, save_anyway=save_anyway, email=email, as_json=as_json, replay=replay)
    if not as_json:
        with may_be_unread():
            _print_changes(answer)
            typer.echo(answer["message"])
            _print_overwritten(answer)
            _print_replay(answer["replay"])
            if diff:
                typer.echo(answer["haproxy"] + answer["agent"], nl=False)
    raise typer.Exit(CHANGES if answer["changes"] else NOTHING)


@app.command()
def apply(
    file: File, prune: Prune = False, save_anyway: Anyway = False, email: As = "", as_json: AsJson = False
) -> None:
    """Make a file live: all of it as one change, or nothing."""
    sent = Sent.of(file, prune=prune)
    answer = _answer("apply", sent, save_anyway=save_anyway, email=email, as_json=as_json)
    if not as_json:
        _print_applied(answer)


@dataclass(frozen=True)
class Sent:
    """A site file, and what the list of changes calls it."""

    content: bytes
    name: str
    prune: bool = False

    @classmethod
    def of(cls, file: str, *, prune: bool) -> "Sent":
        return cls(read_file(file), "standard input" if file == "-" else file, prune)


def plan_content(sent: Sent, *, save_anyway: bool, email: str, quiet: bool) -> int:
    """The exit code. `quiet`: only refusals are printed."""
    answer = _answer("plan", sent, save_anyway=save_anyway, email=email, as_json=False)
    if not quiet:
        with may_be_unread():
            _print_changes(answer)
            typer.echo(answer["message"])
    return CHANGES if answer["changes"] else NOTHING


def apply_content(sent: Sent, *, save_anyway: bool, email: str, quiet: bool) -> None:
    answer = _answer("apply", sent, save_anyway=save_anyway, email=email, as_json=False)
    if not quiet:
        _print_applied(answer)


def _print_applied(answer: dict[str, Any]) -> None:
    deployment = answer["deployment"]
    with may_be_unread():
        _print_changes(answer)
        typer.echo(
            f"{deployment['message']}." if deployment else "Nothing changed: everything in the file is already live."
        )


def _print_overwritten(answer: dict[str, Any]) -> None:
    """`  2026-11-30 14:03 UTC ada@example.org: Strict: body limit 128 KiB → 256 KiB (revision 43)`"""
    if not answer["overwritten"]:
        return
    typer.echo("Changed since this file was last applied. Applying it overwrites:")
    for change in answer["overwritten"]:
        revision = f" (revision {change['revision']})" if change["revision"] else ""
        at = change["at"][:16].replace("T", " ")
        typer.echo(f"  {at} UTC {change['author']}: {change['summary']}{revision}")
    if more := answer["overwritten_total"] - len(answer["overwritten"]):
        typer.echo(f"  and {more:,} more")


def _print_replay(replay: dict[str, Any] | None) -> None:
    """`passed → blocked: GET shop.example/search?q=abc (942100)`"""
    if replay is None:
        return
    for new in replay["requests"]:
        rules = f" ({', '.join(map(str, new['rules'][:MOST_RULES]))})" if new["rules"] else ""
        typer.echo(f"  {new['before']} → {new['after']}: {new['method']} {new['host']}{new['uri']}{rules}")
    if more := replay["changed"] - len(replay["requests"]):
        typer.echo(f"  and {more:,} more")
    typer.echo(replay["message"])


def _answer(
    verb: str, sent: Sent, *, save_anyway: bool, email: str, as_json: bool, replay: bool = False
) -> dict[str, Any]:
    """The panel's response. A refusal is printed with the file's lines, and ends the command."""
    import json

    from guardpanel.cli.calling import Caller, calling

    query = {
        "name": ODD.sub("_", Path(sent.name).name)[:LONGEST_NAME],
        "prune": str(sent.prune).lower(),
        "save_anyway": str(save_anyway).lower(),
        **({"replay": "true"} if replay else {}),
    }

    async def send(caller: Caller) -> "Answer":
        target = f"/api/v1/configuration/{verb}"
        return await caller.call("POST", target, query, sent.content, "application/yaml")

    answer = calling(send, email)
    body: dict[str, Any] = json.loads(answer.body)
    if as_json:
        with may_be_unread():
            typer.echo(json.dumps(body, indent=2, ensure_ascii=False))
    if answer.status >= 400:
        if not as_json:
            _print_refusal(sent.name, body)
        raise typer.Exit(REFUSED)
    return body


def _must_have_settings() -> None:
    try:
        settings_or_say()
    except typer.Exit as ended:
        raise typer.Exit(REFUSED) from ended


def read_file(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        typer.echo(f"{file}: {error.strerror}.", err=True)
        raise typer.Exit(REFUSED) from error


def _print_changes(answer: dict[str, Any]) -> None:
    signs = {"added": "+", "changed": "~", "removed": "-"}
    for change in answer["changes"]:
        typer.echo(f"{signs[change['kind']]} {change['summary']}")


def _print_refusal(name: str, problem: dict[str, Any]) -> None:
    """`site.yaml:12: virtual_hosts.0.policy: Policy Strikt not found.`"""
    for error in problem["errors"]:
        where = str(error.get("where", ""))
        line = where.removeprefix("line ")
        place = f"{name}:{line}" if line.isdigit() else name
        is_row = ":" in error["field"] and not error.get("pointer")  # That the file does not name.
        field = where if is_row and where else error["field"]
        engine = f" {error['engine']}" if error.get("engine") else ""
        typer.echo(f"{place}: {field}: {error['message']}{engine}", err=True)
    if not problem["errors"]:
        typer.echo(problem["detail"], err=True)
        if problem.get("output"):
            typer.echo(problem["output"], err=True)
    if problem["code"] == "needs_confirmation":
        typer.echo("Nothing was saved. Use --save-anyway to accept this.", err=True)
