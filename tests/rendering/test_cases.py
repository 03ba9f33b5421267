"""What is rendered, whole: `cases/` is to be read."""

import re

import pytest

from tests.rendering.case import CASES, KEYS, Case, cases, contents

HOW = "`make cases` writes them anew; look at what it says before you commit it"


@pytest.fixture(params=cases(), ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param  # type: ignore[no-any-return]


def test_a_state_is_rendered_as_its_case_shows(case: Case) -> None:
    rendered, kept = case.rendered(), case.kept()

    assert set(rendered) == set(kept), HOW
    for path, text in rendered.items():
        assert text.splitlines() == kept[path].splitlines(), f"{case.name}/{path}: {HOW}"
        assert text == kept[path], f"{case.name}/{path}: {HOW}"


def test_a_case_says_what_to_look_for(case: Case) -> None:
    assert set(case.given) <= KEYS
    assert case.look_for.strip()


def test_the_contents_list_every_case() -> None:
    assert (CASES / "README.md").read_text("utf-8") == contents(), HOW


def test_every_configuration_has_a_whole_page_for_each_refusal(case: Case) -> None:
    files = case.bundle().files
    pages = {path: data.decode() for path, data in files.items() if path.startswith("errors/")}
    configuration = files["haproxy.cfg"].decode()

    assert set(re.findall(r"lf-file (errors/\S+)", configuration)) <= set(pages)
    for path, page in pages.items():
        title, heading = (re.findall(rf"<{tag}>(.+)</{tag}>\n", page) for tag in ("title", "h1"))
        assert (len(title), title) == (1, heading), path
        assert page.startswith("<!doctype html>\n"), path
        assert "\n<p><code>%[unique-id]</code></p>\n" in page, path
        assert page.endswith("\n</html>\n"), path
