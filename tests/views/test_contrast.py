"""What is read can be read in both themes: the contrast of every colour of text on each surface that it stands on.

Contrast as WCAG 2.2 defines it, at least 4.5 (1.4.3). Pages are looked at in a browser (tests/e2e/test_accessibility.py): all in
light, some in dark, since what dark changes is these colours alone.
"""

import re
from pathlib import Path

import pytest

import guardpanel

CSS = Path(guardpanel.__file__).parent / "static" / "css"
COLOUR = re.compile(r"--([a-z0-9-]+): light-dark\(#([0-9a-f]{6}), #([0-9a-f]{6})\);")
THEMES = ("light", "dark")

SURFACES = ("bg", "bg-side", "bg-subtle", "bg-raised")
STANDS_ON = {
    "text": (*SURFACES, "bg-muted", "mark", "accent-bg", "ok-bg", "warn-bg", "bad-bg", "segment-on"),
    "text-2": (*SURFACES, "bg-muted", "accent-bg", "ok-bg", "warn-bg", "bad-bg"),
    "text-3": SURFACES,
    "accent": (*SURFACES, "accent-bg"),
    "ok": (*SURFACES, "ok-bg"),
    "warn": (*SURFACES, "warn-bg"),
    "bad": (*SURFACES, "bad-bg"),
    "on-accent": ("accent", "accent-hover", "bad-mark"),
    "bg": ("text",),
}
"A toast is the theme turned round: the background's colour on the text's."

ICONS = {
    "ok-mark",
    "warn-mark",
    "bad-mark",
    "toast-tick",
    "toast-alert",
    "series-blocked",
    "series-detected",
    "series-passed",
}
"Glyphs and charts, no text."

PAIRS = [(text, surface) for text, surfaces in STANDS_ON.items() for surface in surfaces]


def colours() -> dict[str, tuple[str, str]]:
    return {name: (light, dark) for name, light, dark in COLOUR.findall((CSS / "tokens.css").read_text())}


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(color: str, other: str) -> float:
    darker, lighter = sorted((luminance(color), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_measured_as_the_standard_does() -> None:
    assert contrast("000000", "ffffff") == pytest.approx(21)
    assert contrast("767676", "ffffff") == pytest.approx(4.54, abs=0.01)


def test_no_text_has_another_colour() -> None:
    styles = "".join(path.read_text() for path in CSS.glob("*.css") if path.name != "tokens.css")

    assert set(re.findall(r"(?<![-\w])color: var\(--([\w-]+)\)", styles)) == {*STANDS_ON, *ICONS}
    assert not re.search(r"light-dark\(|prefers-color-scheme|(?<![-\w])color: (#|rgb|hsl)", styles)


@pytest.mark.parametrize("theme", THEMES)
def test_text_can_be_read_on_every_surface(theme: str) -> None:
    tokens = {name: pair[THEMES.index(theme)] for name, pair in colours().items()}

    ratios = {(text, surface): contrast(tokens[text], tokens[surface]) for text, surface in PAIRS}

    assert not {pair: round(value, 2) for pair, value in ratios.items() if value < 4.5}
