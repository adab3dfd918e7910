"""Fixtures for tests of fits of several processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from combo_lightning.checkpoint import load_checkpoint
from tests.parallel.started import SHORT, Started, options_of


@pytest.fixture
def started() -> Iterator[list[Started]]:
    """Fits that this test has started; what is left of them is killed at its end."""
    runs: list[Started] = []
    yield runs
    for run in runs:
        run.end()


@pytest.fixture(scope="session")
def whole_run(
    small_screen: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, torch.Tensor]:
    """The weights of the same fit, on two processes, that nobody killed."""
    folder = tmp_path_factory.mktemp("whole")
    run = Started("run", folder, *options_of("ddp.yaml", small_screen, folder, *SHORT))
    assert run.process.wait(120) == 0, run.log.read_text()
    last = load_checkpoint(folder / "run" / "checkpoints" / "last.ckpt")
    weights: dict[str, torch.Tensor] = last["state_dict"]
    return weights
