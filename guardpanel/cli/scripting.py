"""Commands for scripts, by the running panel: what there is, bans, events, and whether all of it is live."""

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from guardpanel.cli.completing import names_of

if TYPE_CHECKING:
    from guardpanel.cli.calling import Caller

app = typer.Typer()
vhost = typer.Typer(help="Virtual hosts.", no_args_is_help=True)
policy = typer.Typer(help="Policies.", no_args_is_help=True)
ban = typer.Typer(help="Bans.", no_args_is_help=True)
events = typer.Typer(help="Events.", no_args_is_help=True)
app.add_typer(vhost, name="vhost")
app.add_typer(policy, name="policy")
app.add_typer(ban, name="ban")
app.add_typer(events, name="events")

As = Annotated[
    str, typer.Option("--as", metavar="EMAIL", help="The administrator whose call it is. Needed if there are several.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
VirtualHostName = Annotated[str, typer.Argument(help="Its name.", autocompletion=names_of("virtualhost"))]
PolicyName = Annotated[str, typer.Argument(help="Its name.", autocompletion=names_of("policy"))]
Banned = Annotated[str, typer.Argument(help="As it is listed.", autocompletion=names_of("ban"))]

PER_PAGE = 500
MOST_PAGES = 10
"Of events at once: of more, in a flood, the newest are printed."

BETWEEN_SECONDS = 2.0


@vhost.command("list")
def vhost_list(as_json: AsJson = False, email: As = "") -> None:
    """List virtual hosts: name, hostnames."""
    _list("/api/v1/vhosts", lambda row: [row["name"], " ".join(row["hostnames"])], as_json=as_json, email=email)


@vhost.command("export")
def vhost_export(name: VirtualHostName) -> None:
    """Print one virtual host as a file that `apply` takes."""
    _export("virtual_hosts", name)


@policy.command("list")
def policy_list(as_json: AsJson = False, email: As = "") -> None:
    """List policies: name, enforcement mode."""
    _list("/api/v1/policies", lambda row: [row["name"], row["enforcement_mode"]], as_json=as_json, email=email)


@policy.command("export")
def policy_export(name: PolicyName) -> None:
    """Print one policy as a file that `apply` takes."""
    _export("policies", name)


@ban.command("list")
def ban_list(as_json: AsJson = False, email: As = "") -> None:
    """List bans in effect: network, end, reason."""
    _list(
        "/api/v1/bans",
        lambda row: [row["network"], row["ends_at"] or "never", row["reason"]],
        as_json=as_json,
        email=email,
    )


@ban.command("add")
def ban_add(
    network: Annotated[str, typer.Argument(help="An IP address or a network.")],
    length: Annotated[str, typer.Option("--for", metavar="LENGTH", help="1h, 1d, 7d or forever.")] = "1h",
    reason: Annotated[str, typer.Option(help="For the people who read the list.")] = "",
    confirm: Annotated[bool, typer.Option("--confirm", help="Also if it contains a server, or this machine.")] = False,
    as_json: AsJson = False,
    email: As = "",
) -> None:
    """Ban an address or network, at once."""
    from guardpanel.cli.calling import Caller, calling, document

    async def add(caller: Caller) -> Any:
        body = json.dumps({"network": network, "length": length, "reason": reason}).encode()
        return document(await caller.call("POST", "/api/v1/bans", {"confirm": str(confirm).lower()}, body))

    made = calling(add, email)
    until = made["ends_at"] and f"{datetime.fromisoformat(made['ends_at']):%Y-%m-%d %H:%M:%S} UTC"
    ends = f" until {until}" if until else ", without an end"
    _print(made, f"Banned {made['network']}{ends}.", as_json=as_json)


@ban.command("remove")
def ban_remove(network: Banned, email: As = "") -> None:
    """Lift a ban."""
    from guardpanel.cli.calling import Caller, calling, document

    banned = _network(network)

    async def lift(caller: Caller) -> bool:
        bans = [ban for ban in await _all(caller, "/api/v1/bans", {"q": banned}) if ban["network"] == banned]
        for ban in bans:
            document(await caller.call("DELETE", f"/api/v1/bans/{ban['id']}"))
        return bool(bans)

    if not calling(lift, email):
        typer.echo(f"{network} is not banned.", err=True)
        raise typer.Exit(1)
    typer.echo(f"Lifted the ban of {network}.")


@events.command("tail")
def events_tail(
    number: Annotated[int, typer.Option("--number", "-n", min=1, max=PER_PAGE, help="How many of the newest.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with those that come.")] = False,
    as_json: AsJson = False,
    email: As = "",
) -> None:
    """Print the newest events, oldest first: time, verdict, client IP, request, rules."""
    import asyncio

    from guardpanel.cli.calling import Caller, calling

    def show(items: list[dict[str, Any]]) -> None:
        for event in reversed(items):
            _print(event, _line(event), as_json=as_json)

    async def tail(caller: Caller) -> None:
        newest = await _events(caller, 1, PER_PAGE if follow else number)
        show(newest[:number])
        known = [_id(event) for event in newest]
        while follow:
            await asyncio.sleep(BETWEEN_SECONDS)
            new = await _since(caller, set(known))
            show(list(new.values()))
            known = [*new, *known][: PER_PAGE * MOST_PAGES]

    calling(tail, email)


@app.command("wait-live")
def wait_live(
    timeout: Annotated[float, typer.Option(min=0, max=86_400, help="Seconds.")] = 60,
    email: As = "",
) -> None:
    """Wait until the panel runs and the live revision is verified. Exits with 1 if it is not in time."""
    from guardpanel.cli.calling import until_live
    from guardpanel.cli.running import run, settings_or_say

    problem = run(until_live(settings_or_say(), email, timeout))
    if problem:
        typer.echo(problem, err=True)
        raise typer.Exit(1)


def _list(target: str, columns: Any, *, as_json: bool, email: str) -> None:
    """All rows: a line for each, with tabs between columns."""
    from guardpanel.cli.calling import Caller, calling

    async def read(caller: Caller) -> list[Any]:
        return await _all(caller, target, {})

    rows = calling(read, email)
    if as_json:
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for row in rows:
        typer.echo("\t".join(columns(row)))


async def _all(caller: "Caller", target: str, query: dict[str, str]) -> list[Any]:
    page = await caller.read(target, query | {"per_page": str(PER_PAGE)})
    rows: list[Any] = page["items"]
    while page["next_cursor"]:
        page = await caller.read(target, query | {"per_page": str(PER_PAGE), "cursor": page["next_cursor"]})
        rows += page["items"]
    return rows


def _network(text: str) -> str:
    """As the panel writes it. Ends the command for what is none."""
    from guardpanel.access import parsing

    try:
        return parsing.network(text.strip())
    except ValueError as error:
        typer.echo(f"{str(error).rstrip('.')}.", err=True)
        raise typer.Exit(1) from error


def _export(section: str, name: str) -> None:
    from guardpanel.cli.site_file import exported
    from guardpanel.models import NOUNS
    from guardpanel.services.site_file.selecting import only

    text = only(exported(), section, name)
    if text is None:
        noun = next(noun for noun in NOUNS.values() if noun.module == section)
        typer.echo(f"{noun.word} {name} not found.", err=True)
        raise typer.Exit(1)
    typer.echo(text, nl=False)


async def _since(caller: "Caller", known: set[str]) -> dict[str, dict[str, Any]]:
    """Events by id, newest first. What comes meanwhile pushes others to the next page: these are taken once."""
    new: dict[str, dict[str, Any]] = {}
    for page in range(1, MOST_PAGES + 1):
        items = [event for event in await _events(caller, page, PER_PAGE) if _id(event) not in known]
        new |= {_id(event): event for event in items if _id(event) not in new}
        if len(items) < PER_PAGE:
            break
    return new


async def _events(caller: "Caller", page: int, count: int) -> list[dict[str, Any]]:
    query = {"page": str(page), "page_size": str(count), "kind": "all"}
    items: list[dict[str, Any]] = (await caller.read("/api/v1/logs", query))["items"]
    return items


def _id(event: dict[str, Any]) -> str:
    return str(event["producer_event_id"])


def _line(event: dict[str, Any]) -> str:
    request = f"{event['method']} {event['vhost']}{event['request_uri']}"
    rules = " ".join(map(str, event["rules"]))
    return "\t".join([event["event_at"], event["verdict"], event["source_ip"], request, rules])


def _print(document: Any, words: str, *, as_json: bool) -> None:
    typer.echo(json.dumps(document, ensure_ascii=False) if as_json else words)
