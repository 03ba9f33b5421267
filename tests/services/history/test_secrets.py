"""An earlier state brings back no secret that was replaced since."""

from datetime import UTC, datetime
from typing import Any

import pytest

from guardpanel.models import NOUNS
from guardpanel.services.history.earlier_rows import stamped

STAMPS = {"version": 1, "updated_at": "2026-11-01 00:00:00.000000"}


def state(*logins: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = {table.name: [] for noun in NOUNS.values() for table in noun.tables}
    return {
        **rows,
        "sitelogin": [
            {"id": at, "virtual_host_id": 1, "notes": "", **STAMPS, **each} for at, each in enumerate(logins, 1)
        ],
    }


@pytest.mark.parametrize("notes", ["", "Ada of sales"])
def test_a_password_that_was_replaced_stays_replaced(notes: str) -> None:
    then, now = state({"name": "ada", "sealed": "leaked", "notes": notes}), state({"name": "ada", "sealed": "new"})

    rows, touched = stamped(now, then, 7, datetime.now(UTC))

    assert rows["sitelogin"][0]["sealed"] == "new"
    assert rows["sitelogin"][0]["notes"] == notes
    assert touched == ([("site_login", 1)] if notes else [])


def test_a_login_that_is_gone_or_has_another_name_comes_back_as_it_was() -> None:
    then = state({"name": "ada", "sealed": "ada's"}, {"name": "vera", "sealed": "vera's"})

    rows, _ = stamped(state({"name": "bob", "sealed": "bob's"}), then, 7, datetime.now(UTC))

    assert [row["sealed"] for row in rows["sitelogin"]] == ["ada's", "vera's"]
