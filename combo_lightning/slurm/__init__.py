"""Slurm: what srun tells a process of its step, and how the step's processes find each other.

A step becomes the same launch that torchrun makes: the variables ``RANK``, ``WORLD_SIZE``,
``LOCAL_RANK``, ``MASTER_ADDR`` and their kin. Nothing above needs to know of Slurm.
"""

from combo_lightning.slurm.environment import SlurmStep
from combo_lightning.slurm.step import Step, find_step

__all__ = ["SlurmStep", "Step", "find_step"]
