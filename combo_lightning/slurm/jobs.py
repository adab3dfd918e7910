"""Slurm's own commands: what it says of jobs and nodes, and what it is asked to do."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from combo_lightning.errors import InputError

# States that a job does not leave by itself, as `scontrol show job` names them.
ENDED = frozenset(
    ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY", "BOOT_FAIL",
     "DEADLINE", "PREEMPTED")
)  # fmt: skip
ANSWER_SECONDS = 60.0
# What is not there is printed with the name of the node.
_LOOK = 'for path in "$@"; do test -r "$path" || echo "$SLURMD_NODENAME $path"; done'


def ask_slurm(*words: object, folder: Path | None = None) -> str:
    """Run one of Slurm's commands.

    Args:
        words: The command and its options.
        folder: Where it runs; None: here.

    Returns:
        What it says.

    Raises:
        InputError: In Slurm's own words, if there is no such command, it says no, or it does not
            answer within a minute.
    """
    command = [str(word) for word in words]
    try:
        done = subprocess.run(
            command,
            text=True,
            capture_output=True,
            timeout=ANSWER_SECONDS,
            check=False,
            cwd=folder,
        )
    except FileNotFoundError as error:
        raise InputError(
            f"there is no {command[0]} on this machine; run this where Slurm's commands are, such "
            "as a login node"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise InputError(
            f"{command[0]} has not answered for {ANSWER_SECONDS:.0f} seconds; see 'scontrol ping'"
        ) from error
    if done.returncode:
        said = re.sub(rf"^{command[0]}: (error: )?", "", done.stderr.strip(), flags=re.MULTILINE)
        said = "; ".join(dict.fromkeys(said.splitlines())) or f"exit code {done.returncode}"
        raise InputError(f"{command[0]}: {said}")
    return done.stdout


def look_on_nodes(srun: Sequence[str], paths: Sequence[Path]) -> str | None:
    """Look whether nodes see files and folders.

    Args:
        srun: The srun that starts a program on each of them, without the program.
        paths: What they must see.

    Returns:
        What one does not see, and what to do, in a sentence; None: all is there.

    Raises:
        InputError: If they could not be looked at.
    """
    missing = ask_slurm(*srun, "--chdir=/", "sh", "-c", _LOOK, "sh", *paths).splitlines()
    if not missing:
        return None
    node, path = missing[0].split(" ", 1)
    more = f" (and {len(missing) - 1} more such)" if len(missing) > 1 else ""
    return (
        f"node {node} does not see {path}{more}; put it on a folder that all nodes share, or "
        f"leave the node out with --exclude={node}"
    )


def job_facts(job: str) -> dict[str, str]:
    """Ask for everything that Slurm knows of a job: ``JobState``, ``NodeList``, ``EndTime`` ...

    Args:
        job: Its id; of an array's task ``ARRAY_TASK``.

    Raises:
        InputError: If Slurm does not know it: it forgets ended jobs after some minutes.
    """
    return facts_of(ask_slurm("scontrol", "show", "job", "-o", job))


def facts_of(line: str) -> dict[str, str]:
    """Read a line of ``scontrol show -o``.

    Example:
        >>> facts_of("JobId=7 JobName=a b Command=fit.sbatch --x=1 WorkDir=/w")["JobName"]
        'a b'
    """
    # A value may hold blanks and "=": a name begins with a capital, after a blank.
    found = re.findall(r"(?:^|\s)([A-Z][A-Za-z0-9_/:]*)=(.*?)(?=\s[A-Z][A-Za-z0-9_/:]*=|$)", line)
    return {name: value.strip() for name, value in found}


def end_time(facts: Mapping[str, str]) -> float | None:
    """Give when a job's time is over, in seconds of `time.time`; None: it has no limit.

    Args:
        facts: Of `job_facts`.
    """
    try:
        return datetime.fromisoformat(facts.get("EndTime", "")).timestamp()
    except ValueError:
        return None


def node_states(nodes: str) -> dict[str, str]:
    """Ask how nodes are, such as ``{"node1": "allocated", "node2": "down*"}``.

    A star: the node does not answer at the moment.

    Args:
        nodes: Their names, as Slurm writes lists.
    """
    said = ask_slurm("sinfo", "--noheader", "--Node", f"--nodes={nodes}", "--format=%N %T")
    return dict(line.split() for line in said.splitlines() if line.strip())


def host_names(nodes: str) -> list[str]:
    """Write a list of nodes out, in its order.

    Args:
        nodes: As Slurm writes lists, such as ``rack[1-2]n3``.
    """
    return ask_slurm("scontrol", "show", "hostnames", nodes).split()


def facts_of_tasks(job: str) -> list[dict[str, str]]:
    """Ask for everything of a job, of an array one entry a task.

    Args:
        job: Its id.

    Raises:
        InputError: If Slurm does not know it: it forgets ended jobs after some minutes.
    """
    lines = ask_slurm("scontrol", "show", "job", "-o", job).splitlines()
    return [facts_of(line) for line in lines if line.strip()]


def my_jobs(prefix: str) -> list[str]:
    """List the user's jobs that wait or run, of an array once.

    Args:
        prefix: How their names begin.
    """
    said = ask_slurm("squeue", "--me", "--noheader", "--format=%F %j")
    found = (line.split(maxsplit=1) for line in said.splitlines() if line.strip())
    return list(dict.fromkeys(job for job, name in found if name.startswith(prefix)))


@dataclass(frozen=True)
class Partition:
    """A partition.

    Args:
        nodes: How many it has.
        time_limit: Its jobs' longest time, in Slurm's words.
        default: Whether jobs go there that name none.
    """

    nodes: int
    time_limit: str
    default: bool


def partition_sizes() -> dict[str, Partition]:
    """Ask which partitions there are."""
    said = ask_slurm("sinfo", "--noheader", "--summarize", "--format=%P %D %l")
    found = [line.split() for line in said.splitlines() if line.strip()]
    return {
        name.rstrip("*"): Partition(int(nodes), limit, name.endswith("*"))
        for name, nodes, limit in found
    }


def kill_wait() -> int:
    """Give the seconds between a cancelled job's SIGTERM and its end."""
    found = re.search(r"^KillWait\s*=\s*(\d+)", ask_slurm("scontrol", "show", "config"), re.M)
    return int(found[1]) if found else 30
