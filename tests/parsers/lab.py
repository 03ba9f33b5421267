"""The agent and the parsers, running side by side."""

import contextlib
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from tests.parsers.agent import Agent, Judged, agent
from tests.parsers.body import Body, Value
from tests.parsers.oracle import unseen
from tests.parsers.readers.lines import program
from tests.parsers.readers.php import php
from tests.parsers.report import Outcome

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools" / "parsers"
READERS = Path(__file__).parent / "readers"


class Reader(Protocol):
    """SaveRequest and answering apart, so that all are at work at once."""

    def ask(self, body: Body) -> None: ...

    def answer(self) -> list[Value]: ...


@contextlib.contextmanager
def lab() -> Iterator["Lab"]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gpp")))
        readers: list[Reader] = [
            stack.enter_context(program(installed("node"), str(READERS / "node" / "read.js"), str(TOOLS))),
            stack.enter_context(program(installed("go-reader"))),
            stack.enter_context(php(installed("php-cgi"), folder)),
            stack.enter_context(program(sys.executable, "-W", "ignore", "-m", "tests.parsers.readers.python")),
        ]
        yield Lab(stack.enter_context(agent(folder)), readers)


def installed(name: str) -> str:
    assert (TOOLS / name).exists(), f"{TOOLS / name} is missing: tools/install-dev.sh parsers"
    return str(TOOLS / name)


class Lab:
    def __init__(self, agent: Agent, readers: list[Reader]) -> None:
        self.agent, self.readers = agent, readers

    def judged(self, body: Body) -> tuple[Judged, list[Value]]:
        self.agent.ask(body)
        for reader in self.readers:
            reader.ask(body)
        handed = [value for reader in reversed(self.readers) for value in reader.answer()]
        return self.agent.answer(), handed

    def outcome(self, number: int, body: Body) -> Outcome:
        """A body is refused by the engine, or by the rule set for how it is written: its values are no attacks."""
        judged, handed = self.judged(body)
        missed = unseen(judged, handed)
        refused = bool(judged.refused_by) or (bool(missed) and self.agent.refuses(body))
        counted = tuple(Counter(value.reader for value in handed).items())
        return Outcome(number, body, refused, counted, () if refused else tuple(missed))

    def findings(self, body: Body) -> tuple[Value, ...]:
        return self.outcome(0, body).findings
