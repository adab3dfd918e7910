"""``fit --num_groups N``: start trainer groups, watch them, show them together."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from combo_lightning.cli.progress import progress_line, progress_table
from combo_lightning.ltfb.place import (
    REJOIN_VARIABLE,
    GroupPlace,
    gpus,
    group_folder,
    new_token,
    own_devices,
)
from combo_lightning.ltfb.plan import CHAMPION

LOG = "log.txt"
# How often a group that died is started again.
RESTARTS = 3
LOOK_SECONDS = 0.2
SHOWN_SECONDS = 1.0
SAID_SECONDS = 30.0
# Exit code of a process that refuses its input: another try would say the same.
REFUSED = 2


@dataclass
class StartedGroup:
    """A trainer group as the one sees it who has started it.

    Args:
        place: Which group.
        command: What starts it.
        environment: Variables that it gets.
        restarts: How often it was started again.
    """

    place: GroupPlace
    command: Sequence[str]
    environment: Mapping[str, str]
    restarts: int = 0
    process: "subprocess.Popen[bytes]" = field(init=False)

    def start(self, *, again: bool = False) -> None:
        """Start the group; `again`: from its own last checkpoint, beside the others."""
        folder = self.place.group_folder
        folder.mkdir(parents=True, exist_ok=True)
        environment = {**self.environment, **self.place.to_environment()}
        if again:
            environment[REJOIN_VARIABLE] = "1"
        with (folder / LOG).open("ab") as log:
            self.process = subprocess.Popen(
                list(self.command),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def last_words(self) -> str:
        """The end of what it said."""
        lines = (self.place.group_folder / LOG).read_text("utf-8", "replace").splitlines()
        said = [line for line in lines if line.startswith("error:")] or lines
        return said[-1] if said else "it said nothing"


def local_groups(num_groups: int, folder: Path, words: Sequence[str]) -> list[StartedGroup]:
    """Share this machine out to trainer groups.

    Args:
        num_groups: How many.
        folder: The run folder of all.
        words: The command of the program that each runs.
    """
    token = new_token()
    environment = dict(os.environ)
    threads = max(1, (os.cpu_count() or 1) // num_groups)
    environment.setdefault("OMP_NUM_THREADS", str(threads))
    visible = gpus(environment)
    each = len(visible) // num_groups
    return [
        StartedGroup(
            GroupPlace(group, num_groups, folder.absolute(), token),
            [sys.executable, "-m", "combo_lightning", *words],
            environment | (own_devices(group * each, each, visible) if each else {}),
        )
        for group in range(num_groups)
    ]


class TrainerGroupRun:
    """Trainer groups from their start to the champion.

    Args:
        groups: The groups, not yet started.
        folder: The run folder of all.
    """

    def __init__(self, groups: list[StartedGroup], folder: Path) -> None:
        self.groups = groups
        self.folder = folder
        self._asked = 0

    def run(self) -> int:
        """Start all groups and wait until they have ended.

        A group that dies is started again, up to three times, while others train.

        Returns:
            The exit code: 0 if a champion was named; 2 if the input was refused.
        """
        begun = time.time()
        for group in self.groups:
            group.start()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGUSR1):
                signal.signal(number, self._ask)
        try:
            return self._wait(begun)
        finally:
            for group in self.groups:
                if group.process.poll() is None:
                    group.process.kill()

    def _ask(self, number: int, frame: Any) -> None:
        self._asked = number

    def _wait(self, begun: float) -> int:
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True)
        passed_on = 0
        said = time.monotonic()
        with Live(console=console, auto_refresh=False, transient=False) as live:
            while any(group.process.poll() is None for group in self.groups):
                time.sleep(LOOK_SECONDS)
                if self._asked != passed_on:
                    passed_on = self._asked
                    self._pass_on(passed_on)
                code = self._look_after(console, stopping=bool(passed_on))
                if code is not None:
                    return code
                if console.is_terminal:
                    live.update(progress_table(self.folder, self.groups_alive()), refresh=True)
                elif time.monotonic() - said > SAID_SECONDS:
                    said = time.monotonic()
                    console.print(progress_line(self.folder, len(self.groups)))
        return self._end(console, begun, passed_on)

    def groups_alive(self) -> dict[int, bool]:
        """Tell which groups run."""
        return {g.place.group: g.process.poll() is None for g in self.groups}

    def _pass_on(self, number: int) -> None:
        for group in self.groups:
            if group.process.poll() is None:
                group.process.send_signal(number)

    def _look_after(self, console: Any, *, stopping: bool) -> int | None:
        """Start groups that died again; give an exit code where there is no point in going on."""
        for group in self.groups:
            code = group.process.poll()
            if code is None or code == 0 or stopping:
                continue
            name = f"trainer group {group.place.group}"
            if code == REFUSED:
                sys.stderr.write(f"{group.last_words}\n")
                return REFUSED
            others = any(g.process.poll() is None for g in self.groups if g is not group)
            if others and group.restarts < RESTARTS:
                group.restarts += 1
                console.print(f"{name} ended with code {code}; started again")
                group.start(again=True)
            elif group.restarts <= RESTARTS:
                # Said once.
                group.restarts = RESTARTS + 1
                console.print(f"{name} ended with code {code}: {group.last_words}")
        return None

    def _end(self, console: Any, begun: float, signal_number: int) -> int:
        if signal_number:
            console.print(f"stopped; go on with: combo-lightning fit --resume {self.folder}")
            return 128 + signal_number
        path = self.folder / CHAMPION
        if not path.is_file() or path.stat().st_mtime < begun - 1:
            sys.stderr.write(
                f"error: no champion was named; the groups' last words are in {self.folder}"
                f"/group_*/{LOG}, go on with: combo-lightning fit --resume {self.folder}\n"
            )
            return 1
        champion = json.loads(path.read_text(encoding="utf-8"))
        group = champion["group"]
        shown = ", ".join(f"{name} {x:.6g}" for name, x in champion["scores"][str(group)].items())
        console.print(f"champion: trainer group {group} ({shown} on the tournament rows)")
        console.print(
            f"next: combo-lightning test --config {group_folder(self.folder, group)}/config.yaml "
            f"--ckpt_path {self.folder}/champion.ckpt (or ensemble.ckpt)"
        )
        return 0
