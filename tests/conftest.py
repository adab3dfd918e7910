"""Fixtures for all tests."""

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real NCI-ALMANAC and CellMiner files, which stand beside the project and not in it."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real NCI-ALMANAC and CellMiner files (../shared/data) are not here")
    return SHARED_DATA
