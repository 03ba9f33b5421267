"""What an agent says of its rules: read, or refused as what it is."""

import pytest

from guardpanel.engines.waf.rule_set import parse
from guardpanel.errors import EngineUnavailable


@pytest.mark.parametrize(
    "body", [b"[]", b"null", b'{"rules": [null]}', b'{"rules": [[]]}', b'{"rules": 1}', b"x", b'"rules"']
)
def test_an_answer_that_is_no_rule_set_is_refused(body: bytes) -> None:
    with pytest.raises(EngineUnavailable, match="unexpected response"):
        parse(body, "etag")
