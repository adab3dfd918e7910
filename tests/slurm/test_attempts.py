"""Restarts are counted, and a run that gets nowhere is told from one that does."""

import os
from pathlib import Path

import pytest

from combo_lightning.slurm.allocation import Allocation
from combo_lightning.slurm.attempts import Attempts, newest_save


def start(run: Path, restarts: int, job: str = "7") -> Attempts:
    attempts = Attempts(run)
    attempts.begin(Allocation(job, restarts, ("node1", "node2"), (1, 1)))
    return Attempts(run)


def save(path: Path, at: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, ns=(at, at))


@pytest.mark.parametrize("where", ["checkpoints", "group_1/checkpoints"])
def test_a_restart_that_has_saved_nothing_is_stuck(where: str, tmp_path: Path) -> None:
    assert start(tmp_path, 0).stuck("7") is None
    # The first start may be lost before it saves.
    again = start(tmp_path, 1)
    again.end("ended with exit code 1")
    stuck = Attempts(tmp_path).stuck("7")
    assert stuck is not None
    assert "restart 1 of job 7 has saved nothing (ended with exit code 1)" in stuck
    save(tmp_path / where / "last.ckpt", 10)
    assert Attempts(tmp_path).stuck("7") is None


def test_progress_is_a_checkpoint_that_was_not_there_before(tmp_path: Path) -> None:
    save(tmp_path / "checkpoints" / "last.ckpt", 10)
    attempts = start(tmp_path, 1)
    assert attempts.stuck("7") is not None
    save(tmp_path / "checkpoints" / "last.ckpt", 11)
    assert attempts.stuck("7") is None


def test_what_another_job_has_done_does_not_count(tmp_path: Path) -> None:
    start(tmp_path, 3, job="6")
    attempts = start(tmp_path, 0)
    assert [attempt.job for attempt in attempts.all] == ["6", "7"]
    assert len(attempts.of("7")) == 1
    assert attempts.stuck("7") is None
    assert attempts.stuck("5") is None


def test_the_record_says_where_when_and_why(tmp_path: Path) -> None:
    attempts = start(tmp_path, 0)
    attempts.end("finished")
    (found,) = Attempts(tmp_path).all
    assert (found.nodes, found.why) == ("node1,node2", "finished")
    assert found.ended is not None
    assert found.ended >= found.began
    assert newest_save(tmp_path) == 0
