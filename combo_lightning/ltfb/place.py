"""A trainer group's place among the others, as its processes are told of it."""

import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from combo_lightning.errors import InputError

PLACE_VARIABLE = "COMBO_LIGHTNING_TRAINER_GROUP"
# Set where a group is started again beside others that train.
REJOIN_VARIABLE = "COMBO_LIGHTNING_REJOIN"
TOKEN_BYTES = 16
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class GroupPlace:
    """Which trainer group a process belongs to, and where the groups meet.

    Args:
        group: This group, from 0.
        num_groups: Trainer groups.
        folder: The run folder of all groups, shared by them; a group's own is ``group_K`` in it.
        token: Secret of this launch, equal in all its processes; messages without it are refused.
        reached_as: A host of the launch as the others reach it, which tells the network between
            them; 127.0.0.1: all groups are on this host, and nothing else need reach them.
    """

    group: int
    num_groups: int
    folder: Path
    token: str
    reached_as: str = LOOPBACK

    def __post_init__(self) -> None:
        if not 0 <= self.group < self.num_groups:
            raise InputError(
                f"trainer group {self.group} of {self.num_groups} does not exist; groups count "
                f"from 0 to num_groups - 1"
            )

    @property
    def group_folder(self) -> Path:
        """This group's run folder."""
        return group_folder(self.folder, self.group)

    def to_environment(self) -> dict[str, str]:
        """Give the variable that tells a group's processes their place."""
        words = (self.group, self.num_groups, self.reached_as, self.token, self.folder)
        return {PLACE_VARIABLE: " ".join(map(str, words))}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "GroupPlace | None":
        """Read what `to_environment` gave; None: this process belongs to no trainer group."""
        text = environment.get(PLACE_VARIABLE)
        if text is None:
            return None
        group, num_groups, reached_as, token, folder = text.split(" ", 4)
        return cls(int(group), int(num_groups), Path(folder), token, reached_as)


def group_folder(folder: Path, group: int) -> Path:
    """Name the run folder of a trainer group."""
    return folder / f"group_{group}"


def new_token() -> str:
    """Draw the secret of a launch."""
    return secrets.token_hex(TOKEN_BYTES)


def gpus(environment: Mapping[str, str]) -> list[str]:
    """List this host's GPUs as processes see them, before CUDA starts."""
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name]
    import torch  # heavy, and not needed where a scheduler has set the variable

    return [str(index) for index in range(torch.cuda.device_count())]


def own_devices(first: int, count: int, visible: Sequence[str]) -> dict[str, str]:
    """Give the variable that lets a group see its own GPUs alone.

    Lightning gives a group's ranks the devices from 0 on, and two groups would share them.

    Args:
        first: The group's first process on this host.
        count: Its processes there.
        visible: The host's GPUs; where there are fewer, the launcher has dealt them out already.
    """
    mine = visible[first : first + count]
    return {"CUDA_VISIBLE_DEVICES": ",".join(mine)} if len(mine) == count else {}
