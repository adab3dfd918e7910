"""Processes of a real run that die or stop, in each phase of it: the others end, and say why."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from combo_lightning.checkpoint import load_checkpoint
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

NETWORK = [f"--model.network.{part}.widths=[16,16,16]" for part in
           ("cell_encoder", "drug_encoder", "head")]  # fmt: skip
# A dead process is noticed within 2 s; the rest is a slow machine.
ENDS_WITHIN_SECONDS = 20


class Started:
    """A fit of two processes, as Lightning starts it, with the pids that it tells.

    Args:
        name: Of its log, in the folder.
        folder: Where it runs.
        options: Those of `fit`.
    """

    def __init__(self, name: str, folder: Path, *options: str) -> None:
        self.log = folder / f"{name}.log"
        environment = {
            **os.environ,
            "PHASES": str(folder / f"{name}.phases"),
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
        }
        self.phases = Path(environment["PHASES"])
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "combo_lightning", "fit", *options],
                stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=folder,
            )  # fmt: skip

    def wait_for(self, phase: str, rank: int) -> int:
        """Wait until a rank is in a phase; give its pid."""
        end = time.monotonic() + 90
        while time.monotonic() < end:
            assert self.process.poll() is None, self.log.read_text()
            text = self.phases.read_text() if self.phases.exists() else ""
            found = re.search(rf"^{phase} {rank} (\d+)$", text, re.MULTILINE)
            if found:
                return int(found.group(1))
            time.sleep(0.02)
        raise AssertionError(f"never in {phase}: {self.log.read_text()}")

    def pids(self) -> set[int]:
        return {int(line.split()[2]) for line in self.phases.read_text().splitlines()}


def options_of(config: str, data: Path, folder: Path, *more: str) -> list[str]:
    """Give the options of a new fit."""
    return [
        f"--config={ROOT / 'configs' / 'combo.yaml'}",
        f"--config={ROOT / 'configs' / config}",
        f"--data.path={data}",
        *NETWORK,
        "--trainer.callbacks+=tests.parallel.phases.Phases",
        f"--run_dir={folder / 'run'}",
        *more,
    ]


def ended(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


@pytest.fixture
def started() -> Iterator[list[Started]]:
    runs: list[Started] = []
    yield runs
    for run in runs:
        for pid in {run.process.pid, *(run.pids() if run.phases.exists() else ())}:
            if not ended(pid):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("phase", ["step", "validation", "saving"])
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("config", ["ddp.yaml", "fsdp.yaml"])
def test_a_killed_rank_ends_the_run_and_a_restart_gives_the_whole_runs_weights(
    config: str,
    rank: int,
    phase: str,
    started: list[Started],
    small_screen: Path,
    tmp_path: Path,
    whole_run: dict[str, torch.Tensor],
) -> None:
    more = ["--trainer.max_epochs=3", "--save_every_n_train_steps=2"]
    run = Started("run", tmp_path, *options_of(config, small_screen, tmp_path, *more))
    started.append(run)
    pid = run.wait_for(phase, rank)
    os.kill(pid, signal.SIGKILL)
    begin = time.monotonic()
    code = run.process.wait(ENDS_WITHIN_SECONDS)
    assert code != 0
    while not all(map(ended, run.pids())):
        assert time.monotonic() - begin < ENDS_WITHIN_SECONDS, "an orphan is left"
        time.sleep(0.05)
    said = run.log.read_text()
    assert len(re.findall(rf"error: rank {rank} on \S+ has ended", said)) == 1, said
    again = Started("again", tmp_path, f"--resume={tmp_path / 'run'}")
    started.append(again)
    assert again.process.wait(120) == 0, again.log.read_text()
    weights = load_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")["state_dict"]
    for name, weight in whole_run.items():
        torch.testing.assert_close(weights[name], weight, rtol=2e-5, atol=2e-5, msg=name)


@pytest.fixture(scope="module")
def whole_run(
    small_screen: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, torch.Tensor]:
    """The weights of the same fit, on two processes, that nobody killed."""
    folder = tmp_path_factory.mktemp("whole")
    more = ["--trainer.max_epochs=3", "--save_every_n_train_steps=2"]
    run = Started("run", folder, *options_of("ddp.yaml", small_screen, folder, *more))
    assert run.process.wait(120) == 0, run.log.read_text()
    found: dict[str, torch.Tensor] = load_checkpoint(folder / "run" / "checkpoints" / "last.ckpt")[
        "state_dict"
    ]
    return found


def test_a_stopped_rank_ends_the_run_and_is_named(
    started: list[Started], small_screen: Path, tmp_path: Path
) -> None:
    more = ["--trainer.max_epochs=300", "--trainer.strategy.silence_seconds=4"]
    run = Started("run", tmp_path, *options_of("ddp.yaml", small_screen, tmp_path, *more))
    started.append(run)
    pid = run.wait_for("step", 1)
    os.kill(pid, signal.SIGSTOP)
    assert run.process.wait(ENDS_WITHIN_SECONDS) != 0
    assert re.search(r"rank 1 on \S+ has not answered for 4 s", run.log.read_text())


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_one_rank_saves_and_ends_all(
    asked: signal.Signals, started: list[Started], small_screen: Path, tmp_path: Path
) -> None:
    more = ["--trainer.max_epochs=300"]
    run = Started("run", tmp_path, *options_of("ddp.yaml", small_screen, tmp_path, *more))
    started.append(run)
    os.kill(run.wait_for("step", 1), asked)
    assert run.process.wait(ENDS_WITHIN_SECONDS) == 128 + asked, run.log.read_text()
    said = run.log.read_text()
    step = re.search(rf"stopped by {asked.name} at step (\d+)", said)
    assert step is not None, said
    saved = load_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert saved["global_step"] == int(step.group(1))
