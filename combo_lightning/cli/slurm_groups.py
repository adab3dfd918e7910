"""Trainer groups of one Slurm job: a step each, a lost node costs its groups alone."""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from combo_lightning.cli.slurm_run import PROGRAM, STOPPED, is_nearly_over
from combo_lightning.cli.trainer_groups import LOG, StartedGroup, TrainerGroupRun
from combo_lightning.ltfb.place import GroupPlace, new_token
from combo_lightning.slurm.allocation import SRUN, Allocation, Share
from combo_lightning.slurm.jobs import job_facts
from combo_lightning.slurm.watch import JobWatch, Look


def run_groups(
    allocation: Allocation, num_groups: int, folder: Path, words: Sequence[str], watch: JobWatch
) -> int:
    """Run trainer groups in a job until a champion is named.

    Args:
        allocation: The job's.
        num_groups: How many groups share it.
        folder: The run folder of all.
        words: The command of the program that each process runs.
        watch: Tells of the job's time and nodes.

    Returns:
        The exit code: 0 if a champion was named; 2 if the input was refused; 138 if all have saved
        because they were told to.
    """
    shares = allocation.shares(num_groups)
    token = new_token()
    groups = [
        StartedGroup(
            GroupPlace(group, num_groups, folder.absolute(), token, allocation.nodes[0]),
            [*share.srun, *PROGRAM, *words],
            os.environ,
        )
        for group, share in enumerate(shares)
    ]
    return SlurmGroups(groups, folder, allocation, shares, words, watch).run()


class SlurmGroups(TrainerGroupRun):
    """Trainer groups, each a step of a job.

    A group that loses a node gets new ones in a job of its own, which begins when there are some;
    its copy of a living group's model, or its own checkpoint, is where it goes on.

    Args:
        groups: The groups, not yet started.
        folder: The run folder of all.
        allocation: The job's.
        shares: What each group has of it.
        words: The command of the program that each process runs.
        watch: Tells of the job's time and nodes.
    """

    def __init__(
        self,
        groups: list[StartedGroup],
        folder: Path,
        allocation: Allocation,
        shares: Sequence[Share],
        words: Sequence[str],
        watch: JobWatch,
    ) -> None:
        super().__init__(groups, folder)
        self._allocation, self._shares, self._words = allocation, shares, words
        self._watch = watch
        # Groups that have lost a node, and the name of the job that replaces each.
        self._replaced: dict[int, str] = {}
        self._guard: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        """Run them; jobs that have replaced groups end with the others."""
        try:
            return super().run()
        finally:
            if self._guard is not None:
                self._guard.terminate()
            for name in self._replaced.values():
                subprocess.run(["scancel", "--me", f"--name={name}"], check=False)

    def _pass_on(self, number: int) -> None:
        if number != signal.SIGUSR1:
            # Slurm has told the tasks; srun would kill them.
            return
        for group in self.groups:
            name = self._replaced.get(group.place.group)
            if name is not None:
                subprocess.run(["scancel", "--me", "--signal=USR1", f"--name={name}"], check=False)
            elif group.process.poll() is None:
                group.process.send_signal(number)

    def _look_after(self, console: Any, *, stopping: bool) -> int | None:
        look = self._watch.look()
        if look is not None:
            self._keep_guard(look)
        if look is not None and not stopping:
            folders = [group.place.group_folder for group in self.groups]
            if is_nearly_over(look, folders):
                console.print("the job's time is nearly over: all groups are told to save")
                self._asked = signal.SIGUSR1
            self._replace_lost(look, console)
        if any(group.process.poll() == STOPPED for group in self.groups):
            # Slurm, or a user, has told the tasks.
            self._asked = signal.SIGUSR1
            stopping = True
        return super()._look_after(console, stopping=stopping)

    def _keep_guard(self, look: Look) -> None:
        """Keep a process on another node, for the case that this one fails."""
        first, *others = self._allocation.nodes
        living = [node for node in others if node in look.nodes]
        if not living or (self._guard is not None and self._guard.poll() is None):
            return
        where = ["srun", "--overlap", "--nodes=1", "--ntasks=1", f"--nodelist={living[-1]}"]
        self._guard = subprocess.Popen(
            [*where, *PROGRAM, "slurm", "guard", self._allocation.job, first],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _replace_lost(self, look: Look, console: Any) -> None:
        """Give groups that have lost a node a job of their own."""
        for group, share in zip(self.groups, self._shares, strict=True):
            index = group.place.group
            lost = [node for node in share.nodes if node not in look.nodes]
            if not lost or index in self._replaced or group.process.poll() == 0:
                continue
            console.print(
                f"trainer group {index} has lost {', '.join(lost)}; a job of its own is queued"
            )
            name = f"combo-{self._allocation.job}-group-{index}"
            self._replaced[index] = name
            group.command = self._job_of(group, share, name, look)
            # It is no step of this job.
            group.environment = {
                name: value
                for name, value in os.environ.items()
                if not name.startswith("SLURM_") or name == "SLURM_CONF"
            }
            # srun never returns from a node that is gone; it is started again as any other.
            if group.process.poll() is None:
                group.process.kill()
                group.process.wait()

    def _job_of(self, group: StartedGroup, share: Share, name: str, look: Look) -> list[str]:
        """Give the command that runs a group in a job of its own, and waits for it."""
        facts = job_facts(self._allocation.job)
        more = [
            f"--{option}={facts[field]}"
            for option, field in {
                "partition": "Partition", "account": "Account", "qos": "QOS"
            }.items()
            if facts.get(field, "(null)") not in ("(null)", "")
        ]  # fmt: skip
        if look.ends_at is not None:
            more.append(f"--time={max(1, int((look.ends_at - time.time()) / 60))}")
        if self._allocation.memory_mb:
            more.append(f"--mem={self._allocation.memory_mb}M")
        inner = shlex.join([*SRUN, *PROGRAM, *self._words])
        return [
            "sbatch",
            "--wait",
            "--no-requeue",
            f"--job-name={name}",
            f"--nodes={len(share.nodes)}",
            f"--ntasks-per-node={share.tasks_per_node}",
            f"--cpus-per-task={os.environ.get('SLURM_CPUS_PER_TASK', '1')}",
            f"--output={group.place.group_folder / LOG}",
            "--open-mode=append",
            *more,
            f"--wrap=exec {inner}",
        ]
