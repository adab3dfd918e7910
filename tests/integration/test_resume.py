"""A run that was killed goes on bit for bit."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import ROOT, Outcome

RunCli = Callable[..., Outcome]

# 18 steps an epoch; validation after steps 6, 12 and 18 of each; saves every 4 steps.
OPTIONS = (
    "--trainer.max_epochs=4",
    "--trainer.val_check_interval=6",
    "--trainer.callbacks+=lightning.pytorch.callbacks.EarlyStopping",
    "--trainer.callbacks.monitor=val_mse",
    "--trainer.callbacks.patience=30",
    "--data.batch_size=53",
    "--model.network.drug_encoder.dropout=0.1",
    "--model.network.dropout_mode=per_sample",
    "--save_every_n_train_steps=4",
)


def fit(run_cli: RunCli, screen: Path, run_dir: Path, *more: str) -> Outcome:
    config = ROOT / "configs" / "demo.yaml"
    data = f"--data.path={screen}"
    return run_cli("fit", f"--config={config}", data, f"--run_dir={run_dir}", *OPTIONS, *more)


def load(run_dir: Path, name: str) -> dict[str, Any]:
    checkpoint: dict[str, Any] = torch.load(
        run_dir / "checkpoints" / name, map_location="cpu", weights_only=True
    )
    return checkpoint


def early_stopping(checkpoint: dict[str, Any]) -> dict[str, Any]:
    (state,) = (v for k, v in checkpoint["callbacks"].items() if k.startswith("EarlyStopping"))
    return {k: v for k, v in state.items() if k in ("wait_count", "best_score", "stopped_epoch")}


@pytest.fixture(scope="module")
def uninterrupted(
    run_cli: RunCli, small_screen: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    run_dir = tmp_path_factory.mktemp("runs") / "whole"
    outcome = fit(run_cli, small_screen, run_dir)
    assert outcome.code == 0, outcome.output
    return run_dir


@pytest.mark.slow
@pytest.mark.parametrize(
    ("phase", "step"), [("step", 27), ("step", 34), ("validation", 22), ("save", 25), ("save", 34)]
)
def test_a_killed_run_goes_on_bit_for_bit(
    run_cli: RunCli,
    small_screen: Path,
    uninterrupted: Path,
    tmp_path: Path,
    phase: str,
    step: int,
) -> None:
    run_dir = tmp_path / "killed"
    killer = (
        "--trainer.callbacks+=tests.integration.killer.KillAt",
        f"--trainer.callbacks.step={step}",
        f"--trainer.callbacks.phase={phase}",
        f"--trainer.callbacks.marker={tmp_path / 'killed.txt'}",
    )
    outcome = fit(run_cli, small_screen, run_dir, *killer)
    assert outcome.code == -9, outcome.output
    resumed = run_cli("fit", "--resume", run_dir)
    assert resumed.code == 0, resumed.output
    for name in ("last.ckpt", "best.ckpt"):
        mine, theirs = load(run_dir, name), load(uninterrupted, name)
        assert mine["global_step"] == theirs["global_step"]
        assert mine["epoch"] == theirs["epoch"]
        assert mine["state_dict"].keys() == theirs["state_dict"].keys()
        for key, value in theirs["state_dict"].items():
            assert torch.equal(mine["state_dict"][key], value), key
        assert early_stopping(mine) == early_stopping(theirs)
    rows = (uninterrupted / "metrics.csv").read_text()
    assert (run_dir / "metrics.csv").read_text() == rows
    assert len(rows.splitlines()) == 1 + 4 * 3
    first, second = json.loads((run_dir / "run.json").read_text())["starts"]
    assert (first["step"], 0 < second["step"] <= step) == (0, True)
    assert not list(run_dir.rglob("*.partial"))


@pytest.mark.slow
@pytest.mark.parametrize("step", [20, 27], ids=["after an epoch's end", "within an epoch"])
def test_a_killed_run_of_so_many_steps_goes_on_bit_for_bit(
    run_cli: RunCli, small_screen: Path, uninterrupted: Path, tmp_path: Path, step: int
) -> None:
    run_dir = tmp_path / "killed"
    by_steps = ("--trainer.max_epochs=-1", "--trainer.max_steps=72")
    killer = (
        "--trainer.callbacks+=tests.integration.killer.KillAt",
        f"--trainer.callbacks.step={step}",
        "--trainer.callbacks.phase=step",
        f"--trainer.callbacks.marker={tmp_path / 'killed.txt'}",
    )
    outcome = fit(run_cli, small_screen, run_dir, *by_steps, *killer)
    assert outcome.code == -9, outcome.output
    resumed = run_cli("fit", "--resume", run_dir)
    assert resumed.code == 0, resumed.output
    assert load(run_dir, "last.ckpt")["epoch"] == 3
    # Four epochs are 72 steps.
    rows = (uninterrupted / "metrics.csv").read_text()
    assert (run_dir / "metrics.csv").read_text() == rows


@pytest.mark.slow
def test_a_fit_of_one_step_an_epoch_is_stopped_and_goes_on(
    run_cli: RunCli, small_screen: Path, tmp_path: Path
) -> None:
    one_step = ("--data.batch_size=100000", "--trainer.val_check_interval=1.0",
                "--trainer.max_epochs=12")  # fmt: skip
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert fit(run_cli, small_screen, whole, *one_step).code == 0
    killer = (
        "--trainer.callbacks+=tests.integration.killer.KillAt",
        "--trainer.callbacks.step=5",
        "--trainer.callbacks.phase=ask",
        f"--trainer.callbacks.marker={tmp_path / 'asked.txt'}",
    )
    outcome = fit(run_cli, small_screen, stopped, *one_step, *killer)
    assert outcome.code == 128 + signal.SIGTERM, outcome.output
    assert "stopped by SIGTERM at step 5" in outcome.output
    assert load(stopped, "last.ckpt")["global_step"] == 5
    resumed = run_cli("fit", "--resume", stopped)
    assert resumed.code == 0, resumed.output
    assert (stopped / "metrics.csv").read_text() == (whole / "metrics.csv").read_text()


@pytest.mark.slow
def test_a_fit_that_is_asked_while_it_reads_its_data_stops_at_its_first_step(
    small_screen: Path, tmp_path: Path
) -> None:
    words = [f"--config={ROOT / 'configs' / 'demo.yaml'}", f"--data.path={small_screen}",
             f"--run_dir={tmp_path / 'run'}", "--data.batch_size=53"]  # fmt: skip
    command = [sys.executable, "-m", "combo_lightning", "fit", *words]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    # Its handler is there once the program's file is loaded, long before torch is.
    until = time.monotonic() + 60
    while not handles(process.pid, signal.SIGUSR1):
        assert time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(signal.SIGUSR1)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGUSR1, said
    assert "stopped by SIGUSR1 at step 1," in said


def handles(pid: int, number: int) -> bool:
    """Tell whether a process has a handler for a signal."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


@pytest.mark.slow
def test_the_same_seed_gives_the_same_run_and_another_seed_another(
    run_cli: RunCli, small_screen: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    for seed, same in ((1, True), (2, False)):
        run_dir = tmp_path / str(seed)
        outcome = fit(run_cli, small_screen, run_dir, f"--seed_everything={seed}")
        assert outcome.code == 0, outcome.output
        equal = (run_dir / "metrics.csv").read_text() == (
            uninterrupted / "metrics.csv"
        ).read_text()
        assert equal is same


@pytest.mark.slow
def test_a_finished_run_is_not_run_again(run_cli: RunCli, uninterrupted: Path) -> None:
    before = (uninterrupted / "checkpoints" / "last.ckpt").stat().st_mtime_ns
    outcome = run_cli("fit", "--resume", uninterrupted)
    assert outcome.code == 0
    assert "is finished" in outcome.output
    assert (uninterrupted / "checkpoints" / "last.ckpt").stat().st_mtime_ns == before
