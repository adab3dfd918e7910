"""``combo-lightning slurm guard``: has a job started again that has lost its batch script.

A job that outlives its nodes (``--no-kill``) is left running by Slurm (22.05) when the node of its
batch script fails: nobody would end it before its time is over. One process on another node looks.
"""

import time
from collections.abc import Sequence

from combo_lightning.errors import InputError
from combo_lightning.slurm.jobs import ask_slurm, host_names, job_facts

LOOK_SECONDS = 10.0


def main(words: Sequence[str]) -> int:
    """Watch over a job until it ends, or its first node has gone.

    Args:
        words: The job's id, and the node with its batch script.

    Returns:
        0.
    """
    job, host = words
    while True:
        time.sleep(LOOK_SECONDS)
        try:
            facts = job_facts(job)
            if facts.get("JobState") != "RUNNING":
                return 0
            if host not in host_names(facts["NodeList"]):
                ask_slurm("scontrol", "requeue", job)
                return 0
        except (InputError, KeyError):
            # The controller is away, or busy.
            continue
