"""``combo-lightning doctor``: what is wrong with this machine, or with a job's nodes."""

import logging
import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from combo_lightning.errors import InputError

if TYPE_CHECKING:
    from combo_lightning.doctor.examination import Examination

logger = logging.getLogger(__name__)

_WIDTH = 100


def run(data: Path | None = None, shared: Path = Path()) -> int:
    """Examine this machine; in a Slurm job's batch script, or in salloc's shell, all its nodes.

    Args:
        data: A data set to read; in a job, on each node.
        shared: The folder where runs are to be; in a job, one that its nodes share.

    Returns:
        0: healthy. 1: something is broken.
    """
    from combo_lightning.doctor.page import examination_lines, page_text
    from combo_lightning.doctor.settings import read_request, settings_of_job, settings_of_machine
    from combo_lightning.doctor.verdict import judge

    start = time.monotonic()
    data, shared = (None if data is None else data.absolute()), shared.absolute()
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        found = _examine_here(data, shared)
        settings = settings_of_machine(next(iter(found.machines.values())))
        title = f"this machine, {found.nodes[0]}"
    else:
        found = _examine_job(job, data, shared)
        settings = settings_of_job(found, read_request(os.environ))
        title = f"job {job}: {', '.join(found.nodes)}, examined in "
        title += f"{time.monotonic() - start:.0f} s; shared folder {shared}"
    findings = judge(found)
    # A job's log is no terminal, and has no width.
    width = min(_WIDTH, shutil.get_terminal_size((_WIDTH, 24)).columns)
    sys.stdout.write(page_text(title, examination_lines(found), findings, settings, width))
    return int(any(finding.broken for finding in findings))


def _examine_here(data: Path | None, folder: Path) -> "Examination":
    """Examine this machine alone."""
    from combo_lightning.doctor.examination import Examination
    from combo_lightning.doctor.folder import clean, leave_note
    from combo_lightning.doctor.machine import examine_data, examine_machine

    name = os.uname().nodename
    found = Examination([name], machines={name: examine_machine()})
    if data is not None:
        found.data = {name: examine_data(data)}
    own = folder / f".combo-doctor-{uuid4().hex[:8]}"
    found.folders = {name: leave_note(own, name)}
    clean(own)
    return found


def _examine_job(job: str, data: Path | None, shared: Path) -> "Examination":
    """Examine all nodes of this job.

    Raises:
        InputError: If srun has started this process together with others.
    """
    if int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        raise InputError(
            "srun has started doctor on several tasks, but it starts one on each node by itself; "
            "put it into the batch script, or into salloc's shell, without srun"
        )
    from combo_lightning.doctor.examination import examine_nodes
    from combo_lightning.slurm.jobs import host_names

    names = host_names(os.environ["SLURM_JOB_NODELIST"])
    logger.info("asking the nodes of job %s; they load torch, which may take a minute", job)
    count = len(names)
    command = [
        *("srun", "--overlap", f"--nodes={count}", f"--ntasks={count}", "--ntasks-per-node=1"),
        *("--distribution=block", "--kill-on-bad-exit=0", "--wait=0", "--input=all"),
        f"--cpus-per-task={os.environ.get('SLURM_CPUS_PER_TASK', '1')}",
        # Not what lies in the current folder, but what is installed.
        *(sys.executable, "-P", "-m", "combo_lightning.doctor.probe"),
    ]
    return examine_nodes(names, command, f"doctor-{job}-{uuid4().hex[:8]}", data, shared)
