import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from sklearn import metrics

from combo_lightning.evaluation.scores import Scores, score

FLOATS = st.floats(-200, 200).map(lambda value: round(value, 3))


@st.composite
def predictions(draw: Any) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Predictions, responses that vary, and weights of at least one half."""
    rows = draw(st.integers(3, 40))
    p = draw(arrays(np.float64, rows, elements=FLOATS))
    y = draw(arrays(np.float64, rows, elements=FLOATS)) + np.linspace(-10, 10, rows)
    w = draw(arrays(np.float64, rows, elements=st.sampled_from([0.5, 1.0, 2.0, 3.0])))
    return p + np.linspace(-1, 1, rows), y, w


def as_array(scores: Scores) -> npt.NDArray[np.float64]:
    return np.array(list(scores.to_plain().values()), dtype=np.float64)


def varies(values: npt.NDArray[Any]) -> bool:
    return float(np.std(values)) > 1e-2


@given(predictions())
def test_scores_equal_those_of_scikit_learn_and_scipy(
    data: tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]],
) -> None:
    p, y, w = data
    scores = score(p, y, w)
    assert scores.rows == len(y)
    assert scores.mse == pytest.approx(metrics.mean_squared_error(y, p, sample_weight=w))
    assert scores.rmse == pytest.approx(math.sqrt(scores.mse))
    assert scores.mae == pytest.approx(metrics.mean_absolute_error(y, p, sample_weight=w))
    if varies(y):
        assert scores.r2 == pytest.approx(metrics.r2_score(y, p, sample_weight=w), rel=1e-9)
    if varies(y) and varies(p):
        flat = score(p, y)
        assert flat.pearson == pytest.approx(stats.pearsonr(p, y).statistic, abs=1e-9)
        assert flat.spearman == pytest.approx(stats.spearmanr(p, y).statistic, abs=1e-9)
        covariance = np.cov(p, y, aweights=w)
        weighted = covariance[0, 1] / math.sqrt(covariance[0, 0] * covariance[1, 1])
        assert scores.pearson == pytest.approx(weighted, abs=1e-9)


@given(predictions())
def test_a_shift_by_a_million_changes_r2_and_pearson_by_less_than_1e9th(
    data: tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]],
) -> None:
    _, y, w = data
    # Multiples of 1/1024 are exact at 1e6 too, so that the shift itself loses nothing.
    y = np.round(y * 1024) / 1024
    p = np.round((0.5 * y + np.sin(np.arange(len(y)))) * 1024) / 1024
    if not (varies(y) and varies(p)):
        return
    here, there = score(p, y, w), score(p + 1e6, y + 1e6, w)
    assert here.r2 == pytest.approx(there.r2, abs=1e-9)
    assert here.pearson == pytest.approx(there.pearson, abs=1e-9)


@given(predictions())
def test_a_weight_of_two_counts_as_the_row_twice(
    data: tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]],
) -> None:
    p, y, _ = data
    weight = np.where(np.arange(len(y)) % 3 == 0, 2, 1)
    weighted, repeated = score(p, y, weight), score(np.repeat(p, weight), np.repeat(y, weight))
    for name in ("mse", "rmse", "mae", "r2", "pearson"):
        assert getattr(weighted, name) == pytest.approx(
            getattr(repeated, name), rel=1e-6, abs=1e-9, nan_ok=True
        )


@given(predictions())
def test_a_weight_of_zero_counts_as_no_row_in_every_score(
    data: tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]],
) -> None:
    p, y, w = data
    w[0] = 0
    np.testing.assert_array_equal(as_array(score(p, y, w)), as_array(score(p[1:], y[1:], w[1:])))


def test_spearman_gives_ties_their_mean_rank() -> None:
    p, y = np.array([1.0, 1, 2, 5, 5]), np.array([3.0, 1, 1, 4, 9])
    assert score(p, y).spearman == pytest.approx(stats.spearmanr(p, y).statistic)


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_a_constant_response_has_no_r2_and_no_correlation_and_warns_of_nothing(rows: int) -> None:
    # 0.1 is no binary fraction: its mean over rows differs from it by rounding.
    scores = score(np.arange(rows, dtype=float), np.full(rows, 0.1))
    assert math.isfinite(scores.mse)
    assert np.isnan([scores.r2, scores.pearson, scores.spearman]).all()


def test_a_constant_prediction_has_r2_but_no_correlation() -> None:
    scores = score(np.full(3, 0.1), np.array([1.0, 2.0, 3.0]))
    assert scores.r2 < 0
    assert math.isnan(scores.pearson)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e200])
def test_a_prediction_that_diverged_warns_of_nothing(value: float) -> None:
    assert not score(np.array([value, 1, 2]), np.array([1.0, 2, 3])).mse < 1e300


@pytest.mark.parametrize("rows", [0, 3])
def test_no_rows_or_no_weight_give_no_scores(rows: int) -> None:
    scores = score(np.zeros(rows), np.arange(rows, dtype=float), np.zeros(rows))
    assert scores.rows == 0
    assert np.isnan(as_array(scores)[1:]).all()
