"""Processes that die while they save: a whole checkpoint is there, and a restart goes on."""

import os
import signal
from pathlib import Path

import pytest
import torch

from tests.parallel.started import (
    ENDS_WITHIN_SECONDS,
    SHORT,
    Started,
    assert_a_restart_reaches,
    options_of,
)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("config", ["ddp.yaml", "fsdp.yaml"])
def test_a_rank_killed_while_saving_ends_the_run_and_a_restart_gives_the_whole_runs_weights(
    config: str,
    rank: int,
    started: list[Started],
    small_screen: Path,
    tmp_path: Path,
    whole_run: dict[str, torch.Tensor],
) -> None:
    run = Started("run", tmp_path, *options_of(config, small_screen, tmp_path, *SHORT))
    started.append(run)
    os.kill(run.wait_for("saving", rank), signal.SIGKILL)
    run.wait_for_end(ENDS_WITHIN_SECONDS)
    run.assert_names_the_dead(rank)
    assert_a_restart_reaches(whole_run, tmp_path / "run", started)
