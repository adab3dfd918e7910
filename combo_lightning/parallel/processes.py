"""The processes of a run: how they were started, and how they end."""

import os
from typing import Any

import torch.distributed as dist

from combo_lightning.errors import InputError


def started_by_launcher() -> bool:
    """Tell whether torchrun or srun started this process together with others."""
    if "LOCAL_RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return True
    # A shell inside an allocation (srun --pty, salloc) is a step of one, whatever the job has.
    tasks = os.environ.get("SLURM_STEP_NUM_TASKS", os.environ.get("SLURM_NTASKS", "1"))
    return "SLURM_PROCID" in os.environ and int(tasks) > 1


def process_rank() -> int:
    """Give this process's rank as its launcher, or Lightning, has set it; 0: it is the first."""
    names = ("RANK", "LOCAL_RANK", "SLURM_PROCID")
    return next((int(os.environ[name]) for name in names if name in os.environ), 0)


def leave_process_group() -> None:
    """Leave the process group, if there is one; some processes abort at exit otherwise."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


def refuse_fsdp1(strategy: Any) -> None:
    """Refuse torch's first FSDP, whose full state cannot be gathered on CPUs (torch 2.13).

    Args:
        strategy: ``trainer.strategy`` as configured.

    Raises:
        InputError: If it names Lightning's FSDPStrategy.
    """
    name = str(getattr(strategy, "class_path", strategy))
    if name.startswith("fsdp") or name.endswith("FSDPStrategy"):
        raise InputError(
            f"trainer.strategy is {name}, the first FSDP, which this program does not support; "
            "add --config configs/fsdp.yaml (FSDP2) instead"
        )
