"""More arguments than a policy takes are a verdict that can be seen: nothing after them reaches a server unread."""

import json
from collections.abc import Callable, Iterator

import pytest

from tests.live.origins import Origin
from tests.live.stack import Stack
from tests.live.wire import Response
from tests.rows import rows

pytestmark = pytest.mark.one_haproxy

ARGUMENTS, VALUES = 1_000, 1_100
"Each costs some time: on a busy machine thousands are not judged in time."
ATTACK = "1' union select password from users-- -"
FORM, JSON, UPLOAD = "application/x-www-form-urlencoded", "application/json", "multipart/form-data; boundary=xyz"
QUOTED = "1%27+union+select+password+from+users--+-"


def part(name: str, value: str) -> str:
    return f'--xyz\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'


def files(count: int) -> str:
    file_part = '--xyz\r\nContent-Disposition: form-data; name="f[]"; filename="a.txt"\r\n\r\nx\r\n'
    return file_part * count + part("q", ATTACK) + "--xyz--\r\n"


SaveRequest = Callable[[Stack, str, int], Response]

FLOODS: dict[str, tuple[SaveRequest, int, str]] = {
    "query": (lambda stack, host, many: stack.get(host, f"/?{'a=1&' * many}q={QUOTED}"), ARGUMENTS, "190201"),
    "cookies": (
        lambda stack, host, many: stack.get(host, f"/?q={QUOTED}", {"cookie": "a=1;" * many + "q=1"}),
        ARGUMENTS,
        "190202",
    ),
    "form": (
        lambda stack, host, many: stack.post(host, f"{'a=1&' * many}q={QUOTED}".encode(), FORM),
        ARGUMENTS,
        "190203",
    ),
    "multipart": (
        lambda stack, host, many: stack.post(host, (part("a", "1") * many + part("q", ATTACK) + "--xyz--\r\n").encode(), UPLOAD),
        ARGUMENTS,
        "190203",
    ),
    "files": (lambda stack, host, many: stack.post(host, files(many + 1).encode(), UPLOAD), ARGUMENTS, "190203"),
    "JSON keys": (
        lambda stack, host, many: stack.post(
            host, json.dumps({**{f"a{at}": 1 for at in range(many)}, "q": ATTACK}).encode(), JSON
        ),
        VALUES,
        "190204",
    ),
    "JSON list": (
        lambda stack, host, many: stack.post(host, json.dumps([1] * (many - 1) + [ATTACK]).encode(), JSON),
        VALUES,
        "190204",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def stack(haproxy: str, server: Origin) -> Iterator[Stack]:
    limits = {"argument_limit": ARGUMENTS, "json_value_limit": VALUES, "body_limit_kib": 256}
    policies = {
        "Block": {**limits, "enforcement_mode": "block"},
        "Watch": {**limits, "enforcement_mode": "detect_only"},
        "Files": {**limits, "enforcement_mode": "block", "file_inspection": True},
    }
    hosts = {
        f"{name.lower()}.test": {"policy": name, "servers": [{"address": server.address}], "health_check": False}
        for name in policies
    }
    with Stack(haproxy, rows(policies, hosts)) as running:
        yield running


@pytest.mark.parametrize("kind", FLOODS)
def test_nothing_past_the_most_arguments_reaches_a_server_unread(stack: Stack, kind: str) -> None:
    ask, most, rule = FLOODS[kind]

    within, over = ask(stack, "block.test", most - 1), ask(stack, "block.test", most)
    watched = ask(stack, "watch.test", most)

    assert (within.status, within.verdict["rule"]) == (403, "949110")
    assert (over.status, over.verdict["rule"]) == (400, rule)
    assert rule in over.verdict["rules"].split(",")
    assert watched.status == 200
    assert rule in watched.verdict["rules"].split(",")
    assert stack.logged(watched)["rules"] == watched.verdict["rules"]


def test_as_many_as_a_policy_takes_pass(stack: Stack) -> None:
    passwords = [
        {"name": f"Site {at}", "user": "ada", "password": "kd8sGsk2", "notes": "", "type": 1} for at in range(200)
    ]

    answers = [
        stack.get("block.test", "/?" + "a=1&" * ARGUMENTS),
        stack.post("block.test", b"a=1&" * ARGUMENTS, FORM),
        stack.post("block.test", json.dumps({"passwords": passwords}).encode(), JSON),
    ]

    assert [(answer.status, answer.verdict["rules"]) for answer in answers] == [(200, "")] * 3


def test_a_file_of_json_is_read_where_the_policy_asks(stack: Stack) -> None:
    def sent(host: str, values: list[str]) -> Response:
        head = '--xyz\r\nContent-Disposition: form-data; name="f"; filename="a.json"\r\nContent-Type: application/json\r\n\r\n'
        return stack.post(host, (head + json.dumps(values) + "\r\n--xyz--\r\n").encode(), UPLOAD)

    harmless = ["1"] * (VALUES - 1)

    assert sent("files.test", harmless).status == sent("block.test", [*harmless, ATTACK]).status == 200
    assert sent("files.test", [*harmless, ATTACK]).status == 403
    assert sent("files.test", ["1"] * (VALUES + 2)).status == 400
