"""A page of thousands of rows: sorted once, by its keys alone."""

import pytest

from guardpanel.models import Policy
from guardpanel.panel import Panel
from guardpanel.services import policies
from guardpanel.services.paging import PART
from tests.services.saving.test_statements import statements

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("descending", [False, True])
async def test_a_long_page_sorts_all_rows_once_and_reads_none_of_them_whole_for_that(
    panel: Panel, descending: bool
) -> None:
    await panel.background.close()
    async with panel.database.write() as session:
        session.add_all(Policy(name=f"P{number:03}") for number in range(2 * PART + 10))

    async with panel.database.read() as session:
        with statements(panel) as sent:
            listed = await policies.page(session, offset=2, limit=2 * PART + 1, descending=descending)

    names = sorted(
        [f"P{number:03}" for number in range(2 * PART + 10)] + ["Default"], key=str.lower, reverse=descending
    )
    assert [row.name for row in listed.items] == names[2 : 2 * PART + 3]
    sorting = [statement for statement in sent if "ORDER BY" in statement]
    assert len(sorting) == 1 and "description" not in sorting[0]
    assert len(sent) == 2 + 3, "\n".join(sent)
