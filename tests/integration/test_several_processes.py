"""fit, test and cross-validate on two processes, as users run them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from combo_lightning.inference.predictor import Predictor
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

NETWORK = [f"--model.network.{part}.widths=[16,16,16]" for part in
           ("cell_encoder", "drug_encoder", "head")]  # fmt: skip
BASE = f"--config={ROOT / 'configs' / 'combo.yaml'}"


def run(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "combo_lightning", *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("overlay", ["ddp", "fsdp"])
def test_a_test_on_two_processes_gives_the_figures_and_rows_of_one(
    overlay: str, small_screen: Path, tmp_path: Path
) -> None:
    more = f"--config={ROOT / 'configs' / overlay}.yaml"
    words = [BASE, more, f"--data.path={small_screen}", *NETWORK, "--trainer.max_epochs=2"]
    run(tmp_path, "fit", *words, f"--run_dir={tmp_path / 'run'}")
    folder = tmp_path / "run"
    test = ["test", f"--config={folder / 'config.yaml'}"]
    test.append(f"--ckpt_path={folder / 'checkpoints' / 'best.ckpt'}")
    found = []
    for options in ([], ["--trainer.strategy=auto", "--trainer.devices=1"]):
        shown = run(tmp_path, *test, *options)
        assert shown.count("best baseline") <= 1
        scores = json.loads((folder / "test" / "scores.json").read_text())
        found.append((scores, pd.read_parquet(folder / "test" / "predictions.parquet")))
    (scores, rows), (expected_scores, expected_rows) = found
    pd.testing.assert_frame_equal(rows, expected_rows, rtol=1e-5)
    assert scores.keys() == expected_scores.keys()
    predictor = Predictor.load(folder / "checkpoints" / "best.ckpt")
    assert len(predictor.catalog.cells.ids) > 0


def test_cross_validation_on_two_processes(small_screen: Path, tmp_path: Path) -> None:
    more = f"--config={ROOT / 'configs' / 'ddp'}.yaml"
    words = [BASE, more, f"--data.path={small_screen}", *NETWORK, "--trainer.max_epochs=1"]
    shown = run(tmp_path, "cross-validate", "--folds=2", f"--out={tmp_path / 'cv'}", *words)
    assert "summary.csv" in shown
    assert len(list((tmp_path / "cv").glob("fold-*/test/scores.json"))) == 2
