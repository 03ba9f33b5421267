"""Why an address is rejected, as JSON. HAProxy does not respond here: tests/live/test_json_actions_live.py has what it answers."""

from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from guardpanel.access.geo_files import GeoKind
from guardpanel.api.access import undo_of
from guardpanel.events.words import Verdict
from guardpanel.models import AddressList, Ban, Policy
from guardpanel.models.access.address_list import AddressListInput, AppliesTo, ListKind
from guardpanel.models.access.feed import FilledFrom
from guardpanel.services.access.access_checks import Answer, Finding
from guardpanel.services.access.geo_checks import Place

pytestmark = pytest.mark.anyio

WHY, ADDRESS = "/api/v1/access/why", "203.0.113.7"

PLACE = Place(Policy(id=1), GeoKind.COUNTRY, "FR", "203.0.113.0/24", ())


def a_list(number: int, kind: ListKind, filled_from: FilledFrom = FilledFrom.HAND) -> AddressList:
    return AddressList(id=number, name="List", kind=kind, filled_from=filled_from)


ZONE = "fe80::1%;@1 disable frontend visitors"


@pytest.mark.parametrize(
    ("q", "status"), [(ADDRESS, 503), ("0198a000-0000", 422), (" ", 422), ("", 422), (ZONE, 422), ("fe80::1%é", 422)]
)
async def test_what_cannot_be_answered(vera_api: httpx2.AsyncClient, q: str, status: int) -> None:
    answer = await vera_api.get(WHY, params={"q": q})

    assert answer.status_code == status, answer.text


async def test_only_administrators_forgive(vera_api: httpx2.AsyncClient) -> None:
    assert (await vera_api.post("/api/v1/policies/1/forgive", json={"q": ADDRESS})).status_code == 403


@pytest.mark.parametrize(
    ("finding", "undo"),
    [
        (Finding(ADDRESS, None, "", ban=Ban(id=3, network=ADDRESS)), "DELETE /api/v1/bans/3"),
        (
            Finding("203.0.113.0/24", None, "", listed=a_list(4, ListKind.DENY)),
            "DELETE /api/v1/address-lists/4/entries/203.0.113.0/24",
        ),
        (
            Finding(ADDRESS, None, "", listed=a_list(4, ListKind.ALLOW)),
            f"DELETE /api/v1/address-lists/4/entries/{ADDRESS}",
        ),
        (Finding(ADDRESS, None, "", listed=a_list(4, ListKind.DENY, FilledFrom.URL)), "POST /api/v1/address-lists"),
        (Finding(ADDRESS, None, "", listed=a_list(4, ListKind.ALLOW, FilledFrom.URL)), ""),
        (Finding(ADDRESS, None, "", listed=a_list(4, ListKind.ONLY)), "POST /api/v1/address-lists/4/entries"),
        (Finding(ADDRESS, None, "", listed=a_list(4, ListKind.ONLY, FilledFrom.URL)), "POST /api/v1/address-lists"),
        (Finding(PLACE.network, None, "", place=PLACE), "POST /api/v1/address-lists"),
    ],
)
async def test_each_finding_has_what_undoes_just_that(finding: Finding, undo: str) -> None:
    operation = undo_of(finding, ADDRESS)

    assert (f"{operation.method} {operation.path}" if operation else "") == undo
    if operation and operation.path.endswith("/entries"):
        assert operation.body == {"entries": [ADDRESS]}
    elif operation and operation.body is not None:
        fields = AddressListInput.model_validate(operation.body)
        assert (fields.kind, fields.entries) == (ListKind.ALLOW, ADDRESS)


@pytest.mark.parametrize(
    ("kind", "path", "verdict", "decides"),
    [
        (ListKind.DENY, "/admin/x", Verdict.BANNED, True),
        (ListKind.DENY, "/%41dmin", Verdict.BANNED, True),
        (ListKind.DENY, "/x", Verdict.BANNED, False),
        (ListKind.DENY, "/x/../admin", Verdict.ON_DENY_LIST, True),
        (ListKind.DENY, "/x/%2e./y", Verdict.BANNED, True),
        (ListKind.DENY, "/%2541dmin", Verdict.BANNED, True),
        (ListKind.ONLY, "/%41dmin", Verdict.NOT_ON_LIST, True),
        (ListKind.ONLY, "/x/../y", Verdict.NOT_ON_LIST, True),
        (ListKind.ONLY, "/x", Verdict.BLOCKED, False),
        (ListKind.ALLOW, "/Admin", Verdict.BLOCKED, True),
        (ListKind.ALLOW, "/Admin/x;y", Verdict.BLOCKED, True),
        (ListKind.ALLOW, "/admin", Verdict.BANNED, False),
        (ListKind.ALLOW, "/%41dmin", Verdict.BANNED, False),
        (ListKind.ALLOW, "//Admin", Verdict.BANNED, False),
        (ListKind.ALLOW, "/Admin/../x", Verdict.BANNED, False),
        (ListKind.ALLOW, "/Admin%00", Verdict.BANNED, False),
        (ListKind.ALLOW, "/x", Verdict.BLOCKED, False),
        (ListKind.DENY, None, None, False),
    ],
)
async def test_a_list_for_paths_decides_about_requests_for_these(
    kind: ListKind, path: str | None, verdict: Verdict | None, decides: bool
) -> None:
    listed = a_list(4, kind)
    listed.paths = ["/Admin"]
    finding = Finding(ADDRESS, None, "", listed=listed)
    event: Any = SimpleNamespace(item=SimpleNamespace(path=path, verdict=verdict, reason=None)) if path else None
    allow, deny = ([finding], []) if kind is ListKind.ALLOW else ([], [finding])

    answer = Answer(ADDRESS, 1, allow, [], deny, [], event=event)

    assert (answer.decides is finding, answer.is_denied_in_part) == (decides, path is None)


async def test_an_address_on_a_list_for_some_virtual_hosts_is_denied_in_part() -> None:
    listed = a_list(4, ListKind.DENY)
    listed.applies_to, listed.virtual_host_ids = AppliesTo.SOME, [2]
    deny = [Finding(ADDRESS, None, "", listed=listed)]

    answers = [Answer(ADDRESS, number, [], [], deny, []) for number in (None, 2)]

    assert [(answer.decides is None, answer.is_denied_in_part) for answer in answers] == [(True, True), (False, True)]
