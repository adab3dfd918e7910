"""Members of one run, fitted by the command, tested and predicted as one model."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from combo_lightning.ensemble import write_champion, write_ensemble
from tests.conftest import ROOT, Outcome
from tests.integration.test_several_processes import run

pytestmark = pytest.mark.slow

RunCli = Callable[..., Outcome]
# The same split and network, and other weights.
RATES = (1e-3, 3e-3, 1e-2)


@pytest.fixture(scope="module")
def population(
    run_cli: RunCli, small_screen: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A run folder with three groups, their champion and the ensemble; every group tested."""
    folder = tmp_path_factory.mktemp("run")
    members = []
    for group, rate in enumerate(RATES):
        run_dir = folder / f"group_{group}"
        fitted = run_cli(
            "fit", f"--config={ROOT / 'configs' / 'demo.yaml'}", f"--data.path={small_screen}",
            f"--run_dir={run_dir}", "--model.network.join=slots", "--trainer.max_epochs=5",
            f"--model.optimizer.learning_rate={rate}", "--data.batch_size=64",
        )  # fmt: skip
        assert fitted.code == 0, fitted.output
        members.append(run_dir / "checkpoints" / "best.ckpt")
        tested = run_cli(*words_of_test(folder, members[-1], group))
        assert tested.code == 0, tested.output
    write_ensemble(members, folder / "ensemble.ckpt", [f"group_{g}" for g in range(len(RATES))])
    write_champion(members[1], folder / "champion.ckpt")
    return folder


def words_of_test(folder: Path, ckpt: Path, group: int = 0) -> list[str]:
    return ["test", f"--config={folder / f'group_{group}' / 'config.yaml'}", f"--ckpt_path={ckpt}"]


def scores_of(folder: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    scores = json.loads((folder / "test" / "scores.json").read_text())
    return scores, pd.read_parquet(folder / "test" / "predictions.parquet")


def test_the_table_shows_the_mean_and_what_its_members_reach_alone(
    population: Path, run_cli: RunCli
) -> None:
    tested = run_cli(*words_of_test(population, population / "ensemble.ckpt"))
    assert tested.code == 0, tested.output
    assert "a member alone (mean of 3)" in " ".join(tested.output.split())
    assert "The mean prediction of 3 members has an RMSE of" in tested.output
    scores, rows = scores_of(population)
    alone = [scores_of(population / f"group_{g}") for g in range(3)]
    for column in ("prediction", "prediction_symmetric"):
        answers = [frame[column] for _, frame in alone]
        np.testing.assert_allclose(rows[column], np.mean(answers, axis=0), rtol=1e-9)
    answers = [frame["prediction"] for _, frame in alone]
    np.testing.assert_allclose(rows["prediction_spread"], np.std(answers, axis=0), rtol=1e-6)
    error = ((rows["prediction"] - rows["response"]) ** 2).mean()
    assert scores["models"]["model"]["mse"] == pytest.approx(error)
    for group, (own, frame) in enumerate(alone):
        assert scores["members"][f"group_{group}"] == pytest.approx(own["models"]["model"])
        assert "members" not in own
        assert "prediction_spread" not in frame
    mses = [own["models"]["model"]["mse"] for own, _ in alone]
    assert error < np.mean(mses)  # by Jensen


def test_two_processes_share_the_rows_and_give_the_same_figures(
    population: Path, run_cli: RunCli, tmp_path: Path
) -> None:
    words = words_of_test(population, population / "ensemble.ckpt")
    assert run_cli(*words).code == 0
    expected, expected_rows = scores_of(population)
    run(tmp_path, *words, f"--config={ROOT / 'configs' / 'ddp.yaml'}")
    found, rows = scores_of(population)
    pd.testing.assert_frame_equal(rows, expected_rows, rtol=1e-5)
    assert found["members"].keys() == expected["members"].keys()
    for name, scores in expected["members"].items():
        mine = found["members"][name]
        # Rounding swaps the ranks of a few among 115 rows.
        assert mine.pop("spearman") == pytest.approx(scores.pop("spearman"), abs=1e-3)
        assert mine == pytest.approx(scores, rel=1e-5)


def test_sharded_layouts_and_fits_are_refused_in_a_sentence(
    population: Path, run_cli: RunCli, tmp_path: Path
) -> None:
    words = words_of_test(population, population / "ensemble.ckpt")
    sharded = run_cli(*words, f"--config={ROOT / 'configs' / 'fsdp.yaml'}", "--trainer.devices=1")
    assert sharded.code == 2, sharded.output
    assert "is an ensemble, and MeshParallel spreads one model" in sharded.output
    run_dir = tmp_path / "run"
    shutil.copytree(population / "group_0", run_dir)
    shutil.copy(population / "ensemble.ckpt", run_dir / "checkpoints" / "last.ckpt")
    resumed = run_cli("fit", "--resume", run_dir, "--trainer.max_epochs=9")
    assert resumed.code == 2, resumed.output
    assert "is an ensemble, from which no fit goes on" in resumed.output
    for outcome in (sharded, resumed):
        assert "Traceback" not in outcome.output


def test_validation_scores_the_mean_and_a_champion_tests_as_its_group(
    population: Path, run_cli: RunCli
) -> None:
    words = words_of_test(population, population / "ensemble.ckpt")
    validated = run_cli("validate", *words[1:])
    assert validated.code == 0, validated.output
    tested = run_cli(*words_of_test(population, population / "champion.ckpt", 1))
    assert tested.code == 0, tested.output
    assert "dirpath" not in tested.output
    (found, rows), (expected, expected_rows) = map(scores_of, (population, population / "group_1"))
    assert found == expected
    pd.testing.assert_frame_equal(rows, expected_rows)


def test_prediction_equals_the_test(population: Path, run_cli: RunCli, tmp_path: Path) -> None:
    assert run_cli(*words_of_test(population, population / "ensemble.ckpt")).code == 0
    _, rows = scores_of(population)
    rows[["cell_id", "drug_1", "drug_2"]].to_csv(tmp_path / "pairs.csv", index=False)
    done = run_cli(
        "predict", f"--ckpt_path={population / 'ensemble.ckpt'}",
        f"--pairs={tmp_path / 'pairs.csv'}", f"--out={tmp_path / 'out.csv'}",
    )  # fmt: skip
    assert done.code == 0, done.output
    assert "is an ensemble of 3 members" in done.output
    found = pd.read_csv(tmp_path / "out.csv")
    for column in ("prediction", "prediction_spread"):
        np.testing.assert_allclose(found[column], rows[column], rtol=1e-5, atol=1e-5)
