"""Tournaments on a real Slurm cluster: groups that lose their nodes, groups that come and go."""

import json
from pathlib import Path

import pytest

from combo_lightning.checkpoint import load_checkpoint
from combo_lightning.ltfb.record import read_rounds
from tests.conftest import ROOT
from tests.slurm.cluster import Cluster
from tests.slurm.test_restarts import SLOW, at_step
from tests.slurm.test_templates import DEMO, LTFB, SHORT, SMALL, TOURNAMENTS

pytestmark = [pytest.mark.slow, pytest.mark.slurm, pytest.mark.timeout(600)]

ARRAY = ROOT / "scripts" / "slurm" / "ltfb_array.sbatch"


def options(screen: Path, run: Path, steps: int) -> list[str]:
    """Give the options of a tournament with a round each 10 steps."""
    return [
        DEMO, TOURNAMENTS, *SMALL, f"--data.path={screen}", f"--run_dir={run}",
        "--trainer.callbacks.every_n_train_steps=10",
        "--trainer.max_epochs=-1", f"--trainer.max_steps={steps}", "--save_every_n_train_steps=10",
    ]  # fmt: skip


def slowly(seconds: float) -> list[str]:
    """Give the options that slow all processes down."""
    return [SLOW, f"--trainer.callbacks.seconds={seconds}"]


def test_groups_that_share_a_node_are_steps_of_their_own(
    cluster: Cluster, small_screen: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    job = cluster.submit(
        tmp_path, "--nodes=1", "--ntasks-per-node=2", LTFB, DEMO, TOURNAMENTS, *SHORT,
        f"--data.path={small_screen}", f"--run_dir={run}", "--num_groups=2",
        "--trainer.callbacks.every_n_train_steps=4",
    )  # fmt: skip
    assert job.wait() == "COMPLETED", job.text
    assert any(record.met for record in read_rounds(run).values())
    assert "champion: trainer group" in job.text


def test_a_group_that_loses_its_node_comes_back_when_there_is_one_again(
    cluster: Cluster, small_screen: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = [*options(small_screen, run, 500), *slowly(0.2)]
    job = cluster.submit(tmp_path, "--nodes=4", LTFB, *words)
    job.wait_until(lambda: at_step(run / "group_3", 25))
    with cluster.lost("node4", link=False):
        job.wait_until(lambda: "trainer group 3 has lost node4" in job.text, 90)
        before = json.loads((run / "group_3" / "status.json").read_text())["step"]
    # The node is back, and Slurm gives it to the group's own job.
    job.wait_until(lambda: at_step(run / "group_3", before + 20), 90)
    assert job.wait(300) == "COMPLETED", job.text
    assert "champion: trainer group" in job.text
    assert load_checkpoint(run / "champion.ckpt")["global_step"] == 500
    newest = max(number for number, _ in read_rounds(run))
    # It has met the others again.
    assert any((number, 3) in read_rounds(run) for number in range(newest - 3, newest + 1))
    assert cluster.run("squeue", "-h") == ""


def test_groups_of_an_array_come_and_go(
    cluster: Cluster, small_screen: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = [*options(small_screen, run, 300), *slowly(0.1)]
    # Room for a third group, which begins later.
    first = cluster.submit(tmp_path, "--array=0-1", ARRAY, *words, "--num_groups=3")
    first.wait_until(lambda: at_step(run / "group_1", 25))
    second = cluster.submit(tmp_path, "--array=2", ARRAY, *words, "--num_groups=3")
    second.wait_until(lambda: at_step(run / "group_2", 5))
    cluster.run("scontrol", "requeue", f"{first.number}_1")
    assert first.wait(300) == "COMPLETED", first.text
    assert second.wait(300) == "COMPLETED", second.text
    rounds = read_rounds(run)
    assert {group for _, group in rounds} == {0, 1, 2}
    assert (run / "champion.ckpt").is_file()
