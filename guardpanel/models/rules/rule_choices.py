"""A selection of rules: by id, id range or tag."""

import re
from typing import Annotated

from pydantic import AfterValidator
from sqlmodel import Field

from guardpanel.models.refusing import refuse
from guardpanel.models.types import Lines, visible

RULES = re.compile(r"(?P<first>[1-9][0-9]{2,8})(?:-(?P<last>[1-9][0-9]{2,8}))?")
TAG = re.compile(r"[A-Za-z][A-Za-z0-9_./:-]{0,99}")

NEEDED = {
    range(900_000, 902_000): "prepares the rule set",
    range(949_000, 950_000): "adds up the score and blocks: without it, nothing is blocked",
    range(959_000, 960_000): "adds up the score of responses and blocks: without it, none is blocked",
    range(980_000, 981_000): "only logs the score",
}
"Rules by which CRS sets up and decides. They detect nothing."

OURS = range(100_000, 200_000)
EVERYTHING = {"OWASP_CRS", "anomaly-evaluation", "reporting"}
"Tags that such rules also have."


def ids(choice: str) -> range | None:
    """The ids of an entry. None for a tag."""
    match = RULES.fullmatch(choice)
    return range(int(match["first"]), int(match["last"] or match["first"]) + 1) if match else None


def known_choices(entries: list[str]) -> list[str]:
    choices = list(dict.fromkeys(re.sub(r"\s*[-–]\s*(?=[0-9])", "-", visible(entry.strip())) for entry in entries))
    for entry in choices:
        must_be_free(entry)
    return choices


def must_be_free(entry: str) -> None:
    """Reject what is not a rule, and rules that all others depend on."""
    numbers = ids(entry)
    if not entry:
        raise refuse("Enter a rule ID (942100), range (942100-942199), or tag (attack-sqli).")
    if numbers is None:
        if not TAG.fullmatch(entry):
            raise refuse(f"{entry[:60]} is not a rule ID (942100), range (942100-942199), or tag (attack-sqli).")
        if entry in EVERYTHING:
            raise refuse(f"{entry} includes the rules that add up the score and block. Choose a narrower tag.")
        return
    if not numbers:
        raise refuse(f"The range {entry} ends before it begins.")
    for needed, what in NEEDED.items():
        if numbers.start < needed.stop and needed.start < numbers.stop:
            first = max(numbers.start, needed.start)
            raise refuse(f"{'Rule ' + entry if len(numbers) == 1 else f'{entry} includes {first}, which'} {what}.")
    if numbers.start < OURS.stop and OURS.start < numbers.stop:
        own = f"Rule {entry} is guardpanel’s own" if len(numbers) == 1 else f"{entry} includes guardpanel’s own rules"
        raise refuse(f"{own}. Change the policy’s limits instead.")


Choices = Annotated[Lines, AfterValidator(known_choices), Field(min_length=1, max_length=100)]
