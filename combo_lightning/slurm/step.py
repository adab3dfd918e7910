"""What srun tells a process of its step: the facts alone, no messages."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from combo_lightning.errors import InputError


@dataclass(frozen=True)
class Step:
    """A process in a step of several.

    Args:
        job: Id of the job.
        number: Number of the step in it.
        rank: This process in the step.
        local_rank: This process on its node.
        node: Which of the step's nodes this is.
        tasks_per_node: Processes on each of the step's nodes.
        first_host: Name of the step's first node. The job's may be another.
        here: Name of this node.
        restarts: How often Slurm has started the job again.
    """

    job: str
    number: str
    rank: int
    local_rank: int
    node: int
    tasks_per_node: tuple[int, ...]
    first_host: str
    here: str
    restarts: int = 0

    @property
    def size(self) -> int:
        """Processes of the step."""
        return sum(self.tasks_per_node)

    @property
    def name(self) -> str:
        """The step's name, which no other of this cluster has: ``JOB.STEP``."""
        return f"{self.job}.{self.number}"

    @property
    def launch(self) -> str:
        """The name of this start of the step: the steps of a restarted job count from 0 again."""
        return f"{self.name}.{self.restarts}"

    def run_name(self, data: str) -> str:
        """Name the run folder that all processes of the step share.

        Args:
            data: Name of the data set.
        """
        return f"{data}-{self.job}" if self.number == "0" else f"{data}-{self.name}"

    def shape(self, num_groups: int = 1) -> tuple[int, int]:
        """Lay a trainer group out, as Lightning's ``num_nodes`` and ``devices``.

        Args:
            num_groups: Equal trainer groups that share the step.

        Raises:
            InputError: If the processes do not divide.
        """
        return lay_out(self.tasks_per_node, num_groups, f"step {self.name}")

    def variables(self, address: str, port: int) -> dict[str, str]:
        """Give torchrun's variables for this process.

        Args:
            address: Host of the step's first process.
            port: Its port.
        """
        return {
            "RANK": str(self.rank),
            "WORLD_SIZE": str(self.size),
            "LOCAL_RANK": str(self.local_rank),
            "LOCAL_WORLD_SIZE": str(self.tasks_per_node[self.node]),
            "GROUP_RANK": str(self.node),
            "MASTER_ADDR": address,
            "MASTER_PORT": str(port),
        }


def find_step(environment: Mapping[str, str] = os.environ) -> Step | None:
    """Read what srun has told this process.

    Returns:
        The step; None outside a step of several processes, and where torchrun started this one.

    Raises:
        InputError: If a batch script of several tasks runs the program without srun.
    """
    if "SLURM_PROCID" not in environment or "TORCHELASTIC_RUN_ID" in environment:
        return None
    if "SLURM_STEP_NUM_TASKS" not in environment:
        tasks = int(environment.get("SLURM_NTASKS", "1"))
        if tasks > 1:
            raise InputError(
                f"the job has {tasks} tasks, but the program runs in the batch script itself; put "
                "srun before it, or ask for --ntasks=1 with --cpus-per-task"
            )
        return None
    if int(environment["SLURM_STEP_NUM_TASKS"]) < 2:
        return None
    return Step(
        job=environment["SLURM_JOB_ID"],
        number=environment["SLURM_STEP_ID"],
        rank=int(environment["SLURM_PROCID"]),
        local_rank=int(environment["SLURM_LOCALID"]),
        node=int(environment["SLURM_NODEID"]),
        tasks_per_node=tasks_of_nodes(environment["SLURM_STEP_TASKS_PER_NODE"]),
        first_host=first_host(environment["SLURM_STEP_NODELIST"]),
        here=environment.get("SLURMD_NODENAME", ""),
        restarts=int(environment.get("SLURM_RESTART_COUNT", "0")),
    )


def lay_out(tasks_per_node: Sequence[int], num_groups: int, whose: str) -> tuple[int, int]:
    """Lay equal trainer groups out on nodes.

    Args:
        tasks_per_node: Tasks on each node.
        num_groups: Trainer groups that share them.
        whose: Whose tasks they are, for errors.

    Returns:
        Nodes of a group, and its tasks on each.

    Raises:
        InputError: If the tasks do not divide.
    """
    each, nodes, size = tasks_per_node[0], len(tasks_per_node), sum(tasks_per_node)
    if set(tasks_per_node) != {each}:
        counts = ", ".join(map(str, tasks_per_node))
        raise InputError(
            f"the nodes of {whose} have {counts} tasks, but each must have as many; set "
            "--ntasks-per-node"
        )
    if size % num_groups:
        raise InputError(
            f"cannot cut {size} tasks ({nodes} nodes x {each}) into {num_groups} equal trainer "
            "groups; set --num_groups to a divisor, or --nodes and --ntasks-per-node"
        )
    size //= num_groups
    if size % each and each % size:
        raise InputError(
            f"a trainer group of {size} tasks would have unequal parts of nodes with {each} "
            "tasks; set --ntasks-per-node to a divisor or a multiple of the group's size"
        )
    return max(1, size // each), min(size, each)


def first_host(nodes: str) -> str:
    """Name the first node of a list as Slurm writes it.

    Example:
        >>> first_host("rack[1-2]n[03-04,07],login1")
        'rack1n03'
    """
    first = re.match(r"(?:\[[^\]]*\]|[^,\[])*", nodes)
    assert first is not None  # it matches an empty text, too
    return re.sub(r"\[([^,\-\]]*)[^\]]*\]", r"\1", first.group())


def tasks_of_nodes(counts: str) -> tuple[int, ...]:
    """Read the tasks of each node as Slurm writes them.

    Example:
        >>> tasks_of_nodes("2(x3),1")
        (2, 2, 2, 1)
    """
    found: list[int] = []
    for tasks, times in re.findall(r"(\d+)(?:\(x(\d+)\))?", counts):
        found += [int(tasks)] * int(times or 1)
    return tuple(found)
