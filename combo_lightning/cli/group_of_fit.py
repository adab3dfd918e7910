"""Which trainer group a fit belongs to, where it goes on, and what it leaves at the end."""

import os
import socket
from pathlib import Path

from combo_lightning.errors import InputError
from combo_lightning.ltfb.conclusion import CHAMPION
from combo_lightning.ltfb.groups import TrainerGroups, enter_groups
from combo_lightning.ltfb.membership import CHANNEL
from combo_lightning.ltfb.place import REJOIN_VARIABLE, GroupPlace, group_folder, new_token
from combo_lightning.ltfb.population import DESCRIPTION, newest_complete_round, round_checkpoint
from combo_lightning.parallel.processes import started_by_launcher
from combo_lightning.parts import claim
from combo_lightning.runs.folder import CONFIG, read_record

TOKEN = "token"


class StartGroups(Exception):
    """This process is to start the trainer groups.

    Args:
        num_groups: How many.
        folder: The run folder of all.
    """

    def __init__(self, num_groups: int, folder: Path) -> None:
        super().__init__(num_groups, folder)
        self.num_groups, self.folder = num_groups, folder


def join_group(
    num_groups: int, group: int | None, folder: Path
) -> tuple[GroupPlace | None, TrainerGroups | None]:
    """Find this process's trainer group.

    Args:
        num_groups: ``--num_groups``.
        group: ``--group``: this job is that group, by itself; None: groups start together.
        folder: The run folder of all groups.

    Returns:
        The place, None without groups; and the environment where a launch was cut.

    Raises:
        InputError: If the options do not fit.
        StartGroups: If the groups are still to be started.
    """
    place = GroupPlace.from_environment()
    if place is not None or (num_groups == 1 and group is None):
        return place, None
    if group is not None:
        token = _shared_token(folder)
        place = GroupPlace(group, num_groups, folder.absolute(), token, socket.gethostname())
        # The processes that Lightning starts from this one inherit it.
        os.environ |= place.to_environment()
        return place, None
    if not started_by_launcher():
        raise StartGroups(num_groups, folder)
    environment = enter_groups(num_groups, folder)
    return GroupPlace.from_environment(), environment


def _shared_token(folder: Path) -> str:
    """Give the token of independent jobs: the first to come draws it."""
    return claim(folder / CHANNEL / TOKEN, new_token())


def rejoins() -> bool:
    """Tell whether this group was started again beside others that train."""
    return REJOIN_VARIABLE in os.environ


def group_seed(seed: int, group: int) -> int:
    """Give a trainer group's seed of initial weights and dropout; group 0 has the run's own."""
    return seed + 1_000_003 * group


def resume_point(place: GroupPlace, *, resume: bool) -> Path | None:
    """Choose the checkpoint that a group goes on from; None: from the beginning.

    Args:
        place: The group.
        resume: Whether all groups are resumed: from the newest round that all have saved.
    """
    if resume:
        newest = newest_complete_round(place.folder, place.num_groups)
        return round_checkpoint(place.folder, place.group, newest) if newest else None
    if rejoins():
        folder = place.group_folder / "checkpoints"
        own = [*folder.glob("round-*.ckpt"), *folder.glob("last.ckpt")]
        return max(own, key=lambda path: path.stat().st_mtime, default=None)
    return None


def is_finished(folder: Path) -> bool:
    """Tell whether a run, of one model or of a population, has ended well.

    Raises:
        InputError: If the folder is no run folder.
    """
    if (folder / DESCRIPTION).is_file():
        # Its groups are asked to go on while they are not all done.
        return GroupPlace.from_environment() is None and (folder / CHAMPION).is_file()
    return bool(read_record(folder)["status"] == "finished")


def config_of(folder: Path) -> Path:
    """Find the configuration that a run goes on with.

    Args:
        folder: A run folder, or that of all trainer groups: then this group's own, or that of the
            first where it has none yet.

    Raises:
        InputError: If no group has begun.
    """
    if not (folder / DESCRIPTION).is_file():
        return folder / CONFIG
    place = GroupPlace.from_environment()
    for group in [place.group, 0] if place is not None else [0]:
        path = group_folder(folder, group) / CONFIG
        if path.is_file():
            return path
    raise InputError(f"{folder} has no group_0/{CONFIG}; start the run again")
