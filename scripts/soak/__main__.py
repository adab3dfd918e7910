"""``python -m scripts.soak``: every event that jobs meet, many times, on a real Slurm cluster.

Writes ``runs/soak.json``, and prints the table of docs/slurm.md. Takes half an hour on two cores.
"""

import argparse
import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from combo_lightning.data.simulator import preset_config, simulate, write_simulation
from tests.slurm.cluster import Cluster
from tests.slurm.conftest import started
from tests.slurm.events import (
    DDP,
    DEMO,
    EVENTS,
    FIT,
    LTFB,
    SETTINGS,
    TOURNAMENTS,
    Outcome,
    Scene,
)

# Played most often: every job of more than a day meets it.
REQUEUE = "SIGUSR1"


# sbatch's words, and the number of trainer groups.
LAUNCHES: dict[str, tuple[list[object], int]] = {
    "one process": (["--nodes=1", FIT, DEMO], 0),
    "2 nodes": (["--nodes=2", FIT, DEMO, DDP], 0),
    "4 groups of one process on 4 nodes": (["--nodes=4", LTFB, DEMO, TOURNAMENTS], 4),
    "4 groups of 2 ranks on 4 nodes": (
        ["--nodes=4", "--ntasks-per-node=2", LTFB, DEMO, DDP, TOURNAMENTS], 4
    ),
}  # fmt: skip


@dataclass
class Tally:
    """How often an event was played, and what came of it."""

    good: int = 0
    times: int = 0
    lost_seconds: list[float] = field(default_factory=list)
    exit_codes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def add(self, name: str, outcome: Outcome) -> None:
        """Count an outcome."""
        self.times += 1
        as_it_should = outcome.state == EVENTS[name].state and EVENTS[name].said in outcome.text
        self.good += as_it_should
        self.exit_codes.append(outcome.exit_code)
        if outcome.lost_seconds is not None:
            self.lost_seconds.append(outcome.lost_seconds)
        if not as_it_should:
            self.failures.append(f"{outcome.state} {outcome.exit_code}: {outcome.text[-2000:]}")


def main() -> int:
    """Play the events.

    Returns:
        0 if each ended as it should, each time.
    """
    parser = argparse.ArgumentParser(prog="python -m scripts.soak", description=__doc__)
    parser.add_argument("--times", type=int, default=5, help="of each event (%(default)s)")
    parser.add_argument("--requeues", type=int, default=10, help=f"of '{REQUEUE}' (%(default)s)")
    parser.add_argument("--at_once", type=int, default=3, help="events side by side (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("runs/soak.json"))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        screen = Path(folder) / "small"
        write_simulation(simulate(preset_config("small")), screen, {})
        with started(**SETTINGS) as cluster:
            for name in LAUNCHES:
                seconds = [
                    _until_first_step(name, Scene(cluster, screen, Path(folder) / f"{name}-{i}"))
                    for i in range(asked.times)
                ]
                shown = f"{median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f})"
                sys.stdout.write(f"| submit to first step: {name} | {shown} |\n")
            found: dict[str, Tally] = {}
            for name in EVENTS:
                times = asked.requeues if name == REQUEUE else asked.times
                root = Path(folder) / str(len(found))
                found[name] = _play(name, times, asked.at_once, cluster, screen, root)
                sys.stdout.write(f"{_row(name, found[name])}\n")
                sys.stdout.flush()
                asked.out.parent.mkdir(parents=True, exist_ok=True)
                text = json.dumps({n: vars(tally) for n, tally in found.items()}, indent=1)
                asked.out.write_text(text + "\n")
    return 0 if all(tally.good == tally.times for tally in found.values()) else 1


def _until_first_step(name: str, scene: Scene) -> float:
    """Submit a job; give the seconds until all of its models train, and cancel it."""
    request, groups = LAUNCHES[name]
    scene.folder.mkdir()
    begun = time.monotonic()
    job = scene.cluster.submit(scene.folder, *request, *scene.options(100_000))
    where = [scene.run / f"group_{g}" for g in range(groups)] or [scene.run]
    job.wait_until(lambda: all((run / "status.json").is_file() for run in where))
    seconds = time.monotonic() - begun
    scene.cluster.run("scancel", job.number)
    job.wait()
    return seconds


def _play(
    name: str, times: int, at_once: int, cluster: Cluster, screen: Path, root: Path
) -> Tally:
    """Play an event so many times, some side by side."""
    tally = Tally()
    with ThreadPoolExecutor(at_once) as pool:
        scenes = [Scene(cluster, screen, root / str(i)) for i in range(times)]
        for scene in scenes:
            scene.folder.mkdir(parents=True)
        played = [pool.submit(EVENTS[name].play, scene) for scene in scenes]
        for one in played:
            try:
                tally.add(name, one.result())
            except AssertionError as error:
                tally.times += 1
                tally.failures.append(str(error)[-2000:])
    return tally


def _row(name: str, tally: Tally) -> str:
    """Write a row of the table: event, good ones, exit codes, seconds lost."""
    codes = ", ".join(sorted({code.split(":")[0] for code in tally.exit_codes}))
    lost = tally.lost_seconds
    seconds = f"{median(lost):.0f} ({min(lost):.0f} to {max(lost):.0f})" if lost else ""
    return f"| {name} | {tally.good} of {tally.times} | {codes} | {seconds} |"


if __name__ == "__main__":
    raise SystemExit(main())
