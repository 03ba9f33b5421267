"""What a CrowdSec streams, as what holds."""

import json
import re
from typing import Any

import pytest

from guardpanel.access import decisions, parsing
from guardpanel.access.decisions import Decisions, as_entries, begun, followed
from guardpanel.access.entries import Entry
from guardpanel.access.fetching import DownloadFailed
from tests.corpus import CORPUS

NOW = 1_800_000_000.0


def body(new: Any = None, deleted: Any = None) -> bytes:
    return json.dumps({"new": new, "deleted": deleted}).encode()


def a_ban(value: str, duration: str = "4h", **others: Any) -> dict[str, Any]:
    scope = "Range" if "/" in value else "Ip"
    return {
        "id": 1,
        "type": "ban",
        "scope": scope,
        "value": value,
        "duration": duration,
        "scenario": "ssh-bf",
        **others,
    }


def names(holds: Decisions) -> list[str]:
    return sorted(holds)


def test_all_that_holds_and_what_began_and_ended_since() -> None:
    holds = begun(body([a_ban("192.0.2.1"), a_ban("2001:DB8::/32"), a_ban("192.0.2.2", "2s")]), NOW)
    assert names(holds) == ["192.0.2.1", "192.0.2.2", "2001:db8::/32"]
    assert holds["192.0.2.1"] == Entry("192.0.2.1", int(NOW) + 4 * 3600, "ssh-bf")

    after = followed(holds, body([a_ban("192.0.2.3")], [a_ban("2001:db8::/32", "-1s")]), NOW + 3)
    assert names(after) == ["192.0.2.1", "192.0.2.3"]  # One has ended by itself.
    assert names(holds) == ["192.0.2.1", "192.0.2.2", "2001:db8::/32"]
    assert followed(after, body(), NOW + 3) == after
    assert names(begun(body([a_ban("192.0.2.9")]), NOW)) == ["192.0.2.9"]


def test_what_ended_and_began_holds_and_a_ban_that_is_sent_again_is_not_shortened() -> None:
    holds = begun(body([a_ban("192.0.2.1")]), NOW)
    again = followed(holds, body([a_ban("192.0.2.1", "1h")], [a_ban("192.0.2.1", "-1s")]), NOW)
    assert again["192.0.2.1"].end == int(NOW) + 3600
    assert followed(holds, body([a_ban("192.0.2.1", "1h")]), NOW) == holds
    longer = followed(holds, body([a_ban("192.0.2.1", "5h")]), NOW)
    assert longer["192.0.2.1"].end == int(NOW) + 5 * 3600


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [
        ("3h59m49.803481s", 14389), ("1.5h", 5400), ("167h59m", 604740), ("90000ms", 90), ("61s", 61), ("5m0.5s", 300),
        ("2562047h47m16.854775807s", decisions.LATEST - int(NOW)),
    ],
)  # fmt: skip
def test_durations_are_gos(duration: str, seconds: int) -> None:
    assert begun(body([a_ban("192.0.2.1", duration)]), NOW)["192.0.2.1"].end == int(NOW) + seconds


@pytest.mark.parametrize(
    "decision",
    [
        a_ban("192.0.2.1", type="captcha"), a_ban("DE", scope="Country"), a_ban("0.0.0.0/0"), a_ban("nobody"),
        a_ban("192.0.2.1", "-4h"), a_ban("192.0.2.1", "0s"), {}, None, 5, "192.0.2.1", ["x"],
    ],
)  # fmt: skip
def test_what_is_no_ban_of_addresses_is_left_out(decision: Any) -> None:
    assert names(begun(body([decision, a_ban("192.0.2.7", type="BAN", scope="ip")]), NOW)) == ["192.0.2.7"]
    assert names(followed({}, body([a_ban("192.0.2.7")], [decision]), NOW)) == ["192.0.2.7"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "not JSON"), (b"<html>", "not JSON"), (b"[" * 100_000, "not JSON"), (b"[]", "no decisions"), (b"{}", "no decisions"),
        (b'{"new": {}, "deleted": null}', "no decisions"), (b'{"new": "x"}', "no decisions"), (b'{"message": "x"}', "no decisions"),
        (body([a_ban("192.0.2.1", "soon")]), "duration"), (body([a_ban("192.0.2.1", "")]), "duration"),
    ],
)  # fmt: skip
def test_another_answer_is_refused(answer: bytes, words: str) -> None:
    with pytest.raises(DownloadFailed) as failed:
        begun(answer, NOW)
    assert words in failed.value.message


def test_hostile_scenarios_are_inert_text() -> None:
    for text in CORPUS:
        entries = as_entries(begun(body([a_ban("192.0.2.1", scenario=text), a_ban(text)]), NOW))
        assert entries.items[0].comment.isprintable()
        assert f"192.0.2.1 {int(NOW) + 4 * 3600}\n" in entries.map.decode()
        assert all(re.fullmatch(r"[0-9a-f.:/]+ \d+", line) for line in entries.map.decode().splitlines())


def test_more_than_a_list_may_have_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "MOST_ENTRIES", 1)
    with pytest.raises(DownloadFailed):
        as_entries(begun(body([a_ban("192.0.2.1"), a_ban("192.0.2.9")]), NOW))
