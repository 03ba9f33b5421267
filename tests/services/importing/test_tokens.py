"""Words of a line: the same as HAProxy itself makes of it (`-dC`, HAProxy 2.8 and later)."""

import re
import subprocess
from pathlib import Path
from random import Random

import pytest

from guardpanel.services.importing.tokens import LineError, split
from tests.haproxies import haproxy_binary, versions

PARTS = (
    "a", "path_beg", "-i", " ", "  ", "\t", "\\ ", "\\\\", "\\#", "\\n", "\\x41", "\\'", '\\"', "\\$", "\\q", "\\", "$", "${A}", "$A",
    "'", '"', "'b c'", '"b c"', '"$A"', '"${A}"', '"${NONE-d e}"', '"${NONE-}"', '"${L[*]}"', '"\\$A"', "'$A'", "é", "{", "}", "%[src]", "=", "!",
    '"a\\"b"', "'a\\'", '""', "*", "/", "(", ",",
)  # fmt: skip

ENVIRONMENT = {"A": "x y", "L": "one two"}

LINE = re.compile(r"(\d+)\t(.*)")


def lines(count: int) -> list[str]:
    chance = Random(19)
    texts = ("".join(chance.choices(PARTS, k=chance.randint(1, 8))).strip() for _ in range(count))
    return [f"description {text}" for text in texts]


def is_readable(text: str) -> bool:
    try:
        words = split(text, ENVIRONMENT)
    except LineError:
        return False
    return not re.search(r"[\n\r\t]", "".join(words))


def dumped(haproxy: str, file: Path) -> dict[int, str]:
    result = subprocess.run(
        [haproxy, "-dC,line", "-c", "-f", str(file)], capture_output=True, check=False, timeout=60, env=ENVIRONMENT
    )  # fmt: skip
    return {int(match[1]): match[2] for match in map(LINE.fullmatch, result.stdout.decode().splitlines()) if match}


@pytest.mark.parametrize("version", [version for version in versions() if version != "2.6"])
def test_words_are_those_of_haproxy(version: str, tmp_path: Path) -> None:
    texts = [text for text in lines(600) if is_readable(text)]
    file = tmp_path / "haproxy.cfg"
    file.write_text("global\n" + "\n".join(texts) + "\n")

    output = dumped(haproxy_binary(version), file)

    assert len(texts) > 200
    for number, text in enumerate(texts, 2):
        assert output[number].strip() == " ".join(split(text, ENVIRONMENT)).strip(), text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('a "b', "quote"),
        ("a 'b", "quote"),
        ("a \\xZZ", "hexadecimal"),
        ('a "$"', "variable"),
        ('a "${NONE}"', "environment variable NONE"),
    ],
)
def test_a_line_without_words_says_why(text: str, why: str) -> None:
    with pytest.raises(LineError, match=why):
        split(text, {})
