"""What tests of screens share."""

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from combo_lightning.inference import pair_space
from tests.inference.brute_force import PRODUCTS
from tests.inference.models import make_checkpoint


@pytest.fixture(scope="module")
def small_blocks() -> Iterator[None]:
    """Many blocks, so that their edges are met."""
    with (
        patch.object(pair_space, "FIRST_AT_ONCE", 3),
        patch.object(pair_space, "SECOND_AT_ONCE", 5),
    ):
        yield


@pytest.fixture(scope="module")
def checkpoint(small_screen: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A symmetric network with every product."""
    out = tmp_path_factory.mktemp("model") / "symmetric.ckpt"
    return make_checkpoint(small_screen, out, join="symmetric", **PRODUCTS)
