"""What is looked at before a job is submitted: disk, time, the partition, and what nodes see."""

import math
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from combo_lightning.cli.progress import RECORD, STATUS, read_json
from combo_lightning.errors import InputError
from combo_lightning.runs.folder import CONFIG
from combo_lightning.slurm.job_status import clock
from combo_lightning.slurm.jobs import ask_slurm, look_on_nodes, partition_sizes
from combo_lightning.slurm.submission import Option, tasks_asked, time_limit

if TYPE_CHECKING:
    from combo_lightning.cli.planned_fit import PlannedFit

# What a start takes on a slow file system, with a save; less brings nothing.
SHORTEST_SECONDS = 180.0
# How long nodes may take to be free for a look, and to look.
LOOK_SECONDS = 5
# Which options decide what nodes a job gets.
WHERE = frozenset(
    ("account", "clusters", "constraint", "exclude", "nodelist", "partition", "qos", "reservation")
)


def check_fit(fit: "PlannedFit", folder: Path, options: Sequence[Option]) -> list[str]:
    """Check that a fit has room and time.

    Args:
        fit: What it will be.
        folder: Its run folder.
        options: All of sbatch's options.

    Returns:
        What was found.
    """
    tasks = tasks_asked(options)
    where = "" if tasks is None else f" on {len(tasks)} nodes x {max(tasks)} tasks"
    groups = "" if fit.num_groups == 1 else f"{fit.num_groups} trainer groups, "
    what = f"{groups}{fit.parameters:,} weights, {fit.rows:,} rows, at most {fit.steps:,} steps"
    return [f"fit{where}: {what}", check_disk(fit, folder), *check_time(fit, folder, options)]


def check_disk(fit: "PlannedFit", folder: Path) -> str:
    """Compare what the checkpoints will take with what is free.

    Args:
        fit: What the fit will be.
        folder: Its run folder.

    Returns:
        Both, in words.

    Raises:
        InputError: If they do not fit.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    said = f"{amount(fit.checkpoint_bytes)}, and {amount(free)} are free in {there}"
    if fit.checkpoint_bytes > free:
        raise InputError(
            f"the checkpoints will take about {said}; make room, or choose another --run_dir"
        )
    return f"checkpoints: about {said}"


def amount(size: float) -> str:
    """Write a number of bytes.

    Example:
        >>> amount(6_108_492), amount(3 * 2**30)
        ('5.8 MiB', '3.0 GiB')
    """
    return f"{size / 2**30:,.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"


@dataclass(frozen=True)
class Rate:
    """How fast a run of the same data set and network was.

    Args:
        rows_per_second: Training rows, of a group.
        run: The run.
        ended: When it ended, or was last heard of, in seconds of `time.time`.
    """

    rows_per_second: float
    run: Path
    ended: float


def check_time(fit: "PlannedFit", folder: Path, options: Sequence[Option]) -> list[str]:
    """Compare the time limit with what an earlier run of the same kind took.

    Args:
        fit: What the fit will be.
        folder: Its run folder.
        options: All of sbatch's options.

    Returns:
        What was found; nothing where nothing is known.

    Raises:
        InputError: If the limit leaves no time to train.
    """
    limit = time_limit(options)
    if limit is not None and limit < SHORTEST_SECONDS:
        raise InputError(
            f"--time is {clock(limit)}, but a start with a save may take "
            f"{clock(SHORTEST_SECONDS)}; give more"
        )
    rate = measured_rate(fit, folder)
    if rate is None:
        return []
    before = read_json(folder / RECORD) or read_json(folder / "group_0" / RECORD)
    steps = fit.steps - (before.get("steps", 0) if fit.resumed else 0)
    seconds = max(0, steps) * fit.batch_size / rate.rows_per_second
    said = (
        f"time: at most {clock(seconds)}, at {rate.rows_per_second:,.0f} rows a second as in "
        f"{rate.run}"
    )
    if limit is None or seconds <= limit:
        return [said if limit is None else f"{said}; the limit is {clock(limit)}"]
    if any(option.name == "no-requeue" for option in options):
        return [f"{said}; the limit of {clock(limit)} will stop it before its end"]
    times = math.ceil(seconds / limit) - 1
    return [f"{said}; the limit is {clock(limit)}: about {times} restarts"]


def measured_rate(fit: "PlannedFit", folder: Path) -> Rate | None:
    """Find the last run of the same data set and network beside this one, and its rate.

    Args:
        fit: What the fit will be.
        folder: Its run folder.
    """
    found = []
    for pattern in ("*", "*/group_0"):
        for file in folder.parent.glob(f"{pattern}/{RECORD}"):
            rate = _rate_of(file.parent, fit)
            found += [] if rate is None else [rate]
    return max(found, key=lambda rate: rate.ended, default=None)


def _rate_of(run: Path, fit: "PlannedFit") -> Rate | None:
    record, status = read_json(run / RECORD), read_json(run / STATUS)
    same = record.get("data", {}).get("fingerprint") == fit.fingerprint
    same = same and record.get("parameters") == fit.parameters
    if not same or not record.get("starts") or not (run / CONFIG).is_file():
        return None
    start = record["starts"][-1]
    began = datetime.fromisoformat(start["at"]).timestamp()
    steps, ended = record.get("steps", 0), 0.0
    if "ended" in record:
        ended = datetime.fromisoformat(record["ended"]).timestamp()
    if ended < began:
        # It runs, perhaps again.
        steps, ended = status.get("step", 0), status.get("time", 0.0)
    batch = re.search(r"^  batch_size: (\d+)$", (run / CONFIG).read_text("utf-8"), re.MULTILINE)
    rows = (steps - start["step"]) * int(batch[1] if batch else 0)
    # Times are written in whole seconds.
    seconds = max(1.0, ended - began)
    return Rate(rows / seconds, run, ended) if rows > 0 and ended >= began else None


def check_partition(options: Sequence[Option]) -> None:
    """Compare the nodes that are asked for with the partition's; Slurm may let such a job wait.

    Args:
        options: All of sbatch's options.

    Raises:
        InputError: If it has fewer.
    """
    asked = {option.name: option.value or "" for option in options}
    sizes = partition_sizes()
    name = asked.get("partition") or next((n for n, p in sizes.items() if p.default), "")
    tasks = tasks_asked(options)
    if name in sizes and tasks is not None and len(tasks) > sizes[name].nodes:
        raise InputError(
            f"--nodes is {len(tasks)}, but partition {name} has {sizes[name].nodes} nodes; ask "
            f"for fewer, or for another --partition ({_listed(sizes)})"
        )


def _listed(sizes: dict[str, Any]) -> str:
    return ", ".join(
        f"{name}: {p.nodes} nodes, at most {p.time_limit}" for name, p in sizes.items()
    )


def ask_whether(script: str, options: Sequence[Option], folder: Path) -> None:
    """Ask Slurm whether it would take a job.

    Args:
        script: The script.
        options: All of sbatch's options, which count more than its variables.
        folder: Where to put the script for that.

    Raises:
        InputError: If it would not, in its words.
    """
    path = folder / "job.sbatch"
    path.write_text(script, encoding="utf-8")
    try:
        ask_slurm("sbatch", "--test-only", *options, path)
    except InputError as error:
        said = f"Slurm would not take the job: {error}"
        if "partition" in said or "limit" in said:
            said += f" (partitions: {_listed(partition_sizes())})"
        raise InputError(said) from error


def look_on_idle(options: Sequence[Option], paths: Sequence[Path]) -> str:
    """Look whether nodes that are idle now see what a job needs.

    Args:
        options: All of sbatch's options.
        paths: Files and folders.

    Returns:
        What was found.

    Raises:
        InputError: If one does not see something.
    """
    tasks = tasks_asked(options)
    nodes = 1 if tasks is None else len(tasks)
    where = [str(option) for option in options if option.name in WHERE]
    srun = ["srun", *where, f"--nodes={nodes}", "--ntasks-per-node=1", "--cpus-per-task=1",
            f"--immediate={LOOK_SECONDS}", "--time=1", "--job-name=look"]  # fmt: skip
    try:
        missing = look_on_nodes(srun, paths)
    except InputError as error:
        return f"nodes: looked at when the job starts, as none could be had at once ({error})"
    if missing is not None:
        raise InputError(missing)
    return f"nodes: what is named is there, by a look from {nodes} idle"
