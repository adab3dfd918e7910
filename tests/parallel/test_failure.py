"""Processes of a real run that die or stop while it computes: the others end, and say why."""

import os
import re
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
    ended,
    options_of,
)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("phase", ["step", "validation"])
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("config", ["ddp.yaml", "fsdp.yaml"])
def test_a_killed_rank_ends_the_run_and_a_restart_gives_the_whole_runs_weights(
    config: str,
    rank: int,
    phase: str,
    started: list[Started],
    small_screen: Path,
    tmp_path: Path,
    whole_run: dict[str, torch.Tensor],
) -> None:
    run = Started("run", tmp_path, *options_of(config, small_screen, tmp_path, *SHORT))
    started.append(run)
    pid = run.wait_for(phase, rank)
    # The other one is waited for afterwards, so it must have told who it is.
    run.wait_for(phase, 1 - rank)
    os.kill(pid, signal.SIGKILL)
    run.wait_for_end(ENDS_WITHIN_SECONDS)
    run.assert_names_the_dead(rank)
    assert_a_restart_reaches(whole_run, tmp_path / "run", started)


def test_a_stopped_rank_ends_the_run_and_is_named(
    started: list[Started], small_screen: Path, tmp_path: Path
) -> None:
    more = ["--trainer.max_epochs=300", "--trainer.strategy.silence_seconds=4"]
    run = Started("run", tmp_path, *options_of("ddp.yaml", small_screen, tmp_path, *more))
    started.append(run)
    pid = run.wait_for("step", 1)
    os.kill(pid, signal.SIGSTOP)
    assert run.process.wait(ENDS_WITHIN_SECONDS) != 0
    assert re.search(r"rank 1 on \S+ has not answered for 4 s", run.log.read_text())
    # It could not end while it was stopped; once continued it is no orphan.
    assert not ended(pid)
    os.kill(pid, signal.SIGCONT)
    run.wait_for_end(ENDS_WITHIN_SECONDS)


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_one_rank_saves_and_ends_all(
    asked: signal.Signals, started: list[Started], small_screen: Path, tmp_path: Path
) -> None:
    more = ["--trainer.max_epochs=300"]
    run = Started("run", tmp_path, *options_of("ddp.yaml", small_screen, tmp_path, *more))
    started.append(run)
    os.kill(run.wait_for("step", 1), asked)
    assert run.process.wait(ENDS_WITHIN_SECONDS) == 128 + asked, run.log.read_text()
    said = run.log.read_text()
    step = re.search(rf"stopped by {asked.name} at step (\d+)", said)
    assert step is not None, said
    saved = load_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert saved["global_step"] == int(step.group(1))
