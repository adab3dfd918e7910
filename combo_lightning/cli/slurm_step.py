"""How a command of Lightning's runs inside a Slurm allocation."""

import os
from collections.abc import Sequence
from typing import Any

from lightning.fabric.plugins import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment

from combo_lightning.cli.words import value_of
from combo_lightning.errors import InputError
from combo_lightning.ltfb.place import GroupPlace
from combo_lightning.slurm.environment import SlurmStep
from combo_lightning.slurm.step import Step, find_step


def enter_step(config: Any, words: Sequence[str]) -> ClusterEnvironment | None:
    """Join the other processes of this process's srun, and set the trainer's size from it.

    Files give sizes for a workstation, and the allocation is what there is; an option of the
    command line that says otherwise is refused. All processes of a step call this together.

    Args:
        config: Configuration of the command; ``trainer.num_nodes`` and ``trainer.devices`` are
            set.
        words: The command line.

    Returns:
        What Lightning is to use; None outside Slurm.

    Raises:
        InputError: If the allocation and the configuration do not fit.
    """
    step = find_step()
    if step is None:
        # An allocation, but one process: Lightning starts the others, as on a workstation.
        plain = "SLURM_NTASKS" in os.environ and "TORCHELASTIC_RUN_ID" not in os.environ
        return LightningEnvironment() if plain else None
    set_sizes(config, words, step)
    return SlurmStep(step)


def set_sizes(config: Any, words: Sequence[str], step: Step) -> None:
    """Set the trainer's size from a step.

    Args:
        config: Configuration of the command.
        words: The command line.
        step: The step, of several processes.

    Raises:
        InputError: If the step and the configuration do not fit.
    """
    one_group = config.group is not None or GroupPlace.from_environment() is not None
    num_groups = 1 if one_group else config.num_groups
    nodes, devices = step.shape(num_groups)
    whose = "" if num_groups == 1 else f", cut into {num_groups} trainer groups,"
    for name, given in {"num_nodes": nodes, "devices": devices}.items():
        asked = value_of(f"--trainer.{name}", words)
        if asked not in (None, "auto", "-1", str(given)):
            raise InputError(
                f"--trainer.{name} is {asked}, but step {step.name} ({len(step.tasks_per_node)} "
                f"nodes x {step.tasks_per_node[0]} tasks){whose} gives {given}; leave the option "
                "out, or change --nodes and --ntasks-per-node"
            )
        config.trainer[name] = given
    if nodes * devices > 1 and config.trainer.strategy == "auto":
        raise InputError(
            f"{nodes * devices} processes would train one model, and nothing says how they share "
            "the work; add --config configs/ddp.yaml, or another overlay"
        )
