"""Jobs that are told to save, lose processes and nodes, and go on: on a real Slurm cluster."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from combo_lightning.checkpoint import load_checkpoint
from combo_lightning.slurm.attempts import ATTEMPTS
from tests.slurm.cluster import Cluster
from tests.slurm.test_templates import DDP, DEMO, FIT, SMALL

pytestmark = [pytest.mark.slow, pytest.mark.slurm, pytest.mark.timeout(600)]

SLOW = "--trainer.callbacks+=tests.slurm.slow.Slow"


def options(screen: Path, run: Path, steps: int, seconds: float, *more: str) -> list[str]:
    """Give the options of a fit in which a step takes some time on rank 1."""
    return [
        DEMO, DDP, *SMALL, f"--data.path={screen}", f"--run_dir={run}",
        "--trainer.max_epochs=-1", f"--trainer.max_steps={steps}", "--save_every_n_train_steps=10",
        SLOW, f"--trainer.callbacks.seconds={seconds}", "--trainer.callbacks.rank=1", *more,
    ]  # fmt: skip


def attempts(run: Path) -> list[dict[str, Any]]:
    """Read how often a run was started, and why."""
    found: list[dict[str, Any]] = json.loads((run / ATTEMPTS).read_text())["attempts"]
    return found


def at_step(run: Path, step: int) -> bool:
    """Tell whether a run has come so far."""
    try:
        return bool(json.loads((run / "status.json").read_text())["step"] >= step)
    except (OSError, ValueError):
        return False


def last(run: Path) -> dict[str, Any]:
    """Load where a run stands."""
    return load_checkpoint(run / "checkpoints" / "last.ckpt")


def assert_equal_weights(run: Path, other: Path) -> None:
    """Make sure that two runs have ended with the same bits, and the same log."""
    a, b = last(run), last(other)
    assert a["global_step"] == b["global_step"]
    for name, weight in a["state_dict"].items():
        assert torch.equal(weight, b["state_dict"][name]), name
    assert (run / "metrics.csv").read_text() == (other / "metrics.csv").read_text()


def test_a_requeued_fit_ends_with_the_weights_of_an_uninterrupted_one(
    cluster: Cluster, small_screen: Path, tmp_path: Path
) -> None:
    run, other = tmp_path / "run", tmp_path / "other"
    job = cluster.submit(tmp_path, "--nodes=2", FIT, *options(small_screen, run, 60, 0.2))
    quiet = cluster.submit(tmp_path, "--nodes=2", FIT, *options(small_screen, other, 60, 0.0))
    job.wait_until(lambda: at_step(run, 15))
    cluster.run("scancel", "--signal=USR1", job.number)
    assert job.wait() == "COMPLETED", job.text
    assert quiet.wait() == "COMPLETED", quiet.text
    assert job.field("Restarts") == "1"
    assert "stopped by SIGUSR1 at step" in job.text
    assert f"job {job.number}, restart 1 (SLURM_RESTART_COUNT)" in job.text
    first, second = attempts(run)
    assert first["why"] == "told to save and end (SIGUSR1)"
    assert second["why"] == "finished"
    assert_equal_weights(run, other)


def test_a_fit_saves_before_its_time_is_over_and_goes_on(
    cluster: Cluster, small_screen: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = options(small_screen, run, 150, 0.3)
    job = cluster.submit(tmp_path, "--nodes=2", "--time=1", FIT, *words)
    assert job.wait(300) == "COMPLETED", job.text
    assert "the job's time is nearly over: told to save" in job.text
    assert int(job.field("Restarts")) >= 1
    assert last(run)["global_step"] == 150


def test_scancel_lets_a_fit_save(cluster: Cluster, small_screen: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = options(small_screen, run, 10_000, 0.05, "--save_every_n_train_steps=0")
    job = cluster.submit(tmp_path, "--nodes=2", FIT, *words)
    job.wait_until(lambda: at_step(run, 5))
    cluster.run("scancel", job.number)
    assert job.wait() == "CANCELLED", job.text
    assert "stopped by SIGTERM at step" in job.text
    assert last(run)["global_step"] >= 5
    time.sleep(1)
    assert job.field("JobState") == "CANCELLED"


def test_a_killed_process_has_the_job_started_again(
    cluster: Cluster, small_screen: Path, tmp_path: Path
) -> None:
    run, other = tmp_path / "run", tmp_path / "other"
    job = cluster.submit(tmp_path, "--nodes=2", FIT, *options(small_screen, run, 60, 0.2))
    quiet = cluster.submit(tmp_path, "--nodes=2", FIT, *options(small_screen, other, 60, 0.0))
    job.wait_until(lambda: at_step(run, 15))
    os.kill(job.pid(rank=1), signal.SIGKILL)
    assert job.wait() == "COMPLETED", job.text
    assert quiet.wait() == "COMPLETED", quiet.text
    assert "rank 1 on" in job.text
    assert attempts(run)[0]["why"] == "a process was killed (exit code 137; out of memory?)"
    assert_equal_weights(run, other)


@pytest.mark.parametrize("event", ["crash", "link"])
def test_a_lost_node_moves_the_fit_to_other_nodes(
    event: str, cluster: Cluster, small_screen: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = ["--nodes=2", "--exclude=node4", FIT, *options(small_screen, run, 100, 0.2)]
    job = cluster.submit(tmp_path, *words)
    job.wait_until(lambda: at_step(run, 15))
    node = job.nodes()[1]
    with cluster.lost(node, link=event == "link"):
        job.wait_until(lambda: job.field("Restarts") == "1", 120)
        assert job.wait() == "COMPLETED", job.text
        first, second = attempts(run)
        assert node in first["nodes"]
        assert node not in second["nodes"]
    assert last(run)["global_step"] == 100
    assert "goes on from" in job.text


def test_a_job_that_gets_nowhere_stops_and_says_why(
    cluster: Cluster, small_screen: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = options(small_screen, run, 100, 0.0, "--trainer.callbacks+=tests.slurm.slow.Die")
    job = cluster.submit(tmp_path, "--nodes=2", FIT, *words)
    assert job.wait() == "FAILED", job.text
    assert job.field("Restarts") == "1"
    said = f"restart 1 of job {job.number} has saved nothing (a process was killed"
    assert said in job.text
    assert "Traceback" not in job.text


def test_a_full_disk_ends_the_job_with_its_last_checkpoint(
    cluster: Cluster, small_screen: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    words = options(small_screen, run, 100, 0.1, "--trainer.devices=1", "--trainer.strategy=auto")
    with cluster.mounted("node1", run, "tmpfs", "size=500k"):
        job = cluster.submit(tmp_path, "--nodes=1", "--nodelist=node1", FIT, *words)
        assert job.wait() == "FAILED", job.text
        assert job.field("ExitCode") == "2:0", job.text
        assert job.field("Restarts") == "0"
    assert "No space left on device" in job.text
    assert "Traceback" not in job.text
