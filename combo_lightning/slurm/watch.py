"""A job's time and nodes, looked at now and then while it runs."""

import time
from dataclasses import dataclass

from combo_lightning.errors import InputError
from combo_lightning.slurm.jobs import end_time, host_names, job_facts

LOOK_SECONDS = 5.0
# What ends, starts and says something at the end of a job's time, besides its own work.
SPARE_SECONDS = 30.0
# Processes agree at every tenth step whether to end (runs/stopping.py).
AGREEMENT_STEPS = 10


@dataclass(frozen=True)
class Look:
    """What Slurm said.

    Args:
        state: The job's state.
        ends_at: When its time is over, in seconds of `time.time`; None: never.
        nodes: Its nodes; one that is lost is no longer among them.
    """

    state: str
    ends_at: float | None
    nodes: tuple[str, ...]


class JobWatch:
    """Look at a job, but not more often than every few seconds.

    Args:
        job: Its id.
    """

    def __init__(self, job: str) -> None:
        self._job = job
        self._looked_at = float("-inf")
        self._last: Look | None = None

    def look(self, *, now: bool = False) -> Look | None:
        """Give the last look, a new one where that is old; None: Slurm has not answered yet.

        Args:
            now: Look again, however new the last one is; None then means no answer now.
        """
        if now:
            self._last = None
        elif time.monotonic() - self._looked_at < LOOK_SECONDS:
            return self._last
        try:
            facts = job_facts(self._job)
            nodes = tuple(host_names(facts["NodeList"]))
            self._last = Look(facts["JobState"], end_time(facts), nodes)
        except (InputError, KeyError):
            # The controller is away, or busy: the job runs on without it.
            pass
        self._looked_at = time.monotonic()
        return self._last


def margin_seconds(longest_pause: float, steps_per_second: float | None) -> float:
    """Give how long before a job's end its processes must be told to save.

    Args:
        longest_pause: The longest time between two steps so far, in seconds: a validation, a save
            or a tournament.
        steps_per_second: The rate of the steps, where it is known.
    """
    until_agreed = AGREEMENT_STEPS / steps_per_second if steps_per_second else 0.0
    # The signal may come before a pause as long as the longest; then comes the save; and one more.
    return SPARE_SECONDS + 3 * longest_pause + until_agreed
