"""What limits count by, and which responses count towards a ban: typed in the form of a policy, refused where they could never count."""

import httpx2
import pytest

from tests.factories import a_policy
from tests.html import read

pytestmark = pytest.mark.anyio


@pytest.mark.changes_nothing
@pytest.mark.parametrize(
    ("field", "typed", "words"),
    [
        ("login_paths", "login", "login: Start the path with /."),
        ("login_paths", "/login?next=/", "Enter the path without its query."),
        ("login_paths", "/%6Cogin", "Enter the path decoded"),
        ("login_paths", "/a/../login", "Enter the path without . and .. segments."),
        ("login_paths", "/ok\n//login", "//login: Enter the path without //."),
        ("login_paths", "/login;a=1", "Enter the path without ;."),
        ("login_paths", "/log in", "Enter the path without spaces."),
        ("login_paths", "/login./x", "No part of the path may end in a dot."),
        ("login_paths", "/" + "ü" * 100, "At most 200 bytes."),
        ("login_paths", "/a\u202eb", "U+202E"),
        ("limit_by", "header", "Enter the name of the header."),
        ("limit_by", "cookie", "Enter the name of the cookie."),
        ("limit_by", "weather", ""),
        ("login_statuses", "", "Enter a status, or no login paths."),
        ("login_statuses", "401\nwrong", "wrong is not a status of a response."),
        ("login_statuses", "101", "101 is not a status of a response."),
        ("error_statuses", "4xx", "4xx is not a status of a response."),
        ("error_statuses", "4०4", "is not a status of a response."),
    ],
)
async def test_what_could_never_count_is_refused_at_its_field(
    ada: httpx2.AsyncClient, field: str, typed: str, words: str
) -> None:
    refused = await ada.post("/policies", data=a_policy(**{"login_paths": "/login", field: typed}))

    assert refused.status_code == 422
    named = "limit_by_name" if words.startswith("Enter the name") else field
    assert f'id="f-{named}-error"' in refused.text
    assert words in read(refused.text).text


@pytest.mark.changes_nothing
@pytest.mark.parametrize("name", ["x api", "x_key", "x:key", "ü", "x\u202ekey", "x" * 61, "x'"])
async def test_a_header_that_none_can_send_is_refused(ada: httpx2.AsyncClient, name: str) -> None:
    refused = await ada.post("/policies", data=a_policy(limit_by="header", limit_by_name=name))

    assert refused.status_code == 422
    assert 'id="f-limit_by_name-error"' in refused.text


async def test_the_page_of_a_policy_says_what_counts(ada: httpx2.AsyncClient) -> None:
    typed = {
        "client_limits": "on",
        "limit_by": "header",
        "limit_by_name": "X-API-Key",
        "automatic_bans": "on",
        "login_paths": "/login\n/über",
        "login_statuses": "401",
        "error_statuses": "404\n400",
    }
    made = await ada.post("/policies", data=a_policy(**typed))
    assert made.status_code == 303, read(made.text).text

    text = read((await ada.get("/policies/2")).text).text

    assert "counted at /login, /über (401)" in text
    assert "404, 400" in text
    assert "100 requests in 10 s, 20 at once, by header X-API-Key" in text
