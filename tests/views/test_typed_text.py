"""Whatever somebody types into a field: it is saved as text or refused at that field, shown as typed, and never a fault."""

import html
from collections.abc import Callable, Iterator
from itertools import cycle

import httpx2
import pytest

from guardpanel.panel import Panel
from tests.corpus import CORPUS, HOSTILE, share
from tests.factories import Form, a_policy, a_virtual_host, an_exclusion
from tests.fakes import FakeEngines
from tests.html import Read, read

pytestmark = pytest.mark.anyio

TEXTS: dict[str, tuple[Callable[..., Form], list[str]]] = {
    "/virtual-hosts/1": (a_virtual_host, [
        "name", "hostnames", "notes", "health_check_path", "health_check_status", "health_check_host", "health_check_interval",
        "tls_name", "tls_ca", "servers.0.address", "servers.0.weight",
    ]),
    "/policies/1": (a_policy, [
        "name", "description", "allowed_methods", "allowed_content_types", "content_type_readings", "skip_paths", "login_paths", "login_statuses", "error_statuses", "masked_fields", "inbound_anomaly_threshold",
    ]),
    "/policies/1/exclusions/1": (an_exclusion, [
        "rules", "target_name", "path", "methods", "only_if", "reason", "owner", "ends_on",
    ]),
}  # fmt: skip

NOT_SHOWN: dict[str, tuple[Callable[..., Form], list[str]]] = {
    "/virtual-hosts/1": (a_virtual_host, [
        "version", "save_key", "servers.0.scheme", "balance", "tls_verify", "policy_id", "enforcement_mode",
    ]),
    "/policies/1": (a_policy, ["enforcement_mode", "fail_mode", "over_limit", "blocking_paranoia_level"]),
    "/policies/1/exclusions/1": (an_exclusion, ["target", "path_match", "virtual_host_id"]),
}  # fmt: skip
"""Hidden, or a choice among what there is: a value that is none of them is refused, but cannot be shown chosen."""

PARTS = 2
"Of the texts, for tests that run beside each other."

TYPED = {path: share(at, 2 * len(TEXTS)) for at, path in enumerate(TEXTS)}
"""In every field what is hostile; of the corpus each form its share, since one encoder writes all pages: it meets the whole corpus
on the log-in page."""

LONG = 1_000
"Characters. Such a text in every field is more than a form may be."


def as_a_browser_shows(text: str) -> str:
    """What a text field holds after a page was read: NUL is replaced, and line ends are one character."""
    return html.unescape(html.escape(text)).replace("\0", "\ufffd").replace("\r\n", "\n").replace("\r", "\n")


async def before(ada: httpx2.AsyncClient, path: str, form: Callable[..., Form]) -> tuple[int, int]:
    """How many scripts the page has, and the version of what is edited."""
    await ada.post("/virtual-hosts", data=a_virtual_host())
    await ada.post("/policies/1/exclusions", data=an_exclusion())
    await ada.post(path, data=form(name="'"))
    page = read((await ada.get(path + "/edit")).text)
    return len(page.find("script")), int(page.value("version"))


def refers_to(page: Read, name: str) -> bool:
    """An error leads to the field, or to the list whose row it is in: a row in which nothing can be seen is none."""
    return any(page.find("a", href=f"#f-{place}") for place in (name, name.split(".", maxsplit=1)[0]))


def filled(corpus: list[str], names: list[str]) -> Iterator[tuple[str, set[str]]]:
    """Each text, and the fields that it goes into at once: all, or each for itself if it is long."""
    for typed in corpus:
        if len(typed) > LONG:
            yield from ((typed, {name}) for name in names)
        else:
            yield typed, set(names)


def assert_inert(page: Read, scripts: int, typed: str) -> None:
    assert len(page.find("script")) == scripts, typed[:100]
    assert not page.find("img"), typed[:100]
    assert not [tag for tag, attributes in page.tags if any(key.startswith("on") for key in attributes)], typed[:100]


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("path", TEXTS)
async def test_typed_text_is_only_text(
    ada: httpx2.AsyncClient, engines: FakeEngines, panel: Panel, path: str, part: int
) -> None:
    form, names = TEXTS[path]
    scripts, version = await before(ada, path, form)

    for typed, fields in filled(TYPED[path][part::PARTS], names):
        # Then only in those where it was not refused, until it is saved.
        left, status = fields, 0
        while left and status != 303:
            answer = await ada.post(path, data=form(**{"version": str(version), **dict.fromkeys(left, typed)}))
            status = answer.status_code
            assert status in {303, 422}, (typed[:100], answer.text[-2000:])
            if status == 422:
                page = read(answer.text)
                assert_inert(page, scripts, typed)
                for name in left:
                    assert as_a_browser_shows(page.value(name)) == as_a_browser_shows(typed), (name, typed[:100])
                refused = {name for name in left if refers_to(page, name)}
                assert refused, typed[:100]
                left = left - refused
        version += status == 303
        form_page = await ada.get(path)
        assert form_page.status_code == 200, typed[:100]
        assert_inert(read(form_page.text), scripts, typed)


@pytest.mark.parametrize("path", NOT_SHOWN)
async def test_what_cannot_be_typed_is_only_text_too(
    ada: httpx2.AsyncClient, engines: FakeEngines, panel: Panel, path: str
) -> None:
    """Each text in one of the fields, in turns."""
    form, names = NOT_SHOWN[path]
    scripts, version = await before(ada, path, form)

    for typed, name in zip(TYPED[path], cycle(names), strict=False):
        answer = await ada.post(path, data=form(**{"version": str(version), name: typed}))

        assert answer.status_code in ({412} if name == "version" else {303, 422}), (
            name,
            typed[:100],
            answer.text[-2000:],
        )
        if answer.status_code == 303:
            version += 1
            answer = await ada.get(path)
            assert answer.status_code == 200, (name, typed[:100])
        assert_inert(read(answer.text), scripts, typed)


@pytest.mark.parametrize("field", ["email", "password", "next"])
async def test_the_log_in_page_shows_what_was_typed_as_text(
    nobody: httpx2.AsyncClient, panel: Panel, field: str
) -> None:
    for typed in CORPUS if field == "email" else HOSTILE:
        panel.accounts.attempts.__init__()  # type: ignore[misc]
        answer = await nobody.post("/login", data={"email": "a", "password": "b", "next": "/", field: typed})
        page = read(answer.text)

        assert answer.status_code == 401, typed[:100]
        assert not page.find("img")
        assert "<script>alert" not in answer.text
        if field == "email":
            assert as_a_browser_shows(page.value("email")) == as_a_browser_shows(typed)


async def test_bytes_that_are_no_text_are_refused_and_no_fault(ada: httpx2.AsyncClient) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    for body in (
        b"name=%ff%fe&hostnames=%c3%28",
        b"\xff\xfe",
        b"&&&=&",
        b"name",
        b"=" * 100,
        b"%00=%00",
        b"a=1&" * 200,
    ):
        answer = await ada.post("/policies", content=body, headers=headers)
        assert answer.status_code == 422, body


async def test_more_fields_than_any_form_has_are_refused(ada: httpx2.AsyncClient) -> None:
    body = "&".join(f"a{n}=" for n in range(4000)).encode()
    headers = {"content-type": "application/x-www-form-urlencoded"}

    assert (await ada.post("/policies", content=body, headers=headers)).status_code == 400


async def test_a_file_is_not_taken(ada: httpx2.AsyncClient) -> None:
    answer = await ada.post("/policies", files={"name": ("a.txt", b"x")})

    assert answer.status_code == 400
