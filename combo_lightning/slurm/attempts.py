"""How often a run was started by Slurm, and whether it gets anywhere: ``RUN/attempts.json``."""

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from combo_lightning.slurm.allocation import Allocation

ATTEMPTS = "attempts.json"


@dataclass
class Attempt:
    """One start of a job's script.

    Args:
        job: Id of the job.
        restart: How often Slurm had started the job again: ``SLURM_RESTART_COUNT``.
        nodes: On which nodes, separated by commas.
        began: When, in seconds of `time.time`.
        saved: State of the run's checkpoints then; another one later is progress.
        ended: When it ended; None: it runs, or was ended by Slurm.
        why: What ended it.
    """

    job: str
    restart: int
    nodes: str
    began: float
    saved: int
    ended: float | None = None
    why: str | None = None


class Attempts:
    """The starts of a run.

    Args:
        run: The run folder; trainer groups as jobs of their own have one each.
    """

    def __init__(self, run: Path) -> None:
        self._run = run
        self._path = run / ATTEMPTS
        self.all: list[Attempt] = []
        if self._path.is_file():
            content = json.loads(self._path.read_text(encoding="utf-8"))
            self.all = [Attempt(**attempt) for attempt in content["attempts"]]

    def of(self, job: str) -> list[Attempt]:
        """Give those of a job."""
        return [attempt for attempt in self.all if attempt.job == job]

    def begin(self, allocation: Allocation) -> None:
        """Write a new start down."""
        nodes = ",".join(allocation.nodes)
        saved = newest_save(self._run)
        self.all.append(Attempt(allocation.job, allocation.restarts, nodes, time.time(), saved))
        self._write()

    def end(self, why: str) -> None:
        """Write down what ended the last start."""
        self.all[-1].ended, self.all[-1].why = time.time(), why
        self._write()

    def stuck(self, job: str) -> str | None:
        """Say whether a start after a restart has come to nothing; None: the job gets on.

        The first start may be lost before it saves anything. One that was started again and has
        saved nothing would be lost the same way once more.

        Args:
            job: Id of the job.
        """
        own = self.of(job)
        if not own or own[-1].restart < 1 or newest_save(self._run) != own[-1].saved:
            return None
        why = f" ({own[-1].why})" if own[-1].why else ""
        return (
            f"restart {own[-1].restart} of job {job} has saved nothing{why}; another one would "
            "not either; mend the cause, then go on with: combo-lightning fit --resume "
            f"{self._run}"
        )

    def _write(self) -> None:
        self._run.mkdir(parents=True, exist_ok=True)
        content = {"job": self.all[-1].job, "attempts": [asdict(a) for a in self.all]}
        aside = self._path.with_name(f".{ATTEMPTS}.partial")
        aside.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        os.replace(aside, self._path)


def newest_save(run: Path) -> int:
    """Give when a run's newest checkpoint was written, in nanoseconds; 0: never.

    Args:
        run: The run folder, of one model or of trainer groups.
    """
    found = [*run.glob("checkpoints/*.ckpt"), *run.glob("group_*/checkpoints/*.ckpt")]
    times = []
    for path in found:
        try:
            times.append(path.stat().st_mtime_ns)
        except FileNotFoundError:
            # It was replaced, or an older round's was removed.
            continue
    return max(times, default=0)
