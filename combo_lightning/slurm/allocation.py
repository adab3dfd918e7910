"""What a batch script has been given, and how srun is asked to use it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from combo_lightning.errors import InputError
from combo_lightning.slurm.jobs import host_names
from combo_lightning.slurm.step import lay_out, tasks_of_nodes

# A task that ends alone before training (no data on its node) ends the others after this long.
# Those that train together notice a lost one by themselves.
WAIT_SECONDS = 120
SRUN = ("srun", "--kill-on-bad-exit=0", f"--wait={WAIT_SECONDS}")


@dataclass(frozen=True)
class Share:
    """A trainer group's part of an allocation.

    Args:
        nodes: Its nodes.
        tasks_per_node: Its tasks on each.
        srun: The srun that starts a program on it, without the program.
    """

    nodes: tuple[str, ...]
    tasks_per_node: int
    srun: tuple[str, ...]


@dataclass(frozen=True)
class Allocation:
    """A job's nodes and tasks, as its batch script sees them.

    Args:
        job: Id of the job.
        restarts: How often Slurm has started it again.
        nodes: Names of its nodes.
        tasks_per_node: Tasks on each.
        components: Parts of a heterogeneous job; 1: it is none.
        memory_mb: Memory of the job on each node, where it is given by node.
        gpus_per_node: GPUs of the job on the first node.
    """

    job: str
    restarts: int
    nodes: tuple[str, ...]
    tasks_per_node: tuple[int, ...]
    components: int = 1
    memory_mb: int | None = None
    gpus_per_node: int = 0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Allocation":
        """Read what Slurm has told the batch script.

        Raises:
            InputError: Outside a batch script.
        """
        if "SLURM_JOB_ID" not in environment or "SLURM_STEP_NUM_TASKS" in environment:
            raise InputError(
                "'slurm run' is for batch scripts (scripts/slurm/fit.sbatch); submit one with "
                "sbatch, or use 'combo-lightning fit' here"
            )
        components = int(environment.get("SLURM_HET_SIZE", "1"))
        lists = [""] if components == 1 else [f"_HET_GROUP_{k}" for k in range(components)]
        nodes: list[str] = []
        tasks: list[int] = []
        for of in lists:
            nodes += host_names(environment[f"SLURM_JOB_NODELIST{of}"])
            tasks += tasks_of_nodes(environment[f"SLURM_TASKS_PER_NODE{of}"])
        memory = environment.get("SLURM_MEM_PER_NODE")
        return cls(
            environment["SLURM_JOB_ID"],
            int(environment.get("SLURM_RESTART_COUNT", "0")),
            tuple(nodes),
            tuple(tasks),
            components,
            int(memory) if memory else None,
            int(environment.get("SLURM_GPUS_ON_NODE", "0")),
        )

    @property
    def size(self) -> int:
        """Tasks of the job."""
        return sum(self.tasks_per_node)

    def srun(self) -> tuple[str, ...]:
        """Give the srun that starts a program in all tasks, without the program."""
        if self.components == 1:
            return SRUN
        return (*SRUN, f"--het-group=0-{self.components - 1}")

    def shares(self, num_groups: int) -> list[Share]:
        """Deal the tasks out to equal trainer groups, in order; each is a step of its own.

        Args:
            num_groups: How many.

        Raises:
            InputError: If the tasks do not divide.
        """
        count, tasks = lay_out(self.tasks_per_node, num_groups, f"job {self.job}")
        each = self.tasks_per_node[0]
        on_a_node = each // tasks
        found = []
        for group in range(num_groups):
            first = group * count if on_a_node == 1 else group // on_a_node
            nodes = self.nodes[first : first + count]
            words = [
                *SRUN,
                f"--nodes={count}",
                f"--ntasks={count * tasks}",
                f"--ntasks-per-node={tasks}",
                f"--nodelist={','.join(nodes)}",
            ]
            if on_a_node > 1:
                # Otherwise the first step takes all of the node, and the others wait for it.
                words.append("--exact")
                if self.memory_mb:
                    words.append(f"--mem={self.memory_mb // on_a_node}M")
                if self.gpus_per_node:
                    words.append(f"--gres=gpu:{self.gpus_per_node // on_a_node}")
            found.append(Share(nodes, tasks, tuple(words)))
        return found
