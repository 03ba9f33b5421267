"""The shortest body of which the same reader still hands out something that no rule sees."""

from collections.abc import Callable, Iterator

from tests.parsers.body import Body


def reduced(body: Body, is_finding: Callable[[Body], bool]) -> Body:
    """By leaving out ever shorter pieces, as long as that leaves a finding."""
    size = max(1, len(body.content) // 2)
    while size:
        for smaller in without(body, size):
            if is_finding(smaller):
                body = smaller
                break
        else:
            size //= 2
    return body


def without(body: Body, size: int) -> Iterator[Body]:
    for at in range(0, len(body.content), size):
        yield Body(body.content_type, body.content[:at] + body.content[at + size :], body.kind)
