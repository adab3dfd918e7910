"""A job's nodes are dealt out to trainer groups; the variables are those of real batch scripts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from combo_lightning.errors import InputError
from combo_lightning.slurm.allocation import Allocation


def allocation(nodes: int, tasks: int, memory_mb: int | None = None, gpus: int = 0) -> Allocation:
    names = tuple(f"node{index + 1}" for index in range(nodes))
    return Allocation("7", 0, names, (tasks,) * nodes, 1, memory_mb, gpus)


@given(nodes=st.integers(1, 12), tasks=st.integers(1, 8), num_groups=st.integers(1, 24))
def test_groups_have_equal_shares_that_are_all_of_the_job_and_do_not_overlap(
    nodes: int, tasks: int, num_groups: int
) -> None:
    job = allocation(nodes, tasks)
    try:
        shares = job.shares(num_groups)
    except InputError:
        size, left = divmod(job.size, num_groups)
        assert left or (size % tasks and tasks % size)
        return
    assert len(shares) == num_groups
    dealt: dict[str, int] = {}
    for share in shares:
        assert len(share.nodes) * share.tasks_per_node == job.size // num_groups
        for node in share.nodes:
            dealt[node] = dealt.get(node, 0) + share.tasks_per_node
    assert dealt == dict.fromkeys(job.nodes, tasks)


def test_groups_on_whole_nodes_are_steps_on_those_nodes() -> None:
    _, second = allocation(4, 2).shares(2)
    assert second.nodes == ("node3", "node4")
    assert {"--nodes=2", "--ntasks=4", "--ntasks-per-node=2", "--nodelist=node3,node4"} <= {
        *second.srun
    }
    assert "--exact" not in second.srun


def test_groups_that_share_a_node_share_its_memory_and_gpus() -> None:
    shares = allocation(2, 4, memory_mb=4000, gpus=4).shares(4)
    assert [share.nodes for share in shares] == [("node1",)] * 2 + [("node2",)] * 2
    assert {"--exact", "--mem=2000M", "--gres=gpu:2", "--ntasks=2"} <= {*shares[3].srun}


def test_tasks_that_do_not_divide_are_refused_with_the_numbers() -> None:
    with pytest.raises(InputError, match=r"cannot cut 3 tasks \(3 nodes x 1\) into 2 equal"):
        allocation(3, 1).shares(2)


def test_outside_a_batch_script_there_is_none() -> None:
    with pytest.raises(InputError, match="is for batch scripts"):
        Allocation.from_environment({})
    step = {"SLURM_JOB_ID": "1", "SLURM_STEP_NUM_TASKS": "2"}
    with pytest.raises(InputError, match="is for batch scripts"):
        Allocation.from_environment(step)
