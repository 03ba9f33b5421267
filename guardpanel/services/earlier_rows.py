"""Rows of now and of an earlier time put together. Pure: rows in, rows out, or a Conflict that names what does not fit."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import Any

from guardpanel.errors import Conflict, NotFound
from guardpanel.models import NOUNS
from guardpanel.models.noun import Key
from guardpanel.models.policy import KIB
from guardpanel.models.types import is_ourselves, shown
from guardpanel.rendering import EngineFacts, Rows
from guardpanel.services import differences

Row = Mapping[str, Any]


def with_one(now: Rows, then: Rows, noun: str, noun_id: int) -> Rows:
    """The rows as they are, but this one of a noun as it was then; gone, if it was not there then."""
    table = NOUNS[noun].table_name if noun in NOUNS else ""
    if not any(row["id"] == noun_id for rows in (now, then) for row in rows.get(table, ())):
        raise NotFound("There is no such thing to restore.")
    parts = {part.table_name: part.owner for part in NOUNS[noun].parts if part.table}
    mixed = {name: list(rows) for name, rows in now.items()}
    for name, column in {table: "id", **parts}.items():
        mixed[name] = [row for row in mixed[name] if row[column] != noun_id]
        mixed[name] += [row for row in then[name] if row[column] == noun_id]
    return {name: _own_ids(rows) if name in parts else rows for name, rows in mixed.items()}


def _own_ids(rows: Sequence[Row]) -> list[Row]:
    """Ids of parts mean nothing: one that was given to another row since gets a new one."""
    taken: set[int] = set()
    free = count(max((row["id"] for row in rows), default=0) + 1)
    found: list[Row] = []
    for row in rows:
        own = row["id"] if row["id"] not in taken else next(free)
        taken.add(own)
        found.append({**row, "id": own})
    return found


def must_fit(rows: Rows, touched: Sequence[Key], then: Rows, facts: EngineFacts) -> None:
    """Conflict (409) where something from then, `touched` among the rows, does not fit what is there now."""
    _policies_are_there(rows, then)
    _hostnames_have_one_owner(rows)
    _policies_have_own_names(rows)
    _no_server_is_haproxy(rows, touched, facts)
    _bodies_can_be_inspected(rows, touched, facts)


def _policies_are_there(rows: Rows, then: Rows) -> None:
    there = {row["id"] for row in rows["policy"]}
    lost = [row for row in rows["virtualhost"] if row["policy_id"] is not None and row["policy_id"] not in there]
    if not lost:
        return
    names = {row["id"]: row["name"] for row in then["policy"]}
    policy = names.get(lost[0]["policy_id"])
    if policy is None:  # it came later: what is restored is a time before it, for the policy alone
        raise Conflict(f"{some(lost)} would be without a policy. Give {_it(lost)} another one first.")
    raise Conflict(f"Policy {policy}, which {some(lost)} had, is deleted. Restore the policy first.")


def _hostnames_have_one_owner(rows: Rows) -> None:
    names = {row["id"]: row["name"] for row in rows["virtualhost"]}
    owners: dict[str, int] = {}
    for row in rows["hostname"]:
        owner = owners.setdefault(row["name"], row["virtual_host_id"])
        if owner != row["virtual_host_id"]:
            raise Conflict(
                f"{shown(row['name'])} belongs to {names[owner]} now. Take it away there first, or restore everything."
            )


def _policies_have_own_names(rows: Rows) -> None:
    owners: dict[str, Row] = {}
    for row in rows["policy"]:
        owner = owners.setdefault(row["name"].lower(), row)
        if owner is not row:
            raise Conflict(f"There is another policy {owner['name']} now. Give that another name first.")


def _no_server_is_haproxy(rows: Rows, touched: Sequence[Key], facts: EngineFacts) -> None:
    """HAProxy may listen elsewhere than it did then."""
    edited = set(touched)
    hosts = {row["id"]: row["name"] for row in rows["virtualhost"] if ("virtual_host", row["id"]) in edited}
    for row in rows["server"]:
        if row["virtual_host_id"] in hosts and is_ourselves(row["address"], facts.http_binds):
            raise Conflict(
                f"{row['address']} was a server of {hosts[row['virtual_host_id']]}; now HAProxy itself listens there, "
                "and requests would go round in circles."
            )


def _bodies_can_be_inspected(rows: Rows, touched: Sequence[Key], facts: EngineFacts) -> None:
    """The WAF agent may be another one than it was then."""
    edited, largest = set(touched), facts.largest_body // KIB
    for row in rows["policy"]:
        if ("policy", row["id"]) in edited and row["body_limit_kib"] > largest:
            raise Conflict(
                f"Policy {row['name']} had a body limit of {row['body_limit_kib']} KiB; the WAF agent of now takes {largest}."
            )


def stamped(now: Rows, wanted: Rows, stamp: int, moment: datetime) -> tuple[Rows, list[Key]]:
    """The wanted rows, and what of them differs from now: that counts as edited at this moment, the rest does not.

    `stamp` becomes the row version of what differs. It must be higher than any that its row ever had, so that a
    form that was opened before is stale.
    """
    touched = differences.touched(differences.nouns(now), differences.nouns(wanted))
    edited = set(touched)
    kept = {(noun.key, row["id"]): row for noun in NOUNS.values() for row in now[noun.table_name]}
    fresh = {"version": stamp, "updated_at": moment.strftime("%Y-%m-%d %H:%M:%S.%f")}
    result = dict(wanted)
    for noun in NOUNS.values():
        result[noun.table_name] = [
            {**row, **fresh} if (noun.key, row["id"]) in edited else kept[noun.key, row["id"]]
            for row in wanted[noun.table_name]
        ]
    return result, touched


def some(rows: Sequence[Row]) -> str:
    """`a.example, b.example and 12 more`"""
    names = [str(row["name"]) for row in rows]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _it(rows: Sequence[Row]) -> str:
    return "it" if len(rows) == 1 else "them"
