"""What is typed into a form of any noun is text in a browser with JavaScript, too: htmx and the panel's scripts put it on the page."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Dialog, Page, expect

from guardpanel.models import NOUNS
from guardpanel.models.noun import Noun
from tests.corpus import HOSTILE
from tests.e2e.conftest import log_in
from tests.panel import Panel
from tests.web import Person, a_host, a_policy

TEXTS = [text for text in HOSTILE if "<" in text]
"What HTML could take for its own."

FILL = """([form, text]) => {
    const fields = [...form.querySelectorAll("textarea, input")].filter((field) => field.name && !field.readOnly
        && (field.localName === "textarea" || ["text", "search", "url", "email"].includes(field.type)));
    for (const field of fields) {
        field.value = text;
        field.dispatchEvent(new Event("input", {bubbles: true}));
    }
    return fields.map((field) => field.name);
}"""
"Whether a field is folded away or not."

VALUES = "form => Object.fromEntries([...new FormData(form)].filter(([, value]) => typeof value === 'string'))"


@pytest.fixture
def parents(panel: Panel, origin: int) -> Iterator[dict[str, int]]:
    """The rows that others belong to."""
    with Person(panel) as ada:
        host = ada.post("/virtual-hosts", a_host(origin, hostnames="typed.example")).url
        policy = ada.post("/policies", a_policy(name="Typed")).url
        yield {"virtual_host": int(host.rpartition("/")[2]), "policy": int(policy.rpartition("/")[2])}


def form_of(noun: Noun, parents: dict[str, int]) -> str:
    return f"{noun.place()}/edit" if noun.only_name else f"{noun.place(parents.get(noun.parent, 1))}/new"


def is_secret(noun: Noun, name: str) -> bool:
    """Whether no page shows it again."""
    field = noun.input.model_fields.get(name)
    return field is not None and not field.repr


def test_text_typed_into_a_form_of_any_noun_comes_back_whole(
    quiet_page: Page, panel: Panel, parents: dict[str, int]
) -> None:
    page, dialogs = quiet_page, []

    def note(dialog: Dialog) -> None:
        if dialog.type != "beforeunload":  # Of a form that is left with what was typed.
            dialogs.append(dialog.message)
        dialog.accept()

    page.on("dialog", note)
    log_in(page, panel)
    refused = []
    for at, noun in enumerate(NOUNS.values()):
        text = TEXTS[at % len(TEXTS)]
        page.goto(panel.url + form_of(noun, parents))
        form = page.locator("main form[data-save]").first
        names = form.evaluate(f"(form, text) => ({FILL})([form, text])", text)
        assert names, noun.key
        form.locator("[data-save-button]").click()
        expect(page.locator("[data-refusal], .toast").first).to_be_visible()

        if page.locator("[data-refusal]").count():
            refused.append(noun.key)
            values = page.locator("main form[data-save]").first.evaluate(VALUES)
            whole = {name: text for name in names if not is_secret(noun, name)}
            assert {name: values[name] for name in whole} == whole, noun.key
        else:
            expect(page.locator("main")).to_contain_text(text)
        assert (dialogs, page.locator("main img[src=x]").count()) == ([], 0), noun.key
    assert refused
