"""A hostname that is refused says why, in our words."""

import pytest
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from guardpanel.errors import Invalid
from guardpanel.models.hostname import known_hostnames
from guardpanel.models.types import hostname
from guardpanel.models.virtual_host import VirtualHostFields
from guardpanel.views.forms import Form
from tests.factories import a_virtual_host

PUNYCODE = "a part that begins with xn-- is not valid Punycode"

FAULTS = [
    ("bad host", "a space is not allowed"),
    ("a\u00a0b", "a space is not allowed"),
    ("é_b.example", "_ is not allowed"),
    ("xn--a_b.example", "_ is not allowed"),
    ("＿dmarc.example", "＿ is not allowed"),
    ("-a_b.example", "no part can begin or end with a hyphen"),
    ("a_b!.example", "! is not allowed"),
    ("x" * 60 + "_xyz.example", "a part between dots can have at most 63 characters"),
    ("a!b.example", "! is not allowed"),
    ("😀.example", "😀 is not allowed"),
    ("a·b", "· is not allowed"),
    ("*.a.*", "* is not allowed"),
    ("a..b", "two dots follow each other, or it begins with a dot"),
    (".shop.example", "two dots follow each other, or it begins with a dot"),
    ("x" * 64 + ".example", "a part between dots can have at most 63 characters"),
    ("x." * 130 + "x", "it can have at most 253 characters"),
    ("-a.example", "no part can begin or end with a hyphen"),
    ("a-.example", "no part can begin or end with a hyphen"),
    ("ab--c.example", "no part can have hyphens as its third and fourth characters"),
    ("xn--zzzz.example", PUNYCODE),
    ("אa.example", "it mixes left-to-right and right-to-left scripts in a way that is not allowed"),
    ("\u0301a.example", "no part can begin with a combining mark"),
]


@pytest.mark.parametrize(("typed", "words"), FAULTS)
def test_form_and_json_say_why_it_is_no_hostname(typed: str, words: str) -> None:
    form = {name: [value] for name, value in a_virtual_host(typed).items()}

    with pytest.raises(Invalid) as of_form:
        Form(form).fields(VirtualHostFields)
    with pytest.raises(ValidationError) as of_json:
        VirtualHostFields.model_validate({"hostnames": [typed], "servers": [{"address": "127.0.0.1:3000"}]})

    message = f"{typed[:80]} is not a hostname: {words}."
    assert message in " ".join(error.message for error in of_form.value.errors.values())
    assert message in str(of_json.value)


@pytest.mark.parametrize(
    "name", ["a_b.example", "_a.example", "a_.example", "_", "*.x_y.example", "a_b.xn--mnchen-3ya.example"]
)
def test_a_name_may_have_underscores(name: str) -> None:
    assert hostname(name) == hostname(name.upper()) == name


def test_underscores_may_stand_beside_other_scripts() -> None:
    assert hostname("A_B。münchen.example") == "a_b.xn--mnchen-3ya.example"


def test_several_hostnames_in_a_line_are_refused_with_what_to_do() -> None:
    with pytest.raises(PydanticCustomError, match="Enter one hostname per line"):
        known_hostnames(["shop.example www.shop.example"])
    with pytest.raises(PydanticCustomError, match="a space is not allowed"):
        known_hostnames(["shop .example"])
