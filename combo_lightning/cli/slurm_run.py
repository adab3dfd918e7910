"""``combo-lightning slurm run fit``: what the batch scripts call inside a job.

It starts the job's processes, tells them in time to save before the job's time is over, and has
Slurm start the job again, where it goes on from its last checkpoint.
"""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from combo_lightning.cli.progress import STATUS, read_json
from combo_lightning.cli.words import value_of
from combo_lightning.errors import InputError
from combo_lightning.ltfb.place import REJOIN_VARIABLE
from combo_lightning.slurm.allocation import Allocation
from combo_lightning.slurm.attempts import Attempts
from combo_lightning.slurm.jobs import ask_slurm, look_on_nodes
from combo_lightning.slurm.watch import JobWatch, Look, margin_seconds

logger = logging.getLogger(__name__)

HELP = """usage: combo-lightning slurm run fit [options of fit]

For batch scripts: start the job's processes with srun, have them save before the job's time is
over, and have Slurm start the job again, which then goes on from its last checkpoint.
"""
PROGRAM = (sys.executable, "-m", "combo_lightning")
LOOK_SECONDS = 0.2
# Exit codes of a fit: it refuses its input, and it has saved because it was told to.
REFUSED = 2
STOPPED = 128 + signal.SIGUSR1
# Slurm ends the processes of a job that it starts again within this time, or has said no.
REQUEUE_SECONDS = 120.0


def main(words: Sequence[str]) -> int:
    """Run a fit in this job.

    Args:
        words: ``fit`` and its options.

    Returns:
        The exit code of the batch script.

    Raises:
        InputError: If the options, the allocation or the nodes do not fit.
    """
    if not words or words[0] in ("-h", "--help"):
        sys.stdout.write(HELP)
        return 0 if words else REFUSED
    if words[0] != "fit":
        raise InputError(f"'slurm run {words[0]}': only fit is run this way; use srun for others")
    allocation = Allocation.from_environment()
    _set_threads()
    job = _Job(allocation, list(words[1:]))
    return job.run()


def _set_threads() -> None:
    """Give each task the cores that the job has asked for."""
    cores = os.environ.get("SLURM_CPUS_PER_TASK", "1")
    os.environ.setdefault("OMP_NUM_THREADS", cores)
    # srun takes a core a task otherwise, whatever the job has.
    os.environ.setdefault("SRUN_CPUS_PER_TASK", cores)


class _Job:
    """A job that trains: one model, trainer groups, or one of them.

    Args:
        allocation: What it has been given.
        options: Options of fit.
    """

    def __init__(self, allocation: Allocation, options: list[str]) -> None:
        self.allocation = allocation
        self.group = value_of("--group", options)
        named = value_of("--resume", options) or value_of("--run_dir", options)
        self.data = configured("data.path", options)
        name = Path(self.data).name if self.data else "run"
        self.run_dir = Path(named or Path("runs") / f"{name}-{allocation.job}")
        if named is None:
            options = [*options, f"--run_dir={self.run_dir}"]
        self.folder = self.run_dir / f"group_{self.group}" if self.group else self.run_dir
        self.options = options

    def run(self) -> int:
        """Start, watch, and have it started again where that helps.

        Returns:
            The exit code of the batch script.

        Raises:
            InputError: If a restart has come to nothing, or the allocation does not fit.
        """
        attempts = Attempts(self.folder)
        job = self.allocation.job
        if self.allocation.restarts and (why := attempts.stuck(job)):
            raise InputError(why)
        again = bool(attempts.of(job)) and self._has_begun()
        words = self._words(again=again)
        self._look_at_nodes()
        attempts.begin(self.allocation)
        if self.allocation.restarts:
            how = f"goes on from {self.folder}" if again else "begins, as nothing was saved"
            logger.info(
                "job %s, restart %d (SLURM_RESTART_COUNT), on %s: %s",
                job,
                self.allocation.restarts,
                ",".join(self.allocation.nodes),
                how,
            )
        watch = JobWatch(job)
        num_groups = int(configured("num_groups", self.options) or 1)
        if num_groups > 1 and self.group is None and self.allocation.components == 1:
            from combo_lightning.cli.slurm_groups import run_groups

            code = run_groups(self.allocation, num_groups, self.run_dir, words, watch)
        else:
            code = _run_model([*self.allocation.srun(), *PROGRAM, *words], self.folder, watch)
        return self._end(code, attempts, watch)

    def _has_begun(self) -> bool:
        """Tell whether the run has a configuration to go on with."""
        places = [self.folder / "config.yaml", *self.folder.glob("group_*/config.yaml")]
        return any(path.is_file() for path in places)

    def _words(self, *, again: bool) -> list[str]:
        """Give the command that each process runs."""
        if not again or value_of("--resume", self.options):
            return ["fit", *self.options]
        if self.group is None:
            return ["fit", "--resume", str(self.run_dir)]
        # It goes on beside groups that may train.
        os.environ[REJOIN_VARIABLE] = "1"
        return ["fit", *self.options]

    def _look_at_nodes(self) -> None:
        """Make sure that all nodes see the folders of the run.

        Raises:
            InputError: If one does not.
        """
        folders = [Path.cwd()]
        if self.data and Path(self.data).exists():
            folders.append(Path(self.data).absolute())
        try:
            missing = look_on_nodes(self.allocation.srun(), folders)
        except InputError as error:
            # A node that fails now is Slurm's to find: it starts the job again elsewhere.
            logger.warning("the nodes could not be looked at: %s", error)
            return
        if missing is not None:
            raise InputError(missing)

    def _end(self, code: int, attempts: Attempts, watch: JobWatch) -> int:
        """Note what ended the processes; have the job started again where that helps."""
        if code == 0:
            attempts.end("finished")
            return 0
        look = watch.look(now=True)
        folders = [self.folder, *self.folder.glob("group_*")]
        in_time = code == STOPPED and look is not None and is_nearly_over(look, folders)
        why = "its time was nearly over" if in_time else _reason(code)
        attempts.end(why)
        if code == REFUSED or look is None or look.state != "RUNNING":
            # Slurm ends the job, or starts it again by itself; queueing a job again that a user
            # has cancelled would bring it back.
            return code
        if stuck := attempts.stuck(self.allocation.job):
            sys.stderr.write(f"error: {stuck}\n")
            return code
        try:
            logger.info("job %s: %s; it is queued again", self.allocation.job, why)
            ask_slurm("scontrol", "requeue", self.allocation.job)
        except InputError as error:
            logger.info(
                "%s; go on with: sbatch .. --resume %s, or submit with --requeue",
                error,
                self.run_dir,
            )
            return code
        time.sleep(REQUEUE_SECONDS)
        return code


def _run_model(command: Sequence[str], folder: Path, watch: JobWatch) -> int:
    """Run the processes of one model; tell them to save before the job's time is over."""
    process = subprocess.Popen(list(command), stdin=subprocess.DEVNULL)

    def pass_on(number: int, frame: Any) -> None:
        # srun hands SIGUSR1 on to its tasks. At SIGTERM it would kill them: Slurm has told them.
        if number == signal.SIGUSR1:
            process.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, pass_on)
    told = False
    while (code := process.poll()) is None:
        time.sleep(LOOK_SECONDS)
        look = watch.look()
        if not told and look is not None and is_nearly_over(look, [folder]):
            told = True
            logger.info("the job's time is nearly over: told to save")
            process.send_signal(signal.SIGUSR1)
    return code


def is_nearly_over(look: Look, folders: Sequence[Path]) -> bool:
    """Tell whether processes must save now, to be done before the job's time is over.

    Args:
        look: What Slurm says of the job.
        folders: Run folders, whose ``status.json`` tells how long saves and validations take.
    """
    if look.ends_at is None or look.state != "RUNNING":
        # The time of a job that is being cancelled ends now, and its processes know.
        return False
    margins = [margin_seconds(0.0, None)]
    for folder in folders:
        status = read_json(folder / STATUS)
        pause = status.get("longest_pause_seconds") or 0.0
        margins.append(margin_seconds(pause, status.get("steps_per_second")))
    return time.time() > look.ends_at - max(margins)


def configured(option: str, words: Sequence[str]) -> str | None:
    """Find a value as fit will: the last of ``--config`` files and options counts.

    Args:
        option: Its name with dots, such as ``data.path``.
        words: The options. A run that is resumed has its own file.
    """
    import yaml

    words = list(words)
    resumed = value_of("--resume", words)
    files = [f"{resumed}/config.yaml", f"{resumed}/group_0/config.yaml"] if resumed else []
    found: Any = None
    for i, word in enumerate(words):
        name, _, value = word.partition("=")
        if name == "--config":
            files.append(value or words[i + 1])
    for file in files:
        try:
            content = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError):
            continue  # fit says what is wrong with it
        for part in option.split("."):
            content = content.get(part) if isinstance(content, dict) else None
        found = found if content is None else content
    given = value_of(f"--{option}", words)
    found = found if given is None else given
    return None if found is None else str(found)


def _reason(code: int) -> str:
    if code == STOPPED:
        return "told to save and end (SIGUSR1)"
    if code == 128 + signal.SIGTERM:
        return "told to save and end (SIGTERM)"
    if code == 128 + signal.SIGKILL:
        return "a process was killed (exit code 137; out of memory?)"
    return f"ended with exit code {code}"
