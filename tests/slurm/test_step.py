"""What srun tells a process; the variables are those of a real srun (Slurm 22.05.8)."""

import pytest

from combo_lightning.errors import InputError
from combo_lightning.slurm.step import Step, find_step, first_host, tasks_of_nodes

# The last task of: srun --nodes=2 --ntasks-per-node=2, in a job of four nodes.
SRUN = {
    "SLURM_JOB_ID": "17",
    "SLURM_STEP_ID": "3",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
    "SLURM_NTASKS": "4",
    "SLURM_NODELIST": "node[1-4]",
    "SLURM_STEP_NODELIST": "node[3-4]",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
    "SLURMD_NODENAME": "node4",
}


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("node1", "node1"),
        ("node[1-2]", "node1"),
        ("node[03,05-07]", "node03"),
        ("node[7]", "node7"),
        ("a-b12,a-b[14-15]", "a-b12"),
        ("rack[1-2]n[03-04,07],login1", "rack1n03"),
        ("nid[001-004]-ib.site.org", "nid001-ib.site.org"),
    ],
)
def test_the_first_host_is_found_in_every_form_of_a_list(nodes: str, first: str) -> None:
    assert first_host(nodes) == first


def test_tasks_of_nodes_are_counted() -> None:
    assert tasks_of_nodes("4") == (4,)
    assert tasks_of_nodes("2(x3),1") == (2, 2, 2, 1)


def test_the_first_node_is_the_steps_and_not_the_jobs() -> None:
    step = find_step(SRUN)
    assert step is not None
    assert step.first_host == "node3"
    assert step.run_name("demo") == "demo-17.3"
    assert step.variables("node3", 29500) == {
        "RANK": "3",
        "WORLD_SIZE": "4",
        "LOCAL_RANK": "1",
        "LOCAL_WORLD_SIZE": "2",
        "GROUP_RANK": "1",
        "MASTER_ADDR": "node3",
        "MASTER_PORT": "29500",
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"SLURM_STEP_NUM_TASKS": "1"},  # srun --pty bash
        {"TORCHELASTIC_RUN_ID": "x"},  # srun torchrun
    ],
)
def test_one_task_and_torchruns_processes_are_no_step(changes: dict[str, str]) -> None:
    assert find_step({**SRUN, **changes}) is None
    assert find_step({}) is None


def test_a_batch_script_that_forgot_srun_is_told() -> None:
    batch = {"SLURM_JOB_ID": "17", "SLURM_PROCID": "0", "SLURM_NTASKS": "4"}
    with pytest.raises(InputError, match=r"the job has 4 tasks.*put srun before it"):
        find_step(batch)
    assert find_step({**batch, "SLURM_NTASKS": "1"}) is None


def step_of(*tasks: int) -> Step:
    return Step("17", "0", 0, 0, 0, tasks, "node1", "node1")


@pytest.mark.parametrize(
    ("tasks", "groups", "shape"),
    [
        ((2, 2), 1, (2, 2)),
        ((1, 1, 1, 1), 2, (2, 1)),
        ((4, 4), 4, (1, 2)),
        ((4, 4), 2, (1, 4)),
        ((2, 2, 2, 2), 8, (1, 1)),
    ],
)
def test_groups_are_laid_out_on_nodes(
    tasks: tuple[int, ...], groups: int, shape: tuple[int, int]
) -> None:
    assert step_of(*tasks).shape(groups) == shape


@pytest.mark.parametrize(
    ("tasks", "groups", "sentence"),
    [
        ((2, 1), 1, "have 2, 1 tasks"),
        ((1, 1, 1), 2, r"cannot cut 3 tasks \(3 nodes x 1\) into 2"),
        ((3, 3), 3, "a trainer group of 2 tasks .* nodes with 3 tasks"),
    ],
)
def test_tasks_that_do_not_divide_are_refused_with_the_numbers(
    tasks: tuple[int, ...], groups: int, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        step_of(*tasks).shape(groups)
