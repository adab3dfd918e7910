"""Trainer groups: one launch cut into independent Lightning worlds.

Each group has its own rendezvous and process group, so every strategy works inside it unchanged,
and a group that dies takes no other with it. Groups meet over a channel outside their worlds.
"""

import contextlib
import os
import socket
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from lightning.fabric.plugins import ClusterEnvironment
from torch.distributed import TCPStore  # type: ignore[attr-defined]  # not in its __all__

from combo_lightning.errors import InputError
from combo_lightning.ltfb.place import LOOPBACK, GroupPlace, gpus, new_token, own_devices
from combo_lightning.ports import free_port

# Kept for documentation (RFC 5737): nobody has it, and the way there is the default route.
ELSEWHERE = "192.0.2.1"


class TrainerGroups(ClusterEnvironment):
    """One launch of many processes (torchrun, srun), cut into equal trainer groups.

    Group k has the processes k x size to (k + 1) x size - 1 of the launch. All processes of the
    launch build it at the same time: they tell each other their groups' addresses through the
    launch's own store.

    Args:
        num_groups: Trainer groups.
        rank: This process in the launch.
        world_size: Processes of the launch.
        local_rank: This process on its host.
        address: Host of the launch's first process.
        port: Its port, where the launch's store is.
        store_is_there: Whether the launcher keeps the store (torchrun does); else the first
            process opens it.
    """

    def __init__(
        self,
        num_groups: int,
        rank: int,
        world_size: int,
        local_rank: int,
        address: str,
        port: int,
        *,
        store_is_there: bool,
    ) -> None:
        super().__init__()
        if num_groups < 1 or world_size % num_groups:
            raise InputError(
                f"cannot cut {world_size} processes into {num_groups} equal trainer groups; set "
                "num_groups to a divisor of nodes x processes a node"
            )
        self._size = world_size // num_groups
        self.group, self._rank = divmod(rank, self._size)
        self.num_groups = num_groups
        self._local_rank = local_rank
        self._store: Any = TCPStore(
            address,
            port,
            is_master=rank == 0 and not store_is_there,
            timeout=timedelta(minutes=5),
            wait_for_workers=False,
        )
        # Each group has a rendezvous of its own, which its first process opens.
        os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "False"
        if rank == 0:
            self._tell("token", new_token())
        if self._rank == 0:
            self._tell(f"address/{self.group}", f"{host_address(address)} {free_port()}")
        self.token = self._ask("token")
        host, own_port = self._ask(f"address/{self.group}").split()
        self._address, self._port = host, int(own_port)

    def _tell(self, key: str, text: str) -> None:
        self._store.set(f"combo_lightning/{key}", text)

    def _ask(self, key: str) -> str:
        return str(self._store.get(f"combo_lightning/{key}").decode())

    @property
    def creates_processes_externally(self) -> bool:
        """Whether the launcher has started the processes: always."""
        return True

    @property
    def main_address(self) -> str:
        """Host of the group's first process."""
        return self._address

    @property
    def main_port(self) -> int:
        """Port of the group's own rendezvous."""
        return self._port

    @staticmethod
    def detect() -> bool:
        """Whether Lightning may choose it by itself: never."""
        return False

    def world_size(self) -> int:
        """Processes of a group."""
        return self._size

    def set_world_size(self, size: int) -> None:
        """Leave it: the launch has decided."""

    def global_rank(self) -> int:
        """This process in its group."""
        return self._rank

    def set_global_rank(self, rank: int) -> None:
        """Leave it: the launch has decided."""

    def local_rank(self) -> int:
        """This process among those of its group on its host."""
        return min(self._local_rank, self._rank)

    def node_rank(self) -> int:
        """Which of the group's hosts this is."""
        return (self._rank - self.local_rank()) // max(1, self._size)

    def validate_settings(self, num_devices: int, num_nodes: int) -> None:
        """Refuse devices that are not the group's processes.

        Raises:
            InputError: With what to set.
        """
        if num_devices * num_nodes != self._size:
            raise InputError(
                f"a trainer group has {self._size} processes, but trainer.devices {num_devices} x "
                f"trainer.num_nodes {num_nodes} is {num_devices * num_nodes}; make them equal"
            )


def cut_launch(num_groups: int, environment: Mapping[str, str] = os.environ) -> TrainerGroups:
    """Cut the launch that torchrun or srun has made.

    Args:
        num_groups: Trainer groups.
        environment: Where the launcher's variables are.

    Raises:
        InputError: If a variable is missing.
    """
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    slurm = ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID")
    found = [environment.get(a, environment.get(b)) for a, b in zip(names, slurm, strict=True)]
    address, port = environment.get("MASTER_ADDR"), environment.get("MASTER_PORT")
    if None in found or address is None or port is None:
        raise InputError(
            "several processes were started, but RANK, WORLD_SIZE, LOCAL_RANK (or SLURM_PROCID, "
            "SLURM_NTASKS, SLURM_LOCALID), MASTER_ADDR and MASTER_PORT are not all set; start "
            "them with torchrun, or set them in the batch script"
        )
    rank, world_size, local_rank = (int(str(value)) for value in found)
    there = environment.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    return TrainerGroups(
        num_groups, rank, world_size, local_rank, address, int(port), store_is_there=there
    )


def enter_groups(num_groups: int, folder: Path | str) -> TrainerGroups:
    """Cut the launch that torchrun or srun has made, and take this process's place in it.

    Args:
        num_groups: Trainer groups.
        folder: The run folder of all groups, shared by them.

    Returns:
        The environment for Lightning's ``Trainer(plugins=[..])``.

    Raises:
        InputError: If the processes do not divide, or a variable is missing.
    """
    groups = cut_launch(num_groups)
    local_rank = int(os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID", "0")))
    first = local_rank - groups.local_rank()
    os.environ |= own_devices(first, groups.world_size(), gpus(os.environ))
    one_host = os.environ.get("LOCAL_WORLD_SIZE") == os.environ.get("WORLD_SIZE")
    reached_as = LOOPBACK if one_host else os.environ["MASTER_ADDR"]
    place = GroupPlace(groups.group, num_groups, Path(folder).absolute(), groups.token, reached_as)
    # The callback finds it there, in this process and in those that it starts.
    os.environ |= place.to_environment()
    return groups


def host_address(reached_as: str) -> str:
    """Give this host's address, as another host that is reached as `reached_as` sees it."""
    if reached_as in (LOOPBACK, "localhost", "::1"):
        return LOOPBACK
    address = _way_to(reached_as)
    # Where a host's own name stands for its loopback (Debian), the default route tells.
    with contextlib.suppress(OSError):
        if address.startswith("127."):
            address = _way_to(ELSEWHERE)
    return address


def _way_to(host: str) -> str:
    """Give the address that this host would send from; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((socket.gethostbyname(host), 9))
        address: str = probe.getsockname()[0]
    return address
