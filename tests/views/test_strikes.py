"""Which responses count towards a ban: typed in the form of a policy, and refused where they could never count."""

import httpx2
import pytest

from tests.factories import a_policy
from tests.html import read

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("field", "typed", "words"),
    [
        ("log_in_paths", "login", "login: Start the path with /."),
        ("log_in_paths", "/login?next=/", "Enter the path without its query."),
        ("log_in_paths", "/%6Cogin", "Enter the path decoded"),
        ("log_in_paths", "/a/../login", "Enter the path without . and .. segments."),
        ("log_in_paths", "/ok\n//login", "//login: Enter the path without //."),
        ("log_in_paths", "/login;a=1", "Enter the path without ;."),
        ("log_in_paths", "/log in", "Enter the path without spaces."),
        ("log_in_paths", "/login./x", "No part of the path may end in a dot."),
        ("log_in_paths", "/" + "ü" * 100, "At most 200 bytes."),
        ("log_in_paths", "/a\u202eb", "U+202E"),
        ("log_in_statuses", "", "Enter a status, or no log-in paths."),
        ("log_in_statuses", "401\nwrong", "wrong is not a status of a response."),
        ("log_in_statuses", "101", "101 is not a status of a response."),
        ("error_statuses", "4xx", "4xx is not a status of a response."),
        ("error_statuses", "4०4", "is not a status of a response."),
    ],
)
async def test_what_could_never_count_is_refused_at_its_field(
    ada: httpx2.AsyncClient, field: str, typed: str, words: str
) -> None:
    refused = await ada.post("/policies", data=a_policy(**{"log_in_paths": "/login", field: typed}))

    assert refused.status_code == 422
    assert f'id="f-{field}-error"' in refused.text
    assert words in read(refused.text).text


async def test_the_page_of_a_policy_says_what_counts(ada: httpx2.AsyncClient) -> None:
    typed = {
        "automatic_bans": "on",
        "log_in_paths": "/login\n/über",
        "log_in_statuses": "401",
        "error_statuses": "404\n400",
    }
    made = await ada.post("/policies", data=a_policy(**typed))
    assert made.status_code == 303, read(made.text).text

    text = read((await ada.get("/policies/2")).text).text

    assert "counted at /login, /über (401)" in text
    assert "404, 400" in text
