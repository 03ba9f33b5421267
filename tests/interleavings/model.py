"""What a save may do, as a plain state machine: the judge of every history that the panel leaves.

A state is every virtual host and policy: `{"policy:1": {"version": 3, "name": "Default", …}}`. The panel's own history
gives the order of the changes and the rows after each; the model says whether an operation may turn one into the next,
and whether a refusal was right.
"""

from collections.abc import Mapping
from typing import Any

State = Mapping[str, Mapping[str, Any]]
Operation = Mapping[str, Any]
"""`kind` create, update, delete, undo, restore, restore_one or put_back; `noun`, `id`, `version` (opened with), `fields`, `change`."""


class Refused(Exception):
    """The operation may not happen in this state; the reason is the panel's problem code."""


def nothing(state: State) -> dict[str, dict[str, Any]]:
    return {key: {name: value for name, value in row.items() if name != "version"} for key, row in state.items()}


def after(operation: Operation, states: Mapping[int, State]) -> dict[str, dict[str, Any]]:
    """The state (without versions) that the operation makes of the newest of `states`, which are by change; new rows
    stand under `noun:new`. Raises Refused."""
    now = states[max(states)]
    made = nothing(now)
    key = f"{operation.get('noun')}:{operation.get('id')}"
    match operation["kind"]:
        case "create":
            must_fit(made, key, operation["fields"])
            made[f"{operation['noun']}:new"] = dict(operation["fields"])
        case "update":
            must_be_current(now, key, operation["version"])
            must_fit(made, key, operation["fields"])
            made[key] = dict(operation["fields"])
        case "delete":
            must_be_current(now, key, operation["version"])
            if any(row.get("policy") == operation["id"] for row in made.values()) and operation["noun"] == "policy":
                raise Refused("conflict")
            del made[key]
        case "undo":
            earlier = [change for change in states if change < operation["change"]]
            if max(states) != operation["change"] or not earlier:
                raise Refused("conflict")
            made = changed(now, nothing(states[max(earlier)]))
        case "restore":
            made = changed(now, nothing(states[operation["change"]]))
        case "restore_one":
            then = nothing(states[operation["change"]])
            if key not in now and key not in then:
                raise Refused("not_found")
            made.pop(key, None)
            if key in then:
                made[key] = then[key]
            must_hold_together(changed(now, made))
    return made


def must_be_current(now: State, key: str, version: int | None) -> None:
    if key not in now:
        raise Refused("not_found")
    if version is not None and now[key]["version"] != version:
        raise Refused("stale")


def must_fit(made: State, key: str, fields: Mapping[str, Any]) -> None:
    noun = key.partition(":")[0]
    if any(row["name"] == fields["name"] for other, row in made.items() if other != key and other.startswith(noun)):
        raise Refused("conflict")
    if fields.get("policy") and f"policy:{fields['policy']}" not in made:
        raise Refused("invalid")


def changed(now: State, made: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Putting back what is there already is refused."""
    if made == nothing(now):
        raise Refused("conflict")
    return made


def must_hold_together(made: State) -> None:
    for noun in ("policy", "virtual_host"):
        names = [row["name"] for key, row in made.items() if key.startswith(noun)]
        if len(set(names)) < len(names):
            raise Refused("conflict")
    if any(row.get("policy") and f"policy:{row['policy']}" not in made for row in made.values()):
        raise Refused("conflict")


def fault(operation: Operation, states: Mapping[int, State], now_there: State) -> str | None:
    """What is wrong with the rows `now_there` after this operation; None: they are what it makes, and forms from before
    the change are stale."""
    try:
        wanted = after(operation, states)
    except Refused as refused:
        return f"went through, but is {refused}"
    if new := wanted.pop(f"{operation.get('noun')}:new", None):
        fresh = [key for key in now_there if not any(key in state for state in states.values())]
        if len(fresh) != 1:
            return f"made {fresh} instead of one new row"
        wanted[fresh[0]] = new
    if wanted != nothing(now_there):
        return f"made {nothing(now_there)} instead of {wanted}"
    now = nothing(states[max(states)])
    for key, row in now_there.items():
        newest = max((state[key]["version"] for state in states.values() if key in state), default=0)
        if wanted[key] != now.get(key) and row["version"] <= newest:
            return f"left {key} at version {row['version']}, which was there before"
    return None
