"""`combo-lightning slurm` on a real cluster: what it refuses, and jobs up to their ends."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Outcome
from tests.slurm.breaking import hidden
from tests.slurm.cluster import Cluster
from tests.slurm.events import DDP, DEMO, SMALL

pytestmark = [pytest.mark.slow, pytest.mark.slurm]


@pytest.fixture
def here(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that all nodes see, on a machine that knows the cluster."""
    for name in ("SLURM_CONF", "PATH", "PYTHONPATH"):
        monkeypatch.setenv(name, cluster.environment[name])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def words(small_screen: Path) -> list[str]:
    return ["fit", DEMO, DDP, *SMALL, f"--data.path={small_screen}"]


def in_process(cluster: Cluster, folder: Path, *words: object) -> Outcome:
    """Run a command as its user does."""
    done = subprocess.run(
        [sys.executable, "-m", "combo_lightning", "slurm", *map(str, words)],
        env=cluster.environment,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=False,
    )
    return Outcome(done.returncode, done.stdout)


def test_a_dry_run_prints_the_script_and_leaves_nothing(
    here: Path, words: list[str], run_here: Callable[..., Outcome]
) -> None:
    outcome = run_here("slurm", "submit", "--dry-run", "-N2", "--time=1:00:00", *words)
    assert outcome.code == 0, outcome.output
    assert "fit on 2 nodes x 1 tasks" in outcome.output
    assert "nodes: what is named is there, by a look from 2 idle" in outcome.output
    assert f"\n#SBATCH --chdir={here}\n" in outcome.output
    assert "\n#SBATCH --nodes=2\n" in outcome.output
    assert list(here.iterdir()) == []


def test_what_the_cluster_does_not_have_is_refused_with_a_sentence(
    cluster: Cluster, here: Path, words: list[str], run_here: Callable[..., Outcome]
) -> None:
    cluster.run("scontrol", "create", "partition=pair", "nodes=node[1-2]", "maxtime=60")
    try:
        for options, sentence in {
            "--nodes=5": "--nodes is 5, but partition main has 4 nodes; ask for fewer",
            "--nodes=4 --partition=pair": "--nodes is 4, but partition pair has 2 nodes",
            "--nodes=2 --partition=nope": "invalid partition specified: nope",
            "--nodes=2 --partition=pair --time=2:00:00": "Requested time limit is invalid",
            "--nodes=2 --nodez=2": "unrecognized option '--nodez=2'",
            "--nodes=2 --gpus=1": "Slurm would not take the job: sbatch: ",
        }.items():
            outcome = run_here("slurm", "submit", *options.split(), *words)
            assert outcome.code == 2, outcome.output
            (said,) = [line for line in outcome.output.splitlines() if line.startswith("error: ")]
            assert sentence in said
            assert "Traceback" not in outcome.output
    finally:
        cluster.run("scontrol", "delete", "partition=pair")
    assert list(here.iterdir()) == []


def test_a_node_that_does_not_see_the_data_set_is_named(
    cluster: Cluster,
    here: Path,
    words: list[str],
    small_screen: Path,
    run_here: Callable[..., Outcome],
) -> None:
    with hidden(cluster, "node2", small_screen):
        outcome = run_here("slurm", "submit", "--nodes=2", *words)
    assert outcome.code == 2
    assert f"error: node node2 does not see {small_screen}/dataset.json" in outcome.output
    assert list(here.iterdir()) == []


def test_a_job_is_submitted_watched_and_read_to_its_end(
    cluster: Cluster, here: Path, words: list[str], run_here: Callable[..., Outcome]
) -> None:
    run = Path("runs/mine")
    outcome = in_process(
        cluster, here, "submit", "--nodes=2", "--comment", "it's \"a\" \\ test # $HOME", *words,
        f"--run_dir={run}", "--trainer.max_epochs=250",
    )  # fmt: skip
    assert outcome.code == 0, outcome.output
    job = json.loads((run / "submitted.json").read_text())["job"]
    assert f"submitted job {job}: runs/mine/job.sbatch" in outcome.output
    shown = cluster.run("scontrol", "show", "job", "-o", job)
    assert 'Comment=it\'s "a" \\ test # $HOME ' in shown
    assert "JobName=combo-fit-small " in shown
    name = f"{job} combo-fit-small: "
    # By its number, by its folder, and among all, of which it is one while it runs.
    for asked in ([job], [run], []):
        assert run_here("slurm", "status", *asked).output.startswith(name)
    again = run_here("slurm", "submit", "--nodes=2", *words, f"--run_dir={run}")
    assert re.search(rf"error: job {job} of runs/mine is (PENDING|RUNNING|COMPL)", again.output)
    assert again.code == 2
    followed = in_process(cluster, here, "logs", "--follow", run)
    assert followed.code == 0, followed.output
    assert "next: combo-lightning test" in followed.output
    ended = run_here("slurm", "status", run).output
    assert ended.startswith(f"{name}COMPLETED after "), ended
    assert re.search(r"; runs/mine: finished; step 500( of 500)?, epoch 250\n", ended), ended


def test_a_cancelled_job_saves_and_its_way_on_is_named(
    cluster: Cluster, here: Path, words: list[str], run_here: Callable[..., Outcome]
) -> None:
    outcome = run_here("slurm", "submit", "-N2", *words, "--trainer.max_epochs=100000")
    assert outcome.code == 0, outcome.output
    (run,) = (path.relative_to(here) for path in here.glob("runs/*"))
    assert run.name.startswith("small-")
    last = run / "checkpoints" / "last.ckpt"
    wait_until(last.exists)
    cancelled = run_here("slurm", "cancel", run)
    assert cancelled.code == 0, cancelled.output
    assert "its processes get SIGTERM: they save and end, within 5 seconds" in cancelled.output
    on = f"combo-lightning slurm submit --nodes=2 fit --resume {run}"
    assert f"go on with: {on}\n" in cancelled.output
    wait_until(lambda: "CANCELLED" in run_here("slurm", "status", run).output)
    assert "which is saved" in run_here("slurm", "logs", run).output
    twice = run_here("slurm", "cancel", run)
    assert twice.code == 2
    assert "has ended already" in twice.output
    before = last.stat().st_mtime_ns
    resumed = run_here(*on.split()[1:])
    assert resumed.code == 0, resumed.output
    wait_until(lambda: last.stat().st_mtime_ns > before)
    assert run_here("slurm", "cancel", run).code == 0


def wait_until(so: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not so():
        assert time.monotonic() < end
        time.sleep(0.2)
