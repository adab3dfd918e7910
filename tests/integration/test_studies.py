"""From simulated studies to a model that tells them apart: merge, fit, test, predict, resume."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tests.conftest import ROOT, Outcome

RunCli = Callable[..., Outcome]
pytestmark = pytest.mark.slow
OPTIONS = (
    "--data.split.kind=leave_study_out",
    "--data.split.test_studies=[study-3]",
    "--data.transform.harmonize=quantile",
    "--data.transform.harmonize_cells=mean_variance",
    "--model.network.study_embedding=8",
    "--trainer.max_epochs=6",
    "--data.batch_size=48",
    "--save_every_n_train_steps=4",
)


def fit(run_cli: RunCli, data: Path, run_dir: Path, *more: str) -> Outcome:
    config = ROOT / "configs" / "demo.yaml"
    return run_cli(
        "fit", f"--config={config}", f"--data.path={data}", f"--run_dir={run_dir}", *OPTIONS, *more
    )


@pytest.fixture(scope="module")
def run_dir(
    run_cli: RunCli, merged_studies: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    outcome = fit(run_cli, merged_studies, folder)
    assert outcome.code == 0, outcome.output
    assert "test rows measure a combination in a line" in outcome.output
    assert "no training row is of study-3" in outcome.output
    return folder


def test_a_left_out_study_is_tested_and_predicted_alike(
    run_cli: RunCli, run_dir: Path, tmp_path: Path
) -> None:
    ckpt = run_dir / "checkpoints" / "best.ckpt"
    tested = run_cli("test", f"--config={run_dir / 'config.yaml'}", f"--ckpt_path={ckpt}")
    assert tested.code == 0, tested.output
    assert "By what other studies measured" in tested.output
    scores = json.loads((run_dir / "test" / "scores.json").read_text())
    assert {row["name"] for row in scores["by_measured"]} == {
        "in other studies too", "measured here alone",
    }  # fmt: skip
    rows = pd.read_parquet(run_dir / "test" / "predictions.parquet")
    assert set(rows["study"]) == {"study-3"}
    pairs = rows[["cell_id", "drug_1", "drug_2", "study"]]
    pairs.to_parquet(tmp_path / "pairs.parquet")
    done = run_cli(
        "predict", f"--ckpt_path={ckpt}", f"--pairs={tmp_path / 'pairs.parquet'}",
        f"--out={tmp_path / 'out.parquet'}",
    )  # fmt: skip
    assert done.code == 0, done.output
    assert "training saw no row of the study study-3" in done.output
    mine = pd.read_parquet(tmp_path / "out.parquet")
    scale = rows["response"].std()
    np.testing.assert_allclose(mine["prediction"] / scale, rows["prediction"] / scale, atol=1e-6)


def test_a_killed_run_with_studies_goes_on_bit_for_bit(
    run_cli: RunCli, run_dir: Path, merged_studies: Path, tmp_path: Path
) -> None:
    killer = (
        "--trainer.callbacks+=tests.integration.killer.KillAt",
        "--trainer.callbacks.step=19",
        "--trainer.callbacks.phase=step",
        f"--trainer.callbacks.marker={tmp_path / 'killed.txt'}",
    )
    outcome = fit(run_cli, merged_studies, tmp_path / "killed", *killer)
    assert outcome.code == -9, outcome.output
    resumed = run_cli("fit", "--resume", tmp_path / "killed")
    assert resumed.code == 0, resumed.output
    mine, theirs = (
        torch.load(folder / "checkpoints" / "last.ckpt", map_location="cpu", weights_only=True)
        for folder in (tmp_path / "killed", run_dir)
    )
    for key, value in theirs["state_dict"].items():
        assert torch.equal(mine["state_dict"][key], value), key
    studies = theirs["state_dict"]["network.study.weight"]
    # The third study trained nothing: its vector is that of an unknown one.
    assert [bool(row.any()) for row in studies] == [True, True, False]
