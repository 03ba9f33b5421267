"""How long 1,000 requests take through the WAF agent's `POST /v1/replay`, and what visitors notice of it.

    make bench-replay          (or: .venv/bin/python -m bench.replay --requests 1000)

A real HAProxy and agent. A visitor sends one request after the other; first alone, then during a replay of ordinary requests, as
the page of a fix has it: each is evaluated under the policy's directives and under those with a rule exclusion. The replay's
client is a process of its own, as the panel is: in one interpreter with the visitor and the server, one would wait for the other.
"""

import argparse
import asyncio
import multiprocessing
import statistics
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Self

from guardpanel.engines.waf.replaying import RuleSetChoice, replay
from guardpanel.models.rules.rule_exclusion import RuleExclusionFields
from guardpanel.services.fixes.drafts import Draft, ground_of
from tests.haproxies import haproxy_binary
from tests.live.judging import a_form, a_request
from tests.live.origins import origin
from tests.live.stack import Stack
from tests.rows import FACTS, rows

POLICIES = {"Strict": {"enforcement_mode": "block"}}
RULES = rows(POLICIES, {})
EXCLUDED = {"rules": ["941100"], "target": "argument", "target_name": "text", "path": "/posts", "methods": ["POST"]}
EXCLUSION = Draft(rows=(("rule_exclusion", RuleExclusionFields.model_validate(EXCLUDED)),))


class Visitors:
    """Ask until told to end, and note how long each request took, in milliseconds."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.milliseconds: list[float] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def _ask(self) -> None:
        headers = {"user-agent": "Mozilla/5.0", "accept": "*/*"}
        while not self._ending.is_set():
            began = time.perf_counter()
            self.stack.get("shop.test", "/list?id=1&page=2", headers)
            self.milliseconds.append((time.perf_counter() - began) * 1_000)

    @property
    def summary(self) -> str:
        cuts = statistics.quantiles(self.milliseconds, n=100)
        return f"p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms of {len(self.milliseconds):,} requests"


def replayed(control: Path, count: int) -> float:
    """Seconds that it took."""
    requests = [a_request("GET", f"/list?id={number}") for number in range(count // 2)]
    requests += [a_form("/posts", {"text": "An <b>ordinary</b> text" * 4}) for _ in range(count - len(requests))]
    ground = ground_of(RULES, FACTS, 1, 0)
    choices = [RuleSetChoice(directives=ground.directives(draft)) for draft in (Draft(), EXCLUSION)]

    async def answered() -> int:
        return len([answer async for answer in replay(control, choices, requests)])

    began = time.perf_counter()
    assert asyncio.run(answered()) == count
    return time.perf_counter() - began


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--requests", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args(words)
    with origin() as server, ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as panel:
        hosts = {"shop.test": {"servers": [{"address": server.address}], "health_check": False, "policy": "Strict"}}
        with Stack(haproxy_binary("2.8"), rows(POLICIES, hosts)) as stack:
            replay_all = partial(panel.submit, replayed, stack.folder / "control.sock")
            replay_all(1).result()  # Whatever is needed once is there.
            for _ in range(arguments.rounds):
                print(f"replay without visitors: {replay_all(arguments.requests).result():.1f} s")
                with Visitors(stack) as alone:
                    time.sleep(5)
                print(f"visitors without replay: {alone.summary}")
                with Visitors(stack) as beside:
                    seconds = replay_all(arguments.requests).result()
                print(f"replay with visitors: {seconds:.1f} s; visitors: {beside.summary}", flush=True)


if __name__ == "__main__":
    main()
