"""How long the pages of events take with a million of them: every filter, common and rare, through HTTP.

    make bench-event-pages     (or: .venv/bin/python -m bench.event_pages --events 1000000 --rounds 20)

Fills the file of events by the ingest's own code with a month of made-up attacks: 300 virtual hosts, few addresses that send
most, many that send one, 120 rules of which some fire on nearly everything. Then a real panel (`guardpanel up`) answers
each page in turns, over one connection, while its ingest runs. A page is over the target where its 95th percentile is.
"""

import argparse
import asyncio
import random
import re
import shutil
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from bench.save import HAPROXIES, percentile
from bench.scale import Measured, Times, fill
from guardpanel.events import schema
from guardpanel.ingest import agent_line, proxy_line
from guardpanel.ingest.store import Store
from tests.events import BY_SCORE, a_log_line, a_request_id_of, a_rule, an_event, as_line
from tests.panel import Panel, origin_server, running_panel

HOSTS, RULES, PATHS, CLIENTS = 300, 120, 20_000, 50_000
BATCH = 2_000
TARGET = 0.150
MONTH = timedelta(days=29)
SEVERITIES = ("critical", "critical", "critical", "error", "warning", "notice")
PROXY_VERDICTS = ("unknown_host", "over_limit", "unjudged")


def some(number: int, chance: random.Random) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Both lines of each request, oldest first."""
    began, rules = datetime.now(UTC) - MONTH, [_rule(at) for at in range(RULES)]
    scores = an_event()["scores"]
    for at in range(number):
        moment = began + MONTH * (at / number)
        fired = [rules[int(RULES * chance.random() ** 3)] for _ in range(chance.randint(1, 4))]
        blocked = chance.random() < 0.7
        scores = {**scores, "blocking_inbound_anomaly_score": 5 * len(fired)}
        event = an_event(
            time=moment.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            id=a_request_id_of(moment, chance.getrandbits(74)), client=_client(chance),
            method=chance.choices(("GET", "POST", "HEAD", "PUT", "PROPFIND"), (70, 25, 3, 2, 0.01))[0],
            host=f"h{int(HOSTS * chance.random() ** 2)}.scale.example", uri=_path(chance), rules=[*fired, BY_SCORE],
            verdict="blocked" if blocked else "detected", scores=scores,
        )  # fmt: skip
        yield event, _log_line(event, blocked, chance)


def _rule(at: int) -> dict[str, Any]:
    return a_rule(920_100 + 10 * at, message=f"Attack of kind {at}", severity=SEVERITIES[at % len(SEVERITIES)])


def _client(chance: random.Random) -> str:
    at = int(CLIENTS * chance.random() ** 4)
    return f"2001:db8::{at:x}" if at % 10 == 0 else f"{11 + at % 60}.{at // 7 % 250}.{at // 100 % 250}.{at % 250}"


def _path(chance: random.Random) -> str:
    at = int(PATHS * chance.random() ** 3)
    return f"/{('wp-content', 'api/v2', 'shop', 'admin')[at % 4]}/{at}/page.php?id={chance.getrandbits(40):x}%27+or+1=1"


def _log_line(event: dict[str, Any], blocked: bool, chance: random.Random) -> dict[str, Any]:
    host = int(event["host"][1:].partition(".")[0]) + 1
    odd = chance.choice(PROXY_VERDICTS) if chance.random() < 0.02 else ""
    return a_log_line(
        event, virtual_host=str(host), policy=str(host % 50 + 1), verdict=odd or ("blocked" if blocked else ""),
        status=403 if blocked else 200, checksum="",
    )  # fmt: skip


def fill_events(path: Path, number: int) -> None:
    chance, connection = random.Random(7), schema.open_to_write(path)
    connection.execute("PRAGMA synchronous=OFF")
    store, made, began = Store(connection), some(number, chance), time.perf_counter()
    while batch := list(islice(made, BATCH)):
        agent = [agent_line.read(as_line(event), "") for event, _ in batch]
        proxy = [read for _, line in batch if (read := proxy_line.read(as_line(line)))]
        connection.execute("BEGIN IMMEDIATE")
        store.add(agent, proxy)
        connection.execute("COMMIT")
    connection.close()
    print(
        f"{number:,} events in {time.perf_counter() - began:.0f} s, {path.stat().st_size / 2**20:,.0f} MiB", flush=True
    )


def known(path: Path) -> dict[str, str]:
    """Values that there are: the commonest and the rarest."""
    connection = sqlite3.connect(path)

    def value(question: str) -> str:
        return str(connection.execute(question).fetchone()[0])

    by_client = "SELECT text FROM event JOIN client ON client.id = event.client GROUP BY client.id ORDER BY count(*)"
    values = {
        "id": value("SELECT request_id FROM event ORDER BY id LIMIT 1 OFFSET 1000"),
        "busy": value(f"{by_client} DESC LIMIT 1"),
        "rare": value(f"{by_client} LIMIT 1"),
        "middle": value("SELECT id FROM event ORDER BY id LIMIT 1 OFFSET (SELECT count(*) / 2 FROM event)"),
        "day": datetime.now(UTC).date().isoformat(),
    }
    connection.close()
    return values


def pages(at: dict[str, str]) -> list[str]:
    lists = [
        "", "time=1h", "time=7d", "time=30d", "time=all", "verdict=blocked", "verdict=detected", "verdict=unknown_host",
        "verdict=agent_error", "virtual_host=1", "virtual_host=300", "policy=1", "rule=920100", "rule=921290", "rule=1",
        "severity=critical", "severity=notice", f"client={at['busy']}", f"client={at['rare']}", "client=11.0.0.0/8",
        "client=11.5.0.0/16", "client=203.0.113.0/24", "client=2001:db8::/32", "path=/wp-content", "path=/wp-content/0/",
        "path=/api/v2/19997", "path=page.php", "path=nothing", "method=GET", "method=PROPFIND", "method=NONE", "min_score=5",
        "min_score=20", "min_score=99", f"q={at['id']}", "q=920100", "q=scale", "q=h299.scale", "q=nothing", f"q={at['busy']}",
        "verdict=detected&severity=notice&method=POST", "verdict=detected&virtual_host=2&rule=920110&client=11.0.0.0/8",
        "rule=921290&virtual_host=290", "rule=920100&path=nothing", "path=page.php&min_score=20&verdict=unknown_host",
        f"cursor=before-{at['middle']}", f"cursor=after-{at['middle']}",
        f"cursor=before-{at['middle']}&rule=920100&verdict=detected",
        f"since={at['day']}&verdict=blocked",
    ]  # fmt: skip
    anytime = [query if query.startswith(("time", "since")) or not query else f"{query}&time=all" for query in lists]
    return [
        *(f"/events?{query}" if query else "/events" for query in anytime),
        "/event-groups", "/event-groups?time=all", "/event-groups?time=all&virtual_host=1", "/event-groups?time=all&rule=920100",
        f"/events/{at['id']}", f"/search?q={at['id']}", "/api/v1/logs", "/api/v1/logs?page_size=500", "/api/v1/logs?page=100",
        "/api/v1/logs?page_size=1&action=deny", "/api/v1/logs?page_size=1&severity=critical",
        "/api/v1/logs?vhost=h3.scale.example&action=monitor",
    ]  # fmt: skip


def measure(panel: Panel, rounds: int) -> None:
    measured, wanted = Measured(panel), pages(known(panel.data / "events.db"))
    for _ in range(rounds):
        for path in wanted:
            measured.timed(path, lambda path=path: measured.browser.get(path))  # type: ignore[misc]
    print_table(measured.times)


def print_table(times: Times) -> None:
    times.wall["all"] = [seconds for taken in times.wall.values() for seconds in taken]
    times.cpu["all"] = [seconds for taken in times.cpu.values() for seconds in taken]
    print("\n| page | ms, p50 / p95 | of the panel's processor, p50 |\n|---|---|---|")
    for path in times.wall:
        print(re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "{request id}", times.row(path)))
    over = sum(percentile(taken, 0.95) > TARGET for path, taken in times.wall.items() if path != "all")
    print(f"\n{over} of {len(times.wall) - 1} pages over {1000 * TARGET:.0f} ms")


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--events", type=int, default=1_000_000)
    arguments.add_argument("--file", type=Path, help="a file of events that was filled before")
    arguments.add_argument("--rounds", type=int, default=20)
    arguments.add_argument("--haproxy", default=HAPROXIES[-1])
    given = arguments.parse_args()
    with origin_server() as port, running_panel(given.haproxy) as panel:
        panel.stop()
        panel.environment["GUARDPANEL_EVENT_MIB"] = "100000"
        asyncio.run(fill(f"sqlite+aiosqlite:///{panel.data / 'guardpanel.db'}", HOSTS, port))
        (panel.data / "events.db").unlink(missing_ok=True)
        if given.file:
            shutil.copy(given.file, panel.data / "events.db")
        else:
            fill_events(panel.data / "events.db", given.events)
        panel.start()
        measure(panel, given.rounds)


if __name__ == "__main__":
    main()
