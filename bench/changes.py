"""How long the pages of changes take, with many virtual hosts: wall clock and processor time of each, median and worst.

    make bench-changes         (or: .venv/bin/python -m bench.changes --hosts 1000 5000 --rounds 20)

The app runs in this process on a database of its own, with engines that do as they are told: what is measured is the
panel. Revision 2 brings all virtual hosts at once, revision 3 edits one of them.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx2

from guardpanel.app import create_app
from guardpanel.database import Database
from guardpanel.models import Hostname, Server, VirtualHost
from guardpanel.models.user import AccountFields, Role
from guardpanel.panel import Panel
from guardpanel.services.accounts.accounts import Accounts
from guardpanel.settings import Settings
from tests.conftest import ADA, PASSWORD, log_in, running, someone
from tests.factories import a_policy, a_virtual_host
from tests.fakes import FAKES, cheap_passwords
from tests.ports import free_port

PAGES = {
    "/changes": "the list",
    "/changes/3": "a change of one virtual host",
    "/changes/2": "a change of all of them",
    "/changes/2?layout=two": "the same side by side",
    "/changes/1/restore": "a restore that removes them all",
}


async def with_account(settings: Settings) -> None:
    database = Database(settings.database)
    await database.migrate()
    fields = AccountFields(email=ADA, full_name="Ada Lovelace", password=PASSWORD)
    await Accounts(database, cheap_passwords()).create(fields, Role.ADMIN)
    await database.close()


def a_row(n: int) -> VirtualHost:
    names = [Hostname(name=f"{prefix}h{n}.example", position=at) for at, prefix in enumerate(("", "www."))]
    servers = [Server(address=f"10.{at}.{n // 250}.{n % 250}:80", position=at) for at in range(2)]
    return VirtualHost(name=f"h{n}.example", policy_id=1, hostnames=names, servers=servers)


async def fill(panel: Panel, ada: httpx2.AsyncClient, hosts: int) -> None:
    async with panel.database.write() as session:
        session.add_all([a_row(n) for n in range(hosts)])
    panel.changes.preparing.forget()  # they came past it
    for path, form in (
        ("/policies/1", a_policy("Default", over_drift="on")),
        ("/virtual-hosts/7", a_virtual_host("h6.example", balance="first", over_drift="on")),
    ):
        answer = await ada.post(path, data=form)
        assert answer.status_code == 303, answer.text


async def measured(get: Callable[[], Awaitable[httpx2.Response]], rounds: int) -> str:
    walls, processors = [], []
    for _ in range(rounds):
        wall, processor = time.perf_counter(), time.process_time()
        answer = await get()
        walls.append(1000 * (time.perf_counter() - wall))
        processors.append(1000 * (time.process_time() - processor))
        assert answer.status_code == 200, answer.text
    return f"{statistics.median(walls):.0f} / {max(walls):.0f} | {statistics.median(processors):.0f} / {max(processors):.0f}"


async def size(hosts: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="gp") as folder:
        settings = Settings(data_dir=Path(folder), listen=f"127.0.0.1:{free_port()}", http_bind="127.0.0.1:8080")
        await with_account(settings)
        async with running(create_app(settings, parts=FAKES)) as app, someone(app, timeout=120) as ada:
            await log_in(ada, ADA)
            await fill(app.state.panel, ada, hosts)
            for path, words in PAGES.items():
                print(
                    f"| {hosts:,} | {words} | {await measured(lambda path=path: ada.get(path), rounds)} |", flush=True
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, nargs="+", default=[1000, 5000])
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    print("| virtual hosts | page | wall ms, median / worst | processor ms, median / worst |\n|---|---|---|---|")
    for hosts in arguments.hosts:
        asyncio.run(size(hosts, arguments.rounds))


if __name__ == "__main__":
    main()
