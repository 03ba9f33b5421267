"""Every page of the panel that the accessibility tests look at, by its path, and those that they leave out, with the reason.

tests/contracts/test_pages.py compares both with the routes of the panel: a new page is looked at, or named here.
"""

import re
from collections.abc import Iterator, Mapping

from guardpanel.models import NOUNS

EVENT = "/events/{event}"


def of_nouns() -> Iterator[str]:
    """The pages that every noun has, of its first row below the first of its parent."""
    for noun in NOUNS.values():
        path = re.sub(r"\{[^}]+\}", "1", noun.path)
        if noun.only_name:
            yield f"{path}/edit"
        else:
            yield from (f"{path}/{page}" for page in ("new", "1", "1/edit", "1/delete"))
            if not noun.within:
                yield path


PAGES = (
    *of_nouns(),
    "/", "/virtual-hosts?mode=block", "/virtual-hosts/4", "/virtual-hosts/1/servers/1", "/virtual-hosts/1/profiles",
    "/virtual-hosts/1/recorded", "/virtual-hosts/1/traffic", "/virtual-hosts/1/traffic/paths", "/virtual-hosts/1/traffic/clients",
    "/virtual-hosts/1/traffic/log?paused=1", "/virtual-hosts/1/traffic/log?client=nobody&paused=1", "/traffic", "/traffic/paths",
    "/policies/2/delete", "/policies/1/compare", "/policies/1/compare?policy=2", "/policies/1/test",
    "/events", "/events?rule=942100&client=127.0.0.0/8&min_score=1", "/events?method=PUT", "/events?rule=x&client=y", EVENT,
    f"{EVENT}/fix", "/events/nothing", "/event-groups", "/event-groups?state=fixed", "/event-groups/1-0123456789abcdef",
    "/changes", "/changes?outcome=rejected&who=ada@example.org", "/changes?q=nothing", "/changes/3", "/changes/2?layout=two",
    "/changes/7?files=agent", "/changes/8", "/changes/2/restore", "/saves/0123456789abcdef/progress",
    "/system", "/system/backup", "/system/import", "/system/tokens", "/system/api", "/system/api/createPolicy", "/system/drift",
    "/system/traffic", "/search?q=example", "/search", "/nowhere",
    "/rules", "/rules?phase=9", "/rules/932260", "/rules/190203", "/rules/ledger",
    "/certificates?q=nothing", "/certificates/2", "/certificates/2/preflight", "/certificates/2/orders", "/certificates/2/revoke",
    "/access/bans", "/access/lists/2", "/access/countries", "/access/why?q=203.0.113.9", "/access/why?q=nobody",
    "/access/why?q=198.51.100.7", "/error-pages/1/preview/blocked",
)  # fmt: skip

STATUSES = {
    "/nowhere": 404,
    "/events/nothing": 404,
    "/event-groups/1-0123456789abcdef": 404,
    "/rules/190203": 404,
    "/rules?phase=9": 422,
    "/events?rule=x&client=y": 422,
    "/access/why?q=nobody": 422,
    "/virtual-hosts/1/traffic/log?client=nobody&paused=1": 422,
}
"Of pages that tell an error: others are 200, so that no page of an error is looked at instead."

BARE = ("/login", "/setup/used")
"For people who are not logged in."

A_FILE = "A file."
A_PART = "A part of a page that is loaded into it, and looked at there."

LEFT_OUT: Mapping[str, str] = {
    "/static/{digest}/{path:path}": A_FILE,
    "/certificates/local-ca.pem": A_FILE,
    "/certificates/{certificate_id}/chain.pem": A_FILE,
    "/access/lists/{address_list_id}/entries.{kind}": A_FILE,
    "/events/{request_id}/lines": A_FILE,
    "/system/api/openapi.json": A_FILE,
    "/healthz": "For a load balancer.",
    "/readyz": "For a load balancer.",
    "/metrics": "For Prometheus.",
    "/access": "A redirect to the first of its pages.",
    "/event-groups/likely": A_PART,
    "/events/{request_id}/fix/ladder": A_PART,
    "/events/{request_id}/fix/rung": A_PART,
    "/events/{request_id}/fix/findings": A_PART,
    "/access/lists/{address_list_id}/feed/progress": A_PART,
    "/saves/{key}": A_PART,
    "/live": A_PART,
    "/system/backup/{token}": "Its address is known once a backup is uploaded: tests/e2e/test_backup.py.",
}
