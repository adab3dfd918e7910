"""The scripts' GPU lines on a real Slurm whose nodes have four GPUs each, by name alone.

What Slurm grants and tells the processes is real; there is no GPU behind it, so CUDA, NCCL and
NCCL_SOCKET_IFNAME are not tested.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from combo_lightning.ltfb.place import gpus, own_devices
from tests.conftest import ROOT
from tests.slurm.cluster import Cluster, Job
from tests.slurm.conftest import started
from tests.slurm.events import DDP, DEMO, FIT
from tests.slurm.test_templates import SHORT

pytestmark = [pytest.mark.slow, pytest.mark.slurm]

# As the scripts' comments say it.
TASK_A_GPU = ["--gpus-per-node=4", "--ntasks-per-node=4"]
ONE_GPU = ["--gpus-per-node=1"]


@pytest.fixture(scope="module")
def gpu_cluster() -> Iterator[Cluster]:
    """Two nodes with eight cores and four GPUs each."""
    with started(SLURM_CI_NODES="2", SLURM_CI_GPUS="4", SLURM_CI_CPUS="8") as found:
        yield found


def seen_by_tasks(cluster: Cluster, folder: Path, *words: object) -> list[tuple[int, str | None]]:
    """Submit a job; give each task's number on its node, and the GPUs that Slurm shows it."""
    job = cluster.submit(
        folder,
        *words,
        "--wrap=srun bash -c 'echo task $SLURM_LOCALID ${CUDA_VISIBLE_DEVICES-unset}'",
    )
    assert job.wait() == "COMPLETED", job.text
    found = re.findall(r"^task (\d+) (\S*)$", job.text, re.MULTILINE)
    return [(int(rank), None if seen == "unset" else seen) for rank, seen in found]


def test_the_scripts_lines_are_those_tested_here() -> None:
    for script in (ROOT / "scripts" / "slurm").glob("*.sbatch"):
        for line in script.read_text().splitlines():
            if line.startswith("# sbatch --gpus"):
                words = line.split(" ...")[0].removeprefix("# sbatch ").split()
                assert words in (TASK_A_GPU, ONE_GPU), script.name


def test_all_tasks_of_a_node_see_all_its_gpus_and_groups_take_their_own(
    gpu_cluster: Cluster, tmp_path: Path
) -> None:
    tasks = seen_by_tasks(gpu_cluster, tmp_path, "--nodes=2", *TASK_A_GPU)
    assert sorted(rank for rank, _ in tasks) == [0, 0, 1, 1, 2, 2, 3, 3]
    # Lightning takes the one of its local rank.
    assert {seen for _, seen in tasks} == {"0,1,2,3"}
    (visible,) = {tuple(gpus({"CUDA_VISIBLE_DEVICES": seen or ""})) for _, seen in tasks}
    for size in (1, 2, 4):
        groups = [own_devices(first, size, visible) for first in range(0, 4, size)]
        given = ",".join(group["CUDA_VISIBLE_DEVICES"] for group in groups)
        assert given == "0,1,2,3"


def test_folds_on_one_node_have_a_gpu_each(gpu_cluster: Cluster, tmp_path: Path) -> None:
    # Both at once, so that they are side by side.
    show = "--wrap=srun bash -c 'echo $CUDA_VISIBLE_DEVICES > fold-$SLURM_ARRAY_TASK_ID; sleep 3'"
    words = ["--array=0-1", "--nodelist=node1", "--mem=500", *ONE_GPU, show]
    number = gpu_cluster.submit(tmp_path, *words).number
    for fold in range(2):
        job = Job(gpu_cluster, f"{number}_{fold}", tmp_path / "no.log")
        assert job.wait() == "COMPLETED"
    seen = [(tmp_path / f"fold-{fold}").read_text().strip() for fold in range(2)]
    assert sorted(seen) == ["0", "1"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        # Each sees one, by its own number; Lightning would look for more.
        (["--gpus-per-task=1", "--ntasks-per-node=4"], {"0", "1", "2", "3"}),
        # Slurm says nothing: without cgroups a process sees other jobs' GPUs, too.
        (["--gpus-per-node=4", "--gpu-bind=none", "--ntasks-per-node=4"], {None}),
    ],
    ids=["per-task", "bind-none"],
)
def test_what_other_lines_do(
    words: list[str], expected: set[str | None], gpu_cluster: Cluster, tmp_path: Path
) -> None:
    tasks = seen_by_tasks(gpu_cluster, tmp_path, "--nodes=1", *words)
    assert {seen for _, seen in tasks} == expected


def test_more_gpus_than_a_node_has_are_refused_at_submission(
    gpu_cluster: Cluster, tmp_path: Path
) -> None:
    done = subprocess.run(
        ["sbatch", "--gpus-per-node=5", str(FIT)],
        env=gpu_cluster.environment,
        cwd=tmp_path,
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "Requested node configuration is not available" in done.stderr


def test_a_fit_of_a_task_for_each_gpu_runs_on_processors(
    gpu_cluster: Cluster, small_screen: Path, tmp_path: Path
) -> None:
    job = gpu_cluster.submit(
        tmp_path, *TASK_A_GPU, FIT, DEMO, DDP, *SHORT, f"--data.path={small_screen}",
        "--trainer.accelerator=cpu",
    )  # fmt: skip
    assert job.wait() == "COMPLETED", job.text
    assert job.field("TresPerNode").endswith("gpu:4")
    assert (tmp_path / "runs" / f"{small_screen.name}-{job.number}").is_dir()
