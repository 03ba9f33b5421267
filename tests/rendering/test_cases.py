"""What is rendered, whole: `cases/` is to be read."""

import pytest

from guardpanel.shipped import config_templates
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


def test_every_configuration_has_what_is_the_same_everywhere_as_it_is_written(case: Case) -> None:
    files = case.bundle().files
    pages = {path: text for path, text in files.items() if path.startswith("errors/")}

    assert pages == {
        f"errors/{page.name}": page.read_bytes() for page in (config_templates() / "haproxy" / "errors").iterdir()
    }
