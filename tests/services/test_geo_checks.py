"""Which policies reject an address by its country: those of virtual hosts, and those of their paths alone."""

from pathlib import Path
from typing import Any

import pytest

from guardpanel.access.geo_files import GeoKind
from guardpanel.models import Policy, VirtualHost
from guardpanel.models.path_binding import PathBinding, PathBindingFields
from guardpanel.models.policies.enforcement import EnforcementMode
from guardpanel.models.policies.policy import PolicyFields
from guardpanel.models.policies.policy_geo import GeoMode
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.services.access.access_checks import Answer, Finding
from guardpanel.services.access.geo_checks import Where, rejecting
from tests.services.saved import saving

pytestmark = pytest.mark.anyio

FRENCH = Where("192.0.2.1", {GeoKind.COUNTRY: ("192.0.2.0/24", "FR")})

BOUND: dict[str, tuple[dict[str, Any], list[str]]] = {
    "its own policy": ({"policy_id": 3}, ["Path", "Host"]),
    "its own policy, only watching": ({"policy_id": 3, "enforcement_mode": "detect_only"}, ["Host"]),
    "the virtual host's policy": ({"enforcement_mode": "block"}, ["Host"]),
    "redirected": ({"policy_id": 3, "redirect": "302", "redirect_to": "/new"}, ["Host"]),
}


@pytest.mark.parametrize("kind", BOUND)
async def test_policies_of_paths_are_asked_too(template: Path, kind: str) -> None:
    own, names = BOUND[kind]
    refuse: dict[str, Any] = {
        "enforcement_mode": EnforcementMode.BLOCK,
        "country_mode": GeoMode.REJECT,
        "countries": ["FR"],
    }
    fields = VirtualHostFields.model_validate({"hostnames": ["a.test"], "servers": [{"address": "192.0.2.9:80"}]})
    async with saving(template) as changes, changes.database.write() as session:
        for number, name in ((2, "Host"), (3, "Path")):
            session.add(Policy(id=number).replace(PolicyFields(name=name, **refuse)))
        await session.flush()
        host = VirtualHost(id=1).replace(fields)
        host.policy_id = 2
        session.add(host)
        await session.flush()
        row = PathBinding(virtual_host_id=1).replace(PathBindingFields.model_validate({"path": "/api", **own}))
        session.add(row)
        await session.flush()

        places = await rejecting(session, FRENCH)
        assert {place.policy.name for place in places} == set(names)
        findings = [Finding(place.network, None, "", place=place) for place in places]

        def decides(policy_id: int | None) -> str | None:
            """Of a request to the virtual host, which a policy with this id judged."""
            answer = Answer("192.0.2.1", 1, (), (), (), (), findings, FRENCH, "id", policy_id)
            return answer.decides.place.policy.name if answer.decides and answer.decides.place else None

        assert decides(2) == "Host"
        assert decides(3) == ("Path" if "Path" in names else None)
        assert decides(9) is None
