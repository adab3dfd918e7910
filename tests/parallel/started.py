"""A fit of several processes as a user starts it, for tests that kill, stop or starve it."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from combo_lightning.checkpoint import load_checkpoint
from tests.conftest import ROOT

NETWORK = [f"--model.network.{part}.widths=[16,16,16]" for part in
           ("cell_encoder", "drug_encoder", "head")]  # fmt: skip
# Twelve steps, four an epoch; last.ckpt is published after each second one.
SHORT = ("--trainer.max_epochs=3", "--save_every_n_train_steps=2")
# A dead process is noticed within 2 s; the rest is a slow machine.
ENDS_WITHIN_SECONDS = 20
# Most of it is imports, on a machine with other work.
START_SECONDS = 90


class Started:
    """A fit of two processes, as Lightning starts it, with the pids that it tells.

    Args:
        name: Of its log, in the folder.
        folder: Where it runs.
        options: Those of `fit`.
        hold: What `Hold` is told; empty: nothing is held.
        within: Words before the command: a program that runs it.
    """

    def __init__(
        self, name: str, folder: Path, *options: str, hold: str = "", within: Sequence[str] = ()
    ) -> None:
        self.log = folder / f"{name}.log"
        environment = {
            **os.environ,
            "PHASES": str(folder / f"{name}.phases"),
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "HOLD": hold or "never 0",
        }
        self.phases = Path(environment["PHASES"])
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*within, sys.executable, "-m", "combo_lightning", "fit", *options],
                stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=folder,
            )  # fmt: skip

    def wait_for(self, phase: str, rank: int) -> int:
        """Wait until a rank is in a phase; give its pid."""
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            assert self.process.poll() is None, self.log.read_text()
            text = self.phases.read_text() if self.phases.exists() else ""
            found = re.search(rf"^{phase} {rank} (\d+)$", text, re.MULTILINE)
            if found:
                return int(found.group(1))
            time.sleep(0.02)
        raise AssertionError(f"never in {phase}: {self.log.read_text()}")

    def pids(self) -> set[int]:
        """Give the pids of all processes that have told a phase."""
        text = self.phases.read_text() if self.phases.exists() else ""
        return {int(line.split()[2]) for line in text.splitlines()}

    def wait_for_end(self, seconds: float, *but: int) -> float:
        """Wait until all processes have ended, but those; give the seconds that it took."""
        begin = time.monotonic()
        others = {self.process.pid, *self.pids()}.difference(but)
        while not all(map(ended, others)):
            assert time.monotonic() - begin < seconds, f"not ended: {self.log.read_text()}"
            time.sleep(0.02)
        return time.monotonic() - begin

    def assert_names_the_dead(self, rank: int) -> None:
        """The run has failed, and told so once."""
        assert self.process.wait() != 0
        said = self.log.read_text()
        assert len(re.findall(rf"error: rank {rank} on \S+ has ended", said)) == 1, said

    def end(self) -> None:
        """Kill what is left."""
        for pid in {self.process.pid, *self.pids()}:
            if not ended(pid):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


def options_of(config: str | None, data: Path, folder: Path, *more: str) -> list[str]:
    """Give the options of a new fit; without an overlay: of one process."""
    return [
        f"--config={ROOT / 'configs' / 'combo.yaml'}",
        *([f"--config={ROOT / 'configs' / config}"] if config else []),
        f"--data.path={data}",
        *NETWORK,
        "--trainer.callbacks+=tests.parallel.phases.Phases",
        "--trainer.callbacks+=tests.parallel.phases.Hold",
        f"--run_dir={folder / 'run'}",
        *more,
    ]


def ended(pid: int) -> bool:
    """Tell whether a process has ended, whether or not its parent has asked."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def assert_a_restart_reaches(
    weights: dict[str, torch.Tensor], run_dir: Path, runs: list[Started]
) -> None:
    """Go on with a run, and compare its last weights; nothing of a broken-off save is left."""
    again = Started("again", run_dir.parent, f"--resume={run_dir}")
    runs.append(again)
    assert again.process.wait(120) == 0, again.log.read_text()
    checkpoints = run_dir / "checkpoints"
    found = load_checkpoint(checkpoints / "last.ckpt")
    assert found["global_step"] == 12
    for name, weight in weights.items():
        # Two processes sum in another order than one, or after another number of steps.
        torch.testing.assert_close(
            found["state_dict"][name], weight, rtol=2e-5, atol=2e-5, msg=name
        )
    assert_nothing_is_left_over(checkpoints)


def assert_nothing_is_left_over(checkpoints: Path) -> None:
    """Each shard folder is one that its checkpoint names, and no file aside is there."""
    shown = {path.name for path in checkpoints.glob("*.ckpt")}
    hidden = [path.name for path in checkpoints.glob(".*")]
    assert not [name for name in hidden if not name.endswith(".shards")], hidden
    owners = [name[1:].rsplit(".", 2)[0] for name in hidden]
    assert len(owners) == len(set(owners)), hidden
    assert set(owners) <= shown, hidden
    for path in checkpoints.glob("*.ckpt"):
        load_checkpoint(path)
