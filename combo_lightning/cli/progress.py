"""How far a run is, from the files that it keeps; without heavy imports."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from combo_lightning.ltfb.plan import CHAMPION, PLAN, Plan
from combo_lightning.slurm.job_status import clock

STATUS = "status.json"
RECORD = "run.json"
ATTEMPTS = "attempts.json"
# A run that trains writes its status every two seconds; validations and saves take longer.
SILENT_SECONDS = 30.0


@dataclass(frozen=True)
class RunProgress:
    """How far a run is.

    Args:
        folder: The run folder.
        num_groups: Trainer groups; 0: one model.
        now: The time, in seconds of `time.time`.
    """

    folder: Path
    num_groups: int
    now: float

    @classmethod
    def read(cls, folder: Path, now: float) -> "RunProgress":
        """Look at a run folder.

        Args:
            folder: The run folder.
            now: The time, in seconds of `time.time`.
        """
        num_groups = Plan.read(folder).num_groups if (folder / PLAN).is_file() else 0
        return cls(folder, num_groups, now)

    @property
    def statuses(self) -> dict[int, dict[str, Any]]:
        """What each group, or the one model, last said of itself; without those that did not."""
        found = {g: read_status(self._folder(g)) for g in range(max(1, self.num_groups))}
        return {group: status for group, status in found.items() if status}

    @property
    def outcome(self) -> str:
        """``finished``, ``interrupted``, ``running``, or empty: it has not begun."""
        if self.num_groups and (self.folder / CHAMPION).is_file():
            return "finished"
        said = {self._record(g).get("status", "") for g in range(max(1, self.num_groups))}
        # As far as one is not done, all are not.
        return next((word for word in ("running", "interrupted", "") if word in said), "finished")

    def words(self, *, running: bool) -> str:
        """Say how far it is, in one line.

        Args:
            running: Whether its job runs.
        """
        found = self.statuses
        if not found:
            return ""
        steps = [status.get("step", 0) for status in found.values()]
        last = max(status.get("max_steps") or 0 for status in found.values())
        of = f" of {last:,}" if last else ""
        said = [
            f"step {span(steps)}{of}",
            f"epoch {max(s.get('epoch', 0) for s in found.values())}",
        ]
        rates = [s["steps_per_second"] for s in found.values() if s.get("steps_per_second")]
        if rates and running:
            said.append(f"{span(rates)} steps/s")
        if self.num_groups:
            said += self._of_tournament(found)
        if running:
            said += self._of_now(found)
        return ", ".join(said)

    def _of_tournament(self, found: dict[int, dict[str, Any]]) -> list[str]:
        said = [f"round {max(status.get('round', 0) for status in found.values())}"]
        scores = [s["score"] for s in found.values() if isinstance(s.get("score"), float)]
        if scores:
            best = min if Plan.read(self.folder).lower_is_better else max
            said.append(f"best score {best(scores):.5g}")
        return said

    def _of_now(self, found: dict[int, dict[str, Any]]) -> list[str]:
        """Say when it will be done, and who is silent."""
        alive = self.alive()
        silent = {
            group: self.now - status.get("time", 0.0)
            for group, status in found.items()
            if not alive[group] and self._record(group).get("status") != "finished"
        }
        ends = [
            (status["max_steps"] - status.get("step", 0)) / status["steps_per_second"]
            for group, status in found.items()
            if group not in silent and status.get("max_steps") and status.get("steps_per_second")
        ]
        said = [f"{clock(max(ends))} to the end"] if ends else []
        if self.num_groups:
            missing = self.num_groups - len(found)
            said.append(
                f"{self.num_groups - missing - len(silent)} of {self.num_groups} groups alive"
            )
            said += [f"group {group} silent for {clock(age)}" for group, age in silent.items()]
        elif silent:
            said.append(f"silent for {clock(silent[0])}")
        return said

    def alive(self) -> dict[int, bool]:
        """Tell of which groups something was heard not long ago."""
        found = self.statuses
        return {
            group: self.now - found.get(group, {}).get("time", 0.0) <= SILENT_SECONDS
            for group in range(max(1, self.num_groups))
        }

    def restarts(self) -> str:
        """Say how often the job began again, and why; empty: never."""
        attempts = read_json(self.folder / ATTEMPTS).get("attempts", [])
        if len(attempts) < 2:
            return ""
        why = next((a["why"] for a in reversed(attempts) if a.get("why")), "")
        times = f"{len(attempts) - 1} restart{'s' if len(attempts) > 2 else ''}"
        return f"{times}, the last after: {why}" if why else times

    def _folder(self, group: int) -> Path:
        return self.folder / f"group_{group}" if self.num_groups else self.folder

    def _record(self, group: int) -> dict[str, Any]:
        return read_json(self._folder(group) / RECORD)


def read_status(folder: Path) -> dict[str, Any]:
    """Read what a run, or a group, last said of itself; empty: nothing yet.

    Args:
        folder: Its own run folder.
    """
    status, record = read_json(folder / STATUS), read_json(folder / RECORD)
    if record.get("status") in ("finished", "interrupted"):
        # The record is the last to be written.
        status |= {"step": record.get("steps", 0), "epoch": record.get("epochs", 0)}
    return status


def read_json(path: Path) -> dict[str, Any]:
    """Read a file; empty: it is not there, or not whole."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def span(numbers: list[float]) -> str:
    """Write the range of some numbers.

    Example:
        >>> span([1200, 1260]), span([31.25])
        ('1,200 to 1,260', '31.2')
    """
    words = [f"{x:,}" if isinstance(x, int) else f"{x:.1f}" for x in (min(numbers), max(numbers))]
    return " to ".join(dict.fromkeys(words))


def progress_table(folder: Path, alive: dict[int, bool]) -> Any:
    """Lay the groups' progress out as a table.

    Args:
        folder: The run folder of all groups.
        alive: Which groups run.
    """
    from rich.table import Table

    table = Table(box=None)
    for head in ("group", "step", "epoch", "steps/s", "round", "score", "learning rate", ""):
        table.add_column(head, justify="left" if not head else "right")
    for group, running in alive.items():
        s = read_status(folder / f"group_{group}")
        rate = s.get("steps_per_second")
        table.add_row(
            str(group),
            f"{s.get('step', 0):,} of {s['max_steps']:,}" if s.get("max_steps") else "starting",
            str(s.get("epoch", "")),
            "" if rate is None else f"{rate:.1f}",
            str(s.get("round", "")),
            f"{s['score']:.5g}" if isinstance(s.get("score"), float) else "",
            f"{s['learning_rate']:.3g}" if "learning_rate" in s else "",
            s.get("last", "") if running else "ended",
        )
    return table


def progress_line(folder: Path, num_groups: int) -> str:
    """Lay the groups' progress out as a line.

    Args:
        folder: The run folder of all groups.
        num_groups: How many there are.
    """
    found = [read_status(folder / f"group_{group}") for group in range(num_groups)]
    steps = ", ".join(f"{s.get('step', 0):,}" for s in found)
    rounds = max((s.get("round", 0) for s in found), default=0)
    return f"steps {steps}; round {rounds}"
