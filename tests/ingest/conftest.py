from pathlib import Path

import pytest

from tests.ingest.reading import Ground


@pytest.fixture
def ground(folder: Path) -> Ground:
    return Ground(folder)
