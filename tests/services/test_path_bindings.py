"""What a path binding does in words, and what holds for a virtual host's home page."""

from pathlib import Path
from typing import Any

import pytest

from guardpanel.models import Policy, VirtualHost
from guardpanel.models.path_binding import PathBindingFields
from guardpanel.models.policies.enforcement import EnforcementMode
from guardpanel.models.policies.policy import PolicyFields
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.rendering.paths import entries
from guardpanel.rendering.state import DesiredState
from guardpanel.services import path_bindings, policies, policy_uses, virtual_hosts
from guardpanel.services.saving.change import SaveRequest
from tests.rows import FACTS, rows
from tests.services.saved import saving

ADA = SaveRequest("ada")
STRICT = Policy(id=2, name="Strict", enforcement_mode=EnforcementMode.BLOCK)
BLOCK, DETECT, OFF = EnforcementMode.BLOCK, EnforcementMode.DETECT_ONLY, EnforcementMode.OFF


def a_binding(**fields: Any) -> PathBindingFields:
    return PathBindingFields.model_validate({"path": "/api", "enforcement_mode": None, **fields})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"policy_id": 2}, "for /api and everything below are inspected, and attacks blocked, by policy Strict."),
        (
            {"enforcement_mode": "detect_only", "path_match": "exact"},
            "for exactly /api are inspected, and nothing is blocked, by policy Strict.",
        ),
        ({"enforcement_mode": "off"}, "for /api and everything below are not inspected."),
    ],
)
def test_a_sentence_says_what_it_does(fields: dict[str, Any], words: str) -> None:
    assert path_bindings.reach(a_binding(**fields), VirtualHost(enforcement_mode=None), STRICT) == f"Requests {words}"


def test_what_has_no_effect_is_said() -> None:
    host, moved = VirtualHost(enforcement_mode=None), {"redirect": "301", "redirect_to": "/new"}
    assert path_bindings.prices(a_binding(policy_id=2, **moved), host, STRICT) == [
        "Its policy, mode and delivery are kept, and have no effect while it redirects."
    ]
    assert path_bindings.prices(a_binding(**moved), host, None) == []
    assert path_bindings.prices(a_binding(enforcement_mode="off"), host, None) == [
        "Without a policy, nothing is inspected."
    ]


@pytest.mark.parametrize(
    ("own", "policy_id", "of_host", "mode"),
    [
        (None, None, None, BLOCK), (DETECT, None, None, DETECT), (None, None, OFF, OFF), (BLOCK, None, OFF, BLOCK),
        (None, 2, OFF, BLOCK), (DETECT, 2, OFF, DETECT),
    ],
)  # fmt: skip
def test_a_paths_mode_is_its_own_or_that_of_its_policy(
    own: EnforcementMode | None, policy_id: int | None, of_host: EnforcementMode | None, mode: EnforcementMode
) -> None:
    """The virtual host's own mode holds for paths with its policy alone. Pages and the rendered state agree."""
    bound = PathBindingFields.model_construct(path="/api", policy_id=policy_id, enforcement_mode=own)
    assert path_bindings.mode_of(bound, VirtualHost(enforcement_mode=of_host), STRICT) is mode

    strict, host = (
        {"Strict": {"enforcement_mode": "block"}},
        {"policy": "Strict", "servers": [{"address": "192.0.2.1:80"}]},
    )
    path = (
        {"path": "/api", "enforcement_mode": own, "policy": "Strict"}
        if policy_id
        else {"path": "/api", "enforcement_mode": own}
    )
    if own is None and policy_id is None:
        return
    state = DesiredState.from_rows(rows(strict, {"a.test": {**host, "enforcement_mode": of_host}}, paths=[path]), FACTS)
    assert state.effective(state.bound[1].host)[1] is mode


@pytest.mark.parametrize(
    ("of_host", "own", "is_weak"),
    [
        (BLOCK, DETECT, True),
        (BLOCK, OFF, True),
        (DETECT, OFF, True),
        (DETECT, BLOCK, False),
        (OFF, OFF, False),
        (BLOCK, BLOCK, False),
    ],
)
def test_a_weaker_path_is_told_from_a_stricter_one(
    of_host: EnforcementMode, own: EnforcementMode, is_weak: bool
) -> None:
    host = {"policy": "Any", "servers": [{"address": "192.0.2.1:80"}], "enforcement_mode": of_host}
    made = rows({"Any": {}}, {"a.test": host}, paths=[{"path": "/api", "enforcement_mode": own}])

    assert [entry.is_weak for entry in entries(DesiredState.from_rows(made, FACTS))] == [is_weak]


@pytest.mark.anyio
async def test_the_home_page_may_be_bound_exactly(template: Path) -> None:
    async with saving(template) as changes:
        strict = (await policies.create(changes, ADA, PolicyFields(name="Strict", enforcement_mode=BLOCK))).value
        fields = VirtualHostFields.model_validate({"hostnames": ["a.test"], "servers": [{"address": "192.0.2.1:80"}]})
        host = (await virtual_hosts.create(changes, ADA, fields)).value
        async with changes.database.read() as session:
            assert await policy_uses.at_home(session, host) == (None, OFF)

        below = path_bindings.ROWS.under(host.id or 0)
        await below.create(changes, ADA, a_binding(policy_id=strict.id))
        await below.create(
            changes, ADA, a_binding(path="/", path_match="exact", policy_id=strict.id, enforcement_mode="detect_only")
        )
        async with changes.database.read() as session:
            policy, mode = await policy_uses.at_home(session, host)
            assert (policy and policy.name, mode) == ("Strict", DETECT)
            bound = await policy_uses.policy_used(session, host, strict.id)
            assert (bound and bound.name, await policy_uses.policy_used(session, host, 1)) == ("Strict", None)
            assert (await policy_uses.host_counts(session)) == {strict.id: 1}
