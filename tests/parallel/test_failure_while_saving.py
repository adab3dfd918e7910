"""Processes that die while they save: a whole checkpoint is there, and a restart goes on."""

import os
import signal
from pathlib import Path

import pytest
import torch

from combo_lightning.checkpoint import load_checkpoint
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


# The second publication has one before it; the sixth is of the fit's last step, after which a run
# that calls itself finished would not be gone on with.
@pytest.mark.parametrize(
    ("config", "rank", "hold", "valid_step"),
    [
        ("fsdp.yaml", 0, "written 2", 2),
        ("fsdp.yaml", 1, "written 2", 2),
        ("fsdp.yaml", 0, "renamed 2", 4),
        ("fsdp.yaml", 1, "renamed 2", 4),
        ("fsdp.yaml", 0, "written 6", 10),
        ("ddp.yaml", 0, "written 2", 2),
        ("ddp.yaml", 1, "renamed 2", 4),
    ],
)
def test_a_kill_beside_the_rename_leaves_the_old_or_the_new_checkpoint_and_no_orphan(
    config: str,
    rank: int,
    hold: str,
    valid_step: int,
    started: list[Started],
    small_screen: Path,
    tmp_path: Path,
    whole_run: dict[str, torch.Tensor],
) -> None:
    options = options_of(config, small_screen, tmp_path, *SHORT)
    run = Started("run", tmp_path, *options, hold=hold)
    started.append(run)
    run.wait_for("held", 0)
    os.kill(run.wait_for("step", rank), signal.SIGKILL)
    run.wait_for_end(ENDS_WITHIN_SECONDS)
    run.assert_names_the_dead(rank)
    saved = load_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert saved["global_step"] == valid_step
    assert_a_restart_reaches(whole_run, tmp_path / "run", started)
