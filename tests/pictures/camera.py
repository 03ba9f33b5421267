"""One page in four pictures, and what a script finds wrong in each."""

import re
from pathlib import Path
from typing import Literal

from playwright.sync_api import BrowserContext

MEASURE = Path(__file__).with_name("measure.js").read_text()

LOOKS: tuple[tuple[str, int, Literal["light", "dark"]], ...] = (
    ("wide-light", 1440, "light"),
    ("wide-dark", 1440, "dark"),
    ("narrow-light", 390, "light"),
    ("narrow-dark", 390, "dark"),
)
PATIENCE_MS = 180_000
FOLLOWS = "[data-stream]:not([data-followed=ended])"
"A part of the page that is not there yet."

SUBMIT = """() => {
    const post = "form[method=post]", form = document.querySelector(`main ${post}`) ?? document.querySelector(post);
    HTMLFormElement.prototype.submit.call(form);
}"""


class Camera:
    """Of somebody's browser."""

    def __init__(self, context: BrowserContext, url: str, out: Path) -> None:
        self.context, self.url, self.out = context, url, out
        context.set_default_timeout(PATIENCE_MS)
        self.page = context.new_page()
        self.lines: list[str] = []

    def take(self, name: str, path: str) -> None:
        self.page.set_viewport_size({"width": 1440, "height": 900})
        answer = self.page.goto(self.url + path)
        self.page.locator(FOLLOWS).first.wait_for(state="detached")
        self.shoot(name, f"{answer.status if answer else 0} {path}")

    def submit(self, name: str) -> None:
        """What comes back when the page's form is sent, whatever the browser itself would say to it."""
        with self.page.expect_navigation():
            self.page.evaluate(SUBMIT)
        self.page.wait_for_load_state()
        self.shoot(name, "after a form was sent")

    def shoot(self, name: str, about: str, *, whole: bool = True) -> None:
        faults: dict[str, list[str]] = {}
        for look, width, scheme in LOOKS:
            self.page.emulate_media(color_scheme=scheme)
            self.page.set_viewport_size({"width": width, "height": 900 if width > 760 else 844})
            for line in self.page.evaluate(MEASURE) if scheme == "light" else ():
                faults.setdefault(line, []).append(look.partition("-")[0])
            self.page.screenshot(path=self.out / f"{name}.{look}.jpg", full_page=whole, type="jpeg", quality=80)
        self.note([f"== {name}: {about}", *(f"   {'+'.join(looks)} {line}" for line, looks in faults.items())])

    def note(self, lines: list[str]) -> None:
        with (self.out / "faults.txt").open("a") as file:
            file.writelines(re.sub(r"\s+$", "", line) + "\n" for line in lines)
        print("\n".join(lines), flush=True)
