"""The same saves on two panels in turns: what busies the machine is then the same for both."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx2

from bench.save import REST, medians, milliseconds, reload, timed
from bench.stack import processor_seconds
from tests.panel import Panel

Change = Callable[[int], tuple[str, Mapping[str, object]]]
"A path of the API and what is sent there, by turn."


def in_turns(panels: dict[str, tuple[Panel, httpx2.Client]], change: Change, rounds: int) -> str:
    """The same change on each panel in turns, then HAProxy's own share by hand."""
    saves: dict[str, list[float]] = {name: [] for name in panels}
    steps: dict[str, dict[str, list[float]]] = {name: {} for name in panels}
    reloads: dict[str, list[float]] = {name: [] for name in panels}
    processor: dict[str, list[float]] = {name: [] for name in panels}
    for at in range(rounds + 1):
        for name, (panel, client) in panels.items():
            time.sleep(REST)
            began = processor_seconds([pid_of(panel)])
            seconds, answer = timed_answer(client, *change(at))
            busy = processor_seconds([pid_of(panel)]) - began
            time.sleep(REST)
            by_hand = timed(lambda panel=panel: reload(panel.data / "run" / "haproxy-master.sock"))  # type: ignore[misc]
            if at == 0:
                continue
            saves[name].append(seconds)
            processor[name].append(busy)
            reloads[name].append(by_hand)
            for step in answer["deployment"]["steps"]:
                steps[name].setdefault(step["name"], []).append(step["seconds"])
    plain, secure = panels
    ratio = statistics.median(b / a for a, b in zip(saves[plain], saves[secure], strict=True))
    rows = [
        f"| {name} | {milliseconds(saves[name])} | {1000 * statistics.median(processor[name]):.0f} | {medians(steps[name])} "
        f"| {milliseconds(reloads[name])} |"
        for name in panels
    ]
    return "\n".join([*rows, f"\nIn pairs, with certificates: {ratio:.2f} × without."])


def pid_of(panel: Panel) -> int:
    assert panel.process is not None
    return panel.process.pid


def timed_answer(client: httpx2.Client, path: str, body: Mapping[str, object]) -> tuple[float, dict[str, Any]]:
    began = time.perf_counter()
    answer = client.patch(path, json=body)
    seconds = time.perf_counter() - began
    assert answer.status_code == 200, answer.text
    assert answer.json()["deployment"]["status"] == "live", answer.text
    return seconds, answer.json()
