"""A step as Lightning sees it."""

import os
from collections.abc import Mapping

from lightning.fabric.plugins import ClusterEnvironment

from combo_lightning.errors import InputError
from combo_lightning.slurm.rendezvous import ask_port, tell_port
from combo_lightning.slurm.step import Step


class SlurmStep(ClusterEnvironment):
    """The processes of one srun, as one launch.

    Lightning's own environment takes the job's node list and a port made from the job's id, which
    steps of a job share; it needs ``--ntasks-per-node``, is off in jobs named ``bash`` or
    ``interactive``, and saves inside its signal handler.

    All processes of the step build it at the same time. It sets torchrun's variables, so that
    whatever reads those sees the step.

    Args:
        step: This process's place.
        environment: The process's variables; ``MASTER_ADDR`` and ``MASTER_PORT`` are kept where
            both are set, and the processes make sure there that they are of one step.
    """

    def __init__(self, step: Step, environment: Mapping[str, str] = os.environ) -> None:
        super().__init__()
        self.step = step
        address, port = environment.get("MASTER_ADDR"), environment.get("MASTER_PORT")
        if address and port:
            self._address, self._port = address, _agree(step, address, int(port))
        else:
            self._address, self._port = step.first_host, _agree(step, step.first_host)
        os.environ |= step.variables(self._address, self._port)

    @property
    def creates_processes_externally(self) -> bool:
        """Whether the launcher has started the processes: always."""
        return True

    @property
    def main_address(self) -> str:
        """Name of the step's first node."""
        return self._address

    @property
    def main_port(self) -> int:
        """Port on which its first process will listen."""
        return self._port

    @staticmethod
    def detect() -> bool:
        """Whether Lightning may choose it by itself: never."""
        return False

    def world_size(self) -> int:
        """Processes of the step."""
        return self.step.size

    def set_world_size(self, size: int) -> None:
        """Leave it: srun has decided."""

    def global_rank(self) -> int:
        """This process in the step."""
        return self.step.rank

    def set_global_rank(self, rank: int) -> None:
        """Leave it: srun has decided."""

    def local_rank(self) -> int:
        """This process on its node."""
        return self.step.local_rank

    def node_rank(self) -> int:
        """Which of the step's nodes this is."""
        return self.step.node

    def validate_settings(self, num_devices: int, num_nodes: int) -> None:
        """Refuse devices that are not the step's processes.

        Raises:
            InputError: With what to set.
        """
        if num_devices * num_nodes != self.step.size:
            raise InputError(
                f"step {self.step.name} has {self.step.size} tasks, but trainer.devices "
                f"{num_devices} x trainer.num_nodes {num_nodes} is {num_devices * num_nodes}; "
                "leave both out: the allocation sets them"
            )


def _agree(step: Step, host: str, fixed: int | None = None) -> int:
    """Agree on a port with the other processes.

    Raises:
        InputError: If rank 0 is not on the first node, where the others look for it.
    """
    if step.rank:
        return ask_port(step.launch, step.rank, host, fixed=fixed)
    if fixed is None and step.here and step.here != host:
        raise InputError(
            f"the step's first task runs on {step.here}, but its first node is {host}; remove "
            "--distribution=arbitrary, or set MASTER_ADDR and MASTER_PORT"
        )
    return tell_port(step.launch, step.size, fixed=fixed)
