"""``combo-lightning slurm submit``: check, write the script into the run folder, submit it."""

import importlib
import json
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from combo_lightning.cli.group_of_fit import is_finished
from combo_lightning.cli.main import COMMANDS, invocation, parse_command
from combo_lightning.cli.slurm_checks import (
    ask_whether,
    check_fit,
    check_partition,
    look_on_idle,
)
from combo_lightning.cli.words import value_of
from combo_lightning.data.dataset import MANIFEST
from combo_lightning.errors import InputError, did_you_mean
from combo_lightning.ltfb.plan import PLAN, Plan
from combo_lightning.runs.folder import CONFIG, new_run_dir, write_aside
from combo_lightning.slurm.job_status import SUBMITTED, TRACES, find_jobs
from combo_lightning.slurm.jobs import ask_slurm
from combo_lightning.slurm.submission import (
    Option,
    command_of,
    compose_script,
    job_variables,
    log_pattern,
    merge,
    read_options,
    script_options,
    tasks_asked,
    variable_options,
)

if TYPE_CHECKING:
    from combo_lightning.cli.planned_fit import PlannedFit

DRY_RUN = "dry-run"
SCRIPT = "job.sbatch"
PACKAGE = Path(__file__).parents[1]
# In a checkout beside the package; in an installed wheel inside it.
TEMPLATES = (PACKAGE.parent / "scripts" / "slurm", PACKAGE / "slurm" / "templates")
USAGE = """usage: combo-lightning slurm submit [--dry-run] [options of sbatch] TEMPLATE [options]

Check, write RUN/job.sbatch, submit it. As with sbatch, what stands before the template is sbatch's
(--nodes=4 --time=2:00:00 --partition=gpu), and what follows it is its command's.

  --dry-run   check, and print the script; nothing is written
"""
# What the others would turn submitting into, and what to do instead.
REFUSED = {
    "test-only": "use --dry-run",
    "wrap": "name a template, or a script",
    "wait": "use 'combo-lightning slurm logs --follow RUN' afterwards",
    "parsable": "read the job's number from RUN/submitted.json",
    "chdir": "run the command in that folder",
}


@dataclass(frozen=True)
class Request:
    """What is to be submitted.

    Args:
        dry_run: Whether to check only.
        chosen: sbatch's options, as the user gave them.
        name: The template's name.
        template: Its text.
        words: The options of its command, as the user gave them.
    """

    dry_run: bool
    chosen: list[Option]
    name: str
    template: str
    words: list[str]

    @classmethod
    def read(cls, arguments: Sequence[str]) -> "Request":
        """Read the command line.

        Raises:
            InputError: If there is no such template, or an option cannot be used here.
        """
        chosen, rest = read_options(arguments, own_flags=(DRY_RUN,))
        dry_run = any(option.name == DRY_RUN for option in chosen)
        chosen = [option for option in chosen if option.name != DRY_RUN]
        for option in chosen:
            if option.name in REFUSED:
                raise InputError(f"--{option.name} has no place here; {REFUSED[option.name]}")
        if not rest:
            raise InputError(f"no template is named; there are {', '.join(templates())}")
        name, text = read_template(rest[0])
        return cls(dry_run, chosen, name, text, rest[1:])


def templates() -> dict[str, Path]:
    """Find the templates by name: the checkout's, else the installed ones."""
    for folder in TEMPLATES:
        found = {path.stem: path for path in sorted(folder.glob("*.sbatch"))}
        if found:
            return found
    return {}


def read_template(name: str) -> tuple[str, str]:
    """Read a template.

    Args:
        name: One of scripts/slurm, or the path of a script.

    Returns:
        Its name and text.

    Raises:
        InputError: If there is none.
    """
    known = templates()
    path = known.get(name) or Path(name)
    if not path.is_file():
        raise InputError(
            f"there is no template '{name}'{did_you_mean(name, known)}; there are "
            f"{', '.join(known)}, or name a script by its path"
        )
    return path.stem, path.read_text(encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    """Check, write and submit.

    Args:
        arguments: What follows ``slurm submit``.

    Returns:
        The exit code.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        sys.stdout.write(USAGE)
        return 0 if arguments else 2
    request = Request.read(arguments)
    given = [*variable_options(os.environ), *request.chosen]
    options = merge(script_options(request.template), given)
    check_partition(options)
    target = look_at(request, options)
    for sentence in check_fit(target.fit, target.folder, options) if target.fit else []:
        sys.stdout.write(f"{sentence}\n")
    # The template's own name and log give way to these; the user's do not.
    options = merge(merge(options, _own_options(request, target, options)), given)
    script = compose_script(request.template, options, target.words)
    with tempfile.TemporaryDirectory() as aside:
        ask_whether(script, options, Path(aside))
    sys.stdout.write(f"{look_on_idle(options, target.paths())}\n")
    if request.dry_run:
        sys.stdout.write(f"would submit {target.folder / SCRIPT}:\n\n{script}")
        return 0
    job = _submit(request, target, options, script)
    sys.stdout.write(f"submitted job {job}: {target.folder / SCRIPT}\n")
    for verb in ("status", "logs --follow", "cancel"):
        folder = shlex.quote(str(target.folder))
        sys.stdout.write(f"  combo-lightning slurm {verb} {folder}\n")
    return 0


@dataclass(frozen=True)
class Target:
    """What a job will do, and where.

    Args:
        folder: The run folder; of other commands than fit one beside the output.
        words: The options of the command, the folder among them.
        data: Name of the data set, or of the output.
        fit: What the fit will be; None: the command is another.
    """

    folder: Path
    words: list[str]
    data: str
    fit: "PlannedFit | None"

    def paths(self) -> list[Path]:
        """List what the nodes must see: all that is named and is there, and where the run goes."""
        values = [word.partition("=")[2] or word for word in self.words]
        named = [Path(value) for value in values if os.path.exists(value)]
        # A folder may be there and be empty.
        data = [self.fit.data / MANIFEST] if self.fit else []
        parent = next(p for p in self.folder.absolute().parents if p.exists())
        return list(dict.fromkeys(path.absolute() for path in [*data, *named, parent]))


def look_at(request: Request, options: Sequence[Option]) -> Target:
    """Read the options of the command as it will, and choose the folder.

    Args:
        request: What is to be submitted.
        options: All of sbatch's options.

    Raises:
        InputError: If an option does not fit, or the folder is taken.
    """
    tasks = tasks_asked(options)
    command = command_of(request.template, job_variables(options, tasks)) or [""]
    name, words = command[0], [*command[1:], *request.words]
    if name == "fit":
        return _look_at_fit(request, words, tasks)
    if name == "cross-validate":
        from combo_lightning.cli.planned_fit import plan_fit

        # What is not its own is fit's.
        plan_fit([*_without(("--folds", "--fold", "--out"), words), "--run_dir=new"], tasks)
    elif name in COMMANDS:
        module = importlib.import_module(f"combo_lightning.cli.{name.replace('-', '_')}")
        if not hasattr(module, "main"):
            parse_command(name, words)
    out = value_of("--out", words)
    if out is None:
        return Target(new_run_dir(Path(request.name)), request.words, "", None)
    path = Path(out)
    return Target(path.with_name(f"{path.name}.job"), request.words, path.stem, None)


def _without(names: Sequence[str], words: Sequence[str]) -> list[str]:
    """Leave options with values out."""
    kept: list[str] = []
    rest = iter(words)
    for word in rest:
        if word in names:
            next(rest, None)
        elif not word.startswith(tuple(f"{name}=" for name in names)):
            kept.append(word)
    return kept


def _look_at_fit(request: Request, words: list[str], tasks: tuple[int, ...] | None) -> Target:
    """Read fit's options.

    Raises:
        InputError: If the run folder is taken, or the run is finished.
    """
    from combo_lightning.cli.planned_fit import plan_fit

    resume = value_of("--resume", words)
    named = resume or value_of("--run_dir", words)
    if resume and len(request.words) <= 2 and is_finished(Path(resume)):
        raise InputError(f"{resume} is finished; give a higher --trainer.max_epochs to go on")
    # Where there is no folder yet, one is named: what must have one is not refused.
    planned = plan_fit([*words, *([] if named else ["--run_dir=new"])], tasks)
    folder = Path(named) if named else new_run_dir(planned.data)
    if resume and (folder / PLAN).is_file():
        before = Plan.read(folder).num_groups
        if before != planned.num_groups:
            raise InputError(
                f"{folder} is a run of {before} trainer groups, but this job would have "
                f"{planned.num_groups}; ask for as many --nodes, or set --num_groups {before}"
            )
    if any((folder / trace).exists() for trace in TRACES):
        running = [j for j in find_jobs(str(folder)) if not j.ended and "_" not in str(j.number)]
        if running:
            raise InputError(
                f"job {running[0].number} of {folder} is {running[0].words(time.time())}; cancel "
                "it first, or choose another --run_dir"
            )
    taken = next((name for name in (CONFIG, PLAN) if (folder / name).exists()), None)
    if taken and not resume and not planned.joins:
        raise InputError(
            f"{folder} holds a run already; go on with '--resume {folder}' or choose another "
            "--run_dir"
        )
    fixed = [] if named else [f"--run_dir={folder}"]
    return Target(folder, [*request.words, *fixed], planned.data.name, planned)


def _own_options(request: Request, target: Target, options: Sequence[Option]) -> list[Option]:
    """Name the job, its log and its folder."""
    log = "job-%A_%a.log" if any(option.name == "array" for option in options) else "job-%j.log"
    folder = str(target.folder.absolute()).replace("%", "%%")
    return [
        Option("job-name", "-".join(filter(None, ("combo", request.name, target.data)))),
        Option("chdir", str(Path.cwd())),
        Option("output", f"{folder}/{log}"),
    ]


def _submit(request: Request, target: Target, options: Sequence[Option], script: str) -> str:
    """Write the script and submit it; what Slurm refuses leaves nothing behind.

    Returns:
        The job's number.

    Raises:
        InputError: If Slurm refuses.
    """
    path = target.folder / SCRIPT
    before = path.read_text(encoding="utf-8") if path.is_file() else None
    new = [p for p in (target.folder, *target.folder.parents) if not p.exists()]
    write_aside(path, script)
    try:
        # Words count more than sbatch's variables, and those more than the script's lines.
        job = ask_slurm("sbatch", "--parsable", *options, path).split(";")[0].strip()
    except InputError:
        if before is not None:
            write_aside(path, before)
        else:
            path.unlink()
        for folder in new:
            folder.rmdir()
        raise
    asked = {option.name: option.value or "" for option in options}
    again = [*map(str, request.chosen), request.name, "--resume", str(target.folder)]
    record = {
        "job": job,
        "name": asked["job-name"],
        "log": log_pattern(asked["output"], job, asked["job-name"]),
        "command": invocation(),
        "again": ["slurm", "submit", *again] if target.fit else invocation(),
        "time": time.time(),
    }
    write_aside(target.folder / SUBMITTED, json.dumps(record, indent=1) + "\n")
    return job
