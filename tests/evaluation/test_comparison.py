import json
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from combo_lightning.data.splits import TEST, TRAIN
from combo_lightning.errors import InputError
from combo_lightning.evaluation.comparison import Comparison, compare, rows_frame, summarise_folds
from combo_lightning.evaluation.replicates import WHY_NOT_A_CEILING
from combo_lightning.evaluation.scores import score
from tests.evaluation.screens import additive_screen, build_screen, drawn_split, split_of

SYMMETRIC = "model, symmetric (mean of all orders)"


def compared(error: float, symmetric_error: float | None = None) -> Comparison:
    """A model as good as the noiseless truth, but for an error of that size."""
    screen, truth_N = additive_screen()
    split = drawn_split(len(truth_N))
    wrong = np.where(np.arange(len(split.test_rows)) % 2, 1.0, -1.0)
    predictions = {"model": truth_N[split.test_rows] + error * wrong}
    if symmetric_error is not None:
        predictions[SYMMETRIC] = truth_N[split.test_rows] + symmetric_error * wrong
    return compare(screen, split, predictions)


def test_a_model_ahead_of_every_baseline_is_told_by_how_much() -> None:
    comparison = compared(error=0.01)
    best = comparison.baselines[comparison.best_baseline]
    assert best.r2 == max(scores.r2 for scores in comparison.baselines.values())
    gain = comparison.model.r2 - best.r2
    assert comparison.lines()[0] == (
        f"The model beats every baseline; the best is '{comparison.best_baseline}', by {gain:.3f} "
        "of R2."
    )


def test_every_baseline_that_beats_the_model_is_named() -> None:
    comparison = compared(error=12.0)
    better = [n for n, s in comparison.baselines.items() if s.mse <= comparison.model.mse]
    assert 0 < len(better) < len(comparison.baselines)
    assert comparison.lines()[0] == f"A baseline beats the model: {', '.join(better)}."


def test_a_baseline_that_beats_the_symmetric_model_is_named_too() -> None:
    lines = compared(error=0.01, symmetric_error=3.0).lines()
    assert lines[0].startswith("The model beats every baseline")
    assert lines[1].startswith(f"A baseline beats '{SYMMETRIC}': ")


def test_a_model_that_diverged_is_beaten_by_all() -> None:
    comparison = compared(error=np.nan)
    names = ", ".join(comparison.baselines)
    assert comparison.lines()[0] == f"A baseline beats the model: {names}."


def test_an_ensemble_stands_beside_the_mean_of_its_members() -> None:
    screen, truth_N = additive_screen()
    split = drawn_split(len(truth_N))
    truth_N = truth_N[split.test_rows]
    wrong = np.where(np.arange(len(truth_N)) % 2, 4.0, -4.0)
    members = {"group_0": truth_N + wrong, "group_1": truth_N - 2 * wrong}
    mean = {"model": truth_N - wrong / 2}
    comparison = compare(screen, split, mean, members)
    alone = comparison.mean_member
    assert alone is not None
    own = [score(p, screen.responses.response_N[split.test_rows]) for p in members.values()]
    assert alone.rows == len(truth_N)
    for name in ("mse", "rmse", "mae", "r2", "pearson", "spearman"):
        expected = np.mean([scores.to_plain()[name] for scores in own])
        assert alone.to_plain()[name] == pytest.approx(expected), name
    assert comparison.lines()[1] == (
        f"The mean prediction of 2 members has an RMSE of {comparison.model.rmse:.4g}; alone they "
        f"have {alone.rmse:.4g} on average ({own[0].rmse:.4g} to {own[1].rmse:.4g})."
    )
    assert list(comparison.to_plain()["members"]) == ["group_0", "group_1"]
    frame = rows_frame(screen, split.test_rows, mean, members)
    np.testing.assert_allclose(frame["prediction_spread"], 6.0)
    plain = compare(screen, split, mean)
    assert plain.mean_member is None
    assert "members" not in plain.to_plain()
    assert len(plain.lines()) == len(comparison.lines()) - 1


def test_one_test_row_has_no_r2_and_still_a_verdict() -> None:
    screen, _ = additive_screen(rows=300)
    split = split_of(np.where(np.arange(300) == 7, TEST, TRAIN))
    response = screen.responses.response_N[7:8].astype(float)
    comparison = compare(screen, split, {"model": response})
    assert comparison.lines()[0].endswith("of RMSE.")
    json.dumps(comparison.to_plain(), allow_nan=False)


def test_a_split_without_test_rows_compares_nothing() -> None:
    screen, _ = additive_screen(rows=10)
    with pytest.raises(InputError, match="no test rows"):
        compare(screen, split_of(np.zeros(10)), {"model": np.zeros(0)})


def test_parts_with_unseen_drugs_are_scored_apart_for_models_and_baselines() -> None:
    screen, truth_N = additive_screen()
    split = drawn_split(len(truth_N))
    unseen = 1 + np.arange(len(truth_N)) % 2
    # Exact for one part, far off for the other.
    prediction = screen.responses.response_N + np.where(unseen == 2, 100.0, 0.0)
    split = split_of(split.part_N, unseen)
    comparison = compare(screen, split, {"model": prediction[split.test_rows]})
    frame = comparison.by_unseen.set_index(["name", "predictor"])
    assert len(frame) == 2 * (1 + len(comparison.baselines))
    tested = split.test_rows[unseen[split.test_rows] == 2]
    expected = score(prediction[tested], screen.responses.response_N[tested])
    assert frame.loc[("2 unseen drugs", "model"), "r2"] == pytest.approx(expected.r2)
    beaten = [line for line in comparison.lines() if line.startswith("With ")]
    assert beaten == [
        "With 2 unseen drugs a baseline beats the model: " + ", ".join(comparison.baselines) + "."
    ]


def test_parts_are_not_told_apart_where_all_rows_are_alike() -> None:
    assert compared(error=1.0).by_unseen.empty


def small_comparison(weight_N: npt.ArrayLike | None = None) -> Comparison:
    """Six training rows, then four test rows; the last combines a drug with itself."""
    screen = build_screen(
        cell_N=[0, 1, 0, 1, 0, 1, 0, 0, 1, 1],
        drug_NK=[[0, 1]] * 3 + [[1, 2]] * 3 + [[0, 1], [1, -1], [1, 2], [2, 2]],
        response_N=[1, 2, 3, 4, 5, 6, 7, 9, 8, 2],
        weight_N=weight_N,
    )
    split = split_of([TRAIN] * 6 + [TEST] * 4)
    return compare(screen, split, {"model": np.array([7.0, 8, 8, 3])})


def test_a_row_counts_for_each_of_its_drugs_and_a_drug_with_itself_once() -> None:
    frame = small_comparison().by_drug.set_index("name")
    assert frame["rows"].to_dict() == {"drug 0 (0)": 1, "drug 1 (1)": 3, "drug 2 (2)": 2}
    assert frame.loc["drug 1 (1)", "mse"] == pytest.approx(1 / 3)


def test_lines_and_tissues_are_scored_apart() -> None:
    comparison = small_comparison()
    by_line, by_tissue = (f.set_index("name") for f in (comparison.by_line, comparison.by_tissue))
    assert by_line["mse"].to_dict() == {"L0": 0.5, "L1": 0.5}
    assert by_tissue["rows"].to_dict() == {"Breast": 2, "Colon": 2}


def test_weights_enter_models_and_baselines() -> None:
    weighted = small_comparison([1] * 6 + [0, 3, 1, 0])
    assert weighted.model.mse == pytest.approx(0.75)
    assert {scores.rows for scores in weighted.baselines.values()} == {2}


def test_the_whole_is_plain_json() -> None:
    plain = compared(error=1.0, symmetric_error=2.0).to_plain()
    again = json.loads(json.dumps(plain, allow_nan=False))
    assert list(again["models"]) == ["model", SYMMETRIC]
    assert again["baselines"]["mean"]["pearson"] is None
    assert len(again["by_cell_line"]) == 6


@pytest.mark.parametrize(("noise", "said"), [(20.0, True), (0.1, False)])
def test_the_ceiling_is_explained_where_the_model_passes_it(*, noise: float, said: bool) -> None:
    draw = np.random.default_rng(0)
    one = np.column_stack([np.arange(400) % 20, 20 + np.arange(400) // 20])
    both = np.concatenate([one, one[:, ::-1]])
    # Plate effects that the order tells: not noise, but replicates disagree by them.
    y = np.tile(draw.normal(0, 10, 400), 2) + draw.normal(0, noise, 800)
    split = split_of(np.tile(np.where(np.arange(400) % 5 == 0, TEST, TRAIN), 2))
    screen = build_screen(np.zeros(800), both, y)
    prediction = 0.9 * y[split.test_rows] if said else np.zeros(len(split.test_rows))
    comparison = compare(screen, split, {"model": prediction})
    assert (WHY_NOT_A_CEILING in comparison.lines()) is said


def test_folds_give_mean_and_standard_deviation_of_every_row() -> None:
    folds = [compared(error).to_plain() for error in (0.5, 1.0, 3.0)]
    frame = summarise_folds(folds).set_index("name")
    r2 = [fold["models"]["model"]["r2"] for fold in folds]
    assert frame.loc["model", "r2"] == pytest.approx(np.mean(r2))
    assert frame.loc["model", "r2_sd"] == pytest.approx(np.std(r2, ddof=1))
    assert set(frame["folds"]) == {3}
    assert frame["pearson"].isna().to_dict()["mean"]
    assert list(frame.index) == ["model", *folds[0]["baselines"]]


def test_one_fold_has_no_spread() -> None:
    frame = summarise_folds([compared(1.0).to_plain()])
    assert np.isnan(frame["r2_sd"]).all()


@pytest.mark.parametrize("dose", [False, True])
def test_test_rows_are_laid_out_by_name(*, dose: bool) -> None:
    options: dict[str, Any] = {"dose_NK": [[-5, np.nan], [-6, -7]]} if dose else {}
    screen = build_screen([1, 0], [[1, -1], [0, 1]], [3.5, 4.5], **options)
    frame = rows_frame(screen, np.array([0]), {"model": np.array([3.0])})
    assert frame["row"].tolist() == [0]
    assert frame["cell_id"].tolist() == ["L1"]
    assert frame["drug_1"].tolist() == ["1"]
    assert pd.isna(frame["drug_2"]).all()
    assert ("log10_molar_1" in frame) is dose
    assert frame[["response", "prediction"]].to_numpy().tolist() == [[3.5, 3.0]]


def studied(part_N: npt.ArrayLike) -> Comparison:
    """Four rows of two studies; the model is right in the first and off by 1 in the second."""
    screen = build_screen(
        [0, 0, 1, 1, 0, 0, 1, 1],
        [[0, 1], [0, 2], [0, 1], [0, 2], [1, 0], [1, 2], [0, 1], [1, 2]],
        [1.0, 2, 3, 4, 5, 6, 7, 8],
    )
    study_N = np.array([0, 0, 0, 0, 1, 1, 1, 1], dtype=np.int16)
    responses = replace(screen.responses, study_N=study_N, studies=("x", "y"))
    screen, split = replace(screen, responses=responses), split_of(part_N)
    rows = split.test_rows
    predicted = screen.responses.response_N[rows].astype(np.float64) + study_N[rows]
    return compare(screen, split, {"model": predicted})


def test_rows_that_other_studies_measured_are_scored_apart() -> None:
    comparison = studied([TRAIN] * 4 + [TEST] * 4)
    assert comparison.measured == 2
    assert any(line.startswith("2 of 4 test rows measure a") for line in comparison.lines())
    model = comparison.by_measured[comparison.by_measured["predictor"] == "model"]
    assert dict(zip(model["name"], model["rows"], strict=True)) == {
        "measured here alone": 2, "in other studies too": 2,
    }  # fmt: skip
    assert comparison.by_study.empty
    plain = comparison.to_plain()
    assert {row["name"] for row in plain["by_measured"]} == set(model["name"])


def test_each_study_has_scores_of_its_own() -> None:
    comparison = studied([TEST, TEST, TRAIN, TRAIN, TEST, TEST, TRAIN, TRAIN])
    assert comparison.by_study["name"].tolist() == ["x", "y"]
    assert comparison.by_study["mse"].tolist() == [0, 1]
    assert "R2 by study: x 1.000, y -3.000." in comparison.lines()


def test_predictions_are_written_with_their_study() -> None:
    screen, truth_N = additive_screen(rows=30)
    study_N = (np.arange(30) % 2).astype(np.int16)
    responses = replace(screen.responses, study_N=study_N, studies=("x", ""))
    frame = rows_frame(replace(screen, responses=responses), np.arange(2), {"model": truth_N[:2]})
    assert frame["study"].fillna("").tolist() == ["x", ""]
