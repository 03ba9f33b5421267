"""Clients that read and write over JSON at once, each write with If-Match: no update is lost, and nothing is locked.

    python -m tests.load.writers --saves 5000        (or: --minutes 5)

A real panel. Each client takes one of a few rows, reads it, adds one to the number in its text, and writes it under the ETag
that it read; every tenth write changes what the engines run, too. A late one gets 412 and begins again. Others only read. At the
end each row counts exactly the writes that were accepted.
"""

import argparse
import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx2

from tests.panel import Panel, running_panel
from tests.web import EMAIL, PASSWORD, an_account

CLIENTS, READERS = 16, 4
"READERS of the CLIENTS do not write."

HOSTS, POLICIES = 4, 2
"Few, so that they meet."

EXPECTED = {"GET": {200}, "PATCH": {200, 412}}


@dataclass
class Result:
    """Of a run. `written`: accepted writes by row, `counted`: as the rows say."""

    statuses: Counter[str] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)
    written: Counter[str] = field(default_factory=Counter)
    counted: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def saves(self) -> int:
        return self.written.total()

    @property
    def lost(self) -> dict[str, tuple[int, int]]:
        """Accepted writes and what the row says, where they differ."""
        pairs = {row: (self.written[row], count) for row, count in self.counted.items()}
        return {row: pair for row, pair in pairs.items() if pair[0] != pair[1]}

    def __str__(self) -> str:
        statuses = ", ".join(f"{count:,} × {name}" for name, count in sorted(self.statuses.items()))
        return f"{self.saves:,} saves in {self.seconds:.0f} s, {len(self.lost)} rows with lost updates, {statuses}"


class Clients:
    def __init__(self, api: httpx2.AsyncClient, saves: int, seconds: float) -> None:
        self.result = Result()
        self._api, self._saves, self._ends = api, saves, time.monotonic() + seconds

    @property
    def _goes_on(self) -> bool:
        return self.result.saves < self._saves and time.monotonic() < self._ends and not self.result.unexpected

    async def run(self, rows: list[str], seed: int) -> Result:
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                work = self._read if number < READERS else self._write
                group.create_task(work(rows, random.Random(f"{seed} {number}")))
        for row in rows:
            self.result.counted[row] = int((await self._send("GET", row)).json()["description"])
        self.result.seconds = time.monotonic() - began
        return self.result

    async def _read(self, rows: list[str], chance: random.Random) -> None:
        while self._goes_on:
            await self._send("GET", chance.choice([*rows, "/vhosts", "/policies", "/changes"]))

    async def _write(self, rows: list[str], chance: random.Random) -> None:
        while self._goes_on:
            row = chance.choice(rows)
            current = await self._send("GET", row)
            if current.status_code != 200:
                return
            sent: dict[str, Any] = {"description": str(int(current.json()["description"]) + 1)}
            if chance.random() < 0.1:
                field, most = ("retries", 3) if "vhosts" in row else ("inbound_anomaly_threshold", 20)
                sent[field] = chance.randint(1, most)
            answer = await self._send("PATCH", row, json=sent, headers={"if-match": current.headers["etag"]})
            self.result.written[row] += answer.status_code == 200

    async def _send(self, method: str, path: str, **more: Any) -> httpx2.Response:
        answer = await self._api.request(method, path, **more)
        self.result.statuses[f"{method} {answer.status_code}"] += 1
        if answer.status_code not in EXPECTED[method]:
            self.result.unexpected.append(f"{method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer


def run(panel: Panel, saves: int, seed: int, seconds: float = float("inf")) -> Result:
    """Until so many writes were accepted, or so long."""
    return asyncio.run(_run(panel, saves, seed, seconds))


async def _run(panel: Panel, saves: int, seed: int, seconds: float) -> Result:
    async with httpx2.AsyncClient(base_url=f"{panel.url}/api/v1", timeout=120) as api:
        answer = await api.post("/auth/login", json={"email": EMAIL, "password": PASSWORD})
        api.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        rows = [await _added(api, "/policies", {"name": f"Written {number}"}) for number in range(POLICIES)]
        for number in range(HOSTS):
            host = {"hostnames": [f"written-{number}.example"], "servers": [{"address": "127.0.0.1:9"}]}
            rows.append(await _added(api, "/vhosts", host))
        return await Clients(api, saves, seconds).run(rows, seed)


async def _added(api: httpx2.AsyncClient, path: str, body: dict[str, Any]) -> str:
    answer = await api.post(path, json={**body, "description": "0"})
    assert answer.status_code == 201, answer.text
    return f"{path}/{answer.json()['id']}"


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--saves", type=int, default=10**9)
    arguments.add_argument("--minutes", type=float, default=5)
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    given = arguments.parse_args()
    print(f"seed {given.seed}", flush=True)
    with running_panel() as panel:
        an_account(panel)
        result = run(panel, given.saves, given.seed, given.minutes * 60)
        log = panel.output.read_text(errors="replace")
    print(result)
    complaints = [*result.unexpected, *map(str, result.lost.items())]
    complaints += ["the log says: database is locked"] if "database is locked" in log else []
    raise SystemExit("\n".join(complaints) or 0)


if __name__ == "__main__":
    main()
