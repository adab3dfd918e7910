import numpy as np
import pytest

from combo_lightning.data.dataset import ScreenDataset
from combo_lightning.evaluation.replicates import replicate_pairs, state_replicates
from tests.evaluation.screens import build_screen


def twice_measured(rows: int = 200, noise: float = 5.0) -> ScreenDataset:
    """Every pair stands twice, in opposite orders: rows 2i and 2i + 1."""
    draw = np.random.default_rng(0)
    drug_NK = np.column_stack([np.arange(rows) % 20, 20 + np.arange(rows) // 20])
    truth = draw.normal(0, 10, rows)
    both = np.stack([drug_NK, drug_NK[:, ::-1]], axis=1).reshape(-1, 2)
    y = np.repeat(truth, 2) + draw.normal(0, noise, 2 * rows)
    return build_screen(np.zeros(2 * rows), both, y)


def test_each_row_is_paired_with_the_next_of_the_same_combination() -> None:
    screen = build_screen(
        cell_N=[0, 0, 0, 1, 0],
        drug_NK=[[0, 1], [0, 2], [1, 0], [0, 1], [0, 1]],
        response_N=range(5),
    )
    first, second = replicate_pairs(screen.responses)
    assert set(zip(first.tolist(), second.tolist(), strict=True)) == {(0, 2), (2, 4)}


def test_figures_are_those_of_numpy() -> None:
    responses = twice_measured().responses
    y = responses.response_N.astype(float)
    test_rows = np.arange(100)
    prediction = y[test_rows] + np.sin(test_rows)
    said = state_replicates(responses, test_rows, prediction)
    others = test_rows ^ 1
    assert said.pairs == 200
    assert said.test_rows == 100
    assert said.opposite_order == 1
    assert said.correlation == pytest.approx(np.corrcoef(y[::2], y[1::2])[0, 1])
    noise = np.mean((y[::2] - y[1::2]) ** 2) / 2
    assert said.naive_ceiling_r2 == pytest.approx(1 - noise / y.var())
    other = np.corrcoef(prediction, y[others])[0, 1]
    assert said.other_replicate_pearson == pytest.approx(other)
    own = np.corrcoef(prediction, y[test_rows])[0, 1]
    assert said.same_replicate_pearson == pytest.approx(own)


def test_the_naive_ceiling_of_pure_noise_is_the_share_of_the_signal() -> None:
    said = state_replicates(twice_measured(4000).responses, np.arange(0), np.zeros(0))
    # Signal 10, noise 5: 100 / 125; the standard error over 4,000 pairs is about 0.005.
    assert said.naive_ceiling_r2 == pytest.approx(0.8, abs=0.02)


def test_a_test_row_counts_once_however_often_it_was_measured() -> None:
    screen = build_screen([0] * 4, [[0, 1]] * 4, [1, 2, 3, 5])
    said = state_replicates(screen.responses, np.array([1]), np.array([2.0]))
    assert said.pairs == 3
    assert said.test_rows == 1


def test_nothing_measured_twice_says_so() -> None:
    screen = build_screen([0, 0], [[0, 1], [0, 2]], [1, 2])
    said = state_replicates(screen.responses, np.array([1]), np.array([2.0]))
    assert said.lines() == ["No combination was measured twice."]


def test_a_constant_prediction_correlates_with_nothing_and_no_line_claims_it() -> None:
    said = state_replicates(twice_measured().responses, np.arange(100), np.zeros(100))
    assert len(said.lines()) == 1
