"""Which job and which run folder a name means, and how a job stands, in words."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from combo_lightning.errors import InputError, did_you_mean
from combo_lightning.slurm.jobs import ENDED, end_time, facts_of_tasks

SUBMITTED = "submitted.json"
# What makes a folder a run's: of a submitted job, of one model, of trainer groups.
TRACES = (SUBMITTED, "run.json", "ltfb.json", "attempts.json")


@dataclass(frozen=True)
class Job:
    """A job, or one task of an array, and its run.

    Args:
        number: Its id; None: no job is known.
        facts: What Slurm knows of it; None: Slurm has forgotten it.
        run: Its run folder; None: none is known.
    """

    number: str | None
    facts: Mapping[str, str] | None
    run: Path | None

    @property
    def state(self) -> str:
        """Its state in Slurm's words; empty: Slurm has forgotten it."""
        return self.facts.get("JobState", "") if self.facts else ""

    @property
    def name(self) -> str:
        """Its name."""
        if self.facts:
            return self.facts.get("JobName", "")
        return str(submitted(self.run).get("name", "")) if self.run else ""

    @property
    def ended(self) -> bool:
        """Whether it will do nothing more."""
        return not self.state or self.state in ENDED

    @property
    def ending(self) -> bool:
        """Whether it has ended, or is about to."""
        return self.ended or self.state == "COMPLETING"

    @property
    def logs(self) -> list[Path]:
        """The files that it writes to."""
        if self.facts and "StdOut" in self.facts and "4294967294" not in self.facts["StdOut"]:
            return [Path(self.facts["StdOut"])]
        named = Path(str(submitted(self.run).get("log", ""))) if self.run else Path()
        return sorted(named.parent.glob(named.name)) if named.name else []

    def words(self, now: float) -> str:
        """Say how it stands.

        Args:
            now: The time, in seconds of `time.time`.
        """
        facts = self.facts
        if not facts:
            return "Slurm has forgotten it" if self.number else "no job"
        ran = facts.get("RunTime", "0:00:00")
        if self.state == "PENDING":
            start = facts.get("StartTime", "Unknown")
            when = "" if start == "Unknown" else f", to start {start.replace('T', ' ')}"
            return f"PENDING ({facts.get('Reason', '')}){when}"
        if self.state in ENDED:
            code, _, number = facts.get("ExitCode", "0:0").partition(":")
            why = f" (signal {number})" if number != "0" else f" (exit code {code})"
            return f"{self.state} after {ran}{'' if (code, number) == ('0', '0') else why}"
        if self.state == "COMPLETING":
            return f"COMPLETING on {facts.get('NodeList', '')} after {ran}"
        end = end_time(facts)
        # Of a job without a limit Slurm says that it ends in a year.
        unlimited = facts.get("TimeLimit", "") in ("UNLIMITED", "365-00:00:00")
        left = "no limit" if end is None or unlimited else f"{clock(end - now)} left"
        return f"{self.state} on {facts.get('NodeList', '')} for {ran}, {left}"


def clock(seconds: float) -> str:
    """Write a duration.

    Example:
        >>> clock(192.4), clock(90_061)
        ('0:03:12', '25:01:01')
    """
    minutes, rest = divmod(max(0, round(seconds)), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def submitted(run: Path) -> dict[str, Any]:
    """Read what was submitted from a folder; empty: nothing was."""
    try:
        found: dict[str, Any] = json.loads((run / SUBMITTED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def find_jobs(name: str) -> list[Job]:
    """Find what a name means: a run folder, or a job's number; of an array all tasks.

    Args:
        name: As the user gives it.

    Raises:
        InputError: If it is neither.
    """
    folder = Path(name)
    if folder.is_dir():
        return _jobs_of_run(folder)
    if not re.fullmatch(r"\d+(_\d+)?", name):
        runs = [str(path.parent) for path in Path("runs").glob(f"*/{SUBMITTED}")]
        raise InputError(
            f"'{name}' is neither a run folder nor a job's number{did_you_mean(name, runs)}; see "
            "'combo-lightning slurm status'"
        )
    try:
        return [Job(number_of(facts), facts, run_of(facts)) for facts in facts_of_tasks(name)]
    except InputError as error:
        run = next((run for run in _runs() if str(submitted(run).get("job")) == name), None)
        if run is None:
            raise InputError(
                f"Slurm does not know job {name}, and no runs/*/{SUBMITTED} names it ({error})"
            ) from error
        return [Job(name, None, run)]


def _runs() -> list[Path]:
    return [path.parent for path in Path("runs").glob(f"*/{SUBMITTED}")]


def _jobs_of_run(folder: Path) -> list[Job]:
    """Find the last job of a run.

    Raises:
        InputError: If the folder is no run's.
    """
    if not any((folder / trace).exists() for trace in TRACES):
        raise InputError(
            f"{folder} is no run folder (none of {', '.join(TRACES)} is in it); see "
            "'combo-lightning slurm status'"
        )
    known = (submitted(folder).get("job"), _read_attempts(folder))
    # A script that was submitted again by hand has a later job than the first.
    number = max((int(job) for job in known if job), default=None)
    if number is None:
        return [Job(None, None, folder)]
    try:
        return [Job(number_of(facts), facts, folder) for facts in facts_of_tasks(str(number))]
    except InputError:
        return [Job(str(number), None, folder)]


def _read_attempts(folder: Path) -> Any:
    try:
        return json.loads((folder / "attempts.json").read_text(encoding="utf-8")).get("job")
    except (OSError, ValueError):
        return None


def number_of(facts: Mapping[str, str]) -> str:
    """Give a job's number, of an array's task with the array's: ``12_3``."""
    task = facts.get("ArrayTaskId")
    return f"{facts['ArrayJobId']}_{task}" if task else facts["JobId"]


def run_of(facts: Mapping[str, str]) -> Path | None:
    """Find a job's run folder: where its script stands, or as it is named after the job."""
    script = Path(facts.get("Command", ""))
    if (script.parent / SUBMITTED).is_file():
        return _shortest(script.parent)
    runs = Path(facts.get("WorkDir", ".")) / "runs"
    found = sorted(runs.glob(f"*-{facts.get('JobId', '?')}"))
    return _shortest(found[0]) if found else None


def _shortest(path: Path) -> Path:
    """Name a folder as the user would."""
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path
