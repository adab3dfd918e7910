"""Folds as commands of their own: the last one writes the summary, and nothing is mixed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, Outcome

RunCli = Callable[..., Outcome]
DEMO = ROOT / "configs" / "demo.yaml"
SMALL = [f"--model.network.{part}.widths=[16,16]" for part in
         ("cell_encoder", "drug_encoder", "head")]  # fmt: skip


def words(data: Path, out: Path, *more: str) -> list[str]:
    return [
        *("cross-validate", f"--config={DEMO}", f"--data.path={data}", f"--out={out}"),
        *("--folds=2", "--trainer.max_epochs=1", *SMALL, *more),
    ]


@pytest.mark.slow
def test_folds_one_by_one_end_with_the_summary_of_all(
    run_cli: RunCli, small_screen: Path, tmp_path: Path
) -> None:
    out = tmp_path / "folds"
    first = run_cli(*words(small_screen, out, "--fold=1"))
    assert first.code == 0, first.output
    assert f"fold 1 is done, and these are not: 0; the last one writes {out}" in first.output
    other = run_cli(*words(small_screen, out, "--fold=0", "--data.batch_size=32"))
    assert other.code == 2
    assert "holds folds whose options differ (see options.json in it)" in other.output
    assert not (out / "fold-0").exists()
    last = run_cli(*words(small_screen, out, "--fold=0"))
    assert last.code == 0, last.output
    summary = (out / "summary.csv").read_text()
    assert {line.split(",")[1] for line in summary.splitlines()[1:]} == {"2"}
    (out / "summary.csv").unlink()
    # The plain command finds all folds done.
    plain = run_cli(*words(small_screen, out))
    assert "fold 1 of 2" not in plain.output
    assert (out / "summary.csv").read_text() == summary
    assert sorted(path.name for path in out.iterdir()) == [
        "fold-0", "fold-1", "options.json", "summary.csv",
    ]  # fmt: skip


@pytest.mark.slow
def test_a_fold_that_is_stopped_goes_on(
    run_cli: RunCli, small_screen: Path, tmp_path: Path
) -> None:
    out = tmp_path / "folds"
    # Fifteen steps an epoch: a fit stops between two of them.
    more = ["--trainer.callbacks=null", "--trainer.max_epochs=60", "--data.batch_size=32"]
    long = words(small_screen, out, "--fold=0", *more)
    child = subprocess.Popen(
        [sys.executable, "-m", "combo_lightning", *long],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    last = out / "fold-0" / "checkpoints" / "last.ckpt"
    end = time.monotonic() + 120
    while not last.exists() and child.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    child.send_signal(signal.SIGTERM)
    said, _ = child.communicate(timeout=120)
    assert child.returncode == 128 + signal.SIGTERM, said
    assert "stopped by SIGTERM at step" in said
    assert "fold 0 was stopped; the same command goes on" in said
    again = run_cli(*long)
    assert again.code == 0, again.output
    assert (out / "fold-0" / "test" / "scores.json").is_file()


def test_what_fit_refuses_leaves_the_folder_free(
    run_cli: RunCli, small_screen: Path, tmp_path: Path
) -> None:
    out = tmp_path / "folds"
    outcome = run_cli(*words(small_screen, out, "--fold=0", "--data.batch_size=-3"))
    assert outcome.code == 2
    assert "fold 0 failed" in outcome.output
    assert not out.exists()


def test_a_configuration_that_was_edited_is_another(
    run_here: RunCli, small_screen: Path, tmp_path: Path
) -> None:
    config, out = tmp_path / "demo.yaml", tmp_path / "folds"
    config.write_text("seed_everything: 1\n")
    options = ["cross-validate", "--folds=2", f"--out={out}", "--config", str(config)]
    (out / "fold-0").mkdir(parents=True)
    # It fails for want of a data set, but in a folder that somebody uses.
    assert run_here(*options, "--fold=1").code == 2
    config.write_text("seed_everything: 2\n")
    outcome = run_here(*options, "--fold=1")
    assert outcome.code == 2
    assert "holds folds whose SHA-256 of files differ" in outcome.output


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ["--fold=2", "--folds=2", "--out=x"],
            "--fold is '2'; with --folds 2 it is one of 0 to 1",
        ),
        (["--fold", "-1", "--out=x"], "--fold is '-1'; with --folds 5 it is one of 0 to 4"),
        (["--out=x", "--fold"], "--fold is ''"),
        (["--fold=0"], "cross-validate needs --out DIR"),
        (["--out=x", "--config=no.yaml"], "no.yaml: No such file"),
    ],
)
def test_what_cannot_be_is_refused(
    options: list[str],
    sentence: str,
    run_here: RunCli,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = run_here("cross-validate", *options)
    assert outcome.code == 2
    assert sentence in outcome.output
    assert not list(tmp_path.iterdir())
