"""``combo-lightning slurm``: submit jobs, see how they stand, read their logs, end them."""

import importlib
import shlex
import sys
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from combo_lightning.cli.progress import RunProgress, progress_table
from combo_lightning.errors import InputError, did_you_mean
from combo_lightning.slurm.job_status import Job, find_jobs, submitted
from combo_lightning.slurm.jobs import ask_slurm, kill_wait, my_jobs

PREFIX = "combo-"
LINES = 20
# The controller answers many users.
LOOK_SECONDS = 2.0
HELP = """usage: combo-lightning slurm submit [--dry-run] [options of sbatch] TEMPLATE [options]
       combo-lightning slurm status [RUN or JOB ...]
       combo-lightning slurm logs   [--lines N] [--follow] RUN or JOB
       combo-lightning slurm cancel RUN or JOB
       combo-lightning slurm run fit [options of fit]

  submit    check, write RUN/job.sbatch and submit it; TEMPLATE is one of scripts/slurm, or a
            script; what follows it is for its command
  status    one line a job: step, epoch, rate, time left, round, living groups; without names all
            of your combo-* jobs
  logs      the end of a job's log
  cancel    end a job; its processes save first
  run       in a batch script: train, save in time, and go on after a restart
"""


def main(words: Sequence[str]) -> int:
    """Choose the subcommand.

    Args:
        words: It, and what follows.

    Returns:
        The exit code.
    """
    if not words or words[0] in ("-h", "--help"):
        sys.stdout.write(HELP)
        return 0 if words else 2
    name, rest = words[0], list(words[1:])
    if name == "submit":
        # It reads data sets and builds networks; the others answer at once.
        module = importlib.import_module("combo_lightning.cli.slurm_submit")
        return int(module.main(rest))
    if name == "guard":
        # What `run` starts on another node.
        module = importlib.import_module("combo_lightning.cli.slurm_guard")
        return int(module.main(rest))
    if name == "run":
        module = importlib.import_module("combo_lightning.cli.slurm_run")
        return int(module.main(rest))
    subcommands = {"status": _status, "logs": _logs, "cancel": _cancel}
    if name not in subcommands:
        hint = did_you_mean(name, ("submit", "run", *subcommands))
        sys.stderr.write(f"combo-lightning slurm: there is no '{name}'{hint}\n")
        return 2
    subcommands[name](rest)
    return 0


def _parser(name: str, description: str) -> ArgumentParser:
    return ArgumentParser(prog=f"combo-lightning slurm {name}", description=description)


def _status(words: list[str]) -> None:
    """Print a line for each job, and a table where one run of trainer groups is asked for."""
    parser = _parser("status", "How jobs and their runs stand.")
    parser.add_argument("names", nargs="*", metavar="RUN|JOB", help="none: all your combo-* jobs")
    names = parser.parse_args(words).names
    jobs = [job for name in names or my_jobs(PREFIX) for job in find_jobs(name)]
    for job in jobs:
        sys.stdout.write(f"{status_line(job, time.time())}\n")
    if not jobs:
        sys.stdout.write(f"no {PREFIX}* job of yours waits or runs; name a run folder, or a job\n")
    if len(names) == 1 and len(jobs) == 1 and jobs[0].run is not None:
        progress = RunProgress.read(jobs[0].run, time.time())
        if progress.num_groups:
            from rich.console import Console

            Console().print(progress_table(progress.folder, progress.alive()))


def status_line(job: Job, now: float) -> str:
    """Say in a line how a job and its run stand.

    Args:
        job: The job.
        now: The time, in seconds of `time.time`.
    """
    said = f"{job.number or '-'} {job.name}".strip()
    state = job.words(now)
    if job.run is None:
        return f"{said}: {state}"
    progress = RunProgress.read(job.run, now)
    parts = [progress.words(running=job.state == "RUNNING"), progress.restarts()]
    if job.ended:
        parts.insert(0, _outcome(progress, known=bool(job.state)))
    return (
        f"{said}: {state}; {job.run}: {'; '.join(part for part in parts if part) or 'no step yet'}"
    )


def _outcome(progress: RunProgress, *, known: bool) -> str:
    """Say how a run ended that has no job any more."""
    outcome = progress.outcome
    if outcome == "running":
        return "it broke off" if known else "it broke off, or another job runs it"
    return outcome


def _one(name: str) -> list[Job]:
    """Find a job that Slurm may know, by the name of its run or by its number.

    Raises:
        InputError: If the run has none.
    """
    jobs = find_jobs(name)
    if jobs[0].number is None:
        raise InputError(
            f"{name} was not submitted: neither submitted.json nor attempts.json names a job"
        )
    return jobs


def _cancel(words: list[str]) -> None:
    """End a job, and say what that does.

    Raises:
        InputError: If it has ended already.
    """
    parser = _parser("cancel", "End a job; its processes save first.")
    parser.add_argument("name", metavar="RUN|JOB")
    name = parser.parse_args(words).name
    jobs = [job for job in _one(name) if not job.ending]
    if not jobs:
        raise InputError(f"{name} has ended already: {status_line(_one(name)[0], time.time())}")
    for job in jobs:
        sys.stdout.write(f"cancelling {status_line(job, time.time())}\n")
    number = str(jobs[0].number)
    # Of an array that is named as a whole, the whole.
    ask_slurm("scancel", number if "_" in name else number.split("_")[0])
    if any(job.state != "PENDING" for job in jobs):
        sys.stdout.write(
            f"its processes get SIGTERM: they save and end, within {kill_wait()} seconds\n"
        )
    run = jobs[0].run
    if run is not None:
        sys.stdout.write(f"go on with: {again(run)}\n")


def again(run: Path) -> str:
    """Write the command that goes on with a run in another job.

    Args:
        run: The run folder.
    """
    begun = RunProgress.read(run, 0.0).outcome
    words = submitted(run).get("again" if begun else "command")
    words = words or ["slurm", "submit", "fit", "--resume", str(run)]
    return shlex.join(["combo-lightning", *words])


def _logs(words: list[str]) -> None:
    """Print the end of a job's log.

    Raises:
        InputError: If there is none, or several are to be followed.
    """
    parser = _parser("logs", "The end of a job's log.")
    parser.add_argument("name", metavar="RUN|JOB")
    parser.add_argument("--lines", type=int, default=LINES, help="how many (default: %(default)s)")
    parser.add_argument("--follow", action="store_true", help="go on until the job ends")
    asked = parser.parse_args(words)
    jobs = _await_log(asked.name) if asked.follow else _one(asked.name)
    logs = _logs_of(jobs)
    if asked.follow and len(logs) > 1:
        raise InputError(
            f"{asked.name} has {len(logs)} logs, but one can be followed; name one task of the "
            "array (JOB_TASK)"
        )
    if not logs:
        raise InputError(f"{asked.name} has no log: {jobs[0].words(time.time())}")
    for log in logs:
        with log.open("rb") as file:
            sys.stdout.write(f"==> {log} <==\n{_end_of(file, asked.lines)}")
            if asked.follow:
                _follow(file, asked.name)
    run = jobs[0].run
    for log in sorted(run.glob("group_*/log.txt")) if run is not None else []:
        sys.stdout.write(f"also: {log}\n")


def _logs_of(jobs: list[Job]) -> list[Path]:
    """List the logs that are there."""
    return [log for log in dict.fromkeys(log for job in jobs for log in job.logs) if log.is_file()]


def _await_log(name: str) -> list[Job]:
    """Wait until a job has begun to write, or has ended without."""
    jobs, said = _one(name), False
    while not _logs_of(jobs) and not all(job.ended for job in jobs):
        if not said:
            sys.stdout.write(f"waiting: {status_line(jobs[0], time.time())}\n")
            sys.stdout.flush()
        said = True
        time.sleep(LOOK_SECONDS)
        jobs = _one(name)
    return jobs


def _end_of(file: Any, lines: int) -> str:
    """Read the last lines of a file, and stand at its end."""
    text: str = file.read().decode("utf-8", "replace")
    kept = text.splitlines(keepends=True)[-lines:] if lines else []
    return "".join(kept)


def _follow(file: Any, name: str) -> None:
    """Print what is added to a file until the job ends."""
    ended = False
    while not ended:
        ended = all(job.ended for job in find_jobs(name))
        sys.stdout.write(file.read().decode("utf-8", "replace"))
        sys.stdout.flush()
        if not ended:
            time.sleep(LOOK_SECONDS)
