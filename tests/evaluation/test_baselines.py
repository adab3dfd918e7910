from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from combo_lightning.data.dataset import ScreenDataset, read_dataset
from combo_lightning.data.identity import Codes
from combo_lightning.data.splits import SplitConfig, draw_split
from combo_lightning.errors import InputError
from combo_lightning.evaluation import baselines as module
from combo_lightning.evaluation.baselines import PSEUDO_ROWS, fit_baselines
from combo_lightning.evaluation.scores import score
from tests.evaluation.screens import additive_screen, build_screen, drawn_split

Predictions = dict[str, npt.NDArray[np.float64]]
NONE = np.arange(0)
NAMES = [
    "mean",
    "line mean",
    "drug mean",
    "pair mean",
    "additive effects",
    "ridge on identities and pairs",
    "ridge with slots",
]


def predict(
    screen: ScreenDataset, train: Codes, rows: Codes, validation: Codes = NONE
) -> Predictions:
    return {b.name: b.predict(rows) for b in fit_baselines(screen, train, validation)}


def tiny_screen() -> ScreenDataset:
    """Two lines and three drugs; rows 0 to 4 train."""
    return build_screen(
        cell_N=[0, 0, 1, 1, 1, 0, 0],
        drug_NK=[[0, 1], [0, 2], [0, 1], [1, 0], [2, 0], [1, 0], [1, 2]],
        response_N=[1, 2, 4, 6, 7, 99, 99],
    )


def test_each_mean_is_that_of_its_formula() -> None:
    train, rows = np.arange(5), np.array([5])  # line 0 with drugs 1 and 0
    found = predict(tiny_screen(), train, rows)
    y = np.array([1.0, 2, 4, 6, 7])
    mean = y.mean()

    def effect(rest: npt.NDArray[np.float64]) -> float:
        return float(rest.sum() / (len(rest) + PSEUDO_ROWS))

    line = {0: effect(y[:2] - mean), 1: effect(y[2:] - mean)}
    drug_0, drug_1 = effect(y - mean), effect(y[[0, 2, 3]] - mean)
    line_N = np.array([line[cell] for cell in (0, 0, 1, 1, 1)])
    pair = effect((y - mean - line_N)[[0, 2, 3]])
    assert list(found) == NAMES
    assert found["mean"] == pytest.approx(mean)
    assert found["line mean"] == pytest.approx(mean + line[0])
    assert found["drug mean"] == pytest.approx(mean + (drug_0 + drug_1) / 2)
    assert found["pair mean"] == pytest.approx(mean + line[0] + pair)


def test_additive_effects_solve_the_ridge_of_line_and_drugs() -> None:
    screen = tiny_screen()
    found = predict(screen, np.arange(5), np.array([6]))["additive effects"]
    design = np.zeros((5, 5))
    for row in range(5):
        design[row, screen.responses.cell_N[row]] = 1
        design[row, 2 + screen.responses.drug_NK[row]] = 1
    y = screen.responses.response_N[:5].astype(float)
    normal = design.T @ design + PSEUDO_ROWS * np.eye(5)
    effects = np.linalg.solve(normal, design.T @ (y - y.mean()))
    assert found == pytest.approx(y.mean() + effects[[0, 3, 4]].sum(), rel=1e-6)


def test_an_empty_slot_is_no_drug() -> None:
    screen = build_screen(
        cell_N=[0] * 5,
        drug_NK=[[0, -1], [0, 1], [1, -1], [1, -1], [0, -1]],
        response_N=[1, 3, 9, 9, 0],
    )
    found = predict(screen, np.arange(4), np.array([4]))["drug mean"]
    assert found == pytest.approx(5.5 + (1 + 3 - 11) / (2 + PSEUDO_ROWS))


def test_the_ridge_is_that_of_a_dense_solver_at_the_strength_validation_chooses() -> None:
    screen, _ = additive_screen(rows=600, seed=3)
    who, y = module.Identities.of(screen), screen.responses.response_N.astype(float)
    train, validation, rows = np.arange(400), np.arange(400, 500), np.arange(500, 600)
    design = module._one_hot(module._symmetric_terms(who), np.arange(600)).toarray()
    mean = y[train].mean()
    errors, found = [], []
    for strength in module.RIDGE_GRID:
        normal = design[train].T @ design[train] + strength * np.eye(design.shape[1])
        effects = np.linalg.solve(normal, design[train].T @ (y[train] - mean))
        errors.append(score(mean + design[validation] @ effects, y[validation]).mse)
        found.append(mean + design[rows] @ effects)
    chosen = int(np.argmin(errors))
    ridge = predict(screen, train, rows, validation)["ridge on identities and pairs"]
    np.testing.assert_allclose(ridge, found[chosen], rtol=1e-5)
    assert not np.allclose(ridge, found[np.argmax(errors)], rtol=1e-2)


def test_drugs_never_seen_together_are_left_to_the_additive_effects() -> None:
    found = predict(tiny_screen(), np.arange(5), np.array([5, 6]))
    together, apart = found["pair mean"] == found["additive effects"]
    assert apart
    assert not together


def test_what_training_never_saw_adds_exactly_nothing() -> None:
    screen = build_screen(
        cell_N=[0, 0, 1, 1, 2],
        drug_NK=[[0, 1], [0, 2], [1, 2], [0, 1], [3, 4]],
        response_N=range(5),
    )
    for name, prediction in predict(screen, np.arange(4), np.array([4])).items():
        assert prediction == 1.5, name


def test_test_responses_leave_every_baseline_as_it_is() -> None:
    screen, _ = additive_screen()
    split = drawn_split(len(screen.responses))
    before = predict(screen, split.train_rows, split.test_rows, split.validation_rows)
    screen.responses.response_N[split.test_rows] = 1e6
    after = predict(screen, split.train_rows, split.test_rows, split.validation_rows)
    for name in NAMES:
        np.testing.assert_array_equal(before[name], after[name])


def test_validation_responses_move_nothing_but_the_strength_of_the_ridges() -> None:
    screen, _ = additive_screen()
    split = drawn_split(len(screen.responses))
    before = predict(screen, split.train_rows, split.test_rows, split.validation_rows)
    screen.responses.response_N[split.validation_rows] = 1e6
    after = predict(screen, split.train_rows, split.test_rows, split.validation_rows)
    for name in NAMES[:5]:
        np.testing.assert_array_equal(before[name], after[name])


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_the_drugs_means_nothing_to_all_but_the_ridge_with_slots(seed: int) -> None:
    screen, _ = additive_screen(rows=600)
    split = drawn_split(600)
    before = predict(screen, split.train_rows, split.test_rows, split.validation_rows)
    swapped = np.random.default_rng(seed).random(600) < 0.5
    drug_NK = screen.responses.drug_NK
    drug_NK[swapped] = drug_NK[swapped, ::-1]
    after = predict(screen, split.train_rows, split.test_rows, split.validation_rows)
    for name in NAMES[:6]:
        # Conjugate gradients stop at 1e-7; rounding differs with the order of the sums.
        np.testing.assert_allclose(before[name], after[name], rtol=1e-4)


def test_only_the_ridge_with_slots_learns_what_the_order_says() -> None:
    screen, truth_N = additive_screen()
    drug_NK = screen.responses.drug_NK
    order_N = np.where(drug_NK[:, 0] < drug_NK[:, 1], 30.0, -30.0)
    screen.responses.response_N[:] = truth_N + order_N
    split = drawn_split(len(truth_N))
    y = screen.responses.response_N[split.test_rows]
    found = predict(screen, split.train_rows, split.test_rows, split.validation_rows)
    r2 = {name: score(prediction, y).r2 for name, prediction in found.items()}
    assert r2["ridge with slots"] > 0.95
    assert max(r2[name] for name in NAMES[:6]) < 0.5


def test_drugs_with_the_same_inchikey_are_one() -> None:
    screen = build_screen(
        cell_N=[0, 0, 0, 0, 0],
        drug_NK=[[0, 1], [0, 1], [1, 2], [0, 1], [0, 3]],
        response_N=[1, 2, 9, 0, 0],
        inchikeys=["A", "B", "C", "B"],
    )
    for name, prediction in predict(screen, np.arange(3), np.array([3, 4])).items():
        assert prediction[0] == prediction[1], name


def test_doses_of_a_drug_are_told_apart() -> None:
    draw = np.random.default_rng(0)
    dose_NK = draw.choice([-6.0, -5.0], (400, 1))
    response_N = np.where(dose_NK[:, 0] == -5, 20.0, 80.0)
    screen = build_screen(np.zeros(400), np.zeros((400, 1)), response_N, dose_NK=dose_NK)
    found = predict(screen, np.arange(300), np.arange(300, 400))
    assert score(found["additive effects"], response_N[300:]).r2 > 0.95


def test_doses_that_float32_rounds_apart_are_one() -> None:
    doses = np.array([[-5.0], [-5.0001], [-5.0], [-5.0001]])
    screen = build_screen([0] * 4, [[0]] * 4, [1, 2, 3, 4], dose_NK=doses)
    found = predict(screen, np.arange(2), np.array([2, 3]))["additive effects"]
    assert found[0] == found[1]


@pytest.mark.parametrize("num_slots", [1, 2, 3])
def test_rows_of_one_to_three_drugs_train_together(num_slots: int) -> None:
    draw = np.random.default_rng(num_slots)
    rows, drugs = 3000, 8
    drug_NK = np.argsort(draw.random((rows, drugs)), axis=1)[:, :num_slots]
    count = draw.integers(1, num_slots + 1, rows)
    drug_NK[np.arange(num_slots) >= count[:, None]] = -1
    effect = np.append(draw.normal(0, 10, drugs), 0.0)
    cell_N = draw.integers(0, 4, rows)
    y = effect[drug_NK].sum(axis=1) + 5.0 * cell_N
    screen, split = build_screen(cell_N, drug_NK, y), drawn_split(rows)
    found = predict(screen, split.train_rows, split.test_rows, split.validation_rows)
    for name in NAMES[4:]:
        assert score(found[name], y[split.test_rows]).r2 > 0.97, name


def test_pairs_within_triples_carry_over_to_triples_never_seen() -> None:
    draw = np.random.default_rng(0)
    rows, drugs = 4000, 12
    drug_NK = np.argsort(draw.random((rows, drugs)), axis=1)[:, :3]
    first, second = np.sort(drug_NK, axis=1)[:, :2].T
    synergy = draw.normal(0, 10, (drugs, drugs))
    y = synergy[first, second]
    triple = np.sort(drug_NK, axis=1) @ np.array([1, drugs, drugs**2])
    tested = triple % 5 == 0
    found = predict(
        build_screen(np.zeros(rows), drug_NK, y), np.flatnonzero(~tested), np.flatnonzero(tested)
    )
    r2 = {name: score(prediction, y[tested]).r2 for name, prediction in found.items()}
    assert r2["ridge on identities and pairs"] > r2["additive effects"] + 0.2


def test_a_row_of_weight_zero_is_as_good_as_absent() -> None:
    screen, truth_N = additive_screen(rows=800)
    rows = np.arange(len(truth_N))
    train, test = rows[:600], rows[600:]
    mute = train % 3 == 0
    weighted = build_screen(
        screen.responses.cell_N,
        screen.responses.drug_NK,
        np.where((rows % 3 == 0) & (rows < 600), 1e4, screen.responses.response_N),
        weight_N=np.where((rows % 3 == 0) & (rows < 600), 0.0, 1.0),
    )
    kept = train[~mute]
    expected, found = predict(screen, kept, test, kept), predict(weighted, train, test, kept)
    for name in NAMES:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4)  # as above


def test_more_rows_than_memory_bears_are_drawn_and_the_name_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "RIDGE_ROWS", 1_200)
    screen, truth_N = additive_screen()
    found = predict(screen, np.arange(2500), np.arange(2500, 3000))
    names = [f"{name} (on 1,200 rows)" for name in NAMES[4:]]
    assert list(found) == NAMES[:4] + names
    assert score(found[names[1]], truth_N[2500:]).r2 > 0.95


def test_rows_that_weigh_nothing_fit_no_baseline() -> None:
    screen = build_screen([0, 0], [[0, 1], [0, 1]], [1, 2], weight_N=[0, 1])
    with pytest.raises(InputError, match="the 1 training rows have no weight above 0"):
        fit_baselines(screen, np.array([0]), NONE)


@pytest.mark.real_data
def test_the_combo_scores_give_the_known_ladder(shared_data: Path, tmp_path: Path) -> None:
    from combo_lightning.data.dataset_writer import Target
    from combo_lightning.data.sources.almanac_combo_score import prepare_combo_scores
    from combo_lightning.data.sources.screen_entities import EntityFiles

    almanac = shared_data / "almanac"
    files = EntityFiles([almanac / "drugs.csv"], almanac / "cells.csv", {}, None, [])
    table = almanac / "DTP_NCI60_ALMANAC_COMBO_SCORE.csv.gz"
    screen = read_dataset(prepare_combo_scores(table, files, Target(tmp_path / "out")))
    split = draw_split(screen, SplitConfig(validation_fraction=0), seed=1)
    found = predict(screen, split.train_rows, split.test_rows)
    y = screen.responses.response_N[split.test_rows]
    # Of another random 10 % of the same scores; parts differ by up to 0.01.
    known = {
        "pair mean": 0.374,
        "ridge on identities and pairs": 0.450,
        "ridge with slots": 0.471,
    }
    for name, r2 in known.items():
        assert score(found[name], y).r2 == pytest.approx(r2, abs=0.01), name
