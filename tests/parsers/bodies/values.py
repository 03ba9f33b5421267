"""Values that are found again, and names."""

from random import Random

NAMES = ("q", "a", "id", "user", "q[x]", "q[]", "a.b", "q[x][y]", "Q", "naïve", "a b", "a-b", "first_name", "_charset_")

TAILS = (
    "",
    "'x",
    '"y',
    "<z>",
    " or 1=1",
    "\\'w",
    ";--",
    "&amp;v",
    "é",
    "\x00u",
    "\r\nt",
    "{{s}}",
    "%27r",
    "+p",
    "${o}",
    "=n",
    "|m",
)


def value(chance: Random) -> str:
    """A word that stands nowhere else in the body, and something that an attack would have."""
    word = "z" + "".join(chance.choices("bcdfghjkmnpqrstvwx", k=6))
    return word + chance.choice(TAILS) + chance.choice(("", "", "k" + word[1:4]))


def name(chance: Random) -> str:
    return chance.choice(NAMES) if chance.random() < 0.5 else chance.choice(NAMES[:4])
