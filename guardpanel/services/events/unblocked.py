"""Requests that should have been blocked and were not: the rules that block do not work, whatever the configuration says."""

import sqlite3
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from guardpanel.events.crs import BLOCKING
from guardpanel.events.schema import id_of
from guardpanel.events.words import VERDICT_CODES, Verdict

MOST = 200
"Of the newest detected requests, those that are looked at."

QUESTION = (
    "SELECT request_id, application, score, rules FROM event WHERE verdict = ? AND id > ? ORDER BY id DESC LIMIT ?"
)


class Expectation(NamedTuple):
    """What an application does with a score."""

    policy_id: int
    threshold: int
    blocks: bool


class Unblocked(NamedTuple):
    request_id: str
    score: int
    expected: Expectation


def unblocked(connection: sqlite3.Connection, expected: Mapping[str, Expectation], since: datetime) -> Unblocked | None:
    """The newest one. `expected`: by application, whose name stands for its rules."""
    values = (VERDICT_CODES[Verdict.DETECTED], id_of(since), MOST)
    for request_id, application, score, rules in connection.execute(QUESTION, values):
        what = expected.get(application)
        if what and score >= what.threshold and (what.blocks or str(BLOCKING) not in rules.split()):
            return Unblocked(request_id, score, what)
    return None
