"""No text becomes syntax."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardpanel.bundle import Origin
from guardpanel.rendering import tokens
from guardpanel.rendering.templates import template
from guardpanel.rendering.tokens import Token, UnsafeText, literal, number, seclang, split_origins, word
from guardpanel.shipped import config_templates

SAFE = st.text().filter(lambda text: not tokens.UNSAFE.search(text))


def haproxy_words(line: str) -> list[str]:
    """HAProxy's own reading of a line, as far as single quotes go (src/tools.c, parse_line)."""
    words, current, quoted, at = [], None, False, 0
    while at < len(line):
        character = line[at]
        if quoted:
            quoted = character != "'"
            current = (current or "") + ("" if character == "'" else character)
        elif character == "'":
            quoted, current = True, current or ""
        elif character == "\\":
            at += 1
            current = (current or "") + line[at]
        elif character == " ":
            words += [current] if current is not None else []
            current = None
        else:
            assert character not in '#"$', "syntax outside of quotes"
            current = (current or "") + character
        at += 1
    assert not quoted
    return [*words, current] if current is not None else words


@given(SAFE)
def test_any_text_is_one_word_of_haproxy(text: str) -> None:
    assert haproxy_words(f"http-request set-header x {word(text)} if TRUE") == [
        "http-request",
        "set-header",
        "x",
        text,
        "if",
        "TRUE",
    ]


@given(SAFE)
def test_a_word_is_one_line_for_everybody(text: str) -> None:
    assert len(str(word(text)).splitlines()) == 1


@given(st.text(), st.sampled_from("\0\n\r\t\v\f\x1b\x7f\x85\u2028\u2029\ufeff"), st.text())
def test_a_control_character_is_refused(before: str, control: str, after: str) -> None:
    with pytest.raises(UnsafeText):
        word(before + control + after)


@given(SAFE)
def test_a_percent_sign_stays_one_in_a_log_format(text: str) -> None:
    (encoded,) = haproxy_words(tokens.log_format(text))

    assert "%" not in encoded.replace("%%", "")
    assert encoded.replace("%%", "%") == text


@given(st.text())
def test_literals_hold_nothing_that_means_something(text: str) -> None:
    try:
        made = literal(text)
    except UnsafeText:
        return
    assert re.fullmatch(r"[!-~]*", made)
    assert not set(made) & set("'\"\\#${}%()<>&|`;") - {";"}


@given(st.text())
def test_seclang_text_cannot_leave_its_quotes(text: str) -> None:
    try:
        made = seclang(text)
    except UnsafeText:
        return
    assert not set(made) & set("'\"\\\n\r\t%{}();=<>@")


@pytest.mark.parametrize("text", ["a b", "a'b", 'a"b', "a#b", "a\nb", "$HOME", "é", "a\0", "a\n"])
def test_a_literal_with_white_space_or_quotes_is_refused(text: str) -> None:
    with pytest.raises(UnsafeText):
        literal(text)


@pytest.mark.parametrize("value", ["1", 1.0, True, None, Token("1")])
def test_only_a_whole_number_is_a_number(value: object) -> None:
    with pytest.raises(UnsafeText):
        number(value)  # type: ignore[arg-type]


@given(st.integers())
def test_a_number_is_written_in_digits(value: int) -> None:
    assert re.fullmatch(r"-?[0-9]+", number(value))


@pytest.mark.parametrize("value", ["plain", 7, None, ["a"], b"bytes"])
def test_a_plain_value_in_a_config_template_raises(value: object) -> None:
    environment = template("haproxy/coraza.cfg.j2").environment

    with pytest.raises(UnsafeText, match="without an encoder"):
        environment.from_string("line {{ value }}").render(value=value)
    with pytest.raises(UnsafeText):
        environment.from_string("line {{ nothing }}").render()


def test_a_token_made_into_something_else_is_plain_again() -> None:
    environment = template("haproxy/coraza.cfg.j2").environment

    for expression in [
        "(value | literal) ~ 'x'",
        "(value | literal) | upper",
        "value | literal | replace('a', ' ')",
        "[value | literal] | join(' ')",
    ]:
        with pytest.raises(UnsafeText):
            environment.from_string("{{ " + expression + " }}").render(value="a")


def test_config_templates_never_print_with_escaping_switched_off() -> None:
    for path in config_templates().rglob("*.j2"):
        assert not re.search(r"\|\s*safe\b|Markup", path.read_text("utf-8")), path


def test_marks_are_taken_out_and_remembered() -> None:
    mark = tokens.origin_mark("virtual_host", 7, "servers.0.address")

    text, origins = split_origins(f"first\nsecond a {mark}\n\nlast {mark}\n")

    assert text == "first\nsecond a\n\nlast\n"
    assert origins == {
        2: Origin("virtual_host", 7, "servers.0.address"),
        4: Origin("virtual_host", 7, "servers.0.address"),
    }
    assert origins[2].noun is origins[4].noun and origins[2].field is origins[4].field  # Of thousands of lines.
