"""Slurm: what srun tells a process of its step, how its processes find each other, and jobs.

A step becomes the same launch that torchrun makes: the variables ``RANK``, ``WORLD_SIZE``,
``LOCAL_RANK``, ``MASTER_ADDR`` and their kin. Nothing above needs to know of Slurm. Only
``environment`` needs Lightning; the rest is light.
"""
